//! Progress of a run, for programs and for whoever sends SIGUSR1.

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::Value;

use crate::support::process::{Process, wait_until};
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn json_progress_has_an_object_a_second_and_a_final_one() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(60));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["--rate", "20", "--progress", "json"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let objects: Vec<Value> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(objects.len() >= 2, "{}", ended.stderr);
    assert!(objects.is_sorted_by_key(|object| object["rows"].as_u64()), "{}", ended.stderr);
    let (first, last) = (&objects[0], &objects[objects.len() - 1]);
    assert!(first["seconds_left"].is_u64(), "{first}");
    assert_eq!(
        (&last["rows"], &last["total"], &last["status"]["found"]),
        (&60.into(), &60.into(), &60.into())
    );
    assert_eq!(
        (&last["calls"], &last["rate"], &last["held_by"]),
        (&60.into(), &20.0.into(), &Value::Null)
    );
    let ended = run(command.args(["--quiet"]));
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
}

#[test]
fn json_progress_reports_a_pause() {
    let mut script = unlimited_script();
    let headers = vec![("Retry-After".to_owned(), "2".to_owned())];
    script
        .answers_by_call
        .insert(20, ScriptedAnswer::Http { status: 429, headers, body: String::new() });
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(40));
    // Programs get a word that does not follow the language.
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).args([
        "--progress",
        "json",
        "--lang",
        "zh",
    ]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(r#""held_by":"proxy""#), "{}", ended.stderr);
}

#[test]
fn sigusr1_prints_progress_and_the_run_continues() {
    let (api, workdir) = (Sandbox::new(slow_script(100)), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(40)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let mut process = Process::start(command.args(["--rate", "20", "--progress", "none"]));
    wait_until("a call", || (!api.call_log().calls().is_empty()).then_some(()));
    process.send_signal("USR1");
    process.wait_for_stderr(" of 40 rows · ");
    let ended = process.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(output.exists());
}
