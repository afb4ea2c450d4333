//! Runs that cannot give every row its answer: their exit status (guide: exit-status), what they
//! print and do not print (guide: architecture, Secrets and personal data), and that they leave
//! nothing behind.

use std::process::Command;

use dingmap::testing::sandbox::CallLog;
use dingmap::testing::sandbox::Script;

use crate::support::sandbox::{RunOutput, Sandbox, run};
use crate::support::workdir::Workdir;

/// A run and all that can be seen of it from outside.
pub(crate) struct ObservedRun {
    pub(crate) result: RunOutput,
    pub(crate) call_log: CallLog,
    /// The files in the run's directory.
    pub(crate) file_names: Vec<String>,
    /// The output, where there is one.
    pub(crate) output: Option<String>,
}

/// Resolves `input` with every message switched on.
#[track_caller]
pub(crate) fn observe_run(
    script: Script,
    input: impl AsRef<[u8]>,
    set: impl FnOnce(&mut Command),
) -> ObservedRun {
    let (workdir, api) = (Workdir::new(), Sandbox::new(script));
    let output = workdir.path("out.csv");
    let mut command = api.resolve(&workdir.write_file("in.csv", &input), &output);
    set(command.arg("-vvv"));
    let ended = run(&mut command);
    let call_log = api.call_log();
    assert_redacted(&ended, &call_log, input.as_ref());
    ObservedRun {
        result: ended,
        call_log,
        file_names: workdir.file_names(),
        output: std::fs::read_to_string(output).ok(),
    }
}

impl ObservedRun {
    /// Ended with `status`, printed all of `words`, and left no file.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: i32, words: &[&str]) {
        self.assert_stderr(status, words);
        assert_eq!(self.file_names, ["in.csv"], "{}", self.result.stderr);
        assert_eq!(self.result.stdout, "");
    }

    /// Ended with `status` and printed all of `words`.
    #[track_caller]
    pub(crate) fn assert_stderr(&self, status: i32, words: &[&str]) {
        assert_exit(&self.result, status, words);
    }

    /// Nothing was asked of the server, not even a token.
    #[track_caller]
    pub(crate) fn assert_no_calls(&self) {
        assert!(
            self.call_log.calls().is_empty() && self.call_log.token_calls().is_empty(),
            "{}",
            self.result.stderr
        );
    }

    /// The rows of the output by status, in order.
    #[track_caller]
    pub(crate) fn statuses(&self) -> Vec<String> {
        let output = self.output.as_ref().expect(&self.result.stderr);
        let mut reader = csv::Reader::from_reader(output.as_bytes());
        let status = reader.headers().unwrap().iter().position(|name| name == "status").unwrap();
        reader.records().map(|record| record.unwrap()[status].to_owned()).collect()
    }
}

#[track_caller]
pub(crate) fn assert_exit(ended: &RunOutput, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is missing in: {}", ended.stderr);
    }
}

/// No secret, no token and no full number, of the input or as it was sent, is in what a run prints.
#[track_caller]
pub(crate) fn assert_redacted(ended: &RunOutput, call_log: &CallLog, input: &[u8]) {
    let stderr = &ended.stderr;
    for secret in ["sandbox-secret", "sandbox-token"] {
        assert!(!stderr.contains(secret), "a secret in: {stderr}");
    }
    for call in call_log.calls() {
        assert!(call.token.is_empty() || !stderr.contains(&*call.token), "a token in: {stderr}");
    }
    let input = String::from_utf8_lossy(input);
    let cells = input.split([',', ';', '\t', '|', '"', '\r', '\n']);
    let numbers =
        cells.chain(call_log.calls().iter().map(|call| &*call.number)).map(strip_separators);
    let digits = strip_separators(stderr);
    for number in numbers
        .filter(|number| number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        assert!(!digits.contains(&number), "{number} in: {}", ended.stderr);
    }
}

pub(crate) fn strip_separators(text: &str) -> String {
    text.chars().filter(|sign| !matches!(sign, ' ' | '-' | '+' | '(' | ')' | '.')).collect()
}

/// A table of so many numbers that the sandbox's directory has.
pub(crate) fn people_csv(count: u32) -> String {
    (0..count)
        .fold("phone\n".to_owned(), |text, n| format!("{text}1380013{:02}{:02}\n", n / 90, n % 90))
}
