//! What the state knows of resolved files that people correct: which files runs of an app wrote,
//! and which rows an unfinished run asks because their numbers were changed.
//!
//! The rows are decided once, before the first call: the run's own answers would decide otherwise
//! after an interruption.

use std::ops::RangeInclusive;
use std::path::Path;

use redb::{ReadableDatabase, TableDefinition, TableError, WriteTransaction};
use roaring::RoaringTreemap;

use crate::store::disk::database::{State, StateError};
use crate::store::disk::output_records::path_key;
use crate::store::disk::sessions::Session;

/// The scope of the run that asked all numbers of a file, by the digest of its path. States of
/// earlier versions have neither table.
const FILES: TableDefinition<'_, &str, u32> = TableDefinition::new("dingmap files");
/// Rows as bits, by scope, fingerprint and block.
const CHANGED_ROWS: TableDefinition<'_, (u32, &str, u64), &[u8]> =
    TableDefinition::new("dingmap changes");
/// The rows of a block.
const BLOCK_ROWS: u64 = 1 << 16;

/// Whether a run of this scope wrote an existing file and asked all of its numbers.
pub(crate) fn was_written(state: &State, path: &Path, scope: u32) -> Result<bool, StateError> {
    let table = match state.database.begin_read()?.open_table(FILES) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get(&*path_key(path)?)?.is_some_and(|found| found.value() == scope))
}

/// Records that a run of this scope wrote an existing file and asked all of its numbers.
pub(crate) fn record_written(
    transaction: &WriteTransaction,
    path: &Path,
    scope: u32,
) -> Result<(), StateError> {
    transaction.open_table(FILES)?.insert(&*path_key(path)?, scope)?;
    Ok(())
}

/// The rows that were recorded for this run.
pub(crate) fn changed_rows(state: &State, session: &Session) -> Result<RoaringTreemap, StateError> {
    let table = match state.database.begin_read()?.open_table(CHANGED_ROWS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(RoaringTreemap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut rows = RoaringTreemap::new();
    for entry in table.range(all_blocks(session))? {
        let (key, bits) = entry?;
        let first = key.value().2.saturating_mul(BLOCK_ROWS);
        let positions = (0..).zip(bits.value()).flat_map(|(at, byte)| {
            (0..8).filter(move |bit| byte & (1_u8 << *bit) != 0).map(move |bit| at * 8 + bit)
        });
        rows.extend(positions.map(|position: u64| first + position));
    }
    Ok(rows)
}

/// Records the rows that this run asks.
pub(crate) fn record_changed_rows(
    state: &State,
    session: &Session,
    rows: &RoaringTreemap,
) -> Result<(), StateError> {
    let transaction = state.database.begin_write()?;
    {
        let mut table = transaction.open_table(CHANGED_ROWS)?;
        table.retain_in(all_blocks(session), |_, _| false)?;
        let mut rows = rows.iter().peekable();
        while let Some(block) = rows.peek().map(|row| row / BLOCK_ROWS) {
            let mut bits = Vec::new();
            while let Some(row) = rows.next_if(|row| row / BLOCK_ROWS == block) {
                let position = usize::try_from(row % BLOCK_ROWS).unwrap_or_default();
                bits.resize(position / 8 + 1, 0_u8);
                bits[position / 8] |= 1 << (position % 8);
            }
            table.insert((session.scope, &*session.fingerprint, block), &*bits)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Forgets the rows of a run.
pub(crate) fn forget_changed_rows(state: &State, session: &Session) -> Result<(), StateError> {
    // Most runs have none and need no commit.
    if changed_rows(state, session)?.is_empty() {
        return Ok(());
    }
    record_changed_rows(state, session, &RoaringTreemap::new())
}

fn all_blocks(session: &Session) -> RangeInclusive<(u32, &str, u64)> {
    let block = |block| (session.scope, &*session.fingerprint, block);
    block(0)..=block(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::disk::sessions::EarlierRun;

    fn session(fingerprint: &str) -> Session {
        Session {
            scope: 1,
            fingerprint: fingerprint.to_owned(),
            id: 1,
            first_session: 1,
            earlier: EarlierRun::None,
        }
    }

    fn state() -> (tempfile::TempDir, State) {
        let place = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&place.path().join("s"), false, false).unwrap();
        (place, state)
    }

    #[test]
    fn a_written_file_is_known_in_its_scope_only() {
        let (place, state) = state();
        let path = place.path().join("a.csv");
        std::fs::write(&path, "text").unwrap();
        assert!(!was_written(&state, &path, 1).unwrap(), "a state of an earlier version");
        let transaction = state.database.begin_write().unwrap();
        record_written(&transaction, &path, 1).unwrap();
        transaction.commit().unwrap();
        assert_eq!([1, 2].map(|scope| was_written(&state, &path, scope).unwrap()), [true, false]);
    }

    #[test]
    fn a_finished_run_forgets_its_rows() {
        let (_place, state) = state();
        let rows = RoaringTreemap::from_iter([2, 70_000]);
        record_changed_rows(&state, &session("a"), &rows).unwrap();
        record_changed_rows(&state, &session("b"), &rows).unwrap();
        forget_changed_rows(&state, &session("a")).unwrap();
        assert!(changed_rows(&state, &session("a")).unwrap().is_empty());
        assert_eq!(changed_rows(&state, &session("b")).unwrap(), rows);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn recorded_rows_are_read_back(
            rows in proptest::collection::btree_set(0..400_000_u64, 0..50),
            others in proptest::collection::btree_set(0..400_000_u64, 0..50),
        ) {
            let (_place, state) = state();
            for rows in [others, rows.clone()] {
                let rows = RoaringTreemap::from_iter(rows);
                record_changed_rows(&state, &session("a"), &rows).unwrap();
            }
            let found = changed_rows(&state, &session("a")).unwrap();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), rows.into_iter().collect::<Vec<_>>());
        }
    }
}
