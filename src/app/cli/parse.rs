//! Parses arguments, environment and config file, and resolves conflicts between flags by
//! precedence.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};
use tr::tr;

use crate::app::cli::args::{Cli, Command, ResolveArgs};
use crate::app::cli::config_file::{ConfigFile, Origin, Precedence};
use crate::app::cli::config_value;
use crate::app::cli::help;
use crate::app::cli::inert_flags;
use crate::app::cli::input_args::ReaderArgs;
use crate::app::cli::print_config::{describe_origin, render_config};
use crate::app::cli::shared_args::{
    MessageArgs, ProgressChoice, StateArgs, StateCommand, StateForgetArgs,
};
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_errors::{add_tips, clap_error};
use crate::app::i18n::clap_help;
use crate::table::detect::columns::{ColumnChoice, PatternError};

/// The result of parsing.
pub(crate) enum Parsed {
    /// A command to run.
    Run {
        cli: Cli,
        /// Shown before the command runs.
        warnings: Vec<String>,
    },
    /// The output of `--print-config`.
    PrintConfig(String),
}

pub(crate) enum ParseError {
    /// An error of clap; `--help` and `--version` are such errors too.
    Arguments(clap::Error),
    /// An error in the config file.
    ConfigFile(Failure),
}

impl From<clap::Error> for ParseError {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

/// What arguments and environment say about the config file: needed before the real parse.
#[derive(Default)]
struct ConfigRequest {
    config: Option<PathBuf>,
    profile: Option<String>,
    should_print: bool,
    /// Whether clap stopped at an error before `--config`: the file is then read only for its
    /// language.
    is_malformed: bool,
}

impl ConfigRequest {
    fn from_args(args: &[OsString]) -> Self {
        let typed = |flag: &str| args.iter().any(|arg| arg.to_string_lossy().starts_with(flag));
        let set = |name: &str| std::env::var_os(name).is_some();
        if !["--config", "--profile", "--print-config"].into_iter().any(typed)
            && !["DINGMAP_CONFIG", "DINGMAP_PROFILE", "DINGMAP_PRINT_CONFIG"].into_iter().any(set)
        {
            return Self::default();
        }
        // Errors are reported by the real parse. With --help, there is nothing to read.
        let Ok(matches) = Cli::command().ignore_errors(true).try_get_matches_from(args) else {
            return Self::default();
        };
        // `dingmap help` works even with an invalid config file.
        let is_help = matches.subcommand_name() == Some("help");
        let mut matches = &matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        let config: Option<PathBuf> = matches.try_get_one("config").ok().flatten().cloned();
        let profile = matches.try_get_one("profile").ok().flatten().cloned();
        // clap stops at an error: flags after it have neither value nor default.
        let should_print =
            matches.try_get_one::<bool>("print_config").ok().flatten() == Some(&true);
        let unparsed =
            config.is_none().then(|| flag_or_env(args, "--config", "DINGMAP_CONFIG")).flatten();
        Self {
            is_malformed: unparsed.is_some() || is_help,
            config: config.or_else(|| unparsed.map(PathBuf::from)),
            profile: profile
                .or_else(|| flag_or_env(args, "--profile", "DINGMAP_PROFILE")?.into_string().ok()),
            should_print: should_print && !is_help,
        }
    }
}

/// The value of a flag, found without clap, or of its variable.
fn flag_or_env(args: &[OsString], flag: &str, variable: &str) -> Option<OsString> {
    let flags = args_before_double_dash(args);
    let typed = flags.iter().enumerate().rev().find_map(|(at, arg)| {
        match arg.to_str()?.strip_prefix(flag)? {
            "" => flags.get(at + 1).cloned(),
            suffix => suffix.strip_prefix('=').map(OsString::from),
        }
    });
    typed.or_else(|| std::env::var_os(variable)).filter(|value| !value.is_empty())
}

/// The arguments that may be flags: after `--`, everything is a value.
fn args_before_double_dash(args: &[OsString]) -> &[OsString] {
    args.split(|arg| arg == "--").next().unwrap_or_default()
}

/// A command line before parsing, and the text of its config file, which is read once: it may be a
/// pipe.
pub(crate) struct CommandLine<'a> {
    args: &'a [OsString],
    config_request: ConfigRequest,
    config_text: Option<io::Result<String>>,
}

impl<'a> CommandLine<'a> {
    /// Reads the config file that arguments or environment name.
    #[must_use]
    pub(crate) fn from_args(args: &'a [OsString]) -> Self {
        // Without help flags: the file's language applies to help too.
        let (flags, values) = args.split_at(args_before_double_dash(args).len());
        let without_help: Vec<_> =
            flags.iter().filter(|arg| !is_help(arg)).chain(values).cloned().collect();
        let config_request = ConfigRequest::from_args(&without_help);
        let config_text = config_request.config.as_deref().map(fs::read_to_string);
        Self { args, config_request, config_text }
    }

    /// The language that the config file sets, if the file can be read.
    #[must_use]
    pub(crate) fn language(&self) -> Option<OsString> {
        self.parse_config().ok()?.language()
    }

    /// How to show messages before the arguments are parsed, and of commands without these flags.
    #[must_use]
    pub(crate) fn early_messages(&self) -> MessageArgs {
        let from_file = || self.parse_config().ok()?.any_value("progress");
        let progress = flag_or_env(self.args, "--progress", "DINGMAP_PROGRESS").or_else(from_file);
        let is_json = progress.is_some_and(|progress| progress == "json");
        let default = MessageArgs::default();
        let progress = if is_json { ProgressChoice::Json } else { default.progress };
        MessageArgs { progress, ..default }
    }

    /// The name of the flag if it was given, else of its variable.
    fn source_name<'b>(&self, flag: &'b str, variable: &'b str) -> &'b str {
        let typed = self.args.iter().any(|arg| arg.to_string_lossy().starts_with(flag));
        if typed { flag } else { variable }
    }

    fn parse_config(&self) -> Result<ConfigFile, Failure> {
        let ConfigRequest { config, profile, .. } = &self.config_request;
        match (config, &self.config_text) {
            (Some(path), Some(Ok(text))) => {
                ConfigFile::parse(path, text, profile.as_deref(), &Cli::command())
            }
            (Some(path), Some(Err(cause))) => Err(Failure::with_message(
                Exit::Usage,
                match cause.kind() {
                    io::ErrorKind::InvalidData => tr!(
                        "{flag} {path}: the file is not UTF-8; save it as UTF-8",
                        flag = self.source_name("--config", "DINGMAP_CONFIG"),
                        path = path.display()
                    ),
                    _ => tr!(
                        "{flag} {path}: {cause}; check the path",
                        flag = self.source_name("--config", "DINGMAP_CONFIG"),
                        path = path.display(),
                        cause
                    ),
                },
            )),
            _ if profile.is_some() => Err(Failure::with_message(
                Exit::Usage,
                tr!("--profile needs a config file: pass --config, or set DINGMAP_CONFIG"),
            )),
            _ => Ok(ConfigFile::default()),
        }
    }

    /// Parses the command line, with the config file's values as defaults.
    ///
    /// # Errors
    /// Errors of clap and of the config file, and two exclusive flags of the same precedence.
    pub(crate) fn parse(&self) -> Result<Parsed, ParseError> {
        // Help works even with an invalid file, and an error in the arguments is reported first.
        let ignore_file = args_before_double_dash(self.args).iter().any(is_help)
            || self.config_request.is_malformed;
        let config = if ignore_file { Ok(ConfigFile::default()) } else { self.parse_config() };
        parse_args(
            self.args,
            self.config_request.should_print,
            &config.map_err(ParseError::ConfigFile)?,
        )
    }
}

fn is_help(arg: &OsString) -> bool {
    arg == "-h" || arg == "--help"
}

fn parse_args(
    args: &[OsString],
    should_print: bool,
    config: &ConfigFile,
) -> Result<Parsed, ParseError> {
    let mut command = config.apply_defaults(help::arrange_help(Cli::command(), args));
    if should_print {
        command = make_all_optional(command);
    }
    let matches = clap_help::localize(accept_negative_values(command))
        .try_get_matches_from(args)
        .map_err(|error| add_tips(error, &Cli::command(), args))?;
    if should_print {
        return Ok(Parsed::PrintConfig(render_config(&Cli::command(), &matches, config)));
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Parsed::Run { cli, warnings: Vec::new() });
    };
    let root = Cli::command();
    let command = root.find_subcommand(name).unwrap_or(&root);
    let to_error = |kind, text| clap_error(build_subcommand(name), kind, text);
    let source = |id: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
        let (origin, location) = config.origin(arg, Some(name), matches);
        Some((origin, describe_origin(origin, location, arg)))
    };
    let origin = |id: &str| source(id).map_or(Origin::Default, |(origin, _)| origin);
    let mut warnings = Vec::new();
    match &mut cli.command {
        Command::Plan(plan) => {
            apply_state_precedence(&mut plan.reader, &mut plan.state, matches, origin, to_error)?;
        }
        Command::Merge(merge) => {
            read_columns_from_env(&mut merge.reader.column, matches, to_error)?;
        }
        Command::State(state) => check_shared_state_args(state, matches, to_error)?,
        Command::Diff(diff) => read_columns_from_env(&mut diff.column, matches, to_error)?,
        Command::Resolve(resolve) => {
            resolve.retry_failed |= !resolve.retry.is_empty();
            let (reader, state) = (&mut resolve.reader, &mut resolve.state);
            apply_state_precedence(reader, state, matches, origin, to_error)?;
            let sandbox_requested = resolve.sandbox;
            apply_endpoint_precedence(resolve, origin, to_error)?;
            let from = |id| source(id).map(|(_, description)| description).unwrap_or_default();
            warnings.extend((sandbox_requested && !resolve.sandbox).then(|| {
                tr!(
                    "sandbox ({sandbox}) is off because of endpoint ({endpoint}): this run makes \
                     real calls",
                    sandbox = from("sandbox"),
                    endpoint = from("endpoint")
                )
            }));
        }
        _ => {}
    }
    warnings.extend(inert_flags::warnings(&cli.command, command, matches));
    Ok(Parsed::Run { cli, warnings })
}

/// Passes `-5` to the parser of the flag before it, whose error names the bounds. clap would report
/// an unknown flag `-5`.
fn accept_negative_values(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let is_number = config_value::is_number(&arg);
            arg.allow_hyphen_values(is_number)
        })
        .mut_subcommands(accept_negative_values)
}

/// Makes all arguments optional: `--print-config` needs neither an input nor anything else.
fn make_all_optional(command: clap::Command) -> clap::Command {
    let groups: Vec<_> = command.get_groups().map(|group| group.get_id().clone()).collect();
    let command = groups
        .iter()
        .fold(command, |command, group| command.mut_group(group, |group| group.required(false)));
    command
        .mut_args(|arg| if arg.is_positional() { arg.required(false) } else { arg })
        .mut_subcommands(make_all_optional)
}

/// Of the exclusive flags `sandbox` and `endpoint`, the one of higher precedence counts. Exception:
/// a variable, which may have been set for other runs, never turns a rehearsal that the config file
/// wants into a real run. Passwords in arguments are rejected: all users of the machine can read
/// them.
fn apply_endpoint_precedence(
    resolve: &mut ResolveArgs,
    origin: impl Fn(&str) -> Origin,
    to_error: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    let is_argument = |id| origin(id) == Origin::CommandLine;
    if is_argument("proxy")
        && resolve.network.proxy.as_ref().is_some_and(|proxy| proxy.expose_secret().contains('@'))
    {
        let text = tr!(
            "--proxy: every user of this machine can read a password on the command line; set this \
             URL in DINGMAP_PROXY instead"
        );
        return Err(to_error(ErrorKind::ValueValidation, text));
    }
    let shared = resolve.quota.shared.as_ref().filter(|_| is_argument("shared"));
    reject_password_in_args(shared, &to_error)?;
    if resolve.sandbox && resolve.quota.shared.is_some() {
        let shared = origin("shared");
        if shared == Origin::EnvVariable
            || origin("sandbox").compare_precedence(shared) == Precedence::First
        {
            resolve.quota.shared = None;
        } else {
            let text = tr!(
                "--sandbox and --shared exclude each other: each --sandbox run has a separate \
                 emulated API. Start one for all runs with `dingmap sandbox`, and pass its URL \
                 with --endpoint"
            );
            return Err(to_error(ErrorKind::ArgumentConflict, text));
        }
    }
    if resolve.sandbox {
        let endpoint = origin("endpoint");
        match origin("sandbox").compare_precedence(endpoint) {
            Precedence::First => {}
            Precedence::Second if endpoint == Origin::EnvVariable => {}
            Precedence::Second => resolve.sandbox = false,
            Precedence::Neither => {
                let text = tr!("--sandbox and --endpoint exclude each other: use only one of them");
                return Err(to_error(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    Ok(())
}

/// Rejects a password in the URL of `--shared` on the command line.
fn reject_password_in_args(
    url: Option<&SecretString>,
    to_error: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if url.is_some_and(|url| config_value::has_password(url.expose_secret())) {
        let text = tr!(
            "--shared: every user of this machine can read a password on the command line; remove \
             it from the URL, and use DINGMAP_SHARED_PASSWORD or --shared-password-file instead"
        );
        return Err(to_error(ErrorKind::ValueValidation, text));
    }
    Ok(())
}

/// Checks the flags of a `state` command with `--shared`. The server replaces the state file, also
/// if a variable or the config file names one.
fn check_shared_state_args(
    command: &mut StateCommand,
    matches: &ArgMatches,
    to_error: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    let Some((shared, _)) = command.shared_server() else { return Ok(()) };
    reject_password_in_args(Some(shared), &to_error)?;
    let is_argument = |id| {
        let matches = matches.subcommand().map(|(_, matches)| matches);
        matches.and_then(|matches| matches.value_source(id)) == Some(ValueSource::CommandLine)
    };
    let file_flags = [("state", "--state"), ("wait", "--wait")];
    if let Some((_, flag)) = file_flags.into_iter().find(|(id, _)| is_argument(*id)) {
        let text = tr!("--shared and {flag} exclude each other: {flag} is for a state file", flag);
        return Err(to_error(ErrorKind::ArgumentConflict, text));
    }
    if let StateCommand::Forget(StateForgetArgs { older_than, status, number, .. }) = command
        && (older_than.is_some() || status.is_some() || number.is_some())
    {
        let text = tr!(
            "--shared: answers on the server are encrypted and cannot be selected by age, status \
             or number; use only --app or --all"
        );
        return Err(to_error(ErrorKind::ArgumentConflict, text));
    }
    Ok(())
}

/// Resolves `--state` against `--no-state` by precedence, and reads the columns.
fn apply_state_precedence(
    reader: &mut ReaderArgs,
    state: &mut StateArgs,
    matches: &ArgMatches,
    origin: impl Fn(&str) -> Origin,
    to_error: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if state.state.is_some() && state.no_state {
        match origin("state").compare_precedence(origin("no_state")) {
            Precedence::First => state.no_state = false,
            Precedence::Second => state.state = None,
            Precedence::Neither => {
                let text = tr!("--state and --no-state exclude each other: use only one of them");
                return Err(to_error(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    read_columns_from_env(&mut reader.column, matches, to_error)
}

/// Reads the columns from `DINGMAP_COLUMN`, if they come from there.
fn read_columns_from_env(
    columns: &mut Vec<ColumnChoice>,
    matches: &ArgMatches,
    to_error: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if matches.value_source("column") == Some(ValueSource::EnvVariable) {
        let values = matches.get_raw("column").into_iter().flatten();
        let invalid =
            |error| to_error(ErrorKind::ValueValidation, format!("DINGMAP_COLUMN: {error}"));
        *columns = values.flat_map(parse_columns).collect::<Result<_, _>>().map_err(invalid)?;
    }
    Ok(())
}

/// Parses columns, one per line. (On the command line, a name may contain a line end.)
fn parse_columns(text: &OsStr) -> impl Iterator<Item = Result<ColumnChoice, PatternError>> {
    let text = text.to_string_lossy().into_owned();
    let lines: Vec<_> =
        text.lines().filter(|line| !line.trim().is_empty()).map(str::parse).collect();
    lines.into_iter()
}

/// A subcommand with its complete usage line.
fn build_subcommand(name: &str) -> clap::Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).cloned().unwrap_or(cli)
}
