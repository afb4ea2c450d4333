//! Shards put together again: the rows of several outputs, in the order of the input that they were made of, byte for byte what
//! one run would have written. Owns finding the row that continues one of the input. Leaves which files those are to `app::merge`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tr::tr;

use crate::reconcile::reading::Lines;
use crate::table::batch::Batch;
use crate::table::encoding::Encoding;
use crate::table::head::Head;
use crate::table::sink::{Sink, SinkError};
use crate::table::source::{Source, SourceError};
use crate::table::splice;

/// So many rows are read at once, of each file.
const SHEET: usize = 128;

/// How far the work is, and whether it should stop. Counts only grow.
#[derive(Debug, Default)]
pub struct Progress {
    /// Whether somebody wants it to end.
    pub stop: AtomicBool,
    /// How many rows of the input were looked for.
    pub rows: AtomicU64,
}

/// Why shards do not become one table.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
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
    Unlike {
        /// What to call it.
        name: String,
        /// The file that it should be like.
        other: String,
    },
    /// Rows of a shard are not in the input where they are due.
    #[error("{}", tr!(
        "{name}, line {line}: the input has no such row where it is due; is this a shard of another input, or the same one given twice?",
        name, line
    ))]
    Foreign {
        /// What to call it.
        name: String,
        /// The line on which the row starts, counted from 1.
        line: u64,
    },
    /// Rows of the input are in no shard.
    #[error("{}", tr!("no shard has {rows} of the input", rows = .0))]
    Missing(Lines),
    /// The table cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Somebody wants it to end.
    #[error("{}", tr!("interrupted"))]
    Interrupted,
}

/// A file with a name for people.
pub struct Named {
    /// What to call it.
    pub name: String,
    /// Its rows.
    pub source: Source,
}

/// Writes the rows of `shards` in the order of `input` to what `sink` makes of the first lines: how many there are.
///
/// # Errors
/// [`MergeError`]; then what was written is no table.
pub fn merge(
    input: Named,
    shards: Vec<Named>,
    sink: impl FnOnce(&Head) -> Result<Sink, SinkError>,
    progress: &Progress,
) -> Result<u64, MergeError> {
    let mut shards: Vec<_> = shards.into_iter().map(Rows::of).collect();
    let mut input = Rows::of(input);
    let mut sink = sink(&beginning(&input, &shards)?)?;
    let (mut rows, mut missing) = (0, Lines::default());
    while input.is_there()? {
        if progress.stop.load(Ordering::Relaxed) {
            return Err(MergeError::Interrupted);
        }
        match next(&mut shards, &input)? {
            Some(shard) => {
                sink.same_row(&shard.batch, shard.at)?;
                shard.at += 1;
            }
            None => missing.add(input.batch.line(input.at)),
        }
        input.at += 1;
        rows += 1;
        progress.rows.fetch_add(1, Ordering::Relaxed);
    }
    for shard in &mut shards {
        if shard.is_there()? {
            return Err(MergeError::Foreign { name: shard.name.clone(), line: shard.batch.line(shard.at) });
        }
    }
    if missing.count > 0 {
        return Err(MergeError::Missing(missing));
    }
    // Every shard ends as the input does.
    sink.finish(shards.first().map(|shard| shard.source.tail()).unwrap_or_default())?;
    Ok(rows)
}

/// What all shards begin with: the input's first lines, with the names of the answers' columns behind the header.
fn beginning(input: &Rows, shards: &[Rows]) -> Result<Head, MergeError> {
    let head = input.source.head();
    let Some(first) = shards.first() else { return Ok(head.clone()) };
    for shard in shards {
        let own = shard.source.head();
        let as_others = (&own.mark, &own.raw, &own.terminator) == {
            let first = first.source.head();
            (&first.mark, &first.raw, &first.terminator)
        };
        let unlike = |other: &Rows| MergeError::Unlike { name: shard.name.clone(), other: other.name.clone() };
        if !begins((&own.raw, own.encoding), (&head.raw, head.encoding)) {
            return Err(unlike(input));
        }
        if !as_others {
            return Err(unlike(first));
        }
    }
    Ok(Head { names: None, ..first.source.head().clone() })
}

/// The shard whose next row continues the one that the input is at.
fn next<'a>(shards: &'a mut [Rows], input: &Rows) -> Result<Option<&'a mut Rows>, MergeError> {
    for shard in shards {
        if shard.is_there()? && shard.continues(input) {
            return Ok(Some(shard));
        }
    }
    Ok(None)
}

/// Whether some bytes begin with others, as these are written in their encoding.
fn begins((whole, to): (&[u8], Encoding), (part, from): (&[u8], Encoding)) -> bool {
    if from == to {
        return whole.starts_with(part);
    }
    let mut written = Vec::new();
    to.encode(&from.decode(part), &mut written);
    whole.starts_with(&written)
}

/// The rows of a file, one at a time.
struct Rows {
    name: String,
    source: Source,
    batch: Batch,
    at: usize,
    ended: bool,
    /// How many cells are behind those of the input, once a row was met that says so.
    appended: Option<usize>,
}

impl Rows {
    fn of(Named { name, source }: Named) -> Self {
        Self { name, source, batch: Batch::default(), at: 0, ended: false, appended: None }
    }

    /// Whether there is a row.
    fn is_there(&mut self) -> Result<bool, MergeError> {
        while self.at >= self.batch.len() && !self.ended {
            let batch = self.source.next_batch(SHEET);
            let batch = batch.map_err(|cause| MergeError::Unreadable { name: self.name.clone(), cause })?;
            self.ended = batch.is_none();
            (self.batch, self.at) = (batch.unwrap_or_default(), 0);
        }
        Ok(!self.ended)
    }

    fn raw(&self) -> (&[u8], Encoding) {
        (self.batch.raw(self.at), self.source.dialect().encoding)
    }

    /// How many cells the row has.
    fn width(&self) -> usize {
        let (raw, encoding) = self.raw();
        splice::ends(raw, encoding, self.source.dialect().delimiter).len()
    }

    /// Whether the row is one of the input with cells behind it, as many for every row.
    fn continues(&mut self, row: &Self) -> bool {
        if !begins(self.raw(), row.raw()) {
            return false;
        }
        let found = self.width().checked_sub(row.width() + row.batch.missing(row.at)).filter(|cells| *cells > 0);
        let fits = found.is_some() && self.appended.is_none_or(|appended| found == Some(appended));
        if fits {
            self.appended = found;
        }
        fits
    }
}
