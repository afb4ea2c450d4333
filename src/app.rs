//! Floor 4, the command line: flags as typed become each floor's own options; `terminal` alone writes to
//! standard error.

pub mod cli;
pub mod commands;
pub mod exit;
pub mod i18n;
pub mod progress;
pub mod report;
pub mod signals;
pub mod start;
pub mod stdout;
