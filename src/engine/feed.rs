//! The two threads at the ends of a run: one reads batches and finds each row's number, one writes answered rows.
//! Batches, never rows, pass between threads (DESIGN 7), through queues that hold one or two.

use std::fmt::Write as _;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::entry::Entry;
use crate::domain::mobile::Rules;
use crate::engine::pipeline::Inlet;
use crate::engine::reorder::Chunk;
use crate::engine::settings::{SHEET, Sheet};
use crate::table::batch::Batch;
use crate::table::sink::{Sink, SinkError};
use crate::table::source::{Source, SourceError};

/// Rows on their way through a run.
#[derive(Debug)]
pub struct Load {
    /// The rows' text.
    batch: Batch,
    /// What each row's cell holds, where it can be sent.
    entries: Vec<Option<Entry>>,
}

/// What comes of reading: sheets, and at the end what stands in the input behind the last row.
#[derive(Debug)]
pub struct Reading {
    /// The sheets, and what ended them.
    pub sheets: Inlet<Load, SourceError>,
    /// Not to be joined before the sheets have ended: a read of a silent pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Where answered rows go.
#[derive(Debug)]
pub struct Writing {
    /// The rows, in order.
    pub chunks: mpsc::Sender<Chunk<Load>>,
    /// The sink, once the sender is gone: its owner decides whether it is finished or dropped.
    pub sink: JoinHandle<Result<Sink, SinkError>>,
}

/// Starts to read.
///
/// # Errors
/// Where the system gives no thread.
pub fn read(mut source: Source, rules: Rules) -> io::Result<Reading> {
    let (sender, sheets) = mpsc::channel(1);
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        loop {
            let sheet = source.next_batch(SHEET).map(|batch| batch.map(|batch| numbered(batch, rules)));
            let goes_on = matches!(sheet, Ok(Some(_)));
            if sender.blocking_send(sheet).is_err() || !goes_on {
                return source.tail().to_vec();
            }
        }
    })?;
    Ok(Reading { sheets, tail })
}

fn numbered(batch: Batch, rules: Rules) -> Sheet<Load> {
    let mut entries = Vec::with_capacity(batch.len());
    let mut numbers = Vec::with_capacity(batch.len());
    for row in 0..batch.len() {
        let entry = Entry::read(batch.cell(row), rules);
        entries.push(entry.as_ref().ok().copied());
        numbers.push(entry.map(|entry| entry.mobile));
    }
    Sheet { load: Load { batch, entries }, numbers }
}

/// Starts to write.
///
/// # Errors
/// Where the system gives no thread.
pub fn write(mut sink: Sink) -> io::Result<Writing> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<Load>>(2);
    let sink = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                code.clear();
                if let Some(known) = &answer.code {
                    // Writing to a string does not fail.
                    let _ = write!(code, "{known}");
                }
                // What is particular to this row's cell is added here: the answer is shared by every row with its
                // number.
                let entry = chunk.load.entries.get(row).copied().flatten();
                let remark = entry.and_then(|entry| entry.remark(&answer.message));
                let message = remark.as_deref().unwrap_or(&answer.message);
                let cells = [&*answer.userid, &*answer.exclusive, answer.status.name(), &*code, message];
                sink.row(&chunk.load.batch, row, cells)?;
            }
            if receiver.is_empty() {
                sink.flush()?;
            }
        }
        Ok(sink)
    })?;
    Ok(Writing { chunks, sink })
}
