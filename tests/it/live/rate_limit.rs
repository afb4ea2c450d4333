//! The pace of whole runs where something comes in between: a process that stood still, a clock that jumped, calls that
//! wait long for their turn. The exact figures are the business of `benches/pace.rs` on a quiet machine.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant as WallInstant};

use dingmap::testing::api::CallError;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Mobile;
use dingmap::testing::engine::RetryPolicy;
use dingmap::testing::engine::RunEnd;
use dingmap::testing::engine::RunLimits;
use dingmap::testing::sandbox::Script;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::sim_harness;
use crate::support::workdir::Workdir;

/// Whoever saves up what was not used while the process stood still has eighty calls to make at once. The bound leaves
/// room for a server that itself was held up for a second by other tests.
#[test]
fn a_suspended_process_does_not_burst_afterwards() {
    let (api, desk) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (desk.write_file("staff.csv", staff_csv(160)), desk.path("out.csv"));
    let mut process =
        Process::start(api.resolve(&input, &output).args(["--rate", "20", "--progress", "none"]));
    wait_until("forty calls", || (api.call_log().calls().len() >= 40).then_some(()));
    process.send_signal("STOP");
    sleep(Duration::from_secs(4));
    process.send_signal("CONT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let most = api.call_log().max_in_window(Duration::from_secs(1));
    assert!(most <= 40, "{most} calls in a second");
}

#[test]
fn replies_received_during_suspension_do_not_time_out() {
    let latency = Duration::from_millis(300);
    let (api, desk) =
        (Sandbox::new(Script { latency: latency..=latency, ..unlimited_script() }), Workdir::new());
    let (input, output) = (desk.write_file("staff.csv", staff_csv(60)), desk.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let flags = ["--rate", "20", "--timeout", "2s", "--max-retries", "0", "--progress", "none"];
    let mut process = Process::start(command.args(flags));
    wait_until("twenty calls", || (api.call_log().calls().len() >= 20).then_some(()));
    process.send_signal("STOP");
    sleep(Duration::from_secs(4));
    process.send_signal("CONT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"), "{}", ended.stderr);
    assert_eq!(api.call_log().calls().len(), 60);
}

#[test]
fn waiting_for_the_rate_limiter_does_not_count_towards_the_timeout() {
    let latency = Duration::from_millis(50);
    let (api, desk) =
        (Sandbox::new(Script { latency: latency..=latency, ..unlimited_script() }), Workdir::new());
    let (input, output) = (desk.write_file("staff.csv", staff_csv(8)), desk.path("out.csv"));
    let begun = WallInstant::now();
    // The last number waits seven seconds for its turn; a busy machine does not hold up a reply for five.
    let flags = ["--rate", "1", "-j", "16", "--timeout", "5s", "--max-retries", "0"];
    let ended = run(api.resolve(&input, &output).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() > Duration::from_millis(6500), "{:?}", begun.elapsed());
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"));
    assert_eq!(api.call_log().calls().len(), 8);
}

/// Finds everybody after a tenth of a second, and notes when it was asked.
#[derive(Default)]
struct RecordingApi(Mutex<Vec<Instant>>);

impl LookupApi for RecordingApi {
    async fn lookup(&self, _: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        self.0.lock().unwrap().push(Instant::now());
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Reply {
            status: 200,
            retry_after: None,
            redirects_to: None,
            body: sim_harness::FOUND_REPLY.into(),
        })
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { token: "the-token".into(), renew_after: None })
    }

    fn token_call_count(&self) -> u64 {
        0
    }

    fn can_renew_token(&self) -> bool {
        false
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_jump_causes_no_burst() {
    const COUNT: usize = 600;
    let usual = sim_harness::default_limits();
    let settings = RunLimits {
        workers: 64,
        retry_policy: RetryPolicy { max_retries: 0, ..usual.retry_policy },
        ..usual
    };
    tokio::spawn(async {
        for jump in [Duration::from_secs(1), Duration::from_mins(5), Duration::from_hours(8)] {
            tokio::time::sleep(Duration::from_millis(5321)).await;
            tokio::time::advance(jump).await;
        }
    });
    let remote = Arc::new(RecordingApi::default());
    let (_, end) = sim_harness::run_numbers(
        Arc::clone(&remote),
        settings,
        Rate::from_per_second(20.0),
        COUNT,
        |_| {},
    )
    .await;
    assert!(matches!(end, RunEnd::Finished), "{end:?}");
    let calls = remote.0.lock().unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(calls.len(), COUNT);
    assert!(calls[COUNT - 1] - calls[0] > Duration::from_hours(8), "the clock must have jumped");
    assert!(calls.windows(21).all(|calls| calls[20] - calls[0] >= second));
}
