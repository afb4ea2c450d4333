//! Whatever goes wrong, and however much is logged: no token, no secret and no full number in
//! anything that people or machines read, save for the output's own numbers.

mod spellings;

use std::fs;
use std::path::Path;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::observed_run::{observe_run, people_csv};
use crate::support::process::wait_until;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const NUMBERS: [&str; 3] = ["13900000000", "13900000001", "+852-51234567"];
/// What a hostile text quotes: what the call had sent.
const ECHOED_LOOKUP: &str = "?access_token=\
    to/ken+Value-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ==&mobile=13900000000 \
    or +852-51234567";
const ECHOED_TOKEN_CALL: &str = "?appkey=sandbox-key&appsecret=\
    se/cret+Value-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ== \
    of 13900000000 or +852-51234567";
/// As long as secrets can be, and with the signs that some have.
const TOKEN: &str = "to/ken+Value-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ==";
const SECRET: &str = "se/cret+Value-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ==";

fn code_answer(code: i64, quoted: &str) -> ScriptedAnswer {
    ScriptedAnswer::Code { code, msg: quoted.to_owned() }
}

fn http_answer(status: u16, header: &str, quoted: &str) -> ScriptedAnswer {
    let headers = vec![(header.to_owned(), format!("http://127.0.0.1:1/{quoted}"))];
    ScriptedAnswer::Http { status, headers, body: format!("<html>{quoted}</html>") }
}

/// Every kind of failing lookup.
fn failing_lookups() -> Vec<ScriptedAnswer> {
    let quoted = ECHOED_LOOKUP;
    let wrapped =
        |code: &str| ScriptedAnswer::Wrapped { code: code.to_owned(), msg: quoted.to_owned() };
    let mut answers: Vec<_> =
        [0, -1, 60121, 40104, 50002, 34567, 90018, 90002, 90006, 60011, 60020, 40014, 42001, 88]
            .map(|number| code_answer(number, quoted))
            .into();
    answers.extend(["40014", "90018", "isp.unknown", quoted].map(wrapped));
    answers.extend(
        [302, 307, 400, 403, 404, 407, 429, 500, 502, 503]
            .map(|status| http_answer(status, "location", quoted)),
    );
    answers.extend([
        http_answer(503, "retry-after", quoted),
        ScriptedAnswer::Html,
        ScriptedAnswer::Punish,
        ScriptedAnswer::Drop,
        ScriptedAnswer::Half,
    ]);
    answers.extend(
        [format!("{{\"errcode\":0,{quoted}"), quoted.to_owned(), String::new()]
            .map(ScriptedAnswer::Json),
    );
    answers.extend(answers_with_secret_code(TOKEN));
    answers
}

/// Replies that have a secret in their code, in part of it, and spelt as JSON may spell it.
fn answers_with_secret_code(secret: &str) -> [ScriptedAnswer; 4] {
    [
        format!(r#"{{"errcode":"{secret}","errmsg":"m"}}"#),
        format!(
            r#"{{"errcode":"it does not like the secret that was sent, {secret}","errmsg":"m"}}"#
        ),
        format!(r#"{{"errcode":"isp.{}","errmsg":"m"}}"#, secret.replace('/', "\\/")),
        format!(r#"{{"errcode":88,"sub_code":"{secret}","sub_msg":"m","request_id":"{secret}"}}"#),
    ]
    .map(ScriptedAnswer::Json)
}

/// Every kind of failing token call.
fn failing_token_calls() -> Vec<ScriptedAnswer> {
    let quoted = ECHOED_TOKEN_CALL;
    let refusal = format!(r#"{{"code":"invalidClientIdOrSecret","message":"{quoted}"}}"#);
    let refused = ScriptedAnswer::Http { status: 400, headers: Vec::new(), body: refusal };
    let mut answers =
        vec![refused, ScriptedAnswer::Drop, ScriptedAnswer::Half, ScriptedAnswer::Html];
    answers.extend([40096, -1, 90018].map(|number| code_answer(number, quoted)));
    answers.extend([302, 404, 429, 502].map(|status| http_answer(status, "location", quoted)));
    answers.extend(
        [format!("{{\"accessToken\":{quoted}"), quoted.to_owned()].map(ScriptedAnswer::Json),
    );
    answers.extend(answers_with_secret_code(SECRET));
    for code in [SECRET.to_owned(), format!("appSecret={SECRET}"), format!("isp.{SECRET}")] {
        let body = format!(r#"{{"code":"{code}","message":"no"}}"#);
        answers.push(ScriptedAnswer::Http { status: 400, headers: Vec::new(), body });
    }
    answers
}

fn assert_no_secret(what: &str, text: &str, numbers: bool) {
    for secret in [TOKEN, SECRET] {
        // No piece of it either, also not with its signs exchanged as in a code.
        for piece in secret.as_bytes().windows(10).map(|piece| str::from_utf8(piece).unwrap()) {
            let exchanged = piece.replace(['/', '+', '='], "_");
            assert!(
                !text.contains(piece) && !text.contains(&exchanged),
                "{what}: {piece} in {text}"
            );
        }
    }
    // Those that the sandbox hands out: `sandbox-`, sixteen digits of base 16, and a count.
    let handed_out = |rest: &str| rest.bytes().take(16).filter(u8::is_ascii_hexdigit).count() == 16;
    assert!(!text.split("sandbox-").skip(1).any(handed_out), "{what}: a token in {text}");
    for number in if numbers { &NUMBERS[..] } else { &[] } {
        let digits = number.replace(['+', '-'], "");
        assert!(!text.contains(number) && !text.contains(&digits), "{what}: {number} in {text}");
        let national = digits.trim_start_matches("852");
        assert!(!text.contains(national), "{what}: {number} in {text}");
    }
}

/// One run, all that it says and leaves behind, and what `state` prints of its state.
fn run_and_scan(what: &str, script: Script, given: bool, place: usize) -> RunOutput {
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    // So many that a run can tell from the first twenty that nothing will work.
    let others: Vec<_> = (10..32).map(|n| format!("139000000{n}\n")).collect();
    let input = workdir
        .write_file("staff.csv", format!("mobile\n{}\n{}", NUMBERS.join("\n"), others.concat()));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.env("DINGTALK_APP_SECRET", SECRET);
    // A hold takes its time, so each answer meets one of the two forms of the log, in one of its
    // two places.
    let (format, filed) =
        (if place.is_multiple_of(2) { "json" } else { "text" }, (place / 2).is_multiple_of(2));
    command.args(["-vvv", "--log-format", format, "--progress", "line", "--partial"]);
    if filed {
        command.arg("--log-file").arg(workdir.path("run.log"));
    }
    command.args([
        "--max-retries",
        "1",
        "--retry-max",
        "5ms",
        "--timeout",
        "300ms",
        "--patience",
        "1200ms",
    ]);
    if given {
        command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
        command.env("DINGTALK_ACCESS_TOKEN", TOKEN);
    }
    let outputs = ["run.json", "run.prom", "failed.csv", "run.log"];
    for (flag, name) in ["--summary", "--metrics", "--failed"].into_iter().zip(outputs) {
        command.arg(flag).arg(workdir.path(name));
    }
    let ended = run(&mut command);
    assert!(
        ended.status.is_some() && !ended.stderr.contains("panicked"),
        "{what}: {}",
        ended.stderr
    );
    for (name, numbers) in outputs.into_iter().zip([true, true, false, true]) {
        assert_no_secret(
            what,
            &fs::read_to_string(workdir.path(name)).unwrap_or_default(),
            numbers,
        );
    }
    let logged = if filed {
        fs::read_to_string(workdir.path("run.log")).unwrap()
    } else {
        ended.stderr.clone()
    };
    assert!(logged.contains("TRACE") && logged.contains("started"), "{what}: {logged}");
    assert_no_secret(what, &ended.stdout, true);
    assert_no_secret(what, &ended.stderr, true);
    assert_no_secret(what, &fs::read_to_string(workdir.path("out.csv")).unwrap_or_default(), false);
    assert!(
        workdir
            .file_names()
            .iter()
            .all(|name| ["out.csv", "staff.csv"].iter().chain(&outputs).any(|known| known == name)),
        "{:?}",
        workdir.file_names()
    );
    let actual = run(dingmap().args(["state", "info", "-vvv", "--state"]).arg(api.state_path()));
    assert_no_secret(what, &(actual.stdout + &actual.stderr), true);
    assert_no_secret(what, &String::from_utf8_lossy(&fs::read(api.state_path()).unwrap()), false);
    ended
}

#[test]
fn no_failure_of_a_lookup_shows_a_secret_or_a_number() {
    for (place, answer) in failing_lookups().into_iter().enumerate() {
        let what = format!("{answer:?}");
        let ended =
            run_and_scan(&what, Script { always: Some(answer), ..unlimited_script() }, true, place);
        assert!(!ended.stderr.is_empty());
    }
}

/// What a lookup's reply quotes need not have been sent with it: the app's secret, and the token
/// before this one, which serves on where it was renewed early.
#[test]
fn a_lookup_reply_that_quotes_other_secrets_is_redacted() {
    for code in [60011, 34567, 60121] {
        let mut script = Script {
            app_secret: SECRET.to_owned(),
            revoke_tokens_after_calls: Some(5),
            ..unlimited_script()
        };
        script
            .answers_by_call
            .insert(3, ScriptedAnswer::Json(format!(r#"{{"errcode":60121,"errmsg":"{SECRET}"}}"#)));
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let numbers: Vec<_> = (10..40).map(|n| format!("139000000{n}\n")).collect();
        let input = workdir.write_file("staff.csv", format!("mobile\n{}", numbers.concat()));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        command.env("DINGTALK_APP_SECRET", SECRET).args([
            "-vvv",
            "-j",
            "1",
            "--partial",
            "--rate",
            "40",
        ]);
        let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // The first two tokens are known only once they were handed out.
        let tokens = || {
            let call_log = api.call_log();
            let mut tokens: Vec<_> =
                call_log.calls().iter().map(|call| call.token.to_string()).collect();
            tokens.dedup();
            tokens
        };
        let tokens =
            wait_until("the second token", || Some(tokens()).filter(|tokens| tokens.len() == 2));
        let quoted = format!("old {} new {} secret {SECRET}", tokens[0], tokens[1]);
        api.update_script(|script| {
            script.always = Some(ScriptedAnswer::Code { code, msg: quoted });
        });
        let ended: RunOutput = child.wait_with_output().unwrap().into();
        let text = ended.stderr + &fs::read_to_string(workdir.path("out.csv")).unwrap();
        assert!(text.contains("old *** new *** secret ***"), "{code}: {text}");
        assert_no_secret("a reply that quotes all of them", &text, false);
    }
}

#[test]
fn numbers_next_to_other_digits_are_masked_in_every_output() {
    let others =
        ["13712340101", "13712340102", "13912345678", "13712340103", "13712340107", "13800006666"];
    let quoted = "mobile 13712340101 400001, 号码 13712340102 13912345678, 13712340103 2026-11-25 \
        20:14, 1 13712340107";
    // One that ends the run, one for each row, and one after which the file with the rows is named
    // for another try.
    for (code, status) in [(60011, 5), (60121, 0), (-1, 4)] {
        let script = Script { always: Some(self::code_answer(code, quoted)), ..unlimited_script() };
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let input = workdir.write_file("13800006666.csv", "mobile\n13900000000\n");
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        command.args(["-vvv", "--max-retries", "0", "--log-file"]).arg(workdir.path("run.log"));
        let outputs = ["run.json", "run.prom", "run.html", "run.log"];
        for (flag, name) in ["--summary", "--metrics", "--report"].into_iter().zip(outputs) {
            command.arg(flag).arg(workdir.path(name));
        }
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        for (name, text) in
            outputs.map(|name| (name, fs::read_to_string(workdir.path(name)).unwrap()))
        {
            let there = others.into_iter().find(|number| text.contains(number));
            assert!(there.is_none(), "{name}: {text}");
        }
        assert!(
            others[..5].iter().all(|number| !ended.stderr.contains(number)),
            "{}",
            ended.stderr
        );
        assert_eq!(
            ended.stderr.contains("137****03 2026-11-25 20:14"),
            status != 0,
            "{}",
            ended.stderr
        );
        let summary = fs::read_to_string(workdir.path("run.json")).unwrap();
        assert!(summary.contains("138****66.csv"), "{summary}");
        // A message of several lines keeps its line ends.
        assert_eq!(
            summary.contains("\\n  The API said: mobile 137****01 400001"),
            status == 5,
            "{summary}"
        );
    }
}

#[test]
fn the_fail_fast_message_contains_no_number() {
    let numbers: Vec<_> = (0..24).map(|n| format!("+852-512345{n:02}")).collect();
    let mut script = Script { static_token: TOKEN.to_owned(), ..unlimited_script() };
    for number in &numbers {
        let bare = &number[1..];
        let quoted = format!("no rule for {bare} / {} / {number}", bare.replace('-', ""));
        script.push_answers(number, vec![code_answer(34567, &quoted); 9]);
    }
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("staff.csv", format!("mobile\n{}\n", numbers.join("\n")));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["-vvv", "--retry-max", "5ms"]));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no rule for") && !ended.stderr.contains("512345"),
        "{}",
        ended.stderr
    );
}

/// Without a plus, or without its country code, nothing tells such a number but that it was asked:
/// also in a row whose answer is an earlier run's.
#[test]
fn reports_of_unresolved_rows_contain_no_number_in_any_spelling() {
    let answers = [-1, 60121, 40104, 50002, 34567];
    let mut script = unlimited_script();
    let numbers: Vec<_> = (0..answers.len()).map(|n| format!("+852-512345{n}7")).collect();
    for (number, answer) in numbers.iter().zip(answers) {
        let national = &number[5..];
        let long = "x".repeat(596);
        let quoted = format!("no 852{national}, {national}, 00852 {national} {long}{national}");
        script.push_answers(number, vec![code_answer(answer, &quoted); 9]);
    }
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("staff.csv", format!("mobile\n{}\n", numbers.join("\n")));
    let (output, again) = (workdir.path("out.csv"), workdir.path("again.csv"));
    for (input, output, more) in
        [(&input, &output, None), (&output, &again, Some("--retry-failed"))]
    {
        let outputs =
            ["run.html", "run.json", "run.prom", "run.log"].map(|name| workdir.path(name));
        let mut command = api.resolve(input, output);
        command.args(["-vvv", "--max-retries", "1"]).args(more);
        for (flag, paper) in
            ["--report", "--summary", "--metrics", "--log-file"].iter().zip(&outputs)
        {
            command.arg(flag).arg(paper);
        }
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
        let actual = outputs.map(|paper| fs::read_to_string(paper).unwrap());
        assert!(actual[0].matches("+852-51****").count() == answers.len(), "{}", actual[0]);
        assert!(
            actual[0].matches("no ****, ****, ****xxx").count() == answers.len(),
            "{}",
            actual[0]
        );
        for text in actual.iter().chain([&ended.stderr]) {
            assert!(!text.contains("512345"), "{text}");
        }
        // The output is the place for them.
        assert!(fs::read_to_string(output).unwrap().contains("no 85251234507"));
    }
}

#[test]
fn no_failure_of_a_token_call_shows_a_secret() {
    for (place, answer) in failing_token_calls().into_iter().enumerate() {
        let what = format!("token call: {answer:?}");
        let turns = std::iter::repeat_n(answer, 50).collect();
        run_and_scan(&what, Script { token_answers: turns, ..unlimited_script() }, false, place);
    }
}

#[test]
fn an_unreachable_host_error_shows_no_secret() {
    for (endpoint, place) in [("https://oapi.invalid", "dns"), ("https://127.0.0.1:1", "refused")] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let input = workdir.write_file("staff.csv", format!("mobile\n{}\n", NUMBERS.join("\n")));
        let mut command = api.resolve_at_endpoint(endpoint, &input, &workdir.path("out.csv"));
        command.args(["-vvv", "--log-format", "json", "--max-retries", "1"]);
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(1), "{place}: {}", ended.stderr);
        assert_no_secret(place, &ended.stderr, true);
    }
}

#[test]
fn a_world_readable_secret_file_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile\n13900000000\n");
    let secret = workdir.write_file("secret", "sandbox-secret\n");
    let actual = |mode: u32, secret: &Path| {
        fs::set_permissions(secret, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        let ended =
            run(command.env_remove("DINGTALK_APP_SECRET").arg("--app-secret-file").arg(secret));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stderr
    };
    for mode in [0o644, 0o640, 0o604] {
        let actual = actual(mode, &secret);
        assert!(actual.contains(&format!("(mode {mode:03o})")), "{actual}");
        assert!(actual.contains(&format!("chmod 600 {}", secret.display())), "{actual}");
    }
    for mode in [0o600, 0o400] {
        assert!(!actual(mode, &secret).contains("warning"));
    }
}

#[test]
fn a_failing_run_logs_no_secret_and_no_number() {
    for format in ["text", "json"] {
        let mut script = Script {
            transient_share: 0.3,
            revoke_tokens_after_calls: Some(20),
            ..unlimited_script()
        };
        script.answers_by_call.insert(5, ScriptedAnswer::wrapped("90018"));
        script.answers_by_call.insert(9, ScriptedAnswer::Drop);
        script.answers_by_call.insert(10, ScriptedAnswer::Half);
        script.answers_by_call.insert(11, ScriptedAnswer::status(502));
        script.answers_by_call.insert(12, ScriptedAnswer::Json("{\"errcode\":".to_owned()));
        script.token_answers.push_back(ScriptedAnswer::status(503));
        let text =
            format!("{}13800138094\n13800138099\n+852 51234567\n1380013800012\n", people_csv(60));
        let seen = observe_run(script, text, |command| {
            command.args(["--log-format", format, "--progress", "line"]);
        });
        seen.assert_stderr(4, &["138****8094", "token", "paused"]);
        assert_eq!(seen.statuses().iter().filter(|status| *status == "found").count(), 61);
        assert!(
            seen.call_log.count_answered("40014") > 0 && seen.call_log.count_answered("90018") > 0
        );
    }
}
