//! Floor 2, what is already known: in memory for the length of a run, or in an embedded database that outlives it.
//! Blocking; a lookup is short, and commits are made on a thread of their own.

pub mod answers;
pub mod disk;
pub mod freshness;
pub mod memory;
pub mod scope;
