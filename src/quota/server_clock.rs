//! Estimates the offset of the shared server's clock, and detects when one of the clocks jumps.

use std::time::Duration;

use tokio::time::Instant;

/// How long a reply of the server is valid: a run without a newer one makes no call, so that a
/// server that lost its state need not wait longer than this and one window of the rate.
pub(crate) const REPLY_VALID_FOR: Duration = Duration::from_secs(1);
/// A more accurate sample is preferred until this age. Clocks drift by some 10 µs per second.
const MAX_SAMPLE_AGE: Duration = Duration::from_mins(1);
/// How far two samples may contradict each other, as a fraction of the time between them …
const MAX_DRIFT: f64 = 1e-4;
/// … and in addition to it.
const TOLERANCE_SECS: f64 = 1e-3;

/// The best of the recent samples.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Option<ClockSample>);

/// The server's clock showed `server` at some time between `sent` and `received`, as in NTP.
#[derive(Clone, Copy, Debug)]
struct ClockSample {
    /// In µs since 1970.
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

    /// The drift between two samples beyond their errors and the tolerance, in seconds. A positive
    /// value means that one of the clocks has jumped.
    fn excess_drift_secs(self, later: Self) -> f64 {
        let server = signed_secs(self.server, later.server);
        let local = later.midpoint().saturating_duration_since(self.midpoint()).as_secs_f64();
        (server - local).abs()
            - (self.round_trip() + later.round_trip()).as_secs_f64() / 2.0
            - TOLERANCE_SECS
            - local * MAX_DRIFT
    }
}

/// The time between two times of the server, in seconds.
#[expect(clippy::cast_precision_loss, reason = "spans of at most some hours, in microseconds")]
fn signed_secs(from: u64, to: u64) -> f64 {
    let span = from.abs_diff(to) as f64 / 1e6;
    if to < from { -span } else { span }
}

impl ServerClock {
    /// Adds a sample. Returns false if one of the clocks has jumped since the last one.
    pub(crate) fn add_sample(&mut self, server: u64, sent: Instant, received: Instant) -> bool {
        let new = ClockSample { server, sent, received };
        let Some(best) = self.0 else {
            self.0 = Some(new);
            return true;
        };
        let is_steady = best.excess_drift_secs(new) <= 0.0;
        let age = received.saturating_duration_since(best.received);
        // A much slower sample is less accurate than an old one, up to ten times the age.
        let replaces_old = age > MAX_SAMPLE_AGE
            && new.round_trip() <= best.round_trip() * 2 + Duration::from_millis(1);
        if !is_steady
            || replaces_old
            || age > MAX_SAMPLE_AGE * 10
            || new.round_trip() <= best.round_trip()
        {
            self.0 = Some(new);
        }
        is_steady
    }

    /// Converts a time of the server. `None` before the first sample.
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

    /// Converts a local time to the server's clock. `None` before the first sample.
    #[must_use]
    pub(crate) fn to_server(&self, local: Instant) -> Option<u64> {
        let best = self.0?;
        let ahead = local.saturating_duration_since(best.midpoint()).as_micros();
        let behind = best.midpoint().saturating_duration_since(local).as_micros();
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
        assert_eq!(clock.to_local(1_100_000), Some(start + 102 * MS), "a slower sample");
        let later = start + Duration::from_mins(2);
        assert!(clock.add_sample(121_000_000, later - 4 * MS, later + 4 * MS));
        assert!(clock.add_sample(241_000_000, later + 119_900 * MS, later + 120_100 * MS));
        assert_eq!(
            clock.to_local(121_000_000),
            Some(later),
            "an old sample is replaced, except by a far slower one"
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
