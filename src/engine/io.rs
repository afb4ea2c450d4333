//! The threads around the run loop: one or more read and parse rows, one writes them.

pub(crate) mod batch_receiver;
pub(crate) mod reader;
pub(crate) mod retry;
pub(crate) mod row_format;
pub(crate) mod unresolved;
pub(crate) mod writer;
