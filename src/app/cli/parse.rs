//! From arguments to a command line: the file with defaults is found and applied, what was typed is parsed, and what excludes
//! each other is settled by where it comes from. Leaves names and defaults of flags to `cli`, `flags` and `input`.

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
use crate::app::cli::config_file::ConfigFile;
use crate::app::cli::help;
use crate::app::cli::input_args::ReaderArgs;
use crate::app::cli::origin::{Origin, Precedence};
use crate::app::cli::print_config::{describe_origin, render_config};
use crate::app::cli::shared_args::{StateArgs, StateCommand, StateForgetArgs};
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_errors::{add_tips, clap_error};
use crate::app::i18n::clap_help;
use crate::table::detect::columns::{ColumnChoice, PatternError};

/// What the arguments come to.
pub(crate) enum Parsed {
    /// A command to run.
    Run {
        /// The command.
        cli: Cli,
        /// What people are told before it runs.
        warning: Option<String>,
    },
    /// What `--print-config` asks for.
    PrintConfig(String),
}

/// Why they come to nothing.
pub(crate) enum ParseError {
    /// What clap says of them, help and version among it.
    Arguments(clap::Error),
    /// What is wrong with the file.
    ConfigFile(Failure),
}

impl From<clap::Error> for ParseError {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

/// What arguments and environment say of the file, which has to be known before everything else is parsed.
#[derive(Default)]
struct ConfigRequest {
    config: Option<PathBuf>,
    profile: Option<String>,
    should_print: bool,
    /// Whether something before it was wrong, so that the file is heard for its language alone.
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
        // Mistakes are told when all of it is parsed; where help is asked for, there is nothing to read.
        let Ok(matches) = Cli::command().ignore_errors(true).try_get_matches_from(args) else {
            return Self::default();
        };
        let mut given = &matches;
        while let Some((_, below)) = given.subcommand() {
            given = below;
        }
        let config: Option<PathBuf> = given.try_get_one("config").ok().flatten().cloned();
        let profile = given.try_get_one("profile").ok().flatten().cloned();
        // Behind a mistake nothing is read, and nothing has its default.
        let print = given.try_get_one("print_config").ok().flatten().copied().unwrap_or_default();
        let meant =
            config.is_none().then(|| flag_or_env(args, "--config", "DINGMAP_CONFIG")).flatten();
        // A page of the guide is shown whatever is in the file.
        let is_help = matches.subcommand_name() == Some("help");
        Self {
            is_malformed: meant.is_some() || is_help,
            config: config.or_else(|| meant.map(PathBuf::from)),
            profile: profile
                .or_else(|| flag_or_env(args, "--profile", "DINGMAP_PROFILE")?.into_string().ok()),
            should_print: print && !is_help,
        }
    }
}

/// What stands behind a flag, wherever it is on the line, or in its variable.
fn flag_or_env(args: &[OsString], flag: &str, variable: &str) -> Option<OsString> {
    let flags = args_before_double_dash(args);
    let typed = flags.iter().enumerate().rev().find_map(|(at, arg)| {
        match arg.to_str()?.strip_prefix(flag)? {
            "" => flags.get(at + 1).cloned(),
            rest => rest.strip_prefix('=').map(OsString::from),
        }
    });
    typed.or_else(|| std::env::var_os(variable)).filter(|value| !value.is_empty())
}

/// The words among which flags may be: behind `--` everything is a value.
fn args_before_double_dash(args: &[OsString]) -> &[OsString] {
    args.split(|arg| arg == "--").next().unwrap_or_default()
}

/// A command line before it is parsed, and the file that it names, which is read once: it may be a pipe.
pub(crate) struct CommandLine<'a> {
    args: &'a [OsString],
    config_request: ConfigRequest,
    config_text: Option<io::Result<String>>,
}

impl<'a> CommandLine<'a> {
    /// Finds the file that the arguments or the environment name, and reads it.
    #[must_use]
    pub(crate) fn from_args(args: &'a [OsString]) -> Self {
        // Help is told in the language of the file too.
        let (before, behind) = args.split_at(args_before_double_dash(args).len());
        let others: Vec<_> =
            before.iter().filter(|arg| !is_help(arg)).chain(behind).cloned().collect();
        let asked = ConfigRequest::from_args(&others);
        let text = asked.config.as_deref().map(fs::read_to_string);
        Self { args, config_request: asked, config_text: text }
    }

    /// The language that the file asks for, where there is one that can be read.
    #[must_use]
    pub(crate) fn language(&self) -> Option<OsString> {
        self.parse_config().ok()?.language()
    }

    /// What a setting was given by: its flag, or the variable.
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
                        "{flag} {path}: the file is not text in UTF-8; save it as that",
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
                tr!(
                    "--profile names a part of the file that --config names, and there is none: give --config, or set DINGMAP_CONFIG"
                ),
            )),
            _ => Ok(ConfigFile::default()),
        }
    }

    /// Parses it.
    ///
    /// # Errors
    /// What clap says; where two that exclude each other come in the same way; and what is wrong with the file.
    pub(crate) fn parse(&self) -> Result<Parsed, ParseError> {
        // Who asks for help gets it, whatever is wrong with a file; and a mistake on the line is told before one in the file.
        let unheard = args_before_double_dash(self.args).iter().any(is_help)
            || self.config_request.is_malformed;
        let presets = if unheard { Ok(ConfigFile::default()) } else { self.parse_config() };
        parse_args(
            self.args,
            self.config_request.should_print,
            &presets.map_err(ParseError::ConfigFile)?,
        )
    }
}

fn is_help(arg: &OsString) -> bool {
    arg == "-h" || arg == "--help"
}

fn parse_args(args: &[OsString], print: bool, presets: &ConfigFile) -> Result<Parsed, ParseError> {
    let mut command = presets.apply_defaults(help::arrange_help(Cli::command(), args));
    if print {
        command = make_all_optional(command);
    }
    let matches = clap_help::localize(command)
        .try_get_matches_from(args)
        .map_err(|error| add_tips(error, &Cli::command(), args))?;
    if print {
        return Ok(Parsed::PrintConfig(render_config(&Cli::command(), &matches, presets)));
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    let Some((name, given)) = matches.subcommand() else {
        return Ok(Parsed::Run { cli, warning: None });
    };
    let known = Cli::command();
    let holder = known.find_subcommand(name).unwrap_or(&known);
    let refuse = |kind, text| clap_error(build_subcommand(name), kind, text);
    let found = |id: &str| {
        let arg = holder.get_arguments().find(|arg| arg.get_id() == id)?;
        let (origin, place) = presets.origin(arg, Some(name), given);
        Some((origin, describe_origin(origin, place, arg)))
    };
    let origin = |id: &str| found(id).map_or(Origin::Default, |(origin, _)| origin);
    let mut remark = None;
    match &mut cli.command {
        Command::Plan(plan) => {
            apply_state_precedence(&mut plan.reader, &mut plan.state, given, origin, refuse)?
        }
        Command::Merge(merge) => read_columns_from_env(&mut merge.reader.column, given, refuse)?,
        Command::State(state) => check_shared_state_args(state, given, refuse)?,
        Command::Diff(diff) => read_columns_from_env(&mut diff.column, given, refuse)?,
        Command::Resolve(resolve) => {
            apply_state_precedence(&mut resolve.reader, &mut resolve.state, given, origin, refuse)?;
            let rehearses = resolve.sandbox;
            apply_endpoint_precedence(resolve, origin, refuse)?;
            let from = |id| found(id).map(|(_, source)| source).unwrap_or_default();
            remark = (rehearses && !resolve.sandbox).then(|| {
                tr!(
                    "sandbox ({sandbox}) is off because of endpoint ({endpoint}): the calls of this run are real",
                    sandbox = from("sandbox"),
                    endpoint = from("endpoint")
                )
            });
        }
        _ => {}
    }
    Ok(Parsed::Run { cli, warning: remark })
}

/// The command line for who asks what is set: that has no need of an input, nor of anything else that a command must be given.
fn make_all_optional(command: clap::Command) -> clap::Command {
    let groups: Vec<_> = command.get_groups().map(|group| group.get_id().clone()).collect();
    let command = groups
        .iter()
        .fold(command, |command, group| command.mut_group(group, |group| group.required(false)));
    command
        .mut_args(|arg| if arg.is_positional() { arg.required(false) } else { arg })
        .mut_subcommands(make_all_optional)
}

/// Of `sandbox` and `endpoint`, which exclude each other, the stronger one counts, save that a variable, which may have been
/// set for other runs, makes no real run of one for which the file wants a rehearsal. A proxy's password is refused where
/// everybody can read it.
fn apply_endpoint_precedence(
    resolve: &mut ResolveArgs,
    origin: impl Fn(&str) -> Origin,
    refuse: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    let typed = origin("proxy") == Origin::CommandLine;
    if typed
        && resolve.network.proxy.as_ref().is_some_and(|proxy| proxy.expose_secret().contains('@'))
    {
        let text = tr!(
            "--proxy: a password on a command line can be read by everybody on this machine; put this URL into DINGMAP_PROXY instead"
        );
        return Err(refuse(ErrorKind::ValueValidation, text));
    }
    let typed = origin("shared") == Origin::CommandLine;
    reject_password_in_args(resolve.quota.shared.as_ref().filter(|_| typed), &refuse)?;
    if resolve.sandbox && resolve.quota.shared.is_some() {
        let shared = origin("shared");
        if shared == Origin::EnvVariable
            || origin("sandbox").compare_precedence(shared) == Precedence::First
        {
            resolve.quota.shared = None;
        } else {
            let text = tr!(
                "--sandbox and --shared exclude each other, since a run's own emulation has a quota of its own: start one for all with `dingmap sandbox`, and name it with --endpoint"
            );
            return Err(refuse(ErrorKind::ArgumentConflict, text));
        }
    }
    if resolve.sandbox {
        let endpoint = origin("endpoint");
        match origin("sandbox").compare_precedence(endpoint) {
            Precedence::First => {}
            Precedence::Second if endpoint == Origin::EnvVariable => {}
            Precedence::Second => resolve.sandbox = false,
            Precedence::Neither => {
                let text = tr!("--sandbox and --endpoint exclude each other: give one of them");
                return Err(refuse(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    Ok(())
}

/// Sees that a server's address which was typed has no password in it.
fn reject_password_in_args(
    typed: Option<&SecretString>,
    refuse: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if typed.is_some_and(|url| has_password(url.expose_secret())) {
        let text = tr!(
            "--shared: a password on a command line can be read by everybody on this machine; put it into DINGMAP_SHARED_PASSWORD or a file for --shared-password-file, and leave it out of the URL"
        );
        return Err(refuse(ErrorKind::ValueValidation, text));
    }
    Ok(())
}

/// Settles which of a file and a server a command for what is kept is about. The server is meant where it was typed, and then
/// what a variable or the file of settings says of a state file is for other commands.
fn check_shared_state_args(
    command: &mut StateCommand,
    given: &ArgMatches,
    refuse: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    let Some((shared, _)) = command.shared_server() else { return Ok(()) };
    reject_password_in_args(Some(shared), &refuse)?;
    let typed = |id| {
        let given = given.subcommand().map(|(_, given)| given);
        given.and_then(|given| given.value_source(id)) == Some(ValueSource::CommandLine)
    };
    let file = [("state", "--state"), ("wait", "--wait")].into_iter().find(|(id, _)| typed(*id));
    if let Some((_, flag)) = file {
        let text =
            tr!("--shared and {flag} exclude each other: {flag} is about a state file", flag);
        return Err(refuse(ErrorKind::ArgumentConflict, text));
    }
    if let StateCommand::Forget(StateForgetArgs { older_than, status, number, .. }) = command
        && (older_than.is_some() || status.is_some() || number.is_some())
    {
        let text = tr!(
            "--shared: nobody can tell there how old an answer is, what it says or whose it is, since all of it is encrypted; give --app or --all alone"
        );
        return Err(refuse(ErrorKind::ArgumentConflict, text));
    }
    Ok(())
}

/// Whether a URL has a password in it: a colon before the last `@`, or a part of that name.
fn has_password(url: &str) -> bool {
    let inner = url.split_once("://").map_or(url, |(_, rest)| rest);
    inner.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || inner.contains("pass=")
}

/// Settles what depends on where a value comes from, for the commands that read an input and know a state.
fn apply_state_precedence(
    reading: &mut ReaderArgs,
    keep: &mut StateArgs,
    given: &ArgMatches,
    origin: impl Fn(&str) -> Origin,
    refuse: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if keep.state.is_some() && keep.no_state {
        match origin("state").compare_precedence(origin("no_state")) {
            Precedence::First => keep.no_state = false,
            Precedence::Second => keep.state = None,
            Precedence::Neither => {
                let text = tr!("--state and --no-state exclude each other: give one of them");
                return Err(refuse(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    read_columns_from_env(&mut reading.column, given, refuse)
}

/// Reads the columns that stand in a variable, a line each.
fn read_columns_from_env(
    chosen: &mut Vec<ColumnChoice>,
    given: &ArgMatches,
    refuse: impl Fn(ErrorKind, String) -> clap::Error,
) -> Result<(), clap::Error> {
    if given.value_source("column") == Some(ValueSource::EnvVariable) {
        let lines = given.get_raw("column").into_iter().flatten();
        let wrong = |error| refuse(ErrorKind::ValueValidation, format!("DINGMAP_COLUMN: {error}"));
        *chosen = lines.flat_map(parse_columns).collect::<Result<_, _>>().map_err(wrong)?;
    }
    Ok(())
}

/// The columns that a variable names, one on each line; on the command line a name may have a line end in it.
fn parse_columns(text: &OsStr) -> impl Iterator<Item = Result<ColumnChoice, PatternError>> {
    let text = text.to_string_lossy().into_owned();
    let lines: Vec<_> =
        text.lines().filter(|line| !line.trim().is_empty()).map(str::parse).collect();
    lines.into_iter()
}

/// A command as it is typed, for its usage.
fn build_subcommand(name: &str) -> clap::Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).cloned().unwrap_or(cli)
}
