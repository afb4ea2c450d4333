//! An output that takes the place of its input: whether it can, and whether the input is at the end still the file that was
//! read. Leaves the exchange itself to `table`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::cli::options;
use crate::app::cli::paths::{self, OutputTargets};
use crate::app::exit::{Exit, Failure};
use crate::app::report::text::input_name;
use crate::table::write::output::Target;

/// Sees, before anything is read, that an input which is to be rewritten in place is a file: what a pipe has given cannot be
/// taken back, and what is written to it would be read again. A part of its rows does not take its place either.
///
/// # Errors
/// Usage (2) for anything else; `-` is written to standard output.
pub(crate) fn check_in_place(args: &ResolveArgs) -> Result<(), Failure> {
    let pipe = fs::metadata(&args.input).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if args.retry_failed && args.output.is_none() && args.input != Path::new("-") && pipe {
        let text = tr!(
            "{input} is a pipe or a device, and --retry-failed rewrites a file in place: name another file with --output, or give - as the input, which goes to standard output",
            input = args.input.display()
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.sharding.shard.is_some()
        && paths::is_same_file(&options::output_path(args), &args.input)
    {
        let text = tr!(
            "the output has the rows of one shard alone, and would take the place of the whole table: name another file with --output"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(())
}

/// Sees that what is rewritten in place is a table as it stands in the file; `packed` says that it is not.
///
/// # Errors
/// Usage (2) for a packed file and for a workbook.
pub(crate) fn check_plain_file(args: &ResolveArgs, packed: bool) -> Result<(), Failure> {
    if args.retry_failed && args.output.is_none() && packed {
        let text = tr!(
            "{input} is packed or a workbook, and what is written is plain CSV: name another file with --output, or unpack it first",
            input = args.input.display()
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(())
}

/// The input that an output takes the place of, as it was before it was read.
#[derive(Debug)]
pub(crate) struct Original {
    path: PathBuf,
    identity: Option<FileIdentity>,
}

/// By what a file that was written to, or exchanged for another, is told from what it was.
#[derive(Debug, PartialEq, Eq)]
struct FileIdentity {
    device_inode: [u64; 2],
    length: u64,
    modified: [i64; 2],
    /// When anything of it changed, which no program can set back.
    changed: [i64; 2],
}

impl FileIdentity {
    fn from_path(path: &Path) -> Option<Self> {
        let mark = |found: Metadata| Self {
            device_inode: [found.dev(), found.ino()],
            length: found.len(),
            modified: [found.mtime(), found.mtime_nsec()],
            changed: [found.ctime(), found.ctime_nsec()],
        };
        fs::metadata(path).ok().map(mark)
    }
}

impl Original {
    /// That of a run which writes to `targets`; nothing where these leave the input alone.
    #[must_use]
    pub(crate) fn from_targets(input: &Path, targets: &OutputTargets) -> Option<Self> {
        let taken =
            matches!(&targets.output, Target::File(path) if paths::is_same_file(path, input));
        taken.then(|| Self { path: input.to_owned(), identity: FileIdentity::from_path(input) })
    }

    /// Sees that nobody has written to it since: what they wrote would be lost.
    ///
    /// # Errors
    /// Input (3) where somebody has.
    pub(crate) fn check_unchanged(&self) -> Result<(), Failure> {
        if FileIdentity::from_path(&self.path) == self.identity {
            return Ok(());
        }
        let text = tr!(
            "{file}: somebody else wrote to the file during the run; it stays as it is now, and nothing was written. Run again, or give --output to write elsewhere",
            file = input_name(&self.path)
        );
        Err(Failure::with_message(Exit::Input, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modified_or_replaced_file_is_detected() {
        let desk = tempfile::tempdir().unwrap();
        let [path, other] = ["a.csv", "b.csv"].map(|name| desk.path().join(name));
        let targets = |path: &Path| OutputTargets {
            output: paths::target_from_path(path),
            failed: None,
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
        // Longer, at the same time to the clock's last digit.
        fs::write(&path, "longer").unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(before.check_unchanged().unwrap_err().exit, Exit::Input);
        // As long, at another time.
        let before = original();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(before.check_unchanged().is_err());
        // As long, and at the same time by what can be set; what cannot be is as fine as the clock of the system.
        let (before, marked) = (original(), fs::metadata(&path).unwrap());
        while fs::metadata(&path).unwrap().ctime_nsec() == marked.ctime_nsec() {
            fs::write(&path, "LONGER").unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(marked.modified().unwrap()).unwrap();
        }
        assert!(before.check_unchanged().is_err());
        // Another file with the same content, length and time.
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
