//! Credentials, permissions and hosts: exit status 5 where a person has to act, 1 where the host is
//! not to be reached.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use dingmap::testing::sandbox::CallLog;
use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::observed_run::{assert_exit, assert_redacted, observe_run, people_csv};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

fn without_credentials(command: &mut Command) -> &mut Command {
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET")
}

#[test]
fn missing_credentials_are_reported_by_name() {
    let seen = observe_run(unlimited_script(), people_csv(3), |command| {
        without_credentials(command);
    });
    seen.assert_refused(
        5,
        &["no credentials", "DINGTALK_APP_KEY", "DINGTALK_APP_SECRET", "DINGTALK_ACCESS_TOKEN"],
    );
    seen.assert_no_calls();
    let seen = observe_run(unlimited_script(), people_csv(3), |command| {
        command.env_remove("DINGTALK_APP_SECRET");
    });
    seen.assert_refused(5, &["app secret missing", "DINGTALK_APP_SECRET", "--app-secret-file"]);
    seen.assert_no_calls();
    let seen = observe_run(unlimited_script(), people_csv(3), |command| {
        command.env("DINGTALK_APP_KEY", " ");
    });
    seen.assert_refused(5, &["app key missing", "DINGTALK_APP_KEY"]);
    seen.assert_no_calls();
}

#[test]
fn a_secret_file_is_read_and_an_unusable_one_is_rejected() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", people_csv(3));
    for (name, content, status) in [
        ("secret", Some("sandbox-secret\n"), 0),
        ("crlf", Some("sandbox-secret\r\n"), 0),
        ("empty", Some(" \n"), 2),
        ("two", Some("sandbox-secret\nsandbox-secret\n"), 2),
        ("missing", None, 2),
    ] {
        let file =
            content.map_or_else(|| workdir.path(name), |content| workdir.write_file(name, content));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        without_credentials(&mut command).args([
            "-vvv",
            "--app-key",
            "sandbox-key",
            "--app-secret-file",
        ]);
        let ended = run(command.arg(file));
        assert_exit(&ended, status, if status == 0 { &[] } else { &["--app-secret-file"] });
        assert_redacted(&ended, &api.call_log(), people_csv(3).as_bytes());
    }
}

#[test]
fn quotation_marks_around_credentials_are_refused_before_any_call() {
    for (name, value) in [
        ("DINGTALK_APP_KEY", "\"sandbox-key\""),
        ("DINGTALK_CLIENT_ID", "'sandbox-key'"),
        ("DINGTALK_APP_SECRET", "\"sandbox-secret\""),
        ("DINGTALK_ACCESS_TOKEN", "\"sandbox-token\"\n"),
    ] {
        let seen = observe_run(unlimited_script(), people_csv(1), |command| {
            command.env(name, value);
        });
        let message = format!("{name}: the value has quotation marks around it");
        seen.assert_refused(2, &[&message, "remove them"]);
        seen.assert_no_calls();
    }
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", people_csv(1));
    let secret = workdir.write_file("secret", "\"sandbox-secret\"\n");
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.arg("--app-secret-file").arg(&secret));
    let message = format!("--app-secret-file {}: the value has quotation", secret.display());
    assert_exit(&ended, 2, &[&message]);
    assert!(api.call_log().token_calls().is_empty() && !ended.stderr.contains("sandbox-secret"));
}

#[test]
fn the_client_id_and_secret_of_the_developer_console_are_accepted() {
    let seen = observe_run(unlimited_script(), people_csv(3), |command| {
        without_credentials(command)
            .env("DINGTALK_CLIENT_ID", "sandbox-key")
            .env("DINGTALK_CLIENT_SECRET", "sandbox-secret");
    });
    seen.assert_stderr(0, &["found                3"]);
    let seen = observe_run(unlimited_script(), people_csv(3), |command| {
        command.env("DINGTALK_CLIENT_ID", "another-key");
    });
    seen.assert_refused(2, &["DINGTALK_APP_KEY and DINGTALK_CLIENT_ID", "unset one of them"]);
    seen.assert_no_calls();
    assert!(!seen.result.stderr.contains("another-key"));
}

#[test]
fn refused_credentials_end_the_run_at_the_token_call() {
    for (key, secret) in [("sandbox-key", "wrong"), ("wrong", "sandbox-secret")] {
        let seen = observe_run(unlimited_script(), people_csv(30), |command| {
            command.env("DINGTALK_APP_KEY", key).env("DINGTALK_APP_SECRET", secret);
        });
        seen.assert_refused(
            5,
            &["DINGTALK_APP_SECRET", "无效的clientId", "invalidClientIdOrSecret"],
        );
        assert_eq!((seen.call_log.calls().len(), seen.call_log.token_calls().len()), (0, 1));
    }
    // An old gateway that knows the older token call alone.
    let seen = observe_run(
        Script { has_v1_token_endpoint: false, ..unlimited_script() },
        people_csv(30),
        |command| {
            command.env("DINGTALK_APP_SECRET", "wrong");
        },
    );
    seen.assert_refused(5, &["DINGTALK_APP_SECRET", "40089"]);
    assert_eq!((seen.call_log.calls().len(), seen.call_log.token_calls().len()), (0, 2));
}

#[test]
fn a_rejected_token_that_cannot_be_renewed_ends_the_run() {
    let seen = observe_run(unlimited_script(), people_csv(30), |command| {
        without_credentials(command).env("DINGTALK_ACCESS_TOKEN", "stale-token").args(["-j", "4"]);
    });
    seen.assert_refused(5, &["DINGTALK_ACCESS_TOKEN", "40014"]);
    assert!(!seen.result.stderr.contains("stale-token"));
    assert!(
        (1..=4).contains(&seen.call_log.calls().len()) && seen.call_log.token_calls().is_empty()
    );
}

#[test]
fn a_rejected_fresh_token_is_not_renewed_forever() {
    let script = Script { always: Some(ScriptedAnswer::wrapped("40014")), ..unlimited_script() };
    let seen = observe_run(script, people_csv(30), |command| {
        command.args(["-j", "4"]);
    });
    seen.assert_refused(5, &["40014"]);
    assert!(
        seen.call_log.calls().len() <= 12 && seen.call_log.token_calls().len() <= 3,
        "{}",
        seen.result.stderr
    );
}

/// Codes that a person has to act upon, what the API says with them, and the word that tells what
/// to do.
fn fatal_answers() -> [(ScriptedAnswer, &'static str, &'static str); 4] {
    let wrapped = |code: &str, msg: &str| ScriptedAnswer::Wrapped {
        code: code.to_owned(),
        msg: msg.to_owned(),
    };
    let link =
        "https://open-dev.dingtalk.com/appscope/apply?content=dingabc%23qyapi_get_member_by_mobile";
    [
        (
            wrapped("60011", &format!("没有调用该接口的权限，点击链接申请 {link}")),
            link,
            "qyapi_get_member_by_mobile",
        ),
        (
            wrapped("60020", "访问ip不在白名单之中,request ip=203.0.113.77"),
            "203.0.113.77",
            "allow list",
        ),
        (
            ScriptedAnswer::Code { code: 40096, msg: "不合法的appkey".to_owned() },
            "不合法的appkey",
            "DINGTALK_APP_KEY",
        ),
        (ScriptedAnswer::Code { code: 90020, msg: "quota".to_owned() }, "quota", "quota"),
    ]
}

#[test]
fn a_fatal_code_ends_the_run_immediately() {
    for (answer, message, remedy) in fatal_answers() {
        let one = observe_run(
            Script { always: Some(answer.clone()), ..unlimited_script() },
            people_csv(60),
            |command| {
                command.args(["-j", "1"]);
            },
        );
        one.assert_refused(5, &[message, remedy, "--partial"]);
        assert_eq!(one.call_log.calls().len(), 1, "{message}");
        let script = Script {
            always: Some(answer.delayed_by(Duration::from_millis(20))),
            ..unlimited_script()
        };
        let four = observe_run(script, people_csv(60), |command| {
            command.args(["-j", "4"]);
        });
        four.assert_refused(5, &[message, remedy]);
        assert!(
            (1..=4).contains(&four.call_log.calls().len()),
            "{message}: {} calls",
            four.call_log.calls().len()
        );
    }
}

#[test]
fn a_partial_output_has_resolved_and_pending_rows() {
    for (answer, message, remedy) in fatal_answers() {
        let mut script = unlimited_script();
        script.answers_by_call.insert(7, answer);
        let seen = observe_run(script, format!("{}13800138000\nn\n", people_csv(20)), |command| {
            command.args(["-j", "1", "--partial"]);
        });
        seen.assert_stderr(5, &[message, remedy]);
        assert_eq!(
            (seen.file_names.as_slice(), seen.call_log.calls().len()),
            (&["in.csv".to_owned(), "out.csv".to_owned()][..], 8)
        );
        let expected: Vec<_> = [["found"; 7].as_slice(), &["pending"; 14], &["invalid"]].concat();
        assert_eq!(seen.statuses(), expected);
        for line in seen.output.unwrap().lines().filter(|line| line.contains("pending")) {
            let reason = line.split_once(",,,pending,,").map(|(_, reason)| reason);
            assert!(reason.is_some_and(|reason| !reason.is_empty()), "{line}");
        }
    }
}

#[test]
fn after_a_fatal_code_the_same_command_resumes() {
    for (answer, message, _) in fatal_answers() {
        let mut script = unlimited_script();
        script.answers_by_call.insert(30, answer);
        let (workdir, api) = (Workdir::new(), Sandbox::new(script));
        let output = workdir.path("out.csv");
        let mut command = api.resolve(&workdir.write_file("in.csv", people_csv(80)), &output);
        command.args(["-j", "1"]);
        assert_exit(&run(&mut command), 5, &[message, "the same command resumes the run"]);
        assert_eq!((api.call_log().calls().len(), output.exists()), (31, false));
        assert_exit(&run(&mut command), 0, &["resuming: 30 of "]);
        assert_eq!(
            api.call_log().calls().len(),
            80 + 1,
            "the one that ended it, and each number once"
        );
    }
}

#[test]
fn standard_output_ends_with_the_row_before_the_fatal_one() {
    let (workdir, mut script) = (Workdir::new(), unlimited_script());
    script.answers_by_call.insert(2, ScriptedAnswer::code(60011));
    let api = Sandbox::new(script);
    let ended = run(api
        .resolve(&workdir.write_file("in.csv", people_csv(9)), "-".as_ref())
        .args(["-j", "1"]));
    assert_exit(&ended, 5, &["standard output"]);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(
        lines[1..],
        ["13800130000,u00130000,,found,0,ok", "13800130001,u00130001,,found,0,ok"]
    );
    assert!(ended.stdout.ends_with('\n'));
}

/// A run whose first call ends it with these words of the API about the number in `cell`.
fn assert_masked_in_api_message(cell: &str, message: &str) {
    let script = Script {
        always: Some(ScriptedAnswer::Code { code: 60011, msg: message.to_owned() }),
        ..unlimited_script()
    };
    let seen = observe_run(script, format!("phone,n\n{cell},1\n13800138001,2\n"), |command| {
        command.args(["-j", "1"]);
    });
    seen.assert_refused(5, &["mobile"]);
}

#[test]
fn mainland_numbers_in_api_messages_are_masked() {
    for message in [
        "mobile 13800138000 is odd",
        "mobile=+86-13800138000",
        "mobile 8613800138000",
        "mobile13800138000",
    ] {
        assert_masked_in_api_message("138 0013 8000", message);
    }
}

#[test]
fn foreign_numbers_in_api_messages_are_masked() {
    assert_masked_in_api_message("+852 51234567", "mobile +852-51234567 is odd");
    assert_masked_in_api_message("+1 201 555 0123", "mobile=+1-2015550123");
}

#[test]
fn an_unreachable_host_is_reported_quickly() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", people_csv(60));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for with_token in [false, true] {
        let mut command = dingmap();
        command.arg("resolve").arg(&input).arg("-o").arg(workdir.path("out.csv"));
        command.args([
            "-vvv",
            "--max-retries",
            "1",
            "--retry-min",
            "10ms",
            "--endpoint",
            &endpoint,
        ]);
        if with_token {
            command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token");
        } else {
            command
                .env("DINGTALK_APP_KEY", "sandbox-key")
                .env("DINGTALK_APP_SECRET", "sandbox-secret");
        }
        let ended = run(&mut command);
        assert_exit(&ended, 1, &[&endpoint, "refused", "--endpoint"]);
        assert_redacted(&ended, &CallLog::default(), people_csv(60).as_bytes());
        assert_eq!(workdir.file_names(), ["in.csv"]);
    }
}
