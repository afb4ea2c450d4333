//! What `--print-config` tells: the value of each flag and where it comes from, as a file that `--config` could name. Leaves
//! finding that out to `preset`.

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tr::tr;
use unicode_width::UnicodeWidthStr;

use crate::app::cli::config_file::{ConfigFile, Location, is_settable};
use crate::app::cli::config_value;
use crate::app::cli::origin::Origin;
use crate::domain::redact::strip_control;

/// The variables that credentials come from; what is in them is never told.
const CREDENTIAL_VARS: [&str; 3] =
    ["DINGTALK_APP_KEY", "DINGTALK_APP_SECRET", "DINGTALK_ACCESS_TOKEN"];

/// The settings of the command that was typed. `cli` is the command line, `matches` what was parsed of it, with `presets` for
/// its defaults.
#[must_use]
pub(crate) fn render_config(cli: &Command, matches: &ArgMatches, presets: &ConfigFile) -> String {
    let (mut holder, mut given, mut name) = (cli, matches, None);
    while let Some((below, inner)) = given.subcommand() {
        let Some(command) = holder.find_subcommand(below) else { break };
        name = name.or(Some(below));
        (holder, given) = (command, inner);
    }
    let lines = |holder: &Command| -> Vec<_> {
        let flags = holder.get_arguments().filter(|arg| is_settable(arg));
        flags.map(|arg| render_flag(arg, name, given, presets)).collect()
    };
    // What is for every command stands above the part of one.
    let (all, own) = (lines(cli), lines(holder));
    let width =
        all.iter().chain(&own).map(|(setting, _)| setting.width()).max().unwrap_or(0).min(48);
    let told = |lines: Vec<(String, String)>| -> String {
        let line = |(setting, origin): (String, String)| {
            let room = width.saturating_sub(setting.width());
            format!("{}{:room$}  # {}\n", strip_control(&setting), "", strip_control(&origin))
        };
        lines.into_iter().map(line).collect()
    };
    let mut text = told(all);
    if let Some(name) = name {
        // Writing to a string does not fail.
        let _ = write!(text, "[{name}]\n{}", told(own));
    }
    if holder.get_arguments().any(|arg| arg.get_id() == "app_key") {
        for name in CREDENTIAL_VARS {
            let set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let _ = writeln!(
                text,
                "# {}",
                if set { tr!("{name} is set", name) } else { tr!("{name} is not set", name) }
            );
        }
    }
    text
}

/// A flag with its value, as it would stand in a file, and where the value comes from.
fn render_flag(
    arg: &Arg,
    command: Option<&str>,
    given: &ArgMatches,
    presets: &ConfigFile,
) -> (String, String) {
    let long = arg.get_long().unwrap_or_default();
    let (origin, place) = presets.origin(arg, command, given);
    let words: Vec<&OsStr> = given.get_raw(arg.get_id().as_str()).into_iter().flatten().collect();
    let count =
        given.try_get_one::<u8>(arg.get_id().as_str()).ok().flatten().map(ToString::to_string);
    let value = match (arg.get_action(), &count) {
        // Of a flag that counts there are no words.
        (ArgAction::Count, Some(count)) => count.clone(),
        _ if words.is_empty() => return (format!("# {long} ="), tr!("not set")),
        // Who reads it back has to put the password where it belongs.
        _ if let Some(shown) = redact_password(arg, &words) => {
            return (format!("# {long} = {shown}"), describe_origin(origin, place, arg));
        }
        (ArgAction::SetTrue, _) => given.get_flag(arg.get_id().as_str()).to_string(),
        // In a variable several stand on a line each.
        (ArgAction::Append, _) if origin == Origin::EnvVariable => {
            let all = words.join(OsStr::new("\n")).to_string_lossy().into_owned();
            config_value::to_toml(arg, &all.lines().map(OsStr::new).collect::<Vec<_>>())
        }
        _ => config_value::to_toml(arg, &words),
    };
    (format!("{long} = {value}"), describe_origin(origin, place, arg))
}

/// Where a flag's value comes from, in words.
#[must_use]
pub(crate) fn describe_origin(origin: Origin, place: Option<&Location>, arg: &Arg) -> String {
    match (origin, place) {
        (_, Some(place)) => place.to_string(),
        (Origin::CommandLine, _) => tr!("command line"),
        (Origin::EnvVariable, _) => {
            let name = arg.get_env().map(OsStr::to_string_lossy).unwrap_or_default();
            tr!("variable {name}", name)
        }
        _ => tr!("default"),
    }
}

/// A URL that has a user and a password, without them and in quotes.
fn redact_password(arg: &Arg, words: &[&OsStr]) -> Option<String> {
    if !config_value::can_have_password(arg) {
        return None;
    }
    let url = words.join(OsStr::new("")).to_string_lossy().into_owned();
    let (before, host) = url.rsplit_once('@')?;
    let scheme =
        before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    Some(serde_json::Value::from(format!("{scheme}***@{host}")).to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::app::cli::args::Cli;

    #[test]
    fn a_password_is_masked() {
        let cli = Cli::command();
        let flags = cli.find_subcommand("resolve").unwrap();
        for (url, shown) in [
            ("http://u:geheim@h:1", Some(r#""http://***@h:1""#)),
            ("u:geheim@h", Some(r#""***@h""#)),
            ("http://u:ge@heim@h", Some(r#""http://***@h""#)),
            ("http://h:1", None),
        ] {
            for (flag, expected) in [("proxy", shown), ("endpoint", shown), ("output", None)] {
                let arg = flags.get_arguments().find(|arg| arg.get_id() == flag).unwrap();
                assert_eq!(redact_password(arg, &[OsStr::new(url)]).as_deref(), expected, "{flag}");
            }
        }
    }
}
