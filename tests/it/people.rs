//! What people read: messages, translations, terminal, reports, log, README.

pub(crate) mod chinese;
pub(crate) mod hints;
pub(crate) mod log_file;
pub(crate) mod progress;
pub(crate) mod readme;
pub(crate) mod redaction;
pub(crate) mod report;
pub(crate) mod summary_json;
pub(crate) mod terminal;
pub(crate) mod translations;
