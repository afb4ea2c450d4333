//! The state file: answers and sessions in an embedded database that survives kills and power cuts.

pub mod database;
pub mod disk_store;
pub mod lock;
pub mod maintenance;
pub mod prefetch;
pub mod read_only;
pub mod record;
pub mod sessions;
pub mod usable;
pub mod writer;
