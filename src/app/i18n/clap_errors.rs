//! What clap refuses, in the language that is spoken: clap's errors say what is wrong by kind and context, and the words for them
//! are here. What it has no words for is told as clap tells it, in English. Leaves exit statuses to `start`.

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

/// A refusal in words of our own, framed as clap frames its own.
#[must_use]
pub(crate) fn clap_error(mut command: Command, kind: ErrorKind, text: String) -> Error {
    if Language::current() == Language::English {
        return command.error(kind, text);
    }
    let usage = command.render_usage();
    let mut error = Error::new(kind).with_cmd(&command);
    error.insert(ContextKind::Custom, ContextValue::String(text));
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

/// What clap refuses, with what it does not know of: that a value is one of the environment, which nobody typed, and that a flag is
/// one of another command. `args` are what was typed.
#[must_use]
pub(crate) fn add_tips(mut error: Error, cli: &Command, args: &[OsString]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let told = text(ContextKind::InvalidArg);
    let tip = match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            find_variable(cli, &told, &text(ContextKind::InvalidValue), args)
                .map(|name| tr!("this value is that of the variable {name}", name))
        }
        ErrorKind::UnknownArgument => {
            let flag = told.split('=').next().unwrap_or_default();
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

/// The variable that has this value of a flag, which clap tells as `--rate <N>`, where the flag was not typed.
fn find_variable(command: &Command, told: &str, value: &str, args: &[OsString]) -> Option<String> {
    let own = command.get_arguments().find_map(|arg| {
        let long = format!("--{}", arg.get_long()?);
        let name = arg.get_env()?.to_str()?;
        let typed = |word: &OsString| {
            let word = word.to_string_lossy();
            let short = arg.get_short().is_some_and(|short| word.starts_with(&format!("-{short}")));
            short || word == long || word.starts_with(&format!("{long}="))
        };
        let set = std::env::var_os(name)? == value;
        let this = told.split(' ').any(|word| word.trim_end_matches("...") == long);
        (this && set && !args.iter().any(typed)).then(|| name.to_owned())
    });
    own.or_else(|| {
        command.get_subcommands().find_map(|below| find_variable(below, told, value, args))
    })
}

/// The commands that have a flag of this long name.
fn commands_with_flag(command: &Command, long: &str) -> Vec<String> {
    let below = command.get_subcommands().flat_map(|below| {
        let name = below.get_name();
        let own =
            below.get_arguments().any(|arg| arg.get_long() == Some(long)).then(|| name.to_owned());
        let inner =
            commands_with_flag(below, long).into_iter().map(move |inner| format!("{name} {inner}"));
        own.into_iter().chain(inner)
    });
    below.collect()
}

/// Prints what clap says, an error or help, to where it belongs.
///
/// # Errors
/// Where that cannot be written to.
pub(crate) fn print(error: &Error) -> io::Result<()> {
    let what =
        if Language::current() == Language::English { None } else { translate_message(error) };
    let text = match what {
        Some(what) => render_error(error, &what),
        None if Language::current() == Language::English => return error.print(),
        // clap has a colon of its own behind headings.
        None => error.render().ansi().to_string().replace(":\u{1b}[0m", "：\u{1b}[0m").into(),
    };
    // Help is a message of its own, which a formatter is not asked for.
    let mut told = Error::<Preformatted>::new(error.kind()).with_cmd(&Command::new("dingmap"));
    told.insert(ContextKind::Custom, ContextValue::StyledStr(text));
    told.print()
}

/// What clap says, on one line and without usage, for who tells himself where that is.
#[must_use]
pub(crate) fn to_one_line(error: &Error) -> String {
    let own =
        if Language::current() == Language::English { None } else { translate_message(error) };
    let text = own.map_or_else(
        || {
            let whole = error.to_string();
            let whole = whole.split("\n\nUsage:").next().unwrap_or_default();
            whole
                .split("\n\nFor")
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned()
        },
        |what| std::iter::once(what).chain(tips(error)).collect::<Vec<_>>().join("; "),
    );
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shows the text that stands in the error.
struct Preformatted;

impl ErrorFormatter for Preformatted {
    fn format_error(error: &Error<Self>) -> StyledStr {
        match error.get(ContextKind::Custom) {
            Some(ContextValue::StyledStr(text)) => text.clone(),
            _ => StyledStr::new(),
        }
    }
}

/// What was refused, and what would do, what is meant perhaps, the usage, and where there is more.
fn render_error(error: &Error, what: &str) -> StyledStr {
    let styles = Styles::styled();
    let (bad, good, heading) = (styles.get_error(), styles.get_valid(), styles.get_usage());
    let mut text = format!("{bad}{}{bad:#}{}{what}", tr!("error:"), space_after(&tr!("error:")));
    let tips = tips(error);
    if !tips.is_empty() {
        text.push('\n');
    }
    for tip in tips {
        // Writing to a string does not fail.
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

/// What is wrong, for the kinds of which clap tells enough.
fn translate_message(error: &Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let list = |kind| match error.get(kind) {
        Some(ContextValue::Strings(list)) => list.clone(),
        _ => Vec::new(),
    };
    if let Some(own) = text(ContextKind::Custom) {
        return Some(own.to_owned());
    }
    let (arg, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let named = |tell: fn(String) -> String, names: Vec<String>| {
        if names.is_empty() {
            String::new()
        } else {
            "\n  ".to_owned() + &tell(names.join(&tr!("list" => ", ")))
        }
    };
    let below =
        |names: Vec<String>| names.iter().fold(String::new(), |text, name| text + "\n  " + name);
    Some(match error.kind() {
        ErrorKind::UnknownArgument => {
            let arg = arg?;
            tr!("unexpected argument '{arg}' found", arg)
        }
        ErrorKind::InvalidValue => {
            let (arg, value) = (arg?, value?);
            let what = if value.is_empty() {
                tr!("a value is required for '{arg}' but none was supplied", arg)
            } else {
                tr!("invalid value '{value}' for '{arg}'", value, arg)
            };
            what + &named(
                |names| tr!("[possible values: {names}]", names),
                list(ContextKind::ValidValue),
            )
        }
        ErrorKind::ValueValidation => {
            let (arg, value) = (arg?, value?);
            match error.source() {
                Some(cause) => {
                    tr!(
                        "invalid value '{value}' for '{arg}': {cause}",
                        value,
                        arg,
                        cause = translate_cause(&cause.to_string())
                    )
                }
                None => tr!("invalid value '{value}' for '{arg}'", value, arg),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = list(ContextKind::InvalidArg);
            if missing.is_empty() {
                return None;
            }
            tr!("the following required arguments were not provided:") + &below(missing)
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand)?;
            tr!("unrecognized subcommand '{name}'", name)
        }
        ErrorKind::MissingSubcommand => {
            let name = text(ContextKind::InvalidSubcommand)?;
            tr!("'{name}' requires a subcommand but one was not provided", name)
                + &named(
                    |names| tr!("[subcommands: {names}]", names),
                    list(ContextKind::ValidSubcommand),
                )
        }
        ErrorKind::ArgumentConflict => {
            let arg = arg?;
            match (text(ContextKind::PriorArg), list(ContextKind::PriorArg)) {
                (Some(prior), _) if prior == arg => {
                    tr!("the argument '{arg}' cannot be used multiple times", arg)
                }
                (Some(prior), _) => {
                    tr!("the argument '{arg}' cannot be used with '{prior}'", arg, prior)
                }
                (None, prior) if prior.is_empty() => return None,
                (None, prior) => {
                    tr!("the argument '{arg}' cannot be used with:", arg) + &below(prior)
                }
            }
        }
        ErrorKind::TooManyValues => {
            let (value, arg) = (value?, arg?);
            tr!("unexpected value '{value}' for '{arg}' found; no more were expected", value, arg)
        }
        ErrorKind::InvalidUtf8 => tr!("invalid UTF-8 was detected in one or more arguments"),
        _ => return None,
    })
}

/// Why a value is refused. Our own reasons are in the language already; those of numbers come from clap and from Rust.
fn translate_cause(cause: &str) -> String {
    match cause.split_once(" is not in ") {
        Some((value, range)) => tr!("{value} is not in {range}", value, range),
        None => Language::translate_clap(cause),
    }
}

/// What is meant perhaps.
fn tips(error: &Error) -> Vec<String> {
    let mut tips = Vec::new();
    let mut similar = |kind, tip: fn(String) -> String| {
        let names: &[String] = match error.get(kind) {
            Some(ContextValue::String(name)) => std::slice::from_ref(name),
            Some(ContextValue::Strings(names)) => names,
            _ => return,
        };
        let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
        tips.push(tip(names.join(&tr!("list" => ", "))));
    };
    similar(ContextKind::SuggestedSubcommand, |names| {
        tr!("a similar subcommand exists: {names}", names)
    });
    similar(ContextKind::SuggestedArg, |names| tr!("a similar argument exists: {names}", names));
    similar(ContextKind::SuggestedValue, |names| tr!("a similar value exists: {names}", names));
    if let Some(ContextValue::StyledStrs(others)) = error.get(ContextKind::Suggested) {
        tips.extend(others.iter().map(|tip| translate_tip(&tip.to_string())));
    }
    tips
}

/// A tip of clap's: what stands in its quotes differs from case to case, and the words around that are known.
fn translate_tip(tip: &str) -> String {
    if !tip.contains('\'') {
        return Language::translate_clap(tip);
    }
    let (words, names): (Vec<_>, Vec<_>) =
        tip.split('\'').enumerate().partition(|(at, _)| at % 2 == 0);
    let words: Vec<_> = words.into_iter().map(|(_, words)| words).collect();
    let told = Language::translate_clap(&words.join("'_'"));
    let mut names = names.into_iter().map(|(_, name)| name);
    told.split('_').fold(String::new(), |text, words| {
        if text.is_empty() {
            words.to_owned()
        } else {
            text + names.next().unwrap_or_default() + words
        }
    })
}
