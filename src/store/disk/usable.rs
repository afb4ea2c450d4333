//! Looking up a kept answer that may be used: in one commit, for one scope, by one rule. Leaves which rule that is to
//! `runs` and `rule`, and answers that are not committed yet to `disk`.

use redb::{ReadOnlyTable, ReadableDatabase};

use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{ANSWERS, State, StateError};
use crate::store::disk::record::{Kept, Key};
use crate::store::freshness::Rule;

/// The answers of the last commit when this was made, those of one scope that a rule allows.
#[derive(Debug)]
pub struct Usable {
    answers: ReadOnlyTable<Key, &'static [u8]>,
    scope: u32,
    pub(crate) rule: Rule,
}

impl Usable {
    /// Looks at the last commit.
    ///
    /// # Errors
    /// What the database says.
    pub fn of(state: &State, scope: u32, rule: Rule) -> Result<Self, StateError> {
        Ok(Self { answers: state.database.begin_read()?.open_table(ANSWERS)?, scope, rule })
    }

    /// Looks at the commit that is the last one now.
    ///
    /// # Errors
    /// What the database says; the commit before is still looked at.
    pub fn refresh(&mut self, state: &State) -> Result<(), StateError> {
        *self = Self::of(state, self.scope, self.rule)?;
        Ok(())
    }

    /// The answer to a number, if there is one that may be used at `now`, in seconds since 1970. What cannot be read as it
    /// was written is none.
    ///
    /// # Errors
    /// What the database says.
    pub fn get(&self, mobile: Mobile, now: i64) -> Result<Option<Kept>, StateError> {
        let key = (self.scope, mobile.bits());
        let kept = self.answers.get(key)?.and_then(|bytes| Kept::decode(key, bytes.value()));
        Ok(kept.filter(|kept| self.rule.allows(kept.outcome.status, kept.session, kept.asked, now)))
    }
}
