//! The output: existing bytes pass through, and the file appears under its name only when it is complete.

pub mod atomic_file;
pub mod cell_edit;
pub mod output;
pub mod quoting;
pub mod sink;
