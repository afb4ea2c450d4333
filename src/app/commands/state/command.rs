//! `dingmap state`: shows what the state file has, without numbers; deletes answers; exports all of
//! it as CSV.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use jiff::Timestamp;
use tr::tr;

use crate::app::cli::paths::state_path;
use crate::app::cli::shared_args::{StateCommand, StateForgetArgs};
use crate::app::commands::resolve::join_quota;
use crate::app::commands::resolve::open_state::open_or_wait;
use crate::app::commands::state::messages::state_failure;
use crate::app::commands::state::shared;
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::format::format_since;
use crate::app::progress::terminal::Terminal;
use crate::app::stdout::with_stdout;
use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::{DefaultRegion, Mobile, NumberRules};
use crate::store::disk::database::{State, StateError, VERSION};
use crate::store::disk::disk_store::wall_secs;
use crate::store::disk::maintenance::{self, AnswerFilter, ExportRecord, ScopeSummary};
use crate::store::disk::sessions::UnfinishedRun;

const EXPORT_COLUMNS: [&str; 10] = [
    "endpoint",
    "app",
    "number",
    "userid",
    "exclusive_userids",
    "status",
    "errcode",
    "errmsg",
    "asked_at",
    "request_id",
];

/// Why an export ends early.
enum ExportError {
    State(StateError),
    Output(csv::Error),
}

impl From<StateError> for ExportError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// # Errors
/// Unexpected (1) if the state cannot be opened; usage (2) for invalid standard input; output (7).
pub(crate) fn state(command: &StateCommand, terminal: &Terminal) -> Result<Exit, Failure> {
    if let Some((url, door)) = command.shared_server() {
        return shared::shared_state(
            command,
            &join_quota::parse_server(url, door, |name| std::env::var_os(name))?,
            terminal,
        );
    }
    let file_args = command.file_args();
    let location = state_path(file_args.state.as_deref(), |name| std::env::var_os(name))?;
    let to_failure = |error: StateError| state_failure(&location.path, &error);
    // Before the state is locked: typing takes time.
    let filter = match command {
        StateCommand::Forget(forget) => Some(read_selection(forget)?),
        _ => None,
    };
    let open = |waits| State::open_existing(&location.path, waits);
    let state = open_or_wait(&location.path, file_args.wait, terminal, open).map_err(to_failure)?;
    let size = || state.size().map_err(|error| to_failure(error.into()));
    match command {
        StateCommand::Info(_) => {
            let text = format_info(&maintenance::inspect(&state).map_err(to_failure)?);
            let size = format_bytes(size()?);
            let title = tr!(
                "{path}: version {version}, {size}",
                path = location.path.display(),
                version = VERSION,
                size
            );
            with_stdout(|output| write!(output, "{title}\n{text}"))?;
        }
        StateCommand::Forget(_) => {
            let forgotten =
                maintenance::forget(&state, &filter.unwrap_or_default()).map_err(to_failure)?;
            terminal.print(&tr!("{count} answers were deleted", count = forgotten));
            terminal.print(&tr!("`dingmap state compact` removes their remains from the file"));
        }
        StateCommand::Compact(_) => {
            let before = size()?;
            state.compact().map_err(to_failure)?;
            let after =
                std::fs::metadata(&location.path).map_err(|error| to_failure(error.into()))?.len();
            terminal.print(&tr!(
                "{before} before, {after} now",
                before = format_bytes(before),
                after = format_bytes(after)
            ));
        }
        StateCommand::Export(_) => export(&state, to_failure)?,
    }
    Ok(Exit::Success)
}

fn read_selection(forget: &StateForgetArgs) -> Result<AnswerFilter, Failure> {
    let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    let numbers = match forget.number {
        Some(_) => Some(read_numbers(io::stdin().lock())?),
        None => None,
    };
    let before = forget.older_than.map(|age| wall_secs().saturating_sub(seconds(age)));
    Ok(AnswerFilter { app: forget.app.clone(), before, status: forget.status, mobiles: numbers })
}

/// The numbers of an input, one per line. Those without a country code are mainland numbers.
fn read_numbers(input: impl BufRead) -> Result<BTreeSet<Mobile>, Failure> {
    let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: false };
    let mut numbers = BTreeSet::new();
    for (index, line) in input.lines().enumerate() {
        let refused = |what: String| {
            Failure::with_message(
                Exit::Usage,
                tr!(
                    "standard input, line {line}: {what}; nothing was deleted",
                    line = index + 1,
                    what
                ),
            )
        };
        let line = line.map_err(|error| refused(error.to_string()))?;
        if !line.trim().is_empty() {
            let entry =
                NumberCell::parse(&line, rules).map_err(|refusal| refused(refusal.to_string()))?;
            numbers.insert(entry.mobile);
        }
    }
    Ok(numbers)
}

/// The content of the state, without numbers.
fn format_info(scopes: &[ScopeSummary]) -> String {
    let mut text = String::new();
    if scopes.is_empty() {
        text.push_str(&(tr!("no answers are stored yet") + "\n"));
    }
    for ScopeSummary { scope, answers, asked_range, runs } in scopes {
        // Writing to a string cannot fail.
        let title = tr!("{endpoint}, app {app}", endpoint = scope.endpoint, app = scope.app);
        let _ = writeln!(text, "\n{title}");
        let sent = match (scope.exclusive, scope.prefixed) {
            (true, true) => tr!("with exclusive accounts, mainland numbers sent as +86-"),
            (true, false) => tr!("with exclusive accounts, mainland numbers sent plain"),
            (false, true) => tr!("without exclusive accounts, mainland numbers sent as +86-"),
            (false, false) => tr!("without exclusive accounts, mainland numbers sent plain"),
        };
        let _ = writeln!(text, "  {sent}");
        for (status, count) in answers {
            let _ = writeln!(text, "  {:<13}{count:>9}", status.name());
        }
        if let Some((oldest, newest)) = asked_range {
            let age = |asked: &i64| {
                format_whole_seconds(Duration::from_secs(wall_secs().abs_diff(*asked)))
            };
            let ages =
                tr!("oldest {oldest}, newest {newest}", oldest = age(oldest), newest = age(newest));
            let _ = writeln!(text, "  {ages}");
        }
        for run in runs {
            let _ = writeln!(text, "  {}", describe_session(run));
        }
    }
    text
}

fn describe_session(
    UnfinishedRun { started, known, rows, inherited, .. }: &UnfinishedRun,
) -> String {
    let since = format_since(*started);
    let mut parts = vec![tr!("unfinished run since {since}: {known} numbers known", since, known)];
    parts.extend(rows.map(|rows| tr!("{rows} rows", rows)));
    if *inherited {
        parts.push(tr!("used by a later run"));
    }
    parts.join(&tr!(", "))
}

fn format_bytes(size: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", size / unit, size % unit * 10 / unit);
    match size {
        0..0x10_0000 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

fn export(state: &State, to_failure: impl Fn(StateError) -> Failure) -> Result<(), Failure> {
    let mut database = None;
    let result = with_stdout(|output| {
        let mut table = csv::Writer::from_writer(output);
        table.write_record(EXPORT_COLUMNS)?;
        let all = maintenance::export(state, |record| {
            write_row(&mut table, record).map_err(ExportError::Output)
        });
        match all {
            Err(ExportError::Output(error)) => return Err(into_io_error(error)),
            Err(ExportError::State(error)) => database = Some(error),
            Ok(()) => {}
        }
        table.flush()
    });
    database.map_or(result, |error| Err(to_failure(error)))
}

/// csv's own conversion loses the kind, which tells a closed pipe.
fn into_io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn write_row<W: Write>(
    table: &mut csv::Writer<W>,
    ExportRecord { scope, number, record }: ExportRecord<'_>,
) -> csv::Result<()> {
    let outcome = &record.outcome;
    let code = outcome.code.as_ref().map(ToString::to_string).unwrap_or_default();
    // A time outside the calendar is written as it is stored, in seconds since 1970.
    let asked = Timestamp::from_second(record.asked_at)
        .map_or_else(|_| record.asked_at.to_string(), |asked| asked.to_string());
    table.write_record([
        &*scope.endpoint,
        &*scope.app,
        number,
        &*outcome.userid,
        &*outcome.exclusive_ids,
        outcome.status.name(),
        &*code,
        &*outcome.message,
        &*asked,
        &*outcome.request_id,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_one_per_line_and_rejected_with_the_line() {
        let read =
            read_numbers(&b"13800138000\n\n +86 138-0013-8000\r\n+852 5123 4567"[..]).unwrap();
        assert_eq!(read.len(), 2);
        let failure = read_numbers(&b"13800138000\nx\n"[..]).unwrap_err();
        assert!(failure.error.to_string().contains("line 2"), "{}", failure.error);
    }

    #[test]
    fn sizes_are_printed_with_units() {
        assert_eq!(
            [0, 1536, 1 << 20, 157 << 16].map(format_bytes),
            ["0.0 KiB", "1.5 KiB", "1.0 MiB", "9.8 MiB"]
        );
    }
}
