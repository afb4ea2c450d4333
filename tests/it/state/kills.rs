//! Chains of kills: a run that is killed again and again, at random moments, and started again by
//! the same command. A short chain by default; the long one by `DINGMAP_KILLS=50 cargo test
//! --release --test it kills`.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::Script;

use crate::support::interrupted_runs::{resolvable_numbers, uninterrupted_output};
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Calls a second.
const CALLS_PER_SECOND: usize = 60;
const WORKERS: usize = 8;
/// Rows for each kill.
const ROWS_PER_KILL: usize = 160;

/// Calls of a run before its kill: enough for several commits, and so few that most chains have all
/// their kills.
const CALLS_PER_RUN: std::ops::Range<usize> = 40..200;

/// How many kills.
fn kill_count() -> usize {
    std::env::var("DINGMAP_KILLS").map_or(8, |text| text.parse().unwrap())
}

/// Rows of which a third repeat an earlier number.
fn random_table(count: usize, seed: u64) -> (String, usize) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let distinct = resolvable_numbers(u32::try_from(count * 2 / 3).unwrap());
    let mut rows = distinct.clone();
    rows.extend((rows.len()..count).map(|_| distinct[dice.usize(..distinct.len())].clone()));
    dice.shuffle(&mut rows);
    let lines: Vec<_> =
        rows.iter().enumerate().map(|(n, number)| format!("{n},{number}\n")).collect();
    ("id,mobile\n".to_owned() + &lines.concat(), distinct.len())
}

/// A chain whose runs are killed after a random number of calls, whatever time those take, and one
/// in eight of them while it starts.
fn run_kill_chain(signal: &str) {
    let (seed, kills) = (fastrand::u64(..), kill_count());
    let mut dice = fastrand::Rng::with_seed(seed);
    let (text, distinct) = random_table(kills * ROWS_PER_KILL, seed);
    let script = Script {
        seed,
        latency: Duration::from_millis(1)..=Duration::from_millis(8),
        slow: Some((0.01, Duration::from_millis(300))),
        transient_share: 0.05,
        transient_attempts: 2,
        ..unlimited_script()
    };
    // A number that is busy for both reasons is so twice, not four times.
    let scripted = |number: &String| {
        script.transient_attempts_for(number).max(2 * u32::from(number.ends_with("95")))
    };
    let retries: u32 =
        resolvable_numbers(u32::try_from(distinct).unwrap()).iter().map(scripted).sum();
    assert!(retries as usize > distinct / 20, "the script must do what this test is about");
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", &text), workdir.path("out.csv"));
    let command = || {
        let mut command = api.resolve(Path::new(&input), &output);
        command.args([
            "--rate",
            &CALLS_PER_SECOND.to_string(),
            "--workers",
            &WORKERS.to_string(),
            "--quiet",
        ]);
        command
    };
    let (mut killed, mut runs, mut known) = (0, 0, HashMap::new());
    let mut ended = None;
    while ended.is_none() && runs < kills {
        let mut process = Process::start(&mut command());
        let calls = if runs % 8 == 3 { 0 } else { dice.usize(CALLS_PER_RUN) };
        let target = api.call_log().calls().len() + calls;
        wait_until("calls, or the end of the run", || {
            let ended = process.child.try_wait().unwrap().is_some();
            (ended || api.call_log().calls().len() >= target).then_some(())
        });
        std::thread::sleep(Duration::from_millis(dice.u64(1..100)));
        if process.child.try_wait().unwrap().is_none() {
            process.send_signal(signal);
        }
        let run = process.wait();
        runs += 1;
        let moment = Instant::now();
        for number in stored_numbers(&api.state_path()) {
            known.entry(number).or_insert(moment);
        }
        assert!(run.status.is_none_or(|status| [0, 143].contains(&status)), "seed {seed}: {run:?}");
        // One that had finished before is not run again, since that would ask anew.
        if run.status == Some(0) {
            ended = Some(run);
        } else {
            killed += 1;
        }
    }
    let ended = ended.unwrap_or_else(|| run(&mut command()));
    assert_eq!(ended.status, Some(0), "seed {seed}: {}", ended.stderr);
    assert!(killed > kills / 4, "seed {seed}: only {killed} kills met a run");
    assert_eq!(std::fs::read(&output).unwrap(), uninterrupted_output(&input), "seed {seed}");
    let (calls, retries) = (api.call_log().calls().len(), retries as usize);
    let most = distinct + retries + killed * (WORKERS + CALLS_PER_SECOND);
    assert!(calls <= most, "seed {seed}: {calls} calls, {most} at most");
    assert!(known.len() > distinct / 4, "seed {seed}: only {} answers were kept", known.len());
    for call in api.call_log().calls() {
        let asked = known.get(&*call.number).is_some_and(|moment| call.at > *moment);
        assert!(!asked, "seed {seed}: {} was asked again though it was kept", call.number);
    }
    if signal == "TERM" {
        // Calls in flight are waited for and their answers kept: nothing at all is asked twice.
        assert_eq!(calls, distinct + retries, "seed {seed}");
    }
    println!(
        "{killed} times {signal}: {distinct} distinct numbers, {retries} retries, {calls} calls"
    );
}

/// The numbers that the state has.
fn stored_numbers(state: &Path) -> Vec<String> {
    let export = run(dingmap().args(["state", "export", "--state"]).arg(state));
    // A run that is killed before it has a state leaves none.
    let mut table = csv::Reader::from_reader(export.stdout.as_bytes());
    table.records().map(|record| record.unwrap()[2].to_owned()).collect()
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn random_kills_lose_nothing_and_cost_few_calls() {
    run_kill_chain("KILL");
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn random_terminations_cost_no_call() {
    run_kill_chain("TERM");
}
