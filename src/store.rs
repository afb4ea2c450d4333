//! Known answers: in memory for one run, or in an embedded database. Blocking; commits run on their
//! own thread.

pub(crate) mod answers;
pub(crate) mod disk;
pub(crate) mod freshness;
pub(crate) mod memory;
pub(crate) mod scope;
