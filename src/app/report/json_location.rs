//! Where a row is, in the JSON of a plan and of a summary.

use serde::Serialize;

use crate::domain::redact::sanitize;
use crate::domain::row_location::RowLocation;

/// A row of a text file has a `line`. A row of a workbook has `sheet`, `row` and `cell`, and the
/// number of the row as `line` too, for programs that know text files only.
#[derive(Debug, Serialize)]
pub(crate) struct JsonLocation {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
}

impl JsonLocation {
    /// `cell` is the one with the number, in a workbook.
    #[must_use]
    pub(crate) fn new(location: &RowLocation, cell: Option<String>) -> Self {
        let (sheet, row) = match location {
            RowLocation::Line(_) => (None, None),
            RowLocation::SheetRow { sheet, row } => (Some(sanitize(sheet)), Some(*row)),
        };
        Self { line: location.number(), sheet, row, cell }
    }
}
