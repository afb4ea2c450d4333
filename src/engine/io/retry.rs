//! Decides which rows of a resolved table are asked again: by their status, and because their
//! number is not the one that was asked.

use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::domain::excel;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::{Invalid, InvalidKind};
use crate::domain::number::mobile::{DefaultRegion, MainlandFormat, Mobile, NumberRules};
use crate::domain::outcome::{InvalidStatus, Outcome, Status};
use crate::engine::candidates::should_try_next_number;
use crate::engine::io::row_format::RowFormat;
use crate::engine::limits::EarlierAnswer;
use crate::table::raw::batch::Batch;

/// The digits that a number in a cell must share with the number that was sent, if a missing flag
/// (`--region`) makes the cell invalid.
const MIN_COMMON_DIGITS: usize = 7;

/// Which rows are asked again.
#[derive(Clone, Debug)]
pub(crate) struct RetryRules {
    /// The statuses of `--retry`.
    statuses: Vec<Status>,
    /// The rows, by number, whose answer is not about their number, although the table alone does
    /// not show it.
    changed_rows: Arc<RoaringTreemap>,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self::new(&[])
    }
}

/// Why a row is asked again, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowDecision {
    /// The answer is about the row's number.
    Keep(Status),
    /// Because of its status.
    Retry(Status),
    /// A spreadsheet rounded the user id.
    RoundedId,
    /// The row has no status.
    NoStatus,
    /// The row was `invalid` and can be asked now.
    Corrected,
    /// The number is not the one that was asked.
    Changed,
    /// The table alone does not show whether the answer is about the number: it depends on the
    /// record of the number in the state.
    NeedsRecord(Status),
    /// The number cannot be asked. Either it was changed, or this run reads numbers by other rules.
    Unreadable(Status),
}

/// What the state says about the answer of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordMatch {
    /// The answer is that of the row's number.
    Same,
    /// The number has another answer.
    Different,
    /// The state has no answer to the number.
    Unknown,
}

impl RetryRules {
    /// `statuses` replace the ones that are asked again by default: `failed` and `pending`.
    #[must_use]
    pub(crate) fn new(statuses: &[Status]) -> Self {
        let all = Status::ALL.into_iter();
        let statuses = if statuses.is_empty() {
            all.filter(|status| status.is_retryable()).collect()
        } else {
            statuses.to_vec()
        };
        Self { statuses, changed_rows: Arc::default() }
    }

    /// Sets the rows whose answer is not about their number.
    #[must_use]
    pub(crate) fn with_changed_rows(self, changed_rows: RoaringTreemap) -> Self {
        Self { changed_rows: Arc::new(changed_rows), ..self }
    }

    /// Whether rows with this status are asked again.
    #[must_use]
    pub(crate) fn has_status(&self, status: Status) -> bool {
        self.statuses.contains(&status)
    }

    /// What becomes of the answer of a row.
    ///
    /// # Errors
    /// If the row's cell holds no status.
    pub(crate) fn earlier_answer(
        &self,
        format: &RowFormat,
        batch: &Batch,
        row: usize,
        rules: NumberRules,
    ) -> Result<EarlierAnswer, InvalidStatus> {
        Ok(match self.decide(format, batch, row, rules)? {
            RowDecision::Keep(status) => EarlierAnswer::Kept(status),
            RowDecision::Retry(status) => EarlierAnswer::Retried(status),
            RowDecision::RoundedId => EarlierAnswer::Retried(Status::Pending),
            RowDecision::NoStatus | RowDecision::Corrected | RowDecision::Changed => {
                EarlierAnswer::Discarded
            }
            RowDecision::NeedsRecord(status) | RowDecision::Unreadable(status) => {
                if self.changed_rows.contains(batch.line(row)) {
                    EarlierAnswer::Discarded
                } else {
                    EarlierAnswer::Kept(status)
                }
            }
        })
    }

    /// Decides by the table alone. `rules` are those by which this run reads numbers.
    ///
    /// # Errors
    /// If the row's cell holds no status.
    pub(crate) fn decide(
        &self,
        format: &RowFormat,
        batch: &Batch,
        row: usize,
        rules: NumberRules,
    ) -> Result<RowDecision, InvalidStatus> {
        let Some(status) = format.earlier_status(batch, row)? else {
            return Ok(RowDecision::NoStatus);
        };
        if status == Status::Found && format.has_rounded_id(batch, row) {
            return Ok(RowDecision::RoundedId);
        }
        if self.has_status(status) {
            return Ok(RowDecision::Retry(status));
        }
        let mut numbers = format.number_cells.parse(batch, row, rules);
        Ok(match status {
            Status::Invalid if numbers.any(|number| number.is_ok()) => RowDecision::Corrected,
            Status::Failed | Status::Pending | Status::Invalid => RowDecision::Keep(status),
            Status::Found | Status::NotFound | Status::BadNumber | Status::OutOfScope => {
                Self::compare_number(format, batch, row, rules, status)
            }
        })
    }

    /// Compares the numbers of a row that was asked with the one that was asked, if the row has it.
    fn compare_number(
        format: &RowFormat,
        batch: &Batch,
        row: usize,
        rules: NumberRules,
        status: Status,
    ) -> RowDecision {
        let numbers: Vec<_> = readable_numbers(format, batch, row, rules).collect();
        let sent = format.sent_number(batch, row);
        if let Some(sent) = sent.and_then(parse_sent) {
            let is_same = numbers.iter().flatten().any(|number| *number == sent)
                || (numbers.iter().all(Result::is_err) && has_digits_of(format, batch, row, sent));
            return if is_same { RowDecision::Keep(status) } else { RowDecision::Changed };
        }
        let all_are =
            |is: fn(&Invalid) -> bool| numbers.iter().all(|number| number.as_ref().is_err_and(is));
        if all_are(Invalid::is_blank) {
            // An empty cell was never asked.
            RowDecision::Changed
        } else if all_are(|_| true) {
            RowDecision::Unreadable(status)
        } else {
            RowDecision::NeedsRecord(status)
        }
    }
}

/// The numbers of a row that was asked, by the lenient rules: an earlier run may have used those.
fn readable_numbers<'a>(
    format: &'a RowFormat,
    batch: &'a Batch,
    row: usize,
    rules: NumberRules,
) -> impl Iterator<Item = Result<Mobile, Invalid>> + 'a {
    let rules = NumberRules { strict: false, ..rules };
    format.number_cells.parse(batch, row, rules).map(|number| Ok(number?.mobile))
}

/// The numbers of a row, as [`compare_records`] takes them.
#[must_use]
pub(crate) fn asked_numbers(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    rules: NumberRules,
) -> Vec<Mobile> {
    readable_numbers(format, batch, row, rules).flatten().collect()
}

/// Whether a spreadsheet rounded a number of the row.
#[must_use]
pub(crate) fn has_rounded_number(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    rules: NumberRules,
) -> bool {
    readable_numbers(format, batch, row, rules)
        .any(|number| number.is_err_and(|reason| reason.kind() == InvalidKind::Rounded))
}

/// Parses a cell of the column `mobile_sent`.
fn parse_sent(cell: &str) -> Option<Mobile> {
    let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: false };
    NumberCell::parse(excel::unprotect(cell.trim()), rules).ok().map(|number| number.mobile)
}

/// Whether a cell has the last digits of the number that was sent.
fn has_digits_of(format: &RowFormat, batch: &Batch, row: usize, sent: Mobile) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let sent = digits(&sent.to_api_string(MainlandFormat::default()));
    batch.cells(row).take(format.number_cells.count()).any(|cell| {
        let cell = digits(cell);
        cell.len() >= MIN_COMMON_DIGITS && sent.ends_with(&cell)
    })
}

/// Compares the answer of a row with the state's records of its `numbers`, which are in the order
/// in which they are tried.
#[must_use]
pub(crate) fn compare_records(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    status: Status,
    records: &[Option<Arc<Outcome>>],
) -> RecordMatch {
    let mut is_same = false;
    for record in records {
        let Some(record) = record else { return RecordMatch::Unknown };
        let is_equal = record.status == status
            && (status != Status::Found || format.has_user_ids(batch, row, record));
        is_same |= is_equal;
        if !should_try_next_number(record) {
            return if is_equal { RecordMatch::Same } else { RecordMatch::Different };
        }
    }
    if is_same { RecordMatch::Same } else { RecordMatch::Different }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::outcome::Code;
    use crate::engine::io::row_format::RowOptions;
    use crate::table::detect::columns::ColumnChoice;
    use crate::table::detect::layout::SourceOptions;
    use crate::table::source::Source;

    const RULES: NumberRules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };

    /// The format and the rows of a resolved table with the numbers in the first columns.
    fn open(text: &str, numbers: usize) -> (RowFormat, Batch) {
        let options = RowOptions { has_answers: true, ..RowOptions::default() };
        let source_options = SourceOptions {
            columns: (1..=numbers).map(ColumnChoice::Position).collect(),
            has_answers: true,
            extra_columns: options.extra_columns(),
            ..SourceOptions::default()
        };
        let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
        let mut source = Source::open(reader, &source_options, &|_| false).unwrap();
        let format = RowFormat::new(&options, &source).unwrap();
        (format, source.next_batch(1000).unwrap().unwrap())
    }

    fn decisions(rules: &RetryRules, text: &str) -> Vec<RowDecision> {
        let (format, batch) = open(text, 1);
        let decide = |row| rules.decide(&format, &batch, row, RULES).unwrap();
        (0..batch.len()).map(decide).collect()
    }

    const NAMES: &str = "tel,userid,exclusive_userids,status,errcode,errmsg";

    #[test]
    fn rows_are_asked_by_status_and_if_their_number_can_be_sent_now() {
        let rows = "13800138000,,,failed,-1,busy\n13800138000,,,pending,,a limit\n\
                    13800138000,,,,,\n13800138000,,,invalid,,no number\nx,,,invalid,,no number\n\
                    13800138000,4.68E+17,,found,0,ok\n13800138000,u1,,found,0,ok\n\
                    x,u1,,found,0,ok\n,u1,,found,0,ok\n,,,,,\n13800138000,,,not_found,60121,none\n";
        let text = format!("{NAMES}\n{rows}");
        let found = [
            RowDecision::Retry(Status::Failed),
            RowDecision::Retry(Status::Pending),
            RowDecision::NoStatus,
            RowDecision::Corrected,
            RowDecision::Keep(Status::Invalid),
            RowDecision::RoundedId,
            RowDecision::NeedsRecord(Status::Found),
            RowDecision::Unreadable(Status::Found),
            RowDecision::Changed,
            RowDecision::Keep(Status::Invalid),
            RowDecision::NeedsRecord(Status::NotFound),
        ];
        assert_eq!(decisions(&RetryRules::default(), &text), found);
        let mut named = found;
        named[0] = RowDecision::Keep(Status::Failed);
        named[1] = RowDecision::Keep(Status::Pending);
        named[10] = RowDecision::Retry(Status::NotFound);
        assert_eq!(decisions(&RetryRules::new(&[Status::NotFound]), &text), named);
    }

    #[test]
    fn the_number_that_was_sent_shows_whether_the_row_was_changed() {
        let rows = "13800138000,u,,found,0,ok,13800138000\n\
                    13800138000,u,,found,0,ok,+86-13800138000\n\
                    13800138001,u,,found,0,ok,13800138000\n\
                    +852 51234567,u,,found,0,ok,+852-51234567\n\
                    51234567,u,,found,0,ok,+852-51234567\n51234568,u,,found,0,ok,+852-51234567\n\
                    x,,,not_found,60121,none,13800138000\n13800138000,u,,found,0,ok,\n\
                    13800138000,u,,found,0,ok,1.38E+10\n";
        let keep = RowDecision::Keep(Status::Found);
        assert_eq!(
            decisions(&RetryRules::default(), &format!("{NAMES},mobile_sent\n{rows}")),
            [
                keep,
                keep,
                RowDecision::Changed,
                keep,
                keep,
                RowDecision::Changed,
                RowDecision::Changed,
                RowDecision::NeedsRecord(Status::Found),
                RowDecision::NeedsRecord(Status::Found),
            ]
        );
    }

    #[test]
    fn the_state_decides_by_the_answer_to_the_number() {
        let text = "tel,tel2,userid,exclusive_userids,status,errcode,errmsg\n\
                    13800138000,13900139000,u1,a;b,found,0,ok\n\
                    13800138000,13900139000,,,not_found,60121,none\n";
        let (format, batch) = open(text, 2);
        let found = |userid: &str, exclusive: &str| {
            Some(Arc::new(Outcome {
                userid: userid.into(),
                exclusive_ids: exclusive.into(),
                ..Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok")
            }))
        };
        let nobody = || Some(Arc::new(Outcome::without_user(Status::NotFound, None, "none")));
        let compare =
            |row, status, records: &[_]| compare_records(&format, &batch, row, status, records);
        for (records, on_found, on_not_found) in [
            ([found("u1", "b;a"), None], RecordMatch::Same, RecordMatch::Different),
            ([nobody(), found("u1", "a;b")], RecordMatch::Same, RecordMatch::Different),
            ([found("u1", "a"), None], RecordMatch::Different, RecordMatch::Different),
            ([found("u2", "a;b"), None], RecordMatch::Different, RecordMatch::Different),
            ([nobody(), nobody()], RecordMatch::Different, RecordMatch::Same),
            ([nobody(), None], RecordMatch::Unknown, RecordMatch::Unknown),
            ([None, found("u1", "a;b")], RecordMatch::Unknown, RecordMatch::Unknown),
        ] {
            assert_eq!(compare(0, Status::Found, &records), on_found, "{records:?}");
            assert_eq!(compare(1, Status::NotFound, &records), on_not_found, "{records:?}");
        }
    }

    #[test]
    fn a_row_that_the_state_knows_as_changed_loses_its_answer() {
        let (format, batch) = open(&format!("{NAMES}\n13800138000,u1,,found,0,ok\n"), 1);
        let answer = |rules: RetryRules| rules.earlier_answer(&format, &batch, 0, RULES).unwrap();
        assert_eq!(answer(RetryRules::default()), EarlierAnswer::Kept(Status::Found));
        let changed = RetryRules::default().with_changed_rows(RoaringTreemap::from_iter([2]));
        assert_eq!(answer(changed), EarlierAnswer::Discarded);
    }
}
