//! Batches of rows: the input's bytes of each row, and the cells that were read from it.

use std::borrow::Cow;
use std::fmt;

use crate::domain::number::invalid::NonPerson;
use crate::table::raw::framer::Row;

/// Rows in input order. They share two buffers, so that a row costs no allocation.
///
/// A row index that is not below [`Batch::len`] is a bug and panics.
#[derive(Default)]
pub struct Batch {
    /// The bytes of the rows, one after the other: blank lines, content, terminator.
    bytes: Vec<u8>,
    /// The unquoted cells that were read, one after the other.
    cells: String,
    /// Where each of them ends in `cells`.
    cell_ends: Vec<usize>,
    spans: Vec<RowSpan>,
    source_bytes: u64,
}

/// Where a row is in the buffers of its batch. It begins where the row before it ends.
#[derive(Clone, Copy)]
struct RowSpan {
    line: u64,
    answer_delimiters: usize,
    non_person: Option<NonPerson>,
    has_number_elsewhere: bool,
    content_start: usize,
    content_end: usize,
    end: usize,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cells are phone numbers, which must not reach any message.
        f.debug_struct("Batch").field("rows", &self.len()).finish_non_exhaustive()
    }
}

impl Batch {
    /// An empty batch with room for about `bytes` bytes of rows.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Adds a row. `cells` are the unquoted cells to keep, equally many for every row.
    /// `answer_delimiters` is returned by [`Batch::answer_delimiters`].
    pub fn push<'a>(
        &mut self,
        row: &Row<'_>,
        cells: impl IntoIterator<Item = Cow<'a, str>>,
        answer_delimiters: usize,
    ) {
        let content_start = self.bytes.len() + row.leading_blanks.len();
        for piece in [row.leading_blanks, row.content, row.terminator] {
            self.bytes.extend_from_slice(piece);
        }
        for cell in cells {
            self.cells.push_str(&cell);
            self.cell_ends.push(self.cells.len());
        }
        self.spans.push(RowSpan {
            line: row.line,
            answer_delimiters,
            non_person: None,
            has_number_elsewhere: false,
            content_start,
            content_end: content_start + row.content.len(),
            end: self.bytes.len(),
        });
    }

    /// Sets what the last row is, if it is not about a person.
    pub(crate) fn set_non_person(&mut self, non_person: Option<NonPerson>) {
        if let Some(span) = self.spans.last_mut() {
            span.non_person = non_person;
        }
    }

    /// What row `row` (from 0) is, if it is not about a person.
    #[must_use]
    pub(crate) fn non_person(&self, row: usize) -> Option<NonPerson> {
        self.spans[row].non_person
    }

    /// Sets whether the last row, whose number cells are blank, has a number in another cell,
    /// because of a wrong delimiter.
    pub(crate) fn set_number_elsewhere(&mut self, has_number_elsewhere: bool) {
        if let Some(span) = self.spans.last_mut() {
            span.has_number_elsewhere = has_number_elsewhere;
        }
    }

    /// Whether row `row` (from 0) has a number in a cell that is no number cell.
    #[must_use]
    pub(crate) fn has_number_elsewhere(&self, row: usize) -> bool {
        self.spans[row].has_number_elsewhere
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The number of bytes kept for the rows: blank lines, contents and terminators.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds to [`Batch::source_bytes`].
    pub(crate) fn count_source_bytes(&mut self, bytes: u64) {
        self.source_bytes += bytes;
    }

    /// The number of input bytes that the rows take. The reader counts them where it consumes the
    /// input, independently of [`Batch::byte_len`], so that a lost byte makes the two differ.
    #[must_use]
    pub(crate) fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// The number of row `row` (from 0) by the source's `RowNumbers`: the physical line of the
    /// input on which it starts, or the row of the sheet.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.spans[row].line
    }

    /// The unquoted cells of row `row` (from 0) that were read, in the order of [`Batch::push`].
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let columns = self.cell_ends.len() / self.spans.len();
        let first = row * columns;
        let start = if first == 0 { 0 } else { self.cell_ends[first - 1] };
        self.cell_ends[first..first + columns].iter().scan(start, |start, &end| {
            // Slicing would show the cells in the panic message.
            let Some(cell) = self.cells.get(*start..end) else {
                unreachable!("a cell ends inside its batch and at a character")
            };
            *start = end;
            Some(cell)
        })
    }

    /// The bytes of row `row` (from 0) without its terminator.
    #[must_use]
    pub fn content(&self, row: usize) -> &[u8] {
        let span = self.spans[row];
        &self.bytes[span.content_start..span.content_end]
    }

    /// The number of delimiters between row `row` (from 0) and cells that are appended to it: 1,
    /// more if the row has fewer cells than the first row of the table, and none if the row already
    /// ends with the delimiter of another, empty cell.
    #[must_use]
    pub fn answer_delimiters(&self, row: usize) -> usize {
        self.spans[row].answer_delimiters
    }

    /// The terminator of row `row` (from 0): `\n`, `\r\n`, `\r`, or empty for a last row without
    /// one.
    #[must_use]
    pub fn terminator(&self, row: usize) -> &[u8] {
        let span = self.spans[row];
        &self.bytes[span.content_end..span.end]
    }

    /// The blank lines before row `row` (from 0).
    #[must_use]
    pub fn leading_blanks(&self, row: usize) -> &[u8] {
        &self.bytes[self.start(row)..self.spans[row].content_start]
    }

    /// The rows for which `keep` returns true, each with the blank lines before it.
    #[must_use]
    pub(crate) fn filter(&self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut kept = Self::with_capacity(self.byte_len());
        kept.source_bytes = self.source_bytes;
        for row in 0..self.len() {
            if keep(row) {
                let raw = Row {
                    leading_blanks: self.leading_blanks(row),
                    content: self.content(row),
                    terminator: self.terminator(row),
                    line: self.line(row),
                };
                kept.push(&raw, self.cells(row).map(Cow::Borrowed), self.answer_delimiters(row));
                kept.set_non_person(self.non_person(row));
                kept.set_number_elsewhere(self.has_number_elsewhere(row));
            } else {
                kept.source_bytes -= (self.spans[row].end - self.start(row)) as u64;
            }
        }
        kept
    }

    /// Where the bytes of row `row` begin, blank lines included.
    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.spans[row - 1].end }
    }

    /// Removes one byte of the content of row `row`, as a bug between reader and writer could.
    #[cfg(test)]
    pub(crate) fn drop_content_byte(&mut self, row: usize) {
        self.bytes.remove(self.spans[row].content_start);
        self.spans[row].content_end -= 1;
        self.spans[row].end -= 1;
        for span in &mut self.spans[row + 1..] {
            span.content_start -= 1;
            span.content_end -= 1;
            span.end -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }

    #[test]
    fn a_subset_of_rows_can_be_copied() {
        let mut batch = Batch::default();
        let row = |leading_blanks, content, line| Row {
            leading_blanks,
            content,
            terminator: b"\n",
            line,
        };
        for (row, cells) in [
            (row(&b"\n"[..], &b"a,1"[..], 2), ["1", "x"]),
            (row(b"\n\n", b"b,2", 5), ["2", "y"]),
            (row(b"", b"c,3", 6), ["3", "z"]),
        ] {
            batch.push(&row, cells.map(Cow::Borrowed), 1);
            batch.count_source_bytes(row.byte_len() as u64);
        }
        let subset = batch.filter(|row| row > 0);
        let fields = |row| {
            (
                subset.leading_blanks(row).to_vec(),
                subset.content(row).to_vec(),
                subset.line(row),
                subset.answer_delimiters(row),
            )
        };
        assert_eq!(subset.len(), 2);
        assert_eq!(fields(0), (b"\n\n".to_vec(), b"b,2".to_vec(), 5, 1));
        assert_eq!(fields(1), (Vec::new(), b"c,3".to_vec(), 6, 1));
        assert_eq!(
            subset.cells(0).chain(subset.cells(1)).collect::<Vec<_>>(),
            ["2", "y", "3", "z"]
        );
        assert_eq!((subset.byte_len(), subset.source_bytes()), (10, 10));
        let empty = batch.filter(|_| false);
        assert_eq!((empty.len(), empty.source_bytes()), (0, 0));
    }

    #[test]
    fn rows_survive_a_round_trip() {
        let mut batch = shared(Batch::with_capacity(10));
        let rows = [
            Row { leading_blanks: b"\n\n", content: b"a,\"1\"", terminator: b"\r\n", line: 3 },
            Row { leading_blanks: b"", content: b"", terminator: b"\n", line: 4 },
            Row { leading_blanks: b"\r", content: b"b,2", terminator: b"", line: 6 },
        ];
        for (row, cells) in rows.iter().zip([["1", "x"], ["", ""], ["手", "y"]]) {
            batch.push(row, cells.map(Cow::Borrowed), row.leading_blanks.len());
        }
        let read_back = |row| Row {
            leading_blanks: batch.leading_blanks(row),
            content: batch.content(row),
            terminator: batch.terminator(row),
            line: batch.line(row),
        };
        assert_eq!([0, 1, 2].map(read_back), rows);
        assert_eq!(
            [0, 1, 2].map(|row| batch.cells(row).collect::<Vec<_>>()),
            [vec!["1", "x"], vec!["", ""], vec!["手", "y"]]
        );
        assert_eq!([0, 1, 2].map(|row| batch.answer_delimiters(row)), [2, 0, 1]);
        assert_eq!((batch.len(), batch.byte_len(), batch.is_empty()), (3, 14, false));
    }
}
