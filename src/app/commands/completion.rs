//! Shell completion: besides flags, values such as the columns and sheets of the input on the
//! command line.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::app::cli::args::Cli;
use crate::app::cli::config_file::read_profiles;
use crate::app::cli::env::COMPLETE_VAR;
use crate::app::commands::help::help_words;
use crate::app::commands::open_input::{InputSpec, is_regular_file};
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_help;
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::redact;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::layout::SourceOptions;
use crate::table::raw::encoding::Encoding;
use crate::table::unpack::workbook;

/// A workbook is read completely before its columns are known. A larger one would block the shell.
const MAX_WORKBOOK_BYTES: u64 = 4 << 20;

/// zsh sources the script when it is first used, and expects the file itself to answer that first
/// request.
const ZSH_AUTOLOAD_SUFFIX: &str =
    "[[ ${funcstack[1]} != _dingmap ]] || _clap_dynamic_completer_dingmap \"$@\"\n";

/// Whether a completion script runs the program. Each passes the words after `--`, so that the
/// variable alone, set in someone's environment, has no effect.
#[must_use]
pub(crate) fn is_completion_request(args: &[OsString]) -> bool {
    std::env::var_os(COMPLETE_VAR).is_some() && args.get(1).is_some_and(|word| word == "--")
}

#[must_use]
pub(crate) fn complete(args: &[OsString]) -> Exit {
    let current_dir = std::env::current_dir().ok();
    let env = CompleteEnv::with_factory(|| {
        add_value_completers(clap_help::localize_to_width(Cli::command(), usize::MAX))
    })
    .var(COMPLETE_VAR)
    .completer("dingmap");
    match env.try_complete(args.iter().cloned(), current_dir.as_deref()) {
        Ok(true) => Exit::Success,
        // A message would appear within the command line of the user.
        Ok(false) | Err(_) => Exit::Usage,
    }
}

pub(crate) fn registration_script(shell: Shell) -> Result<Vec<u8>, Failure> {
    let shells = Shells::builtins();
    let mut text = Vec::new();
    if let Some(completer) = shells.completer(&shell.to_string()) {
        completer
            .write_registration(COMPLETE_VAR, "dingmap", "dingmap", "dingmap", &mut text)
            .map_err(|error| Failure::from_error(Exit::Error, error))?;
    }
    if shell == Shell::Zsh {
        text.extend_from_slice(ZSH_AUTOLOAD_SUFFIX.as_bytes());
    }
    Ok(text)
}

/// Adds candidates for values that only this program knows.
fn add_value_completers(command: Command) -> Command {
    let values = |arg: clap::Arg| match arg.get_id().as_str() {
        "column" | "country_column" | "key" | "expect" => {
            arg.add(ArgValueCandidates::new(complete_columns))
        }
        "sheet" => arg.add(ArgValueCandidates::new(complete_sheets)),
        "encoding" | "output_encoding" => arg.add(ArgValueCandidates::new(complete_encodings)),
        "profile" => arg.add(ArgValueCandidates::new(complete_profiles)),
        "region" => arg.add(ArgValueCandidates::new(complete_regions)),
        "topic" => arg.add(ArgValueCandidates::new(complete_help_words)),
        _ => arg,
    };
    command.mut_args(values).mut_subcommands(add_value_completers)
}

/// The columns of the input: by name, or by position with the name beside it if a shell would split
/// the name.
fn complete_columns() -> Vec<CompletionCandidate> {
    let Some((path, matches)) = parse_args_and_input() else { return Vec::new() };
    let Some(first) = read_first_row(&path, &matches) else { return Vec::new() };
    let candidate = |(at, name): (usize, &String)| {
        let sanitized = redact::column_name(name)?;
        let is_plain = sanitized == *name
            && name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
        // A name of digits only would be a position, and one that starts with a dash a flag.
        let is_plain = is_plain && name.parse::<usize>().is_err() && !name.starts_with('-');
        let value = if is_plain { sanitized.clone() } else { (at + 1).to_string() };
        Some(CompletionCandidate::new(value).help(Some(sanitized.into())).display_order(Some(at)))
    };
    first.iter().enumerate().filter_map(candidate).collect()
}

/// The first row of the input, read with the flags on the command line.
fn read_first_row(path: &Path, matches: &ArgMatches) -> Option<Vec<String>> {
    if is_workbook(path) && !is_small(path) {
        return None;
    }
    // Not every command has these flags.
    let options = SourceOptions {
        encoding: matches.try_get_one("encoding").ok().flatten().copied(),
        delimiter: matches.try_get_one("delimiter").ok().flatten().copied(),
        skip_lines: matches.try_get_one("skip_lines").ok().flatten().copied(),
        has_headers: Some(true),
        // Any column will do: the one with the numbers may be the one being completed.
        columns: vec![ColumnChoice::Position(1)],
        ..SourceOptions::default()
    };
    let sheet = matches.try_get_one::<String>("sheet").ok().flatten();
    let input =
        InputSpec { path, sheet: sheet.map(String::as_str), options, region: DefaultRegion::CHINA };
    Some(input.open().ok()?.source.header().first_row.clone())
}

fn complete_sheets() -> Vec<CompletionCandidate> {
    let names = parse_args_and_input().filter(|(path, _)| is_small(path)).and_then(|(path, _)| {
        let file = fs::File::open(path).ok()?;
        workbook::sheet_names(file).ok()
    });
    let candidate = |(at, (name, number)): (usize, (String, Option<usize>))| {
        let is_plain = name.chars().all(char::is_alphanumeric);
        let value = match number {
            Some(number) if !is_plain => number.to_string(),
            _ => name.clone(),
        };
        CompletionCandidate::new(value).help(Some(name.into())).display_order(Some(at))
    };
    names.unwrap_or_default().into_iter().enumerate().map(candidate).collect()
}

fn complete_encodings() -> Vec<CompletionCandidate> {
    Encoding::ALL
        .iter()
        .map(|encoding| CompletionCandidate::new(encoding.to_string().to_lowercase()))
        .collect()
}

fn complete_regions() -> Vec<CompletionCandidate> {
    DefaultRegion::all().into_iter().map(CompletionCandidate::new).collect()
}

/// Commands, and topics of the guide.
fn complete_help_words() -> Vec<CompletionCandidate> {
    let cli = Cli::command();
    help_words(&cli).map(|word| CompletionCandidate::new(word.to_owned())).collect()
}

/// The profiles of the file that `--config` or the environment names.
fn complete_profiles() -> Vec<CompletionCandidate> {
    let config = parse_partial_args()
        .and_then(|matches| matches.try_get_one::<PathBuf>("config").ok().flatten().cloned());
    let profiles = config
        .filter(|config| is_regular_file(config))
        .map(|config| read_profiles(&config))
        .unwrap_or_default();
    profiles.into_iter().map(CompletionCandidate::new).collect()
}

fn is_small(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() <= MAX_WORKBOOK_BYTES)
}

fn is_workbook(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("xlsx"))
}

/// The arguments of the subcommand, however incomplete the command line is.
fn parse_partial_args() -> Option<ArgMatches> {
    let args = std::env::args_os().skip_while(|word| word != "--").skip(1).map(unquote);
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(args).ok()?;
    matches.subcommand().map(|(_, matches)| matches.clone())
}

/// The same, and the input file. Pipes are not read.
fn parse_args_and_input() -> Option<(PathBuf, ArgMatches)> {
    let matches = parse_partial_args()?;
    let named = |id| {
        matches
            .try_get_one::<PathBuf>(id)
            .ok()
            .flatten()
            .filter(|path| is_regular_file(path))
            .cloned()
    };
    let path = ["input", "new", "old"].into_iter().find_map(named)?;
    Some((path, matches))
}

/// A word as the shell would pass it: without quotes, and with the home directory for `~/`.
fn unquote(word: OsString) -> OsString {
    let Ok(text) = word.into_string().map_err(drop) else { return OsString::new() };
    // Some shells pass words without quotes; a space in them does not separate.
    let quoted = text.contains(['\'', '"', '\\']);
    let unquoted = shlex::split(&text)
        .filter(|_| quoted)
        .and_then(|args| args.into_iter().next())
        .unwrap_or(text);
    match (unquoted.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest).into_os_string(),
        _ => unquoted.into(),
    }
}
