//! The beginning and the end of the program: arguments in, exit status out. The exit status is a value that travels
//! up to here, so that every destructor on the way has run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use tr::tr;
use tracing::info;

use crate::app::cli::{Cli, Command};
use crate::app::exit::{Exit, Failure};
use crate::app::flags::Show;
use crate::app::language::Language;
use crate::app::terminal::Terminal;
use crate::app::typed::{Line, Refused, Typed};
use crate::app::{
    answer, completion, config, diff, log, manual, plan, refusal, rehearsal, resolve, state, variables,
};

/// Runs the program with these arguments, the first of which is its name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let line = Line::of(&args);
    let set = line.language();
    let set = |name: &str| set.clone().filter(|_| name == "DINGMAP_LANG");
    Language::chosen(&args, |name| std::env::var_os(name).or_else(|| set(name))).speak();
    if let Some(exit) = completion::answered(&args) {
        return exit.into();
    }
    let usual = Show::default();
    let cli = match line.read() {
        Ok(Typed::Run(cli)) => cli,
        Ok(Typed::Settings(text)) => {
            return ended(answer::whole(text.as_bytes()), &Terminal::new(&usual, false));
        }
        Err(Refused::File(failure)) => return ended(Err(failure), &Terminal::new(&usual, false)),
        Err(Refused::Line(error)) => {
            let helped = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let told = refusal::print(error);
            let Err(cause) = told else {
                return if helped { Exit::Done.into() } else { Exit::Usage.into() };
            };
            let text = tr!("cannot write to standard output: {cause}", cause);
            // What is no help goes to standard error, and so would this.
            let exit = if helped { Exit::Output } else { Exit::Usage };
            return ended(Err(Failure::new(exit, text)), &Terminal::new(&usual, false));
        }
    };
    let show = show(&cli.command).unwrap_or(&usual);
    let terminal = Terminal::new(show, gives_rows(&cli.command));
    for warning in variables::strangers(&Cli::command(), std::env::vars_os().map(|(name, _)| name)) {
        terminal.say(&warning);
    }
    let result = log::begin(show, &files(&cli), &terminal).and_then(|()| run(&cli.command, &terminal));
    ended(result, &terminal)
}

/// The exit status, of which people and the log have been told by then.
fn ended(result: Result<Exit, Failure>, terminal: &Terminal) -> ExitCode {
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
fn files(Cli { command, config: settings, .. }: &Cli) -> Vec<(String, PathBuf)> {
    let mut files = match command {
        Command::Resolve(args) => vec![
            (tr!("the input"), Some(args.input.clone())),
            (tr!("the output"), Some(config::output(args))),
            ("--failed".to_owned(), args.failed.clone()),
            ("--summary".to_owned(), args.tell.summary.clone()),
            ("--metrics".to_owned(), args.tell.metrics.clone()),
            ("--report".to_owned(), args.tell.report.clone()),
            ("--state".to_owned(), args.keep.state.clone()),
        ],
        Command::Plan(args) => {
            vec![
                (tr!("the input"), Some(args.input.clone())),
                ("--state".to_owned(), args.keep.state.clone()),
            ]
        }
        Command::Diff(args) => vec![
            ("OLD".to_owned(), Some(args.old.clone())),
            ("NEW".to_owned(), Some(args.new.clone())),
            (tr!("the output"), Some(args.output.clone())),
        ],
        Command::State(command) => vec![("--state".to_owned(), command.place().state.clone())],
        Command::Sandbox(_) | Command::Completions { .. } | Command::Man { .. } => Vec::new(),
    };
    files.push(("--config".to_owned(), settings.clone()));
    files.into_iter().filter_map(|(what, path)| Some((what, path?))).collect()
}
