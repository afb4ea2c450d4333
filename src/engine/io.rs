//! The threads around the run loop: one or more read and parse rows, one writes them.

pub mod batch_receiver;
pub mod feed;
pub mod row_format;
pub mod unresolved;
