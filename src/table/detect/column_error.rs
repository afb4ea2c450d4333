//! Errors about columns, and how messages list columns: positions, names and sample cells.
//! Sample cells are masked, since they may be phone numbers.

use std::fmt;

use tr::tr;

use crate::domain::redact;
use crate::domain::row_location::RowLocation;

/// The flag that requests number columns. It can be given several times.
pub(crate) const COLUMN_FLAG: &str = "--column";

/// Why a column cannot be determined.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ColumnError {
    /// No column has the requested name.
    #[error("{}", match suggestion {
        Some(near) => tr!(
            "{row}: there is no column \"{name}\"; did you mean {near}? Name one of these \
             with {flag}: {columns}",
            row, name, near, flag, columns
        ),
        None => tr!(
            "{row}: there is no column \"{name}\"; name one of these with {flag}: \
             {columns}",
            row, name, flag, columns
        ),
    })]
    NoSuchName {
        /// The requested name.
        name: String,
        /// The flag that requests it, with its dashes.
        flag: &'static str,
        /// A similar name.
        suggestion: Option<String>,
        /// The header row.
        row: RowLocation,
        /// All columns.
        columns: ColumnList,
    },
    /// Several columns have the requested name.
    #[error("{}", tr!(
        "{row}: several columns are called \"{name}\"; give one's position with {flag}: \
         {columns}",
        row, name, flag, columns
    ))]
    DuplicateName {
        /// The requested name.
        name: String,
        /// The flag that requests it, with its dashes.
        flag: &'static str,
        /// The header row.
        row: RowLocation,
        /// The columns with that name.
        columns: ColumnList,
    },
    /// A pattern matches no column name, or several.
    #[error("{}", pattern_mismatch_message(pattern, *several, row, flag, columns))]
    PatternMismatch {
        pattern: String,
        /// The flag that requests it, with its dashes.
        flag: &'static str,
        /// Whether it matches several names.
        several: bool,
        /// The header row.
        row: RowLocation,
        /// The columns that it matches, or all if it matches none.
        columns: ColumnList,
    },
    /// A name was requested in a table without a header row.
    #[error("{}", match number {
        Some(number) => tr!(
            "the file has no header row, as {row} has a number in column {number}, so there \
             is no column \"{name}\"; give the column's position with {flag}, from 1 to {width}",
            row, number, name, flag, width
        ),
        None => tr!(
            "the file has no header row, so there is no column \"{name}\"; give the column's \
             position with {flag}, from 1 to {width}",
            name, flag, width
        ),
    })]
    NoHeaders {
        /// The requested name.
        name: String,
        /// The flag that requests it, with its dashes.
        flag: &'static str,
        /// The first row.
        row: RowLocation,
        /// The position of a cell of the first row that has a number, counted from 1.
        number: Option<usize>,
        /// The number of columns.
        width: usize,
    },
    /// The table has no column at the requested position.
    #[error("{}", tr!(
        "there is no column {position}: the file has {width}, counted from 1; give one of these \
         with {flag}: {columns}",
        position, width, flag, columns
    ))]
    NoSuchPosition {
        /// The requested position, counted from 1.
        position: usize,
        /// The flag that requests it, with its dashes.
        flag: &'static str,
        /// The number of columns.
        width: usize,
        /// All columns.
        columns: ColumnList,
    },
    /// No column of a table with answers has numbers.
    #[error("{}", tr!(
        "no column of this resolved file has mobile numbers; correct the numbers in it, or name \
         their column with --column: {columns}",
        columns
    ))]
    NoMobileToRetry {
        /// All columns but those of the answers.
        columns: ColumnList,
    },
    /// Neither header names nor cells indicate a number column.
    #[error("{}", tr!(
        "no column looks like mobile numbers; name the right one with --column: {columns}",
        columns
    ))]
    NoMobileColumn {
        /// All columns.
        columns: ColumnList,
    },
    /// A table that should have answers lacks one of their columns.
    #[error("{}", tr!(
        "{row}: there is no column \"{name}\", which resolve appends to every table; give a \
         file that resolve wrote, with its header. The columns of this one: {columns}",
        row, name, columns
    ))]
    MissingAnswerColumn {
        /// The missing name.
        name: &'static str,
        /// The header row.
        row: RowLocation,
        /// All columns.
        columns: ColumnList,
    },
    /// An answer column has the same name as another column, which `resolve` never writes.
    #[error("{}", tr!(
        "{row}: more than one column is called \"{name}\"; rename the one that dingmap did \
         not write: {columns}",
        row, name, columns
    ))]
    DuplicateAnswerColumn {
        name: String,
        /// The header row.
        row: RowLocation,
        /// The columns with that name.
        columns: ColumnList,
    },
    /// A table that should have answers has no header row.
    #[error(
        "{}",
        tr!(
            "{row}: this row is data and no header, and the columns of the answers are found \
             by their names; put a line with the names of all {width} columns above it, the last \
             ones as resolve calls them (userid, exclusive_userids, status, errcode, errmsg)",
            row = .row,
            width = .width
        )
    )]
    HeaderMissing {
        /// The first row.
        row: RowLocation,
        /// The number of columns.
        width: usize,
    },
    /// The requested country column is a number column.
    #[error("{}", tr!(
        "--country-column: column {position} has the numbers; name the column with their \
         countries, or use --country-column none",
        position
    ))]
    CountryInNumberColumn {
        /// Counted from 1.
        position: usize,
    },
    /// Several columns may have the countries of the numbers.
    #[error("{}", tr!(
        "several columns may hold the countries of the numbers in column {number}; name the right \
         one with --country-column, which applies to all number columns, or use \
         --country-column none: {columns}",
        number, columns
    ))]
    AmbiguousCountry {
        /// The position of the number column, counted from 1.
        number: usize,
        columns: ColumnList,
    },
    /// Several columns look like mobile numbers.
    #[error("{}", tr!(
        "several columns may hold the mobile numbers; name the right one with --column: {columns}",
        columns
    ))]
    Ambiguous { columns: ColumnList },
    /// By its name, the only column with mobile numbers has those of other people.
    #[error("{}", tr!(
        "by its name, this column has numbers of other people: {columns}; name the right column \
         with --column, or this one if it is meant",
        columns
    ))]
    OtherPersons { columns: ColumnList },
}

impl ColumnError {
    /// Whether no column was requested and none could be detected.
    #[must_use]
    pub(crate) fn is_undetected(&self) -> bool {
        matches!(
            self,
            Self::NoMobileColumn { .. }
                | Self::NoMobileToRetry { .. }
                | Self::Ambiguous { .. }
                | Self::OtherPersons { .. }
        )
    }
}

/// A list of columns in a message.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnList(Vec<String>);

/// The maximum number of columns in a message.
const MAX_LISTED_COLUMNS: usize = 40;
/// The maximum number of sample cells per column.
const SAMPLES_PER_COLUMN: usize = 3;

impl fmt::Display for ColumnList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..MAX_LISTED_COLUMNS).unwrap_or(&self.0);
        f.write_str(&shown.join(&tr!("list" => ", ")))?;
        if self.0.len() <= MAX_LISTED_COLUMNS {
            return Ok(());
        }
        f.write_str(&tr!(" and {n} more", n = self.0.len() - MAX_LISTED_COLUMNS))
    }
}

fn pattern_mismatch_message(
    pattern: &str,
    several: bool,
    row: &RowLocation,
    flag: &str,
    columns: &ColumnList,
) -> String {
    let or_several = if flag == COLUMN_FLAG {
        tr!(", or several with one --column each")
    } else {
        String::new()
    };
    if several {
        tr!(
            "{row}: the pattern /{pattern}/ fits more than one column's name; name the right \
             one with {flag}{or_several}: {columns}",
            row,
            pattern,
            flag,
            or_several,
            columns
        )
    } else {
        tr!(
            "{row}: the pattern /{pattern}/ fits no column's name; name the right one with \
             {flag}{or_several}: {columns}",
            row,
            pattern,
            flag,
            or_several,
            columns
        )
    }
}

impl ColumnList {
    /// Lists columns, given by position from 0 and name, each with its first non-empty cells in
    /// `rows`.
    #[must_use]
    pub fn new(columns: &[(usize, Option<&str>)], rows: &[Vec<String>]) -> Self {
        let label = |&(index, name): &(usize, Option<&str>)| {
            let mut label = (index + 1).to_string();
            if let Some(name) = name.and_then(redact::column_name) {
                label.push(' ');
                label.push_str(&name);
            }
            let cells =
                rows.iter().filter_map(|row| row.get(index)).filter(|cell| !cell.trim().is_empty());
            let samples: Vec<String> =
                cells.take(SAMPLES_PER_COLUMN).map(|cell| redact::mask_cell(cell)).collect();
            if samples.is_empty() {
                label
            } else {
                format!("{label} ({})", samples.join(&tr!("list" => ", ")))
            }
        };
        Self(columns.iter().map(label).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_listed_with_three_cells_each() {
        let rows: Vec<Vec<String>> = [["a", " "], ["b", "x"], ["c", "13800138000"], ["d", "y"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec();
        let columns = [(0, Some("名 ")), (1, Some("13800138000")), (2, None)];
        assert_eq!(
            ColumnList::new(&columns, &rows).to_string(),
            "1 名 (*, *, *), 2 (*, 138****8000, *), 3"
        );
        assert_eq!(ColumnList::new(&columns, &[]).to_string(), "1 名, 2, 3");
    }
}
