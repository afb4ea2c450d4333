//! State files that are not as they were written: a run ends well all the same, and never with a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{cut_short, numbers, slow, table, undisturbed};
use crate::harness::{Api, Desk, Ended, run, unlimited};

const ROWS: u32 = 300;

/// A run that was not finished, its state, and what comes out in the end.
struct Scene {
    api: Api,
    desk: Desk,
    input: PathBuf,
    state: Vec<u8>,
    expected: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let (api, desk) = (Api::new(unlimited()), Desk::new());
        let input = desk.file("staff.csv", table(&numbers(ROWS)));
        let expected = undisturbed(&input);
        let ended = run(api.resolve(&input, &desk.path("out.csv")).args(["--max-calls", "250"]));
        assert_eq!(ended.status, Some(6), "{}", ended.stderr);
        let state = fs::read(api.state()).unwrap();
        Self { api, desk, input, state, expected }
    }

    fn command(&self, state: &Path) -> Command {
        let mut command = self.api.resolve(&self.input, &self.desk.path("out.csv"));
        command.arg("--state").arg(state);
        command
    }

    /// Runs on this state; the run has to end well, with the right output.
    fn goes_on(&self, state: &[u8], what: &str) -> (Ended, usize) {
        let before = self.api.ledger().calls().len();
        let desk = Desk::new();
        let path = desk.file("state", state);
        let ended = run(&mut self.command(&path));
        assert_eq!(ended.status, Some(0), "{what}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{what}: {}", ended.stderr);
        assert!(
            fs::read(self.desk.path("out.csv")).unwrap() == self.expected,
            "{what}: a wrong answer"
        );
        let aside = desk.names().into_iter().find(|name| name.contains("damaged"));
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
        (ended, self.api.ledger().calls().len() - before)
    }
}

#[test]
fn a_bit_flipped_anywhere_makes_no_wrong_answer() {
    let scene = Scene::new();
    let (_, calls) = scene.goes_on(&scene.state, "a whole state");
    assert!(calls < 100, "{calls}: what is known is used");
    let mut dice = fastrand::Rng::with_seed(4);
    let used = scene.state.iter().rposition(|byte| *byte != 0).unwrap();
    let mut damaged = 0;
    for round in 0..200 {
        let mut state = scene.state.clone();
        // Every fourth in the headers, by which everything else is found.
        let at = if round % 4 == 0 { dice.usize(..320) } else { dice.usize(..=used) };
        let bit = dice.u8(..8);
        state[at] ^= 1 << bit;
        let (ended, calls) = scene.goes_on(&state, &format!("bit {bit} of byte {at}"));
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
fn a_file_that_breaks_off_anywhere_makes_no_wrong_answer() {
    let scene = Scene::new();
    let mut dice = fastrand::Rng::with_seed(5);
    for round in 0..50 {
        let length = if round < 5 { round * 3 } else { dice.usize(..scene.state.len()) };
        scene.goes_on(&scene.state[..length], &format!("{length} bytes"));
    }
}

#[test]
fn a_file_of_somebody_else_is_refused_and_stays_as_it_is() {
    let scene = Scene::new();
    let other = scene.desk.file("other.csv", table(&numbers(ROWS)));
    let ended = run(&mut scene.command(&other));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("not a state file of dingmap") && ended.stderr.contains("--state"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(&other).unwrap(), table(&numbers(ROWS)));
    assert!(!scene.desk.names().iter().any(|name| name.contains("damaged")));
}

/// A run that is stopped while more is read than it came to closes its state as every other does: the next run need not
/// put it in order. Where redb says that it has to is the second bit of the tenth byte of the file.
#[test]
fn a_run_that_stops_early_closes_its_state() {
    let (api, desk) = (Api::new(slow(5)), Desk::new());
    let input = desk.file("staff.csv", table(&numbers(20_000)));
    let output = desk.path("out.csv");
    for signal in ["INT", "TERM"] {
        cut_short(&api, &input, &output, 50, signal, &[]);
        assert_eq!(fs::read(api.state()).unwrap()[9] & 2, 0, "{signal}");
    }
    let ended = run(api.resolve(&input, &output).args(["--max-calls", "50"]));
    assert_eq!(
        (ended.status, fs::read(api.state()).unwrap()[9] & 2),
        (Some(6), 0),
        "{}",
        ended.stderr
    );
}
