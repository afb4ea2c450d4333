//! The output: existing content passes through, and the file gets its name only when it is
//! complete.

pub(crate) mod atomic_file;
pub(crate) mod cell_edit;
pub(crate) mod completion;
pub(crate) mod csv_sink;
pub(crate) mod directory;
pub(crate) mod edited_file;
pub(crate) mod error;
pub(crate) mod format;
pub(crate) mod new_workbook;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod packed_output;
pub(crate) mod sink;
pub(crate) mod workbook;
