//! The state of a run: where it is, which answers in it belong to the app, and which earlier run is
//! resumed.

use std::fs::File;
use std::io;
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
use crate::app::commands::open_input;
use crate::app::commands::state::messages::{StateKind, resume_message, state_failure};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::{Level, Terminal};
use crate::app::signals::Signals;
use crate::engine::io::retry::RetryRules;
use crate::store::answers::Answers;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::{DiskStore, Flushed, wall_secs};
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::{self, EarlierRun, SessionRequest};
use crate::store::disk::writer::WriteError;
use crate::store::freshness::MaxAges;
use crate::store::scope::{Fingerprint, Scope};
use crate::table::digest::FileDigest;
use crate::table::source::Source;

/// What opening the state needs; owned, because a thread of its own opens it.
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

struct OpenedState {
    answers: Answers,
    /// Where a damaged state was moved to.
    damaged_path: Option<PathBuf>,
    earlier_run: EarlierRun,
}

/// Opens the state at `path`. If another process has it open and `should_wait` is set, prints that
/// it waits, and waits. `open` takes whether to wait.
///
/// # Errors
/// Those of `open`.
pub(crate) fn open_or_wait<T>(
    path: &Path,
    should_wait: bool,
    terminal: &Terminal,
    open: impl Fn(bool) -> Result<T, StateError>,
) -> Result<T, StateError> {
    match open(false) {
        Err(error @ StateError::Lock(LockError::InUse(_))) if should_wait => {
            terminal.print(&waiting_message(path, &error));
            open(true)
        }
        opened => opened,
    }
}

fn waiting_message(path: &Path, error: &StateError) -> String {
    tr!("waiting: the state {path} is {error}", path = path.display(), error)
}

/// Determines the state to open; `None` if answers are kept in memory only. `access` is `None` for
/// the built-in sandbox; `total_rows` is the count of a regular file.
///
/// # Errors
/// Usage (2) if there is no directory for the state; input (3) if the input cannot be read;
/// interrupted, by a signal.
pub(crate) async fn plan_state(
    args: &ResolveArgs,
    access: Option<&ApiConfig>,
    source: &Source,
    total_rows: Option<u64>,
    signals: &mut Signals,
) -> Result<Option<StateOptions>, Failure> {
    let location = run_state_path(&args.state, access.is_none(), |name| std::env::var_os(name))?;
    let Some(location) = location else { return Ok(None) };
    let mut fingerprint = start_fingerprint(&args.reader, &args.numbers, &args.sharding, source);
    // An ordinary run has the fingerprint of earlier versions.
    if args.retry_failed {
        let rules = RetryRules::new(&args.retry);
        for status in rules.statuses() {
            fingerprint = fingerprint.with("retry", status.name().as_bytes());
        }
    }
    let input = args.input.clone();
    let finish = move || finish_fingerprint(fingerprint, &input, total_rows.is_some());
    let fingerprint =
        signals.run_blocking(finish, tr!("interrupted before the first call")).await??;
    Ok(Some(StateOptions {
        location,
        should_wait: args.state.wait,
        restart: args.state.restart,
        ages: ages_from_args(&args.state),
        scope: scope_from_access(&args.api, access),
        fingerprint,
        total_rows,
    }))
}

/// Where the answers of a run are kept.
#[must_use]
pub(crate) fn state_kind(options: Option<&StateOptions>) -> StateKind {
    match options {
        None => StateKind::None,
        Some(options) if options.restart => StateKind::Restart,
        Some(options) if options.scope.is_token_only() => StateKind::TokenOnly,
        Some(_) => StateKind::Persistent,
    }
}

/// The ages up to which answers of finished runs are reused.
#[must_use]
pub(crate) fn ages_from_args(state: &StateArgs) -> MaxAges {
    if state.restart {
        MaxAges::default()
    } else {
        MaxAges { any: state.max_age, without_user: state.max_age_not_found }
    }
}

/// The scope of the answers of a run: endpoint, app, and how it asks. `access` is `None` for the
/// built-in sandbox.
#[must_use]
pub(crate) fn scope_from_access(api: &ApiArgs, access: Option<&ApiConfig>) -> Scope {
    match access {
        // Without the port, which changes from run to run.
        None => scope_from_app(api, "sandbox", "sandbox".to_owned()),
        Some(ApiConfig { endpoint, credentials, app_key: app, .. }) => {
            let app = match (credentials, app) {
                (Credentials::App { key, .. }, _) | (_, Some(key)) => key.clone(),
                (Credentials::Token(token), None) => Scope::app_from_token(token.expose_secret()),
            };
            scope_from_app(api, endpoint.as_str(), app)
        }
    }
}

/// The scope of the answers of this endpoint and app, asked as the flags say.
#[must_use]
pub(crate) fn scope_from_app(api: &ApiArgs, endpoint: &str, app: String) -> Scope {
    Scope {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        app,
        exclusive: api.exclusive_accounts,
        prefixed: api.mainland == MainlandChoice::Prefixed,
    }
}

/// What identifies a run that is resumed: its input, and the flags that change which numbers it
/// has. A stream is identified by its name and its layout, because its content cannot be read in
/// advance; `is_regular` says that the input is a file.
///
/// # Errors
/// Input (3) if the input cannot be read.
pub(crate) fn compute_fingerprint(
    input: &Path,
    reader: &ReaderArgs,
    numbers: &NumberArgs,
    sharding: &ShardArgs,
    source: &Source,
    is_regular: bool,
) -> Result<String, Failure> {
    finish_fingerprint(start_fingerprint(reader, numbers, sharding, source), input, is_regular)
}

/// The part of the fingerprint that says how the input is read.
fn start_fingerprint(
    reader: &ReaderArgs,
    numbers: &NumberArgs,
    sharding: &ShardArgs,
    source: &Source,
) -> Fingerprint {
    let dialect = source.dialect();
    let mut fingerprint = Fingerprint::new("run");
    for column in source.columns() {
        fingerprint = fingerprint
            .with("column", column.index.to_string().as_bytes())
            .with("name", column.name.as_deref().unwrap_or_default().as_bytes());
    }
    for country in source.country_columns() {
        let index =
            country.certain.as_ref().map_or_else(String::new, |column| column.index.to_string());
        // A table without country columns has the fingerprint of earlier versions.
        if !index.is_empty() {
            fingerprint = fingerprint.with("country", index.as_bytes());
        }
    }
    if let Some(shard) = sharding.shard {
        fingerprint = fingerprint.with("shard", shard.to_string().as_bytes());
    }
    fingerprint
        .with("encoding", dialect.encoding.to_string().as_bytes())
        .with("skipped", reader.skip_lines.unwrap_or(0).to_string().as_bytes())
        .with("delimiter", dialect.delimiter.to_string().as_bytes())
        .with("headers", &[dialect.has_headers.into()])
        .with("sheet", reader.sheet.as_deref().unwrap_or_default().as_bytes())
        .with("region", format!("Home({})", numbers.region).as_bytes())
        .with("strict", &[u8::from(numbers.strict_numbers == OnOff::On)])
}

/// Adds the content of the input, which is read to its end.
fn finish_fingerprint(
    fingerprint: Fingerprint,
    input: &Path,
    is_regular: bool,
) -> Result<String, Failure> {
    if !is_regular {
        return Ok(fingerprint.with("stream", input.as_os_str().as_encoded_bytes()).to_string());
    }
    let unreadable = |error: io::Error| open_input::unreadable_input(input, error);
    let file = File::open(input).map_err(unreadable)?;
    Ok(fingerprint.with_content(file).map_err(unreadable)?.to_string())
}

/// Why a run failed, and when.
pub(crate) struct RunFailure {
    pub failure: Failure,
    pub stage: Stage,
}

/// How far a run came, which decides which reports it writes.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// Another run has the state: the reports are those of that run.
    Refused,
    /// The run ended before it could call.
    NotStarted,
    Started,
}

impl RunFailure {
    pub(crate) fn after_start(failure: Failure) -> Self {
        Self { failure, stage: Stage::Started }
    }
}

impl From<Failure> for RunFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, stage: Stage::NotStarted }
    }
}

/// Opens the state and prints what was found in it; without `options`, answers are kept in memory.
///
/// # Errors
/// Error (1) if the state cannot be used, with what to do; interrupted, by a signal.
pub(crate) async fn open_state(
    options: Option<StateOptions>,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<Answers, RunFailure> {
    let Some(options) = options else { return Ok(Answers::default()) };
    let path = &options.location.path;
    let mut opened = open_on_thread(&options, false, signals).await;
    let mut stage = Stage::NotStarted;
    if let Err(OpenError::State(error @ StateError::Lock(LockError::InUse(_)))) = &opened {
        stage = Stage::Refused;
        if options.should_wait {
            terminal.print(&waiting_message(path, error));
            opened = open_on_thread(&options, true, signals).await;
            // The other run is still working, unless the wait has ended.
            if !matches!(opened, Err(OpenError::Interrupted(_))) {
                stage = Stage::NotStarted;
            }
        }
    }
    let OpenedState { answers, damaged_path, earlier_run } = opened.map_err(|error| {
        let failure = match error {
            OpenError::State(error) => state_failure(path, &error),
            OpenError::Interrupted(failure) => failure,
        };
        RunFailure { failure, stage }
    })?;
    if let Some(damaged_path) = damaged_path {
        let warning = tr!(
            "the state file {path} was damaged and is set aside as {aside}; a new one replaces it. \
             Numbers that earlier or interrupted runs resolved will be asked again.",
            path = path.display(),
            aside = damaged_path.display()
        );
        terminal.print_always(Level::Warning, &warning);
    }
    if let Some(message) = resume_message(&earlier_run, options.total_rows) {
        terminal.print(&message);
    }
    Ok(answers)
}

/// Why the state was not opened.
enum OpenError {
    State(StateError),
    /// A signal, or a panic of the thread.
    Interrupted(Failure),
}

/// Opens the state on a thread, because it checks the whole file, which may take seconds, and may
/// wait without a bound.
async fn open_on_thread(
    options: &StateOptions,
    should_wait: bool,
    signals: &mut Signals,
) -> Result<OpenedState, OpenError> {
    let options = options.clone();
    let open = move || open_blocking(&options, should_wait);
    let opened = signals.run_blocking(open, tr!("interrupted before the first call")).await;
    opened.map_err(OpenError::Interrupted)?.map_err(OpenError::State)
}

fn open_blocking(options: &StateOptions, should_wait: bool) -> Result<OpenedState, StateError> {
    let (state, damaged_path) =
        State::open(&options.location.path, !options.location.is_explicit, should_wait)?;
    let request = SessionRequest {
        scope: &options.scope,
        fingerprint: &options.fingerprint,
        restart: options.restart,
        rows: options.total_rows,
        now: wall_secs(),
    };
    let session = sessions::begin_session(&state, request)?;
    let earlier_run = session.earlier.clone();
    let store = DiskStore::start(state, session, options.ages, wall_secs)?;
    Ok(OpenedState { answers: Answers::with_disk(store), damaged_path, earlier_run })
}

/// What became of the answers of a run.
pub(crate) enum FlushedAnswers {
    /// They were in memory only.
    NotKept,
    /// All of them are on disk.
    OnDisk(Flushed),
    Failed(WriteError),
}

impl FlushedAnswers {
    pub(crate) fn write_error(&self) -> Option<&WriteError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }

    /// The digest of what a run last wrote to the file; `None` too if that cannot be read.
    pub(crate) fn recorded_output(&self, path: &Path) -> Option<FileDigest> {
        let Self::OnDisk(session) = self else { return None };
        session.recorded_output(path).ok().flatten()
    }

    /// Whether the state has the answers to all numbers of a resolved file.
    pub(crate) fn has_written(&self, path: &Path) -> Result<bool, WriteError> {
        match self {
            Self::OnDisk(session) => {
                session.has_written(path).map_err(|error| WriteError(error.to_string()))
            }
            Self::NotKept => Ok(false),
            Self::Failed(error) => Err(error.clone()),
        }
    }

    /// Records what was written to the output, if `digest` is known, and whether the state has the
    /// answers to all numbers in it.
    pub(crate) fn record_output(
        &self,
        path: &Path,
        digest: Option<&FileDigest>,
        has_all_answers: bool,
    ) -> Result<(), WriteError> {
        match self {
            Self::OnDisk(session) => session.record_output(path, digest, has_all_answers),
            Self::NotKept => Ok(()),
            Self::Failed(error) => Err(error.clone()),
        }
    }

    /// Closes the session of a finished run, so that the next run asks again.
    ///
    /// # Errors
    /// Error (1) if the state could not be written.
    pub(crate) fn finish_session(self) -> Result<(), Failure> {
        let result = match self {
            Self::OnDisk(session) => session.finish(),
            Self::NotKept => Ok(()),
            Self::Failed(error) => Err(error),
        };
        result.map_err(|error| {
            let text = tr!(
                "the output is complete, but the state file could not be written: {cause}. The \
                 next run of this input will take this one for unfinished and reuse its answers; \
                 use --restart to ask again.",
                cause = error
            );
            Failure::with_message(Exit::Error, text)
        })
    }
}

/// Waits until all answers are on disk.
///
/// # Errors
/// Interrupted, by a signal; committed answers are safe.
pub(crate) async fn flush(
    answers: Answers,
    signals: &mut Signals,
) -> Result<FlushedAnswers, Failure> {
    let close = tokio::task::spawn_blocking(move || answers.close());
    tokio::select! {
        biased;
        closed = close => {
            let closed = closed.map_err(|error| Failure::from_error(Exit::Error, error))?;
            Ok(match closed {
                Ok(None) => FlushedAnswers::NotKept,
                Ok(Some(session)) => FlushedAnswers::OnDisk(session),
                Err(error) => FlushedAnswers::Failed(error),
            })
        }
        signal = signals.recv() => {
            let text = tr!("interrupted while writing the last answers");
            Err(Failure::with_message(Exit::Interrupted(signal), text))
        }
    }
}
