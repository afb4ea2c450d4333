//! The state file: answers and sessions in an embedded database that survives kills and power cuts.

pub(crate) mod database;
pub(crate) mod disk_store;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod output_records;
pub(crate) mod prefetch;
pub(crate) mod read_only;
pub(crate) mod record;
pub(crate) mod resolved_files;
pub(crate) mod sessions;
pub(crate) mod writer;
