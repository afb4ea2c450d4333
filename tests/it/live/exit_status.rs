//! Runs that end by a limit (exit status 6), by one unknown code for everybody (1), or with rows
//! that failed (4).

use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::observed_run::{observe_run, people_csv};
use crate::support::sandbox::unlimited_script;

fn count_status(statuses: &[String], status: &str) -> usize {
    statuses.iter().filter(|found| *found == status).count()
}

#[test]
fn max_calls_is_not_exceeded() {
    for workers in ["1", "8"] {
        let text = format!("{}13800130000\nn\n", people_csv(12));
        let seen = observe_run(unlimited_script(), text, |command| {
            command.args(["--max-calls", "5", "-j", workers]);
        });
        seen.assert_stderr(6, &["--max-calls", "pending"]);
        assert_eq!((seen.call_log.calls().len(), seen.file_names.len()), (5, 2));
        let expected: Vec<_> =
            [["found"; 5].as_slice(), &["pending"; 7], &["found", "invalid"]].concat();
        assert_eq!(seen.statuses(), expected);
    }
}

#[test]
fn retries_count_towards_max_calls_and_interrupted_retries_are_pending() {
    // 94 is busy for ever, so the last call that may be made settles nothing.
    for (numbers, most, statuses) in [
        (
            &["13800138000", "13800138094", "13800138001"][..],
            3,
            &["found", "pending", "pending"][..],
        ),
        (&["13800138094"], 1, &["pending"]),
        (&["13800138000", "13800138095"], 3, &["found", "pending"]),
        (&["13800138000"], 0, &["pending"]),
    ] {
        let seen = observe_run(
            unlimited_script(),
            format!("phone\n{}\n", numbers.join("\n")),
            |command| {
                command.args(["-j", "1", "--retry-min", "0ms", "--retry-max", "0ms"]);
                command.args(["--max-calls", &most.to_string()]);
            },
        );
        seen.assert_stderr(6, &["--max-calls"]);
        assert_eq!(seen.call_log.calls().len(), most);
        assert_eq!(seen.statuses(), statuses);
    }
}

#[test]
fn max_calls_equal_to_the_need_is_no_limit() {
    let seen = observe_run(unlimited_script(), people_csv(5), |command| {
        command.args(["--max-calls", "5"]);
    });
    seen.assert_stderr(0, &[]);
    assert_eq!((seen.call_log.calls().len(), count_status(&seen.statuses(), "found")), (5, 5));
}

#[test]
fn throttling_beyond_patience_ends_the_run() {
    let script = Script { always: Some(ScriptedAnswer::wrapped("90018")), ..unlimited_script() };
    let seen = observe_run(script, people_csv(30), |command| {
        command.args(["--patience", "1s", "-j", "4"]);
    });
    seen.assert_stderr(6, &["--patience", "pending"]);
    assert_eq!((count_status(&seen.statuses(), "pending"), seen.file_names.len()), (30, 2));
    // The first pause, of a second, is within patience, and the next one is not
    // (`live/run_end.rs`).
    assert!(seen.call_log.calls().len() <= 8, "{} calls", seen.call_log.calls().len());
}

#[test]
fn a_penalty_that_outlasts_patience_is_not_waited_for() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(3, ScriptedAnswer::penalty("2099-01-01 00:00:00"));
    let seen = observe_run(script, people_csv(10), |command| {
        command.args(["-j", "1", "--patience", "1h"]);
    });
    seen.assert_stderr(6, &["--patience"]);
    assert_eq!(seen.call_log.calls().len(), 4);
    assert_eq!(
        (count_status(&seen.statuses(), "found"), count_status(&seen.statuses(), "pending")),
        (3, 7)
    );
}

#[test]
fn rows_that_failed_show_in_the_exit_status() {
    // Busy for ever, and a code that nobody knows.
    for number in ["13800138094", "13800138099"] {
        let seen =
            observe_run(unlimited_script(), format!("phone\n13800138000\n{number}\n"), |command| {
                command.args(["--max-retries", "2"]);
            });
        seen.assert_stderr(4, &["failed"]);
        assert_eq!(seen.statuses(), ["found", "failed"]);
        assert_eq!(seen.call_log.calls_for(number).count(), 3, "{number}");
    }
}

#[test]
fn not_found_rows_fail_only_with_fail_on() {
    for (number, flags, status) in [
        ("13800138090", &[][..], 0),
        ("13800138090", &["--fail-on", "not-found"], 4),
        ("13800138098", &["--fail-on", "not-found"], 4),
        ("13800138092", &["--fail-on", "not-found"], 0),
        ("13800138093", &["--fail-on", "not-found"], 0),
        ("13800138001", &["--fail-on", "not-found"], 0),
    ] {
        let seen =
            observe_run(unlimited_script(), format!("phone\n13800138000\n{number}\n"), |command| {
                command.args(flags);
            });
        seen.assert_stderr(status, &[]);
        assert_eq!((seen.statuses().len(), seen.file_names.len()), (2, 2), "{number}");
    }
}

#[test]
fn one_unknown_code_for_the_first_twenty_ends_the_run() {
    let numbers = (0..200).map(|n| format!("138{n:06}99\n")).collect::<Vec<_>>().concat();
    let seen = observe_run(unlimited_script(), format!("phone\n{numbers}"), |command| {
        command.args(["-j", "4", "--retry-min", "100ms", "--retry-max", "100ms"]);
    });
    seen.assert_refused(1, &["34567", "未知错误", "20"]);
    let calls = seen.call_log.calls().len();
    assert!(calls <= (20 + 4) * 3, "{calls} calls");
}

#[test]
fn a_partial_output_has_the_rows_that_one_unknown_code_failed() {
    let numbers = (0..200).map(|n| format!("138{n:06}99\n")).collect::<Vec<_>>().concat();
    let seen = observe_run(unlimited_script(), format!("phone\n{numbers}"), |command| {
        command.args(["-j", "4", "--partial"]);
    });
    seen.assert_stderr(1, &["34567"]);
    let statuses = seen.statuses();
    let failed = count_status(&statuses, "failed");
    assert!(failed >= 20, "{failed} failed");
    assert_eq!((failed + count_status(&statuses, "pending"), statuses.len()), (200, 200));
}

#[test]
fn an_unknown_code_among_others_does_not_end_the_run() {
    let ending = |n| if n == 7 { "00" } else { "99" };
    let numbers = (0..40).map(|n| format!("138{n:06}{}\n", ending(n))).collect::<Vec<_>>().concat();
    let seen = observe_run(unlimited_script(), format!("phone\n{numbers}"), |command| {
        command.args(["-j", "4"]);
    });
    seen.assert_stderr(4, &[]);
    assert_eq!(
        (count_status(&seen.statuses(), "failed"), count_status(&seen.statuses(), "found")),
        (39, 1)
    );
}
