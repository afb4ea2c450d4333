//! Floor 1, the rules. Pure: no clock, no randomness, no I/O, no async.

pub mod diff;
pub mod expected;
pub mod latency;
pub mod number;
pub mod outcome;
pub mod percent;
pub mod reply;
pub mod row_stats;
pub mod shard;
pub mod totals;
pub mod verdict;
