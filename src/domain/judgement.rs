//! Which rows of a resolved table are asked again: one function, by what is known of the row.

use crate::domain::outcome::Status;

/// What a row of a resolved table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowFacts {
    /// `None` if the cell is empty.
    pub status: Option<Status>,
    /// Whether a spreadsheet rounded a user id of a row that was found.
    pub has_rounded_id: bool,
    pub numbers: NumberReading,
    /// Whether an invalid row has another reason than that of its cells.
    pub has_stale_reason: bool,
}

/// How well the number cells of a row can be read, by the best of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NumberReading {
    /// A number can be sent.
    Sendable,
    /// A number can be read, but the rules of this run do not send it.
    Readable,
    /// A spreadsheet rounded the number, or did not keep the value of a formula.
    Damaged,
    /// A cell has the digits of a number, which may be readable by other flags (`--region`).
    Unreadable,
    /// No cell has the digits of a number.
    Missing,
}

impl NumberReading {
    #[must_use]
    pub(crate) fn are_readable(self) -> bool {
        matches!(self, Self::Sendable | Self::Readable)
    }
}

/// How the numbers of a row compare with the number that an earlier run sent (`mobile_sent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SentNumber {
    /// The table does not have it.
    Unknown,
    /// The answer is about it, and the row still has it.
    Same,
    /// The row still has it, but another number of the row is tried before it.
    Later,
    /// The row does not have it, or has a number that is tried after it.
    Different,
}

/// What the state says about the answer of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AnswerRecord {
    /// Nothing: there is no state, or it was not read.
    NotRead,
    /// The answer is that of the row's number.
    Same,
    /// The number has another answer, or the answer is that of another number.
    Different,
    /// The state has no answer to the number.
    Unknown,
}

/// What all rows of a table together show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFacts {
    /// Whether the state has the answers to all numbers that were asked.
    pub has_all_answers: bool,
    /// Whether most numbers cannot be read: not the numbers were changed, but a flag is missing.
    pub is_misread: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The row keeps the answer with this status, which is about its number.
    Keep(Status),
    /// The row keeps the answer with this status, although nothing shows that it is about its
    /// number.
    KeepUnjudged(Status),
    /// The row stays invalid and gets the reason of its cells.
    UpdateReason,
    /// The row is asked. If the run ends first, it keeps the answer with the status `fallback`;
    /// without one, it is `pending`.
    Ask { reason: AskReason, fallback: Option<Status> },
}

/// Why a row is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskReason {
    Status(Status),
    NoStatus,
    /// It was invalid and can be sent now.
    Corrected,
    /// Its number is not the one that was asked.
    Changed,
    /// Its number is not in the state, which has the answers of the table.
    NotInState,
    RoundedId,
}

impl Judgement {
    /// The status of a row that keeps its answer.
    #[must_use]
    pub fn kept_status(self) -> Option<Status> {
        match self {
            Self::Keep(status) | Self::KeepUnjudged(status) => Some(status),
            Self::UpdateReason | Self::Ask { .. } => None,
        }
    }

    /// The status with which a row keeps its answer if the run ends before it is asked.
    #[must_use]
    pub fn fallback_status(self) -> Option<Status> {
        match self {
            Self::Keep(status) | Self::KeepUnjudged(status) => Some(status),
            Self::UpdateReason => Some(Status::Invalid),
            Self::Ask { fallback, .. } => fallback,
        }
    }
}

/// Whether the API has answered a row with this status.
#[must_use]
pub(crate) fn is_answer(status: Status) -> bool {
    !matches!(status, Status::Invalid | Status::Failed | Status::Pending)
}

/// Judges a row; `statuses` are those that are asked again.
#[must_use]
pub(crate) fn judge(
    row: RowFacts,
    sent: SentNumber,
    record: AnswerRecord,
    table: TableFacts,
    statuses: &[Status],
) -> Judgement {
    let Some(status) = row.status else {
        return Judgement::Ask { reason: AskReason::NoStatus, fallback: None };
    };
    if status == Status::Invalid {
        return match row.numbers {
            NumberReading::Sendable => {
                Judgement::Ask { reason: AskReason::Corrected, fallback: None }
            }
            _ if row.has_stale_reason => Judgement::UpdateReason,
            _ => Judgement::Keep(status),
        };
    }
    let is_named = statuses.contains(&status);
    // What the state has since learned about a number that failed is no reason to take its
    // failure away before the row is asked.
    let needs_record = is_answer(status) || !is_named;
    let record = if needs_record { record } else { AnswerRecord::NotRead };
    let by_status = |fallback| Judgement::Ask { reason: AskReason::Status(status), fallback };
    match compare_number(row.numbers, sent, record, table, is_answer(status)) {
        NumberComparison::Changed(_) if is_named && !is_answer(status) => by_status(None),
        NumberComparison::Changed(reason) => Judgement::Ask { reason, fallback: None },
        // To ask it would only take its answer away.
        NumberComparison::Unclear if is_answer(status) && !row.numbers.are_readable() => {
            Judgement::KeepUnjudged(status)
        }
        // The row has no user id, as if it had not been asked.
        _ if row.has_rounded_id => {
            Judgement::Ask { reason: AskReason::RoundedId, fallback: Some(Status::Pending) }
        }
        NumberComparison::Unclear if is_named && status == Status::Found => by_status(None),
        _ if is_named => by_status(Some(status)),
        NumberComparison::Unclear if is_answer(status) => Judgement::KeepUnjudged(status),
        NumberComparison::Same | NumberComparison::Unclear => Judgement::Keep(status),
    }
}

/// Whether the answer of a row is about its number.
enum NumberComparison {
    Same,
    Changed(AskReason),
    Unclear,
}

fn compare_number(
    numbers: NumberReading,
    sent: SentNumber,
    record: AnswerRecord,
    table: TableFacts,
    is_answered: bool,
) -> NumberComparison {
    let changed = NumberComparison::Changed(AskReason::Changed);
    match (numbers, sent, record) {
        (NumberReading::Missing, ..) | (_, SentNumber::Different, _) => changed,
        (_, SentNumber::Same, _) => NumberComparison::Same,
        (NumberReading::Damaged, ..) => NumberComparison::Unclear,
        (NumberReading::Unreadable, ..) if table.is_misread => NumberComparison::Unclear,
        (NumberReading::Unreadable, ..) | (_, _, AnswerRecord::Different) => changed,
        (_, _, AnswerRecord::Same) => NumberComparison::Same,
        // Nothing is recorded of a number that failed.
        (_, _, AnswerRecord::Unknown) if table.has_all_answers && is_answered => {
            NumberComparison::Changed(AskReason::NotInState)
        }
        (_, SentNumber::Later, _) => changed,
        (_, SentNumber::Unknown, _) => NumberComparison::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [NumberReading; 5] = [
        NumberReading::Sendable,
        NumberReading::Readable,
        NumberReading::Damaged,
        NumberReading::Unreadable,
        NumberReading::Missing,
    ];
    const SENT: [SentNumber; 4] =
        [SentNumber::Unknown, SentNumber::Same, SentNumber::Later, SentNumber::Different];
    const RECORDS: [AnswerRecord; 4] =
        [AnswerRecord::NotRead, AnswerRecord::Same, AnswerRecord::Different, AnswerRecord::Unknown];
    const DEFAULT: [Status; 2] = [Status::Failed, Status::Pending];

    /// A column of the table: the numbers, what was sent, the record, whether the state has all
    /// answers, and whether the table is misread. `None` stands for every value.
    type Pattern = (
        Option<&'static [NumberReading]>,
        Option<SentNumber>,
        Option<AnswerRecord>,
        Option<bool>,
        Option<bool>,
    );

    /// Whether the answer of a row is about its number: `same`, `changed`, `new`, `unclear`. The
    /// first pattern that fits counts.
    const TABLE: [(Pattern, &str); 13] = {
        use AnswerRecord as R;
        use NumberReading as N;
        use SentNumber as S;
        [
            ((Some(&[N::Missing]), None, None, None, None), "changed"),
            ((None, Some(S::Same), None, None, None), "same"),
            ((None, Some(S::Different), None, None, None), "changed"),
            ((Some(&[N::Damaged]), None, None, None, None), "unclear"),
            ((Some(&[N::Unreadable]), None, None, None, Some(true)), "unclear"),
            ((Some(&[N::Unreadable]), None, None, None, Some(false)), "changed"),
            ((None, None, Some(R::Same), None, None), "same"),
            ((None, None, Some(R::Different), None, None), "changed"),
            ((None, None, Some(R::Unknown), Some(true), None), "new"),
            ((None, Some(S::Later), Some(R::Unknown), Some(false), None), "changed"),
            ((None, Some(S::Later), Some(R::NotRead), None, None), "changed"),
            ((None, Some(S::Unknown), Some(R::Unknown), Some(false), None), "unclear"),
            ((None, Some(S::Unknown), Some(R::NotRead), None, None), "unclear"),
        ]
    };

    fn expected_comparison(
        numbers: NumberReading,
        sent: SentNumber,
        record: AnswerRecord,
        table: TableFacts,
    ) -> &'static str {
        let fits = |(some_numbers, some_sent, some_record, all, misread): &Pattern| {
            some_numbers.is_none_or(|some| some.contains(&numbers))
                && some_sent.is_none_or(|some| some == sent)
                && some_record.is_none_or(|some| some == record)
                && all.is_none_or(|some| some == table.has_all_answers)
                && misread.is_none_or(|some| some == table.is_misread)
        };
        TABLE.iter().find(|(pattern, _)| fits(pattern)).unwrap().1
    }

    /// Calls `check` with every combination.
    fn for_each_case(
        mut check: impl FnMut(RowFacts, SentNumber, AnswerRecord, TableFacts, &[Status]),
    ) {
        let all = Status::ALL.into_iter().map(Some).chain([None]);
        for status in all {
            for (has_rounded_id, has_stale_reason) in
                [(false, false), (true, false), (false, true), (true, true)]
            {
                for numbers in NUMBERS {
                    for sent in SENT {
                        for record in RECORDS {
                            for bits in 0..4 {
                                let table = TableFacts {
                                    has_all_answers: bits & 1 != 0,
                                    is_misread: bits & 2 != 0,
                                };
                                let row =
                                    RowFacts { status, has_rounded_id, numbers, has_stale_reason };
                                check(row, sent, record, table, &DEFAULT);
                                check(row, sent, record, table, &Status::ALL);
                                check(row, sent, record, table, &[]);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_combination_is_judged_by_the_table() {
        let mut cases = 0;
        for_each_case(|row, sent, record, table, statuses| {
            cases += 1;
            let judgement = judge(row, sent, record, table, statuses);
            let ask = |reason, fallback| Judgement::Ask { reason, fallback };
            let named = row.status.is_some_and(|status| statuses.contains(&status));
            let comparison = match row.status {
                // Without what the state has: nothing is recorded of a number that failed.
                Some(Status::Failed | Status::Pending) => {
                    let record = match record {
                        _ if named => AnswerRecord::NotRead,
                        AnswerRecord::Unknown => AnswerRecord::NotRead,
                        record => record,
                    };
                    expected_comparison(row.numbers, sent, record, table)
                }
                _ => expected_comparison(row.numbers, sent, record, table),
            };
            let is_readable =
                matches!(row.numbers, NumberReading::Sendable | NumberReading::Readable);
            let expected = match (row.status, comparison) {
                (None, _) => ask(AskReason::NoStatus, None),
                (Some(Status::Invalid), _) if row.numbers == NumberReading::Sendable => {
                    ask(AskReason::Corrected, None)
                }
                (Some(Status::Invalid), _) if row.has_stale_reason => Judgement::UpdateReason,
                (Some(Status::Invalid), _) => Judgement::Keep(Status::Invalid),
                (Some(status @ (Status::Failed | Status::Pending)), "changed") if named => {
                    ask(AskReason::Status(status), None)
                }
                (Some(_), "changed") => ask(AskReason::Changed, None),
                (Some(_), "new") => ask(AskReason::NotInState, None),
                (Some(status), "unclear") if is_answer(status) && !is_readable => {
                    Judgement::KeepUnjudged(status)
                }
                (Some(_), _) if row.has_rounded_id => {
                    ask(AskReason::RoundedId, Some(Status::Pending))
                }
                (Some(Status::Found), "unclear") if named => {
                    ask(AskReason::Status(Status::Found), None)
                }
                (Some(status), _) if named => ask(AskReason::Status(status), Some(status)),
                (Some(status), "unclear") if is_answer(status) => Judgement::KeepUnjudged(status),
                (Some(status), _) => Judgement::Keep(status),
            };
            assert_eq!(judgement, expected, "{row:?} {sent:?} {record:?} {table:?} {statuses:?}");
        });
        assert_eq!(cases, 8 * 4 * 5 * 4 * 4 * 4 * 3);
    }

    /// Whatever else is known: an id of another number never stays as if it were found.
    #[test]
    fn a_number_that_is_known_as_changed_never_keeps_its_user_id() {
        for_each_case(|row, sent, record, table, statuses| {
            let is_changed = row.numbers == NumberReading::Missing
                || sent == SentNumber::Different
                || (sent != SentNumber::Same
                    && row.numbers.are_readable()
                    && record == AnswerRecord::Different);
            if row.status == Some(Status::Found) && is_changed {
                let judgement = judge(row, sent, record, table, statuses);
                assert_eq!(
                    (judgement.kept_status(), judgement.fallback_status()),
                    (None, None),
                    "{row:?} {sent:?} {record:?} {table:?} {statuses:?}"
                );
            }
        });
    }
}
