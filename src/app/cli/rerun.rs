//! The command of this run, changed for another run, as text for a shell.

use std::ffi::OsString;
use std::fmt;

use clap::{Arg, CommandFactory};

use crate::app::cli::args::Cli;
use crate::domain::outcome::Status;
use crate::domain::redact::mask_url;
use crate::table::write::format::TableFormat;

/// The name of the program, however it was started.
const PROGRAM: &str = "dingmap";

/// How long the answers are kept for an input that is corrected.
const CORRECTION_AGE: &str = "1d";

/// The command that asks the rows of the resolved file again that failed or were corrected.
#[must_use]
pub(crate) fn retry_command(file: &str, format: TableFormat) -> String {
    retry(file, format).to_string()
}

/// The same for a file of which no record shows which rows were corrected: the command asks all
/// rows with these statuses.
#[must_use]
pub(crate) fn unrecorded_command(file: &str, format: TableFormat, statuses: &[Status]) -> String {
    let names: Vec<_> = statuses.iter().map(|status| status.name()).collect();
    let command = retry(file, format).without(&["retry_failed"]);
    command.with_flag("retry", &["--retry", &names.join(",")]).to_string()
}

fn retry(file: &str, format: TableFormat) -> CommandText {
    let mut command = CommandText::from_args(&args_of_this_process());
    // What the output has may differ from the input: its encoding, and the sheet of a workbook.
    // The time to start has passed, and what this run was limited to is not the task of the next.
    let mut removed = vec![
        "output",
        "output_format",
        "encoding",
        "start_at",
        "flexible",
        "retry",
        "restart",
        "max_calls",
        "partial",
    ];
    if !format.is_workbook() {
        removed.push("sheet");
    }
    if !command.has("retry_failed") {
        command = command.with_flag("retry_failed", &["--retry-failed"]);
    }
    command.without(&removed).with_input(file)
}

/// The command of this run, with the answers that it keeps.
#[must_use]
pub(crate) fn source_command() -> String {
    let mut command = CommandText::from_args(&args_of_this_process()).without(&["start_at"]);
    for (id, flag) in [("max_age", "--max-age"), ("max_age_not_found", "--max-age-not-found")] {
        if !command.has(id) {
            command = command.with_flag(id, &[flag, CORRECTION_AGE]);
        }
    }
    command.without(&["restart"]).to_string()
}

fn args_of_this_process() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The arguments of a command that has one positional argument, its input.
#[derive(Clone, Debug)]
pub(crate) struct CommandText {
    subcommand: String,
    input: Option<String>,
    flags: Vec<Flag>,
}

/// A flag as it was typed, with its value.
#[derive(Clone, Debug)]
struct Flag {
    /// The name of its field.
    id: String,
    words: Vec<String>,
}

impl CommandText {
    /// Splits arguments that were parsed without an error; the first one is the program.
    #[must_use]
    pub(crate) fn from_args(args: &[OsString]) -> Self {
        let mut root = Cli::command();
        root.build();
        let mut text = Self { subcommand: String::new(), input: None, flags: Vec::new() };
        let mut words = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
        let mut only_values = false;
        while let Some(word) = words.next() {
            let subcommand = root.find_subcommand(&text.subcommand);
            let definitions: Vec<&Arg> = root
                .get_arguments()
                .chain(subcommand.into_iter().flat_map(clap::Command::get_arguments))
                .collect();
            if word == "--" && !only_values {
                only_values = true;
            } else if let Some(long) = word.strip_prefix("--").filter(|_| !only_values) {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let found = definitions.iter().find(|arg| arg.get_long() == Some(name));
                let Some(found) = found else { continue };
                let takes_next = takes_next_word(found);
                let mut flag = vec![word.clone()];
                match value {
                    // Easier to read once it is quoted.
                    Some(value) if takes_next && !value.starts_with('-') => {
                        flag = vec![format!("--{name}"), value.to_owned()];
                    }
                    None if takes_next => flag.extend(words.next()),
                    _ => {}
                }
                text.flags.push(Flag { id: found.get_id().as_str().to_owned(), words: flag });
            } else if word.len() > 1 && word.starts_with('-') && !only_values {
                text.add_short_flags(&word[1..], &definitions, &mut words);
            } else if text.subcommand.is_empty() {
                text.subcommand = word;
            } else {
                text.input = Some(word);
            }
        }
        text
    }

    /// Adds flags such as `-qj4`, each as a flag of its own.
    fn add_short_flags(
        &mut self,
        letters: &str,
        definitions: &[&Arg],
        words: &mut impl Iterator<Item = String>,
    ) {
        for (at, letter) in letters.char_indices() {
            let Some(found) = definitions.iter().find(|arg| arg.get_short() == Some(letter)) else {
                return;
            };
            let mut flag = vec![format!("-{letter}")];
            let has_value = takes_next_word(found);
            if has_value {
                let rest = &letters[at + letter.len_utf8()..];
                let rest = rest.strip_prefix('=').unwrap_or(rest);
                flag.extend(if rest.is_empty() { words.next() } else { Some(rest.to_owned()) });
            }
            self.flags.push(Flag { id: found.get_id().as_str().to_owned(), words: flag });
            if has_value {
                return;
            }
        }
    }

    #[must_use]
    pub(crate) fn with_input(self, input: &str) -> Self {
        Self { input: Some(input.to_owned()), ..self }
    }

    /// Removes flags, by the names of their fields.
    #[must_use]
    pub(crate) fn without(mut self, ids: &[&str]) -> Self {
        self.flags.retain(|flag| !ids.contains(&flag.id.as_str()));
        self
    }

    /// Sets a flag, in place of another value.
    #[must_use]
    pub(crate) fn with_flag(self, id: &str, words: &[&str]) -> Self {
        let mut text = self.without(&[id]);
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        text.flags.push(Flag { id: id.to_owned(), words });
        text
    }

    /// Whether a flag is given, by the name of its field.
    #[must_use]
    pub(crate) fn has(&self, id: &str) -> bool {
        self.flags.iter().any(|flag| flag.id == id)
    }
}

fn takes_next_word(arg: &Arg) -> bool {
    let can_lack_value = arg.get_num_args().is_some_and(|values| values.min_values() == 0);
    arg.get_action().takes_values() && !can_lack_value && !arg.is_require_equals_set()
}

impl fmt::Display for CommandText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROGRAM} {}", self.subcommand)?;
        if let Some(input) = &self.input {
            // Not a flag, whatever it begins with.
            let is_flag = input.starts_with('-') && input != "-";
            write!(f, " {}", quote(&if is_flag { format!("./{input}") } else { input.clone() }))?;
        }
        for word in self.flags.iter().flat_map(|flag| &flag.words) {
            // A URL may have a password.
            let is_url = word.contains("://");
            write!(f, " {}", quote(&if is_url { mask_url(word) } else { word.clone() }))?;
        }
        Ok(())
    }
}

fn quote(word: &str) -> String {
    // Only a NUL byte cannot be quoted, and no argument has one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CommandText {
        let args: Vec<OsString> =
            shlex::split(line).unwrap().into_iter().map(OsString::from).collect();
        CommandText::from_args(&args)
    }

    #[test]
    fn flags_keep_their_values_and_can_be_replaced() {
        let command = parse(
            "/usr/bin/dingmap --lang zh-CN resolve -qo out.csv -c 手机 'staff list.csv' -j4 \
             --region=HK --show-sent -e gb18030 --sandbox",
        );
        assert_eq!(
            command.to_string(),
            "dingmap resolve 'staff list.csv' --lang zh-CN -q -o out.csv -c '手机' -j 4 \
             --region HK --show-sent -e gb18030 --sandbox"
        );
        let again = command
            .without(&["output", "encoding", "quiet"])
            .with_input("out.csv")
            .with_flag("retry_failed", &["--retry-failed"]);
        assert_eq!(
            again.to_string(),
            "dingmap resolve out.csv --lang zh-CN -c '手机' -j 4 --region HK --show-sent --sandbox \
             --retry-failed"
        );
        assert!(again.has("sandbox") && !again.has("output"));
    }

    #[test]
    fn the_last_value_counts_and_a_password_is_not_shown() {
        let command = parse("dingmap resolve --max-age 2d -- -x.csv");
        assert_eq!(
            command.with_flag("max_age", &["--max-age", "1d"]).to_string(),
            "dingmap resolve ./-x.csv --max-age 1d"
        );
        let command = parse("dingmap resolve a.csv --proxy http://me:secret@host:1").to_string();
        assert!(!command.contains("secret"), "{command}");
    }
}
