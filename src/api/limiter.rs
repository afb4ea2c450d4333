//! Turns: who may call which number when. The one seam behind which a quota is one process's own (`pace`) or shared by runs
//! on many hosts (`shared`). Owns what a run asks of whoever gives turns out, and what it can hear. Leaves waiting to the engine.

use std::fmt::Debug;
use std::sync::Arc;

use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;

/// Gives out the right to make a call, one at a time, to the one task that asks.
pub trait Limiter: Debug + Send {
    /// Announces the next numbers, in their order, and how many calls may start at most, so that a
    /// remote limiter can claim several numbers in one request.
    fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, free_workers: usize);

    /// How many of the announced numbers, from the first on, are worth a
    /// [`claim_state`](Limiter::claim_state).
    fn lookahead(&self) -> usize;

    /// How it stands with a number that is to be called.
    fn claim_state(&mut self, mobile: Mobile) -> ClaimState;

    /// Takes the right to make one call now, of a number that is [`Stand::Open`].
    ///
    /// # Errors
    /// The moment before which asking again is in vain, or none where there will be news instead. Nothing is used up then.
    fn try_acquire(&mut self) -> Result<(), Option<Instant>>;

    /// Until when, and why, all calls rest for a reason that others met; none where there is no such reason.
    fn paused_until(&mut self) -> Option<(Instant, Limit)>;

    /// All calls rest until then, by an answer that this run met; `begins` as against a rest that was on already.
    fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool);

    /// A number that was called is settled.
    fn on_answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>);

    /// A number is not called after all.
    fn release(&mut self, mobile: Mobile);

    /// The calls a second that this run aims at now.
    fn current_rate(&self) -> Rate;

    /// Has `wake` called whenever there is news.
    fn set_waker(&mut self, wake: Box<dyn Fn() + Send + Sync>);
}

/// How it stands with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// It may be called in its turn.
    Granted,
    /// That is not known yet; there will be news.
    Pending,
    /// Somebody else has asked: the answer, and when it was given, in seconds since 1970.
    Answered(Arc<Outcome>, i64),
    /// Somebody else asks right now: worth another look a little later.
    ClaimedElsewhere,
}
