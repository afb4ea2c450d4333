//! Inspects, forgets and exports what the state contains, for the `state` commands.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableDatabase, ReadableTable};

use crate::domain::number::mobile::{MainlandFormat, Mobile};
use crate::domain::outcome::Status;
use crate::store::disk::database::{ANSWERS, RUNS, SCOPES, State, StateError};
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::sessions::{UnfinishedRun, from_json, to_json};
use crate::store::scope::Scope;

/// What lies in a scope.
#[derive(Clone, Debug)]
pub(crate) struct ScopeSummary {
    /// Whose answers.
    pub scope: Scope,
    /// How many answers there are, by status.
    pub answers: BTreeMap<Status, u64>,
    /// When the oldest and the newest were asked for, in seconds since 1970.
    pub asked_range: Option<(i64, i64)>,
    /// Runs that are not finished.
    pub runs: Vec<UnfinishedRun>,
}

/// Which answers are meant: those to which everything that is given applies.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerFilter {
    /// The app's key, or the name of a token as [`Scope`] has it.
    pub app: Option<String>,
    /// Asked for before this, in seconds since 1970.
    pub before: Option<i64>,
    /// With this status.
    pub status: Option<Status>,
    /// Of one of these numbers.
    pub mobiles: Option<BTreeSet<Mobile>>,
}

/// One kept answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExportRecord<'a> {
    /// Whose answer.
    pub scope: &'a Scope,
    /// The number as it was sent.
    pub number: &'a str,
    /// The answer.
    pub record: &'a AnswerRecord,
}

/// What lies in the state, scope by scope.
///
/// # Errors
/// What the database says.
pub(crate) fn inspect(state: &State) -> Result<Vec<ScopeSummary>, StateError> {
    let mut shelves: BTreeMap<u32, ScopeSummary> = read_scopes(state)?
        .into_iter()
        .map(|(number, scope)| {
            (
                number,
                ScopeSummary {
                    scope,
                    answers: BTreeMap::new(),
                    asked_range: None,
                    runs: Vec::new(),
                },
            )
        })
        .collect();
    for_each_answer(state, |scope, _, kept| {
        if let Some(shelf) = shelves.get_mut(&scope) {
            *shelf.answers.entry(kept.outcome.status).or_default() += 1;
            let (oldest, newest) = shelf.asked_range.unwrap_or((kept.asked_at, kept.asked_at));
            shelf.asked_range = Some((oldest.min(kept.asked_at), newest.max(kept.asked_at)));
        }
        Ok::<_, StateError>(())
    })?;
    for entry in state.database.begin_read()?.open_table(RUNS)?.iter()? {
        let (key, run) = entry?;
        if let Some(shelf) = shelves.get_mut(&key.value().0) {
            shelf.runs.push(from_json(run.value())?);
        }
    }
    Ok(shelves.into_values().collect())
}

/// Forgets the answers that are meant, and says how many there were. Unfinished runs lose them too;
/// where the choice is of a whole app or of everything, these runs are forgotten as well.
///
/// # Errors
/// What the database says; then nothing is forgotten.
pub(crate) fn forget(state: &State, choice: &AnswerFilter) -> Result<u64, StateError> {
    let scopes = read_scopes(state)?;
    let apps: BTreeSet<u32> = scopes
        .into_iter()
        .filter(|(_, scope)| choice.app.as_ref().is_none_or(|app| *app == scope.app))
        .map(|(number, _)| number)
        .collect();
    let whole = choice.before.is_none() && choice.status.is_none() && choice.mobiles.is_none();
    let change = state.database.begin_write()?;
    let (mut forgotten, mut sessions) = (0, BTreeMap::<u64, u64>::new());
    change.open_table(ANSWERS)?.retain(|key, bytes| {
        let (scope, bits) = key;
        let meant = apps.contains(&scope)
            && choice
                .mobiles
                .as_ref()
                .is_none_or(|numbers| numbers.contains(&Mobile::from_bits(bits)));
        let kept = AnswerRecord::decode(key, bytes);
        let meant = meant
            && kept.as_ref().is_none_or(|kept| {
                choice.before.is_none_or(|before| kept.asked_at < before)
                    && choice.status.is_none_or(|status| kept.outcome.status == status)
            });
        if meant {
            forgotten += 1;
            *sessions.entry(kept.map_or(0, |kept| kept.session_id)).or_default() += 1;
        }
        !meant
    })?;
    let mut runs = change.open_table(RUNS)?;
    let mut open = Vec::new();
    for entry in runs.iter()? {
        let (key, run) = entry?;
        let (scope, fingerprint) = key.value();
        open.push((scope, fingerprint.to_owned(), from_json::<UnfinishedRun>(run.value())?));
    }
    for (scope, fingerprint, mut run) in open.into_iter().filter(|(scope, ..)| apps.contains(scope))
    {
        let key = (scope, fingerprint.as_str());
        if whole {
            runs.remove(key)?;
        } else {
            let gone: u64 = run.sessions.iter().filter_map(|session| sessions.get(session)).sum();
            run.known = run.known.saturating_sub(gone);
            runs.insert(key, &*to_json(&run)?)?;
        }
    }
    drop(runs);
    change.commit()?;
    Ok(forgotten)
}

/// Gives every answer to `take`, scope by scope, in the order of numbers.
///
/// # Errors
/// What `take` says, or the database.
pub(crate) fn export<E: From<StateError>>(
    state: &State,
    mut take: impl FnMut(ExportRecord<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let scopes = read_scopes(state)?;
    for_each_answer(state, |scope, mobile, kept| {
        let Some(scope) = scopes.get(&scope) else { return Ok(()) };
        let number = mobile.to_api_string(if scope.prefixed {
            MainlandFormat::Prefixed
        } else {
            MainlandFormat::Plain
        });
        take(ExportRecord { scope, number: &number, record: &kept })
    })
}

fn read_scopes(state: &State) -> Result<BTreeMap<u32, Scope>, StateError> {
    let mut scopes = BTreeMap::new();
    for entry in state.database.begin_read()?.open_table(SCOPES)?.iter()? {
        let (number, scope) = entry?;
        scopes.insert(number.value(), from_json(scope.value())?);
    }
    Ok(scopes)
}

fn for_each_answer<E: From<StateError>>(
    state: &State,
    mut take: impl FnMut(u32, Mobile, AnswerRecord) -> Result<(), E>,
) -> Result<(), E> {
    let table =
        || -> Result<_, StateError> { Ok(state.database.begin_read()?.open_table(ANSWERS)?) };
    for entry in table()?.iter().map_err(StateError::from)? {
        let (key, bytes) = entry.map_err(StateError::from)?;
        let (scope, bits) = key.value();
        if let Some(kept) = AnswerRecord::decode((scope, bits), bytes.value()) {
            take(scope, Mobile::from_bits(bits), kept)?;
        }
    }
    Ok(())
}
