//! Finds rows in UTF-8 text: where each begins and ends, its line number and its unquoted cells.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use tr::tr;

/// The maximum length of a row in bytes, including the blank lines before it. A longer row has an
/// unclosed quote, and without a limit it would read the whole file into memory.
pub(crate) const MAX_ROW_BYTES: usize = 16 << 20;
/// The maximum number of cells of a row, which is also the limit of Excel. A row of delimiters
/// takes eight times its size in memory.
pub(crate) const MAX_COLUMNS: usize = 1 << 14;

/// Why the text cannot be split into rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// The input ended inside a quoted cell.
    #[error("{}", tr!(
        "line {line}: a quoted cell begins in this row and never ends, so it swallows the rest of \
         the file; close the quote (\") or remove it, then run again",
        line
    ))]
    UnclosedQuote {
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
    /// The row is longer than [`MAX_ROW_BYTES`].
    #[error("{}", tr!(
        "line {line}: the row that begins here is longer than {most} MiB, the limit of a row; if a \
         quoted cell never ends, close the quote (\") or remove it, then run again",
        line, most = MAX_ROW_BYTES >> 20
    ))]
    RowTooLong {
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
    /// The row has more than [`MAX_COLUMNS`] cells.
    #[error("{}", tr!(
        "line {line}: the row that begins here has more than {most} cells, the limit of a row; \
         correct the row, or give the right --delimiter, then run again",
        line, most = MAX_COLUMNS
    ))]
    TooManyColumns {
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
}

/// The bytes of one row. Its cells are those of the [`Framer`] that found it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Row<'a> {
    /// The blank lines before the row.
    pub leading_blanks: &'a [u8],
    /// The row's bytes without its terminator.
    pub content: &'a [u8],
    /// `\n`, `\r\n`, `\r`, or empty for a last row without one.
    pub terminator: &'a [u8],
    /// The physical line on which `content` starts, counted from 1.
    pub line: u64,
}

impl Row<'_> {
    /// The length of the row in bytes, including blank lines and terminator.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.leading_blanks.len() + self.content.len() + self.terminator.len()
    }
}

/// What [`Framer::frame`] found.
#[derive(PartialEq, Eq)]
pub(crate) enum FrameResult<'a> {
    /// A complete row at the beginning of the window.
    Row(Row<'a>),
    /// The row at the beginning of the window is not complete yet.
    NeedMore,
    /// There is no further row. The window contains blank lines only.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FramerState {
    /// Before the first byte of a row's content.
    BetweenRows,
    /// In a row's content.
    InRow,
    /// At the terminator, of which only `\r` may be known: a `\n` may follow.
    AtTerminator,
    /// The row was returned.
    Done,
}

/// Finds the rows of a text one at a time. Continues inside a row when more bytes arrive.
pub(crate) struct Framer {
    core: Reader,
    /// The unquoted cells of the row, one after the other.
    cells: Vec<u8>,
    cells_len: usize,
    /// Where each cell ends in `cells`.
    cell_ends: Vec<usize>,
    width: usize,
    state: FramerState,
    /// How many bytes of the window were scanned. No byte is scanned twice.
    scanned: usize,
    leading_blanks: usize,
    line: u64,
    blank_line_is_row: bool,
}

impl Framer {
    /// Creates a framer for cells separated by `delimiter`. It starts at line 1 and skips blank
    /// lines.
    #[must_use]
    pub(crate) fn new(delimiter: u8) -> Self {
        let mut core = ReaderBuilder::new().delimiter(delimiter).build();
        // csv-core drops a byte order mark before the first row. Here it was consumed already, and
        // a second one is part of a cell. After a line end, csv-core no longer expects one.
        core.read_record(b"\n", &mut [0], &mut [0]);
        Self {
            core,
            cells: vec![0; 1024],
            cells_len: 0,
            cell_ends: vec![0; 64],
            width: 0,
            state: FramerState::BetweenRows,
            scanned: 0,
            leading_blanks: 0,
            line: 1,
            blank_line_is_row: false,
        }
    }

    /// Sets the number of the first line, counted from 1.
    #[must_use]
    pub(crate) fn with_line(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// Sets whether a blank line is a row with one empty cell, as in a table with one column.
    pub(crate) fn set_blank_line_is_row(&mut self, yes: bool) {
        self.blank_line_is_row = yes;
    }

    /// The number of cells of the row that was returned last.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The unquoted cell at `index` (from 0) of the row that was returned last. `None` if the row
    /// is shorter.
    #[must_use]
    pub(crate) fn cell(&self, index: usize) -> Option<&[u8]> {
        (index < self.width).then(|| self.cell_at(index))
    }

    /// The unquoted cells of the row that was returned last.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.width).map(|index| self.cell_at(index))
    }

    fn cell_at(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.cell_ends[index - 1] };
        &self.cells[start..self.cell_ends[index]]
    }

    /// The physical line of the next byte, counted from 1.
    #[must_use]
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Finds the row that begins at the start of `window`. After [`FrameResult::NeedMore`], pass
    /// the same window with more bytes at its end. After [`FrameResult::Row`], the next window
    /// begins where that row ended. `complete` means that nothing follows the window.
    pub(crate) fn frame<'a>(
        &mut self,
        window: &'a [u8],
        complete: bool,
    ) -> Result<FrameResult<'a>, FrameError> {
        let framed = self.advance(window, complete)?;
        if framed == FrameResult::NeedMore && window.len() > MAX_ROW_BYTES {
            return Err(FrameError::RowTooLong { line: self.line });
        }
        Ok(framed)
    }

    fn advance<'a>(
        &mut self,
        window: &'a [u8],
        complete: bool,
    ) -> Result<FrameResult<'a>, FrameError> {
        if self.state == FramerState::Done {
            (self.state, self.scanned, self.leading_blanks, self.cells_len, self.width) =
                (FramerState::BetweenRows, 0, 0, 0, 0);
        }
        while self.state == FramerState::BetweenRows {
            let Some(&next) = window.get(self.scanned) else {
                return Ok(if complete { FrameResult::End } else { FrameResult::NeedMore });
            };
            if next != b'\n' && next != b'\r' {
                self.leading_blanks = self.scanned;
                self.state = FramerState::InRow;
                break;
            }
            let Some(length) = terminator_len(window, self.scanned, complete) else {
                return Ok(FrameResult::NeedMore);
            };
            if self.blank_line_is_row {
                (self.width, self.cell_ends[0]) = (1, 0);
                return Ok(self.emit_row(window, 0, length));
            }
            self.scanned += length;
            self.line += 1;
        }
        while self.state == FramerState::InRow {
            let rest = &window[self.scanned..];
            if !rest.is_empty() {
                let (result, read) = self.feed(rest);
                self.scanned += read;
                if self.width > MAX_COLUMNS {
                    return Err(FrameError::TooManyColumns { line: self.line });
                }
                if matches!(result, ReadRecordResult::Record) {
                    self.scanned -= 1;
                    self.state = FramerState::AtTerminator;
                }
            } else if !complete {
                return Ok(FrameResult::NeedMore);
            } else if matches!(self.feed(b"\n").0, ReadRecordResult::Record) {
                // A line end ends the last row, unless it is inside an open quote.
                return Ok(self.emit_row(window, self.scanned, 0));
            } else {
                return Err(FrameError::UnclosedQuote { line: self.line });
            }
        }
        Ok(match terminator_len(window, self.scanned, complete) {
            Some(length) => self.emit_row(window, self.scanned, length),
            None => FrameResult::NeedMore,
        })
    }

    /// Passes bytes to csv-core, with room for at least one byte of output and one more cell.
    fn feed(&mut self, bytes: &[u8]) -> (ReadRecordResult, usize) {
        if self.cells_len == self.cells.len() {
            self.cells.resize(self.cells_len * 2, 0);
        }
        if self.width == self.cell_ends.len() {
            self.cell_ends.resize(self.width * 2, 0);
        }
        let cells = &mut self.cells[self.cells_len..];
        let ends = &mut self.cell_ends[self.width..];
        let (result, read, written, ended) = self.core.read_record(bytes, cells, ends);
        self.cells_len += written;
        self.width += ended;
        (result, read)
    }

    fn emit_row<'a>(&mut self, window: &'a [u8], end: usize, terminator: usize) -> FrameResult<'a> {
        let content = &window[self.leading_blanks..end];
        let line = self.line;
        // Only a quoted cell can contain a line end, and unquoting shortens a row.
        if self.cells_len + self.width != content.len() + 1 {
            self.line += count_line_ends(content);
        }
        self.line += u64::from(terminator > 0);
        self.state = FramerState::Done;
        FrameResult::Row(Row {
            leading_blanks: &window[..self.leading_blanks],
            content,
            terminator: &window[end..end + terminator],
            line,
        })
    }
}

/// The length of the terminator at `at`. `None` while it is unknown whether a `\n` follows a `\r`.
fn terminator_len(window: &[u8], at: usize, complete: bool) -> Option<usize> {
    match (window.get(at), window.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some(2),
        (Some(b'\r'), None) if !complete => None,
        _ => Some(1),
    }
}

/// Counts the line ends in `text`: `\n`, `\r\n` and a lone `\r` are one each.
#[must_use]
pub fn count_line_ends(text: &[u8]) -> u64 {
    let mut before = 0;
    let ends_line = |byte: &&u8| {
        let ends = **byte == b'\r' || (**byte == b'\n' && before != b'\r');
        before = **byte;
        ends
    };
    text.iter().filter(ends_line).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (String, String, String, u64, Vec<String>);

    /// Frames `bytes`, a `step` of them becoming known at a time.
    fn rows(
        bytes: &str,
        blank_is_row: bool,
        step: usize,
    ) -> Result<(Vec<Seen>, String), FrameError> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut framer = Framer::new(b',');
        framer.set_blank_line_is_row(blank_is_row);
        let (mut seen, mut start, mut known) = (Vec::new(), 0, 0);
        loop {
            let window = &bytes.as_bytes()[start..known];
            match framer.frame(window, known == bytes.len())? {
                FrameResult::Row(row) => {
                    let cells =
                        (0..framer.width()).map(|i| text(framer.cell(i).unwrap())).collect();
                    seen.push((
                        text(row.leading_blanks),
                        text(row.content),
                        text(row.terminator),
                        row.line,
                        cells,
                    ));
                    start += row.byte_len();
                }
                FrameResult::NeedMore => known = (known + step).min(bytes.len()),
                FrameResult::End => return Ok((seen, text(window))),
            }
        }
    }

    fn row(before: &str, text: &str, terminator: &str, line: u64, cells: &[&str]) -> Seen {
        let cells = cells.iter().map(|&cell| cell.to_owned()).collect();
        (before.to_owned(), text.to_owned(), terminator.to_owned(), line, cells)
    }

    #[test]
    fn terminators_and_blank_lines_keep_their_position() {
        for step in 1..9 {
            let (seen, tail) =
                rows("\n\r\na,b\rc,\r\n\n\r\"d\ne\r\r\nf\",g\nh,\"\"\r\n\r\n\r", false, step)
                    .unwrap();
            let expected = [
                row("\n\r\n", "a,b", "\r", 3, &["a", "b"]),
                row("", "c,", "\r\n", 4, &["c", ""]),
                row("\n\r", "\"d\ne\r\r\nf\",g", "\n", 7, &["d\ne\r\r\nf", "g"]),
                row("", "h,\"\"", "\r\n", 11, &["h", ""]),
            ];
            assert_eq!((seen.as_slice(), tail.as_str()), (expected.as_slice(), "\r\n\r"));
        }
    }

    #[test]
    fn a_blank_line_is_a_row_where_there_is_one_column() {
        for step in 1..5 {
            let (seen, tail) = rows("\n\"\"\r\r\na", true, step).unwrap();
            let expected = [
                row("", "", "\n", 1, &[""]),
                row("", "\"\"", "\r", 2, &[""]),
                row("", "", "\r\n", 3, &[""]),
                row("", "a", "", 4, &["a"]),
            ];
            assert_eq!((seen.as_slice(), tail.as_str()), (expected.as_slice(), ""));
        }
    }

    #[test]
    fn a_mark_at_the_start_of_a_cell_and_nuls_are_text() {
        let (seen, _) = rows("\u{feff}a,\0\n", false, 1).unwrap();
        assert_eq!(seen, [row("", "\u{feff}a,\0", "\n", 1, &["\u{feff}a", "\0"])]);
    }

    #[test]
    fn rows_larger_than_the_buffer_are_read() {
        let wide = format!("{}\"{}\"", "x,".repeat(500), "y".repeat(5000));
        for step in [7, 100_000] {
            let (seen, _) = rows(&wide, false, step).unwrap();
            assert_eq!(seen[0].4.len(), 501);
            assert_eq!(seen[0].4[500].len(), 5000);
        }
    }

    #[test]
    fn an_open_quote_names_the_line_its_row_starts_on() {
        for step in [1, 100] {
            let found = rows("a,b\n\n\"c\nd\",\"e\nf,g\n", false, step).unwrap_err();
            assert_eq!(found, FrameError::UnclosedQuote { line: 3 });
            assert_eq!(rows("\"", false, step).unwrap_err(), FrameError::UnclosedQuote { line: 1 });
            rows("a,b\"", false, step).unwrap();
            rows("\"a\"\"\"", false, step).unwrap();
        }
        let endless = format!("a\n\"{}", "b".repeat(MAX_ROW_BYTES + 1));
        assert_eq!(
            rows(&endless, false, endless.len() - 1).unwrap_err(),
            FrameError::RowTooLong { line: 2 }
        );
    }
}
