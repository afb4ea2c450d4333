//! The latest answers by their `request_id`, which the API gives to one call only.
//! A server or proxy that sends a reply twice would otherwise answer the next number on that
//! connection with the answer of the number before it.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::domain::outcome::Outcome;

/// More answers than arrive while a connection is kept idle (half a second).
const CAPACITY: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct RecentAnswers {
    hasher: RandomState,
    /// Oldest first.
    order: VecDeque<u64>,
    known: HashSet<u64>,
    /// Whether the host gives one id to several calls.
    is_disabled: bool,
}

impl RecentAnswers {
    /// Remembers an answer. Returns its digest if the same answer with the same id came before.
    pub(crate) fn on_answer(&mut self, outcome: &Outcome) -> Option<u64> {
        if self.is_disabled || outcome.request_id.is_empty() {
            return None;
        }
        // Gateways that number their calls may use an id twice. A repeated reply also has the same
        // content.
        let Outcome { request_id, status, userid, exclusive_ids, .. } = outcome;
        let digest = self.hasher.hash_one((request_id, *status as u8, userid, exclusive_ids));
        if !self.known.insert(digest) {
            return Some(digest);
        }
        self.order.push_back(digest);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        None
    }

    /// The ids of this host say nothing.
    pub(crate) fn disable(&mut self) {
        self.is_disabled = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{Code, Status};

    fn answer(request_id: &str, userid: &str) -> Outcome {
        let found = Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok");
        Outcome { userid: userid.into(), request_id: request_id.into(), ..found }
    }

    #[test]
    fn only_the_same_answer_with_the_same_id_is_a_repetition() {
        let mut answers = RecentAnswers::default();
        for (id, user) in [("r1", "a"), ("r2", "a"), ("r1", "b"), ("", "a"), ("", "a")] {
            assert_eq!(answers.on_answer(&answer(id, user)), None, "{id} {user}");
        }
        let digest = answers.on_answer(&answer("r1", "a"));
        assert!(digest.is_some() && digest == answers.on_answer(&answer("r1", "a")));
        assert_ne!(digest, answers.on_answer(&answer("r2", "a")));
        answers.disable();
        assert_eq!(answers.on_answer(&answer("r1", "a")), None);
    }

    #[test]
    fn the_memory_of_answers_is_bounded() {
        let mut answers = RecentAnswers::default();
        for n in 0..3 * CAPACITY {
            assert_eq!(answers.on_answer(&answer(&n.to_string(), "a")), None);
        }
        assert_eq!((answers.order.len(), answers.known.len()), (CAPACITY, CAPACITY));
    }
}
