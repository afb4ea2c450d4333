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
use crate::app::cli::parse::{CommandLine, ParseError, Parsed};
use crate::app::cli::paths;
use crate::app::cli::shared_args::MessageArgs;
use crate::app::commands::completion;
use crate::app::commands::diff;
use crate::app::commands::help;
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
use crate::domain::redact;

/// Runs the program with these arguments, the first of which is its name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = help::expand_help_of_command(args.into_iter().collect());
    let variable = |name: &str| std::env::var_os(name);
    if completion::is_completion_request(&args) {
        // Before the file of settings is read, which may be a pipe: nobody waits for one who presses Tab.
        Language::detect(&[], variable).set_current();
        return completion::complete(&args).into();
    }
    // Where there is no handler to be had, a question ends the program as it does others.
    let _ = signals::ignore_sigusr1();
    let line = CommandLine::from_args(&args);
    let set = line.language();
    let set = |name: &str| set.clone().filter(|_| name == "DINGMAP_LANG");
    Language::detect(&args, |name| variable(name).or_else(|| set(name))).set_current();
    let usual = MessageArgs::default();
    let (cli, remark) = match line.parse() {
        Ok(Parsed::Run { cli, warning: remark }) => (cli, remark),
        Ok(Parsed::PrintConfig(text)) => {
            return report_exit(
                stdout::write_stdout(text.as_bytes()),
                &Terminal::new(&usual, false),
            );
        }
        Err(ParseError::ConfigFile(failure)) => {
            return report_exit(Err(failure), &Terminal::new(&usual, false));
        }
        Err(ParseError::Arguments(error)) => {
            let helped = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let told = clap_errors::print(&error);
            let Err(cause) = told else {
                return if helped { Exit::Success.into() } else { Exit::Usage.into() };
            };
            let text = tr!("cannot write to standard output: {cause}", cause);
            // What is no help goes to standard error, and so would this.
            let exit = if helped { Exit::Output } else { Exit::Usage };
            return report_exit(
                Err(Failure::with_message(exit, text)),
                &Terminal::new(&usual, false),
            );
        }
    };
    let show = message_args(&cli.command).unwrap_or(&usual);
    let terminal = Terminal::new(show, has_rows_on_stdout(&cli.command));
    let warnings =
        env::unknown_variables(&Cli::command(), std::env::vars_os().map(|(name, _)| name));
    for text in warnings.into_iter().chain(remark) {
        terminal.print(&text);
    }
    let files = paths::command_files(&cli, variable);
    let result = log::init(show, &files, &terminal).and_then(|()| {
        info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "started");
        paths::check_distinct(&files)?;
        run_command(&cli.command, &terminal)
    });
    report_exit(result, &terminal)
}

/// The exit status, of which people and the log have been told by then.
fn report_exit(result: Result<Exit, Failure>, terminal: &Terminal) -> ExitCode {
    let (exit, failure) = match result {
        Ok(exit) => (exit, None),
        Err(failure) => (failure.exit, Some(format!("{:#}", failure.error))),
    };
    info!(
        status = exit.status(),
        failure = failure.as_deref().map(redact::mask_numbers),
        "finished"
    );
    if let Some(text) = failure {
        terminal.print_error(&text);
    }
    exit.into()
}

fn run_command(command: &Command, terminal: &Terminal) -> Result<Exit, Failure> {
    match command {
        Command::Resolve(args) => resolve(args, terminal),
        Command::Plan(args) => plan(args, terminal),
        Command::Diff(args) => diff::diff(args, terminal),
        Command::Merge(args) => merge::merge(args, terminal),
        Command::Sandbox(args) => sandbox::serve(args, terminal),
        Command::State(command) => state(command, terminal),
        Command::Completions { shell } => man::completions(*shell),
        Command::Man { directory } => man::man(directory.as_deref()),
        Command::Help { topic } => help::help(topic),
    }
}

/// What a command is to show, where it has something to show.
fn message_args(command: &Command) -> Option<&MessageArgs> {
    match command {
        Command::Resolve(args) => Some(&args.messages),
        Command::Plan(args) => Some(&args.messages),
        Command::Diff(args) => Some(&args.messages),
        Command::Merge(args) => Some(&args.messages),
        Command::Sandbox(args) => Some(&args.messages),
        Command::State(command) => Some(&command.file_args().messages),
        Command::Completions { .. } | Command::Man { .. } | Command::Help { .. } => None,
    }
}

/// Whether rows go to standard output while people are told how far it is.
fn has_rows_on_stdout(command: &Command) -> bool {
    let standard = Path::new("-");
    match command {
        Command::Resolve(args) => {
            options::output_path(args) == standard || args.failed.as_deref() == Some(standard)
        }
        Command::Merge(args) => options::merge_output_path(args) == standard,
        _ => false,
    }
}
