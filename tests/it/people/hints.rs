//! What a run advises at its end, in its closing lines and in its summary.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::json;

use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::schema::read_summary;
use crate::support::workdir::Workdir;

#[test]
fn a_run_prints_hints_for_its_problems() {
    let mut script = unlimited_script();
    for call in [20, 40, 60] {
        script.answers_by_call.insert(call, ScriptedAnswer::code(90018));
    }
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let mut table = staff_csv(80);
    // Rounded numbers, and people of Hong Kong whom the organization does not have.
    (0..3).for_each(|_| table.push_str("1.38E+10\n"));
    for n in 0..12 {
        let _ = writeln!(table, "+852 51{n:02} 4590");
    }
    let (input, output, summary) =
        (workdir.write_file("in.csv", table), workdir.path("out.csv"), workdir.path("run.json"));
    let run_with = |flags: &[&str]| {
        let mut command = api.resolve(&input, &output);
        run(command.args(["-j", "1", "--rate", "20", "--summary"]).arg(&summary).args(flags))
    };
    let ended = run_with(&[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let lines = [
        "3 numbers were rounded by Excel: export the column as text, or use the .xlsx itself",
        "12 not found: 100 % start with +852; is this the right organization?",
        "paused 3 times by 90018: another program uses this app's quota; set --rate to what it \
         leaves",
    ];
    let block = format!("\n{}\n15 rows have no user id", lines.join("\n"));
    assert!(ended.stderr.contains(&block), "{}", ended.stderr);
    let advice = read_summary(&summary)["advice"].clone();
    let texts: Vec<_> =
        advice.as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(texts[..3], lines);
    assert_eq!(
        (&advice[3]["kind"], &advice[4]["kind"]),
        (&json!("correct"), &json!("correct_source"))
    );
    assert_eq!(advice[0], json!({"kind": "rounded", "rows": 3, "text": lines[0]}));
    assert_eq!((&advice[1]["code"], &advice[2]["limit"]), (&json!(852), &json!("app")));
    // A quiet run says nothing, and the summary has it all the same.
    let ended = run_with(&["-q", "--max-age", "1d", "--max-age-not-found", "1d"]);
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    assert_eq!(read_summary(&summary)["advice"].as_array().unwrap().len(), 4);
}

#[test]
fn a_clean_run_prints_no_hints() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, summary) = (workdir.write_file("in.csv", staff_csv(30)), workdir.path("run.json"));
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).arg("--summary").arg(&summary));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(read_summary(&summary)["advice"], json!([]));
}

#[test]
fn broken_connections_produce_a_hint() {
    let mut script = unlimited_script();
    script.answers_by_call.extend((5..17).map(|call| (call, ScriptedAnswer::Drop)));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output, summary) = (
        workdir.write_file("in.csv", staff_csv(9)),
        workdir.path("out.csv"),
        workdir.path("run.json"),
    );
    let mut command = api.resolve(&input, &output);
    let ended = run(command.args(["-j", "1", "--max-retries", "12", "--summary"]).arg(&summary));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("\n12 of 21 calls lost their connection or timed out"),
        "{}",
        ended.stderr
    );
    assert_eq!(read_summary(&summary)["advice"][0]["kind"], json!("line"));
}

#[test]
fn foreign_replies_are_not_counted_as_connection_failures() {
    let mut script = unlimited_script();
    script.answers_by_call.extend((5..17).map(|call| (call, ScriptedAnswer::status(500))));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, summary) = (workdir.write_file("in.csv", staff_csv(9)), workdir.path("run.json"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["-j", "1", "--max-retries", "12", "--summary"]).arg(&summary));
    assert!(ended.stderr.contains("after an unexpected reply"), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("of the line") && !ended.stderr.contains("broke"),
        "{}",
        ended.stderr
    );
    let account = read_summary(&summary);
    let repeated = &account["calls"]["repeated"];
    assert!(repeated["foreign"].as_u64() >= Some(10) && repeated["line"] == 0, "{repeated}");
    assert_eq!(account["advice"][0]["kind"], "foreign", "{}", account["advice"]);
}

/// Whoever does what is advised gets the answers that they were missing, and nobody else's.
#[test]
fn the_suggested_retry_command_asks_the_failed_rows_again() {
    let mut script = unlimited_script();
    script.push_answers("13900000003", vec![ScriptedAnswer::code(-1)]);
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir
        .write_file("in.csv", "mobile,other\n13900000001,13900000003\n13900000002,13900000004\n");
    let output = workdir.path("o $3.csv");
    let flags = ["-c", "other", "-j", "1", "--max-retries", "0"];
    let ended = run(api.resolve(&input, &output).args(flags));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let advised = format!(
        "\none row failed; to ask it again, run: dingmap resolve '{}' --endpoint ",
        output.display()
    );
    assert!(ended.stderr.contains(&advised), "{}", ended.stderr);
    let mut again = api.resolve_without_output(&api.endpoint(), &output);
    let ended = run(again.args(flags).arg("--retry-failed"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let asked: Vec<_> = api.call_log().calls().iter().map(|call| call.number.to_string()).collect();
    assert_eq!(asked, ["13900000003", "13900000004", "13900000003"]);
}

#[test]
fn retrying_in_place_is_not_suggested_for_an_unreadable_output() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) =
        (workdir.write_file("in.csv", staff_csv(2) + "13900000094\n"), workdir.path("out.csv"));
    for (place, flags) in [
        (&*output, &["--flexible"][..]),
        (Path::new("-"), &[]),
        (Path::new("/dev/stdout"), &[]),
        (Path::new("/dev/null"), &[]),
    ] {
        let out = File::create(workdir.path("rows.csv")).unwrap();
        let mut command = api.resolve(&input, place);
        command.args(flags).args(["--max-retries", "0"]).stdout(out).stderr(Stdio::piped());
        let ended = command.spawn().unwrap().wait_with_output().unwrap();
        let actual = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(4), "{place:?} {flags:?}: {actual}");
        assert!(
            actual.contains("add --max-age 1d") && !actual.contains("--retry-failed"),
            "{place:?}: {actual}"
        );
    }
}
