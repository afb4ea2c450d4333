//! What a run would know if it began now: the state is looked at as the run would find it, and stays as it is. Owns which
//! ground such knowledge stands on, and why there is none. Leaves where the state is and which run is meant to `recall`.

use std::ffi::OsString;

use tr::tr;

use crate::app::cli::args::PlanArgs;
use crate::app::cli::network;
use crate::app::cli::options;
use crate::app::cli::paths;
use crate::app::commands::plan::count::InputCounts;
use crate::app::commands::resolve::open_state;
use crate::app::commands::state::messages::state_failure;
use crate::app::exit::Failure;
use crate::app::progress::terminal::Terminal;
use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::wall_secs;
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::{EarlierRun, SessionRequest, preview_session};
use crate::store::disk::usable::CommittedAnswers;
use crate::store::freshness::Freshness;
use crate::store::scope::Scope;
use crate::table::source::Source;

/// What a run would know.
#[derive(Debug)]
pub(crate) struct KnownNumbers {
    /// Why it would know that, or nothing.
    pub availability: StateAvailability,
    /// How many of the rows' distinct first numbers it would know.
    pub first: u64,
    /// How many of the numbers that stand behind first ones alone.
    pub further: u64,
}

/// Why a run would know something, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StateAvailability {
    /// It is to keep nothing.
    Disabled,
    /// It is to ask for everything anew.
    Restart,
    /// Nobody says for which app it would ask.
    NoApp,
    /// There is no state yet.
    Absent,
    /// Another process works with the state.
    InUse,
    /// The state cannot be worked with.
    Unusable,
    /// The state was looked at, and this was found.
    Inspected(EarlierRun),
}

/// What a run of this input would know if it began now. Complains where the state cannot be looked at.
///
/// # Errors
/// Usage (2) for an endpoint that cannot be meant and where there is no place for a state; unreadable (3) where the input
/// cannot be read once more; unexpected (1) for a state file that no run would work with.
pub(crate) fn find_known(
    args: &PlanArgs,
    source: &Source,
    regular: bool,
    tally: &InputCounts,
    terminal: &Terminal,
) -> Result<KnownNumbers, Failure> {
    let nothing = |ground| Ok(KnownNumbers { availability: ground, first: 0, further: 0 });
    let scope = scope_from_args(args, |name| std::env::var_os(name))?;
    if args.state.no_state {
        return nothing(StateAvailability::Disabled);
    }
    if args.state.restart {
        return nothing(StateAvailability::Restart);
    }
    let Some(scope) = scope else { return nothing(StateAvailability::NoApp) };
    let path = paths::state_path(args.state.state.as_deref(), |name| std::env::var_os(name))?.path;
    let looked = open_state::open_or_wait(&path, args.state.wait, terminal, |waits| {
        State::open_read_only(&path, waits)
    });
    let state = match looked {
        Ok(state) => state,
        Err(StateError::NotFound) => return nothing(StateAvailability::Absent),
        // A run would not begin with such a file either, so that there is nothing to plan.
        Err(error @ (StateError::NotStateFile | StateError::TooNew(_) | StateError::TooOld(_))) => {
            return Err(state_failure(&path, &error));
        }
        Err(error) => {
            let text = format!("{:#}", state_failure(&path, &error).error);
            terminal.print_error(&format!(
                "{text}\n  {}",
                tr!("The plan is made as if nothing were known.")
            ));
            let held = matches!(error, StateError::Lock(LockError::InUse(_)));
            return nothing(if held {
                StateAvailability::InUse
            } else {
                StateAvailability::Unusable
            });
        }
    };
    let fingerprint = open_state::compute_fingerprint(
        &args.input,
        &args.reader,
        &args.numbers,
        &args.sharding,
        source,
        regular,
    )?;
    let wish = SessionRequest {
        scope: &scope,
        fingerprint: &fingerprint,
        restart: false,
        rows: regular.then_some(tally.rows),
        now: wall_secs(),
    };
    inspect_state(&state, wish, args, tally).or_else(|error| {
        terminal.print_error(&format!("{:#}", state_failure(&path, &error).error));
        nothing(StateAvailability::Unusable)
    })
}

fn inspect_state(
    state: &State,
    wish: SessionRequest<'_>,
    args: &PlanArgs,
    tally: &InputCounts,
) -> Result<KnownNumbers, StateError> {
    let Some(begun) = preview_session(state, wish)? else {
        return Ok(KnownNumbers {
            availability: StateAvailability::Inspected(EarlierRun::None),
            first: 0,
            further: 0,
        });
    };
    let rule = Freshness {
        first_session: begun.first_session,
        max_ages: open_state::ages_from_args(&args.state),
    };
    let usable = CommittedAnswers::open(state, begun.scope, rule)?;
    Ok(KnownNumbers {
        first: count_known(&usable, tally.first_numbers(), wish.now)?,
        further: count_known(&usable, tally.further_numbers(), wish.now)?,
        availability: StateAvailability::Inspected(begun.earlier),
    })
}

/// How many of these numbers have an answer that may be used at `now`.
fn count_known(
    usable: &CommittedAnswers,
    mut numbers: impl Iterator<Item = Mobile>,
    now: i64,
) -> Result<u64, StateError> {
    numbers.try_fold(0, |known, mobile| Ok(known + u64::from(usable.get(mobile, now)?.is_some())))
}

/// Whose answers the run would use; none where neither an app nor a token is named. The app's secret says nothing of that,
/// and of a token no more than its digest is taken.
fn scope_from_args(
    args: &PlanArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Scope>, Failure> {
    // Nothing is sent, so nothing can be read on the way.
    let endpoint = network::parse_endpoint(&args.api.endpoint, true)?;
    let app = match options::app_key(&args.api, &variable)? {
        Some(key) => Some(key),
        None => {
            options::access_token_from_env(&variable)?.map(|token| Scope::app_from_token(&token))
        }
    };
    Ok(app.map(|app| open_state::scope_from_app(&args.api, endpoint.as_str(), app)))
}
