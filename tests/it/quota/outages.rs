//! A server that fails during runs: they pause and say so, nobody exceeds the rate, and when it is
//! back every row gets its answer by one call.

use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::quota_fixture::{
    QuotaFixture, SECOND, calls_between, calls_of, sleep_until, table_of_run,
};
use crate::support::redis::fault_proxy::FaultProxy;
use crate::support::sandbox::{run, unlimited_script};

/// Rows of each run: five seconds' worth.
const ROWS: u32 = 100;
/// After how long without a reply of the server a run makes no call, and what a call may take to
/// arrive; what this machine adds is measured.
const UNREACHABLE_AFTER: Duration = Duration::from_millis(1000 + 500);
/// What a run says that holds for want of the server.
const UNREACHABLE_MESSAGE: &str = "is unreachable (";

/// Two runs, both of which are making calls.
struct RunPair {
    fixture: QuotaFixture,
    runs: [Process; 2],
}

impl RunPair {
    fn start() -> Self {
        let fixture = QuotaFixture::new(unlimited_script());
        let urls = [fixture.redis.url(), fixture.redis.url()];
        Self::start_at_urls(fixture, &urls)
    }

    fn start_at_urls(fixture: QuotaFixture, urls: &[String; 2]) -> Self {
        let start = |run: u32| {
            let (url, name) = (&urls[run as usize], format!("run{run}"));
            Process::start(&mut fixture.command_at_url(url, &name, &table_of_run(run, ROWS)))
        };
        let runs = [start(0), start(1)];
        fixture.wait_for_calls_of_both(10);
        Self { fixture, runs }
    }

    /// Sees that no call arrived from one moment to another, and that there would have been some to
    /// make.
    #[track_caller]
    fn assert_no_calls(&self, from: Instant, to: Instant) {
        let call_log = self.fixture.sandbox.call_log();
        assert!(call_log.calls().len() < 2 * ROWS as usize, "nothing was left to hold");
        let from = from + self.fixture.lateness();
        assert!(from < to, "the machine is too busy for this test");
        let made = calls_between(call_log.calls().iter(), from, to).count();
        println!("{made} calls in {:?}", to - from);
        assert_eq!(made, 0, "calls while nobody could know");
    }

    /// Sees both to their end: complete, nothing asked twice, never over the rate.
    #[track_caller]
    fn assert_complete(mut self) {
        for (number, run) in self.runs.iter_mut().enumerate() {
            let ended = run.wait();
            println!("{}", ended.stderr);
            assert_eq!(ended.status, Some(0), "{}", ended.stderr);
            assert_eq!(self.fixture.count_rows(&format!("run{number}"), "found"), ROWS as usize);
        }
        let call_log = self.fixture.sandbox.call_log();
        assert_eq!(
            (call_log.calls().len(), call_log.distinct_numbers()),
            (2 * ROWS as usize, 2 * ROWS as usize)
        );
        self.fixture.assert_never_over_rate();
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn runs_pause_for_a_server_that_restarts_empty() {
    let mut pair = RunPair::start();
    pair.fixture.redis.kill();
    let gone = Instant::now();
    pair.runs.iter().for_each(|run| run.wait_for_stderr(UNREACHABLE_MESSAGE));
    sleep_until(gone + 3 * SECOND);
    let back = Instant::now();
    pair.assert_no_calls(gone + UNREACHABLE_AFTER, back);
    pair.fixture.redis.restart_empty();
    let quiet = Instant::now() + 2 * SECOND;
    sleep_until(quiet);
    // Whatever was made before by whomever: a state that is new lets nobody call for two seconds.
    pair.assert_no_calls(back, quiet);
    pair.assert_complete();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn runs_pause_while_the_server_hangs() {
    let pair = RunPair::start();
    pair.fixture.redis.pause();
    let paused = Instant::now();
    sleep_until(paused + 3 * SECOND);
    pair.assert_no_calls(paused + UNREACHABLE_AFTER, Instant::now());
    pair.fixture.redis.resume();
    pair.assert_complete();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_partitioned_run_makes_no_call_and_the_other_continues() {
    let fixture = QuotaFixture::new(unlimited_script());
    let proxy = FaultProxy::new(fixture.redis.address());
    let urls = [proxy.url(), fixture.redis.url()];
    let pair = RunPair::start_at_urls(fixture, &urls);
    proxy.partition();
    let cut = Instant::now();
    sleep_until(cut + 3 * SECOND);
    let mended = Instant::now();
    proxy.heal();
    let call_log = pair.fixture.sandbox.call_log();
    let from = cut + UNREACHABLE_AFTER + pair.fixture.lateness();
    assert!(from < mended, "the machine is too busy for this test");
    let made = calls_between(calls_of(&call_log, 0), from, mended).count();
    assert_eq!(made, 0, "calls of the partitioned run");
    pair.assert_complete();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn lost_scripts_and_keys_only_cost_time() {
    let pair = RunPair::start();
    pair.fixture.redis.call(&["SCRIPT", "FLUSH"]);
    pair.fixture.wait_for_calls_of_both(30);
    pair.fixture.redis.call(&["FLUSHALL"]);
    pair.assert_complete();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn runs_pause_while_the_server_is_out_of_memory() {
    let pair = RunPair::start();
    pair.fixture.redis.exhaust_memory();
    let full = Instant::now();
    sleep_until(full + 3 * SECOND);
    pair.assert_no_calls(full + UNREACHABLE_AFTER, Instant::now());
    pair.runs.iter().for_each(|run| run.wait_for_stderr("(server is out of memory)"));
    pair.fixture.redis.free_memory();
    pair.assert_complete();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_slow_server_works_and_a_too_slow_one_pauses_the_run() {
    let fixture = QuotaFixture::new(unlimited_script());
    let proxy = FaultProxy::new(fixture.redis.address());
    proxy.set_round_trip(Duration::from_millis(100));
    let ended = run(&mut fixture.command_at_url(&proxy.url(), "distant", &table_of_run(0, 200)));
    assert_eq!(
        (ended.status, fixture.count_rows("distant", "found")),
        (Some(0), 200),
        "{}",
        ended.stderr
    );
    let mut farther =
        Process::start(&mut fixture.command_at_url(&proxy.url(), "farther", &table_of_run(1, 60)));
    fixture.wait_for_calls_of(1, 10);
    proxy.set_round_trip(Duration::from_millis(1500));
    let slow = Instant::now();
    farther.wait_for_stderr(UNREACHABLE_MESSAGE);
    sleep_until(slow + 4 * SECOND);
    let (from, to) = (slow + UNREACHABLE_AFTER + fixture.lateness(), Instant::now());
    assert!(from < to, "the machine is too busy for this test");
    let made = calls_between(calls_of(&fixture.sandbox.call_log(), 1), from, to).count();
    assert_eq!(made, 0, "calls by words that are old");
    proxy.set_round_trip(Duration::ZERO);
    let ended = farther.wait();
    assert_eq!(
        (ended.status, fixture.count_rows("farther", "found")),
        (Some(0), 60),
        "{}",
        ended.stderr
    );
    fixture.assert_never_over_rate();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_slow_server_works_with_one_worker_and_any_rate() {
    let fixture = QuotaFixture::new(unlimited_script());
    let proxy = FaultProxy::new(fixture.redis.address());
    proxy.set_round_trip(Duration::from_millis(120));
    for (name, flags) in [("single", ["--workers", "1"]), ("unlimited", ["--rate", "unlimited"])] {
        let mut command = fixture.command_at_url(&proxy.url(), name, &table_of_run(0, 20));
        let ended = run(command.args(flags));
        assert_eq!(
            (ended.status, fixture.count_rows(name, "found")),
            (Some(0), 20),
            "{name}: {}",
            ended.stderr
        );
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn claims_are_renewed_after_the_server_restarts() {
    let mut fixture = QuotaFixture::new(unlimited_script());
    let mut runs = ["one", "other"]
        .map(|name| Process::start(&mut fixture.command(name, &table_of_run(0, ROWS))));
    fixture.wait_for_calls_of(0, 15);
    fixture.redis.kill();
    fixture.redis.restart_empty();
    for (run, name) in runs.iter_mut().zip(["one", "other"]) {
        let ended = run.wait();
        assert_eq!(
            (ended.status, fixture.count_rows(name, "found")),
            (Some(0), ROWS as usize),
            "{}",
            ended.stderr
        );
    }
    let call_log = fixture.sandbox.call_log();
    let twice = call_log.calls().len() - call_log.distinct_numbers();
    // What each had its answer for, and could not leave there any more, the other asks; and a call
    // that was in flight.
    println!("{twice} numbers asked twice");
    assert!(twice <= 20, "{twice} of {ROWS}");
    fixture.assert_never_over_rate();
}
