//! Recognizes JSON, and what JavaScript and Python write in its place.

use serde::de::IgnoredAny;

use crate::table::detect::file_type::{FileType, Recognized};
use crate::table::detect::number_lines::type_or_table;

/// Recognizes JSON and lines of JSON, also as JavaScript and Python write it. A cell may begin with
/// a bracket too, but what follows it is then not the rest of a value.
pub(crate) fn recognize_json(text: &str, is_cut: bool) -> Recognized {
    // Unlike other types of values, this one has no limit of depth.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(IgnoredAny)) => {
            let (value, rest) = text.split_at(values.byte_offset());
            let continues = rest.trim_start().starts_with(['{', '[']) || rest.trim().is_empty();
            // `[13800138000]` is a number in brackets.
            let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            let is_number = inner.is_some_and(|inner| inner.trim().parse::<f64>().is_ok());
            if continues && !is_number {
                Recognized::Type(FileType::Json)
            } else {
                Recognized::Other
            }
        }
        Some(Err(error)) if error.is_eof() && is_cut => Recognized::NeedsMore,
        Some(Err(error)) if error.is_eof() => Recognized::Type(FileType::Json),
        _ if is_literal(text) => type_or_table(FileType::Json, text, is_cut),
        _ => Recognized::Other,
    }
}

/// Whether this is the literal of an object or a list in JavaScript or Python: `{mobile: '1'}`,
/// `['1', '2']`, `[('a', '1')]`, or a bracket alone on its line.
fn is_literal(text: &str) -> bool {
    let is_bracket = |c: char| matches!(c, '[' | '(' | '{');
    let first_line = text.lines().next().unwrap_or_default().trim_end();
    if !first_line.is_empty() && first_line.chars().all(is_bracket) {
        return true;
    }
    let inner = text.trim_start_matches(|c: char| matches!(c, '[' | '(') || c.is_whitespace());
    let brackets = text[..text.len() - inner.len()].trim_end();
    match inner.chars().next() {
        Some('{') => has_key(inner[1..].trim_start()),
        Some('\'') => brackets.starts_with('['),
        Some('"' | '0'..='9') => matches!(brackets, "[(" | "[["),
        _ => false,
    }
}

/// Whether the text begins with a key and a colon.
fn has_key(text: &str) -> bool {
    let after = if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        text[1..].split_once(quote).map(|(_, after)| after)
    } else {
        let after = text.trim_start_matches(|c: char| c.is_alphanumeric() || "_$-".contains(c));
        Some(after).filter(|after| after.len() < text.len())
    };
    after.is_some_and(|after| after.trim_start().starts_with(':'))
}

/// Recognizes JSON in a script: as the argument of a function, `name({…})`, which web servers send
/// to scripts, or as the value of a variable.
pub(crate) fn recognize_script(text: &str, is_cut: bool) -> Recognized {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    let mut rest = text;
    while let Some((_, after)) = rest.strip_prefix("/*").and_then(|rest| rest.split_once("*/")) {
        rest = after.trim_start();
    }
    let keyword = ["var ", "let ", "const "].iter().find_map(|word| rest.strip_prefix(word));
    let after_name = keyword.unwrap_or(rest).trim_start_matches(is_name);
    let value = match after_name.strip_prefix('(') {
        None => after_name.trim_start().strip_prefix('=').map(str::trim_start),
        argument => argument,
    };
    let Some(value) = value.filter(|value| value.starts_with(['{', '['])) else {
        return Recognized::Other;
    };
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(IgnoredAny)) => {
            let end = value.get(values.byte_offset()..).unwrap_or_default();
            if end.trim_matches(|c: char| matches!(c, ')' | ';') || c.is_whitespace()).is_empty() {
                Recognized::Type(FileType::Json)
            } else {
                Recognized::Other
            }
        }
        Some(Err(error)) if error.is_eof() && is_cut => Recognized::NeedsMore,
        Some(Err(error)) if error.is_eof() => Recognized::Type(FileType::Json),
        _ if is_literal(value) => type_or_table(FileType::Json, text, is_cut),
        _ => Recognized::Other,
    }
}
