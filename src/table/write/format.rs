//! The format of an output.

/// What the name of an output, or a flag, says about its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    /// Text in the dialect of the input.
    #[default]
    Text,
    /// The same, compressed as one gzip member.
    Gzip,
    /// The same, compressed as one zstd frame.
    Zstd,
    /// A workbook: a copy of the input with the new cells if that is a workbook, otherwise a new
    /// one.
    Workbook,
}

impl TableFormat {
    #[must_use]
    pub(crate) fn is_workbook(self) -> bool {
        self == Self::Workbook
    }
}
