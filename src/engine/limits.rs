//! What a run is given: the limits that the user set, and batches of rows.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::judgement::Judgement;
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::engine::backoff::RetryPolicy;
use crate::store::disk::prefetch::Prefetched;

/// The largest batch, in rows: a fraction of the smallest window (1024), so that the window fills.
pub const BATCH_ROWS: usize = 128;

/// Rows as they are read.
#[derive(Debug)]
pub struct RowBatch<L> {
    /// The text of the rows.
    pub payload: L,
    /// The numbers of the rows, or why a cell has none: those of one row are adjacent, in the order
    /// in which they are tried.
    pub mobiles: Vec<Result<Mobile, Invalid>>,
    pub numbers_per_row: NonZeroUsize,
    /// What becomes of the answers that the rows already have, one per row; empty if the table has
    /// none yet.
    pub judgements: Vec<Judgement>,
    /// How many bytes of the input the rows take.
    pub source_bytes: u64,
    /// The stored answers of the numbers, if they were looked up.
    pub prefetched: Prefetched,
}

/// The limits of a run.
#[derive(Clone)]
pub struct RunLimits {
    /// Most calls in flight, at least 1.
    pub workers: usize,
    /// Most rows read and not yet sent to the writer; a single batch may be larger.
    pub window: usize,
    pub retry_policy: RetryPolicy,
    /// Most time that throttling may pause the run in total.
    pub patience: Duration,
    /// Most lookups, retries included.
    pub max_calls: Option<u64>,
    /// Whether a run that stops early still sends all rows, open rows as pending.
    pub partial: bool,
    /// Whether an interrupted run that sends all rows reads its input to the end: not a pipe, which
    /// may never end.
    pub read_to_end: bool,
    /// The seed of all jitter.
    pub seed: u64,
    /// The wall clock, for the end times that the API names.
    pub wall_clock: fn() -> Timestamp,
}
