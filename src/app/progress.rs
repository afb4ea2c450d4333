//! What a run shows while it is going on: bar, progress lines, log.

pub mod background;
pub mod bar;
pub mod log;
pub mod snapshot;
pub mod terminal;
pub mod tracker;
