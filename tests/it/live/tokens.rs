//! Tokens that end in the middle of a run, token calls that fail, and runs that outlast many
//! tokens, on a paused clock;
//! `line` has those that only a real line can show.

mod http;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::CallError;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Status;
use dingmap::testing::domain::ip_ban_pause;
use dingmap::testing::domain::{DefaultRegion, Mobile};
use dingmap::testing::domain::{RetryCause, Totals};
use dingmap::testing::engine::Abort;
use dingmap::testing::engine::RetryPolicy;
use dingmap::testing::engine::RunEnd;
use dingmap::testing::engine::RunLimits;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::TokenReply::{Banned, Granted, TimedOut, Unknown};
use crate::support::sim_harness;

const WORKERS: usize = 16;

/// What becomes of a token call.
#[derive(Clone, Copy)]
enum TokenReply {
    Granted,
    TimedOut,
    Banned,
    Unknown,
}

/// How the API handles tokens.
#[derive(Clone)]
struct TokenRules {
    /// How long a token works.
    lifetime: Duration,
    /// What it says of its life: the run renews it so long after it was handed out.
    fresh_for: Duration,
    /// Whether asking again gives the first token for ever, also when it has ended.
    reissues_expired: bool,
    /// Whether asking again while it works gives the same token and more time (guide: api, Tokens);
    /// else a new one, and the end of the old one.
    extends_lifetime: bool,
    /// The lookup with which the token that is used then ends, where there is one.
    expires_at_lookup: Option<usize>,
    /// The reply to a lookup with a token that has ended.
    rejection: String,
    /// From when on, and how long, every reply says that the address is banned.
    ban_window: Option<(Duration, Duration)>,
    /// What becomes of each token call, from the first on; those after the last succeed.
    token_replies: Vec<TokenReply>,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_hours(2),
            fresh_for: Duration::from_mins(110),
            reissues_expired: false,
            extends_lifetime: false,
            expires_at_lookup: None,
            rejection: r#"{"errcode":88,"sub_code":"40014","sub_msg":"m"}"#.to_owned(),
            ban_window: None,
            token_replies: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct TokenState {
    started_at: Instant,
    token: u64,
    expires_at: Option<Instant>,
    lookups: usize,
    /// Lookups that came with a token that had ended.
    rejected: usize,
    /// Lookups that met the ban.
    ban_hits: usize,
    /// Every token call that was answered otherwise.
    token_calls: Vec<TokenEndpoint>,
}

/// An API that finds every number that is asked for with the current token.
struct TokenApi {
    rules: TokenRules,
    state: Mutex<TokenState>,
}

impl TokenApi {
    fn is_banned(&self, state: &TokenState) -> bool {
        self.rules
            .ban_window
            .is_some_and(|(from, long)| (from..from + long).contains(&state.started_at.elapsed()))
    }
}

impl LookupApi for TokenApi {
    async fn lookup(&self, _: Mobile, token: &SecretString) -> Result<Reply, CallError> {
        let body = {
            let mut state = self.state.lock().unwrap();
            if self.rules.expires_at_lookup == Some(state.lookups) {
                state.expires_at = Some(Instant::now());
            }
            state.lookups += 1;
            let works = state.expires_at.is_some_and(|ends| Instant::now() < ends);
            let works = works && token.expose_secret() == format!("token-{}", state.token);
            state.rejected += usize::from(!works);
            let found = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u"}}"#;
            if self.is_banned(&state) {
                state.ban_hits += 1;
                r#"{"status":1111,"punish":"deny"}"#.to_owned()
            } else if works {
                found.to_owned()
            } else {
                self.rules.rejection.clone()
            }
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(sim_harness::http_reply(200, body))
    }

    async fn fetch_token(&self, call: TokenEndpoint) -> Result<AccessToken, TokenError> {
        let bans = self.is_banned(&self.state.lock().unwrap());
        if bans {
            tokio::time::sleep(Duration::from_millis(400)).await;
            return Err(TokenError::Throttled(ip_ban_pause()));
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
        let mut state = self.state.lock().unwrap();
        let turn = self.rules.token_replies.get(state.token_calls.len()).copied();
        state.token_calls.push(call);
        match turn {
            Some(TimedOut) => {
                return Err(TokenError::Transient {
                    reason: "timed out after 10s".into(),
                    answered: true,
                });
            }
            Some(Banned) => return Err(TokenError::Throttled(ip_ban_pause())),
            Some(Unknown) => return Err(TokenError::UnknownEndpoint("HTTP 404".into())),
            Some(Granted) | None => {}
        }
        let works = state.expires_at.is_some_and(|ends| Instant::now() < ends);
        if state.token == 0 || !self.rules.reissues_expired {
            state.token += u64::from(!(works && self.rules.extends_lifetime));
            state.expires_at = Some(Instant::now() + self.rules.lifetime);
        }
        let token = format!("token-{}", state.token);
        Ok(AccessToken { token: token.into(), renew_after: Some(self.rules.fresh_for) })
    }

    fn token_call_count(&self) -> u64 {
        self.state.lock().unwrap().token_calls.len() as u64
    }

    fn can_renew_token(&self) -> bool {
        true
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

/// What a run came to.
struct SimResult {
    totals: Totals,
    end: RunEnd,
    took: Duration,
    state: TokenState,
}

/// A run over so many numbers without a retry, on a paused clock.
fn simulate(rules: TokenRules, rate: &str, count: usize, retries: u32) -> SimResult {
    let usual = sim_harness::default_limits();
    let settings = RunLimits {
        retry_policy: RetryPolicy { max_retries: retries, ..usual.retry_policy },
        ..usual
    };
    sim_harness::paused_runtime().block_on(async {
        let started = Instant::now();
        let state = TokenState {
            started_at: started,
            token: 0,
            expires_at: None,
            lookups: 0,
            rejected: 0,
            ban_hits: 0,
            token_calls: Vec::new(),
        };
        let remote = Arc::new(TokenApi { rules, state: Mutex::new(state) });
        let rate = rate.parse().unwrap();
        let (report, end) =
            sim_harness::run_numbers(Arc::clone(&remote), settings, rate, count, |_| {}).await;
        let took = started.elapsed();
        let state = remote.state.lock().unwrap().clone();
        SimResult { totals: report, end, took, state }
    })
}

/// All rows were found, and a renewal cost the calls alone that had to be repeated.
#[track_caller]
fn assert_all_found(played: &SimResult, count: usize) {
    let SimResult { totals: report, end, state, .. } = played;
    assert!(matches!(end, RunEnd::Finished), "{end:?}");
    assert_eq!(report.rows(Status::Found), count as u64);
    assert_eq!(report.calls, (count + state.rejected) as u64);
    assert_eq!(report.retries_for(RetryCause::TokenRejected), state.rejected as u64);
}

#[test]
fn an_expired_token_is_renewed_once_whatever_the_code_and_however_many_calls() {
    for code in [40014, 42001, 40001, 33001, 43007] {
        for rejection in [
            format!(r#"{{"errcode":{code},"errmsg":"m","request_id":"r"}}"#),
            format!(r#"{{"errcode":88,"sub_code":"{code}","sub_msg":"m","errmsg":"m"}}"#),
            format!(r#"{{"errcode":88,"errmsg":"ding talk error[subcode={code},submsg=m]"}}"#),
        ] {
            let rules =
                TokenRules { rejection, expires_at_lookup: Some(100), ..TokenRules::default() };
            let played = simulate(rules, "unlimited", 400, 0);
            assert_all_found(&played, 400);
            assert_eq!(played.state.rejected, WORKERS, "{code}: all those that were in flight");
            assert_eq!(
                played.state.token_calls.len(),
                2,
                "{code}: one at the start, one in its place"
            );
            assert_eq!(played.totals.token_calls, 2);
        }
    }
}

/// A host that finds everybody, except that one number meets the end of two tokens, with a lost
/// connection in between.
#[derive(Default)]
struct UnluckyNumberApi {
    attempts: Mutex<usize>,
    tokens: Mutex<u64>,
}

impl LookupApi for UnluckyNumberApi {
    async fn lookup(&self, mobile: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut body = sim_harness::FOUND_REPLY;
        if mobile == Mobile::parse("13900000007", DefaultRegion::CHINA).unwrap() {
            let mut attempts = self.attempts.lock().unwrap();
            *attempts += 1;
            match *attempts {
                1 | 3 => body = r#"{"errcode":40014,"errmsg":"m"}"#,
                2 => return Err(CallError::ConnectionLost("reset".into())),
                _ => {}
            }
        }
        Ok(sim_harness::http_reply(200, body))
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        let mut tokens = self.tokens.lock().unwrap();
        *tokens += 1;
        Ok(AccessToken {
            token: tokens.to_string().into(),
            renew_after: Some(Duration::from_hours(1)),
        })
    }

    fn token_call_count(&self) -> u64 {
        *self.tokens.lock().unwrap()
    }

    fn can_renew_token(&self) -> bool {
        true
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

#[test]
fn a_number_that_meets_the_end_of_two_tokens_is_called_again() {
    // The lost connection and the second end use up an attempt each, the first end none.
    for (max_retries, found, attempts) in [(2, 400, 4), (1, 399, 3)] {
        sim_harness::paused_runtime().block_on(async {
            let api = Arc::<UnluckyNumberApi>::default();
            let usual = sim_harness::default_limits();
            let retry_policy = RetryPolicy { max_retries, ..usual.retry_policy };
            let (limits, rate) = (RunLimits { retry_policy, ..usual }, "20".parse().unwrap());
            let (totals, end) =
                sim_harness::run_numbers(Arc::clone(&api), limits, rate, 400, |_| {}).await;
            assert!(matches!(end, RunEnd::Finished), "{end:?}");
            assert_eq!(totals.rows(Status::Found), found);
            assert_eq!(totals.rows(Status::Failed), 400 - found);
            assert_eq!(*api.attempts.lock().unwrap(), attempts);
        });
    }
}

#[test]
fn a_rejected_fresh_token_ends_the_run() {
    // One that never works, and one that is handed out again and again after its end.
    let never = TokenRules { lifetime: Duration::ZERO, ..TokenRules::default() };
    let again = TokenRules {
        reissues_expired: true,
        expires_at_lookup: Some(100),
        ..TokenRules::default()
    };
    for rules in [never, again] {
        let SimResult { totals: report, end, state, .. } = simulate(rules, "unlimited", 400, 5);
        assert!(
            matches!(end, RunEnd::Aborted(Abort::TokenRejected { fresh: true, .. })),
            "{end:?}"
        );
        assert_eq!(state.token_calls.len(), 2);
        assert!((1..=2 * WORKERS).contains(&state.rejected) && report.rows(Status::Failed) == 0);
    }
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn a_three_hour_run_outlasts_half_hour_tokens() {
    let count = 5 * 3 * 3600;
    let (half, early) = (Duration::from_mins(30), Duration::from_mins(20));
    for extends in [true, false] {
        let rules = TokenRules {
            lifetime: half,
            fresh_for: early,
            extends_lifetime: extends,
            ..TokenRules::default()
        };
        let played = simulate(rules, "5", count, 0);
        assert_all_found(&played, count);
        assert!(played.took >= Duration::from_hours(3), "{:?}", played.took);
        assert_eq!(
            played.state.token_calls.len(),
            10,
            "one at the start, and one every twenty minutes"
        );
        // Those in flight when a new token ends the old one, and nobody where it is extended.
        let most = if extends { 0 } else { 9 * WORKERS };
        assert!(played.state.rejected <= most, "{}", played.state.rejected);
    }
    // A host that promises two hours and keeps half of one.
    let played = simulate(TokenRules { lifetime: half, ..TokenRules::default() }, "5", count, 0);
    assert_all_found(&played, count);
    assert_eq!(played.state.token_calls.len(), 7, "one at the start, and one every half an hour");
    assert!((6..=6 * WORKERS).contains(&played.state.rejected), "{}", played.state.rejected);
}

#[test]
fn a_failed_renewal_is_retried_and_costs_no_row() {
    let rules = TokenRules {
        expires_at_lookup: Some(100),
        token_replies: vec![Granted, TimedOut, TimedOut, Unknown, Banned, TimedOut],
        ..TokenRules::default()
    };
    // It fails twice, then the host does not know it; the older one has to wait for five minutes
    // and fails, and the next gives the token.
    let played = simulate(rules, "unlimited", 400, 3);
    assert_all_found(&played, 400);
    let (current, older) = (TokenEndpoint::V1, TokenEndpoint::Legacy);
    let expected = [current, current, current, current, older, older, current];
    assert_eq!(played.state.token_calls, expected);
    assert!(played.took > Duration::from_mins(5) && played.took < Duration::from_mins(6));
    assert_eq!((played.state.rejected, played.totals.pauses()), (WORKERS, 1));
}

#[test]
fn a_renewal_and_lookups_under_one_ban_pause_once() {
    // The first lookups are rejected by it while the renewal, which is due ten seconds after the
    // first token, is in flight.
    let ban = (Duration::from_millis(9850), Duration::from_millis(500));
    let rules = TokenRules {
        fresh_for: Duration::from_secs(10),
        extends_lifetime: true,
        ban_window: Some(ban),
        ..TokenRules::default()
    };
    let SimResult { totals: report, end, took, state } = simulate(rules, "20", 400, 0);
    assert!(matches!(end, RunEnd::Finished), "{end:?}");
    assert_eq!((report.rows(Status::Found), report.pauses()), (400, 1));
    assert!(state.ban_hits > 1 && report.calls == 400 + state.ban_hits as u64);
    assert_eq!(report.pause_time().as_secs(), 300);
    assert!(took > Duration::from_secs(320) && took < Duration::from_secs(330), "{took:?}");
}

#[test]
fn a_renewal_that_always_fails_ends_the_run_only_when_the_token_expires() {
    let rules = |ends_with| TokenRules {
        fresh_for: Duration::from_secs(5),
        expires_at_lookup: ends_with,
        token_replies: [vec![Granted], vec![TimedOut; 1000]].concat(),
        ..TokenRules::default()
    };
    let played = simulate(rules(None), "5", 400, 2);
    assert_all_found(&played, 400);
    assert!(played.state.token_calls.len() > 2, "it was due all the time");
    let SimResult { end, totals: report, .. } = simulate(rules(Some(100)), "5", 400, 2);
    let actual = matches!(
        &end,
        RunEnd::Aborted(Abort::TokenUnavailable { reason, refused: false })
            if reason.contains("10s")
    );
    assert!(actual, "{end:?}");
    assert_eq!(report.rows(Status::Failed), 0, "the rows are open, not failed");
}
