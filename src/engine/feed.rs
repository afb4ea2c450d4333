//! The two threads at the ends of a run: one reads batches and finds each row's number, one writes answered rows.
//! Batches, never rows, pass between threads (DESIGN 7), through queues that hold one or two.

use std::fmt::Write as _;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::mobile::{Home, Mobile};
use crate::engine::pipeline::Inlet;
use crate::engine::reorder::Chunk;
use crate::engine::settings::{SHEET, Sheet};
use crate::table::batch::Batch;
use crate::table::sink::{Sink, SinkError};
use crate::table::source::{Source, SourceError};

/// What comes of reading: sheets, and at the end what stands in the input behind the last row.
#[derive(Debug)]
pub struct Reading {
    /// The sheets, and what ended them.
    pub sheets: Inlet<Batch, SourceError>,
    /// Not to be joined before the sheets have ended: a read of a silent pipe never returns.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Where answered rows go.
#[derive(Debug)]
pub struct Writing {
    /// The rows, in order.
    pub chunks: mpsc::Sender<Chunk<Batch>>,
    /// The sink, once the sender is gone: its owner decides whether it is finished or dropped.
    pub sink: JoinHandle<Result<Sink, SinkError>>,
}

/// Starts to read.
///
/// # Errors
/// Where the system gives no thread.
pub fn read(mut source: Source, home: Home) -> io::Result<Reading> {
    let (sender, sheets) = mpsc::channel(1);
    let tail = thread::Builder::new().name("reader".into()).spawn(move || {
        loop {
            let sheet = source.next_batch(SHEET).map(|batch| batch.map(|batch| numbered(batch, home)));
            let goes_on = matches!(sheet, Ok(Some(_)));
            if sender.blocking_send(sheet).is_err() || !goes_on {
                return source.tail().to_vec();
            }
        }
    })?;
    Ok(Reading { sheets, tail })
}

fn numbered(batch: Batch, home: Home) -> Sheet<Batch> {
    let numbers = (0..batch.len()).map(|row| Mobile::parse(batch.cell(row), home)).collect();
    Sheet { load: batch, numbers }
}

/// Starts to write.
///
/// # Errors
/// Where the system gives no thread.
pub fn write(mut sink: Sink) -> io::Result<Writing> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<Batch>>(2);
    let sink = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                code.clear();
                if let Some(known) = &answer.code {
                    // Writing to a string does not fail.
                    let _ = write!(code, "{known}");
                }
                let cells =
                    [&*answer.userid, &*answer.exclusive, answer.status.name(), &*code, &*answer.message];
                sink.row(&chunk.load, row, cells)?;
            }
            if receiver.is_empty() {
                sink.flush()?;
            }
        }
        Ok(sink)
    })?;
    Ok(Writing { chunks, sink })
}
