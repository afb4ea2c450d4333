//! Why a workbook cannot be read, and what to do.

use tr::tr;
use zip::result::ZipError;

use crate::table::detect::file_type::FileType;
use crate::table::unpack::workbook::limits::{
    MAX_CSV_BYTES, MAX_STRING_BYTES, MAX_STRINGS, MAX_STYLES, MAX_TEXT_BYTES, MAX_UNPACKED_BYTES,
};

/// Why it is not clear that a sheet is the one that is meant.
#[derive(Debug)]
pub enum SheetDoubt {
    /// Its column for numbers has none.
    NoNumbers,
    /// It has numbers far down, and no column of them is found, or it is very long.
    UnknownColumn,
    /// Its column of numbers has no name for mobile numbers.
    OtherName,
    /// It cannot be read.
    Unreadable(Box<WorkbookError>),
}

/// Why a workbook cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookError {
    /// A file of another type in a container that workbooks use too.
    #[error("{}", .0.refusal())]
    UnsupportedType(FileType),
    /// An encrypted workbook.
    #[error("{}", tr!(
        "the workbook is protected by a password: open it, save a copy without one, and run again \
         with the copy"
    ))]
    PasswordProtected,
    /// The archive or a part of it is invalid.
    #[error("{}", tr!(
        "the workbook is damaged or cut off ({what}): download or copy it again, or open it in \
         Excel, save it, and run again",
        what = .0
    ))]
    Damaged(String),
    /// A cell is invalid.
    #[error("{}", tr!(
        "sheet {sheet}, cell {cell}: {what}: open the workbook in Excel, correct or clear that \
         cell, save the workbook, and run again",
        sheet, cell, what
    ))]
    InvalidCell {
        sheet: String,
        /// Such as `B2`.
        cell: String,
        what: String,
    },
    /// Larger than [`MAX_UNPACKED_BYTES`].
    #[error("{}", tr!(
        "the workbook unpacks to more than {most} MiB: save the sheet alone as a workbook of its \
         own, or as \"CSV UTF-8\"",
        most = MAX_UNPACKED_BYTES >> 20
    ))]
    UnpackedTooLarge,
    /// More than [`MAX_STRINGS`] strings, or more than [`MAX_STRING_BYTES`].
    #[error("{}", tr!(
        "the workbook has more than {count} different texts, or more than {most} MiB of them: save \
         the sheet alone as a workbook of its own, or as \"CSV UTF-8\"",
        count = MAX_STRINGS, most = MAX_STRING_BYTES >> 20
    ))]
    TooManyStrings,
    /// More than [`MAX_STYLES`] formats, or too much text in their codes.
    #[error("{}", tr!(
        "the workbook has more than {count} cell formats, or too long ones: save the sheet as \
         \"CSV UTF-8\"",
        count = MAX_STYLES
    ))]
    TooManyStyles,
    /// A text or a tag is larger than [`MAX_TEXT_BYTES`].
    #[error("{}", tr!(
        "the workbook has a text of more than {most} MiB: save the sheet as \"CSV UTF-8\" without \
         it",
        most = MAX_TEXT_BYTES >> 20
    ))]
    TextTooLong,
    /// Larger than [`MAX_CSV_BYTES`].
    #[error("{}", tr!(
        "the sheet {sheet} would make more than {most} MiB of CSV: delete stray cells at the far \
         right, and run again",
        sheet = .0, most = MAX_CSV_BYTES >> 20
    ))]
    SheetTooLarge(String),
    /// A value is where new columns go.
    #[error("{}", tr!(
        "sheet {sheet}, cell {cell}: the answers go to columns {columns}, beside the last cell of \
         the header, and this cell has a value: move or clear it, give its column a header, or use \
         --flexible, which puts the answers to the right of all values",
        sheet, cell, columns
    ))]
    CellInTheWay {
        sheet: String,
        /// Such as `G13`.
        cell: String,
        /// The new columns, such as `G:K`.
        columns: String,
    },
    /// Merged cells would hide new cells.
    #[error("{}", tr!(
        "sheet {sheet}, cells {range}: these cells are merged and would hide answers, which go to \
         columns {columns}, beside the last cell of the header: unmerge them, or use --flexible, \
         which puts the answers to the right of them",
        sheet, range, columns
    ))]
    MergeInTheWay {
        sheet: String,
        /// Such as `A20:H20`.
        range: String,
        columns: String,
    },
    /// A table of the sheet is where new columns go.
    #[error("{}", tr!(
        "sheet {sheet}, cells {range}: the answers go to columns {columns}, and the table {table} \
         is there: move it to another sheet, or write CSV with --output NAME.csv",
        sheet, range, columns, table
    ))]
    TableInTheWay {
        sheet: String,
        /// The name of the table.
        table: String,
        /// Its cells.
        range: String,
        columns: String,
    },
    /// Merged cells hide answers of an earlier run, which are to be replaced.
    #[error("{}", tr!(
        "sheet {sheet}, cells {range}: these cells are merged and hide answers in column {column}: \
         unmerge them, and run again",
        sheet, range, column
    ))]
    MergedAnswers {
        sheet: String,
        /// Such as `G13:G14`.
        range: String,
        /// A column of answers.
        column: String,
    },
    /// The new columns would be outside the limits of a sheet.
    #[error("{}", tr!(
        "the sheet {sheet} is used up to column {column}, and a sheet ends with column XFD, which \
         leaves no room for the answers: delete columns that are not needed, or write CSV with \
         --output NAME.csv",
        sheet, column
    ))]
    NoRoom {
        sheet: String,
        /// The last used column.
        column: String,
    },
    /// More parts than a zip archive without extensions can have.
    #[error("{}", tr!(
        "the workbook has more parts than a copy can have: save the sheet alone as a workbook of \
         its own"
    ))]
    TooManyParts,
    /// The file was written to between two reads.
    #[error("{}", tr!(
        "the workbook changed while it was read, and nothing was written: run again when it is \
         complete"
    ))]
    Changed,
    /// The requested sheet does not exist.
    #[error("{}", tr!(
        "there is no sheet \"{wanted}\"; the workbook has {sheets}: name one of them with --sheet, \
         or give its number",
        wanted = .requested.escape_debug(), sheets = .sheets
    ))]
    NoSuchSheet {
        requested: String,
        /// Every sheet, the visible ones with their numbers.
        sheets: String,
    },
    /// The requested sheet is a chart or the like.
    #[error("{}", tr!(
        "the sheet {sheet} has no cells: it is a chart, a dialog or macros; the workbook has \
         {sheets}: choose another one with --sheet",
        sheet, sheets
    ))]
    NoCells {
        sheet: String,
        /// Every sheet, the visible ones with their numbers.
        sheets: String,
    },
    /// Several visible sheets may be the one that is meant, and the first is not the best one.
    #[error("{}", unclear_sheet_message(first, other, doubt))]
    UnclearSheet {
        first: String,
        /// The later sheet, which fits better.
        other: String,
        doubt: SheetDoubt,
    },
    /// All cells of the visible sheets are empty.
    #[error("{}", tr!(
        "no visible sheet of the workbook has a row; it has {sheets}: choose one with --sheet",
        sheets = .0
    ))]
    NoRows(String),
    /// No visible sheet has a column of numbers.
    #[error("{}", no_numbers_message(sheets, hidden.as_deref()))]
    NoNumbers {
        /// Every sheet, the visible ones with their numbers.
        sheets: String,
        /// A hidden sheet that has such a column.
        hidden: Option<String>,
    },
}

impl WorkbookError {
    /// Names the part or the sheet that is damaged.
    pub(crate) fn in_part(self, part: &str) -> Self {
        match self {
            Self::Damaged(what) => Self::Damaged(format!("{part}: {what}")),
            error => error,
        }
    }
}

fn unclear_sheet_message(first: &str, other: &str, doubt: &SheetDoubt) -> String {
    match doubt {
        SheetDoubt::NoNumbers => tr!(
            "the sheet {first} has a column for numbers, but no mobile number in it (no rows, \
             other text, or formulas without stored values), and the later sheet {other} has some: \
             choose the one that you mean with --sheet; if formulas have no values, open the \
             workbook in Excel and save it first",
            first,
            other
        ),
        SheetDoubt::UnknownColumn => tr!(
            "the sheet {first} may have mobile numbers far down, and the later sheet {other} has \
             some: choose the one that you mean with --sheet, and the column with --column",
            first,
            other
        ),
        SheetDoubt::Unreadable(cause) => tr!(
            "the sheet {first} cannot be read, and the later sheet {other} has numbers: choose the \
             one that you mean with --sheet ({cause})",
            first,
            other,
            cause
        ),
        SheetDoubt::OtherName => tr!(
            "the sheet {first} has a column of numbers, and the later sheet {other} has one that \
             its header names as mobile numbers: choose the one that you mean with --sheet",
            first,
            other
        ),
    }
}

fn no_numbers_message(sheets: &str, hidden: Option<&str>) -> String {
    match hidden {
        None => tr!(
            "no visible sheet of the workbook has a column of mobile numbers; it has {sheets}: \
             choose one with --sheet, or the column with --column",
            sheets
        ),
        Some(hidden) => tr!(
            "no visible sheet of the workbook has a column of mobile numbers, but the hidden sheet \
             {hidden} has one; the workbook has {sheets}: choose one with --sheet",
            hidden,
            sheets
        ),
    }
}

impl From<ZipError> for WorkbookError {
    fn from(error: ZipError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<quick_xml::Error> for WorkbookError {
    fn from(error: quick_xml::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
