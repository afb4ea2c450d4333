//! The rules of numbers, replies and statuses. Pure: no clock, no randomness, no I/O, no async.

pub(crate) mod decimal;
pub(crate) mod diff;
pub(crate) mod excel;
pub(crate) mod expected;
pub(crate) mod float;
pub(crate) mod judgement;
pub(crate) mod latency;
pub(crate) mod number;
pub(crate) mod outcome;
pub(crate) mod percent;
pub(crate) mod redact;
pub(crate) mod reply;
pub(crate) mod rounded_id;
pub(crate) mod row_location;
pub(crate) mod row_stats;
pub(crate) mod shard;
pub(crate) mod status_text;
pub(crate) mod totals;
pub(crate) mod verdict;
