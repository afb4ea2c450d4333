//! The state file: opens the embedded database, checks its version, and renames a damaged file.

use std::any::Any;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{self, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, TableDefinition, TableError};
use tr::tr;

use crate::clock;
use crate::store::disk::lock::{Lock, LockError, with_suffix};
use crate::store::disk::read_only;
use crate::store::disk::record::AnswerKey;
use crate::table::write::directory::{parent_dir, sync_directory};

/// The version of the tables' content; the file format has its own version.
pub(crate) const VERSION: u64 = 1;
/// The size of the database's page cache, in bytes. It only has to hold the upper pages: others are
/// rarely read twice, and the system caches them too.
const CACHE_SIZE: usize = 4 << 20;
/// The first bytes of every redb file.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// The offsets of the file format in the two headers.
const FORMAT_OFFSETS: [usize; 2] = [64, 192];
const FILE_FORMAT: u8 = 3;
/// A file with at most this many wrong bytes in [`MAGIC`] counts as a damaged state.
const MAX_WRONG_MAGIC_BYTES: usize = 2;

/// Counters: `version`, `sessions`, `scopes`.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("dingmap meta");
/// Scopes by number, as JSON.
pub(crate) const SCOPES: TableDefinition<'_, u32, &str> = TableDefinition::new("dingmap scopes");
/// Answers by scope and number, as [`crate::store::disk::record`] writes them.
pub(crate) const ANSWERS: TableDefinition<'_, AnswerKey, &[u8]> =
    TableDefinition::new("dingmap answers");
/// Unfinished runs by scope and fingerprint, as JSON.
pub(crate) const RUNS: TableDefinition<'_, (u32, &str), &str> =
    TableDefinition::new("dingmap runs");

/// An open state, locked against other processes.
#[derive(Debug)]
pub struct State {
    // Fields drop in this order: the lock is released last.
    pub(crate) database: Database,
    path: PathBuf,
    _lock: Lock,
}

/// Why a state cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process uses it, or the lock cannot be acquired.
    #[error(transparent)]
    Lock(LockError),
    /// No such file.
    #[error("{}", tr!("there is no such file"))]
    NotFound,
    /// The file is not a state file of dingmap.
    #[error("{}", tr!("this is not a state file of dingmap"))]
    NotStateFile,
    /// A newer version of dingmap wrote the file.
    #[error("{}", tr!(
        "a newer dingmap wrote this file (version {version}, this one knows {VERSION})",
        version = .0,
        VERSION
    ))]
    TooNew(u64),
    /// The file format is older than this program can read.
    #[error("{}", tr!(
        "the file's format ({format}) is older than this dingmap reads",
        format = .0
    ))]
    TooOld(u8),
    /// The file is damaged.
    #[error("{}", tr!("the file is damaged: {what}", what = .0))]
    Damaged(String),
    /// An I/O error.
    #[error("{0}")]
    Io(io::Error),
    /// Another error of the database.
    #[error("{0}")]
    Database(Box<redb::Error>),
}

impl State {
    /// Opens a state and checks every page, or creates it. A damaged file is renamed; its new path
    /// is returned with a new, empty state. `own` means that the path is dingmap's default, where
    /// any foreign file counts as a damaged state. `waits` as in [`Lock::acquire`].
    ///
    /// The error is never `NotFound` or `Damaged`.
    pub fn open(
        path: &Path,
        own: bool,
        waits: bool,
    ) -> Result<(Self, Option<PathBuf>), StateError> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let path = &resolve_path(path)?;
        let lock = Lock::acquire(path, waits)?;
        let mut aside = None;
        let database = match open_checked(path, open_read_write) {
            Err(StateError::NotFound) => create(path)?,
            Err(StateError::Damaged(_)) => {
                aside = Some(set_aside(path)?);
                create(path)?
            }
            Err(StateError::NotStateFile) if own => {
                aside = Some(set_aside(path)?);
                create(path)?
            }
            other => other?,
        };
        Ok((Self { database, path: path.to_owned(), _lock: lock }, aside))
    }

    /// Opens an existing state and checks every page. After an error nothing has changed.
    pub fn open_existing(path: &Path, waits: bool) -> Result<Self, StateError> {
        Self::open_existing_with(path, waits, open_read_write)
    }

    /// Like [`open_existing`](Self::open_existing), but never changes the file, even if it needs a
    /// repair.
    pub fn open_read_only(path: &Path, waits: bool) -> Result<Self, StateError> {
        Self::open_existing_with(path, waits, read_only::open)
    }

    fn open_existing_with(path: &Path, waits: bool, open: OpenFn) -> Result<Self, StateError> {
        let path = &resolve_path(path)?;
        // Before the lock, which would create a lock file without a state.
        if matches!(check_header(path)?, FileHeader::Missing) {
            return Err(StateError::NotFound);
        }
        let lock = Lock::acquire(path, waits)?;
        let database = open_checked(path, open)?;
        Ok(Self { database, path: path.to_owned(), _lock: lock })
    }

    /// The file's size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// Shrinks the file to the space that it needs. After an error the state is still intact.
    pub fn compact(mut self) -> Result<(), StateError> {
        // One round moves what it can; the next may find more free space after that.
        while self.database.compact()? {}
        Ok(())
    }
}

/// Resolves links to an existing file, so that its lock file has one path whichever link is used.
/// Devices, pipes and directories are never a state.
fn resolve_path(path: &Path) -> Result<PathBuf, StateError> {
    match fs::metadata(path) {
        Err(error)
            if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            Ok(path.to_owned())
        }
        Err(error) => Err(error.into()),
        Ok(file) if file.is_file() => Ok(fs::canonicalize(path)?),
        Ok(_) => Err(StateError::NotStateFile),
    }
}

/// What the first bytes of a file say.
enum FileHeader {
    /// There is no file.
    Missing,
    Valid,
    Invalid(StateError),
}

/// Checks the first bytes of a file.
fn check_header(path: &Path) -> io::Result<FileHeader> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileHeader::Missing),
        file => file?,
    };
    let mut header = Vec::new();
    file.take(1024).read_to_end(&mut header)?;
    let magic = &header[..header.len().min(MAGIC.len())];
    let wrong = magic.iter().zip(MAGIC).filter(|(byte, expected)| *byte != expected).count();
    let formats = FORMAT_OFFSETS.map(|at| header.get(at).copied().unwrap_or(FILE_FORMAT));
    let damaged = |reason| FileHeader::Invalid(StateError::Damaged(reason));
    Ok(match (wrong, formats) {
        // A file whose header a failing disk lost counts as ours.
        _ if header.is_empty() => damaged(tr!("it is empty")),
        _ if header.iter().all(|byte| *byte == 0) => damaged(tr!("its header is blank")),
        (0, _) if magic.len() < MAGIC.len() => damaged(tr!("it is truncated")),
        // Both headers agree: a single damaged bit cannot cause that.
        (0, [first, second]) if first == second && first > FILE_FORMAT => {
            FileHeader::Invalid(StateError::TooNew(first.into()))
        }
        (0, [first, second]) if first == second && first < FILE_FORMAT => {
            FileHeader::Invalid(StateError::TooOld(first))
        }
        (0, _) => FileHeader::Valid,
        (1..=MAX_WRONG_MAGIC_BYTES, _) if magic.len() == MAGIC.len() => {
            damaged(tr!("its first bytes are wrong"))
        }
        _ => FileHeader::Invalid(StateError::NotStateFile),
    })
}

type OpenFn = fn(&mut Builder, &Path) -> Result<Database, DatabaseError>;

fn open_read_write(builder: &mut Builder, path: &Path) -> Result<Database, DatabaseError> {
    builder.set_cache_size(CACHE_SIZE).open(path)
}

/// Opens the database, checks every page, and checks that it is a state of our version.
fn open_checked(path: &Path, open: OpenFn) -> Result<Database, StateError> {
    match check_header(path)? {
        FileHeader::Valid => {}
        FileHeader::Missing => return Err(StateError::NotFound),
        FileHeader::Invalid(error) => return Err(error),
    }
    let opened = catch_panic({
        let path = path.to_owned();
        move || -> Result<(Database, Option<u64>), StateError> {
            let mut builder = Builder::new();
            let database = open(builder.set_check_integrity_on_open(true), &path)?;
            let version = match database.begin_read()?.open_table(META) {
                Ok(meta) => meta.get("version")?.map(|version| version.value()),
                Err(TableError::Storage(error)) => return Err(error.into()),
                Err(_) => None,
            };
            Ok((database, version))
        }
    });
    let opened = opened.map_err(|panic| StateError::Damaged(panic_message(&*panic)))?;
    match opened? {
        (database, Some(VERSION)) => Ok(database),
        (_, Some(version)) => Err(StateError::TooNew(version)),
        (_, None) => Err(StateError::NotStateFile),
    }
}

/// Catches a panic without printing it: redb panics on some damaged files.
fn catch_panic<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Box<dyn Any + Send>> {
    // The panic hook is global: two threads that replace it at the same time would lose it.
    static HOOK: Mutex<()> = Mutex::new(());
    let _guard = HOOK.lock();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(work);
    panic::set_hook(hook);
    result
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl From<LockError> for StateError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl<E: Into<redb::Error>> From<E> for StateError {
    fn from(error: E) -> Self {
        classify_error(error.into())
    }
}

/// Only errors about the content of the file mean damage, not errors of the system.
fn classify_error(error: redb::Error) -> StateError {
    match error {
        redb::Error::Corrupted(reason) => StateError::Damaged(reason),
        redb::Error::Io(error) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                StateError::Damaged(error.to_string())
            }
            _ => StateError::Io(error),
        },
        redb::Error::UpgradeRequired(_) => StateError::Damaged(tr!("its two headers disagree")),
        redb::Error::DatabaseAlreadyOpen => StateError::Lock(LockError::InUse(None)),
        other => StateError::Database(Box::new(other)),
    }
}

/// Creates a state under a temporary name and renames it when it is complete, so that no incomplete
/// state is ever found.
fn create(path: &Path) -> Result<Database, StateError> {
    let directory = parent_dir(path);
    // Only the owner can read it, and its name is unused.
    let file = tempfile::Builder::new().prefix(".dingmap-state.").tempfile_in(directory)?;
    let database = Builder::new().set_cache_size(CACHE_SIZE).create(file.path())?;
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("version", VERSION)?;
    transaction.open_table(SCOPES)?;
    transaction.open_table(ANSWERS)?;
    transaction.open_table(RUNS)?;
    transaction.commit()?;
    drop(database);
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_directory(directory)?;
    open_checked(path, open_read_write)
}

/// Renames a damaged file to an unused name.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = format!(".damaged-{}", clock::now_local().strftime("%Y%m%dT%H%M%S"));
    let mut aside = with_suffix(path, &name);
    for number in 2.. {
        if !aside.try_exists()? {
            break;
        }
        aside = with_suffix(path, &format!("{name}-{number}"));
    }
    fs::rename(path, &aside)?;
    sync_directory(parent_dir(path))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn state_path() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/state");
        (directory, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_state_is_created_private_and_can_be_reopened() {
        let (_directory, path) = state_path();
        assert!(matches!(State::open_existing(&path, false), Err(StateError::NotFound)));
        assert!(State::open(&path, false, false).unwrap().1.is_none());
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        State::open_existing(&path, false).unwrap();
        assert!(State::open(&path, false, false).unwrap().1.is_none());
        let names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}: the state and its lock");
    }

    #[test]
    fn a_foreign_file_is_rejected_and_left_unchanged() {
        let (_directory, path) = state_path();
        State::open(&path, false, false).unwrap();
        let other = path.with_file_name("other");
        drop(Builder::new().create(&other).unwrap());
        let foreign = fs::read(&other).unwrap();
        for bytes in [&b"mobile\n13800138000\n"[..], b"x", b"PK\x03\x04", b"redis", &foreign] {
            fs::write(&path, bytes).unwrap();
            assert!(
                matches!(State::open(&path, false, false), Err(StateError::NotStateFile)),
                "{}",
                bytes.len()
            );
            assert!(
                matches!(State::open_existing(&path, false), Err(StateError::NotStateFile)),
                "{}",
                bytes.len()
            );
            if bytes.len() < 100 {
                assert_eq!(fs::read(&path).unwrap(), bytes);
            }
        }
        fs::write(&path, "mobile\n").unwrap();
        let (_, aside) = State::open(&path, true, false).unwrap();
        assert_eq!(
            fs::read(aside.unwrap()).unwrap(),
            b"mobile\n",
            "at the default path it is renamed"
        );
    }

    #[test]
    fn a_file_of_another_version_is_rejected_and_left_unchanged() {
        let (_directory, path) = state_path();
        let (state, _) = State::open(&path, false, false).unwrap();
        let transaction = state.database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("version", 2).unwrap();
        transaction.commit().unwrap();
        drop(state);
        assert!(matches!(State::open(&path, true, false), Err(StateError::TooNew(2))));
        let bytes = fs::read(&path).unwrap();
        for (format, newer) in [(4, true), (2, false)] {
            let mut bytes = bytes.clone();
            for at in FORMAT_OFFSETS {
                bytes[at] = format;
            }
            fs::write(&path, &bytes).unwrap();
            let refused = State::open(&path, true, false).unwrap_err();
            let as_expected = if newer {
                matches!(refused, StateError::TooNew(4))
            } else {
                matches!(refused, StateError::TooOld(2))
            };
            assert!(as_expected, "{refused}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_file_is_renamed_aside() {
        let (_directory, path) = state_path();
        State::open(&path, false, false).unwrap();
        let intact = fs::read(&path).unwrap();
        let mut renamed = Vec::new();
        let wrong_magic = [&b"rfdb"[..], &intact[4..]].concat();
        for bytes in [
            &intact[..5],
            &intact[..4096],
            &intact[..intact.len() - 4096],
            &wrong_magic,
            &[0; 5000],
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(
                matches!(State::open_existing(&path, false), Err(StateError::Damaged(_))),
                "{}",
                bytes.len()
            );
            fs::write(&path, bytes).unwrap();
            let (_, aside) = State::open(&path, false, false).unwrap();
            let aside = aside.unwrap();
            assert!(aside.to_str().unwrap().contains("state.damaged-20"), "{}", aside.display());
            assert_eq!(fs::metadata(&aside).unwrap().len(), bytes.len() as u64);
            renamed.push(aside);
            assert!(
                State::open(&path, false, false).unwrap().1.is_none(),
                "the new state is intact"
            );
        }
        renamed.sort();
        renamed.dedup();
        assert_eq!(renamed.len(), 5);
    }
}
