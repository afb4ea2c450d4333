//! Progress of a run, for programs and for whoever sends SIGUSR1.

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::Value;

use crate::support::process::{Process, wait_until};
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn json_progress_has_an_object_a_second_and_a_final_one() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(60));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["--rate", "20", "--progress", "json"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut objects = parse_lines(&ended.stderr);
    objects.retain(|object| object["message"].is_null());
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
    // Without messages, the objects are left.
    let ended = run(command.args(["--quiet"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let objects = parse_lines(&ended.stderr);
    assert!(!objects.is_empty() && objects.iter().all(|object| object["rows"].is_u64()));
}

/// The lines of standard error, each of which must be a JSON object.
fn parse_lines(stderr: &str) -> Vec<Value> {
    let parse = |line| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{stderr}"));
        assert!(object.is_object(), "{line}");
        object
    };
    stderr.lines().map(parse).collect()
}

#[test]
fn with_json_progress_every_line_is_an_object() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("in.csv", staff_csv(3) + "13900000094\n");
    let output = workdir.path("out.csv");
    let flags = ["--progress", "json", "-vvv", "--max-retries", "0", "--wait"];
    let ended = run(api.resolve(&input, &output).args(flags).env("DINGMAP_WROKERS", "1"));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let objects = parse_lines(&ended.stderr);
    for (level, text) in
        [("warning", "DINGMAP_WROKERS"), ("info", "4 rows, UTF-8"), ("info", "written to ")]
    {
        let has_message = |object: &Value| {
            let message = object["message"].as_str().unwrap_or_default();
            object["level"] == level && message.contains(text)
        };
        assert!(objects.iter().any(has_message), "{level} {text}: {objects:?}");
    }
    assert!(objects.iter().any(|object| object["fields"]["message"] == "finished"), "{objects:?}");
}

#[test]
fn with_json_progress_errors_are_objects_too() {
    let workdir = Workdir::new();
    let config = workdir.write_file("broken.toml", "x =");
    let as_json = workdir.write_file("json.toml", "progress = \"json\"\nworkers = \"x\"\n");
    let (config, as_json) = (config.display().to_string(), as_json.display().to_string());
    for (line, variable, status) in [
        (&["resolve", "none.csv", "--sandbox", "--progress", "json"][..], "auto", 3),
        (&["resolve", "none.csv", "--progress=json"], "auto", 3),
        (&["resolve", "none.csv", "--progress", "json", "--rate", "-5"], "auto", 2),
        (&["resolve", "--no-such-flag"], "json", 2),
        (&["diff", "a.csv"], "json", 2),
        (&["help", "no-such-topic"], "json", 2),
        (&["plan", "none.csv", "--lang", "zh"], "json", 3),
        (&["state", "info", "--state", "/no/such"], "json", 1),
        (&["resolve", "i", "--config", &config], "json", 2),
        (&["resolve", "i", "--config", &as_json], "json", 2),
    ] {
        let ended = run(dingmap().args(line).env("DINGMAP_PROGRESS", variable));
        let objects = parse_lines(&ended.stderr);
        let last = objects.last().unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!(last["level"], "error", "{line:?}: {objects:?}");
        assert!(!last["message"].as_str().unwrap().is_empty(), "{line:?}");
        assert_eq!(ended.status, Some(status), "{line:?}: {objects:?}");
    }
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
