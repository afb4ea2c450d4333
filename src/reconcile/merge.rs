//! Merges the outputs of shards in the order of their input, byte for byte as one run writes it.
//!
//! A row of a shard has the bytes of its input row, followed by the cells of the answer. Rows with
//! the same bytes are in the same shard, since the shard depends only on cells of the input. So the
//! next row of at most one shard begins with the bytes of the next input row.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tr::tr;

use crate::domain::excel;
use crate::domain::number::mobile::NumberRules;
use crate::domain::outcome::Status;
use crate::domain::row_location::RowLocation;
use crate::domain::shard::Shard;
use crate::reconcile::records::RowList;
use crate::table::detect::dialect::Dialect;
use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::raw::encoding::Encoding;
use crate::table::source::{Source, SourceError};
use crate::table::write::cell_edit::Splitter;
use crate::table::write::edited_file::{ReplaceRule, Replaced};
use crate::table::write::sink::{Sink, SinkError};

/// Rows read at a time from each file.
const BATCH_ROWS: usize = 128;
/// The index of the status among the cells of the answer.
const STATUS_CELL: usize = 2;

/// The progress and the stop flag of a merge, shared by its thread and the display.
#[derive(Debug, Default)]
pub(crate) struct MergeProgress {
    stop: AtomicBool,
    rows: AtomicU64,
    /// The output. It is shared so that a stop can remove it while the thread waits for a pipe.
    output: Mutex<Option<Sink>>,
}

impl MergeProgress {
    /// Stops the merge and removes the incomplete output.
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // If a row is being written, the writing thread sees the flag before the next row.
        if let Ok(mut output) = self.output.try_lock() {
            output.take();
        }
    }

    /// Rows of the input that were processed.
    #[must_use]
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    fn lock_output(&self) -> MutexGuard<'_, Option<Sink>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_output(&self, sink: Sink) -> Result<(), MergeError> {
        *self.lock_output() = Some(sink);
        self.check_stop()
    }

    fn write_row(&self, batch: &Batch, row: usize) -> Result<(), MergeError> {
        let mut output = self.lock_output();
        output.as_mut().ok_or(MergeError::Interrupted)?.copy_row(batch, row)?;
        Ok(())
    }

    /// Writes a row of the input with its answer.
    fn write_answer(&self, input: &RowCursor, answer: &[String]) -> Result<(), MergeError> {
        let cells: Vec<_> = answer.iter().map(|cell| excel::unprotect(cell)).collect();
        let mut output = self.lock_output();
        let sink = output.as_mut().ok_or(MergeError::Interrupted)?;
        sink.write_row(&input.batch, input.position, &cells)?;
        Ok(())
    }

    fn check_stop(&self) -> Result<(), MergeError> {
        if self.stop.load(Ordering::SeqCst) {
            self.lock_output().take();
            return Err(MergeError::Interrupted);
        }
        Ok(())
    }

    /// Completes the output with the blank lines after the last row.
    fn finish(&self, trailing_blanks: &[u8], rule: &ReplaceRule) -> Result<Replaced, MergeError> {
        let sink = self.lock_output().take().ok_or(MergeError::Interrupted)?;
        Ok(sink.finish_with(trailing_blanks, rule)?.replaced)
    }
}

/// Why shards cannot be merged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("{name}: {cause}")]
    Unreadable {
        /// For people.
        name: String,
        cause: SourceError,
    },
    /// The header of a shard is not that of the input with the appended columns, or not that of the
    /// first shard.
    #[error("{}", tr!(
        "the header of {name} differs from that of {other}: it was made from another input or with \
         other flags",
        name, other
    ))]
    HeaderMismatch {
        name: String,
        /// The file with the expected header.
        other: String,
    },
    /// A row of a shard is not the next matching row of the input.
    #[error("{}", tr!(
        "{name}, {row}: this row does not match the input; the file was made from another input or \
         with another number of shards, or it was given twice",
        name, row
    ))]
    UnexpectedRow { name: String, row: RowLocation },
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("{}", tr!("interrupted"))]
    Interrupted,
}

/// A file with its name for people.
pub(crate) struct NamedSource {
    pub name: String,
    pub source: Source,
}

/// The rows of a shard without an answer, by their numbers in the input.
#[derive(Debug)]
pub(crate) struct Gap {
    /// Rows that no file has.
    pub missing: RowList,
    /// Rows with the status `pending`.
    pub pending: RowList,
}

/// The result of a merge.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Rows of the input.
    pub rows: u64,
    /// The gaps by shard; all under `None` if the number of shards is unknown. If there is any, no
    /// output was written.
    pub gaps: BTreeMap<Option<Shard>, Gap>,
    /// The name under which an edited file is kept that the output replaced.
    pub kept_as: Option<PathBuf>,
}

/// Creates the output of a merge.
pub(crate) struct MergeOutput<F> {
    /// Creates it for a header.
    pub create: F,
    /// Whether it is a workbook. Its rows are those of the input with their answers; the rows of
    /// text are those of the shards, to the byte.
    pub is_workbook: bool,
}

/// Writes the rows of `shards` in the order of `input`.
/// `any_shard` is a shard of the table if one is known: it gives the number of shards. `rule` is
/// about the file that the output replaces.
pub(crate) fn merge(
    input: NamedSource,
    shards: Vec<NamedSource>,
    (rules, any_shard): (NumberRules, Option<Shard>),
    output: MergeOutput<impl FnOnce(&Header) -> Result<Sink, SinkError>>,
    rule: &ReplaceRule,
    progress: &MergeProgress,
) -> Result<Merged, MergeError> {
    let mut input = RowCursor::new(input);
    let number_cells = input.source.number_cells();
    let Dialect { delimiter, encoding, .. } = *input.source.dialect();
    // All shards are opened with the same encoding.
    let written = shards.first().map_or(encoding, |shard| shard.source.dialect().encoding);
    let mut files = ShardFiles {
        shards: shards.into_iter().map(RowCursor::new).collect(),
        splitter: Splitter::new(delimiter, written),
        input_splitter: Splitter::new(delimiter, encoding),
        expected_prefix: Vec::new(),
        appended_cells: None,
        is_workbook: output.is_workbook,
    };
    progress.set_output((output.create)(&files.output_head(&input)?)?)?;
    let mut merged = Merged { rows: 0, gaps: BTreeMap::new(), kept_as: None };
    while input.has_row()? {
        progress.check_stop()?;
        let state = match files.find_row(&input)? {
            None => RowState::Missing,
            Some(FoundRow { shard, state, answer }) => {
                match answer {
                    Some(answer) => progress.write_answer(&input, &answer)?,
                    None => progress.write_row(&shard.batch, shard.position)?,
                }
                shard.position += 1;
                state
            }
        };
        if state != RowState::Answered {
            let shard = any_shard.map(|shard| {
                shard.shard_for(number_cells.shard_key(&input.batch, input.position, rules))
            });
            let numbers = input.source.row_numbers();
            let gap = merged.gaps.entry(shard).or_insert_with(|| Gap {
                missing: RowList::new(numbers),
                pending: RowList::new(numbers),
            });
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
                row: shard.source.row_numbers().locate(shard.batch.line(shard.position)),
            });
        }
    }
    if merged.gaps.is_empty() {
        // Every shard has the trailing blank lines of the input.
        let first = files.shards.first();
        let tail = first.map_or(&[][..], |shard| shard.source.trailing_blanks());
        merged.kept_as = progress.finish(tail, rule)?.kept_as;
    }
    Ok(merged)
}

struct ShardFiles {
    shards: Vec<RowCursor>,
    splitter: Splitter,
    input_splitter: Splitter,
    /// The bytes with which the row for the current input row begins: those of the input row,
    /// padded with empty cells, and a delimiter.
    expected_prefix: Vec<u8>,
    /// The number of cells that follow in every row. `None` before the first match.
    appended_cells: Option<usize>,
    is_workbook: bool,
}

/// The row of a shard for an input row.
struct FoundRow<'a> {
    shard: &'a mut RowCursor,
    state: RowState,
    /// Its answer, if the output is a workbook.
    answer: Option<Vec<String>>,
}

/// The state of an input row in the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowState {
    Answered,
    Pending,
    Missing,
}

impl ShardFiles {
    /// Returns the header of the output, after checking that all shards have it.
    fn output_head(&mut self, input: &RowCursor) -> Result<Header, MergeError> {
        let head = input.source.header();
        let Some(first) = self.shards.first() else {
            return Ok(Header { appended_names: None, ..head.clone() });
        };
        let written = first.source.header();
        encode_prefix(&mut self.expected_prefix, (&head.raw, head.encoding), written.encoding);
        if head.appended_names.is_some() {
            written.encoding.encode(&head.delimiter.to_string(), &mut self.expected_prefix);
        }
        for shard in &self.shards {
            let own = shard.source.header();
            let differs_from = |other: &RowCursor| MergeError::HeaderMismatch {
                name: shard.name.clone(),
                other: other.name.clone(),
            };
            if !own.raw.starts_with(&self.expected_prefix) {
                return Err(differs_from(input));
            }
            if (&own.bom, &own.raw, &own.terminator)
                != (&written.bom, &written.raw, &written.terminator)
            {
                return Err(differs_from(first));
            }
        }
        if self.is_workbook {
            let names = head
                .appended_names
                .as_ref()
                .map(|_| written.first_row.iter().skip(head.first_row.len()).cloned().collect());
            return Ok(Header { appended_names: names, ..head.clone() });
        }
        Ok(Header { appended_names: None, ..written.clone() })
    }

    /// Finds the shard whose next row begins with the current input row.
    fn find_row(&mut self, input: &RowCursor) -> Result<Option<FoundRow<'_>>, MergeError> {
        let is_workbook = self.is_workbook;
        let Self { shards, splitter, input_splitter, expected_prefix, appended_cells, .. } = self;
        let Some(first) = shards.first() else { return Ok(None) };
        let encoding = first.source.dialect().encoding;
        let (raw, from) = input.raw();
        let delimiters = input.batch.answer_delimiters(input.position);
        // The cells before the answer.
        let width = input_splitter.cell_ranges(raw).len() + delimiters - 1;
        encode_prefix(expected_prefix, (raw, from), encoding);
        let delimiter = input.source.dialect().delimiter.to_string();
        encoding.encode(&delimiter.repeat(delimiters), expected_prefix);
        for shard in shards {
            if !shard.has_row()? || !shard.raw().0.starts_with(expected_prefix) {
                continue;
            }
            let (raw, encoding) = shard.raw();
            let ranges = splitter.cell_ranges(raw);
            let Some(appended) = ranges.len().checked_sub(width) else { continue };
            if appended_cells.is_some_and(|expected| appended != expected) {
                continue;
            }
            // A row without a status cell is not from a shard's output.
            let Some(status) = ranges.get(width + STATUS_CELL) else { continue };
            *appended_cells = Some(appended);
            let is_pending = encoding.decode(&raw[status.clone()]) == Status::Pending.name();
            let state = if is_pending { RowState::Pending } else { RowState::Answered };
            let answer = is_workbook.then(|| splitter.cells(raw).split_off(width));
            return Ok(Some(FoundRow { shard, state, answer }));
        }
        Ok(None)
    }
}

/// Replaces `prefix` by `raw`, converted from one encoding to another.
fn encode_prefix(prefix: &mut Vec<u8>, (raw, from): (&[u8], Encoding), to: Encoding) {
    prefix.clear();
    if from == to {
        prefix.extend_from_slice(raw);
    } else {
        to.encode(&from.decode(raw), prefix);
    }
}

/// Iterates over the rows of a file.
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

    /// Whether there is a row at `position`; reads the next batch if needed.
    fn has_row(&mut self) -> Result<bool, MergeError> {
        while self.position >= self.batch.len() && !self.ended {
            let batch = self.source.next_batch(BATCH_ROWS);
            self.position = 0;
            match batch {
                Ok(Some(batch)) => self.batch = batch,
                Ok(None) => (self.batch, self.ended) = (Batch::default(), true),
                Err(cause) => {
                    return Err(MergeError::Unreadable { name: self.name.clone(), cause });
                }
            }
        }
        Ok(!self.ended)
    }

    fn raw(&self) -> (&[u8], Encoding) {
        (self.batch.content(self.position), self.source.dialect().encoding)
    }
}
