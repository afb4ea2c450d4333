//! Owns the comparison of two tables that are sorted by key: a row of output for each difference, and the counts. What a
//! difference is, is `domain::change`'s; where the output goes is for others.

use std::io::{self, Write};

use crate::domain::diff::{Change, ResolvedRow, RowComparison, compare_rows};
use crate::domain::percent::Percentage;
use crate::reconcile::external_sort::SortedRecords;
use crate::reconcile::progress::{DiffProgress, Side};
use crate::reconcile::records::{LineNumbers, ReconcileError, ResolvedTable, decode_row};

/// The output's columns.
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
/// How many rows one key may have in one table, since they are compared in memory.
const MAX_ROWS_PER_KEY: usize = 10_000;
/// The size of the output's buffer, in bytes.
const BUFFER_SIZE: usize = 64 << 10;

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiffCounts {
    /// How many rows the old table has, and the new one.
    pub rows: [u64; 2],
    /// Their rows without a key.
    pub without_key: [LineNumbers; 2],
    /// Their rows whose key stands in an earlier row.
    pub duplicates: [LineNumbers; 2],
    /// How many pairs of rows have no definitive answer on one side.
    pub unknown: u64,
    /// How many pairs of rows say the same.
    pub same: u64,
    changes: [u64; Change::ALL.len()],
}

impl DiffCounts {
    /// How many rows of output there are of a change.
    #[must_use]
    pub(crate) fn count(&self, change: Change) -> u64 {
        self.changes.get(change as usize).copied().unwrap_or_default()
    }

    /// Whether there is any.
    #[must_use]
    pub(crate) fn has_changes(&self) -> bool {
        self.changes.iter().any(|count| *count > 0)
    }

    /// How many rows of the old table are gone or have another answer, for the worse or at all.
    #[must_use]
    pub(crate) fn changed_or_removed(&self) -> u64 {
        [Change::Changed, Change::Lost, Change::Removed]
            .into_iter()
            .map(|change| self.count(change))
            .sum()
    }

    /// Whether that is more than this share of the old table's rows.
    #[must_use]
    pub(crate) fn exceeds_max_change(&self, most: Percentage) -> bool {
        most.is_exceeded_by(self.changed_or_removed(), self.rows[0])
    }

    /// Whether more than this share of them could not be compared.
    #[must_use]
    pub(crate) fn exceeds_max_unknown(&self, most: Percentage) -> bool {
        most.is_exceeded_by(self.unknown, self.rows[0])
    }
}

/// Compares two tables and writes what is different, by key, and behind it what people share.
///
/// # Errors
/// [`ReconcileError`] where a key has too many rows, where files fail, and when `watch` says to stop.
pub(crate) fn compare(
    old: ResolvedTable,
    new: ResolvedTable,
    output: &mut impl Write,
    watch: &DiffProgress,
) -> Result<DiffCounts, ReconcileError> {
    let mut tally = DiffCounts {
        rows: [old.rows, new.rows],
        without_key: [old.without_key, new.without_key],
        ..DiffCounts::default()
    };
    let mut differences =
        csv::WriterBuilder::new().buffer_capacity(BUFFER_SIZE).from_writer(output);
    let told = differences.write_record(HEADER);
    told.map_err(output_error)?;
    let mut writing = DiffWriter { csv: differences, counts: &mut tally, progress: watch };
    writing.join(old.by_key, new.by_key)?;
    writing.write_shared(new.by_userid, Change::SharedUserid)?;
    writing.write_shared(new.by_number, Change::SharedNumber)?;
    writing.csv.flush().map_err(ReconcileError::Output)?;
    Ok(tally)
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
    progress: &'a DiffProgress,
}

impl<W: Write> DiffWriter<'_, W> {
    /// Goes through both tables key by key.
    fn join(
        &mut self,
        mut old: SortedRecords,
        mut new: SortedRecords,
    ) -> Result<(), ReconcileError> {
        let (mut key, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.check_stop()?;
            let next = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some((key, _)), None) | (None, Some((key, _))) => key,
                (Some((one, _)), Some((other, _))) => one.min(other),
            };
            key.clear();
            key.extend_from_slice(next);
            read_key_rows(&mut old, Side::Old, &key, &mut before)?;
            read_key_rows(&mut new, Side::New, &key, &mut after)?;
            self.progress.add_compared((before.len() + after.len()) as u64);
            for (lines, rows) in self.counts.duplicates.iter_mut().zip([&before, &after]) {
                rows.iter().skip(1).for_each(|answer| lines.add(answer.line));
            }
            for (finding, (one, other)) in compare_rows(&before, &after) {
                match finding {
                    RowComparison::Same => self.counts.same += 1,
                    RowComparison::Unknown => self.counts.unknown += 1,
                    RowComparison::Change(change) => {
                        let rows = [
                            one.and_then(|one| before.get(one)),
                            other.and_then(|other| after.get(other)),
                        ];
                        self.write_change(change, &key, rows)?;
                    }
                }
            }
        }
    }

    /// Goes through records of the new table, whose values have keys, and tells of those that share theirs with another key.
    fn write_shared(
        &mut self,
        mut records: SortedRecords,
        change: Change,
    ) -> Result<(), ReconcileError> {
        let (mut shared, mut waiting, mut several) = (Vec::new(), Vec::new(), false);
        while let Some((own, value)) = records.peek() {
            if own != shared {
                self.check_stop()?;
                shared.clear();
                shared.extend_from_slice(own);
                waiting.clear();
                several = false;
            }
            let answer = decode_row(value);
            several = several
                || waiting
                    .last()
                    .is_some_and(|last: &ResolvedRow| last.exclusive_ids != answer.exclusive_ids);
            // Rows wait until another key comes, which a key with too many rows has been refused for.
            waiting.push(answer);
            if several {
                for ResolvedRow { status, userid, exclusive_ids: key, line } in waiting.drain(..) {
                    let answer = ResolvedRow { status, userid, exclusive_ids: String::new(), line };
                    self.write_change(change, key.as_bytes(), [None, Some(&answer)])?;
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
        answers: [Option<&ResolvedRow>; 2],
    ) -> Result<(), ReconcileError> {
        if let Some(count) = self.counts.changes.get_mut(change as usize) {
            *count += 1;
        }
        // Where the user id is the same, the exclusive ones are what has changed; where there is none, they are all there is.
        let [old, new] = answers;
        let alike = old.zip(new).is_some_and(|(old, new)| old.userid == new.userid);
        let ids = |answer: Option<&ResolvedRow>| match answer {
            Some(answer) if alike || answer.userid.is_empty() => answer.ids(),
            Some(answer) => answer.userid.clone(),
            None => String::new(),
        };
        let status =
            |answer: Option<&ResolvedRow>| answer.map_or("", |answer| answer.status.name());
        let line = |answer: Option<&ResolvedRow>| {
            answer.map_or_else(String::new, |answer| answer.line.to_string())
        };
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

/// Takes the rows of a key off the beginning of a table.
fn read_key_rows(
    table: &mut SortedRecords,
    side: Side,
    key: &[u8],
    rows: &mut Vec<ResolvedRow>,
) -> Result<(), ReconcileError> {
    rows.clear();
    while let Some((_, value)) = table.peek().filter(|(own, _)| *own == key) {
        let answer = decode_row(value);
        if rows.len() == MAX_ROWS_PER_KEY {
            return Err(ReconcileError::TooManyRows {
                side,
                line: answer.line,
                most: MAX_ROWS_PER_KEY,
            });
        }
        rows.push(answer);
        table.advance().map_err(ReconcileError::TempFile)?;
    }
    Ok(())
}
