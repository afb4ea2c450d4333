//! The threads at the ends of a run: one reads batches, some find each row's number in them and what is known of it, one writes
//! answered rows, and counts what they have in common.
//! Batches, never rows, pass between threads (DESIGN 7), through queues that hold one or two.

use std::fmt::Write as _;
use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::expected::Expected;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::{Invalid, InvalidKind};
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::outcome::{RowStatusError, Status};
use crate::domain::row_stats::RowStats;
use crate::engine::io::batch_receiver::{BatchResult, RoundRobinReceiver};
use crate::engine::io::row_format::RowFormat;
use crate::engine::io::unresolved::SharedUnresolved;
use crate::engine::limits::{BATCH_ROWS, RowBatch};
use crate::engine::reorder::{Answer, Chunk};
use crate::store::disk::prefetch::Prefetcher;
use crate::table::raw::batch::Batch;
use crate::table::source::{Source, SourceError};
use crate::table::write::sink::{Sink, SinkError};

/// Rows on their way through a run.
#[derive(Debug)]
pub(crate) struct ParsedBatch {
    /// The rows' text.
    batch: Batch,
    /// What each number cell holds, or why it is not sent; those of one row stand beside each other.
    number_cells: Vec<Result<NumberCell, InvalidKind>>,
}

/// Why no more rows can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReaderError {
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row that should have an answer has none.
    #[error(transparent)]
    NoStatus(#[from] RowStatusError),
}

/// What comes of reading: sheets, and at the end what stands in the input behind the last row.
#[derive(Debug)]
pub(crate) struct ReaderHandle {
    /// The sheets, and what ended them.
    pub batches: RoundRobinReceiver<ParsedBatch, ReaderError>,
    /// Not to be joined before the sheets have ended: a read of a silent pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Where rows are written.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// Every row, with its answer.
    pub all: Sink,
    /// Those that may succeed on another try, as they came in, where they are asked for.
    pub failed: Option<Sink>,
    /// What the rows that were written have in common.
    pub row_stats: RowStats,
    /// Those of them that got no user id.
    pub unresolved: SharedUnresolved,
}

impl Outputs {
    /// Ends both, the one of every row with `tail`: how many characters of the input its encoding lacked.
    ///
    /// # Errors
    /// [`SinkError`] when the system refuses the bytes or a name.
    pub(crate) fn finish(self, tail: &[u8]) -> Result<u64, SinkError> {
        let lacking = self.all.finish(tail)?;
        // Last, since it is the lesser loss.
        self.failed.map(|failed| failed.finish(&[])).transpose()?;
        Ok(lacking)
    }

    /// Writes a row as it came.
    fn write_kept_row(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
        manner: &RowFormat,
        home: DefaultRegion,
    ) -> Result<(), SinkError> {
        count_kept_row(manner, home, batch, row, status, &mut self.row_stats, &self.unresolved);
        self.all.copy_row(batch, row)?;
        if let Some(failed) = self.failed.as_mut().filter(|_| status.is_retryable()) {
            failed.copy_row_without_blanks(batch, row)?;
        }
        Ok(())
    }

    /// Writes a row with its answer. `code` is room for a cell.
    fn write_answered_row(
        &mut self,
        load: &ParsedBatch,
        row: usize,
        Answer { nth, outcome, .. }: &Answer,
        manner: &RowFormat,
        labels: &[String],
        code: &mut String,
    ) -> Result<(), SinkError> {
        code.clear();
        if let Some(known) = &outcome.code {
            // Writing to a string does not fail.
            let _ = write!(code, "{known}");
        }
        let (entry, status) = (load.number_cell(row, *nth), outcome.status);
        self.row_stats.count_row(status, entry.map(|entry| entry.mobile));
        let entry = entry.ok();
        // What is particular to this row's cell is added here: the answer is shared by every row with its number.
        let remark = entry.and_then(|entry| entry.annotate_message(&outcome.message));
        let message = remark.as_deref().unwrap_or(&outcome.message);
        let mobile = entry.map(|entry| entry.mobile);
        self.unresolved.record(load.batch.line(row), mobile, status, [code, message]);
        let mut cells =
            vec![&*outcome.userid, &*outcome.exclusive_ids, status.name(), &*code, message];
        if manner.has_matched {
            let found = labels.get(*nth).filter(|_| status == Status::Found);
            cells.push(found.map(String::as_str).unwrap_or_default());
        }
        let sent = manner.sent_as.map(|mainland| {
            let asked = entry.filter(|_| status != Status::Pending);
            asked.map(|entry| entry.mobile.to_api_string(mainland)).unwrap_or_default()
        });
        cells.extend(sent.as_deref());
        if let Some(on_file) = manner.expected_user_id(&load.batch, row) {
            let word = Expected::compare(on_file, outcome);
            if let Some(word) = word {
                self.row_stats.count_expected(word);
            }
            cells.push(word.map_or("", Expected::name));
        }
        match manner.target_columns() {
            Some(places) => {
                let mut cells: Vec<_> = places.iter().copied().zip(cells).collect();
                self.all.edit_row(&load.batch, row, &mut cells)?;
            }
            None => self.all.write_row(&load.batch, row, &cells)?,
        }
        if let Some(failed) = self.failed.as_mut().filter(|_| status.is_retryable()) {
            failed.copy_row_without_blanks(&load.batch, row)?;
        }
        Ok(())
    }
}

/// Counts a row that keeps the answer which it came with, of this status. Its numbers are read to be
/// kept out of reports, by the lenient rules, since an earlier run may have sent them by those.
pub(crate) fn count_kept_row(
    manner: &RowFormat,
    home: DefaultRegion,
    batch: &Batch,
    row: usize,
    status: Status,
    findings: &mut RowStats,
    misses: &SharedUnresolved,
) {
    if status != Status::Found {
        let rules = NumberRules { default_region: home, strict: false };
        let cells = batch.cells(row).take(manner.numbers_per_row);
        let numbers =
            cells.filter_map(|cell| NumberCell::parse(cell, rules).ok()).map(|entry| entry.mobile);
        misses.record(
            batch.line(row),
            numbers,
            status,
            manner.earlier_code_and_message(batch, row),
        );
    }
    if let Some(word) = manner.earlier_comparison(batch, row) {
        findings.count_expected(word);
    }
}

/// Where answered rows go.
#[derive(Debug)]
pub(crate) struct WriterHandle {
    /// The rows, in order.
    pub chunks: mpsc::Sender<Chunk<ParsedBatch>>,
    /// The sinks, once the sender is gone: their owner decides whether they are finished or dropped.
    pub outputs: JoinHandle<Result<Outputs, SinkError>>,
}

/// A batch on its way, or what came instead of it; nothing at the end.
type ReadResult = Result<Option<Batch>, ReaderError>;

/// How many threads look ahead: none where one processor would have them in turns, and no more than what follows them keeps up with.
#[must_use]
pub(crate) fn prefetch_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if processors == 1 { 0 } else { processors.min(4) }
}

/// Takes a batch on; false where nobody wants any more.
type BatchSender = Box<dyn Fn(ReadResult) -> bool + Send>;

/// Starts to read. Each of `ahead` is looked at by a thread of its own; where there is none, the one that reads finds the
/// numbers too.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn spawn_reader(
    mut source: Source,
    rules: NumberRules,
    manner: &RowFormat,
    ahead: Vec<Prefetcher>,
) -> io::Result<ReaderHandle> {
    let (mut lanes, mut sheets) = (Vec::<BatchSender>::new(), Vec::new());
    for ahead in ahead {
        let (lane, batches) = sync_channel::<ReadResult>(1);
        let (sender, sheet) = mpsc::channel(1);
        lanes.push(Box::new(move |batch| lane.send(batch).is_ok()));
        sheets.push(sheet);
        let manner = manner.clone();
        thread::Builder::new().name("lookup".into()).spawn(move || {
            for batch in batches {
                let sheet = parse_batch(batch, rules, &manner, Some(&ahead));
                let ends = !matches!(sheet, Ok(Some(_)));
                if sender.blocking_send(sheet).is_err() || ends {
                    return;
                }
            }
        })?;
    }
    if lanes.is_empty() {
        let (sender, sheet) = mpsc::channel(1);
        let manner = manner.clone();
        lanes.push(Box::new(move |batch| {
            sender.blocking_send(parse_batch(batch, rules, &manner, None)).is_ok()
        }));
        sheets.push(sheet);
    }
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        for take in lanes.iter().cycle() {
            let batch = source.next_batch(BATCH_ROWS).map_err(ReaderError::from);
            let goes_on = matches!(batch, Ok(Some(_)));
            if !take(batch) || !goes_on {
                break;
            }
        }
        source.trailing_blanks().to_vec()
    })?;
    Ok(ReaderHandle { batches: RoundRobinReceiver::new(sheets), tail })
}

fn parse_batch(
    batch: ReadResult,
    rules: NumberRules,
    manner: &RowFormat,
    ahead: Option<&Prefetcher>,
) -> BatchResult<ParsedBatch, ReaderError> {
    let Some(batch) = batch? else { return Ok(None) };
    let batch = manner.retain_shard(batch, rules);
    let per_row = NonZeroUsize::new(manner.numbers_per_row).unwrap_or(NonZeroUsize::MIN);
    let mut entries = Vec::with_capacity(batch.len() * per_row.get());
    let mut numbers = Vec::with_capacity(entries.capacity());
    let mut earlier = Vec::new();
    for row in 0..batch.len() {
        let status = earlier_status(manner, &batch, row)?;
        let asked = status.is_none_or(Status::is_retryable);
        for cell in batch.cells(row).take(per_row.get()) {
            let entry = if asked { NumberCell::parse(cell, rules) } else { Err(Invalid::Empty) };
            entries.push(entry.as_ref().copied().map_err(Invalid::kind));
            numbers.push(entry.map(|entry| entry.mobile));
        }
        earlier.extend(status);
    }
    let foreseen = ahead
        .map(|ahead| ahead.look_up(numbers.iter().map(|number| number.as_ref().ok().copied())));
    let foreseen = foreseen.unwrap_or_default();
    Ok(Some(RowBatch {
        payload: ParsedBatch { batch, number_cells: entries },
        mobiles: numbers,
        numbers_per_row: per_row,
        earlier_statuses: earlier,
        prefetched: foreseen,
    }))
}

/// The status that a row came with; nothing where rows have none yet.
///
/// # Errors
/// [`FeedError::NoStatus`] where it has to have one and has none.
pub(crate) fn earlier_status(
    manner: &RowFormat,
    batch: &Batch,
    row: usize,
) -> Result<Option<Status>, ReaderError> {
    let earlier = manner.earlier_status(batch, row);
    earlier.map_err(|cause| RowStatusError { line: batch.line(row), cause }.into())
}

/// Starts to write. `labels` are what rows say of the columns of numbers, and `home` is the region of those without a country
/// code.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn spawn_writer(
    mut sinks: Outputs,
    home: DefaultRegion,
    manner: RowFormat,
    labels: Vec<String>,
) -> io::Result<WriterHandle> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<ParsedBatch>>(2);
    let sinks = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                if answer.is_kept {
                    sinks.write_kept_row(
                        &chunk.payload.batch,
                        row,
                        answer.outcome.status,
                        &manner,
                        home,
                    )?;
                } else {
                    sinks.write_answered_row(
                        &chunk.payload,
                        row,
                        answer,
                        &manner,
                        &labels,
                        &mut code,
                    )?;
                }
            }
            if receiver.is_empty() {
                sinks.all.flush()?;
            }
        }
        Ok(sinks)
    })?;
    Ok(WriterHandle { chunks, outputs: sinks })
}

impl ParsedBatch {
    /// What the `nth` number cell of a row holds, or why it is not sent.
    fn number_cell(&self, row: usize, nth: usize) -> Result<NumberCell, InvalidKind> {
        let per_row = self.number_cells.len() / self.batch.len().max(1);
        self.number_cells.get(row * per_row + nth).copied().unwrap_or(Err(InvalidKind::Empty))
    }
}
