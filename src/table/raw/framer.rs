//! Finds rows in UTF-8 text: where each begins and ends, its line number and its unquoted cells.

use tr::tr;

use crate::domain::row_location::RowLocation;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::raw::row_parser::{MAX_COLUMNS, Parsed, RowParser};

/// The maximum length of a row in bytes, including the blank lines before it. A longer row has an
/// unclosed quote, and without a limit it would read the whole file into memory.
pub(crate) const MAX_ROW_BYTES: usize = 16 << 20;

/// Why the text cannot be split into rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// The input ended inside a quoted cell.
    #[error(
        "{}{}",
        tr!(
            "{row}: a quoted cell begins in this row and never ends, so it swallows the rest of \
             the file; close the quote (\") or remove it, then run again",
            row
        ),
        escaped_quote_hint(*has_escaped_quote)
    )]
    UnclosedQuote {
        row: RowLocation,
        /// Whether the row has `\"`.
        has_escaped_quote: bool,
    },
    /// The row is longer than [`MAX_ROW_BYTES`].
    #[error("{}", tr!(
        "{row}: the row that begins here is longer than {most} MiB, the limit of a row; if a \
         quoted cell never ends, close the quote (\") or remove it, then run again",
        row, most = MAX_ROW_BYTES >> 20
    ))]
    RowTooLong { row: RowLocation },
    /// The row has more than [`MAX_COLUMNS`] cells.
    #[error("{}", tr!(
        "{row}: the row that begins here has more than {most} cells, the limit of a row; correct \
         the row, or give the right --delimiter, then run again",
        row, most = MAX_COLUMNS
    ))]
    TooManyColumns { row: RowLocation },
}

/// The hint to add to an error message if the row has `\"`; otherwise empty.
#[must_use]
pub(crate) fn escaped_quote_hint(has_escaped_quote: bool) -> String {
    if has_escaped_quote {
        tr!("; the row has \\\", and in CSV a quote inside a quoted cell is written \"\": replace \
             each \\\" by \"\"")
    } else {
        String::new()
    }
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
    /// The number of the row by [`RowNumbers`]: the physical line on which `content` starts, or
    /// the row of the sheet.
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
    parser: RowParser,
    state: FramerState,
    /// How many bytes of the window before the row were scanned.
    leading_blanks: usize,
    numbers: RowNumbers,
    line: u64,
    blank_line_is_row: bool,
}

impl Framer {
    /// Creates a framer for cells separated by `delimiter`. It starts at line 1 and skips blank
    /// lines.
    #[must_use]
    pub(crate) fn new(delimiter: char) -> Self {
        Self {
            parser: RowParser::new(delimiter),
            state: FramerState::BetweenRows,
            leading_blanks: 0,
            numbers: RowNumbers::default(),
            line: 1,
            blank_line_is_row: false,
        }
    }

    /// Sets how rows are numbered, and how many lines (rows of a sheet) of the text are above the
    /// first one.
    #[must_use]
    pub(crate) fn with_numbers(self, numbers: &RowNumbers, lines_above: u64) -> Self {
        Self { line: numbers.first() + lines_above, numbers: numbers.clone(), ..self }
    }

    /// Sets whether a blank line is a row with one empty cell, as in a table with one column.
    pub(crate) fn set_blank_line_is_row(&mut self, yes: bool) {
        self.blank_line_is_row = yes;
    }

    /// The number of cells of the row that was returned last.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.parser.width()
    }

    /// The unquoted cell at `index` (from 0) of the row that was returned last. `None` if the row
    /// is shorter.
    #[must_use]
    pub(crate) fn cell(&self, index: usize) -> Option<&[u8]> {
        self.parser.cell(index)
    }

    /// The unquoted cells of the row that was returned last.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.width()).filter_map(|index| self.cell(index))
    }

    /// Whether a cell of the row that was returned last is quoted.
    #[must_use]
    pub(crate) fn has_quotes(&self) -> bool {
        self.parser.has_quotes()
    }

    /// Whether text follows the closing quote of a cell of the row that was returned last.
    #[must_use]
    pub(crate) fn has_text_after_quote(&self) -> bool {
        self.parser.has_text_after_quote()
    }

    /// The number of the line of the next byte.
    #[must_use]
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Where the next byte is.
    #[must_use]
    pub(crate) fn location(&self) -> RowLocation {
        self.numbers.locate(self.line)
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
            return Err(FrameError::RowTooLong { row: self.location() });
        }
        Ok(framed)
    }

    fn advance<'a>(
        &mut self,
        window: &'a [u8],
        complete: bool,
    ) -> Result<FrameResult<'a>, FrameError> {
        if self.state == FramerState::Done {
            self.parser.reset();
            (self.state, self.leading_blanks) = (FramerState::BetweenRows, 0);
        }
        while self.state == FramerState::BetweenRows {
            let Some(&next) = window.get(self.leading_blanks) else {
                return Ok(if complete { FrameResult::End } else { FrameResult::NeedMore });
            };
            if next != b'\n' && next != b'\r' {
                self.state = FramerState::InRow;
                break;
            }
            let Some(length) = terminator_len(window, self.leading_blanks, complete) else {
                return Ok(FrameResult::NeedMore);
            };
            if self.blank_line_is_row {
                self.parser.set_blank();
                return Ok(self.emit_row(window, length));
            }
            self.leading_blanks += length;
            self.line += 1;
        }
        if self.state == FramerState::InRow {
            match self.parser.advance(&window[self.leading_blanks..], complete) {
                Parsed::Row => self.state = FramerState::AtTerminator,
                Parsed::NeedMore => return Ok(FrameResult::NeedMore),
                Parsed::TooManyCells => {
                    return Err(FrameError::TooManyColumns { row: self.location() });
                }
                Parsed::OpenQuote => {
                    let has_escaped_quote = has_escaped_quote(&window[self.leading_blanks..]);
                    return Err(FrameError::UnclosedQuote {
                        row: self.location(),
                        has_escaped_quote,
                    });
                }
            }
        }
        let end = self.leading_blanks + self.parser.read();
        if end == window.len() {
            return Ok(self.emit_row(window, 0));
        }
        Ok(match terminator_len(window, end, complete) {
            Some(length) => self.emit_row(window, length),
            None => FrameResult::NeedMore,
        })
    }

    fn emit_row<'a>(&mut self, window: &'a [u8], terminator: usize) -> FrameResult<'a> {
        let end = self.leading_blanks + self.parser.read();
        let content = &window[self.leading_blanks..end];
        let line = self.line;
        if self.parser.has_quotes() && !self.numbers.counts_rows() {
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

/// Whether the first line of a row has `\"`, by which MySQL and many scripts write a quote inside
/// a quoted cell. In CSV, the quote ends the cell.
#[must_use]
pub(crate) fn has_escaped_quote(row: &[u8]) -> bool {
    let line = row.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(row.len());
    row[..line].windows(2).any(|pair| pair == b"\\\"")
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
        let mut framer = Framer::new(',');
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
            assert_eq!(
                found,
                FrameError::UnclosedQuote { row: RowLocation::Line(3), has_escaped_quote: false }
            );
            let found = rows("\"a\\\"\"\n", false, step).unwrap_err();
            assert_eq!(
                found,
                FrameError::UnclosedQuote { row: RowLocation::Line(1), has_escaped_quote: true }
            );
            assert!(found.to_string().contains("replace each \\\" by \"\""), "{found}");
            rows("a,b\"", false, step).unwrap();
            rows("\"a\"\"\"", false, step).unwrap();
        }
        let endless = format!("a\n\"{}", "b".repeat(MAX_ROW_BYTES + 1));
        assert_eq!(
            rows(&endless, false, endless.len() - 1).unwrap_err(),
            FrameError::RowTooLong { row: RowLocation::Line(2) }
        );
    }
}
