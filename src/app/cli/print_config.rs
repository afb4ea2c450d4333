//! `--print-config`: the value and source of each flag, in the format of a config file.

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tr::tr;
use unicode_width::UnicodeWidthStr;

use crate::app::cli::config_file::{ConfigFile, Location, Origin, is_settable};
use crate::app::cli::config_value;
use crate::app::cli::env::credential_variables;
use crate::domain::redact;

/// Renders the flags of the command in `matches`, which was parsed with `config` as defaults.
#[must_use]
pub(crate) fn render_config(cli: &Command, matches: &ArgMatches, config: &ConfigFile) -> String {
    let (mut command, mut matches, mut name) = (cli, matches, None);
    while let Some((subcommand, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(subcommand) else { break };
        name = name.or(Some(subcommand));
        (command, matches) = (found, inner);
    }
    let settings = |command: &Command| -> Vec<_> {
        let flags = command.get_arguments().filter(|arg| is_settable(arg));
        flags.map(|arg| render_flag(arg, name, matches, config)).collect()
    };
    // Global flags come first, above the section of the command.
    let (global, own) = (settings(cli), settings(command));
    let width =
        global.iter().chain(&own).map(|(setting, _)| setting.width()).max().unwrap_or(0).min(48);
    let render = |settings: Vec<(String, String)>| -> String {
        let line = |(setting, origin): (String, String)| {
            let padding = width.saturating_sub(setting.width());
            format!(
                "{}{:padding$}  # {}\n",
                redact::strip_control(&setting),
                "",
                redact::strip_control(&origin)
            )
        };
        settings.into_iter().map(line).collect()
    };
    let mut text = render(global);
    if let Some(name) = name {
        // Writing to a string cannot fail.
        let _ = write!(text, "[{name}]\n{}", render(own));
    }
    if command.get_arguments().any(|arg| arg.get_id() == "app_key") {
        // Only whether they are set.
        for name in credential_variables() {
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

/// A line of the config file for a flag, and the source of its value.
fn render_flag(
    arg: &Arg,
    command: Option<&str>,
    matches: &ArgMatches,
    config: &ConfigFile,
) -> (String, String) {
    let long = arg.get_long().unwrap_or_default();
    let (origin, location) = config.origin(arg, command, matches);
    let values: Vec<&OsStr> =
        matches.get_raw(arg.get_id().as_str()).into_iter().flatten().collect();
    let count =
        matches.try_get_one::<u8>(arg.get_id().as_str()).ok().flatten().map(ToString::to_string);
    let value = match (arg.get_action(), &count) {
        // A counting flag has no raw values.
        (ArgAction::Count, Some(count)) => count.clone(),
        _ if values.is_empty() => return (format!("# {long} ="), tr!("not set")),
        // Commented out, so that the printed file cannot be read back with *** as the password.
        _ if let Some(masked) = mask_value(arg, &values) => {
            return (format!("# {long} = {masked}"), describe_origin(origin, location, arg));
        }
        (ArgAction::SetTrue, _) => matches.get_flag(arg.get_id().as_str()).to_string(),
        // A variable contains one value per line.
        (ArgAction::Append, _) if origin == Origin::EnvVariable => {
            let lines = values.join(OsStr::new("\n")).to_string_lossy().into_owned();
            config_value::to_toml(arg, &lines.lines().map(OsStr::new).collect::<Vec<_>>())
        }
        _ => config_value::to_toml(arg, &values),
    };
    (format!("{long} = {value}"), describe_origin(origin, location, arg))
}

/// The source of a flag's value, for people.
#[must_use]
pub(crate) fn describe_origin(origin: Origin, location: Option<&Location>, arg: &Arg) -> String {
    match (origin, location) {
        (_, Some(location)) => location.to_string(),
        (Origin::CommandLine, _) => tr!("command line"),
        (Origin::EnvVariable, _) => {
            let name = arg.get_env().map(OsStr::to_string_lossy).unwrap_or_default();
            tr!("variable {name}", name)
        }
        _ => tr!("default"),
    }
}

/// A value with something that must not be printed (a secret in a URL, a number in a file name),
/// masked and in quotes; `None` for other values.
fn mask_value(arg: &Arg, values: &[&OsStr]) -> Option<String> {
    let value = values.join(OsStr::new("\n")).to_string_lossy().into_owned();
    let url =
        if config_value::can_have_password(arg) { redact::mask_url(&value) } else { value.clone() };
    let masked = redact::mask_numbers(&url);
    (masked != value).then(|| serde_json::Value::from(masked).to_string())
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
            ("https://h/?access_token=geheim", Some(r#""https://h/?access_token=***""#)),
            ("unix:///s?db=1&pass=geheim", Some(r#""unix:///s?db=1&pass=***""#)),
            ("http://h:1", None),
        ] {
            for (flag, expected) in [("proxy", shown), ("endpoint", shown), ("output", None)] {
                let arg = flags.get_arguments().find(|arg| arg.get_id() == flag).unwrap();
                assert_eq!(mask_value(arg, &[OsStr::new(url)]).as_deref(), expected, "{flag}");
            }
        }
        let output = flags.get_arguments().find(|arg| arg.get_id() == "output").unwrap();
        let masked = mask_value(output, &[OsStr::new("/data/138-0013-8777.csv")]);
        assert_eq!(masked.as_deref(), Some(r#""/data/138****77.csv""#));
    }
}
