//! The rate limit of whole runs that are disturbed: a suspended process, a clock that jumps, calls
//! that wait long for the limiter. How much of the rate is used is measured by `cargo bench --bench
//! pace`.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use dingmap::testing::api::CallError;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Mobile;
use dingmap::testing::engine::RetryPolicy;
use dingmap::testing::engine::RunEnd;
use dingmap::testing::engine::RunLimits;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, run, slow_script};
use crate::support::sim_harness;
use crate::support::workdir::Workdir;

#[test]
fn replies_received_during_suspension_do_not_time_out() {
    let (api, workdir) = (Sandbox::new(slow_script(300)), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(30)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let flags = ["--rate", "20", "--timeout", "3s", "--max-retries", "0", "--progress", "none"];
    let mut process = Process::start(command.args(flags));
    wait_until("ten calls", || (api.call_log().calls().len() >= 10).then_some(()));
    process.send_signal("STOP");
    // Longer than the timeout: the replies arrive in the meantime.
    sleep(Duration::from_secs(4));
    process.send_signal("CONT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(read_rows(&output).iter().all(|row| row["status"] == "found"), "{}", ended.stderr);
    assert_eq!(api.call_log().calls().len(), 30);
}

#[test]
fn waiting_for_the_rate_limiter_does_not_count_towards_the_timeout() {
    let (api, workdir) = (Sandbox::new(slow_script(50)), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(8)), workdir.path("out.csv"));
    // At 2 calls per second the last number waits 3.5 s for the limiter, longer than the timeout.
    let flags = ["--rate", "2", "-j", "16", "--timeout", "3s", "--max-retries", "0"];
    let result = run(api.resolve(&input, &output).args(flags));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
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
        Ok(sim_harness::http_reply(200, sim_harness::FOUND_REPLY))
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
