//! The [pauses](crate::guide::architecture#pauses) that throttling causes: one for all calls,
//! however many met the limit.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::verdict::{Limit, Pause, PauseLength};

/// The first of the exponential pauses of 1, 2 and 4 s ([limits](crate::guide::api#limits)).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 2;

/// The pauses of a run.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    active: Option<ActivePause>,
    /// Counts the pauses. A call remembers the count at which it was sent.
    epoch: u64,
    /// Pauses without an answer in between.
    consecutive: u32,
    /// When the last pause started.
    last_started_at: Option<Instant>,
    /// The pauses that have ended.
    ended_stats: PauseStats,
}

/// How many pauses there were and how long they lasted, by limit in the order of [`Limit::ALL`].
pub(crate) type PauseStats = ([u64; Limit::ALL.len()], [Duration; Limit::ALL.len()]);

#[derive(Clone, Copy, Debug)]
struct ActivePause {
    started_at: Instant,
    until: Instant,
    /// Whether a call of the current epoch caused it. A late reply from an earlier epoch counts
    /// only if it pauses for some time.
    is_counted: bool,
    /// The limit that pauses longest.
    cause: Limit,
}

impl ActivePause {
    fn add_to(self, (counts, times): &mut PauseStats) {
        let time = self.until.duration_since(self.started_at);
        counts[self.cause as usize] += u64::from(self.is_counted || !time.is_zero());
        times[self.cause as usize] += time;
    }
}

/// What a throttling reply changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PauseChange {
    /// When calls may continue.
    pub until: Instant,
    /// Whether a pause started.
    pub is_new: bool,
    /// Whether the active pause became longer.
    pub is_extended: bool,
    /// The limit that was exceeded.
    pub cause: Limit,
}

impl Throttle {
    /// The count of pauses: tells whether a call was sent before the last pause.
    #[must_use]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of pauses since the last answer.
    #[must_use]
    pub(crate) fn consecutive(&self) -> u32 {
        self.consecutive
    }

    /// A throttling reply to a call of this `epoch`. Calls in flight together exceed the limit
    /// together: only the first of their replies starts a pause, the others can only extend it.
    pub(crate) fn on_throttled(
        &mut self,
        pause: &Pause,
        epoch: u64,
        wall_clock: Timestamp,
        jitter: &mut fastrand::Rng,
    ) -> PauseChange {
        let now = Instant::now();
        let is_new = epoch == self.epoch;
        let time_left = pause
            .until
            .and_then(|until| Duration::try_from(until.duration_since(wall_clock)).ok())
            .filter(|left| !left.is_zero());
        let until = match (time_left, pause.length) {
            (Some(left), _) => now + left,
            // The replies of one epoch pause from the same time on.
            (None, PauseLength::Fixed(length)) => {
                let started_at = if is_new { now } else { self.last_started_at.unwrap_or(now) };
                started_at + length
            }
            (None, PauseLength::Exponential) if !is_new => now,
            (None, PauseLength::Exponential) => {
                let length = FIRST_PAUSE * 2_u32.pow(self.consecutive.min(MAX_DOUBLINGS));
                now + length + length.mul_f64(jitter.f64() / 4.0)
            }
        };
        if is_new {
            self.epoch += 1;
            self.consecutive += 1;
            self.last_started_at = Some(now);
        }
        self.extend_pause(now, until, pause.cause, is_new)
    }

    /// Pauses for a cause that other runs met. An active pause continues.
    pub(crate) fn pause_until(&mut self, until: Instant, cause: Limit) -> PauseChange {
        let now = Instant::now();
        if self.active.is_some_and(|active| active.until < now && active.cause != cause) {
            self.paused_until();
        }
        let is_new = self.active.is_none();
        self.extend_pause(now, until, cause, is_new)
    }

    /// Starts a pause, or extends the active one to `until`.
    fn extend_pause(
        &mut self,
        now: Instant,
        until: Instant,
        cause: Limit,
        is_new: bool,
    ) -> PauseChange {
        let active = self.active.get_or_insert(ActivePause {
            started_at: now,
            until: now,
            is_counted: is_new,
            cause,
        });
        let is_extended = !is_new && until > active.until;
        if until > active.until {
            (active.until, active.cause) = (until, cause);
        }
        PauseChange { until: active.until, is_new, is_extended, cause }
    }

    /// An answer to a call of this `epoch`: if that is the current one, the limit is not exceeded
    /// any more.
    pub(crate) fn on_answered(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.consecutive = 0;
        }
    }

    /// Ends the active pause if it has this cause.
    pub(crate) fn resume(&mut self, cause: Limit) {
        if self.active.is_some_and(|active| active.cause == cause) {
            self.end_now();
        }
    }

    /// The end of the active pause. A pause that has ended is added to the statistics.
    pub(crate) fn paused_until(&mut self) -> Option<Instant> {
        let active = self.active?;
        if active.until > Instant::now() {
            return Some(active.until);
        }
        active.add_to(&mut self.ended_stats);
        self.active = None;
        None
    }

    /// The length of all pauses, up to the end of the active one.
    #[must_use]
    pub(crate) fn total_paused(&self) -> Duration {
        self.stats_by_limit().1.iter().sum()
    }

    /// The length of all pauses, up to now.
    #[must_use]
    pub(crate) fn elapsed_paused(&self) -> Duration {
        let remaining =
            self.active.map(|active| active.until.saturating_duration_since(Instant::now()));
        self.total_paused().saturating_sub(remaining.unwrap_or(Duration::ZERO))
    }

    /// The count and length of pauses by the limit that paused longest in each, the active pause
    /// included.
    #[must_use]
    pub(crate) fn stats_by_limit(&self) -> PauseStats {
        let mut stats = self.ended_stats;
        if let Some(active) = self.active {
            active.add_to(&mut stats);
        }
        stats
    }

    /// Ends the active pause now: only the time until now counts.
    pub(crate) fn end_now(&mut self) {
        if let Some(active) = &mut self.active {
            active.until = active.until.min(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPONENTIAL: Pause =
        Pause { cause: Limit::Platform, until: None, length: PauseLength::Exponential };
    const FIXED: Pause =
        Pause { cause: Limit::App, until: None, length: PauseLength::Fixed(FIRST_PAUSE) };

    /// The length of the pause, and whether it is new.
    fn throttle_at(throttle: &mut Throttle, pause: &Pause, epoch: u64) -> (Duration, bool) {
        let change = throttle.on_throttled(
            pause,
            epoch,
            Timestamp::UNIX_EPOCH,
            &mut fastrand::Rng::with_seed(1),
        );
        (change.until - Instant::now(), change.is_new)
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_throttling_replies_cause_one_pause() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle_at(&mut throttle, &FIXED, 0), (FIRST_PAUSE, true));
        for _ in 0..15 {
            assert_eq!(throttle_at(&mut throttle, &FIXED, 0), (FIRST_PAUSE, false));
        }
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(throttle.paused_until(), None);
        assert_eq!(
            throttle_at(&mut throttle, &FIXED, 0).0,
            Duration::ZERO,
            "a late reply from before does not pause again"
        );
        assert_eq!(throttle.paused_until(), None);
        assert_eq!(throttle.total_paused(), FIRST_PAUSE);
        let ban = Pause {
            cause: Limit::Address,
            until: None,
            length: PauseLength::Fixed(Duration::from_mins(5)),
        };
        let remaining = Duration::from_mins(5).saturating_sub(FIRST_PAUSE);
        assert_eq!(
            throttle_at(&mut throttle, &ban, 0),
            (remaining, false),
            "a late reply from a longer limit extends the pause"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn growing_pauses_grow_until_a_success() {
        let mut throttle = Throttle::default();
        for seconds in [1, 2, 4, 4] {
            let length = Duration::from_secs(seconds);
            let epoch = throttle.epoch();
            let (pause, _) = throttle_at(&mut throttle, &EXPONENTIAL, epoch);
            assert!(pause >= length && pause <= length.mul_f64(1.25), "{pause:?}");
            tokio::time::advance(pause).await;
            assert_eq!(throttle.paused_until(), None);
        }
        throttle.on_answered(0);
        let epoch = throttle.epoch();
        let (pause, _) = throttle_at(&mut throttle, &EXPONENTIAL, epoch);
        assert!(pause >= Duration::from_secs(4), "an answer to an old call proves nothing");
        tokio::time::advance(Duration::from_secs(9)).await;
        let epoch = throttle.epoch();
        throttle.on_answered(epoch);
        assert!(throttle_at(&mut throttle, &EXPONENTIAL, epoch).0 < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_end_is_used_unless_it_has_passed() {
        let mut throttle = Throttle::default();
        let until =
            |seconds| Pause { until: Some(Timestamp::from_second(seconds).unwrap()), ..FIXED };
        assert_eq!(throttle_at(&mut throttle, &until(90), 0), (Duration::from_secs(90), true));
        assert_eq!(
            throttle_at(&mut throttle, &until(100), 0),
            (Duration::from_secs(100), false),
            "extended, not started"
        );
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(
            (throttle.paused_until(), throttle.total_paused()),
            (None, Duration::from_secs(100))
        );
        assert_eq!(throttle_at(&mut throttle, &until(-5), 1), (FIRST_PAUSE, true));
        tokio::time::advance(Duration::from_millis(400)).await;
        throttle.end_now();
        assert_eq!(throttle.total_paused(), Duration::from_millis(100_400));
    }
}
