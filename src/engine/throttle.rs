//! The rest that throttling orders: one for all calls, however many met the limit (DESIGN 3). Owns when it ends, how
//! it grows and how long the run was held in all. Leaves what throttles to `domain::verdict`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::verdict::{Limit, Pause, PauseLength};

/// The first pause of a growing hold, and the most that it doubles to (`API.md` 3: 1, 2, 4 s).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 2;

/// The holds of a run.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    active: Option<ActivePause>,
    /// Counts the holds; a call remembers the count with which it left.
    epoch: u64,
    /// Holds in a row without an answer in between.
    consecutive: u32,
    /// When the last hold began.
    last_started_at: Option<Instant>,
    /// How many have ended, and how long they lasted, by what was exceeded in the order of [`Limit::ALL`].
    ended_stats: PauseStats,
}

/// How many holds there were, and how long they lasted, by what was exceeded in the order of [`Limit::ALL`].
pub(crate) type PauseStats = ([u64; Limit::ALL.len()], [Duration; Limit::ALL.len()]);

#[derive(Clone, Copy, Debug)]
struct ActivePause {
    started_at: Instant,
    until: Instant,
    /// Whether it was begun, and is no straggler's from before.
    is_counted: bool,
    /// What was exceeded: the limit that holds longest.
    cause: Limit,
}

impl ActivePause {
    fn add_to(self, (counts, times): &mut PauseStats) {
        let time = self.until.duration_since(self.started_at);
        // A straggler whose rest is over already holds nobody.
        counts[self.cause as usize] += u64::from(self.is_counted || !time.is_zero());
        times[self.cause as usize] += time;
    }
}

/// What a throttling answer changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PauseChange {
    /// When calls may go on.
    pub until: Instant,
    /// Whether a hold began, as against one that was on already.
    pub is_new: bool,
    /// Whether one that was on already lasts longer now.
    pub is_extended: bool,
    /// What was exceeded.
    pub cause: Limit,
}

impl Throttle {
    /// The number that a call takes along, to tell answers to calls from before a hold.
    #[must_use]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A throttling answer to a call that left in `episode`. Calls that were under way together meet the limit
    /// together: only the first of them begins a hold, the others can but prolong it.
    pub(crate) fn on_throttled(
        &mut self,
        hold: &Pause,
        episode: u64,
        wall: Timestamp,
        jitter: &mut fastrand::Rng,
    ) -> PauseChange {
        let now = Instant::now();
        let begins = episode == self.epoch;
        let since = if begins { now } else { self.last_started_at.unwrap_or(now) };
        let named =
            hold.until.and_then(|until| Duration::try_from(until.duration_since(wall)).ok());
        let until = match (named.filter(|left| !left.is_zero()), hold.length) {
            (Some(left), _) => now + left,
            // One that was under way with the first rests from the same moment.
            (None, PauseLength::Fixed(pause)) => since + pause,
            (None, PauseLength::Exponential) if !begins => now,
            (None, PauseLength::Exponential) => {
                let whole = FIRST_PAUSE * 2_u32.pow(self.consecutive.min(MAX_DOUBLINGS));
                now + whole + whole.mul_f64(jitter.f64() / 4.0)
            }
        };
        if begins {
            self.epoch += 1;
            self.consecutive += 1;
            self.last_started_at = Some(now);
        }
        let current = self.active.get_or_insert(ActivePause {
            started_at: now,
            until: now,
            is_counted: begins,
            cause: hold.cause,
        });
        let prolongs = !begins && until > current.until;
        if until > current.until {
            (current.until, current.cause) = (until, hold.cause);
        }
        PauseChange {
            until: current.until,
            is_new: begins,
            is_extended: prolongs,
            cause: hold.cause,
        }
    }

    /// All rest until then for a reason that others met. What rests until now for the same reason goes on resting.
    pub(crate) fn pause_until(&mut self, until: Instant, cause: Limit) -> PauseChange {
        let now = Instant::now();
        if self.active.is_some_and(|current| current.until < now && current.cause != cause) {
            self.paused_until();
        }
        let begins = self.active.is_none();
        let current = self.active.get_or_insert(ActivePause {
            started_at: now,
            until: now,
            is_counted: true,
            cause,
        });
        let prolongs = !begins && until > current.until;
        if until > current.until {
            (current.until, current.cause) = (until, cause);
        }
        PauseChange { until: current.until, is_new: begins, is_extended: prolongs, cause }
    }

    /// An answer to a call that left in `episode`: the limit is not exceeded any more.
    pub(crate) fn on_answered(&mut self, episode: u64) {
        if episode == self.epoch {
            self.consecutive = 0;
        }
    }

    /// The reason for a rest is gone before its end.
    pub(crate) fn resume(&mut self, cause: Limit) {
        if self.active.is_some_and(|current| current.cause == cause) {
            self.end_now();
        }
    }

    /// The end of the hold that is on. One that has passed is counted and forgotten.
    pub(crate) fn paused_until(&mut self) -> Option<Instant> {
        let current = self.active?;
        if current.until > Instant::now() {
            return Some(current.until);
        }
        current.add_to(&mut self.ended_stats);
        self.active = None;
        None
    }

    /// How long the run was held in all, with the whole of the hold that is on.
    #[must_use]
    pub(crate) fn total_paused(&self) -> Duration {
        self.stats_by_limit().1.iter().sum()
    }

    /// How long the run was held so far, without what is left of the hold that is on.
    #[must_use]
    pub(crate) fn elapsed_paused(&self) -> Duration {
        let left =
            self.active.map(|current| current.until.saturating_duration_since(Instant::now()));
        self.total_paused().saturating_sub(left.unwrap_or_default())
    }

    /// How often and how long it was held, by the limit that held longest in each, with the hold that is on.
    #[must_use]
    pub(crate) fn stats_by_limit(&self) -> PauseStats {
        let mut by_limit = self.ended_stats;
        if let Some(current) = self.active {
            current.add_to(&mut by_limit);
        }
        by_limit
    }

    /// The hold that is on ends now, with the run or before it: only the part of it that was waited for counts.
    pub(crate) fn end_now(&mut self) {
        if let Some(current) = &mut self.active {
            current.until = current.until.min(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWING: Pause =
        Pause { cause: Limit::Platform, until: None, length: PauseLength::Exponential };
    const SECOND: Pause =
        Pause { cause: Limit::App, until: None, length: PauseLength::Fixed(FIRST_PAUSE) };

    fn order(holds: &mut Throttle, hold: &Pause, episode: u64) -> (Duration, bool) {
        let rest = holds.on_throttled(
            hold,
            episode,
            Timestamp::UNIX_EPOCH,
            &mut fastrand::Rng::with_seed(1),
        );
        (rest.until - Instant::now(), rest.is_new)
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_throttling_replies_cause_one_pause() {
        let mut holds = Throttle::default();
        assert_eq!(order(&mut holds, &SECOND, 0), (FIRST_PAUSE, true));
        for _ in 0..15 {
            assert_eq!(order(&mut holds, &SECOND, 0), (FIRST_PAUSE, false));
        }
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(holds.paused_until(), None);
        assert_eq!(
            order(&mut holds, &SECOND, 0).0,
            Duration::ZERO,
            "a straggler from before does not hold again"
        );
        assert_eq!(holds.paused_until(), None);
        assert_eq!(holds.total_paused(), FIRST_PAUSE);
        let ban = Pause {
            cause: Limit::Address,
            until: None,
            length: PauseLength::Fixed(Duration::from_mins(5)),
        };
        let left = Duration::from_mins(5).saturating_sub(FIRST_PAUSE);
        assert_eq!(
            order(&mut holds, &ban, 0),
            (left, false),
            "a straggler that met more holds for longer"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn growing_pauses_grow_until_a_success() {
        let mut holds = Throttle::default();
        for seconds in [1, 2, 4, 4] {
            let whole = Duration::from_secs(seconds);
            let episode = holds.epoch();
            let (pause, _) = order(&mut holds, &GROWING, episode);
            assert!(pause >= whole && pause <= whole.mul_f64(1.25), "{pause:?}");
            tokio::time::advance(pause).await;
            assert_eq!(holds.paused_until(), None);
        }
        holds.on_answered(0);
        let episode = holds.epoch();
        let (pause, _) = order(&mut holds, &GROWING, episode);
        assert!(pause >= Duration::from_secs(4), "an answer to an old call proves nothing");
        tokio::time::advance(Duration::from_secs(9)).await;
        let episode = holds.epoch();
        holds.on_answered(episode);
        assert!(order(&mut holds, &GROWING, episode).0 < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_end_is_used_unless_it_has_passed() {
        let mut holds = Throttle::default();
        let named =
            |seconds| Pause { until: Some(Timestamp::from_second(seconds).unwrap()), ..SECOND };
        assert_eq!(order(&mut holds, &named(90), 0), (Duration::from_secs(90), true));
        assert_eq!(
            order(&mut holds, &named(100), 0),
            (Duration::from_secs(100), false),
            "prolonged, not begun"
        );
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!((holds.paused_until(), holds.total_paused()), (None, Duration::from_secs(100)));
        assert_eq!(order(&mut holds, &named(-5), 1), (FIRST_PAUSE, true));
        tokio::time::advance(Duration::from_millis(400)).await;
        holds.end_now();
        assert_eq!(holds.total_paused(), Duration::from_millis(100_400));
    }
}
