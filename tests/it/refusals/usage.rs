//! Flags that cannot be meant (exit status 2) and places that cannot be written to (7): told before anything
//! is asked.

use std::process::{Command, Stdio};

use dingmap::testing::sandbox::Ledger;

use super::{attempt, is_discreet, people, told};
use crate::harness::{Api, Desk, dingmap, run, unlimited};

#[test]
fn a_flag_that_cannot_be_meant_is_told() {
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
    ] {
        let seen = attempt(unlimited(), people(3), |command| {
            command.args(flags);
        });
        seen.refused(2, &[word]);
        seen.unasked();
    }
}

#[test]
fn an_endpoint_that_would_give_the_token_away_is_refused() {
    let desk = Desk::new();
    let input = desk.file("in.csv", people(3));
    for endpoint in [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1:8080",
        "ftp://127.0.0.1",
        "oapi.dingtalk.io",
        "https://someone:sandbox-secret@oapi.dingtalk.io",
        "https://oapi.dingtalk.io/?access_token=sandbox-secret",
        "",
    ] {
        let mut command = dingmap();
        command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token").arg("resolve").arg(&input);
        let ended =
            run(command.arg("-o").arg(desk.path("out.csv")).args(["-vvv", "--endpoint", endpoint]));
        told(&ended, 2, &["--endpoint"]);
        is_discreet(&ended, &Ledger::default(), people(3).as_bytes());
        assert_eq!(desk.names(), ["in.csv"]);
    }
}

#[test]
fn a_secret_is_not_taken_from_the_command_line_nor_repeated() {
    for flags in [
        &["--app-secret", "sandbox-secret"][..],
        &["--app-secret=sandbox-secret"],
        &["--access-token=sandbox-secret"],
    ] {
        let seen = attempt(unlimited(), people(3), |command| {
            command.args(flags);
        });
        seen.refused(2, &["unexpected argument"]);
        seen.unasked();
    }
}

#[test]
fn a_command_line_without_a_command_or_an_input_is_told() {
    for args in [&[][..], &["resolve"], &["dissolve"]] {
        let ended = run(dingmap().args(args));
        told(&ended, 2, &["Usage"]);
        assert_eq!(ended.stdout, "");
    }
    for args in [&["--help"][..], &["--version"], &["resolve", "--help"]] {
        let ended = run(dingmap().args(args));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("dingmap"));
    }
}

#[test]
fn a_variable_that_cannot_be_meant_is_told_like_its_flag() {
    for (name, value) in
        [("DINGMAP_RATE", "fast"), ("DINGMAP_WORKERS", "0"), ("DINGMAP_NO_HEADERS", "perhaps")]
    {
        let seen = attempt(unlimited(), people(3), |command| {
            command.env(name, value);
        });
        seen.refused(2, &[value]);
        seen.unasked();
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_first_call() {
    let (desk, api) = (Desk::new(), Api::new(unlimited()));
    let input = desk.file("in.csv", people(3));
    std::fs::create_dir(desk.path("directory")).unwrap();
    for output in ["no/such/directory/out.csv", "in.csv/out.csv", "directory"] {
        let ended = run(api.resolve(&input, &desk.path(output)).arg("-vvv"));
        told(&ended, 7, &[output, "--output"]);
        assert!(!ended.stderr.contains("entity"), "{}", ended.stderr);
        is_discreet(&ended, &api.ledger(), people(3).as_bytes());
        assert_eq!(desk.names(), ["directory", "in.csv"]);
        assert!(std::fs::read_dir(desk.path("directory")).unwrap().next().is_none());
    }
    assert!(api.ledger().calls().is_empty() && api.ledger().token_calls().is_empty());
    assert_eq!(std::fs::read_to_string(input).unwrap(), people(3));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let (desk, api) = (Desk::new(), Api::new(unlimited()));
    let ended = run(&mut api.resolve(&desk.file("in.csv", people(3)), "/dev/full".as_ref()));
    told(&ended, 7, &["/dev/full", "No space left"]);
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let (desk, api) = (Desk::new(), Api::new(unlimited()));
    let input = desk.file("in.csv", people(4000));
    let mut command: Command = api.resolve(&input, "-".as_ref());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap().into();
    told(&ended, 7, &["standard output"]);
    let calls = api.ledger().calls().len();
    assert!(calls < 4000, "{calls} calls for nobody");
}
