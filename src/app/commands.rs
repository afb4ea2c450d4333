//! The commands, one module each.

pub(crate) mod completion;
pub(crate) mod diff;
pub(crate) mod help;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod open_input;
pub(crate) mod plan;
pub(crate) mod resolve;
pub(crate) mod sandbox;
pub(crate) mod state;
pub(crate) mod workbook_copy;
