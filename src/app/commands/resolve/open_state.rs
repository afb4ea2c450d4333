//! What a run knows before its first call: where the state is, whose answers and which run are meant, and what people
//! are told about what was found there.

use std::fs::File;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tr::tr;

use crate::api::token::Credentials;
use crate::app::cli::args::Resolve;
use crate::app::cli::input_args::{Directory, Mainland, Numbers, Part, Reading, Switch};
use crate::app::cli::options::Access;
use crate::app::cli::paths::{Place, kept};
use crate::app::cli::shared_args::Keep;
use crate::app::commands::state::messages::{Memory, refused, told};
use crate::app::exit::{Exit, Failure, state_lost};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::store::answers::Known;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::{Disk, Settled, wall};
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::{self, Found, Wish};
use crate::store::disk::writer::Lost;
use crate::store::freshness::Ages;
use crate::store::scope::{Fingerprint, Scope};
use crate::table::source::Source;

/// Everything that opening the state takes, so that a thread of its own can do it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    place: Place,
    waits: bool,
    restart: bool,
    ages: Ages,
    scope: Scope,
    fingerprint: String,
    rows: Option<u64>,
}

/// What was opened.
struct Opened {
    known: Known,
    /// Where a damaged state now lies.
    aside: Option<PathBuf>,
    found: Found,
}

/// Opens the state at `path`: where another process has it and `waits` says so, says that it waits, and does.
///
/// # Errors
/// What `open` says, which is told whether to wait.
pub(crate) fn patiently<T>(
    path: &Path,
    waits: bool,
    terminal: &Terminal,
    open: impl Fn(bool) -> Result<T, StateError>,
) -> Result<T, StateError> {
    match open(false) {
        Err(error @ StateError::Lock(LockError::Held(_))) if waits => {
            terminal.say(&held(path, &error));
            open(true)
        }
        opened => opened,
    }
}

fn held(path: &Path, error: &StateError) -> String {
    tr!("waiting: the state {path} is {error}", path = path.display(), error)
}

/// What is to be opened; none where answers are kept in memory alone. `access` is the API's, none for the built-in
/// emulation, and `rows` what the input has, where it was looked through.
///
/// # Errors
/// Usage (2) where there is no place; unreadable (3) where the input cannot be read; interrupted, by a signal.
pub(crate) async fn plan(
    args: &Resolve,
    access: Option<&Access>,
    source: &Source,
    rows: Option<u64>,
    signals: &mut Signals,
) -> Result<Option<Plan>, Failure> {
    let place = kept(&args.keep, access.is_none(), |name| std::env::var_os(name));
    let Some(place) = place.transpose()? else { return Ok(None) };
    let (print, input) =
        (begun(&args.reading, &args.numbers, &args.part, source), args.input.clone());
    let completing = move || completed(print, &input, rows.is_some());
    let fingerprint =
        signals.during(completing, tr!("interrupted before the first call")).await??;
    Ok(Some(Plan {
        place,
        waits: args.keep.wait,
        restart: args.keep.restart,
        ages: ages(&args.keep),
        scope: answers(&args.directory, access),
        fingerprint,
        rows,
    }))
}

/// What becomes of the answers of a run with this plan.
#[must_use]
pub(crate) fn memory(plan: Option<&Plan>) -> Memory {
    match plan {
        None => Memory::None,
        Some(plan) if plan.restart => Memory::Restart,
        Some(plan) if plan.scope.is_of_token() => Memory::Token,
        Some(_) => Memory::Kept,
    }
}

/// How old the answers of finished runs may be that a run uses.
#[must_use]
pub(crate) fn ages(keep: &Keep) -> Ages {
    if keep.restart {
        Ages::default()
    } else {
        Ages { any: keep.max_age, nobody: keep.max_age_not_found }
    }
}

/// Whose answers a run has: those of the API that it asks, or of an emulation, and how it asks.
#[must_use]
pub(crate) fn answers(directory: &Directory, access: Option<&Access>) -> Scope {
    match access {
        // Its port changes from run to run.
        None => scope(directory, "sandbox", "sandbox".to_owned()),
        Some(Access { endpoint, credentials, app, .. }) => {
            let app = match (credentials, app) {
                (Credentials::App { key, .. }, _) | (_, Some(key)) => key.clone(),
                (Credentials::Token(token), None) => Scope::of_token(token.expose_secret()),
            };
            scope(directory, endpoint.as_str(), app)
        }
    }
}

/// Whose answers: those of this endpoint and app, asked as the flags say.
#[must_use]
pub(crate) fn scope(directory: &Directory, endpoint: &str, app: String) -> Scope {
    Scope {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        app,
        exclusive: directory.exclusive_accounts,
        prefixed: directory.mainland == Mainland::Prefixed,
    }
}

/// By what the run is known again: its input and what changes the answers to it. A stream is known by what stands before
/// its first row, since all of it cannot be had before; `regular` says that it is none.
///
/// # Errors
/// Unreadable (3).
pub(crate) fn fingerprint(
    input: &Path,
    reading: &Reading,
    numbers: &Numbers,
    part: &Part,
    source: &Source,
    regular: bool,
) -> Result<String, Failure> {
    completed(begun(reading, numbers, part, source), input, regular)
}

/// That of how the input is read, and of which rows.
fn begun(reading: &Reading, numbers: &Numbers, part: &Part, source: &Source) -> Fingerprint {
    let dialect = source.dialect();
    let mut print = Fingerprint::of("run");
    for column in source.columns() {
        print = print
            .and("column", column.index.to_string().as_bytes())
            .and("name", column.name.as_deref().unwrap_or_default().as_bytes());
    }
    if let Some(shard) = part.shard {
        print = print.and("shard", shard.to_string().as_bytes());
    }
    print
        .and("encoding", dialect.encoding.to_string().as_bytes())
        .and("skipped", reading.skip_lines.to_string().as_bytes())
        .and("delimiter", &[dialect.delimiter])
        .and("headers", &[dialect.headers.into()])
        .and("sheet", reading.sheet.as_deref().unwrap_or_default().as_bytes())
        .and("region", format!("{:?}", numbers.region).as_bytes())
        .and("strict", &[u8::from(numbers.strict_numbers == Switch::On)])
}

/// With the input itself, which is read from end to end.
fn completed(print: Fingerprint, input: &Path, regular: bool) -> Result<String, Failure> {
    let print = if regular {
        let unreadable = |error| Failure {
            exit: Exit::Input,
            error: anyhow::Error::new(error).context(text::name(input)),
        };
        File::open(input).and_then(|file| print.and_all(file)).map_err(unreadable)?
    } else {
        print.and("stream", input.as_os_str().as_encoded_bytes())
    };
    Ok(print.to_string())
}

/// What a run knows as it begins: what the state has, and nothing where there is no plan for one. Says what was found.
///
/// # Errors
/// Unexpected (1) where the state cannot be worked with, with what to do; interrupted, by a signal.
pub(crate) async fn begin(
    plan: Option<Plan>,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<Known, Failure> {
    let Some(plan) = plan else { return Ok(Known::default()) };
    let (path, rows) = (&plan.place.path, plan.rows);
    let opened = match opened(&plan, false, signals).await? {
        Err(error @ StateError::Lock(LockError::Held(_))) if plan.waits => {
            terminal.say(&held(path, &error));
            opened(&plan, true, signals).await?
        }
        opened => opened,
    };
    let Opened { known, aside, found } = opened.map_err(|error| refused(path, &error))?;
    if let Some(aside) = aside {
        terminal.complain(&tr!(
            "the state file {path} was damaged and is set aside as {aside}; a fresh one takes its place. What it knew of earlier and interrupted runs is asked again.",
            path = path.display(),
            aside = aside.display()
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
    signals.during(move || open(&plan, waits), tr!("interrupted before the first call")).await
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
    let begun = sessions::begin(&state, wish)?;
    let found = begun.found.clone();
    Ok(Opened { known: Known::on(Disk::start(state, begun, plan.ages, wall)?), aside, found })
}

/// Waits until what was answered is on disk: a run that can be finished, where answers are kept and were.
///
/// # Errors
/// Interrupted, by a signal; what was committed is safe.
pub(crate) async fn settle(
    known: Known,
    signals: &mut Signals,
) -> Result<Result<Option<Settled>, Lost>, Failure> {
    let closing = tokio::task::spawn_blocking(move || known.close());
    tokio::select! {
        biased;
        closed = closing => closed.map_err(|error| Failure::of(Exit::Broken, error)),
        signal = signals.next() => {
            Err(Failure::new(Exit::Interrupted(signal), tr!("interrupted while the last answers were written")))
        }
    }
}

/// Finishes a run that has, once its output is complete, so that the next one asks anew.
///
/// # Errors
/// Unexpected (1) where the state could not be written.
pub(crate) fn finish(
    settled: Result<Option<Settled>, Lost>,
    finished: bool,
) -> Result<(), Failure> {
    let lost = match settled {
        Ok(Some(run)) if finished => run.finish(),
        Ok(_) => Ok(()),
        Err(lost) => Err(lost),
    };
    lost.map_err(|lost| {
        if finished {
            let text = tr!(
                "the output is complete, but the state file could not be written: {cause}. The next run of this input would take this one for unfinished and use its answers; give it --restart to ask anew.",
                cause = lost
            );
            Failure::new(Exit::Broken, text)
        } else {
            state_lost(&lost.to_string())
        }
    })
}
