//! One answer for all: what another run has asked, or is asking, is not asked again, and nobody waits for the dead.

use std::process::Command;
use std::time::Duration;

use dingmap::testing::sandbox::Answer;

use super::{Ground, calls_of, number, table};
use crate::harness::{run, unlimited};
use crate::served::{Process, until};

#[test]
fn two_runs_over_the_same_numbers_make_one_call_for_each() {
    let Some(ground) = Ground::new(unlimited()) else { return };
    // Somebody who is not found is an answer too.
    let table = table(0, 56) + "13000000090\n13000000190\n13000000091\n13000000191\n";
    let mut runs = ["one", "other"].map(|name| Process::start(&mut ground.run(name, &table)));
    for run in &mut runs {
        let ended = run.end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let calls = ground.api.ledger().calls().len();
    println!("{calls} calls for 60 numbers");
    let outputs =
        ["one", "other"].map(|name| std::fs::read_to_string(ground.output(name)).unwrap());
    assert_eq!((ground.rows("one", "found"), ground.rows("one", "not_found")), (56, 4));
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!((calls, ground.api.ledger().distinct()), (60, 60));
    assert_eq!(ground.api.ledger().token_calls().len(), 1);
    ground.never_over_the_rate();
}

/// How many calls a run to its end makes.
fn calls_by(ground: &Ground, command: &mut Command) -> usize {
    let before = ground.api.ledger().calls().len();
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    ground.api.ledger().calls().len() - before
}

#[test]
fn a_later_run_takes_answers_by_the_rules_of_max_age_and_of_nobody_else() {
    let Some(ground) = Ground::new(unlimited()) else { return };
    let mut runs = 0;
    // No run has a state of an earlier one: what it knows, it knows from the server.
    let mut later = |flags: &[&str]| {
        runs += 1;
        calls_by(&ground, ground.run(&format!("run{runs}"), &table(0, 10)).args(flags))
    };
    let reuse = ["--max-age", "1h"];
    assert_eq!(later(&[]), 10);
    assert_eq!(later(&reuse), 0, "what another run was told within the hour");
    assert_eq!(later(&[]), 10, "each run asks anew");
    // What is asked is another question then.
    for other in [["--exclusive-accounts", "false"], ["--mainland", "prefixed"]] {
        let flags = [reuse, other].concat();
        assert_eq!((later(&flags), later(&flags)), (10, 0), "{other:?}");
    }
    assert_eq!(later(&reuse), 0);
    // Another app may see other people, and whoever has another secret cannot read what was kept under this one.
    ground.api.change(|script| script.app_secret = "another-secret".to_owned());
    let mut renewed = ground.run("renewed", &table(0, 10));
    assert_eq!(
        calls_by(&ground, renewed.args(reuse).env("DINGTALK_APP_SECRET", "another-secret")),
        10
    );
    ground.api.change(|script| script.app_key = "another-key".to_owned());
    let mut another = ground.run("another", &table(0, 10));
    another.env("DINGTALK_APP_KEY", "another-key").env("DINGTALK_APP_SECRET", "another-secret");
    assert_eq!(calls_by(&ground, another.args(reuse)), 10);
}

#[test]
fn what_a_killed_run_was_asking_goes_to_another() {
    const HANGING: u32 = 8;
    let mut script = unlimited();
    for at in 0..HANGING {
        script.turn(number(0, at), [Answer::Hang(Duration::from_mins(2))]);
    }
    let Some(ground) = Ground::new(script) else { return };
    let workers = HANGING.to_string();
    let mut doomed = Process::start(ground.run("doomed", &table(0, HANGING)).args([
        "--workers",
        &workers,
        "--timeout",
        "2m",
    ]));
    ground.wait_for_calls_of(0, HANGING as usize);
    let others = table(1, 20);
    let mut heir =
        Process::start(&mut ground.run("heir", &(table(0, HANGING) + &others["mobile\n".len()..])));
    // It asks for everything else, and nobody asks twice for what is under way.
    ground.wait_for_calls_of(1, 20);
    assert_eq!(calls_of(&ground.api.ledger(), 0).count(), HANGING as usize);
    doomed.signal("KILL");
    doomed.end();
    until("the heir's calls", || {
        let ledger = ground.api.ledger();
        (0..HANGING).all(|at| ledger.calls_of(&number(0, at)).count() == 2).then_some(())
    });
    let ended = heir.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ground.rows("heir", "found"), 20 + HANGING as usize);
    assert_eq!(ground.api.ledger().calls().len(), 20 + 2 * HANGING as usize);
    ground.never_over_the_rate();
}
