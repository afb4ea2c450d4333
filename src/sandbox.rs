//! An emulated DingTalk API over HTTP on loopback: people by rule, faults by script, and a log of
//! the calls. It imports nothing of this crate and writes its JSON by hand, so that a mistake in
//! reading replies cannot agree with the same mistake in writing them.

pub(crate) mod call_log;
pub(crate) mod directory;
pub(crate) mod emulator;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod tls;
