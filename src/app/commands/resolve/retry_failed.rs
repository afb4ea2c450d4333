//! `resolve --retry-failed`: scans a resolved table for the rows that are called again, because of
//! their status or because their number is not the one that was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;

use roaring::RoaringTreemap;
use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};
use crate::app::report::text::input_name;
use crate::app::report::unresolved_list::describe_origin;
use crate::domain::judgement::{
    AnswerRecord, AskReason, Judgement, NumberReading, RowFacts, SentNumber, is_answer,
};
use crate::domain::number::mobile::NumberRules;
use crate::domain::outcome::Status;
use crate::domain::rounded_id::IdSurvey;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::Totals;
use crate::engine::io::reader::{self, ReaderError};
use crate::engine::io::retry::{self, ExaminedRow, RetryRules};
use crate::engine::io::row_format::{MissingColumn, RowFormat, RowOptions};
use crate::engine::io::unresolved::{SharedUnresolved, UnresolvedRows};
use crate::engine::io::writer;
use crate::store::disk::database::StateError;
use crate::store::disk::resolved_files::{FileRecords, RowRecords};
use crate::table::detect::columns::{ANSWER_COLUMNS, EXPECTED_COLUMN, SENT_COLUMN, is_same_name};
use crate::table::header::Header;
use crate::table::prescan::Prescan;
use crate::table::source::{Source, SourceError};
use crate::table::write::format::TableFormat;

/// Most rows that a message lists.
const MAX_LISTED: usize = 10;
/// Most rows whose user ids are looked for among all answers. A person corrects fewer.
const MAX_IDS: usize = 1000;

/// The rows of a resolved table, before the first call.
#[derive(Debug, Default)]
pub(crate) struct ResolvedScan {
    /// As if every row kept its answer.
    pub totals: Totals,
    /// Of the rows that keep their answers.
    pub row_stats: RowStats,
    /// What the user ids of the table are like.
    pub user_ids: IdSurvey,
    /// The rows that keep their answers and have no user id.
    pub unresolved: UnresolvedRows,
    /// The rows, by number, that keep their answers, although these may not be about their numbers.
    pub unjudged_rows: RoaringTreemap,
    /// The rows by what decides about them.
    groups: BTreeMap<(RowFacts, SentNumber, AnswerRecord), RowSample>,
}

/// What becomes of the rows of a resolved table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanJudgement {
    pub rows_to_ask: u64,
    /// Invalid rows that get another reason.
    pub rows_to_update: u64,
    pub rounded_ids: u64,
    by_status: [u64; Status::ALL.len()],
    no_status: u64,
    corrected: u64,
    changed: u64,
    not_in_state: u64,
    /// Rows that keep their answers, although these may not be about their numbers.
    unjudged: RowSample,
    /// Such rows of which no number can be read.
    unreadable: RowSample,
}

/// A count of rows, their statuses, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RowSample {
    count: u64,
    statuses: BTreeSet<Status>,
    /// With their numbers.
    first: BTreeMap<u64, String>,
}

impl RowSample {
    fn append(&mut self, other: &Self) {
        self.count += other.count;
        self.statuses.extend(&other.statuses);
        self.first.extend(other.first.iter().map(|(line, text)| (*line, text.clone())));
        while self.first.len() > MAX_LISTED {
            self.first.pop_last();
        }
    }
}

impl ResolvedScan {
    /// What becomes of the rows by these rules.
    #[must_use]
    pub(crate) fn judge(&self, retry_rules: &RetryRules) -> ScanJudgement {
        let mut judged = ScanJudgement::default();
        for ((facts, sent, record), sample) in &self.groups {
            let rows = sample.count;
            match retry_rules.judge(*facts, *sent, *record) {
                Judgement::Keep(_) => {}
                Judgement::KeepUnjudged(_) if facts.numbers.are_readable() => {
                    judged.unjudged.append(sample);
                }
                Judgement::KeepUnjudged(_) => judged.unreadable.append(sample),
                Judgement::UpdateReason => judged.rows_to_update += rows,
                Judgement::Ask { reason, .. } => {
                    judged.rows_to_ask += rows;
                    *match reason {
                        AskReason::Status(status) => &mut judged.by_status[status as usize],
                        AskReason::NoStatus => &mut judged.no_status,
                        AskReason::Corrected => &mut judged.corrected,
                        AskReason::Changed => &mut judged.changed,
                        AskReason::NotInState => &mut judged.not_in_state,
                        AskReason::RoundedId => &mut judged.rounded_ids,
                    } += rows;
                }
            }
        }
        judged
    }

    /// Whether the records in the state decide about a row.
    #[must_use]
    pub(crate) fn needs_records(&self, retry_rules: &RetryRules) -> bool {
        self.groups.keys().any(|(facts, sent, _)| retry_rules.needs_record(*facts, *sent))
    }

    /// Whether most answered rows have numbers that cannot be read. Single ones are mistakes; if
    /// most are unreadable, a flag of the first run is missing.
    #[must_use]
    pub(crate) fn is_misread(&self) -> bool {
        let (mut answered, mut unreadable) = (0, 0);
        for ((facts, sent, _), sample) in &self.groups {
            if facts.status.is_some_and(is_answer) {
                answered += sample.count;
                let is_unreadable = facts.numbers == NumberReading::Unreadable;
                if is_unreadable && *sent == SentNumber::Unknown {
                    unreadable += sample.count;
                }
            }
        }
        unreadable * 2 > answered
    }

    /// The warnings about rows that keep their answers, although these may not be about their
    /// numbers. `retry_rules` are those of the run.
    #[must_use]
    pub(crate) fn unjudged_warnings(&self, retry_rules: &RetryRules) -> Vec<String> {
        let judged = self.judge(retry_rules);
        let unjudged = describe_unjudged(&judged.unjudged, retry_rules);
        unjudged.into_iter().chain(describe_unreadable(&judged.unreadable)).collect()
    }
}

/// Reads the user ids of a resolved table. Only all of them say whether a spreadsheet rounded them.
///
/// # Errors
/// [`SourceError`] for the first row that cannot be read.
pub(crate) fn survey_user_ids(
    mut source: Source,
    format: &RowFormat,
) -> Result<IdSurvey, SourceError> {
    let mut survey = IdSurvey::default();
    while let Some(batch) = source.next_batch(usize::MAX)? {
        (0..batch.len()).for_each(|row| format.survey_user_ids(&batch, row, &mut survey));
    }
    Ok(survey)
}

/// Reads a resolved table to its end.
///
/// # Errors
/// [`ReaderError`] for the first row that cannot be read or has no valid status.
pub(crate) fn scan_resolved(
    mut source: Source,
    rules: NumberRules,
    format: &RowFormat,
    retry_rules: &RetryRules,
) -> Result<(Prescan, ResolvedScan), ReaderError> {
    let (mut prescan, mut scan, unresolved) = (
        Prescan { rows: 0, bytes: 0, widest_row: None },
        ResolvedScan::default(),
        SharedUnresolved::default(),
    );
    while let Some(batch) = source.next_batch(usize::MAX)? {
        prescan.rows += batch.len() as u64;
        prescan.bytes += batch.byte_len() as u64;
        for row in 0..batch.len() {
            let ExaminedRow { facts, sent, .. } = retry::examine_row(format, &batch, row, rules)
                .map_err(|cause| reader::status_error(format, &batch, row, cause))?;
            let (line, record) = (batch.line(row), retry_rules.record(batch.line(row)));
            let sample = scan.groups.entry((facts, sent, record)).or_default();
            sample.count += 1;
            sample.statuses.extend(facts.status);
            if sample.first.len() < MAX_LISTED {
                let origin = describe_origin(&format.origin(&batch, row, 0), None);
                sample.first.insert(line, origin);
            }
            scan.totals.rows_in += 1;
            scan.totals.count_row(facts.status.unwrap_or(Status::Failed));
            let judgement = retry_rules.judge(facts, sent, record);
            if matches!(judgement, Judgement::KeepUnjudged(_)) {
                scan.unjudged_rows.insert(line);
            }
            if let Some(status) = judgement.kept_status() {
                writer::count_kept_row(
                    format,
                    rules.default_region,
                    &batch,
                    row,
                    status,
                    &mut scan.row_stats,
                    &unresolved,
                );
            }
        }
    }
    scan.unresolved = unresolved.take();
    Ok((prescan, scan))
}

/// Why a resolved table cannot be compared with the state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error(transparent)]
    Reader(#[from] ReaderError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl CompareError {
    pub(crate) fn into_failure(self, input: &Path) -> Failure {
        match self {
            Self::Reader(error) => {
                let cause = anyhow::Error::new(error).context(input_name(input));
                Failure::from_error(Exit::Input, cause)
            }
            Self::State(error) => {
                let text = tr!(
                    "the state file cannot be read: {cause}; nothing was written",
                    cause = error
                );
                Failure::with_message(Exit::Error, text)
            }
        }
    }
}

/// Compares the answers of a resolved table with those in the state, and keeps the result there for
/// the same command after an interruption. `path` is that of the table.
///
/// # Errors
/// [`CompareError`] for the first row that cannot be read or has no valid status, and if the state
/// cannot be read or written.
pub(crate) fn compare_with_state(
    mut source: Source,
    path: &Path,
    rules: NumberRules,
    format: &RowFormat,
    retry_rules: &RetryRules,
    records: &FileRecords,
) -> Result<RowRecords, CompareError> {
    let mut found = RowRecords::default();
    let (mut same, mut unknown, mut found_unknown) = (0, 0, 0);
    let mut unknown_ids = Vec::new();
    while let Some(batch) = source.next_batch(usize::MAX).map_err(ReaderError::from)? {
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for row in 0..batch.len() {
            let examined = retry::examine_row(format, &batch, row, rules)
                .map_err(|cause| reader::status_error(format, &batch, row, cause))?;
            let ExaminedRow { facts, sent, numbers: own } = examined;
            if let Some(status) = facts.status.filter(|_| retry_rules.needs_record(facts, sent)) {
                numbers.extend(own);
                rows.push((row, status, numbers.len()));
            }
        }
        let outcomes = records.look_up(&numbers)?;
        let mut start = 0;
        for (row, status, end) in rows {
            let own = &outcomes[mem::replace(&mut start, end)..end];
            let line = batch.line(row);
            match retry::compare_records(format, &batch, row, status, own) {
                AnswerRecord::Different => {
                    found.different.insert(line);
                }
                AnswerRecord::Unknown => {
                    found.unknown.insert(line);
                    unknown += u64::from(is_answer(status));
                    if status == Status::Found {
                        found_unknown += 1;
                        if unknown_ids.len() < MAX_IDS {
                            let ids = format.written_user_ids(&batch, row);
                            unknown_ids.push((line, ids.map(str::to_owned).collect::<Vec<_>>()));
                        }
                    }
                }
                AnswerRecord::Same | AnswerRecord::NotRead => same += u64::from(is_answer(status)),
            }
        }
    }
    if found_unknown > 0 {
        // A user id that the state knows, beside a number that it does not know, is the answer to
        // another number.
        let ids = unknown_ids.iter().flat_map(|(_, ids)| ids).cloned().collect();
        let known = records.known_user_ids(&ids)?;
        for (line, ids) in unknown_ids {
            if ids.iter().any(|id| known.contains(id)) {
                found.unknown.remove(line);
                found.different.insert(line);
                unknown -= 1;
                found_unknown -= 1;
            }
        }
    }
    // Its own file has no user id that the state does not know, unless another run has replaced it.
    let is_own = found_unknown == 0 && records.has_written(path)?;
    found.has_all_answers = is_own || (same > 0 && same >= unknown * 2);
    records.store_row_records(&found)?;
    Ok(found)
}

/// How many rows are asked again, and why; `None` if there is none.
#[must_use]
pub(crate) fn describe_reasons(scan: &ResolvedScan, retry_rules: &RetryRules) -> Option<String> {
    let judged = scan.judge(retry_rules);
    if judged.rows_to_ask == 0 {
        return None;
    }
    let statuses = Status::ALL.into_iter().zip(&judged.by_status);
    let mut reasons: Vec<_> = statuses
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{status} {count}"))
        .collect();
    for (count, reason) in [
        (judged.corrected, tr!("invalid and can be sent now")),
        (judged.changed, tr!("another number than the one that was asked")),
        (judged.not_in_state, tr!("number not in the state")),
        (judged.no_status, tr!("no status")),
        (judged.rounded_ids, tr!("rounded user id")),
    ] {
        if count > 0 {
            reasons.push(format!("{reason} {count}"));
        }
    }
    Some(tr!(
        "asking {rows} of {all} rows again: {reasons}",
        rows = judged.rows_to_ask,
        all = scan.totals.rows_in,
        reasons = reasons.join(&tr!(", "))
    ))
}

/// The warning about rows whose number may not be the one that was asked.
fn describe_unjudged(sample: &RowSample, retry_rules: &RetryRules) -> Option<String> {
    let asked = Status::ALL.into_iter().filter(|status| {
        retry_rules.statuses().contains(status) || sample.statuses.contains(status)
    });
    let text = tr!(
        "{n} row has an answer, and there is no record of the number that was asked: if the number \
         was changed, the answer is not about it. The row keeps it; --retry {statuses} asks it \
         again"
            | "{n} rows have an answer, and there is no record of the number that was asked: where \
               the number was changed, the answer is not about it. The rows keep it; \
               --retry {statuses} asks them again"
                % sample.count,
        statuses = asked.map(Status::name).collect::<Vec<_>>().join(",")
    );
    (sample.count > 0).then(|| list_rows(text, sample))
}

/// The warning about rows whose number cannot be read.
fn describe_unreadable(sample: &RowSample) -> Option<String> {
    let text = tr!(
        "{n} row has an answer, and its number cannot be read. The row keeps its answer; give the \
         flags of the first run (--region …), or correct the cell"
            | "{n} rows have an answer, and their numbers cannot be read. The rows keep their \
               answers; give the flags of the first run (--region …), or correct the cells"
                % sample.count
    );
    (sample.count > 0).then(|| list_rows(text, sample))
}

fn list_rows(mut text: String, sample: &RowSample) -> String {
    for row in sample.first.values() {
        text.push_str("\n  ");
        text.push_str(row);
    }
    let more = sample.count - sample.first.len() as u64;
    if more > 0 {
        text.push_str("\n  ");
        text.push_str(&tr!("and {count} more", count = more));
    }
    text
}

/// The warning for a table that can be read only once, so that it is not compared with the state.
#[must_use]
pub(crate) fn unscanned_warning(input: &Path, source: &Source) -> Option<String> {
    source.appended_column(SENT_COLUMN).is_none().then(|| {
        tr!(
            "{input} can be read only once, so a row whose number was changed keeps its answer: \
             give the name of a file, or let the first run write the column {column} (--show-sent)",
            input = input_name(input),
            column = SENT_COLUMN
        )
    })
}

/// The warning if a table that is resolved from the start has the answers of an earlier run.
#[must_use]
pub(crate) fn answered_warning(input: &Path, header: &Header) -> Option<String> {
    header.appended_names.as_ref()?;
    let is_there = |name: &str| header.first_row.iter().any(|cell| is_same_name(cell, name));
    ANSWER_COLUMNS.iter().all(|name| is_there(name)).then(|| {
        tr!(
            "{input} has the answers of an earlier run: --retry-failed asks only the rows that \
             failed or were corrected, and this run asks all rows and adds its answers beside them",
            input = input_name(input)
        )
    })
}

/// The warning if the table has a column `expected` and `--expect` is not given.
#[must_use]
pub(crate) fn uncompared_warning(options: &RowOptions, source: &Source) -> Option<String> {
    let is_uncompared = options.has_answers
        && options.expected_column.is_none()
        && source.appended_column(EXPECTED_COLUMN).is_some();
    is_uncompared.then(|| {
        tr!(
            "the column {column} stays as it is, even in rows that are asked again: use --expect \
             COLUMN to compare them too",
            column = EXPECTED_COLUMN
        )
    })
}

/// The warning if a spreadsheet rounded user ids of the table.
#[must_use]
pub(crate) fn rounded_ids_warning(scan: &ResolvedScan, retry_rules: &RetryRules) -> Option<String> {
    let rows = scan.judge(retry_rules).rounded_ids;
    (rows > 0).then(|| {
        tr!("in {n} row, a spreadsheet rounded the user id when it saved the file; the row is \
             asked again"
            | "in {n} rows, a spreadsheet rounded the user id when it saved the file; the rows \
                   are asked again"
                % rows)
    })
}

/// The rows without a user id, where those whose answer may be about another number say so.
#[must_use]
pub(crate) fn mark_unjudged(
    mut unresolved: UnresolvedRows,
    unjudged: &RoaringTreemap,
) -> UnresolvedRows {
    let reason = tr!("there is no record of the number that was asked");
    unresolved.mark_unjudged(|number| unjudged.contains(number), &reason);
    unresolved
}

/// `is_judged` says whether every answer is known to be about its row's number.
#[must_use]
pub(crate) fn nothing_to_retry(totals: &Totals, input: &Path, is_judged: bool) -> String {
    let (input, rows) = (input.display(), totals.rows_in);
    let open = totals.rows(Status::Failed) + totals.rows(Status::Pending);
    if open > 0 {
        return tr!(
            "{input}: nothing to retry, although {open} of {rows} rows failed or are pending: \
             --retry does not name them; the file stays as it is",
            input,
            open,
            rows
        );
    }
    if !is_judged {
        return tr!(
            "{input}: nothing to retry apart from the rows without a record; the file stays as it \
             is",
            input
        );
    }
    tr!(
        "{input}: nothing to retry: its only row has a definitive answer; the file stays as it is"
            | "{input}: nothing to retry: all {n} rows have definitive answers; the file stays as \
               it is"
                % rows,
        input
    )
}

/// Whether the output can be the input of `--retry-failed`, which takes no `--shard` and no row
/// that is longer than the header.
#[must_use]
pub(crate) fn can_reread_output(args: &ResolveArgs, format: TableFormat) -> bool {
    // In a workbook the answers are below their header, however long the rows are.
    args.sharding.shard.is_none() && (!args.reader.flexible || format.is_workbook())
}

#[must_use]
pub(crate) fn missing_column_failure(input: &str, MissingColumn(column): MissingColumn) -> Failure {
    let text = tr!(
        "{input} has no column {column} after its answers, and --retry-failed adds none: omit \
         --show-sent",
        input,
        column
    );
    Failure::with_message(Exit::Usage, text)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::expected::Expected;
    use crate::domain::number::mobile::DefaultRegion;
    use crate::table::detect::layout::SourceOptions;

    const RULES: NumberRules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };

    #[test]
    fn kept_rows_are_counted_like_resolved_rows() {
        let text = "tel,id,userid,exclusive_userids,status,errcode,errmsg,expected\n\
                    13800138000,u1,u1,,found,0,ok,match\n\
                    13900138000,u2,4.7E+15,,not_found,60121,none,missing\n\
                    13700138000,u3,,,failed,-1,busy,\n13600138000,u4,,,pending,,a limit,\n\
                    13500138000,u5,4.68626E+15,,found,0,ok,\n\
                    13400138000,u6,u6,u7;1E+15,found,0,ok,\n";
        let options = RowOptions {
            has_answers: true,
            expected_column: Some("id".parse().unwrap()),
            ..RowOptions::default()
        };
        let source_options = SourceOptions {
            has_answers: true,
            extra_columns: options.extra_columns(),
            ..SourceOptions::default()
        };
        let source =
            Source::open(Box::new(Cursor::new(text)), &source_options, &|cell| cell.len() == 11)
                .unwrap();
        let format = RowFormat::new(&options, &source).unwrap();
        let (prescan, scan) =
            scan_resolved(source, RULES, &format, &RetryRules::default()).unwrap();
        let judged = scan.judge(&RetryRules::default());
        assert_eq!((prescan.rows, scan.totals.rows_in), (6, 6));
        assert_eq!((judged.rows_to_ask, judged.rounded_ids), (4, 2));
        assert_eq!(Expected::ALL.map(|result| scan.row_stats.expected(result)), [1, 0, 0, 1]);
        let not_found = scan.unresolved.with_status(Status::NotFound);
        let first = &not_found.rows[0];
        assert_eq!(
            (not_found.count, first.origin.location.number(), &*first.code),
            (1, 3, "60121")
        );
        assert_eq!(scan.unresolved.with_status(Status::Failed).count, 0);
    }
}
