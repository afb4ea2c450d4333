//! What a run knows before its first call: where the state is, whose answers and which run are meant, and what people
//! are told about what was found there.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use secrecy::ExposeSecret;

use crate::api::token::Credentials;
use crate::app::cli::{Mainland, Resolve};
use crate::app::config::Access;
use crate::app::exit::{Exit, Failure, state_lost};
use crate::app::signals::Signals;
use crate::app::summary;
use crate::app::terminal::Terminal;
use crate::store::disk::{Disk, Settled, wall};
use crate::store::journal::Lost;
use crate::store::known::Known;
use crate::store::lock::LockError;
use crate::store::rule::Ages;
use crate::store::runs::{self, Found, Wish};
use crate::store::scope::{Fingerprint, Scope};
use crate::store::state::{State, StateError};
use crate::table::source::Source;

/// Everything that opening the state takes, so that a thread of its own can do it.
#[derive(Clone, Debug)]
pub struct Plan {
    place: Place,
    waits: bool,
    restart: bool,
    ages: Ages,
    scope: Scope,
    fingerprint: String,
    rows: Option<u64>,
}

/// Where a state is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Whether the user named it; otherwise it is dingmap's own.
    pub named: bool,
}

/// What was opened.
struct Opened {
    known: Known,
    /// Where a damaged state now lies.
    aside: Option<PathBuf>,
    found: Found,
}

/// Where the state is: where the user says, or else in their data directory (XDG).
///
/// # Errors
/// Usage (2) where no data directory is known.
pub fn place(named: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Place, Failure> {
    if let Some(path) = named {
        return Ok(Place { path: path.to_owned(), named: true });
    }
    // A relative path is none, as the XDG specification has it.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = directory("XDG_DATA_HOME").or_else(|| Some(directory("HOME")?.join(".local/share")));
    let path = data.map(|data| data.join("dingmap").join("state.redb")).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "there is no place for the state, in which answers are kept so that an interrupted run can go on: neither XDG_DATA_HOME nor HOME is set. Name a file with --state, or use --no-state",
        )
    })?;
    Ok(Place { path, named: false })
}

/// What is to be opened; none where answers are kept in memory alone. `access` is the API's, none for the built-in
/// emulation, and `rows` what the input has, where it was looked through.
///
/// # Errors
/// Usage (2) where there is no place; unreadable (3) where the input cannot be read.
pub fn plan(
    args: &Resolve,
    access: Option<&Access>,
    source: &Source,
    rows: Option<u64>,
) -> Result<Option<Plan>, Failure> {
    // What the emulation says is invented, so that only who names a place wants it kept.
    if args.keep.no_state || (access.is_none() && args.keep.state.is_none()) {
        return Ok(None);
    }
    Ok(Some(Plan {
        place: place(args.keep.state.as_deref(), |name| std::env::var_os(name))?,
        waits: args.keep.wait,
        restart: args.keep.restart,
        ages: if args.keep.restart {
            Ages::default()
        } else {
            Ages { any: args.keep.max_age, nobody: args.keep.max_age_not_found }
        },
        scope: scope(args, access),
        fingerprint: fingerprint(args, source, rows.is_some())?,
        rows,
    }))
}

fn scope(args: &Resolve, access: Option<&Access>) -> Scope {
    let (endpoint, app) = match access {
        // Its port changes from run to run.
        None => ("sandbox".to_owned(), "sandbox".to_owned()),
        Some(Access { endpoint, credentials, .. }) => {
            let app = match credentials {
                Credentials::App { key, .. } => key.clone(),
                Credentials::Token(token) => Scope::of_token(token.expose_secret()),
            };
            (endpoint.as_str().trim_end_matches('/').to_owned(), app)
        }
    };
    let prefixed = args.mainland == Mainland::Prefixed;
    Scope { endpoint, app, exclusive: args.exclusive_accounts, prefixed }
}

/// By what the run is known again: its input and what changes the answers to it. A stream is known by what stands before
/// its first row, since all of it cannot be had before.
fn fingerprint(args: &Resolve, source: &Source, regular: bool) -> Result<String, Failure> {
    let dialect = source.dialect();
    let mut print = Fingerprint::of("run");
    for column in source.columns() {
        print = print
            .and("column", column.index.to_string().as_bytes())
            .and("name", column.name.as_deref().unwrap_or_default().as_bytes());
    }
    let print = print
        .and("encoding", dialect.encoding.to_string().as_bytes())
        .and("skipped", args.skip_lines.to_string().as_bytes())
        .and("delimiter", &[dialect.delimiter])
        .and("headers", &[dialect.headers.into()])
        .and("sheet", args.sheet.as_deref().unwrap_or_default().as_bytes())
        .and("region", format!("{:?}", args.region).as_bytes())
        .and("strict", format!("{:?}", args.strict_numbers).as_bytes());
    let print = if regular {
        let unreadable = |error| Failure {
            exit: Exit::Input,
            error: anyhow::Error::new(error).context(summary::name(&args.input)),
        };
        File::open(&args.input).and_then(|file| print.and_all(file)).map_err(unreadable)?
    } else {
        print.and("stream", args.input.as_os_str().as_encoded_bytes())
    };
    Ok(print.to_string())
}

/// What a run knows as it begins: what the state has, and nothing where there is no plan for one. Says what was found.
///
/// # Errors
/// Unexpected (1) where the state cannot be worked with, with what to do; interrupted, by a signal.
pub async fn begin(plan: Option<Plan>, signals: &mut Signals, terminal: &Terminal) -> Result<Known, Failure> {
    let Some(plan) = plan else { return Ok(Known::default()) };
    let (path, rows) = (&plan.place.path, plan.rows);
    let opened = match opened(&plan, false, signals).await? {
        Err(error @ StateError::Lock(LockError::Held(_))) if plan.waits => {
            terminal.say(&format!("waiting: the state {} is {error}", path.display()));
            opened(&plan, true, signals).await?
        }
        opened => opened,
    };
    let Opened { known, aside, found } = opened.map_err(|error| refused(path, &error))?;
    if let Some(aside) = aside {
        terminal.complain(&format!(
            "the state file {} was damaged and is set aside as {}; a fresh one takes its place. What it knew of earlier and interrupted runs is asked again.",
            path.display(),
            aside.display()
        ));
    }
    if let Some(remark) = told(&found, rows) {
        terminal.say(&remark);
    }
    Ok(known)
}

/// Opens the state on a thread of its own: the whole file is checked, which may take seconds, and waiting has no bound.
async fn opened(
    plan: &Plan,
    waits: bool,
    signals: &mut Signals,
) -> Result<Result<Opened, StateError>, Failure> {
    let plan = plan.clone();
    let opening = tokio::task::spawn_blocking(move || open(&plan, waits));
    tokio::select! {
        biased;
        opened = opening => opened.map_err(|error| Failure::of(Exit::Broken, error)),
        signal = signals.next() => {
            Err(Failure::new(Exit::Interrupted(signal), "interrupted before the first call; nothing has changed"))
        }
    }
}

fn open(plan: &Plan, waits: bool) -> Result<Opened, StateError> {
    let (state, aside) = State::open(&plan.place.path, !plan.place.named, waits)?;
    let wish = Wish {
        scope: &plan.scope,
        fingerprint: &plan.fingerprint,
        restart: plan.restart,
        rows: plan.rows,
        now: wall(),
    };
    let begun = runs::begin(&state, wish)?;
    let found = begun.found.clone();
    Ok(Opened { known: Known::on(Disk::start(state, begun, plan.ages, wall)?), aside, found })
}

/// Waits until what was answered is on disk: a run that can be finished, where answers are kept and were.
///
/// # Errors
/// Interrupted, by a signal; what was committed is safe.
pub async fn settle(known: Known, signals: &mut Signals) -> Result<Result<Option<Settled>, Lost>, Failure> {
    let closing = tokio::task::spawn_blocking(move || known.close());
    tokio::select! {
        biased;
        closed = closing => closed.map_err(|error| Failure::of(Exit::Broken, error)),
        signal = signals.next() => {
            Err(Failure::new(Exit::Interrupted(signal), "interrupted while the last answers were written"))
        }
    }
}

/// Finishes a run that has, once its output is complete, so that the next one asks anew.
///
/// # Errors
/// Unexpected (1) where the state could not be written.
pub fn finish(settled: Result<Option<Settled>, Lost>, finished: bool) -> Result<(), Failure> {
    let lost = match settled {
        Ok(Some(run)) if finished => run.finish(),
        Ok(_) => Ok(()),
        Err(lost) => Err(lost),
    };
    lost.map_err(|lost| {
        if finished {
            let text = format!(
                "the output is complete, but the state file could not be written: {lost}. The next run of this input would take this one for unfinished and use its answers; give it --restart to ask anew."
            );
            Failure::new(Exit::Broken, text)
        } else {
            state_lost(&lost.to_string())
        }
    })
}

/// Adds to the reason why a run ended early what its next start will find.
#[must_use]
pub fn outlook(failure: &Failure, keeps: bool) -> Failure {
    let outlook = if keeps {
        "what was answered is kept; the same command goes on from there"
    } else {
        "nothing is kept without a state file; the same command starts from the beginning"
    };
    Failure::new(failure.exit, format!("{:#}\n  {outlook}", failure.error))
}

/// What to say of what an earlier run left.
fn told(found: &Found, rows: Option<u64>) -> Option<String> {
    match *found {
        Found::Resumed { known, started } if known > 0 => {
            let most = rows.map_or(String::new(), |rows| format!(" of at most {}", grouped(rows)));
            Some(format!("resuming: {}{most} numbers known since {}", grouped(known), since(started)))
        }
        Found::Inherited { known, started } if known > 0 => Some(format!(
            "another input was not finished: its {} numbers, known since {}, are used where they occur here",
            grouped(known),
            since(started)
        )),
        _ => None,
    }
}

/// What to say where a state cannot be worked with.
#[must_use]
pub fn refused(path: &Path, error: &StateError) -> Failure {
    let way_out = match error {
        StateError::Lock(LockError::Held(_)) => {
            "Wait until it has ended, or give --wait to have this one wait; --state names another file, and --no-state uses none."
        }
        StateError::Absent => "Nothing was kept yet, or --state names another file.",
        StateError::Foreign => "Name another file with --state.",
        StateError::Newer(_) => "Use the newer dingmap, or name another file with --state.",
        StateError::Older(_) => {
            "Use the dingmap that wrote it and its `state export` to see what it knows, or name another file with --state."
        }
        StateError::Damaged(_) => {
            "The next `dingmap resolve` with this file sets it aside and begins a fresh one."
        }
        StateError::Lock(_) | StateError::Io(_) | StateError::Database(_) => {
            "Make room or mend what the system says, name another file with --state, or use --no-state, with which an interrupted run cannot go on."
        }
    };
    Failure::new(Exit::Broken, format!("state {}: {error}. {way_out}", path.display()))
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time of the past as people say it: the clock's for today, with the date for others.
#[must_use]
pub fn since(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default().to_zoned(TimeZone::system());
    let today = time.date() == Zoned::now().date();
    time.strftime(if today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_one_that_the_user_names_or_the_data_directory() {
        let at = |variables: &[(&str, &str)]| {
            let find = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            place(None, find).map(|place| place.path)
        };
        let default = Path::new("/h/.local/share/dingmap/state.redb");
        assert_eq!(at(&[("HOME", "/h")]).unwrap(), default);
        assert_eq!(at(&[("HOME", "/h"), ("XDG_DATA_HOME", "relative")]).unwrap(), default);
        assert_eq!(
            at(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]).unwrap(),
            Path::new("/d/dingmap/state.redb")
        );
        for none in [&[][..], &[("HOME", "")]] {
            let failure = at(none).unwrap_err();
            let text = failure.error.to_string();
            assert!(
                failure.exit == Exit::Usage && text.contains("--state") && text.contains("--no-state"),
                "{text}"
            );
        }
        assert!(place(Some(Path::new("s")), |_| None).unwrap().named);
    }

    #[test]
    fn what_was_found_is_told_where_it_is_worth_a_line() {
        let now = wall();
        let resumed = |known| Found::Resumed { known, started: now };
        let text = told(&resumed(48210), Some(100_000)).unwrap();
        assert!(text.starts_with("resuming: 48 210 of at most 100 000 numbers known since "), "{text}");
        assert!(told(&resumed(7), None).unwrap().starts_with("resuming: 7 numbers known since "));
        assert!(told(&resumed(0), Some(1)).is_none() && told(&Found::Nothing, Some(1)).is_none());
        assert!(since(0).starts_with("19") && since(now).len() == 5);
        assert_eq!([0, 999, 1000, 1_000_000].map(grouped), ["0", "999", "1 000", "1 000 000"]);
    }
}
