//! The beginning and the end of the program: arguments in, exit status out. The exit status is a value that travels
//! up to here, so that every destructor on the way has run.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::app::cli::{Cli, Command};
use crate::app::exit::{Exit, Failure};
use crate::app::flags::Show;
use crate::app::language::Language;
use crate::app::terminal::Terminal;
use crate::app::typed::{Refused, Typed};
use crate::app::{
    answer, completion, diff, manual, plan, refusal, rehearsal, resolve, state, typed, variables,
};

/// Runs the program with these arguments, the first of which is its name.
pub fn start(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    if let Some(exit) = completion::answered(&args) {
        return exit.into();
    }
    let set = typed::language(&args);
    let set = |name: &str| set.clone().filter(|_| name == "DINGMAP_LANG");
    Language::chosen(&args, |name| std::env::var_os(name).or_else(|| set(name))).speak();
    let usual = Show::default();
    let cli = match typed::read(&args) {
        Ok(Typed::Run(cli)) => cli,
        Ok(Typed::Settings(text)) => return ended(answer::whole(text.as_bytes()), &Terminal::new(&usual)),
        Err(Refused::File(failure)) => return ended(Err(failure), &Terminal::new(&usual)),
        Err(Refused::Line(error)) => {
            let helped = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let told = refusal::print(error);
            return if helped && told.is_ok() { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let show = match &cli.command {
        Command::Resolve(args) => &args.show,
        Command::Plan(args) => &args.show,
        Command::Diff(args) => &args.show,
        Command::Sandbox(args) => &args.show,
        Command::State(command) => &command.place().show,
        Command::Completions { .. } | Command::Man { .. } => &usual,
    };
    let terminal = Terminal::new(show);
    terminal.log(show);
    for warning in variables::strangers(&Cli::command(), std::env::vars_os().map(|(name, _)| name)) {
        terminal.say(&warning);
    }
    let result = match &cli.command {
        Command::Resolve(args) => resolve::resolve(args, &terminal),
        Command::Plan(args) => plan::plan(args, &terminal),
        Command::Diff(args) => diff::diff(args, &terminal),
        Command::Sandbox(args) => rehearsal::serve(args, &terminal),
        Command::State(command) => state::state(command, &terminal),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    };
    ended(result, &terminal)
}

/// The exit status, of which people have been told by then.
fn ended(result: Result<Exit, Failure>, terminal: &Terminal) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal.complain(&format!("{:#}", failure.error));
            failure.exit.into()
        }
    }
}
