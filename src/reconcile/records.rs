//! Owns the reading of a resolved table into records that can be sorted: by key for the comparison, and by user id and by
//! number for what two people share. Leaves what is made of them to `comparing`.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use tr::tr;

use crate::domain::diff::ResolvedRow;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::{MainlandFormat, NumberRules};
use crate::domain::outcome::{RowStatusError, Status};
use crate::reconcile::external_sort::{SortedRecords, Sorter};
use crate::reconcile::progress::{DiffProgress, Side};
use crate::table::detect::columns::{ANSWER_COLUMNS, ColumnChoice};
use crate::table::detect::extra_columns::ExtraColumn;
use crate::table::source::{Source, SourceError};

/// How many of the columns that every output gets are compared: the user ids and, last of them, the status.
const COMPARED_COLUMNS: usize = 3;
/// How many line numbers people are told.
const MAX_LISTED: usize = 10;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// A table cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row has no status.
    #[error(transparent)]
    InvalidStatus(#[from] RowStatusError),
    /// A key has more rows than can belong to one person.
    #[error("{}", tr!(
        "line {line}: the key of this row stands in more than {most} rows; choose a column with --key that tells people apart",
        line, most
    ))]
    TooManyRows {
        /// Which table it is.
        side: Side,
        /// The line on which the first row too many starts, counted from 1.
        line: u64,
        /// How many rows a key may have.
        most: usize,
    },
    /// Temporary files cannot be written or read.
    #[error("{}", tr!(
        "sorting needs room for temporary files: {cause}; make room in the output's directory (without -o: in TMPDIR), and run again",
        cause = .0
    ))]
    TempFile(io::Error),
    /// The differences cannot be written.
    #[error("{}", tr!("cannot write the differences: {cause}", cause = .0))]
    Output(io::Error),
    /// Somebody wants it to end.
    #[error("{}", tr!("interrupted"))]
    Interrupted,
}

/// How many rows something is so with, and where the first of them stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineNumbers {
    /// How many rows.
    pub count: u64,
    first_lines: BTreeSet<u64>,
}

impl LineNumbers {
    /// Adds the row that starts on `line`, in whichever order they come.
    pub(crate) fn add(&mut self, line: u64) {
        self.count += 1;
        self.first_lines.insert(line);
        if self.first_lines.len() > MAX_LISTED {
            self.first_lines.pop_last();
        }
    }
}

impl fmt::Display for LineNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.first_lines.iter().map(u64::to_string).collect();
        let more = if self.count > lines.len() as u64 { " …" } else { "" };
        let lines = lines.join(&tr!("list" => ", ")) + more;
        f.write_str(&tr!("{n} (line {lines})" | "{n} (lines {lines})" % self.count, lines))
    }
}

/// The columns that have to be read along with the numbers, where rows are joined by `key`.
#[must_use]
pub(crate) fn extra_columns(key: Option<&ColumnChoice>) -> Vec<ExtraColumn> {
    let appended = ANSWER_COLUMNS.into_iter().take(COMPARED_COLUMNS).map(ExtraColumn::Appended);
    let key = key.map(|choice| ExtraColumn::Requested { choice: choice.clone(), flag: "--key" });
    appended.chain(key).collect()
}

/// A table that was read.
pub(crate) struct ResolvedTable {
    /// How many rows it has.
    pub rows: u64,
    /// Those without a key: an empty cell, or where the number is the key, a cell without one. They cannot be joined.
    pub without_key: LineNumbers,
    /// Answers by key.
    pub by_key: SortedRecords,
    /// Keys with lines by user id.
    pub by_userid: SortedRecords,
    /// Answers with keys by number; nothing where the number is the key.
    pub by_number: SortedRecords,
}

/// Where the key stands that rows are joined by: nothing where it is the number.
#[must_use]
pub(crate) fn key_column(source: &Source) -> Option<usize> {
    let key = source.extra_columns().get(COMPARED_COLUMNS).copied();
    key.filter(|key| source.columns().iter().all(|column| column.index != *key))
}

/// Reads a table to its end, of which [`beside`] named the columns. What people share is asked of the new one alone.
///
/// # Errors
/// [`ReconcileError`] for what cannot be read, and when `watch` says to stop.
pub(crate) fn read_table(
    mut source: Source,
    side: Side,
    rules: NumberRules,
    place: &Path,
    watch: &DiffProgress,
) -> Result<ResolvedTable, ReconcileError> {
    let [mut by_key, mut by_userid, mut by_number] = [(); 3].map(|()| Sorter::new(place));
    let (numbers, keyed) = (source.columns().len(), key_column(&source).is_some());
    let place_of_status =
        source.extra_columns().get(COMPARED_COLUMNS - 1).copied().unwrap_or_default();
    let (mut rows, mut keyless, mut value) = (0, LineNumbers::default(), Vec::new());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        if watch.should_stop() {
            return Err(ReconcileError::Interrupted);
        }
        rows += batch.len() as u64;
        watch.add_read(side, batch.len() as u64);
        for row in 0..batch.len() {
            let line = batch.line(row);
            // As spreadsheets leave them at the end.
            if batch.cells(row).all(|cell| cell.trim().is_empty()) {
                keyless.add(line);
                continue;
            }
            let mut cells = batch.cells(row);
            let number = first_number(cells.by_ref().take(numbers), rules);
            let mut cell = || cells.next().unwrap_or_default().trim();
            let [userid, exclusive, status] = [(); 3].map(|()| cell());
            let status = Status::parse(status, place_of_status)
                .map_err(|cause| RowStatusError { line, cause })?;
            let key = if keyed { cell() } else { number.as_deref().unwrap_or_default() };
            if key.is_empty() {
                keyless.add(line);
                continue;
            }
            encode_row(&mut value, status, line, userid, exclusive.as_bytes());
            by_key.push(key.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            if side == Side::Old || status.is_retryable() {
                continue;
            }
            encode_row(&mut value, status, line, userid, key.as_bytes());
            if status == Status::Found && !userid.is_empty() {
                by_userid.push(userid.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            }
            if let (true, Some(number)) = (keyed, number) {
                by_number.push(number.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            }
        }
    }
    let [by_key, by_userid, by_number] = [by_key, by_userid, by_number].map(Sorter::finish);
    let scratch = ReconcileError::TempFile;
    Ok(ResolvedTable {
        rows,
        without_key: keyless,
        by_key: by_key.map_err(scratch)?,
        by_userid: by_userid.map_err(scratch)?,
        by_number: by_number.map_err(scratch)?,
    })
}

/// The first number of a row in its canonical form, by which all spellings of it are one.
fn first_number<'a>(cells: impl Iterator<Item = &'a str>, rules: NumberRules) -> Option<String> {
    let mut read = cells.filter_map(|cell| NumberCell::parse(cell, rules).ok());
    read.next().map(|entry| entry.mobile.to_api_string(MainlandFormat::Plain))
}

/// A record's value: status, line, how long the user id is, the user id, and `last` behind it.
fn encode_row(value: &mut Vec<u8>, status: Status, line: u64, userid: &str, last: &[u8]) {
    value.clear();
    let place = Status::ALL.iter().position(|known| *known == status).unwrap_or_default();
    value.extend((place as u64).to_le_bytes().first());
    value.extend(line.to_le_bytes());
    value.extend((userid.len() as u64).to_le_bytes());
    value.extend(userid.as_bytes());
    value.extend(last);
}

/// The answer of a record's value, and what stands behind it in the place of the exclusive ids.
#[must_use]
pub(crate) fn decode_row(value: &[u8]) -> ResolvedRow {
    let (status, rest) = value.split_first().unwrap_or((&0, &[]));
    let (line, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let (length, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (userid, last) = rest.split_at(length.min(rest.len()));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    ResolvedRow {
        status: Status::ALL.get(usize::from(*status)).copied().unwrap_or(Status::Failed),
        userid: text(userid),
        exclusive_ids: text(last),
        line: u64::from_le_bytes(*line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_a_round_trip() {
        let mut value = vec![1, 2, 3];
        for status in Status::ALL {
            encode_row(&mut value, status, 7_000_000_000, "用户", b"a;b");
            let answer = ResolvedRow {
                status,
                userid: "用户".to_owned(),
                exclusive_ids: "a;b".to_owned(),
                line: 7_000_000_000,
            };
            assert_eq!(decode_row(&value), answer);
        }
    }

    #[test]
    fn the_first_line_numbers_are_listed_in_order() {
        let mut lines = LineNumbers::default();
        lines.add(9);
        assert_eq!(lines.to_string(), "1 (line 9)");
        (1..=12).rev().for_each(|line| lines.add(line * 2));
        assert_eq!(lines.to_string(), "13 (lines 2, 4, 6, 8, 9, 10, 12, 14, 16, 18 …)");
    }
}
