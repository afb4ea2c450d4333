//! The same on the executable, over real HTTP: what a token host can do to a renewal, and a token
//! that cannot be renewed.

use std::time::Duration;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn a_renewal_survives_every_connection_fault() {
    let wait = Duration::from_millis(5)..=Duration::from_millis(10);
    let outage = [
        ScriptedAnswer::Pass,
        ScriptedAnswer::Hang(Duration::from_mins(1)),
        ScriptedAnswer::Drop,
        ScriptedAnswer::Half,
        ScriptedAnswer::status(500),
        ScriptedAnswer::status(404),
        ScriptedAnswer::Json("<html>log in</html>".to_owned()),
        ScriptedAnswer::Json(r#"{"accessToken":"","expireIn":7200}"#.to_owned()),
        ScriptedAnswer::code(-1),
    ];
    let script = Script {
        latency: wait,
        revoke_tokens_after_calls: Some(50),
        token_answers: outage.into(),
        ..unlimited_script()
    };
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) =
        (workdir.write_file("staff.csv", staff_csv(200)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(["--timeout", "1s", "--max-retries", "8"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"));
    let calls = api.call_log().token_calls().len();
    // A busy machine can make a call late, and each late call is repeated.
    assert!(
        calls >= 10 && ended.stderr.contains(&format!("{calls} token calls")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_hung_token_host_ends_the_run_within_its_timeouts_and_answers_are_kept() {
    let turns =
        [vec![ScriptedAnswer::Pass], vec![ScriptedAnswer::Hang(Duration::from_mins(1)); 20]]
            .concat();
    let script = Script {
        revoke_tokens_after_calls: Some(50),
        token_answers: turns.into(),
        ..unlimited_script()
    };
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) =
        (workdir.write_file("staff.csv", staff_csv(200)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    command.args(["--timeout", "2s", "--max-retries", "1", "-j", "1"]);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("timed out after 2s"), "{}", ended.stderr);
    assert_eq!((api.call_log().token_calls().len(), output.exists()), (3, false));
    api.update_script(|script| script.token_answers.clear());
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("resuming: 50 of "), "{}", ended.stderr);
    assert_eq!(
        api.call_log().calls().len(),
        200 + 1,
        "each number once, and the one whose token had ended"
    );
}

#[test]
fn an_expired_given_token_names_its_variable() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(20, ScriptedAnswer::wrapped("40014"));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(60)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET").args(["-j", "1"]);
    let RunOutput { status, stderr, .. } =
        run(command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token"));
    assert_eq!(status, Some(5), "{stderr}");
    assert!(stderr.contains("in DINGTALK_ACCESS_TOKEN") && stderr.contains("40014"), "{stderr}");
    assert_eq!((api.call_log().calls().len(), api.call_log().token_calls().len()), (21, 0));
}
