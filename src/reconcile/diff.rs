//! Owns the comparison of two tables that are sorted by key: a row of output for each difference, and the counts. What a
//! difference is, is `domain::change`'s; where the output goes is for others.

use std::io::{self, Write};

use crate::domain::diff::{Answer, Change, Finding, compared};
use crate::domain::percent::Share;
use crate::reconcile::external_sort::Sorted;
use crate::reconcile::progress::{Side, Watch};
use crate::reconcile::records::{Lines, ReconcileError, Table, decode};

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
const MOST_ROWS: usize = 10_000;
/// The size of the output's buffer, in bytes.
const GATHERED: usize = 64 << 10;

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many rows the old table has, and the new one.
    pub rows: [u64; 2],
    /// Their rows without a key.
    pub keyless: [Lines; 2],
    /// Their rows whose key stands in an earlier row.
    pub repeated: [Lines; 2],
    /// How many pairs of rows have no definitive answer on one side.
    pub unknown: u64,
    /// How many pairs of rows say the same.
    pub same: u64,
    changes: [u64; Change::ALL.len()],
}

impl Tally {
    /// How many rows of output there are of a change.
    #[must_use]
    pub(crate) fn of(&self, change: Change) -> u64 {
        self.changes.get(change as usize).copied().unwrap_or_default()
    }

    /// Whether there is any.
    #[must_use]
    pub(crate) fn differs(&self) -> bool {
        self.changes.iter().any(|count| *count > 0)
    }

    /// How many rows of the old table are gone or have another answer, for the worse or at all.
    #[must_use]
    pub(crate) fn harmed(&self) -> u64 {
        [Change::Changed, Change::Lost, Change::Removed]
            .into_iter()
            .map(|change| self.of(change))
            .sum()
    }

    /// Whether that is more than this share of the old table's rows.
    #[must_use]
    pub(crate) fn passes(&self, most: Share) -> bool {
        most.is_less_than(self.harmed(), self.rows[0])
    }

    /// Whether more than this share of them could not be compared.
    #[must_use]
    pub(crate) fn leaves_open(&self, most: Share) -> bool {
        most.is_less_than(self.unknown, self.rows[0])
    }
}

/// Compares two tables and writes what is different, by key, and behind it what people share.
///
/// # Errors
/// [`ReconcileError`] where a key has too many rows, where files fail, and when `watch` says to stop.
pub(crate) fn compare(
    old: Table,
    new: Table,
    output: &mut impl Write,
    watch: &Watch,
) -> Result<Tally, ReconcileError> {
    let mut tally = Tally {
        rows: [old.rows, new.rows],
        keyless: [old.keyless, new.keyless],
        ..Tally::default()
    };
    let mut differences = csv::WriterBuilder::new().buffer_capacity(GATHERED).from_writer(output);
    let told = differences.write_record(HEADER);
    told.map_err(unwritten)?;
    let mut writing = Writing { differences, tally: &mut tally, watch };
    writing.join(old.by_key, new.by_key)?;
    writing.shared(new.by_userid, Change::SharedUserid)?;
    writing.shared(new.by_number, Change::SharedNumber)?;
    writing.differences.flush().map_err(ReconcileError::Output)?;
    Ok(tally)
}

fn unwritten(error: csv::Error) -> ReconcileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ReconcileError::Output(error),
        other => ReconcileError::Output(io::Error::other(format!("{other:?}"))),
    }
}

struct Writing<'a, W: Write> {
    differences: csv::Writer<W>,
    tally: &'a mut Tally,
    watch: &'a Watch,
}

impl<W: Write> Writing<'_, W> {
    /// Goes through both tables key by key.
    fn join(&mut self, mut old: Sorted, mut new: Sorted) -> Result<(), ReconcileError> {
        let (mut key, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.go_on()?;
            let next = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some((key, _)), None) | (None, Some((key, _))) => key,
                (Some((one, _)), Some((other, _))) => one.min(other),
            };
            key.clear();
            key.extend_from_slice(next);
            gather(&mut old, Side::Old, &key, &mut before)?;
            gather(&mut new, Side::New, &key, &mut after)?;
            self.watch.compares((before.len() + after.len()) as u64);
            for (lines, rows) in self.tally.repeated.iter_mut().zip([&before, &after]) {
                rows.iter().skip(1).for_each(|answer| lines.add(answer.line));
            }
            for (finding, (one, other)) in compared(&before, &after) {
                match finding {
                    Finding::Same => self.tally.same += 1,
                    Finding::Unknown => self.tally.unknown += 1,
                    Finding::Change(change) => {
                        let rows = [
                            one.and_then(|one| before.get(one)),
                            other.and_then(|other| after.get(other)),
                        ];
                        self.tell(change, &key, rows)?;
                    }
                }
            }
        }
    }

    /// Goes through records of the new table, whose values have keys, and tells of those that share theirs with another key.
    fn shared(&mut self, mut records: Sorted, change: Change) -> Result<(), ReconcileError> {
        let (mut shared, mut waiting, mut several) = (Vec::new(), Vec::new(), false);
        while let Some((own, value)) = records.peek() {
            if own != shared {
                self.go_on()?;
                shared.clear();
                shared.extend_from_slice(own);
                waiting.clear();
                several = false;
            }
            let answer = decode(value);
            several = several
                || waiting.last().is_some_and(|last: &Answer| last.exclusive != answer.exclusive);
            // Rows wait until another key comes, which a key with too many rows has been refused for.
            waiting.push(answer);
            if several {
                for Answer { status, userid, exclusive: key, line } in waiting.drain(..) {
                    let answer = Answer { status, userid, exclusive: String::new(), line };
                    self.tell(change, key.as_bytes(), [None, Some(&answer)])?;
                }
            }
            records.advance().map_err(ReconcileError::Scratch)?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        change: Change,
        key: &[u8],
        answers: [Option<&Answer>; 2],
    ) -> Result<(), ReconcileError> {
        if let Some(count) = self.tally.changes.get_mut(change as usize) {
            *count += 1;
        }
        // Where the user id is the same, the exclusive ones are what has changed; where there is none, they are all there is.
        let [old, new] = answers;
        let alike = old.zip(new).is_some_and(|(old, new)| old.userid == new.userid);
        let ids = |answer: Option<&Answer>| match answer {
            Some(answer) if alike || answer.userid.is_empty() => answer.ids(),
            Some(answer) => answer.userid.clone(),
            None => String::new(),
        };
        let status = |answer: Option<&Answer>| answer.map_or("", |answer| answer.status.name());
        let line = |answer: Option<&Answer>| {
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
        self.differences.write_record(cells).map_err(unwritten)
    }

    fn go_on(&self) -> Result<(), ReconcileError> {
        if self.watch.stopped() { Err(ReconcileError::Interrupted) } else { Ok(()) }
    }
}

/// Takes the rows of a key off the beginning of a table.
fn gather(
    table: &mut Sorted,
    side: Side,
    key: &[u8],
    rows: &mut Vec<Answer>,
) -> Result<(), ReconcileError> {
    rows.clear();
    while let Some((_, value)) = table.peek().filter(|(own, _)| *own == key) {
        let answer = decode(value);
        if rows.len() == MOST_ROWS {
            return Err(ReconcileError::Crowded { side, line: answer.line, most: MOST_ROWS });
        }
        rows.push(answer);
        table.advance().map_err(ReconcileError::Scratch)?;
    }
    Ok(())
}
