//! Compares two resolved tables, and merges the shards of one, in bounded memory. Blocking.

pub(crate) mod diff;
pub(crate) mod external_sort;
pub(crate) mod merge;
pub(crate) mod progress;
pub(crate) mod records;
