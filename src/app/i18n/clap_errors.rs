//! Translates clap's errors, by kind and context, and adds tips that clap cannot give. Kinds
//! without a translation stay English.

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;

use clap::Command;
use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, Error, ErrorFormatter, ErrorKind};
use tr::tr;

use crate::app::i18n::clap_help::space_after;
use crate::app::i18n::language::Language;
use crate::domain::redact;

/// An error with our own message, in the layout of clap.
#[must_use]
pub(crate) fn clap_error(mut command: Command, kind: ErrorKind, text: String) -> Error {
    let usage = command.render_usage();
    let mut error = Error::new(kind).with_cmd(&command);
    error.insert(ContextKind::Custom, ContextValue::String(text));
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

/// Adds a tip if the value comes from an environment variable, or if the flag belongs to another
/// command.
#[must_use]
pub(crate) fn add_tips(mut error: Error, cli: &Command, args: &[OsString]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let arg = text(ContextKind::InvalidArg);
    let tip = match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            find_variable(cli, &arg, &text(ContextKind::InvalidValue), args)
                .map(|name| tr!("the value comes from the variable {name}", name))
        }
        ErrorKind::UnknownArgument => {
            let flag = arg.split('=').next().unwrap_or_default();
            let commands = commands_with_flag(cli, flag.strip_prefix("--").unwrap_or_default());
            (!commands.is_empty()).then(|| {
                let commands = commands.join(&tr!("list" => ", "));
                tr!("{flag} is a flag of {commands}", flag, commands)
            })
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The variable that the value of a flag comes from. `shown` is clap's text for the flag: `--rate
/// <N>`.
fn find_variable(command: &Command, shown: &str, value: &str, args: &[OsString]) -> Option<String> {
    let own = command.get_arguments().find_map(|arg| {
        let long = format!("--{}", arg.get_long()?);
        let name = arg.get_env()?.to_str()?;
        let is_this_flag = |text: &OsString| {
            let text = text.to_string_lossy();
            let is_short =
                arg.get_short().is_some_and(|short| text.starts_with(&format!("-{short}")));
            is_short || text == long || text.starts_with(&format!("{long}="))
        };
        let has_value = std::env::var_os(name)? == value;
        let is_shown = shown.split(' ').any(|word| word.trim_end_matches("...") == long);
        (is_shown && has_value && !args.iter().any(is_this_flag)).then(|| name.to_owned())
    });
    own.or_else(|| {
        command
            .get_subcommands()
            .find_map(|subcommand| find_variable(subcommand, shown, value, args))
    })
}

/// The commands that have a flag with this long name.
fn commands_with_flag(command: &Command, long: &str) -> Vec<String> {
    let commands = command.get_subcommands().flat_map(|subcommand| {
        let name = subcommand.get_name();
        let own = subcommand
            .get_arguments()
            .any(|arg| arg.get_long() == Some(long))
            .then(|| name.to_owned());
        let inner = commands_with_flag(subcommand, long)
            .into_iter()
            .map(move |inner| format!("{name} {inner}"));
        own.into_iter().chain(inner)
    });
    commands.collect()
}

/// Prints help to standard output, or an error to standard error.
pub(crate) fn print(error: &Error) -> io::Result<()> {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = match render(error) {
        _ if is_help && Language::current() == Language::English => return error.print(),
        Some(text) => text,
        // clap adds an ASCII colon to headings.
        None => error.render().ansi().to_string().replace(":\u{1b}[0m", "：\u{1b}[0m").into(),
    };
    // clap does not call a formatter for help, so the text goes into another error.
    let mut preformatted =
        Error::<Preformatted>::new(error.kind()).with_cmd(&Command::new("dingmap"));
    preformatted.insert(ContextKind::Custom, ContextValue::StyledStr(text));
    preformatted.print()
}

/// An error as it is printed, without colors.
#[must_use]
pub(crate) fn to_plain_text(error: &Error) -> String {
    render(error).unwrap_or_else(|| error.render()).to_string().trim_end().to_owned()
}

/// Renders an error without what no message may show: arguments may be numbers. `None` if its kind
/// is unknown.
fn render(error: &Error) -> Option<StyledStr> {
    translate_message(error).map(|message| render_error(error, &redact::message(&message)))
}

/// An error on one line, without usage.
#[must_use]
pub(crate) fn to_one_line(error: &Error) -> String {
    let translated = translate_message(error).filter(|_| Language::current() != Language::English);
    let text = translated.map_or_else(
        || {
            let text = to_plain_text(error);
            let text = text.split("\n\nUsage:").next().unwrap_or_default();
            let text = text.split("\n\nFor").next().unwrap_or_default();
            text.trim_start_matches("error: ").to_owned()
        },
        |message| std::iter::once(message).chain(tips(error)).collect::<Vec<_>>().join("; "),
    );
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints the custom text of an error as it is.
struct Preformatted;

impl ErrorFormatter for Preformatted {
    fn format_error(error: &Error<Self>) -> StyledStr {
        match error.get(ContextKind::Custom) {
            Some(ContextValue::StyledStr(text)) => text.clone(),
            _ => StyledStr::new(),
        }
    }
}

/// Renders an error in the layout of clap: message, tips, usage, and a hint to `--help`.
fn render_error(error: &Error, message: &str) -> StyledStr {
    let styles = Styles::styled();
    let (bad, good, heading) = (styles.get_error(), styles.get_valid(), styles.get_usage());
    let mut text = format!("{bad}{}{bad:#}{}{message}", tr!("error:"), space_after(&tr!("error:")));
    let tips = tips(error);
    if !tips.is_empty() {
        text.push('\n');
    }
    for tip in tips {
        let tip = redact::message(&tip);
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {good}{}{good:#}{}{tip}", tr!("tip:"), space_after(&tr!("tip:")));
    }
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        let usage = usage.to_string();
        let usage = usage.strip_prefix("Usage:").unwrap_or(&usage);
        let gap = space_after(&tr!("Usage:"));
        let _ = write!(text, "\n\n{heading}{}{heading:#}{gap}{}", tr!("Usage:"), usage.trim());
    }
    let more = tr!("For more information, try '{flag}'.", flag = "--help");
    let _ = write!(text, "\n\n{more}\n");
    text.into()
}

/// The text of an error's context.
fn context_text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The list of an error's context; empty without one.
fn context_list(error: &Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::Strings(list)) => list,
        _ => &[],
    }
}

/// Translates the message of an error; `None` if the kind or its context is unknown.
fn translate_message(error: &Error) -> Option<String> {
    if let Some(custom) = context_text(error, ContextKind::Custom) {
        return Some(custom.to_owned());
    }
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let arg = context_text(error, ContextKind::InvalidArg)?;
            Some(tr!("unexpected argument '{arg}' found", arg))
        }
        ErrorKind::InvalidValue => translate_invalid_value(error),
        ErrorKind::ValueValidation => translate_failed_validation(error),
        ErrorKind::MissingRequiredArgument => {
            let missing = context_list(error, ContextKind::InvalidArg);
            (!missing.is_empty()).then(|| {
                tr!("the following required arguments were not provided:") + &list_lines(missing)
            })
        }
        ErrorKind::InvalidSubcommand => {
            let name = context_text(error, ContextKind::InvalidSubcommand)?;
            Some(tr!("unrecognized subcommand '{name}'", name))
        }
        ErrorKind::MissingSubcommand => translate_missing_subcommand(error),
        ErrorKind::ArgumentConflict => translate_conflict(error),
        ErrorKind::TooManyValues => {
            let value = context_text(error, ContextKind::InvalidValue)?;
            let arg = context_text(error, ContextKind::InvalidArg)?;
            Some(tr!(
                "unexpected value '{value}' for '{arg}' found; no more were expected",
                value,
                arg
            ))
        }
        ErrorKind::InvalidUtf8 => Some(tr!("invalid UTF-8 was detected in one or more arguments")),
        _ => None,
    }
}

fn translate_invalid_value(error: &Error) -> Option<String> {
    let arg = context_text(error, ContextKind::InvalidArg)?;
    let value = context_text(error, ContextKind::InvalidValue)?;
    let message = if value.is_empty() {
        tr!("a value is required for '{arg}' but none was supplied", arg)
    } else {
        tr!("invalid value '{value}' for '{arg}'", value, arg)
    };
    let valid = context_list(error, ContextKind::ValidValue);
    Some(message + &names_line(valid, |names| tr!("[possible values: {names}]", names)))
}

fn translate_failed_validation(error: &Error) -> Option<String> {
    let arg = context_text(error, ContextKind::InvalidArg)?;
    let value = context_text(error, ContextKind::InvalidValue)?;
    Some(match error.source() {
        Some(cause) => tr!(
            "invalid value '{value}' for '{arg}': {cause}",
            value,
            arg,
            cause = translate_cause(&cause.to_string())
        ),
        None => tr!("invalid value '{value}' for '{arg}'", value, arg),
    })
}

fn translate_missing_subcommand(error: &Error) -> Option<String> {
    let name = context_text(error, ContextKind::InvalidSubcommand)?;
    let message = tr!("'{name}' requires a subcommand but one was not provided", name);
    let valid = context_list(error, ContextKind::ValidSubcommand);
    Some(message + &names_line(valid, |names| tr!("[subcommands: {names}]", names)))
}

fn translate_conflict(error: &Error) -> Option<String> {
    let arg = context_text(error, ContextKind::InvalidArg)?;
    if let Some(prior) = context_text(error, ContextKind::PriorArg) {
        return Some(if prior == arg {
            tr!("the argument '{arg}' cannot be used multiple times", arg)
        } else {
            tr!("the argument '{arg}' cannot be used with '{prior}'", arg, prior)
        });
    }
    let prior = context_list(error, ContextKind::PriorArg);
    (!prior.is_empty())
        .then(|| tr!("the argument '{arg}' cannot be used with:", arg) + &list_lines(prior))
}

/// A line with all names, in the words of `format`; empty without names.
fn names_line(names: &[String], format: fn(String) -> String) -> String {
    if names.is_empty() {
        String::new()
    } else {
        "\n  ".to_owned() + &format(names.join(&tr!("list" => ", ")))
    }
}

/// A line for each name.
fn list_lines(names: &[String]) -> String {
    names.iter().fold(String::new(), |text, name| text + "\n  " + name)
}

/// Translates the reason of an invalid value. Our own reasons are already translated; those of
/// numbers come from clap and std.
fn translate_cause(cause: &str) -> String {
    match cause.split_once(" is not in ") {
        Some((value, range)) => tr!("{value} is not in {range}", value, range),
        None => Language::translate_clap(cause),
    }
}

/// Suggestions and other tips.
fn tips(error: &Error) -> Vec<String> {
    let mut tips = Vec::new();
    let mut add_similar = |kind, tip: fn(String) -> String| {
        let names: &[String] = match error.get(kind) {
            Some(ContextValue::String(name)) => std::slice::from_ref(name),
            Some(ContextValue::Strings(names)) => names,
            _ => return,
        };
        let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
        tips.push(tip(names.join(&tr!("list" => ", "))));
    };
    add_similar(ContextKind::SuggestedSubcommand, |names| {
        tr!("a similar subcommand exists: {names}", names)
    });
    add_similar(ContextKind::SuggestedArg, |names| {
        tr!("a similar argument exists: {names}", names)
    });
    add_similar(ContextKind::SuggestedValue, |names| tr!("a similar value exists: {names}", names));
    if let Some(ContextValue::StyledStrs(tips_of_clap)) = error.get(ContextKind::Suggested) {
        tips.extend(tips_of_clap.iter().map(|tip| translate_tip(&tip.to_string())));
    }
    tips
}

/// Translates a tip of clap with the quoted parts replaced by `_`.
fn translate_tip(tip: &str) -> String {
    if !tip.contains('\'') {
        return Language::translate_clap(tip);
    }
    let (texts, names): (Vec<_>, Vec<_>) =
        tip.split('\'').enumerate().partition(|(at, _)| at % 2 == 0);
    let texts: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
    let translated = Language::translate_clap(&texts.join("'_'"));
    let mut names = names.into_iter().map(|(_, name)| name);
    translated.split('_').fold(String::new(), |tip, text| {
        if tip.is_empty() { text.to_owned() } else { tip + names.next().unwrap_or_default() + text }
    })
}
