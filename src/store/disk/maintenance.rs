//! Inspects, forgets and exports stored answers, for the `state` commands.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableDatabase, ReadableTable};

use crate::domain::number::mobile::{MainlandFormat, Mobile};
use crate::domain::outcome::Status;
use crate::store::disk::database::{ANSWERS, RUNS, SCOPES, State, StateError};
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::resolved_files;
use crate::store::disk::sessions::{UnfinishedRun, from_json, to_json};
use crate::store::scope::Scope;

/// The content of one scope.
#[derive(Clone, Debug)]
pub(crate) struct ScopeSummary {
    pub scope: Scope,
    /// The number of answers by status.
    pub answers: BTreeMap<Status, u64>,
    /// When the oldest and the newest were looked up, in seconds since 1970.
    pub asked_range: Option<(i64, i64)>,
    pub runs: Vec<UnfinishedRun>,
}

/// Selects the answers that match every given field.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerFilter {
    /// As in [`Scope::app`].
    pub app: Option<String>,
    /// Looked up before this time, in seconds since 1970.
    pub before: Option<i64>,
    pub status: Option<Status>,
    /// Answers to these numbers.
    pub mobiles: Option<BTreeSet<Mobile>>,
}

/// One exported answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExportRecord<'a> {
    pub scope: &'a Scope,
    /// The number as it was sent.
    pub number: &'a str,
    pub record: &'a AnswerRecord,
}

/// The content of the state by scope.
pub(crate) fn inspect(state: &State) -> Result<Vec<ScopeSummary>, StateError> {
    let mut summaries: BTreeMap<u32, ScopeSummary> = read_scopes(state)?
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
    for_each_answer(state, |scope, _, record| {
        if let Some(summary) = summaries.get_mut(&scope) {
            let (status, asked_at) = (record.outcome.status, record.asked_at);
            *summary.answers.entry(status).or_default() += 1;
            let (oldest, newest) = summary.asked_range.unwrap_or((asked_at, asked_at));
            summary.asked_range = Some((oldest.min(asked_at), newest.max(asked_at)));
        }
        Ok::<_, StateError>(())
    })?;
    for entry in state.database.begin_read()?.open_table(RUNS)?.iter()? {
        let (key, run) = entry?;
        if let Some(summary) = summaries.get_mut(&key.value().0) {
            summary.runs.push(from_json(run.value())?);
        }
    }
    Ok(summaries.into_values().collect())
}

/// Forgets the selected answers and returns their number. Unfinished runs lose them too. If the
/// filter selects all answers of an app, or of all apps, it forgets these runs as well. After an
/// error nothing is forgotten.
pub(crate) fn forget(state: &State, filter: &AnswerFilter) -> Result<u64, StateError> {
    let scopes = read_scopes(state)?;
    let apps: BTreeSet<u32> = scopes
        .into_iter()
        .filter(|(_, scope)| filter.app.as_ref().is_none_or(|app| *app == scope.app))
        .map(|(number, _)| number)
        .collect();
    let all_of_app = filter.before.is_none() && filter.status.is_none() && filter.mobiles.is_none();
    let transaction = state.database.begin_write()?;
    let (mut forgotten, mut sessions) = (0, BTreeMap::<u64, u64>::new());
    transaction.open_table(ANSWERS)?.retain(|key, bytes| {
        let (scope, bits) = key;
        let selected = apps.contains(&scope)
            && filter
                .mobiles
                .as_ref()
                .is_none_or(|numbers| numbers.contains(&Mobile::from_bits(bits)));
        let record = AnswerRecord::decode(key, bytes);
        let selected = selected
            && record.as_ref().is_none_or(|record| {
                filter.before.is_none_or(|before| record.asked_at < before)
                    && filter.status.is_none_or(|status| record.outcome.status == status)
            });
        if selected {
            forgotten += 1;
            *sessions.entry(record.map_or(0, |record| record.session_id)).or_default() += 1;
        }
        !selected
    })?;
    let mut runs = transaction.open_table(RUNS)?;
    let mut unfinished = Vec::new();
    for entry in runs.iter()? {
        let (key, run) = entry?;
        let (scope, fingerprint) = key.value();
        unfinished.push((scope, fingerprint.to_owned(), from_json::<UnfinishedRun>(run.value())?));
    }
    for (scope, fingerprint, mut run) in
        unfinished.into_iter().filter(|(scope, ..)| apps.contains(scope))
    {
        let key = (scope, fingerprint.as_str());
        if all_of_app {
            runs.remove(key)?;
        } else {
            let lost: u64 = run.sessions.iter().filter_map(|session| sessions.get(session)).sum();
            run.known = run.known.saturating_sub(lost);
            runs.insert(key, &*to_json(&run)?)?;
        }
    }
    drop(runs);
    // These files may have answers that the state does not have any more.
    if all_of_app || forgotten > 0 {
        resolved_files::forget_scopes(&transaction, &apps, all_of_app)?;
    }
    transaction.commit()?;
    Ok(forgotten)
}

/// Calls `take` for every answer, by scope and then by number.
pub(crate) fn export<E: From<StateError>>(
    state: &State,
    mut take: impl FnMut(ExportRecord<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let scopes = read_scopes(state)?;
    for_each_answer(state, |scope, mobile, record| {
        let Some(scope) = scopes.get(&scope) else { return Ok(()) };
        let number = mobile.to_api_string(if scope.prefixed {
            MainlandFormat::Prefixed
        } else {
            MainlandFormat::Plain
        });
        take(ExportRecord { scope, number: &number, record: &record })
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
        if let Some(record) = AnswerRecord::decode((scope, bits), bytes.value()) {
            take(scope, Mobile::from_bits(bits), record)?;
        }
    }
    Ok(())
}
