//! Owns the reasons for which an input is not read as a table, with the line and the way out. Who finds them is
//! elsewhere.

use std::io;
use std::path::PathBuf;

use tr::tr;

use crate::table::detect::column_error::ColumnError;
use crate::table::detect::preamble::title_hint;
use crate::table::raw::encoding::EncodingError;
use crate::table::raw::framer::FrameError;

/// Why the input cannot be read as a table. The messages name lines and columns; the caller knows the input's name.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The input cannot be opened.
    #[error("{}", tr!(
        "cannot open {path}: {cause}; check the path and the permissions, then run again",
        path = path.display(), cause
    ))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The input broke off.
    #[error("{}", tr!(
        "line {line}: reading failed here: {cause}; make the input readable and run again",
        line, cause
    ))]
    Read {
        /// The line up to which the input was read, counted from 1.
        line: u64,
        /// What the system says.
        cause: io::Error,
    },
    /// There is not even a header.
    #[error("{}", empty_message(*skipped))]
    Empty {
        /// How many lines the user has skipped.
        skipped: u64,
    },
    /// A row has more cells than the first one.
    #[error("{}", ragged_message(*line, *found, *expected, *can_be_flexible) + &title_hint(*title_lines))]
    Ragged {
        /// The line on which the row starts, counted from 1.
        line: u64,
        /// How many cells the row has.
        found: usize,
        /// How many cells the first row has.
        expected: usize,
        /// How many lines look like a title, if any do.
        title_lines: Option<u64>,
        /// Whether `--flexible` is a way out: not in a table that has answers already.
        can_be_flexible: bool,
    },
    /// The bytes are no text.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The text cannot be cut into rows.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// There is no column to read the numbers from.
    #[error("{error}{}", title_hint(*title_lines))]
    Column {
        /// Why there is none.
        error: ColumnError,
        /// How many lines look like a title, if any do.
        title_lines: Option<u64>,
    },
}

fn ragged_message(line: u64, found: usize, expected: usize, may_flex: bool) -> String {
    if may_flex {
        tr!(
            "line {line}: cells in this row: {found}, in the first row: {expected}; correct the row (a cell that holds \
             the delimiter needs quotes around it), give the right --delimiter, or keep such rows whole with --flexible, \
             then run again",
            line,
            found,
            expected
        )
    } else {
        tr!(
            "line {line}: cells in this row: {found}, in the first row: {expected}; correct the row (a cell that holds \
             the delimiter needs quotes around it), or give the right --delimiter, then run again. Where resolve wrote \
             longer rows with --flexible, give the first row as many cells",
            line,
            found,
            expected
        )
    }
}

fn empty_message(skipped: u64) -> String {
    if skipped == 0 {
        tr!(
            "the input is empty: it has neither a header nor a row; check that the export worked and run again"
        )
    } else {
        tr!(
            "nothing stands below the {skipped} lines that --skip-lines passes over, neither a header nor a row; give it a smaller number and run again",
            skipped
        )
    }
}
