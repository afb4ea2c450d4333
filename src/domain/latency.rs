//! How long replies took, as percentiles in bounded memory. Leaves measuring to `engine`.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told apart from longer ones.
const MAX_LATENCY: Duration = Duration::from_hours(1);
/// Two significant digits: a percentile is at most 1 % off.
const SIGNIFICANT_DIGITS: u8 = 2;

/// The times of replies; 30 KiB, however many there were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency(Option<Histogram<u64>>);

impl Latency {
    /// Takes one in.
    pub fn record(&mut self, took: Duration) {
        if self.0.is_none() {
            // It refuses only bounds that make no sense, which these do.
            self.0 = Histogram::new_with_max(to_micros(MAX_LATENCY), SIGNIFICANT_DIGITS).ok();
        }
        if let Some(times) = &mut self.0 {
            times.saturating_record(to_micros(took).max(1));
        }
    }

    /// How many replies took how long: each count with the time within which those came, and which those of the entry before
    /// exceeded. The times are round, six in each power of ten from 10 µs on, without a gap between the shortest and the longest
    /// reply.
    #[must_use]
    pub fn buckets(&self) -> Vec<(Duration, u64)> {
        let mut spread: Vec<(Duration, u64)> = Vec::new();
        let Some(times) = &self.0 else { return spread };
        let mut ends =
            (0..).flat_map(|power| [10, 15, 20, 30, 50, 70].map(|n| n * 10_u64.pow(power)));
        let mut end = 0;
        for step in times.iter_recorded() {
            let took = times.lowest_equivalent(step.value_iterated_to());
            while took > end {
                let Some(next) = ends.next() else { return spread };
                end = next;
                if !spread.is_empty() || took <= end {
                    spread.push((Duration::from_micros(end), 0));
                }
            }
            if let Some((_, count)) = spread.last_mut() {
                *count += step.count_at_value();
            }
        }
        spread
    }

    /// The time within which this share of the replies came (0.5 for half of them); none where none came.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        self.0.as_ref().map(|times| Duration::from_micros(times.value_at_quantile(share)))
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
        for (share, millis) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let told = latency.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!((told / millis - 1.0).abs() < 0.01, "{share}: {told}");
        }
        let spread = latency.buckets();
        assert_eq!(spread.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        let ends: Vec<_> = spread.iter().map(|(end, _)| end.as_millis()).collect();
        let hundreds = [100, 150, 200, 300, 500, 700, 1000];
        assert_eq!(
            ends,
            [&[1][..], &[1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70][..], &hundreds[..]].concat()
        );
        // Neighbours of a bound may count on its other side, by the 1 %.
        assert!(spread[18].1.abs_diff(300) <= 5, "{spread:?}");
        latency.record(Duration::ZERO);
        assert_eq!(latency.quantile(0.0), Some(Duration::from_micros(1)));
        latency.record(Duration::MAX);
        let longest = latency.quantile(1.0).unwrap();
        assert!(longest >= MAX_LATENCY && longest < MAX_LATENCY.mul_f64(1.02), "{longest:?}");
    }
}
