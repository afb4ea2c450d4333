//! The file that `--config` names: what it has for flags, for all commands, for one, or under a profile's name; and what it
//! may not have. Every mistake is told with its line. Leaves what the values mean to the flags, whose defaults they become,
//! so that flags and variables beat them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use toml::de::{DeTable, DeValue};
use tr::tr;

use crate::app::cli::config_value;
use crate::app::cli::origin::Origin;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_errors::to_one_line;
use crate::domain::redact::sanitize;
use crate::table::detect::suggest::suggest;

/// Flags that say what this one call is to do, and so are no defaults: those that name the file, and what `state forget`
/// is to forget.
const COMMAND_LINE_ONLY: [&str; 8] =
    ["config", "profile", "print-config", "all", "app", "older-than", "status", "number"];
/// The flag that means something else for each command that has it, so that one value for all would overwrite files.
const OUTPUT_KEY: &str = "output";
/// Keys by which people may try to keep a secret in the file, in lower case and without what parts the words.
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
/// The table that has the profiles.
const PROFILE_KEY: &str = "profile";

/// Where in the file a value stands.
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

/// What the file has for one flag.
#[derive(Clone, Debug)]
struct ConfigEntry {
    /// The flag's long name.
    long: String,
    /// The command for which it is meant, where it is for one alone.
    command: Option<String>,
    values: Vec<OsString>,
    location: Location,
}

/// What the file has for flags, where one was named.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile(Vec<ConfigEntry>);

/// A part of the file, and for whom it is.
#[derive(Clone, Copy)]
struct Section<'a> {
    profile: Option<&'a str>,
    command: Option<&'a str>,
    /// Whether it counts in this run; one that does not is checked all the same.
    is_active: bool,
}

struct ConfigParser<'a> {
    path: &'a Path,
    text: &'a str,
    base_dir: &'a Path,
    cli: &'a Command,
}

impl ConfigFile {
    /// Reads the `text` of the file at `path`, of which everything outside profiles counts, and the `profile` that is asked for. `cli` is
    /// the command line whose flags it may set.
    ///
    /// # Errors
    /// Usage (2) for a file that is no TOML, has a key that is no flag or a value that its flag does not
    /// take, or has no such profile.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        profile: Option<&str>,
        cli: &Command,
    ) -> Result<Self, Failure> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = ConfigParser { path, text, base_dir: folder, cli };
        let table = DeTable::parse(text).map_err(|error| {
            file.toml_error(error.span().map_or(0, |span| span.start), error.message())
        })?;
        let mut presets = Vec::new();
        let all = Section { profile: None, command: None, is_active: true };
        file.parse_section(table.get_ref(), all, profile, &mut presets)?;
        let known = profile_names(table.get_ref());
        match profile {
            Some(wanted) if !known.iter().any(|known| known == wanted) => {
                let (path, wanted) = (path.display(), sanitize(wanted));
                Err(Failure::with_message(
                    Exit::Usage,
                    match suggest(&wanted, known.iter().map(String::as_str)) {
                        Some(near) => tr!(
                            "--profile: {path} has no profile {wanted}; did you mean {near}?",
                            path,
                            wanted,
                            near
                        ),
                        None if known.is_empty() => tr!(
                            "--profile: {path} has no profiles; write one as [profile.{wanted}], or leave --profile out",
                            path,
                            wanted
                        ),
                        None => tr!(
                            "--profile: {path} has no profile {wanted}; it has {known}",
                            path,
                            wanted,
                            known = known.join(&tr!("list" => ", "))
                        ),
                    },
                ))
            }
            _ => Ok(Self(presets)),
        }
    }

    /// The command line with these values for its defaults.
    #[must_use]
    pub(crate) fn apply_defaults(&self, cli: Command) -> Command {
        let cli = self.apply_defaults_to(cli, None);
        cli.mut_subcommands(|command| {
            let name = command.get_name().to_owned();
            self.apply_defaults_to(command, Some(&name))
                .mut_subcommands(|below| self.apply_defaults_to(below, Some(&name)))
        })
    }

    fn apply_defaults_to(&self, command: Command, name: Option<&str>) -> Command {
        if self.0.is_empty() {
            return command;
        }
        command.mut_args(|arg| match self.entry_for(&arg, name) {
            Some(preset) => arg.default_values(preset.values.clone()),
            None => arg,
        })
    }

    /// What counts for a flag of a command: what stands under a profile before what does not, and what is for the command
    /// alone before what is for all.
    fn entry_for(&self, arg: &Arg, command: Option<&str>) -> Option<&ConfigEntry> {
        let long = arg.get_long().filter(|_| is_settable(arg))?;
        let fits = |preset: &&ConfigEntry| {
            preset.long == long
                && (preset.command.is_none() || preset.command.as_deref() == command)
        };
        self.0
            .iter()
            .filter(fits)
            .max_by_key(|preset| (preset.location.profile.is_some(), preset.command.is_some()))
    }

    /// Where the value of a flag of a command comes from, and the place in the file where it comes from there. `given` is what
    /// was parsed.
    #[must_use]
    pub(crate) fn origin(
        &self,
        arg: &Arg,
        command: Option<&str>,
        given: &ArgMatches,
    ) -> (Origin, Option<&Location>) {
        match given.value_source(arg.get_id().as_str()) {
            Some(ValueSource::CommandLine) => (Origin::CommandLine, None),
            Some(ValueSource::EnvVariable) => (Origin::EnvVariable, None),
            _ => match self.entry_for(arg, command).map(|preset| &preset.location) {
                Some(place) if place.profile.is_some() => (Origin::Profile, Some(place)),
                Some(place) => (Origin::File, Some(place)),
                None => (Origin::Default, None),
            },
        }
    }

    /// The language that the file asks for.
    #[must_use]
    pub(crate) fn language(&self) -> Option<OsString> {
        let lang = Arg::new("lang").long("lang").env("DINGMAP_LANG");
        self.entry_for(&lang, None).and_then(|preset| preset.values.first().cloned())
    }
}

/// Whether the file may have a value for this flag: as a variable may, save what is for one call.
#[must_use]
pub(crate) fn is_settable(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_long().is_some_and(|long| !COMMAND_LINE_ONLY.contains(&long))
}

/// The profiles that the file at `path` has; none where it cannot be read.
#[must_use]
pub(crate) fn read_profiles(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    DeTable::parse(&text).map(|table| profile_names(table.get_ref())).unwrap_or_default()
}

fn profile_names(table: &DeTable<'_>) -> Vec<String> {
    let named = table.get(PROFILE_KEY).and_then(|profiles| profiles.get_ref().as_table());
    named.into_iter().flat_map(DeTable::keys).map(|name| name.get_ref().to_string()).collect()
}

impl ConfigParser<'_> {
    /// A mistake at the byte `at`.
    fn error_at(&self, at: usize, what: &str) -> Failure {
        Failure::with_message(
            Exit::Usage,
            format!("{}:{}: {what}", self.path.display(), self.line_number(at)),
        )
    }

    /// What is no TOML at the byte `at`, in the words of its reader, which are English.
    fn toml_error(&self, at: usize, cause: &str) -> Failure {
        let before = self.text.get(..at).unwrap_or_default();
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        self.error_at(at, &tr!("not TOML at column {column}: {cause}", column, cause))
    }

    fn line_number(&self, at: usize) -> usize {
        1 + self.text.get(..at).unwrap_or_default().matches('\n').count()
    }

    /// Reads a part, and those within it.
    fn parse_section(
        &self,
        table: &DeTable<'_>,
        part: Section<'_>,
        wanted: Option<&str>,
        presets: &mut Vec<ConfigEntry>,
    ) -> Result<(), Failure> {
        // In the order of the file, so that the first mistake is the one that is told.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name: &str = key.get_ref();
            let at = key.span().start;
            match value.get_ref() {
                DeValue::Table(profiles)
                    if name == PROFILE_KEY && part.profile.is_none() && part.command.is_none() =>
                {
                    for (name, profile) in profiles {
                        let DeValue::Table(inner) = profile.get_ref() else {
                            let what = tr!(
                                "a profile is a table: write [profile.NAME] and its flags below"
                            );
                            return Err(self.error_at(name.span().start, &what));
                        };
                        let name = name.get_ref();
                        let counts = Some(&**name) == wanted;
                        self.parse_section(
                            inner,
                            Section { profile: Some(name), is_active: counts, ..part },
                            wanted,
                            presets,
                        )?;
                    }
                }
                _ if name == PROFILE_KEY => {
                    let what =
                        tr!("a profile is a table: write [profile.NAME] and its flags below");
                    return Err(self.error_at(at, &what));
                }
                DeValue::Table(inner)
                    if part.command.is_none() && self.cli.find_subcommand(name).is_some() =>
                {
                    self.parse_section(
                        inner,
                        Section { command: Some(name), ..part },
                        wanted,
                        presets,
                    )?;
                }
                value => {
                    let words = self.parse_values(name, at, value, part.command)?;
                    if part.is_active {
                        let place = Location {
                            file: self.path.to_owned(),
                            line: self.line_number(at),
                            profile: part.profile.map(str::to_owned),
                        };
                        let command = part.command.map(str::to_owned);
                        presets.push(ConfigEntry {
                            long: name.to_owned(),
                            command,
                            values: words,
                            location: place,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The words that a key's value stands for, when they are such that the flag takes them.
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
            return Err(self.error_at(at, &tr!("{name}: no secret belongs into this file; put it into DINGTALK_APP_SECRET, or into a file that app-secret-file names", name)));
        }
        let Some((holder, arg)) = self.find_flag(key, command) else {
            let table = value.is_table() && command.is_none();
            return Err(self.error_at(
                at,
                &if table {
                    self.unknown_table_message(&name)
                } else {
                    self.unknown_key_message(&name, command)
                },
            ));
        };
        if key == OUTPUT_KEY && command.is_none() {
            return Err(self.error_at(at, &tr!("{name}: each command writes something else; put this under [resolve] or [diff], or [profile.NAME.resolve]", name)));
        }
        let words = config_value::from_toml(arg, value, self.base_dir).map_err(|wanted| {
            self.error_at(at, &tr!("{name}: this takes {wanted}", name, wanted))
        })?;
        if config_value::is_secret(arg)
            && words.iter().any(|word| word.to_string_lossy().contains('@'))
        {
            return Err(self.error_at(
                at,
                &tr!(
                    "{name}: no password belongs into this file; put this URL into DINGMAP_PROXY",
                    name
                ),
            ));
        }
        match validate_values(holder, arg, &words) {
            Some(what) => Err(self.error_at(at, &what)),
            None => Ok(words),
        }
    }

    /// The flag of that name, and the command that has it.
    fn find_flag(&self, key: &str, command: Option<&str>) -> Option<(&Command, &Arg)> {
        self.settable_flags(command).into_iter().find(|(_, arg)| arg.get_long() == Some(key))
    }

    /// What may be set: for a command, or for all.
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
            Some(near) => tr!("there is no part {name}; did you mean {near}?", name, near),
            None => tr!(
                "there is no part {name}; parts are called after commands, as [resolve], and profiles [profile.NAME]",
                name
            ),
        }
    }

    fn unknown_key_message(&self, name: &str, command: Option<&str>) -> String {
        let longs = self.settable_flags(command).into_iter().filter_map(|(_, arg)| arg.get_long());
        match (suggest(name, longs), command) {
            (Some(near), _) => tr!("there is no flag {name}; did you mean {near}?", name, near),
            (None, Some(command)) => {
                tr!(
                    "there is no flag {name}; `dingmap {command} --help` has them all",
                    name,
                    command
                )
            }
            (None, None) => tr!(
                "there is no flag {name}; `dingmap resolve --help` has them all, and their long names are the keys here",
                name
            ),
        }
    }
}

/// What clap has against these words as values of a flag, if anything.
fn validate_values(holder: &Command, arg: &Arg, words: &[OsString]) -> Option<String> {
    if !arg.get_action().takes_values() {
        let several = words.first().and_then(|word| word.to_str()?.parse::<u8>().err());
        return several
            .filter(|_| matches!(arg.get_action(), clap::ArgAction::Count))
            .map(|error| error.to_string());
    }
    let alone = holder.clone().mut_args(|arg| arg.env(None::<&str>));
    let spelt = words.iter().map(|word| {
        let mut spelt = OsString::from(format!("--{}=", arg.get_long().unwrap_or_default()));
        spelt.push(word);
        spelt
    });
    let error = alone.try_get_matches_from(std::iter::once("dingmap".into()).chain(spelt)).err()?;
    // That nothing else was given is no fault of this value.
    matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation)
        .then(|| to_one_line(&error))
}
