//! A server that does not come back: a run ends and goes on by the same command, or does without
//! where that was allowed.

use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::quota_fixture::{CALLS_PER_SECOND, QuotaFixture, calls_of, table_of_run};
use crate::support::sandbox::{run, unlimited_script};

const ROWS: u32 = 80;

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn patience_ends_a_run_that_resumes_with_or_without_the_server() {
    let mut fixture = QuotaFixture::new(unlimited_script());
    let start = |number: u32| {
        Process::start(
            fixture
                .command(&format!("run{number}"), &table_of_run(number, ROWS))
                .args(["--patience", "3s"]),
        )
    };
    let runs = [start(0), start(1)];
    fixture.wait_for_calls_of_both(20);
    fixture.redis.kill();
    for (mut run, name) in runs.into_iter().zip(["run0", "run1"]) {
        let ended = run.wait();
        println!("{}", ended.stderr);
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        let (found, pending) =
            (fixture.count_rows(name, "found"), fixture.count_rows(name, "pending"));
        assert_eq!(found + pending, ROWS as usize);
        assert!(pending > 0, "{found} found, {pending} pending");
    }
    let ended = run(&mut fixture.command_without_shared("run0", &table_of_run(0, ROWS)));
    assert_eq!(
        (ended.status, fixture.count_rows("run0", "found")),
        (Some(0), ROWS as usize),
        "{}",
        ended.stderr
    );
    fixture.redis.restart_empty();
    let ended = run(&mut fixture.command("run1", &table_of_run(1, ROWS)));
    assert_eq!(
        (ended.status, fixture.count_rows("run1", "found")),
        (Some(0), ROWS as usize),
        "{}",
        ended.stderr
    );
    let call_log = fixture.sandbox.call_log();
    assert_eq!(
        (call_log.calls().len(), call_log.distinct_numbers()),
        (2 * ROWS as usize, 2 * ROWS as usize)
    );
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn an_unreachable_server_ends_the_run_unless_it_is_optional() {
    let mut fixture = QuotaFixture::new(unlimited_script());
    fixture.redis.kill();
    let ended = run(fixture.command("strict", &table_of_run(0, 20)).args(["--patience", "3s"]));
    println!("{}", ended.stderr);
    assert_eq!(
        (ended.status, fixture.count_rows("strict", "pending")),
        (Some(6), 20),
        "{}",
        ended.stderr
    );
    assert_eq!(fixture.sandbox.call_log().calls().len(), 0);
    let ended = run(fixture.command("lenient", &table_of_run(0, 60)).arg("--shared-optional"));
    println!("{}", ended.stderr);
    assert_eq!(
        (ended.status, fixture.count_rows("lenient", "found")),
        (Some(0), 60),
        "{}",
        ended.stderr
    );
    fixture.assert_never_over_rate();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn runs_with_an_optional_server_split_the_rate_when_it_fails() {
    let mut fixture = QuotaFixture::new(unlimited_script());
    let start = |number: u32| {
        Process::start(
            fixture
                .command(&format!("run{number}"), &table_of_run(number, ROWS))
                .arg("--shared-optional"),
        )
    };
    let mut runs = [start(0), start(1)];
    // By now each run knows of the other.
    fixture.wait_for_calls_of_both(20);
    fixture.redis.kill();
    let killed = Instant::now();
    for (number, run) in runs.iter_mut().enumerate() {
        let ended = run.wait();
        println!("{}", ended.stderr);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(fixture.count_rows(&format!("run{number}"), "found"), ROWS as usize);
    }
    let (call_log, window) = (fixture.sandbox.call_log(), fixture.safe_window());
    for number in [0, 1] {
        // What the server had granted before may still be in flight.
        let after = killed + Duration::from_millis(1500) + fixture.lateness();
        let by_itself: Vec<_> =
            calls_of(&call_log, number).filter(|call| call.at > after).collect();
        let half = CALLS_PER_SECOND as usize / 2;
        assert!(!by_itself.is_empty(), "all calls were made before the server failed");
        let crowded =
            by_itself.windows(half + 1).any(|calls| calls[half].at - calls[0].at < window);
        assert!(!crowded, "more than {half} calls in a second");
    }
    fixture.assert_never_over_rate();
}
