//! Invalid flags (exit status 2) and places that cannot be written to (7) are reported before the
//! first call.

use std::process::{Command, Stdio};

use dingmap::testing::sandbox::CallLog;

use crate::support::observed_run::{assert_exit, assert_redacted, observe_run, people_csv};
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn an_invalid_flag_is_rejected() {
    for (flags, word) in [
        (&["--rate", "0"][..], "--rate"),
        (&["--rate", "fast"], "fast"),
        (&["--rate", "-1"], "-1"),
        (&["--retry-min", "2s", "--retry-max", "1s"], "--retry-max"),
        (&["-j", "0"], "--workers"),
        (&["-j", "1000000"], "--workers"),
        (&["--max-retries", "many"], "--max-retries"),
        (&["--max-calls", "1.5"], "--max-calls"),
        (&["--timeout", "0s"], "--timeout"),
        (&["--connect-timeout", "0ms"], "--connect-timeout"),
        (&["--patience", "15"], "--patience"),
        (&["--retry-max=-5s"], "-5s"),
        (&["--region", "ZZ"], "--region"),
        (&["--delimiter", "ab"], "--delimiter"),
        (&["--mainland", "odd"], "--mainland"),
        (&["--fail-on", "everything"], "--fail-on"),
        (&["--exclusive-accounts", "perhaps"], "--exclusive-accounts"),
        (&["--progress", "loud"], "--progress"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["another.csv"], "another.csv"),
        // Errors name the bounds, also those of negative and of very large values.
        (&["--rate", "-5"], "invalid rate '-5'"),
        (&["--rate", "2000000"], "at most 1000000 calls per second"),
        (&["--rate", "0"], "at least one call a day"),
        (&["--workers", "-1"], "-1 is not in 1..=1024"),
        (&["-j", "99999999999999999999"], "is not in 1..=1024"),
        (&["--max-retries", "x"], "from 0 to 4294967295"),
        (&["--max-calls", "-1"], "is not in 0..=1000000000000000"),
        (&["--skip-lines", "99999999999999999999"], "is not in 0..=1000000000000000"),
        (&["--timeout", "-5s"], "-5s"),
        (&["--timeout", "99999999999999999999d"], "at most 100 days"),
        (&["--max-age", "99999999999999999999d"], "at most ten years"),
        (&["--shard", "0/0"], "from 1 to 4294967295"),
    ] {
        let seen = observe_run(unlimited_script(), people_csv(3), |command| {
            command.args(flags);
        });
        seen.assert_refused(2, &[word]);
        seen.assert_no_calls();
    }
}

#[test]
fn a_directory_or_a_url_as_input_is_named() {
    let workdir = Workdir::new();
    let directory = workdir.path("").display().to_string();
    let csv = workdir.write_file("in.csv", people_csv(3)).display().to_string();
    let url = "https://example.com/staff.csv?token=geheim";
    for (input, text) in [(&*directory, "is a directory"), (url, "https://example.com/staff.csv")] {
        for line in [
            &["resolve", input, "--sandbox"][..],
            &["resolve", input, "--sandbox", "-o", "-"],
            &["plan", input],
            &["diff", input, &csv],
            &["merge", input, &csv, "-o", "-"],
        ] {
            let ended = run(dingmap().args(line));
            assert_eq!(ended.status, Some(3), "{line:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(text), "{line:?}: {}", ended.stderr);
            assert!(!ended.stderr.contains("geheim"), "{line:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn numbers_in_arguments_are_masked_in_errors() {
    for line in [
        &["resolve", "a", "138-0013-8777"][..],
        &["resolve", "a", "--rate", "13800138777"],
        &["resolve", "a", "--progress", "138/0013/8777"],
        &["13800138777"],
        &["help", "13800138777"],
        &["resolve", "a", "--sandbox", "--sheet", "13800138777", "\u{202e}"],
    ] {
        for language in ["en", "zh"] {
            let ended = run(dingmap().args(line).args(["--lang", language]));
            assert_eq!(ended.status, Some(2), "{line:?}: {}", ended.stderr);
            assert!(
                !ended.stderr.contains("0013") && !ended.stderr.contains('\u{202e}'),
                "{}",
                ended.stderr
            );
        }
    }
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", people_csv(3)).display().to_string();
    for (line, status) in [
        (&["resolve", &input, "--sandbox", "-vvv", "--progress", "line"][..], 0),
        (&["resolve", &input, "--sandbox", "--progress", "json"], 0),
        (&["plan", &input, "-v"], 0),
        (&["resolve", "none.csv", "--sandbox"], 3),
        (&["resolve", "--no-such-flag"], 2),
        (&["resolve", "--rate", "x", "--progress", "json"], 2),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = dingmap().args(line).stderr(writer).stdout(Stdio::null()).status().unwrap();
        assert_eq!(ended.code(), Some(status), "{line:?}");
    }
}

#[test]
fn an_endpoint_that_would_leak_the_token_is_rejected() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", people_csv(3));
    for endpoint in [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1:8080",
        "ftp://127.0.0.1",
        "htp://oapi.dingtalk.io",
        "oapi.dingtalk.io",
        "https://someone:sandbox-secret@oapi.dingtalk.io",
        "https://oapi.dingtalk.io/?access_token=sandbox-secret",
        "",
    ] {
        let mut command = dingmap();
        command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token").arg("resolve").arg(&input);
        let ended = run(command.arg("-o").arg(workdir.path("out.csv")).args([
            "-vvv",
            "--endpoint",
            endpoint,
        ]));
        assert_exit(&ended, 2, &["--endpoint"]);
        assert_redacted(&ended, &CallLog::default(), people_csv(3).as_bytes());
        assert_eq!(workdir.file_names(), ["in.csv"]);
    }
}

#[test]
fn an_unsupported_scheme_is_rejected_with_the_allowed_forms() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", people_csv(3));
    for command in ["resolve", "plan"] {
        for (endpoint, words) in [
            ("htp://oapi.dingtalk.io", "unsupported scheme 'htp://'; use https://HOST[:PORT]"),
            ("ftp://oapi.dingtalk.io", "unsupported scheme 'ftp://'; use https://HOST[:PORT]"),
            ("oapi.dingtalk.io", "it does not begin with https://"),
        ] {
            let ended = run(dingmap().arg(command).arg(&input).args(["--endpoint", endpoint]));
            assert_exit(&ended, 2, &["--endpoint: ", words]);
        }
    }
}

#[test]
fn secrets_on_the_command_line_are_rejected_and_not_echoed() {
    for flags in [
        &["--app-secret", "sandbox-secret"][..],
        &["--app-secret=sandbox-secret"],
        &["--access-token=sandbox-secret"],
    ] {
        let seen = observe_run(unlimited_script(), people_csv(3), |command| {
            command.args(flags);
        });
        seen.assert_refused(2, &["unexpected argument"]);
        seen.assert_no_calls();
    }
}

#[test]
fn a_missing_command_or_input_is_reported() {
    for args in [&[][..], &["resolve"], &["dissolve"]] {
        let ended = run(dingmap().args(args));
        assert_exit(&ended, 2, &["Usage"]);
        assert_eq!(ended.stdout, "");
    }
    for args in [&["--help"][..], &["--version"], &["resolve", "--help"]] {
        let ended = run(dingmap().args(args));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("dingmap"));
    }
}

#[test]
fn an_invalid_variable_is_reported_like_its_flag() {
    for (name, value) in
        [("DINGMAP_RATE", "fast"), ("DINGMAP_WORKERS", "0"), ("DINGMAP_NO_HEADERS", "perhaps")]
    {
        let seen = observe_run(unlimited_script(), people_csv(3), |command| {
            command.env(name, value);
        });
        seen.assert_refused(2, &[value]);
        seen.assert_no_calls();
    }
}

#[test]
fn an_unwritable_output_is_reported_before_the_first_call() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", people_csv(3));
    std::fs::create_dir(workdir.path("directory")).unwrap();
    for output in ["no/such/directory/out.csv", "in.csv/out.csv", "directory"] {
        let ended = run(api.resolve(&input, &workdir.path(output)).arg("-vvv"));
        assert_exit(&ended, 7, &[output, "--output"]);
        assert!(!ended.stderr.contains("entity"), "{}", ended.stderr);
        assert_redacted(&ended, &api.call_log(), people_csv(3).as_bytes());
        assert_eq!(workdir.file_names(), ["directory", "in.csv"]);
        assert!(std::fs::read_dir(workdir.path("directory")).unwrap().next().is_none());
    }
    assert!(api.call_log().calls().is_empty() && api.call_log().token_calls().is_empty());
    assert_eq!(std::fs::read_to_string(input).unwrap(), people_csv(3));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let ended =
        run(&mut api.resolve(&workdir.write_file("in.csv", people_csv(3)), "/dev/full".as_ref()));
    assert_exit(&ended, 7, &["/dev/full", "No space left"]);
}

#[test]
fn a_closed_standard_output_ends_the_run() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", people_csv(4000));
    let mut command: Command = api.resolve(&input, "-".as_ref());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended: RunOutput = child.wait_with_output().unwrap().into();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dingmap: "), "{}", ended.stderr);
    let calls = api.call_log().calls().len();
    assert!(calls < 4000, "{calls} calls for nobody");
}
