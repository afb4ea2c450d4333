//! Ranges of cells, such as `A1:F36`.

use std::fmt;

use crate::table::raw::cell_name::{cell_name, parse_cell_name};

/// A rectangle of cells, its edges from 0 and included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellRange {
    pub top: u32,
    pub left: u32,
    pub bottom: u32,
    pub right: u32,
}

impl CellRange {
    /// Parses `B2` or `A1:F36`, with or without `$`.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.trim().split_once(':').unwrap_or((text.trim(), text.trim()));
        let ((top, left), (bottom, right)) = (parse_cell_name(first)?, parse_cell_name(last)?);
        (top <= bottom && left <= right).then_some(Self { top, left, bottom, right })
    }

    /// Whether the two have a row in common.
    #[must_use]
    pub(crate) fn shares_rows(&self, other: &Self) -> bool {
        self.top <= other.bottom && other.top <= self.bottom
    }

    /// Whether the two have a cell in common.
    #[must_use]
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.shares_rows(other) && self.left <= other.right && other.left <= self.right
    }

    /// The smallest range that contains both.
    #[must_use]
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self {
            top: self.top.min(other.top),
            left: self.left.min(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.max(other.right),
        }
    }
}

impl fmt::Display for CellRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = cell_name(self.top, self.left);
        if (self.top, self.left) == (self.bottom, self.right) {
            return f.write_str(&first);
        }
        write!(f, "{first}:{}", cell_name(self.bottom, self.right))
    }
}

/// The letters of a column, from 0.
#[must_use]
pub(crate) fn column_letters(column: u32) -> String {
    cell_name(0, column).trim_end_matches('1').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_written() {
        for text in ["A1:F36", "B2", "XFD1048576", "A1:XFD1048576"] {
            assert_eq!(CellRange::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(CellRange::parse("$A$1:$F$36").unwrap().to_string(), "A1:F36");
        for text in ["", "A", "A:F", "1:3", "F36:A1", "A1:", "A1:F36 H1", "#REF!"] {
            assert_eq!(CellRange::parse(text), None, "{text}");
        }
        assert_eq!(column_letters(26), "AA");
    }

    #[test]
    fn ranges_are_compared_and_joined() {
        let range = |text| CellRange::parse(text).unwrap();
        let table = range("B2:F36");
        assert!(table.shares_rows(&range("H36:J40")) && !table.shares_rows(&range("B37:F40")));
        assert!(table.overlaps(&range("F36:G36")) && !table.overlaps(&range("G2:G9")));
        assert_eq!(table.union(&range("G1:K36")), range("B1:K36"));
    }
}
