//! Failures of this machine itself (file descriptors, memory, no route), on a paused clock: they
//! use up no attempt, pause all calls, and end the run if they last.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use dingmap::testing::api::{AccessToken, CallError, LookupApi, Reply, Shortage};
use dingmap::testing::api::{TokenEndpoint, TokenError};
use dingmap::testing::domain::{Limit, Mobile, RetryCause, Status, Totals};
use dingmap::testing::engine::{Abort, Event, RetryPolicy, RunEnd, RunLimits};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::support::sim_harness;

const ROWS: usize = 200;
const REASON: &str = "too many open files";

/// A host that finds everybody, and a machine that cannot reach it in some period of the run.
struct FailingMachine {
    started_at: Instant,
    /// From when on, and how long.
    outage: (Duration, Duration),
    reached: Mutex<usize>,
}

impl FailingMachine {
    fn fails(&self) -> bool {
        let (from, length) = self.outage;
        (from..from + length).contains(&self.started_at.elapsed())
    }
}

impl LookupApi for FailingMachine {
    async fn lookup(&self, _: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        if self.fails() {
            return Err(CallError::Machine(Shortage::Descriptors, REASON.into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        *self.reached.lock().unwrap() += 1;
        Ok(sim_harness::http_reply(200, sim_harness::FOUND_REPLY))
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        if self.fails() {
            return Err(TokenError::Machine(REASON.into()));
        }
        // Renewed during the outage.
        let renew_after = Some(Duration::from_secs(4));
        Ok(AccessToken { token: "t".into(), renew_after })
    }

    fn token_call_count(&self) -> u64 {
        0
    }

    fn can_renew_token(&self) -> bool {
        true
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

struct SimResult {
    totals: Totals,
    end: RunEnd,
    took: Duration,
    reached: usize,
    /// The failures that were reported.
    reports: Vec<String>,
}

/// A run at 20 calls a second, of which no number may be called again.
fn simulate(from: Duration, length: Duration, max_retries: u32) -> SimResult {
    let usual = sim_harness::default_limits();
    let retry_policy = RetryPolicy { max_retries, ..usual.retry_policy };
    let limits = RunLimits { retry_policy, patience: Duration::from_mins(5), ..usual };
    sim_harness::paused_runtime().block_on(async {
        let (started_at, mut reports) = (Instant::now(), Vec::new());
        let outage = (from, length);
        let api = Arc::new(FailingMachine { started_at, outage, reached: Mutex::default() });
        let announce = |event: &Event| {
            if let Event::MachineFailed(reason) = event {
                reports.push(reason.clone());
            }
        };
        let run = sim_harness::run_numbers(
            Arc::clone(&api),
            limits,
            "20".parse().unwrap(),
            ROWS,
            announce,
        );
        let (totals, end) = run.await;
        let reached = *api.reached.lock().unwrap();
        SimResult { totals, end, took: started_at.elapsed(), reached, reports }
    })
}

#[test]
fn a_failure_of_this_machine_uses_up_no_attempt() {
    let run = simulate(Duration::from_secs(3), Duration::from_secs(20), 0);
    assert!(matches!(run.end, RunEnd::Finished), "{:?}", run.end);
    assert_eq!((run.totals.rows(Status::Found), run.reached), (ROWS as u64, ROWS));
    let repeated = run.totals.retries_for(RetryCause::Machine);
    assert!(repeated > 0 && repeated == run.totals.retries(), "{repeated}");
    assert_eq!(run.totals.retries_for(RetryCause::Connection), 0);
    let paused = run.totals.pause_time_by_limit[Limit::Machine as usize];
    assert!(paused >= Duration::from_secs(15) && paused == run.totals.pause_time(), "{paused:?}");
    assert_eq!(run.reports.len(), 1, "once for the outage: {:?}", run.reports);
}

#[test]
fn a_lasting_failure_of_this_machine_ends_the_run_with_pending_rows() {
    let run = simulate(Duration::from_secs(3), Duration::from_hours(9), 0);
    let RunEnd::MachineFailed(reason) = &run.end else { panic!("{:?}", run.end) };
    assert!(reason.contains(REASON), "{reason}");
    let minutes = Duration::from_mins(4)..Duration::from_mins(6);
    assert!(minutes.contains(&run.took), "{:?}", run.took);
    let [found, pending] = [Status::Found, Status::Pending].map(|one| run.totals.rows(one));
    assert_eq!((found, found + pending), (run.reached as u64, ROWS as u64));
    assert!(found > 0 && pending > 0);
}

#[test]
fn a_machine_that_never_reaches_the_host_ends_the_run_soon() {
    let run = simulate(Duration::ZERO, Duration::from_hours(9), 20);
    let is_expected =
        matches!(&run.end, RunEnd::Aborted(Abort::MachineFailed(reason)) if reason == REASON);
    assert!(is_expected, "{:?}", run.end);
    assert!(run.took < Duration::from_secs(30) && run.reached == 0, "{:?}", run.took);
}

#[test]
fn a_short_failure_at_the_start_does_not_end_a_run_without_retries() {
    let run = simulate(Duration::ZERO, Duration::from_secs(3), 0);
    assert!(matches!(run.end, RunEnd::Finished), "{:?}", run.end);
    assert_eq!((run.totals.rows(Status::Found), run.reached), (ROWS as u64, ROWS));
}
