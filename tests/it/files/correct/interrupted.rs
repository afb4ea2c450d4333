//! Correct and ask again after a run that was interrupted, of the same kind or of another one.

use std::fs;
use std::time::Duration;

use super::{answers, call_numbers};
use crate::support::observed_run::assert_exit;
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The rows of the list.
const ROWS: u32 = 12;

/// The calls of the interrupted run.
const CALLS: usize = 7;

#[test]
fn an_interrupted_run_of_any_kind_hides_no_correction() {
    for kind in ["ordinary", "--retry-failed", "--retry found"] {
        for signal in ["KILL", "INT"] {
            check_pair(kind, signal);
        }
    }
}

fn check_pair(kind: &str, signal: &str) {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let list: Vec<_> = (0..ROWS).map(|n| format!("139000000{n:02}")).collect();
    let input = workdir.write_file("in.csv", format!("手机\n{}\n", list.join("\n")));
    let file = workdir.path("lr.csv");
    assert_exit(&run(&mut api.resolve(&input, &file)), 0, &[]);
    // One row before the interruption and one behind it. A run that asks only corrected rows needs
    // more of them to be interrupted.
    let corrected: Vec<u32> =
        if kind == "--retry-failed" { (1..ROWS).collect() } else { vec![1, 10] };
    let edited = corrected.iter().fold(fs::read_to_string(&file).unwrap(), |text, n| {
        text.replace(&format!("139000000{n:02},"), &format!("139000001{n:02},"))
    });
    fs::write(&file, &edited).unwrap();
    api.update_script(|script| {
        let latency = Duration::from_millis(120);
        script.latency = latency..=latency;
    });
    let mut command = api.resolve_without_output(&api.endpoint(), &file);
    command.args(["-j", "1"]);
    match kind {
        "ordinary" => command.arg("-o").arg(workdir.path("other.csv")),
        words => command.args(words.split(' ')),
    };
    let asked = call_numbers(&api).len();
    let mut process = Process::start(&mut command);
    // Later than the first commit, which comes after half a second.
    wait_until("calls", || (call_numbers(&api).len() >= asked + CALLS).then_some(()));
    process.send_signal(signal);
    process.wait();
    let context = format!("{kind}, {signal}");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited, "{context}");
    let asked = call_numbers(&api).len();
    let mut command = api.resolve_without_output(&api.endpoint(), &file);
    let ended = run(command.args(["-j", "1", "--retry-failed"]));
    let reasons = format!(
        "asking {} of 12 rows again: another number than the one that was asked {0}",
        corrected.len()
    );
    assert_exit(&ended, 0, &[&reasons]);
    let expected: Vec<_> = (0..ROWS)
        .map(|n| ("found".to_owned(), format!("u00000{}{n:02}", u8::from(corrected.contains(&n)))))
        .collect();
    assert_eq!(answers(&file), expected, "{context}: {}", ended.stderr);
    let repeated = call_numbers(&api).split_off(asked);
    let is_corrected = |number: &String| number.starts_with("139000001");
    assert!(repeated.iter().all(is_corrected), "{context}: {repeated:?}");
    assert!(repeated.len() <= corrected.len(), "{context}: {repeated:?}");
    let mut command = api.resolve_without_output(&api.endpoint(), &file);
    assert_exit(&run(command.arg("--retry-failed")), 0, &["nothing to retry"]);
}
