//! `dingmap completions` and `dingmap man`: files for packagers, generated from the command line
//! itself.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use tr::tr;
use unicode_linebreak::linebreaks;

use crate::app::cli::args::Cli;
use crate::app::cli::env::credential_variables;
use crate::app::cli::help;
use crate::app::commands::completion::registration_script;
use crate::app::commands::help::localized_page;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_help;
use crate::app::i18n::language::Language;
use crate::app::pages::roff;
use crate::app::stdout::write_stdout;
use crate::guide::{TOPICS, Topic};

/// In columns. A line that starts further right continues the right column.
const MAX_INDENT: usize = 10;

/// Writes the completion script of a shell to standard output.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    write_stdout(&registration_script(shell)?)
}

/// Writes the manual: all pages to standard output, or one file per command into a directory, which
/// is created if needed.
pub(crate) fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    // clap_mangen leaves out the help of flags that `-h` hides.
    let show_help = |arg: clap::Arg| arg.hide_short_help(false);
    let mut root = clap_help::localize_to_width(Cli::command().mut_args(show_help), usize::MAX);
    root.build();
    let mut pages =
        render_pages(&root).map_err(|error| Failure::from_error(Exit::Output, error))?;
    let Some(directory) = directory else {
        return write_stdout(&pages.into_iter().flat_map(|(_, page)| page).collect::<Vec<_>>());
    };
    let to_failure = |error: io::Error| {
        Failure::with_message(
            Exit::Output,
            tr!(
                "cannot write the manual to {directory}: {cause}; name a directory that you may \
                 write to",
                directory = directory.display(),
                cause = error
            ),
        )
    };
    pages.extend(TOPICS.iter().map(render_topic));
    fs::create_dir_all(directory).map_err(to_failure)?;
    for (name, page) in pages {
        fs::write(directory.join(name), page).map_err(to_failure)?;
    }
    Ok(Exit::Success)
}

/// The page of a command and of its subcommands, each with its file name.
fn render_pages(command: &clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let man = Man::new(command.clone())
        .source(concat!("dingmap ", env!("CARGO_PKG_VERSION")))
        .manual(tr!("dingmap manual"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    if Language::current() == Language::Chinese {
        // Chinese text has few spaces: justified lines would have large gaps.
        page.extend_from_slice(b".ad l\n");
    }
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    render_extra_sections(command).to_writer(&mut page)?;
    let page = mark_line_breaks(&String::from_utf8_lossy(&page)).into_bytes();
    let mut all = vec![(man.get_filename(), page)];
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help")
    {
        all.extend(render_pages(subcommand)?);
    }
    Ok(all)
}

/// A page of the guide in section 7, with its file's name.
fn render_topic(topic: &Topic) -> (String, Vec<u8>) {
    let name = format!("dingmap-{}", topic.name);
    let page = localized_page(topic);
    let mut roff = Roff::new();
    let source = concat!("dingmap ", env!("CARGO_PKG_VERSION"));
    // An empty argument is an empty date.
    roff.control("TH", [&*name, "7", "\"\"", source, &tr!("dingmap manual")]);
    if Language::current() == Language::Chinese {
        roff.control("ad", ["l"]);
    }
    roff.extend([roff::render(&name, &describe_topic(topic), page)]);
    (format!("{name}.7"), mark_line_breaks(&roff.render()).into_bytes())
}

/// What the list of topics says about this one.
fn describe_topic(topic: &Topic) -> String {
    let list = Language::translate_help(help::TOPICS);
    let about = list.lines().find_map(|line| {
        let (name, about) = line.trim_start().split_once(' ')?;
        (name == topic.name).then(|| about.trim_start().to_owned())
    });
    about.unwrap_or_default()
}

/// The sections of the long help after the flags, and the environment variables.
fn render_extra_sections(command: &clap::Command) -> Roff {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    let mut paragraphs = Vec::new();
    for paragraph in help.split("\n\n") {
        let (heading, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let Some(heading) = heading.strip_suffix([':', '：']) else {
            paragraphs.push(paragraph);
            continue;
        };
        let rest = rest.trim_start();
        let lines = if rest.starts_with("dingmap") {
            format_examples(rest)
        } else if TOPICS.first().is_some_and(|topic| rest.starts_with(topic.name)) {
            format_topics(rest)
        } else {
            format_statuses(rest)
        };
        write_section(&mut roff, heading, &lines);
    }
    let variables = environment_variables(command);
    if !variables.is_empty() {
        write_section(&mut roff, &tr!("Environment"), &variables);
    }
    for paragraph in paragraphs {
        roff.control("PP", []);
        for line in paragraph.lines() {
            roff.text([roman(line)]);
        }
    }
    roff
}

/// Marks where Chinese lines may break: not every man implementation knows that.
fn mark_line_breaks(page: &str) -> String {
    let mut marked = String::with_capacity(page.len());
    for line in page.lines() {
        let mut from = 0;
        for (to, _) in linebreaks(line).filter(|_| !line.starts_with('.')) {
            let (piece, rest) = (&line[from..to], &line[to..]);
            marked.push_str(piece);
            from = to;
            let wide = |c: char| !c.is_ascii();
            if !rest.is_empty()
                && (piece.ends_with(wide) || rest.starts_with(wide))
                && !piece.ends_with(' ')
            {
                marked.push_str(r"\:");
            }
        }
        marked.push_str(&line[from..]);
        marked.push('\n');
    }
    marked
}

/// A section whose lines are kept as they are.
fn write_section(roff: &mut Roff, heading: &str, lines: &[String]) {
    roff.control("SH", [&*heading.to_uppercase()]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Each example with its remark below it: side by side they are wider than a page.
fn format_examples(text: &str) -> Vec<String> {
    let format = |line: &str| match line.trim().split_once("   ") {
        Some((example, remark)) => vec![example.to_owned(), format!("    {}", remark.trim())],
        None if line.trim_start().starts_with("dingmap") => vec![line.trim().to_owned()],
        None => vec![format!("    {}", line.trim())],
    };
    text.lines().flat_map(format).collect()
}

/// Topics as references to their pages.
fn format_topics(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (name, about) = line.trim().split_once(' ').unwrap_or((line, ""));
        format!("{:<24}{}", format!("dingmap-{name}(7)"), about.trim_start())
    };
    text.lines().map(line).collect()
}

/// Turns two columns of exit statuses into one.
fn format_statuses(text: &str) -> Vec<String> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        // An indented line continues the right column.
        let mut index = usize::from(line.len() - line.trim_start().len() > MAX_INDENT);
        while let (Some(status), Some(meaning)) = (cells.next(), cells.next()) {
            let column = if index == 0 { &mut left } else { &mut right };
            column.push(format!("{status:<9}{meaning}"));
            index += 1;
        }
    }
    left.append(&mut right);
    left
}

/// Each variable with its flag.
fn environment_variables(command: &clap::Command) -> Vec<String> {
    let variable = |arg: &clap::Arg| {
        let (name, long) = (arg.get_env()?.to_str()?.to_owned(), arg.get_long()?);
        Some(format!("{name:<28} --{long}"))
    };
    let mut all: Vec<_> = command.get_arguments().filter_map(variable).collect();
    all.sort();
    if command.get_arguments().any(|arg| arg.get_long() == Some("app-secret-file")) {
        all.extend(credential_variables().map(str::to_owned));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_page_examples_and_statuses_are_aligned() {
        assert_eq!(
            format_examples("  dingmap a   what it is\n  dingmap b\n          what that is"),
            ["dingmap a", "    what it is", "dingmap b", "    what that is"]
        );
        let marked = format_statuses("  0  good          7  bad\n                11  worse");
        assert_eq!(marked, ["0        good", "7        bad", "11       worse"]);
    }

    #[test]
    fn line_breaks_are_allowed_only_between_chinese_characters() {
        let page = ".SH 退出\n\\fB\\-\\-rate\\fR of a\n频率。用 \\-\\-rate 设\n";
        let marked = mark_line_breaks(page);
        assert_eq!(marked.replace(r"\:", ""), page);
        assert!(marked.contains(r"频\:率。\:用 \-\-rate 设"), "{marked}");
        assert!(marked.starts_with(".SH 退出\n\\fB\\-\\-rate\\fR of a\n"), "{marked}");
    }
}
