//! Owns the reasons why there is no column to read numbers from, and how they list columns: positions, names, and sample
//! cells that are masked, since they may be people's numbers. Who finds them is elsewhere.

use std::fmt;

use tr::tr;

use crate::domain::redact;

/// Why there is no column to read the numbers from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ColumnError {
    /// No column has the name that was asked for.
    #[error("{}", match suggestion {
        Some(near) => tr!("line {line}: there is no column \"{name}\"; did you mean {near}? Name one of these with --column: {columns}", line = line, name = name, near = near, columns = columns),
        None => tr!("line {line}: there is no column \"{name}\"; name one of these with --column: {columns}", line = line, name = name, columns = columns),
    })]
    NoSuchName {
        /// The name that was asked for.
        name: String,
        /// The name that may have been meant.
        suggestion: Option<String>,
        /// The line of the header row.
        line: u64,
        /// All columns.
        columns: ColumnList,
    },
    /// Several columns have the name that was asked for.
    #[error("{}", tr!(
        "line {line}: several columns are called \"{name}\"; give one's position with --column: {columns}",
        line, name, columns
    ))]
    DuplicateName {
        /// The name that was asked for.
        name: String,
        /// The line of the header row.
        line: u64,
        /// The columns of that name.
        columns: ColumnList,
    },
    /// A pattern fits no column's name, or several.
    #[error("{}", pattern_mismatch_message(pattern, *several, *line, columns))]
    PatternMismatch {
        /// The pattern.
        pattern: String,
        /// Whether it fits several names.
        several: bool,
        /// The line of the header row.
        line: u64,
        /// The columns that it fits, or all where it fits none.
        columns: ColumnList,
    },
    /// A name was asked for in a table without a header row.
    #[error("{}", tr!(
        "the file has no header row, so there is no column \"{name}\"; give the column's position with --column, from 1 to {width}",
        name, width
    ))]
    NoHeaders {
        /// The name that was asked for.
        name: String,
        /// How many columns there are.
        width: usize,
    },
    /// The position that was asked for is not in the table.
    #[error("{}", tr!(
        "there is no column {position}: the file has {width}, counted from 1; give one of these with --column: {columns}",
        position, width, columns
    ))]
    NoSuchPosition {
        /// The position that was asked for.
        position: usize,
        /// How many columns there are.
        width: usize,
        /// All columns.
        columns: ColumnList,
    },
    /// Neither a name nor the cells speak for any column.
    #[error("{}", tr!(
        "no column looks like mobile numbers; name the right one with --column: {columns}",
        columns
    ))]
    NoMobileColumn {
        /// All columns.
        columns: ColumnList,
    },
    /// A column is not there that a table has to which an answer was appended.
    #[error("{}", tr!(
        "line {line}: there is no column \"{name}\", which resolve appends to every table; give a file that resolve wrote, with its header. The columns of this one: {columns}",
        line, name, columns
    ))]
    MissingAnswerColumn {
        /// The name that is missing.
        name: &'static str,
        /// The line of the header row.
        line: u64,
        /// All columns.
        columns: ColumnList,
    },
    /// A column that was appended is called as another one, which resolve never does.
    #[error("{}", tr!(
        "line {line}: more than one column is called \"{name}\"; rename the one that dingmap did not write: {columns}",
        line, name, columns
    ))]
    DuplicateAnswerColumn {
        /// The name.
        name: String,
        /// The line of the header row.
        line: u64,
        /// The columns of that name.
        columns: ColumnList,
    },
    /// The first row of such a table is not even a header.
    #[error(
        "{}",
        tr!(
            "line {line}: this row is data and no header, and the columns of the answers are found by their names; put a line \
             with the names of all {width} columns above it, the last ones as resolve calls them (userid, exclusive_userids, \
             status, errcode, errmsg)",
            line = .line,
            width = .width
        )
    )]
    HeaderMissing {
        /// The line of the first row.
        line: u64,
        /// How many columns there are.
        width: usize,
    },
    /// What is wrong is so with the column that another flag asks for.
    #[error("{}", error.to_string().replace("--column", flag))]
    ForFlag {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What is wrong.
        error: Box<ColumnError>,
    },
    /// Several columns may be meant.
    #[error("{}", tr!(
        "several columns may hold the mobile numbers; name the right one with --column: {columns}",
        columns
    ))]
    Ambiguous {
        /// The columns in question.
        columns: ColumnList,
    },
}

/// Columns as an error lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnList(Vec<String>);

/// The most columns that an error lists.
const MAX_LISTED_COLUMNS: usize = 40;
/// How many cells of a column are shown.
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
    line: u64,
    columns: &ColumnList,
) -> String {
    if several {
        tr!(
            "line {line}: the pattern /{pattern}/ fits more than one column's name; name the right one with --column, or several with one --column each: {columns}",
            line,
            pattern,
            columns
        )
    } else {
        tr!(
            "line {line}: the pattern /{pattern}/ fits no column's name; name the right one with --column, or several with one --column each: {columns}",
            line,
            pattern,
            columns
        )
    }
}

impl ColumnList {
    /// Lists columns, each by its index from 0 and its name, with the first cells of it that are not empty where `rows` are
    /// given.
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
