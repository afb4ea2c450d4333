//! The command line program: arguments, commands, progress and reports.

pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod exit;
pub(crate) mod format;
pub(crate) mod i18n;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod stdout;
