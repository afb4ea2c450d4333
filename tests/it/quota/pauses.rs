//! One pause for all: when one run is throttled the others pause too, for as long as the API says.

use std::time::{Duration, Instant};

use dingmap::testing::sandbox::ScriptedAnswer;
use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

use crate::support::process::{Process, wait_until};
use crate::support::quota_fixture::{
    QuotaFixture, SECOND, calls_between, calls_of, number_of_run, table_of_run,
};
use crate::support::sandbox::unlimited_script;

const ROWS: u32 = 100;
/// What a run that does not make the call itself may take to learn of the pause.
const PROPAGATION: Duration = SECOND;

/// Two runs, of which the first is once given an answer after which nobody may call before some
/// moment.
#[track_caller]
fn assert_pause_applies_to_both(answer: fn() -> (ScriptedAnswer, Instant)) {
    let fixture = QuotaFixture::new(unlimited_script());
    let mut runs = [0, 1].map(|run| {
        Process::start(&mut fixture.command(&format!("run{run}"), &table_of_run(run, ROWS)))
    });
    fixture.wait_for_calls_of_both(10);
    let (answer, rest) = answer();
    fixture.sandbox.update_script(|script| {
        (0..ROWS).for_each(|at| script.push_answers(number_of_run(0, at), [answer.clone()]));
    });
    let refused = || {
        fixture
            .sandbox
            .call_log()
            .calls()
            .iter()
            .find(|call| call.answered != "0")
            .map(|call| call.at)
    };
    let refused = wait_until("the throttle", refused);
    fixture.sandbox.update_script(|script| script.answers_by_number.clear());
    for run in &mut runs {
        let ended = run.wait();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let call_log = fixture.sandbox.call_log();
    let informed = refused + PROPAGATION + fixture.lateness();
    let early = calls_between(call_log.calls().iter(), informed, rest).count();
    let next = call_log.calls().iter().map(|call| call.at).find(|at| *at > informed).unwrap();
    println!(
        "{early} calls in the rest of {:?}; the next after {:?}",
        rest - refused,
        next - refused
    );
    assert!(informed + SECOND < rest, "a rest that is too short to be measured");
    assert_eq!(early, 0, "calls in the rest");
    for run in [0, 1] {
        assert!(calls_of(&call_log, run).any(|call| call.at > rest), "nothing was left to hold");
        assert_eq!(fixture.count_rows(&format!("run{run}"), "found"), ROWS as usize);
    }
    fixture.assert_never_over_rate();
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_pause_until_a_named_time_applies_to_all_runs() {
    assert_pause_applies_to_both(|| {
        let now = Timestamp::now();
        let end = Timestamp::from_second(now.as_second() + 8).unwrap();
        let china = end.to_zoned(TimeZone::fixed(offset(8)));
        let rest = Duration::try_from(end.duration_since(now)).unwrap();
        (
            ScriptedAnswer::penalty(&china.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            Instant::now() + rest,
        )
    });
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_retry_after_pause_applies_to_all_runs() {
    assert_pause_applies_to_both(|| {
        let headers = vec![("Retry-After".to_owned(), "5".to_owned())];
        let busy = ScriptedAnswer::Http { status: 429, headers, body: String::new() };
        (busy, Instant::now() + Duration::from_secs(5))
    });
}
