//! Owns rows on their way through the program: their bytes as they stood in the input, and the cells that
//! are looked at. Where rows come from and go to is for others.

use std::borrow::Cow;
use std::fmt;

use crate::table::raw::framer::Row;

/// Some rows in input order. They share two buffers, so that a row costs no allocation.
#[derive(Default)]
pub struct Batch {
    /// The rows' bytes, one after the other: blank lines, text, terminator.
    bytes: Vec<u8>,
    /// The rows' unquoted number cells, one after the other, and where each of them ends.
    cells: String,
    cell_ends: Vec<usize>,
    spans: Vec<RowSpan>,
}

/// How many cells a row lacks, and where it begins and ends in its batch's buffers; it begins where the row before it ended.
#[derive(Clone, Copy, Default)]
struct RowSpan {
    line: u64,
    missing_cells: usize,
    content_start: usize,
    content_end: usize,
    end: usize,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cells are people's numbers and stay out of every message.
        f.debug_struct("Batch").field("rows", &self.len()).finish_non_exhaustive()
    }
}

impl Batch {
    /// An empty batch with room for about `bytes` bytes of rows.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Adds a row, whose unquoted numbers are `cells`, as many for every row, and which has `missing` cells fewer than the
    /// first one.
    pub fn push<'a>(
        &mut self,
        row: &Row<'_>,
        cells: impl IntoIterator<Item = Cow<'a, str>>,
        missing: usize,
    ) {
        let text_start = self.bytes.len() + row.leading_blanks.len();
        for part in [row.leading_blanks, row.content, row.terminator] {
            self.bytes.extend_from_slice(part);
        }
        for cell in cells {
            self.cells.push_str(&cell);
            self.cell_ends.push(self.cells.len());
        }
        self.spans.push(RowSpan {
            line: row.line,
            missing_cells: missing,
            content_start: text_start,
            content_end: text_start + row.content.len(),
            end: self.bytes.len(),
        });
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many bytes of the input the rows take.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The physical line of the input on which row `row` (from 0) starts, counted from 1; 0 if there is no such row.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.span(row).line
    }

    /// The unquoted number cells of row `row` (from 0), in the order of their columns; none if there is no such row.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let columns = self.cell_ends.len() / self.spans.len().max(1);
        let first = row * columns;
        let start = first
            .checked_sub(1)
            .and_then(|before| self.cell_ends.get(before))
            .copied()
            .unwrap_or_default();
        let ends = self.cell_ends.get(first..first + columns).unwrap_or_default();
        ends.iter().scan(start, |start, &end| {
            let cell = self.cells.get(*start..end).unwrap_or_default();
            *start = end;
            Some(cell)
        })
    }

    /// The bytes of row `row` (from 0) without its terminator; empty if there is no such row.
    #[must_use]
    pub fn content(&self, row: usize) -> &[u8] {
        let place = self.span(row);
        self.bytes.get(place.content_start..place.content_end).unwrap_or_default()
    }

    /// How many cells row `row` (from 0) has fewer than the table's first row; 0 if there is no such row.
    #[must_use]
    pub fn missing_cells(&self, row: usize) -> usize {
        self.span(row).missing_cells
    }

    /// What ends row `row` (from 0): `\n`, `\r\n`, `\r`, or nothing for a last row that lacks it.
    #[must_use]
    pub fn terminator(&self, row: usize) -> &[u8] {
        let place = self.span(row);
        self.bytes.get(place.content_end..place.end).unwrap_or_default()
    }

    /// The blank lines in front of row `row` (from 0).
    #[must_use]
    pub fn leading_blanks(&self, row: usize) -> &[u8] {
        self.bytes
            .get(self.previous_span(row).end..self.span(row).content_start)
            .unwrap_or_default()
    }

    /// These rows alone, in this order, each with the blank lines in front of it; what is no row here is passed over.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut only = Self::with_capacity(self.byte_len());
        for &row in rows.iter().filter(|row| **row < self.len()) {
            let (before, text, terminator) =
                (self.leading_blanks(row), self.content(row), self.terminator(row));
            let whole =
                Row { leading_blanks: before, content: text, terminator, line: self.line(row) };
            only.push(&whole, self.cells(row).map(Cow::Borrowed), self.missing_cells(row));
        }
        only
    }

    fn span(&self, row: usize) -> RowSpan {
        self.spans.get(row).copied().unwrap_or_default()
    }

    fn previous_span(&self, row: usize) -> RowSpan {
        row.checked_sub(1).map(|row| self.span(row)).unwrap_or_default()
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
        let row = |before, text, line| Row {
            leading_blanks: before,
            content: text,
            terminator: b"\n",
            line,
        };
        for (row, cells) in [
            (row(&b"\n"[..], &b"a,1"[..], 2), ["1", "x"]),
            (row(b"\n\n", b"b,2", 5), ["2", "y"]),
            (row(b"", b"c,3", 6), ["3", "z"]),
        ] {
            batch.push(&row, cells.map(Cow::Borrowed), 1);
        }
        let only = batch.select(&[1, 2, 7]);
        let told = |at| {
            (
                only.leading_blanks(at).to_vec(),
                only.content(at).to_vec(),
                only.line(at),
                only.missing_cells(at),
            )
        };
        assert_eq!(only.len(), 2);
        assert_eq!(told(0), (b"\n\n".to_vec(), b"b,2".to_vec(), 5, 1));
        assert_eq!(told(1), (Vec::new(), b"c,3".to_vec(), 6, 1));
        assert_eq!(only.cells(0).chain(only.cells(1)).collect::<Vec<_>>(), ["2", "y", "3", "z"]);
        assert!(batch.select(&[]).is_empty());
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
        let back = |i| Row {
            leading_blanks: batch.leading_blanks(i),
            content: batch.content(i),
            terminator: batch.terminator(i),
            line: batch.line(i),
        };
        assert_eq!([0, 1, 2].map(back), rows);
        assert_eq!(
            [0, 1, 2].map(|i| batch.cells(i).collect::<Vec<_>>()),
            [vec!["1", "x"], vec!["", ""], vec!["手", "y"]]
        );
        assert_eq!([0, 1, 2, 3].map(|i| batch.missing_cells(i)), [2, 0, 1, 0]);
        assert_eq!((batch.len(), batch.byte_len(), batch.is_empty()), (3, 14, false));
        assert_eq!(
            (batch.content(3), batch.cells(3).count(), batch.leading_blanks(3)),
            (&b""[..], 0, &b""[..])
        );
    }
}
