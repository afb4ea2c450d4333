//! The thread that writes answered rows and counts what the report needs of them.

use std::fmt::Write as _;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::expected::Expected;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::engine::io::reader::ParsedBatch;
use crate::engine::io::row_format::RowFormat;
use crate::engine::io::unresolved::SharedUnresolved;
use crate::engine::reorder::{Answer, Chunk};
use crate::table::raw::batch::Batch;
use crate::table::write::sink::{Sink, SinkError};

/// The outputs of a run, and what is counted of the rows written to them.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// Every row, with its answer.
    pub all: Sink,
    /// The rows that may succeed on another try, unchanged (`--failed`).
    pub failed: Option<Sink>,
    pub row_stats: RowStats,
    pub unresolved: SharedUnresolved,
}

impl Outputs {
    /// Completes both outputs; `tail` is written after the last row. Returns how many characters
    /// the output's encoding could not represent.
    ///
    /// # Errors
    /// [`SinkError`] if a file cannot be written or renamed.
    pub(crate) fn finish(self, tail: &[u8]) -> Result<u64, SinkError> {
        let unencodable = self.all.finish(tail)?;
        // After the main output, because a loss of this file matters less.
        self.failed.map(|failed| failed.finish(&[])).transpose()?;
        Ok(unencodable)
    }

    /// Writes a row that keeps its earlier answer, unchanged.
    fn write_kept_row(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
        format: &RowFormat,
        region: DefaultRegion,
    ) -> Result<(), SinkError> {
        let (row_stats, unresolved) = (&mut self.row_stats, &self.unresolved);
        count_kept_row(format, region, batch, row, status, row_stats, unresolved);
        self.all.copy_row(batch, row)?;
        self.write_failed_row(batch, row, status)
    }

    /// Writes a row with its answer. `code_buffer` is reused for the text of the code.
    fn write_answered_row(
        &mut self,
        parsed: &ParsedBatch,
        row: usize,
        Answer { nth, outcome, .. }: &Answer,
        format: &RowFormat,
        labels: &[String],
        code_buffer: &mut String,
    ) -> Result<(), SinkError> {
        code_buffer.clear();
        if let Some(code) = &outcome.code {
            // Writing to a string does not fail.
            let _ = write!(code_buffer, "{code}");
        }
        let (number, status) = (parsed.number_cell(row, *nth), outcome.status);
        self.row_stats.count_row(status, number.map(|number| number.mobile));
        let number = number.ok();
        // Rows with the same number share the outcome; a remark on the cell of this row is added
        // here.
        let annotated = number.and_then(|number| number.annotate_message(&outcome.message));
        let message = annotated.as_deref().unwrap_or(&outcome.message);
        let mobile = number.map(|number| number.mobile);
        let line = parsed.batch.line(row);
        self.unresolved.record(line, mobile, status, [&*code_buffer, message]);
        let mut cells =
            vec![&*outcome.userid, &*outcome.exclusive_ids, status.name(), &*code_buffer, message];
        if format.has_matched {
            cells.push(if status == Status::Found { &labels[*nth] } else { "" });
        }
        let sent = format.sent_as.map(|mainland| {
            let sent_number = number.filter(|_| status != Status::Pending);
            sent_number.map_or_else(String::new, |number| number.mobile.to_api_string(mainland))
        });
        cells.extend(sent.as_deref());
        if let Some(expected_id) = format.expected_user_id(&parsed.batch, row) {
            let comparison = Expected::compare(expected_id, outcome);
            if let Some(comparison) = comparison {
                self.row_stats.count_expected(comparison);
            }
            cells.push(comparison.map_or("", Expected::name));
        }
        match format.target_columns() {
            Some(columns) => {
                let mut cells: Vec<_> = columns.iter().copied().zip(cells).collect();
                self.all.edit_row(&parsed.batch, row, &mut cells)?;
            }
            None => self.all.write_row(&parsed.batch, row, &cells)?,
        }
        self.write_failed_row(&parsed.batch, row, status)
    }

    fn write_failed_row(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
    ) -> Result<(), SinkError> {
        match &mut self.failed {
            Some(failed) if status.is_retryable() => failed.copy_row_without_blanks(batch, row),
            _ => Ok(()),
        }
    }
}

/// Counts a row that keeps its earlier answer. Its numbers are parsed only to mask them in reports,
/// by the lenient rules, because an earlier run may have used those.
pub(crate) fn count_kept_row(
    format: &RowFormat,
    region: DefaultRegion,
    batch: &Batch,
    row: usize,
    status: Status,
    row_stats: &mut RowStats,
    unresolved: &SharedUnresolved,
) {
    if status != Status::Found {
        let rules = NumberRules { default_region: region, strict: false };
        let cells = batch.cells(row).take(format.numbers_per_row);
        let mobiles = cells
            .filter_map(|cell| NumberCell::parse(cell, rules).ok())
            .map(|number| number.mobile);
        let code_and_message = format.earlier_code_and_message(batch, row);
        unresolved.record(batch.line(row), mobiles, status, code_and_message);
    }
    if let Some(comparison) = format.earlier_comparison(batch, row) {
        row_stats.count_expected(comparison);
    }
}

/// The writer of a run.
#[derive(Debug)]
pub(crate) struct WriterHandle {
    /// Takes the rows, in order.
    pub chunks: mpsc::Sender<Chunk<ParsedBatch>>,
    /// The outputs, once the sender is dropped; they are not finished yet.
    pub outputs: JoinHandle<Result<Outputs, SinkError>>,
}

/// Starts to write. `labels` name the columns of numbers, for the column `matched`; `region` is
/// that of numbers without a country code.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn spawn_writer(
    mut outputs: Outputs,
    region: DefaultRegion,
    format: RowFormat,
    labels: Vec<String>,
) -> io::Result<WriterHandle> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<ParsedBatch>>(2);
    let outputs = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code_buffer = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            let parsed = &*chunk.payload;
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                if answer.is_kept {
                    let status = answer.outcome.status;
                    outputs.write_kept_row(&parsed.batch, row, status, &format, region)?;
                } else {
                    let buffer = &mut code_buffer;
                    outputs.write_answered_row(parsed, row, answer, &format, &labels, buffer)?;
                }
            }
            if receiver.is_empty() {
                outputs.all.flush()?;
            }
        }
        Ok(outputs)
    })?;
    Ok(WriterHandle { chunks, outputs })
}
