//! Floor 4, the command line: flags as typed become each floor's own options; `terminal` alone writes to
//! standard error.

pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod exit;
pub(crate) mod i18n;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod stdout;
