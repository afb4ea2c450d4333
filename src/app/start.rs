//! The entry point: arguments in, exit status out. No code calls `process::exit`: the exit status
//! is returned up to here, so that all destructors run.

use std::ffi::OsString;
use std::io;
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

/// Runs the program. The first of `args` is the program's name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = help::expand_help_of_command(args.into_iter().collect());
    let variable = |name: &str| std::env::var_os(name);
    if completion::is_completion_request(&args) {
        // Before the config file is read: it may be a pipe, and completion must not block on it.
        Language::detect(&[], variable).set_current();
        return completion::complete(&args).into();
    }
    // Without a handler, SIGUSR1 ends the program, as it does other programs.
    let _ = signals::ignore_sigusr1();
    let line = CommandLine::from_args(&args);
    let configured = line.language();
    let configured = |name: &str| configured.clone().filter(|_| name == "DINGMAP_LANG");
    Language::detect(&args, |name| variable(name).or_else(|| configured(name))).set_current();
    let default_messages = line.early_messages();
    let early_terminal = Terminal::new(&default_messages, false);
    early_terminal.report_panics();
    let (cli, warnings) = match line.parse() {
        Ok(Parsed::Run { cli, warnings }) => (cli, warnings),
        Ok(Parsed::PrintConfig(text)) => {
            return report_exit(stdout::write_stdout(text.as_bytes()), &early_terminal);
        }
        Err(ParseError::ConfigFile(failure)) => return report_exit(Err(failure), &early_terminal),
        Err(ParseError::Arguments(error)) => {
            let is_help =
                matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if !is_help && early_terminal.is_json() {
                early_terminal.print_error(&clap_errors::to_plain_text(&error));
                return Exit::Usage.into();
            }
            let Err(cause) = clap_errors::print(&error) else {
                return if is_help { Exit::Success.into() } else { Exit::Usage.into() };
            };
            if is_help && cause.kind() == io::ErrorKind::BrokenPipe {
                return Exit::Success.into();
            }
            let text = tr!("cannot write to standard output: {cause}", cause);
            // An error goes to standard error, so its exit status stays that of the error.
            let exit = if is_help { Exit::Output } else { Exit::Usage };
            return report_exit(Err(Failure::with_message(exit, text)), &early_terminal);
        }
    };
    let messages = message_args(&cli.command).unwrap_or(&default_messages);
    let terminal = Terminal::new(messages, has_rows_on_stdout(&cli.command));
    terminal.report_panics();
    let unknown =
        env::unknown_variables(&Cli::command(), std::env::vars_os().map(|(name, _)| name));
    for text in unknown.into_iter().chain(warnings) {
        terminal.print_warning(&text);
    }
    let files = paths::command_files(&cli, variable);
    let result = log::init(messages, &files, &terminal).and_then(|()| {
        info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "started");
        paths::check_distinct(&files)?;
        run_command(&cli.command, &terminal)
    });
    report_exit(result, &terminal)
}

/// Logs and prints the result, and returns its exit status.
fn report_exit(result: Result<Exit, Failure>, terminal: &Terminal) -> ExitCode {
    let exit = result.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    let text = result.as_ref().err().map(|failure| format!("{:#}", failure.error));
    info!(status = exit.status(), failure = text.as_deref().map(redact::message), "finished");
    if let Err(failure) = result {
        terminal.print_failure(&failure);
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

/// The message flags of a command that has them.
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

/// Whether rows go to standard output while progress is shown on standard error.
fn has_rows_on_stdout(command: &Command) -> bool {
    let stdout = Path::new("-");
    match command {
        Command::Resolve(args) => {
            options::output_path(args) == stdout || args.failed.as_deref() == Some(stdout)
        }
        Command::Merge(args) => options::merge_output_path(args) == stdout,
        _ => false,
    }
}
