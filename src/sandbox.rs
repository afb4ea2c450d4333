//! An emulated DingTalk API over HTTP on loopback, with scripted faults and a call log. It imports
//! no other module and writes its JSON by hand, so that it cannot share a mistake with the client.

pub(crate) mod call_log;
pub(crate) mod directory;
pub(crate) mod emulator;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod tls;
