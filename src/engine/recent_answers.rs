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
    /// The last answer that came again, and the count of resets of connections when it first did.
    repeated: Option<(u64, u64)>,
    /// Whether the host gives one id to several calls.
    is_disabled: bool,
}

impl RecentAnswers {
    /// Remembers an answer to a call that was sent after `sent_epoch` resets of connections, of
    /// now `epoch`. True if it is the answer of an earlier call. A reply that was sent twice cannot
    /// come on a new connection: if it does, the host gives one id to several calls.
    pub(crate) fn is_repeated(&mut self, outcome: &Outcome, sent_epoch: u64, epoch: u64) -> bool {
        if self.is_disabled || outcome.request_id.is_empty() {
            return false;
        }
        // Gateways that number their calls may use an id twice. A repeated reply also has the same
        // content.
        let Outcome { request_id, status, userid, exclusive_ids, .. } = outcome;
        let digest = self.hasher.hash_one((request_id, *status as u8, userid, exclusive_ids));
        if !self.known.insert(digest) {
            match self.repeated {
                Some((repeated, at)) if repeated == digest => self.is_disabled = sent_epoch > at,
                _ => self.repeated = Some((digest, epoch)),
            }
            return !self.is_disabled;
        }
        self.order.push_back(digest);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
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
            assert!(!answers.is_repeated(&answer(id, user), 0, 0), "{id} {user}");
        }
        assert!(answers.is_repeated(&answer("r1", "a"), 0, 0));
        assert!(answers.is_repeated(&answer("r2", "a"), 0, 1), "another one");
    }

    #[test]
    fn an_answer_that_comes_again_on_a_new_connection_shows_that_ids_are_shared() {
        let mut answers = RecentAnswers::default();
        let mut is_repeated =
            |sent_epoch, epoch| answers.is_repeated(&answer("always", "a"), sent_epoch, epoch);
        assert_eq!([is_repeated(0, 0), is_repeated(0, 0)], [false, true]);
        assert!(is_repeated(0, 1) && is_repeated(0, 2), "sent before the first reset");
        assert!(!is_repeated(1, 3) && !is_repeated(3, 3));
    }

    #[test]
    fn the_memory_of_answers_is_bounded() {
        let mut answers = RecentAnswers::default();
        for n in 0..3 * CAPACITY {
            assert!(!answers.is_repeated(&answer(&n.to_string(), "a"), 0, 0));
        }
        assert_eq!((answers.order.len(), answers.known.len()), (CAPACITY, CAPACITY));
    }
}
