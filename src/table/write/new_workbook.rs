//! Writes rows as a new workbook. Every cell is text, so that ids keep all their digits, also when
//! somebody edits them.

mod status_colors;
mod status_counts;
mod summary_sheet;

use std::io;

use rust_xlsxwriter::{
    ConditionalFormatCell, ConditionalFormatCellRule, DocProperties, ExcelDateTime, Format,
    IgnoreError, Workbook, Worksheet, XlsxError, utility,
};
use tr::tr;
use unicode_width::UnicodeWidthStr;
use zip::result::ZipError;

use crate::domain::outcome::Status;
use crate::table::detect::columns::ANSWER_COLUMNS;
use crate::table::detect::extra_columns::find_appended_column;
use crate::table::detect::preamble::parse_sep_line;
use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::row_parser::MAX_COLUMNS;
use crate::table::write::cell_edit::Splitter;
use crate::table::write::directory::parent_dir;
use crate::table::write::edited_file::{ReplaceRule, Replaced};
use crate::table::write::error::{SheetLimit, SinkError};
use crate::table::write::new_workbook::status_colors::status_color;
use crate::table::write::new_workbook::status_counts::StatusCounts;
use crate::table::write::new_workbook::summary_sheet::write_summary;
use crate::table::write::options::SinkOptions;
use crate::table::write::output::{Output, Target};

/// The most rows of a sheet.
pub(crate) const MAX_ROWS: u64 = 1 << 20;
/// The most UTF-16 units of a cell.
pub(crate) const MAX_CELL_UNITS: usize = 32_767;
/// How many rows decide how wide the columns are.
const WIDTH_ROWS: u32 = 1000;
/// The narrowest and the widest column, in characters.
const COLUMN_WIDTHS: (usize, usize) = (8, 48);
/// The room for the margins of a cell, and for the button of the filter in a header.
const MARGIN_CHARS: usize = 2;
const FILTER_CHARS: usize = 2;
/// The number format `@`, with which a cell stays text when it is edited.
const TEXT_FORMAT: u8 = 49;
/// The position of the status in an answer.
const STATUS_CELL: usize = 2;
/// The position of the sheet with the rows.
const ROWS_SHEET: usize = 0;

/// A new workbook. Its rows are in a temporary file without a name until it is complete.
pub(crate) struct NewWorkbook {
    output: Output,
    target: Target,
    flag: &'static str,
    workbook: Workbook,
    text: Format,
    bold: Format,
    splitter: Splitter,
    /// The number of cells of the first row of the table, or of its longest row.
    table_width: usize,
    /// Whether no row is longer than that.
    is_width_known: bool,
    header_row: Option<u32>,
    /// Where rows that are not appended to have their status.
    status_column: Option<usize>,
    has_summary: bool,
    /// The position of the next row.
    next_row: u32,
    /// The width of each column in characters, as far as the first rows need it.
    column_widths: Vec<usize>,
    counts: StatusCounts,
    row_bytes: u64,
}

impl NewWorkbook {
    /// Opens the target, and writes the lines above the table and the header.
    pub(crate) fn create(
        target: Target,
        head: &Header,
        style: SinkOptions,
    ) -> Result<Self, SinkError> {
        let flag = style.flag;
        let opened = Output::open(&target, 0).and_then(|output| {
            let workbook = empty_workbook(&target).map_err(into_io_error)?;
            Ok((output, workbook))
        });
        let (output, workbook) = match opened {
            Ok(opened) => opened,
            Err(cause) => return Err(SinkError::Create { target, cause, flag }),
        };
        let first_row = &head.first_row;
        let table_width = first_row.len().max(style.widest_row.unwrap_or_default());
        let appended = head.appended_names.as_ref().map(|_| table_width + STATUS_CELL);
        let text = Format::new().set_num_format_index(TEXT_FORMAT);
        let mut sink = Self {
            output,
            target,
            flag,
            workbook,
            bold: text.clone().set_bold(),
            text,
            splitter: Splitter::new(head.delimiter, head.encoding),
            table_width,
            is_width_known: style.widest_row.is_some(),
            header_row: None,
            status_column: appended
                .or_else(|| find_appended_column(first_row, ANSWER_COLUMNS[STATUS_CELL])),
            has_summary: style.has_summary,
            next_row: 0,
            column_widths: Vec::new(),
            counts: StatusCounts::default(),
            row_bytes: 0,
        };
        sink.write_head(head)?;
        match style.rows {
            Some(rows) if u64::from(sink.next_row) + rows > MAX_ROWS => {
                Err(SinkError::TooManyRows { rows, flag })
            }
            _ => Ok(sink),
        }
    }

    /// Writes row `row` (from 0) of `batch` with `cells` appended.
    pub(crate) fn write_row(
        &mut self,
        batch: &Batch,
        row: usize,
        answer: &[&str],
    ) -> Result<(), SinkError> {
        let mut cells = self.read_row(batch, row);
        match batch.answer_delimiters(row) {
            _ if self.is_width_known => cells.resize(self.table_width, String::new()),
            // The first new cell takes the place of the empty one after the last delimiter.
            0 => cells.truncate(cells.len().saturating_sub(1)),
            delimiters => cells.resize(cells.len() + delimiters - 1, String::new()),
        }
        // Without a header, the first answer shows that there is one.
        self.status_column.get_or_insert(self.table_width + STATUS_CELL);
        cells.extend(answer.iter().map(|cell| truncate_cell(cell).to_owned()));
        self.counts.count(answer.get(STATUS_CELL).copied());
        self.write_cells(batch.line(row), &cells)
    }

    /// Writes row `row` (from 0) of `batch` unchanged.
    pub(crate) fn copy_row(&mut self, batch: &Batch, row: usize) -> Result<(), SinkError> {
        let cells = self.read_row(batch, row);
        self.count_status(&cells);
        self.write_cells(batch.line(row), &cells)
    }

    /// Writes row `row` (from 0) of `batch` with the cells of some columns replaced.
    pub(crate) fn edit_row(
        &mut self,
        batch: &Batch,
        row: usize,
        edits: &[(usize, &str)],
    ) -> Result<(), SinkError> {
        let mut cells = self.read_row(batch, row);
        for &(index, cell) in edits {
            if cells.len() <= index {
                cells.resize(index + 1, String::new());
            }
            truncate_cell(cell).clone_into(&mut cells[index]);
        }
        self.count_status(&cells);
        self.write_cells(batch.line(row), &cells)
    }

    /// Completes the workbook and puts it in place.
    pub(crate) fn finish_with(mut self, rule: &ReplaceRule) -> Result<Replaced, SinkError> {
        let finished = self.format_rows().and_then(|()| self.add_summary());
        let saved = finished.and_then(|()| self.workbook.save_to_writer(&mut self.output));
        saved.map_err(|error| self.write_error(error))?;
        let Self { output, target, flag, .. } = self;
        output.finish_with(rule).map_err(|cause| SinkError::Finish { target, cause, flag })
    }

    /// How many bytes of the input's rows are in the workbook, or were replaced on purpose.
    #[must_use]
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// The lines above the table and the header, without the line `sep=`, which only text has.
    fn write_head(&mut self, head: &Header) -> Result<(), SinkError> {
        let raw = head.encoding.decode(&head.raw);
        let has_header = !raw.is_empty() && !raw.ends_with(['\n', '\r']);
        let header_start = if has_header { find_header(&raw, head) } else { raw.len() };
        let mut splitter = Splitter::new(head.delimiter, Encoding::Utf8);
        for (index, line) in split_lines(&raw[..header_start]).into_iter().enumerate() {
            if index > 0 || parse_sep_line(line.as_bytes()).is_none() {
                let cells = splitter.cells(line.as_bytes());
                self.write_cells_with(u64::from(self.next_row) + 1, &cells, false)?;
            }
        }
        if has_header {
            self.header_row = Some(self.next_row);
            let mut cells = head.first_row.clone();
            if let Some(names) = &head.appended_names {
                cells.resize(self.table_width, String::new());
                cells.extend(names.iter().cloned());
            }
            self.fit_columns(&cells, FILTER_CHARS);
            self.write_cells_with(u64::from(self.next_row) + 1, &cells, true)?;
        }
        Ok(())
    }

    fn read_row(&mut self, batch: &Batch, row: usize) -> Vec<String> {
        let pieces = [batch.leading_blanks(row), batch.content(row), batch.terminator(row)];
        self.row_bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.splitter.cells(batch.content(row))
    }

    fn count_status(&mut self, cells: &[String]) {
        let status = self.status_column.and_then(|column| cells.get(column));
        self.counts.count(status.map(String::as_str));
    }

    fn write_cells(&mut self, line: u64, cells: &[String]) -> Result<(), SinkError> {
        if self.next_row < WIDTH_ROWS {
            self.fit_columns(cells, 0);
        }
        self.write_cells_with(line, cells, false)
    }

    /// Empty cells are left out: their columns have the format.
    fn write_cells_with(
        &mut self,
        line: u64,
        cells: &[String],
        is_header: bool,
    ) -> Result<(), SinkError> {
        if u64::from(self.next_row) >= MAX_ROWS {
            return Err(self.limit_error(line, SheetLimit::Rows));
        }
        if cells.len() > MAX_COLUMNS {
            return Err(self.limit_error(line, SheetLimit::Columns));
        }
        for (column, cell) in (0_u16..).zip(cells) {
            if cell.is_empty() {
                continue;
            }
            if truncate_cell(cell).len() < cell.len() {
                let limit = SheetLimit::CellLength { column: usize::from(column) + 1 };
                return Err(self.limit_error(line, limit));
            }
            let (row, format) = (self.next_row, if is_header { &self.bold } else { &self.text });
            let sheet = self.workbook.worksheet_from_index(ROWS_SHEET);
            sheet
                .and_then(|sheet| sheet.write_string_with_format(row, column, cell, format))
                .map(|_| ())
                .map_err(|error| self.write_error(error))?;
        }
        self.next_row += 1;
        Ok(())
    }

    fn fit_columns(&mut self, cells: &[String], extra: usize) {
        if self.column_widths.len() < cells.len() {
            self.column_widths.resize(cells.len(), 0);
        }
        for (width, cell) in self.column_widths.iter_mut().zip(cells) {
            *width = cell.lines().map(|line| line.width() + extra).fold(*width, usize::max);
        }
    }

    /// Formats the columns, freezes the header, filters the table and colors the statuses.
    fn format_rows(&mut self) -> Result<(), XlsxError> {
        let sheet = self.workbook.worksheet_from_index(ROWS_SHEET)?;
        let widths = self.column_widths.iter().map(|width| {
            let (narrowest, widest) = COLUMN_WIDTHS;
            u16::try_from((width + MARGIN_CHARS).clamp(narrowest, widest)).unwrap_or(u16::MAX)
        });
        for (column, width) in (0_u16..).zip(widths) {
            sheet.set_column_width(column, width)?;
            sheet.set_column_format(column, &self.text)?;
        }
        let right = u16::try_from(self.column_widths.len()).unwrap_or(u16::MAX).saturating_sub(1);
        let bottom = self.next_row.saturating_sub(1);
        // Otherwise Excel offers to make numbers of the ids.
        sheet.ignore_error_range(0, 0, bottom, right, IgnoreError::NumberStoredAsText)?;
        if let Some(header) = self.header_row {
            sheet.set_freeze_panes(header + 1, 0)?;
            sheet.autofilter(header, 0, bottom, right)?;
        }
        match self.status_cells() {
            Some(cells) => color_statuses(self.workbook.worksheet_from_index(ROWS_SHEET)?, cells),
            None => Ok(()),
        }
    }

    /// The cells of the rows that have a status, if there are any.
    fn status_cells(&self) -> Option<StatusCells> {
        let top = self.header_row.map_or(0, |header| header + 1);
        let column = self.status_column.and_then(|column| u16::try_from(column).ok())?;
        (top < self.next_row).then(|| StatusCells { top, bottom: self.next_row - 1, column })
    }

    fn add_summary(&mut self) -> Result<(), XlsxError> {
        if !self.has_summary {
            return Ok(());
        }
        let cells = self.status_cells();
        let rows_sheet = self.workbook.worksheet_from_index(ROWS_SHEET)?.name();
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        let cells = cells.map(|cells| cells.in_sheet(&rows_sheet));
        write_summary(sheet, &self.counts, cells.as_deref())
    }

    fn limit_error(&self, line: u64, limit: SheetLimit) -> SinkError {
        SinkError::Limit { line, limit, flag: self.flag }
    }

    fn write_error(&self, error: XlsxError) -> SinkError {
        let (target, cause) = (self.target.clone(), into_io_error(error));
        SinkError::Write { target, cause, flag: self.flag }
    }
}

/// A workbook with one sheet. Its temporary files are where the output is, whose file system has to
/// have the room.
fn empty_workbook(target: &Target) -> Result<Workbook, XlsxError> {
    let mut workbook = Workbook::new();
    if let Target::File(path) = target
        && target.is_atomic()
    {
        workbook.set_tempdir(parent_dir(path))?;
    }
    // The time of the run would make every output differ.
    let created = ExcelDateTime::from_ymd(2000, 1, 1)?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
    workbook.add_worksheet_with_constant_memory()?.set_name(tr!("Result"))?;
    Ok(workbook)
}

/// The cells of a column with statuses.
#[derive(Clone, Copy)]
struct StatusCells {
    top: u32,
    bottom: u32,
    column: u16,
}

impl StatusCells {
    /// Their range, as formulas of other sheets have it.
    fn in_sheet(self, name: &str) -> String {
        let Self { top, bottom, column } = self;
        utility::worksheet_range_absolute(name, top, column, bottom, column)
    }
}

/// The color follows the cell, also when somebody edits it.
fn color_statuses(
    sheet: &mut Worksheet,
    StatusCells { top, bottom, column }: StatusCells,
) -> Result<(), XlsxError> {
    for status in Status::ALL {
        let rule = ConditionalFormatCell::new()
            .set_rule(ConditionalFormatCellRule::EqualTo(status.name().to_owned()))
            .set_format(Format::new().set_background_color(status_color(status)));
        sheet.add_conditional_format(top, column, bottom, column, &rule)?;
    }
    Ok(())
}

/// Where the header begins in the text above the rows: at the last line from which its cells are
/// read. They may have line ends.
fn find_header(raw: &str, head: &Header) -> usize {
    let mut splitter = Splitter::new(head.delimiter, Encoding::Utf8);
    let (mut starts, mut start) = (Vec::new(), 0);
    for line in split_lines(raw) {
        starts.push(start);
        start += line.len();
        start += line_end_len(&raw[start..]);
    }
    let named =
        &head.first_row[..(head.first_row.len() + 1).saturating_sub(head.answer_delimiters)];
    let is_header = |start: &usize| splitter.cells(&raw.as_bytes()[*start..]) == named;
    let found = starts.iter().copied().rev().find(is_header);
    found.or(starts.last().copied()).unwrap_or(0)
}

/// The cell, or as much of it as a cell of a workbook holds.
fn truncate_cell(cell: &str) -> &str {
    if cell.len() <= MAX_CELL_UNITS {
        return cell;
    }
    let mut units = 0;
    let end = cell.char_indices().find(|(_, letter)| {
        units += letter.len_utf16();
        units > MAX_CELL_UNITS
    });
    &cell[..end.map_or(cell.len(), |(at, _)| at)]
}

/// The lines of a text without their ends: `\n`, `\r\n` or `\r`.
fn split_lines(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        lines.push(&rest[..length]);
        rest = &rest[length + line_end_len(&rest[length..])..];
    }
    lines
}

fn line_end_len(text: &str) -> usize {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => 0,
    }
}

/// Keeps the kind of an error of the system, by which advice is given.
fn into_io_error(error: XlsxError) -> io::Error {
    match error {
        XlsxError::IoError(error)
        | XlsxError::TempFileError(_, error)
        | XlsxError::ZipError(ZipError::Io(error)) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
