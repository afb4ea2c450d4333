//! The rate limiter of a run that has its quota to itself
//! ([rate limit](crate::guide::architecture#rate-limit)). One task asks it, so calls start in the
//! order of asking and no lock is needed.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::api::limiter::{ClaimState, Limiter};
use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;

/// Up to this rate the window below is kept exactly; above, one percent more is allowed ([rate
/// limit](crate::guide::architecture#rate-limit)).
pub(crate) const EXACT_BELOW: f64 = 60.0;
/// How much longer than its nominal length a window of `n` departures lasts, so that calls which
/// travel at uneven speed do not meet `n + 1` to a window at the server. It costs 0.9 % of the
/// rate, which leaves 0.5 % for late timers ([rate limit](crate::guide::architecture#rate-limit):
/// 98.5 %).
const GUARD: Duration = Duration::from_millis(9);
/// The rate of the limiter, as a share of what the user set. Where the window rules, the limiter
/// only spreads the calls over it, and is a little faster so that calls which were late are made up
/// for; above, the limiter rules.
pub(crate) const GCRA_FACTOR_BELOW: f64 = 1.05;
const GCRA_FACTOR_ABOVE: f64 = 0.995;
/// How far a call may go ahead of its slot to make up for one that was late: timers are late by
/// about a millisecond, and a lateness that added up would cost two per cent at 20 calls a second.
const LEEWAY: Duration = Duration::from_millis(5);
/// The limiter counts parts of a call, which lets the leeway be shorter than one call: a thousand,
/// and fewer where a part would be shorter than a microsecond, since governor counts in whole
/// nanoseconds.
const MAX_CELLS_PER_CALL: f64 = 1000.0;
const MIN_CELL_SECS: f64 = 1e-6;
/// After a complaint of the API the rate is cut to this share, and never below [`MIN_RATE_FACTOR`] of what
/// the user set.
pub(crate) const DECREASE_FACTOR: f64 = 0.8;
pub(crate) const MIN_RATE_FACTOR: f64 = 0.1;
/// Every so often without a complaint the rate recovers by [`RECOVERY_STEP`] of what the user set.
pub(crate) const RECOVERY_INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const RECOVERY_STEP: f64 = 0.05;

/// Gives out the right to make a call, one at a time.
///
/// Two rules hold at once. A GCRA limiter (governor) spaces the calls evenly. Up to 60 calls a
/// second, a call also never leaves too soon after earlier ones, however late single calls were:
/// not within a second of the call that stands as many before it as the rate has calls, rounded up;
/// nor within `n / rate` of the n-th before it, `n` being the rate rounded down, which keeps the
/// average of a rate with a fraction. Both spans are nine milliseconds longer.
#[derive(Debug)]
pub struct LocalLimiter {
    /// What the user set; none is unlimited, and then nothing below is used.
    rate: Option<f64>,
    /// The share of it that is used now: 1 until the API complains.
    rate_factor: f64,
    /// When the share changed last.
    changed_at: Instant,
    gcra: GcraLimiter,
    /// When the limiter gives out the next call; kept where the window rules.
    next_slot: Option<Instant>,
    /// The last departures, oldest first, at most the calls of one second.
    recent_calls: VecDeque<Instant>,
    /// The parts that the limiter counts for one call.
    cells_per_call: NonZeroU32,
}

type GcraLimiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<ClockInstant>>;

impl LocalLimiter {
    /// A pace of which nothing is used yet: the first call may go at once.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate: rate.per_second(),
            rate_factor: 1.0,
            changed_at: Instant::now(),
            gcra: build_gcra(rate.per_second().unwrap_or(Rate::MAX)),
            cells_per_call: cells_per_call(rate.per_second().unwrap_or(Rate::MAX)),
            next_slot: None,
            recent_calls: VecDeque::new(),
        }
    }

    /// Takes the right to make one call now.
    ///
    /// # Errors
    /// The moment before which asking again is in vain. Nothing is used up then.
    pub fn try_acquire(&mut self) -> Result<(), Instant> {
        let Some(full) = self.rate else { return Ok(()) };
        let now = Instant::now();
        let rate = full * self.rate_factor;
        // One moment for both rules, since whoever waits twice is late twice.
        if let Some(free) =
            self.window_opens_at(rate).max(self.next_slot).filter(|free| *free > now)
        {
            return Err(free);
        }
        if let Err(wait) = try_acquire_cells(&self.gcra, self.cells_per_call) {
            return Err(now + wait);
        }
        if rate <= EXACT_BELOW {
            // The leeway is shorter than a slot here, so this question is answered with no and uses
            // nothing up.
            self.next_slot =
                try_acquire_cells(&self.gcra, self.cells_per_call).err().map(|wait| now + wait);
            self.recent_calls.push_back(now);
            while self.recent_calls.len() > whole_calls(rate) {
                self.recent_calls.pop_front();
            }
        }
        self.recover(full, now);
        Ok(())
    }

    /// The API said that this app's calls were too many: go slower, and come back step by step.
    pub fn slow_down(&mut self) {
        if let Some(full) = self.rate {
            self.set_rate_factor(full, (self.rate_factor * DECREASE_FACTOR).max(MIN_RATE_FACTOR));
        }
    }

    /// The calls a second that are aimed at now: what the user set or less.
    #[must_use]
    pub fn current_rate(&self) -> Rate {
        self.rate.map_or(Rate::UNLIMITED, |rate| Rate::from_per_second(rate * self.rate_factor))
    }

    /// The moment at which one more departure fits both windows; none when it fits at any time.
    fn window_opens_at(&self, rate: f64) -> Option<Instant> {
        if rate > EXACT_BELOW {
            return None;
        }
        let opens = |(calls, length): (usize, Duration)| {
            let before = self.recent_calls.len().checked_sub(calls)?;
            self.recent_calls.get(before).map(|departure| *departure + length)
        };
        opens((whole_calls(rate), Duration::from_secs(1) + GUARD)).max(opens(average_window(rate)))
    }

    fn recover(&mut self, full: f64, now: Instant) {
        if self.rate_factor < 1.0 && now.duration_since(self.changed_at) >= RECOVERY_INTERVAL {
            self.set_rate_factor(full, (self.rate_factor + RECOVERY_STEP).min(1.0));
        }
    }

    fn set_rate_factor(&mut self, full: f64, share: f64) {
        self.rate_factor = share;
        self.changed_at = Instant::now();
        self.gcra = build_gcra(full * share);
        self.cells_per_call = cells_per_call(full * share);
        // The new limiter has not seen the last call: it is charged with one, so that no two go out
        // together.
        let _ = try_acquire_cells(&self.gcra, self.cells_per_call);
    }
}

impl Limiter for LocalLimiter {
    fn prefetch(&mut self, _: &mut dyn Iterator<Item = Mobile>, _: usize) {}

    fn lookahead(&self) -> usize {
        usize::MAX
    }

    fn claim_state(&mut self, _: Mobile) -> ClaimState {
        ClaimState::Granted
    }

    fn try_acquire(&mut self) -> Result<(), Option<Instant>> {
        Self::try_acquire(self).map_err(Some)
    }

    fn paused_until(&mut self) -> Option<(Instant, Limit)> {
        None
    }

    fn on_paused(&mut self, _: Instant, cause: Limit, begins: bool) {
        if begins && cause == Limit::App {
            self.slow_down();
        }
    }

    fn on_answered(&mut self, _: Mobile, _: &Arc<Outcome>) {}

    fn release(&mut self, _: Mobile) {}

    fn current_rate(&self) -> Rate {
        Self::current_rate(self)
    }

    fn set_waker(&mut self, _: Box<dyn Fn() + Send + Sync>) {}
}

/// The calls of one second, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 60")]
fn whole_calls(rate: f64) -> usize {
    rate.min(EXACT_BELOW).ceil().max(1.0) as usize
}

/// So many departures in such a time keep the average.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 60")]
fn average_window(rate: f64) -> (usize, Duration) {
    let calls = rate.floor().max(1.0);
    (calls as usize, Duration::from_secs_f64(calls / rate) + GUARD)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 1000")]
fn cells_per_call(rate: f64) -> NonZeroU32 {
    let parts = (1.0 / (rate * GCRA_FACTOR_BELOW * MIN_CELL_SECS)).clamp(1.0, MAX_CELLS_PER_CALL);
    NonZeroU32::new(parts as u32).unwrap_or(NonZeroU32::MIN)
}

fn build_gcra(rate: f64) -> GcraLimiter {
    let aim = rate * if rate <= EXACT_BELOW { GCRA_FACTOR_BELOW } else { GCRA_FACTOR_ABOVE };
    let whole = cells_per_call(rate);
    let cell = Duration::from_secs_f64(1.0 / (aim * f64::from(whole.get())));
    let leeway = u32::try_from(LEEWAY.as_nanos() / cell.as_nanos().max(1)).unwrap_or(u32::MAX);
    let quota = Quota::with_period(cell).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct_with_clock(
        quota.allow_burst(whole.saturating_add(leeway)),
        TokioClock(Instant::now()),
    )
}

/// Asks for one call; how long to wait where the answer is no.
fn try_acquire_cells(limiter: &GcraLimiter, cells: NonZeroU32) -> Result<(), Duration> {
    // The outer error says that one call exceeds the burst, which is a call and the leeway: it
    // cannot be.
    match limiter.check_n(cells) {
        Ok(Err(not_until)) => Err(not_until.wait_time_from(limiter.clock().now())),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// Tokio's clock for governor, whose own ignores a paused one.
#[derive(Clone, Copy, Debug)]
struct TokioClock(Instant);

/// Nanoseconds since a limiter's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ClockInstant(u64);

impl Clock for TokioClock {
    type Instant = ClockInstant;

    fn now(&self) -> ClockInstant {
        ClockInstant(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Reference for ClockInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

impl std::ops::Add<Nanos> for ClockInstant {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(n: usize) -> f64 {
        u32::try_from(n).unwrap().into()
    }

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    /// Departures of a run that always has work, on a paused clock: each wake-up is late by what
    /// `late` says.
    async fn departures(
        pace: &mut LocalLimiter,
        length: Duration,
        mut late: impl FnMut() -> Duration,
    ) -> Vec<Instant> {
        let (start, mut departures) = (Instant::now(), Vec::new());
        while start.elapsed() < length {
            match pace.try_acquire() {
                Ok(()) => departures.push(Instant::now()),
                Err(moment) => tokio::time::advance(moment - Instant::now() + late()).await,
            }
        }
        departures
    }

    /// The most of these moments, which are in order, in any second.
    fn most_in_a_second(moments: &[Instant]) -> f64 {
        let (mut first, mut most) = (0, 0);
        for (last, moment) in moments.iter().enumerate() {
            while *moment >= moments[first] + Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        count(most)
    }

    fn share(departures: &[Instant], rate: f64) -> f64 {
        count(departures.len() - 1)
            / (departures[departures.len() - 1] - departures[0]).as_secs_f64()
            / rate
    }

    #[tokio::test(start_paused = true)]
    async fn the_limiter_never_exceeds_the_rate_and_uses_nearly_all_of_it() {
        for (text, seconds) in [("0.5", 120), ("1", 60), ("20", 60), ("40", 30), ("60", 30)] {
            let full = rate(text).per_second().unwrap();
            // Timers are late by up to 2 ms; on a busy machine one wake-up in fifty is late by up
            // to 40 ms, and then the promise to use the rate yields to the one not to exceed it.
            for (stalls, least) in [(false, 0.985), (true, 0.97)] {
                let mut pace = LocalLimiter::new(rate(text));
                let mut random = fastrand::Rng::with_seed(7);
                let late = || {
                    let stall = stalls && random.u8(..50) == 0;
                    Duration::from_micros(random.u64(..if stall { 40_000 } else { 2000 }))
                };
                let departures = departures(&mut pace, Duration::from_secs(seconds), late).await;
                assert!(most_in_a_second(&departures) <= full.max(1.0), "{text}");
                assert!(share(&departures, full) >= least, "{text}: {}", share(&departures, full));
                // The same with each call up to 9 ms longer on its way than the quickest.
                let mut arrivals: Vec<_> = departures
                    .iter()
                    .map(|at| *at + Duration::from_micros(random.u64(..9000)))
                    .collect();
                arrivals.sort();
                assert!(most_in_a_second(&arrivals) <= full.max(1.0), "{text}: arrivals");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn above_sixty_calls_a_second_the_limiter_exceeds_the_rate_by_at_most_one_percent() {
        for text in ["61", "100", "1000", "5000", "90000"] {
            let full = rate(text).per_second().unwrap();
            let mut random = fastrand::Rng::with_seed(7);
            let late = || Duration::from_micros(random.u64(..2000));
            let length =
                if full > 10_000.0 { Duration::from_millis(1500) } else { Duration::from_secs(4) };
            let departures = departures(&mut LocalLimiter::new(rate(text)), length, late).await;
            assert!(most_in_a_second(&departures) <= full * 1.01, "{text}");
            assert!(share(&departures, full) >= 0.985, "{text}: {}", share(&departures, full));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_idle_period_accumulates_no_burst() {
        let mut pace = LocalLimiter::new(rate("20"));
        departures(&mut pace, Duration::from_secs(3), || Duration::ZERO).await;
        tokio::time::advance(Duration::from_hours(8)).await;
        let after = departures(&mut pace, Duration::from_secs(3), || Duration::ZERO).await;
        assert!(most_in_a_second(&after) <= 20.0);
        assert!(after.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(42)));
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_lowers_the_rate_and_time_restores_it() {
        let mut pace = LocalLimiter::new(rate("20"));
        for _ in 0..20 {
            departures(&mut pace, Duration::from_millis(300), || Duration::ZERO).await;
            pace.slow_down();
        }
        assert_eq!(pace.current_rate(), Rate::from_per_second(2.0), "never below a tenth");
        let mut before = 2.0;
        while before < 20.0 {
            let departures = departures(&mut pace, Duration::from_secs(9), || Duration::ZERO).await;
            let now = pace.current_rate().per_second().unwrap();
            assert!(count(departures.len()) <= now * 9.0 + 1.0, "{before}: {}", departures.len());
            assert!(now >= before && now <= before + 1.01, "one step at a time: {before} {now}");
            before = now;
        }
        let full = departures(&mut pace, Duration::from_secs(20), || Duration::ZERO).await;
        assert!(most_in_a_second(&full) <= 20.0 && pace.current_rate() == rate("20"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Any exact rate, any lateness: no second sees more calls than the rate, rounded up, and
        /// the average is kept.
        #[test]
        fn no_second_has_more_calls_than_the_rate(rate in 0.2..60.0f64, seed in any::<u64>(), worst in 0..200_000u64) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let departures = runtime.block_on(async {
                let mut random = fastrand::Rng::with_seed(seed);
                let late = || Duration::from_micros(random.u64(..=worst));
                departures(&mut LocalLimiter::new(Rate::from_per_second(rate)), Duration::from_secs(20), late).await
            });
            prop_assert!(most_in_a_second(&departures) <= rate.ceil());
            prop_assert!(count(departures.len()) <= 20.0 * rate + 1.0 + rate.floor());
        }
    }
}
