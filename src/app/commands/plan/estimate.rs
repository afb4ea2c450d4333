//! The numbers that a run would find in the state, and the calls and the time that it would take.
//! The state is only read.

use std::ffi::OsString;
use std::time::Duration;

use jiff::Zoned;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::cli::args::PlanArgs;
use crate::app::cli::network;
use crate::app::cli::options;
use crate::app::cli::paths;
use crate::app::commands::plan::count::InputCounts;
use crate::app::commands::resolve::open_state;
use crate::app::commands::state::messages::state_failure;
use crate::app::exit::Failure;
use crate::app::progress::terminal::{Level, Terminal};
use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::disk_store::wall_secs;
use crate::store::disk::lock::LockError;
use crate::store::disk::prefetch::CommittedAnswers;
use crate::store::disk::sessions::{EarlierRun, SessionRequest, preview_session};
use crate::store::freshness::Freshness;
use crate::store::scope::Scope;
use crate::table::source::Source;

#[derive(Debug)]
pub(crate) struct KnownNumbers {
    /// Why numbers are known, or none is.
    pub availability: StateAvailability,
    /// Known numbers among the distinct first numbers.
    pub first: u64,
    /// Known numbers among the others.
    pub further: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StateAvailability {
    /// `--no-state`.
    Disabled,
    /// `--restart`.
    Restart,
    /// No app and no token is given.
    NoApp,
    /// There is no state yet.
    Absent,
    /// Another process uses the state.
    InUse,
    /// The state cannot be read.
    Unusable,
    Inspected(EarlierRun),
}

/// What a run would take without retries.
#[derive(Debug)]
pub(crate) struct Estimate {
    pub start: Zoned,
    /// The calls needed in any case.
    pub min: CallEstimate,
    /// The calls needed if no first number is found. The same as `min` if rows have one number
    /// each.
    pub max: CallEstimate,
}

#[derive(Debug)]
pub(crate) struct CallEstimate {
    pub calls: u64,
    /// At the rate; `None` without a limit.
    pub duration: Option<Duration>,
    /// `None` without a limit, and for a date that the calendar does not have.
    pub end: Option<Zoned>,
}

/// What a run of this input would know now. A state that cannot be read is only a warning.
///
/// # Errors
/// Usage (2) for an invalid endpoint and if there is no place for a state; unreadable (3) if the
/// input cannot be read a second time; unexpected (1) for a state file that no run would use.
pub(crate) fn find_known(
    args: &PlanArgs,
    source: &Source,
    is_regular: bool,
    counts: &InputCounts,
    terminal: &Terminal,
) -> Result<KnownNumbers, Failure> {
    let nothing = |availability| Ok(KnownNumbers { availability, first: 0, further: 0 });
    let scope = scope_from_args(args, |name| std::env::var_os(name))?;
    if args.state.no_state {
        return nothing(StateAvailability::Disabled);
    }
    if args.state.restart {
        return nothing(StateAvailability::Restart);
    }
    let Some(scope) = scope else { return nothing(StateAvailability::NoApp) };
    let path = paths::state_path(args.state.state.as_deref(), |name| std::env::var_os(name))?.path;
    let opened = open_state::open_or_wait(&path, args.state.wait, terminal, |waits| {
        State::open_read_only(&path, waits)
    });
    let state = match opened {
        Ok(state) => state,
        Err(StateError::NotFound) => return nothing(StateAvailability::Absent),
        // A run would not start with such a file either, so there is nothing to plan.
        Err(error @ (StateError::NotStateFile | StateError::TooNew(_) | StateError::TooOld(_))) => {
            return Err(state_failure(&path, &error));
        }
        Err(error) => {
            let text = format!("{:#}", state_failure(&path, &error).error);
            let outlook = tr!("The plan is made as if nothing were known.");
            terminal.print_always(Level::Warning, &format!("{text}\n  {outlook}"));
            let is_locked = matches!(error, StateError::Lock(LockError::InUse(_)));
            return nothing(if is_locked {
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
        is_regular,
    )?;
    let request = SessionRequest {
        scope: &scope,
        fingerprint: &fingerprint,
        restart: false,
        rows: is_regular.then_some(counts.rows),
        now: wall_secs(),
    };
    inspect_state(&state, request, args, counts).or_else(|error| {
        let text = format!("{:#}", state_failure(&path, &error).error);
        terminal.print_always(Level::Warning, &text);
        nothing(StateAvailability::Unusable)
    })
}

fn inspect_state(
    state: &State,
    request: SessionRequest<'_>,
    args: &PlanArgs,
    counts: &InputCounts,
) -> Result<KnownNumbers, StateError> {
    let Some(session) = preview_session(state, request)? else {
        return Ok(KnownNumbers {
            availability: StateAvailability::Inspected(EarlierRun::None),
            first: 0,
            further: 0,
        });
    };
    let freshness = Freshness {
        first_session: session.first_session,
        max_ages: open_state::ages_from_args(&args.state),
    };
    let answers = CommittedAnswers::open(state, session.scope, freshness)?;
    Ok(KnownNumbers {
        first: count_known(&answers, counts.first_numbers(), request.now)?,
        further: count_known(&answers, counts.further_numbers(), request.now)?,
        availability: StateAvailability::Inspected(session.earlier),
    })
}

/// How many of the numbers have an answer that is fresh enough at `now`.
fn count_known(
    answers: &CommittedAnswers,
    mut numbers: impl Iterator<Item = Mobile>,
    now: i64,
) -> Result<u64, StateError> {
    numbers.try_fold(0, |known, mobile| Ok(known + u64::from(answers.get(mobile, now)?.is_some())))
}

/// Whose answers the run would use; `None` without app and token. The app secret is not needed, and
/// only the digest of a token is used.
fn scope_from_args(
    args: &PlanArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Scope>, Failure> {
    // Nothing is sent, so plain HTTP is safe.
    let endpoint = network::parse_endpoint(&args.api.endpoint, true)?;
    let app = match options::app_key(&args.api, &variable)? {
        Some(key) => Some(key),
        None => {
            options::access_token_from_env(&variable)?.map(|token| Scope::app_from_token(&token))
        }
    };
    Ok(app.map(|app| open_state::scope_from_app(&args.api, endpoint.as_str(), app)))
}

impl Estimate {
    #[must_use]
    pub(crate) fn from_counts(
        counts: &InputCounts,
        known: &KnownNumbers,
        rate: Rate,
        start: &Zoned,
    ) -> Self {
        let min = counts.distinct_first() - known.first;
        let max = min + counts.distinct_further() - known.further;
        let estimate = |calls| CallEstimate::from_calls(calls, rate, start);
        Self { start: start.clone(), min: estimate(min), max: estimate(max) }
    }
}

impl CallEstimate {
    fn from_calls(calls: u64, rate: Rate, start: &Zoned) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
        let duration = rate.per_second().map(|rate| Duration::from_secs_f64(calls as f64 / rate));
        let end = duration.and_then(|duration| start.checked_add(duration).ok());
        Self { calls, duration, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::format::format_timestamp;

    #[test]
    fn estimated_time_is_calls_divided_by_rate_at_any_rate() {
        let start: Zoned = "2026-11-25T23:59:00+08:00[+08:00]".parse().unwrap();
        let estimate = CallEstimate::from_calls(1200, Rate::from_per_second(20.0), &start);
        assert_eq!((estimate.calls, estimate.duration), (1200, Some(Duration::from_mins(1))));
        assert_eq!(format_timestamp(&estimate.end.unwrap()), "2026-11-26 00:00:00 +08");
        let estimate = CallEstimate::from_calls(10_000_000, Rate::from_per_second(0.0), &start);
        assert!(estimate.duration.is_some() && estimate.end.is_none(), "{estimate:?}");
        let estimate = CallEstimate::from_calls(7, Rate::UNLIMITED, &start);
        assert!(estimate.duration.is_none() && estimate.end.is_none());
        assert_eq!(
            CallEstimate::from_calls(0, Rate::from_per_second(20.0), &start).end.unwrap(),
            start
        );
    }
}
