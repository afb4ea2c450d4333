//! Writes the copy of a workbook while rows settle.

use crate::table::raw::batch::Batch;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::shared_file::SharedFile;
use crate::table::write::completion::Completion;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::error::SinkError;
use crate::table::write::options::SinkOptions;
use crate::table::write::output::{Output, Target};
use crate::table::write::workbook::archive_entry::{ArchiveEntry, EntryReader};
use crate::table::write::workbook::archive_writer::{ArchiveWriter, EntryWriter};
use crate::table::write::workbook::new_cells::truncate_units;
use crate::table::write::workbook::plan::{CopyPlan, FileVersion};
use crate::table::write::workbook::sheet_editor::{CellStyle, SheetEditor};

/// How much of the sheet is buffered before it is compressed, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// The copy of a workbook that is being written.
pub(crate) struct WorkbookCopy {
    target: Target,
    flag: &'static str,
    file: SharedFile,
    version: FileVersion,
    sheet: SheetEditor<EntryReader>,
    entry: EntryWriter<Output>,
    /// What follows the sheet: entries, and their new content if it changed.
    rest: Vec<(ArchiveEntry, Option<Vec<u8>>)>,
    archive_comment: Vec<u8>,
    left: u32,
    totals_row: Option<u32>,
    first_new_column: u32,
    row_bytes: u64,
    cut_cells: u64,
}

impl WorkbookCopy {
    /// Opens the target, and writes everything before the first row of data.
    pub(crate) fn create(
        target: Target,
        plan: CopyPlan,
        style: SinkOptions,
    ) -> Result<Self, SinkError> {
        let flag = style.flag;
        let packed = plan.entries.iter().map(|entry| entry.packed_size).sum();
        let output = match Output::open(&target, packed) {
            Ok(output) => output,
            Err(cause) => return Err(SinkError::Create { target, cause, flag }),
        };
        let CopyPlan { file, version, mut changed_entries, changes, new_header, .. } = plan;
        let mut before = plan.entries.into_iter().enumerate();
        let mut archive = ArchiveWriter::new(output);
        let failed = |cause| SinkError::Write { target: target.clone(), cause, flag };
        let mut sheet = None;
        for (index, entry) in before.by_ref() {
            if index == plan.sheet_entry {
                sheet = Some(entry);
                break;
            }
            let content = changed_entries.remove(&index);
            write_entry(&mut archive, &file, &entry, content.as_deref()).map_err(failed)?;
        }
        let sheet = sheet.ok_or(SinkError::Source(WorkbookError::TooManyParts))?;
        let rest = before.map(|(index, entry)| (entry, changed_entries.remove(&index))).collect();
        let first_new_column = changes.new_columns.as_ref().map_or(0, |new| new.first);
        let editor = SheetEditor::new(sheet.unpacked(&file), changes).map_err(SinkError::Source)?;
        let mut copy = Self {
            flag,
            version,
            sheet: editor,
            entry: archive.start(sheet).map_err(failed)?,
            rest,
            archive_comment: plan.archive_comment,
            left: plan.left,
            totals_row: plan.totals_row,
            first_new_column,
            row_bytes: 0,
            cut_cells: 0,
            file,
            target,
        };
        if let Some(header) = new_header {
            let names: Vec<&str> = header.names.iter().map(String::as_str).collect();
            let cells = copy.new_cells(&names);
            copy.write_cells(header.row, &cells, CellStyle::Fixed(header.style))?;
        }
        Ok(copy)
    }

    /// Writes row `row` (from 0) of `batch` with `cells` in the new columns.
    pub(crate) fn write_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &[&str],
    ) -> Result<(), SinkError> {
        let (at, cells) = (sheet_row(batch, row)?, self.new_cells(cells));
        if self.totals_row != Some(at) {
            self.write_cells(at, &cells, CellStyle::LikeRow)?;
        }
        self.count_row(batch, row);
        Ok(())
    }

    /// Writes row `row` (from 0) of `batch` with the cells of some columns of the table replaced.
    pub(crate) fn edit_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &mut [(usize, &str)],
    ) -> Result<(), SinkError> {
        cells.sort_unstable();
        let bug = || SinkError::Bug { line: batch.line(row) };
        let mut in_sheet = Vec::with_capacity(cells.len());
        for (column, text) in cells.iter() {
            let column = u32::try_from(*column).ok().and_then(|at| at.checked_add(self.left));
            in_sheet.push((column.ok_or_else(bug)?, *text));
        }
        let at = sheet_row(batch, row)?;
        if self.totals_row != Some(at) {
            self.write_cells(at, &in_sheet, CellStyle::Kept)?;
        }
        self.count_row(batch, row);
        Ok(())
    }

    /// Takes row `row` (from 0) of `batch` as it is. It is copied with the next row that changes.
    pub(crate) fn copy_row(&mut self, batch: &Batch, row: usize) {
        self.count_row(batch, row);
    }

    /// Copies the rest of the workbook, and completes the output.
    pub(crate) fn finish_with(mut self, rule: &ReplaceRule) -> Result<Completion, SinkError> {
        while self.sheet.copy_piece().map_err(SinkError::Source)? {
            self.drain(BUFFER_BYTES)?;
        }
        self.drain(0)?;
        let (target, flag) = (self.target, self.flag);
        let failed = |cause| SinkError::Write { target: target.clone(), cause, flag };
        let mut archive = self.entry.finish().map_err(failed)?;
        for (entry, content) in &self.rest {
            write_entry(&mut archive, &self.file, entry, content.as_deref()).map_err(failed)?;
        }
        let output = archive.finish(&self.archive_comment).map_err(failed)?;
        let now = self.file.metadata().map(|metadata| FileVersion::of(&metadata));
        if !now.is_ok_and(|now| now == self.version) {
            return Err(SinkError::Source(WorkbookError::Changed));
        }
        let replaced = output.finish_with(rule).map_err(|cause| SinkError::Finish {
            target: target.clone(),
            cause,
            flag,
        })?;
        Ok(Completion { unmappable: 0, cut_cells: self.cut_cells, replaced })
    }

    /// How many bytes of the rows of the table were copied, as the text that is made of the sheet
    /// has them.
    #[must_use]
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    fn new_cells<'a>(&self, texts: &[&'a str]) -> Vec<(u32, &'a str)> {
        (self.first_new_column..).zip(texts.iter().copied()).collect()
    }

    fn write_cells(
        &mut self,
        row: u32,
        cells: &[(u32, &str)],
        style: CellStyle,
    ) -> Result<(), SinkError> {
        while self.sheet.copy_row_before(row).map_err(SinkError::Source)? {
            self.drain(BUFFER_BYTES)?;
        }
        self.sheet.edit_row(row, cells, style).map_err(SinkError::Source)?;
        self.cut_cells += cells.iter().filter(|(_, text)| truncate_units(text).1).count() as u64;
        self.drain(BUFFER_BYTES)
    }

    fn count_row(&mut self, batch: &Batch, row: usize) {
        let pieces = [batch.leading_blanks(row), batch.content(row), batch.terminator(row)];
        self.row_bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
    }

    /// Compresses what was copied of the sheet, if it is so much.
    fn drain(&mut self, least: usize) -> Result<(), SinkError> {
        if self.sheet.output_len() < least {
            return Ok(());
        }
        self.sheet.take_output(self.entry.buffer());
        self.entry.compress().map_err(|cause| SinkError::Write {
            target: self.target.clone(),
            cause,
            flag: self.flag,
        })
    }
}

/// The row of the sheet, from 0.
fn sheet_row(batch: &Batch, row: usize) -> Result<u32, SinkError> {
    let line = batch.line(row);
    let found = line.checked_sub(1).and_then(|row| u32::try_from(row).ok());
    found.ok_or(SinkError::Bug { line })
}

fn write_entry(
    archive: &mut ArchiveWriter<Output>,
    file: &SharedFile,
    entry: &ArchiveEntry,
    content: Option<&[u8]>,
) -> std::io::Result<()> {
    match content {
        Some(content) => archive.write(entry, content),
        None => archive.copy(entry, entry.packed(file)),
    }
}
