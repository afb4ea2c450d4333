//! The answers of this run, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};

/// The message of almost every found number.
const OK_MESSAGE: &str = "ok";

/// The answers of one run, failed ones included.
///
/// Its size grows with the distinct numbers of a run, so the most common kind of answer is stored
/// as its user id alone.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore(HashMap<Mobile, StoredOutcome>);

#[derive(Debug)]
enum StoredOutcome {
    /// Found, code 0, message "ok", no exclusive accounts: the user id.
    Compact(Box<str>),
    /// Anything else.
    Full(Arc<Outcome>),
}

impl MemoryStore {
    #[must_use]
    pub(crate) fn get(&self, mobile: Mobile) -> Option<Arc<Outcome>> {
        Some(match self.0.get(&mobile)? {
            StoredOutcome::Compact(userid) => Arc::new(Outcome {
                userid: userid.clone(),
                ..Outcome::without_user(Status::Found, Some(Code::Number(0)), OK_MESSAGE)
            }),
            StoredOutcome::Full(outcome) => Arc::clone(outcome),
        })
    }

    pub(crate) fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        let is_compact = outcome.status == Status::Found
            && outcome.code == Some(Code::Number(0))
            && outcome.exclusive_ids.is_empty()
            && &*outcome.message == OK_MESSAGE;
        let stored = if is_compact {
            StoredOutcome::Compact(outcome.userid.clone())
        } else {
            StoredOutcome::Full(Arc::clone(outcome))
        };
        self.0.insert(mobile, stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    #[test]
    fn a_stored_answer_survives_a_round_trip() {
        let found = Outcome {
            userid: "u".into(),
            ..Outcome::without_user(Status::Found, Some(Code::Number(0)), OK_MESSAGE)
        };
        let outcomes = [
            found.clone(),
            Outcome { exclusive_ids: "a;b".into(), ..found.clone() },
            Outcome { message: "fine".into(), ..found.clone() },
            Outcome { code: None, ..found },
            Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), OK_MESSAGE),
            Outcome::without_user(Status::Failed, None, "no reply"),
        ];
        let mut answers = MemoryStore::default();
        let number =
            |n: usize| Mobile::parse(&format!("1380013800{n}"), DefaultRegion::CHINA).unwrap();
        for (n, outcome) in outcomes.iter().enumerate() {
            assert!(answers.get(number(n)).is_none());
            answers.keep(number(n), &Arc::new(outcome.clone()));
            assert_eq!(answers.get(number(n)).as_deref(), Some(outcome));
        }
    }
}
