//! `dingmap state`: what is kept in the file, told without numbers; forgetting; and all of it as CSV for its owner. Leaves what
//! runs on several hosts share to `tenants`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use jiff::Timestamp;
use tr::tr;

use crate::app::cli::paths::place;
use crate::app::cli::shared_args::{Forget, StateCommand};
use crate::app::commands::resolve::join_quota;
use crate::app::commands::resolve::open_state::patiently;
use crate::app::commands::state::messages::{refused, since};
use crate::app::commands::state::shared;
use crate::app::exit::{Exit, Failure, rounded};
use crate::app::progress::terminal::Terminal;
use crate::app::stdout::tell;
use crate::domain::number::cell::Entry;
use crate::domain::number::mobile::{Home, Mobile, Rules};
use crate::store::disk::database::{State, StateError, VERSION};
use crate::store::disk::disk_store::wall;
use crate::store::disk::maintenance::{self, Choice, Record, Shelf};
use crate::store::disk::sessions::Run;

/// The columns of an export.
const HEADER: [&str; 10] = [
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
enum Broken {
    State(StateError),
    Output(csv::Error),
}

impl From<StateError> for Broken {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Runs the command.
///
/// # Errors
/// Unexpected (1) where there is no state to work with; usage (2) for what stands on standard input; output (7).
pub(crate) fn state(command: &StateCommand, terminal: &Terminal) -> Result<Exit, Failure> {
    if let Some((url, door)) = command.shared() {
        return shared::tenants(
            command,
            &join_quota::server(url, door, |name| std::env::var_os(name))?,
            terminal,
        );
    }
    let at = command.place();
    let place = place(at.state.as_deref(), |name| std::env::var_os(name))?;
    let broken = |error: StateError| refused(&place.path, &error);
    // Read before the state is locked: whoever types them in takes their time.
    let choice = match command {
        StateCommand::Forget(forget) => Some(choice(forget)?),
        _ => None,
    };
    let existing = |waits| State::existing(&place.path, waits);
    let state = patiently(&place.path, at.wait, terminal, existing).map_err(broken)?;
    let size = || state.size().map_err(|error| broken(error.into()));
    match command {
        StateCommand::Info(_) => {
            let text = info(&maintenance::inspect(&state).map_err(broken)?);
            let size = bytes(size()?);
            let title = tr!(
                "{path}: version {version}, {size}",
                path = place.path.display(),
                version = VERSION,
                size
            );
            tell(|output| write!(output, "{title}\n{text}"))?;
        }
        StateCommand::Forget(_) => {
            let forgotten =
                maintenance::forget(&state, &choice.unwrap_or_default()).map_err(broken)?;
            terminal.say(&tr!("{count} answers were forgotten", count = forgotten));
            terminal.say(&tr!(
                "`dingmap state compact` also takes what is left of them out of the file"
            ));
        }
        StateCommand::Compact(_) => {
            let before = size()?;
            state.compact().map_err(broken)?;
            let after = std::fs::metadata(&place.path).map_err(|error| broken(error.into()))?.len();
            terminal.say(&tr!(
                "{before} before, {after} now",
                before = bytes(before),
                after = bytes(after)
            ));
        }
        StateCommand::Export(_) => export(&state, broken)?,
    }
    Ok(Exit::Done)
}

/// What is to be forgotten.
fn choice(forget: &Forget) -> Result<Choice, Failure> {
    let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    let numbers = match forget.number {
        Some(_) => Some(numbers(io::stdin().lock())?),
        None => None,
    };
    let before = forget.older_than.map(|age| wall().saturating_sub(seconds(age)));
    Ok(Choice { app: forget.app.clone(), before, status: forget.status, numbers })
}

/// The numbers of an input, one a line, those without a country code the mainland's.
fn numbers(input: impl BufRead) -> Result<BTreeSet<Mobile>, Failure> {
    let rules = Rules { home: Home::CHINA, strict: false };
    let mut numbers = BTreeSet::new();
    for (at, line) in input.lines().enumerate() {
        let refused = |what: String| {
            Failure::new(
                Exit::Usage,
                tr!(
                    "standard input, line {line}: {what}; nothing was forgotten",
                    line = at + 1,
                    what
                ),
            )
        };
        let line = line.map_err(|error| refused(error.to_string()))?;
        if !line.trim().is_empty() {
            let entry =
                Entry::read(&line, rules).map_err(|refusal| refused(refusal.to_string()))?;
            numbers.insert(entry.mobile);
        }
    }
    Ok(numbers)
}

/// What lies in the state, without a number.
fn info(shelves: &[Shelf]) -> String {
    let mut text = String::new();
    if shelves.is_empty() {
        text.push_str(&(tr!("nothing was kept yet") + "\n"));
    }
    for Shelf { scope, answers, asked, runs } in shelves {
        // Writing to a string does not fail.
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
        if let Some((oldest, newest)) = asked {
            let age = |asked: &i64| rounded(Duration::from_secs(wall().abs_diff(*asked)));
            let ages =
                tr!("oldest {oldest}, newest {newest}", oldest = age(oldest), newest = age(newest));
            let _ = writeln!(text, "  {ages}");
        }
        for run in runs {
            let _ = writeln!(text, "  {}", open(run));
        }
    }
    text
}

fn open(Run { started, known, rows, inherited, .. }: &Run) -> String {
    let since = since(*started);
    let mut parts =
        vec![tr!("not finished: a run since {since}, {known} numbers known", since, known)];
    parts.extend(rows.map(|rows| tr!("{rows} rows", rows)));
    if *inherited {
        parts.push(tr!("used by a later run"));
    }
    parts.join(&tr!(", "))
}

/// A size for people.
fn bytes(size: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", size / unit, size % unit * 10 / unit);
    match size {
        0..0x10_0000 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

fn export(state: &State, broken: impl Fn(StateError) -> Failure) -> Result<(), Failure> {
    let mut database = None;
    let told = tell(|output| {
        let mut table = csv::Writer::from_writer(output);
        table.write_record(HEADER)?;
        let all =
            maintenance::export(state, |record| row(&mut table, record).map_err(Broken::Output));
        match all {
            Err(Broken::Output(error)) => return Err(error.into()),
            Err(Broken::State(error)) => database = Some(error),
            Ok(()) => {}
        }
        table.flush()
    });
    database.map_or(told, |error| Err(broken(error)))
}

fn row<W: Write>(
    table: &mut csv::Writer<W>,
    Record { scope, number, kept }: Record<'_>,
) -> csv::Result<()> {
    let outcome = &kept.outcome;
    let code = outcome.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let asked = Timestamp::from_second(kept.asked).unwrap_or_default().to_string();
    table.write_record([
        &*scope.endpoint,
        &*scope.app,
        number,
        &*outcome.userid,
        &*outcome.exclusive,
        outcome.status.name(),
        &*code,
        &*outcome.message,
        &*asked,
        &*outcome.request,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_a_line_each_and_refused_with_their_line() {
        let read = numbers(&b"13800138000\n\n +86 138-0013-8000\r\n+852 5123 4567"[..]).unwrap();
        assert_eq!(read.len(), 2);
        let failure = numbers(&b"13800138000\nx\n"[..]).unwrap_err();
        assert!(failure.error.to_string().contains("line 2"), "{}", failure.error);
    }

    #[test]
    fn sizes_are_told_in_units() {
        assert_eq!(
            [0, 1536, 1 << 20, 157 << 16].map(bytes),
            ["0.0 KiB", "1.5 KiB", "1.0 MiB", "9.8 MiB"]
        );
    }
}
