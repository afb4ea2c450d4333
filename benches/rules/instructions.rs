//! Counts instructions per item by callgrind and compares them with `instructions.json`, which is
//! for one compiler and platform. The difference between a long and a short execution excludes the
//! instructions of startup and setup.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::{env, fs};

use serde::{Deserialize, Serialize};

use crate::{cases, whole};

/// The argument of the child process that executes a case.
pub(crate) const CHILD_MODE: &str = "repeat";
/// How much a count may grow, in percent. Repeated counts differ by less than 1 %.
const TOLERANCE: f64 = 5.0;
/// Rounds that are counted.
const ROUNDS: u32 = 20;
const RECORD_COMMAND: &str = "cargo bench --bench rules -- instructions record";

#[derive(Serialize, Deserialize)]
struct RecordedCounts {
    /// The compiler and its platform, on which the counts depend.
    compiler: String,
    /// Instructions per item, by case.
    instructions: BTreeMap<String, f64>,
}

/// Compares the current counts with the recorded ones.
pub(crate) fn compare() -> ExitCode {
    let recorded: RecordedCounts =
        serde_json::from_slice(&fs::read(record_path()).unwrap()).unwrap();
    let compiler = compiler_version();
    if recorded.compiler != compiler {
        println!(
            "The counts are of {}, but this is {compiler}. Record new ones: {RECORD_COMMAND}",
            recorded.compiler
        );
        return ExitCode::FAILURE;
    }
    let counted = count_all();
    let mut failures = Vec::new();
    for (name, now) in &counted {
        let Some(before) = recorded.instructions.get(name) else {
            failures.push(format!("{name}: no count is recorded"));
            continue;
        };
        let growth = (now / before - 1.0) * 100.0;
        let note = if growth < -TOLERANCE { " (record the improvement)" } else { "" };
        println!("{name:<20} {before:>10.1} {now:>10.1} {growth:>+7.2} %{note}");
        if growth > TOLERANCE {
            failures.push(format!(
                "{name}: {now:.1} instructions per item, {growth:.1} % more than {before:.1}"
            ));
        }
    }
    let gone = recorded.instructions.keys().filter(|name| !counted.contains_key(*name));
    failures.extend(gone.map(|name| format!("{name}: recorded, but there is no such case")));
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\n{}", failures.join("\n"));
    println!("Up to {TOLERANCE} % more is accepted. Record justified growth: {RECORD_COMMAND}");
    ExitCode::FAILURE
}

/// Records the current counts.
pub(crate) fn record() -> ExitCode {
    let counts = RecordedCounts { compiler: compiler_version(), instructions: count_all() };
    let text = serde_json::to_string_pretty(&counts).unwrap() + "\n";
    fs::write(record_path(), &text).unwrap();
    print!("{text}");
    ExitCode::SUCCESS
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rules/instructions.json")
}

fn compiler_version() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    format!("Rust {} on {}", field("release: "), field("host: "))
}

fn count_all() -> BTreeMap<String, f64> {
    let dir = tempfile::tempdir().unwrap();
    let mut counted = BTreeMap::new();
    for case in cases::all_cases() {
        // Creates the files of the case, which would take long under callgrind.
        drop((case.setup)(dir.path()));
        let run = |rounds: u32| {
            let rounds = rounds.to_string();
            let args =
                [CHILD_MODE.as_ref(), dir.path().as_os_str(), case.name.as_ref(), rounds.as_ref()];
            count_instructions(&env::current_exe().unwrap(), &args, &[])
        };
        // The first round warms up.
        counted
            .insert(case.name.to_owned(), per_item(run(1), run(1 + ROUNDS), case.items * ROUNDS));
    }
    counted.extend(whole::count_whole_runs(dir.path()));
    counted
}

/// Instructions per item, to one decimal, from the counts of two executions that differ by `items`.
pub(crate) fn per_item(few: u64, many: u64, items: u32) -> f64 {
    let tenths = many.saturating_sub(few) * 10 / u64::from(items);
    f64::from(u32::try_from(tenths).unwrap()) / 10.0
}

/// Counts the instructions of a program. Its environment has only these variables, since copying a
/// larger one takes instructions.
pub(crate) fn count_instructions(
    program: &Path,
    args: &[&OsStr],
    variables: &[(&str, &str)],
) -> u64 {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut file = "--callgrind-out-file=".to_owned();
    file.push_str(out.path().to_str().unwrap());
    let path = env::var_os("PATH").unwrap_or_default();
    let status = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", &file])
        .arg(program)
        .args(args)
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .status();
    assert!(status.is_ok(), "cannot run valgrind; on Debian: apt-get install valgrind");
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{args:?}: {status:?}");
    let text = fs::read_to_string(out.path()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap().trim().parse().unwrap()
}
