//! Owns how an output comes to stand under its name: complete, or not at all. It is a temporary file beside that name
//! until it is complete, and what killed runs left there is cleared away. What is written is for others.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tr::tr;

/// A temporary file beside the file that it will become, removed on drop.
#[derive(Debug)]
pub(crate) struct Draft {
    temporary: NamedTempFile,
    path: PathBuf,
}

/// There is less room than an output takes.
#[derive(Debug, thiserror::Error)]
#[error("{}", tr!("the output takes {least} bytes at least, and there is room for {free}", least, free))]
struct NoRoom {
    least: u64,
    free: u64,
}

/// The longest name, in bytes, that still leaves room for what a temporary file's name adds to it.
const LONGEST_NAME: usize = 200;
/// How every temporary file's name ends.
const SUFFIX: &str = ".dingmap-tmp";
/// How many characters of chance make a temporary file's name its own.
const CHANCE: usize = 6;
/// How often a temporary file is made anew because another run took it for a left-over one.
const TRIES: usize = 8;

impl Draft {
    /// Makes the temporary file for the file at `path`, which stands for itself and is no link. What runs that were killed
    /// have left of the same output is removed.
    ///
    /// # Errors
    /// What the system says when the directory cannot be written to; `StorageFull` where it has no room for `least` bytes.
    pub(crate) fn beside(path: PathBuf, least: u64) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut prefix = OsString::from(".");
        prefix.push(if name.len() > LONGEST_NAME { OsStr::new("output") } else { name });
        prefix.push(".");
        let place = directory(&path);
        clear(place, &prefix);
        let temporary = temporary(place, &prefix)?;
        has_room(temporary.as_file(), least)?;
        Ok(Self { temporary, path })
    }

    /// Lets everybody read the file, unless it replaces one that not everybody may read.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub(crate) fn publish(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        self.temporary.as_file().set_permissions(fs::Permissions::from_mode(0o644))
    }

    /// Puts the file under its name, with the permissions and, as far as the system lets us, the owner of the file that it
    /// replaces. The disk has it then.
    ///
    /// # Errors
    /// What the system says. The target is then as it was before, unless only the directory could not be synced.
    pub(crate) fn replace(self) -> io::Result<()> {
        let Self { temporary, path } = self;
        if let Ok(existing) = fs::metadata(&path) {
            inherit(temporary.as_file(), &existing)?;
        }
        temporary.as_file().sync_all()?;
        temporary.persist(&path).map_err(|failed| bare(failed.error))?;
        sync_directory(directory(&path))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes).map_err(bare)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush().map_err(bare)
    }
}

/// The directory that a file is in.
#[must_use]
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A temporary file, readable by its owner alone, which a new output stays. It is locked for as long as it is open, so that
/// another run can tell it from one that was left behind.
fn temporary(place: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(SUFFIX).rand_bytes(CHANCE);
    for _ in 0..TRIES {
        let temporary = builder.tempfile_in(place).map_err(bare)?;
        // A run that clears away holds the lock of what it is about to remove. Where there are no locks nothing is
        // cleared away either.
        let taken = matches!(temporary.as_file().try_lock(), Err(TryLockError::WouldBlock));
        if !taken && stands(&temporary) {
            return Ok(temporary);
        }
    }
    Err(io::Error::other(tr!("another run keeps removing the temporary file")))
}

/// Whether the file still has its name.
fn stands(temporary: &NamedTempFile) -> bool {
    fs::symlink_metadata(temporary.path()).is_ok()
}

/// Removes what killed runs have left: files of that kind that no run has open. Where that fails they stay; the run can
/// do without.
fn clear(place: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let chance = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
        let ours = chance.is_some_and(|chance| chance.len() == CHANCE)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if ours
            && let Ok(file) = OpenOptions::new().read(true).write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            // Removed under the lock: a run that has just made it waits for nothing and makes another.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether the file system has room for so many bytes more.
#[cfg(unix)]
fn has_room(file: &File, least: u64) -> io::Result<()> {
    // A file system that does not say is found out about in writing.
    let Ok(room) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    // Some that live in memory or far away know of no size at all.
    if room.f_blocks == 0 {
        return Ok(());
    }
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if least <= free {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::StorageFull, NoRoom { least, free }))
    }
}

#[cfg(not(unix))]
fn has_room(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Gives a file the owner and the permissions of the one that it replaces. Only the superuser gives files away, and a
/// group has to be one's own: where that fails, the new group gets no rights that were meant for the old one.
#[cfg(unix)]
fn inherit(file: &File, existing: &Metadata) -> io::Result<()> {
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
fn inherit(file: &File, existing: &Metadata) -> io::Result<()> {
    file.set_permissions(existing.permissions())
}

/// What failed, without the temporary file's name, which `tempfile` adds and which says nothing to a person.
fn bare(error: io::Error) -> io::Error {
    let named = error.get_ref().is_some() && error.kind() != io::ErrorKind::Other;
    if !named {
        return error;
    }
    // Its number stands in its words alone, before the name.
    let words = error.to_string();
    let number =
        words.split_once(')').and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
    number.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Makes a rename last through a power cut, where the system and the file system can do so for a directory.
///
/// # Errors
/// What the system says where it should have been able to.
#[cfg(unix)]
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if !matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, chown};

    fn drafts(place: &Path) -> Vec<OsString> {
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    fn left_behind(place: &Path, name: &str) -> PathBuf {
        let path = place.join(name);
        fs::write(&path, "half").unwrap();
        path
    }

    #[test]
    fn what_killed_runs_left_of_the_same_output_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let stale = left_behind(place.path(), ".a.csv.x1Y2z3.dingmap-tmp");
        let others = [
            ".b.csv.x1Y2z3.dingmap-tmp",
            ".a.csv.x1Y2.dingmap-tmp",
            ".a.csv.bak.x1Y2z3.dingmap-tmp",
            ".a.csv.x1Y2z3.tmp",
            "a.csv.x1Y2z3.dingmap-tmp",
        ];
        let others = others.map(|name| left_behind(place.path(), name));
        let running = Draft::beside(place.path().join("a.csv"), 0).unwrap();
        assert!(
            !stale.exists() && others.iter().all(|other| other.exists()),
            "{:?}",
            drafts(place.path())
        );
        // A second run leaves the first one's alone.
        let second = Draft::beside(place.path().join("a.csv"), 0).unwrap();
        assert!(running.temporary.path().exists());
        running.replace().unwrap();
        second.replace().unwrap();
        assert_eq!(drafts(place.path()).len(), others.len() + 1);
    }

    #[test]
    fn a_place_without_room_is_told_before_anything_is_written() {
        let place = tempfile::tempdir().unwrap();
        let error = Draft::beside(place.path().join("a.csv"), u64::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(
            error.to_string().starts_with(&format!("the output takes {} bytes at least", u64::MAX))
        );
        assert!(drafts(place.path()).is_empty());
    }

    #[test]
    fn the_owner_of_a_replaced_file_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        // Only the superuser can do this; for anybody else the file is their own, and stays so.
        let _ = chown(&path, Some(12_345), Some(23_456));
        let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
        let before = owner(&path);
        Draft::beside(path.clone(), 0).unwrap().replace().unwrap();
        assert_eq!((owner(&path), fs::read(&path).unwrap().len()), (before, 0));
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_without_the_temporary_name() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("inner");
        let path = inner.join("a.csv");
        let missing = Draft::beside(path.clone(), 0).unwrap_err();
        fs::create_dir(&inner).unwrap();
        let draft = Draft::beside(path, 0).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        for error in [missing, draft.replace().unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(!error.to_string().contains("dingmap-tmp"), "{error}");
        }
    }
}
