//! The digests of the outputs that runs wrote, by which a later run sees that nobody has edited
//! the file that it replaces.

use std::fs;
use std::io;
use std::path::Path;

use redb::{ReadableDatabase, TableDefinition, TableError, WriteTransaction};

use crate::store::disk::database::{State, StateError};
use crate::store::disk::sessions::{from_json, to_json};
use crate::store::scope::Fingerprint;
use crate::table::digest::FileDigest;

/// Digests as JSON, by the digest of the path: a path may hold personal data. States of earlier
/// versions have no such table.
const OUTPUTS: TableDefinition<'_, &str, &str> = TableDefinition::new("dingmap outputs");

/// The digest of what a run last wrote to an existing file.
pub(crate) fn find(state: &State, path: &Path) -> Result<Option<FileDigest>, StateError> {
    let table = match state.database.begin_read()?.open_table(OUTPUTS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    table.get(&*path_key(path)?)?.map(|record| from_json(record.value())).transpose()
}

/// Records what a run wrote to an existing file.
pub(crate) fn record(
    transaction: &WriteTransaction,
    path: &Path,
    digest: &FileDigest,
) -> Result<(), StateError> {
    transaction.open_table(OUTPUTS)?.insert(&*path_key(path)?, &*to_json(digest)?)?;
    Ok(())
}

/// The same for every path of the file.
pub(crate) fn path_key(path: &Path) -> io::Result<String> {
    let path = fs::canonicalize(path)?;
    let fingerprint = Fingerprint::new("output");
    Ok(fingerprint.with("path", path.as_os_str().as_encoded_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_any_of_its_paths() {
        let place = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&place.path().join("s"), false, false).unwrap();
        let [path, other] = ["a.csv", "b.csv"].map(|name| place.path().join(name));
        for path in [&path, &other] {
            fs::write(path, "text").unwrap();
        }
        let digest = FileDigest::from_path(&path).unwrap();
        assert_eq!(find(&state, &path).unwrap(), None, "a state of an earlier version");
        let transaction = state.database.begin_write().unwrap();
        record(&transaction, &path, &digest).unwrap();
        transaction.commit().unwrap();
        let same = place.path().join(".").join("a.csv");
        assert_eq!(find(&state, &same).unwrap(), Some(digest));
        assert_eq!(find(&state, &other).unwrap(), None);
        find(&state, &place.path().join("missing")).unwrap_err();
    }
}
