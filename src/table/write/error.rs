//! Why an output cannot be written, and what to do.

use std::{fmt, io};

use tr::tr;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::write::output::Target;

/// Why an output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The output cannot be created.
    #[error("{}", tr!(
        "cannot create {target}: {cause}; {advice}",
        target, cause, advice = hint_for(cause, flag)
    ))]
    Create {
        /// Where the output was to go.
        target: Target,
        /// What the system says.
        cause: io::Error,
        /// The flag that names the output.
        flag: &'static str,
    },
    /// A write failed. An existing file is untouched.
    #[error("{}", tr!(
        "cannot write to {target}: {cause}; {advice}",
        target, cause, advice = hint_for(cause, flag)
    ))]
    Write {
        /// Where the output goes.
        target: Target,
        /// What the system says.
        cause: io::Error,
        /// The flag that names the output.
        flag: &'static str,
    },
    /// The complete output could not be renamed.
    #[error("{}", tr!(
        "cannot put the finished output in place as {target}: {cause}; {advice}",
        target, cause, advice = hint_for(cause, flag)
    ))]
    Finish {
        /// Where the output goes.
        target: Target,
        /// What the system says.
        cause: io::Error,
        /// The flag that names the output.
        flag: &'static str,
    },
    /// A row does not fit in a sheet.
    #[error("{}", tr!("line {line}: {limit}; name a .csv file with {flag}", line, limit, flag))]
    Limit {
        /// The line on which the row starts, counted from 1.
        line: u64,
        limit: SheetLimit,
        /// The flag that names the output.
        flag: &'static str,
    },
    /// A sheet cannot hold the table.
    #[error("{}", tr!(
        "a sheet of a workbook has at most 1048576 rows, and the table has {rows} below its \
         header: name a .csv file with {flag}",
        rows, flag
    ))]
    TooManyRows {
        rows: u64,
        /// The flag that names the output.
        flag: &'static str,
    },
    /// The workbook that is copied cannot be read any more. An existing file is untouched.
    #[error(transparent)]
    Source(WorkbookError),
    /// The cells of a row do not fit its bytes. The run exits with status 1 and no output is put in
    /// place.
    #[error("{}", tr!(
        "line {line}: the cells of this row do not fit its bytes; this is a bug, please report it",
        line
    ))]
    Bug {
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
}

/// What a sheet of a workbook cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetLimit {
    Rows,
    Columns,
    CellLength {
        /// The column of the cell, counted from 1.
        column: usize,
    },
}

impl fmt::Display for SheetLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Rows => tr!("a sheet of a workbook has at most 1048576 rows"),
            Self::Columns => tr!("a row of a workbook has at most 16384 cells"),
            Self::CellLength { column } => {
                tr!("column {column}: a cell of a workbook has at most 32767 characters", column)
            }
        })
    }
}

impl SinkError {
    /// The kind of the I/O error, which distinguishes a closed pipe (`BrokenPipe`) from a full
    /// disk.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Create { cause, .. } | Self::Write { cause, .. } | Self::Finish { cause, .. } => {
                cause.kind()
            }
            Self::Limit { .. } | Self::TooManyRows { .. } => io::ErrorKind::FileTooLarge,
            Self::Source(_) | Self::Bug { .. } => io::ErrorKind::InvalidData,
        }
    }
}

fn hint_for(cause: &io::Error, flag: &str) -> String {
    use io::ErrorKind as Kind;
    match cause.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            tr!("make room and run the same command again")
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            tr!(
                "get permission to write in that directory, or choose another place with {flag}",
                flag
            )
        }
        Kind::NotFound | Kind::NotADirectory => {
            tr!("create the directory first, or choose another place with {flag}", flag)
        }
        Kind::IsADirectory => tr!("name a file in it with {flag}", flag),
        Kind::BrokenPipe => {
            tr!(
                "the program that reads the output has ended; run again with one that reads to the \
                 end"
            )
        }
        _ => tr!(
            "choose another place with {flag}, or put this right, and run the same command again",
            flag
        ),
    }
}
