//! What a shell is told when somebody presses Tab: besides flags the values that fit, among them the columns and sheets of the
//! input that the line names. Leaves the command line itself to `cli`, and the shells' scripts to clap.

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
use crate::app::commands::open_input::{InputSpec, is_regular_file};
use crate::app::exit::{Exit, Failure};
use crate::app::i18n::clap_help;
use crate::domain::number::mobile::DefaultRegion;
use crate::table::detect::column_error::sanitize_name;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::layout::SourceOptions;
use crate::table::raw::encoding::Encoding;
use crate::table::unpack::workbook;

/// A workbook is read to its end before its columns are known; a larger one would keep the shell waiting. In bytes.
const MAX_WORKBOOK_BYTES: u64 = 4 << 20;

/// What zsh needs behind its script: it loads what lies in its directories when it is first asked, and asks the file itself.
const ZSH_AUTOLOAD_SUFFIX: &str =
    "[[ ${funcstack[1]} != _dingmap ]] || _clap_dynamic_completer_dingmap \"$@\"\n";

/// Whether it is a shell's script that runs the program. Each hands the words over behind `--`, so that the variable does
/// nothing where it merely stands in somebody's environment.
#[must_use]
pub(crate) fn is_completion_request(args: &[OsString]) -> bool {
    std::env::var_os(COMPLETE_VAR).is_some() && args.get(1).is_some_and(|word| word == "--")
}

/// Answers a shell's script.
#[must_use]
pub(crate) fn complete(args: &[OsString]) -> Exit {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| {
        add_value_completers(clap_help::localize_to_width(Cli::command(), usize::MAX))
    })
    .var(COMPLETE_VAR)
    .completer("dingmap");
    match asked.try_complete(args.iter().cloned(), here.as_deref()) {
        Ok(true) => Exit::Success,
        // Whoever presses Tab wants no message between his words.
        Ok(false) | Err(_) => Exit::Usage,
    }
}

/// The script by which a shell asks.
///
/// # Errors
/// Unexpected (1) where clap has none for this shell.
pub(crate) fn registration_script(shell: Shell) -> Result<Vec<u8>, Failure> {
    let shells = Shells::builtins();
    let mut text = Vec::new();
    if let Some(known) = shells.completer(&shell.to_string()) {
        known
            .write_registration(COMPLETE_VAR, "dingmap", "dingmap", "dingmap", &mut text)
            .map_err(|error| Failure::from_error(Exit::Error, error))?;
    }
    if shell == Shell::Zsh {
        text.extend_from_slice(ZSH_AUTOLOAD_SUFFIX.as_bytes());
    }
    Ok(text)
}

/// The command line with the values that only this program knows.
fn add_value_completers(command: Command) -> Command {
    let values = |arg: clap::Arg| match arg.get_id().as_str() {
        "column" | "key" | "expect" => arg.add(ArgValueCandidates::new(complete_columns)),
        "sheet" => arg.add(ArgValueCandidates::new(complete_sheets)),
        "encoding" | "output_encoding" => arg.add(ArgValueCandidates::new(complete_encodings)),
        "profile" => arg.add(ArgValueCandidates::new(complete_profiles)),
        "region" => arg.add(ArgValueCandidates::new(complete_regions)),
        _ => arg,
    };
    command.mut_args(values).mut_subcommands(add_value_completers)
}

/// The columns of the input: by name, or by position with the name beside it where a shell would take the name apart.
fn complete_columns() -> Vec<CompletionCandidate> {
    let Some((path, given)) = parse_args_and_input() else { return Vec::new() };
    let Some(first) = read_first_row(&path, &given) else { return Vec::new() };
    let candidate = |(at, name): (usize, &String)| {
        let shown = sanitize_name(name)?;
        let plain = shown == *name
            && name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
        // A name of digits alone would be a position, and one with a dash in front a flag.
        let plain = plain && name.parse::<usize>().is_err() && !name.starts_with('-');
        let value = if plain { shown.clone() } else { (at + 1).to_string() };
        Some(CompletionCandidate::new(value).help(Some(shown.into())).display_order(Some(at)))
    };
    first.iter().enumerate().filter_map(candidate).collect()
}

/// The first row of the input, which is read as the line says; nothing where it cannot be.
fn read_first_row(path: &Path, given: &ArgMatches) -> Option<Vec<String>> {
    if is_workbook(path) && !is_small(path) {
        return None;
    }
    // What a command has no flag for is not asked of it.
    let options = SourceOptions {
        encoding: given.try_get_one("encoding").ok().flatten().copied(),
        delimiter: given.try_get_one("delimiter").ok().flatten().copied(),
        skip_lines: given.try_get_one("skip_lines").ok().flatten().copied().unwrap_or_default(),
        has_headers: Some(true),
        // Any column will do: which one has the numbers may be what is asked here.
        columns: vec![ColumnChoice::Position(1)],
        ..SourceOptions::default()
    };
    let sheet = given.try_get_one::<String>("sheet").ok().flatten();
    let input =
        InputSpec { path, sheet: sheet.map(String::as_str), options, region: DefaultRegion::CHINA };
    Some(input.open().ok()?.source.header().first_row.clone())
}

fn complete_sheets() -> Vec<CompletionCandidate> {
    let names = parse_args_and_input().filter(|(path, _)| is_small(path)).and_then(|(path, _)| {
        let file = fs::File::open(path).ok()?;
        workbook::sheet_names(file).ok()
    });
    let candidate = |(at, name): (usize, String)| {
        let plain = name.chars().all(char::is_alphanumeric);
        let value = if plain { name.clone() } else { (at + 1).to_string() };
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

/// The profiles of the file that the line or the environment names.
fn complete_profiles() -> Vec<CompletionCandidate> {
    let config = parse_partial_args()
        .and_then(|given| given.try_get_one::<PathBuf>("config").ok().flatten().cloned());
    let known = config
        .filter(|config| is_regular_file(config))
        .map(|config| read_profiles(&config))
        .unwrap_or_default();
    known.into_iter().map(CompletionCandidate::new).collect()
}

fn is_small(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() <= MAX_WORKBOOK_BYTES)
}

fn is_workbook(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("xlsx"))
}

/// All that the line says of its command, however unfinished it is.
fn parse_partial_args() -> Option<ArgMatches> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1).map(unquote);
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    matches.subcommand().map(|(_, given)| given.clone())
}

/// The same, and the file that it names as its input. A pipe is left alone.
fn parse_args_and_input() -> Option<(PathBuf, ArgMatches)> {
    let given = parse_partial_args()?;
    let named = |id| {
        given
            .try_get_one::<PathBuf>(id)
            .ok()
            .flatten()
            .filter(|path| is_regular_file(path))
            .cloned()
    };
    let path = ["input", "new", "old"].into_iter().find_map(named)?;
    Some((path, given))
}

/// A word as the shell would hand it over: without its quotes, and with the home directory for `~/`.
fn unquote(word: OsString) -> OsString {
    let Ok(text) = word.into_string().map_err(drop) else { return OsString::new() };
    // Some shells hand words over as they are meant, so that a space in one parts nothing.
    let quoted = text.contains(['\'', '"', '\\']);
    let plain = shlex::split(&text)
        .filter(|_| quoted)
        .and_then(|words| words.into_iter().next())
        .unwrap_or(text);
    match (plain.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest).into_os_string(),
        _ => plain.into(),
    }
}
