//! Reads a resolved table into sorted records: by key, by user id and by number.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

use tr::tr;

use crate::domain::diff::ResolvedRow;
use crate::domain::excel;
use crate::domain::number::mobile::{MainlandFormat, NumberRules};
use crate::domain::outcome::{RowStatusError, Status};
use crate::domain::redact::sanitize;
use crate::domain::rounded_id::is_exponent_form;
use crate::domain::row_location::RowLocation;
use crate::reconcile::external_sort::{SortedRecords, Sorter};
use crate::reconcile::progress::{DiffProgress, Side};
use crate::table::detect::columns::{ANSWER_COLUMNS, ColumnChoice};
use crate::table::detect::extra_columns::ExtraColumn;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::source::{Source, SourceError};

/// The first appended columns, which are compared: the two with user ids, then the status.
const COMPARED_COLUMNS: usize = 3;
/// Maximum row numbers in a message.
const MAX_LISTED: usize = 10;

/// Why tables cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    InvalidStatus(#[from] RowStatusError),
    /// A key has more rows than are compared in memory.
    #[error("{}", tr!(
        "{row}: more than {most} rows have the key of this row; choose a column with --key that is \
         unique for each person",
        row, most
    ))]
    TooManyRows {
        side: Side,
        /// The first excess row.
        row: RowLocation,
        /// The maximum.
        most: usize,
    },
    /// A temporary file cannot be written or read.
    #[error("{}", tr!(
        "cannot use temporary files for sorting: {cause}; free space in the output's directory \
         (without -o: in TMPDIR) and run again",
        cause = .0
    ))]
    TempFile(io::Error),
    #[error("{}", tr!("cannot write the differences: {cause}", cause = .0))]
    Output(io::Error),
    #[error("{}", tr!("interrupted"))]
    Interrupted,
}

/// A count of rows with the numbers of the first ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowList {
    pub count: u64,
    first_lines: BTreeSet<u64>,
    /// The name of the sheet.
    sheet: Option<String>,
}

impl RowList {
    #[must_use]
    pub(crate) fn new(numbers: &RowNumbers) -> Self {
        Self { sheet: numbers.sheet().map(sanitize), ..Self::default() }
    }

    /// Adds the row with this number, in any order.
    pub(crate) fn add(&mut self, line: u64) {
        self.count += 1;
        self.first_lines.insert(line);
        if self.first_lines.len() > MAX_LISTED {
            self.first_lines.pop_last();
        }
    }
}

impl fmt::Display for RowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.first_lines.iter().map(u64::to_string).collect();
        let more = if self.count > numbers.len() as u64 { " …" } else { "" };
        let lines = numbers.join(&tr!("list" => ", ")) + more;
        f.write_str(&match &self.sheet {
            None => tr!("{n} (line {lines})" | "{n} (lines {lines})" % self.count, lines),
            Some(sheet) => tr!(
                "{n} ({sheet}, row {rows})" | "{n} ({sheet}, rows {rows})" % self.count,
                sheet,
                rows = lines
            ),
        })
    }
}

/// The columns that must be read in addition to the numbers.
#[must_use]
pub(crate) fn extra_columns(key: Option<&ColumnChoice>) -> Vec<ExtraColumn> {
    let appended = ANSWER_COLUMNS.into_iter().take(COMPARED_COLUMNS).map(ExtraColumn::Appended);
    let key = key.map(|choice| ExtraColumn::Requested { choice: choice.clone(), flag: "--key" });
    appended.chain(key).collect()
}

/// A table as sorted records, whose values [`decode_row`] reads.
pub(crate) struct ResolvedTable {
    pub rows: u64,
    pub row_numbers: RowNumbers,
    /// Rows with an empty key cell or, if the number is the key, without a number. They are not
    /// compared.
    pub without_key: RowList,
    pub by_key: SortedRecords,
    /// Rows of the new table with a user id. The values have the key in place of the exclusive ids.
    pub by_userid: SortedRecords,
    /// As `by_userid`, for rows with a number; empty if the number is the key.
    pub by_number: SortedRecords,
}

/// The index of the key column. `None` if the number is the key.
#[must_use]
pub(crate) fn key_column(source: &Source) -> Option<usize> {
    let key = source.extra_columns().get(COMPARED_COLUMNS).copied();
    key.filter(|key| source.columns().iter().all(|column| column.index != *key))
}

/// Reads a whole table, opened with [`extra_columns`]. Shared user ids and numbers are looked for
/// only in the new table.
pub(crate) fn read_table(
    mut source: Source,
    side: Side,
    rules: NumberRules,
    temp_dir: &Path,
    progress: &DiffProgress,
) -> Result<ResolvedTable, ReconcileError> {
    let [mut by_key, mut by_userid, mut by_number] = [(); 3].map(|()| Sorter::new(temp_dir));
    let (number_cells, has_key_column) = (source.number_cells(), key_column(&source).is_some());
    let status_column = source.extra_columns()[COMPARED_COLUMNS - 1];
    let row_numbers = source.row_numbers().clone();
    let (mut rows, mut without_key, mut value) = (0, RowList::new(&row_numbers), Vec::new());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        if progress.should_stop() {
            return Err(ReconcileError::Interrupted);
        }
        rows += batch.len() as u64;
        progress.add_read(side, batch.len() as u64);
        for row in 0..batch.len() {
            let line = batch.line(row);
            // Spreadsheets append empty rows, which have no status.
            if number_cells.is_blank_row(&batch, row) {
                without_key.add(line);
                continue;
            }
            let mut cells = batch.cells(row).skip(number_cells.count());
            let number = number_cells.parse(&batch, row, rules).flatten().next();
            // In a canonical form.
            let number = number.map(|number| number.mobile.to_api_string(MainlandFormat::Plain));
            let mut next_cell = || cells.next().unwrap_or("").trim();
            let [userid, exclusive_ids, status] = [(); COMPARED_COLUMNS].map(|()| next_cell());
            let [userid, exclusive_ids] = [userid, exclusive_ids].map(excel::unprotect);
            let status = Status::parse(status, status_column)
                .map_err(|cause| RowStatusError { row: row_numbers.locate(line), cause })?;
            let key = if has_key_column { next_cell() } else { number.as_deref().unwrap_or("") };
            if key.is_empty() {
                without_key.add(line);
                continue;
            }
            encode_row(&mut value, status, line, userid, exclusive_ids.as_bytes());
            by_key.push(key.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            if side == Side::Old || status.is_retryable() {
                continue;
            }
            encode_row(&mut value, status, line, userid, key.as_bytes());
            // Different ids have the same exponent form.
            let has_userid = !userid.is_empty() && !is_exponent_form(userid);
            if status == Status::Found && has_userid {
                by_userid.push(userid.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            }
            if let (true, Some(number)) = (has_key_column, number) {
                by_number.push(number.as_bytes(), &value).map_err(ReconcileError::TempFile)?;
            }
        }
    }
    let [by_key, by_userid, by_number] = [by_key, by_userid, by_number].map(Sorter::finish);
    Ok(ResolvedTable {
        rows,
        row_numbers,
        without_key,
        by_key: by_key.map_err(ReconcileError::TempFile)?,
        by_userid: by_userid.map_err(ReconcileError::TempFile)?,
        by_number: by_number.map_err(ReconcileError::TempFile)?,
    })
}

/// Encodes the value of a record: status, line, length of the user id, user id, `last`.
fn encode_row(value: &mut Vec<u8>, status: Status, line: u64, userid: &str, last: &[u8]) {
    value.clear();
    value.push(status as u8);
    value.extend(line.to_le_bytes());
    value.extend(userid.len().to_le_bytes());
    value.extend(userid.as_bytes());
    value.extend(last);
}

/// The inverse of [`encode_row`], with `last` as the exclusive ids. Panics for any other value,
/// which is a bug.
#[must_use]
pub(crate) fn decode_row(value: &[u8]) -> ResolvedRow {
    let mut remaining = value;
    let [status] = take(&mut remaining);
    let line = u64::from_le_bytes(take(&mut remaining));
    let userid_len = usize::from_le_bytes(take(&mut remaining));
    let (userid, last) = remaining.split_at(userid_len);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    ResolvedRow {
        status: Status::ALL[usize::from(status)],
        userid: text(userid),
        exclusive_ids: text(last),
        line,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, remaining) = bytes.split_at(N);
    *bytes = remaining;
    std::array::from_fn(|index| taken[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_a_round_trip() {
        let mut value = vec![1, 2, 3];
        for status in Status::ALL {
            encode_row(&mut value, status, 7_000_000_000, "用户", b"a;b");
            let row = ResolvedRow {
                status,
                userid: "用户".to_owned(),
                exclusive_ids: "a;b".to_owned(),
                line: 7_000_000_000,
            };
            assert_eq!(decode_row(&value), row);
        }
    }

    #[test]
    fn the_first_line_numbers_are_listed_in_order() {
        let mut lines = RowList::default();
        lines.add(9);
        assert_eq!(lines.to_string(), "1 (line 9)");
        (1..=12).rev().for_each(|line| lines.add(line * 2));
        assert_eq!(lines.to_string(), "13 (lines 2, 4, 6, 8, 9, 10, 12, 14, 16, 18 …)");
    }
}
