//! Looking numbers up before a run comes to them, on threads beside it: what the last commit has. Owns how an answer of then
//! is told apart from what was learned since. Leaves what is not committed yet to `disk`, and the threads to the engine.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::sessions::Begun;
use crate::store::disk::usable::Usable;
use crate::store::disk::writer::{Lost, Progress};
use crate::store::freshness::Rule;

/// Something known, and whence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The answer.
    pub outcome: Arc<Outcome>,
    /// Whether an earlier session asked for it.
    pub earlier: bool,
}

impl Recalled {
    /// What is known of a number; `session` is the one that asks.
    pub(crate) fn of(
        answers: &Usable,
        mobile: Mobile,
        now: i64,
        session: u64,
    ) -> Result<Option<Self>, StateError> {
        let kept = answers.get(mobile, now)?;
        Ok(kept.map(|kept| Self { outcome: kept.outcome, earlier: kept.session != session }))
    }
}

/// The way to the state for those who look ahead, which whoever has this closes behind them: then no look is under way any
/// more, and what looks later finds nothing. (These threads may be waiting for somebody when a run ends, and are not waited for.)
#[derive(Debug)]
pub(crate) struct Door(Way);

type Way = Arc<RwLock<Option<Arc<State>>>>;

impl Door {
    pub(crate) fn to(state: &Arc<State>) -> Self {
        Self(Arc::new(RwLock::new(Some(Arc::clone(state)))))
    }

    pub(crate) fn way(&self) -> Way {
        Arc::clone(&self.0)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What one thread needs that looks ahead.
#[derive(Clone, Debug)]
pub struct Ahead {
    pub(crate) way: Way,
    pub(crate) begun: Begun,
    pub(crate) rule: Rule,
    pub(crate) clock: fn() -> i64,
    pub(crate) progress: Arc<Progress>,
    /// Which of the threads it is.
    pub(crate) lane: usize,
}

/// What was found, or that nobody looked.
#[derive(Clone, Debug, Default)]
pub struct Foreseen {
    pub(crate) lane: usize,
    /// How many of the run's own answers were committed before: these were looked at.
    pub(crate) seen: u64,
    /// When that was, in seconds since 1970.
    pub(crate) at: i64,
    /// One for each number, in their order; none where nobody looked.
    pub(crate) answers: Vec<Option<Recalled>>,
}

impl Ahead {
    /// Looks these numbers up; cells without one know nothing. What cannot be read is not known, and ends the run.
    #[must_use]
    pub fn look(&self, numbers: impl Iterator<Item = Option<Mobile>>) -> Foreseen {
        let door = self.way.read().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*door else { return Foreseen::default() };
        // In this order: what is committed between the two is seen and not counted, which does no harm.
        let (seen, now) = (self.progress.committed(), (self.clock)());
        let view = || Usable::of(state, self.begun.scope, self.rule);
        let answers = view().and_then(|view| {
            let recalled = |mobile| Recalled::of(&view, mobile, now, self.begun.session);
            numbers.map(|mobile| mobile.map_or(Ok(None), recalled)).collect()
        });
        let answers = answers.unwrap_or_else(|error| {
            self.progress.lose(Lost(error.to_string()));
            Vec::new()
        });
        Foreseen { lane: self.lane, seen, at: now, answers }
    }
}
