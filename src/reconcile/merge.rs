//! Shards put together again: the rows of several outputs, in the order of the input that they were made of, byte for byte what
//! one run would have written. Owns finding the row that continues one of the input. Leaves which files those are to `app::merge`.
//!
//! A row of a shard is a row of the input, with the same bytes, and an answer's cells behind it. Rows that begin alike fall to one
//! shard, since the cells with numbers are among the first ones that every row has: so the next row of no more than one shard
//! begins with what the input is at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tr::tr;

use crate::domain::number::mobile::NumberRules;
use crate::domain::outcome::Status;
use crate::domain::shard::{Shard, ShardKey};
use crate::reconcile::records::LineNumbers;
use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::raw::encoding::Encoding;
use crate::table::source::{Source, SourceError};
use crate::table::write::cell_edit::{self, Splitter};
use crate::table::write::sink::{Sink, SinkError};

/// So many rows are read at once, of each file.
const BATCH_ROWS: usize = 128;
/// Where the status is among an answer's cells.
const STATUS_CELL: usize = 2;

/// How far the work is, and whether it should stop: what the thread that works and the one that shows it share.
#[derive(Debug, Default)]
pub(crate) struct MergeProgress {
    stop: AtomicBool,
    rows: AtomicU64,
    /// What is written. It is here, and not with the rows, since the thread that reads them may wait for a silent pipe for ever.
    output: Mutex<Option<Sink>>,
}

impl MergeProgress {
    /// Asks the work to stop, and removes what was begun of the output.
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // Where a row is being written the one who writes it sees that he should stop.
        if let Ok(mut output) = self.output.try_lock() {
            output.take();
        }
    }

    /// How many rows of the input were looked for.
    #[must_use]
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    fn lock_output(&self) -> MutexGuard<'_, Option<Sink>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to write.
    fn set_output(&self, sink: Sink) -> Result<(), MergeError> {
        *self.lock_output() = Some(sink);
        self.check_stop()
    }

    /// Writes a row of a shard.
    fn write_row(&self, batch: &Batch, row: usize) -> Result<(), MergeError> {
        let mut output = self.lock_output();
        output.as_mut().ok_or(MergeError::Interrupted)?.copy_row(batch, row)?;
        Ok(())
    }

    fn check_stop(&self) -> Result<(), MergeError> {
        if self.stop.load(Ordering::SeqCst) {
            self.lock_output().take();
            return Err(MergeError::Interrupted);
        }
        Ok(())
    }

    /// Ends the table with what stands behind the last row.
    fn finish(&self, tail: &[u8]) -> Result<(), MergeError> {
        let sink = self.lock_output().take().ok_or(MergeError::Interrupted)?;
        sink.finish(tail)?;
        Ok(())
    }
}

/// Why shards do not become one table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    /// A file cannot be read.
    #[error("{name}: {cause}")]
    Unreadable {
        /// What to call it.
        name: String,
        /// Why.
        cause: SourceError,
    },
    /// A shard's first lines are not those of the input with the columns of answers behind them, or not those of the first shard.
    #[error("{}", tr!(
        "{name} begins otherwise than {other} does: it was made of another input, or with other flags", name, other
    ))]
    HeaderMismatch {
        /// What to call it.
        name: String,
        /// The file that it should be like.
        other: String,
    },
    /// Rows of a shard are not in the input where they are due.
    #[error("{}", tr!(
        "{name}, line {line}: the input has no such row where it is due; was this made of another input, by another number of shards, or given twice?",
        name, line
    ))]
    UnexpectedRow {
        /// What to call it.
        name: String,
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
    /// The table cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Somebody wants it to end.
    #[error("{}", tr!("interrupted"))]
    Interrupted,
}

/// A file with a name for people.
pub(crate) struct NamedSource {
    /// What to call it.
    pub name: String,
    /// Its rows.
    pub source: Source,
}

/// What a shard lacks.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    /// Rows that are in no file, by their lines in the input.
    pub missing: LineNumbers,
    /// Rows that the run did not come to.
    pub pending: LineNumbers,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Merged {
    /// How many rows the input has.
    pub rows: u64,
    /// What shards lack, which are not told apart where it is not known how many there are. Where there is anything, no table
    /// was written.
    pub gaps: BTreeMap<Option<Shard>, Gap>,
}

/// Writes the rows of `shards` in the order of `input` to what `sink` makes of the first lines. `rules` say what a number is,
/// and `one` is any shard of the table, where one is known.
///
/// # Errors
/// [`MergeError`]; then what was written is no table.
pub(crate) fn merge(
    input: NamedSource,
    shards: Vec<NamedSource>,
    (rules, one): (NumberRules, Option<Shard>),
    sink: impl FnOnce(&Header) -> Result<Sink, SinkError>,
    progress: &MergeProgress,
) -> Result<Merged, MergeError> {
    let mut input = RowCursor::new(input);
    let mut files = ShardFiles {
        shards: shards.into_iter().map(RowCursor::new).collect(),
        splitter: Splitter::new(input.source.dialect().delimiter),
        expected_prefix: Vec::new(),
        appended_cells: None,
    };
    progress.set_output(sink(&files.output_head(&input)?)?)?;
    let mut merged = Merged { rows: 0, gaps: BTreeMap::new() };
    while input.has_row()? {
        progress.check_stop()?;
        let state = match files.find_row(&input)? {
            None => RowState::Missing,
            Some((shard, state)) => {
                progress.write_row(&shard.batch, shard.position)?;
                shard.position += 1;
                state
            }
        };
        if state != RowState::Answered {
            let shard = one.map(|one| {
                one.shard_for(ShardKey::from_cells(input.batch.cells(input.position), rules))
            });
            let gap = merged.gaps.entry(shard).or_default();
            let lines =
                if state == RowState::Pending { &mut gap.pending } else { &mut gap.missing };
            lines.add(input.batch.line(input.position));
        }
        input.position += 1;
        merged.rows += 1;
        progress.rows.fetch_add(1, Ordering::Relaxed);
    }
    for shard in &mut files.shards {
        if shard.has_row()? {
            return Err(MergeError::UnexpectedRow {
                name: shard.name.clone(),
                line: shard.batch.line(shard.position),
            });
        }
    }
    if merged.gaps.is_empty() {
        // Every shard ends as the input does.
        progress.finish(
            files.shards.first().map(|shard| shard.source.trailing_blanks()).unwrap_or_default(),
        )?;
    }
    Ok(merged)
}

/// The shards' files.
struct ShardFiles {
    shards: Vec<RowCursor>,
    splitter: Splitter,
    /// What the row begins with that is looked for: that of the input, with what it lacks of cells, and a delimiter.
    expected_prefix: Vec<u8>,
    /// How many cells are behind those of the input in every row, once there was one that says so.
    appended_cells: Option<usize>,
}

/// What became of a row of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowState {
    Answered,
    Pending,
    Missing,
}

impl ShardFiles {
    /// What all begin with: the input's first lines, with the names of the answers' columns behind the header.
    fn output_head(&mut self, input: &RowCursor) -> Result<Header, MergeError> {
        let head = input.source.header();
        let Some(first) = self.shards.first() else {
            return Ok(Header { appended_names: None, ..head.clone() });
        };
        let written = first.source.header();
        encode_prefix(&mut self.expected_prefix, (&head.raw, head.encoding), written.encoding);
        if head.appended_names.is_some() {
            written
                .encoding
                .encode(&char::from(head.delimiter).to_string(), &mut self.expected_prefix);
        }
        for shard in &self.shards {
            let own = shard.source.header();
            let unlike = |other: &RowCursor| MergeError::HeaderMismatch {
                name: shard.name.clone(),
                other: other.name.clone(),
            };
            if !own.raw.starts_with(&self.expected_prefix) {
                return Err(unlike(input));
            }
            if (&own.bom, &own.raw, &own.terminator)
                != (&written.bom, &written.raw, &written.terminator)
            {
                return Err(unlike(first));
            }
        }
        Ok(Header { appended_names: None, ..written.clone() })
    }

    /// The shard whose next row continues the one that the input is at, if there is one, and what became of that.
    fn find_row(
        &mut self,
        input: &RowCursor,
    ) -> Result<Option<(&mut RowCursor, RowState)>, MergeError> {
        let Self { shards, splitter, expected_prefix: due, appended_cells: appended } = self;
        let Some(first) = shards.first() else { return Ok(None) };
        let encoding = first.source.dialect().encoding;
        let (raw, from) = input.raw();
        let missing = input.batch.missing_cells(input.position);
        let width = splitter.cell_ends(raw, from).len() + missing;
        encode_prefix(due, (raw, from), encoding);
        let delimiter = char::from(input.source.dialect().delimiter).to_string();
        encoding.encode(&delimiter.repeat(missing + 1), due);
        for shard in shards {
            if shard.has_row()? && shard.raw().0.starts_with(due) {
                let (raw, encoding) = shard.raw();
                let ends = splitter.cell_ends(raw, encoding);
                let behind = ends.len().checked_sub(width);
                if behind.is_some() && appended.is_none_or(|appended| behind == Some(appended)) {
                    *appended = behind;
                    let place =
                        cell_edit::cell_range(&ends, width + STATUS_CELL, encoding.code_unit_len());
                    let status =
                        place.and_then(|(start, end)| raw.get(start..end)).unwrap_or_default();
                    let pending = encoding.decode(status) == Status::Pending.name();
                    return Ok(Some((
                        shard,
                        if pending { RowState::Pending } else { RowState::Answered },
                    )));
                }
            }
        }
        Ok(None)
    }
}

/// Puts `raw`, which is written in `from`, into `due` as an output in `to` has it.
fn encode_prefix(due: &mut Vec<u8>, (raw, from): (&[u8], Encoding), to: Encoding) {
    due.clear();
    if from == to {
        due.extend_from_slice(raw);
    } else {
        to.encode(&from.decode(raw), due);
    }
}

/// The rows of a file, one at a time.
struct RowCursor {
    name: String,
    source: Source,
    batch: Batch,
    position: usize,
    ended: bool,
}

impl RowCursor {
    fn new(NamedSource { name, source }: NamedSource) -> Self {
        Self { name, source, batch: Batch::default(), position: 0, ended: false }
    }

    /// Whether there is a row.
    fn has_row(&mut self) -> Result<bool, MergeError> {
        while self.position >= self.batch.len() && !self.ended {
            let batch = self.source.next_batch(BATCH_ROWS);
            let batch =
                batch.map_err(|cause| MergeError::Unreadable { name: self.name.clone(), cause })?;
            self.ended = batch.is_none();
            (self.batch, self.position) = (batch.unwrap_or_default(), 0);
        }
        Ok(!self.ended)
    }

    fn raw(&self) -> (&[u8], Encoding) {
        (self.batch.content(self.position), self.source.dialect().encoding)
    }
}
