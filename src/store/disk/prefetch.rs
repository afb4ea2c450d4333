//! Looks up stored answers: in one commit, and on threads ahead of the run.

use std::sync::{Arc, PoisonError, RwLock};

use redb::{ReadOnlyTable, ReadableDatabase};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{ANSWERS, State, StateError};
use crate::store::disk::record::{AnswerKey, AnswerRecord};
use crate::store::disk::sessions::Session;
use crate::store::disk::writer::{CommitProgress, WriteError};
use crate::store::freshness::Freshness;

/// The fresh answers of one scope in one commit.
#[derive(Debug)]
pub struct CommittedAnswers {
    answers: ReadOnlyTable<AnswerKey, &'static [u8]>,
    scope: u32,
    pub(crate) freshness: Freshness,
}

impl CommittedAnswers {
    /// Reads the last commit.
    pub fn open(state: &State, scope: u32, freshness: Freshness) -> Result<Self, StateError> {
        Ok(Self { answers: state.database.begin_read()?.open_table(ANSWERS)?, scope, freshness })
    }

    /// Switches to the last commit. After an error the earlier one stays in use.
    pub fn refresh(&mut self, state: &State) -> Result<(), StateError> {
        *self = Self::open(state, self.scope, self.freshness)?;
        Ok(())
    }

    /// The answer to a number if it is fresh at `now`, in seconds since 1970. A damaged record is
    /// no answer.
    pub fn get(&self, mobile: Mobile, now: i64) -> Result<Option<AnswerRecord>, StateError> {
        let key = (self.scope, mobile.to_bits());
        let record =
            self.answers.get(key)?.and_then(|bytes| AnswerRecord::decode(key, bytes.value()));
        Ok(record.filter(|record| {
            self.freshness.allows(record.outcome.status, record.session_id, record.asked_at, now)
        }))
    }
}

/// A stored answer and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    pub outcome: Arc<Outcome>,
    /// Whether an earlier session asked for it.
    pub from_earlier_session: bool,
}

impl StoredAnswer {
    /// `session` is that of this run.
    pub(crate) fn look_up(
        answers: &CommittedAnswers,
        mobile: Mobile,
        now: i64,
        session: u64,
    ) -> Result<Option<Self>, StateError> {
        let record = answers.get(mobile, now)?;
        Ok(record.map(|record| Self {
            outcome: record.outcome,
            from_earlier_session: record.session_id != session,
        }))
    }
}

/// Ends the prefetch threads' access to the state. Dropping it waits for lookups in progress; later
/// ones find nothing. (At the end of a run these threads may be blocked, and nobody joins them.)
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

/// What one prefetch thread needs.
#[derive(Clone, Debug)]
pub struct Prefetcher {
    pub(crate) state: SharedState,
    pub(crate) session: Session,
    pub(crate) freshness: Freshness,
    pub(crate) clock: fn() -> i64,
    pub(crate) progress: Arc<CommitProgress>,
    /// The index of the thread.
    pub(crate) worker: usize,
}

/// The result of one lookup ahead; empty if there was none.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    pub(crate) worker: usize,
    /// How many of this run's answers were in the commit that was read.
    pub(crate) committed: u64,
    /// In seconds since 1970.
    pub(crate) looked_up_at: i64,
    /// One per number, in order; empty if nothing was looked up.
    pub(crate) answers: Vec<Option<StoredAnswer>>,
}

impl Prefetcher {
    /// Looks numbers up; a cell without one has no answer. A read error ends the run.
    #[must_use]
    pub fn look_up(&self, numbers: impl Iterator<Item = Option<Mobile>>) -> Prefetched {
        let guard = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*guard else { return Prefetched::default() };
        // In this order: an answer committed in between is found but not counted, which does no
        // harm.
        let (committed, now) = (self.progress.committed(), (self.clock)());
        let view = || CommittedAnswers::open(state, self.session.scope, self.freshness);
        let answers = view().and_then(|view| {
            let find = |mobile| StoredAnswer::look_up(&view, mobile, now, self.session.id);
            numbers.map(|mobile| mobile.map_or(Ok(None), find)).collect()
        });
        let answers = answers.unwrap_or_else(|error| {
            self.progress.fail(WriteError(error.to_string()));
            Vec::new()
        });
        Prefetched { worker: self.worker, committed, looked_up_at: now, answers }
    }
}
