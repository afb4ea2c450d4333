//! One rest for all: what one run is told of throttling holds the others, for as long as the API said.

use std::time::{Duration, Instant};

use dingmap::testing::sandbox::Answer;
use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

use super::{Ground, SECOND, calls_between, calls_of, number, table};
use crate::harness::unlimited;
use crate::served::{Process, until};

const ROWS: u32 = 100;
/// What a run that does not make the call itself may take to hear of the rest.
const NEWS: Duration = SECOND;

/// Two runs, of which the first is once given an answer after which nobody may call before some moment.
#[track_caller]
fn one_holds_both(answer: fn() -> (Answer, Instant)) {
    let Some(ground) = Ground::new(unlimited()) else { return };
    let mut runs =
        [0, 1].map(|run| Process::start(&mut ground.run(&format!("run{run}"), &table(run, ROWS))));
    ground.wait_for_calls(10);
    let (answer, rest) = answer();
    ground
        .api
        .change(|script| (0..ROWS).for_each(|at| script.turn(number(0, at), [answer.clone()])));
    let refused =
        || ground.api.ledger().calls().iter().find(|call| call.answered != "0").map(|call| call.at);
    let refused = until("the throttle", refused);
    ground.api.change(|script| script.turns.clear());
    for run in &mut runs {
        let ended = run.end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let ledger = ground.api.ledger();
    let early = calls_between(ledger.calls().iter(), refused + NEWS, rest).count();
    let next = ledger.calls().iter().map(|call| call.at).find(|at| *at > refused + NEWS).unwrap();
    println!(
        "{early} calls in the rest of {:?}; the next after {:?}",
        rest - refused,
        next - refused
    );
    assert!(refused + NEWS * 2 < rest, "a rest that is too short to be measured");
    assert_eq!(early, 0, "calls in the rest");
    for run in [0, 1] {
        assert!(calls_of(&ledger, run).any(|call| call.at > rest), "nothing was left to hold");
        assert_eq!(ground.rows(&format!("run{run}"), "found"), ROWS as usize);
    }
    ground.never_over_the_rate();
}

#[test]
fn an_end_that_one_run_was_told_is_waited_for_by_all() {
    one_holds_both(|| {
        let now = Timestamp::now();
        let end = Timestamp::from_second(now.as_second() + 8).unwrap();
        let china = end.to_zoned(TimeZone::fixed(offset(8)));
        let rest = Duration::try_from(end.duration_since(now)).unwrap();
        (Answer::penalty(&china.strftime("%Y-%m-%d %H:%M:%S").to_string()), Instant::now() + rest)
    });
}

#[test]
fn a_wait_that_one_run_was_told_is_kept_by_all() {
    one_holds_both(|| {
        let headers = vec![("Retry-After".to_owned(), "5".to_owned())];
        let busy = Answer::Http { status: 429, headers, body: String::new() };
        (busy, Instant::now() + Duration::from_secs(5))
    });
}
