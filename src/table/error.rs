//! Errors of reading a table, with the line and what to do.

use std::io;
use std::path::PathBuf;

use tr::tr;

use crate::table::detect::column_error::ColumnError;
use crate::table::detect::file_type::FileType;
use crate::table::detect::preamble::title_hint;
use crate::table::raw::encoding::EncodingError;
use crate::table::raw::framer::FrameError;

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
        "line {line}: reading failed here: {cause}; make the input readable and run again",
        line, cause
    ))]
    Read {
        /// The line up to which the input was read, counted from 1.
        line: u64,
        cause: io::Error,
    },
    /// The input is a file of a type that is not read.
    #[error("{}", .0.refusal())]
    UnsupportedType(FileType),
    /// The input has neither a header nor a row.
    #[error("{}", empty_message(*skipped))]
    Empty {
        /// The value of `--skip-lines`.
        skipped: u64,
    },
    /// A row has more cells than the first one.
    #[error(
        "{}",
        ragged_message(*line, *found, *expected, *can_be_flexible) + &title_hint(*title_lines)
    )]
    Ragged {
        /// The line on which the row starts, counted from 1.
        line: u64,
        /// The number of cells of the row.
        found: usize,
        /// The number of cells of the first row.
        expected: usize,
        /// The number of lines that look like a title, if any do.
        title_lines: Option<u64>,
        /// Whether the message suggests `--flexible`, which does not apply to a resolved table.
        can_be_flexible: bool,
    },
    /// The bytes are not valid text.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The text cannot be split into rows.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The number column cannot be determined.
    #[error("{error}{}", title_hint(*title_lines))]
    Column {
        error: ColumnError,
        /// The number of lines that look like a title, if any do.
        title_lines: Option<u64>,
    },
}

fn ragged_message(line: u64, found: usize, expected: usize, can_be_flexible: bool) -> String {
    if can_be_flexible {
        tr!(
            "line {line}: cells in this row: {found}, in the first row: {expected}; correct the \
             row (a cell that holds the delimiter needs quotes around it), give the right \
             --delimiter, or keep such rows whole with --flexible, then run again",
            line,
            found,
            expected
        )
    } else {
        tr!(
            "line {line}: cells in this row: {found}, in the first row: {expected}; correct the \
             row (a cell that holds the delimiter needs quotes around it), or give the right \
             --delimiter, then run again. Where resolve wrote longer rows with --flexible, give \
             the first row as many cells",
            line,
            found,
            expected
        )
    }
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
