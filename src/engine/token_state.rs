//! The access token of a run: which one is used, when it is renewed, and that it is renewed once,
//! however many calls are rejected with it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use tr::tr;

use crate::api::token::{AccessToken, TokenEndpoint};
use crate::engine::backoff::{Backoff, RetryPolicy};

/// The delay after a failed renewal while the old token is still valid.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The token of a run and its generation.
#[derive(Debug, Default)]
pub(crate) struct TokenState {
    token: Option<Arc<SecretString>>,
    /// Counts the tokens of the run. A call remembers the count at which it was sent.
    generation: u64,
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
        self.token = Some(Arc::new(token.token));
        self.renew_at = token.renew_after.map(|delay| Instant::now() + delay);
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

    /// The request was throttled: it starts again after the pause.
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
