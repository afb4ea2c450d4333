//! What packagers install beside the program: completions for shells and pages for man. Both are made from the command line
//! itself, so that they cannot disagree with it.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use tr::tr;

use crate::app::answer::whole;
use crate::app::cli::Cli;
use crate::app::completion::script;
use crate::app::exit::{Exit, Failure};
use crate::app::wording;

/// Writes completions for a shell to standard output.
///
/// # Errors
/// Output (7) where that cannot be written to; unexpected (1) where there are none.
pub fn completions(shell: Shell) -> Result<Exit, Failure> {
    whole(&script(shell)?)
}

/// Writes the manual: all of it to standard output, or a page for each command into a directory, which is made where there is
/// none.
///
/// # Errors
/// Output (7) where one cannot be written.
pub fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    let mut root = wording::told(Cli::command(), usize::MAX);
    root.build();
    let pages = pages(&root).map_err(|error| Failure::of(Exit::Output, error))?;
    let Some(directory) = directory else {
        return whole(&pages.into_iter().flat_map(|(_, page)| page).collect::<Vec<_>>());
    };
    let told = |error: io::Error| {
        Failure::new(
            Exit::Output,
            tr!(
                "cannot write the manual to {directory}: {cause}",
                directory = directory.display(),
                cause = error
            ),
        )
    };
    fs::create_dir_all(directory).map_err(told)?;
    for (name, page) in pages {
        fs::write(directory.join(name), page).map_err(told)?;
    }
    Ok(Exit::Done)
}

/// The page of a command, and behind it those of its own commands, each with its file's name.
fn pages(command: &clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut all = vec![(man.get_filename(), page)];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        all.extend(pages(below)?);
    }
    Ok(all)
}
