//! The state file: opens the embedded database, checks its version, and sets a damaged file aside.

use std::any::Any;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{self, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Zoned;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, TableDefinition, TableError};
use tr::tr;

use crate::store::disk::lock::{Lock, LockError, with_suffix};
use crate::store::disk::read_only;
use crate::store::disk::record::AnswerKey;
use crate::table::write::atomic_file::{parent_dir, sync_directory};

/// The version of what lies in the tables; the file's own format has another.
pub(crate) const VERSION: u64 = 1;
/// Memory for pages of the file, in bytes: for the upper ones, since others are seldom met again,
/// and the system keeps them too.
const CACHE_SIZE: usize = 4 << 20;
/// The first bytes of every file of the embedded database, and where each of its two headers tells
/// the file's format.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
const FORMAT_OFFSETS: [usize; 2] = [64, 192];
const FILE_FORMAT: u8 = 3;
/// How many of the first bytes may be wrong in a file that is taken for a damaged state.
const MAX_WRONG_MAGIC_BYTES: usize = 2;

/// Counters: `version`, `sessions`, `scopes`.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("dingmap meta");
/// Scopes by number, as JSON.
pub(crate) const SCOPES: TableDefinition<'_, u32, &str> = TableDefinition::new("dingmap scopes");
/// Answers by scope and number, as [`crate::store::disk::record`] writes them.
pub(crate) const ANSWERS: TableDefinition<'_, AnswerKey, &[u8]> =
    TableDefinition::new("dingmap answers");
/// Runs that are not finished by scope and fingerprint, as JSON.
pub(crate) const RUNS: TableDefinition<'_, (u32, &str), &str> =
    TableDefinition::new("dingmap runs");

/// The state, open, and locked against every other process.
#[derive(Debug)]
pub struct State {
    // Dropped in this order: the file is let go of last.
    pub(crate) database: Database,
    path: PathBuf,
    _lock: Lock,
}

/// Why there is no state to work with.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process works with it, or the lock cannot be had.
    #[error(transparent)]
    Lock(LockError),
    /// There is none.
    #[error("{}", tr!("there is no such file"))]
    NotFound,
    /// It is a file, but not one that dingmap wrote.
    #[error("{}", tr!("this is not a state file of dingmap"))]
    NotStateFile,
    /// A newer dingmap wrote it.
    #[error("{}", tr!("a newer dingmap wrote this file (version {version}, this one knows {VERSION})", version = .0, VERSION))]
    TooNew(u64),
    /// Its format is older than any that this program reads.
    #[error("{}", tr!("the file's format ({format}) is older than this dingmap reads", format = .0))]
    TooOld(u8),
    /// Its content is not what was written.
    #[error("{}", tr!("the file is damaged: {what}", what = .0))]
    Damaged(String),
    /// The system refuses.
    #[error("{0}")]
    Io(io::Error),
    /// The database refuses.
    #[error("{0}")]
    Database(Box<redb::Error>),
}

impl State {
    /// Opens a state, checks the whole of it, and makes it where there is none. A damaged one is
    /// set aside, and the path where it then lies is given beside the fresh one. `own` says that
    /// the place is dingmap's, where any file that cannot be read is a damaged state. `waits` as in
    /// [`Lock::acquire`].
    ///
    /// # Errors
    /// [`StateError`], never `Absent` and never `Damaged`.
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

    /// Opens a state that is there, and checks the whole of it. Changes nothing where it cannot.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_existing(path: &Path, waits: bool) -> Result<Self, StateError> {
        Self::open_existing_with(path, waits, open_read_write)
    }

    /// The same for who only looks: the file keeps every byte, whatever is left to be put in order
    /// in it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_read_only(path: &Path, waits: bool) -> Result<Self, StateError> {
        Self::open_existing_with(path, waits, read_only::open)
    }

    fn open_existing_with(path: &Path, waits: bool, way: OpenFn) -> Result<Self, StateError> {
        let path = &resolve_path(path)?;
        // Before the lock, which would make a file beside nothing.
        if check_header(path)?.is_none() {
            return Err(StateError::NotFound);
        }
        let lock = Lock::acquire(path, waits)?;
        let database = open_checked(path, way)?;
        Ok(Self { database, path: path.to_owned(), _lock: lock })
    }

    /// The file's size in bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn size(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// Gives back to the file system what the file does not need.
    ///
    /// # Errors
    /// What the database says; the state is whole all the same.
    pub fn compact(mut self) -> Result<(), StateError> {
        // One round moves what it can; the next may find more room behind it.
        while self.database.compact()? {}
        Ok(())
    }
}

/// The file that a path leads to, through links, where there is one: its lock stands beside it,
/// whatever it is called by. What is no file, such as a device or a pipe, is never a state.
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

/// What a file is by its first bytes; none where there is no file.
fn check_header(path: &Path) -> io::Result<Option<Result<(), StateError>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut head = Vec::new();
    file.take(1024).read_to_end(&mut head)?;
    let begin = head.get(..MAGIC.len()).unwrap_or(&head);
    let wrong = begin.iter().zip(MAGIC).filter(|(byte, right)| *byte != right).count();
    let formats = FORMAT_OFFSETS.map(|at| head.get(at).copied().unwrap_or(FILE_FORMAT));
    let damaged = |what| Err(StateError::Damaged(what));
    Ok(Some(match (wrong, formats) {
        // A header that a failing disk lost is nobody else's file.
        _ if head.is_empty() => damaged(tr!("it is empty")),
        _ if head.iter().all(|byte| *byte == 0) => damaged(tr!("its head is gone")),
        (0, _) if begin.len() < MAGIC.len() => damaged(tr!("it breaks off")),
        // Both headers agree, which no stray bit makes them.
        (0, [first, second]) if first == second && first > FILE_FORMAT => {
            Err(StateError::TooNew(first.into()))
        }
        (0, [first, second]) if first == second && first < FILE_FORMAT => {
            Err(StateError::TooOld(first))
        }
        (0, _) => Ok(()),
        (1..=MAX_WRONG_MAGIC_BYTES, _) if begin.len() == MAGIC.len() => {
            damaged(tr!("its first bytes are wrong"))
        }
        _ => Err(StateError::NotStateFile),
    }))
}

/// How a file is opened.
type OpenFn = fn(&mut Builder, &Path) -> Result<Database, DatabaseError>;

fn open_read_write(builder: &mut Builder, path: &Path) -> Result<Database, DatabaseError> {
    builder.set_cache_size(CACHE_SIZE).open(path)
}

/// Opens the database and checks every page of it, and that it is ours and of our version.
fn open_checked(path: &Path, way: OpenFn) -> Result<Database, StateError> {
    check_header(path)?.ok_or(StateError::NotFound)??;
    let opened = catch_panic({
        let path = path.to_owned();
        move || -> Result<(Database, Option<u64>), StateError> {
            let mut builder = Builder::new();
            let database = way(builder.set_check_integrity_on_open(true), &path)?;
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

/// Runs what panics on some damaged files, without the words of a panic on the screen.
fn catch_panic<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Box<dyn Any + Send>> {
    // The hook is the process's: two that exchange it at the same time would lose it.
    static HOOK: Mutex<()> = Mutex::new(());
    let _turn = HOOK.lock();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = panic::catch_unwind(work);
    panic::set_hook(hook);
    done
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

/// Which errors mean damage: those that blame the content, and none that blames the system.
fn classify_error(error: redb::Error) -> StateError {
    match error {
        redb::Error::Corrupted(what) => StateError::Damaged(what),
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

/// Makes a state under another name and gives it its own once it is whole, so that none is ever
/// half made.
fn create(path: &Path) -> Result<Database, StateError> {
    let place = parent_dir(path);
    // Readable by its owner alone, and under a name that no file has.
    let new = tempfile::Builder::new().prefix(".dingmap-state.").tempfile_in(place)?;
    let database = Builder::new().set_cache_size(CACHE_SIZE).create(new.path())?;
    let change = database.begin_write()?;
    change.open_table(META)?.insert("version", VERSION)?;
    change.open_table(SCOPES)?;
    change.open_table(ANSWERS)?;
    change.open_table(RUNS)?;
    change.commit()?;
    drop(database);
    new.persist_noclobber(path).map_err(|failed| failed.error)?;
    sync_directory(place)?;
    open_checked(path, open_read_write)
}

/// Gives a damaged file another name, which no file has.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = format!(".damaged-{}", Zoned::now().strftime("%Y%m%dT%H%M%S"));
    let mut aside = with_suffix(path, &name);
    for again in 2.. {
        if !aside.try_exists()? {
            break;
        }
        aside = with_suffix(path, &format!("{name}-{again}"));
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

    fn desk() -> (TempDir, PathBuf) {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("deep/er/state");
        (desk, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_state_is_created_private_and_can_be_reopened() {
        let (_desk, path) = desk();
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
        let (_desk, path) = desk();
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
            "in a place of our own it is set aside"
        );
    }

    #[test]
    fn a_file_of_another_version_is_rejected_and_left_unchanged() {
        let (_desk, path) = desk();
        let (state, _) = State::open(&path, false, false).unwrap();
        let change = state.database.begin_write().unwrap();
        change.open_table(META).unwrap().insert("version", 2).unwrap();
        change.commit().unwrap();
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
        let (_desk, path) = desk();
        State::open(&path, false, false).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut asides = Vec::new();
        let smudged = [&b"rfdb"[..], &whole[4..]].concat();
        for bytes in
            [&whole[..5], &whole[..4096], &whole[..whole.len() - 4096], &smudged, &[0; 5000]]
        {
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
            asides.push(aside);
            assert!(
                State::open(&path, false, false).unwrap().1.is_none(),
                "the fresh one is sound"
            );
        }
        asides.sort();
        asides.dedup();
        assert_eq!(asides.len(), 5);
    }
}
