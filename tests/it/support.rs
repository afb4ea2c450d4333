//! What the tests are built from: the executable, sandboxes, servers, fixtures.

pub(crate) mod chromium;
pub(crate) mod compression;
pub(crate) mod excel_workbook;
pub(crate) mod expected_rows;
pub(crate) mod interrupted_runs;
pub(crate) mod network_servers;
pub(crate) mod observed_run;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod quota_fixture;
pub(crate) mod random_workbook;
pub(crate) mod raw_server;
pub(crate) mod redis;
pub(crate) mod roster_workbook;
pub(crate) mod rows;
pub(crate) mod rust_tokens;
pub(crate) mod sample_files;
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod sim_harness;
pub(crate) mod stall_monitor;
pub(crate) mod workbook;
pub(crate) mod workbook_checker;
pub(crate) mod workdir;
