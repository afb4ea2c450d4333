//! What a run knows before its first call: where the state is, whose answers and which run are meant, and what people
//! are told about what was found there.

use std::fs::File;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tr::tr;

use crate::api::token::Credentials;
use crate::app::cli::args::ResolveArgs;
use crate::app::cli::input_args::{
    ApiArgs, MainlandChoice, NumberArgs, OnOff, ReaderArgs, ShardArgs,
};
use crate::app::cli::options::ApiConfig;
use crate::app::cli::paths::{StatePath, run_state_path};
use crate::app::cli::shared_args::StateArgs;
use crate::app::commands::state::messages::{StateKind, resume_message, state_failure};
use crate::app::exit::{Exit, Failure, state_write_failure};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::store::answers::Answers;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::{DiskStore, Flushed, wall_secs};
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::{self, EarlierRun, SessionRequest};
use crate::store::disk::writer::WriteError;
use crate::store::freshness::MaxAges;
use crate::store::scope::{Fingerprint, Scope};
use crate::table::source::Source;

/// Everything that opening the state takes, so that a thread of its own can do it.
#[derive(Clone, Debug)]
pub(crate) struct StateOptions {
    location: StatePath,
    should_wait: bool,
    restart: bool,
    ages: MaxAges,
    scope: Scope,
    fingerprint: String,
    total_rows: Option<u64>,
}

/// What was opened.
struct OpenedState {
    answers: Answers,
    /// Where a damaged state now lies.
    damaged_path: Option<PathBuf>,
    earlier_run: EarlierRun,
}

/// Opens the state at `path`: where another process has it and `waits` says so, says that it waits, and does.
///
/// # Errors
/// What `open` says, which is told whether to wait.
pub(crate) fn open_or_wait<T>(
    path: &Path,
    waits: bool,
    terminal: &Terminal,
    open: impl Fn(bool) -> Result<T, StateError>,
) -> Result<T, StateError> {
    match open(false) {
        Err(error @ StateError::Lock(LockError::InUse(_))) if waits => {
            terminal.print(&waiting_message(path, &error));
            open(true)
        }
        opened => opened,
    }
}

fn waiting_message(path: &Path, error: &StateError) -> String {
    tr!("waiting: the state {path} is {error}", path = path.display(), error)
}

/// What is to be opened; none where answers are kept in memory alone. `access` is the API's, none for the built-in
/// emulation, and `rows` what the input has, where it was looked through.
///
/// # Errors
/// Usage (2) where there is no place; unreadable (3) where the input cannot be read; interrupted, by a signal.
pub(crate) async fn plan_state(
    args: &ResolveArgs,
    access: Option<&ApiConfig>,
    source: &Source,
    rows: Option<u64>,
    signals: &mut Signals,
) -> Result<Option<StateOptions>, Failure> {
    let place = run_state_path(&args.state, access.is_none(), |name| std::env::var_os(name));
    let Some(place) = place.transpose()? else { return Ok(None) };
    let (print, input) = (
        start_fingerprint(&args.reader, &args.numbers, &args.sharding, source),
        args.input.clone(),
    );
    let completing = move || finish_fingerprint(print, &input, rows.is_some());
    let fingerprint =
        signals.run_blocking(completing, tr!("interrupted before the first call")).await??;
    Ok(Some(StateOptions {
        location: place,
        should_wait: args.state.wait,
        restart: args.state.restart,
        ages: ages_from_args(&args.state),
        scope: scope_from_access(&args.api, access),
        fingerprint,
        total_rows: rows,
    }))
}

/// What becomes of the answers of a run with this plan.
#[must_use]
pub(crate) fn state_kind(plan: Option<&StateOptions>) -> StateKind {
    match plan {
        None => StateKind::None,
        Some(plan) if plan.restart => StateKind::Restart,
        Some(plan) if plan.scope.is_token_only() => StateKind::TokenOnly,
        Some(_) => StateKind::Persistent,
    }
}

/// How old the answers of finished runs may be that a run uses.
#[must_use]
pub(crate) fn ages_from_args(keep: &StateArgs) -> MaxAges {
    if keep.restart {
        MaxAges::default()
    } else {
        MaxAges { any: keep.max_age, without_user: keep.max_age_not_found }
    }
}

/// Whose answers a run has: those of the API that it asks, or of an emulation, and how it asks.
#[must_use]
pub(crate) fn scope_from_access(directory: &ApiArgs, access: Option<&ApiConfig>) -> Scope {
    match access {
        // Its port changes from run to run.
        None => scope_from_app(directory, "sandbox", "sandbox".to_owned()),
        Some(ApiConfig { endpoint, credentials, app_key: app, .. }) => {
            let app = match (credentials, app) {
                (Credentials::App { key, .. }, _) | (_, Some(key)) => key.clone(),
                (Credentials::Token(token), None) => Scope::app_from_token(token.expose_secret()),
            };
            scope_from_app(directory, endpoint.as_str(), app)
        }
    }
}

/// Whose answers: those of this endpoint and app, asked as the flags say.
#[must_use]
pub(crate) fn scope_from_app(directory: &ApiArgs, endpoint: &str, app: String) -> Scope {
    Scope {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        app,
        exclusive: directory.exclusive_accounts,
        prefixed: directory.mainland == MainlandChoice::Prefixed,
    }
}

/// By what the run is known again: its input and what changes the answers to it. A stream is known by what stands before
/// its first row, since all of it cannot be had before; `regular` says that it is none.
///
/// # Errors
/// Unreadable (3).
pub(crate) fn compute_fingerprint(
    input: &Path,
    reading: &ReaderArgs,
    numbers: &NumberArgs,
    part: &ShardArgs,
    source: &Source,
    regular: bool,
) -> Result<String, Failure> {
    finish_fingerprint(start_fingerprint(reading, numbers, part, source), input, regular)
}

/// That of how the input is read, and of which rows.
fn start_fingerprint(
    reading: &ReaderArgs,
    numbers: &NumberArgs,
    part: &ShardArgs,
    source: &Source,
) -> Fingerprint {
    let dialect = source.dialect();
    let mut print = Fingerprint::new("run");
    for column in source.columns() {
        print = print
            .with("column", column.index.to_string().as_bytes())
            .with("name", column.name.as_deref().unwrap_or_default().as_bytes());
    }
    if let Some(shard) = part.shard {
        print = print.with("shard", shard.to_string().as_bytes());
    }
    print
        .with("encoding", dialect.encoding.to_string().as_bytes())
        .with("skipped", reading.skip_lines.to_string().as_bytes())
        .with("delimiter", &[dialect.delimiter])
        .with("headers", &[dialect.has_headers.into()])
        .with("sheet", reading.sheet.as_deref().unwrap_or_default().as_bytes())
        .with("region", format!("Home({})", numbers.region).as_bytes())
        .with("strict", &[u8::from(numbers.strict_numbers == OnOff::On)])
}

/// With the input itself, which is read from end to end.
fn finish_fingerprint(print: Fingerprint, input: &Path, regular: bool) -> Result<String, Failure> {
    let print = if regular {
        let unreadable = |error| Failure {
            exit: Exit::Input,
            error: anyhow::Error::new(error).context(text::input_name(input)),
        };
        File::open(input).and_then(|file| print.with_content(file)).map_err(unreadable)?
    } else {
        print.with("stream", input.as_os_str().as_encoded_bytes())
    };
    Ok(print.to_string())
}

/// What a run knows as it begins: what the state has, and nothing where there is no plan for one. Says what was found.
///
/// # Errors
/// Unexpected (1) where the state cannot be worked with, with what to do; interrupted, by a signal.
pub(crate) async fn open_state(
    plan: Option<StateOptions>,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<Answers, Failure> {
    let Some(plan) = plan else { return Ok(Answers::default()) };
    let (path, rows) = (&plan.location.path, plan.total_rows);
    let opened = match open_on_thread(&plan, false, signals).await? {
        Err(error @ StateError::Lock(LockError::InUse(_))) if plan.should_wait => {
            terminal.print(&waiting_message(path, &error));
            open_on_thread(&plan, true, signals).await?
        }
        opened => opened,
    };
    let OpenedState { answers: known, damaged_path: aside, earlier_run: found } =
        opened.map_err(|error| state_failure(path, &error))?;
    if let Some(aside) = aside {
        terminal.print_error(&tr!(
            "the state file {path} was damaged and is set aside as {aside}; a fresh one takes its place. What it knew of earlier and interrupted runs is asked again.",
            path = path.display(),
            aside = aside.display()
        ));
    }
    if let Some(remark) = resume_message(&found, rows) {
        terminal.print(&remark);
    }
    Ok(known)
}

/// Opens the state on a thread of its own: the whole file is checked, which may take seconds, and waiting has no bound.
async fn open_on_thread(
    plan: &StateOptions,
    waits: bool,
    signals: &mut Signals,
) -> Result<Result<OpenedState, StateError>, Failure> {
    let plan = plan.clone();
    signals
        .run_blocking(move || open_blocking(&plan, waits), tr!("interrupted before the first call"))
        .await
}

fn open_blocking(plan: &StateOptions, waits: bool) -> Result<OpenedState, StateError> {
    let (state, aside) = State::open(&plan.location.path, !plan.location.is_explicit, waits)?;
    let wish = SessionRequest {
        scope: &plan.scope,
        fingerprint: &plan.fingerprint,
        restart: plan.restart,
        rows: plan.total_rows,
        now: wall_secs(),
    };
    let begun = sessions::begin_session(&state, wish)?;
    let found = begun.earlier.clone();
    Ok(OpenedState {
        answers: Answers::with_disk(DiskStore::start(state, begun, plan.ages, wall_secs)?),
        damaged_path: aside,
        earlier_run: found,
    })
}

/// Waits until what was answered is on disk: a run that can be finished, where answers are kept and were.
///
/// # Errors
/// Interrupted, by a signal; what was committed is safe.
pub(crate) async fn flush(
    known: Answers,
    signals: &mut Signals,
) -> Result<Result<Option<Flushed>, WriteError>, Failure> {
    let closing = tokio::task::spawn_blocking(move || known.close());
    tokio::select! {
        biased;
        closed = closing => closed.map_err(|error| Failure::from_error(Exit::Error, error)),
        signal = signals.recv() => {
            Err(Failure::with_message(Exit::Interrupted(signal), tr!("interrupted while the last answers were written")))
        }
    }
}

/// Finishes a run that has, once its output is complete, so that the next one asks anew.
///
/// # Errors
/// Unexpected (1) where the state could not be written.
pub(crate) fn finish_session(
    settled: Result<Option<Flushed>, WriteError>,
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
            Failure::with_message(Exit::Error, text)
        } else {
            state_write_failure(&lost.to_string())
        }
    })
}
