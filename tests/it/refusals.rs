//! Runs that cannot give every row its answer: their exit status (DESIGN 1), what they say and do not say
//! (DESIGN 5), and that they leave nothing behind.

mod access;
mod input;
mod secrets;
mod stops;
mod usage;

use std::process::Command;

use dingmap::testing::sandbox::Ledger;
use dingmap::testing::sandbox::{Answer, Script};

use crate::harness::{Api, Desk, Ended, run, unlimited};

/// A run and all that can be seen of it from outside.
pub(crate) struct Seen {
    pub(crate) ended: Ended,
    pub(crate) ledger: Ledger,
    /// The files in the run's directory.
    pub(crate) names: Vec<String>,
    /// The output, where there is one.
    pub(crate) output: Option<String>,
}

/// Resolves `input` with every message switched on.
#[track_caller]
pub(crate) fn attempt(
    script: Script,
    input: impl AsRef<[u8]>,
    set: impl FnOnce(&mut Command),
) -> Seen {
    let (desk, api) = (Desk::new(), Api::new(script));
    let output = desk.path("out.csv");
    let mut command = api.resolve(&desk.file("in.csv", &input), &output);
    set(command.arg("-vvv"));
    let ended = run(&mut command);
    let ledger = api.ledger();
    is_discreet(&ended, &ledger, input.as_ref());
    Seen { ended, ledger, names: desk.names(), output: std::fs::read_to_string(output).ok() }
}

impl Seen {
    /// Ended with `status`, said all of `words`, and left no file.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, words: &[&str]) {
        self.told(status, words);
        assert_eq!(self.names, ["in.csv"], "{}", self.ended.stderr);
        assert_eq!(self.ended.stdout, "");
    }

    /// Ended with `status` and said all of `words`.
    #[track_caller]
    pub(crate) fn told(&self, status: i32, words: &[&str]) {
        told(&self.ended, status, words);
    }

    /// Nothing was asked of the server, not even a token.
    #[track_caller]
    pub(crate) fn unasked(&self) {
        assert!(
            self.ledger.calls().is_empty() && self.ledger.token_calls().is_empty(),
            "{}",
            self.ended.stderr
        );
    }

    /// The rows of the output by status, in order.
    #[track_caller]
    fn statuses(&self) -> Vec<String> {
        let output = self.output.as_ref().expect(&self.ended.stderr);
        let mut reader = csv::Reader::from_reader(output.as_bytes());
        let status = reader.headers().unwrap().iter().position(|name| name == "status").unwrap();
        reader.records().map(|record| record.unwrap()[status].to_owned()).collect()
    }
}

#[track_caller]
fn told(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is missing in: {}", ended.stderr);
    }
}

/// No secret, no token and no full number, of the input or as it was sent, is in what a run says (DESIGN 5).
#[track_caller]
fn is_discreet(ended: &Ended, ledger: &Ledger, input: &[u8]) {
    let said = &ended.stderr;
    for secret in ["sandbox-secret", "sandbox-token"] {
        assert!(!said.contains(secret), "a secret in: {said}");
    }
    for call in ledger.calls() {
        assert!(call.token.is_empty() || !said.contains(&*call.token), "a token in: {said}");
    }
    let input = String::from_utf8_lossy(input);
    let cells = input.split([',', ';', '\t', '|', '"', '\r', '\n']);
    let numbers =
        cells.chain(ledger.calls().iter().map(|call| &*call.number)).map(without_separators);
    let said = without_separators(said);
    for number in numbers
        .filter(|number| number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        assert!(!said.contains(&number), "{number} in: {}", ended.stderr);
    }
}

fn without_separators(text: &str) -> String {
    text.chars().filter(|sign| !matches!(sign, ' ' | '-' | '+' | '(' | ')' | '.')).collect()
}

/// A table of so many numbers that the sandbox's directory has.
fn people(count: u32) -> String {
    (0..count)
        .fold("phone\n".to_owned(), |text, n| format!("{text}1380013{:02}{:02}\n", n / 90, n % 90))
}

#[test]
fn nothing_that_a_troubled_run_logs_is_a_secret_or_a_number() {
    for format in ["text", "json"] {
        let mut script =
            Script { transient_share: 0.3, expire_tokens_after_calls: Some(20), ..unlimited() };
        script.calls.insert(5, Answer::wrapped("90018"));
        script.calls.insert(9, Answer::Drop);
        script.calls.insert(10, Answer::Half);
        script.calls.insert(11, Answer::status(502));
        script.calls.insert(12, Answer::Json("{\"errcode\":".to_owned()));
        script.token_turns.push_back(Answer::status(503));
        let text =
            format!("{}13800138094\n13800138099\n+852 51234567\n1380013800012\n", people(60));
        let seen = attempt(script, text, |command| {
            command.args(["--log-format", format, "--progress", "line"]);
        });
        seen.told(4, &["138****8094", "token", "rest"]);
        assert_eq!(seen.statuses().iter().filter(|status| *status == "found").count(), 61);
        assert!(seen.ledger.answered("40014") > 0 && seen.ledger.answered("90018") > 0);
    }
}
