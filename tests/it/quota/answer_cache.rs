//! One answer for all: what another run has asked, or is asking, is not asked again, and nobody
//! waits for the dead.

use std::process::Command;
use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;

use crate::support::process::{Process, wait_until};
use crate::support::quota_fixture::{QuotaFixture, calls_of, number_of_run, table_of_run};
use crate::support::sandbox::{run, unlimited_script};

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn two_runs_over_the_same_numbers_make_one_call_for_each() {
    let fixture = QuotaFixture::new(unlimited_script());
    // Somebody who is not found is an answer too.
    let table = table_of_run(0, 56) + "13000000090\n13000000190\n13000000091\n13000000191\n";
    let mut runs = ["one", "other"].map(|name| Process::start(&mut fixture.command(name, &table)));
    for run in &mut runs {
        let ended = run.wait();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let calls = fixture.sandbox.call_log().calls().len();
    println!("{calls} calls for 60 numbers");
    let outputs =
        ["one", "other"].map(|name| std::fs::read_to_string(fixture.output_path(name)).unwrap());
    assert_eq!(
        (fixture.count_rows("one", "found"), fixture.count_rows("one", "not_found")),
        (56, 4)
    );
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!((calls, fixture.sandbox.call_log().distinct_numbers()), (60, 60));
    assert_eq!(fixture.sandbox.call_log().token_calls().len(), 1);
    fixture.assert_never_over_rate();
}

/// How many calls a run to its end makes.
fn count_calls(fixture: &QuotaFixture, command: &mut Command) -> usize {
    let before = fixture.sandbox.call_log().calls().len();
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    fixture.sandbox.call_log().calls().len() - before
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_later_run_reuses_answers_within_max_age_and_its_scope() {
    let fixture = QuotaFixture::new(unlimited_script());
    let mut runs = 0;
    // No run has a state of an earlier one: what it knows, it knows from the server.
    let mut later = |flags: &[&str]| {
        runs += 1;
        count_calls(
            &fixture,
            fixture.command(&format!("run{runs}"), &table_of_run(0, 10)).args(flags),
        )
    };
    let reuse = ["--max-age", "1h"];
    assert_eq!(later(&[]), 10);
    assert_eq!(later(&reuse), 0, "answers that another run got within the hour");
    assert_eq!(later(&[]), 10, "each run asks anew");
    // What is asked is another question then.
    for other in [["--exclusive-accounts", "false"], ["--mainland", "prefixed"]] {
        let flags = [reuse, other].concat();
        assert_eq!((later(&flags), later(&flags)), (10, 0), "{other:?}");
    }
    assert_eq!(later(&reuse), 0);
    // Another app may see other people, and whoever has another secret cannot read what was kept
    // under this one.
    fixture.sandbox.update_script(|script| script.app_secret = "another-secret".to_owned());
    let mut renewed = fixture.command("renewed", &table_of_run(0, 10));
    assert_eq!(
        count_calls(&fixture, renewed.args(reuse).env("DINGTALK_APP_SECRET", "another-secret")),
        10
    );
    fixture.sandbox.update_script(|script| script.app_key = "another-key".to_owned());
    let mut another = fixture.command("another", &table_of_run(0, 10));
    another.env("DINGTALK_APP_KEY", "another-key").env("DINGTALK_APP_SECRET", "another-secret");
    assert_eq!(count_calls(&fixture, another.args(reuse)), 10);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn claims_of_a_killed_run_pass_to_another_run() {
    const HANGING: u32 = 8;
    let mut script = unlimited_script();
    for at in 0..HANGING {
        script.push_answers(number_of_run(0, at), [ScriptedAnswer::Hang(Duration::from_mins(2))]);
    }
    let fixture = QuotaFixture::new(script);
    let workers = HANGING.to_string();
    let mut doomed = Process::start(fixture.command("doomed", &table_of_run(0, HANGING)).args([
        "--workers",
        &workers,
        "--timeout",
        "2m",
    ]));
    fixture.wait_for_calls_of(0, HANGING as usize);
    let others = table_of_run(1, 20);
    let mut heir = Process::start(
        &mut fixture.command("heir", &(table_of_run(0, HANGING) + &others["mobile\n".len()..])),
    );
    // It asks for everything else, and nobody asks twice for what is in flight.
    fixture.wait_for_calls_of(1, 20);
    assert_eq!(calls_of(&fixture.sandbox.call_log(), 0).count(), HANGING as usize);
    doomed.send_signal("KILL");
    doomed.wait();
    wait_until("the heir's calls", || {
        let call_log = fixture.sandbox.call_log();
        (0..HANGING).all(|at| call_log.calls_for(&number_of_run(0, at)).count() == 2).then_some(())
    });
    let ended = heir.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fixture.count_rows("heir", "found"), 20 + HANGING as usize);
    assert_eq!(fixture.sandbox.call_log().calls().len(), 20 + 2 * HANGING as usize);
    fixture.assert_never_over_rate();
}
