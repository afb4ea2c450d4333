//! The rate limiter of a run that does not share its quota
//! ([rate limit](crate::guide::architecture#rate-limit)). Only one task uses it, so calls start in
//! order and it needs no lock.

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

/// Up to this rate, in calls per second, no window has more calls than the rate. Above, a window
/// may have 1 % more ([rate limit](crate::guide::architecture#rate-limit)).
pub(crate) const EXACT_BELOW: f64 = 60.0;
/// How much longer than its nominal length a window of `n` calls lasts. Network delays vary, and
/// without it `n + 1` calls could arrive at the server within one window. It costs 0.9 % of the
/// rate, which leaves 0.6 % for late timers, since at least 98.5 % of the rate are used
/// ([rate limit](crate::guide::architecture#rate-limit)).
const GUARD: Duration = Duration::from_millis(9);
/// The rate of the GCRA limiter, as a share of the user's rate. Up to [`EXACT_BELOW`] the window
/// enforces the rate; the GCRA limiter only spaces the calls and is 5 % faster, to make up for late
/// calls. Above, only the GCRA limiter enforces the rate.
pub(crate) const GCRA_FACTOR_BELOW: f64 = 1.05;
const GCRA_FACTOR_ABOVE: f64 = 0.995;
/// How long before its slot a call may start, to make up for a late one. Timers are about 1 ms
/// late; if the delays added up, they would cost 2 % of the rate at 20 calls per second.
const LEEWAY: Duration = Duration::from_millis(5);
/// The GCRA limiter counts a call as up to 1000 cells, so that [`LEEWAY`] can be shorter than one
/// call. A cell lasts at least 1 µs, since governor counts in whole nanoseconds.
const MAX_CELLS_PER_CALL: f64 = 1000.0;
const MIN_CELL_SECS: f64 = 1e-6;
/// When the API throttles the app, the rate is multiplied by this factor, down to
/// [`MIN_RATE_FACTOR`] of the user's rate.
pub(crate) const DECREASE_FACTOR: f64 = 0.8;
pub(crate) const MIN_RATE_FACTOR: f64 = 0.1;
/// After each interval without throttling, the rate rises by [`RECOVERY_STEP`] of the user's rate.
pub(crate) const RECOVERY_INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const RECOVERY_STEP: f64 = 0.05;

/// Limits the rate of calls. Two rules apply together:
///
/// - A GCRA limiter (governor) spaces the calls evenly.
/// - Up to 60 calls per second, sliding windows bound the calls, however late single calls are.
///   With `n` the rate rounded up, a call starts at least 1 s after the n-th call before it. With
///   `n` the rate rounded down, it starts at least `n / rate` seconds after the n-th call before
///   it, which keeps the average of a fractional rate. Both windows are longer by 9 ms.
#[derive(Debug)]
pub struct LocalLimiter {
    /// The user's rate, in calls per second; none is unlimited, and then no other field is used.
    rate: Option<f64>,
    /// The share of `rate` that is used now: 1 until the API throttles.
    rate_factor: f64,
    /// When `rate_factor` changed last.
    changed_at: Instant,
    gcra: GcraLimiter,
    /// When the GCRA limiter allows the next call; only set up to [`EXACT_BELOW`].
    next_slot: Option<Instant>,
    /// When the last calls started, oldest first; at most the calls of one second.
    recent_calls: VecDeque<Instant>,
    cells_per_call: NonZeroU32,
}

type GcraLimiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<ClockInstant>>;

impl LocalLimiter {
    /// The first call may start immediately.
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

    /// Acquires the right to make one call now. The error is the earliest time at which another try
    /// can succeed; a failed try uses nothing up.
    pub fn try_acquire(&mut self) -> Result<(), Instant> {
        let Some(full) = self.rate else { return Ok(()) };
        let now = Instant::now();
        let rate = full * self.rate_factor;
        // The later time of both rules, since each wait ends late.
        if let Some(retry_at) =
            self.window_opens_at(rate).max(self.next_slot).filter(|retry_at| *retry_at > now)
        {
            return Err(retry_at);
        }
        if let Err(wait) = try_acquire_cells(&self.gcra, self.cells_per_call) {
            return Err(now + wait);
        }
        if rate <= EXACT_BELOW {
            // At these rates the leeway is shorter than a slot, so this second call fails, uses
            // nothing up, and returns the wait until the next slot.
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

    /// Lowers the rate after the API throttled this app; it rises again step by step.
    pub fn slow_down(&mut self) {
        if let Some(full) = self.rate {
            self.set_rate_factor(full, (self.rate_factor * DECREASE_FACTOR).max(MIN_RATE_FACTOR));
        }
    }

    /// The current target rate: the user's rate or less.
    #[must_use]
    pub fn current_rate(&self) -> Rate {
        self.rate.map_or(Rate::UNLIMITED, |rate| Rate::from_per_second(rate * self.rate_factor))
    }

    /// When one more call fits both windows; none if it fits at any time.
    fn window_opens_at(&self, rate: f64) -> Option<Instant> {
        if rate > EXACT_BELOW {
            return None;
        }
        let opens = |(calls, length): (usize, Duration)| {
            let oldest = self.recent_calls.len().checked_sub(calls)?;
            self.recent_calls.get(oldest).map(|start| *start + length)
        };
        opens((whole_calls(rate), Duration::from_secs(1) + GUARD)).max(opens(average_window(rate)))
    }

    fn recover(&mut self, full: f64, now: Instant) {
        if self.rate_factor < 1.0 && now.duration_since(self.changed_at) >= RECOVERY_INTERVAL {
            self.set_rate_factor(full, (self.rate_factor + RECOVERY_STEP).min(1.0));
        }
    }

    fn set_rate_factor(&mut self, full: f64, factor: f64) {
        self.rate_factor = factor;
        self.changed_at = Instant::now();
        self.gcra = build_gcra(full * factor);
        self.cells_per_call = cells_per_call(full * factor);
        // The new GCRA limiter does not know the last call. Count one, so that the next call does
        // not start right after it.
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

/// A number of calls and the time that they take at the average rate, plus [`GUARD`].
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 60")]
fn average_window(rate: f64) -> (usize, Duration) {
    let calls = rate.floor().max(1.0);
    (calls as usize, Duration::from_secs_f64(calls / rate) + GUARD)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 1000")]
fn cells_per_call(rate: f64) -> NonZeroU32 {
    let cells = (1.0 / (rate * GCRA_FACTOR_BELOW * MIN_CELL_SECS)).clamp(1.0, MAX_CELLS_PER_CALL);
    NonZeroU32::new(cells as u32).unwrap_or(NonZeroU32::MIN)
}

fn build_gcra(rate: f64) -> GcraLimiter {
    let gcra_rate = rate * if rate <= EXACT_BELOW { GCRA_FACTOR_BELOW } else { GCRA_FACTOR_ABOVE };
    let cells_per_call = cells_per_call(rate);
    let cell = Duration::from_secs_f64(1.0 / (gcra_rate * f64::from(cells_per_call.get())));
    let leeway = u32::try_from(LEEWAY.as_nanos() / cell.as_nanos().max(1)).unwrap_or(u32::MAX);
    let quota = Quota::with_period(cell).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct_with_clock(
        quota.allow_burst(cells_per_call.saturating_add(leeway)),
        TokioClock(Instant::now()),
    )
}

/// Acquires the cells of one call. The error is the time to wait.
fn try_acquire_cells(limiter: &GcraLimiter, cells: NonZeroU32) -> Result<(), Duration> {
    // The outer error means that the cells exceed the burst. It cannot occur: the burst is one call
    // plus the leeway.
    match limiter.check_n(cells) {
        Ok(Err(not_until)) => Err(not_until.wait_time_from(limiter.clock().now())),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// Tokio's clock for governor, so that tests can pause it.
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

    /// The starts of calls in a run that always has work, on a paused clock. `lateness` is how late
    /// each timer fires.
    async fn departures(
        limiter: &mut LocalLimiter,
        length: Duration,
        mut lateness: impl FnMut() -> Duration,
    ) -> Vec<Instant> {
        let (start, mut departures) = (Instant::now(), Vec::new());
        while start.elapsed() < length {
            match limiter.try_acquire() {
                Ok(()) => departures.push(Instant::now()),
                Err(retry_at) => tokio::time::advance(retry_at - Instant::now() + lateness()).await,
            }
        }
        departures
    }

    /// The largest number of these calls in any second; `times` is sorted.
    fn most_in_a_second(times: &[Instant]) -> f64 {
        let (mut first, mut most) = (0, 0);
        for (last, time) in times.iter().enumerate() {
            while *time >= times[first] + Duration::from_secs(1) {
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
            // Timers are up to 2 ms late. On a busy machine one in 50 is up to 40 ms late; then a
            // smaller share of the rate is used, but the rate is still not exceeded.
            for (stalls, least) in [(false, 0.985), (true, 0.97)] {
                let mut limiter = LocalLimiter::new(rate(text));
                let mut random = fastrand::Rng::with_seed(7);
                let lateness = || {
                    let stall = stalls && random.u8(..50) == 0;
                    Duration::from_micros(random.u64(..if stall { 40_000 } else { 2000 }))
                };
                let departures =
                    departures(&mut limiter, Duration::from_secs(seconds), lateness).await;
                assert!(most_in_a_second(&departures) <= full.max(1.0), "{text}");
                assert!(share(&departures, full) >= least, "{text}: {}", share(&departures, full));
                // Likewise when the network delays of calls differ by up to 9 ms.
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
            let lateness = || Duration::from_micros(random.u64(..2000));
            let length =
                if full > 10_000.0 { Duration::from_millis(1500) } else { Duration::from_secs(4) };
            let departures = departures(&mut LocalLimiter::new(rate(text)), length, lateness).await;
            assert!(most_in_a_second(&departures) <= full * 1.01, "{text}");
            assert!(share(&departures, full) >= 0.985, "{text}: {}", share(&departures, full));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_idle_period_accumulates_no_burst() {
        let mut limiter = LocalLimiter::new(rate("20"));
        departures(&mut limiter, Duration::from_secs(3), || Duration::ZERO).await;
        tokio::time::advance(Duration::from_hours(8)).await;
        let after = departures(&mut limiter, Duration::from_secs(3), || Duration::ZERO).await;
        assert!(most_in_a_second(&after) <= 20.0);
        assert!(after.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(42)));
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_lowers_the_rate_and_time_restores_it() {
        let mut limiter = LocalLimiter::new(rate("20"));
        for _ in 0..20 {
            departures(&mut limiter, Duration::from_millis(300), || Duration::ZERO).await;
            limiter.slow_down();
        }
        assert_eq!(limiter.current_rate(), Rate::from_per_second(2.0), "never below a tenth");
        let mut before = 2.0;
        while before < 20.0 {
            let departures =
                departures(&mut limiter, Duration::from_secs(9), || Duration::ZERO).await;
            let now = limiter.current_rate().per_second().unwrap();
            assert!(count(departures.len()) <= now * 9.0 + 1.0, "{before}: {}", departures.len());
            assert!(now >= before && now <= before + 1.01, "one step at a time: {before} {now}");
            before = now;
        }
        let full = departures(&mut limiter, Duration::from_secs(20), || Duration::ZERO).await;
        assert!(most_in_a_second(&full) <= 20.0 && limiter.current_rate() == rate("20"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// At any rate up to 60 and any lateness, no second has more calls than the rate rounded
        /// up, and the average is kept.
        #[test]
        fn no_second_has_more_calls_than_the_rate(
            rate in 0.2..60.0f64,
            seed in any::<u64>(),
            max_lateness in 0..200_000u64,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let departures = runtime.block_on(async {
                let mut random = fastrand::Rng::with_seed(seed);
                let lateness = || Duration::from_micros(random.u64(..=max_lateness));
                let mut limiter = LocalLimiter::new(Rate::from_per_second(rate));
                departures(&mut limiter, Duration::from_secs(20), lateness).await
            });
            prop_assert!(most_in_a_second(&departures) <= rate.ceil());
            prop_assert!(count(departures.len()) <= 20.0 * rate + 1.0 + rate.floor());
        }
    }
}
