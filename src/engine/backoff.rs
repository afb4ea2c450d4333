//! The delay before a retry: exponential, bounded, with full jitter
//! ([retries and backoff](crate::guide::architecture#retries-and-backoff)). The ceilings come from
//! backon.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How transient failures are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Extra attempts for one number.
    pub max_retries: u32,
    pub min_delay: Duration,
    /// At least `min_delay`.
    pub max_delay: Duration,
}

/// The first ceiling if `min_delay` is 0, which cannot be doubled.
const MIN_CEILING: Duration = Duration::from_millis(1);

/// The delays of one operation that keeps failing.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    ceilings: ExponentialBackoff,
}

impl Backoff {
    #[must_use]
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        let first_ceiling =
            policy.min_delay.saturating_mul(2).max(MIN_CEILING).min(policy.max_delay);
        let ceilings = ExponentialBuilder::default()
            .with_factor(2.0)
            .with_min_delay(first_ceiling)
            .with_max_delay(policy.max_delay)
            .without_max_times()
            .build();
        Self { policy, ceilings }
    }

    /// The delay after one more failure: a random value between `min_delay` and a ceiling that
    /// doubles each time, up to `max_delay`, so that numbers that failed together are not retried
    /// together.
    pub(crate) fn next_delay(&mut self, jitter: &mut fastrand::Rng) -> Duration {
        let RetryPolicy { min_delay: min, max_delay: max, .. } = self.policy;
        let ceiling = self.ceilings.next().unwrap_or(max);
        min + ceiling.saturating_sub(min).mul_f64(jitter.f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn backoffs_grow_within_their_bounds(
            seed in any::<u64>(),
            min in 0..2000u64,
            more in 0..60_000u64,
        ) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + more));
            let mut jitter = fastrand::Rng::with_seed(seed);
            let policy = RetryPolicy { max_retries: 0, min_delay: min, max_delay: max };
            let mut backoff = Backoff::new(policy);
            for step in 1..20 {
                let delay = backoff.next_delay(&mut jitter);
                // Backon multiplies in floating point: allow a microsecond of rounding.
                let rounding = Duration::from_micros(1);
                let first = (min * 2).max(MIN_CEILING);
                let ceiling = first.saturating_mul(1 << (step - 1)).min(max) + rounding;
                prop_assert!(delay >= min && delay <= ceiling, "{step}: {delay:?} > {ceiling:?}");
            }
        }
    }

    #[test]
    fn the_jitter_uses_the_whole_range() {
        let policy = RetryPolicy {
            max_retries: 5,
            min_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
        };
        let third_delay = |seed| {
            let mut jitter = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(policy);
            [(); 3].map(|()| backoff.next_delay(&mut jitter))[2]
        };
        let delays: Vec<_> = (0..200).map(third_delay).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(
            *least < Duration::from_millis(700) && *most > Duration::from_millis(3700),
            "{least:?} {most:?}"
        );
    }
}
