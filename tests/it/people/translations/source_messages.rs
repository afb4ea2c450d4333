//! Extracts the texts of `tr!` calls from Rust sources, and finds texts that bypass `tr!`.

use std::collections::BTreeSet;

use crate::support::rust_tokens::Token;

/// A text that is shown in the language chosen.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// The file and line, or what of the help it is.
    pub(crate) location: String,
    pub(crate) context: Option<String>,
    pub(crate) singular: String,
    /// The form for every other count than one.
    pub(crate) plural: Option<String>,
    /// Whether values are filled in, so that braces mean something.
    pub(crate) has_arguments: bool,
}

/// Calls whose texts go to people as they are.
const USER_CALLS: [&str; 5] = ["say", "complain", "context", "wrong", "Failure"];
/// Macros whose texts are for developers or for programs.
const LOG_MACROS: [&str; 8] =
    ["trace", "debug", "info", "warn", "error", "assert", "debug_assert", "unreachable"];
/// Calls whose texts are for programs: `family` is a metric with what it means.
const METRIC_CALLS: [&str; 1] = ["family"];
/// Calls that look for a text in the output of another program.
const COMPARISON_CALLS: [&str; 6] =
    ["contains", "starts_with", "ends_with", "strip_prefix", "strip_suffix", "split"];

/// Texts that look like prose and are not for people.
const NOT_USER_FACING: &[&str] = &[
    // Metrics are in English in every language.
    "# HELP dingmap_{name} {help}\n# TYPE dingmap_{name} gauge",
    // The report's Content-Security-Policy and its color schemes.
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "light dark",
    // Part of an error of clap, by which it is recognized.
    " is not in ",
    // Commands that `dingmap sandbox` prints.
    "{serving}\n\n{resolve}\n  DINGTALK_APP_KEY={key} DINGTALK_APP_SECRET={secret} dingmap resolve \
     INPUT.csv --endpoint {endpoint}{ca_file}\n{by_hand}\n  curl{cacert} -d mobile=13800138000 \
     '{endpoint}/topapi/v2/user/getbymobile?access_token={token}'\n",
    "{} KiB",
    "{} MiB",
    "dingmap: {}\n",
    // Domain separators of digests.
    "dingmap shared",
    "dingmap token",
    // Names of tables in the state file.
    "dingmap meta",
    "dingmap scopes",
    "dingmap answers",
    "dingmap runs",
    "dingmap outputs",
    "dingmap resolved",
    "dingmap evidence",
];

/// How many words there are in a text, without those in its placeholders, names of flags and the
/// like.
pub(crate) fn count_words(text: &str) -> usize {
    let mut outside = String::new();
    let mut depth = 0_usize;
    for sign in text.chars() {
        match sign {
            '{' | '<' => depth += 1,
            '}' | '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(sign),
            _ => {}
        }
        if matches!(sign, '}' | '>') {
            outside.push('\u{1}');
        }
    }
    let is_word = |piece: &&str| {
        let piece = piece
            .trim_matches(|sign: char| sign.is_ascii_punctuation() && sign != '-' && sign != '_');
        let letters = piece.chars().filter(char::is_ascii_alphabetic).count();
        letters > 1
            && piece.chars().any(|sign| sign.is_ascii_lowercase())
            && letters == piece.chars().count()
    };
    outside.split(|sign: char| sign.is_whitespace() || sign == '\u{1}').filter(is_word).count()
}

/// The names of a text's placeholders; one without a name has its place.
pub(crate) fn placeholders(text: &str) -> BTreeSet<String> {
    let text = text.replace("{{", "").replace("}}", "");
    let inside =
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default().trim());
    let mut next = 0..;
    inside
        .map(
            |name| {
                if name.is_empty() { next.next().unwrap_or(0).to_string() } else { name.to_owned() }
            },
        )
        .collect()
}

/// The flags that a text names, such as `--column`.
pub(crate) fn flags_in(text: &str) -> BTreeSet<&str> {
    let is_name = |sign: char| sign.is_ascii_lowercase() || sign == '-';
    let pieces = text.split(|sign| !is_name(sign));
    pieces.filter(|piece| piece.starts_with("--") && piece.len() > 2).collect()
}

/// Where the bracket at `open` closes.
fn closing_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &*token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// The parts between the commas that stand in no bracket.
fn split_arguments(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        match &*tokens[at].text {
            "(" | "[" | "{" => at = closing_bracket(tokens, at),
            "," => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&tokens[start.min(tokens.len())..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether a macro of this name is called here.
fn is_macro_call(tokens: &[Token], at: usize, name: &str) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    text(at) == name && text(at + 1) == "!" && matches!(text(at + 2), "(" | "[" | "{")
}

/// The texts that a file tells through `tr!`; calls that are wrong in themselves are reported
/// in `found`.
pub(crate) fn tr_messages(path: &str, tokens: &[Token], found: &mut Vec<String>) -> Vec<Message> {
    let mut texts = Vec::new();
    // That file translates the texts that clap has.
    let called = |at: &usize| is_macro_call(tokens, *at, "tr") && !tokens[*at].location.is_test;
    for at in (0..tokens.len()).filter(called).filter(|_| path != "src/app/i18n/language.rs") {
        let place = format!("{path}:{}", tokens[at].location.line);
        let parts = split_arguments(&tokens[at + 3..closing_bracket(tokens, at + 2)]);
        let Some(mut text) = parts.first().and_then(|part| parse_message(part, &place)) else {
            found.push(format!("{place}: tr! has no literal text"));
            continue;
        };
        text.has_arguments = parts.len() > 1 || text.plural.is_some();
        found.extend(argument_mismatches(&text, &parts[1..]));
        texts.push(text);
    }
    texts
}

/// The text at the head of a call.
fn parse_message(tokens: &[Token], place: &str) -> Option<Message> {
    let says = |at: usize| tokens.get(at).and_then(|token| token.literal.clone());
    let signs = |at: usize, signs: &[&str]| {
        signs
            .iter()
            .enumerate()
            .all(|(ahead, sign)| tokens.get(at + ahead).is_some_and(|token| token.text == *sign))
    };
    let (context, start) = if signs(1, &["=", ">"]) { (Some(says(0)?), 3) } else { (None, 0) };
    let many = match tokens.len() - start {
        1 => None,
        _ if signs(start + 1, &["|"]) && signs(start + 3, &["%"]) => Some(says(start + 2)?),
        _ => return None,
    };
    Some(Message {
        location: place.to_owned(),
        context,
        singular: says(start)?,
        plural: many,
        has_arguments: false,
    })
}

/// Placeholders without a value and values without a placeholder, which no other check reports.
fn argument_mismatches(text: &Message, values: &[&[Token]]) -> Vec<String> {
    let place = &text.location;
    let mut given: BTreeSet<String> = text.plural.iter().map(|_| "n".to_owned()).collect();
    let mut unnamed = 0_usize;
    for value in values {
        let named = value[0].is_word()
            && (value.len() == 1
                || (value[1].text == "=" && value.get(2).is_none_or(|next| next.text != "=")));
        if named {
            given.insert(value[0].text.clone());
        } else {
            given.insert(unnamed.to_string());
            unnamed += 1;
        }
    }
    if !text.has_arguments {
        let braces = text.singular.contains(['{', '}']);
        return braces
            .then(|| format!("{place}: braces, and no value for them: {:?}", text.singular))
            .into_iter()
            .collect();
    }
    let (one, many) =
        (placeholders(&text.singular), text.plural.as_ref().map(|many| placeholders(many)));
    let mut found = Vec::new();
    for hole in one.iter().chain(many.iter().flatten()).filter(|hole| !given.contains(*hole)) {
        found.push(format!("{place}: no value for {{{hole}}} in {:?}", text.singular));
    }
    for value in given.iter().filter(|value| !many.as_ref().unwrap_or(&one).contains(*value)) {
        found.push(format!(
            "{place}: {{{value}}} is not in {:?}",
            text.plural.as_ref().unwrap_or(&text.singular)
        ));
    }
    found
}

/// Every text of a file that people may come to see and that does not go through `tr!`. `help` has
/// those that clap shows.
pub(crate) fn literals_past_tr(
    path: &str,
    tokens: &[Token],
    help: &BTreeSet<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    scan_tokens(path, tokens, false, help, &mut found);
    found
}

/// Looks through `tokens`, in which one word is enough to make a text where `actual` is set.
fn scan_tokens(
    path: &str,
    tokens: &[Token],
    actual: bool,
    help: &BTreeSet<String>,
    found: &mut Vec<String>,
) {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token.location.is_test {
            continue;
        }
        let bracket = if text(at) == "!" { at + 1 } else { at };
        if token.text == "#" && text(bracket) == "[" {
            let end = closing_bracket(tokens, bracket);
            // Comments are attributes too; of all, only those of thiserror are shown.
            if text(bracket + 1) == "error" {
                scan_tokens(path, &tokens[bracket + 2..end], true, help, found);
            }
            at = end;
        } else if is_macro_call(tokens, at - 1, "tr") {
            // The text is translated; what is filled in may hide others.
            let end = closing_bracket(tokens, at + 1);
            for value in split_arguments(&tokens[at + 2..end]).iter().skip(1) {
                scan_tokens(path, value, actual, help, found);
            }
            at = end;
        } else if LOG_MACROS.iter().any(|name| is_macro_call(tokens, at - 1, name))
            || ([&COMPARISON_CALLS[..], &METRIC_CALLS].concat().contains(&&*token.text)
                && text(at) == "(")
        {
            at = closing_bracket(tokens, bracket);
        } else if USER_CALLS.contains(&&*token.text)
            && (text(at) == "(" || (text(at), text(at + 2)) == ("::", "("))
        {
            let open = if text(at) == "(" { at } else { at + 2 };
            let end = closing_bracket(tokens, open);
            scan_tokens(path, &tokens[open + 1..end], true, help, found);
            at = end;
        } else if let Some(says) = &token.literal {
            let placed = says.contains('{') && says.contains(char::is_whitespace);
            let prose = count_words(says) > usize::from(!actual && !placed);
            let known = NOT_USER_FACING.contains(&&**says);
            let of_help = says.split("\n\n").all(|paragraph| help.contains(paragraph));
            if prose && !known && !of_help {
                found.push(format!(
                    "{path}:{}: does not go through tr!: {says:?}",
                    token.location.line
                ));
            }
        }
    }
}
