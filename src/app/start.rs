//! The beginning and the end of the program: arguments in, exit status out. The exit status is a value that travels
//! up to here, so that every destructor on the way has run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use tracing::info;

use crate::app::cli::{Cli, Command};
use crate::app::exit::{Exit, Failure};
use crate::app::flags::Show;
use crate::app::language::Language;
use crate::app::terminal::Terminal;
use crate::app::{config, diff, log, manual, plan, rehearsal, resolve, state};

/// Runs the program with these arguments, the first of which is its name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    Language::chosen(&args, |name| std::env::var_os(name)).speak();
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(error) => {
            let told = error.print();
            let helped = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if helped && told.is_ok() { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let usual = Show::default();
    let show = show(&cli.command).unwrap_or(&usual);
    let terminal = Terminal::new(show, gives_rows(&cli.command));
    let result =
        log::begin(show, &files(&cli.command), &terminal).and_then(|()| run(&cli.command, &terminal));
    let (exit, failure) = match result {
        Ok(exit) => (exit, None),
        Err(failure) => (failure.exit, Some(format!("{:#}", failure.error))),
    };
    info!(status = exit.status(), failure, "ended");
    if let Some(text) = failure {
        terminal.complain(&text);
    }
    exit.into()
}

fn run(command: &Command, terminal: &Terminal) -> Result<Exit, Failure> {
    info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "began");
    match command {
        Command::Resolve(args) => resolve::resolve(args, terminal),
        Command::Plan(args) => plan::plan(args, terminal),
        Command::Diff(args) => diff::diff(args, terminal),
        Command::Sandbox(args) => rehearsal::serve(args, terminal),
        Command::State(command) => state::state(command, terminal),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    }
}

/// What a command is to show, where it has something to show.
fn show(command: &Command) -> Option<&Show> {
    match command {
        Command::Resolve(args) => Some(&args.show),
        Command::Plan(args) => Some(&args.show),
        Command::Diff(args) => Some(&args.show),
        Command::Sandbox(args) => Some(&args.show),
        Command::State(command) => Some(&command.place().show),
        Command::Completions { .. } | Command::Man { .. } => None,
    }
}

/// Whether rows go to standard output while they settle.
fn gives_rows(command: &Command) -> bool {
    let standard = Path::new("-");
    matches!(command, Command::Resolve(args) if config::output(args) == standard || args.failed.as_deref() == Some(standard))
}

/// The files of a command that log lines would spoil, by what to call them.
fn files(command: &Command) -> Vec<(&'static str, PathBuf)> {
    let files = match command {
        Command::Resolve(args) => vec![
            ("the input", Some(args.input.clone())),
            ("the output", Some(config::output(args))),
            ("--failed", args.failed.clone()),
            ("--summary", args.tell.summary.clone()),
            ("--metrics", args.tell.metrics.clone()),
            ("--state", args.keep.state.clone()),
        ],
        Command::Plan(args) => {
            vec![("the input", Some(args.input.clone())), ("--state", args.keep.state.clone())]
        }
        Command::Diff(args) => vec![
            ("OLD", Some(args.old.clone())),
            ("NEW", Some(args.new.clone())),
            ("the output", Some(args.output.clone())),
        ],
        Command::State(command) => vec![("--state", command.place().state.clone())],
        Command::Sandbox(_) | Command::Completions { .. } | Command::Man { .. } => Vec::new(),
    };
    files.into_iter().filter_map(|(what, path)| Some((what, path?))).collect()
}
