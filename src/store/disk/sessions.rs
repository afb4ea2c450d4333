//! Unfinished runs: which run a command resumes and which answers a new run inherits. Sessions, one
//! per start of the program, are numbered, so that they do not depend on a clock.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable, Table, WriteTransaction};
use serde::{Deserialize, Serialize};
use tr::tr;

use crate::store::disk::database::{META, RUNS, SCOPES, State, StateError};
use crate::store::scope::Scope;

/// An unfinished run as stored on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnfinishedRun {
    /// The run may use the answers of this session and later ones.
    pub since: u64,
    /// Its sessions in order.
    pub sessions: Vec<u64>,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// How many answers of its sessions are stored.
    pub known: u64,
    /// How many rows its input has, if known.
    pub rows: Option<u64>,
    /// Whether a later run used its answers and finished; then only its own command can use them.
    pub inherited: bool,
}

/// The arguments for starting a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest<'a> {
    pub scope: &'a Scope,
    /// Identifies the run.
    pub fingerprint: &'a str,
    /// Whether to ignore the stored answers of unfinished runs.
    pub restart: bool,
    /// How many rows there are, if known.
    pub rows: Option<u64>,
    /// The wall clock, in seconds since 1970.
    pub now: i64,
}

/// A session of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The number of its scope.
    pub scope: u32,
    pub fingerprint: String,
    pub id: u64,
    /// The run may use the answers of this session and later ones at any age.
    pub first_session: u64,
    pub earlier: EarlierRun,
}

/// The earlier runs whose answers this run uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlierRun {
    None,
    /// The same run, unfinished.
    Resumed {
        answers: u64,
        /// When it started, in seconds since 1970.
        started: i64,
    },
    /// Other unfinished runs.
    Inherited {
        /// An upper bound.
        answers: u64,
        /// When the first of them started, in seconds since 1970.
        started: i64,
    },
}

/// Decides whether a session resumes a run, inherits answers or starts without any. `runs` are the
/// unfinished runs of its scope. Also returns the updated record of the run.
fn decide(
    runs: &BTreeMap<String, UnfinishedRun>,
    request: SessionRequest<'_>,
    session: u64,
) -> (EarlierRun, UnfinishedRun) {
    // A run without answers is not resumed: that would only extend its reach to older answers of
    // other runs.
    let own = runs.get(request.fingerprint).filter(|run| !request.restart && run.known > 0);
    if let Some(run) = own {
        let mut run = run.clone();
        run.sessions.push(session);
        run.rows = request.rows;
        return (EarlierRun::Resumed { answers: run.known, started: run.started }, run);
    }
    let unfinished =
        || runs.values().filter(|run| !run.inherited && !request.restart && run.known > 0);
    let since = unfinished().map(|run| run.since).min().unwrap_or(session);
    let known = unfinished().map(|run| run.known).sum();
    let earlier = match unfinished().map(|run| run.started).min() {
        Some(started) => EarlierRun::Inherited { answers: known, started },
        None => EarlierRun::None,
    };
    let run = UnfinishedRun {
        since,
        sessions: vec![session],
        started: request.now,
        known: 0,
        rows: request.rows,
        inherited: false,
    };
    (earlier, run)
}

/// Starts or resumes a run and commits that before the run makes calls. After an error nothing has
/// changed.
pub fn begin_session(state: &State, request: SessionRequest<'_>) -> Result<Session, StateError> {
    // While a read transaction is open, redb defers freeing pages to the next commit. Otherwise it
    // frees them at once, without a sync, and then checks about 100 locks for each page it reads.
    let _reader = state.database.begin_read()?;
    let transaction = state.database.begin_write()?;
    let session = {
        let mut meta = transaction.open_table(META)?;
        let id = increment_counter(&mut meta, "sessions")?;
        let mut scopes = transaction.open_table(SCOPES)?;
        let scope = if let Some(scope) = find_scope(&scopes, request.scope)? {
            scope
        } else {
            let scope = u32::try_from(increment_counter(&mut meta, "scopes")?)
                .map_err(|_| StateError::Damaged(tr!("too many scopes")))?;
            scopes.insert(scope, &*to_json(request.scope)?)?;
            scope
        };
        let mut table = transaction.open_table(RUNS)?;
        let (earlier, run) = decide(&runs_in_scope(&table, scope)?, request, id);
        table.insert((scope, request.fingerprint), &*to_json(&run)?)?;
        Session {
            scope,
            fingerprint: request.fingerprint.to_owned(),
            id,
            first_session: run.since,
            earlier,
        }
    };
    transaction.commit()?;
    Ok(session)
}

/// The session that [`begin_session`] would start, without starting it; none if the scope is not
/// stored yet.
pub fn preview_session(
    state: &State,
    request: SessionRequest<'_>,
) -> Result<Option<Session>, StateError> {
    let transaction = state.database.begin_read()?;
    let Some(scope) = find_scope(&transaction.open_table(SCOPES)?, request.scope)? else {
        return Ok(None);
    };
    let id = next_counter(&transaction.open_table(META)?, "sessions")?;
    let runs = runs_in_scope(&transaction.open_table(RUNS)?, scope)?;
    let (earlier, run) = decide(&runs, request, id);
    Ok(Some(Session {
        scope,
        fingerprint: request.fingerprint.to_owned(),
        id,
        first_session: run.since,
        earlier,
    }))
}

/// Finishes a run whose output is complete. Runs that it may have inherited from are not inherited
/// again. Until the transaction is committed the run is still unfinished.
pub(crate) fn finish_session(
    transaction: &WriteTransaction,
    session: &Session,
) -> Result<(), StateError> {
    let mut table = transaction.open_table(RUNS)?;
    let mut runs = runs_in_scope(&table, session.scope)?;
    table.remove((session.scope, &*session.fingerprint))?;
    runs.remove(&session.fingerprint);
    for (fingerprint, run) in &mut runs {
        // A run whose last session is before `first_session` gave no answers to this run.
        let in_reach = run.sessions.last().is_some_and(|last| *last >= session.first_session);
        if !run.inherited && in_reach {
            run.inherited = true;
            table.insert((session.scope, fingerprint.as_str()), &*to_json(run)?)?;
        }
    }
    Ok(())
}

fn increment_counter(
    meta: &mut Table<'_, &'static str, u64>,
    name: &'static str,
) -> Result<u64, StateError> {
    let count = next_counter(meta, name)?;
    meta.insert(name, count)?;
    Ok(count)
}

/// The next value of a counter.
fn next_counter(
    meta: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
) -> Result<u64, StateError> {
    Ok(meta.get(name)?.map_or(0, |count| count.value()) + 1)
}

/// The number of a stored scope.
fn find_scope(
    scopes: &impl ReadableTable<u32, &'static str>,
    scope: &Scope,
) -> Result<Option<u32>, StateError> {
    for entry in scopes.iter()? {
        let (number, stored) = entry?;
        if from_json::<Scope>(stored.value())? == *scope {
            return Ok(Some(number.value()));
        }
    }
    Ok(None)
}

/// The unfinished runs of a scope by fingerprint.
fn runs_in_scope(
    table: &impl ReadableTable<(u32, &'static str), &'static str>,
    scope: u32,
) -> Result<BTreeMap<String, UnfinishedRun>, StateError> {
    let mut runs = BTreeMap::new();
    for entry in table.range((scope, "")..(scope.saturating_add(1), ""))? {
        let (key, run) = entry?;
        runs.insert(key.value().1.to_owned(), from_json(run.value())?);
    }
    Ok(runs)
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, StateError> {
    serde_json::from_str(json).map_err(|error| StateError::Damaged(error.to_string()))
}

pub(crate) fn to_json(record: &impl Serialize) -> Result<String, StateError> {
    serde_json::to_string(record).map_err(|error| StateError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TestState {
        _directory: tempfile::TempDir,
        state: State,
    }

    impl TestState {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (state, _) = State::open(&directory.path().join("s"), false, false).unwrap();
            Self { _directory: directory, state }
        }

        fn begin(&self, app: &str, fingerprint: &str, restart: bool) -> Session {
            let scope =
                &Scope { endpoint: "e".into(), app: app.into(), exclusive: true, prefixed: false };
            begin_session(
                &self.state,
                SessionRequest { scope, fingerprint, restart, rows: Some(9), now: 1000 },
            )
            .unwrap()
        }

        /// An unfinished session with one answer.
        fn begin_with_answer(&self, app: &str, fingerprint: &str) -> Session {
            let session = self.begin(app, fingerprint, false);
            self.add_answer(&session);
            session
        }

        fn add_answer(&self, session: &Session) {
            let transaction = self.state.database.begin_write().unwrap();
            {
                let mut table = transaction.open_table(RUNS).unwrap();
                let key = (session.scope, &*session.fingerprint);
                let mut run: UnfinishedRun =
                    from_json(table.get(key).unwrap().unwrap().value()).unwrap();
                run.known += 1;
                table.insert(key, &*to_json(&run).unwrap()).unwrap();
            }
            transaction.commit().unwrap();
        }

        fn finish(&self, session: &Session) {
            let transaction = self.state.database.begin_write().unwrap();
            finish_session(&transaction, session).unwrap();
            transaction.commit().unwrap();
        }
    }

    #[test]
    fn the_predicted_session_is_the_one_that_begins() {
        let state = TestState::new();
        let preview = |fingerprint, restart| {
            let scope =
                &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
            let request = SessionRequest { scope, fingerprint, restart, rows: None, now: 2000 };
            preview_session(&state.state, request).unwrap()
        };
        assert_eq!(preview("x", false), None, "the scope of this app is unknown");
        state.begin_with_answer("a", "x");
        for (fingerprint, restart) in [("x", true), ("y", false), ("x", false)] {
            let previewed = preview(fingerprint, restart);
            assert_eq!(previewed, preview(fingerprint, restart), "a preview starts nothing");
            assert_eq!(previewed, Some(state.begin("a", fingerprint, restart)));
        }
    }

    fn inherited(session: &Session) -> bool {
        matches!(session.earlier, EarlierRun::Inherited { .. })
    }

    fn resumed(session: &Session) -> bool {
        matches!(session.earlier, EarlierRun::Resumed { .. })
    }

    #[test]
    fn a_session_resumes_by_fingerprint_until_it_is_finished() {
        let state = TestState::new();
        let first = state.begin_with_answer("a", "x");
        assert_eq!(
            (first.id, first.first_session, first.earlier.clone()),
            (1, 1, EarlierRun::None)
        );
        let second = state.begin("a", "x", false);
        assert!(resumed(&second) && (second.id, second.first_session) == (2, 1), "{second:?}");
        state.finish(&second);
        let third = state.begin("a", "x", false);
        assert_eq!(
            (third.first_session, third.earlier),
            (3, EarlierRun::None),
            "each run looks up again"
        );
    }

    #[test]
    fn another_input_inherits_answers_once() {
        let state = TestState::new();
        state.begin_with_answer("a", "x");
        let other = state.begin_with_answer("a", "y");
        assert!(inherited(&other) && other.first_session == 1, "{other:?}");
        let third = state.begin_with_answer("a", "z");
        assert!(inherited(&third) && third.first_session == 1, "neither has finished: {third:?}");
        state.finish(&other);
        assert_eq!(
            state.begin("a", "v", false).earlier,
            EarlierRun::None,
            "y has used these answers and finished"
        );
        let again = state.begin("a", "x", false);
        assert!(
            resumed(&again) && again.first_session == 1,
            "its own command still resumes it: {again:?}"
        );
    }

    #[test]
    fn scopes_do_not_mix() {
        let state = TestState::new();
        let first = state.begin_with_answer("a", "x");
        let other = state.begin_with_answer("b", "x");
        assert_ne!(first.scope, other.scope);
        assert_eq!(other.earlier, EarlierRun::None);
        state.finish(&other);
        assert!(resumed(&state.begin("a", "x", false)));
        assert_eq!(state.begin("b", "y", false).earlier, EarlierRun::None);
    }

    #[test]
    fn a_restart_ignores_open_sessions_and_keeps_the_others() {
        let state = TestState::new();
        state.begin_with_answer("a", "x");
        state.begin_with_answer("a", "y");
        let again = state.begin("a", "x", true);
        assert_eq!((again.first_session, again.earlier.clone()), (again.id, EarlierRun::None));
        state.add_answer(&again);
        assert!(resumed(&state.begin("a", "y", false)));
        let resumed = state.begin("a", "x", false);
        assert_eq!(
            resumed.first_session, again.first_session,
            "the restart still ignores earlier answers"
        );
    }

    #[test]
    fn a_finished_restart_leaves_other_sessions_unchanged() {
        let state = TestState::new();
        state.begin_with_answer("a", "x");
        state.begin_with_answer("a", "y");
        state.finish(&state.begin("a", "x", true));
        assert!(inherited(&state.begin("a", "z", false)), "the restart used no answers of y");
    }

    #[test]
    fn a_resumed_session_is_closed_when_it_finishes() {
        let state = TestState::new();
        state.begin_with_answer("a", "y");
        state.begin_with_answer("a", "x");
        let again = state.begin("a", "y", false);
        assert!(resumed(&again) && again.first_session == 1, "{again:?}");
        state.finish(&again);
        let next = state.begin("a", "y", false);
        assert_eq!(
            (next.first_session, next.earlier),
            (next.id, EarlierRun::None),
            "x, started in between, is not inherited"
        );
    }

    #[test]
    fn a_session_without_answers_is_neither_resumed_nor_inherited() {
        let state = TestState::new();
        state.begin("a", "x", false);
        let other = state.begin_with_answer("a", "y");
        assert_eq!(other.earlier, EarlierRun::None);
        state.finish(&other);
        let again = state.begin("a", "x", false);
        assert_eq!((again.first_session, again.earlier), (again.id, EarlierRun::None));
    }
}
