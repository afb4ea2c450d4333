//! Help in the language that is spoken. clap has no translations, so the command line is walked once: its texts become those of
//! `src/language/`, and what clap would add to them in English, variables, defaults and possible values, is said in their words.
//! Leaves the English texts to where flags are declared, and errors to `refusal`.

use std::collections::HashMap;
use std::fmt::Write as _;

use clap::builder::{PossibleValue, Resettable, StyledStr};
use clap::{Arg, Command};
use tr::tr;
use unicode_linebreak::{BreakOpportunity, linebreaks};
use unicode_width::UnicodeWidthStr;

use crate::app::i18n::language::Language;

/// The widest that help is, in columns.
const MAX_WIDTH: usize = 110;
/// How wide it is where there is no terminal to tell.
const DEFAULT_WIDTH: usize = 100;
/// The room that clap leaves for a short flag before a long one.
const SHORT_FLAG_WIDTH: usize = 4;
/// And that on both sides of the flag.
const FLAG_PADDING: usize = 4;
/// How far clap puts the long help of a flag to the right.
const LONG_HELP_INDENT: usize = 10;

/// The command line as it is told on a terminal.
#[must_use]
pub(crate) fn localize(command: Command) -> Command {
    localize_to_width(command, terminal_width().min(MAX_WIDTH))
}

/// In columns, as clap finds it.
#[must_use]
pub(crate) fn terminal_width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| width.0.into());
    let columns = terminal.or_else(|| std::env::var("COLUMNS").ok()?.parse().ok());
    columns.unwrap_or(DEFAULT_WIDTH)
}

/// The command line as it is told in lines of `width` columns at most.
#[must_use]
pub(crate) fn localize_to_width(mut command: Command, width: usize) -> Command {
    if Language::current() == Language::English {
        return command;
    }
    // What clap adds by itself, such as --help, is there from then on.
    command.build();
    localize_command(command, width)
}

fn localize_command(command: Command, width: usize) -> Command {
    let heading = command.get_styles().get_usage();
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{heading}{}{heading:#}{}{{usage}}\n\n{{all-args}}{{after-help}}",
        tr!("Usage:"),
        space_after(&tr!("Usage:"))
    );
    // Short help stands in a column of its own, beside the longest flag under the same heading.
    let mut beside = HashMap::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_short_help_set()) {
        let flag = arg.to_string().width() + if arg.is_positional() { 0 } else { SHORT_FLAG_WIDTH };
        let column = beside.entry(help_heading(arg)).or_insert(0);
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
            let beside = beside.get(&help_heading(&arg)).copied().unwrap_or_default();
            localize_arg(arg, width.saturating_sub(beside), width.saturating_sub(LONG_HELP_INDENT))
        })
        .mut_subcommands(|command| localize_command(command, width))
}

/// The heading under which clap puts a flag or a value.
fn help_heading(arg: &Arg) -> String {
    arg.get_help_heading().map_or_else(
        || if arg.is_positional() { tr!("Arguments") } else { tr!("Options") },
        Language::translate_help,
    )
}

/// A flag or a value, its short and its long help in lines of so many columns.
fn localize_arg(arg: Arg, narrow: usize, wide: usize) -> Arg {
    let heading = help_heading(&arg);
    let short = arg.get_help().map(translate).unwrap_or_default();
    let long = arg.get_long_help().map_or_else(|| short.clone(), translate);
    let SpecValues {
        possible_values: values,
        possible_values_help: explained,
        env_and_default: others,
    } = SpecValues::from_arg(&arg);
    let specs: Vec<_> = others.iter().chain(&values).cloned().collect();
    let short = [short, specs.join(" ")];
    let specs = if explained.is_empty() { specs } else { others };
    let long = [long, explained, specs.join("\n")];
    let paragraphs = |parts: &[String], between: &str| {
        parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(between)
    };
    // Under a heading of its own clap takes values for flags, and sorts them by name.
    let place = arg.get_index();
    let arg = match place {
        Some(place) => arg.display_order(place),
        None => arg,
    };
    arg.help_heading(heading)
        .help(wrap(&paragraphs(&short, " "), narrow))
        .long_help(wrap(&paragraphs(&long, "\n\n"), wide))
        .hide_env(true)
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// What clap would add to a flag's help.
struct SpecValues {
    /// The possible values by name.
    possible_values: Option<String>,
    /// The possible values with what they mean, a line each, where they have a meaning that is told.
    possible_values_help: String,
    /// The variable and the default.
    env_and_default: Vec<String>,
}

impl SpecValues {
    fn from_arg(arg: &Arg) -> Self {
        let mut added = Self {
            possible_values: None,
            possible_values_help: String::new(),
            env_and_default: Vec::new(),
        };
        if let Some(name) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
            added.env_and_default.push(tr!("[env: {name}]", name = name.display()));
        }
        let takes = arg.get_action().takes_values();
        if takes && !arg.is_hide_default_value_set() && !arg.get_default_values().is_empty() {
            let values: Vec<_> =
                arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            added.env_and_default.push(tr!("[default: {values}]", values = values.join(" ")));
        }
        let mut possible = arg.get_possible_values();
        possible
            .retain(|value| takes && !value.is_hide_set() && !arg.is_hide_possible_values_set());
        if possible.is_empty() {
            return added;
        }
        let names: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
        added.possible_values =
            Some(tr!("[possible values: {names}]", names = names.join(&tr!("list" => ", "))));
        if possible.iter().any(|value| value.get_help().is_some()) {
            added.possible_values_help = tr!("Possible values:");
            for value in &possible {
                let help = value.get_help().map(translate).unwrap_or_default();
                // Writing to a string does not fail.
                let _ = write!(added.possible_values_help, "\n- {}: {help}", value.get_name());
            }
        }
        added
    }
}

/// What stands behind a label: a wide colon brings its own space.
#[must_use]
pub(crate) fn space_after(label: &str) -> &'static str {
    if label.is_ascii() { " " } else { "" }
}

/// A text of the command line in the language that is spoken; the English one where there is none.
fn translate(english: &StyledStr) -> String {
    Language::translate_help(&english.to_string())
}

fn to_resettable(text: Option<String>) -> Resettable<StyledStr> {
    text.map(StyledStr::from).into()
}

/// A text in lines of at most so many columns. clap breaks lines at spaces alone, of which Chinese has none.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let (mut done, mut line, mut from) = (String::new(), String::new(), 0);
    // What stands in ASCII between spaces is a value, a flag or a path, which is read and copied whole.
    let within = |at: usize| {
        let ends = text[..at].ends_with(|c: char| c.is_ascii_graphic());
        ends && text[at..].starts_with(|c: char| c.is_ascii_graphic())
    };
    for (to, opportunity) in linebreaks(text).filter(|(at, _)| !within(*at)) {
        let piece = &text[from..to];
        from = to;
        if (line.clone() + piece).trim_end().width() > width {
            done.push_str(line.trim_end());
            done.push('\n');
            line.clear();
        }
        line.push_str(piece);
        if opportunity == BreakOpportunity::Mandatory {
            done.push_str(&line);
            line.clear();
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_chinese_lines_fit_and_lose_no_text() {
        let text = "手机号所在的列 [默认：自动识别]\n\n用表头、从 1 开始的位置，或只匹配一个表头的正则表达式指定；见 --skip-lines。可以给出多列（在环境变量中每行一个）。";
        let letters =
            |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
        for width in [16, 24, 37, 80] {
            let told = wrap(text, width);
            assert_eq!(letters(&told), letters(text));
            assert_eq!(told.matches("\n\n").count(), 1);
            for line in told.lines() {
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
