//! The CSV of a sheet, generated row by row while it is read.

use std::collections::BTreeSet;
use std::io::{self, Read};

use self_cell::{MutBorrow, self_cell};

use crate::table::raw::missing_values::MissingValues;
use crate::table::unpack::workbook::cell_reader::{Cell, FormulaValue};
use crate::table::unpack::workbook::conditional_formats::ConditionalFormats;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_CSV_BYTES;
use crate::table::unpack::workbook::package::{Archive, Package, SheetCells};

/// The size of a generated chunk of CSV in bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// The byte order mark, by which Excel recognizes UTF-8.
const BOM: &str = "\u{feff}";

/// Where the table of a sheet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first row and the first column, from 0.
    pub top: u32,
    pub left: u32,
    /// The number of columns.
    pub width: u32,
}

impl Extent {
    fn of(cell: &Cell) -> Self {
        Self { top: cell.row, left: cell.column, width: 1 }
    }

    fn including(self, cell: &Cell) -> Self {
        let left = self.left.min(cell.column);
        let right = (self.left + self.width).max(cell.column + 1);
        Self { left, width: right - left, ..self }
    }

    fn contains(self, cell: &Cell) -> bool {
        self.including(cell) == self
    }
}

/// What the first pass over a sheet found.
pub(crate) struct SheetScan {
    /// `None` without cells.
    pub extent: Option<Extent>,
    pub missing_values: MissingValues,
    pub conditional_formats: ConditionalFormats,
}

/// Reads a sheet to its end, to know its width and that all of it can be read.
pub(crate) fn scan(cells: &mut SheetCells<'_>) -> Result<SheetScan, WorkbookError> {
    let (mut missing_values, mut zeros) = (MissingValues::default(), MissingValues::default());
    let mut calculated_columns = BTreeSet::new();
    let mut extent: Option<Extent> = None;
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    let mut last_row = None;
    while let Some(cell) = cells.next_cell()? {
        rows += u64::from(last_row.replace(cell.row) != Some(cell.row));
        bytes += cell.text.len() as u64;
        match cell.formula {
            Some(FormulaValue::Missing) => missing_values.insert(cell.row, cell.column),
            Some(FormulaValue::MaybeMissing) => zeros.insert(cell.row, cell.column),
            Some(FormulaValue::Stored) => {
                calculated_columns.insert(cell.column);
            }
            None => {}
        }
        let found = extent.map_or_else(|| Extent::of(&cell), |extent| extent.including(&cell));
        extent = Some(found);
        // Not at the end only: many cells may refer to one long text.
        if bytes + rows * u64::from(found.width) > MAX_CSV_BYTES {
            return Err(WorkbookError::SheetTooLarge(cells.sheet().to_owned()));
        }
    }
    if let Some(extent) = extent {
        missing_values.add_columns(zeros, |column| !calculated_columns.contains(&column));
        missing_values = missing_values.with_first_column(extent.left);
    }
    let conditional_formats = cells.read_conditional_formats()?;
    Ok(SheetScan { extent, missing_values, conditional_formats })
}

/// The CSV of the first rows of the sheet at `index`, about `size` bytes, without a byte order
/// mark. It ends before a cell that cannot be read, whose error is returned along with it.
pub(crate) fn sample(
    package: &mut Package,
    index: usize,
    delimiter: char,
    size: usize,
) -> Result<(Vec<u8>, Option<WorkbookError>), WorkbookError> {
    let (extent, error) = sample_extent(&mut package.cells(index)?, size);
    let Some(extent) = extent else { return Ok((Vec::new(), error)) };
    let mut cells = package.cells(index)?;
    let mut writer = RowWriter::new(extent, delimiter, Vec::new());
    while writer.csv.len() < size
        && let Ok(Some(cell)) = cells.next_cell()
        && extent.contains(&cell)
    {
        writer.push(&cell);
    }
    writer.end_row();
    Ok((writer.csv, error))
}

/// The extent of the first cells, whose texts take about `size` bytes. `None` without cells.
fn sample_extent(
    cells: &mut SheetCells<'_>,
    size: usize,
) -> (Option<Extent>, Option<WorkbookError>) {
    let mut found: Option<Extent> = None;
    let mut bytes = 0;
    while bytes < size {
        match cells.next_cell() {
            Ok(Some(cell)) => {
                bytes += cell.text.len() + 1;
                let extent = found.map_or_else(|| Extent::of(&cell), |it| it.including(&cell));
                found = Some(extent);
            }
            Ok(None) => break,
            Err(error) => return (found, Some(error)),
        }
    }
    (found, None)
}

/// Writes cells as CSV: CRLF line ends, all rows of the same width. Empty rows and columns before
/// the first cell are omitted; an empty row in between is a blank line.
struct RowWriter {
    extent: Extent,
    delimiter: char,
    /// The position of the next cell.
    row: u32,
    column: u32,
    /// Whether the row has a cell already. A row without cells is a blank line.
    row_has_cells: bool,
    csv: Vec<u8>,
}

impl RowWriter {
    fn new(extent: Extent, delimiter: char, csv: Vec<u8>) -> Self {
        Self { extent, delimiter, row: extent.top, column: 0, row_has_cells: false, csv }
    }

    fn push(&mut self, cell: &Cell) {
        while self.row < cell.row {
            self.end_row();
        }
        self.pad_to_column(cell.column.saturating_sub(self.extent.left));
        self.row_has_cells = true;
        let special = |letter| letter == self.delimiter || matches!(letter, '"' | '\r' | '\n');
        if cell.text.contains(special) {
            self.csv.push(b'"');
            self.csv.extend_from_slice(cell.text.replace('"', "\"\"").as_bytes());
            self.csv.push(b'"');
        } else {
            self.csv.extend_from_slice(cell.text.as_bytes());
        }
    }

    fn pad_to_column(&mut self, column: u32) {
        while self.column < column {
            self.csv.extend_from_slice(self.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
            self.column += 1;
        }
    }

    fn end_row(&mut self) {
        if self.row_has_cells {
            self.pad_to_column(self.extent.width.saturating_sub(1));
        }
        self.csv.extend_from_slice(b"\r\n");
        (self.row, self.column, self.row_has_cells) = (self.row + 1, 0, false);
    }
}

self_cell!(
    struct OpenSheet {
        owner: MutBorrow<Archive>,
        #[not_covariant]
        dependent: SheetCells,
    }
);

/// The CSV of a sheet, generated while it is read in chunks of about 64 KiB.
pub struct CsvReader {
    cells: OpenSheet,
    /// `None` for an empty sheet.
    writer: Option<RowWriter>,
    /// How much of the writer's CSV was read.
    read: usize,
    done: bool,
}

impl CsvReader {
    /// The CSV of the sheet at `index`, in which a scan found `extent` and `conditional_formats`.
    pub(crate) fn new(
        package: Package,
        index: usize,
        extent: Option<Extent>,
        conditional_formats: ConditionalFormats,
        delimiter: char,
    ) -> Result<Self, WorkbookError> {
        let Package { archive, mut sheets, context, .. } = package;
        let sheet = sheets.swap_remove(index);
        let cells = OpenSheet::try_new(MutBorrow::new(archive), |archive| {
            let part = archive.borrow_mut().by_index(sheet.part()?)?;
            let cells = SheetCells::new(part, sheet.name, context)?;
            Ok::<_, WorkbookError>(cells.with_conditional_formats(conditional_formats))
        })?;
        let writer = extent.map(|extent| RowWriter::new(extent, delimiter, BOM.into()));
        Ok(Self { cells, done: writer.is_none(), writer, read: 0 })
    }
}

impl Read for CsvReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(writer) = &mut self.writer else { return Ok(0) };
        if self.read == writer.csv.len() && !self.done {
            writer.csv.clear();
            self.read = 0;
            while writer.csv.len() < CHUNK_BYTES && !self.done {
                let cell = self
                    .cells
                    .with_dependent_mut(|_, cells| cells.next_cell())
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                if let Some(cell) = cell {
                    writer.push(&cell);
                } else {
                    writer.end_row();
                    self.done = true;
                }
            }
        }
        let size = (&writer.csv[self.read..]).read(room)?;
        self.read += size;
        Ok(size)
    }
}
