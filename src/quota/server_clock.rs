//! The shared server's clock as this process sees it: moments there as moments here. Owns how far the two can be apart, and
//! noticing that one of them was set. Pure, save for the passing of time.

use std::time::Duration;

use tokio::time::Instant;

/// For so long the server's last word is relied on: a run that has none makes no call, and a server that remembers nothing
/// promises nothing for as long and a second more (`turn.lua` has the same).
pub(crate) const REPLY_VALID_FOR: Duration = Duration::from_secs(1);
/// A comparison of the clocks is taken for so long: they drift apart by some ten microseconds in a second.
const MAX_SAMPLE_AGE: Duration = Duration::from_mins(1);
/// How much two comparisons may contradict each other: a hundredth of a per cent of the time between them, and a millisecond.
const MAX_DRIFT: f64 = 1e-4;
const TOLERANCE_SECS: f64 = 1e-3;

/// The best of the last comparisons.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Option<ClockSample>);

/// The server's clock showed `server`, in microseconds since 1970, at some moment between two here.
#[derive(Clone, Copy, Debug)]
struct ClockSample {
    server: u64,
    sent: Instant,
    received: Instant,
}

impl ClockSample {
    fn round_trip(self) -> Duration {
        self.received.saturating_duration_since(self.sent)
    }

    fn midpoint(self) -> Instant {
        self.sent + self.round_trip() / 2
    }

    /// By how many seconds the clocks can have moved against each other since, at least.
    fn excess_drift_secs(self, later: Self) -> f64 {
        let there = signed_secs(self.server, later.server);
        let here = later.midpoint().saturating_duration_since(self.midpoint()).as_secs_f64();
        (there - here).abs()
            - (self.round_trip() + later.round_trip()).as_secs_f64() / 2.0
            - TOLERANCE_SECS
            - here * MAX_DRIFT
    }
}

/// From one moment of the server's to another, in seconds.
#[expect(clippy::cast_precision_loss, reason = "spans of at most some hours, in microseconds")]
fn signed_secs(from: u64, to: u64) -> f64 {
    let span = from.abs_diff(to) as f64 / 1e6;
    if to < from { -span } else { span }
}

impl ServerClock {
    /// Takes note of what the server's clock showed between sending and receiving; false where that cannot be, save that one
    /// of the clocks was set in the meantime.
    pub(crate) fn add_sample(&mut self, server: u64, sent: Instant, received: Instant) -> bool {
        let new = ClockSample { server, sent, received };
        let Some(best) = self.0 else {
            self.0 = Some(new);
            return true;
        };
        let steady = best.excess_drift_secs(new) <= 0.0;
        let age = received.saturating_duration_since(best.received);
        // One that took much longer tells less than an old one, for a while.
        let old = age > MAX_SAMPLE_AGE
            && new.round_trip() <= best.round_trip() * 2 + Duration::from_millis(1);
        if !steady || old || age > MAX_SAMPLE_AGE * 10 || new.round_trip() <= best.round_trip() {
            self.0 = Some(new);
        }
        steady
    }

    /// When it is here what it is there; none before the first comparison.
    #[must_use]
    pub(crate) fn to_local(&self, server: u64) -> Option<Instant> {
        let best = self.0?;
        let span = Duration::from_micros(server.abs_diff(best.server));
        if server < best.server {
            best.midpoint().checked_sub(span)
        } else {
            best.midpoint().checked_add(span)
        }
    }

    /// What the server's clock shows at this moment; none before the first comparison.
    #[must_use]
    pub(crate) fn to_server(&self, here: Instant) -> Option<u64> {
        let best = self.0?;
        let ahead = here.saturating_duration_since(best.midpoint()).as_micros();
        let behind = best.midpoint().saturating_duration_since(here).as_micros();
        let ahead = best.server.saturating_add(u64::try_from(ahead).ok()?);
        Some(ahead.saturating_sub(u64::try_from(behind).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_fastest_round_trip_sets_the_offset_at_its_midpoint() {
        let (mut clock, start) = (ServerClock::default(), Instant::now());
        assert_eq!((clock.to_local(7), clock.to_server(start)), (None, None));
        assert!(clock.add_sample(1_000_000, start, start + 40 * MS));
        assert_eq!(clock.to_local(1_010_000), Some(start + 30 * MS));
        assert_eq!(clock.to_server(start + 30 * MS), Some(1_010_000));
        assert_eq!(clock.to_local(990_000), Some(start + 10 * MS));
        assert!(clock.add_sample(1_100_000, start + 100 * MS, start + 104 * MS));
        assert_eq!(clock.to_local(1_100_000), Some(start + 102 * MS));
        assert!(clock.add_sample(1_200_000, start + 190 * MS, start + 230 * MS));
        assert_eq!(clock.to_local(1_100_000), Some(start + 102 * MS), "a slower one tells less");
        let later = start + Duration::from_mins(2);
        assert!(clock.add_sample(121_000_000, later - 4 * MS, later + 4 * MS));
        assert!(clock.add_sample(241_000_000, later + 119_900 * MS, later + 120_100 * MS));
        assert_eq!(
            clock.to_local(121_000_000),
            Some(later),
            "an old one tells less, too, save than one that took far longer"
        );
    }

    #[test]
    fn a_changed_server_clock_is_detected() {
        for step in [-3_000_000_i64, -20_000, 20_000, 3_000_000] {
            let (mut clock, start) = (ServerClock::default(), Instant::now());
            assert!(clock.add_sample(10_000_000, start, start + MS));
            let shown = 10_500_000_u64.checked_add_signed(step).unwrap();
            assert!(!clock.add_sample(shown, start + 500 * MS, start + 501 * MS), "{step}");
            assert_eq!(clock.to_local(shown), Some(start + 500 * MS + MS / 2));
            assert!(clock.add_sample(shown + 100_000, start + 600 * MS, start + 601 * MS));
        }
    }
}
