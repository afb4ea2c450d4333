//! Floor 2, what is already known: in memory for the length of a run, or in an embedded database that outlives it.
//! Blocking; a lookup is short, and commits are made on a thread of their own.

pub(crate) mod answers;
pub(crate) mod disk;
pub(crate) mod freshness;
pub(crate) mod memory;
pub(crate) mod scope;
