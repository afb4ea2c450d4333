//! Errors of reading a table, with the line and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tr::tr;

use crate::domain::row_location::RowLocation;
use crate::table::detect::column_error::{ColumnError, ColumnList};
use crate::table::detect::file_type::FileType;
use crate::table::detect::preamble::title_hint;
use crate::table::detect::separator::Separator;
use crate::table::raw::encoding::EncodingError;
use crate::table::raw::framer::{FrameError, escaped_quote_hint};
use crate::table::raw::missing_values::MissingValues;
use crate::table::raw::row_parser::MAX_COLUMNS;

/// Why the input cannot be read as a table. The caller adds the name of the input.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The input cannot be opened.
    #[error("{}", tr!(
        "cannot open {path}: {cause}; check the path and the permissions, then run again",
        path = path.display(), cause
    ))]
    Open { path: PathBuf, cause: io::Error },
    /// A read failed.
    #[error("{}", tr!(
        "{row}: reading failed here: {cause}; make the input readable and run again",
        row, cause
    ))]
    Read {
        /// Up to where the input was read.
        row: RowLocation,
        cause: io::Error,
    },
    /// The input is a file of a type that dingmap cannot read.
    #[error("{}", .0.refusal())]
    UnsupportedType(FileType),
    /// The input begins like a file of such a type, and may be a table.
    #[error("{}", .0.refusal_or_table())]
    TypeOrTable(FileType),
    /// The rows of the output would have more than [`MAX_COLUMNS`] cells, which no command reads.
    #[error("{}", tr!(
        "{row}: cells in this row: {width}, and the output adds {added} more; a row has {most} \
         cells at most: remove cells or columns, then run again",
        row, width, added, most = MAX_COLUMNS
    ))]
    NoRoomForAnswers {
        /// The row, or where the table starts.
        row: RowLocation,
        /// The number of cells of the row, or of the first one.
        width: usize,
        /// The number of cells that are appended.
        added: usize,
    },
    /// The input has neither a header nor a row.
    #[error("{}", empty_message(*skipped))]
    Empty {
        /// The value of `--skip-lines`.
        skipped: u64,
    },
    /// The input has no row, which the user does not accept.
    #[error("{}", no_rows_message(*has_header))]
    NoRows { has_header: bool },
    /// No cell of the number columns could be meant as a number.
    #[error(
        "{}",
        no_number_message(*rows, columns, *has_answers)
            + &missing_values_hint(missing_values)
            + &title_hint(suspected_header.as_ref())
    )]
    NoNumber {
        /// The number of rows.
        rows: u64,
        /// The number columns.
        columns: ColumnList,
        /// The formulas of a workbook's sheet without a stored value.
        missing_values: Arc<MissingValues>,
        /// Where the header may be, if there is a title.
        suspected_header: Option<RowLocation>,
        /// Whether the table has answers already.
        has_answers: bool,
    },
    /// The rows of a table with one column seem to hold several cells.
    #[error("{}", tr!(
        "no row is a phone number and nothing else (rows: {rows}); {remedy}, then run again",
        rows, remedy = separator.remedy()
    ))]
    SeveralCells {
        /// The number of rows.
        rows: u64,
        separator: Separator,
    },
    /// A row has more cells than the first one.
    #[error(
        "{}",
        ragged_message(row, *found, *expected, *can_be_flexible)
            + &escaped_quote_hint(*has_escaped_quote)
            + &title_hint(suspected_header.as_ref())
    )]
    Ragged {
        row: RowLocation,
        /// The number of cells of the row.
        found: usize,
        /// The number of cells of the first row.
        expected: usize,
        /// Where the header may be, if there is a title.
        suspected_header: Option<RowLocation>,
        /// Whether the message suggests `--flexible`, which does not apply to a resolved table.
        can_be_flexible: bool,
        /// Whether the row has `\"`.
        has_escaped_quote: bool,
    },
    /// A quoted cell holds what looks like rows of the table.
    #[error(
        "{}",
        swallowed_message(*first, *last, *can_be_flexible)
            + &escaped_quote_hint(*has_escaped_quote)
    )]
    SwallowedRows {
        /// The line on which the row starts, counted from 1.
        first: u64,
        /// The line on which it ends.
        last: u64,
        /// Whether the message suggests `--flexible`.
        can_be_flexible: bool,
        /// Whether the row has `\"`.
        has_escaped_quote: bool,
    },
    /// The bytes are not valid text.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The text cannot be split into rows.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A column cannot be determined.
    #[error("{error}{}", title_hint(suspected_header.as_ref()))]
    Column {
        error: Box<ColumnError>,
        /// Where the header may be, if there is a title.
        suspected_header: Option<RowLocation>,
    },
}

impl SourceError {
    /// The number of rows, if the whole table was read before it was refused.
    #[must_use]
    pub(crate) fn rows(&self) -> Option<u64> {
        match self {
            Self::NoRows { .. } => Some(0),
            Self::NoNumber { rows, .. } | Self::SeveralCells { rows, .. } => Some(*rows),
            _ => None,
        }
    }
}

fn ragged_message(
    row: &RowLocation,
    found: usize,
    expected: usize,
    can_be_flexible: bool,
) -> String {
    if can_be_flexible {
        tr!(
            "{row}: cells in this row: {found}, in the first row: {expected}; correct the row (a \
             cell that holds the delimiter needs quotes around it), give the right \
             --delimiter, or keep such rows whole with --flexible, then run again",
            row,
            found,
            expected
        )
    } else {
        tr!(
            "{row}: cells in this row: {found}, in the first row: {expected}; correct the row (a \
             cell that holds the delimiter needs quotes around it), or give the right \
             --delimiter, then run again. Where resolve wrote longer rows with --flexible, give \
             the first row as many cells",
            row,
            found,
            expected
        )
    }
}

fn swallowed_message(first: u64, last: u64, can_be_flexible: bool) -> String {
    let remedy = if can_be_flexible {
        tr!("remove the stray quotes (\") on these lines, or accept the cell as it is with \
             --flexible, then run again")
    } else {
        tr!("remove the stray quotes (\") on these lines, then run again")
    };
    tr!(
        "line {first}: the row that begins here ends on line {last}, because a quoted cell of it \
         holds what looks like other rows of this table; {remedy}",
        first,
        last,
        remedy
    )
}

fn no_rows_message(has_header: bool) -> String {
    if has_header {
        tr!("the input has a header and no rows; check that the export worked, or accept an input \
             without rows with --allow-empty, then run again")
    } else {
        tr!("the input is empty: it has neither a header nor a row; check that the export worked, \
             or accept an input without rows with --allow-empty, then run again")
    }
}

fn no_number_message(rows: u64, columns: &ColumnList, has_answers: bool) -> String {
    if has_answers {
        return tr!(
            "no cell in column {columns} could be meant as a phone number, so there is nothing to \
             retry (rows: {rows}); correct the numbers in this file, or name the right column with \
             --column, then run again",
            columns,
            rows
        );
    }
    tr!(
        "no cell in column {columns} could be meant as a phone number: none of them has seven \
         digits, dates and addresses aside (rows: {rows}); name the right column with \
         --column, give the right --delimiter, or correct the export, then run again",
        columns,
        rows
    )
}

fn missing_values_hint(missing: &MissingValues) -> String {
    if missing.count() == 0 {
        return String::new();
    }
    tr!(
        "; formulas without a stored value: {cells}; if they are the numbers, open the workbook in \
         Excel, save it, and run again",
        cells = missing
    )
}

fn empty_message(skipped: u64) -> String {
    if skipped == 0 {
        tr!("the input is empty: it has neither a header nor a row; check that the export worked \
             and run again")
    } else {
        tr!(
            "there is neither a header nor a row after the {skipped} lines that --skip-lines \
             skips; give it a smaller number and run again",
            skipped
        )
    }
}
