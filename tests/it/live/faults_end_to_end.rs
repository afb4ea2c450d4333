//! What the service is known to do to a run, done by a real server to the real executable:
//! throttling, expiring tokens, faults of the line. Assertions about calls are made at the server.

use std::collections::BTreeMap;
use std::time::Duration;

use dingmap::testing::sandbox::TokenEndpoint;
use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// A table of so many numbers, all of which the directory finds.
fn numbered_staff_csv(count: u32) -> String {
    let rows: Vec<_> = (0..count).map(|n| format!("{n},139{:06}{:02}\n", n / 80, n % 80)).collect();
    "工号,手机号\n".to_owned() + &rows.concat()
}

/// Resolves the table and sees every row found.
fn resolve_all_found(api: &Sandbox, count: u32, flags: &[&str]) -> RunOutput {
    let workdir = Workdir::new();
    let (input, output) =
        (workdir.write_file("staff.csv", numbered_staff_csv(count)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let rows = read_rows(&output);
    assert_eq!(rows.len(), count as usize);
    for row in &rows {
        let number = &row["手机号"];
        assert_eq!(
            (&*row["status"], &*row["userid"]),
            ("found", &*format!("u{}", &number[3..])),
            "{row:?}"
        );
    }
    ended
}

#[test]
fn transient_answers_are_retried_and_counted() {
    let script = Script { transient_share: 0.05, transient_attempts: 2, ..unlimited_script() };
    let busy = (0..600)
        .filter(|n| script.transient_attempts_for(&format!("139{:06}{:02}", n / 80, n % 80)) > 0)
        .count();
    assert!(busy > 10, "the script must do what this test is about");
    let api = Sandbox::new(script);
    let ended = resolve_all_found(&api, 600, &[]);
    let call_log = api.call_log();
    assert_eq!((call_log.distinct_numbers(), call_log.count_answered(-1)), (600, 2 * busy));
    assert_eq!(call_log.calls().len(), 600 + 2 * busy, "calls = distinct + retries");
    let actual =
        format!("600 distinct numbers asked with {} calls ({} retries)", 600 + 2 * busy, 2 * busy);
    assert!(ended.stderr.contains(&actual), "{}", ended.stderr);
}

#[test]
fn the_summary_breaks_down_the_calls() {
    let mut script = unlimited_script();
    let answers = [
        ScriptedAnswer::code(-1),
        ScriptedAnswer::Drop,
        ScriptedAnswer::code(90018),
        ScriptedAnswer::wrapped("40014"),
        ScriptedAnswer::code(34567),
    ];
    script.answers_by_call.extend((10..).step_by(10).zip(answers));
    let api = Sandbox::new(script);
    let ended = resolve_all_found(&api, 80, &["-j", "1"]);
    for line in [
        "80 distinct numbers asked with 85 calls (5 retries)",
        "\ncalls: 85 lookups (retried: 1 after a transient error, 1 after a connection error, 1 \
         after throttling, 1 with a new token, 1 after an unknown code), 2 token calls\n",
        "\nreplies: p50 ",
        "\npaused by throttling: 1 time, 1.0s in total: the app's calls per second 1.0s\n",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    assert_eq!((api.call_log().calls().len(), api.call_log().token_calls().len()), (85, 2));
}

#[test]
fn a_throttled_run_pauses_as_a_whole_and_loses_no_row() {
    let api = Sandbox::new(Script { limit: Some(30), ..Script::default() });
    let ended = resolve_all_found(&api, 120, &["--max-retries", "0"]);
    let call_log = api.call_log();
    assert!(call_log.count_answered(90018) > 0, "the script must do what this test is about");
    assert_eq!(call_log.count_answered(0), 120, "no attempt was used up by throttling");
    // One refusal may meet as many calls as there are workers; then everyone rests a second.
    assert!(
        call_log.count_answered(90018) <= 16 * 6,
        "{} refusals",
        call_log.count_answered(90018)
    );
    assert!(ended.stderr.contains("paused by throttling"), "{}", ended.stderr);
}

#[test]
fn a_pause_lasts_until_the_end_named_by_the_api() {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let until = jiff::Timestamp::from_second(until.as_second()).unwrap();
    let china = until.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    let text = china.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let api = Sandbox::new(Script {
        answers_by_call: BTreeMap::from([(5, ScriptedAnswer::penalty(&text))]),
        ..unlimited_script()
    });
    resolve_all_found(&api, 300, &["-j", "4"]);
    let ended = jiff::Timestamp::now();
    assert!(ended >= until, "done before the penalty's end");
    let calls = api.call_log();
    assert_eq!((calls.count_answered(0), calls.count_answered(90002)), (300, 1));
}

#[test]
fn a_token_that_expires_mid_run_is_renewed_once() {
    for revoked in [true, false] {
        let script = Script {
            latency: Duration::from_millis(5)..=Duration::from_millis(20),
            revoke_tokens_after_calls: revoked.then_some(100),
            answers_by_call: if revoked {
                BTreeMap::new()
            } else {
                BTreeMap::from([(50, ScriptedAnswer::code(42001))])
            },
            ..unlimited_script()
        };
        let api = Sandbox::new(script);
        resolve_all_found(&api, 400, &[]);
        let call_log = api.call_log();
        assert_eq!(call_log.token_calls().len(), 2, "one token at the start, one in its place");
        let rejected = call_log.count_answered(40014) + call_log.count_answered(42001);
        assert!((1..=16).contains(&rejected), "{rejected}: those that were in flight at most");
        assert_eq!(call_log.calls().len(), 400 + rejected);
    }
}

#[test]
fn a_short_lived_token_is_renewed_and_costs_no_row() {
    // How early a token is renewed is a test on a paused clock (`live/tokens.rs`).
    let script = Script { token_lifetime: Duration::from_secs(2), ..unlimited_script() };
    let api = Sandbox::new(script);
    resolve_all_found(&api, 120, &["--rate", "40"]);
    assert!(api.call_log().token_calls().len() >= 2);
}

#[test]
fn the_legacy_token_endpoint_is_the_fallback() {
    let api = Sandbox::new(Script { has_v1_token_endpoint: false, ..unlimited_script() });
    resolve_all_found(&api, 10, &[]);
    let kinds: Vec<_> = api.call_log().token_calls().iter().map(|call| call.endpoint).collect();
    assert_eq!(kinds.last(), Some(&TokenEndpoint::Legacy));
}

#[test]
fn a_token_from_the_environment_works_and_its_expiry_is_reported() {
    let api = Sandbox::new(unlimited_script());
    let workdir = Workdir::new();
    let (input, output) =
        (workdir.write_file("staff.csv", numbered_staff_csv(5)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
    let ended = run(command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(api.call_log().token_calls().len(), 0);
    let ended = run(command.env("DINGTALK_ACCESS_TOKEN", "long-dead-token"));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("DINGTALK_ACCESS_TOKEN") && !ended.stderr.contains("long-dead"),
        "{}",
        ended.stderr
    );
}

#[test]
fn connection_faults_cost_an_attempt_and_no_row() {
    let faults = [
        ScriptedAnswer::Drop,
        ScriptedAnswer::Half,
        ScriptedAnswer::Json("{\"errcode\":".into()),
        ScriptedAnswer::Json(String::new()),
        ScriptedAnswer::status(502),
        ScriptedAnswer::Http {
            status: 200,
            headers: Vec::new(),
            body: "<html>portal</html>".into(),
        },
        ScriptedAnswer::Hang(Duration::from_mins(1)),
    ];
    let calls: BTreeMap<_, _> = (0..).step_by(7).zip(faults).collect();
    let faults = calls.len();
    let api = Sandbox::new(Script { answers_by_call: calls, ..unlimited_script() });
    resolve_all_found(&api, 60, &["--timeout", "2s"]);
    assert_eq!(api.call_log().calls().len(), 60 + faults);
}

#[test]
fn a_persistent_connection_fault_fails_only_its_row() {
    let mut script = unlimited_script();
    script.push_answers("13900000001", vec![ScriptedAnswer::Drop; 10]);
    script.push_answers("13900000002", vec![ScriptedAnswer::status(503); 10]);
    script.push_answers("13900000003", vec![ScriptedAnswer::code(-1); 10]);
    let api = Sandbox::new(script);
    let workdir = Workdir::new();
    let (input, output) =
        (workdir.write_file("staff.csv", numbered_staff_csv(6)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(["--max-retries", "2"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let rows = read_rows(&output);
    let actual: Vec<_> = rows.iter().map(|row| (&*row["status"], &*row["errcode"])).collect();
    assert_eq!(actual[..4], [("found", "0"), ("failed", ""), ("failed", ""), ("failed", "-1")]);
    assert!(rows[1]["errmsg"].contains("connection lost"), "{:?}", rows[1]);
    assert_eq!(rows[2]["errmsg"], "HTTP 503");
    for number in ["13900000001", "13900000002", "13900000003"] {
        assert_eq!(api.call_log().calls_for(number).count(), 3, "one attempt and two retries");
    }
}

#[test]
fn an_address_ban_pauses_the_run_until_patience_ends_it() {
    for ban in [ScriptedAnswer::Html, ScriptedAnswer::Punish] {
        let api = Sandbox::new(Script { always: Some(ban), ..unlimited_script() });
        let workdir = Workdir::new();
        let (input, output) =
            (workdir.write_file("staff.csv", numbered_staff_csv(40)), workdir.path("out.csv"));
        let ended = run(api.resolve(&input, &output).args(["--patience", "1m"]));
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("IP address") && ended.stderr.contains("--patience"),
            "{}",
            ended.stderr
        );
        assert!(api.call_log().calls().len() <= 16, "one a worker at most");
        assert!(read_rows(&output).iter().all(|row| row["status"] == "pending"));
    }
}

/// 200 000 rows behind a first number whose answer takes four seconds: what is read in the meantime
/// is the window.
#[test]
fn a_slow_first_row_limits_reading_and_memory() {
    let mut script = unlimited_script();
    script.push_answers(
        "13900000000",
        [ScriptedAnswer::Delayed(Duration::from_secs(4), Box::new(ScriptedAnswer::Pass))],
    );
    let api = Sandbox::new(script);
    let workdir = Workdir::new();
    let lines: Vec<_> =
        (0..197_000).map(|n| format!("{n},139{:06}{:02}", n % 3000 / 80, n % 3000 % 80)).collect();
    let text = numbered_staff_csv(3000) + &lines.join("\n") + "\n";
    let (input, output) = (workdir.write_file("staff.csv", text), workdir.path("out.csv"));
    let mut child = api.resolve(&input, &output).arg("--quiet").spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Ok(status) = std::fs::read_to_string(&status) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or_default());
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(0));
    let call_log = api.call_log();
    let head = call_log.calls_for("13900000000").next().unwrap().at;
    let meanwhile =
        call_log.arrivals().filter(|at| *at < head + Duration::from_millis(3900)).count();
    assert!(meanwhile <= 1024, "{meanwhile} calls while the first row was open");
    assert_eq!(call_log.calls().len(), 3000, "one call a number");
    assert!(
        peak < 64 << 10,
        "{peak} KiB at most; the input alone has 3 MiB and the rows in memory would have 30"
    );
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written.lines().count(), 200_001);
    assert!(written.lines().skip(1).zip(0..).all(|(line, n): (&str, u32)| {
        line.starts_with(&format!("{},", if n < 3000 { n } else { n - 3000 }))
    }));
}
