//! The run's token: which one is used, when it is due, and that it is renewed once however many calls meet its end.
//! Leaves the token calls to `api::token` and starting them to `dispatcher`.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use tr::tr;

use crate::api::token::{AccessToken, TokenEndpoint};
use crate::engine::backoff::{Backoff, RetryPolicy};

/// A renewal that failed before its time is tried again after this long; the old token serves meanwhile.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The token of a run and its generation.
#[derive(Debug, Default)]
pub(crate) struct TokenState {
    token: Option<Arc<SecretString>>,
    /// Counts the tokens of this run; a call remembers the one that it was made with.
    generation: u64,
    /// When to renew although the token still works.
    renew_at: Option<Instant>,
    /// Whether the token was turned away, so that nothing can be called before there is another.
    is_rejected: bool,
    /// Whether a token call is under way.
    is_fetching: bool,
    /// What a host that does not know the current token call gave instead, until the older call has had its turn.
    v1_error: Option<String>,
    /// Fetches that failed since the last one that worked.
    failures: u32,
    /// How long to wait after those.
    backoff: Option<Backoff>,
    /// No token call before this moment.
    not_before: Option<Instant>,
}

impl TokenState {
    /// The token to call with, and its generation; none when one has to be fetched first.
    #[must_use]
    pub(crate) fn usable(&self) -> Option<(Arc<SecretString>, u64)> {
        let token = self.token.as_ref().filter(|_| !self.is_rejected)?;
        Some((Arc::clone(token), self.generation))
    }

    /// The token call that should start now, if one should. It counts as started.
    pub(crate) fn start_fetch(&mut self) -> Option<TokenEndpoint> {
        let now = Instant::now();
        let wanted = self.usable().is_none() || self.renew_at.is_some_and(|due| due <= now);
        let start =
            wanted && !self.is_fetching && self.not_before.is_none_or(|moment| moment <= now);
        self.is_fetching |= start;
        let call = if self.v1_error.is_some() { TokenEndpoint::Legacy } else { TokenEndpoint::V1 };
        start.then_some(call)
    }

    /// The next moment at which [`Tokens::fetch_now`] may change its mind by itself.
    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let moment = if self.usable().is_none() {
            self.not_before
        } else {
            self.renew_at.max(self.not_before)
        };
        moment.filter(|_| !self.is_fetching)
    }

    /// A token arrived.
    pub(crate) fn on_token(&mut self, grant: AccessToken) {
        self.token = Some(Arc::new(grant.token));
        self.renew_at = grant.renew_after.map(|fresh| Instant::now() + fresh);
        self.generation += 1;
        (self.is_rejected, self.is_fetching, self.failures, self.not_before) =
            (false, false, 0, None);
        (self.backoff, self.v1_error) = (None, None);
    }

    /// The host does not know the current token call: the older one is to be made instead, at once unless calls are held.
    /// Where it was that one, which is as good as a failure, what both said.
    pub(crate) fn fall_back(&mut self, reason: String) -> Option<String> {
        self.is_fetching = false;
        let Some(before) = self.v1_error.take() else {
            self.v1_error = Some(reason);
            return None;
        };
        Some(if before == reason {
            reason
        } else {
            tr!("{before}; the older token call: {reason}", before, reason)
        })
    }

    /// The token call was throttled: it starts again when calls may.
    pub(crate) fn on_throttled(&mut self) {
        self.is_fetching = false;
    }

    /// No token call gave a verdict, which may work later: how often that was so in a row, and when it is tried again:
    /// after a backoff, where there is no token to go on with.
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

    /// A call was turned away with the token of this generation. Only the first such call of a generation matters.
    pub(crate) fn on_rejected(&mut self, generation: u64) {
        if generation == self.generation && !self.is_rejected {
            self.is_rejected = true;
            // Failures while it still served were no hurry, and have nothing to say of the time from now on.
            (self.failures, self.backoff, self.not_before) = (0, None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(fresh_for: u64) -> AccessToken {
        AccessToken { token: "t".into(), renew_after: Some(Duration::from_secs(fresh_for)) }
    }

    fn failed(tokens: &mut TokenState) -> (u32, Duration) {
        let second = Duration::from_secs(1);
        tokens.on_failure(
            RetryPolicy { max_retries: 5, min_delay: second, max_delay: second },
            &mut fastrand::Rng::with_seed(1),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_once_and_before_it_expires() {
        let mut tokens = TokenState::default();
        assert!(tokens.usable().is_none());
        assert_eq!((tokens.start_fetch(), tokens.start_fetch()), (Some(TokenEndpoint::V1), None));
        tokens.on_token(grant(60));
        assert_eq!(tokens.usable().unwrap().1, 1);
        assert_eq!(tokens.start_fetch(), None);
        // Three calls of the first token come back turned away: one fetch.
        tokens.on_rejected(1);
        assert!(tokens.usable().is_none() && tokens.start_fetch().is_some());
        tokens.on_rejected(1);
        assert_eq!(tokens.start_fetch(), None);
        tokens.on_token(grant(60));
        tokens.on_rejected(1);
        assert_eq!(
            tokens.usable().unwrap().1,
            2,
            "a straggler of the first token does not harm the second"
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(
            tokens.usable().is_some() && tokens.start_fetch().is_some(),
            "renewed early, while the old one serves"
        );
        assert_eq!(failed(&mut tokens), (1, RENEWAL_RETRY_DELAY));
        assert!(
            tokens.start_fetch().is_none()
                && tokens.next_wakeup() == Some(Instant::now() + RENEWAL_RETRY_DELAY)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_first_token_request_backs_off() {
        let mut tokens = TokenState::default();
        assert!(tokens.start_fetch().is_some());
        assert_eq!(failed(&mut tokens), (1, Duration::from_secs(1)));
        assert_eq!(tokens.start_fetch(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tokens.start_fetch().is_some());
        assert_eq!(failed(&mut tokens).0, 2);
        tokens.not_before = None;
        assert!(tokens.start_fetch().is_some());
        tokens.on_throttled();
        assert!(tokens.start_fetch().is_some() && tokens.failures == 2, "throttling is no failure");
    }

    #[tokio::test(start_paused = true)]
    async fn the_legacy_token_endpoint_is_used_when_the_current_one_is_unknown() {
        let mut tokens = TokenState::default();
        for _ in 0..2 {
            assert_eq!(tokens.start_fetch(), Some(TokenEndpoint::V1));
            assert_eq!(tokens.fall_back("HTTP 404".into()), None);
            assert_eq!(tokens.start_fetch(), Some(TokenEndpoint::Legacy));
            tokens.on_throttled();
            assert_eq!(
                tokens.start_fetch(),
                Some(TokenEndpoint::Legacy),
                "the same one again after a hold"
            );
            let both = tokens.fall_back("no JSON".into()).unwrap();
            assert_eq!(both, "HTTP 404; the older token call: no JSON");
            failed(&mut tokens);
            tokens.not_before = None;
        }
        assert_eq!(tokens.start_fetch(), Some(TokenEndpoint::V1));
        assert_eq!(tokens.fall_back("HTTP 404".into()), None);
        tokens.on_token(grant(60));
        tokens.on_rejected(1);
        assert_eq!(tokens.start_fetch(), Some(TokenEndpoint::V1));
    }
}
