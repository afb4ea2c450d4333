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
use crate::domain::number::cell::Entry;
use crate::domain::number::invalid::{Flaw, Refusal};
use crate::domain::number::mobile::{Home, Rules};
use crate::domain::outcome::{RowWithout, Status};
use crate::domain::row_stats::Findings;
use crate::engine::io::batch_receiver::{Coming, Inlet};
use crate::engine::io::row_format::Manner;
use crate::engine::io::unresolved::Basket;
use crate::engine::limits::{SHEET, Sheet};
use crate::engine::reorder::{Answer, Chunk};
use crate::store::disk::prefetch::Ahead;
use crate::table::raw::batch::Batch;
use crate::table::source::{Source, SourceError};
use crate::table::write::sink::{Sink, SinkError};

/// Rows on their way through a run.
#[derive(Debug)]
pub(crate) struct Load {
    /// The rows' text.
    batch: Batch,
    /// What each number cell holds, or why it is not sent; those of one row stand beside each other.
    entries: Vec<Result<Entry, Flaw>>,
}

/// Why no more rows can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row that should have an answer has none.
    #[error(transparent)]
    NoStatus(#[from] RowWithout),
}

/// What comes of reading: sheets, and at the end what stands in the input behind the last row.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The sheets, and what ended them.
    pub sheets: Inlet<Load, FeedError>,
    /// Not to be joined before the sheets have ended: a read of a silent pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Where rows are written.
#[derive(Debug)]
pub(crate) struct Sinks {
    /// Every row, with its answer.
    pub all: Sink,
    /// Those that may succeed on another try, as they came in, where they are asked for.
    pub failed: Option<Sink>,
    /// What the rows that were written have in common.
    pub findings: Findings,
    /// Those of them that got no user id.
    pub misses: Basket,
}

impl Sinks {
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
    fn unchanged(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
        manner: &Manner,
        home: Home,
    ) -> Result<(), SinkError> {
        note_earlier(manner, home, batch, row, status, &mut self.findings, &self.misses);
        self.all.same_row(batch, row)?;
        if let Some(failed) = self.failed.as_mut().filter(|_| status.may_yet_succeed()) {
            failed.bare_row(batch, row)?;
        }
        Ok(())
    }

    /// Writes a row with its answer. `code` is room for a cell.
    fn answered(
        &mut self,
        load: &Load,
        row: usize,
        Answer { nth, outcome, .. }: &Answer,
        manner: &Manner,
        labels: &[String],
        code: &mut String,
    ) -> Result<(), SinkError> {
        code.clear();
        if let Some(known) = &outcome.code {
            // Writing to a string does not fail.
            let _ = write!(code, "{known}");
        }
        let (entry, status) = (load.entry(row, *nth), outcome.status);
        self.findings.row(status, entry.map(|entry| entry.mobile));
        let entry = entry.ok();
        // What is particular to this row's cell is added here: the answer is shared by every row with its number.
        let remark = entry.and_then(|entry| entry.remark(&outcome.message));
        let message = remark.as_deref().unwrap_or(&outcome.message);
        let mobile = entry.map(|entry| entry.mobile);
        self.misses.note(load.batch.line(row), mobile, status, [code, message]);
        let mut cells = vec![&*outcome.userid, &*outcome.exclusive, status.name(), &*code, message];
        if manner.matched {
            let found = labels.get(*nth).filter(|_| status == Status::Found);
            cells.push(found.map(String::as_str).unwrap_or_default());
        }
        let sent = manner.sent.map(|mainland| {
            let asked = entry.filter(|_| status != Status::Pending);
            asked.map(|entry| entry.mobile.sent(mainland)).unwrap_or_default()
        });
        cells.extend(sent.as_deref());
        if let Some(on_file) = manner.on_file(&load.batch, row) {
            let word = Expected::of(on_file, outcome);
            if let Some(word) = word {
                self.findings.expect(word);
            }
            cells.push(word.map_or("", Expected::name));
        }
        match manner.places() {
            Some(places) => {
                let mut cells: Vec<_> = places.iter().copied().zip(cells).collect();
                self.all.changed_row(&load.batch, row, &mut cells)?;
            }
            None => self.all.row(&load.batch, row, &cells)?,
        }
        if let Some(failed) = self.failed.as_mut().filter(|_| status.may_yet_succeed()) {
            failed.bare_row(&load.batch, row)?;
        }
        Ok(())
    }
}

/// Counts a row that keeps the answer which it came with, of this status. Its numbers are read to be
/// kept out of reports, by the lenient rules, since an earlier run may have sent them by those.
pub(crate) fn note_earlier(
    manner: &Manner,
    home: Home,
    batch: &Batch,
    row: usize,
    status: Status,
    findings: &mut Findings,
    misses: &Basket,
) {
    if status != Status::Found {
        let rules = Rules { home, strict: false };
        let cells = batch.cells(row).take(manner.numbers);
        let numbers =
            cells.filter_map(|cell| Entry::read(cell, rules).ok()).map(|entry| entry.mobile);
        misses.note(batch.line(row), numbers, status, manner.said(batch, row));
    }
    if let Some(word) = manner.expected(batch, row) {
        findings.expect(word);
    }
}

/// Where answered rows go.
#[derive(Debug)]
pub(crate) struct Writing {
    /// The rows, in order.
    pub chunks: mpsc::Sender<Chunk<Load>>,
    /// The sinks, once the sender is gone: their owner decides whether they are finished or dropped.
    pub sinks: JoinHandle<Result<Sinks, SinkError>>,
}

/// A batch on its way, or what came instead of it; nothing at the end.
type Read = Result<Option<Batch>, FeedError>;

/// How many threads look ahead: none where one processor would have them in turns, and no more than what follows them keeps up with.
#[must_use]
pub(crate) fn threads_ahead() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if processors == 1 { 0 } else { processors.min(4) }
}

/// Takes a batch on; false where nobody wants any more.
type Lane = Box<dyn Fn(Read) -> bool + Send>;

/// Starts to read. Each of `ahead` is looked at by a thread of its own; where there is none, the one that reads finds the
/// numbers too.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn read(
    mut source: Source,
    rules: Rules,
    manner: &Manner,
    ahead: Vec<Ahead>,
) -> io::Result<Reading> {
    let (mut lanes, mut sheets) = (Vec::<Lane>::new(), Vec::new());
    for ahead in ahead {
        let (lane, batches) = sync_channel::<Read>(1);
        let (sender, sheet) = mpsc::channel(1);
        lanes.push(Box::new(move |batch| lane.send(batch).is_ok()));
        sheets.push(sheet);
        let manner = manner.clone();
        thread::Builder::new().name("lookup".into()).spawn(move || {
            for batch in batches {
                let sheet = numbered(batch, rules, &manner, Some(&ahead));
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
            sender.blocking_send(numbered(batch, rules, &manner, None)).is_ok()
        }));
        sheets.push(sheet);
    }
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        for take in lanes.iter().cycle() {
            let batch = source.next_batch(SHEET).map_err(FeedError::from);
            let goes_on = matches!(batch, Ok(Some(_)));
            if !take(batch) || !goes_on {
                break;
            }
        }
        source.tail().to_vec()
    })?;
    Ok(Reading { sheets: Inlet::of(sheets), tail })
}

fn numbered(
    batch: Read,
    rules: Rules,
    manner: &Manner,
    ahead: Option<&Ahead>,
) -> Coming<Load, FeedError> {
    let Some(batch) = batch? else { return Ok(None) };
    let batch = manner.own(batch, rules);
    let per_row = NonZeroUsize::new(manner.numbers).unwrap_or(NonZeroUsize::MIN);
    let mut entries = Vec::with_capacity(batch.len() * per_row.get());
    let mut numbers = Vec::with_capacity(entries.capacity());
    let mut earlier = Vec::new();
    for row in 0..batch.len() {
        let status = came_with(manner, &batch, row)?;
        let asked = status.is_none_or(Status::may_yet_succeed);
        for cell in batch.cells(row).take(per_row.get()) {
            let entry = if asked { Entry::read(cell, rules) } else { Err(Refusal::Empty) };
            entries.push(entry.as_ref().copied().map_err(Refusal::flaw));
            numbers.push(entry.map(|entry| entry.mobile));
        }
        earlier.extend(status);
    }
    let foreseen =
        ahead.map(|ahead| ahead.look(numbers.iter().map(|number| number.as_ref().ok().copied())));
    let foreseen = foreseen.unwrap_or_default();
    Ok(Some(Sheet { load: Load { batch, entries }, numbers, per_row, earlier, foreseen }))
}

/// The status that a row came with; nothing where rows have none yet.
///
/// # Errors
/// [`FeedError::NoStatus`] where it has to have one and has none.
pub(crate) fn came_with(
    manner: &Manner,
    batch: &Batch,
    row: usize,
) -> Result<Option<Status>, FeedError> {
    let earlier = manner.earlier(batch, row);
    earlier.map_err(|cause| RowWithout { line: batch.line(row), cause }.into())
}

/// Starts to write. `labels` are what rows say of the columns of numbers, and `home` is the region of those without a country
/// code.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn write(
    mut sinks: Sinks,
    home: Home,
    manner: Manner,
    labels: Vec<String>,
) -> io::Result<Writing> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<Load>>(2);
    let sinks = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                if answer.earlier {
                    sinks.unchanged(
                        &chunk.load.batch,
                        row,
                        answer.outcome.status,
                        &manner,
                        home,
                    )?;
                } else {
                    sinks.answered(&chunk.load, row, answer, &manner, &labels, &mut code)?;
                }
            }
            if receiver.is_empty() {
                sinks.all.flush()?;
            }
        }
        Ok(sinks)
    })?;
    Ok(Writing { chunks, sinks })
}

impl Load {
    /// What the `nth` number cell of a row holds, or why it is not sent.
    fn entry(&self, row: usize, nth: usize) -> Result<Entry, Flaw> {
        let per_row = self.entries.len() / self.batch.len().max(1);
        self.entries.get(row * per_row + nth).copied().unwrap_or(Err(Flaw::Empty))
    }
}
