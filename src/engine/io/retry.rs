//! What the rows of a resolved table show about whether they are asked again.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::excel;
use crate::domain::judgement::{
    self, AnswerRecord, Judgement, NumberReading, RowFacts, SentNumber, TableFacts,
};
use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::{Invalid, InvalidKind};
use crate::domain::number::mobile::{DefaultRegion, Mobile, NumberRules};
use crate::domain::number::plausible::could_be_number;
use crate::domain::outcome::{InvalidStatus, Outcome, Status};
use crate::engine::candidates::{self, Next, should_try_next_number};
use crate::engine::io::row_format::RowFormat;
use crate::store::disk::resolved_files::RowRecords;
use crate::table::raw::batch::Batch;

/// What is known before the rows of a resolved table are judged one by one.
#[derive(Clone, Debug)]
pub(crate) struct RetryRules {
    /// The statuses that are asked again, in order.
    statuses: Vec<Status>,
    /// `None` for a table that is read only once, as a pipe is.
    table: Option<TableFacts>,
    /// What the state says about the rows; `None` if it was not read.
    records: Option<Arc<RowRecords>>,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self::new(&[])
    }
}

/// A row before its record in the state is known.
#[derive(Clone, Debug)]
pub(crate) struct ExaminedRow {
    pub facts: RowFacts,
    pub sent: SentNumber,
    /// The numbers of the row in the order in which they are tried.
    pub numbers: Vec<Mobile>,
}

impl RetryRules {
    /// `statuses` replace the ones that are asked again by default: `failed` and `pending`.
    #[must_use]
    pub(crate) fn new(statuses: &[Status]) -> Self {
        let is_named = |status: &Status| {
            if statuses.is_empty() { status.is_retryable() } else { statuses.contains(status) }
        };
        let statuses = Status::ALL.into_iter().filter(is_named).collect();
        Self { statuses, table: None, records: None }
    }

    /// Sets what all rows of the table together show.
    #[must_use]
    pub(crate) fn with_table(self, is_misread: bool, records: Option<Arc<RowRecords>>) -> Self {
        let has_all_answers = records.as_ref().is_some_and(|records| records.has_all_answers);
        Self { table: Some(TableFacts { has_all_answers, is_misread }), records, ..self }
    }

    /// The statuses that are asked again, in order.
    #[must_use]
    pub(crate) fn statuses(&self) -> &[Status] {
        &self.statuses
    }

    /// Judges a row. `rules` are those by which this run reads numbers.
    ///
    /// # Errors
    /// If the row's cell holds no status.
    pub(crate) fn judge_row(
        &self,
        format: &RowFormat,
        batch: &Batch,
        row: usize,
        rules: NumberRules,
    ) -> Result<Judgement, InvalidStatus> {
        let ExaminedRow { facts, sent, .. } = examine_row(format, batch, row, rules)?;
        Ok(self.judge(facts, sent, self.record(batch.line(row))))
    }

    #[must_use]
    pub(crate) fn judge(
        &self,
        facts: RowFacts,
        sent: SentNumber,
        record: AnswerRecord,
    ) -> Judgement {
        // Nobody knows whether most of the rows behind can be read.
        let unknown = TableFacts { has_all_answers: false, is_misread: true };
        judgement::judge(facts, sent, record, self.table.unwrap_or(unknown), &self.statuses)
    }

    /// Whether the record of a row matters.
    #[must_use]
    pub(crate) fn needs_record(&self, facts: RowFacts, sent: SentNumber) -> bool {
        let judge = |record| self.judge(facts, sent, record);
        judge(AnswerRecord::Same) != judge(AnswerRecord::Different)
    }

    /// What the state says about a row, by its number. Of the rows whose record does not matter, it
    /// says `Same`.
    #[must_use]
    pub(crate) fn record(&self, line: u64) -> AnswerRecord {
        match &self.records {
            None => AnswerRecord::NotRead,
            Some(records) if records.different.contains(line) => AnswerRecord::Different,
            Some(records) if records.unknown.contains(line) => AnswerRecord::Unknown,
            Some(_) => AnswerRecord::Same,
        }
    }
}

/// Reads what a row shows about itself. `rules` are those by which this run reads numbers; an
/// earlier run may have used the lenient ones.
///
/// # Errors
/// If the row's cell holds no status.
pub(crate) fn examine_row(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    rules: NumberRules,
) -> Result<ExaminedRow, InvalidStatus> {
    let status = format.earlier_status(batch, row)?;
    let parse = |rules| format.number_cells.parse(batch, row, rules).map(to_mobile);
    let by_rules: Vec<Result<Mobile, Invalid>> = parse(rules).collect();
    let lenient = if by_rules.iter().all(Result::is_ok) {
        Cow::Borrowed(&by_rules)
    } else {
        Cow::Owned(parse(NumberRules { strict: false, ..rules }).collect())
    };
    let mut numbers = Vec::new();
    for number in lenient.iter().flatten() {
        if !numbers.contains(number) {
            numbers.push(*number);
        }
    }
    let reading = if by_rules.iter().any(Result::is_ok) {
        NumberReading::Sendable
    } else if !numbers.is_empty() {
        NumberReading::Readable
    } else if lenient.iter().any(|number| number.as_ref().is_err_and(is_damage)) {
        NumberReading::Damaged
    } else if number_texts(format, batch, row).any(could_be_number) {
        NumberReading::Unreadable
    } else {
        NumberReading::Missing
    };
    let facts = RowFacts {
        status,
        has_rounded_id: status == Some(Status::Found) && format.has_rounded_id(batch, row),
        numbers: reading,
        has_stale_reason: status == Some(Status::Invalid)
            && has_stale_reason(format, batch, row, &by_rules),
    };
    let sent = status.map_or(SentNumber::Unknown, |status| {
        let sent = format.sent_number(batch, row).and_then(parse_sent);
        sent.map_or(SentNumber::Unknown, |sent| {
            let has_digits = || number_texts(format, batch, row).any(|cell| is_text_of(cell, sent));
            compare_sent(status, sent, &numbers, reading, has_digits)
        })
    });
    Ok(ExaminedRow { facts, sent, numbers })
}

fn to_mobile(number: Result<NumberCell, Invalid>) -> Result<Mobile, Invalid> {
    number.map(|number| number.mobile)
}

fn is_damage(reason: &Invalid) -> bool {
    matches!(reason.kind(), InvalidKind::Rounded | InvalidKind::MissingValue)
}

fn number_texts<'a>(
    format: &RowFormat,
    batch: &'a Batch,
    row: usize,
) -> impl Iterator<Item = &'a str> {
    batch.cells(row).take(format.number_cells.count())
}

/// Whether an invalid row has another reason than that of its cells. Rows without any cell, as
/// spreadsheets add them at the end, have none.
fn has_stale_reason(
    format: &RowFormat,
    batch: &Batch,
    row: usize,
    numbers: &[Result<Mobile, Invalid>],
) -> bool {
    if format.number_cells.is_blank_row(batch, row) {
        return false;
    }
    let [_, message] = format.earlier_code_and_message(batch, row);
    match candidates::choose_next(numbers, 0, None, |_, _| None) {
        Some(Next::Settle(candidate)) => *candidate.answer.outcome.message != *message,
        _ => false,
    }
}

/// Parses a cell of the column `mobile_sent`.
fn parse_sent(cell: &str) -> Option<Mobile> {
    let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: false };
    NumberCell::parse(excel::unprotect(cell.trim()), rules).ok().map(|number| number.mobile)
}

/// Compares the number that was sent with the numbers of the row, in the order in which they are
/// tried. `has_digits` says whether a cell has the digits of the number, if no cell can be read.
fn compare_sent(
    status: Status,
    sent: Mobile,
    numbers: &[Mobile],
    reading: NumberReading,
    has_digits: impl FnOnce() -> bool,
) -> SentNumber {
    let Some(position) = numbers.iter().position(|number| *number == sent) else {
        return match reading {
            // A missing flag (`--region`) makes the cell invalid.
            _ if has_digits() => SentNumber::Same,
            NumberReading::Damaged => SentNumber::Unknown,
            _ => SentNumber::Different,
        };
    };
    let is_last = position + 1 == numbers.len();
    match status {
        // Of several numbers, any one may have failed.
        Status::Failed | Status::Pending => SentNumber::Same,
        // Nobody has the number, so the next one is tried.
        Status::NotFound | Status::BadNumber if !is_last => SentNumber::Different,
        _ if position == 0 => SentNumber::Same,
        _ => SentNumber::Later,
    }
}

/// Whether a cell that cannot be read is the text of a number: the national number, perhaps with
/// the country code or the zero that is dialed before it.
fn is_text_of(cell: &str, number: Mobile) -> bool {
    let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
    let national = number.national_number();
    let code = number.country_code();
    digits.strip_suffix(&*national).is_some_and(|prefix| {
        let prefix = prefix.strip_prefix("00").unwrap_or(prefix);
        let prefix = prefix.strip_prefix(&*code.to_string()).unwrap_or(prefix);
        prefix.is_empty() || prefix == "0"
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
) -> AnswerRecord {
    let mut is_same = false;
    for record in records {
        let Some(record) = record else { return AnswerRecord::Unknown };
        let is_equal = record.status == status
            && (status != Status::Found || format.has_user_ids(batch, row, record));
        is_same |= is_equal;
        if !should_try_next_number(record) {
            return if is_equal { AnswerRecord::Same } else { AnswerRecord::Different };
        }
    }
    if is_same { AnswerRecord::Same } else { AnswerRecord::Different }
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

    fn examine(text: &str, numbers: usize) -> Vec<(RowFacts, SentNumber)> {
        let (format, batch) = open(text, numbers);
        let examine = |row| examine_row(&format, &batch, row, RULES).unwrap();
        (0..batch.len()).map(examine).map(|row| (row.facts, row.sent)).collect()
    }

    const NAMES: &str = "userid,exclusive_userids,status,errcode,errmsg";

    #[test]
    fn the_cells_of_a_row_are_read() {
        use NumberReading as N;
        for (row, status, numbers) in [
            ("13800138000,u1,,found,0,ok", Some(Status::Found), N::Sendable),
            ("13800138000,,,,,", None, N::Sendable),
            // A range that the strict rules do not know.
            ("+852 29999999,u1,,found,0,ok", Some(Status::Found), N::Unreadable),
            ("1.38E+10,u1,,found,0,ok", Some(Status::Found), N::Damaged),
            ("1380013800,u1,,found,0,ok", Some(Status::Found), N::Unreadable),
            ("51234567,u1,,found,0,ok", Some(Status::Found), N::Unreadable),
            ("离职,u1,,found,0,ok", Some(Status::Found), N::Missing),
            ("待补 2025,u1,,found,0,ok", Some(Status::Found), N::Missing),
            ("2025-10-13,u1,,found,0,ok", Some(Status::Found), N::Missing),
            (",u1,,found,0,ok", Some(Status::Found), N::Missing),
            (",,,,,", Some(Status::Invalid), N::Missing),
        ] {
            let found = examine(&format!("tel,{NAMES}\n{row}\n"), 1)[0];
            let facts =
                RowFacts { status, has_rounded_id: false, numbers, has_stale_reason: false };
            assert_eq!(found, (facts, SentNumber::Unknown), "{row}");
        }
        let rounded = examine(&format!("tel,{NAMES}\n13800138000,4.68E+17,,found,0,ok\n"), 1);
        assert!(rounded[0].0.has_rounded_id);
    }

    #[test]
    fn an_invalid_row_has_the_reason_of_its_cell_or_another() {
        let reason = Mobile::parse("1380013800", DefaultRegion::CHINA).unwrap_err().to_string();
        for (cell, message, is_stale) in [
            ("1380013800", &*reason, false),
            ("138001380", &*reason, true),
            ("离职", &*reason, true),
            ("1380013800", "", true),
        ] {
            let row = format!("{cell},,,invalid,,\"{message}\"");
            let found = examine(&format!("tel,{NAMES}\n{row}\n"), 1)[0];
            assert_eq!(found.0.has_stale_reason, is_stale, "{row}");
        }
    }

    #[test]
    fn the_number_that_was_sent_is_compared_with_those_of_the_row() {
        use SentNumber as S;
        for (numbers, status, sent, expected) in [
            ("13800138000,", "found", "13800138000", S::Same),
            ("13800138000,", "found", "+86-13800138000", S::Same),
            ("13800138001,", "found", "13800138000", S::Different),
            ("+852 51234567,", "found", "+852-51234567", S::Same),
            // Without the flag of the first run.
            ("51234567,", "found", "+852-51234567", S::Same),
            ("852 5123 4567,", "found", "+852-51234567", S::Same),
            ("51234568,", "found", "+852-51234567", S::Different),
            // A mistyped number is not that number.
            ("00138000,", "found", "13800138000", S::Different),
            ("113800138000,", "found", "13800138000", S::Different),
            ("x,", "not_found", "13800138000", S::Different),
            (",", "found", "13800138000", S::Different),
            ("1.38E+10,", "found", "13800138000", S::Unknown),
            ("13800138000,", "found", "", S::Unknown),
            ("13800138000,", "found", "1.38E+10", S::Unknown),
            // The second number gave the answer, so that the first one matters too.
            ("13900139000,13800138000", "found", "13800138000", S::Later),
            ("离职,13800138000", "found", "13800138000", S::Same),
            ("13800138000,13900139000", "found", "13800138000", S::Same),
            // Of two numbers that nobody has, the last one was asked.
            ("13900139000,13800138000", "not_found", "13800138000", S::Later),
            ("13800138000,13900139000", "not_found", "13800138000", S::Different),
            ("13800138000,13900139000", "bad_number", "13800138000", S::Different),
            ("13800138000,13800138000", "not_found", "13800138000", S::Same),
            ("13900139000,13800138000", "failed", "13800138000", S::Same),
            ("13800138000,13900139000", "failed", "13800138000", S::Same),
            ("13900139000,13800138001", "failed", "13800138000", S::Different),
        ] {
            let row = format!("{numbers},u,,{status},0,ok,{sent}");
            let found = examine(&format!("tel,tel2,{NAMES},mobile_sent\n{row}\n"), 2)[0];
            assert_eq!(found.1, expected, "{row}");
        }
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
            ([found("u1", "b;a"), None], AnswerRecord::Same, AnswerRecord::Different),
            ([nobody(), found("u1", "a;b")], AnswerRecord::Same, AnswerRecord::Different),
            ([found("u1", "a"), None], AnswerRecord::Different, AnswerRecord::Different),
            ([found("u2", "a;b"), None], AnswerRecord::Different, AnswerRecord::Different),
            ([nobody(), nobody()], AnswerRecord::Different, AnswerRecord::Same),
            ([nobody(), None], AnswerRecord::Unknown, AnswerRecord::Unknown),
            ([None, found("u1", "a;b")], AnswerRecord::Unknown, AnswerRecord::Unknown),
            ([found("moved", "a;b"), None], AnswerRecord::Different, AnswerRecord::Different),
        ] {
            assert_eq!(compare(0, Status::Found, &records), on_found, "{records:?}");
            assert_eq!(compare(1, Status::NotFound, &records), on_not_found, "{records:?}");
        }
    }
}
