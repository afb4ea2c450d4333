//! The rest that throttling orders: one for all calls, however many met the limit (DESIGN 3). Owns when it ends, how
//! it grows and how long the run was held in all. Leaves what throttles to `domain::verdict`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::verdict::{Hold, Limit, Pause};

/// The first pause of a growing hold, and the most that it doubles to (`API.md` 3: 1, 2, 4 s).
const FIRST: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 2;

/// The holds of a run.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    current: Option<Current>,
    /// Counts the holds; a call remembers the count with which it left.
    episode: u64,
    /// Holds in a row without an answer in between.
    in_a_row: u32,
    /// When the last hold began.
    since: Option<Instant>,
    /// How many have ended, and how long they lasted, by what was exceeded in the order of [`Limit::ALL`].
    ended: ByLimit,
}

/// How many holds there were, and how long they lasted, by what was exceeded in the order of [`Limit::ALL`].
pub(crate) type ByLimit = ([u64; Limit::ALL.len()], [Duration; Limit::ALL.len()]);

#[derive(Clone, Copy, Debug)]
struct Current {
    since: Instant,
    until: Instant,
    /// Whether it was begun, and is no straggler's from before.
    begun: bool,
    /// What was exceeded: the limit that holds longest.
    cause: Limit,
}

impl Current {
    fn count(self, (counts, times): &mut ByLimit) {
        let time = self.until.duration_since(self.since);
        // A straggler whose rest is over already holds nobody.
        counts[self.cause as usize] += u64::from(self.begun || !time.is_zero());
        times[self.cause as usize] += time;
    }
}

/// What a throttling answer changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// When calls may go on.
    pub until: Instant,
    /// Whether a hold began, as against one that was on already.
    pub begins: bool,
    /// Whether one that was on already lasts longer now.
    pub prolongs: bool,
    /// What was exceeded.
    pub cause: Limit,
}

impl Holds {
    /// The number that a call takes along, to tell answers to calls from before a hold.
    #[must_use]
    pub(crate) fn episode(&self) -> u64 {
        self.episode
    }

    /// A throttling answer to a call that left in `episode`. Calls that were under way together meet the limit
    /// together: only the first of them begins a hold, the others can but prolong it.
    pub(crate) fn order(
        &mut self,
        hold: &Hold,
        episode: u64,
        wall: Timestamp,
        jitter: &mut fastrand::Rng,
    ) -> Held {
        let now = Instant::now();
        let begins = episode == self.episode;
        let since = if begins { now } else { self.since.unwrap_or(now) };
        let named =
            hold.until.and_then(|until| Duration::try_from(until.duration_since(wall)).ok());
        let until = match (named.filter(|left| !left.is_zero()), hold.pause) {
            (Some(left), _) => now + left,
            // One that was under way with the first rests from the same moment.
            (None, Pause::Fixed(pause)) => since + pause,
            (None, Pause::Growing) if !begins => now,
            (None, Pause::Growing) => {
                let whole = FIRST * 2_u32.pow(self.in_a_row.min(DOUBLINGS));
                now + whole + whole.mul_f64(jitter.f64() / 4.0)
            }
        };
        if begins {
            self.episode += 1;
            self.in_a_row += 1;
            self.since = Some(now);
        }
        let current = self.current.get_or_insert(Current {
            since: now,
            until: now,
            begun: begins,
            cause: hold.cause,
        });
        let prolongs = !begins && until > current.until;
        if until > current.until {
            (current.until, current.cause) = (until, hold.cause);
        }
        Held { until: current.until, begins, prolongs, cause: hold.cause }
    }

    /// All rest until then for a reason that others met. What rests until now for the same reason goes on resting.
    pub(crate) fn join(&mut self, until: Instant, cause: Limit) -> Held {
        let now = Instant::now();
        if self.current.is_some_and(|current| current.until < now && current.cause != cause) {
            self.until();
        }
        let begins = self.current.is_none();
        let current =
            self.current.get_or_insert(Current { since: now, until: now, begun: true, cause });
        let prolongs = !begins && until > current.until;
        if until > current.until {
            (current.until, current.cause) = (until, cause);
        }
        Held { until: current.until, begins, prolongs, cause }
    }

    /// An answer to a call that left in `episode`: the limit is not exceeded any more.
    pub(crate) fn answered(&mut self, episode: u64) {
        if episode == self.episode {
            self.in_a_row = 0;
        }
    }

    /// The reason for a rest is gone before its end.
    pub(crate) fn lift(&mut self, cause: Limit) {
        if self.current.is_some_and(|current| current.cause == cause) {
            self.cut_short();
        }
    }

    /// The end of the hold that is on. One that has passed is counted and forgotten.
    pub(crate) fn until(&mut self) -> Option<Instant> {
        let current = self.current?;
        if current.until > Instant::now() {
            return Some(current.until);
        }
        current.count(&mut self.ended);
        self.current = None;
        None
    }

    /// How long the run was held in all, with the whole of the hold that is on.
    #[must_use]
    pub(crate) fn total(&self) -> Duration {
        self.by_limit().1.iter().sum()
    }

    /// How long the run was held so far, without what is left of the hold that is on.
    #[must_use]
    pub(crate) fn passed(&self) -> Duration {
        let left =
            self.current.map(|current| current.until.saturating_duration_since(Instant::now()));
        self.total().saturating_sub(left.unwrap_or_default())
    }

    /// How often and how long it was held, by the limit that held longest in each, with the hold that is on.
    #[must_use]
    pub(crate) fn by_limit(&self) -> ByLimit {
        let mut by_limit = self.ended;
        if let Some(current) = self.current {
            current.count(&mut by_limit);
        }
        by_limit
    }

    /// The hold that is on ends now, with the run or before it: only the part of it that was waited for counts.
    pub(crate) fn cut_short(&mut self) {
        if let Some(current) = &mut self.current {
            current.until = current.until.min(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWING: Hold = Hold { cause: Limit::Platform, until: None, pause: Pause::Growing };
    const SECOND: Hold = Hold { cause: Limit::App, until: None, pause: Pause::Fixed(FIRST) };

    fn order(holds: &mut Holds, hold: &Hold, episode: u64) -> (Duration, bool) {
        let rest =
            holds.order(hold, episode, Timestamp::UNIX_EPOCH, &mut fastrand::Rng::with_seed(1));
        (rest.until - Instant::now(), rest.begins)
    }

    #[tokio::test(start_paused = true)]
    async fn many_answers_one_hold() {
        let mut holds = Holds::default();
        assert_eq!(order(&mut holds, &SECOND, 0), (FIRST, true));
        for _ in 0..15 {
            assert_eq!(order(&mut holds, &SECOND, 0), (FIRST, false));
        }
        tokio::time::advance(FIRST).await;
        assert_eq!(holds.until(), None);
        assert_eq!(
            order(&mut holds, &SECOND, 0).0,
            Duration::ZERO,
            "a straggler from before does not hold again"
        );
        assert_eq!(holds.until(), None);
        assert_eq!(holds.total(), FIRST);
        let ban = Hold {
            cause: Limit::Address,
            until: None,
            pause: Pause::Fixed(Duration::from_mins(5)),
        };
        let left = Duration::from_mins(5).saturating_sub(FIRST);
        assert_eq!(
            order(&mut holds, &ban, 0),
            (left, false),
            "a straggler that met more holds for longer"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn growing_holds_grow_until_an_answer_comes() {
        let mut holds = Holds::default();
        for seconds in [1, 2, 4, 4] {
            let whole = Duration::from_secs(seconds);
            let episode = holds.episode();
            let (pause, _) = order(&mut holds, &GROWING, episode);
            assert!(pause >= whole && pause <= whole.mul_f64(1.25), "{pause:?}");
            tokio::time::advance(pause).await;
            assert_eq!(holds.until(), None);
        }
        holds.answered(0);
        let episode = holds.episode();
        let (pause, _) = order(&mut holds, &GROWING, episode);
        assert!(pause >= Duration::from_secs(4), "an answer to an old call proves nothing");
        tokio::time::advance(Duration::from_secs(9)).await;
        let episode = holds.episode();
        holds.answered(episode);
        assert!(order(&mut holds, &GROWING, episode).0 < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_end_rules_and_one_that_has_passed_does_not() {
        let mut holds = Holds::default();
        let named =
            |seconds| Hold { until: Some(Timestamp::from_second(seconds).unwrap()), ..SECOND };
        assert_eq!(order(&mut holds, &named(90), 0), (Duration::from_secs(90), true));
        assert_eq!(
            order(&mut holds, &named(100), 0),
            (Duration::from_secs(100), false),
            "prolonged, not begun"
        );
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!((holds.until(), holds.total()), (None, Duration::from_secs(100)));
        assert_eq!(order(&mut holds, &named(-5), 1), (FIRST, true));
        tokio::time::advance(Duration::from_millis(400)).await;
        holds.cut_short();
        assert_eq!(holds.total(), Duration::from_millis(100_400));
    }
}
