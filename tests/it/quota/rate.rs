//! The rate of several runs together, as the API sees it.

use crate::support::process::Process;
use crate::support::quota_fixture::{
    QuotaFixture, calls_between, calls_of, first_line, table_of_run,
};
use crate::support::sandbox::unlimited_script;

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn eight_runs_share_one_quota_and_never_exceed_it() {
    const RUNS: u32 = 8;
    let fixture = QuotaFixture::new(unlimited_script());
    // More rows than any of them can resolve.
    let start = |run: u32| {
        Process::start(&mut fixture.command(&format!("run{run}"), &table_of_run(run, 1000)))
    };
    let mut runs: Vec<_> = (0..RUNS).map(start).collect();
    (0..RUNS).for_each(|run| fixture.wait_for_calls_of(run, 20));
    for run in &runs {
        run.send_signal("INT");
    }
    for run in &mut runs {
        let ended = run.wait();
        assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    }
    let calls = fixture.sandbox.call_log();
    fixture.assert_never_over_rate();
    assert_eq!(calls.token_calls().len(), 1);
    assert_eq!(calls.distinct_numbers(), calls.calls().len(), "no number was asked twice");
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_lowest_rate_applies_to_all_while_a_run_requests_it() {
    const LOWER_RATE: usize = 5;
    let fixture = QuotaFixture::new(unlimited_script());
    let mut fast = Process::start(&mut fixture.command("fast", &table_of_run(0, 2000)));
    fixture.wait_for_calls_of(0, 20);
    let mut slow = Process::start(
        fixture.command("slow", &table_of_run(1, 20)).args(["--rate", &LOWER_RATE.to_string()]),
    );
    let ended = slow.wait();
    assert_eq!(
        (ended.status, fixture.count_rows("slow", "found")),
        (Some(0), 20),
        "{}",
        ended.stderr
    );
    // The limit ends with the run that requested it.
    let calls = calls_of(&fixture.sandbox.call_log(), 0).count();
    fixture.wait_for_calls_of(0, calls + 40);
    fast.send_signal("INT");
    fast.wait();
    let call_log = fixture.sandbox.call_log();
    let slow: Vec<_> = calls_of(&call_log, 1).map(|call| call.at).collect();
    let together: Vec<_> =
        calls_between(call_log.calls().iter(), slow[0], slow[slow.len() - 1]).collect();
    let fast_meanwhile = together.iter().filter(|call| call.number.starts_with("130")).count();
    assert!(fast_meanwhile > 0, "the run that requested more makes no calls");
    let window = fixture.safe_window();
    let crowded =
        together.windows(LOWER_RATE + 1).any(|calls| calls[LOWER_RATE].at - calls[0].at < window);
    assert!(!crowded, "more than {LOWER_RATE} calls in a second");
    fixture.assert_never_over_rate();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_first_line_shows_the_shared_rate_and_the_number_of_other_runs() {
    let fixture = QuotaFixture::new(unlimited_script());
    let first = Process::start(&mut fixture.command("first", &table_of_run(0, 1000)));
    fixture.wait_for_calls_of(0, 1);
    let second =
        Process::start(fixture.command("second", &table_of_run(1, 1000)).args(["--rate", "7"]));
    let (one, other) = (first_line(&first), first_line(&second));
    println!("{one}\n{other}");
    assert!(one.contains("20") && one.contains("no other"), "{one}");
    assert!(other.contains('7') && other.contains("1 other"), "{other}");
}
