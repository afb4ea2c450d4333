//! An output that replaces its input: whether that is possible, and whether the input is unchanged
//! at the end of the run.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::cli::options;
use crate::app::cli::paths::OutputTargets;
use crate::app::cli::same_file::is_same_file;
use crate::app::exit::{Exit, Failure};
use crate::app::report::text::input_name;
use crate::table::write::output::Target;

/// Checks, before anything is read, that an input to be rewritten in place is a regular file, and
/// that the rows of one shard do not replace the whole table. What is written to a pipe would be
/// read again.
///
/// # Errors
/// Usage (2). `-` is not an error: its output is standard output.
pub(crate) fn check_in_place(args: &ResolveArgs) -> Result<(), Failure> {
    let is_special =
        fs::metadata(&args.input).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if args.retry_failed && args.output.is_none() && args.input != Path::new("-") && is_special {
        let text = tr!(
            "{input} is a pipe or a device, which --retry-failed cannot rewrite in place: use \
             --output FILE, or - as the input to write to standard output",
            input = args.input.display()
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.sharding.shard.is_some() && is_same_file(&options::output_path(args), &args.input) {
        let text = tr!(
            "the output has the rows of one shard only and would replace the whole table: use \
             --output with another file"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(())
}

/// The input that an output replaces, as it was before it was read.
#[derive(Debug)]
pub(crate) struct Original {
    path: PathBuf,
    identity: Option<FileIdentity>,
}

/// Differs if the file was written to or replaced.
#[derive(Debug, PartialEq, Eq)]
struct FileIdentity {
    device_inode: [u64; 2],
    length: u64,
    modified: [i64; 2],
    /// The time of the last change, which no program can set.
    changed: [i64; 2],
}

impl FileIdentity {
    fn from_path(path: &Path) -> Option<Self> {
        let from_metadata = |metadata: Metadata| Self {
            device_inode: [metadata.dev(), metadata.ino()],
            length: metadata.len(),
            modified: [metadata.mtime(), metadata.mtime_nsec()],
            changed: [metadata.ctime(), metadata.ctime_nsec()],
        };
        fs::metadata(path).ok().map(from_metadata)
    }
}

impl Original {
    /// `None` if `targets` do not replace the input.
    #[must_use]
    pub(crate) fn from_targets(input: &Path, targets: &OutputTargets) -> Option<Self> {
        let is_replaced =
            matches!(&targets.output, Target::File(path) if is_same_file(path, input));
        is_replaced
            .then(|| Self { path: input.to_owned(), identity: FileIdentity::from_path(input) })
    }

    /// Checks that no other program has written to the input since: its changes would be lost.
    ///
    /// # Errors
    /// Input (3).
    pub(crate) fn check_unchanged(&self) -> Result<(), Failure> {
        if FileIdentity::from_path(&self.path) == self.identity {
            return Ok(());
        }
        let text = tr!(
            "{file}: another program changed the file during the run; it stays as it is now, and \
             nothing was written. Run again, or use --output to write another file",
            file = input_name(&self.path)
        );
        Err(Failure::with_message(Exit::Input, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::cli::paths::target_from_path;
    use crate::table::write::format::TableFormat;

    #[test]
    fn a_modified_or_replaced_file_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["a.csv", "b.csv"].map(|name| dir.path().join(name));
        let targets = |path: &Path| OutputTargets {
            output: target_from_path(path),
            output_format: TableFormat::Text,
            failed: None,
            failed_format: TableFormat::Text,
            summary: None,
            metrics: None,
            report: None,
        };
        fs::write(&path, "one").unwrap();
        assert!(Original::from_targets(&path, &targets(&other)).is_none());
        let original = || Original::from_targets(&path, &targets(&path)).unwrap();
        let before = original();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(before.check_unchanged().is_ok());
        // Longer, with the same modification time.
        fs::write(&path, "longer").unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(before.check_unchanged().unwrap_err().exit, Exit::Input);
        // As long, with another modification time.
        let before = original();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(before.check_unchanged().is_err());
        // As long, with the same modification time. The change time cannot be set; it is as fine as
        // the clock of the system.
        let (before, metadata) = (original(), fs::metadata(&path).unwrap());
        while fs::metadata(&path).unwrap().ctime_nsec() == metadata.ctime_nsec() {
            fs::write(&path, "LONGER").unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(metadata.modified().unwrap()).unwrap();
        }
        assert!(before.check_unchanged().is_err());
        // Another file with the same content, length and modification time.
        let before = original();
        fs::copy(&path, &other).unwrap();
        fs::File::options()
            .append(true)
            .open(&other)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(before.check_unchanged().is_err());
        let before = original();
        fs::remove_file(&path).unwrap();
        assert!(before.check_unchanged().is_err());
    }
}
