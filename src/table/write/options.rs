//! What the user specified about an output.

use crate::table::raw::encoding::Encoding;
use crate::table::write::format::TableFormat;

/// What the user specified about the output. Everything else is as in the input.
#[derive(Debug, Clone, Copy)]
pub struct SinkOptions {
    pub format: TableFormat,
    /// The encoding of the output.
    pub encoding: Option<Encoding>,
    /// Whether to write a byte order mark.
    pub write_bom: Option<bool>,
    /// Whether a new cell that a spreadsheet would change (a formula, a long number) gets an
    /// apostrophe in front.
    pub excel_safe: bool,
    /// The minimum size of the output in bytes, if known. Creating it fails without that much disk
    /// space.
    pub min_bytes: u64,
    /// The rows of the table, if they were counted. Creating a new workbook fails if it cannot hold
    /// them.
    pub rows: Option<u64>,
    /// The most cells of a row, if rows may be longer than the header and were read before. New
    /// columns of a new workbook begin behind them.
    pub widest_row: Option<usize>,
    /// Whether a new workbook gets a sheet with how many rows have each status.
    pub has_summary: bool,
    /// The flag that names the output, for error messages.
    pub flag: &'static str,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            format: TableFormat::Text,
            encoding: None,
            write_bom: None,
            excel_safe: false,
            min_bytes: 0,
            rows: None,
            widest_row: None,
            has_summary: true,
            flag: "--output",
        }
    }
}
