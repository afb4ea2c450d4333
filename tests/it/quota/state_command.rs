//! `dingmap state` on a shared server: what it prints and what it can delete, with nothing secret,
//! nothing of anybody else's, and no call too many.

use std::process::Command;
use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;
use dingmap::testing::sandbox::userid_for;

use crate::support::process::{Process, wait_until};
use crate::support::quota_fixture::{QuotaFixture, number_of_run, table_of_run};
use crate::support::redis::RedisServer;
use crate::support::sandbox::{RunOutput, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// `dingmap state` about a server.
fn state_command(url: &str, words: &[&str]) -> Command {
    let mut command = dingmap();
    command.arg("state").args(words).args(["--shared", url]);
    command
}

/// What it says, on standard output where it says anything there.
#[track_caller]
fn state_output(fixture: &QuotaFixture, words: &[&str]) -> String {
    let ended = run(&mut state_command(&fixture.redis.url(), words));
    assert_success(&ended);
    if ended.stdout.is_empty() { ended.stderr } else { ended.stdout }
}

/// How many keys of a kind the server has, counted without the command.
fn key_count(fixture: &QuotaFixture, kind: &str) -> usize {
    let keys =
        fixture.redis.entries().into_iter().map(|entry| String::from_utf8(entry.key).unwrap());
    keys.filter(|key| key.starts_with("dingmap:1:") && key.contains(kind)).count()
}

#[track_caller]
fn assert_has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|other| other.trim() == *line), "{line}\n{text}");
    }
}

#[track_caller]
fn assert_success(ended: &RunOutput) {
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn state_info_matches_the_server_and_shows_no_secret() {
    const HANGING: u32 = 6;
    let mut script = unlimited_script();
    (0..HANGING).for_each(|at| {
        script.push_answers(number_of_run(1, at), [ScriptedAnswer::Hang(Duration::from_mins(2))]);
    });
    let fixture = QuotaFixture::new(script);
    assert_has_lines(&state_output(&fixture, &["info"]), &["no answers are stored there"]);
    assert_success(&run(&mut fixture.command("known", &table_of_run(0, 10))));
    let owner = format!("{}, app sandbox-key", fixture.sandbox.endpoint());
    let calm = state_output(&fixture, &["info"]);
    println!("{calm}");
    assert_eq!(
        (key_count(&fixture, ":a:"), key_count(&fixture, ":c:"), key_count(&fixture, ":token")),
        (10, 0, 1)
    );
    assert_has_lines(&calm, &[&owner, "no active run", "answers: 10; numbers claimed: 0"]);
    let mut busy = fixture.command("busy", &table_of_run(1, HANGING));
    let mut busy = Process::start(busy.args(["--timeout", "2m", "--rate", "7"]));
    fixture.wait_for_calls_of(1, HANGING as usize);
    let busily = state_output(&fixture, &["info"]);
    println!("{busily}");
    assert_eq!((key_count(&fixture, ":a:"), key_count(&fixture, ":c:")), (10, HANGING as usize));
    assert_has_lines(
        &busily,
        &[&owner, "1 active run, at 7 calls/s", "answers: 10; numbers claimed: 6"],
    );
    for line in ["access token, valid for ", "everything expires within "] {
        assert!(busily.lines().any(|other| other.trim().starts_with(line)), "{line}\n{busily}");
    }
    assert!(!busily.contains("paused until"), "{busily}");
    busy.send_signal("KILL");
    busy.wait();
    let numbers = (0..2).flat_map(|run| (0..10).map(move |at| number_of_run(run, at)));
    let mut secrets: Vec<_> = numbers.flat_map(|number| [userid_for(&number), number]).collect();
    secrets.extend([
        fixture.sandbox.call_log().calls()[0].token.to_string(),
        "sandbox-secret".to_owned(),
    ]);
    for secret in secrets {
        assert!(!calm.contains(&secret) && !busily.contains(&secret), "{secret}");
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_pause_is_reported_and_survives_forget() {
    let mut script = unlimited_script();
    let headers = vec![("Retry-After".to_owned(), "60".to_owned())];
    script.push_answers(
        number_of_run(0, 5),
        [ScriptedAnswer::Http { status: 429, headers, body: String::new() }],
    );
    let fixture = QuotaFixture::new(script);
    let mut held = Process::start(&mut fixture.command("held", &table_of_run(0, 100)));
    let rests = || {
        let text = state_output(&fixture, &["info"]);
        text.contains("paused until ").then_some(text)
    };
    let text = wait_until("a rest", rests);
    println!("{text}");
    assert!(text.contains(" (HTTP 429 or 503 from the host or a proxy)"), "{text}");
    held.send_signal("INT");
    held.wait();
    assert!(key_count(&fixture, ":a:") > 0);
    state_output(&fixture, &["forget", "--all"]);
    assert_eq!(
        (key_count(&fixture, ":a:"), key_count(&fixture, ":c:"), key_count(&fixture, ":token")),
        (0, 0, 0)
    );
    assert_has_lines(&rests().unwrap(), &["answers: 0; numbers claimed: 0", "no token"]);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn forget_removes_only_the_named_apps_answers() {
    let fixture = QuotaFixture::new(unlimited_script());
    let mut runs = 0;
    let mut calls = |key: &str| {
        fixture.sandbox.update_script(|script| key.clone_into(&mut script.app_key));
        let before = fixture.sandbox.call_log().calls().len();
        runs += 1;
        let mut command = fixture.command(&format!("run{runs}"), &table_of_run(0, 10));
        assert_success(&run(command.args(["--max-age", "1h"]).env("DINGTALK_APP_KEY", key)));
        fixture.sandbox.call_log().calls().len() - before
    };
    assert_eq!((calls("one"), calls("other"), calls("one"), calls("other")), (10, 10, 0, 0));
    let strange = ["dingmap:2:00:a:00", "dingmapped"];
    for key in &strange {
        fixture.redis.call(&["SET", key, "of another version or program"]);
    }
    let forgot = |words: &[&str], count: u32| {
        let text = state_output(&fixture, &[&["forget"], words].concat());
        assert!(text.contains(&format!("{count} answers were deleted\n")), "{text}");
    };
    forgot(&["--app", "nobody"], 0);
    forgot(&["--app", "one"], 10);
    assert_eq!((key_count(&fixture, ":a:"), key_count(&fixture, ":token")), (10, 1));
    assert_eq!((calls("other"), calls("one")), (0, 10));
    forgot(&["--all"], 20);
    assert_eq!((key_count(&fixture, ":a:"), key_count(&fixture, ":token")), (0, 0));
    let text = state_output(&fixture, &["info"]);
    println!("{text}");
    assert_has_lines(
        &text,
        &["1 key belongs to another version of dingmap; only that version can show and delete it"],
    );
    for key in strange {
        assert!(fixture.redis.entries().iter().any(|entry| entry.key == key.as_bytes()), "{key}");
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn forget_during_runs_never_exceeds_the_rate() {
    const ROWS: u32 = 80;
    let fixture = QuotaFixture::new(unlimited_script());
    let mut runs = [0, 1].map(|run| {
        Process::start(&mut fixture.command(&format!("run{run}"), &table_of_run(run, ROWS)))
    });
    for calls in [10, 30, 50] {
        fixture.wait_for_calls_of_both(calls);
        state_output(&fixture, &["forget", "--all"]);
    }
    for run in &mut runs {
        assert_success(&run.wait());
    }
    assert_eq!(
        [0, 1].map(|run| fixture.count_rows(&format!("run{run}"), "found")),
        [ROWS as usize; 2]
    );
    assert!(key_count(&fixture, ":a:") < ROWS as usize, "nothing was forgotten");
    fixture.assert_never_over_rate();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn state_commands_use_the_file_unless_shared_is_typed() {
    let fixture = QuotaFixture::new(unlimited_script());
    assert_success(&run(&mut fixture.command("run", &table_of_run(0, 5))));
    let (url, file) = (fixture.redis.url(), fixture.workdir.path("run.redb"));
    let settings = fixture.workdir.write_file("c.toml", format!("shared = '{url}'\n"));
    let set = |command: &mut Command| {
        run(command
            .env("DINGMAP_SHARED", &url)
            .env("DINGMAP_STATE", &file)
            .env("DINGMAP_WAIT", "1"))
    };
    let by_variable = set(dingmap().args(["state", "info"]));
    let by_file = set(dingmap().args(["state", "info", "--config"]).arg(settings));
    for ended in [by_variable, by_file] {
        assert!(ended.stdout.contains("run.redb: version "), "{ended:?}");
    }
    let ended = set(dingmap().args(["state", "forget", "--all"]));
    assert_success(&ended);
    assert_eq!(key_count(&fixture, ":a:"), 5, "{}", ended.stderr);
    let ended = set(&mut state_command(&url, &["info"]));
    assert!(
        ended.stdout.contains("answers: 5;") && !ended.stdout.contains("run.redb"),
        "{ended:?}"
    );
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn unsupported_shared_state_commands_are_rejected_with_a_reason() {
    let redis = RedisServer::with_password("opensesame");
    let (url, workdir) = (redis.url(), Workdir::new());
    let password = workdir.write_file("password", "opensesame\n");
    let password = password.to_str().unwrap();
    let typed = url.replace("redis://", "redis://:opensesame@");
    for (url, words, status, reason) in [
        (&*url, &["info"][..], 5, "DINGMAP_SHARED_PASSWORD"),
        (&url, &["info", "--shared-password-file", password], 0, ""),
        (&typed, &["info"], 2, "DINGMAP_SHARED_PASSWORD"),
        (&url, &["info", "--state", "x"], 2, "--state is for a state file"),
        (&url, &["info", "--wait"], 2, "--wait is for a state file"),
        (&url, &["forget", "--older-than", "1d"], 2, "encrypted"),
        (&url, &["forget", "--app", "x", "--status", "found"], 2, "encrypted"),
        (&url, &["forget", "--number", "-"], 2, "encrypted"),
        (&url, &["forget"], 2, "--all"),
        (&url, &["compact"], 2, "--shared"),
        (&url, &["export"], 2, "--shared"),
        ("http://127.0.0.1", &["info"], 2, "redis://"),
        ("redis://127.0.0.1:1", &["info"], 1, "connection refused"),
        ("redis://127.0.0.1:1", &["forget", "--all"], 1, "connection refused"),
    ] {
        let ended = run(&mut state_command(url, words));
        assert_eq!(ended.status, Some(status), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{words:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("opensesame"), "{}", ended.stderr);
    }
    assert_eq!(workdir.file_names(), ["password"]);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_hung_server_times_out_and_a_signal_ends_the_wait() {
    let fixture = QuotaFixture::new(unlimited_script());
    fixture.redis.pause();
    let ended = run(&mut state_command(&fixture.redis.url(), &["info"]));
    assert!(ended.status == Some(1) && ended.stderr.contains("timed out"), "{ended:?}");
    let mut waits = Process::start(&mut state_command(&fixture.redis.url(), &["forget", "--all"]));
    // From then on it hears signals, and has nothing to do but to wait.
    wait_until("a handler", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waits.id())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        (u64::from_str_radix(caught.trim(), 16).ok()? & 0b10 > 0).then_some(())
    });
    waits.send_signal("INT");
    assert_eq!(waits.wait().status, Some(130));
}
