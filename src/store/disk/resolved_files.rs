//! What the state knows of resolved files that people correct: which files runs of an app wrote,
//! and what it said about the rows of a file before the first call of an unfinished run.
//!
//! An interrupted run keeps what the state said at first: its own answers would judge otherwise.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};
use roaring::RoaringTreemap;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{ANSWERS, State, StateError};
use crate::store::disk::output_records::path_key;
use crate::store::disk::prefetch::CommittedAnswers;
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::sessions::{EarlierRun, Session};
use crate::store::freshness::{Freshness, MaxAges};

/// The scope and the session of the run that asked all numbers of a file, by the digest of its
/// path. States of earlier versions have neither table.
const FILES: TableDefinition<'_, &str, (u32, u64)> = TableDefinition::new("dingmap resolved");
/// Rows as bits, by scope, fingerprint, kind and block.
const ROW_RECORDS: TableDefinition<'_, (u32, &str, u8, u64), &[u8]> =
    TableDefinition::new("dingmap evidence");
/// Most files that are recorded. Those of the oldest sessions are forgotten.
const MAX_FILES: u64 = 1000;
/// The rows of a block.
const BLOCK_ROWS: u64 = 1 << 16;

/// The kinds of [`ROW_RECORDS`]. The first one says that the others are complete, even if there is
/// none, and has [`RowRecords::has_all_answers`].
const COMPLETE: u8 = 0;
const DIFFERENT: u8 = 1;
const UNKNOWN: u8 = 2;

/// What the state says about the rows of a resolved file, by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RowRecords {
    /// The number has another answer, or the answer is that of another number.
    pub different: RoaringTreemap,
    /// The number has no answer.
    pub unknown: RoaringTreemap,
    /// Whether the state has the answers to all numbers that were asked.
    pub has_all_answers: bool,
}

/// Reads what the state has about a resolved file, for the session of a run.
#[derive(Clone, Debug)]
pub(crate) struct FileRecords {
    pub(crate) state: Arc<State>,
    pub(crate) session: Session,
}

impl FileRecords {
    /// The answers to numbers, whatever their age.
    pub(crate) fn look_up(
        &self,
        numbers: &[Mobile],
    ) -> Result<Vec<Option<Arc<Outcome>>>, StateError> {
        let any_age = Freshness { first_session: 0, max_ages: MaxAges::default() };
        let answers = CommittedAnswers::open(&self.state, self.session.scope, any_age)?;
        let outcome = |mobile: &Mobile| Ok(answers.get(*mobile, 0)?.map(|record| record.outcome));
        numbers.iter().map(outcome).collect()
    }

    /// Which of the user ids are part of an answer. Reads all answers.
    pub(crate) fn known_user_ids(
        &self,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StateError> {
        let scope = self.session.scope;
        let mut known = BTreeSet::new();
        let answers = self.state.database.begin_read()?.open_table(ANSWERS)?;
        for entry in answers.range((scope, 0)..=(scope, u64::MAX))? {
            let (key, bytes) = entry?;
            let Some(record) = AnswerRecord::decode(key.value(), bytes.value()) else { continue };
            let of_record = [&*record.outcome.userid, &*record.outcome.exclusive_ids];
            let of_record = of_record.into_iter().flat_map(|cell| cell.split(';'));
            known.extend(of_record.filter_map(|id| ids.get(id)).cloned());
        }
        Ok(known)
    }

    /// Whether a run of the same app was the last one to write this file.
    pub(crate) fn has_written(&self, path: &Path) -> Result<bool, StateError> {
        was_written(&self.state, path, self.session.scope)
    }

    /// What the state said about the rows before the first call of this run, if it was interrupted.
    pub(crate) fn earlier_row_records(&self) -> Result<Option<RowRecords>, StateError> {
        match self.session.earlier {
            EarlierRun::Resumed { .. } => read_row_records(&self.state, &self.session),
            EarlierRun::None | EarlierRun::Inherited { .. } => Ok(None),
        }
    }

    /// Keeps what the state says about the rows until the run is finished.
    pub(crate) fn store_row_records(&self, records: &RowRecords) -> Result<(), StateError> {
        let transaction = self.state.database.begin_write()?;
        forget_row_records(&transaction, &self.session)?;
        {
            let (scope, fingerprint) = (self.session.scope, &*self.session.fingerprint);
            let mut table = transaction.open_table(ROW_RECORDS)?;
            let flag = [u8::from(records.has_all_answers)];
            table.insert((scope, fingerprint, COMPLETE, 0), &flag[..])?;
            for (kind, rows) in [(DIFFERENT, &records.different), (UNKNOWN, &records.unknown)] {
                for (block, bits) in to_blocks(rows) {
                    table.insert((scope, fingerprint, kind, block), &*bits)?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Whether a run of this scope wrote an existing file and asked all of its numbers.
pub(crate) fn was_written(state: &State, path: &Path, scope: u32) -> Result<bool, StateError> {
    let table = match state.database.begin_read()?.open_table(FILES) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let key = match path_key(path) {
        Ok(key) => key,
        // Standard input, or a file that was removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get(&*key)?.is_some_and(|found| found.value().0 == scope))
}

/// Records that this session wrote an existing file and asked all of its numbers.
pub(crate) fn record_written(
    transaction: &WriteTransaction,
    path: &Path,
    session: &Session,
) -> Result<(), StateError> {
    let mut table = transaction.open_table(FILES)?;
    table.insert(&*path_key(path)?, (session.scope, session.id))?;
    let mut sessions = Vec::new();
    for entry in table.iter()? {
        sessions.push(entry?.1.value().1);
    }
    sessions.sort_unstable();
    if let Some(extra) = (sessions.len() as u64).checked_sub(MAX_FILES)
        && let Some(oldest) = usize::try_from(extra).ok().and_then(|extra| sessions.get(extra))
    {
        table.retain(|_, (_, session)| session >= *oldest)?;
    }
    Ok(())
}

/// Forgets that a run wrote an existing file.
pub(crate) fn forget_written(
    transaction: &WriteTransaction,
    path: &Path,
) -> Result<(), StateError> {
    transaction.open_table(FILES)?.remove(&*path_key(path)?)?;
    Ok(())
}

/// Forgets which files have answers of these scopes, and, on request, what the state said about the
/// rows of unfinished runs.
pub(crate) fn forget_scopes(
    transaction: &WriteTransaction,
    scopes: &BTreeSet<u32>,
    with_row_records: bool,
) -> Result<(), StateError> {
    transaction.open_table(FILES)?.retain(|_, (scope, _)| !scopes.contains(&scope))?;
    if with_row_records {
        let mut table = transaction.open_table(ROW_RECORDS)?;
        table.retain(|(scope, ..), _| !scopes.contains(&scope))?;
    }
    Ok(())
}

/// Forgets what the state said about the rows of a run.
pub(crate) fn forget_row_records(
    transaction: &WriteTransaction,
    session: &Session,
) -> Result<(), StateError> {
    let mut table = transaction.open_table(ROW_RECORDS)?;
    table.retain_in(all_blocks(session), |_, _| false)?;
    Ok(())
}

fn read_row_records(state: &State, session: &Session) -> Result<Option<RowRecords>, StateError> {
    let table = match state.database.begin_read()?.open_table(ROW_RECORDS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (mut records, mut is_complete) = (RowRecords::default(), false);
    for entry in table.range(all_blocks(session))? {
        let (key, value) = entry?;
        let (_, _, kind, block) = key.value();
        match kind {
            DIFFERENT => records.different.extend(from_block(block, value.value())),
            UNKNOWN => records.unknown.extend(from_block(block, value.value())),
            _ => {
                is_complete = true;
                records.has_all_answers = value.value().contains(&1);
            }
        }
    }
    Ok(is_complete.then_some(records))
}

/// Rows as bits, by block.
fn to_blocks(rows: &RoaringTreemap) -> Vec<(u64, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut rows = rows.iter().peekable();
    while let Some(block) = rows.peek().map(|row| row / BLOCK_ROWS) {
        let mut bits = Vec::new();
        while let Some(row) = rows.next_if(|row| row / BLOCK_ROWS == block) {
            let position = usize::try_from(row % BLOCK_ROWS).unwrap_or_default();
            bits.resize(position / 8 + 1, 0_u8);
            bits[position / 8] |= 1 << (position % 8);
        }
        blocks.push((block, bits));
    }
    blocks
}

fn from_block(block: u64, bits: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let first = block.saturating_mul(BLOCK_ROWS);
    let positions = (0..).zip(bits).flat_map(|(at, byte)| {
        (0..8).filter(move |bit| byte & (1_u8 << *bit) != 0).map(move |bit| at * 8 + bit)
    });
    positions.map(move |position: u64| first + position)
}

fn all_blocks(session: &Session) -> RangeInclusive<(u32, &str, u8, u64)> {
    let key = |kind, block| (session.scope, &*session.fingerprint, kind, block);
    key(0, 0)..=key(u8::MAX, u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session(fingerprint: &str) -> Session {
        Session {
            scope: 1,
            fingerprint: fingerprint.to_owned(),
            id: 1,
            first_session: 1,
            earlier: EarlierRun::Resumed { answers: 1, started: 0 },
        }
    }

    fn state() -> (tempfile::TempDir, Arc<State>) {
        let place = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&place.path().join("s"), false, false).unwrap();
        (place, Arc::new(state))
    }

    fn records_of(state: &Arc<State>, fingerprint: &str) -> FileRecords {
        FileRecords { state: Arc::clone(state), session: session(fingerprint) }
    }

    fn commit(state: &State, change: impl FnOnce(&WriteTransaction) -> Result<(), StateError>) {
        let transaction = state.database.begin_write().unwrap();
        change(&transaction).unwrap();
        transaction.commit().unwrap();
    }

    #[test]
    fn a_written_file_is_known_in_its_scope_until_it_is_forgotten() {
        let (place, state) = state();
        let path = place.path().join("a.csv");
        std::fs::write(&path, "text").unwrap();
        let known = || [1, 2].map(|scope| was_written(&state, &path, scope).unwrap());
        let write = || commit(&state, |change| record_written(change, &path, &session("a")));
        assert_eq!(known(), [false, false], "a state of an earlier version");
        write();
        assert_eq!(known(), [true, false]);
        commit(&state, |change| forget_scopes(change, &BTreeSet::from([2]), true));
        assert_eq!(known(), [true, false]);
        commit(&state, |change| forget_scopes(change, &BTreeSet::from([1]), false));
        assert_eq!(known(), [false, false]);
        write();
        commit(&state, |change| forget_written(change, &path));
        assert_eq!(known(), [false, false]);
        assert!(!was_written(&state, Path::new("-"), 1).unwrap(), "standard input");
    }

    #[test]
    fn the_files_of_the_oldest_sessions_are_forgotten() {
        let (place, state) = state();
        let paths = [1, MAX_FILES + 1].map(|id| (id, place.path().join(id.to_string())));
        commit(&state, |change| {
            let mut table = change.open_table(FILES)?;
            for id in 2..=MAX_FILES {
                table.insert(&*id.to_string(), (1, id))?;
            }
            Ok(())
        });
        for (id, path) in &paths {
            std::fs::write(path, "text").unwrap();
            let session = Session { id: *id, ..session("a") };
            commit(&state, |change| record_written(change, path, &session));
        }
        let known = paths.each_ref().map(|(_, path)| was_written(&state, path, 1).unwrap());
        assert_eq!(known, [false, true]);
    }

    #[test]
    fn only_a_resumed_run_has_its_row_records_and_none_is_not_missing() {
        let (_place, state) = state();
        let rows =
            RowRecords { different: [2, 70_000].into_iter().collect(), ..Default::default() };
        let [a, b] = ["a", "b"].map(|fingerprint| records_of(&state, fingerprint));
        assert_eq!(a.earlier_row_records().unwrap(), None, "a state of an earlier version");
        a.store_row_records(&rows).unwrap();
        assert_eq!(a.earlier_row_records().unwrap(), Some(rows));
        assert_eq!(b.earlier_row_records().unwrap(), None);
        b.store_row_records(&RowRecords::default()).unwrap();
        assert_eq!(b.earlier_row_records().unwrap(), Some(RowRecords::default()));
        let session = Session { earlier: EarlierRun::None, ..session("a") };
        let other = FileRecords { state: Arc::clone(&state), session };
        assert_eq!(other.earlier_row_records().unwrap(), None);
        commit(&state, |change| forget_row_records(change, &a.session));
        assert_eq!(a.earlier_row_records().unwrap(), None);
        assert!(b.earlier_row_records().unwrap().is_some());
        commit(&state, |change| forget_scopes(change, &BTreeSet::from([1]), true));
        assert_eq!(b.earlier_row_records().unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn stored_rows_are_read_back(
            rows in proptest::collection::vec(
                proptest::collection::btree_set(0..400_000_u64, 0..50),
                4,
            ),
            has_all_answers in any::<bool>(),
        ) {
            let (_place, state) = state();
            let records = records_of(&state, "a");
            let [mut last, first] = [&rows[..2], &rows[2..]].map(|rows| RowRecords {
                different: rows[0].iter().copied().collect(),
                unknown: rows[1].iter().copied().collect(),
                has_all_answers,
            });
            records.store_row_records(&first).unwrap();
            last.has_all_answers = !has_all_answers;
            records.store_row_records(&last).unwrap();
            prop_assert_eq!(records.earlier_row_records().unwrap(), Some(last));
        }
    }
}
