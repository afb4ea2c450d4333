//! The beginning and the end of the program: arguments in, exit status out. The exit status is a value that travels
//! up to here, so that every destructor on the way has run.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use tr::tr;
use tracing::info;

use crate::app::cli::args::{Cli, Command};
use crate::app::cli::env;
use crate::app::cli::options;
use crate::app::cli::parse::{Line, Refused, Typed};
use crate::app::cli::paths;
use crate::app::cli::shared_args::Show;
use crate::app::commands::completion;
use crate::app::commands::diff;
use crate::app::commands::man;
use crate::app::commands::merge;
use crate::app::commands::plan::command::plan;
use crate::app::commands::resolve::command::resolve;
use crate::app::commands::sandbox;
use crate::app::commands::state::command::state;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_errors;
use crate::app::i18n::language::Language;
use crate::app::progress::log;
use crate::app::progress::terminal::Terminal;
use crate::app::signals;
use crate::app::stdout;
use crate::domain::number::mask::hidden;

/// Runs the program with these arguments, the first of which is its name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let variable = |name: &str| std::env::var_os(name);
    if completion::asked(&args) {
        // Before the file of settings is read, which may be a pipe: nobody waits for one who presses Tab.
        Language::chosen(&[], variable).speak();
        return completion::answered(&args).into();
    }
    // Where there is no handler to be had, a question ends the program as it does others.
    let _ = signals::suffer_questions();
    let line = Line::of(&args);
    let set = line.language();
    let set = |name: &str| set.clone().filter(|_| name == "DINGMAP_LANG");
    Language::chosen(&args, |name| variable(name).or_else(|| set(name))).speak();
    let usual = Show::default();
    let (cli, remark) = match line.read() {
        Ok(Typed::Run { cli, remark }) => (cli, remark),
        Ok(Typed::Settings(text)) => {
            return ended(stdout::whole(text.as_bytes()), &Terminal::new(&usual, false));
        }
        Err(Refused::File(failure)) => return ended(Err(failure), &Terminal::new(&usual, false)),
        Err(Refused::Line(error)) => {
            let helped = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let told = clap_errors::print(&error);
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
    let warnings = env::strangers(&Cli::command(), std::env::vars_os().map(|(name, _)| name));
    for text in warnings.into_iter().chain(remark) {
        terminal.say(&text);
    }
    let files = paths::of(&cli, variable);
    let result = log::begin(show, &files, &terminal).and_then(|()| {
        info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "began");
        paths::apart(&files)?;
        run(&cli.command, &terminal)
    });
    ended(result, &terminal)
}

/// The exit status, of which people and the log have been told by then.
fn ended(result: Result<Exit, Failure>, terminal: &Terminal) -> ExitCode {
    let (exit, failure) = match result {
        Ok(exit) => (exit, None),
        Err(failure) => (failure.exit, Some(format!("{:#}", failure.error))),
    };
    info!(status = exit.status(), failure = failure.as_deref().map(hidden), "ended");
    if let Some(text) = failure {
        terminal.complain(&text);
    }
    exit.into()
}

fn run(command: &Command, terminal: &Terminal) -> Result<Exit, Failure> {
    match command {
        Command::Resolve(args) => resolve(args, terminal),
        Command::Plan(args) => plan(args, terminal),
        Command::Diff(args) => diff::diff(args, terminal),
        Command::Merge(args) => merge::merge(args, terminal),
        Command::Sandbox(args) => sandbox::serve(args, terminal),
        Command::State(command) => state(command, terminal),
        Command::Completions { shell } => man::completions(*shell),
        Command::Man { directory } => man::man(directory.as_deref()),
    }
}

/// What a command is to show, where it has something to show.
fn show(command: &Command) -> Option<&Show> {
    match command {
        Command::Resolve(args) => Some(&args.show),
        Command::Plan(args) => Some(&args.show),
        Command::Diff(args) => Some(&args.show),
        Command::Merge(args) => Some(&args.show),
        Command::Sandbox(args) => Some(&args.show),
        Command::State(command) => Some(&command.place().show),
        Command::Completions { .. } | Command::Man { .. } => None,
    }
}

/// Whether rows go to standard output while people are told how far it is.
fn gives_rows(command: &Command) -> bool {
    let standard = Path::new("-");
    match command {
        Command::Resolve(args) => {
            options::output(args) == standard || args.failed.as_deref() == Some(standard)
        }
        Command::Merge(args) => options::whole(args) == standard,
        _ => false,
    }
}
