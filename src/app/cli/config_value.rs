//! Converts values of the config file to argument strings for clap, and back.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction};
use secrecy::SecretString;
use toml::de::DeValue;
use tr::tr;

use crate::api::rate::Rate;
use crate::domain::percent::Percentage;
use crate::domain::shard::Shard;

/// The type of value that a flag takes in the config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Bool,
    Integer,
    Text,
    /// A path, relative to the directory of the config file.
    Path,
    /// A number or a string: `20` or `"900/m"`, `3` or `"手机号"`.
    TextOrNumber,
}

impl ValueKind {
    fn from_arg(arg: &Arg) -> Self {
        let kind = arg.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|one| kind == *one);
        match arg.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Self::Bool,
            ArgAction::Count => Self::Integer,
            _ if is(&[TypeId::of::<bool>()]) => Self::Bool,
            _ if is(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()]) => {
                Self::Integer
            }
            _ if is(&[TypeId::of::<PathBuf>()]) => Self::Path,
            _ if is(&[TypeId::of::<String>(), TypeId::of::<SecretString>()]) => Self::Text,
            _ => Self::TextOrNumber,
        }
    }

    fn expected(self) -> String {
        match self {
            Self::Bool => tr!("true or false"),
            Self::Integer => tr!("a whole number, without quotes"),
            Self::Text => tr!("a text in quotes"),
            Self::Path => tr!("a file name in quotes"),
            Self::TextOrNumber => tr!("a text in quotes, or a number"),
        }
    }
}

/// Converts a value to argument strings. Relative paths are resolved against `base_dir`.
///
/// # Errors
/// The expected type, for people.
pub(crate) fn from_toml(
    arg: &Arg,
    value: &DeValue<'_>,
    base_dir: &Path,
) -> Result<Vec<OsString>, String> {
    let kind = ValueKind::from_arg(arg);
    let scalar = |value: &DeValue<'_>| {
        from_toml_scalar(kind, value, base_dir).ok_or_else(|| kind.expected())
    };
    match value {
        DeValue::Array(all) if is_repeatable(arg) => {
            all.iter().map(|one| scalar(one.get_ref())).collect()
        }
        one => scalar(one).map(|argument| vec![argument]),
    }
}

/// Whether a flag may be given several times.
fn is_repeatable(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn from_toml_scalar(kind: ValueKind, value: &DeValue<'_>, base_dir: &Path) -> Option<OsString> {
    Some(match (kind, value) {
        (ValueKind::Bool, DeValue::Boolean(on)) => on.to_string().into(),
        (ValueKind::Path, DeValue::String(path)) if path == "-" => "-".into(),
        (ValueKind::Path, DeValue::String(path)) => base_dir.join(&**path).into(),
        (ValueKind::Text | ValueKind::TextOrNumber, DeValue::String(text)) => {
            text.to_string().into()
        }
        (ValueKind::Integer | ValueKind::TextOrNumber, DeValue::Integer(number)) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok()?.to_string().into()
        }
        (ValueKind::TextOrNumber, DeValue::Float(number)) => number.as_str().into(),
        _ => return None,
    })
}

/// Formats argument strings as a value of the config file.
#[must_use]
pub(crate) fn to_toml(arg: &Arg, arguments: &[&OsStr]) -> String {
    let kind = ValueKind::from_arg(arg);
    let format_one = |argument: &&OsStr| {
        let text = argument.to_string_lossy();
        // clap accepts leading zeros and a plus; TOML does not.
        let number = text.parse::<u64>().ok().map(|number| number.to_string());
        match (kind, number) {
            (ValueKind::Integer, Some(number)) => number,
            (ValueKind::TextOrNumber, Some(number)) if number == text => number,
            (ValueKind::Bool | ValueKind::Integer, _) => text.into_owned(),
            // A JSON string is a TOML string, except that JSON does not escape U+007F.
            _ => serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f"),
        }
    };
    let all: Vec<String> = arguments.iter().map(format_one).collect();
    if is_repeatable(arg) { format!("[{}]", all.join(", ")) } else { all.concat() }
}

/// Whether a flag takes a number, with or without a unit: no value begins with a hyphen.
#[must_use]
pub(crate) fn is_number(arg: &Arg) -> bool {
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<Duration>(),
        TypeId::of::<Rate>(),
        TypeId::of::<Percentage>(),
        TypeId::of::<Shard>(),
    ];
    let kind = arg.get_value_parser().type_id();
    arg.get_action().takes_values() && numbers.iter().any(|one| kind == *one)
}

/// Whether a flag's value may contain a secret and must not be printed.
#[must_use]
pub(crate) fn is_secret(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<SecretString>()
}

/// Whether a flag's value is a URL that may contain a password, which must not be printed.
#[must_use]
pub(crate) fn can_have_password(arg: &Arg) -> bool {
    is_secret(arg) || arg.get_id() == "endpoint"
}

/// The error if a value of the config file has a password. It does not show the value.
#[must_use]
pub(crate) fn password_error(arg: &Arg, values: &[OsString]) -> Option<String> {
    let name = arg.get_long()?;
    let any = |test: fn(&str) -> bool| values.iter().any(|value| test(&value.to_string_lossy()));
    match name {
        "proxy" if any(|url| url.contains('@')) => Some(tr!(
            "{name}: passwords are not allowed in this file; set this URL in DINGMAP_PROXY",
            name
        )),
        "shared" if any(has_password) => Some(tr!(
            "{name}: passwords are not allowed in this file; remove it from the URL, and set \
             DINGMAP_SHARED_PASSWORD, or name a file with shared-password-file",
            name
        )),
        _ => None,
    }
}

/// Whether the URL of the shared server contains a password: a colon before the last `@`, or a
/// parameter `pass`.
#[must_use]
pub(crate) fn has_password(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let user = address.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || address.contains("pass=")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use toml::de::DeTable;

    use super::*;
    use crate::app::cli::args::Cli;

    fn arg(long: &str) -> Arg {
        let cli = Cli::command();
        let resolve = cli.find_subcommand("resolve").unwrap();
        resolve.get_arguments().find(|arg| arg.get_long() == Some(long)).unwrap().clone()
    }

    #[test]
    fn config_values_convert_to_arguments_and_back() {
        for (long, value, expected) in [
            ("rate", "20", &["20"][..]),
            ("rate", "0.5", &["0.5"]),
            ("rate", "\"900/m\"", &["900/m"]),
            ("workers", "0x10", &["16"]),
            ("sandbox", "true", &["true"]),
            ("exclusive-accounts", "false", &["false"]),
            ("column", "[\"手机号\", 3]", &["手机号", "3"]),
            ("column", "\"手机号\"", &["手机号"]),
            ("output", "\"out/a.csv\"", &["/etc/dingmap/out/a.csv"]),
            ("output", "\"/srv/a.csv\"", &["/srv/a.csv"]),
            ("output", "\"-\"", &["-"]),
            ("verbose", "2", &["2"]),
            ("delimiter", "\";\"", &[";"]),
            ("delimiter", "\"\\t\"", &["\t"]),
        ] {
            let text = format!("x = {value}");
            let table = DeTable::parse(&text).unwrap();
            let value = table.get_ref().values().next().unwrap().get_ref();
            let words = from_toml(&arg(long), value, Path::new("/etc/dingmap")).unwrap();
            assert_eq!(words, expected, "{long}");
            let again = format!(
                "x = {}",
                to_toml(&arg(long), &words.iter().map(|word| &**word).collect::<Vec<_>>())
            );
            let table = DeTable::parse(&again).unwrap();
            let value = table.get_ref().values().next().unwrap().get_ref();
            assert_eq!(
                super::from_toml(&arg(long), value, Path::new("/else")).unwrap(),
                words,
                "{again}"
            );
        }
    }

    #[test]
    fn numbers_are_written_in_toml_syntax() {
        for (long, word, expected) in [
            ("workers", "016", "16"),
            ("workers", "+16", "16"),
            ("rate", "010", "\"010\""),
            ("rate", "10", "10"),
            ("rate", "0.50", "\"0.50\""),
            ("column", "007", "[\"007\"]"),
            ("column", "7", "[7]"),
        ] {
            assert_eq!(to_toml(&arg(long), &[OsStr::new(word)]), expected, "{long} {word}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_rejected() {
        for (long, value) in [
            ("sandbox", "\"true\""),
            ("sandbox", "1"),
            ("workers", "\"16\""),
            ("workers", "1.5"),
            ("workers", "[16]"),
            ("output", "7"),
            ("app-key", "123"),
            ("rate", "true"),
            ("rate", "[20]"),
            ("column", "[true]"),
            ("column", "{ a = 1 }"),
            ("timeout", "2026-01-01"),
        ] {
            let text = format!("x = {value}");
            let table = DeTable::parse(&text).unwrap();
            let value = table.get_ref().values().next().unwrap().get_ref();
            assert!(from_toml(&arg(long), value, Path::new("")).is_err(), "{long} = {value:?}");
        }
    }
}
