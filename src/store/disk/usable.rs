//! Looking up a kept answer that may be used: in one commit, for one scope, by one rule. Leaves which rule that is to
//! `runs` and `rule`, and answers that are not committed yet to `disk`.

use redb::{ReadOnlyTable, ReadableDatabase};

use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{ANSWERS, State, StateError};
use crate::store::disk::record::{AnswerKey, AnswerRecord};
use crate::store::freshness::Freshness;

/// The answers of the last commit when this was made, those of one scope that a rule allows.
#[derive(Debug)]
pub struct CommittedAnswers {
    answers: ReadOnlyTable<AnswerKey, &'static [u8]>,
    scope: u32,
    pub(crate) freshness: Freshness,
}

impl CommittedAnswers {
    /// Looks at the last commit.
    ///
    /// # Errors
    /// What the database says.
    pub fn open(state: &State, scope: u32, rule: Freshness) -> Result<Self, StateError> {
        Ok(Self {
            answers: state.database.begin_read()?.open_table(ANSWERS)?,
            scope,
            freshness: rule,
        })
    }

    /// Looks at the commit that is the last one now.
    ///
    /// # Errors
    /// What the database says; the commit before is still looked at.
    pub fn refresh(&mut self, state: &State) -> Result<(), StateError> {
        *self = Self::open(state, self.scope, self.freshness)?;
        Ok(())
    }

    /// The answer to a number, if there is one that may be used at `now`, in seconds since 1970. What cannot be read as it
    /// was written is none.
    ///
    /// # Errors
    /// What the database says.
    pub fn get(&self, mobile: Mobile, now: i64) -> Result<Option<AnswerRecord>, StateError> {
        let key = (self.scope, mobile.to_bits());
        let kept =
            self.answers.get(key)?.and_then(|bytes| AnswerRecord::decode(key, bytes.value()));
        Ok(kept.filter(|kept| {
            self.freshness.allows(kept.outcome.status, kept.session_id, kept.asked_at, now)
        }))
    }
}
