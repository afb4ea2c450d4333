//! Reads a sheet of a workbook (`.xlsx`, `.xlsm`) as CSV, generated row by row while it is read.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

use calamine::{Reader as _, SheetType, SheetVisible, Xlsx, XlsxCellReader, XlsxError};
use self_cell::{MutBorrow, self_cell};
use tr::tr;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::table::detect::columns::is_same_name;
use crate::table::detect::file_type::FileType;
use crate::table::unpack::workbook_cell;

/// The maximum size of a decompressed workbook in bytes. Its strings are in memory, each of them
/// once. A sheet of a million rows and ten columns decompresses to some 400 MiB.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;
/// The maximum size of the CSV of a sheet in bytes: one stray cell far to the right makes every row
/// that wide.
const MAX_CSV_BYTES: u64 = 2 << 30;
/// The limits of Excel.
const MAX_ROWS: u32 = 1 << 20;
const MAX_COLUMNS: u32 = 1 << 14;
/// The size of a generated chunk of CSV in bytes.
const CHUNK_BYTES: usize = 64 << 10;

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
        "the workbook is damaged or cut off ({what}): get it anew, or open it in Excel, save it, \
         and run again",
        what = .0
    ))]
    Damaged(String),
    /// A cell has an error value that Excel does not know.
    #[error("{}", tr!(
        "a cell has the error value {value}, which is not known: clear that cell, save the \
         workbook and run again",
        value = .0
    ))]
    UnknownErrorValue(String),
    /// Larger than [`MAX_UNPACKED_BYTES`].
    #[error("{}", tr!(
        "the workbook unpacks to more than {most} MiB: save the sheet alone as a workbook of its \
         own, or as \"CSV UTF-8\"",
        most = MAX_UNPACKED_BYTES >> 20
    ))]
    UnpackedTooLarge,
    /// Larger than [`MAX_CSV_BYTES`].
    #[error("{}", tr!(
        "the sheet {sheet} would make more than {most} MiB of CSV: delete stray cells at the far \
         right, and run again",
        sheet = .0, most = MAX_CSV_BYTES >> 20
    ))]
    SheetTooLarge(String),
    /// The requested sheet does not exist.
    #[error("{}", tr!(
        "there is no sheet \"{wanted}\"; the workbook has {sheets}: name one of them with --sheet, \
         or give its number",
        wanted = .requested.escape_debug(), sheets = .sheets
    ))]
    NoSuchSheet {
        requested: String,
        /// Every sheet, with its number.
        sheets: String,
    },
    /// All cells of the visible sheets are empty.
    #[error("{}", tr!(
        "no visible sheet of the workbook has a row; it has {sheets}: choose one with --sheet",
        sheets = .0
    ))]
    NoRows(String),
}

impl From<XlsxError> for WorkbookError {
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::Password => Self::PasswordProtected,
            XlsxError::CellError(value) => Self::UnknownErrorValue(value),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<ZipError> for WorkbookError {
    fn from(error: ZipError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The selected sheet.
pub struct Sheet {
    pub name: String,
    /// The names of the other sheets that have rows.
    pub other_sheets: Vec<String>,
    /// The CSV: UTF-8 with a byte order mark, CRLF line ends, all rows of the same width. Empty
    /// rows and columns before the first non-empty cell and empty rows after the last one are
    /// omitted; an empty row in between is a blank line. A merged cell has its value in the first
    /// of its cells.
    pub reader: SheetReader,
}

type Workbook = Xlsx<BufReader<File>>;
type CellReader<'a> = XlsxCellReader<'a, BufReader<File>>;

self_cell!(
    struct Cells {
        owner: MutBorrow<Workbook>,
        #[not_covariant]
        dependent: CellReader,
    }
);

/// The CSV of a sheet, generated while it is read in chunks of about 64 KiB.
pub struct SheetReader {
    cells: Cells,
    extent: Extent,
    delimiter: u8,
    /// The position of the next cell.
    row: u32,
    column: u32,
    /// Whether the row has a cell already. A row without cells is a blank line.
    row_has_cells: bool,
    chunk: Vec<u8>,
    chunk_pos: usize,
    done: bool,
}

/// The first cell and the width of the table of a sheet. The width is 0 without cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    top: u32,
    left: u32,
    width: u32,
}

/// A sheet with cells, as the workbook lists it.
struct SheetEntry {
    name: String,
    is_visible: bool,
}

struct CellText {
    row: u32,
    column: u32,
    text: String,
}

/// Opens the sheet that is `wanted` by name or number, or the first visible sheet with rows.
/// `delimiter` separates the cells of the CSV. The sheet is read to its end once, so later reads
/// fail only if the file changes.
pub fn open(file: File, wanted: Option<&str>, delimiter: u8) -> Result<Sheet, WorkbookError> {
    check_archive(&file, MAX_UNPACKED_BYTES)?;
    let mut workbook = Workbook::new(BufReader::new(file))?;
    let sheets = list_sheets(&workbook);
    let mut with_rows = Vec::new();
    for SheetEntry { name, .. } in &sheets {
        with_rows.push(next_cell(&mut workbook.worksheet_cells_reader(name)?)?.is_some());
    }
    let list = || {
        let describe = |(at, SheetEntry { name, is_visible }): (usize, &SheetEntry)| {
            format!("{} {name}{}", at + 1, if *is_visible { "" } else { " (hidden)" })
        };
        sheets.iter().enumerate().map(describe).collect::<Vec<_>>().join(&tr!("list" => ", "))
    };
    let chosen = match wanted {
        Some(wanted) => find_sheet(&sheets, wanted).ok_or_else(|| WorkbookError::NoSuchSheet {
            requested: wanted.to_owned(),
            sheets: list(),
        })?,
        None => sheets
            .iter()
            .zip(&with_rows)
            .position(|(sheet, has_rows)| sheet.is_visible && *has_rows)
            .ok_or_else(|| WorkbookError::NoRows(list()))?,
    };
    let mut others: Vec<String> = Vec::new();
    let mut name = String::new();
    for (at, (sheet, has_rows)) in sheets.into_iter().zip(with_rows).enumerate() {
        if at == chosen {
            name = sheet.name;
        } else if has_rows {
            others.push(sheet.name);
        }
    }
    let extent = measure(&mut workbook.worksheet_cells_reader(&name)?, &name)?;
    let cells = Cells::try_new(MutBorrow::new(workbook), |workbook| {
        workbook.borrow_mut().worksheet_cells_reader(&name)
    })?;
    Ok(Sheet { name, other_sheets: others, reader: SheetReader::new(cells, extent, delimiter) })
}

/// The names of the sheets, in the order of their numbers.
pub(crate) fn sheet_names(file: File) -> Result<Vec<String>, WorkbookError> {
    check_archive(&file, MAX_UNPACKED_BYTES)?;
    let workbook = Workbook::new(BufReader::new(file))?;
    Ok(list_sheets(&workbook).into_iter().map(|sheet| sheet.name).collect())
}

/// The sheets that have cells: not those of charts or macros.
fn list_sheets(workbook: &Workbook) -> Vec<SheetEntry> {
    let sheets =
        workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    sheets
        .map(|sheet| SheetEntry {
            name: sheet.name.clone(),
            is_visible: sheet.visible == SheetVisible::Visible,
        })
        .collect()
}

/// Finds a sheet by exact name, by name ignoring case as in Excel, or by number.
fn find_sheet(sheets: &[SheetEntry], wanted: &str) -> Option<usize> {
    let exact = sheets.iter().position(|sheet| sheet.name == wanted);
    let is_same = |sheet: &SheetEntry| is_same_name(&sheet.name, wanted);
    exact.or_else(|| sheets.iter().position(is_same)).or_else(|| {
        let number: usize = wanted.trim().parse().ok()?;
        number.checked_sub(1).filter(|&at| at < sheets.len())
    })
}

/// Decompresses every part of the archive once without keeping it, to know its real size before it
/// is loaded. The sizes stated in the archive may be wrong.
fn check_archive(file: &File, most: u64) -> Result<(), WorkbookError> {
    let mut zip = ZipArchive::new(BufReader::new(file))?;
    let names: Vec<String> =
        zip.file_names().map(|name| Ok(name?.to_lowercase())).collect::<Result<_, ZipError>>()?;
    if let Some(other) = other_type(&names) {
        return Err(WorkbookError::UnsupportedType(other));
    }
    let mut left = most;
    for at in 0..zip.len() {
        let part = zip.by_index(at)?;
        let size = io::copy(&mut part.take(left + 1), &mut io::sink())
            .map_err(|error| WorkbookError::Damaged(error.to_string()))?;
        left = left.checked_sub(size).ok_or(WorkbookError::UnpackedTooLarge)?;
    }
    (&*file).rewind().map_err(|error| WorkbookError::Damaged(error.to_string()))
}

/// Whether a part may be the one that lists the sheets. Some programs name it `workbook2.xml`.
fn is_workbook_part(part: &str) -> bool {
    part.contains("workbook") && part.rsplit('.').next() == Some("xml")
}

/// The type of an archive with parts of these names in lower case, if it is not a workbook.
fn other_type(parts: &[String]) -> Option<FileType> {
    let has = |ending: &str| parts.iter().any(|part| part.ends_with(ending));
    if has("workbook.bin") {
        Some(FileType::BinaryWorkbook)
    } else if has("content.xml") && has("mimetype") {
        Some(FileType::OpenDocument)
    } else if has("word/document.xml") || has("ppt/presentation.xml") {
        Some(FileType::Document)
    } else if has("index/document.iwa") {
        Some(FileType::Numbers)
    } else if !has("_rels/.rels") || !parts.iter().any(|part| is_workbook_part(part)) {
        Some(FileType::Archive("zip"))
    } else {
        None
    }
}

/// The next non-empty cell.
fn next_cell(cells: &mut CellReader<'_>) -> Result<Option<CellText>, XlsxError> {
    while let Some((cell, style)) = cells.next_cell_with_style_id()? {
        let format = cells.styles().get(style).and_then(|style| style.number_format.as_ref());
        let text = workbook_cell::format_cell(
            cell.get_value(),
            format.map(|format| format.format_code.as_str()),
        );
        if !text.is_empty() {
            let (row, column) = cell.get_position();
            return Ok(Some(CellText { row, column, text }));
        }
    }
    Ok(None)
}

/// Reads a sheet to its end.
fn measure(cells: &mut CellReader<'_>, name: &str) -> Result<Extent, WorkbookError> {
    let Some(first) = next_cell(cells)? else { return Ok(Extent::default()) };
    let (mut left, mut right) = (first.column, first.column);
    let (mut last, mut rows, mut bytes) =
        ((first.row, first.column), 1_u64, first.text.len() as u64);
    while let Some(CellText { row, column, text }) = next_cell(cells)? {
        if (row, column) <= last || row >= MAX_ROWS || column >= MAX_COLUMNS {
            let row = u64::from(row) + 1;
            return Err(WorkbookError::Damaged(tr!(
                "in {name}, row {row} of the sheet is out of place",
                name,
                row
            )));
        }
        rows += u64::from(row > last.0);
        last = (row, column);
        (left, right) = (left.min(column), right.max(column));
        bytes += text.len() as u64;
    }
    let width = right - left + 1;
    if bytes + rows * u64::from(width) > MAX_CSV_BYTES {
        return Err(WorkbookError::SheetTooLarge(name.to_owned()));
    }
    Ok(Extent { top: first.row, left, width })
}

impl SheetReader {
    fn new(cells: Cells, extent: Extent, delimiter: u8) -> Self {
        Self {
            cells,
            extent,
            delimiter,
            row: extent.top,
            column: 0,
            row_has_cells: false,
            chunk: "\u{feff}".into(),
            chunk_pos: 0,
            done: extent.width == 0,
        }
    }

    /// Generates the CSV up to and including the next non-empty cell, or the end.
    fn push_next_cell(&mut self) -> Result<(), XlsxError> {
        let Some(cell) = self.cells.with_dependent_mut(|_, cells| next_cell(cells))? else {
            self.end_row();
            self.done = true;
            return Ok(());
        };
        while self.row < cell.row {
            self.end_row();
        }
        self.pad_to_column(cell.column.saturating_sub(self.extent.left));
        self.row_has_cells = true;
        let special = |byte| byte == self.delimiter || matches!(byte, b'"' | b'\r' | b'\n');
        if cell.text.bytes().any(special) {
            self.chunk.push(b'"');
            self.chunk.extend_from_slice(cell.text.replace('"', "\"\"").as_bytes());
            self.chunk.push(b'"');
        } else {
            self.chunk.extend_from_slice(cell.text.as_bytes());
        }
        Ok(())
    }

    fn pad_to_column(&mut self, column: u32) {
        while self.column < column {
            self.chunk.push(self.delimiter);
            self.column += 1;
        }
    }

    fn end_row(&mut self) {
        if self.row_has_cells {
            self.pad_to_column(self.extent.width.saturating_sub(1));
        }
        self.chunk.extend_from_slice(b"\r\n");
        (self.row, self.column, self.row_has_cells) = (self.row + 1, 0, false);
    }
}

impl Read for SheetReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.chunk_pos == self.chunk.len() && !self.done {
            self.chunk.clear();
            self.chunk_pos = 0;
            while self.chunk.len() < CHUNK_BYTES && !self.done {
                self.push_next_cell().map_err(|error| {
                    io::Error::new(io::ErrorKind::InvalidData, WorkbookError::from(error))
                })?;
            }
        }
        let size = (&self.chunk[self.chunk_pos..]).read(room)?;
        self.chunk_pos += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn a_decompression_bomb_is_rejected_whatever_its_declared_size() {
        let mut zip = zip::ZipWriter::new(tempfile::tempfile().unwrap());
        for (name, size) in
            [("_rels/.rels", 10), ("xl/workbook.xml", 10), ("xl/sharedStrings.xml", 5000)]
        {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&b" ".repeat(size)).unwrap();
        }
        let file = zip.finish().unwrap();
        assert!(matches!(check_archive(&file, 5019), Err(WorkbookError::UnpackedTooLarge)));
        assert!(check_archive(&file, 5020).is_ok());
    }
}
