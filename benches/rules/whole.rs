//! Whole runs of the real executable, by the row: one that knows all answers, and one that asks a real server for each.
//! Leaves counting to `instructions`.

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

/// The figures of both.
pub(crate) fn count_whole_runs(room: &Path) -> [(String, f64); 2] {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server =
        runtime.block_on(Server::start(Script { limit: None, ..Script::default() }, 0)).unwrap();
    let (endpoint, state) = (server.endpoint(), room.join("state.redb"));
    let common =
        ["-o", "/dev/null", "-j", "64", "-q", "--rate", "unlimited", "--endpoint", &endpoint];
    let kept: Vec<&OsStr> =
        ["--max-age", "1d", "--state"].iter().map(OsStr::new).chain([state.as_os_str()]).collect();
    let words = |input: &Path, rest: &[&OsStr]| {
        let words = [OsStr::new("resolve"), input.as_os_str()]
            .into_iter()
            .chain(common.iter().map(OsStr::new));
        words.chain(rest.iter().copied()).map(OsStr::to_owned).collect::<Vec<_>>()
    };
    let row = |(few, many): (u32, u32), rest: &[&OsStr]| {
        let run = |rows| {
            let words = words(&write_table(room, rows), rest);
            let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
            count_instructions(Path::new(PROGRAM), &words, &[TOKEN_ENV])
        };
        per_item(run(few), run(many), many - few)
    };
    let asked = row((1000, 5000), &[OsStr::new("--no-state")]);
    let sizes = (5000, 25_000);
    let mut asking = Command::new(PROGRAM);
    asking.args(words(&write_table(room, sizes.1), &kept)).env_clear().envs([TOKEN_ENV]);
    assert!(asking.status().unwrap().success(), "the run that asks failed");
    [("run asked".to_owned(), asked), ("run known".to_owned(), row(sizes, &kept))]
}

/// A table of distinct numbers, all of whom the sandbox finds: those that end in 00 to 79.
fn write_table(room: &Path, rows: u32) -> PathBuf {
    let mut text = "mobile\n".to_owned();
    for n in 0..rows {
        let _ = writeln!(text, "139{:06}{:02}", n / 80, n % 80);
    }
    let path = room.join(format!("{rows}.csv"));
    fs::write(&path, text).unwrap();
    path
}
