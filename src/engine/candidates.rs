//! Which of a row's numbers gives its answer: the first one that somebody in the organization has.

use std::sync::Arc;

use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::engine::reorder::Answer;
use crate::store::disk::prefetch::StoredAnswer;

/// The answer of a row, unless a further number of the row has a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub answer: Answer,
    pub source: AnswerSource,
}

/// Where the answer of a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerSource {
    /// A call for this row, or no call, if its cells are not sent.
    OwnRow,
    /// A call for a row before it.
    AnotherRow,
    /// An earlier session, or another run.
    AnotherSession,
}

/// What to do next with a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for the answer to its `nth` number, counted from 0.
    Ask {
        nth: usize,
        mobile: Mobile,
    },
    Settle(Candidate),
}

/// What to do next with a row that has these `numbers`. `candidate` is the result of the numbers
/// before `from`; `known_answer` looks up a number by its position and value.
///
/// The next number is tried if this one is invalid, not found or a bad number. The answer of the
/// last valid number counts. If no number is valid, the first non-empty cell gives the reason.
/// `None` for a row without numbers.
pub(crate) fn choose_next(
    numbers: &[Result<Mobile, Invalid>],
    from: usize,
    mut candidate: Option<Candidate>,
    mut known_answer: impl FnMut(usize, Mobile) -> Option<StoredAnswer>,
) -> Option<Next> {
    // Whether all cells so far are empty, so that the reason of an invalid cell is better.
    let mut is_blank = candidate.is_none();
    for (nth, number) in numbers.iter().enumerate().skip(from) {
        match number {
            &Ok(mobile) => {
                let Some(StoredAnswer { outcome, from_earlier_session }) =
                    known_answer(nth, mobile)
                else {
                    return Some(Next::Ask { nth, mobile });
                };
                let is_last = !should_try_next_number(&outcome);
                // A number repeated in the row adds nothing, and its answer may be from a call of
                // this row.
                let is_repeated = numbers.iter().take(nth).any(|before| before == number);
                if !is_repeated {
                    let source = if from_earlier_session {
                        AnswerSource::AnotherSession
                    } else {
                        AnswerSource::AnotherRow
                    };
                    candidate = Some(Candidate { answer: Answer::new(nth, outcome), source });
                }
                if is_last {
                    break;
                }
                is_blank = false;
            }
            Err(reason) if is_blank && (candidate.is_none() || !reason.is_blank()) => {
                let outcome =
                    Arc::new(Outcome::without_user(Status::Invalid, None, reason.to_string()));
                candidate = Some(Candidate {
                    answer: Answer::new(nth, outcome),
                    source: AnswerSource::OwnRow,
                });
                is_blank = reason.is_blank();
            }
            Err(_) => {}
        }
    }
    candidate.map(Next::Settle)
}

/// Whether the next number of the row is tried: nobody has this one.
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

    /// Of the numbers 0 to 9, even ones are not found, odd ones are found, 8 and 9 are not known.
    fn known_answer(_: usize, mobile: Mobile) -> Option<StoredAnswer> {
        let n = (0..8).find(|n| number(*n) == mobile)?;
        let status = if n % 2 == 0 { Status::NotFound } else { Status::Found };
        Some(StoredAnswer {
            outcome: Arc::new(Outcome::without_user(status, None, n.to_string())),
            from_earlier_session: n == 5,
        })
    }

    /// The next action of a row with these numbers; `_` is an empty cell, `-` a cell for none, `x`
    /// no number, `f` a fraction.
    fn row(cells: &str) -> Option<Next> {
        let numbers: Vec<_> = cells
            .chars()
            .map(|cell| match cell {
                '_' => Err(Invalid::Empty),
                '-' => Err(Invalid::NoNumber),
                'x' => Err(Invalid::NotANumber),
                'f' => Err(Invalid::Fraction),
                digit => Ok(number(digit.to_digit(10).unwrap() as usize)),
            })
            .collect();
        choose_next(&numbers, 0, None, known_answer)
    }

    fn settled(cells: &str) -> (usize, Status, String, AnswerSource) {
        let Some(Next::Settle(candidate)) = row(cells) else { panic!("{cells} needs a call") };
        let Outcome { status, message, .. } = &*candidate.answer.outcome;
        (candidate.answer.nth, *status, message.to_string(), candidate.source)
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
            let source = if message == "5" {
                AnswerSource::AnotherSession
            } else {
                AnswerSource::AnotherRow
            };
            assert_eq!(settled(cells), (nth, status, message.to_owned(), source), "{cells}");
        }
        assert_eq!(row("x09"), Some(Next::Ask { nth: 2, mobile: number(9) }));
        assert_eq!(row("19").map(|next| matches!(next, Next::Settle(_))), Some(true));
        assert_eq!(row(""), None);
    }

    #[test]
    fn the_first_nonempty_invalid_cell_is_reported() {
        for (cells, nth, reason) in [
            ("_", 0, Invalid::Empty),
            ("__", 0, Invalid::Empty),
            ("_x", 1, Invalid::NotANumber),
            ("-_", 0, Invalid::NoNumber),
            ("-x", 1, Invalid::NotANumber),
            ("_xf_", 1, Invalid::NotANumber),
            ("f_x", 0, Invalid::Fraction),
        ] {
            assert_eq!(
                settled(cells),
                (nth, Status::Invalid, reason.to_string(), AnswerSource::OwnRow),
                "{cells}"
            );
        }
    }

    #[test]
    fn an_awaited_answer_is_the_rows_own() {
        let outcome = Arc::new(Outcome::without_user(Status::NotFound, None, "none"));
        let own = Candidate { answer: Answer::new(0, outcome), source: AnswerSource::OwnRow };
        let next_of = |second: Result<Mobile, Invalid>| {
            choose_next(&[Ok(number(0)), second], 1, Some(own.clone()), known_answer)
        };
        assert_eq!(next_of(Err(Invalid::NotANumber)), Some(Next::Settle(own.clone())));
        assert_eq!(next_of(Ok(number(0))), Some(Next::Settle(own.clone())));
        assert_eq!(next_of(Ok(number(9))), Some(Next::Ask { nth: 1, mobile: number(9) }));
    }
}
