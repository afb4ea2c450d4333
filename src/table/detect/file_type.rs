//! The types of files that are not tables, and what to do about each.

use std::fmt;

use tr::tr;

/// A type of file that dingmap cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    WebPage,
    WebArchive,
    /// What a web server sent, with its header.
    HttpReply,
    SpreadsheetXml,
    FlatOpenDocument,
    Xml,
    Json,
    Pdf,
    Rtf,
    Sylk,
    Contacts,
    /// A workbook of Excel 97 to 2003, or older.
    LegacyWorkbook,
    /// A container of old workbooks, of workbooks with a password and of other documents. In a
    /// pipe, what is in it is not known.
    CompoundFile,
    BinaryWorkbook,
    OpenDocument,
    Numbers,
    /// Another document of an office program.
    Document,
    /// The file that marks a workbook as open.
    LockFile,
    /// A zip archive, such as a workbook, after other bytes.
    PrefixedZip,
    /// What Git keeps in place of a large file.
    LfsPointer,
    /// Nothing but zero bytes.
    Zeros,
    /// With the name of the format.
    Archive(&'static str),
    /// With the name of the format.
    Database(&'static str),
    /// With the name of the format.
    Image(&'static str),
    Program,
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::WebPage => tr!("a web page (HTML)"),
            Self::WebArchive => tr!("a web page in one file (.mht)"),
            Self::HttpReply => tr!("an HTTP reply with its header"),
            Self::SpreadsheetXml => tr!("an XML Spreadsheet 2003 file"),
            Self::FlatOpenDocument => tr!("a flat OpenDocument file (.fods)"),
            Self::Xml => tr!("an XML file"),
            Self::Json => tr!("a JSON file"),
            Self::Pdf => tr!("a PDF file"),
            Self::Rtf => tr!("an RTF document"),
            Self::Sylk => tr!("a SYLK file (.slk)"),
            Self::Contacts => tr!("a list of contacts in vCard format (.vcf)"),
            Self::LegacyWorkbook => tr!("an old Excel workbook (.xls)"),
            Self::CompoundFile => {
                tr!("an old Excel workbook (.xls), or a workbook with a password")
            }
            Self::BinaryWorkbook => tr!("a binary Excel workbook (.xlsb)"),
            Self::OpenDocument => tr!("an OpenDocument file (.ods)"),
            Self::Numbers => tr!("a Numbers spreadsheet (.numbers)"),
            Self::Document => tr!("a document of an office program"),
            Self::LockFile => {
                tr!("the file that Excel or WPS keeps beside an open workbook (~$…)")
            }
            Self::PrefixedZip => tr!("a workbook or zip archive with other bytes before it"),
            Self::LfsPointer => tr!("a pointer of Git LFS in place of the file"),
            Self::Zeros => tr!("a file of zero bytes only"),
            Self::Archive(format) => tr!("an archive ({format})", format),
            Self::Database(format) => tr!("a database ({format})", format),
            Self::Image(format) => tr!("an image ({format})", format),
            Self::Program => tr!("a program"),
        })
    }
}

impl FileType {
    /// Why such a file is not read, and what to do.
    pub(crate) fn refusal(self) -> String {
        tr!(
            "this is {kind}, which dingmap cannot read: {remedy}",
            kind = self,
            remedy = self.remedy()
        )
    }

    /// The same for a file that may be a table all the same.
    pub(crate) fn refusal_or_table(self) -> String {
        self.refusal()
            + &tr!("; if it is a table all the same, name its column (--column) or its delimiter \
                 (--delimiter)")
    }

    fn remedy(self) -> String {
        match self {
            Self::WebPage => {
                tr!("if it is an export, open it in Excel or WPS, save it as \"Excel workbook \
                 (.xlsx)\", and run again with that file; if a program downloaded it, check the \
                 address and the login")
            }
            Self::HttpReply => {
                tr!("save its content alone (curl without -i), check the address and the login, \
                 and run again")
            }
            Self::WebArchive
            | Self::SpreadsheetXml
            | Self::FlatOpenDocument
            | Self::Sylk
            | Self::LegacyWorkbook
            | Self::BinaryWorkbook
            | Self::OpenDocument
            | Self::Numbers => tr!(
                "open it in the program that reads it (Excel, WPS …), save it as \"Excel workbook \
                 (.xlsx)\", and run again with that file"
            ),
            Self::Archive(_) => tr!("unpack it, and run again with the table that is in it"),
            Self::CompoundFile => {
                tr!("open it in Excel or WPS, save it without a password as \"Excel workbook \
                 (.xlsx)\", and run again with that file")
            }
            Self::PrefixedZip => tr!(
                "the program that wrote it added bytes at the beginning, such as a blank line; \
                 correct that program, or open the file in Excel or WPS, save it as \"Excel \
                 workbook (.xlsx)\", and run again with that file"
            ),
            Self::LfsPointer => tr!("get the file itself with \"git lfs pull\", and run again"),
            Self::Zeros => tr!("its content is lost; copy or export it again, and run again"),
            Self::LockFile => {
                tr!("run again with the workbook itself, whose name does not begin with ~$")
            }
            Self::Xml
            | Self::Json
            | Self::Pdf
            | Self::Rtf
            | Self::Contacts
            | Self::Document
            | Self::Database(_)
            | Self::Image(_)
            | Self::Program => tr!(
                "export the table as CSV or as \"Excel workbook (.xlsx)\", and run again with that \
                 file"
            ),
        }
    }
}

/// What the first bytes of an input say about its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recognized {
    /// None of the types here.
    Other,
    Type(FileType),
    /// It begins like this type, but every other line has a number in a cell of its own. Whether it
    /// is a table, the user says by naming its column or its delimiter.
    TypeOrTable(FileType),
    /// More bytes decide.
    NeedsMore,
}
