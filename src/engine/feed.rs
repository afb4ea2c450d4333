//! The two threads at the ends of a run: one reads batches and finds each row's number, one writes answered rows.
//! Batches, never rows, pass between threads (DESIGN 7), through queues that hold one or two.

use std::fmt::Write as _;
use std::io;
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::entry::Entry;
use crate::domain::mobile::{Mainland, Mobile, Rules};
use crate::domain::outcome::{Outcome, Status};
use crate::engine::pipeline::Inlet;
use crate::engine::reorder::{Answer, Chunk};
use crate::engine::settings::{SHEET, Sheet};
use crate::table::batch::Batch;
use crate::table::sink::{Sink, SinkError};
use crate::table::source::{Source, SourceError};

/// Rows on their way through a run.
#[derive(Debug)]
pub struct Load {
    /// The rows' text.
    batch: Batch,
    /// What each number cell holds, where it can be sent; those of one row stand beside each other.
    entries: Vec<Option<Entry>>,
}

/// What rows get behind the usual five cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Further {
    /// Whether rows say in which of several columns the number that was found stood.
    pub matched: bool,
    /// How mainland numbers are sent, where rows say what was sent.
    pub sent: Option<Mainland>,
}

impl Further {
    /// The names of those columns, in the order of the cells.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let names = [("matched_column", self.matched), ("mobile_sent", self.sent.is_some())];
        names.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
    }
}

/// What comes of reading: sheets, and at the end what stands in the input behind the last row.
#[derive(Debug)]
pub struct Reading {
    /// The sheets, and what ended them.
    pub sheets: Inlet<Load, SourceError>,
    /// Not to be joined before the sheets have ended: a read of a silent pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Where rows are written.
#[derive(Debug)]
pub struct Sinks {
    /// Every row, with its answer.
    pub all: Sink,
    /// Those that may succeed on another try, as they came in, where they are asked for.
    pub failed: Option<Sink>,
}

impl Sinks {
    /// Ends both, the one of every row with `tail`: how many characters of the input its encoding lacked.
    ///
    /// # Errors
    /// [`SinkError`] when the system refuses the bytes or a name.
    pub fn finish(self, tail: &[u8]) -> Result<u64, SinkError> {
        let lacking = self.all.finish(tail)?;
        // Last, since it is the lesser loss.
        self.failed.map(|failed| failed.finish(&[])).transpose()?;
        Ok(lacking)
    }
}

/// Where answered rows go.
#[derive(Debug)]
pub struct Writing {
    /// The rows, in order.
    pub chunks: mpsc::Sender<Chunk<Load>>,
    /// The sinks, once the sender is gone: their owner decides whether they are finished or dropped.
    pub sinks: JoinHandle<Result<Sinks, SinkError>>,
}

/// A row that gets no user id, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Miss<'a> {
    /// The line of the input on which it starts, from 1.
    pub line: u64,
    /// The number that its answer is about; none where no cell has one that can be sent.
    pub mobile: Option<Mobile>,
    /// Its answer.
    pub outcome: &'a Outcome,
    /// Its `errmsg`, which may quote the cell.
    pub message: &'a str,
}

/// Starts to read.
///
/// # Errors
/// Where the system gives no thread.
pub fn read(mut source: Source, rules: Rules) -> io::Result<Reading> {
    let (sender, sheets) = mpsc::channel(1);
    let per_row = NonZeroUsize::new(source.columns().len()).unwrap_or(NonZeroUsize::MIN);
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        loop {
            let sheet =
                source.next_batch(SHEET).map(|batch| batch.map(|batch| numbered(batch, rules, per_row)));
            let goes_on = matches!(sheet, Ok(Some(_)));
            if sender.blocking_send(sheet).is_err() || !goes_on {
                return source.tail().to_vec();
            }
        }
    })?;
    Ok(Reading { sheets, tail })
}

fn numbered(batch: Batch, rules: Rules, per_row: NonZeroUsize) -> Sheet<Load> {
    let mut entries = Vec::with_capacity(batch.len() * per_row.get());
    let mut numbers = Vec::with_capacity(entries.capacity());
    for cell in (0..batch.len()).flat_map(|row| batch.cells(row)) {
        let entry = Entry::read(cell, rules);
        entries.push(entry.as_ref().ok().copied());
        numbers.push(entry.map(|entry| entry.mobile));
    }
    Sheet { load: Load { batch, entries }, numbers, per_row }
}

/// Starts to write. `labels` are what rows say of the columns of numbers; `note` is told of the rows without a user id, in the
/// order of the input.
///
/// # Errors
/// Where the system gives no thread.
pub fn write(
    mut sinks: Sinks,
    further: Further,
    labels: Vec<String>,
    mut note: impl FnMut(&Miss<'_>) + Send + 'static,
) -> io::Result<Writing> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<Load>>(2);
    let sinks = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            for (row, Answer { nth, outcome }) in chunk.rows.zip(&chunk.answers) {
                code.clear();
                if let Some(known) = &outcome.code {
                    // Writing to a string does not fail.
                    let _ = write!(code, "{known}");
                }
                let entry = chunk.load.entry(row, *nth);
                // What is particular to this row's cell is added here: the answer is shared by every row with its
                // number.
                let remark = entry.and_then(|entry| entry.remark(&outcome.message));
                let message = remark.as_deref().unwrap_or(&outcome.message);
                let status = outcome.status;
                if status != Status::Found {
                    let line = chunk.load.batch.line(row);
                    note(&Miss { line, mobile: entry.map(|entry| entry.mobile), outcome, message });
                }
                let mut cells = vec![&*outcome.userid, &*outcome.exclusive, status.name(), &*code, message];
                if further.matched {
                    let found = labels.get(*nth).filter(|_| status == Status::Found);
                    cells.push(found.map(String::as_str).unwrap_or_default());
                }
                let sent = further.sent.map(|mainland| {
                    let asked = entry.filter(|_| status != Status::Pending);
                    asked.map(|entry| entry.mobile.sent(mainland)).unwrap_or_default()
                });
                cells.extend(sent.as_deref());
                sinks.all.row(&chunk.load.batch, row, &cells)?;
                if let Some(failed) = sinks.failed.as_mut().filter(|_| status.may_yet_succeed()) {
                    failed.bare_row(&chunk.load.batch, row)?;
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
    /// What the `nth` number cell of a row holds, where it can be sent.
    fn entry(&self, row: usize, nth: usize) -> Option<Entry> {
        let per_row = self.entries.len() / self.batch.len().max(1);
        self.entries.get(row * per_row + nth).copied().flatten()
    }
}
