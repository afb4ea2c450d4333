//! What a run would know if it began now: the state is looked at as the run would find it, and stays as it is. Owns which
//! ground such knowledge stands on, and why there is none. Leaves where the state is and which run is meant to `recall`.

use std::ffi::OsString;

use tr::tr;

use crate::app::cli::args::Plan;
use crate::app::cli::network;
use crate::app::cli::options;
use crate::app::cli::paths;
use crate::app::commands::plan::count::Tally;
use crate::app::commands::resolve::open_state;
use crate::app::commands::state::messages::refused;
use crate::app::exit::Failure;
use crate::app::progress::terminal::Terminal;
use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::wall;
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::{Found, Wish, foreseen};
use crate::store::disk::usable::Usable;
use crate::store::freshness::Rule;
use crate::store::scope::Scope;
use crate::table::source::Source;

/// What a run would know.
#[derive(Debug)]
pub(crate) struct Forecast {
    /// Why it would know that, or nothing.
    pub ground: Ground,
    /// How many of the rows' distinct first numbers it would know.
    pub known: u64,
    /// How many of the numbers that stand behind first ones alone.
    pub behind: u64,
}

/// Why a run would know something, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// It is to keep nothing.
    NoState,
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
    Seen(Found),
}

/// What a run of this input would know if it began now. Complains where the state cannot be looked at.
///
/// # Errors
/// Usage (2) for an endpoint that cannot be meant and where there is no place for a state; unreadable (3) where the input
/// cannot be read once more; unexpected (1) for a state file that no run would work with.
pub(crate) fn forecast(
    args: &Plan,
    source: &Source,
    regular: bool,
    tally: &Tally,
    terminal: &Terminal,
) -> Result<Forecast, Failure> {
    let nothing = |ground| Ok(Forecast { ground, known: 0, behind: 0 });
    let scope = scope(args, |name| std::env::var_os(name))?;
    if args.keep.no_state {
        return nothing(Ground::NoState);
    }
    if args.keep.restart {
        return nothing(Ground::Restart);
    }
    let Some(scope) = scope else { return nothing(Ground::NoApp) };
    let path = paths::place(args.keep.state.as_deref(), |name| std::env::var_os(name))?.path;
    let looked = open_state::patiently(&path, args.keep.wait, terminal, |waits| {
        State::untouched(&path, waits)
    });
    let state = match looked {
        Ok(state) => state,
        Err(StateError::Absent) => return nothing(Ground::Absent),
        // A run would not begin with such a file either, so that there is nothing to plan.
        Err(error @ (StateError::Foreign | StateError::Newer(_) | StateError::Older(_))) => {
            return Err(refused(&path, &error));
        }
        Err(error) => {
            let text = format!("{:#}", refused(&path, &error).error);
            terminal.complain(&format!(
                "{text}\n  {}",
                tr!("The plan is made as if nothing were known.")
            ));
            let held = matches!(error, StateError::Lock(LockError::Held(_)));
            return nothing(if held { Ground::InUse } else { Ground::Unusable });
        }
    };
    let fingerprint = open_state::fingerprint(
        &args.input,
        &args.reading,
        &args.numbers,
        &args.part,
        source,
        regular,
    )?;
    let wish = Wish {
        scope: &scope,
        fingerprint: &fingerprint,
        restart: false,
        rows: regular.then_some(tally.rows),
        now: wall(),
    };
    seen(&state, wish, args, tally).or_else(|error| {
        terminal.complain(&format!("{:#}", refused(&path, &error).error));
        nothing(Ground::Unusable)
    })
}

fn seen(state: &State, wish: Wish<'_>, args: &Plan, tally: &Tally) -> Result<Forecast, StateError> {
    let Some(begun) = foreseen(state, wish)? else {
        return Ok(Forecast { ground: Ground::Seen(Found::Nothing), known: 0, behind: 0 });
    };
    let rule = Rule { since: begun.since, ages: open_state::ages(&args.keep) };
    let usable = Usable::of(state, begun.scope, rule)?;
    Ok(Forecast {
        known: known(&usable, tally.numbers(), wish.now)?,
        behind: known(&usable, tally.numbers_behind(), wish.now)?,
        ground: Ground::Seen(begun.found),
    })
}

/// How many of these numbers have an answer that may be used at `now`.
fn known(
    usable: &Usable,
    mut numbers: impl Iterator<Item = Mobile>,
    now: i64,
) -> Result<u64, StateError> {
    numbers.try_fold(0, |known, mobile| Ok(known + u64::from(usable.get(mobile, now)?.is_some())))
}

/// Whose answers the run would use; none where neither an app nor a token is named. The app's secret says nothing of that,
/// and of a token no more than its digest is taken.
fn scope(
    args: &Plan,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Scope>, Failure> {
    // Nothing is sent, so nothing can be read on the way.
    let endpoint = network::endpoint(&args.directory.endpoint, true)?;
    let app = match options::key(&args.directory, &variable)? {
        Some(key) => Some(key),
        None => options::token(&variable)?.map(|token| Scope::of_token(&token)),
    };
    Ok(app.map(|app| open_state::scope(&args.directory, endpoint.as_str(), app)))
}
