//! The config file: defaults of flags, for all commands, for one command, or in profiles. Errors
//! name the file and the line.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::de::{DeTable, DeValue};
use tr::tr;

use crate::app::cli::config_value;
use crate::app::cli::whole_number;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_errors::to_one_line;
use crate::domain::redact::sanitize;
use crate::table::detect::suggest::suggest;

/// Flags that cannot have a default: those that select the file or print it, and the conditions of
/// `state forget`.
const COMMAND_LINE_ONLY: [&str; 8] =
    ["config", "profile", "print-config", "all", "app", "older-than", "status", "number"];
/// Only allowed for one command: one value for all commands would overwrite files.
const OUTPUT_KEY: &str = "output";
/// Keys that look like a secret, in lower case and without separators.
const SECRET_KEYS: [&str; 8] = [
    "appsecret",
    "secret",
    "clientsecret",
    "token",
    "accesstoken",
    "dingtalkappsecret",
    "dingtalkaccesstoken",
    "password",
];
/// The table of profiles.
const PROFILE_KEY: &str = "profile";

/// Where the value of a flag comes from, in order of increasing precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Default,
    /// The config file, outside profiles.
    File,
    /// The selected profile of the config file.
    Profile,
    EnvVariable,
    CommandLine,
}

/// Which of two exclusive flags counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precedence {
    First,
    Second,
    /// Both have the same precedence: an error.
    Neither,
}

impl Origin {
    /// Compares a flag from `self` (first) with one from `other` (second).
    #[must_use]
    pub(crate) fn compare_precedence(self, other: Self) -> Precedence {
        match self.cmp(&other) {
            Ordering::Greater => Precedence::First,
            Ordering::Less => Precedence::Second,
            Ordering::Equal => Precedence::Neither,
        }
    }
}

/// The location of a value in the config file.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    file: PathBuf,
    line: usize,
    profile: Option<String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)?;
        let profile = self.profile.as_ref();
        profile.map_or(Ok(()), |profile| {
            f.write_str(&tr!(", profile {profile}", profile = sanitize(profile)))
        })
    }
}

/// The value of one flag.
#[derive(Clone, Debug)]
struct ConfigEntry {
    /// The long name of the flag.
    long: String,
    /// The command that the entry is for; `None` for all.
    command: Option<String>,
    values: Vec<OsString>,
    location: Location,
}

/// The entries of the config file that apply to this run; empty without a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile(Vec<ConfigEntry>);

/// A section of the file.
#[derive(Clone, Copy)]
struct Section<'a> {
    profile: Option<&'a str>,
    command: Option<&'a str>,
    /// Whether the section applies to this run. Other profiles are only validated.
    is_active: bool,
}

struct ConfigParser<'a> {
    path: &'a Path,
    text: &'a str,
    base_dir: &'a Path,
    cli: &'a Command,
}

impl ConfigFile {
    /// Parses the `text` of the file at `path`: everything outside profiles, and the selected
    /// `profile`.
    ///
    /// # Errors
    /// 2 for invalid TOML, an unknown key, an invalid value or an unknown profile.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        profile: Option<&str>,
        cli: &Command,
    ) -> Result<Self, Failure> {
        let base_dir = path.parent().unwrap_or(Path::new(""));
        let parser = ConfigParser { path, text, base_dir, cli };
        let table = DeTable::parse(text).map_err(|error| {
            parser.toml_error(error.span().map_or(0, |span| span.start), error.message())
        })?;
        let mut entries = Vec::new();
        let top_level = Section { profile: None, command: None, is_active: true };
        parser.parse_section(table.get_ref(), top_level, profile, &mut entries)?;
        let known = profile_names(table.get_ref());
        match profile {
            Some(wanted) if !known.iter().any(|known| known == wanted) => {
                let (path, wanted) = (path.display(), sanitize(wanted));
                Err(Failure::with_message(
                    Exit::Usage,
                    match suggest(&wanted, known.iter().map(String::as_str)) {
                        Some(near) => tr!(
                            "--profile: {path} has no profile '{wanted}'; did you mean '{near}'?",
                            path,
                            wanted,
                            near
                        ),
                        None if known.is_empty() => tr!(
                            "--profile: {path} has no profiles; add [profile.{wanted}], or remove \
                             --profile",
                            path,
                            wanted
                        ),
                        None => tr!(
                            "--profile: {path} has no profile '{wanted}'; it has {known}",
                            path,
                            wanted,
                            known = known.join(&tr!("list" => ", "))
                        ),
                    },
                ))
            }
            _ => Ok(Self(entries)),
        }
    }

    /// Makes these values the defaults of the flags.
    #[must_use]
    pub(crate) fn apply_defaults(&self, cli: Command) -> Command {
        let cli = self.apply_defaults_to(cli, None);
        cli.mut_subcommands(|command| {
            let name = command.get_name().to_owned();
            self.apply_defaults_to(command, Some(&name))
                .mut_subcommands(|subcommand| self.apply_defaults_to(subcommand, Some(&name)))
        })
    }

    fn apply_defaults_to(&self, command: Command, name: Option<&str>) -> Command {
        if self.0.is_empty() {
            return command;
        }
        command.mut_args(|arg| match self.entry_for(&arg, name) {
            Some(entry) => arg.default_values(entry.values.clone()),
            None => arg,
        })
    }

    /// The entry for a flag of a command. An entry of a profile overrides one outside, and an entry
    /// for the command overrides one for all commands.
    fn entry_for(&self, arg: &Arg, command: Option<&str>) -> Option<&ConfigEntry> {
        let long = arg.get_long().filter(|_| is_settable(arg))?;
        let applies = |entry: &&ConfigEntry| {
            entry.long == long && (entry.command.is_none() || entry.command.as_deref() == command)
        };
        self.0
            .iter()
            .filter(applies)
            .max_by_key(|entry| (entry.location.profile.is_some(), entry.command.is_some()))
    }

    /// The origin of a flag's value, with the location in the file if it comes from there.
    #[must_use]
    pub(crate) fn origin(
        &self,
        arg: &Arg,
        command: Option<&str>,
        matches: &ArgMatches,
    ) -> (Origin, Option<&Location>) {
        match matches.value_source(arg.get_id().as_str()) {
            Some(ValueSource::CommandLine) => (Origin::CommandLine, None),
            Some(ValueSource::EnvVariable) => (Origin::EnvVariable, None),
            _ => match self.entry_for(arg, command).map(|entry| &entry.location) {
                Some(location) if location.profile.is_some() => (Origin::Profile, Some(location)),
                Some(location) => (Origin::File, Some(location)),
                None => (Origin::Default, None),
            },
        }
    }

    /// The value of a key, for whatever command it is.
    #[must_use]
    pub(crate) fn any_value(&self, long: &str) -> Option<OsString> {
        self.0.iter().find(|entry| entry.long == long)?.values.first().cloned()
    }

    /// The language that the file sets.
    #[must_use]
    pub(crate) fn language(&self) -> Option<OsString> {
        let lang = Arg::new("lang").long("lang").env("DINGMAP_LANG");
        self.entry_for(&lang, None).and_then(|entry| entry.values.first().cloned())
    }
}

/// Whether the file may set this flag: all flags with a variable, except those for one call.
#[must_use]
pub(crate) fn is_settable(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_long().is_some_and(|long| !COMMAND_LINE_ONLY.contains(&long))
}

/// The names of the profiles in a file, for shell completion; empty if it cannot be read.
#[must_use]
pub(crate) fn read_profiles(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    DeTable::parse(&text).map(|table| profile_names(table.get_ref())).unwrap_or_default()
}

fn profile_names(table: &DeTable<'_>) -> Vec<String> {
    let profiles = table.get(PROFILE_KEY).and_then(|profiles| profiles.get_ref().as_table());
    profiles.into_iter().flat_map(DeTable::keys).map(|name| name.get_ref().to_string()).collect()
}

impl ConfigParser<'_> {
    /// An error at the byte offset `at`.
    fn error_at(&self, at: usize, message: &str) -> Failure {
        Failure::with_message(
            Exit::Usage,
            format!("{}:{}: {message}", self.path.display(), self.line_number(at)),
        )
    }

    /// A syntax error at the byte offset `at`. The message of the parser is English.
    fn toml_error(&self, at: usize, cause: &str) -> Failure {
        let before = self.text_before(at);
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        self.error_at(at, &tr!("invalid TOML at column {column}: {cause}", column, cause))
    }

    fn line_number(&self, at: usize) -> usize {
        1 + self.text_before(at).matches('\n').count()
    }

    /// The text before the byte offset `at`, which the TOML parser sets at a character boundary.
    fn text_before(&self, at: usize) -> &str {
        &self.text[..at]
    }

    /// Parses a section and the sections in it.
    fn parse_section(
        &self,
        table: &DeTable<'_>,
        section: Section<'_>,
        selected: Option<&str>,
        entries: &mut Vec<ConfigEntry>,
    ) -> Result<(), Failure> {
        // In file order, so that the first error is reported.
        let mut items: Vec<_> = table.iter().collect();
        items.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in items {
            let name: &str = key.get_ref();
            let at = key.span().start;
            match value.get_ref() {
                DeValue::Table(profiles)
                    if name == PROFILE_KEY
                        && section.profile.is_none()
                        && section.command.is_none() =>
                {
                    self.parse_profiles(profiles, section, selected, entries)?;
                }
                _ if name == PROFILE_KEY => return Err(self.malformed_profile(at)),
                DeValue::Table(inner)
                    if section.command.is_none() && self.cli.find_subcommand(name).is_some() =>
                {
                    let section = Section { command: Some(name), ..section };
                    self.parse_section(inner, section, selected, entries)?;
                }
                value => {
                    let values = self.parse_values(name, at, value, section.command)?;
                    if section.is_active {
                        entries.push(self.new_entry(name, at, values, section));
                    }
                }
            }
        }
        Ok(())
    }

    /// Parses the sections of all profiles.
    fn parse_profiles(
        &self,
        profiles: &DeTable<'_>,
        section: Section<'_>,
        selected: Option<&str>,
        entries: &mut Vec<ConfigEntry>,
    ) -> Result<(), Failure> {
        for (name, profile) in profiles {
            let DeValue::Table(inner) = profile.get_ref() else {
                return Err(self.malformed_profile(name.span().start));
            };
            let name: &str = name.get_ref();
            let is_active = Some(name) == selected;
            let section = Section { profile: Some(name), is_active, ..section };
            self.parse_section(inner, section, selected, entries)?;
        }
        Ok(())
    }

    fn malformed_profile(&self, at: usize) -> Failure {
        self.error_at(
            at,
            &tr!("a profile must be a table: write [profile.NAME] and its flags below"),
        )
    }

    fn new_entry(
        &self,
        long: &str,
        at: usize,
        values: Vec<OsString>,
        section: Section<'_>,
    ) -> ConfigEntry {
        let location = Location {
            file: self.path.to_owned(),
            line: self.line_number(at),
            profile: section.profile.map(str::to_owned),
        };
        let command = section.command.map(str::to_owned);
        ConfigEntry { long: long.to_owned(), command, values, location }
    }

    /// Converts a value to arguments, and validates them as values of the flag.
    fn parse_values(
        &self,
        key: &str,
        at: usize,
        value: &DeValue<'_>,
        command: Option<&str>,
    ) -> Result<Vec<OsString>, Failure> {
        let name = sanitize(key);
        let folded: String =
            key.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).collect();
        if SECRET_KEYS.contains(&&*folded) {
            return Err(self.error_at(
                at,
                &tr!(
                    "{name}: secrets are not allowed in this file; set DINGTALK_APP_SECRET, or \
                     name a file with app-secret-file",
                    name
                ),
            ));
        }
        let Some((holder, arg)) = self.find_flag(key, command) else {
            let is_table = value.is_table() && command.is_none();
            return Err(self.error_at(
                at,
                &if is_table {
                    self.unknown_table_message(&name)
                } else {
                    self.unknown_key_message(&name, command)
                },
            ));
        };
        if key == OUTPUT_KEY && command.is_none() {
            return Err(self.error_at(
                at,
                &tr!(
                    "{name}: each command has its own output; put this key under [resolve], \
                     [diff] or [profile.NAME.resolve]",
                    name
                ),
            ));
        }
        let values = config_value::from_toml(arg, value, self.base_dir).map_err(|expected| {
            self.error_at(at, &tr!("{name}: expected {expected}", name, expected))
        })?;
        if let Some(message) = config_value::password_error(arg, &values) {
            return Err(self.error_at(at, &message));
        }
        match validate_values(holder, arg, &values) {
            Some(message) => Err(self.error_at(at, &message)),
            None => Ok(values),
        }
    }

    /// The flag with this long name, and the command that has it.
    fn find_flag(&self, key: &str, command: Option<&str>) -> Option<(&Command, &Arg)> {
        self.settable_flags(command).into_iter().find(|(_, arg)| arg.get_long() == Some(key))
    }

    /// The flags that the file may set, for one command or for all.
    fn settable_flags(&self, command: Option<&str>) -> Vec<(&Command, &Arg)> {
        let mut all = Vec::new();
        let mut add = |holder| {
            let flags = Command::get_arguments(holder);
            all.extend(flags.filter(|arg| is_settable(arg)).map(|arg| (holder, arg)));
        };
        if command.is_none() {
            add(self.cli);
        }
        for holder in self
            .cli
            .get_subcommands()
            .filter(|one| command.is_none_or(|name| one.get_name() == name))
        {
            add(holder);
            holder.get_subcommands().for_each(&mut add);
        }
        all
    }

    fn unknown_table_message(&self, name: &str) -> String {
        let names: Vec<_> =
            self.cli.get_subcommands().map(Command::get_name).chain([PROFILE_KEY]).collect();
        match suggest(name, names) {
            Some(near) => tr!("unknown section '{name}'; did you mean '{near}'?", name, near),
            None => tr!(
                "unknown section '{name}'; a section is a command, such as [resolve], or \
                 [profile.NAME]",
                name
            ),
        }
    }

    fn unknown_key_message(&self, name: &str, command: Option<&str>) -> String {
        let longs = self.settable_flags(command).into_iter().filter_map(|(_, arg)| arg.get_long());
        match (suggest(name, longs), command) {
            (Some(near), _) => tr!("unknown key '{name}'; did you mean '{near}'?", name, near),
            (None, Some(command)) => {
                tr!("unknown key '{name}'; see `dingmap {command} --help`", name, command)
            }
            (None, None) => tr!(
                "unknown key '{name}'; see `dingmap resolve --help`: keys are the long names of \
                 flags",
                name
            ),
        }
    }
}

/// The error of clap for these values of a flag, if any.
fn validate_values(holder: &Command, arg: &Arg, values: &[OsString]) -> Option<String> {
    if !arg.get_action().takes_values() {
        let count = values.first().filter(|_| matches!(arg.get_action(), ArgAction::Count))?;
        let error = whole_number::parse::<u8>(count.to_str()?, 0..=u8::MAX.into()).err()?;
        return Some(format!("{}: {error}", arg.get_long()?));
    }
    let command = holder.clone().mut_args(|arg| arg.env(None::<&str>));
    let long = arg.get_long()?;
    let flags = values.iter().map(|value| {
        let mut flag = OsString::from(format!("--{long}="));
        flag.push(value);
        flag
    });
    let error =
        command.try_get_matches_from(std::iter::once("dingmap".into()).chain(flags)).err()?;
    // Other errors, such as missing arguments, are not about this value.
    matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation)
        .then(|| to_one_line(&error))
}
