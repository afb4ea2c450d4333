//! Where a row is, as people see it.

use std::fmt;
use std::sync::Arc;

use tr::tr;

use crate::domain::redact::sanitize;

/// A line of a text file or a row of a sheet, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowLocation {
    /// The line on which the row starts.
    Line(u64),
    SheetRow {
        /// The name of the sheet.
        sheet: Arc<str>,
        row: u64,
    },
}

impl RowLocation {
    /// The number of the line or of the row.
    #[must_use]
    pub(crate) fn number(&self) -> u64 {
        match *self {
            Self::Line(number) | Self::SheetRow { row: number, .. } => number,
        }
    }
}

/// As in `line 13` or `Staff, row 13`.
impl fmt::Display for RowLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Line(line) => tr!("line {line}", line),
            Self::SheetRow { sheet, row } => {
                tr!("{sheet}, row {row}", sheet = sanitize(sheet), row)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_line_or_by_its_sheet_and_row() {
        assert_eq!(RowLocation::Line(7).to_string(), "line 7");
        let row = RowLocation::SheetRow { sheet: "在职 13800138000".into(), row: 13 };
        assert_eq!(row.to_string(), "在职 138****00, row 13");
        assert_eq!(row.number(), 13);
    }
}
