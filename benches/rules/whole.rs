//! Instructions per row of whole runs of the executable: with all answers from the state, and with
//! a call to the sandbox for each row.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dingmap::testing::sandbox::Script;
use dingmap::testing::sandbox::Server;

use crate::instructions::{count_instructions, per_item};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dingmap");
const TOKEN_ENV: (&str, &str) = ("DINGTALK_ACCESS_TOKEN", "sandbox-token");

pub(crate) fn count_whole_runs(dir: &Path) -> [(String, f64); 2] {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server =
        runtime.block_on(Server::start(Script { limit: None, ..Script::default() }, 0)).unwrap();
    let (endpoint, state) = (server.endpoint(), dir.join("state.redb"));
    let common =
        ["-o", "/dev/null", "-j", "64", "-q", "--rate", "unlimited", "--endpoint", &endpoint];
    let with_state: Vec<&OsStr> =
        ["--max-age", "1d", "--state"].iter().map(OsStr::new).chain([state.as_os_str()]).collect();
    let all_args = |input: &Path, more: &[&OsStr]| {
        let args = [OsStr::new("resolve"), input.as_os_str()]
            .into_iter()
            .chain(common.iter().map(OsStr::new));
        args.chain(more.iter().copied()).map(OsStr::to_owned).collect::<Vec<_>>()
    };
    let per_row = |(few, many): (u32, u32), more: &[&OsStr]| {
        let run = |rows| {
            let args = all_args(&write_table(dir, rows), more);
            let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
            count_instructions(Path::new(PROGRAM), &args, &[TOKEN_ENV])
        };
        per_item(run(few), run(many), many - few)
    };
    let asked = per_row((1000, 5000), &[OsStr::new("--no-state")]);
    let sizes = (5000, 25_000);
    let mut fill_state = Command::new(PROGRAM);
    fill_state.args(all_args(&write_table(dir, sizes.1), &with_state));
    fill_state.env_clear().envs([TOKEN_ENV]);
    assert!(fill_state.status().unwrap().success(), "the run that fills the state failed");
    [("run asked".to_owned(), asked), ("run known".to_owned(), per_row(sizes, &with_state))]
}

/// Writes a table of distinct numbers. The sandbox finds all numbers that end in 00 to 79.
fn write_table(dir: &Path, rows: u32) -> PathBuf {
    let mut text = "mobile\n".to_owned();
    for n in 0..rows {
        let _ = writeln!(text, "139{:06}{:02}", n / 80, n % 80);
    }
    let path = dir.join(format!("{rows}.csv"));
    fs::write(&path, text).unwrap();
    path
}
