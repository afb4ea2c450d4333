//! Finds rows of the table inside the quoted cells of a row: two stray quotes turn the rows between
//! them into one cell.

use crate::domain::number::plausible::could_be_number;
use crate::table::detect::layout::Layout;
use crate::table::raw::framer::{Framer, Row, count_line_ends};

/// The line on which `row` ends, if it holds what looks like several rows. `framer` is that which
/// found the row.
///
/// Without quotes, a line of the file that looks like a row has as many cells as the first row, and
/// what could be a number in a number column. In a row with lines in its cells, one line may look
/// like this because of the row's own number; a second one does not, however many lines an address
/// has.
#[must_use]
pub(crate) fn find_swallowed_rows(framer: &Framer, layout: &Layout, row: &Row<'_>) -> Option<u64> {
    if !framer.has_quotes() {
        return None;
    }
    let line_ends = count_line_ends(row.content);
    // In a table with one column, a cell with several numbers looks the same unless its quotes are
    // in the wrong places.
    if line_ends == 0 || (layout.width() == 1 && !framer.has_text_after_quote()) {
        return None;
    }
    let delimiter = layout.dialect.delimiter;
    let has_number = |cells: &[&str]| {
        let mut numbers = layout.columns.iter().filter_map(|column| cells.get(column.index));
        numbers.any(|cell| could_be_number(cell))
    };
    let looks_like_row = |line: &&str| {
        let cells: Vec<&str> = line.split(delimiter).collect();
        let is_wide_enough = match cells.len().checked_sub(layout.width()) {
            Some(0) => true,
            Some(1) => cells.ends_with(&[""]),
            _ => false,
        };
        is_wide_enough && has_number(&cells)
    };
    let cells: Vec<_> = framer.cells().map(String::from_utf8_lossy).collect();
    let cells: Vec<&str> = cells.iter().map(|cell| &**cell).collect();
    let text = cells.join(&delimiter.to_string());
    let rows = text.split(['\n', '\r']).filter(looks_like_row).take(2).count();
    (rows > usize::from(has_number(&cells))).then_some(row.line + line_ends)
}
