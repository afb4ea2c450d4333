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
pub trait Turns: Debug + Send {
    /// Says which numbers come next, in their order, and how many calls may start at most: whoever has to ask far away for
    /// them can ask for several at once. So many of them, from the first on, are worth asking for in turn.
    fn expect(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, room: usize) -> usize;

    /// How it stands with a number that is to be called.
    fn stand(&mut self, mobile: Mobile) -> Stand;

    /// Takes the right to make one call now, of a number that is [`Stand::Open`].
    ///
    /// # Errors
    /// The moment before which asking again is in vain, or none where there will be news instead. Nothing is used up then.
    fn take(&mut self) -> Result<(), Option<Instant>>;

    /// Until when, and why, all calls rest for a reason that others met; none where there is no such reason.
    fn rest(&mut self) -> Option<(Instant, Limit)>;

    /// All calls rest until then, by an answer that this run met; `begins` as against a rest that was on already.
    fn held(&mut self, until: Instant, cause: Limit, begins: bool);

    /// A number that was called is settled.
    fn answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>);

    /// A number is not called after all.
    fn let_go(&mut self, mobile: Mobile);

    /// The calls a second that this run aims at now.
    fn current(&self) -> Rate;

    /// Has `wake` called whenever there is news.
    fn on_news(&mut self, wake: Box<dyn Fn() + Send + Sync>);
}

/// How it stands with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It may be called in its turn.
    Open,
    /// That is not known yet; there will be news.
    Unclear,
    /// Somebody else has asked: the answer, and when it was given, in seconds since 1970.
    Known(Arc<Outcome>, i64),
    /// Somebody else asks right now: worth another look a little later.
    Elsewhere,
}
