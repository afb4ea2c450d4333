//! Instructions for each item, counted by callgrind and held against those that were recorded: in `instructions.json`, for one
//! compiler and platform. A program that does its work once is taken from one that does it more often, so that what it takes
//! to start and to prepare falls out. Leaves what is counted to its neighbours.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::{env, fs};

use serde::{Deserialize, Serialize};

use crate::{cases, whole};

/// What a program that is being counted is told to be.
pub(crate) const CHILD_MODE: &str = "repeat";
/// By how many percent a figure may grow. Of those here the least steady differ by less than one from time to time.
const TOLERANCE: f64 = 5.0;
/// Rounds that are counted.
const ROUNDS: u32 = 20;
const RECORD_COMMAND: &str = "cargo bench --bench rules -- instructions record";

/// What was counted, and where.
#[derive(Serialize, Deserialize)]
struct RecordedCounts {
    /// The compiler and its platform, on which the figures depend.
    compiler: String,
    /// Instructions for each item, by name.
    instructions: BTreeMap<String, f64>,
}

/// Holds what is counted now against what was recorded.
pub(crate) fn compare() -> ExitCode {
    let recorded: RecordedCounts =
        serde_json::from_slice(&fs::read(record_path()).unwrap()).unwrap();
    let compiler = compiler_version();
    if recorded.compiler != compiler {
        println!(
            "The figures are those of {}, and this is {compiler}. Record its own: {RECORD_COMMAND}",
            recorded.compiler
        );
        return ExitCode::FAILURE;
    }
    let counted = count_all();
    let mut complaints = Vec::new();
    for (name, now) in &counted {
        let Some(before) = recorded.instructions.get(name) else {
            complaints.push(format!("{name}: no figure is recorded"));
            continue;
        };
        let more = (now / before - 1.0) * 100.0;
        let note = if more < -TOLERANCE { " (record it, so that it stays so)" } else { "" };
        println!("{name:<20} {before:>10.1} {now:>10.1} {more:>+7.2} %{note}");
        if more > TOLERANCE {
            complaints.push(format!(
                "{name}: {now:.1} instructions an item, {more:.1} % more than the {before:.1} on record"
            ));
        }
    }
    let gone = recorded.instructions.keys().filter(|name| !counted.contains_key(*name));
    complaints
        .extend(gone.map(|name| format!("{name}: a figure is recorded, and nothing is counted")));
    if complaints.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\n{}", complaints.join("\n"));
    println!(
        "Up to {TOLERANCE} % more is let pass. Where it is worth it, record the new figures: {RECORD_COMMAND}"
    );
    ExitCode::FAILURE
}

/// Records what is counted now.
pub(crate) fn record() -> ExitCode {
    let figures = RecordedCounts { compiler: compiler_version(), instructions: count_all() };
    let text = serde_json::to_string_pretty(&figures).unwrap() + "\n";
    fs::write(record_path(), &text).unwrap();
    print!("{text}");
    ExitCode::SUCCESS
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rules/instructions.json")
}

fn compiler_version() -> String {
    let told = Command::new("rustc").arg("-vV").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let part = |name| told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    format!("Rust {} on {}", part("release: "), part("host: "))
}

fn count_all() -> BTreeMap<String, f64> {
    let room = tempfile::tempdir().unwrap();
    let mut counted = BTreeMap::new();
    for case in cases::all_cases() {
        // What it needs is made here, where it is made faster.
        drop((case.setup)(room.path()));
        let run = |rounds: u32| {
            let rounds = rounds.to_string();
            let words =
                [CHILD_MODE.as_ref(), room.path().as_os_str(), case.name.as_ref(), rounds.as_ref()];
            count_instructions(&env::current_exe().unwrap(), &words, &[])
        };
        // The first round warms up.
        counted
            .insert(case.name.to_owned(), per_item(run(1), run(1 + ROUNDS), case.items * ROUNDS));
    }
    counted.extend(whole::count_whole_runs(room.path()));
    counted
}

/// What each of so many items takes, to a tenth.
pub(crate) fn per_item(less: u64, more: u64, items: u32) -> f64 {
    let tenths = more.saturating_sub(less) * 10 / u64::from(items);
    f64::from(u32::try_from(tenths).unwrap()) / 10.0
}

/// How many instructions a program takes. It has no variables but these: how much there is of them would count.
pub(crate) fn count_instructions(
    program: &Path,
    words: &[&OsStr],
    variables: &[(&str, &str)],
) -> u64 {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut file = "--callgrind-out-file=".to_owned();
    file.push_str(out.path().to_str().unwrap());
    let path = env::var_os("PATH").unwrap_or_default();
    let ended = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", &file])
        .arg(program)
        .args(words)
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .status();
    assert!(ended.is_ok(), "valgrind cannot be run; on Debian: apt-get install valgrind");
    assert!(ended.as_ref().is_ok_and(ExitStatus::success), "{words:?}: {ended:?}");
    let told = fs::read_to_string(out.path()).unwrap();
    told.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap().trim().parse().unwrap()
}
