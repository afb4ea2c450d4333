//! `dingmap state`: what it tells, what it forgets, and what it never shows.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::interrupted_runs::{numbers_table, resolvable_numbers, run_and_count_calls};
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

fn state_command(file: &Path, args: &[&str]) -> Command {
    let mut command = dingmap();
    command.arg("state").args(args).arg("--state").arg(file);
    command
}

fn run_with_stdin(command: &mut Command, text: &str) -> RunOutput {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn exported_rows(file: &Path) -> Vec<HashMap<String, String>> {
    let ended = run(&mut state_command(file, &["export"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    csv::Reader::from_reader(ended.stdout.as_bytes()).deserialize().map(Result::unwrap).collect()
}

#[test]
fn info_shows_counts_and_unfinished_runs_without_numbers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(97))),
        workdir.path("out.csv"),
    );
    assert_eq!(
        run_and_count_calls(&api, &input, &output, &["--max-calls", "94"]).1.status,
        Some(6)
    );
    let ended = run(&mut state_command(&api.state_path(), &["info"]));
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    let endpoint = api.endpoint();
    for words in [
        &*endpoint,
        "app sandbox-key",
        "found               90",
        "not_found            2",
        "bad_number           1",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
    assert!(
        ended.stdout.contains("unfinished run since ")
            && ended.stdout.contains("94 numbers known, 97 rows"),
        "{}",
        ended.stdout
    );
    assert!(
        !ended.stdout.contains("13900") && !ended.stdout.contains("secret"),
        "{}",
        ended.stdout
    );
    assert_eq!(run_and_count_calls(&api, &input, &output, &[]).1.status, Some(0));
    let ended = run(&mut state_command(&api.state_path(), &["info"]));
    assert!(!ended.stdout.contains("not finished"), "{}", ended.stdout);
}

#[test]
fn forget_removes_only_the_selected_answers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(97))),
        workdir.path("out.csv"),
    );
    let ages = ["--max-age", "1d", "--max-age-not-found", "1d"];
    let file = api.state_path();
    let refill = || assert_eq!(run_and_count_calls(&api, &input, &output, &ages).1.status, Some(0));
    refill();
    let forget = |args: &[&str]| {
        let ended = run(&mut state_command(&file, &[&["forget"], args].concat()));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stderr.lines().next().unwrap().to_owned()
    };
    assert_eq!(forget(&["--status", "not_found"]), "2 answers were deleted");
    assert_eq!(
        run_and_count_calls(&api, &input, &output, &ages).0,
        2,
        "those are asked again, and no other"
    );
    assert_eq!(forget(&["--older-than", "1h"]), "0 answers were deleted");
    assert_eq!(forget(&["--app", "another"]), "0 answers were deleted");
    let ended = run_with_stdin(
        &mut state_command(&file, &["forget", "--number", "-"]),
        "139 0000 0001\n+8613900000002\n13911111111\n",
    );
    assert!(
        ended.stderr.contains("2 answers were deleted") && !ended.stderr.contains("1390"),
        "{}",
        ended.stderr
    );
    assert_eq!(exported_rows(&file).len(), 95);
    let ended =
        run_with_stdin(&mut state_command(&file, &["forget", "--number", "-"]), "13900000003\nx\n");
    assert!(ended.status == Some(2) && ended.stderr.contains("line 2"), "{}", ended.stderr);
    assert_eq!(exported_rows(&file).len(), 95, "all or nothing");
    assert_eq!(forget(&["--app", "sandbox-key", "--status", "found"]), "91 answers were deleted");
    assert_eq!(forget(&["--all"]), "4 answers were deleted");
    assert_eq!(
        run(&mut state_command(&file, &["forget"])).status,
        Some(2),
        "not everything by mistake"
    );
    assert_eq!(run(&mut state_command(&file, &["forget", "--all", "--app", "x"])).status, Some(2));
    assert_eq!(
        run(&mut state_command(&file, &["forget", "--number", "13900000003"])).status,
        Some(2)
    );
}

#[test]
fn export_lists_every_answer_before_and_after_compaction() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(2000))),
        workdir.path("out.csv"),
    );
    assert_eq!(run_and_count_calls(&api, &input, &output, &[]).1.status, Some(0));
    let all = exported_rows(&api.state_path());
    let resolved = crate::support::rows::read_rows(&output);
    assert_eq!(all.len(), 2000);
    let by_number: HashMap<_, _> = all.iter().map(|row| (&row["number"], row)).collect();
    for row in &resolved {
        let kept = by_number[&row["mobile"]];
        for cell in ["userid", "exclusive_userids", "status", "errcode", "errmsg"] {
            assert_eq!(kept[cell], row[cell], "{cell}");
        }
        assert_eq!((&kept["endpoint"], &*kept["app"]), (&api.endpoint(), "sandbox-key"));
        assert_eq!(kept["request_id"].len(), 16, "the emulation's are so long");
        assert!(kept["asked_at"].parse::<jiff::Timestamp>().is_ok(), "{}", kept["asked_at"]);
    }
    let size = || std::fs::metadata(api.state_path()).unwrap().len();
    let before = size();
    let ended = run(&mut state_command(&api.state_path(), &["compact"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(size() <= before, "{before} before, {} now", size());
    assert_eq!(exported_rows(&api.state_path()), all);
}

#[test]
fn a_missing_and_a_locked_state_are_reported() {
    let (api, workdir) = (Sandbox::new(slow_script(50)), Workdir::new());
    let none = run(&mut state_command(&workdir.path("none"), &["info"]));
    assert_eq!((none.status, workdir.file_names()), (Some(1), Vec::new()), "{}", none.stderr);
    assert!(none.stderr.contains("no such file"), "{}", none.stderr);
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(90))),
        workdir.path("out.csv"),
    );
    let mut holder = Process::start(api.resolve(&input, &output).args(["--rate", "30"]));
    wait_until("the first call", || (!api.call_log().calls().is_empty()).then_some(()));
    for command in ["info", "export", "compact"] {
        let ended = run(&mut state_command(&api.state_path(), &[command]));
        let actual = format!("in use by process {}", holder.id());
        assert!(ended.status == Some(1) && ended.stderr.contains(&actual), "{}", ended.stderr);
    }
    assert_eq!(run(&mut state_command(&api.state_path(), &["info", "--wait"])).status, Some(0));
    assert_eq!(holder.wait().status, Some(0));
}
