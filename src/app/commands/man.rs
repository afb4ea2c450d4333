//! What packagers install beside the program: completions for shells and pages for man. Both are made from the command line
//! itself, so that they cannot disagree with it.

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
use crate::app::commands::completion::registration_script;
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_help;
use crate::app::i18n::language::Language;
use crate::app::stdout::write_stdout;

/// In columns: what is further to the right is no indentation any more.
const MAX_INDENT: usize = 10;

/// Writes completions for a shell to standard output.
///
/// # Errors
/// Output (7) where that cannot be written to; unexpected (1) where there are none.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    write_stdout(&registration_script(shell)?)
}

/// Writes the manual: all of it to standard output, or a page for each command into a directory, which is made where there is
/// none.
///
/// # Errors
/// Output (7) where one cannot be written.
pub(crate) fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    let mut root = clap_help::localize_to_width(Cli::command(), usize::MAX);
    root.build();
    let pages = render_pages(&root).map_err(|error| Failure::from_error(Exit::Output, error))?;
    let Some(directory) = directory else {
        return write_stdout(&pages.into_iter().flat_map(|(_, page)| page).collect::<Vec<_>>());
    };
    let told = |error: io::Error| {
        Failure::with_message(
            Exit::Output,
            tr!(
                "cannot write the manual to {directory}: {cause}; name a directory that you may write to",
                directory = directory.display(),
                cause = error
            ),
        )
    };
    fs::create_dir_all(directory).map_err(told)?;
    for (name, page) in pages {
        fs::write(directory.join(name), page).map_err(told)?;
    }
    Ok(Exit::Success)
}

/// The page of a command, and behind it those of its own commands, each with its file's name.
fn render_pages(command: &clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let man = Man::new(command.clone())
        .source(concat!("dingmap ", env!("CARGO_PKG_VERSION")))
        .manual(tr!("dingmap manual"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    if Language::current() == Language::Chinese {
        // A line of Chinese has few spaces, and spreading it to the margin tears those apart.
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
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        all.extend(render_pages(below)?);
    }
    Ok(all)
}

/// What stands behind the flags in the long help, under headings of its own and in its own lines, and the variables.
fn render_extra_sections(command: &clap::Command) -> Roff {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    let mut remarks = Vec::new();
    for paragraph in help.split("\n\n") {
        let (heading, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let Some(heading) = heading.strip_suffix([':', '：']) else {
            remarks.push(paragraph);
            continue;
        };
        let lines = if rest.trim_start().starts_with("dingmap") {
            format_examples(rest)
        } else {
            format_statuses(rest)
        };
        write_section(&mut roff, heading, &lines);
    }
    let variables = environment_variables(command);
    if !variables.is_empty() {
        write_section(&mut roff, &tr!("Environment"), &variables);
    }
    for remark in remarks {
        roff.control("PP", []);
        for line in remark.lines() {
            roff.text([roman(line)]);
        }
    }
    roff
}

/// A page that says where its Chinese lines may break, which is not known everywhere that pages are read.
fn mark_line_breaks(page: &str) -> String {
    let mut told = String::with_capacity(page.len());
    for line in page.lines() {
        let mut from = 0;
        for (to, _) in linebreaks(line).filter(|_| !line.starts_with('.')) {
            let (piece, rest) = (&line[from..to], &line[to..]);
            told.push_str(piece);
            from = to;
            let wide = |c: char| !c.is_ascii();
            if !rest.is_empty()
                && (piece.ends_with(wide) || rest.starts_with(wide))
                && !piece.ends_with(' ')
            {
                told.push_str(r"\:");
            }
        }
        told.push_str(&line[from..]);
        told.push('\n');
    }
    told
}

/// A section whose lines stay as they are.
fn write_section(roff: &mut Roff, heading: &str, lines: &[String]) {
    roff.control("SH", [&*heading.to_uppercase()]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Examples, each with its remark below: beside each other they are wider than a page.
fn format_examples(text: &str) -> Vec<String> {
    let told = |line: &str| match line.trim().split_once("   ") {
        Some((example, remark)) => vec![example.to_owned(), format!("    {}", remark.trim())],
        None if line.trim_start().starts_with("dingmap") => vec![line.trim().to_owned()],
        None => vec![format!("    {}", line.trim())],
    };
    text.lines().flat_map(told).collect()
}

/// Exit statuses, which stand in two columns, in one.
fn format_statuses(text: &str) -> Vec<String> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        // A line that begins far to the right goes on with the other column.
        let mut place = usize::from(line.len() - line.trim_start().len() > MAX_INDENT);
        while let (Some(status), Some(meaning)) = (cells.next(), cells.next()) {
            let column = if place == 0 { &mut left } else { &mut right };
            column.push(format!("{status:<9}{meaning}"));
            place += 1;
        }
    }
    left.append(&mut right);
    left
}

/// The variables of a command, each with the flag that it stands for.
fn environment_variables(command: &clap::Command) -> Vec<String> {
    let own = |arg: &clap::Arg| {
        let (name, long) = (arg.get_env()?.to_str()?.to_owned(), arg.get_long()?);
        Some(format!("{name:<28} --{long}"))
    };
    let mut all: Vec<_> = command.get_arguments().filter_map(own).collect();
    all.sort();
    if command.get_arguments().any(|arg| arg.get_long() == Some("app-secret-file")) {
        all.extend(
            ["DINGTALK_APP_KEY", "DINGTALK_APP_SECRET", "DINGTALK_ACCESS_TOKEN"].map(str::to_owned),
        );
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
        let told = format_statuses("  0  good          7  bad\n                11  worse");
        assert_eq!(told, ["0        good", "7        bad", "11       worse"]);
    }

    #[test]
    fn line_breaks_are_allowed_only_between_chinese_characters() {
        let page = ".SH 退出\n\\fB\\-\\-rate\\fR of a\n频率。用 \\-\\-rate 设\n";
        let told = mark_line_breaks(page);
        assert_eq!(told.replace(r"\:", ""), page);
        assert!(told.contains(r"频\:率。\:用 \-\-rate 设"), "{told}");
        assert!(told.starts_with(".SH 退出\n\\fB\\-\\-rate\\fR of a\n"), "{told}");
    }
}
