//! The formulas of a sheet without a stored value: which cells, and where they are in the CSV.

use std::collections::BTreeMap;
use std::fmt;

use roaring::RoaringBitmap;
use tr::tr;

use crate::table::raw::cell_name::cell_name;

/// The most ranges that are listed.
const MAX_RANGES: usize = 3;

/// The formulas without a stored value.
#[derive(Clone, Debug, Default)]
pub struct MissingValues {
    /// The lines of the CSV, by column of the CSV, from 0.
    lines: BTreeMap<u32, RoaringBitmap>,
    /// The rows of the sheet, by column of the sheet, from 0.
    rows: BTreeMap<u32, RoaringBitmap>,
}

impl MissingValues {
    /// Adds a cell at a position of the sheet. `line` is the line of the CSV on which its row
    /// starts, if it is known.
    pub(crate) fn insert(&mut self, row: u32, column: u32, line: Option<u32>) {
        self.rows.entry(column).or_default().insert(row);
        self.lines.entry(column).or_default().extend(line);
    }

    /// Adds the cells of the columns for which `is_added` holds.
    pub(crate) fn add_columns(&mut self, other: Self, is_added: impl Fn(u32) -> bool) {
        for (to, from) in [(&mut self.rows, other.rows), (&mut self.lines, other.lines)] {
            for (column, cells) in from.into_iter().filter(|(column, _)| is_added(*column)) {
                *to.entry(column).or_default() |= cells;
            }
        }
    }

    /// Sets which column of the sheet is the first one of the CSV.
    #[must_use]
    pub(crate) fn with_first_column(mut self, first: u32) -> Self {
        let lines = std::mem::take(&mut self.lines);
        self.lines = lines.into_iter().map(|(column, at)| (column - first, at)).collect();
        self
    }

    /// Whether the cell of the CSV in this line and column (from 0) is such a formula.
    #[must_use]
    pub(crate) fn contains(&self, line: u64, column: usize) -> bool {
        let lines = || self.lines.get(&u32::try_from(column).ok()?);
        !self.lines.is_empty()
            && lines()
                .zip(u32::try_from(line).ok())
                .is_some_and(|(lines, line)| lines.contains(line))
    }

    /// The number of such cells.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.rows.values().map(RoaringBitmap::len).sum()
    }
}

/// The cells, as `D2:D9, F2 and 7 more`.
impl fmt::Display for MissingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut ranges, mut listed) = (Vec::new(), 0);
        'columns: for (&column, rows) in &self.rows {
            let mut rows = rows.iter();
            while let Some(range) = rows.next_range() {
                if ranges.len() == MAX_RANGES {
                    break 'columns;
                }
                let (first, last) = (*range.start(), *range.end());
                listed += u64::from(last - first) + 1;
                let (from, to) = (cell_name(first, column), cell_name(last, column));
                ranges.push(if first == last { from } else { format!("{from}:{to}") });
            }
        }
        let cells = ranges.join(&tr!("list" => ", "));
        match self.count() - listed {
            0 => f.write_str(&cells),
            more => f.write_str(&tr!("{cells} and {more} more", cells, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_listed_as_ranges_and_found_by_line() {
        let mut missing = MissingValues::default();
        for (row, column, line) in
            [(1, 3, 2), (2, 3, 3), (3, 3, 5), (7, 3, 9), (1, 5, 2), (9, 6, 11), (10, 6, 12)]
        {
            missing.insert(row, column, Some(line));
        }
        let missing = missing.with_first_column(1);
        assert_eq!(missing.to_string(), "D2:D4, D8, F2 and 2 more");
        assert_eq!(missing.count(), 7);
        for (line, column, expected) in
            [(5, 2, true), (4, 2, false), (5, 3, false), (2, 4, true), (12, 5, true)]
        {
            assert_eq!(missing.contains(line, column), expected, "{line} {column}");
        }
        assert!(!MissingValues::default().contains(1, 0));
    }
}
