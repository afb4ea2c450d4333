//! Compares two tables that are sorted by key, and writes one row per difference.

use std::io::{self, Write};

use crate::domain::diff::{Change, ResolvedRow, RowComparison, compare_rows};
use crate::domain::percent::Percentage;
use crate::reconcile::external_sort::SortedRecords;
use crate::reconcile::progress::{DiffProgress, Side};
use crate::reconcile::records::{ReconcileError, ResolvedTable, RowList, decode_row};
use crate::table::raw::row_numbers::RowNumbers;

const HEADER: [&str; 8] = [
    "change",
    "key",
    "old_userid",
    "new_userid",
    "old_status",
    "new_status",
    "old_line",
    "new_line",
];
/// Maximum rows of one key in one table, since they are compared in memory.
const MAX_ROWS_PER_KEY: usize = 10_000;
/// Bytes of the output buffer.
const BUFFER_SIZE: usize = 64 << 10;

/// The counts of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiffCounts {
    /// Rows of the old and the new table.
    pub rows: [u64; 2],
    pub without_key: [RowList; 2],
    /// Rows with the key of an earlier row.
    pub duplicates: [RowList; 2],
    /// Pairs of rows without a definitive answer in one of the tables.
    pub unknown: u64,
    /// Pairs of rows with the same answer.
    pub same: u64,
    changes: [u64; Change::ALL.len()],
}

impl DiffCounts {
    /// Rows of the output with this change.
    #[must_use]
    pub(crate) fn count(&self, change: Change) -> u64 {
        self.changes[change as usize]
    }

    #[must_use]
    pub(crate) fn has_changes(&self) -> bool {
        self.changes.iter().any(|count| *count > 0)
    }

    /// Rows of the old table that were removed, lost or changed.
    #[must_use]
    pub(crate) fn changed_or_removed(&self) -> u64 {
        [Change::Changed, Change::Lost, Change::Removed]
            .into_iter()
            .map(|change| self.count(change))
            .sum()
    }

    /// Relative to the rows of the old table.
    #[must_use]
    pub(crate) fn exceeds_max_change(&self, max: Percentage) -> bool {
        max.is_exceeded_by(self.changed_or_removed(), self.rows[0])
    }

    /// Relative to the rows of the old table.
    #[must_use]
    pub(crate) fn exceeds_max_rounded(&self, max: Percentage) -> bool {
        max.is_exceeded_by(self.count(Change::Rounded), self.rows[0])
    }

    /// Relative to the rows of the old table.
    #[must_use]
    pub(crate) fn exceeds_max_unknown(&self, max: Percentage) -> bool {
        max.is_exceeded_by(self.unknown, self.rows[0])
    }
}

/// Compares two tables. Writes the differences by key, then the user ids and numbers that several
/// keys share.
pub(crate) fn compare(
    old: ResolvedTable,
    new: ResolvedTable,
    output: &mut impl Write,
    progress: &DiffProgress,
) -> Result<DiffCounts, ReconcileError> {
    let row_numbers = [old.row_numbers, new.row_numbers];
    let mut counts = DiffCounts {
        rows: [old.rows, new.rows],
        duplicates: row_numbers.each_ref().map(RowList::new),
        without_key: [old.without_key, new.without_key],
        ..DiffCounts::default()
    };
    let mut csv = csv::WriterBuilder::new().buffer_capacity(BUFFER_SIZE).from_writer(output);
    csv.write_record(HEADER).map_err(output_error)?;
    let mut writer = DiffWriter { csv, counts: &mut counts, row_numbers, progress };
    writer.join(old.by_key, new.by_key)?;
    writer.write_shared(new.by_userid, Change::SharedUserid)?;
    writer.write_shared(new.by_number, Change::SharedNumber)?;
    writer.csv.flush().map_err(ReconcileError::Output)?;
    Ok(counts)
}

fn output_error(error: csv::Error) -> ReconcileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ReconcileError::Output(error),
        other => ReconcileError::Output(io::Error::other(format!("{other:?}"))),
    }
}

struct DiffWriter<'a, W: Write> {
    csv: csv::Writer<W>,
    counts: &'a mut DiffCounts,
    /// Of the old and the new table.
    row_numbers: [RowNumbers; 2],
    progress: &'a DiffProgress,
}

impl<W: Write> DiffWriter<'_, W> {
    /// A merge join of both tables.
    fn join(
        &mut self,
        mut old: SortedRecords,
        mut new: SortedRecords,
    ) -> Result<(), ReconcileError> {
        let (mut key, mut old_rows, mut new_rows) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.check_stop()?;
            let next = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some((key, _)), None) | (None, Some((key, _))) => key,
                (Some((one, _)), Some((other, _))) => one.min(other),
            };
            key.clear();
            key.extend_from_slice(next);
            let [old_numbers, new_numbers] = &self.row_numbers;
            read_key_rows(&mut old, Side::Old, old_numbers, &key, &mut old_rows)?;
            read_key_rows(&mut new, Side::New, new_numbers, &key, &mut new_rows)?;
            self.progress.add_compared((old_rows.len() + new_rows.len()) as u64);
            for (lines, rows) in self.counts.duplicates.iter_mut().zip([&old_rows, &new_rows]) {
                rows.iter().skip(1).for_each(|row| lines.add(row.line));
            }
            for (comparison, (old, new)) in compare_rows(&old_rows, &new_rows) {
                match comparison {
                    RowComparison::Same => self.counts.same += 1,
                    RowComparison::Unknown => self.counts.unknown += 1,
                    RowComparison::Change(change) => {
                        let rows =
                            [old.map(|index| &old_rows[index]), new.map(|index| &new_rows[index])];
                        self.write_change(change, &key, rows)?;
                    }
                }
            }
        }
    }

    /// Writes the rows whose user id or number also occurs with another key. `records` are sorted
    /// by user id or number, and have the row's key in place of the exclusive ids.
    fn write_shared(
        &mut self,
        mut records: SortedRecords,
        change: Change,
    ) -> Result<(), ReconcileError> {
        let (mut shared, mut buffered, mut is_shared) = (Vec::new(), Vec::new(), false);
        while let Some((own, value)) = records.peek() {
            if own != shared {
                self.check_stop()?;
                shared.clear();
                shared.extend_from_slice(own);
                buffered.clear();
                is_shared = false;
            }
            let row = decode_row(value);
            is_shared = is_shared
                || buffered
                    .last()
                    .is_some_and(|last: &ResolvedRow| last.exclusive_ids != row.exclusive_ids);
            // Rows are buffered until a second key occurs. The buffer is bounded, since
            // `read_key_rows` has rejected keys with too many rows.
            buffered.push(row);
            if is_shared {
                for ResolvedRow { status, userid, exclusive_ids: key, line } in buffered.drain(..) {
                    let row = ResolvedRow { status, userid, exclusive_ids: String::new(), line };
                    self.write_change(change, key.as_bytes(), [None, Some(&row)])?;
                }
            }
            records.advance().map_err(ReconcileError::TempFile)?;
        }
        Ok(())
    }

    fn write_change(
        &mut self,
        change: Change,
        key: &[u8],
        [old, new]: [Option<&ResolvedRow>; 2],
    ) -> Result<(), ReconcileError> {
        self.counts.changes[change as usize] += 1;
        // If the user id is the same, the exclusive ids have changed, so they are written as well.
        let same_userid = old.zip(new).is_some_and(|(old, new)| old.userid == new.userid);
        let ids = |row: Option<&ResolvedRow>| match row {
            Some(row) if same_userid || row.userid.is_empty() => row.ids(),
            Some(row) => row.userid.clone(),
            None => String::new(),
        };
        let status = |row: Option<&ResolvedRow>| row.map_or("", |row| row.status.name());
        let line =
            |row: Option<&ResolvedRow>| row.map_or_else(String::new, |row| row.line.to_string());
        let (ids, lines) = ([ids(old), ids(new)], [line(old), line(new)]);
        let cells: [&[u8]; HEADER.len()] = [
            change.name().as_bytes(),
            key,
            ids[0].as_bytes(),
            ids[1].as_bytes(),
            status(old).as_bytes(),
            status(new).as_bytes(),
            lines[0].as_bytes(),
            lines[1].as_bytes(),
        ];
        self.csv.write_record(cells).map_err(output_error)
    }

    fn check_stop(&self) -> Result<(), ReconcileError> {
        if self.progress.should_stop() { Err(ReconcileError::Interrupted) } else { Ok(()) }
    }
}

/// Reads the rows of a key, with which `table` continues, into `rows`.
fn read_key_rows(
    table: &mut SortedRecords,
    side: Side,
    numbers: &RowNumbers,
    key: &[u8],
    rows: &mut Vec<ResolvedRow>,
) -> Result<(), ReconcileError> {
    rows.clear();
    while let Some((_, value)) = table.peek().filter(|(own, _)| *own == key) {
        let row = decode_row(value);
        if rows.len() == MAX_ROWS_PER_KEY {
            return Err(ReconcileError::TooManyRows {
                side,
                row: numbers.locate(row.line),
                most: MAX_ROWS_PER_KEY,
            });
        }
        rows.push(row);
        table.advance().map_err(ReconcileError::TempFile)?;
    }
    Ok(())
}
