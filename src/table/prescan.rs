//! Reads a whole file before the first call, to count its rows and to report a bad row early.

use std::io::Read;

use crate::table::detect::layout::SourceOptions;
use crate::table::source::{Source, SourceError};
use crate::table::write::cell_edit::Splitter;

/// How many rows a table has, and their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prescan {
    /// The number of rows without the header.
    pub rows: u64,
    /// Their length in bytes, including blank lines and terminators.
    pub bytes: u64,
    /// The most cells of a row, if rows may be longer than the header.
    pub widest_row: Option<usize>,
}

/// Reads a table to its end.
///
/// # Errors
/// [`SourceError`] for the first row that cannot be read.
pub fn prescan(
    reader: Box<dyn Read + Send>,
    options: &SourceOptions,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Result<Prescan, SourceError> {
    let mut source = Source::open(reader, options, looks_like_mobile)?;
    let mut splitter = Splitter::new(source.dialect().delimiter, source.dialect().encoding);
    let widest_row = options.flexible.then_some(0);
    let mut prescan = Prescan { rows: 0, bytes: 0, widest_row };
    while let Some(batch) = source.next_batch(usize::MAX)? {
        prescan.rows += batch.len() as u64;
        prescan.bytes += batch.byte_len() as u64;
        if let Some(widest) = &mut prescan.widest_row {
            let widths = (0..batch.len()).map(|row| splitter.cell_ranges(batch.content(row)).len());
            *widest = widths.fold(*widest, usize::max);
        }
    }
    Ok(prescan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row_location::RowLocation;
    use std::io::Cursor;

    fn prescan_text(text: &str) -> Result<Prescan, SourceError> {
        let text = Cursor::new(text.as_bytes().to_vec());
        prescan(Box::new(text), &SourceOptions::default(), &|cell: &str| cell.starts_with('1'))
    }

    #[test]
    fn rows_are_counted_to_the_end() {
        let rows = "a,1\n".repeat(200_000);
        let found = prescan_text(&format!("name,phone\r\n{rows}")).unwrap();
        assert_eq!(found, Prescan { rows: 200_000, bytes: 800_000, widest_row: None });
        assert_eq!(prescan_text("phone").unwrap(), Prescan { rows: 0, bytes: 0, widest_row: None });
    }

    #[test]
    fn a_bad_row_far_into_the_file_is_reported() {
        let text = format!("name,phone\n{}\"a\nb\",1\nc\nd,,x\n", "a,1\n".repeat(90_000));
        let error = prescan_text(&text).unwrap_err();
        assert!(
            matches!(
                error,
                SourceError::Ragged { row: RowLocation::Line(90_005), found: 3, expected: 2, .. }
            ),
            "{error}"
        );
    }
}
