//! The limit on calls per second, and the tokens that were issued. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back the limit looks: the API counts per second ([limits](crate::guide::api#limits)).
const WINDOW: Duration = Duration::from_secs(1);

/// The calls let through within the last second.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindow {
    admitted: VecDeque<Instant>,
}

impl SlidingWindow {
    /// Lets a call through at `now` unless that makes more than `limit` in some window `[t, t + 1
    /// s)`. A refused call leaves no trace. Moments must not go back.
    pub(crate) fn admit(&mut self, limit: u32, now: Instant) -> bool {
        while self.admitted.front().is_some_and(|&first| now.duration_since(first) >= WINDOW) {
            self.admitted.pop_front();
        }
        let free = usize::try_from(limit).is_ok_and(|limit| self.admitted.len() < limit);
        if free {
            self.admitted.push_back(now);
        }
        free
    }
}

/// The app's token. There is at most one, whichever call asked for it
/// ([tokens](crate::guide::api#tokens)).
#[derive(Debug, Default)]
pub(crate) struct IssuedTokens {
    /// With its end; a lifetime beyond what the clock can hold has none.
    current: Option<(String, Option<Instant>)>,
    issued_count: u64,
}

impl IssuedTokens {
    /// The token for whoever asks at `now`: the current one while it is valid, else a new one;
    /// either way its `lifetime` starts anew. New ones differ by `seed` and by how many there were.
    pub(crate) fn issue(&mut self, seed: u64, lifetime: Duration, now: Instant) -> &str {
        let kept = self.current.take().filter(|&(_, end)| end.is_none_or(|end| now < end));
        let token = kept.map_or_else(
            || {
                self.issued_count += 1;
                let chance =
                    fastrand::Rng::with_seed(seed.rotate_left(32) ^ self.issued_count).u64(..);
                format!("sandbox-{chance:016x}-{}", self.issued_count)
            },
            |(token, _)| token,
        );
        &self.current.insert((token, now.checked_add(lifetime))).0
    }

    /// Whether `token` was handed out and has neither expired at `now` nor been revoked.
    #[must_use]
    pub(crate) fn is_valid(&self, token: &str, now: Instant) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(current, end)| current == token && end.is_none_or(|end| now < end))
    }

    /// Makes every token handed out so far invalid.
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
        fn no_window_ever_holds_more_and_no_call_is_refused_needlessly(
            mut moments in prop::collection::vec(0_u64..4000, 0..150),
            limit in 0_u32..12,
        ) {
            moments.sort_unstable();
            let start = Instant::now();
            let mut window = SlidingWindow::default();
            let mut admitted: Vec<u64> = Vec::new();
            for moment in moments {
                let recent = admitted.iter().filter(|&&past| past + 1000 > moment).count();
                let passed = window.admit(limit, start + Duration::from_millis(moment));
                prop_assert_eq!(passed, recent < usize::try_from(limit).unwrap());
                if passed {
                    admitted.push(moment);
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
