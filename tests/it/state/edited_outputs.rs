//! A file that somebody has edited, where a run without `--output` writes its output: it is kept
//! under another name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use redb::{Database, TableDefinition};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::schema::assert_matches_schema;
use crate::support::workdir::Workdir;

const EDITED: &str = "mobile,userid\n13900000000,my note\n";

struct Fixture {
    api: Sandbox,
    workdir: Workdir,
    input: PathBuf,
    output: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let workdir = Workdir::new();
        let (input, output) =
            (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("staff.resolved.csv"));
        Self { api: Sandbox::new(unlimited_script()), workdir, input, output }
    }

    fn command(&self) -> Command {
        self.api.resolve_without_output(&self.api.endpoint(), &self.input)
    }

    /// A run that writes the output, and what it prints.
    #[track_caller]
    fn resolve(&self, flags: &[&str]) -> String {
        let ended = run(self.command().args(flags));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stderr
    }

    /// A run whose first row fails.
    fn resolve_with_failed_row(&self) {
        self.api.update_script(|script: &mut Script| {
            script.answers_by_call = [(0, ScriptedAnswer::code(-1))].into();
        });
        let ended = run(self.command().args(["-j", "1", "--max-retries", "0"]));
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    }

    /// Asks for the failed row again; the output is rewritten in place.
    fn retry_failed(&self) {
        self.change_answers("retried");
        let mut command = self.api.resolve_without_output(&self.api.endpoint(), &self.output);
        let ended = run(command.arg("--retry-failed"));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(self.read("staff.resolved.csv").contains(",retried,"));
    }

    /// The directory finds somebody else from now on.
    fn change_answers(&self, userid: &str) {
        let answer = format!("{{\"errcode\":0,\"result\":{{\"userid\":\"{userid}\"}}}}");
        self.api.update_script(|script: &mut Script| {
            script.answers_by_call =
                (0..1000).map(|call| (call, ScriptedAnswer::Json(answer.clone()))).collect();
        });
    }

    /// The files under other names, in order.
    fn kept_files(&self) -> Vec<String> {
        let name =
            Regex::new(r"^staff\.resolved\.before-\d{4}-\d\d-\d\dT\d\dh\d\dm\d\ds(-\d+)?\.csv$")
                .unwrap();
        let others = ["staff.csv", "staff.resolved.csv"];
        let names = self.workdir.file_names().into_iter();
        names
            .filter(|name| !others.contains(&&**name))
            .inspect(|kept| assert!(name.is_match(kept), "{kept}"))
            .collect()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.workdir.path(name)).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_edited_output_is_kept_and_one_as_it_was_written_is_replaced() {
    let fixture = Fixture::new();
    fixture.resolve(&[]);
    fixture.change_answers("other");
    let text = fixture.resolve(&[]);
    assert!(fixture.read("staff.resolved.csv").contains(",other,"));
    assert_eq!(fixture.kept_files(), [""; 0], "{text}");

    fs::write(&fixture.output, EDITED).unwrap();
    fs::set_permissions(&fixture.output, fs::Permissions::from_mode(0o640)).unwrap();
    let reports = Workdir::new();
    let (summary, report) = (reports.path("run.json"), reports.path("run.html"));
    let mut command = fixture.command();
    command.arg("--summary").arg(&summary).arg("--report").arg(&report);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let [kept] = fixture.kept_files().try_into().unwrap();
    assert_eq!(fixture.read(&kept), EDITED);
    assert!(fixture.read("staff.resolved.csv").contains(",other,"));
    assert_eq!([mode(&fixture.workdir.path(&kept)), mode(&fixture.output)], [0o640; 2]);
    let kept_path = fixture.workdir.path(&kept).display().to_string();
    let message = format!("may have been edited, so it is kept as {kept_path};");
    assert!(ended.stderr.contains(&message), "{}", ended.stderr);
    let account: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    assert_matches_schema("summary", &account);
    assert_eq!(account["kept_as"], json!(kept_path));
    assert!(fs::read_to_string(&report).unwrap().contains(&kept));

    // The next run replaces what this one wrote, and the kept file stays.
    fixture.change_answers("third");
    fixture.resolve(&[]);
    assert_eq!(fixture.kept_files(), std::slice::from_ref(&kept));
    // A second edited file, in the same second or not, has a name of its own; -q does not hide it.
    fs::write(&fixture.output, "edited again").unwrap();
    let text = fixture.resolve(&["-q", "--lang", "zh"]);
    assert!(text.contains("可能被改动过，因此保留为"), "{text}");
    assert_eq!(fixture.kept_files().len(), 2);
    assert_eq!(fixture.read(&kept), EDITED);
    // Nothing failed: programs get a warning.
    fs::write(&fixture.output, "edited once more").unwrap();
    let text = fixture.resolve(&["-q", "--progress", "json"]);
    let kept_line = text.lines().find(|line| line.contains("may have been edited")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(kept_line).unwrap()["level"], "warning");
}

#[test]
fn without_a_record_only_an_equal_file_is_replaced() {
    let fixture = Fixture::new();
    for _ in 0..2 {
        fixture.resolve(&["--no-state"]);
        assert_eq!(fixture.kept_files(), [""; 0]);
    }
    let first = fixture.read("staff.resolved.csv");
    fixture.change_answers("other");
    fixture.resolve(&["--no-state"]);
    let [kept] = fixture.kept_files().try_into().unwrap();
    assert_eq!(fixture.read(&kept), first);
}

#[test]
fn an_output_that_cannot_be_recorded_is_reported_and_the_run_is_finished() {
    let fixture = Fixture::new();
    let state = fixture.workdir.path("state");
    let calls = || fixture.api.call_log().calls().len();
    let resolve = |flags: &[&str]| run(fixture.command().args(flags).arg("--state").arg(&state));
    let ended = resolve(&["--max-calls", "1"]);
    assert_eq!((ended.status, calls()), (Some(6), 1), "{}", ended.stderr);
    {
        let database = Database::open(&state).unwrap();
        let transaction = database.begin_write().unwrap();
        // The table of the records, with other types.
        let name = "dingmap outputs";
        transaction.delete_table(TableDefinition::<&str, &str>::new(name)).unwrap();
        transaction.open_table(TableDefinition::<u64, u64>::new(name)).unwrap();
        transaction.commit().unwrap();
    }
    for (flags, status, expected) in [(&["--max-calls", "1"][..], 6, 2), (&[], 0, 3), (&[], 0, 6)] {
        let ended = resolve(flags);
        assert_eq!((ended.status, calls()), (Some(status), expected), "{}", ended.stderr);
        let warning = "the state file could not record that";
        assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    }
}

#[test]
fn a_run_that_writes_no_output_keeps_no_file() {
    let fixture = Fixture::new();
    fs::write(&fixture.output, EDITED).unwrap();
    fixture.api.update_script(|script: &mut Script| {
        script.answers_by_call.insert(0, ScriptedAnswer::code(60011));
    });
    let ended = run(&mut fixture.command());
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert_eq!((fixture.kept_files(), fixture.read("staff.resolved.csv")), (vec![], EDITED.into()));
}

#[test]
fn a_named_output_is_replaced_and_recorded() {
    let fixture = Fixture::new();
    fs::write(&fixture.output, EDITED).unwrap();
    let output = fixture.output.to_str().unwrap().to_owned();
    fixture.resolve(&["-o", &output]);
    assert_eq!(fixture.kept_files(), [""; 0]);
    // A run without -o knows that file.
    fixture.change_answers("other");
    fixture.resolve(&[]);
    assert_eq!(fixture.kept_files(), [""; 0]);
}

#[test]
fn an_output_that_was_only_retried_in_place_is_replaced() {
    let fixture = Fixture::new();
    fixture.resolve_with_failed_row();
    fixture.retry_failed();
    fixture.change_answers("last");
    fixture.resolve(&[]);
    assert_eq!(fixture.kept_files(), [""; 0]);
}

#[test]
fn an_edit_that_a_retry_in_place_left_in_the_output_is_kept() {
    let fixture = Fixture::new();
    fixture.resolve_with_failed_row();
    let edited = fixture.read("staff.resolved.csv").replacen("found,0,ok", "found,0,my note", 1);
    fs::write(&fixture.output, edited).unwrap();
    fixture.retry_failed();
    let retried = fixture.read("staff.resolved.csv");
    assert!(retried.contains(",my note"), "{retried}");
    fixture.resolve(&[]);
    let [kept] = fixture.kept_files().try_into().unwrap();
    assert_eq!(fixture.read(&kept), retried);
    // The edits are in the kept file only.
    fixture.change_answers("last");
    fixture.resolve(&[]);
    assert_eq!(fixture.kept_files(), [kept]);
}

#[test]
fn the_target_of_a_link_is_kept_beside_it() {
    let fixture = Fixture::new();
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real.csv");
    fs::write(&real, EDITED).unwrap();
    symlink(&real, &fixture.output).unwrap();
    fixture.resolve(&[]);
    assert_eq!(fs::read_link(&fixture.output).unwrap(), real);
    assert_eq!(fixture.kept_files(), [""; 0]);
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names[0].starts_with("real.before-") && names[1] == "real.csv", "{names:?}");
    assert_eq!(fs::read_to_string(directory.path().join(&names[0])).unwrap(), EDITED);
    // The link and its target are one output.
    fixture.change_answers("other");
    fixture.resolve(&[]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn two_runs_at_once_lose_no_edit() {
    let fixture = Fixture::new();
    fs::write(&fixture.output, EDITED).unwrap();
    let mut runs = [(); 4].map(|()| Process::start(fixture.command().arg("--no-state")));
    for process in &mut runs {
        let ended = process.wait();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    assert!(fixture.read("staff.resolved.csv").contains(",found,"));
    let kept = fixture.kept_files();
    assert!(kept.iter().any(|name| fixture.read(name) == EDITED), "{kept:?}");
}

#[test]
fn merge_keeps_an_edited_file_unless_it_is_named() {
    let fixture = Fixture::new();
    let shards: Vec<_> = (0..2)
        .map(|shard| {
            let shard = format!("{shard}/2");
            fixture.resolve(&["--shard", &shard]);
            fixture.workdir.path(format!("staff.resolved.{}.csv", shard.replace('/', "-of-")))
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let merge = |flags: &[&Path]| {
        let mut command = dingmap();
        command.arg("merge").arg(&fixture.input).args(&shards).args(flags);
        let ended = run(command.current_dir(directory.path()));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stderr
    };
    let others = fixture.workdir.file_names().len();
    for _ in 0..2 {
        merge(&[]);
        assert_eq!(fixture.workdir.file_names().len(), others + 1);
    }
    fs::write(&fixture.output, EDITED).unwrap();
    merge(&["-o".as_ref(), &fixture.output]);
    assert_eq!(fixture.workdir.file_names().len(), others + 1);
    fs::write(&fixture.output, EDITED).unwrap();
    let text = merge(&[]);
    assert!(text.contains("may have been edited, so it is kept as "), "{text}");
    let names = fixture.workdir.file_names();
    let kept = names.iter().find(|name| name.starts_with("staff.resolved.before-")).unwrap();
    assert_eq!(fixture.read(kept), EDITED);
}
