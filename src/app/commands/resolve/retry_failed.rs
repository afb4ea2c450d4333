//! `resolve --retry-failed`: scans a resolved table for the rows that are called again, because of
//! their status or because their number is not the one that was asked.

use std::collections::BTreeSet;
use std::mem;
use std::path::Path;

use roaring::RoaringTreemap;
use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};
use crate::app::report::text::input_name;
use crate::app::report::unresolved_list::describe_origin;
use crate::domain::number::mobile::NumberRules;
use crate::domain::outcome::Status;
use crate::domain::rounded_id::IdSurvey;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::Totals;
use crate::engine::io::reader::{self, ReaderError};
use crate::engine::io::retry::{self, RecordMatch, RetryRules, RowDecision};
use crate::engine::io::row_format::{MissingColumn, RowFormat, RowOptions};
use crate::engine::io::unresolved::{SharedUnresolved, UnresolvedRows};
use crate::engine::io::writer;
use crate::store::disk::prefetch::StoredRecords;
use crate::table::detect::columns::{ANSWER_COLUMNS, EXPECTED_COLUMN, SENT_COLUMN, is_same_name};
use crate::table::header::Header;
use crate::table::prescan::Prescan;
use crate::table::raw::batch::Batch;
use crate::table::source::{Source, SourceError};
use crate::table::write::format::TableFormat;

/// Most rows that a message lists.
const MAX_LISTED: usize = 10;

/// The answers of a resolved table.
#[derive(Debug, Default)]
pub(crate) struct ResolvedScan {
    /// Rows that are called again count as failed.
    pub totals: Totals,
    /// Of the rows that keep their answers.
    pub row_stats: RowStats,
    /// What the user ids of the table are like.
    pub user_ids: IdSurvey,
    /// The rows that keep their answers and have no user id.
    pub unresolved: UnresolvedRows,
    /// How many rows are asked again, and why.
    pub reasons: RetryReasons,
    /// Rows that the API answered.
    answered_rows: u64,
    /// Rows whose answer is about their number or not: the state may show it.
    unrecorded: RowSample,
    /// Rows whose number cannot be asked.
    unreadable: RowSample,
    /// Rows whose number a spreadsheet rounded.
    rounded: RowSample,
    /// Rows that keep their answers, although these may not be about their numbers.
    unjudged: RowSample,
    /// Whether it is decided which rows keep their answers.
    pub is_concluded: bool,
}

/// How many rows are asked again, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryReasons {
    by_status: [u64; Status::ALL.len()],
    pub rounded_ids: u64,
    no_status: u64,
    corrected: u64,
    changed: u64,
}

/// Rows by number, their statuses, and the first of them for people.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSample {
    rows: RoaringTreemap,
    statuses: BTreeSet<Status>,
    first: Vec<String>,
}

impl RowSample {
    fn add(&mut self, format: &RowFormat, batch: &Batch, row: usize, status: Status) {
        self.rows.insert(batch.line(row));
        self.statuses.insert(status);
        if self.first.len() < MAX_LISTED {
            self.first.push(describe_origin(&format.origin(batch, row, 0), None));
        }
    }

    fn append(&mut self, mut other: Self) {
        self.rows |= other.rows;
        self.statuses.append(&mut other.statuses);
        self.first.append(&mut other.first);
        self.first.truncate(MAX_LISTED);
    }
}

/// What the state says about the rows of a resolved table.
#[derive(Debug, Default)]
pub(crate) struct RecordComparison {
    /// Rows whose answer is that of their number.
    same: u64,
    /// Rows whose number has another answer.
    different: RoaringTreemap,
    /// Rows whose number has no answer in the state.
    unknown: RowSample,
    /// Whether a run of the app wrote the file and asked all of its numbers.
    is_own_file: bool,
}

impl RecordComparison {
    /// Whether a number without an answer in the state was never asked: the state has the answers
    /// of the run that wrote the table. It has if it knows the file, or two thirds of the answers.
    fn covers_table(&self) -> bool {
        self.is_own_file || (self.same > 0 && self.same >= self.unknown.rows.len() * 2)
    }
}

impl ResolvedScan {
    #[must_use]
    pub(crate) fn rows_to_retry(&self) -> u64 {
        self.totals.rows_in - self.totals.rows_kept
    }

    /// Whether rows are to be compared with the state.
    #[must_use]
    pub(crate) fn needs_records(&self) -> bool {
        !self.unrecorded.rows.is_empty()
    }

    /// The rows that keep their answers, although these may not be about their numbers.
    #[must_use]
    pub(crate) fn unjudged_rows(&self) -> &RoaringTreemap {
        &self.unjudged.rows
    }

    /// Decides about the rows that [`RetryRules::decide`] does not decide about. Returns those
    /// whose answer is not about their number. `comparison` is `None` without a state.
    pub(crate) fn conclude(&mut self, comparison: Option<RecordComparison>) -> RoaringTreemap {
        self.is_concluded = true;
        let (unrecorded, unreadable) =
            (mem::take(&mut self.unrecorded), mem::take(&mut self.unreadable));
        self.unjudged.append(mem::take(&mut self.rounded));
        let mut changed = RoaringTreemap::new();
        // Single cells are mistakes. If most are unreadable, a flag of the first run is missing.
        if unreadable.rows.len() * 2 <= self.answered_rows {
            changed |= unreadable.rows;
        } else {
            self.unjudged.append(unreadable);
        }
        match comparison {
            None => self.unjudged.append(unrecorded),
            Some(comparison) => {
                let is_covered = comparison.covers_table();
                changed |= comparison.different;
                if is_covered {
                    changed |= comparison.unknown.rows;
                } else {
                    self.unjudged.append(comparison.unknown);
                }
            }
        }
        self.count_changed(changed.len());
        changed
    }

    /// Takes over what an interrupted run of the same table has decided.
    pub(crate) fn conclude_as_decided(&mut self, changed: &RoaringTreemap) {
        self.is_concluded = true;
        self.unrecorded = RowSample::default();
        self.count_changed(changed.len());
    }

    fn count_changed(&mut self, rows: u64) {
        self.totals.rows_kept -= rows;
        self.reasons.changed += rows;
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
            let decision = retry_rules
                .decide(format, &batch, row, rules)
                .map_err(|cause| reader::status_error(format, &batch, row, cause))?;
            let kept = scan.count_decision(format, &batch, row, rules, decision);
            scan.totals.rows_in += 1;
            scan.totals.count_row(kept.unwrap_or(Status::Failed));
            if let Some(status) = kept {
                scan.totals.rows_kept += 1;
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

impl ResolvedScan {
    /// Counts a row. Returns its status if it keeps its answer, so far.
    fn count_decision(
        &mut self,
        format: &RowFormat,
        batch: &Batch,
        row: usize,
        rules: NumberRules,
        decision: RowDecision,
    ) -> Option<Status> {
        let reasons = &mut self.reasons;
        let was_answered =
            |status| !matches!(status, Status::Invalid | Status::Failed | Status::Pending);
        match decision {
            RowDecision::Keep(status) => {
                self.answered_rows += u64::from(was_answered(status));
                return Some(status);
            }
            RowDecision::Retry(status) => reasons.by_status[status as usize] += 1,
            RowDecision::RoundedId => reasons.rounded_ids += 1,
            RowDecision::NoStatus => reasons.no_status += 1,
            RowDecision::Corrected => reasons.corrected += 1,
            RowDecision::Changed => {
                self.answered_rows += 1;
                reasons.changed += 1;
            }
            RowDecision::NeedsRecord(status) => {
                self.answered_rows += 1;
                self.unrecorded.add(format, batch, row, status);
                return Some(status);
            }
            RowDecision::Unreadable(status) => {
                self.answered_rows += 1;
                if retry::has_rounded_number(format, batch, row, rules) {
                    self.rounded.add(format, batch, row, status);
                } else {
                    self.unreadable.add(format, batch, row, status);
                }
                return Some(status);
            }
        }
        None
    }
}

/// Compares the answers of a resolved table with those in the state. `path` is that of the table.
///
/// # Errors
/// [`ReaderError`] for the first row that cannot be read or has no valid status.
pub(crate) fn compare_with_state(
    mut source: Source,
    path: &Path,
    rules: NumberRules,
    format: &RowFormat,
    retry_rules: &RetryRules,
    records: &StoredRecords,
) -> Result<RecordComparison, ReaderError> {
    let mut comparison =
        RecordComparison { is_own_file: records.has_written(path), ..RecordComparison::default() };
    while let Some(batch) = source.next_batch(usize::MAX)? {
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for row in 0..batch.len() {
            let decision = retry_rules
                .decide(format, &batch, row, rules)
                .map_err(|cause| reader::status_error(format, &batch, row, cause))?;
            if let RowDecision::NeedsRecord(status) = decision {
                numbers.extend(retry::asked_numbers(format, &batch, row, rules));
                rows.push((row, status, numbers.len()));
            }
        }
        // An error ends the run, which reads the state too.
        let Some(found) = records.look_up(&numbers) else { break };
        let mut start = 0;
        for (row, status, end) in rows {
            let own = &found[mem::replace(&mut start, end)..end];
            match retry::compare_records(format, &batch, row, status, own) {
                RecordMatch::Same => comparison.same += 1,
                RecordMatch::Different => {
                    comparison.different.insert(batch.line(row));
                }
                RecordMatch::Unknown => comparison.unknown.add(format, &batch, row, status),
            }
        }
    }
    Ok(comparison)
}

/// How many rows are asked again, and why; `None` if there is none.
#[must_use]
pub(crate) fn describe_reasons(scan: &ResolvedScan) -> Option<String> {
    if scan.rows_to_retry() == 0 {
        return None;
    }
    let RetryReasons { by_status, rounded_ids, no_status, corrected, changed } = &scan.reasons;
    let statuses = Status::ALL.into_iter().zip(by_status);
    let mut reasons: Vec<_> = statuses
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{status} {count}"))
        .collect();
    for (count, reason) in [
        (corrected, tr!("invalid and can be sent now")),
        (changed, tr!("another number than the one that was asked")),
        (no_status, tr!("no status")),
        (rounded_ids, tr!("rounded user id")),
    ] {
        if *count > 0 {
            reasons.push(format!("{reason} {count}"));
        }
    }
    Some(tr!(
        "asking {rows} of {all} rows again: {reasons}",
        rows = scan.rows_to_retry(),
        all = scan.totals.rows_in,
        reasons = reasons.join(&tr!(", "))
    ))
}

/// The warning about rows that keep their answers, although these may not be about their numbers.
/// `retry_rules` are those of the run.
#[must_use]
pub(crate) fn unjudged_warning(scan: &ResolvedScan, retry_rules: &RetryRules) -> Option<String> {
    let RowSample { rows, statuses, first } = &scan.unjudged;
    let count = rows.len();
    if count == 0 {
        return None;
    }
    let asked = Status::ALL
        .into_iter()
        .filter(|status| retry_rules.has_status(*status) || statuses.contains(status));
    let mut text = tr!(
        "{n} row has an answer, and there is no record of the number that was asked: if the number \
         was changed, the answer is not about it. The row keeps it; --retry {statuses} asks it \
         again"
            | "{n} rows have an answer, and there is no record of the number that was asked: where \
               the number was changed, the answer is not about it. The rows keep it; \
               --retry {statuses} asks them again"
                % count,
        statuses = asked.map(Status::name).collect::<Vec<_>>().join(",")
    );
    for row in first {
        text.push_str("\n  ");
        text.push_str(row);
    }
    let more = count - first.len() as u64;
    if more > 0 {
        text.push_str("\n  ");
        text.push_str(&tr!("and {count} more", count = more));
    }
    Some(text)
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
pub(crate) fn rounded_ids_warning(scan: &ResolvedScan) -> Option<String> {
    (scan.reasons.rounded_ids > 0).then(|| {
        tr!("in {n} row, a spreadsheet rounded the user id when it saved the file; the row is \
             asked again"
            | "in {n} rows, a spreadsheet rounded the user id when it saved the file; the rows \
                   are asked again"
                % scan.reasons.rounded_ids)
    })
}

/// The rows without a user id, without the reasons of those whose answer may be about another
/// number.
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
                    138,u1,u1,,found,0,ok,match\n139,u2,4.7E+15,,not_found,60121,none,missing\n\
                    137,u3,,,failed,-1,busy,\n136,u4,,,pending,,a limit,\n\
                    135,u5,4.68626E+15,,found,0,ok,\n134,u6,u6,u7;1E+15,found,0,ok,\n";
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
            Source::open(Box::new(Cursor::new(text)), &source_options, &|cell| cell.len() == 3)
                .unwrap();
        let format = RowFormat::new(&options, &source).unwrap();
        let (prescan, scan) =
            scan_resolved(source, RULES, &format, &RetryRules::default()).unwrap();
        assert_eq!((prescan.rows, scan.totals.rows_in, scan.totals.rows_kept), (6, 6, 2));
        assert_eq!((scan.rows_to_retry(), scan.reasons.rounded_ids), (4, 2));
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
