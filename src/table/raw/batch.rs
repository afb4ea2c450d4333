//! Owns rows on their way through the program: their bytes as they stood in the input, and the cells that
//! are looked at. Where rows come from and go to is for others.

use std::borrow::Cow;
use std::fmt;

use crate::table::raw::framer::Row;

/// Some rows in input order. They share two buffers, so that a row costs no allocation.
#[derive(Default)]
pub struct Batch {
    /// The rows' bytes, one after the other: blank lines, text, terminator.
    text: Vec<u8>,
    /// The rows' unquoted number cells, one after the other, and where each of them ends.
    cells: String,
    cell_ends: Vec<usize>,
    places: Vec<Place>,
}

/// How many cells a row lacks, and where it begins and ends in its batch's buffers; it begins where the row before it ended.
#[derive(Clone, Copy, Default)]
struct Place {
    line: u64,
    missing: usize,
    text_start: usize,
    text_end: usize,
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
    pub fn with_room_for(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Adds a row, whose unquoted numbers are `cells`, as many for every row, and which has `missing` cells fewer than the
    /// first one.
    pub fn push<'a>(
        &mut self,
        row: &Row<'_>,
        cells: impl IntoIterator<Item = Cow<'a, str>>,
        missing: usize,
    ) {
        let text_start = self.text.len() + row.before.len();
        for part in [row.before, row.text, row.terminator] {
            self.text.extend_from_slice(part);
        }
        for cell in cells {
            self.cells.push_str(&cell);
            self.cell_ends.push(self.cells.len());
        }
        self.places.push(Place {
            line: row.line,
            missing,
            text_start,
            text_end: text_start + row.text.len(),
            end: self.text.len(),
        });
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes of the input the rows take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The physical line of the input on which row `row` (from 0) starts, counted from 1; 0 if there is no such row.
    #[must_use]
    pub fn line(&self, row: usize) -> u64 {
        self.place(row).line
    }

    /// The unquoted number cells of row `row` (from 0), in the order of their columns; none if there is no such row.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let columns = self.cell_ends.len() / self.places.len().max(1);
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
    pub fn raw(&self, row: usize) -> &[u8] {
        let place = self.place(row);
        self.text.get(place.text_start..place.text_end).unwrap_or_default()
    }

    /// How many cells row `row` (from 0) has fewer than the table's first row; 0 if there is no such row.
    #[must_use]
    pub fn missing(&self, row: usize) -> usize {
        self.place(row).missing
    }

    /// What ends row `row` (from 0): `\n`, `\r\n`, `\r`, or nothing for a last row that lacks it.
    #[must_use]
    pub fn terminator(&self, row: usize) -> &[u8] {
        let place = self.place(row);
        self.text.get(place.text_end..place.end).unwrap_or_default()
    }

    /// The blank lines in front of row `row` (from 0).
    #[must_use]
    pub fn before(&self, row: usize) -> &[u8] {
        self.text.get(self.place_before(row).end..self.place(row).text_start).unwrap_or_default()
    }

    /// These rows alone, in this order, each with the blank lines in front of it; what is no row here is passed over.
    #[must_use]
    pub fn only(&self, rows: &[usize]) -> Self {
        let mut only = Self::with_room_for(self.size());
        for &row in rows.iter().filter(|row| **row < self.len()) {
            let (before, text, terminator) =
                (self.before(row), self.raw(row), self.terminator(row));
            let whole = Row { before, text, terminator, line: self.line(row) };
            only.push(&whole, self.cells(row).map(Cow::Borrowed), self.missing(row));
        }
        only
    }

    fn place(&self, row: usize) -> Place {
        self.places.get(row).copied().unwrap_or_default()
    }

    fn place_before(&self, row: usize) -> Place {
        row.checked_sub(1).map(|row| self.place(row)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }

    #[test]
    fn some_rows_stand_by_themselves() {
        let mut batch = Batch::default();
        let row = |before, text, line| Row { before, text, terminator: b"\n", line };
        for (row, cells) in [
            (row(&b"\n"[..], &b"a,1"[..], 2), ["1", "x"]),
            (row(b"\n\n", b"b,2", 5), ["2", "y"]),
            (row(b"", b"c,3", 6), ["3", "z"]),
        ] {
            batch.push(&row, cells.map(Cow::Borrowed), 1);
        }
        let only = batch.only(&[1, 2, 7]);
        let told =
            |at| (only.before(at).to_vec(), only.raw(at).to_vec(), only.line(at), only.missing(at));
        assert_eq!(only.len(), 2);
        assert_eq!(told(0), (b"\n\n".to_vec(), b"b,2".to_vec(), 5, 1));
        assert_eq!(told(1), (Vec::new(), b"c,3".to_vec(), 6, 1));
        assert_eq!(only.cells(0).chain(only.cells(1)).collect::<Vec<_>>(), ["2", "y", "3", "z"]);
        assert!(batch.only(&[]).is_empty());
    }

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut batch = shared(Batch::with_room_for(10));
        let rows = [
            Row { before: b"\n\n", text: b"a,\"1\"", terminator: b"\r\n", line: 3 },
            Row { before: b"", text: b"", terminator: b"\n", line: 4 },
            Row { before: b"\r", text: b"b,2", terminator: b"", line: 6 },
        ];
        for (row, cells) in rows.iter().zip([["1", "x"], ["", ""], ["手", "y"]]) {
            batch.push(row, cells.map(Cow::Borrowed), row.before.len());
        }
        let back = |i| Row {
            before: batch.before(i),
            text: batch.raw(i),
            terminator: batch.terminator(i),
            line: batch.line(i),
        };
        assert_eq!([0, 1, 2].map(back), rows);
        assert_eq!(
            [0, 1, 2].map(|i| batch.cells(i).collect::<Vec<_>>()),
            [vec!["1", "x"], vec!["", ""], vec!["手", "y"]]
        );
        assert_eq!([0, 1, 2, 3].map(|i| batch.missing(i)), [2, 0, 1, 0]);
        assert_eq!((batch.len(), batch.size(), batch.is_empty()), (3, 14, false));
        assert_eq!(
            (batch.raw(3), batch.cells(3).count(), batch.before(3)),
            (&b""[..], 0, &b""[..])
        );
    }
}
