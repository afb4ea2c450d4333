//! Floor 3, several resolved tables together: two against each other, or the shards of one. In memory that does not grow
//! with them. Blocking.

pub(crate) mod diff;
pub(crate) mod external_sort;
pub(crate) mod merge;
pub(crate) mod progress;
pub(crate) mod records;
