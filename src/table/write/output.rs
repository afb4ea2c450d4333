//! Opens the target of an output: standard output, a device or a file. Follows symbolic links.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use tr::tr;

use crate::table::write::atomic_file::AtomicFile;
use crate::table::write::directory::parent_dir;
use crate::table::write::edited_file::{ReplaceRule, Replaced};

/// The target of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, which is replaced if it exists. Devices and pipes are written directly.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str(&tr!("standard output")),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Target {
    /// Whether the output is written as a temporary file first. Opening or writing anything else
    /// may block forever without a reader.
    #[must_use]
    pub fn is_atomic(&self) -> bool {
        let Self::File(path) = self else { return false };
        fs::metadata(path).map_or(true, |existing| existing.is_file())
    }
}

/// An output that is being written.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Stdout(Stdout),
    /// A device or a pipe.
    Device(File),
    /// A temporary file, removed on drop, that takes the target's place when it is complete.
    File(Box<AtomicFile>),
}

/// The maximum number of symbolic links to follow, as in Linux.
const MAX_SYMLINKS: usize = 40;

impl Output {
    /// Opens the target. For a file, creates the temporary file beside it if there is disk space
    /// for `least` bytes.
    pub(crate) fn open(target: &Target, least: u64) -> io::Result<Self> {
        let Target::File(path) = target else {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place where rows go to standard output"
            )]
            return Ok(Self::Stdout(io::stdout()));
        };
        let existing = match fs::metadata(path) {
            Ok(existing) => Some(existing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match existing {
            Some(existing) if existing.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Some(existing) if !existing.is_file() => {
                OpenOptions::new().write(true).open(path).map(Self::Device)
            }
            _ => AtomicFile::create(follow_symlinks(path)?, least).map(Box::new).map(Self::File),
        }
    }

    /// Makes a new file readable by everybody. An existing file keeps its permissions.
    pub(crate) fn make_world_readable(&self) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::File(draft) => draft.make_world_readable(),
            _ => Ok(()),
        }
    }

    /// Whether another run opened the same file earlier and has not finished it.
    #[must_use]
    pub(crate) fn is_open_in_earlier_run(&self) -> bool {
        matches!(self, Self::File(draft) if draft.is_open_in_earlier_run())
    }

    /// Flushes the output, and syncs a temporary file and renames it to the target.
    ///
    /// # Errors
    /// The I/O error. The target is unchanged then, unless only syncing the directory failed.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.finish_with(&ReplaceRule::Replace).map(|_| ())
    }

    /// The same; the rule is about the file that a file replaces.
    pub(crate) fn finish_with(mut self, rule: &ReplaceRule) -> io::Result<Replaced> {
        self.flush()?;
        match self {
            Self::Stdout(_) | Self::Device(_) => Ok(Replaced::default()),
            Self::File(draft) => draft.persist(rule),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Device(file) => file.write(bytes),
            Self::File(draft) => draft.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Device(file) => file.flush(),
            Self::File(draft) => draft.flush(),
        }
    }
}

/// Follows symbolic links, also to a file that does not exist yet.
fn follow_symlinks(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        let Ok(link) = fs::read_link(&path) else { return Ok(path) };
        path = parent_dir(&path).join(link);
    }
    Err(io::Error::other(tr!("too many symbolic links")))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn written(path: &Path) -> io::Result<Output> {
        let mut output = Output::open(&Target::File(path.to_owned()), 0)?;
        output.write_all(b"new")?;
        Ok(output)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_appears_only_when_complete_and_is_private() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("手机.csv");
        let output = written(&path).unwrap();
        let [temporary] = names(place.path()).try_into().unwrap();
        assert!(temporary.starts_with(".手机.csv.") && temporary.ends_with(".dingmap-tmp"));
        output.finish().unwrap();
        assert_eq!(names(place.path()), ["手机.csv"]);
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"new"[..], 0o600));
    }

    #[test]
    fn a_public_output_is_world_readable_unless_it_replaces_a_private_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("dingmap.prom");
        for (before, after) in [(None, 0o644), (Some(0o640), 0o640)] {
            if let Some(before) = before {
                fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            }
            let output = written(&path).unwrap();
            output.make_world_readable().unwrap();
            output.finish().unwrap();
            assert_eq!(mode(&path), after);
        }
    }

    #[test]
    fn an_unfinished_output_leaves_no_trace() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        drop(written(&path).unwrap());
        assert_eq!(
            (names(place.path()), fs::read(&path).unwrap().as_slice()),
            (vec!["a.csv".to_owned()], &b"old"[..])
        );
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_its_links() {
        let place = tempfile::tempdir().unwrap();
        let (path, link) = (place.path().join("a.csv"), place.path().join("link.csv"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink("a.csv", &link).unwrap();
        written(&link).unwrap().finish().unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"new"[..], 0o640));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("a.csv"));

        let dangling = place.path().join("dangling.csv");
        symlink(place.path().join("b.csv"), &dangling).unwrap();
        written(&dangling).unwrap().finish().unwrap();
        assert_eq!(names(place.path()), ["a.csv", "b.csv", "dangling.csv", "link.csv"]);
    }

    #[test]
    fn unwritable_paths_are_reported_immediately() {
        let place = tempfile::tempdir().unwrap();
        let kind = |path: &Path| written(path).unwrap_err().kind();
        assert_eq!(kind(place.path()), io::ErrorKind::IsADirectory);
        assert_eq!(kind(&place.path().join("no/a.csv")), io::ErrorKind::NotFound);
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        symlink(&one, &two).unwrap();
        symlink(&two, &one).unwrap();
        written(&one).unwrap_err();
        assert_eq!(names(place.path()), ["one", "two"]);
    }

    #[test]
    fn long_names_and_devices_can_be_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x".repeat(255));
        written(&path).unwrap().finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        written(Path::new("/dev/null")).unwrap().finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
