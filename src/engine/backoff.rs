//! How long to wait before the same thing is tried again: exponential ceilings (backon), full jitter between the
//! bounds (DESIGN 3).

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How transient failures are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Extra attempts for one number.
    pub max_retries: u32,
    /// The shortest backoff.
    pub min_delay: Duration,
    /// The longest backoff, not below `min`.
    pub max_delay: Duration,
}

/// The first ceiling where the lower bound is nothing, which could not be doubled.
const MIN_CEILING: Duration = Duration::from_millis(1);

/// The backoffs of one thing that keeps failing.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    ceilings: ExponentialBackoff,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub(crate) fn new(retries: RetryPolicy) -> Self {
        let ceilings = ExponentialBuilder::default()
            .with_factor(2.0)
            .with_min_delay(
                retries.min_delay.saturating_mul(2).max(MIN_CEILING).min(retries.max_delay),
            )
            .with_max_delay(retries.max_delay)
            .without_max_times()
            .build();
        Self { policy: retries, ceilings }
    }

    /// The wait after one more failure: anywhere from the lower bound to a ceiling that doubles each time, up to
    /// the upper bound, so that what failed together does not come back together.
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
        fn backoffs_grow_within_their_bounds(seed in any::<u64>(), min in 0..2000u64, more in 0..60_000u64) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(min + more));
            let mut jitter = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(RetryPolicy { max_retries: 0, min_delay: min, max_delay: max });
            for step in 1..20 {
                let delay = backoff.next_delay(&mut jitter);
                // Backon multiplies in floating point: a microsecond of rounding is allowed.
                let first = (min * 2).max(MIN_CEILING);
                let ceiling = first.saturating_mul(1 << (step - 1)).min(max) + Duration::from_micros(1);
                prop_assert!(delay >= min && delay <= ceiling, "{step}: {delay:?} > {ceiling:?}");
            }
        }
    }

    #[test]
    fn the_jitter_uses_the_whole_range() {
        let retries = RetryPolicy {
            max_retries: 5,
            min_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
        };
        let third = |seed| {
            let mut jitter = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(retries);
            [(); 3].map(|()| backoff.next_delay(&mut jitter))[2]
        };
        let delays: Vec<_> = (0..200).map(third).collect();
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(
            *least < Duration::from_millis(700) && *most > Duration::from_millis(3700),
            "{least:?} {most:?}"
        );
    }
}
