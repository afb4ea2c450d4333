//! The access token of a run: which one is used, when it is renewed, and that it is renewed once,
//! however many calls are rejected with it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use tr::tr;

use crate::api::token::{AccessToken, TokenEndpoint};
use crate::engine::backoff::{Backoff, RetryPolicy};

/// A token that is rejected later than this after it was received has ended; a fresh one is not
/// valid at all.
const FRESH_FOR: Duration = Duration::from_mins(1);
/// The delay after a failed renewal while the old token is still valid.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The token of a run and its generation.
#[derive(Debug, Default)]
pub(crate) struct TokenState {
    token: Option<Arc<SecretString>>,
    /// Counts the tokens of the run. A call remembers the count at which it was sent.
    generation: u64,
    received_at: Option<Instant>,
    /// Whether the API accepted a call with it.
    has_served: bool,
    /// When to renew a token that is still valid.
    renew_at: Option<Instant>,
    /// Whether the token was rejected: no call is possible before there is another.
    is_rejected: bool,
    is_fetching: bool,
    /// The error of the V1 endpoint, if the host does not know it: the legacy endpoint is next.
    v1_error: Option<String>,
    /// Failed requests since the last token.
    failures: u32,
    /// The delays between them.
    backoff: Option<Backoff>,
    /// No token request before this time.
    not_before: Option<Instant>,
}

impl TokenState {
    /// The token to call with, and its generation; `None` if one has to be fetched first.
    #[must_use]
    pub(crate) fn usable(&self) -> Option<(Arc<SecretString>, u64)> {
        let token = self.token.as_ref().filter(|_| !self.is_rejected)?;
        Some((Arc::clone(token), self.generation))
    }

    /// Whether the run ever had a token.
    #[must_use]
    pub(crate) fn had_token(&self) -> bool {
        self.generation > 0
    }

    /// The endpoint of the token request to start now, if any. It counts as started.
    pub(crate) fn start_fetch(&mut self) -> Option<TokenEndpoint> {
        let now = Instant::now();
        let is_needed = self.usable().is_none() || self.renew_at.is_some_and(|due| due <= now);
        let is_allowed = self.not_before.is_none_or(|not_before| not_before <= now);
        if !is_needed || self.is_fetching || !is_allowed {
            return None;
        }
        self.is_fetching = true;
        Some(if self.v1_error.is_some() { TokenEndpoint::Legacy } else { TokenEndpoint::V1 })
    }

    /// The next time at which [`start_fetch`](Self::start_fetch) may return another result without
    /// an event.
    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let wakeup = if self.usable().is_none() {
            self.not_before
        } else {
            self.renew_at.max(self.not_before)
        };
        wakeup.filter(|_| !self.is_fetching)
    }

    pub(crate) fn on_token(&mut self, token: AccessToken) {
        let now = Instant::now();
        self.token = Some(Arc::new(token.token));
        (self.received_at, self.has_served) = (Some(now), false);
        self.renew_at = token.renew_after.map(|delay| now + delay);
        self.generation += 1;
        self.is_rejected = false;
        self.is_fetching = false;
        self.v1_error = None;
        self.failures = 0;
        self.backoff = None;
        self.not_before = None;
    }

    /// The host does not know the endpoint. After the V1 endpoint, the legacy endpoint is used, at
    /// once unless calls are paused. After the legacy endpoint, returns both reasons; the caller
    /// treats that as a failure.
    pub(crate) fn fall_back(&mut self, reason: String) -> Option<String> {
        self.is_fetching = false;
        let Some(before) = self.v1_error.take() else {
            self.v1_error = Some(reason);
            return None;
        };
        Some(if before == reason {
            reason
        } else {
            tr!("{before}; legacy token endpoint: {reason}", before, reason)
        })
    }

    /// The request was throttled, or could not be sent: it starts again after the pause.
    pub(crate) fn on_throttled(&mut self) {
        self.is_fetching = false;
    }

    /// The request failed for a transient reason. Returns the count of failures since the last
    /// token, and the delay before the next request.
    pub(crate) fn on_failure(
        &mut self,
        retries: RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> (u32, Duration) {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(retries)).next_delay(jitter);
        let delay = if self.usable().is_some() { RENEWAL_RETRY_DELAY } else { backoff };
        (self.is_fetching, self.v1_error) = (false, None);
        self.failures += 1;
        self.not_before = Some(Instant::now() + delay);
        (self.failures, delay)
    }

    /// The API accepted a call with the token of this generation.
    pub(crate) fn on_accepted(&mut self, generation: u64) {
        self.has_served |= generation == self.generation;
    }

    /// Whether a rejection of the token of this generation shows that no token will be accepted:
    /// it replaces another one, is new, and has served no call. The first token of a run may be
    /// older than the run, and what one number met says nothing about the token.
    #[must_use]
    pub(crate) fn is_fresh(&self, generation: u64) -> bool {
        let is_new = self.received_at.is_some_and(|at| at.elapsed() < FRESH_FOR);
        let is_replacement = generation == self.generation && generation > 1;
        is_replacement && is_new && !self.has_served && !self.is_rejected
    }

    /// A call with the token of this generation was rejected. Only the first rejection of a
    /// generation matters.
    pub(crate) fn on_rejected(&mut self, generation: u64) {
        if generation == self.generation && !self.is_rejected {
            self.is_rejected = true;
            // Failures while the token was valid do not delay the request that is needed now.
            (self.failures, self.backoff, self.not_before) = (0, None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(renew_after: u64) -> AccessToken {
        AccessToken { token: "t".into(), renew_after: Some(Duration::from_secs(renew_after)) }
    }

    fn fail(state: &mut TokenState) -> (u32, Duration) {
        let second = Duration::from_secs(1);
        state.on_failure(
            RetryPolicy { max_retries: 5, min_delay: second, max_delay: second },
            &mut fastrand::Rng::with_seed(1),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_once_and_before_it_expires() {
        let mut state = TokenState::default();
        assert!(state.usable().is_none());
        assert_eq!((state.start_fetch(), state.start_fetch()), (Some(TokenEndpoint::V1), None));
        state.on_token(token(60));
        assert_eq!(state.usable().unwrap().1, 1);
        assert_eq!(state.start_fetch(), None);
        // Three calls with the first token are rejected: one request.
        state.on_rejected(1);
        assert!(state.usable().is_none() && state.start_fetch().is_some());
        state.on_rejected(1);
        assert_eq!(state.start_fetch(), None);
        state.on_token(token(60));
        state.on_rejected(1);
        assert_eq!(
            state.usable().unwrap().1,
            2,
            "a late rejection of the first token does not affect the second"
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(
            state.usable().is_some() && state.start_fetch().is_some(),
            "renewed early, while the old one is valid"
        );
        assert_eq!(fail(&mut state), (1, RENEWAL_RETRY_DELAY));
        assert!(
            state.start_fetch().is_none()
                && state.next_wakeup() == Some(Instant::now() + RENEWAL_RETRY_DELAY)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_new_token_that_served_no_call_is_fresh() {
        let mut state = TokenState::default();
        state.on_token(token(60));
        assert!(!state.is_fresh(1), "the first one may be older than the run");
        state.on_rejected(1);
        state.on_token(token(60));
        assert!(state.is_fresh(2) && !state.is_fresh(1), "a late rejection is of the first");
        state.on_accepted(1);
        assert!(state.is_fresh(2), "a late answer proves nothing for the second");
        state.on_rejected(2);
        assert!(!state.is_fresh(2), "its rejection is known");
        state.on_token(token(60));
        state.on_accepted(3);
        assert!(!state.is_fresh(3), "it has ended");
        state.on_rejected(3);
        state.on_token(token(600));
        tokio::time::advance(FRESH_FOR).await;
        assert!(!state.is_fresh(4), "it may have ended while nothing was sent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_first_token_request_backs_off() {
        let mut state = TokenState::default();
        assert!(state.start_fetch().is_some());
        assert_eq!(fail(&mut state), (1, Duration::from_secs(1)));
        assert_eq!(state.start_fetch(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(state.start_fetch().is_some());
        assert_eq!(fail(&mut state).0, 2);
        state.not_before = None;
        assert!(state.start_fetch().is_some());
        state.on_throttled();
        assert!(state.start_fetch().is_some() && state.failures == 2, "throttling is no failure");
    }

    #[tokio::test(start_paused = true)]
    async fn the_legacy_token_endpoint_is_used_when_the_current_one_is_unknown() {
        let mut state = TokenState::default();
        for _ in 0..2 {
            assert_eq!(state.start_fetch(), Some(TokenEndpoint::V1));
            assert_eq!(state.fall_back("HTTP 404".into()), None);
            assert_eq!(state.start_fetch(), Some(TokenEndpoint::Legacy));
            state.on_throttled();
            assert_eq!(
                state.start_fetch(),
                Some(TokenEndpoint::Legacy),
                "the same endpoint again after a pause"
            );
            let both = state.fall_back("no JSON".into()).unwrap();
            assert_eq!(both, "HTTP 404; legacy token endpoint: no JSON");
            fail(&mut state);
            state.not_before = None;
        }
        assert_eq!(state.start_fetch(), Some(TokenEndpoint::V1));
        assert_eq!(state.fall_back("HTTP 404".into()), None);
        state.on_token(token(60));
        state.on_rejected(1);
        assert_eq!(state.start_fetch(), Some(TokenEndpoint::V1));
    }
}
