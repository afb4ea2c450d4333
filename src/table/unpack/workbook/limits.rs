//! The limits of a workbook: what a small file can make the program hold in memory, or write.

use crate::table::raw::framer::MAX_ROW_BYTES;

/// The maximum size of a decompressed workbook in bytes. A sheet of a million rows and ten columns
/// decompresses to some 400 MiB.
pub(crate) const MAX_UNPACKED_BYTES: u64 = 1 << 30;
/// The maximum size of the CSV of a sheet in bytes: one stray cell far to the right makes every row
/// that wide.
pub(crate) const MAX_CSV_BYTES: u64 = 2 << 30;
/// The maximum number of rows: the limit of Excel.
pub(crate) const MAX_ROWS: u32 = 1 << 20;
/// The maximum number of shared strings: more than a sheet of a million rows with fifteen columns
/// of different texts has.
pub(crate) const MAX_STRINGS: usize = 16 << 20;
/// The maximum size of all shared strings in bytes.
pub(crate) const MAX_STRING_BYTES: usize = 512 << 20;
/// The maximum number of cell formats. The limit of Excel is 65 490.
pub(crate) const MAX_STYLES: usize = 1 << 17;
/// The maximum size of the code of a number format in bytes. The limit of Excel is 255 characters.
pub(crate) const MAX_FORMAT_BYTES: usize = 4 << 10;
/// The maximum size of the codes of all number formats in bytes.
pub(crate) const MAX_FORMATS_BYTES: usize = 16 << 20;
/// The maximum size of a tag, and of the text of a cell or of a shared string, in bytes. The limit
/// of Excel for the text of a cell is 32 767 characters. A longer text fits in no row.
pub(crate) const MAX_TEXT_BYTES: usize = MAX_ROW_BYTES;
/// The maximum size of a part that lists other parts in bytes.
pub(crate) const MAX_LIST_BYTES: u64 = 64 << 20;
