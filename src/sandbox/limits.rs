//! The limit on calls per second and the issued tokens. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window of the limit: the API counts per second ([limits](crate::guide::api#limits)).
const WINDOW: Duration = Duration::from_secs(1);

/// The calls admitted within the last second.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindow {
    admitted: VecDeque<Instant>,
}

impl SlidingWindow {
    /// Admits a call at `now` unless some window `[t, t + 1 s)` would have more than `limit` calls.
    /// A rejected call is not counted. `now` must not decrease.
    pub(crate) fn admit(&mut self, limit: u32, now: Instant) -> bool {
        while self.admitted.front().is_some_and(|&first| now.duration_since(first) >= WINDOW) {
            self.admitted.pop_front();
        }
        let has_room = usize::try_from(limit).is_ok_and(|limit| self.admitted.len() < limit);
        if has_room {
            self.admitted.push_back(now);
        }
        has_room
    }
}

/// The app's token. There is at most one, whichever endpoint issued it
/// ([tokens](crate::guide::api#tokens)).
#[derive(Debug, Default)]
pub(crate) struct IssuedTokens {
    /// The token and its expiry; none if the clock cannot represent it.
    current: Option<(String, Option<Instant>)>,
    issued_count: u64,
}

impl IssuedTokens {
    /// The token for a call at `now`: the current one while it is valid, else a new one. Either way
    /// its `lifetime` starts again. A new token depends on `seed` and the number of tokens before.
    pub(crate) fn issue(&mut self, seed: u64, lifetime: Duration, now: Instant) -> &str {
        let valid =
            self.current.take().filter(|&(_, expiry)| expiry.is_none_or(|expiry| now < expiry));
        let token = valid.map_or_else(
            || {
                self.issued_count += 1;
                let random =
                    fastrand::Rng::with_seed(seed.rotate_left(32) ^ self.issued_count).u64(..);
                format!("sandbox-{random:016x}-{}", self.issued_count)
            },
            |(token, _)| token,
        );
        &self.current.insert((token, now.checked_add(lifetime))).0
    }

    /// Whether `token` was issued, has not expired at `now` and was not revoked.
    #[must_use]
    pub(crate) fn is_valid(&self, token: &str, now: Instant) -> bool {
        self.current.as_ref().is_some_and(|(current, expiry)| {
            current == token && expiry.is_none_or(|expiry| now < expiry)
        })
    }

    /// Invalidates every token issued so far.
    pub(crate) fn revoke(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_limit_is_exact() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut window = SlidingWindow::default();
        assert!((0..20).all(|n| window.admit(20, at(n * 10))));
        assert!(!window.admit(20, at(200)));
        assert!(!window.admit(20, at(999)));
        assert!(window.admit(20, at(1000)));
        assert!(!window.admit(20, at(1009)));
        assert!(window.admit(20, at(1010)));
        assert!(!window.admit(0, at(9000)));
        assert!(window.admit(1, at(9001)));
        assert!(!window.admit(1, at(10_000)));
        assert!(window.admit(1, at(10_001)));
    }

    proptest! {
        #[test]
        fn no_window_exceeds_the_limit_and_no_call_is_rejected_needlessly(
            mut arrivals in prop::collection::vec(0_u64..4000, 0..150),
            limit in 0_u32..12,
        ) {
            arrivals.sort_unstable();
            let start = Instant::now();
            let mut window = SlidingWindow::default();
            let mut admitted: Vec<u64> = Vec::new();
            for arrival in arrivals {
                let recent = admitted.iter().filter(|&&past| past + 1000 > arrival).count();
                let passed = window.admit(limit, start + Duration::from_millis(arrival));
                prop_assert_eq!(passed, recent < usize::try_from(limit).unwrap());
                if passed {
                    admitted.push(arrival);
                }
            }
        }
    }

    #[test]
    fn asking_again_extends_the_same_token() {
        let start = Instant::now();
        let mut tokens = IssuedTokens::default();
        let first = tokens.issue(0, 2 * HOUR, start).to_owned();
        assert!(tokens.is_valid(&first, start + Duration::from_nanos(7_199_999_999_999)));
        assert!(!tokens.is_valid(&first, start + 2 * HOUR));
        assert_eq!(tokens.issue(0, 2 * HOUR, start + HOUR), first);
        assert!(tokens.is_valid(&first, start + 2 * HOUR));
        assert!(!tokens.is_valid(&first, start + 3 * HOUR));
        let second = tokens.issue(0, 2 * HOUR, start + 3 * HOUR).to_owned();
        assert_ne!(first, second);
        assert!(
            !tokens.is_valid(&first, start + 3 * HOUR)
                && tokens.is_valid(&second, start + 3 * HOUR)
        );
    }

    #[test]
    fn a_revoked_token_is_replaced() {
        let now = Instant::now();
        let mut tokens = IssuedTokens::default();
        let first = tokens.issue(0, HOUR, now).to_owned();
        tokens.revoke();
        assert!(!tokens.is_valid(&first, now));
        assert_ne!(tokens.issue(0, HOUR, now), first);
        assert!(!tokens.is_valid("", now));
        let endless = tokens.issue(0, Duration::MAX, now).to_owned();
        assert!(tokens.is_valid(&endless, now + 99 * HOUR));
        assert_eq!(
            IssuedTokens::default().issue(0, HOUR, now),
            first,
            "the same seed gives the same tokens"
        );
    }
}
