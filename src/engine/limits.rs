//! What a run is given: the bounds that the user set, and rows in the form in which they come.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;
use crate::engine::backoff::RetryPolicy;
use crate::store::disk::prefetch::Prefetched;

/// The most rows that one sheet should have: a small part of the smallest window, so that the window fills.
pub const BATCH_ROWS: usize = 128;

/// Rows as they come in: whatever their text is in, and each row's numbers or the reasons why it has none.
#[derive(Debug)]
pub struct RowBatch<L> {
    /// What the rows' text is in.
    pub payload: L,
    /// The rows' numbers, those of one row beside each other in the order in which they are tried.
    pub mobiles: Vec<Result<Mobile, Invalid>>,
    /// How many numbers each row has, at least 1.
    pub numbers_per_row: NonZeroUsize,
    /// The statuses that the rows came with, one each; nothing where rows have none yet.
    pub earlier_statuses: Vec<Status>,
    /// What was found when the numbers were looked up, where somebody did.
    pub prefetched: Prefetched,
}

/// What bounds a run.
#[derive(Clone)]
pub struct RunLimits {
    /// Calls in flight at most, from 1.
    pub workers: usize,
    /// Rows read and not yet handed on at most; a sheet that is larger by itself is taken all the same.
    pub window: usize,
    /// Backoff.
    pub retry_policy: RetryPolicy,
    /// How long throttling may hold the run in all.
    pub patience: Duration,
    /// Calls of the directory at most.
    pub max_calls: Option<u64>,
    /// Whether a run that stops early still hands on all rows, the open ones as pending.
    pub partial: bool,
    /// Whether a run that is interrupted reads on to the input's end where it hands on all rows: not from a pipe, which
    /// may never end.
    pub read_to_end: bool,
    /// The seed of all jitter.
    pub seed: u64,
    /// The wall clock, for the ends of penalties.
    pub wall_clock: fn() -> Timestamp,
}
