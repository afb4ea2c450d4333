//! Translates clap's help. clap has no translations and wraps only at spaces: this translates and
//! wraps all texts of a `Command`, including what clap adds (variables, defaults, possible values).

use std::collections::HashMap;
use std::fmt::Write as _;

use clap::builder::{PossibleValue, Resettable, StyledStr};
use clap::{Arg, Command};
use tr::tr;
use unicode_linebreak::{BreakOpportunity, linebreaks};
use unicode_width::UnicodeWidthStr;

use crate::app::i18n::language::Language;

/// The maximum width of help in columns.
const MAX_WIDTH: usize = 110;
/// The width without a terminal, in columns.
const DEFAULT_WIDTH: usize = 100;
/// The columns that clap reserves for a short flag before a long one.
const SHORT_FLAG_WIDTH: usize = 4;
/// The columns that clap adds on both sides of a flag.
const FLAG_PADDING: usize = 4;
/// The indent of long help in columns.
const LONG_HELP_INDENT: usize = 10;

/// Translates the help for the width of the terminal.
#[must_use]
pub(crate) fn localize(command: Command) -> Command {
    localize_to_width(command, terminal_width().min(MAX_WIDTH))
}

/// The width of the terminal in columns, else of `COLUMNS`, else the default.
#[must_use]
pub(crate) fn terminal_width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| width.0.into());
    // Like clap.
    let columns = terminal.or_else(|| std::env::var("COLUMNS").ok()?.parse().ok());
    columns.unwrap_or(DEFAULT_WIDTH)
}

/// Translates the help for lines of at most `width` columns.
#[must_use]
pub(crate) fn localize_to_width(mut command: Command, width: usize) -> Command {
    if Language::current() == Language::English {
        return command;
    }
    // Adds --help and the like.
    command.build();
    localize_command(command, width)
}

fn localize_command(command: Command, width: usize) -> Command {
    let heading = command.get_styles().get_usage();
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n\
         {heading}{}{heading:#}{}{{usage}}\n\n\
         {{all-args}}{{after-help}}",
        tr!("Usage:"),
        space_after(&tr!("Usage:"))
    );
    // clap puts short help in a column next to the longest flag under the same heading.
    let mut help_columns = HashMap::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_short_help_set()) {
        let flag = arg.to_string().width() + if arg.is_positional() { 0 } else { SHORT_FLAG_WIDTH };
        let column = help_columns.entry(help_heading(arg)).or_insert(0);
        *column = (flag + FLAG_PADDING).max(*column);
    }
    let text = |english: Option<&StyledStr>| {
        to_resettable(english.map(|text| wrap(&translate(text), width)))
    };
    let (about, long_about) = (text(command.get_about()), text(command.get_long_about()));
    let (after, long_after) = (text(command.get_after_help()), text(command.get_after_long_help()));
    command
        .help_template(template)
        .subcommand_help_heading(tr!("Commands"))
        .about(about)
        .long_about(long_about)
        .after_help(after)
        .after_long_help(long_after)
        .term_width(width)
        .mut_args(|arg| {
            // Flags without short help have no column.
            let column = help_columns.get(&help_heading(&arg)).map_or(0, |column| *column);
            localize_arg(arg, width.saturating_sub(column), width.saturating_sub(LONG_HELP_INDENT))
        })
        .mut_subcommands(|command| localize_command(command, width))
}

/// The translated heading of an argument.
fn help_heading(arg: &Arg) -> String {
    arg.get_help_heading().map_or_else(
        || if arg.is_positional() { tr!("Arguments") } else { tr!("Options") },
        Language::translate_help,
    )
}

/// Translates an argument; the widths are in columns.
fn localize_arg(arg: Arg, short_width: usize, long_width: usize) -> Arg {
    let heading = help_heading(&arg);
    let short = arg.get_help().map(translate).unwrap_or_default();
    let long = arg.get_long_help().map_or_else(|| short.clone(), translate);
    let SpecValues { possible_values, possible_values_help, env_and_default } =
        SpecValues::from_arg(&arg);
    let specs: Vec<_> = env_and_default.iter().chain(&possible_values).cloned().collect();
    let short = [short, specs.join(" ")];
    let specs = if possible_values_help.is_empty() { specs } else { env_and_default };
    let long = [long, possible_values_help, specs.join("\n")];
    let join = |texts: &[String], separator: &str| {
        texts.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(separator)
    };
    // Under a custom heading, clap sorts positional arguments by name.
    let index = arg.get_index();
    let arg = match index {
        Some(index) => arg.display_order(index),
        None => arg,
    };
    arg.help_heading(heading)
        .help(wrap(&join(&short, " "), short_width))
        .long_help(wrap(&join(&long, "\n\n"), long_width))
        .hide_env(true)
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// What clap would append to a flag's help.
struct SpecValues {
    /// The names of the possible values.
    possible_values: Option<String>,
    /// The possible values with their help, one per line; empty if none has help.
    possible_values_help: String,
    env_and_default: Vec<String>,
}

impl SpecValues {
    fn from_arg(arg: &Arg) -> Self {
        let mut specs = Self {
            possible_values: None,
            possible_values_help: String::new(),
            env_and_default: Vec::new(),
        };
        if let Some(name) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
            specs.env_and_default.push(tr!("[env: {name}]", name = name.display()));
        }
        let takes_values = arg.get_action().takes_values();
        if takes_values && !arg.is_hide_default_value_set() && !arg.get_default_values().is_empty()
        {
            let values: Vec<_> =
                arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            specs.env_and_default.push(tr!("[default: {values}]", values = values.join(" ")));
        }
        let mut possible = arg.get_possible_values();
        possible.retain(|value| {
            takes_values && !value.is_hide_set() && !arg.is_hide_possible_values_set()
        });
        if possible.is_empty() {
            return specs;
        }
        let names: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
        specs.possible_values =
            Some(tr!("[possible values: {names}]", names = names.join(&tr!("list" => ", "))));
        if possible.iter().any(|value| value.get_help().is_some()) {
            specs.possible_values_help = tr!("Possible values:");
            for value in &possible {
                let help = value.get_help().map(translate).unwrap_or_default();
                // Writing to a string cannot fail.
                let _ = write!(specs.possible_values_help, "\n- {}: {help}", value.get_name());
            }
        }
        specs
    }
}

/// The separator after a label: a full-width colon needs no space.
#[must_use]
pub(crate) fn space_after(label: &str) -> &'static str {
    if label.is_ascii() { " " } else { "" }
}

fn translate(english: &StyledStr) -> String {
    Language::translate_help(&english.to_string())
}

fn to_resettable(text: Option<String>) -> Resettable<StyledStr> {
    text.map(StyledStr::from).into()
}

/// Wraps a text to at most `width` columns (UAX 14). clap breaks only at spaces, which Chinese
/// lacks.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let (mut wrapped, mut line, mut start) = (String::new(), String::new(), 0);
    // ASCII between spaces is a value, a flag or a path: do not break it.
    let is_inside_word = |at: usize| {
        let after_ascii = text[..at].ends_with(|c: char| c.is_ascii_graphic());
        after_ascii && text[at..].starts_with(|c: char| c.is_ascii_graphic())
    };
    for (end, opportunity) in linebreaks(text).filter(|(at, _)| !is_inside_word(*at)) {
        let piece = &text[start..end];
        start = end;
        if (line.clone() + piece).trim_end().width() > width {
            wrapped.push_str(line.trim_end());
            wrapped.push('\n');
            line.clear();
        }
        line.push_str(piece);
        if opportunity == BreakOpportunity::Mandatory {
            wrapped.push_str(&line);
            line.clear();
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_chinese_lines_fit_and_lose_no_text() {
        let text = "手机号所在的列 [默认：自动识别]\n\n\
                    用表头、从 1 开始的位置，或只匹配一个表头的正则表达式指定；见 --skip-lines。\
                    可以给出多列（在环境变量中每行一个）。";
        let letters =
            |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
        for width in [16, 24, 37, 80] {
            let wrapped = wrap(text, width);
            assert_eq!(letters(&wrapped), letters(text));
            assert_eq!(wrapped.matches("\n\n").count(), 1);
            for line in wrapped.lines() {
                assert!(line.width() <= width, "{line:?} in {width}");
                assert!(!line.starts_with(['，', '。', '）', '；']), "{line:?}");
            }
        }
        assert_eq!(wrap(text, usize::MAX), text);
        assert_eq!(
            wrap("设置 APP_SECRET=sandbox-secret 后", 24),
            "设置\nAPP_SECRET=sandbox-secret\n后"
        );
    }
}
