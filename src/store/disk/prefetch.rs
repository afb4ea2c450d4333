//! Looking numbers up before a run comes to them, on threads beside it: what the last commit has. Owns how an answer of then
//! is told apart from what was learned since. Leaves what is not committed yet to `disk`, and the threads to the engine.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::sessions::Session;
use crate::store::disk::usable::CommittedAnswers;
use crate::store::disk::writer::{CommitProgress, WriteError};
use crate::store::freshness::Freshness;

/// Something known, and whence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The answer.
    pub outcome: Arc<Outcome>,
    /// Whether an earlier session asked for it.
    pub from_earlier_session: bool,
}

impl StoredAnswer {
    /// What is known of a number; `session` is the one that asks.
    pub(crate) fn look_up(
        answers: &CommittedAnswers,
        mobile: Mobile,
        now: i64,
        session: u64,
    ) -> Result<Option<Self>, StateError> {
        let kept = answers.get(mobile, now)?;
        Ok(kept.map(|kept| Self {
            outcome: kept.outcome,
            from_earlier_session: kept.session_id != session,
        }))
    }
}

/// The way to the state for those who look ahead, which whoever has this closes behind them: then no look is under way any
/// more, and what looks later finds nothing. (These threads may be waiting for somebody when a run ends, and are not waited for.)
#[derive(Debug)]
pub(crate) struct CloseGuard(SharedState);

type SharedState = Arc<RwLock<Option<Arc<State>>>>;

impl CloseGuard {
    pub(crate) fn new(state: &Arc<State>) -> Self {
        Self(Arc::new(RwLock::new(Some(Arc::clone(state)))))
    }

    pub(crate) fn shared_state(&self) -> SharedState {
        Arc::clone(&self.0)
    }
}

impl Drop for CloseGuard {
    fn drop(&mut self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What one thread needs that looks ahead.
#[derive(Clone, Debug)]
pub struct Prefetcher {
    pub(crate) state: SharedState,
    pub(crate) session: Session,
    pub(crate) freshness: Freshness,
    pub(crate) clock: fn() -> i64,
    pub(crate) progress: Arc<CommitProgress>,
    /// Which of the threads it is.
    pub(crate) worker: usize,
}

/// What was found, or that nobody looked.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    pub(crate) worker: usize,
    /// How many of the run's own answers were committed before: these were looked at.
    pub(crate) committed: u64,
    /// When that was, in seconds since 1970.
    pub(crate) looked_up_at: i64,
    /// One for each number, in their order; none where nobody looked.
    pub(crate) answers: Vec<Option<StoredAnswer>>,
}

impl Prefetcher {
    /// Looks these numbers up; cells without one know nothing. What cannot be read is not known, and ends the run.
    #[must_use]
    pub fn look_up(&self, numbers: impl Iterator<Item = Option<Mobile>>) -> Prefetched {
        let door = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*door else { return Prefetched::default() };
        // In this order: what is committed between the two is seen and not counted, which does no harm.
        let (seen, now) = (self.progress.committed(), (self.clock)());
        let view = || CommittedAnswers::open(state, self.session.scope, self.freshness);
        let answers = view().and_then(|view| {
            let recalled = |mobile| StoredAnswer::look_up(&view, mobile, now, self.session.id);
            numbers.map(|mobile| mobile.map_or(Ok(None), recalled)).collect()
        });
        let answers = answers.unwrap_or_else(|error| {
            self.progress.fail(WriteError(error.to_string()));
            Vec::new()
        });
        Prefetched { worker: self.worker, committed: seen, looked_up_at: now, answers }
    }
}
