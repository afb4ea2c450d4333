//! The output: existing bytes pass through, and the file gets its name only when it is complete.

pub(crate) mod atomic_file;
pub(crate) mod cell_edit;
pub(crate) mod directory;
pub(crate) mod edited_file;
pub(crate) mod output;
pub(crate) mod sink;
