//! A table that is being written, in the format of its output.

use std::fmt;

use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::write::completion::Completion;
use crate::table::write::csv_sink::CsvSink;
use crate::table::write::edited_file::ReplaceRule;
pub(crate) use crate::table::write::error::SinkError;
use crate::table::write::new_workbook::NewWorkbook;
pub use crate::table::write::options::SinkOptions;
use crate::table::write::output::Target;
use crate::table::write::workbook::copy::WorkbookCopy;
use crate::table::write::workbook::plan::CopyPlan;

/// A table that is being written. Without [`Sink::finish`], no file remains.
pub struct Sink {
    target: Target,
    format: Format,
}

/// The table in the format of its output.
enum Format {
    Csv(Box<CsvSink>),
    NewWorkbook(Box<NewWorkbook>),
    WorkbookCopy(Box<WorkbookCopy>),
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The buffers have phone numbers, which must not reach any message.
        f.debug_struct("Sink").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Sink {
    /// Opens the target as text or as a new workbook, and writes the header. A file is written as a
    /// temporary file beside it first.
    pub fn create(target: Target, head: &Header, style: SinkOptions) -> Result<Self, SinkError> {
        let format = if style.format.is_workbook() {
            Format::NewWorkbook(Box::new(NewWorkbook::create(target.clone(), head, style)?))
        } else {
            Format::Csv(Box::new(CsvSink::create(target.clone(), head, style)?))
        };
        Ok(Self { target, format })
    }

    /// Opens the target as a copy of the workbook that the rows come from, and writes the header.
    pub(crate) fn copy_workbook(
        target: Target,
        plan: CopyPlan,
        style: SinkOptions,
    ) -> Result<Self, SinkError> {
        let copy = WorkbookCopy::create(target.clone(), plan, style)?;
        Ok(Self { target, format: Format::WorkbookCopy(Box::new(copy)) })
    }

    /// Writes row `row` (from 0) of `batch` with `cells` appended.
    pub fn write_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &[&str],
    ) -> Result<(), SinkError> {
        match &mut self.format {
            Format::Csv(sink) => sink.write_row(batch, row, cells),
            Format::NewWorkbook(sink) => sink.write_row(batch, row, cells),
            Format::WorkbookCopy(sink) => sink.write_row(batch, row, cells),
        }
    }

    /// Writes row `row` (from 0) of `batch` unchanged, with the blank lines before it.
    pub fn copy_row(&mut self, batch: &Batch, row: usize) -> Result<(), SinkError> {
        match &mut self.format {
            Format::Csv(sink) => sink.copy_row(batch, row),
            Format::NewWorkbook(sink) => sink.copy_row(batch, row),
            Format::WorkbookCopy(sink) => {
                sink.copy_row(batch, row);
                Ok(())
            }
        }
    }

    /// Writes row `row` (from 0) of `batch` unchanged, without the blank lines before it.
    pub fn copy_row_without_blanks(&mut self, batch: &Batch, row: usize) -> Result<(), SinkError> {
        match &mut self.format {
            Format::Csv(sink) => sink.copy_row_without_blanks(batch, row),
            Format::NewWorkbook(sink) => sink.copy_row(batch, row),
            Format::WorkbookCopy(sink) => {
                sink.copy_row(batch, row);
                Ok(())
            }
        }
    }

    /// Writes row `row` (from 0) of `batch` with the cells of some columns replaced. The other
    /// cells keep their bytes. `cells` has each column, from 0, at most once. A row that is too
    /// short gets empty cells in between.
    ///
    /// # Errors
    /// [`SinkError::Bug`] if the cells do not fit the row.
    pub fn edit_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &mut [(usize, &str)],
    ) -> Result<(), SinkError> {
        match &mut self.format {
            Format::Csv(sink) => sink.edit_row(batch, row, cells),
            Format::NewWorkbook(sink) => sink.edit_row(batch, row, cells),
            Format::WorkbookCopy(sink) => sink.edit_row(batch, row, cells),
        }
    }

    /// Writes the buffer, so that a reader of standard output gets the rows.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        match &mut self.format {
            Format::Csv(sink) => sink.flush(),
            // Rows of a new workbook are complete at the end only. In a copy, a flush would make
            // the compressed bytes depend on when rows settle.
            Format::NewWorkbook(_) | Format::WorkbookCopy(_) => Ok(()),
        }
    }

    /// Writes `tail`, the blank lines after the last row, and renames a file to its final name.
    /// Returns the number of characters that became question marks because the output's encoding
    /// lacks them.
    ///
    /// # Errors
    /// [`SinkError`]. An existing file is untouched then.
    pub fn finish(self, tail: &[u8]) -> Result<u64, SinkError> {
        self.finish_with(tail, &ReplaceRule::Replace).map(|completed| completed.unmappable)
    }

    /// The same; the rule is about the file that a file replaces.
    pub(crate) fn finish_with(
        self,
        tail: &[u8],
        rule: &ReplaceRule,
    ) -> Result<Completion, SinkError> {
        match self.format {
            Format::Csv(sink) => sink.finish_with(tail, rule),
            Format::NewWorkbook(sink) => {
                Ok(Completion { replaced: sink.finish_with(rule)?, ..Completion::default() })
            }
            Format::WorkbookCopy(sink) => sink.finish_with(rule),
        }
    }

    /// How many bytes of the input's rows were written, or replaced on purpose: blank lines,
    /// contents and terminators, counted before they are encoded. Header and appended cells are not
    /// counted.
    #[must_use]
    pub(crate) fn row_bytes(&self) -> u64 {
        match &self.format {
            Format::Csv(sink) => sink.row_bytes(),
            Format::NewWorkbook(sink) => sink.row_bytes(),
            Format::WorkbookCopy(sink) => sink.row_bytes(),
        }
    }
}
