//! Warnings about flags that do nothing, or less than they say, because of other flags: whoever
//! sets one expects its effect.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command as ClapCommand};
use secrecy::{ExposeSecret, SecretString};
use tr::tr;

use crate::app::cli::args::{Command, ResolveArgs};
use crate::app::cli::paths;
use crate::app::cli::shared_args::{
    LogFormat, MessageArgs, ProgressChoice, RedisAuthArgs, StateArgs, StateCommand,
};

/// Why flags do nothing, or not all that they say.
struct Rule {
    is_broken: bool,
    /// The flags, by the names of their fields.
    inert: &'static [&'static str],
    /// The flag that takes their effect away; `None` if that is the lack of a flag.
    cause: Option<&'static str>,
    /// For people: what is so.
    reason: fn() -> String,
}

/// The warnings for the flags of `command` that were set by an argument or a variable. `definition`
/// and `matches` are its definition and its parsed arguments.
///
/// A value of the config file is a default for many runs and gives no warning. Neither does a
/// variable whose effect an argument takes away: the argument is meant for this run.
#[must_use]
pub(crate) fn warnings(
    command: &Command,
    definition: &ClapCommand,
    matches: &ArgMatches,
) -> Vec<String> {
    // `state` has its flags in a subcommand.
    let (definition, matches) = match matches.subcommand() {
        Some((name, inner)) => (definition.find_subcommand(name).unwrap_or(definition), inner),
        None => (definition, matches),
    };
    let find = |id: &str| definition.get_arguments().find(|arg| arg.get_id() == id);
    let mut warnings = Vec::new();
    let mut add = |rules: Vec<Rule>, warning: fn(&str, &str) -> String| {
        for Rule { inert, cause, reason, .. } in rules.into_iter().filter(|rule| rule.is_broken) {
            let is_overridden = cause.is_some_and(|cause| is_argument(cause, matches));
            for arg in inert.iter().filter_map(|id| find(id)) {
                if is_overridden && !is_argument(arg.get_id().as_str(), matches) {
                    continue;
                }
                if let Some(flag) = set_name(arg, matches) {
                    warnings.push(warning(&flag, &reason()));
                }
            }
        }
    };
    add(rules(command), |flag, reason| {
        tr!("warning: {flag} has no effect: {reason}", flag, reason)
    });
    add(limits(command), |flag, reason| {
        tr!("warning: {flag} has only part of its effect: {reason}", flag, reason)
    });
    warnings
}

fn is_argument(id: &str, matches: &ArgMatches) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The flag or the variable that set a value; `None` for a default.
fn set_name(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    match matches.value_source(arg.get_id().as_str())? {
        ValueSource::CommandLine => Some(format!("--{}", arg.get_long()?)),
        ValueSource::EnvVariable => Some(arg.get_env()?.to_string_lossy().into_owned()),
        _ => None,
    }
}

fn rules(command: &Command) -> Vec<Rule> {
    match command {
        Command::Resolve(args) => {
            let (shared, auth) = (args.quota.shared.as_ref(), &args.quota.auth);
            let mut rules = resolve_rules(args);
            rules.extend(state_rules(&args.state, args.sandbox));
            rules.extend(shared_rules(shared, auth));
            rules.extend(message_rules(&args.messages));
            rules
        }
        Command::Plan(args) => {
            let mut rules = state_rules(&args.state, false);
            rules.extend(message_rules(&args.messages));
            rules
        }
        Command::Diff(args) => message_rules(&args.messages),
        Command::Merge(args) => message_rules(&args.messages),
        Command::Sandbox(args) => message_rules(&args.messages),
        Command::State(command) => {
            let mut rules = message_rules(&command.file_args().messages);
            rules.extend(state_command_rules(command));
            rules
        }
        Command::Completions { .. } | Command::Man { .. } | Command::Help { .. } => Vec::new(),
    }
}

fn resolve_rules(args: &ResolveArgs) -> Vec<Rule> {
    let is_https = args.api.endpoint.trim().to_ascii_lowercase().starts_with("https:");
    let is_workbook =
        paths::output_targets(args).is_ok_and(|targets| targets.output_format.is_workbook());
    vec![
        Rule {
            is_broken: is_workbook,
            inert: &["output_encoding", "output_bom", "excel_safe"],
            cause: Some("output"),
            reason: || tr!("the output is a workbook, whose new cells are text"),
        },
        Rule {
            is_broken: args.sandbox,
            inert: &["endpoint", "app_key", "app_secret_file", "proxy", "ca_file", "insecure_http"],
            cause: Some("sandbox"),
            reason: || tr!("--sandbox uses no credentials and no network"),
        },
        Rule {
            is_broken: !args.sandbox && is_https && args.network.insecure_http,
            inert: &["insecure_http"],
            cause: Some("endpoint"),
            reason: || tr!("--endpoint is an https:// URL"),
        },
        Rule {
            is_broken: args.max_retries == 0,
            inert: &["retry_min", "retry_max"],
            cause: Some("max_retries"),
            reason: || tr!("--max-retries is 0"),
        },
        Rule {
            is_broken: args.quota.shared.is_none() && args.quota.shared_optional,
            inert: &["shared_optional"],
            cause: None,
            reason: needs_shared,
        },
    ]
}

fn needs_shared() -> String {
    tr!("it needs --shared")
}

fn shared_rules(shared: Option<&SecretString>, auth: &RedisAuthArgs) -> Vec<Rule> {
    let is_encrypted =
        |url: &SecretString| url.expose_secret().trim().to_ascii_lowercase().starts_with("rediss:");
    vec![
        Rule {
            is_broken: shared.is_none(),
            inert: &["shared_password_file", "shared_ca_file"],
            cause: None,
            reason: needs_shared,
        },
        Rule {
            is_broken: shared.is_some_and(|url| !is_encrypted(url))
                && auth.shared_ca_file.is_some(),
            inert: &["shared_ca_file"],
            cause: Some("shared"),
            reason: || tr!("the URL of --shared does not begin with rediss://"),
        },
    ]
}

fn state_command_rules(command: &StateCommand) -> Vec<Rule> {
    match command.shared_server() {
        Some((url, auth)) => shared_rules(Some(url), auth),
        // The variables are set for runs.
        None => Vec::new(),
    }
}

fn state_rules(args: &StateArgs, is_sandbox: bool) -> Vec<Rule> {
    let is_in_memory = is_in_memory(args, is_sandbox);
    let set: [(bool, &'static [&'static str]); 4] = [
        (!args.max_age.is_zero(), &["max_age"]),
        (!args.max_age_not_found.is_zero(), &["max_age_not_found"]),
        (args.restart, &["restart"]),
        (args.wait, &["wait"]),
    ];
    let mut rules: Vec<_> = set
        .into_iter()
        .map(|(is_set, inert)| Rule {
            is_broken: is_in_memory && is_set,
            inert,
            cause: Some(if args.no_state { "no_state" } else { "sandbox" }),
            reason: if args.no_state {
                || tr!("--no-state keeps no answers of earlier runs")
            } else {
                || tr!("with --sandbox, answers are kept only in a file that --state names")
            },
        })
        .collect();
    rules.push(Rule {
        is_broken: !is_in_memory && args.max_age.is_zero() && !args.max_age_not_found.is_zero(),
        inert: &["max_age_not_found"],
        cause: None,
        reason: || tr!("it needs --max-age"),
    });
    rules
}

/// The flags that another flag limits. Without them, their defaults would apply, which are lower.
fn limits(command: &Command) -> Vec<Rule> {
    let timeout = |args: &ResolveArgs| Rule {
        is_broken: args.connect_timeout > args.timeout,
        inert: &["connect_timeout"],
        cause: Some("timeout"),
        reason: || tr!("--timeout is shorter and includes connecting"),
    };
    let max_age = |args: &StateArgs, is_sandbox: bool| Rule {
        is_broken: !is_in_memory(args, is_sandbox)
            && !args.max_age.is_zero()
            && args.max_age_not_found > args.max_age,
        inert: &["max_age_not_found"],
        cause: Some("max_age"),
        reason: || tr!("--max-age is shorter and limits the age of all answers"),
    };
    match command {
        Command::Resolve(args) => vec![timeout(args), max_age(&args.state, args.sandbox)],
        Command::Plan(args) => vec![max_age(&args.state, false)],
        _ => Vec::new(),
    }
}

/// Whether the answers of the run are kept nowhere.
fn is_in_memory(args: &StateArgs, is_sandbox: bool) -> bool {
    args.no_state || (is_sandbox && args.state.is_none())
}

fn message_rules(args: &MessageArgs) -> Vec<Rule> {
    let has_log = args.verbose > 0 || args.log_file.is_some();
    let is_shown = matches!(args.progress, ProgressChoice::Bar | ProgressChoice::Line);
    let is_on_stderr = args.log_file.is_none();
    vec![
        Rule {
            is_broken: args.quiet && is_shown,
            inert: &["progress"],
            cause: Some("quiet"),
            reason: || tr!("--quiet hides all progress except --progress json"),
        },
        Rule {
            is_broken: args.quiet && args.verbose > 0 && is_on_stderr,
            inert: &["verbose"],
            cause: Some("quiet"),
            reason: || tr!("--quiet hides the log"),
        },
        Rule {
            is_broken: !has_log,
            inert: &["log_format"],
            cause: None,
            reason: || tr!("there is no log without -v or --log-file"),
        },
        Rule {
            is_broken: args.verbose > 0
                && is_on_stderr
                && args.progress == ProgressChoice::Json
                && args.log_format == LogFormat::Text,
            inert: &["log_format"],
            cause: Some("progress"),
            reason: || tr!("with --progress json, the log on standard error is JSON too"),
        },
    ]
}
