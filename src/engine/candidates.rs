//! Which of a row's numbers gives its answer: the first that the directory has somebody with. Owns the order in which
//! they are tried; asking is `dispatcher`'s.

use std::sync::Arc;

use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::engine::reorder::Answer;
use crate::store::disk::prefetch::StoredAnswer;

/// What a row's numbers have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The answer, unless a further number has a better one.
    pub answer: Answer,
    /// Who had it asked.
    pub source: AnswerSource,
}

/// Who had a row's answer asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerSource {
    /// The row, or nobody where its cells are not sent.
    OwnRow,
    /// A row before it.
    AnotherRow,
    /// A session before this one.
    AnotherSession,
}

/// What happens next to a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It needs the answer to one of its numbers.
    Ask {
        /// Which one, from 0.
        nth: usize,
        /// The number.
        mobile: Mobile,
    },
    /// It has its answer.
    Settle(Candidate),
}

/// What happens next to a row with these `numbers`, those before the one at `from` having come to `told`; `known` is
/// asked for a number by its place and itself. A number leads
/// on to the next where it cannot be sent or the directory has nobody with it; the last number that could be sent has
/// the last word. Of cells that are not sent, the first one that holds something is told about. Nothing for a row
/// without numbers.
pub(crate) fn choose_next(
    numbers: &[Result<Mobile, Invalid>],
    from: usize,
    mut told: Option<Candidate>,
    mut known: impl FnMut(usize, Mobile) -> Option<StoredAnswer>,
) -> Option<Next> {
    let mut blank = told.is_none();
    for (nth, number) in numbers.iter().enumerate().skip(from) {
        match number {
            &Ok(mobile) => {
                let Some(StoredAnswer { outcome, from_earlier_session: earlier }) =
                    known(nth, mobile)
                else {
                    return Some(Next::Ask { nth, mobile });
                };
                let ends = !should_try_next_number(&outcome);
                // The same number once more says nothing new, and the row may have asked for it itself.
                let again = numbers.iter().take(nth).any(|before| before == number);
                if !again {
                    let by = if earlier {
                        AnswerSource::AnotherSession
                    } else {
                        AnswerSource::AnotherRow
                    };
                    told = Some(Candidate { answer: Answer::new(nth, outcome), source: by });
                }
                if ends {
                    break;
                }
                blank = false;
            }
            Err(refusal) if blank && (told.is_none() || *refusal != Invalid::Empty) => {
                let outcome =
                    Arc::new(Outcome::without_user(Status::Invalid, None, refusal.to_string()));
                told = Some(Candidate {
                    answer: Answer::new(nth, outcome),
                    source: AnswerSource::OwnRow,
                });
                blank = *refusal == Invalid::Empty;
            }
            Err(_) => {}
        }
    }
    told.map(Next::Settle)
}

/// Whether a further number of the row is worth a try: the directory has nobody with this one.
#[must_use]
pub(crate) fn should_try_next_number(outcome: &Outcome) -> bool {
    matches!(outcome.status, Status::NotFound | Status::BadNumber)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    fn number(n: usize) -> Mobile {
        Mobile::parse(&format!("1380013800{n}"), DefaultRegion::CHINA).unwrap()
    }

    /// Numbers from 0 to 9: an even one is not found, an odd one is, from 8 on nothing is known.
    fn known(_: usize, mobile: Mobile) -> Option<StoredAnswer> {
        let n = (0..8).find(|n| number(*n) == mobile)?;
        let status = if n % 2 == 0 { Status::NotFound } else { Status::Found };
        Some(StoredAnswer {
            outcome: Arc::new(Outcome::without_user(status, None, n.to_string())),
            from_earlier_session: n == 5,
        })
    }

    /// What a row of these digits comes to; `_` is an empty cell, `x` one that cannot be read.
    fn row(cells: &str) -> Option<Next> {
        let numbers: Vec<_> = cells
            .chars()
            .map(|cell| match cell {
                '_' => Err(Invalid::Empty),
                'x' => Err(Invalid::NotANumber),
                'f' => Err(Invalid::Fraction),
                digit => Ok(number(digit.to_digit(10).unwrap() as usize)),
            })
            .collect();
        choose_next(&numbers, 0, None, known)
    }

    fn settled(cells: &str) -> (usize, Status, String, AnswerSource) {
        let Some(Next::Settle(told)) = row(cells) else { panic!("{cells} asks") };
        let Outcome { status, message, .. } = &*told.answer.outcome;
        (told.answer.nth, *status, message.to_string(), told.source)
    }

    #[test]
    fn the_first_number_that_somebody_has_gives_the_answer() {
        for (cells, nth, status, message) in [
            ("1", 0, Status::Found, "1"),
            ("13", 0, Status::Found, "1"),
            ("03", 1, Status::Found, "3"),
            ("x_0x5", 4, Status::Found, "5"),
            ("02", 1, Status::NotFound, "2"),
            ("2x_", 0, Status::NotFound, "2"),
            ("x2", 1, Status::NotFound, "2"),
            ("00", 0, Status::NotFound, "0"),
            ("020", 1, Status::NotFound, "2"),
        ] {
            let by = if message == "5" {
                AnswerSource::AnotherSession
            } else {
                AnswerSource::AnotherRow
            };
            assert_eq!(settled(cells), (nth, status, message.to_owned(), by), "{cells}");
        }
        assert_eq!(row("x09"), Some(Next::Ask { nth: 2, mobile: number(9) }));
        assert_eq!(row("19").map(|next| matches!(next, Next::Settle(_))), Some(true));
        assert_eq!(row(""), None);
    }

    #[test]
    fn the_first_nonempty_invalid_cell_is_reported() {
        for (cells, nth, refusal) in [
            ("_", 0, Invalid::Empty),
            ("__", 0, Invalid::Empty),
            ("_x", 1, Invalid::NotANumber),
            ("_xf_", 1, Invalid::NotANumber),
            ("f_x", 0, Invalid::Fraction),
        ] {
            assert_eq!(
                settled(cells),
                (nth, Status::Invalid, refusal.to_string(), AnswerSource::OwnRow),
                "{cells}"
            );
        }
    }

    #[test]
    fn an_awaited_answer_is_the_rows_own() {
        let outcome = Arc::new(Outcome::without_user(Status::NotFound, None, "none"));
        let own = Candidate { answer: Answer::new(0, outcome), source: AnswerSource::OwnRow };
        let goes_on = |second: Result<Mobile, Invalid>| {
            choose_next(&[Ok(number(0)), second], 1, Some(own.clone()), known)
        };
        assert_eq!(goes_on(Err(Invalid::NotANumber)), Some(Next::Settle(own.clone())));
        assert_eq!(goes_on(Ok(number(0))), Some(Next::Settle(own.clone())));
        assert_eq!(goes_on(Ok(number(9))), Some(Next::Ask { nth: 1, mobile: number(9) }));
    }
}
