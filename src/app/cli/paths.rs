//! The paths of the files that a command reads and writes, and the check that no output overwrites
//! one of them.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use tr::tr;

use crate::app::cli::args::{Cli, Command, MergeArgs, ResolveArgs};
use crate::app::cli::options;
use crate::app::cli::output_format::NamedOutput;
use crate::app::cli::same_file::is_same_file;
use crate::app::cli::shared_args::{RedisAuthArgs, StateArgs};
use crate::app::exit::{Exit, Failure};
use crate::store::disk::lock::with_suffix;
use crate::table::write::format::TableFormat;
use crate::table::write::output::Target;

/// The outputs of a run.
#[derive(Clone, Debug)]
pub(crate) struct OutputTargets {
    /// All rows.
    pub output: Target,
    pub output_format: TableFormat,
    /// The rows that may succeed on a retry.
    pub failed: Option<Target>,
    pub failed_format: TableFormat,
    /// The summary as JSON.
    pub summary: Option<Target>,
    /// The summary as Prometheus text.
    pub metrics: Option<Target>,
    /// The HTML page.
    pub report: Option<Target>,
}

/// # Errors
/// Usage (2) for a file name that promises another format than is written.
pub(crate) fn output_targets(args: &ResolveArgs) -> Result<OutputTargets, Failure> {
    let target = |path: &Option<PathBuf>| path.as_deref().map(target_from_path);
    let output = options::output_path(args);
    let output_format = NamedOutput {
        flag: "--output",
        path: &output,
        input: Some(&args.input),
        wanted: args.output_format,
        shard: args.sharding.shard,
    };
    let failed_format = args.failed.as_deref().map(|path| {
        let (flag, wanted) = ("--failed", None);
        NamedOutput { flag, path, input: None, wanted, shard: None }.format()
    });
    Ok(OutputTargets {
        output_format: output_format.format()?,
        output: target_from_path(&output),
        failed: target(&args.failed),
        failed_format: failed_format.transpose()?.unwrap_or_default(),
        summary: target(&args.reports.summary),
        metrics: target(&args.reports.metrics),
        report: target(&args.reports.report),
    })
}

/// `-` is standard output.
#[must_use]
pub(crate) fn target_from_path(path: &Path) -> Target {
    if path == Path::new("-") { Target::Stdout } else { Target::File(path.to_owned()) }
}

/// The path of a target that another process can open: `None` for standard output, devices, pipes
/// and `/proc/self/fd`.
#[must_use]
pub(crate) fn persistent_path(target: &Target) -> Option<String> {
    let Target::File(path) = target else { return None };
    let name = path.to_str()?;
    let absolute = std::path::absolute(path).ok()?;
    let is_special = ["/dev", "/proc"].iter().any(|directory| absolute.starts_with(directory));
    (!is_special && path.is_file()).then(|| name.to_owned())
}

/// A file of a command.
#[derive(Clone, Debug)]
pub(crate) struct CommandFile {
    /// Its name in messages.
    label: String,
    /// The flag that names another file instead.
    flag: &'static str,
    path: PathBuf,
    is_written: bool,
}

impl CommandFile {
    fn for_reading(label: impl Into<String>, path: &Path) -> Self {
        Self { label: label.into(), flag: "", path: path.to_owned(), is_written: false }
    }

    fn for_writing(label: impl Into<String>, flag: &'static str, path: &Path) -> Self {
        Self { label: label.into(), flag, path: path.to_owned(), is_written: true }
    }
}

/// All files of a command except its log: first those that it reads, then those that it writes.
/// `variable` reads an environment variable.
#[must_use]
pub(crate) fn command_files(
    cli: &Cli,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<CommandFile> {
    let mut files: Vec<_> = file_to_read("--config", cli.config.as_deref()).into_iter().collect();
    match &cli.command {
        Command::Resolve(args) => files.extend(resolve_files(args)),
        Command::Plan(args) => files.push(CommandFile::for_reading(tr!("the input"), &args.input)),
        Command::Diff(args) => files.extend([
            CommandFile::for_reading("OLD", &args.old),
            CommandFile::for_reading("NEW", &args.new),
            CommandFile::for_writing(tr!("the output"), "--output", &args.output),
        ]),
        Command::Merge(args) => files.extend(merge_files(args)),
        Command::State(command) => {
            if let Some((_, auth)) = command.shared_server() {
                files.extend(auth_files(auth));
            }
        }
        Command::Sandbox(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Help { .. } => {}
    }
    files.extend(command_state(&cli.command, variable).iter().flat_map(state_files));
    files
}

fn file_to_read(flag: &str, path: Option<&Path>) -> Option<CommandFile> {
    path.map(|path| CommandFile::for_reading(flag, path))
}

fn resolve_files(args: &ResolveArgs) -> Vec<CommandFile> {
    let mut files = vec![CommandFile::for_reading(tr!("the input"), &args.input)];
    files.extend(file_to_read("--app-secret-file", args.app_secret_file.as_deref()));
    files.extend(file_to_read("--ca-file", args.network.ca_file.as_deref()));
    files.extend(auth_files(&args.quota.auth));
    let output = options::output_path(args);
    // The output may replace the input: it is written after the input was read.
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
    files
}

fn merge_files(args: &MergeArgs) -> Vec<CommandFile> {
    let mut files = vec![CommandFile::for_reading(tr!("the input"), &args.input)];
    files.extend(args.shards.iter().map(|path| CommandFile::for_reading(tr!("a shard"), path)));
    let output = options::merge_output_path(args);
    files.push(CommandFile::for_writing(tr!("the output"), "--output", &output));
    files
}

/// The state file of a command, if it uses one. A missing data directory is reported when the state
/// is opened.
fn command_state(
    command: &Command,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<StatePath> {
    match command {
        Command::Resolve(args) => run_state_path(&args.state, args.sandbox, variable).ok()?,
        Command::Plan(args) => run_state_path(&args.state, false, variable).ok()?,
        Command::State(command) if command.shared_server().is_none() => {
            state_path(command.file_args().state.as_deref(), variable).ok()
        }
        _ => None,
    }
}

fn state_files(StatePath { path, is_explicit }: &StatePath) -> [CommandFile; 2] {
    let label = if *is_explicit { "--state".to_owned() } else { tr!("the state") };
    let lock = with_suffix(path, ".lock");
    [
        CommandFile::for_writing(label, "--state", path),
        CommandFile::for_writing(tr!("the lock of the state"), "--state", &lock),
    ]
}

fn auth_files(auth: &RedisAuthArgs) -> impl Iterator<Item = CommandFile> {
    let password = auth
        .shared_password_file
        .as_ref()
        .map(|path| CommandFile::for_reading("--shared-password-file", path));
    password.into_iter().chain(
        auth.shared_ca_file.as_ref().map(|path| CommandFile::for_reading("--shared-ca-file", path)),
    )
}

/// Checks that no file is written over another file of the command.
///
/// # Errors
/// 2 if two files are the same.
pub(crate) fn check_distinct(files: &[CommandFile]) -> Result<(), Failure> {
    for (index, file) in files.iter().enumerate() {
        if file.is_written {
            check_unused(file.flag, &file.path, &files[..index])?;
        }
    }
    Ok(())
}

/// Checks that the output that `flag` names is not one of the files `used`.
///
/// # Errors
/// 2 if it is.
pub(crate) fn check_unused(flag: &str, path: &Path, used: &[CommandFile]) -> Result<(), Failure> {
    let both_stdout = |other: &Path| path == Path::new("-") && other == Path::new("-");
    // An input `-` is standard input and no conflict.
    let conflicts = |other: &&CommandFile| {
        is_same_file(path, &other.path) || (other.is_written && both_stdout(&other.path))
    };
    match used.iter().find(conflicts) {
        Some(CommandFile { label, .. }) => {
            let path = path.display();
            let text =
                tr!("{flag}: {path} is {label} already; name another file", flag, path, label);
            Err(Failure::with_message(Exit::Usage, text))
        }
        None => Ok(()),
    }
}

pub(crate) fn write_failure(flag: &str, target: impl Display, cause: &io::Error) -> Failure {
    let text = tr!(
        "{flag}: cannot write {target}: {cause}; choose another path, or correct the cause",
        flag,
        target,
        cause
    );
    Failure::with_message(Exit::Output, text).silence_closed_pipe(cause.kind())
}

/// The path of the state file.
#[derive(Clone, Debug)]
pub(crate) struct StatePath {
    pub path: PathBuf,
    /// Whether the user named it; otherwise it is the default.
    pub is_explicit: bool,
}

/// The state file of a run; `None` if answers are kept only in memory. The sandbox invents its
/// answers: they are kept only with an explicit `--state`.
///
/// # Errors
/// As [`state_path`].
pub(crate) fn run_state_path(
    args: &StateArgs,
    sandbox: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<StatePath>, Failure> {
    let in_memory = args.no_state || (sandbox && args.state.is_none());
    if in_memory { Ok(None) } else { state_path(args.state.as_deref(), variable).map(Some) }
}

/// The state file: `explicit`, or the default in the user's data directory (XDG).
///
/// # Errors
/// 2 if no data directory is known.
pub(crate) fn state_path(
    explicit: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<StatePath, Failure> {
    if let Some(path) = explicit {
        return Ok(StatePath { path: path.to_owned(), is_explicit: true });
    }
    // The XDG specification says to ignore relative paths.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = directory("XDG_DATA_HOME").or_else(|| Some(directory("HOME")?.join(".local/share")));
    let path = data.map(|data| data.join("dingmap").join("state.redb")).ok_or_else(|| {
        Failure::with_message(
            Exit::Usage,
            tr!("no directory for the state file: neither XDG_DATA_HOME nor HOME is set. Name a \
                 file with --state, or use --no-state, with which an interrupted run cannot be \
                 resumed"),
        )
    })?;
    Ok(StatePath { path, is_explicit: false })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn error_for(line: &[&str]) -> Option<String> {
        let cli = Cli::parse_from(std::iter::once("dingmap").chain(line.iter().copied()));
        let data = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".into());
        let log =
            line.iter().position(|word| *word == "--log-file").and_then(|at| line.get(at + 1));
        let files = command_files(&cli, data);
        let checked = log.map_or(Ok(()), |log| check_unused("--log-file", Path::new(log), &files));
        checked.and_then(|()| check_distinct(&files)).err().map(|failure| {
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
            let message = error_for(line).unwrap_or_default();
            assert!(message.starts_with(&format!("{expected} ")), "{line:?}: {message}");
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
            assert_eq!(error_for(line), None, "{line:?}");
        }
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
            state_path(None, find).map(|state| state.path)
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
