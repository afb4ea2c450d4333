//! The formulas of a sheet without a stored value: which cells.

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
    /// The rows of the sheet, by column of the sheet, from 0.
    rows: BTreeMap<u32, RoaringBitmap>,
    /// The column of the sheet that is the first one of the CSV.
    first_column: u32,
}

impl MissingValues {
    /// Adds a cell at a position of the sheet.
    pub(crate) fn insert(&mut self, row: u32, column: u32) {
        self.rows.entry(column).or_default().insert(row);
    }

    /// Adds the cells of the columns for which `is_added` holds.
    pub(crate) fn add_columns(&mut self, other: Self, is_added: impl Fn(u32) -> bool) {
        for (column, rows) in other.rows.into_iter().filter(|(column, _)| is_added(*column)) {
            *self.rows.entry(column).or_default() |= rows;
        }
    }

    /// Sets which column of the sheet is the first one of the CSV.
    #[must_use]
    pub(crate) fn with_first_column(self, first_column: u32) -> Self {
        Self { first_column, ..self }
    }

    /// Whether the cell in this row of the sheet (from 1) and column of the CSV (from 0) is such a
    /// formula.
    #[must_use]
    pub(crate) fn contains(&self, row: u64, column: usize) -> bool {
        if self.rows.is_empty() {
            return false;
        }
        let column = u32::try_from(column).ok().and_then(|at| at.checked_add(self.first_column));
        let row = row.checked_sub(1).and_then(|row| u32::try_from(row).ok());
        let rows = column.and_then(|column| self.rows.get(&column));
        rows.zip(row).is_some_and(|(rows, row)| rows.contains(row))
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
    fn cells_are_listed_as_ranges_and_found_by_row() {
        let mut missing = MissingValues::default();
        for (row, column) in [(1, 3), (2, 3), (3, 3), (7, 3), (1, 5), (9, 6), (10, 6)] {
            missing.insert(row, column);
        }
        let missing = missing.with_first_column(1);
        assert_eq!(missing.to_string(), "D2:D4, D8, F2 and 2 more");
        assert_eq!(missing.count(), 7);
        for (row, column, expected) in
            [(4, 2, true), (5, 2, false), (4, 3, false), (2, 4, true), (11, 5, true), (0, 2, false)]
        {
            assert_eq!(missing.contains(row, column), expected, "{row} {column}");
        }
        assert!(!MissingValues::default().contains(1, 0));
    }
}
