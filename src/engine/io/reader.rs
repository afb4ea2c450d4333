//! The threads that read: one reads batches, and the others parse the numbers and look up their
//! stored answers.
//!
//! Batches, never rows, pass between threads, in queues of one: see
//! [CPU per row](crate::guide::architecture#cpu-per-row).

use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::judgement::Judgement;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::{Invalid, InvalidKind};
use crate::domain::number::mobile::NumberRules;
use crate::domain::outcome::{InvalidStatus, RowStatusError};
use crate::engine::io::batch_receiver::{BatchResult, RoundRobinReceiver};
use crate::engine::io::retry::RetryRules;
use crate::engine::io::row_format::RowFormat;
use crate::engine::limits::{BATCH_ROWS, RowBatch};
use crate::store::disk::prefetch::Prefetcher;
use crate::table::raw::batch::Batch;
use crate::table::source::{Source, SourceError};

/// The text of a batch, and what its number cells hold.
#[derive(Debug)]
pub(crate) struct ParsedBatch {
    pub batch: Batch,
    /// The number cells, or why they are not sent; those of one row are adjacent.
    number_cells: Vec<Result<NumberCell, InvalidKind>>,
}

impl ParsedBatch {
    /// The `nth` number cell of a row, or why it is not sent.
    pub(crate) fn number_cell(&self, row: usize, nth: usize) -> Result<NumberCell, InvalidKind> {
        let numbers_per_row = self.number_cells.len() / self.batch.len().max(1);
        self.number_cells[row * numbers_per_row + nth]
    }
}

/// Why no more rows can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReaderError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row of a resolved table has no valid status.
    #[error(transparent)]
    NoStatus(#[from] RowStatusError),
}

/// The reader of a run.
#[derive(Debug)]
pub(crate) struct ReaderHandle {
    pub batches: RoundRobinReceiver<ParsedBatch, ReaderError>,
    /// The blank lines after the last row. Join this only after the last batch: a read of a silent
    /// pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// A batch, an error, or `None` at the end of the input.
type ReadResult = Result<Option<Batch>, ReaderError>;

/// Passes a batch on; false if the run does not take it any more.
type BatchSender = Box<dyn Fn(ReadResult) -> bool + Send>;

/// How many threads look up stored answers: none on one processor, where they would only take turns
/// with the run; at most 4, because the run does not keep up with more.
#[must_use]
pub(crate) fn prefetch_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if processors == 1 { 0 } else { processors.min(4) }
}

/// Starts to read. `retry_rules` are given for a resolved table. Each of `prefetchers` gets a
/// thread; without any, the thread that reads parses the numbers too.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn spawn_reader(
    mut source: Source,
    rules: NumberRules,
    format: &RowFormat,
    retry_rules: Option<&RetryRules>,
    prefetchers: Vec<Prefetcher>,
) -> io::Result<ReaderHandle> {
    let (mut senders, mut receivers) = (Vec::<BatchSender>::new(), Vec::new());
    for prefetcher in prefetchers {
        let (raw_sender, raw_batches) = sync_channel::<ReadResult>(1);
        let (sender, receiver) = mpsc::channel(1);
        senders.push(Box::new(move |batch| raw_sender.send(batch).is_ok()));
        receivers.push(receiver);
        let (format, retry_rules) = (format.clone(), retry_rules.cloned());
        thread::Builder::new().name("lookup".into()).spawn(move || {
            for batch in raw_batches {
                let retry_rules = retry_rules.as_ref();
                let parsed = parse_batch(batch, rules, &format, retry_rules, Some(&prefetcher));
                let is_last = !matches!(parsed, Ok(Some(_)));
                if sender.blocking_send(parsed).is_err() || is_last {
                    return;
                }
            }
        })?;
    }
    if senders.is_empty() {
        let (sender, receiver) = mpsc::channel(1);
        let (format, retry_rules) = (format.clone(), retry_rules.cloned());
        senders.push(Box::new(move |batch| {
            let parsed = parse_batch(batch, rules, &format, retry_rules.as_ref(), None);
            sender.blocking_send(parsed).is_ok()
        }));
        receivers.push(receiver);
    }
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        for send in senders.iter().cycle() {
            let batch = source.next_batch(BATCH_ROWS).map_err(ReaderError::from);
            let is_last = !matches!(batch, Ok(Some(_)));
            if !send(batch) || is_last {
                break;
            }
        }
        source.trailing_blanks().to_vec()
    })?;
    Ok(ReaderHandle { batches: RoundRobinReceiver::new(receivers), tail })
}

pub(crate) fn parse_batch(
    batch: ReadResult,
    rules: NumberRules,
    format: &RowFormat,
    retry_rules: Option<&RetryRules>,
    prefetcher: Option<&Prefetcher>,
) -> BatchResult<ParsedBatch, ReaderError> {
    let Some(batch) = batch? else { return Ok(None) };
    let batch = format.retain_shard(batch, rules);
    let numbers_per_row =
        NonZeroUsize::new(format.number_cells.count()).unwrap_or(NonZeroUsize::MIN);
    let mut number_cells = Vec::with_capacity(batch.len() * numbers_per_row.get());
    let mut mobiles = Vec::with_capacity(number_cells.capacity());
    let mut judgements = Vec::new();
    for row in 0..batch.len() {
        let judgement = retry_rules
            .map(|retry| retry.judge_row(format, &batch, row, rules))
            .transpose()
            .map_err(|cause| status_error(format, &batch, row, cause))?;
        let is_kept = judgement.and_then(Judgement::kept_status).is_some();
        let mut push = |number: Result<NumberCell, Invalid>| {
            number_cells.push(number.as_ref().copied().map_err(Invalid::kind));
            mobiles.push(number.map(|number| number.mobile));
        };
        if is_kept {
            (0..numbers_per_row.get()).for_each(|_| push(Err(Invalid::Empty)));
        } else {
            format.number_cells.parse(&batch, row, rules).for_each(&mut push);
        }
        judgements.extend(judgement);
    }
    let prefetched = prefetcher.map(|prefetcher| {
        prefetcher.look_up(mobiles.iter().map(|mobile| mobile.as_ref().ok().copied()))
    });
    Ok(Some(RowBatch {
        source_bytes: batch.source_bytes(),
        payload: ParsedBatch { batch, number_cells },
        mobiles,
        numbers_per_row,
        judgements,
        prefetched: prefetched.unwrap_or_default(),
    }))
}

/// The error of a row of a resolved table without a valid status.
pub(crate) fn status_error(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    cause: InvalidStatus,
) -> ReaderError {
    RowStatusError { row: format.row_numbers.locate(batch.line(row)), cause }.into()
}
