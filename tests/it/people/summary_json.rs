//! What a run leaves for programs: the summary as JSON, validated against its schema, and the
//! metrics, read by a parser that is not ours.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;
use prometheus_parse::{Scrape, Value as Sample};
use serde_json::{Value, json};

use crate::support::process::{Process, wait_until};
use crate::support::rows::staff_csv;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::schema::{assert_matches_schema, read_summary};
use crate::support::workdir::Workdir;

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn summary_and_metrics_match_the_servers_call_log() {
    let mut script = unlimited_script();
    let answers = [
        ScriptedAnswer::code(-1),
        ScriptedAnswer::Drop,
        ScriptedAnswer::code(90018),
        ScriptedAnswer::wrapped("40014"),
    ];
    script.answers_by_call.extend((10..).step_by(10).zip(answers));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir
        .write_file("staff.csv", staff_csv(80) + "13900000000\nn/a\n13800138094\n13800138090\n");
    let (summary, metrics) = (workdir.path("run.json"), workdir.path("dingmap.prom"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command
        .args(["-j", "1", "--max-retries", "2", "--summary"])
        .arg(&summary)
        .arg("--metrics")
        .arg(&metrics);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let account = read_summary(&summary);
    let call_log = api.call_log();
    let (lookups, tokens) = (call_log.calls().len(), call_log.token_calls().len());
    assert_eq!(account["calls"]["lookups"], json!(lookups));
    assert_eq!(account["calls"]["token"], json!(tokens));
    assert_eq!(
        account["numbers"],
        json!({
            "asked": call_log.distinct_numbers(),
            "rows_shared": 1,
            "rows_known": 0,
            "rows_kept": 0,
        })
    );
    let rows = json!({
        "in": 84, "out": 84, "found": 81, "not_found": 1, "bad_number": 0, "invalid": 1,
        "out_of_scope": 0, "failed": 1, "pending": 0,
    });
    assert_eq!(account["rows"], rows);
    let repeated = json!({
        "transient": 3, "foreign": 0, "line": 1, "machine": 0, "throttled": 1, "token": 1,
        "unknown_code": 0,
    });
    assert_eq!(account["calls"]["repeated"], repeated);
    assert_eq!(account["holds"]["count"], json!(1));
    assert!(account["holds"]["by_limit_seconds"]["app"].as_f64().unwrap() >= 1.0, "{account}");
    assert_eq!(
        (&account["exit_status"], &account["written"], &account["message"]),
        (&json!(4), &json!(true), &Value::Null)
    );
    assert_eq!(account["input"]["columns"], json!([{"position": 1, "name": "mobile"}]));
    assert_eq!((&account["input"]["rows"], &account["kept_as"]), (&json!(84), &Value::Null));
    // The digest is what other programs say.
    let other = std::process::Command::new("sha256sum").arg(&input).output().unwrap();
    let other = String::from_utf8(other.stdout).unwrap();
    assert_eq!(account["input"]["sha256"], json!(other.split(' ').next().unwrap()));

    let text = std::fs::read_to_string(&metrics).unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let actual: HashMap<_, _> = scrape
        .samples
        .iter()
        .map(|sample| {
            let Sample::Gauge(number) = sample.value else { panic!("{sample:?}") };
            assert_eq!(sample.labels.get("input"), input.to_str(), "{sample:?}");
            let rest = sample
                .labels
                .iter()
                .filter(|(name, _)| *name != "input")
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
                .join(",");
            ((sample.metric.as_str(), rest), number)
        })
        .collect();
    for (metric, label, number) in [
        ("dingmap_rows", "found", 81),
        ("dingmap_rows", "failed", 1),
        ("dingmap_rows_read", "", 84),
        ("dingmap_calls", "lookup", lookups),
        ("dingmap_calls", "token", tokens),
        ("dingmap_repeated_calls", "transient", 3),
        ("dingmap_holds", "", 1),
        ("dingmap_exit_status", "", 4),
        ("dingmap_output_written", "", 1),
    ] {
        let number = f64::from(u32::try_from(number).unwrap());
        let value = actual[&(metric, label.to_owned())];
        assert!((value - number).abs() < 1e-9, "{metric} {label}: {text}");
    }
    assert!(actual[&("dingmap_held_seconds", "app".to_owned())] >= 1.0, "{text}");
}

#[test]
fn the_summary_of_a_stopped_run_has_the_reason_and_no_secret() {
    let mut script = unlimited_script();
    let message = "no permission for 13900000003".to_owned();
    script.answers_by_call.insert(3, ScriptedAnswer::Code { code: 60011, msg: message });
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(9));
    let (summary, metrics) =
        (workdir.write_file("run.json", "of yesterday"), workdir.path("dingmap.prom"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["-j", "1", "--summary"]).arg(&summary).arg("--metrics").arg(&metrics);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    let account = read_summary(&summary);
    let message = account["message"].as_str().unwrap();
    assert!(message.contains("no permission for") && message.contains("60011"), "{message}");
    let text =
        std::fs::read_to_string(&summary).unwrap() + &std::fs::read_to_string(&metrics).unwrap();
    for secret in ["13900000003", "sandbox-secret", "sandbox-key"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!((&account["exit_status"], &account["written"]), (&json!(5), &json!(false)));
    assert_eq!(account["calls"]["lookups"], json!(4));
    assert!(text.contains("dingmap_exit_status{"), "{text}");
    // The input has its rows, however few of them were asked.
    assert_eq!(account["input"]["rows"], json!(9));
    let rows_read = text.lines().find(|line| line.starts_with("dingmap_rows_read{")).unwrap();
    assert!(rows_read.ends_with("} 9"), "{rows_read}");
}

/// Calls are spent whatever becomes of the run.
#[test]
fn an_aborted_run_reports_the_calls_it_made() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(4, ScriptedAnswer::Hang(Duration::from_secs(20)));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, summary) =
        (workdir.write_file("staff.csv", staff_csv(9)), workdir.path("run.json"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["-j", "1", "--timeout", "30s", "--report"]).arg(workdir.path("run.html"));
    let metrics = workdir.path("dingmap.prom");
    command.arg("--metrics").arg(&metrics);
    let mut process = Process::start(command.arg("--summary").arg(&summary));
    wait_until("the call without an answer", || (api.call_log().calls().len() == 5).then_some(()));
    process.send_signal("INT");
    process.wait_for_stderr("stopping: ");
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    let account = read_summary(&summary);
    let spent = |account: &Value| {
        [&account["rows"]["in"], &account["numbers"]["asked"], &account["calls"]["token"]]
            .map(Value::as_u64)
    };
    assert_eq!(spent(&account), [Some(9), Some(5), Some(1)], "{account:#}");
    // An alert on open rows sees the rows that the run did not come to.
    let text = std::fs::read_to_string(&metrics).unwrap();
    let of_rows = |status: &str| -> u64 {
        let label = format!("status=\"{status}\"}} ");
        let line = text.lines().find_map(|line| {
            line.strip_prefix("dingmap_rows{")?.split_once(&label)?.1.parse().ok()
        });
        line.unwrap_or_else(|| panic!("{status}: {text}"))
    };
    assert_eq!(of_rows("found") + of_rows("pending"), 9, "{text}");
    assert!(of_rows("pending") >= 5, "{text}");
    let page = std::fs::read_to_string(workdir.path("run.html")).unwrap();
    assert!(page.contains("<dt>calls</dt><dd class=\"large\">5</dd>"), "{page}");

    // Of a pipe nothing is known before its rows are asked.
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, summary) = (
        workdir.write_file("staff.csv", staff_csv(3000) + "13900000000,2\n"),
        workdir.path("run.json"),
    );
    let mut command = api.resolve(Path::new("-"), &workdir.path("out.csv"));
    command.stdin(File::open(input).unwrap()).arg("--summary").arg(&summary);
    let metrics = workdir.path("dingmap.prom");
    let ended = run(command.arg("--metrics").arg(&metrics));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let account = read_json(&summary);
    // Nobody knows how many rows the pipe would have had.
    assert_eq!(account["input"]["rows"], Value::Null);
    assert!(!std::fs::read_to_string(&metrics).unwrap().contains("dingmap_rows_read"));
    assert_eq!(account["calls"]["lookups"], json!(api.call_log().calls().len()));
    let [rows, asked, token] = spent(&account);
    assert!(rows > Some(0) && asked > Some(0) && token == Some(1), "{account:#}");
}

/// What a later version writes is valid against the schema of this one, whatever fields were added.
#[test]
fn the_schema_allows_new_fields_and_hint_kinds() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, summary) =
        (workdir.write_file("staff.csv", staff_csv(3) + "1.38E+10\n"), workdir.path("run.json"));
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).arg("--summary").arg(&summary));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut account = read_summary(&summary);
    account["later"] = json!(1);
    account["calls"]["later"] = json!(1);
    account["advice"][0]["later"] = json!(1);
    account["advice"]
        .as_array_mut()
        .unwrap()
        .push(json!({"kind": "later", "rows": 1, "text": "do this"}));
    let schema = sample_path("summary.schema.json");
    assert!(jsonschema::is_valid(&read_json(&schema), &account), "{account:#}");
    account["advice"][1] = json!({"kind": "rounded", "text": "do this"});
    assert!(
        !jsonschema::is_valid(&read_json(&schema), &account),
        "a kind that is known lacks its field"
    );
}

#[test]
fn a_run_that_fails_to_start_writes_a_summary() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let summary = workdir.path("run.json");
    let mut command = api.resolve(&workdir.path("none.csv"), &workdir.path("out.csv"));
    let ended = run(command.arg("--summary").arg(&summary));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let account = read_summary(&summary);
    assert_eq!((&account["exit_status"], &account["input"]["sha256"]), (&json!(3), &Value::Null));
}

#[test]
fn unwritable_or_duplicate_paths_are_reported_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("out.csv"));
    let nowhere = workdir.path("none/run.json");
    for (flag, path, status, words) in [
        ("--summary", &nowhere, 7, "--summary: cannot write"),
        ("--metrics", &nowhere, 7, "--metrics: cannot write"),
        ("--summary", &output, 2, "is the output already"),
        ("--metrics", &input, 2, "is the input already"),
    ] {
        let ended = run(api.resolve(&input, &output).arg(flag).arg(path));
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert_eq!(workdir.file_names(), ["staff.csv"]);
    }
    assert!(api.call_log().calls().is_empty());
    // To standard output, where the rows do not go there.
    let ended = run(api.resolve(&input, &output).args(["--summary", "-"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_matches_schema("summary", &serde_json::from_str(&ended.stdout).unwrap());
}
