//! What this run knows already, in memory: answers that it was given, by number. Leaves those that outlive the run to
//! `disk`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};

/// The message of nearly every success.
const OK: &str = "ok";

/// The answers of one run. A number that failed is known too: its repeats in the same run are not asked again.
///
/// It grows with the distinct numbers of a run, so the usual answer, a user id and nothing unusual about it, is kept
/// without its repetitive parts.
#[derive(Debug, Default)]
pub(crate) struct Answers(HashMap<Mobile, Kept>);

#[derive(Debug)]
enum Kept {
    /// Found, code 0, message "ok", no exclusive accounts: the user id.
    Plain(Box<str>),
    /// Anything else.
    Whole(Arc<Outcome>),
}

impl Answers {
    /// The answer to a number, if there is one.
    #[must_use]
    pub(crate) fn get(&self, mobile: Mobile) -> Option<Arc<Outcome>> {
        Some(match self.0.get(&mobile)? {
            Kept::Plain(userid) => Arc::new(Outcome {
                userid: userid.clone(),
                ..Outcome::bare(Status::Found, Some(Code::Number(0)), OK)
            }),
            Kept::Whole(outcome) => Arc::clone(outcome),
        })
    }

    /// Keeps an answer.
    pub(crate) fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        let plain = outcome.status == Status::Found
            && outcome.code == Some(Code::Number(0))
            && outcome.exclusive.is_empty()
            && &*outcome.message == OK;
        let kept = if plain {
            Kept::Plain(outcome.userid.clone())
        } else {
            Kept::Whole(Arc::clone(outcome))
        };
        self.0.insert(mobile, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::Home;

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let found = Outcome {
            userid: "u".into(),
            ..Outcome::bare(Status::Found, Some(Code::Number(0)), OK)
        };
        let outcomes = [
            found.clone(),
            Outcome { exclusive: "a;b".into(), ..found.clone() },
            Outcome { message: "fine".into(), ..found.clone() },
            Outcome { code: None, ..found },
            Outcome::bare(Status::NotFound, Some(Code::Number(60121)), OK),
            Outcome::bare(Status::Failed, None, "no reply"),
        ];
        let mut answers = Answers::default();
        let number = |n: usize| Mobile::parse(&format!("1380013800{n}"), Home::CHINA).unwrap();
        for (n, outcome) in outcomes.iter().enumerate() {
            assert!(answers.get(number(n)).is_none());
            answers.keep(number(n), &Arc::new(outcome.clone()));
            assert_eq!(answers.get(number(n)).as_deref(), Some(outcome));
        }
    }
}
