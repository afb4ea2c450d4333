//! A server that fails while runs are under way: they hold and say so, nobody passes the rate, and when it is back every row
//! gets its answer by one call.

use std::time::{Duration, Instant};

use super::{Ground, RATE, SECOND, alone, calls_between, calls_of, sleep_until, table};
use crate::harness::{run, unlimited};
use crate::redis::cable::Cable;
use crate::served::Process;

/// Rows of each run: five seconds' worth.
const ROWS: u32 = 100;
/// After how long without a word of the server a run makes no call, and what a busy machine may add before a call arrives.
const SILENCE: Duration = Duration::from_millis(1000 + 500);
/// What a run says that holds for want of the server.
const HELD: &str = "is silent (";

/// Two runs, both of which are making calls.
struct Pair {
    ground: Ground,
    runs: [Process; 2],
}

impl Pair {
    fn under_way() -> Option<Self> {
        let ground = Ground::new(unlimited())?;
        let urls = [ground.redis.url(), ground.redis.url()];
        Some(Self::over(ground, &urls))
    }

    fn over(ground: Ground, urls: &[String; 2]) -> Self {
        let start = |run: u32| {
            let (url, name) = (&urls[run as usize], format!("run{run}"));
            Process::start(&mut ground.run_over(url, &name, &table(run, ROWS)))
        };
        let runs = [start(0), start(1)];
        ground.wait_for_calls(10);
        Self { ground, runs }
    }

    /// Sees that no call arrived from one moment to another, and that there would have been some to make.
    #[track_caller]
    fn no_call(&self, from: Instant, to: Instant) {
        let ledger = self.ground.api.ledger();
        assert!(ledger.calls().len() < 2 * ROWS as usize, "nothing was left to hold");
        let made = calls_between(ledger.calls().iter(), from, to).count();
        println!("{made} calls in {:?}", to - from);
        assert!(from < to && made == 0, "{made} calls while nobody could know");
    }

    /// Sees both to their end: complete, nothing asked twice, never over the rate.
    #[track_caller]
    fn complete(mut self) {
        for (number, run) in self.runs.iter_mut().enumerate() {
            let ended = run.end();
            println!("{}", ended.stderr);
            assert_eq!(ended.status, Some(0), "{}", ended.stderr);
            assert_eq!(self.ground.rows(&format!("run{number}"), "found"), ROWS as usize);
        }
        let ledger = self.ground.api.ledger();
        assert_eq!(
            (ledger.calls().len(), ledger.distinct()),
            (2 * ROWS as usize, 2 * ROWS as usize)
        );
        self.ground.never_over_the_rate();
    }
}

#[test]
fn a_server_that_comes_back_with_nothing_is_waited_for_and_begun_anew() {
    let Some(mut pair) = Pair::under_way() else { return };
    pair.ground.redis.kill();
    let gone = Instant::now();
    pair.runs.iter().for_each(|run| run.wait_for(HELD));
    sleep_until(gone + 3 * SECOND);
    let back = Instant::now();
    pair.no_call(gone + SILENCE, back);
    pair.ground.redis.start_anew();
    let quiet = Instant::now() + 2 * SECOND;
    sleep_until(quiet);
    // Whatever was made before by whomever: a state that is new lets nobody call for two seconds.
    pair.no_call(back, quiet);
    pair.complete();
}

#[test]
fn a_server_that_stands_still_is_waited_for() {
    let Some(pair) = Pair::under_way() else { return };
    pair.ground.redis.pause();
    let paused = Instant::now();
    sleep_until(paused + 3 * SECOND);
    pair.no_call(paused + SILENCE, Instant::now());
    pair.ground.redis.go_on();
    pair.complete();
}

#[test]
fn a_run_that_is_cut_off_makes_no_call_and_the_other_goes_on() {
    let Some(ground) = Ground::new(unlimited()) else { return };
    let cable = Cable::new(ground.redis.address());
    let urls = [cable.url(), ground.redis.url()];
    let pair = Pair::over(ground, &urls);
    cable.cut();
    let cut = Instant::now();
    sleep_until(cut + 2 * SECOND);
    let mended = Instant::now();
    cable.mend();
    let ledger = pair.ground.api.ledger();
    let count = |run| calls_between(calls_of(&ledger, run), cut + SILENCE, mended).count();
    println!("{} calls of the one that was cut off, {} of the other", count(0), count(1));
    assert_eq!(count(0), 0, "calls of the one that was cut off");
    assert!(count(1) > 0, "the other goes on");
    pair.complete();
}

#[test]
fn scripts_and_keys_that_are_lost_under_way_cost_nothing_but_time() {
    let Some(pair) = Pair::under_way() else { return };
    pair.ground.redis.call(&["SCRIPT", "FLUSH"]);
    pair.ground.wait_for_calls(30);
    pair.ground.redis.call(&["FLUSHALL"]);
    pair.complete();
}

#[test]
fn a_server_that_is_full_is_waited_for() {
    let Some(pair) = Pair::under_way() else { return };
    pair.ground.redis.fill();
    let full = Instant::now();
    sleep_until(full + 3 * SECOND);
    pair.no_call(full + SILENCE, Instant::now());
    pair.runs.iter().for_each(|run| run.wait_for("silent (it is out of memory)"));
    pair.ground.redis.empty();
    pair.complete();
}

#[test]
fn a_server_far_away_serves_and_one_too_far_away_is_waited_for() {
    let _turn = alone();
    let Some(ground) = Ground::new(unlimited()) else { return };
    let cable = Cable::new(ground.redis.address());
    cable.lengthen(Duration::from_millis(100));
    let ended = run(&mut ground.run_over(&cable.url(), "far", &table(0, 200)));
    assert_eq!((ended.status, ground.rows("far", "found")), (Some(0), 200), "{}", ended.stderr);
    ground.nearly_all_was_used(199, 199.0 / ground.api.ledger().share_of_rate(RATE.into()));
    let mut farther = Process::start(&mut ground.run_over(&cable.url(), "farther", &table(1, 60)));
    ground.wait_for_calls_of(1, 10);
    cable.lengthen(Duration::from_millis(1500));
    let slow = Instant::now();
    farther.wait_for(HELD);
    sleep_until(slow + 4 * SECOND);
    let made =
        calls_between(calls_of(&ground.api.ledger(), 1), slow + SILENCE, Instant::now()).count();
    assert_eq!(made, 0, "calls by words that are old");
    cable.lengthen(Duration::ZERO);
    let ended = farther.end();
    assert_eq!((ended.status, ground.rows("farther", "found")), (Some(0), 60), "{}", ended.stderr);
    ground.never_over_the_rate();
}

#[test]
fn a_server_far_away_serves_one_call_at_a_time_and_any_rate() {
    let Some(ground) = Ground::new(unlimited()) else { return };
    let cable = Cable::new(ground.redis.address());
    cable.lengthen(Duration::from_millis(120));
    for (name, flags) in [("single", ["--workers", "1"]), ("unlimited", ["--rate", "unlimited"])] {
        let mut command = ground.run_over(&cable.url(), name, &table(0, 20));
        let ended = run(command.args(flags));
        assert_eq!(
            (ended.status, ground.rows(name, "found")),
            (Some(0), 20),
            "{name}: {}",
            ended.stderr
        );
    }
}

#[test]
fn what_was_claimed_is_claimed_anew_where_a_server_forgot_it() {
    let Some(mut ground) = Ground::new(unlimited()) else { return };
    let mut runs =
        ["one", "other"].map(|name| Process::start(&mut ground.run(name, &table(0, ROWS))));
    ground.wait_for_calls_of(0, 15);
    ground.redis.kill();
    ground.redis.start_anew();
    for (run, name) in runs.iter_mut().zip(["one", "other"]) {
        let ended = run.end();
        assert_eq!(
            (ended.status, ground.rows(name, "found")),
            (Some(0), ROWS as usize),
            "{}",
            ended.stderr
        );
    }
    let ledger = ground.api.ledger();
    let twice = ledger.calls().len() - ledger.distinct();
    // What each had its answer for, and could not leave there any more, the other asks; and a call that was under way.
    println!("{twice} numbers asked twice");
    assert!(twice <= 20, "{twice} of {ROWS}");
    ground.never_over_the_rate();
}
