//! How long replies took, as percentiles in bounded memory. Leaves measuring to `engine`.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_hours(1);
/// Two significant digits: a percentile is at most 1 % off.
const DIGITS: u8 = 2;

/// The times of replies; 30 KiB, however many there were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency(Option<Histogram<u64>>);

impl Latency {
    /// Takes one in.
    pub fn record(&mut self, took: Duration) {
        if self.0.is_none() {
            // It refuses only bounds that make no sense, which these do.
            self.0 = Histogram::new_with_max(micros(LONGEST), DIGITS).ok();
        }
        if let Some(times) = &mut self.0 {
            times.saturating_record(micros(took).max(1));
        }
    }

    /// The time within which this share of the replies came (0.5 for half of them); none where none came.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        self.0.as_ref().map(|times| Duration::from_micros(times.value_at_quantile(share)))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_per_cent() {
        let mut latency = Latency::default();
        assert_eq!(latency.within(0.5), None);
        for millis in (1..=1000).rev() {
            latency.record(Duration::from_millis(millis));
        }
        for (share, millis) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let told = latency.within(share).unwrap().as_secs_f64() * 1000.0;
            assert!((told / millis - 1.0).abs() < 0.01, "{share}: {told}");
        }
        latency.record(Duration::ZERO);
        assert_eq!(latency.within(0.0), Some(Duration::from_micros(1)));
        latency.record(Duration::MAX);
        let longest = latency.within(1.0).unwrap();
        assert!(longest >= LONGEST && longest < LONGEST.mul_f64(1.02), "{longest:?}");
    }
}
