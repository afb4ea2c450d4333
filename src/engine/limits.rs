//! What a run is given: the bounds that the user set, and rows in the form in which they come.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::number::invalid::Refusal;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;
use crate::engine::backoff::Retries;
use crate::store::disk::prefetch::Foreseen;

/// The most rows that one sheet should have: a small part of the smallest window, so that the window fills.
pub const SHEET: usize = 128;

/// Rows as they come in: whatever their text is in, and each row's numbers or the reasons why it has none.
#[derive(Debug)]
pub struct Sheet<L> {
    /// What the rows' text is in.
    pub load: L,
    /// The rows' numbers, those of one row beside each other in the order in which they are tried.
    pub numbers: Vec<Result<Mobile, Refusal>>,
    /// How many numbers each row has, at least 1.
    pub per_row: NonZeroUsize,
    /// The statuses that the rows came with, one each; nothing where rows have none yet.
    pub earlier: Vec<Status>,
    /// What was found when the numbers were looked up, where somebody did.
    pub foreseen: Foreseen,
}

/// What bounds a run.
#[derive(Clone)]
pub struct Settings {
    /// Calls in flight at most, from 1.
    pub workers: usize,
    /// Rows read and not yet handed on at most; a sheet that is larger by itself is taken all the same.
    pub window: usize,
    /// Backoff.
    pub retries: Retries,
    /// How long throttling may hold the run in all.
    pub patience: Duration,
    /// Calls of the directory at most.
    pub most_calls: Option<u64>,
    /// Whether a run that stops early still hands on all rows, the open ones as pending.
    pub partial: bool,
    /// Whether a run that is interrupted reads on to the input's end where it hands on all rows: not from a pipe, which
    /// may never end.
    pub reads_on: bool,
    /// The seed of all jitter.
    pub seed: u64,
    /// The wall clock, for the ends of penalties.
    pub wall: fn() -> Timestamp,
}
