//! State files that are not as they were written: a run ends well all the same, and never with a
//! wrong answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::interrupted_runs::{
    interrupt_after_calls, numbers_table, resolvable_numbers, uninterrupted_output,
};
use crate::support::sandbox::{RunOutput, Sandbox, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

const ROWS: u32 = 300;

/// A run that was not finished, its state, and what comes out in the end.
struct UnfinishedRun {
    sandbox: Sandbox,
    workdir: Workdir,
    input: PathBuf,
    state_bytes: Vec<u8>,
    expected_output: Vec<u8>,
}

impl UnfinishedRun {
    fn new() -> Self {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(ROWS)));
        let expected = uninterrupted_output(&input);
        let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(["--max-calls", "250"]));
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        let state = fs::read(api.state_path()).unwrap();
        Self { sandbox: api, workdir, input, state_bytes: state, expected_output: expected }
    }

    fn resolve_with_state(&self, state: &Path) -> Command {
        let mut command = self.sandbox.resolve(&self.input, &self.workdir.path("out.csv"));
        command.arg("--state").arg(state);
        command
    }

    /// Runs on this state; the run has to end well, with the right output.
    fn assert_recovers(&self, state: &[u8], what: &str) -> (RunOutput, usize) {
        let before = self.sandbox.call_log().calls().len();
        let workdir = Workdir::new();
        let path = workdir.write_file("state", state);
        let ended = run(&mut self.resolve_with_state(&path));
        assert_eq!(ended.status, Some(0), "{what}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{what}: {}", ended.stderr);
        assert!(
            fs::read(self.workdir.path("out.csv")).unwrap() == self.expected_output,
            "{what}: a wrong answer"
        );
        let aside = workdir.file_names().into_iter().find(|name| name.contains("damaged"));
        assert_eq!(
            ended.stderr.contains("is set aside as"),
            aside.is_some(),
            "{what}: {}",
            ended.stderr
        );
        if let Some(aside) = &aside {
            assert!(
                ended.stderr.contains(&**aside) && ended.stderr.contains("asked again"),
                "{}",
                ended.stderr
            );
        }
        (ended, self.sandbox.call_log().calls().len() - before)
    }
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn a_flipped_bit_causes_no_wrong_answer() {
    let scene = UnfinishedRun::new();
    let (_, calls) = scene.assert_recovers(&scene.state_bytes, "a whole state");
    assert!(calls < 100, "{calls}: what is known is used");
    let mut dice = fastrand::Rng::with_seed(4);
    let used = scene.state_bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut damaged = 0;
    for round in 0..200 {
        let mut state = scene.state_bytes.clone();
        // Every fourth in the headers, by which everything else is found.
        let at = if round % 4 == 0 { dice.usize(..320) } else { dice.usize(..=used) };
        let bit = dice.u8(..8);
        state[at] ^= 1 << bit;
        let (ended, calls) = scene.assert_recovers(&state, &format!("bit {bit} of byte {at}"));
        let aside = ended.stderr.contains("set aside");
        damaged += u32::from(aside);
        assert!(
            aside == (calls >= ROWS as usize),
            "bit {bit} of byte {at}: {calls} calls, {}",
            ended.stderr
        );
    }
    assert!(damaged > 20, "{damaged}: most of the file is in use");
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn a_truncated_state_causes_no_wrong_answer() {
    let scene = UnfinishedRun::new();
    let mut dice = fastrand::Rng::with_seed(5);
    for round in 0..50 {
        let length = if round < 5 { round * 3 } else { dice.usize(..scene.state_bytes.len()) };
        scene.assert_recovers(&scene.state_bytes[..length], &format!("{length} bytes"));
    }
}

#[test]
fn a_foreign_file_is_rejected_and_left_unchanged() {
    let scene = UnfinishedRun::new();
    let other = scene.workdir.write_file("other.csv", numbers_table(&resolvable_numbers(ROWS)));
    let ended = run(&mut scene.resolve_with_state(&other));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("not a state file of dingmap") && ended.stderr.contains("--state"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(&other).unwrap(), numbers_table(&resolvable_numbers(ROWS)));
    assert!(!scene.workdir.file_names().iter().any(|name| name.contains("damaged")));
}

/// A run that is stopped while more is read than it came to closes its state as every other does:
/// the next run need not put it in order. Where redb says that it has to is the second bit of the
/// tenth byte of the file.
#[test]
fn a_run_that_stops_early_closes_its_state() {
    let (api, workdir) = (Sandbox::new(slow_script(5)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(20_000)));
    let output = workdir.path("out.csv");
    for signal in ["INT", "TERM"] {
        interrupt_after_calls(&api, &input, &output, 50, signal, &[]);
        assert_eq!(fs::read(api.state_path()).unwrap()[9] & 2, 0, "{signal}");
    }
    let ended = run(api.resolve(&input, &output).args(["--max-calls", "50"]));
    assert_eq!(
        (ended.status, fs::read(api.state_path()).unwrap()[9] & 2),
        (Some(6), 0),
        "{}",
        ended.stderr
    );
}
