//! Which answers a run uses: those of the run that it goes on, of one that it inherits from, and of
//! finished ones by age.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use dingmap::testing::sandbox::Script;
use serde_json::Value;

use crate::support::interrupted_runs::{
    interrupt_after_calls, numbers_table, resolvable_numbers, run_and_count_calls, shell_command,
    uninterrupted_output,
};
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn the_same_command_resumes_after_a_signal_and_asks_nothing_twice() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
        let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(1200)));
        let output = workdir.path("out.csv");
        let ended = interrupt_after_calls(&api, &input, &output, 150, signal, &[]);
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains("the same command resumes the run"), "{}", ended.stderr);
        let (_, ended) = run_and_count_calls(&api, &input, &output, &[]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("resuming: 1") && ended.stderr.contains(" known since "),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(" of at most 1 200 numbers"), "{}", ended.stderr);
        let busy = resolvable_numbers(1200).iter().filter(|number| number.ends_with("95")).count();
        assert_eq!(api.call_log().calls().len(), 1200 + 2 * busy, "distinct and retries");
        assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
    }
}

#[test]
fn a_killed_run_asks_again_only_uncommitted_numbers() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(600)));
    let output = workdir.path("out.csv");
    // Sixteen at a time, 20 ms each, and retries: 700 calls a second at most, so that 300 calls in
    // the first commit is past.
    let ended = interrupt_after_calls(&api, &input, &output, 580, "KILL", &["--rate", "400"]);
    assert_eq!(ended.status, None, "{}", ended.stderr);
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(calls < 600, "{calls}: what was committed is not asked again");
    assert!(ended.stderr.contains("resuming: "), "{}", ended.stderr);
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
}

#[test]
fn a_finished_run_asks_again_unless_max_age_allows_reuse() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    // Found, bad number, not found, out of scope.
    let all = ["13900000000", "13900000092", "13900000090", "13900000093"].map(str::to_owned);
    let (input, output) =
        (workdir.write_file("staff.csv", numbers_table(&all)), workdir.path("out.csv"));
    for (flags, calls) in [
        (&[][..], 4),
        (&[], 4),
        (&["--max-age", "1d"], 2),
        (&["--max-age", "1d", "--max-age-not-found", "1h"], 0),
        (&["--max-age", "1d", "--max-age-not-found", "1h", "--restart"], 4),
        (&["--max-age-not-found", "1h"], 4),
    ] {
        let (called, ended) = run_and_count_calls(&api, &input, &output, flags);
        assert_eq!((called, ended.status), (calls, Some(0)), "{flags:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("resuming"), "{}", ended.stderr);
        let actual = format!("{} already known", if calls == 2 { "2 rows" } else { "4 rows" });
        assert_eq!(ended.stderr.contains(&actual), calls < 4, "{flags:?}: {}", ended.stderr);
        assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
    }
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(
        run_and_count_calls(&api, &input, &output, &["--max-age", "1s"]).0,
        4,
        "they are too old"
    );
}

#[test]
fn a_changed_input_inherits_answers_of_an_unfinished_run_once() {
    let (api, workdir) = (Sandbox::new(slow_script(10)), Workdir::new());
    let all = resolvable_numbers(93);
    let input = workdir.write_file("staff.csv", numbers_table(&all));
    let output = workdir.path("out.csv");
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &["--max-calls", "60"]);
    assert_eq!((calls, ended.status), (60, Some(6)), "{}", ended.stderr);
    let more = workdir.write_file("more.csv", numbers_table(&resolvable_numbers(90)));
    let (calls, ended) = run_and_count_calls(&api, &more, &output, &[]);
    assert_eq!((calls, ended.status), (30, Some(0)), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another input was not finished: its 60 answers"),
        "{}",
        ended.stderr
    );
    let third = workdir.write_file("third.csv", numbers_table(&resolvable_numbers(80)));
    let (calls, ended) = run_and_count_calls(&api, &third, &output, &[]);
    assert_eq!((calls, ended.status), (80, Some(0)), "{}", ended.stderr);
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert!(calls <= 33 && ended.stderr.contains("resuming: 60 of"), "{calls}: {}", ended.stderr);
}

#[test]
fn restart_ignores_earlier_answers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(90))),
        workdir.path("out.csv"),
    );
    run_and_count_calls(&api, &input, &output, &["--max-calls", "50"]);
    let (calls, ended) =
        run_and_count_calls(&api, &input, &output, &["--restart", "--max-calls", "20"]);
    assert_eq!((calls, ended.status), (20, Some(6)), "{}", ended.stderr);
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert_eq!(
        (calls, ended.status),
        (70, Some(0)),
        "only what the restart learned: {}",
        ended.stderr
    );
}

#[test]
fn a_failed_number_is_asked_again_only_by_the_next_run() {
    let mut script = unlimited_script();
    script
        .push_answers("13900000000", vec![dingmap::testing::sandbox::ScriptedAnswer::code(-1); 3]);
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let rows: Vec<_> = (1..40).map(|n| format!("139000001{n:02}\n")).collect();
    // The repeat comes many rows later, when the number has failed long ago.
    let rows = "mobile\n13900000000\n".to_owned() + &rows.concat().repeat(30) + "13900000000\n";
    let (input, output) = (workdir.write_file("staff.csv", rows), workdir.path("out.csv"));
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &["--max-retries", "2"]);
    assert_eq!((calls, ended.status), (39 + 3, Some(4)), "{}", ended.stderr);
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &["--max-age", "1d"]);
    assert_eq!((calls, ended.status), (1, Some(0)), "{}", ended.stderr);
}

#[test]
fn answers_of_endpoints_apps_and_options_do_not_mix() {
    let (api, other, workdir) =
        (Sandbox::new(unlimited_script()), Sandbox::new(unlimited_script()), Workdir::new());
    // Its answer depends on exclusive accounts.
    let (input, output) =
        (workdir.write_file("staff.csv", "mobile\n13900000096\n"), workdir.path("out.csv"));
    let state = workdir.path("one.redb");
    let ask = |api: &Sandbox, flags: &[&str], token: Option<&str>| {
        let before = api.call_log().calls().len();
        let mut command = api.resolve(&input, &output);
        command
            .args(["--max-age", "1d", "--max-age-not-found", "1d", "--state"])
            .arg(&state)
            .args(flags);
        if let Some(token) = token {
            command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
            command.env("DINGTALK_ACCESS_TOKEN", token);
        }
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let status = crate::support::rows::read_rows(&output)[0]["status"].clone();
        (api.call_log().calls().len() - before, status)
    };
    for calls in [1, 0] {
        assert_eq!(ask(&api, &[], None), (calls, "found".to_owned()));
        assert_eq!(ask(&other, &[], None).0, calls);
        assert_eq!(
            ask(&api, &["--exclusive-accounts", "false"], None),
            (calls, "not_found".to_owned())
        );
        assert_eq!(ask(&api, &["--mainland", "prefixed"], None).0, calls);
        assert_eq!(ask(&api, &[], Some("sandbox-token")).0, calls);
    }
    let bytes = fs::read(&state).unwrap();
    for secret in ["sandbox-token", "sandbox-secret"] {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret} is in the state"
        );
    }
}

#[test]
fn a_piped_run_resumes() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(60))),
        workdir.path("out.csv"),
    );
    let piped = |flags: &[&str]| {
        let mut command = api.resolve(Path::new("-"), &output);
        run(command.args(flags).stdin(Stdio::from(File::open(&input).unwrap())))
    };
    assert_eq!(piped(&["--max-calls", "20"]).status, Some(6));
    let ended = piped(&[]);
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(0), 60), "{}", ended.stderr);
    assert!(ended.stderr.contains("resuming: 20 numbers known since "), "{}", ended.stderr);
}

#[test]
fn a_sandbox_run_keeps_no_state_unless_a_path_is_given() {
    let workdir = Workdir::new();
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    let rehearse = |flags: &[&str]| {
        let mut command = dingmap();
        command.env_remove("DINGMAP_NO_STATE").env("XDG_DATA_HOME", workdir.path("data"));
        command.args(["resolve".as_ref(), input.as_os_str(), "-o".as_ref(), output.as_os_str()]);
        run(command.args(["--sandbox", "--rate", "unlimited"]).args(flags))
    };
    assert_eq!(rehearse(&[]).status, Some(0));
    assert_eq!(workdir.file_names(), ["out.csv", "staff.csv"]);
    let state = workdir.path("kept");
    let flags = ["--max-age", "1h", "--state", state.to_str().unwrap()];
    assert!(rehearse(&flags).stderr.contains("3 distinct numbers"));
    let ended = rehearse(&flags);
    assert!(ended.stderr.contains("3 rows already known"), "{}", ended.stderr);
}

#[test]
fn a_locked_state_is_reported_or_waited_for() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let table = numbers_table(&resolvable_numbers(90));
    let input = workdir.write_file("staff.csv", &table);
    let (first, second) = (workdir.path("first.csv"), workdir.path("second.csv"));
    // It holds the state until its input, a pipe, is closed.
    let mut holder = Process::start(api.resolve(Path::new("-"), &first).stdin(Stdio::piped()));
    let mut rows = holder.child.stdin.take().unwrap();
    rows.write_all(table.as_bytes()).unwrap();
    wait_until("the first call", || (!api.call_log().calls().is_empty()).then_some(()));
    // The reports are those of the run that works, or of the last one that did.
    let reports = Workdir::new();
    let flags = ["--summary", "--metrics", "--report"]
        .map(|flag| (flag, reports.write_file(&flag[2..], "of the first")));
    let with_reports = |mut command: std::process::Command| {
        for (flag, path) in &flags {
            command.arg(flag).arg(path);
        }
        command
    };
    let assert_reports_unchanged = || {
        assert_eq!(reports.file_names(), ["metrics", "report", "summary"]);
        for (flag, path) in &flags {
            assert_eq!(fs::read_to_string(path).unwrap(), "of the first", "{flag}");
        }
    };
    let refused = run(&mut with_reports(api.resolve(&input, &second)));
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert_reports_unchanged();
    let actual = format!("is in use by process {}", holder.id());
    let actual = actual.trim_start_matches("is ");
    for words in [actual, "--wait", "--state", "--no-state"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    let mut waiting = Process::start(api.resolve(&input, &second).arg("--wait"));
    waiting.wait_for_stderr("waiting: the state ");
    // Nobody is cut off from a signal by waiting.
    let mut hasty =
        Process::start(with_reports(api.resolve(&input, &workdir.path("third.csv"))).arg("--wait"));
    hasty.wait_for_stderr("waiting: the state ");
    hasty.send_signal("TERM");
    assert_eq!(hasty.wait().status, Some(143));
    assert_reports_unchanged();
    drop(rows);
    assert_eq!(holder.wait().status, Some(0));
    let ended = waiting.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    assert_eq!(workdir.file_names(), ["first.csv", "second.csv", "staff.csv"]);
}

/// The address of a server that does not speak Redis' protocol.
fn unsuitable_shared_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        }
    });
    format!("redis://{address}")
}

#[test]
fn a_run_that_cannot_start_leaves_the_reports_of_an_earlier_run_that_works() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let table = numbers_table(&resolvable_numbers(9));
    let (input, output) = (workdir.write_file("staff.csv", &table), workdir.path("out.csv"));
    let flags = ["summary", "metrics", "report"].map(|name| (format!("--{name}"), name));
    let resolve = |input: &Path, output: &Path| {
        let mut command = api.resolve(input, output);
        for (flag, name) in &flags {
            command.arg(flag).arg(workdir.path(name));
        }
        command.arg("--no-state");
        command
    };
    let exit_status = || {
        let summary = fs::read_to_string(workdir.path("summary")).unwrap();
        serde_json::from_str::<Value>(&summary).unwrap()["exit_status"].as_u64()
    };
    // It works until its input, a pipe, is closed.
    let mut first = Process::start(resolve(Path::new("-"), &output).stdin(Stdio::piped()));
    let mut rows = first.child.stdin.take().unwrap();
    rows.write_all(table.as_bytes()).unwrap();
    wait_until("the first call", || (!api.call_log().calls().is_empty()).then_some(()));
    let url = unsuitable_shared_url();
    let status = |flags: &[&str]| run(resolve(&input, &output).args(flags)).status;
    let missing_secret = run(resolve(&input, &output).env_remove("DINGTALK_APP_SECRET")).status;
    assert_eq!(missing_secret, Some(5));
    assert_eq!(status(&["--shared", &url]), Some(2));
    assert_eq!(status(&["-c", "nobody"]), Some(3));
    let missing_directory = run(&mut resolve(&input, &workdir.path("no/out.csv"))).status;
    assert_eq!(missing_directory, Some(7));
    for (_, name) in &flags {
        assert!(!workdir.path(name).exists(), "{name}");
    }
    drop(rows);
    assert_eq!(first.wait().status, Some(0));
    assert_eq!(exit_status(), Some(0));
    // Nobody else writes the reports now.
    assert_eq!(status(&["-c", "nobody"]), Some(3));
    assert_eq!(exit_status(), Some(3));
    assert_eq!(workdir.file_names(), ["metrics", "out.csv", "report", "staff.csv", "summary"]);
}

#[test]
fn an_input_is_not_replaced_by_an_output_with_pending_rows() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = numbers_table(&resolvable_numbers(20));
    let input = workdir.write_file("staff.csv", &text);
    let ended = run(api.resolve(&input, &input).args(["--max-calls", "5"]));
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("was not written"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&input).unwrap(), text);
    let (calls, ended) = run_and_count_calls(&api, &input, &input, &[]);
    assert_eq!((calls, ended.status), (15, Some(0)), "{}", ended.stderr);
    assert!(fs::read_to_string(&input).unwrap().contains(",u"));
}

#[test]
fn a_token_with_its_app_key_resumes_with_another_token() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(40))),
        workdir.path("out.csv"),
    );
    let with = |key: Option<&str>, flags: &[&str]| {
        let mut command = api.resolve(&input, &output);
        command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET").args(flags);
        command
            .env("DINGTALK_ACCESS_TOKEN", "sandbox-token")
            .envs(key.map(|key| ("DINGTALK_APP_KEY", key)));
        let before = api.call_log().calls().len();
        let ended = run(&mut command);
        (api.call_log().calls().len() - before, ended.stderr)
    };
    let (calls, actual) = with(None, &["--max-calls", "10"]);
    assert!(calls == 10 && actual.contains("for this token"), "{actual}");
    let (calls, actual) = with(Some("app"), &["--max-calls", "10"]);
    assert!(calls == 10 && !actual.contains("for this token"), "{actual}");
    let (_, actual) = with(Some("app"), &["--max-calls", "1", "--restart"]);
    assert!(actual.contains("without --restart"), "{actual}");
    let info = run(dingmap().args(["state", "info", "--state"]).arg(api.state_path()));
    assert!(info.stdout.contains("app app") && info.stdout.contains("app token:"), "{info:?}");
}

#[test]
fn answers_of_an_expired_token_are_reused_only_by_tokens_of_its_app() {
    for (key, left) in [(Some("sandbox-key"), 20), (None, 40)] {
        // The first call has a token handed out, which dies after twenty of the run's; the static
        // one stays.
        let script = Script { revoke_tokens_after_calls: Some(21), ..unlimited_script() };
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let first = workdir.write_file("first.csv", numbers_table(&resolvable_numbers(1)));
        run_and_count_calls(&api, &first, &workdir.path("first.out.csv"), &["--no-state"]);
        let dying = api.call_log().calls()[0].token.to_string();
        let (input, output) = (
            workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(40))),
            workdir.path("out.csv"),
        );
        let with = |token: &str| {
            let mut command = api.resolve(&input, &output);
            command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET").arg("-j1");
            command
                .env("DINGTALK_ACCESS_TOKEN", token)
                .envs(key.map(|key| ("DINGTALK_APP_KEY", key)));
            let before = api.call_log().calls().len();
            let ended = run(&mut command);
            (api.call_log().calls().len() - before, ended)
        };
        let (calls, ended) = with(&dying);
        assert_eq!((calls, ended.status), (21, Some(5)), "{key:?}: {}", ended.stderr);
        for words in [
            "If DINGTALK_APP_KEY is set in addition to the token",
            "and 21 calls\ncalls: 21 lookups, 0 token calls\n",
        ] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
        assert_eq!(ended.stderr.contains("kept for this token"), key.is_none(), "{}", ended.stderr);
        let (calls, ended) = with("sandbox-token");
        assert_eq!((calls, ended.status), (left, Some(0)), "{key:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("resuming: 20 of"), key.is_some(), "{}", ended.stderr);
        assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
    }
}

#[test]
fn an_ignored_hangup_does_not_end_the_run() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(200))),
        workdir.path("out.csv"),
    );
    let mut command = shell_command("trap '' HUP", &api.resolve(&input, &output));
    let mut process = Process::start(&mut command);
    wait_until("calls", || (api.call_log().calls().len() > 20).then_some(()));
    process.send_signal("HUP");
    let ended = process.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
}

#[test]
fn the_summary_suggests_how_to_retry_failed_rows() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let all = ["13900000000", "13900000094", "13900000090"].map(str::to_owned);
    let (input, output) =
        (workdir.write_file("staff.csv", numbers_table(&all)), workdir.path("out.csv"));
    let (_, ended) = run_and_count_calls(&api, &input, &output, &["--max-retries", "0"]);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let advice =
        format!("one row failed; to ask it again, run: dingmap resolve {} ", output.display());
    assert!(ended.stderr.contains(&advice), "{}", ended.stderr);
    // Where the rows have gone nobody knows where, the state has to do.
    let flags = ["--max-age", "1d", "--max-age-not-found", "1d"];
    let (_, ended) = run_and_count_calls(&api, &input, Path::new("-"), &["--max-retries", "0"]);
    assert!(ended.stderr.contains(&flags.join(" ")), "{}", ended.stderr);
    let again = [&flags[..], &["--max-retries", "0"]].concat();
    assert_eq!(run_and_count_calls(&api, &input, &output, &again).0, 1);
}
