//! Keeps a file under another name that an output would replace although somebody may have edited
//! it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tr::tr;

use crate::clock;
use crate::table::digest::FileDigest;
use crate::table::write::directory::{parent_dir, sync_directory};

/// The letters keep the digits apart, which would be masked in messages as those of a number.
const DATE_FORMAT: &str = "%Y-%m-%dT%Hh%Mm%Ss";

/// What becomes of a file that an output replaces.
#[derive(Clone, Debug, Default)]
pub(crate) enum ReplaceRule {
    /// It is gone.
    #[default]
    Replace,
    /// The same, and the digest of the output is computed.
    ReplaceAndDigest,
    /// It is kept under another name, unless its content is that of the output, or has this
    /// digest.
    KeepEdited(Option<FileDigest>),
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// The digest of the output, if the rule asks for it.
    pub digest: Option<FileDigest>,
    /// The name under which the edited file is kept.
    pub kept_as: Option<PathBuf>,
}

/// An output failed after the file that it replaces got another name.
#[derive(Debug, thiserror::Error)]
#[error("{}", tr!(
    "{cause}; the earlier file is kept as {kept_as}",
    cause, kept_as = kept_as.display()
))]
struct KeptFileError {
    cause: io::Error,
    kept_as: PathBuf,
}

/// A file that has a second name, or only that one.
#[derive(Debug)]
pub(crate) struct KeptFile {
    path: PathBuf,
    kept_as: PathBuf,
    is_link: bool,
}

impl KeptFile {
    /// Keeps the file at `path` under another name beside it. `None` if there is no file, or if
    /// its content has one of the digests.
    pub(crate) fn keep_edited(path: &Path, known: &[&FileDigest]) -> io::Result<Option<Self>> {
        if !fs::metadata(path).is_ok_and(|existing| existing.is_file()) {
            return Ok(None);
        }
        // A file that cannot be read may have been edited.
        let digest = FileDigest::from_path(path).ok();
        if digest.is_some_and(|digest| known.contains(&&digest)) {
            return Ok(None);
        }
        let date = clock::now_local().strftime(DATE_FORMAT).to_string();
        Self::keep(path, &date).map(Some)
    }

    /// A hard link leaves the file under its own name until the output replaces it. Where the file
    /// system has none, the file is renamed.
    fn keep(path: &Path, date: &str) -> io::Result<Self> {
        let is_taken = |error: &io::Error| error.kind() == ErrorKind::AlreadyExists;
        let mut number = 1;
        loop {
            let kept_as = backup_path(path, date, number);
            let named = match fs::hard_link(path, &kept_as) {
                Err(error) if !is_taken(&error) => rename_to_new(path, &kept_as).map(|()| false),
                linked => linked.map(|()| true),
            };
            match named {
                Err(error) if is_taken(&error) => number += 1,
                Err(error) => return Err(error),
                Ok(is_link) => {
                    let kept = Self { path: path.to_owned(), kept_as, is_link };
                    return kept.check_synced(sync_directory(parent_dir(path)));
                }
            }
        }
    }

    /// Nothing may replace a file whose other name is not on disk yet.
    fn check_synced(self, synced: io::Result<()>) -> io::Result<Self> {
        match synced {
            Ok(()) => Ok(self),
            Err(cause) => Err(self.undo(cause)),
        }
    }

    /// Gives the file only its own name again, because the output could not replace it. Returns the
    /// error to report: `cause`, with the other name if the file still has it.
    pub(crate) fn undo(self, cause: io::Error) -> io::Error {
        let undone = if self.is_link {
            fs::remove_file(&self.kept_as)
        } else {
            fs::rename(&self.kept_as, &self.path)
        };
        if undone.is_ok() { cause } else { self.add_name(cause) }
    }

    /// The error of an output, with the name under which the file is kept.
    pub(crate) fn add_name(self, cause: io::Error) -> io::Error {
        io::Error::new(cause.kind(), KeptFileError { cause, kept_as: self.kept_as })
    }

    #[must_use]
    pub(crate) fn into_path(self) -> PathBuf {
        self.kept_as
    }
}

/// Renames a file to a name that no file has.
fn rename_to_new(path: &Path, new: &Path) -> io::Result<()> {
    // Takes the name: a rename replaces whatever has it.
    OpenOptions::new().write(true).create_new(true).open(new)?;
    fs::rename(path, new).inspect_err(|_| {
        let _ = fs::remove_file(new);
    })
}

/// `NAME.before-DATE.EXT`, or `NAME.before-DATE-NUMBER.EXT` from the second one on.
fn backup_path(path: &Path, date: &str, number: u32) -> PathBuf {
    let mut name = path.file_stem().map(OsString::from).unwrap_or_default();
    name.push(format!(".before-{date}"));
    if number > 1 {
        name.push(format!("-{number}"));
    }
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::redact;

    const DATE: &str = "2026-11-30T14h25m12s";

    #[test]
    fn kept_files_have_a_name_of_their_own_and_the_extension() {
        for (name, number, expected) in [
            ("a/staff.resolved.csv", 1, "a/staff.resolved.before-2026-11-30T14h25m12s.csv"),
            ("staff.resolved.xlsx", 2, "staff.resolved.before-2026-11-30T14h25m12s-2.xlsx"),
            ("名单", 10, "名单.before-2026-11-30T14h25m12s-10"),
        ] {
            assert_eq!(backup_path(Path::new(name), DATE, number), Path::new(expected));
        }
    }

    proptest! {
        #[test]
        fn a_message_shows_the_date_and_the_number_of_a_kept_file(
            hour in 0..24i8, minute in 0..60i8, second in 0..60i8, number in 1..200_000u32,
        ) {
            let moment = jiff::civil::date(2026, 11, 30).at(hour, minute, second, 0);
            let date = moment.strftime(DATE_FORMAT).to_string();
            for (name, shown) in [
                ("staff.resolved.csv", "staff.resolved.csv"),
                ("staff.1", "staff.1"),
                ("13800138000.resolved.csv", "138****00.resolved.csv"),
            ] {
                let kept_as = backup_path(Path::new(name), &date, number);
                let shown = backup_path(Path::new(shown), &date, number);
                let message = redact::message(&kept_as.display().to_string());
                prop_assert_eq!(message, shown.display().to_string());
            }
        }
    }

    #[test]
    fn a_kept_file_never_replaces_another() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "edited").unwrap();
        let names: Vec<_> = (0..3).map(|_| KeptFile::keep(&path, DATE).unwrap().kept_as).collect();
        assert_eq!(names, [1, 2, 3].map(|number| backup_path(&path, DATE, number)));
        // Where there are no links, the name is free or the rename fails.
        assert_eq!(rename_to_new(&path, &names[0]).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let renamed = backup_path(&path, DATE, 4);
        rename_to_new(&path, &renamed).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&renamed).unwrap(), b"edited");
        let missing = rename_to_new(&path, &backup_path(&path, DATE, 5)).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(!backup_path(&path, DATE, 5).exists());
    }

    #[test]
    fn a_file_that_was_kept_for_nothing_has_only_its_name_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "edited").unwrap();
        let kept_as = backup_path(&path, DATE, 1);
        let cause = || io::Error::other("the disk failed");
        let error = KeptFile::keep(&path, DATE).unwrap().undo(cause());
        assert_eq!(error.to_string(), "the disk failed");
        assert!(path.exists() && !kept_as.exists());
        // A directory that cannot be synced, where there are no links.
        rename_to_new(&path, &kept_as).unwrap();
        let renamed = KeptFile { path: path.clone(), kept_as: kept_as.clone(), is_link: false };
        let error = renamed.check_synced(Err(cause())).unwrap_err();
        assert_eq!(error.to_string(), "the disk failed");
        assert!(path.exists() && !kept_as.exists());
    }

    #[test]
    fn an_error_names_the_kept_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        fs::write(&path, "edited").unwrap();
        let kept = |is_link| {
            let kept_as = backup_path(&path, DATE, 1);
            KeptFile { path: path.clone(), kept_as, is_link }
        };
        let cause = || io::Error::new(ErrorKind::StorageFull, "no space");
        let name = backup_path(&path, DATE, 1).display().to_string();
        let expected = format!("no space; the earlier file is kept as {name}");
        // What cannot be undone: no file has the other name.
        for error in
            [kept(true).undo(cause()), kept(false).undo(cause()), kept(true).add_name(cause())]
        {
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::StorageFull, expected.clone())
            );
        }
    }

    #[test]
    fn only_content_that_this_program_knows_is_not_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        assert!(KeptFile::keep_edited(&path, &[]).unwrap().is_none());
        fs::write(&path, "written").unwrap();
        let written = FileDigest::from_path(&path).unwrap();
        assert!(KeptFile::keep_edited(&path, &[&written]).unwrap().is_none());
        fs::write(&path, "editing").unwrap();
        assert!(KeptFile::keep_edited(&path, &[&written]).unwrap().is_some());
        assert!(KeptFile::keep_edited(&path, &[]).unwrap().is_some());
    }
}
