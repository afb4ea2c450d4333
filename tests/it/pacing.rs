//! The pace of whole runs where something comes in between: a process that stood still, a clock that jumped, calls that
//! wait long for their turn. The exact figures are the business of `benches/pace.rs` on a quiet machine.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant as WallInstant};

use dingmap::testing::api::Fault;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Remote;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{Grant, NoToken, TokenCall};
use dingmap::testing::domain::Mobile;
use dingmap::testing::engine::End;
use dingmap::testing::engine::Retries;
use dingmap::testing::engine::Settings;
use dingmap::testing::sandbox::Script;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::harness::{Api, Desk, rows, run, staff, unlimited};
use crate::served::{Process, until};
use crate::stage;

/// Whoever saves up what was not used while the process stood still has eighty calls to make at once. The bound leaves
/// room for a server that itself was held up for a second by other tests.
#[test]
fn a_process_that_stood_still_makes_up_for_nothing() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let (input, output) = (desk.file("staff.csv", staff(160)), desk.path("out.csv"));
    let mut process =
        Process::start(api.resolve(&input, &output).args(["--rate", "20", "--progress", "none"]));
    until("forty calls", || (api.ledger().calls().len() >= 40).then_some(()));
    process.signal("STOP");
    sleep(Duration::from_secs(4));
    process.signal("CONT");
    let ended = process.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let most = api.ledger().most_in_window(Duration::from_secs(1));
    assert!(most <= 40, "{most} calls in a second");
}

#[test]
fn replies_that_came_while_a_process_stood_still_are_not_late() {
    let latency = Duration::from_millis(300);
    let (api, desk) = (Api::new(Script { latency: latency..=latency, ..unlimited() }), Desk::new());
    let (input, output) = (desk.file("staff.csv", staff(60)), desk.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let flags = ["--rate", "20", "--timeout", "2s", "--max-retries", "0", "--progress", "none"];
    let mut process = Process::start(command.args(flags));
    until("twenty calls", || (api.ledger().calls().len() >= 20).then_some(()));
    process.signal("STOP");
    sleep(Duration::from_secs(4));
    process.signal("CONT");
    let ended = process.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(rows(&output).iter().all(|row| row["status"] == "found"), "{}", ended.stderr);
    assert_eq!(api.ledger().calls().len(), 60);
}

#[test]
fn the_wait_for_a_turn_is_no_part_of_a_calls_timeout() {
    let latency = Duration::from_millis(50);
    let (api, desk) = (Api::new(Script { latency: latency..=latency, ..unlimited() }), Desk::new());
    let (input, output) = (desk.file("staff.csv", staff(8)), desk.path("out.csv"));
    let begun = WallInstant::now();
    // The last number waits seven seconds for its turn; a busy machine does not hold up a reply for five.
    let flags = ["--rate", "1", "-j", "16", "--timeout", "5s", "--max-retries", "0"];
    let ended = run(api.resolve(&input, &output).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() > Duration::from_millis(6500), "{:?}", begun.elapsed());
    assert!(rows(&output).iter().all(|row| row["status"] == "found"));
    assert_eq!(api.ledger().calls().len(), 8);
}

/// Finds everybody after a tenth of a second, and notes when it was asked.
#[derive(Default)]
struct Clocked(Mutex<Vec<Instant>>);

impl Remote for Clocked {
    async fn lookup(&self, _: Mobile, _: &SecretString) -> Result<Reply, Fault> {
        self.0.lock().unwrap().push(Instant::now());
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Reply { status: 200, retry_after: None, leads_to: None, body: stage::FOUND.into() })
    }

    async fn token(&self, _: TokenCall) -> Result<Grant, NoToken> {
        Ok(Grant { token: "the-token".into(), fresh_for: None })
    }

    fn token_calls(&self) -> u64 {
        0
    }

    fn renews(&self) -> bool {
        false
    }

    fn hide(&self, text: String) -> String {
        text
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_releases_no_burst() {
    const COUNT: usize = 600;
    let usual = stage::settings();
    let settings = Settings { workers: 64, retries: Retries { most: 0, ..usual.retries }, ..usual };
    tokio::spawn(async {
        for jump in [Duration::from_secs(1), Duration::from_mins(5), Duration::from_hours(8)] {
            tokio::time::sleep(Duration::from_millis(5321)).await;
            tokio::time::advance(jump).await;
        }
    });
    let remote = Arc::new(Clocked::default());
    let (_, end) =
        stage::perform(Arc::clone(&remote), settings, Rate::of(20.0), COUNT, |_| {}).await;
    assert!(matches!(end, End::Finished), "{end:?}");
    let calls = remote.0.lock().unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(calls.len(), COUNT);
    assert!(calls[COUNT - 1] - calls[0] > Duration::from_hours(8), "the clock must have jumped");
    assert!(calls.windows(21).all(|calls| calls[20] - calls[0] >= second));
}
