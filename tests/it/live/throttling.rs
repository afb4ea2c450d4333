//! Every form of throttling by the service: that one pause applies to all workers, that it lasts as
//! long as requested, that no attempt is used up, and what becomes of the rate. The table runs on a
//! paused clock; a server's headers and the limits of the token call are tested on the executable.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::CallError;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Limit;
use dingmap::testing::domain::Mobile;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::Totals;
use dingmap::testing::engine::Event;
use dingmap::testing::engine::RetryPolicy;
use dingmap::testing::engine::RunEnd;
use dingmap::testing::engine::RunLimits;
use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::sim_harness;
use crate::support::workdir::Workdir;

/// How long a call takes: long enough for all workers to have a call in flight when the first is
/// turned away.
const LATENCY: Duration = Duration::from_millis(900);
const WORKERS: usize = 16;
/// The call that meets the limit first.
const FIRST_THROTTLED: usize = 40;
/// So many that calls go on after each pause.
const ROWS: usize = 200;
/// So many that the rate recovers.
const RECOVERY_ROWS: usize = 1400;
/// Calls a second.
const CALLS_PER_SECOND: f64 = 20.0;

/// A form of throttling, and what follows from it.
struct ThrottleCase {
    name: &'static str,
    reply: Reply,
    limit: Limit,
    /// The rest, in seconds: at least and at most.
    pause_secs: (f64, f64),
}

fn http_reply(status: u16, retry_after: Option<f64>, body: &str) -> Reply {
    let retry_after = retry_after.map(Duration::from_secs_f64);
    Reply { retry_after, ..sim_harness::http_reply(status, body) }
}

/// The case of a code, in both shapes of a reply (guide: api, Reply), with this message.
fn code_cases(
    name: &'static str,
    code: i64,
    message: &str,
    cause: Limit,
    rest: (f64, f64),
) -> [ThrottleCase; 3] {
    let bodies = [
        format!(r#"{{"errcode":{code},"errmsg":"{message}","request_id":"r"}}"#),
        format!(r#"{{"errcode":88,"sub_code":"{code}","sub_msg":"{message}","#)
            + r#""errmsg":"ding talk error"}"#,
        format!(
            r#"{{"errcode":"88","errmsg":"ding talk error[subcode={code},submsg={message}]"}}"#
        ),
    ];
    bodies.map(|body| ThrottleCase {
        name,
        reply: http_reply(200, None, &body),
        limit: cause,
        pause_secs: rest,
    })
}

fn throttle_cases() -> Vec<ThrottleCase> {
    let mut cases = Vec::new();
    let one =
        |name, reply, cause, rest| ThrottleCase { name, reply, limit: cause, pause_secs: rest };
    let (minute, long, growing) = ((60.0, 60.0), (300.0, 300.0), (1.0, 1.25));
    cases.extend(code_cases("90018", 90018, "slow down", Limit::App, (1.0, 1.0)));
    cases.extend(code_cases("90002", 90002, "all too many", Limit::Platform, growing));
    // 90 s after the clock's zero, which is eight in the morning in China; the refusal comes some
    // seconds after it.
    for words in ["处罚将在 1970-01-01 08:01:30 结束", "限制将在 1970-01-01 08:01:30 结束"]
    {
        cases.extend(code_cases("90002 with an end", 90002, words, Limit::Platform, (80.0, 89.0)));
        cases.extend(code_cases("90018 with an end", 90018, words, Limit::App, (80.0, 89.0)));
    }
    for code in [90005, 90006] {
        cases.extend(code_cases("a minute's limit", code, "m", Limit::Minute, minute));
    }
    for code in [90001, 90003, 90004] {
        cases.extend(code_cases("a suspension", code, "m", Limit::Suspended, long));
    }
    for code in (90007..=90014).chain([90019, 45009, 7]) {
        cases.extend(code_cases("another limit", code, "m", Limit::Other, minute));
    }
    let page = "<!doctype html><script>var url='/_____tmd_____/punish?x5secdata=1'</script>";
    for ban in [r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#, page] {
        for status in [200, 403, 429, 503] {
            cases.push(one("a ban", http_reply(status, None, ban), Limit::Address, long));
        }
    }
    cases.push(one("429", http_reply(429, None, ""), Limit::Proxy, growing));
    for status in [429, 503] {
        for wait in [0.4, 7.0, 120.0] {
            let reply = http_reply(status, Some(wait), "busy");
            cases.push(one("Retry-After", reply, Limit::Proxy, (wait, wait)));
        }
        let none = http_reply(status, Some(0.0), "busy");
        cases.push(one("Retry-After 0", none, Limit::Proxy, (0.1, 0.1)));
    }
    cases
}

/// An API that finds everybody, save that one call meets a limit, and so does every call that
/// arrives before the run knows of it.
struct ThrottlingApi {
    reply: Reply,
    /// When each call arrived, and whether it was turned away.
    calls: Mutex<Vec<(Instant, bool)>>,
}

impl LookupApi for ThrottlingApi {
    async fn lookup(&self, _: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        let throttled = {
            let mut calls = self.calls.lock().unwrap();
            let now = Instant::now();
            let shut = calls.get(FIRST_THROTTLED).is_some_and(|(first, _)| now < *first + LATENCY);
            let throttled = shut || calls.len() == FIRST_THROTTLED;
            calls.push((now, throttled));
            throttled
        };
        tokio::time::sleep(LATENCY).await;
        Ok(if throttled {
            self.reply.clone()
        } else {
            http_reply(200, None, sim_harness::FOUND_REPLY)
        })
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { token: "t".into(), renew_after: None })
    }

    fn token_call_count(&self) -> u64 {
        0
    }

    fn can_renew_token(&self) -> bool {
        false
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

thread_local! {
    /// When the run began, for the clock on the wall, which moves with the paused one.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn wall_clock() -> Timestamp {
    let since = BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed());
    Timestamp::UNIX_EPOCH + since
}

/// What a run against a limit came to.
struct SimResult {
    totals: Totals,
    end: RunEnd,
    calls: Vec<(Instant, bool)>,
    rates: Vec<f64>,
}

fn simulate(reply: Reply, rows: usize) -> SimResult {
    let usual = sim_harness::default_limits();
    // No attempt may be used up, so that none beyond the first is needed.
    let settings = RunLimits {
        retry_policy: RetryPolicy { max_retries: 0, ..usual.retry_policy },
        wall_clock,
        ..usual
    };
    sim_harness::paused_runtime().block_on(async {
        BEGAN.set(Some(Instant::now()));
        let remote = Arc::new(ThrottlingApi { reply, calls: Mutex::default() });
        let mut rates = Vec::new();
        let announce = |event: &Event| {
            if let Event::RateChanged(rate) = event {
                rates.extend(rate.per_second());
            }
        };
        let api = Arc::clone(&remote);
        let (report, end) = sim_harness::run_numbers(
            api,
            settings,
            Rate::from_per_second(CALLS_PER_SECOND),
            rows,
            announce,
        )
        .await;
        let calls = remote.calls.lock().unwrap().clone();
        SimResult { totals: report, end, calls, rates }
    })
}

#[test]
fn one_pause_applies_to_all_workers_for_the_requested_time() {
    for ThrottleCase { name, reply, limit: cause, pause_secs: (least, most) } in throttle_cases() {
        let name = format!("{name}: {reply:?}");
        let SimResult { totals: report, end, calls, .. } = simulate(reply, ROWS);
        assert!(matches!(end, RunEnd::Finished), "{name}: {end:?}");
        assert_eq!(report.rows(Status::Found), ROWS as u64, "{name}: no attempt was used up");
        let refused = calls.iter().filter(|(_, throttled)| *throttled).count();
        assert!((2..=WORKERS).contains(&refused), "{name}: {refused} of those that were in flight");
        assert_eq!(
            (report.pauses(), calls.len()),
            (1, ROWS + refused),
            "{name}: one rest, and each call once more"
        );
        let actual = calls[FIRST_THROTTLED].0 + LATENCY;
        let next = calls.iter().map(|(at, _)| *at).find(|at| *at > actual).unwrap();
        let rested = (next - actual).as_secs_f64();
        // The next call has to wait for its turn as well, which at 20 a second is no longer than
        // its place in line.
        assert!(rested >= least && rested <= most + 0.1, "{name}: {rested} s");
        for limit in Limit::ALL {
            let held = report.pause_time_by_limit[limit as usize].as_secs_f64();
            let (least, most) = if limit == cause { (least, most) } else { (0.0, 0.0) };
            // To the microsecond, since a fraction of a second is no whole number of nanoseconds.
            assert!(held >= least - 1e-6 && held <= most + 1e-6, "{name}: {held} s by {limit}");
        }
    }
}

#[test]
fn only_app_throttling_lowers_the_rate_and_it_recovers_in_steps() {
    for ThrottleCase { name, reply, limit: cause, pause_secs: rest } in throttle_cases() {
        let rows = if cause == Limit::App { RECOVERY_ROWS } else { ROWS };
        let SimResult { rates, calls, .. } = simulate(reply, rows);
        if cause == Limit::App {
            let steps = [0.8, 0.85, 0.9, 0.95, 1.0].map(|share| share * CALLS_PER_SECOND);
            // A long rest is time without a complaint too, and takes the first step back.
            let expected = if rest.0 > 10.0 { &steps[1..] } else { &steps };
            assert_eq!(rates.len(), expected.len(), "{name}: {rates:?}");
            let near = |(rate, expected): (&f64, &f64)| (rate - expected).abs() < 1e-9;
            assert!(rates.iter().zip(expected).all(near), "{name}: {rates:?}");
        } else {
            assert_eq!(rates, Vec::<f64>::new(), "{name}");
        }
        let second = Duration::from_secs(1);
        let crowded = calls.windows(21).any(|calls| calls[20].0 - calls[0].0 < second);
        assert!(!crowded, "{name}: more than {CALLS_PER_SECOND} calls in a second");
    }
}

/// Resolves twenty numbers one after the other and sees them found without a retry; how long the
/// calls rested after the first of them that was not answered with 0.
fn measure_pause(script: Script, flags: &[&str]) -> Duration {
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(20)), workdir.path("out.csv"));
    let ended =
        run(api.resolve(&input, &output).args(["-j", "1", "--max-retries", "0"]).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"), "{}", ended.stderr);
    assert!(ended.stderr.contains("paused by throttling"), "{}", ended.stderr);
    let call_log = api.call_log();
    let refused = call_log.calls().iter().position(|call| call.answered != "0").unwrap();
    assert_eq!(call_log.calls().len(), 21);
    call_log.calls()[refused + 1].at - call_log.calls()[refused].at
}

#[test]
fn every_form_of_retry_after_is_honored() {
    for status in [429, 503] {
        for (wait, least) in [("0.4", 400), ("1", 1000)] {
            let headers = vec![("Retry-After".to_owned(), wait.to_owned())];
            let mut script = unlimited_script();
            script
                .answers_by_call
                .insert(7, ScriptedAnswer::Http { status, headers, body: String::new() });
            let (rested, least) = (measure_pause(script, &[]), Duration::from_millis(least));
            assert!(rested >= least, "{status}, {wait}: {rested:?}");
        }
        // A date has whole seconds.
        let date = Timestamp::now() + SignedDuration::from_secs(3);
        let date = Timestamp::from_second(date.as_second()).unwrap();
        let text = date.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut script = unlimited_script();
        let headers = vec![("Retry-After".to_owned(), text)];
        script
            .answers_by_call
            .insert(7, ScriptedAnswer::Http { status, headers, body: String::new() });
        measure_pause(script, &[]);
        assert!(Timestamp::now() >= date, "{status}");
    }
}

#[test]
fn a_throttled_token_call_pauses_the_run_and_is_retried() {
    let word = |limit: &str| ScriptedAnswer::Http {
        status: 403,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: format!(
            r#"{{"code":"Forbidden.AccessDenied.QpsLimitFor{limit}","message":"slow down"}}"#
        ),
    };
    let wait = ScriptedAnswer::Http {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "1".to_owned())],
        body: String::new(),
    };
    for answer in [
        word("AppkeyAndApi"),
        word("Api"),
        wait,
        ScriptedAnswer::code(90018),
        ScriptedAnswer::wrapped("90018"),
    ] {
        let script = Script { token_answers: [answer.clone()].into(), ..unlimited_script() };
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let (input, output) =
            (workdir.write_file("staff.csv", staff_csv(20)), workdir.path("out.csv"));
        let ended = run(api.resolve(&input, &output).args(["--max-retries", "0"]));
        assert_eq!(ended.status, Some(0), "{answer:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("paused by throttling"), "{answer:?}: {}", ended.stderr);
        let call_log = api.call_log();
        let calls = call_log.token_calls();
        assert_eq!(calls.len(), 2, "{answer:?}");
        assert!(calls[1].at - calls[0].at >= Duration::from_secs(1), "{answer:?}");
        assert_eq!(call_log.calls().len(), 20, "{answer:?}");
    }
    for ban in [ScriptedAnswer::Html, ScriptedAnswer::Punish] {
        let script = Script { token_answers: [ban].into(), ..unlimited_script() };
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let (input, output) =
            (workdir.write_file("staff.csv", staff_csv(20)), workdir.path("out.csv"));
        let ended = run(api.resolve(&input, &output).args(["--patience", "1m"]));
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        assert!(ended.stderr.contains("a ban of this IP address"), "{}", ended.stderr);
        assert_eq!((api.call_log().token_calls().len(), api.call_log().calls().len()), (1, 0));
    }
}

#[test]
fn a_run_that_ran_out_of_patience_resumes() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(30, ScriptedAnswer::penalty("2099-01-01 00:00:00"));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(80)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    command.args(["-j", "1", "--patience", "1h"]);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    assert_eq!(read_rows(&output).iter().filter(|row| row["status"] == "pending").count(), 50);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("resuming: 30 of "), "{}", ended.stderr);
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"));
    assert_eq!(
        api.call_log().calls().len(),
        80 + 1,
        "the one that was turned away, and each number once"
    );
}
