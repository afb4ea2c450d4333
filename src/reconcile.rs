//! Floor 3, several resolved tables together: two against each other, or the shards of one. In memory that does not grow
//! with them. Blocking.

pub mod diff;
pub mod external_sort;
pub mod merge;
pub mod progress;
pub mod records;
