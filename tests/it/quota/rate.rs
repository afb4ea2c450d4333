//! One rate for all: what arrives at the API from all runs together, and what share of it each has.

use std::time::{Duration, Instant};

use crate::support::process::{Process, wait_until};
use crate::support::quota_fixture::{
    CALLS_PER_SECOND, QuotaFixture, SECOND, calls_between, calls_of, first_line, lock_measurement,
    sleep_until, table_of_run,
};
use crate::support::sandbox::{run, unlimited_script};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn eight_runs_share_one_quota_evenly_and_never_exceed_it() {
    const RUNS: u32 = 8;
    let _turn = lock_measurement();
    let Some(ground) = QuotaFixture::new(unlimited_script()) else { return };
    // More than any of them can ask for.
    let start = |number: u32| {
        Process::start(&mut ground.command(&format!("run{number}"), &table_of_run(number, 1000)))
    };
    let mut runs: Vec<_> = (0..RUNS).map(start).collect();
    (0..RUNS).for_each(|run| ground.wait_for_calls_of(run, 1));
    // Of a minute in which the machine stood still a part was nobody's: another one is measured, and the third counts.
    let mut begin = Instant::now();
    for _ in 0..2 {
        sleep_until(begin + MINUTE);
        if !ground.stall_monitor.has_stalled_since(begin) {
            break;
        }
        begin = Instant::now();
    }
    let end = begin + MINUTE;
    sleep_until(end);
    for run in &runs {
        run.send_signal("INT");
    }
    for run in &mut runs {
        let ended = run.wait();
        assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    }
    let ledger = ground.sandbox.call_log();
    let most = CALLS_PER_SECOND as usize * 60;
    let made = calls_between(ledger.calls().iter(), begin, end).count();
    let shares: Vec<_> =
        (0..RUNS).map(|run| calls_between(calls_of(&ledger, run), begin, end).count()).collect();
    println!(
        "{made} of {most} calls in a minute: {shares:?}; {} token calls",
        ledger.token_calls().len()
    );
    ground.assert_never_over_rate();
    // What one of them misses on a busy machine is another's, so that the machine is no excuse here.
    assert!(made * 100 >= most * 97, "{made} of {most}");
    let share = most / RUNS as usize;
    assert!(
        shares.iter().all(|made| made.abs_diff(share) * 5 <= share),
        "{shares:?}, {share} each"
    );
    assert_eq!(ledger.token_calls().len(), 1);
    assert_eq!(ledger.distinct_numbers(), ledger.calls().len(), "nothing was asked twice");
}

#[test]
fn a_single_run_uses_the_whole_quota() {
    let _turn = lock_measurement();
    let Some(ground) = QuotaFixture::new(unlimited_script()) else { return };
    let ended = run(&mut ground.command("run", &table_of_run(0, 300)));
    assert_eq!(
        (ended.status, ground.count_rows("run", "found")),
        (Some(0), 300),
        "{}",
        ended.stderr
    );
    let ledger = ground.sandbox.call_log();
    // Between the first and the last call is one gap fewer.
    ground.assert_rate_used(299, 299.0 / ledger.rate_utilization(CALLS_PER_SECOND.into()));
    ground.assert_never_over_rate();
}

#[test]
fn the_lowest_rate_applies_to_all_while_a_run_requests_it() {
    const LOWER_RATE: usize = 5;
    let _turn = lock_measurement();
    let Some(ground) = QuotaFixture::new(unlimited_script()) else { return };
    let mut fast = Process::start(&mut ground.command("fast", &table_of_run(0, 2000)));
    ground.wait_for_calls_of(0, 20);
    let mut slow = Process::start(
        ground.command("slow", &table_of_run(1, 20)).args(["--rate", &LOWER_RATE.to_string()]),
    );
    let ended = slow.wait();
    assert_eq!(
        (ended.status, ground.count_rows("slow", "found")),
        (Some(0), 20),
        "{}",
        ended.stderr
    );
    let gone = Instant::now();
    // A whole second at the full rate, or nearly.
    wait_until("the full rate", || {
        let ledger = ground.sandbox.call_log();
        let last = ledger.calls().last()?.at;
        let recent =
            ledger.calls().iter().filter(|call| call.at > gone && call.at + SECOND > last).count();
        (recent * 100 >= CALLS_PER_SECOND as usize * 90).then_some(())
    });
    fast.send_signal("INT");
    fast.wait();
    let ledger = ground.sandbox.call_log();
    let slow: Vec<_> = calls_of(&ledger, 1).map(|call| call.at).collect();
    let together: Vec<_> =
        calls_between(ledger.calls().iter(), slow[0], slow[slow.len() - 1]).collect();
    let fast_meanwhile = together.iter().filter(|call| call.number.starts_with("130")).count();
    println!(
        "{} calls together, {fast_meanwhile} of the other's; {}",
        together.len(),
        fast.stderr()
    );
    assert!(fast_meanwhile >= LOWER_RATE, "{fast_meanwhile} calls of the one that asked for more");
    let crowded =
        together.windows(LOWER_RATE + 1).any(|calls| calls[LOWER_RATE].at - calls[0].at < SECOND);
    assert!(!crowded, "more than {LOWER_RATE} calls in a second");
    ground.assert_never_over_rate();
}

#[test]
fn the_first_line_shows_the_shared_rate_and_the_number_of_other_runs() {
    let Some(ground) = QuotaFixture::new(unlimited_script()) else { return };
    let first = Process::start(&mut ground.command("first", &table_of_run(0, 1000)));
    ground.wait_for_calls_of(0, 1);
    let second =
        Process::start(ground.command("second", &table_of_run(1, 1000)).args(["--rate", "7"]));
    let (one, other) = (first_line(&first), first_line(&second));
    println!("{one}\n{other}");
    assert!(one.contains("20") && one.contains("no other"), "{one}");
    assert!(other.contains('7') && other.contains("1 other"), "{other}");
}
