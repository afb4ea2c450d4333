//! Finds rows of the table inside the quoted cells of a row: two stray quotes turn the rows between
//! them into one cell.

use crate::domain::number::labels::is_none;
use crate::domain::number::normalize::normalize_chars;
use crate::domain::number::plausible::could_be_number;
use crate::table::detect::layout::Layout;
use crate::table::raw::framer::{Framer, Row, count_line_ends};

/// The line on which `row` ends, if it holds what looks like several rows. `framer` is that which
/// found the row.
///
/// Without quotes, the first line of such a row is not longer than a row of the table. Then each
/// line that looks like a row is compared with the row's own number, by which one of them may look
/// like this: one more does not, however many lines an address has.
#[must_use]
pub(crate) fn find_swallowed_rows(framer: &Framer, layout: &Layout, row: &Row<'_>) -> Option<u64> {
    if !framer.has_quotes() {
        return None;
    }
    let line_ends = count_line_ends(row.content);
    if line_ends == 0 {
        return None;
    }
    let delimiter = layout.dialect.delimiter;
    let cells: Vec<_> = framer.cells().map(String::from_utf8_lossy).collect();
    let cells: Vec<&str> = cells.iter().map(|cell| &**cell).collect();
    // Text after a closing quote is the trace of a quote that is missing or too many.
    let is_damaged = framer.has_text_after_quote();
    // In a table with one column, a cell with several numbers looks the same unless a quote is in
    // it.
    if layout.width() == 1 && !is_damaged && !cells.iter().any(|cell| cell.contains('"')) {
        return None;
    }
    if !is_damaged && !begins_as_row(&cells, layout) {
        return None;
    }
    let text = cells.join(&delimiter.to_string());
    let lines: Vec<Vec<&str>> =
        text.split(['\n', '\r']).map(|line| line.split(delimiter).collect()).collect();
    let looks_like_row = |(index, cells): &(usize, &Vec<&str>)| {
        // The row's own first cells may be too many, if its quotes were right but for the last.
        let is_own = is_damaged && *index == 0 && cells.iter().any(|cell| could_be_number(cell));
        is_own || looks_like_row(cells, layout)
    };
    let rows = lines.iter().enumerate().filter(looks_like_row).take(2).count();
    // In a table with one column, the number of the row is that of one of its lines.
    let own = usize::from(layout.width() == 1 || has_number(&cells, layout));
    (rows > own || holds_rows_without_number(&lines, is_damaged, layout))
        .then_some(row.line + line_ends)
}

/// Whether the lines of a row are rows of people, some of them without a number: all lines, or,
/// after a stray quote, one that is not the first.
fn holds_rows_without_number(lines: &[Vec<&str>], is_damaged: bool, layout: &Layout) -> bool {
    if layout.named_columns() == 1 {
        return false;
    }
    let filled = lines.iter().filter(|cells| cells.iter().any(|cell| !cell.trim().is_empty()));
    if is_damaged {
        return filled.skip(1).any(|cells| is_full_row(cells, layout));
    }
    // Lines of an address may end with a comma, which says less than a gap between cells.
    let weight = |cells: &Vec<&str>| match cells.as_slice() {
        [_, ""] => 0,
        _ if has_number(cells, layout) => 0,
        [.., last, ""] if !last.is_empty() => 1,
        _ => 2,
    };
    filled.clone().all(|cells| is_full_row(cells, layout)) && filled.map(weight).sum::<u32>() > 1
}

/// Whether the cells of a line are as many as the table has columns, with a number or none in the
/// number columns. In a text, a space follows a comma.
fn is_full_row(cells: &[&str], layout: &Layout) -> bool {
    let is_blank = |cell: &str| is_none(normalize_chars(cell).trim()) || cell.trim().is_empty();
    let mut numbers = layout.columns.iter().filter_map(|column| cells.get(column.index));
    cells.len() >= layout.named_columns()
        && has_room_for(cells.iter().copied(), layout)
        && cells.iter().any(|cell| !cell.trim().is_empty())
        && !cells.iter().any(|cell| cell.starts_with(' '))
        && numbers.all(|cell| is_blank(cell) || could_be_number(cell))
}

/// Whether the first line of a row with lines in its cells has no more cells than the table. A
/// quoted cell that begins with several cells is no row that a stray quote has damaged.
fn begins_as_row(cells: &[&str], layout: &Layout) -> bool {
    let has_line_end = |cell: &&str| cell.contains(['\n', '\r']);
    let Some(index) = cells.iter().position(has_line_end) else { return false };
    let line = cells[index].split(['\n', '\r']).next().unwrap_or_default();
    let before = cells[..index].iter().copied();
    has_room_for(before.chain(line.split(layout.dialect.delimiter)), layout)
}

/// Whether the cells are in columns with names, but for blank ones at the end.
fn has_room_for<'a>(cells: impl Iterator<Item = &'a str>, layout: &Layout) -> bool {
    cells.skip(layout.named_columns()).all(|cell| cell.trim().is_empty())
}

/// Whether the cells of a line are those of a row: as many as in the first row, or fewer, as many
/// programs write rows without their last cells. In a text, a space follows a comma.
fn looks_like_row(cells: &[&str], layout: &Layout) -> bool {
    let is_text = |cell: &&str| cell.is_empty() || cell.starts_with(' ');
    let is_short = cells.len() < layout.named_columns();
    has_number(cells, layout)
        && has_room_for(cells.iter().copied(), layout)
        && !(is_short && (cells.len() == 1 || cells.iter().any(is_text)))
}

/// Whether a number column has what could be a number.
fn has_number(cells: &[&str], layout: &Layout) -> bool {
    let mut numbers = layout.columns.iter().filter_map(|column| cells.get(column.index));
    numbers.any(|cell| could_be_number(cell))
}
