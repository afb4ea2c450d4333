//! A server that does not come back: a run ends and goes on by the same command, or does without where that was allowed.

use std::time::{Duration, Instant};

use super::{Ground, RATE, SECOND, calls_of, table};
use crate::harness::{run, unlimited};
use crate::served::Process;

const ROWS: u32 = 80;

#[test]
fn patience_ends_a_run_that_goes_on_by_the_same_command_with_a_server_or_without() {
    let Some(mut ground) = Ground::new(unlimited()) else { return };
    let start = |number: u32| {
        Process::start(
            ground.run(&format!("run{number}"), &table(number, ROWS)).args(["--patience", "3s"]),
        )
    };
    let runs = [start(0), start(1)];
    ground.wait_for_calls(20);
    ground.redis.kill();
    for (mut run, name) in runs.into_iter().zip(["run0", "run1"]) {
        let ended = run.end();
        println!("{}", ended.stderr);
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        let (found, pending) = (ground.rows(name, "found"), ground.rows(name, "pending"));
        assert_eq!(found + pending, ROWS as usize);
        assert!(found >= 20 && pending > 0, "{found} found, {pending} pending");
    }
    let ended = run(&mut ground.run_by_itself("run0", &table(0, ROWS)));
    assert_eq!(
        (ended.status, ground.rows("run0", "found")),
        (Some(0), ROWS as usize),
        "{}",
        ended.stderr
    );
    ground.redis.start_anew();
    let ended = run(&mut ground.run("run1", &table(1, ROWS)));
    assert_eq!(
        (ended.status, ground.rows("run1", "found")),
        (Some(0), ROWS as usize),
        "{}",
        ended.stderr
    );
    let ledger = ground.api.ledger();
    assert_eq!((ledger.calls().len(), ledger.distinct()), (2 * ROWS as usize, 2 * ROWS as usize));
}

#[test]
fn a_server_that_was_never_there_ends_a_run_or_is_done_without() {
    let Some(mut ground) = Ground::new(unlimited()) else { return };
    ground.redis.kill();
    let ended = run(ground.run("strict", &table(0, 20)).args(["--patience", "3s"]));
    println!("{}", ended.stderr);
    assert_eq!((ended.status, ground.rows("strict", "pending")), (Some(6), 20), "{}", ended.stderr);
    assert_eq!(ground.api.ledger().calls().len(), 0);
    let ended = run(ground.run("lenient", &table(0, 60)).arg("--shared-optional"));
    println!("{}", ended.stderr);
    assert_eq!((ended.status, ground.rows("lenient", "found")), (Some(0), 60), "{}", ended.stderr);
    ground.never_over_the_rate();
}

#[test]
fn runs_that_may_do_without_the_server_share_the_rate_by_their_number() {
    let Some(mut ground) = Ground::new(unlimited()) else { return };
    let start = |number: u32| {
        Process::start(
            ground.run(&format!("run{number}"), &table(number, ROWS)).arg("--shared-optional"),
        )
    };
    let mut runs = [start(0), start(1)];
    // By now each has heard of the other.
    ground.wait_for_calls(20);
    ground.redis.kill();
    let killed = Instant::now();
    for (number, run) in runs.iter_mut().enumerate() {
        let ended = run.end();
        println!("{}", ended.stderr);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(ground.rows(&format!("run{number}"), "found"), ROWS as usize);
    }
    let ledger = ground.api.ledger();
    for number in [0, 1] {
        // What the server had granted before may still be on its way.
        let after = killed + Duration::from_millis(1500);
        let by_itself: Vec<_> = calls_of(&ledger, number).filter(|call| call.at > after).collect();
        let half = RATE as usize / 2;
        assert!(by_itself.len() > half, "nothing was left to measure");
        let crowded =
            by_itself.windows(half + 1).any(|calls| calls[half].at - calls[0].at < SECOND);
        assert!(!crowded, "more than {half} calls in a second");
    }
    ground.never_over_the_rate();
}
