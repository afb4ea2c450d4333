//! The files of a command, by name: which it reads and which it writes, where the state is, and that nothing is written over
//! another of them. Leaves opening them to `log`, `outlet` and `papers`.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tr::tr;

use crate::app::cli::args::{Cli, Command, ResolveArgs};
use crate::app::cli::options;
use crate::app::cli::shared_args::{RedisAuthArgs, StateArgs};
use crate::app::exit::{Exit, Failure};
use crate::store::disk::lock::with_suffix;
use crate::table::write::output::Target;

/// Where the outputs go.
#[derive(Clone, Debug)]
pub(crate) struct OutputTargets {
    /// Every row, with its answer.
    pub output: Target,
    /// The rows that may succeed on another try, where they are asked for.
    pub failed: Option<Target>,
    /// The run's account as JSON.
    pub summary: Option<Target>,
    /// The same as metrics.
    pub metrics: Option<Target>,
    /// The same as a page.
    pub report: Option<Target>,
}

/// Where the outputs go.
#[must_use]
pub(crate) fn output_targets(args: &ResolveArgs) -> OutputTargets {
    let asked = |path: &Option<PathBuf>| path.as_deref().map(target_from_path);
    OutputTargets {
        output: target_from_path(&options::output_path(args)),
        failed: asked(&args.failed),
        summary: asked(&args.reports.summary),
        metrics: asked(&args.reports.metrics),
        report: asked(&args.reports.report),
    }
}

/// Where a path leads; `-` is standard output.
#[must_use]
pub(crate) fn target_from_path(path: &Path) -> Target {
    if path == Path::new("-") { Target::Stdout } else { Target::File(path.to_owned()) }
}

/// The name of the file that a target is, for another run to read: none for standard output, a device, a pipe, and what means
/// something to this process alone.
#[must_use]
pub(crate) fn persistent_path(target: &Target) -> Option<String> {
    let Target::File(path) = target else { return None };
    let name = path.to_str()?;
    let own = std::path::absolute(path).ok()?;
    let passing = ["/dev", "/proc"].iter().any(|place| own.starts_with(place));
    (!passing && path.is_file()).then(|| name.to_owned())
}

/// A file of a command.
#[derive(Clone, Debug)]
pub(crate) struct CommandFile {
    /// What people call it.
    label: String,
    /// The flag that could name another.
    flag: &'static str,
    path: PathBuf,
    is_written: bool,
}

impl CommandFile {
    fn for_reading(what: impl Into<String>, path: &Path) -> Self {
        Self { label: what.into(), flag: "", path: path.to_owned(), is_written: false }
    }

    fn for_writing(what: impl Into<String>, flag: &'static str, path: &Path) -> Self {
        Self { label: what.into(), flag, path: path.to_owned(), is_written: true }
    }
}

/// All files of a command but its log, those that it reads before those that it writes. `variable` gives a variable of the
/// environment.
#[must_use]
pub(crate) fn command_files(
    cli: &Cli,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<CommandFile> {
    let mut files = Vec::new();
    let read =
        |what: &str, path: Option<&PathBuf>| path.map(|path| CommandFile::for_reading(what, path));
    files.extend(read("--config", cli.config.as_ref()));
    let mut state = None;
    match &cli.command {
        Command::Resolve(args) => {
            files.push(CommandFile::for_reading(tr!("the input"), &args.input));
            files.extend(read("--app-secret-file", args.app_secret_file.as_ref()));
            files.extend(read("--ca-file", args.network.ca_file.as_ref()));
            files.extend(auth_files(&args.quota.auth));
            let output = options::output_path(args);
            // It may take the input's place, and is written when that has been read.
            if !is_same_file(&output, &args.input) {
                files.push(CommandFile::for_writing(tr!("the output"), "--output", &output));
            }
            for (flag, path) in [
                ("--failed", &args.failed),
                ("--summary", &args.reports.summary),
                ("--metrics", &args.reports.metrics),
                ("--report", &args.reports.report),
            ] {
                files.extend(path.iter().map(|path| CommandFile::for_writing(flag, flag, path)));
            }
            state = run_state_path(&args.state, args.sandbox, variable);
        }
        Command::Plan(args) => {
            files.push(CommandFile::for_reading(tr!("the input"), &args.input));
            state = run_state_path(&args.state, false, variable);
        }
        Command::Diff(args) => {
            files.push(CommandFile::for_reading("OLD", &args.old));
            files.push(CommandFile::for_reading("NEW", &args.new));
            files.push(CommandFile::for_writing(tr!("the output"), "--output", &args.output));
        }
        Command::Merge(args) => {
            files.push(CommandFile::for_reading(tr!("the input"), &args.input));
            files.extend(
                args.shards.iter().map(|path| CommandFile::for_reading(tr!("a shard"), path)),
            );
            files.push(CommandFile::for_writing(
                tr!("the output"),
                "--output",
                &options::merge_output_path(args),
            ));
        }
        Command::State(command) => match command.shared_server() {
            Some((_, door)) => files.extend(auth_files(door)),
            None => state = Some(state_path(command.file_args().state.as_deref(), variable)),
        },
        Command::Sandbox(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Help { .. } => {}
    }
    // That there is no place for it is told when it is opened.
    if let Some(Ok(StatePath { path, is_explicit: named })) = state {
        let what = if named { "--state".to_owned() } else { tr!("the state") };
        files.push(CommandFile::for_writing(what, "--state", &path));
        files.push(CommandFile::for_writing(
            tr!("the lock of the state"),
            "--state",
            &with_suffix(&path, ".lock"),
        ));
    }
    files
}

/// What is read to be let in by the server that runs share.
fn auth_files(door: &RedisAuthArgs) -> impl Iterator<Item = CommandFile> {
    let password = door
        .shared_password_file
        .as_ref()
        .map(|path| CommandFile::for_reading("--shared-password-file", path));
    password.into_iter().chain(
        door.shared_ca_file.as_ref().map(|path| CommandFile::for_reading("--shared-ca-file", path)),
    )
}

/// Sees that nothing is written over another file of the command.
///
/// # Errors
/// Usage (2) where two files would be one.
pub(crate) fn check_distinct(files: &[CommandFile]) -> Result<(), Failure> {
    let mut before = Vec::new();
    for file in files {
        if file.is_written {
            check_unused(file.flag, &file.path, &before)?;
        }
        before.push(file.clone());
    }
    Ok(())
}

/// Sees that a file which `flag` names to be written is none of those that are taken.
///
/// # Errors
/// Usage (2) where it is.
pub(crate) fn check_unused(flag: &str, path: &Path, taken: &[CommandFile]) -> Result<(), Failure> {
    let stdout = |other: &Path| path == Path::new("-") && other == Path::new("-");
    // What comes from standard input takes nothing from standard output.
    let meets = |other: &&CommandFile| {
        is_same_file(path, &other.path) || (other.is_written && stdout(&other.path))
    };
    match taken.iter().find(meets) {
        Some(CommandFile { label: what, .. }) => {
            let path = path.display();
            let text = tr!("{flag}: {path} is {what} already; name another file", flag, path, what);
            Err(Failure::with_message(Exit::Usage, text))
        }
        None => Ok(()),
    }
}

/// Whether two paths lead to one file, be it by two names of it, or would once it is there.
#[must_use]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let standard = Path::new("-");
    if one == standard || other == standard {
        return false;
    }
    // A device or a pipe takes nothing from itself, and may have several names.
    let passing = |path| fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if passing(one) || passing(other) {
        return false;
    }
    let file = |path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
    if let (Some(one), Some(other)) = (file(one), file(other)) {
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    canonical_path(one).is_some_and(|one| Some(one) == canonical_path(other))
}

/// A path without links, as far as it leads.
fn canonical_path(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let path = std::path::absolute(path).ok()?;
        let folder = path.parent()?.canonicalize().ok();
        Some(folder.and_then(|folder| Some(folder.join(path.file_name()?))).unwrap_or(path))
    })
}

/// What to say of a file that cannot be written, with what to do.
pub(crate) fn write_failure(flag: &str, target: impl Display, cause: &io::Error) -> Failure {
    let text = tr!(
        "{flag}: cannot write {target}: {cause}; choose another place, or put this right",
        flag,
        target,
        cause
    );
    Failure::with_message(Exit::Output, text)
}

/// Where a state is.
#[derive(Clone, Debug)]
pub(crate) struct StatePath {
    /// The file.
    pub path: PathBuf,
    /// Whether the user named it; otherwise it is dingmap's own.
    pub is_explicit: bool,
}

/// Where a run keeps its answers; none where that is in memory alone. What the emulation of a `sandbox` says is invented, so
/// that only who names a place wants it kept.
///
/// # Errors
/// As [`place`].
pub(crate) fn run_state_path(
    keep: &StateArgs,
    sandbox: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<Result<StatePath, Failure>> {
    let forgets = keep.no_state || (sandbox && keep.state.is_none());
    (!forgets).then(|| state_path(keep.state.as_deref(), variable))
}

/// Where the state is: where the user says, or else in their data directory (XDG).
///
/// # Errors
/// Usage (2) where no data directory is known.
pub(crate) fn state_path(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<StatePath, Failure> {
    if let Some(path) = named {
        return Ok(StatePath { path: path.to_owned(), is_explicit: true });
    }
    // A relative path is none, as the XDG specification has it.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = directory("XDG_DATA_HOME").or_else(|| Some(directory("HOME")?.join(".local/share")));
    let path = data.map(|data| data.join("dingmap").join("state.redb")).ok_or_else(|| {
        Failure::with_message(
            Exit::Usage,
            tr!("there is no place for the state, in which answers are kept so that an interrupted run can go on: neither XDG_DATA_HOME nor HOME is set. Name a file with --state, or use --no-state"),
        )
    })?;
    Ok(StatePath { path, is_explicit: false })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn told(line: &[&str]) -> Option<String> {
        let cli = Cli::parse_from(std::iter::once("dingmap").chain(line.iter().copied()));
        let data = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".into());
        let log =
            line.iter().position(|word| *word == "--log-file").and_then(|at| line.get(at + 1));
        let files = command_files(&cli, data);
        let free = log.map_or(Ok(()), |log| check_unused("--log-file", Path::new(log), &files));
        free.and_then(|()| check_distinct(&files)).err().map(|failure| {
            assert_eq!(failure.exit, Exit::Usage);
            failure.error.to_string()
        })
    }

    #[test]
    fn no_output_overwrites_another_file_of_the_command() {
        let default = "/data/dingmap/state.redb";
        let lock = format!("{default}.lock");
        for (line, expected) in [
            (
                &["resolve", "i", "--summary", "s", "--app-secret-file", "s"][..],
                "--summary: s is --app-secret-file",
            ),
            (
                &["resolve", "i", "-o", "s", "--app-secret-file", "s"],
                "--output: s is --app-secret-file",
            ),
            (&["resolve", "i", "--report", "c", "--ca-file", "c"], "--report: c is --ca-file"),
            (&["resolve", "i", "--metrics", "c", "--config", "c"], "--metrics: c is --config"),
            (
                &["resolve", "i", "--failed", default],
                "--state: /data/dingmap/state.redb is --failed",
            ),
            (
                &["resolve", "i", "--report", &lock],
                "--state: /data/dingmap/state.redb.lock is --report",
            ),
            (&["resolve", "i", "--state", "i"], "--state: i is the input"),
            (
                &["resolve", "i", "--state", "i.resolved.csv"],
                "--state: i.resolved.csv is the output",
            ),
            (&["resolve", "i", "--report", "r", "--metrics", "./r"], "--report: r is --metrics"),
            (&["resolve", "-", "--summary", "-"], "--summary: - is the output"),
            (&["resolve", "i", "--log-file", "r", "--report", "r"], "--log-file: r is --report"),
            (
                &["resolve", "i", "--log-file", "s", "--app-secret-file", "s"],
                "--log-file: s is --app-secret-file",
            ),
            (
                &["resolve", "i", "--log-file", default],
                "--log-file: /data/dingmap/state.redb is the state",
            ),
            (
                &["resolve", "i", "--log-file", &lock],
                "--log-file: /data/dingmap/state.redb.lock is the lock of",
            ),
            (
                &["plan", "i", "--log-file", default],
                "--log-file: /data/dingmap/state.redb is the state",
            ),
            (&["plan", "i", "--log-file", "c", "--config", "c"], "--log-file: c is --config"),
            (
                &["state", "info", "--log-file", default],
                "--log-file: /data/dingmap/state.redb is the state",
            ),
            (&["sandbox", "--log-file", "c", "--config", "c"], "--log-file: c is --config"),
            (&["diff", "a", "b", "-o", "b"], "--output: b is NEW"),
            (&["diff", "a", "b", "--log-file", "a"], "--log-file: a is OLD"),
            (&["merge", "i", "a", "b", "-o", "b"], "--output: b is a shard"),
            (&["merge", "i", "a", "-o", "i"], "--output: i is the input"),
            (&["merge", "i.csv", "a", "i.resolved.csv"], "--output: i.resolved.csv is a shard"),
        ] {
            let told = told(line).unwrap_or_default();
            assert!(told.starts_with(&format!("{expected} ")), "{line:?}: {told}");
        }
        for line in [
            &["resolve", "i", "-o", "i"][..],
            &["resolve", "i", "--retry-failed"],
            &["resolve", "-", "-o", "-"],
            &["diff", "-", "b"],
            &["resolve", "i", "--log-file", default, "--no-state"],
            &["resolve", "i", "--log-file", default, "--sandbox"],
            &["resolve", "i", "--app-secret-file", "s", "--ca-file", "s", "--log-file", "l"],
        ] {
            assert_eq!(told(line), None, "{line:?}");
        }
    }

    #[test]
    fn one_file_is_recognized_under_all_its_names() {
        let desk = tempfile::tempdir().unwrap();
        let path = |name: &str| desk.path().join(name);
        fs::write(path("a"), "x").unwrap();
        fs::write(path("b"), "x").unwrap();
        fs::hard_link(path("a"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("a"), path("soft")).unwrap();
        std::os::unix::fs::symlink(desk.path(), path("folder")).unwrap();
        for (one, other, expected) in [
            ("a", "hard", true),
            ("a", "soft", true),
            ("a", "folder/hard", true),
            ("a", "b", false),
            ("a", "none", false),
            ("none", "folder/none", true),
            ("none/x", "none/x", true),
        ] {
            assert_eq!(is_same_file(&path(one), &path(other)), expected, "{one} {other}");
        }
        assert!(!is_same_file(Path::new("-"), Path::new("-")));
        assert!(!is_same_file(Path::new("/dev/null"), Path::new("/dev/null")));
    }

    #[test]
    fn the_state_path_is_the_given_one_or_in_the_data_directory() {
        let at = |variables: &[(&str, &str)]| {
            let find = |name: &str| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| OsString::from(value))
            };
            state_path(None, find).map(|place| place.path)
        };
        let default = Path::new("/h/.local/share/dingmap/state.redb");
        assert_eq!(at(&[("HOME", "/h")]).unwrap(), default);
        assert_eq!(at(&[("HOME", "/h"), ("XDG_DATA_HOME", "relative")]).unwrap(), default);
        assert_eq!(
            at(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]).unwrap(),
            Path::new("/d/dingmap/state.redb")
        );
        for none in [&[][..], &[("HOME", "")]] {
            let failure = at(none).unwrap_err();
            let text = failure.error.to_string();
            assert!(
                failure.exit == Exit::Usage
                    && text.contains("--state")
                    && text.contains("--no-state"),
                "{text}"
            );
        }
        assert!(state_path(Some(Path::new("s")), |_| None).unwrap().is_explicit);
    }
}
