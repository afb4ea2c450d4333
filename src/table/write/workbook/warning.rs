//! Warnings about a workbook that is copied.

use std::fmt;

use tr::tr;

/// A property of the workbook that its copy does not keep, or that limits the work with the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyWarning {
    /// The workbook is signed.
    Signed,
    /// The workbook is to be opened for reading only.
    ReadOnly,
    /// The cells of the sheet are locked.
    ProtectedSheet(String),
    /// A query fills the table or the sheet with this name.
    Query(String),
    /// These tables are side by side.
    SideBySide(Vec<String>),
    /// The table with this name cannot take the new columns.
    TableNotExtended(String),
    /// The part with this name should have a table.
    UnreadableTable(String),
    /// The new cells cannot have the format Text.
    NoTextFormat,
}

impl fmt::Display for CopyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Signed => tr!(
                "the workbook is signed, and the signature does not hold for the result, which has \
                 more cells"
            ),
            Self::ReadOnly => tr!(
                "the workbook is marked as read-only, and so is the result: Excel asks how to open \
                 it"
            ),
            Self::ProtectedSheet(sheet) => tr!(
                "the sheet {sheet} is protected, and so is that of the result: to correct numbers \
                 there, unprotect it first",
                sheet
            ),
            Self::Query(name) => tr!(
                "a query fills {name}, so the new columns stay outside of it: do not refresh or \
                 sort it in the result, which would separate rows from their answers",
                name
            ),
            Self::SideBySide(names) => tr!(
                "the tables {names} are side by side, so the new columns belong to none of them: \
                 do not sort one of them in the result, which would separate rows from their \
                 answers",
                names = names.join(&tr!("list" => ", "))
            ),
            Self::TableNotExtended(name) => tr!(
                "the table {name} cannot take the new columns, which stay outside of it: do not \
                 sort it in the result, which would separate rows from their answers",
                name
            ),
            Self::UnreadableTable(part) => tr!(
                "the table in {part} cannot be read and does not get the new columns: do not sort \
                 it in the result, which would separate rows from their answers",
                part
            ),
            Self::NoTextFormat => tr!(
                "the workbook has no room for another cell format, so the new cells do not have \
                 the format Text: Excel rounds a user id if you edit its cell"
            ),
        })
    }
}
