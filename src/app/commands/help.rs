//! `dingmap help`: the help of a command, or a page of the guide.

use std::ffi::OsString;

use clap::CommandFactory;
use tr::tr;

use crate::app::cli::args::Cli;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_help::terminal_width;
use crate::app::i18n::language::Language;
use crate::app::pages::text;
use crate::app::stdout::write_stdout;
use crate::domain::redact::sanitize;
use crate::guide::{TOPICS, Topic};
use crate::table::detect::suggest::suggest;

/// In columns. Longer lines are hard to read.
const MAX_WIDTH: usize = 90;

/// Turns `dingmap help COMMAND` into `dingmap COMMAND --help`, in any letter case. Commands come
/// before topics.
pub(crate) fn expand_help_of_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(place) = args.iter().position(|arg| arg == "help") else { return args };
    let cli = Cli::command();
    let Ok(matches) = cli.clone().ignore_errors(true).try_get_matches_from(&args) else {
        return args;
    };
    let Some(("help", given)) = matches.subcommand() else { return args };
    let words: Vec<_> = given.get_many::<String>("topic").into_iter().flatten().collect();
    let is_command = |word: &&String| cli.find_subcommand(word.to_lowercase()).is_some();
    if words.first().is_none_or(is_command) {
        for arg in args.iter_mut().skip(place) {
            if let Some(word) = words.iter().find(|word| arg.as_os_str() == word.as_str()) {
                *arg = word.to_lowercase().into();
            }
        }
        args.remove(place);
        args.push("--help".into());
    }
    args
}

/// Prints a page of the guide in the language of the run, or in English if there is none in it.
///
/// # Errors
/// Usage (exit status 2) if there is no such topic; output (7).
pub(crate) fn help(words: &[String]) -> Result<Exit, Failure> {
    let name = words.join(" ");
    let Some(topic) = Topic::find(&name) else {
        let cli = Cli::command();
        let near = suggest(&name, help_words(&cli));
        let name = sanitize(&name);
        let text = match near {
            Some(near) => {
                tr!("there is no command or topic '{name}'; did you mean '{near}'?", name, near)
            }
            None => tr!("there is no command or topic '{name}'; `dingmap help` lists them", name),
        };
        return Err(Failure::with_message(Exit::Usage, text));
    };
    let width = terminal_width().min(MAX_WIDTH);
    let page = text::render(localized_page(topic), width);
    let is_english_only = Language::current() != Language::English && topic.chinese.is_none();
    let page = if is_english_only {
        tr!("this page is available only in English:") + "\n\n" + &page
    } else {
        page
    };
    write_stdout(page.as_bytes())
}

/// What may follow `dingmap help`.
pub(crate) fn help_words(cli: &clap::Command) -> impl Iterator<Item = &str> {
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    commands.chain(TOPICS.iter().map(|topic| topic.name))
}

/// The page of a topic in the language of the run.
pub(crate) fn localized_page(topic: &Topic) -> &'static str {
    match Language::current() {
        Language::English => topic.english,
        Language::Chinese => topic.chinese.unwrap_or(topic.english),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_of_a_command_is_the_long_help_of_that_command() {
        for (typed, expanded) in [
            ("help", "--help"),
            ("help resolve", "resolve --help"),
            ("help state info --lang zh", "state info --lang zh --help"),
            ("--lang zh help plan", "--lang zh plan --help"),
            ("help numbers", "help numbers"),
            ("help --help", "help --help"),
            ("help Resolve", "resolve --help"),
            ("help State Info", "state info --help"),
            ("help Numbers", "help Numbers"),
            ("resolve help", "resolve help"),
        ] {
            let words = |line: &str| {
                ["dingmap"]
                    .into_iter()
                    .chain(line.split(' '))
                    .map(OsString::from)
                    .collect::<Vec<_>>()
            };
            assert_eq!(expand_help_of_command(words(typed)), words(expanded));
        }
    }

    #[test]
    fn no_topic_has_the_name_of_a_command() {
        let cli = Cli::command();
        for topic in TOPICS {
            assert!(cli.find_subcommand(topic.name).is_none(), "{}", topic.name);
        }
    }

    #[test]
    fn help_lists_every_topic() {
        let listed = crate::app::cli::help::TOPICS;
        let names: Vec<_> =
            listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>());
    }
}
