//! Replies that may belong to another call, on a paused clock: which answers are used, and how
//! often a number is asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::{AccessToken, CallError, LookupApi, Reply, TokenEndpoint, TokenError};
use dingmap::testing::domain::{Mobile, RetryCause, Status, Totals};
use dingmap::testing::engine::{RetryPolicy, RunEnd, RunLimits};
use secrecy::SecretString;

use crate::support::sim_harness;

/// A reply to the call of this place, from 0: its latency, HTTP status, connection and request id.
type Rule = fn(usize) -> (u64, u16, u16, usize);

/// A host that finds everybody, by a rule.
struct ConnectionHost {
    rule: Rule,
    calls: Mutex<Vec<Mobile>>,
}

impl LookupApi for ConnectionHost {
    async fn lookup(&self, mobile: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        let place = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(mobile);
            calls.len() - 1
        };
        let (latency, status, port, id) = (self.rule)(place);
        tokio::time::sleep(Duration::from_millis(latency)).await;
        let connection = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let id = format!(r#"{{"request_id":"{id}","#);
        let body = sim_harness::FOUND_REPLY.replacen('{', &id, 1);
        Ok(Reply { connection, ..sim_harness::http_reply(status, body) })
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { token: "t".into(), renew_after: None })
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

/// A run over so many numbers: its totals, and how often each number was called.
fn simulate(count: usize, max_retries: u32, rule: Rule) -> (Totals, HashMap<Mobile, u32>) {
    let usual = sim_harness::default_limits();
    let retry_policy = RetryPolicy { max_retries, ..usual.retry_policy };
    let limits = RunLimits { retry_policy, ..usual };
    sim_harness::paused_runtime().block_on(async {
        let host = Arc::new(ConnectionHost { rule, calls: Mutex::default() });
        let rate = "60".parse().unwrap();
        let run = sim_harness::run_numbers(Arc::clone(&host), limits, rate, count, |_| {});
        let (totals, end) = run.await;
        assert!(matches!(end, RunEnd::Finished), "{end:?}");
        let mut calls = HashMap::new();
        for mobile in &*host.calls.lock().unwrap() {
            *calls.entry(*mobile).or_default() += 1;
        }
        (totals, calls)
    })
}

#[test]
fn a_timeout_reply_makes_only_its_own_number_be_called_again() {
    let (totals, calls) = simulate(200, 5, |place| {
        let status = if place < 200 && place % 20 == 7 { 408 } else { 200 };
        (150, status, u16::try_from(place).unwrap(), place)
    });
    assert_eq!((totals.rows(Status::Found), totals.calls), (200, 210));
    assert_eq!(totals.retries_for(RetryCause::UnexpectedReply), 10);
    assert!(calls.values().all(|calls| *calls <= 3), "{calls:?}");
}

#[test]
fn an_answer_on_the_connection_of_an_unsolicited_reply_is_not_used() {
    // The second call was sent before the timeout reply to the first one came, on the same
    // connection; the third one on another connection.
    let (totals, _) = simulate(3, 1, |place| match place {
        0 => (100, 408, 1, place),
        1 => (200, 200, 1, place),
        _ => (200, 200, 2, place),
    });
    assert_eq!((totals.rows(Status::Found), totals.calls), (3, 5));
}

#[test]
fn a_repeated_answer_costs_the_answers_on_other_connections_nothing() {
    let (totals, calls) = simulate(100, 1, |place| {
        let id = if place == 50 { 40 } else { place };
        (150, 200, u16::try_from(place).unwrap(), id)
    });
    assert_eq!((totals.rows(Status::Found), totals.calls), (100, 101));
    assert!(calls.values().all(|calls| *calls <= 2), "{calls:?}");
}

#[test]
fn an_answer_of_another_call_uses_up_an_attempt() {
    // All calls of a while share a connection: the answers of those that were in flight with the
    // repeated one may be late too.
    let (totals, calls) = simulate(100, 0, |place| {
        let (port, id) = (if place < 60 { 1 } else { 2 }, if place == 50 { 40 } else { place });
        (150, 200, port, id)
    });
    let unused = totals.rows(Status::Failed);
    assert!((2..=10).contains(&unused), "{unused}");
    assert_eq!(totals.rows(Status::Found), 100 - unused);
    assert!(calls.values().all(|calls| *calls == 1), "{calls:?}");
}
