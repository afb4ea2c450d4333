//! What the service is known to do to a run, done by a real server to the real executable: throttling, expiring
//! tokens, faults of the line. Assertions about calls are made at the server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::TokenKind;
use dingmap::testing::sandbox::{Answer, Script};

use crate::harness::{Api, Desk, Ended, rows, run, unlimited};

/// A table of so many numbers, all of which the directory finds.
fn staff(count: u32) -> String {
    let rows: Vec<_> = (0..count).map(|n| format!("{n},139{:06}{:02}\n", n / 80, n % 80)).collect();
    "工号,手机号\n".to_owned() + &rows.concat()
}

/// Resolves the table and sees every row found.
fn all_found(api: &Api, count: u32, flags: &[&str]) -> Ended {
    let desk = Desk::new();
    let (input, output) = (desk.file("staff.csv", staff(count)), desk.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let rows = rows(&output);
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
fn transient_answers_are_tried_again_and_counted() {
    let script = Script { transient_share: 0.05, transient_tries: 2, ..unlimited() };
    let busy = (0..600)
        .filter(|n| script.transient_tries_of(&format!("139{:06}{:02}", n / 80, n % 80)) > 0)
        .count();
    assert!(busy > 10, "the script must do what this test is about");
    let api = Api::new(script);
    let ended = all_found(&api, 600, &[]);
    let ledger = api.ledger();
    assert_eq!((ledger.distinct(), ledger.answered(-1)), (600, 2 * busy));
    assert_eq!(ledger.calls().len(), 600 + 2 * busy, "calls = distinct + retries");
    let told =
        format!("600 distinct numbers asked with {} calls ({} repeated)", 600 + 2 * busy, 2 * busy);
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
}

#[test]
fn the_summary_says_what_the_calls_were_spent_on() {
    let mut script = unlimited();
    let answers = [
        Answer::code(-1),
        Answer::Drop,
        Answer::code(90018),
        Answer::wrapped("40014"),
        Answer::code(34567),
    ];
    script.calls.extend((10..).step_by(10).zip(answers));
    let api = Api::new(script);
    let ended = all_found(&api, 80, &["-j", "1"]);
    for line in [
        "80 distinct numbers asked with 85 calls (5 repeated)",
        "\ncalls: 85 lookups (repeated: 1 after a transient answer, 1 after a failure of the line, 1 after throttling, 1 with a new token, 1 after an unknown code), 2 token calls\n",
        "\nreplies: half within ",
        "\nheld by throttling: 1 time, 1.0s in all: this app's calls a second 1.0s\n",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    assert_eq!((api.ledger().calls().len(), api.ledger().token_calls().len()), (85, 2));
}

#[test]
fn too_fast_a_run_is_held_as_a_whole_and_loses_nothing() {
    let api = Api::new(Script { limit: Some(30), ..Script::default() });
    let ended = all_found(&api, 120, &["--max-retries", "0"]);
    let ledger = api.ledger();
    assert!(ledger.answered(90018) > 0, "the script must do what this test is about");
    assert_eq!(ledger.answered(0), 120, "no attempt was used up by throttling");
    // One refusal may meet as many calls as there are workers; then everyone rests a second.
    assert!(ledger.answered(90018) <= 16 * 6, "{} refusals", ledger.answered(90018));
    assert!(ended.stderr.contains("held by throttling"), "{}", ended.stderr);
}

#[test]
fn the_end_that_the_service_names_is_waited_for() {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(7);
    let until = jiff::Timestamp::from_second(until.as_second()).unwrap();
    let china = until.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    let text = china.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let api =
        Api::new(Script { calls: BTreeMap::from([(5, Answer::penalty(&text))]), ..unlimited() });
    all_found(&api, 300, &["-j", "4"]);
    let ended = jiff::Timestamp::now();
    assert!(ended >= until, "done before the penalty's end");
    let ledger = api.ledger();
    // Six to seven seconds from the start; the first calls take some milliseconds, a second or two on a loaded machine.
    // The other three workers may have had a call under way.
    let before = ledger.calls().iter().take_while(|call| call.answered != "90002").count();
    let refusal = ledger.calls()[before].at;
    let early =
        ledger.arrivals().filter(|at| *at > refusal + Duration::from_millis(500)).min().unwrap();
    assert!(early - refusal > Duration::from_secs(2), "{:?}", early - refusal);
    assert_eq!(ledger.answered(0), 300);
}

#[test]
fn a_token_that_dies_mid_run_is_renewed_once() {
    for revoked in [true, false] {
        let script = Script {
            latency: Duration::from_millis(5)..=Duration::from_millis(20),
            expire_tokens_after_calls: revoked.then_some(100),
            calls: if revoked {
                BTreeMap::new()
            } else {
                BTreeMap::from([(50, Answer::code(42001))])
            },
            ..unlimited()
        };
        let api = Api::new(script);
        all_found(&api, 400, &[]);
        let ledger = api.ledger();
        assert_eq!(ledger.token_calls().len(), 2, "one token at the start, one in its place");
        let rejected = ledger.answered(40014) + ledger.answered(42001);
        assert!((1..=16).contains(&rejected), "{rejected}: those that were under way at most");
        assert_eq!(ledger.calls().len(), 400 + rejected);
    }
}

#[test]
fn a_short_lived_token_is_renewed_before_its_end() {
    // Renewed after three seconds of five; a stall would have to last three more for a call to come too late.
    let script = Script { token_lifetime: Duration::from_secs(6), ..unlimited() };
    let api = Api::new(script);
    all_found(&api, 200, &["--rate", "40"]);
    let ledger = api.ledger();
    assert_eq!(ledger.answered(40014), 0, "never used beyond its end");
    assert!((2..=4).contains(&ledger.token_calls().len()), "{}", ledger.token_calls().len());
}

#[test]
fn the_older_token_call_stands_in() {
    let api = Api::new(Script { current_token_call: false, ..unlimited() });
    all_found(&api, 10, &[]);
    let kinds: Vec<_> = api.ledger().token_calls().iter().map(|call| call.kind).collect();
    assert_eq!(kinds.last(), Some(&TokenKind::Legacy));
}

#[test]
fn a_token_from_the_environment_serves_and_its_death_is_told() {
    let api = Api::new(unlimited());
    let desk = Desk::new();
    let (input, output) = (desk.file("staff.csv", staff(5)), desk.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
    let ended = run(command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(api.ledger().token_calls().len(), 0);
    let ended = run(command.env("DINGTALK_ACCESS_TOKEN", "long-dead-token"));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("DINGTALK_ACCESS_TOKEN") && !ended.stderr.contains("long-dead"),
        "{}",
        ended.stderr
    );
}

#[test]
fn faults_of_the_line_cost_an_attempt_and_no_row() {
    let faults = [
        Answer::Drop,
        Answer::Half,
        Answer::Json("{\"errcode\":".into()),
        Answer::Json(String::new()),
        Answer::status(502),
        Answer::Http { status: 200, headers: Vec::new(), body: "<html>portal</html>".into() },
        Answer::Hang(Duration::from_secs(3)),
    ];
    let calls: BTreeMap<_, _> = (0..).step_by(7).zip(faults).collect();
    let faults = calls.len();
    let api = Api::new(Script { calls, ..unlimited() });
    all_found(&api, 60, &["--timeout", "500ms"]);
    assert_eq!(api.ledger().calls().len(), 60 + faults);
}

#[test]
fn a_line_that_stays_bad_fails_its_row_alone() {
    let mut script = unlimited();
    script.turn("13900000001", vec![Answer::Drop; 10]);
    script.turn("13900000002", vec![Answer::status(503); 10]);
    script.turn("13900000003", vec![Answer::code(-1); 10]);
    let api = Api::new(script);
    let desk = Desk::new();
    let (input, output) = (desk.file("staff.csv", staff(6)), desk.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(["--max-retries", "2"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let rows = rows(&output);
    let told: Vec<_> = rows.iter().map(|row| (&*row["status"], &*row["errcode"])).collect();
    assert_eq!(told[..4], [("found", "0"), ("failed", ""), ("failed", ""), ("failed", "-1")]);
    assert!(rows[1]["errmsg"].contains("connection broke"), "{:?}", rows[1]);
    assert_eq!(rows[2]["errmsg"], "HTTP 503");
    for number in ["13900000001", "13900000002", "13900000003"] {
        assert_eq!(api.ledger().calls_of(number).count(), 3, "one attempt and two retries");
    }
}

#[test]
fn a_banned_address_holds_the_run_and_patience_ends_it() {
    for ban in [Answer::Html, Answer::Punish] {
        let api = Api::new(Script { always: Some(ban), ..unlimited() });
        let desk = Desk::new();
        let (input, output) = (desk.file("staff.csv", staff(40)), desk.path("out.csv"));
        let started = Instant::now();
        let ended = run(api.resolve(&input, &output).args(["--patience", "1m"]));
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "five minutes are longer than a minute's patience"
        );
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("network address") && ended.stderr.contains("--patience"),
            "{}",
            ended.stderr
        );
        assert!(api.ledger().calls().len() <= 16, "one a worker at most");
        assert!(rows(&output).iter().all(|row| row["status"] == "pending"));
    }
}

/// The exact figures are the business of `benches/pace.rs` on a quiet machine, and of the tests on a paused clock. Here
/// other tests compete for the processor, so the bounds leave room for a stall of a second, and still tell a pace from
/// none: without one, all 140 calls come at once.
#[test]
fn the_server_sees_a_pace() {
    let api = Api::new(unlimited());
    all_found(&api, 140, &["--rate", "20"]);
    let ledger = api.ledger();
    assert!(
        ledger.most_in_window(Duration::from_secs(1)) <= 40,
        "{}",
        ledger.most_in_window(Duration::from_secs(1))
    );
    assert!(ledger.share_of_rate(20.0) > 0.5, "{}", ledger.share_of_rate(20.0));
}

/// 200 000 rows behind a first number whose answer takes four seconds: what is read in the meantime is the window.
#[test]
fn a_slow_head_row_holds_back_the_reading_not_the_memory() {
    let mut script = unlimited();
    script.turn("13900000000", [Answer::Late(Duration::from_secs(4), Box::new(Answer::Pass))]);
    let api = Api::new(script);
    let desk = Desk::new();
    let lines: Vec<_> =
        (0..197_000).map(|n| format!("{n},139{:06}{:02}", n % 3000 / 80, n % 3000 % 80)).collect();
    let text = staff(3000) + &lines.join("\n") + "\n";
    let (input, output) = (desk.file("staff.csv", text), desk.path("out.csv"));
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
    let ledger = api.ledger();
    let head = ledger.calls_of("13900000000").next().unwrap().at;
    let meanwhile = ledger.arrivals().filter(|at| *at < head + Duration::from_millis(3900)).count();
    assert!(
        (500..=1024).contains(&meanwhile),
        "{meanwhile} calls while the first row was open: the window is 1024"
    );
    assert_eq!(ledger.calls().len(), 3000, "one call a number");
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
