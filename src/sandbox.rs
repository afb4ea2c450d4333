//! At the side: an emulated DingTalk API over real HTTP on loopback: people by rule, faults by script, and a
//! ledger of what arrived. It imports nothing of the rest of the crate and writes its JSON by hand, so that a
//! mistake in reading replies cannot agree with the same mistake in writing them.

pub mod call_log;
pub mod directory;
pub mod emulator;
pub mod json;
pub mod limits;
pub mod script;
pub mod server;
