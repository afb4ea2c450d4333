//! Progress during a run: bar, progress lines and log.

pub(crate) mod background;
pub(crate) mod bar;
pub(crate) mod log;
pub(crate) mod snapshot;
pub(crate) mod terminal;
pub(crate) mod tracker;
