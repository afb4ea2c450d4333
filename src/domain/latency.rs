//! The latencies of replies, as percentiles in bounded memory.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer latencies are counted as this one.
const MAX_LATENCY: Duration = Duration::from_hours(1);
/// Two significant digits: the error of a percentile is at most 1 %.
const SIGNIFICANT_DIGITS: u8 = 2;

/// A histogram of latencies in 1 µs units; 30 KiB for any number of replies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency(Option<Histogram<u64>>);

impl Latency {
    pub fn record(&mut self, latency: Duration) {
        if self.0.is_none() {
            // Fails only for invalid bounds; these constants are valid.
            self.0 = Histogram::new_with_max(to_micros(MAX_LATENCY), SIGNIFICANT_DIGITS).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(to_micros(latency).max(1));
        }
    }

    /// The counts of replies by latency, each with the upper bound of its bucket. The bounds are
    /// round numbers, six in each power of ten from 10 µs, without a gap from the shortest to the
    /// longest reply.
    #[must_use]
    pub fn buckets(&self) -> Vec<(Duration, u64)> {
        let mut buckets: Vec<(Duration, u64)> = Vec::new();
        let Some(histogram) = &self.0 else { return buckets };
        let mut bounds =
            (0..).flat_map(|power| [10, 15, 20, 30, 50, 70].map(|n| n * 10_u64.pow(power)));
        let mut bound = 0;
        for step in histogram.iter_recorded() {
            let latency = histogram.lowest_equivalent(step.value_iterated_to());
            while latency > bound {
                let Some(next) = bounds.next() else { return buckets };
                bound = next;
                if !buckets.is_empty() || latency <= bound {
                    buckets.push((Duration::from_micros(bound), 0));
                }
            }
            if let Some((_, count)) = buckets.last_mut() {
                *count += step.count_at_value();
            }
        }
        buckets
    }

    /// The latency that the given fraction of replies did not exceed (0.5: the median). `None`
    /// without replies.
    #[must_use]
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        self.0
            .as_ref()
            .map(|histogram| Duration::from_micros(histogram.value_at_quantile(fraction)))
    }
}

fn to_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_per_cent() {
        let mut latency = Latency::default();
        assert_eq!((latency.quantile(0.5), latency.buckets()), (None, Vec::new()));
        for millis in (1..=1000).rev() {
            latency.record(Duration::from_millis(millis));
        }
        for (fraction, millis) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let quantile = latency.quantile(fraction).unwrap().as_secs_f64() * 1000.0;
            assert!((quantile / millis - 1.0).abs() < 0.01, "{fraction}: {quantile}");
        }
        let buckets = latency.buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        let bounds: Vec<_> = buckets.iter().map(|(bound, _)| bound.as_millis()).collect();
        let hundreds = [100, 150, 200, 300, 500, 700, 1000];
        assert_eq!(
            bounds,
            [&[1][..], &[1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70][..], &hundreds[..]].concat()
        );
        // Within the error of 1 %, latencies beside a bound may count on its other side.
        assert!(buckets[18].1.abs_diff(300) <= 5, "{buckets:?}");
        latency.record(Duration::ZERO);
        assert_eq!(latency.quantile(0.0), Some(Duration::from_micros(1)));
        latency.record(Duration::MAX);
        let longest = latency.quantile(1.0).unwrap();
        assert!(longest >= MAX_LATENCY && longest < MAX_LATENCY.mul_f64(1.02), "{longest:?}");
    }
}
