//! Where rows come from and go to: the column, standard input and output, the output's name and
//! when it appears, and the environment in place of flags.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;

use super::{asked_numbers, read_text, resolve_text};
use crate::support::process::{WAIT_TIMEOUT, wait_until};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const INPUT: &str = "name,phone\na,13800138000\nb,13800138090\n";
const OUTPUT: &str = "name,phone,userid,exclusive_userids,status,errcode,errmsg\n\
    a,13800138000,u00138000,,found,0,ok\nb,13800138090,,,not_found,60121,找不到该用户\n";

#[test]
fn the_column_is_chosen_by_name_or_position() {
    let text = "办公手机,私人手机,n\n13800138001,13900139001,1\n13800138002,13900139002,2\n";
    for (column, expected) in [
        ("办公手机", "13800138001"),
        ("私人手机", "13900139001"),
        (" 私人手机 ", "13900139001"),
        ("1", "13800138001"),
        ("2", "13900139001"),
    ] {
        let (ended, output, call_log) = resolve_text(text, |command| {
            command.args(["-c", column, "-j", "1"]);
        });
        assert_eq!(ended.status, Some(0), "{column}: {}", ended.stderr);
        assert_eq!(asked_numbers(&call_log)[0], expected, "{column}");
        assert_eq!(output.lines().count(), 3);
    }
    let (ended, _, call_log) = resolve_text("A,B\n13900139000,13800138000\n", |command| {
        command.args(["--column", "b"]);
    });
    assert_eq!(
        (ended.status, asked_numbers(&call_log)),
        (Some(0), vec!["13800138000".to_owned()]),
        "{}",
        ended.stderr
    );
}

#[test]
fn rows_go_through_standard_input_and_output() {
    let workdir = Workdir::new();
    let api = Sandbox::with_plain_http(unlimited_script());
    let input = workdir.write_file("in.csv", INPUT);
    for (from, to) in [("-", Some("-")), ("-", None), ("in.csv", Some("-"))] {
        let mut command = dingmap();
        command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token").env("DINGMAP_RATE", "unlimited");
        command.args(["resolve", "--endpoint", &api.endpoint()]);
        command.arg(if from == "-" { "-".into() } else { input.clone() });
        command.args(to.map(|to| ["-o", to]).into_iter().flatten());
        command.stdin(File::open(&input).unwrap());
        let ended = run(&mut command);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (Some(0), OUTPUT),
            "{from} {to:?}: {}",
            ended.stderr
        );
    }
    assert_eq!(workdir.file_names(), ["in.csv"]);
    let ended =
        run(api.resolve("-".as_ref(), &workdir.path("out.csv")).stdin(File::open(&input).unwrap()));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    assert_eq!(read_text(&workdir.path("out.csv")), OUTPUT);
    assert_eq!(api.call_log().token_calls().len(), 1, "a token that was given is not fetched");
}

#[test]
fn rows_stream_to_standard_output_while_the_input_is_still_open() {
    let api = Sandbox::new(unlimited_script());
    let mut command = api.resolve("-".as_ref(), "-".as_ref());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = sync_channel(8);
    let reader =
        std::thread::spawn(move || output.lines().try_for_each(|line| sender.send(line.unwrap())));
    let next = || lines.recv_timeout(WAIT_TIMEOUT).expect("a row is kept back");
    input.write_all(b"phone\n13800138000\n").unwrap();
    assert_eq!(next(), "phone,userid,exclusive_userids,status,errcode,errmsg");
    assert_eq!(next(), "13800138000,u00138000,,found,0,ok");
    input.write_all(b"13800138001\n").unwrap();
    assert_eq!(next(), "13800138001,u00138001,,found,0,ok");
    drop(input);
    assert_eq!((reader.join().unwrap(), lines.try_recv().ok()), (Ok(()), None));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_default_output_is_next_to_the_input() {
    let workdir = Workdir::new();
    let api = Sandbox::with_plain_http(unlimited_script());
    for (input, output) in [
        ("staff.csv", "staff.resolved.csv"),
        ("名单.2026.txt", "名单.2026.resolved.csv"),
        ("plain", "plain.resolved.csv"),
    ] {
        let mut command = dingmap();
        command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token").env("DINGMAP_RATE", "unlimited");
        command
            .args(["resolve", "--endpoint", &api.endpoint()])
            .arg(workdir.write_file(input, INPUT));
        let ended = run(&mut command);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
        assert_eq!(read_text(&workdir.path(output)), OUTPUT);
        std::fs::remove_file(workdir.path(input)).unwrap();
        std::fs::remove_file(workdir.path(output)).unwrap();
    }
    assert_eq!(workdir.file_names(), [""; 0]);
}

#[test]
fn an_output_may_replace_its_input() {
    let workdir = Workdir::new();
    let api = Sandbox::new(unlimited_script());
    let path = workdir.write_file("staff.csv", INPUT);
    let ended = run(&mut api.resolve(&path, &path));
    assert_eq!((ended.status, read_text(&path).as_str()), (Some(0), OUTPUT), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["staff.csv"]);
}

#[test]
fn the_output_is_replaced_only_when_it_is_complete() {
    let workdir = Workdir::new();
    let mut script = unlimited_script();
    script.answers_by_call.insert(1, ScriptedAnswer::Pass.delayed_by(Duration::from_millis(700)));
    let api = Sandbox::new(script);
    let output = workdir.write_file("out.csv", "old");
    let mut command = api.resolve(&workdir.write_file("in.csv", INPUT), &output);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    wait_until("two calls", || (api.call_log().calls().len() >= 2).then_some(()));
    assert_eq!(read_text(&output), "old", "the last answer is still in flight");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(read_text(&output), OUTPUT);
    assert_eq!(workdir.file_names(), ["in.csv", "out.csv"]);
}

#[test]
fn an_existing_output_is_kept_when_the_run_fails() {
    let workdir = Workdir::new();
    let mut script = unlimited_script();
    script.answers_by_call.insert(1, ScriptedAnswer::code(60011));
    let api = Sandbox::new(script);
    let output = workdir.write_file("out.csv", "old");
    let ended = run(&mut api.resolve(&workdir.write_file("in.csv", INPUT), &output));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert_eq!(
        (read_text(&output).as_str(), workdir.file_names()),
        ("old", vec!["in.csv".into(), "out.csv".into()])
    );
}

#[test]
fn a_variable_works_like_its_flag() {
    let workdir = Workdir::new();
    let api = Sandbox::with_plain_http(unlimited_script());
    let input = workdir.write_file("in.csv", "51234567;13900139096;x\n51234568;13900139000;y\n");
    let output = workdir.path("by variable.csv");
    let mut command = dingmap();
    command.arg("resolve").arg(&input).env("DINGTALK_ACCESS_TOKEN", "sandbox-token");
    for (name, value) in [
        ("ENDPOINT", api.endpoint().as_str()),
        ("OUTPUT", output.to_str().unwrap()),
        ("COLUMN", "2"),
        ("NO_HEADERS", "true"),
        ("DELIMITER", ";"),
        ("RATE", "unlimited"),
        ("WORKERS", "1"),
        ("MAINLAND", "prefixed"),
        ("EXCLUSIVE_ACCOUNTS", "false"),
        ("FAIL_ON", "not-found"),
        ("QUIET", "1"),
    ] {
        command.env(format!("DINGMAP_{name}"), value);
    }
    let ended = run(&mut command);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(4), ""));
    let expected = "51234567;13900139096;x;;;not_found;60121;找不到该用户\n\
                    51234568;13900139000;y;u00139000;;found;0;ok\n";
    assert_eq!(read_text(&output), expected);
    let call_log = api.call_log();
    assert_eq!(asked_numbers(&call_log), ["+86-13900139096", "+86-13900139000"]);
    assert!(call_log.calls().iter().all(|call| call.exclusive == Some(false)));
    // Flag beats variable; the region matters for the first column alone.
    let ended = run(command
        .args(["-c", "1", "--region", "HK", "-o"])
        .arg(workdir.path("by flag.csv"))
        .args(["--fail-on", "not-found", "--exclusive-accounts", "true"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(asked_numbers(&api.call_log())[2..], ["+852-51234567", "+852-51234568"]);
    assert_eq!(api.call_log().calls()[3].exclusive, Some(true));
    assert_eq!(workdir.file_names(), ["by flag.csv", "by variable.csv", "in.csv"]);
}

#[test]
fn the_rate_comes_from_flag_then_variable_then_default() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", INPUT);
    for (variable, flag, expected) in [
        (Some("12"), None, "rate = 12 # variable DINGMAP_RATE"),
        (None, None, "rate = 20 # default"),
        (Some("1"), Some("unlimited"), "rate = \"unlimited\" # command line"),
        (Some("1"), Some("16"), "rate = 16 # command line"),
    ] {
        let mut command = dingmap();
        command.arg("resolve").arg(&input).arg("--print-config");
        command.envs(variable.map(|rate| ("DINGMAP_RATE", rate)));
        let result = run(command.args(flag.map(|flag| ["--rate", flag]).into_iter().flatten()));
        assert_eq!(result.status, Some(0), "{}", result.stderr);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(result.stdout.lines().any(|line| words(line) == expected), "{}", result.stdout);
    }
}
