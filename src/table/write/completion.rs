//! What is known of an output once it is complete.

use crate::table::write::edited_file::Replaced;

/// A completed output.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    /// The number of characters that became question marks because the output's encoding lacks
    /// them.
    pub unmappable: u64,
    /// The number of new cells whose text did not fit a cell of a workbook.
    pub cut_cells: u64,
    pub replaced: Replaced,
}
