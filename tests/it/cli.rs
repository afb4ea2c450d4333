//! Flags, configuration, help, and the commands that call no API.

mod completion;
mod config;
mod credentials;
mod help;
mod inert_flags;
mod man;
mod plan;
mod sample_jobs;
mod start_at;
mod usage_errors;
