//! Random histories of a result that people correct, against the real executable: whatever happens
//! to numbers, runs, the state and the file, no row says `found` with the id of another number,
//! and no row is asked without need. More of them by `DINGMAP_HISTORIES=500`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dingmap::testing::sandbox::{DirectoryEntry, userid_for};
use proptest::prelude::*;

use super::call_numbers;
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The rows of a list. A warning lists ten rows at most.
const ROWS: usize = 8;

/// What happens to a result.
#[derive(Clone, Debug)]
enum Step {
    Write { row: usize, cell: Cell },
    Swap(usize, usize),
    Forget(&'static str),
    Rename,
    Run { kind: Kind, end: End },
}

/// What a person writes in a number cell.
#[derive(Clone, Debug)]
enum Cell {
    Number(usize),
    Blank,
    Word,
    Mistyped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RetryFailed,
    RetryFound,
    RetryNotFound,
    RetryWithoutState,
    /// The result is the input, and another file the output.
    Ordinary,
    /// The numbers are a new list, the answers to which replace the result.
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Own,
    MaxCalls(usize),
    /// After so many calls.
    Signal(&'static str, usize),
}

/// The numbers of a list: most are somebody's.
fn number(index: usize) -> String {
    match index {
        0..20 => format!("139000000{index:02}"),
        20..23 => format!("139000{index:03}90"),
        23 => "13900000092".to_owned(),
        _ => "13900000093".to_owned(),
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let cell = prop_oneof![
        8 => (0..25_usize).prop_map(Cell::Number),
        1 => Just(Cell::Blank),
        1 => Just(Cell::Word),
        1 => Just(Cell::Mistyped),
    ];
    let kind = prop_oneof![
        5 => Just(Kind::RetryFailed),
        2 => Just(Kind::RetryFound),
        1 => Just(Kind::RetryNotFound),
        1 => Just(Kind::RetryWithoutState),
        2 => Just(Kind::Ordinary),
        1 => Just(Kind::Replace),
    ];
    let end = prop_oneof![
        3 => Just(End::Own),
        1 => (1..4_usize).prop_map(End::MaxCalls),
        1 => (1..6_usize).prop_map(|calls| End::Signal("INT", calls)),
        1 => (1..6_usize).prop_map(|calls| End::Signal("KILL", calls)),
    ];
    prop_oneof![
        8 => (0..ROWS, cell).prop_map(|(row, cell)| Step::Write { row, cell }),
        2 => (0..ROWS, 0..ROWS).prop_map(|(row, other)| Step::Swap(row, other)),
        1 => proptest::sample::select(vec!["--all", "--status=found", "--status=not_found"])
            .prop_map(Step::Forget),
        1 => Just(Step::Rename),
        9 => (kind, end).prop_map(|(kind, end)| Step::Run { kind, end }),
    ]
}

/// A result, as a table.
struct Table(Vec<Vec<String>>);

impl Table {
    fn read(path: &Path) -> Self {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
        Self(rows.collect())
    }

    fn write(&self, path: &Path) {
        let mut writer = csv::Writer::from_path(path).unwrap();
        self.0.iter().for_each(|row| writer.write_record(row).unwrap());
        writer.flush().unwrap();
    }

    fn rows(&self) -> &[Vec<String>] {
        &self.0[1..]
    }
}

/// Columns of a result.
const NUMBER: usize = 1;
const USER_ID: usize = 2;
const STATUS: usize = 4;
const SENT: usize = 7;

/// The status and the user id of a cell.
fn true_answer(cell: &str) -> (&'static str, String) {
    if cell.len() != 11 || !cell.starts_with("139") {
        return ("invalid", String::new());
    }
    match DirectoryEntry::for_number(cell) {
        DirectoryEntry::NotFound => ("not_found", String::new()),
        DirectoryEntry::BadNumber => ("bad_number", String::new()),
        DirectoryEntry::OutOfScope => ("out_of_scope", String::new()),
        _ => ("found", userid_for(cell)),
    }
}

/// The lines of the rows that a run lists as ones that it cannot judge.
fn listed_lines(stderr: &str) -> BTreeSet<usize> {
    let mut is_listing = false;
    let mut lines = BTreeSet::new();
    for line in stderr.lines() {
        if let Some(row) = line.strip_prefix("  line ").filter(|_| is_listing) {
            lines.insert(row.split(':').next().unwrap().parse().unwrap());
        } else {
            is_listing = line.contains(" an answer, and ");
        }
    }
    lines
}

/// A list with these rows.
fn to_list(rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<_> = rows.collect();
    format!("工号,手机\n{}\n", rows.join("\n"))
}

struct World {
    api: Sandbox,
    workdir: Workdir,
    file: PathBuf,
    state: PathBuf,
}

impl World {
    fn new(numbers: &[usize], flags: &[&str]) -> Self {
        let mut script = unlimited_script();
        script.latency = Duration::from_millis(4)..=Duration::from_millis(4);
        let (api, workdir) = (Sandbox::with_plain_http(script), Workdir::new());
        let rows = (0..).zip(numbers).map(|(n, index)| format!("{n},{}", number(*index)));
        let input = workdir.write_file("in.csv", to_list(rows));
        let (file, state) = (workdir.path("out.csv"), workdir.path("state"));
        let world = Self { api, workdir, file, state };
        let ended = run(world.command(&input).args(flags).arg("-o").arg(&world.file));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        world
    }

    fn command(&self, input: &Path) -> std::process::Command {
        let mut command = self.api.resolve_without_output(&self.api.endpoint(), input);
        command.args(["-q", "-j", "1", "-c", "2"]).env("DINGMAP_STATE", &self.state);
        command
    }

    fn edit(&self, edit: impl FnOnce(&mut [Vec<String>])) {
        let mut table = Table::read(&self.file);
        edit(&mut table.0[1..]);
        table.write(&self.file);
    }

    /// The numbers that the state has.
    fn recorded(&self) -> BTreeSet<String> {
        let export = run(dingmap().args(["state", "export", "--state"]).arg(&self.state));
        let mut table = csv::Reader::from_reader(export.stdout.as_bytes());
        table.records().map(|record| record.unwrap()[2].to_owned()).collect()
    }

    fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Write { row, cell } => self.edit(|rows| {
                let cell = match cell {
                    Cell::Number(index) => number(*index),
                    Cell::Blank => String::new(),
                    Cell::Word => "离职".to_owned(),
                    Cell::Mistyped => "1390000001".to_owned(),
                };
                cell.clone_into(&mut rows[*row][NUMBER]);
            }),
            Step::Swap(row, other) => self.edit(|rows| {
                let number = rows[*row][NUMBER].clone();
                rows[*row][NUMBER] = std::mem::replace(&mut rows[*other][NUMBER], number);
            }),
            Step::Forget(which) => {
                let mut forget = dingmap();
                run(forget.args(["state", "forget", which, "--state"]).arg(&self.state));
            }
            Step::Rename => {
                let name = if self.file.ends_with("out.csv") { "renamed.csv" } else { "out.csv" };
                let renamed = self.workdir.path(name);
                fs::rename(&self.file, &renamed).unwrap();
                self.file = renamed;
            }
            Step::Run { kind, end } => return self.run(*kind, *end),
        }
        Ok(())
    }

    fn run(&self, kind: Kind, end: End) -> Result<(), TestCaseError> {
        let before = Table::read(&self.file);
        let has_number = |row: &Vec<String>| true_answer(&row[NUMBER]).0 != "invalid";
        if !before.rows().iter().any(has_number) {
            return Ok(());
        }
        let mut command = match kind {
            Kind::Replace => {
                let rows = before.rows().iter().map(|row| format!("{},{}", row[0], row[NUMBER]));
                self.command(&self.workdir.write_file("again.csv", to_list(rows)))
            }
            _ => self.command(&self.file),
        };
        match kind {
            Kind::RetryFailed => command.arg("--retry-failed"),
            Kind::RetryFound => command.args(["--retry", "found"]),
            Kind::RetryNotFound => command.args(["--retry", "not_found"]),
            Kind::RetryWithoutState => command.args(["--retry-failed", "--no-state"]),
            Kind::Ordinary => command.arg("-o").arg(self.workdir.path("other.csv")),
            Kind::Replace => command.args(["--no-state", "-o"]).arg(&self.file),
        };
        if let End::MaxCalls(calls) = end {
            command.args(["--max-calls", &calls.to_string()]);
        }
        let recorded = self.recorded();
        let asked = call_numbers(&self.api).len();
        let ended = match end {
            End::Signal(name, calls) => {
                let mut process = Process::start(&mut command);
                wait_until("calls, or the end of the run", || {
                    let has_ended = process.child.try_wait().unwrap().is_some();
                    (has_ended || call_numbers(&self.api).len() >= asked + calls).then_some(())
                });
                if process.child.try_wait().unwrap().is_none() {
                    process.send_signal(name);
                }
                process.wait()
            }
            End::Own | End::MaxCalls(_) => run(&mut command),
        };
        let asked = call_numbers(&self.api).split_off(asked);
        prop_assert!(
            matches!(ended.status, None | Some(0 | 4 | 6 | 130)),
            "{:?}: {}",
            ended.status,
            ended.stderr
        );
        self.check_answers(kind, &ended)?;
        check_calls(kind, &before, &recorded, &asked, &ended)
    }

    /// A run that wrote the file, to its end or to a limit, left no wrong answer that it did not
    /// list.
    fn check_answers(&self, kind: Kind, ended: &RunOutput) -> Result<(), TestCaseError> {
        let has_written = matches!(ended.status, Some(0 | 4 | 6));
        if !has_written || kind == Kind::Ordinary {
            return Ok(());
        }
        let (after, listed) = (Table::read(&self.file), listed_lines(&ended.stderr));
        for (line, row) in (2..).zip(after.rows()) {
            let (status, userid) = true_answer(&row[NUMBER]);
            let is_open = ended.status != Some(0)
                && matches!(&*row[STATUS], "pending" | "failed" | "invalid");
            // Only a user id does harm where the run could not ask every row.
            let is_harmless = ended.status == Some(6) && row[STATUS] != "found";
            prop_assert!(
                (&*row[STATUS], &row[USER_ID]) == (status, &userid)
                    || is_open
                    || is_harmless
                    || listed.contains(&line),
                "line {}: {:?} instead of {} {}: {}",
                line,
                row,
                status,
                userid,
                ended.stderr
            );
        }
        Ok(())
    }
}

/// No number is asked only for rows that were as they had been answered, and recorded so.
fn check_calls(
    kind: Kind,
    before: &Table,
    recorded: &BTreeSet<String>,
    asked: &[String],
    ended: &RunOutput,
) -> Result<(), TestCaseError> {
    let named = match kind {
        Kind::RetryFailed | Kind::RetryWithoutState => "",
        Kind::RetryFound => "found",
        Kind::RetryNotFound => "not_found",
        Kind::Ordinary | Kind::Replace => return Ok(()),
    };
    for number in asked {
        let needs_call = |row: &&Vec<String>| {
            let (status, userid) = true_answer(&row[NUMBER]);
            let is_right = (&*row[STATUS], &row[USER_ID]) == (status, &userid);
            let is_recorded = row.get(SENT) == Some(number)
                || (kind != Kind::RetryWithoutState && recorded.contains(number));
            !is_right || row[STATUS] == named || !is_recorded
        };
        let mut rows = before.rows().iter().filter(|row| row[NUMBER] == *number);
        prop_assert!(rows.any(|row| needs_call(&row)), "{}: {}", number, ended.stderr);
    }
    Ok(())
}

fn history_count() -> u32 {
    std::env::var("DINGMAP_HISTORIES").map_or(8, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: history_count(),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_history_leaves_a_user_id_of_another_number(
        numbers in proptest::collection::vec(0..25_usize, ROWS),
        has_sent in any::<bool>(),
        has_state in proptest::bool::weighted(0.8),
        steps in proptest::collection::vec(any_step(), 4..10),
    ) {
        let flags: Vec<&str> =
            [(has_sent, "--show-sent"), (!has_state, "--no-state")]
                .into_iter()
                .filter_map(|(is_set, flag)| is_set.then_some(flag))
                .collect();
        let mut world = World::new(&numbers, &flags);
        for step in steps.iter().chain([&Step::Run { kind: Kind::RetryFailed, end: End::Own }]) {
            world.apply(step)?;
        }
    }
}
