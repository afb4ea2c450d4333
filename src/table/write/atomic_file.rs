//! Files that appear under their name only when they are complete: a temporary file beside the
//! target is synced and renamed. Removes temporary files that killed runs left.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;
use tr::tr;

use crate::table::digest::FileDigest;
use crate::table::write::directory::{parent_dir, sync_directory};
use crate::table::write::edited_file::{KeptFile, ReplaceRule, Replaced};

/// A temporary file beside its target, removed on drop.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    temp_file: NamedTempFile,
    path: PathBuf,
}

/// There is not enough disk space for an output.
#[derive(Debug, thiserror::Error)]
#[error("{}", tr!(
    "the output takes {least} bytes at least, and there is room for {free}",
    least, free
))]
struct InsufficientSpace {
    least: u64,
    free: u64,
}

/// A longer file name, in bytes, leaves no room for the affixes of a temporary file.
const MAX_NAME_BYTES: usize = 200;
/// The suffix of all temporary files.
const TEMP_SUFFIX: &str = ".dingmap-tmp";
/// The number of random characters in the name of a temporary file.
const RANDOM_CHARS: usize = 6;
/// How often creating a temporary file is tried if another run removes it as stale.
const MAX_ATTEMPTS: usize = 8;

impl AtomicFile {
    /// Creates the temporary file for the file at `path`, which must not be a symbolic link.
    /// Removes stale temporary files of the same output.
    ///
    /// # Errors
    /// The I/O error; `StorageFull` if there is no disk space for `least` bytes.
    pub(crate) fn create(path: PathBuf, least: u64) -> io::Result<Self> {
        let prefix = temp_prefix(&path).ok_or(io::ErrorKind::InvalidFilename)?;
        let place = parent_dir(&path);
        remove_stale_files(place, &prefix);
        let temporary = create_temp_file(place, &prefix)?;
        check_free_space(temporary.as_file(), least)?;
        Ok(Self { temp_file: temporary, path })
    }

    /// Whether another run opened the same output earlier and has not finished it. Nothing may have
    /// been written to this one yet.
    #[must_use]
    pub(crate) fn is_open_in_earlier_run(&self) -> bool {
        let own = self.temp_file.path();
        let Some(prefix) = temp_prefix(&self.path) else { return false };
        temp_files(parent_dir(&self.path), &prefix)
            .filter(|other| other != own && is_locked(other))
            .any(|other| opening_order(&other) < opening_order(own))
    }

    /// Makes the file readable by everybody, unless it replaces one with other permissions.
    #[cfg(unix)]
    pub(crate) fn make_world_readable(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        self.temp_file.as_file().set_permissions(fs::Permissions::from_mode(0o644))
    }

    /// Syncs the file and renames it to the target, with the permissions and, if permitted, the
    /// owner of the file that it replaces.
    ///
    /// # Errors
    /// The I/O error. The target is unchanged then, unless only syncing the directory failed. If
    /// an edited file has another name then, the error says so.
    pub(crate) fn persist(self, rule: &ReplaceRule) -> io::Result<Replaced> {
        let Self { temp_file: temporary, path } = self;
        if let Ok(existing) = fs::metadata(&path) {
            copy_ownership(temporary.as_file(), &existing)?;
        }
        temporary.as_file().sync_all()?;
        let digest = match rule {
            ReplaceRule::Replace => None,
            _ => Some(FileDigest::from_path(temporary.path())?),
        };
        let kept = match rule {
            ReplaceRule::KeepEdited(recorded) => {
                let known: Vec<_> = digest.iter().chain(recorded).collect();
                KeptFile::keep_edited(&path, &known)?
            }
            _ => None,
        };
        if let Err(failed) = temporary.persist(&path) {
            let cause = strip_temp_name(failed.error);
            return Err(match kept {
                Some(kept) => kept.undo(cause),
                None => cause,
            });
        }
        let kept_as = match (sync_directory(parent_dir(&path)), kept) {
            (Ok(()), kept) => kept.map(KeptFile::into_path),
            (Err(cause), Some(kept)) => return Err(kept.add_name(cause)),
            (Err(cause), None) => return Err(cause),
        };
        Ok(Replaced { digest, kept_as })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp_file.write(bytes).map_err(strip_temp_name)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp_file.flush().map_err(strip_temp_name)
    }
}

/// Creates a temporary file with mode 0600, which a new output keeps. It is locked while it is
/// open, so that another run does not take it for a stale one.
fn create_temp_file(place: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(TEMP_SUFFIX).rand_bytes(RANDOM_CHARS);
    for _ in 0..MAX_ATTEMPTS {
        let temporary = builder.tempfile_in(place).map_err(strip_temp_name)?;
        // A run that removes stale files locks each of them first. Without support for locks,
        // nothing is removed.
        let taken = matches!(temporary.as_file().try_lock(), Err(TryLockError::WouldBlock));
        if !taken && still_exists(&temporary) {
            return Ok(temporary);
        }
    }
    Err(io::Error::other(tr!("another run keeps removing the temporary file")))
}

/// The beginning of the names of the temporary files for the file at `path`; `None` if it has no
/// name.
fn temp_prefix(path: &Path) -> Option<OsString> {
    let name = path.file_name()?;
    let mut prefix = OsString::from(".");
    prefix.push(if name.len() > MAX_NAME_BYTES { OsStr::new("output") } else { name });
    prefix.push(".");
    Some(prefix)
}

/// The temporary files with this beginning.
fn temp_files(place: &Path, prefix: &OsStr) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.filter(|entry| is_temp_file(entry, prefix)).map(|entry| entry.path())
}

fn is_temp_file(entry: &DirEntry, prefix: &OsStr) -> bool {
    let name = entry.file_name();
    let random = name
        .as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(TEMP_SUFFIX.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM_CHARS)
        && entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// Whether another process has the file open.
fn is_locked(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// When an empty temporary file was opened; of two opened at once, the name decides.
fn opening_order(path: &Path) -> (Option<SystemTime>, &Path) {
    (fs::metadata(path).and_then(|file| file.modified()).ok(), path)
}

/// Whether the file still has its name.
fn still_exists(temporary: &NamedTempFile) -> bool {
    fs::symlink_metadata(temporary.path()).is_ok()
}

/// Removes temporary files that killed runs left: those that no run has locked. Errors are ignored,
/// since the run does not depend on it.
fn remove_stale_files(place: &Path, prefix: &OsStr) {
    for path in temp_files(place, prefix) {
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(&path)
            && file.try_lock().is_ok()
        {
            // Removed while locked: a run that has just created it notices and creates another.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Checks that the file system has `least` bytes available.
#[cfg(unix)]
fn check_free_space(file: &File, least: u64) -> io::Result<()> {
    // If the file system does not report its space, a write will fail.
    let Ok(room) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    // Some in-memory and network file systems report no size.
    if room.f_blocks == 0 {
        return Ok(());
    }
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if least <= free {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::StorageFull, InsufficientSpace { least, free }))
    }
}

#[cfg(not(unix))]
fn check_free_space(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Gives a file the owner and the permissions of the one that it replaces. Only root may change the
/// owner, and the group must be one of the user's. If the group cannot be set, the file gets no
/// group permissions.
#[cfg(unix)]
fn copy_ownership(file: &File, existing: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let own = file.metadata()?;
    let mut mode = existing.permissions().mode() & 0o777;
    let (user, group) = (existing.uid(), existing.gid());
    if (own.uid(), own.gid()) != (user, group)
        && fchown(file, Some(user), Some(group)).is_err()
        && own.gid() != group
        && fchown(file, None, Some(group)).is_err()
    {
        mode &= 0o707;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn copy_ownership(file: &File, existing: &Metadata) -> io::Result<()> {
    file.set_permissions(existing.permissions())
}

/// Removes the name of the temporary file, which `tempfile` adds, from an error.
fn strip_temp_name(error: io::Error) -> io::Error {
    let named = error.get_ref().is_some() && error.kind() != io::ErrorKind::Other;
    if !named {
        return error;
    }
    // The error number is only in the text, before the name.
    let words = error.to_string();
    let number =
        words.split_once(')').and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
    number.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, chown};
    use std::thread::sleep;
    use std::time::Duration;

    fn file_names(place: &Path) -> Vec<OsString> {
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    fn stale_file(place: &Path, name: &str) -> PathBuf {
        let path = place.join(name);
        fs::write(&path, "half").unwrap();
        path
    }

    #[test]
    fn only_leftovers_of_killed_runs_for_the_same_output_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let stale = stale_file(place.path(), ".a.csv.x1Y2z3.dingmap-tmp");
        let others = [
            ".b.csv.x1Y2z3.dingmap-tmp",
            ".a.csv.x1Y2.dingmap-tmp",
            ".a.csv.bak.x1Y2z3.dingmap-tmp",
            ".a.csv.x1Y2z3.tmp",
            "a.csv.x1Y2z3.dingmap-tmp",
        ];
        let others = others.map(|name| stale_file(place.path(), name));
        let running = AtomicFile::create(place.path().join("a.csv"), 0).unwrap();
        assert!(
            !stale.exists() && others.iter().all(|other| other.exists()),
            "{:?}",
            file_names(place.path())
        );
        // A second run leaves the first one's alone.
        sleep(Duration::from_millis(20));
        let second = AtomicFile::create(place.path().join("a.csv"), 0).unwrap();
        assert!(running.temp_file.path().exists());
        assert!(!running.is_open_in_earlier_run() && second.is_open_in_earlier_run());
        running.persist(&ReplaceRule::Replace).unwrap();
        assert!(!second.is_open_in_earlier_run(), "the first run has finished it");
        second.persist(&ReplaceRule::Replace).unwrap();
        assert_eq!(file_names(place.path()).len(), others.len() + 1);
    }

    #[test]
    fn missing_disk_space_is_reported_before_writing() {
        let place = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(place.path().join("a.csv"), u64::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(
            error.to_string().starts_with(&format!("the output takes {} bytes at least", u64::MAX))
        );
        assert!(file_names(place.path()).is_empty());
    }

    #[test]
    fn the_owner_of_a_replaced_file_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        // Only the superuser can do this; for anybody else the file is their own, and stays so.
        let _ = chown(&path, Some(12_345), Some(23_456));
        let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
        let before = owner(&path);
        AtomicFile::create(path.clone(), 0).unwrap().persist(&ReplaceRule::Replace).unwrap();
        assert_eq!((owner(&path), fs::read(&path).unwrap().len()), (before, 0));
    }

    #[test]
    fn a_missing_directory_is_reported_without_the_temporary_name() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("inner");
        let path = inner.join("a.csv");
        let missing = AtomicFile::create(path.clone(), 0).unwrap_err();
        fs::create_dir(&inner).unwrap();
        let draft = AtomicFile::create(path, 0).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        for error in [missing, draft.persist(&ReplaceRule::Replace).unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(!error.to_string().contains("dingmap-tmp"), "{error}");
        }
    }
}
