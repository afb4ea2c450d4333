//! How the rows of an input are numbered for people: by the lines of a text file, or by the rows of
//! a sheet.

use std::sync::Arc;

use crate::domain::row_location::RowLocation;
use crate::table::raw::cell_name::cell_name;

/// The numbering of the rows of an input. Lines by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowNumbers(Option<SheetTable>);

/// A sheet, and where the text that is made of it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SheetTable {
    name: Arc<str>,
    /// The first row and the first column of the text, from 0.
    top: u32,
    left: u32,
}

impl RowNumbers {
    /// The numbering of a sheet, of which the text has the rows from `top` and the columns from
    /// `left` on (from 0).
    #[must_use]
    pub(crate) fn of_sheet(name: &str, top: u32, left: u32) -> Self {
        Self(Some(SheetTable { name: name.into(), top, left }))
    }

    /// The number of the first line of the text, from 1.
    #[must_use]
    pub(crate) fn first(&self) -> u64 {
        1 + self.lines_above()
    }

    /// How many rows of the sheet are above the first one of the text.
    #[must_use]
    pub(crate) fn lines_above(&self) -> u64 {
        self.0.as_ref().map_or(0, |sheet| sheet.top.into())
    }

    /// The name of the sheet; `None` for a text file.
    #[must_use]
    pub(crate) fn sheet(&self) -> Option<&str> {
        self.0.as_ref().map(|sheet| &*sheet.name)
    }

    /// Whether a row has one number, however many lines its cells have.
    #[must_use]
    pub(crate) fn counts_rows(&self) -> bool {
        self.0.is_some()
    }

    /// The row with this number.
    #[must_use]
    pub(crate) fn locate(&self, number: u64) -> RowLocation {
        match &self.0 {
            None => RowLocation::Line(number),
            Some(sheet) => RowLocation::SheetRow { sheet: Arc::clone(&sheet.name), row: number },
        }
    }

    /// The name of the sheet's cell in the row with this number and in a column of the text (from
    /// 0), such as `D13`; `None` for a text file.
    #[must_use]
    pub(crate) fn cell(&self, number: u64, column: usize) -> Option<String> {
        let sheet = self.0.as_ref()?;
        let row = u32::try_from(number.checked_sub(1)?).ok()?;
        Some(cell_name(row, sheet.left.checked_add(u32::try_from(column).ok()?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_begins_at_its_first_cell() {
        let (lines, rows) = (RowNumbers::default(), RowNumbers::of_sheet("在职", 2, 1));
        assert_eq!((lines.first(), rows.first()), (1, 3));
        assert_eq!((lines.cell(13, 2), rows.cell(13, 2).as_deref()), (None, Some("D13")));
        assert_eq!(lines.locate(13), RowLocation::Line(13));
        assert_eq!(rows.locate(13).to_string(), "在职, row 13");
        assert_eq!((lines.sheet(), rows.sheet()), (None, Some("在职")));
    }
}
