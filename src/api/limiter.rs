//! The interface of rate limiters: which number may be called, and when. Separate so that a quota
//! can be one process's own (`rate_limiter`) or shared by runs on several hosts (`quota`).

use std::fmt::Debug;
use std::sync::Arc;

use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;

/// Grants calls one at a time, to the one task that asks.
pub trait Limiter: Debug + Send {
    /// Announces the next numbers, in their order, and how many calls may start at most, so that a
    /// remote limiter can claim several numbers in one request.
    fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, free_workers: usize);

    /// How many of the announced numbers, from the first on, are worth a
    /// [`claim_state`](Limiter::claim_state).
    fn lookahead(&self) -> usize;

    /// Whether a number may be called.
    fn claim_state(&mut self, mobile: Mobile) -> ClaimState;

    /// Takes the permit for one call, of a number that is [`ClaimState::Granted`].
    ///
    /// # Errors
    /// The earliest time at which a permit can be free; `None` if the waker will be called instead.
    fn try_acquire(&mut self) -> Result<(), Option<Instant>>;

    /// Until when all calls are paused because of what another run reported, and its cause.
    fn paused_until(&mut self) -> Option<(Instant, Limit)>;

    /// This run's reply pauses all calls until then. `begins` is false if a pause was active
    /// already.
    fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool);

    /// A number that was called has its final outcome.
    fn on_answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>);

    /// A number will not be called after all.
    fn release(&mut self, mobile: Mobile);

    /// The rate that calls are limited to now.
    fn current_rate(&self) -> Rate;

    /// `wake` is called whenever a result may have changed.
    fn set_waker(&mut self, wake: Box<dyn Fn() + Send + Sync>);
}

/// Whether a number may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// As soon as there is a permit.
    Granted,
    /// Not known yet; the waker will be called.
    Pending,
    /// Another run called it: the answer and its time, in seconds since 1970.
    Answered(Arc<Outcome>, i64),
    /// Another run is calling it now: poll again later.
    ClaimedElsewhere,
}
