//! Unfinished runs: which one a command resumes, what a new run inherits, and what a finished run
//! leaves. Sessions, one per start of the program, are numbered; no clock is involved.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable, Table};
use serde::{Deserialize, Serialize};
use tr::tr;

use crate::store::disk::database::{META, RUNS, SCOPES, State, StateError};
use crate::store::scope::Scope;

/// A run that is not finished, as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnfinishedRun {
    /// The session from which on answers are this run's to use.
    pub since: u64,
    /// Its sessions, the first one first.
    pub sessions: Vec<u64>,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// How many answers its sessions were given and the file has.
    pub known: u64,
    /// How many rows its input has, where that is known.
    pub rows: Option<u64>,
    /// Whether a later run has used its answers and finished: then only its own command still does.
    pub inherited: bool,
}

/// What a run is begun with.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest<'a> {
    /// Whose answers.
    pub scope: &'a Scope,
    /// By what the run is known again.
    pub fingerprint: &'a str,
    /// Whether everything is asked anew.
    pub restart: bool,
    /// How many rows there are, where that is known.
    pub rows: Option<u64>,
    /// The wall clock, in seconds since 1970.
    pub now: i64,
}

/// Where a run stands as it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The number of its scope.
    pub scope: u32,
    /// Its fingerprint.
    pub fingerprint: String,
    /// This session.
    pub id: u64,
    /// The session from which on answers are its own to use.
    pub first_session: u64,
    /// What was found.
    pub earlier: EarlierRun,
}

/// What an earlier run left for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlierRun {
    /// Nothing.
    None,
    /// The same run, not finished: it goes on.
    Resumed {
        /// How many answers it has.
        answers: u64,
        /// When it began, in seconds since 1970.
        started: i64,
    },
    /// Other runs that did not finish, whose answers are used.
    Inherited {
        /// How many answers they have at most.
        answers: u64,
        /// When the first of them began, in seconds since 1970.
        started: i64,
    },
}

/// Decides what becomes of the run with this fingerprint, among the unfinished runs of its scope:
/// what is found, and the run as it is now.
fn decide(
    runs: &BTreeMap<String, UnfinishedRun>,
    wish: SessionRequest<'_>,
    session: u64,
) -> (EarlierRun, UnfinishedRun) {
    // A run that was given no answer has nothing that could go on, and would only reach back to
    // what others asked.
    let own = runs.get(wish.fingerprint).filter(|run| !wish.restart && run.known > 0);
    if let Some(run) = own {
        let mut run = run.clone();
        run.sessions.push(session);
        run.rows = wish.rows;
        return (EarlierRun::Resumed { answers: run.known, started: run.started }, run);
    }
    let open = || runs.values().filter(|run| !run.inherited && !wish.restart && run.known > 0);
    let since = open().map(|run| run.since).min().unwrap_or(session);
    let known = open().map(|run| run.known).sum();
    let found = match open().map(|run| run.started).min() {
        Some(started) => EarlierRun::Inherited { answers: known, started },
        None => EarlierRun::None,
    };
    let sessions = vec![session];
    (
        found,
        UnfinishedRun {
            since,
            sessions,
            started: wish.now,
            known: 0,
            rows: wish.rows,
            inherited: false,
        },
    )
}

/// Begins or continues a run, on disk before it makes a call.
///
/// # Errors
/// What the database says; then nothing has changed.
pub fn begin_session(state: &State, wish: SessionRequest<'_>) -> Result<Session, StateError> {
    // While somebody looks at the state before it, a commit leaves the pages that it frees to the
    // next one. Otherwise the database frees them at once, without a sync, and from then on
    // searches a hundred locks at each page that is read.
    let _before = state.database.begin_read()?;
    let change = state.database.begin_write()?;
    let begun = {
        let mut meta = change.open_table(META)?;
        let session = increment_counter(&mut meta, "sessions")?;
        let mut scopes = change.open_table(SCOPES)?;
        let scope = if let Some(scope) = find_scope(&scopes, wish.scope)? {
            scope
        } else {
            let scope = u32::try_from(increment_counter(&mut meta, "scopes")?)
                .map_err(|_| StateError::Damaged(tr!("too many scopes")))?;
            scopes.insert(scope, &*to_json(wish.scope)?)?;
            scope
        };
        let mut table = change.open_table(RUNS)?;
        let (found, run) = decide(&runs_in_scope(&table, scope)?, wish, session);
        table.insert((scope, wish.fingerprint), &*to_json(&run)?)?;
        Session {
            scope,
            fingerprint: wish.fingerprint.to_owned(),
            id: session,
            first_session: run.since,
            earlier: found,
        }
    };
    change.commit()?;
    Ok(begun)
}

/// Where a run would stand if it began now; nothing is begun. None where nothing is known of its
/// scope.
///
/// # Errors
/// What the database says.
pub fn preview_session(
    state: &State,
    wish: SessionRequest<'_>,
) -> Result<Option<Session>, StateError> {
    let view = state.database.begin_read()?;
    let Some(scope) = find_scope(&view.open_table(SCOPES)?, wish.scope)? else { return Ok(None) };
    let session = next_counter(&view.open_table(META)?, "sessions")?;
    let (found, run) = decide(&runs_in_scope(&view.open_table(RUNS)?, scope)?, wish, session);
    Ok(Some(Session {
        scope,
        fingerprint: wish.fingerprint.to_owned(),
        id: session,
        first_session: run.since,
        earlier: found,
    }))
}

/// Ends a run whose output is complete. The runs from which it may have inherited are inherited by
/// no other.
///
/// # Errors
/// What the database says; then the run is still open.
pub(crate) fn finish_session(state: &State, begun: &Session) -> Result<(), StateError> {
    let change = state.database.begin_write()?;
    {
        let mut table = change.open_table(RUNS)?;
        let mut runs = runs_in_scope(&table, begun.scope)?;
        table.remove((begun.scope, &*begun.fingerprint))?;
        runs.remove(&begun.fingerprint);
        for (fingerprint, run) in &mut runs {
            // One session at a time: whose last one came before this run's reach has given it
            // nothing.
            let reached = run.sessions.last().is_some_and(|last| *last >= begun.first_session);
            if !run.inherited && reached {
                run.inherited = true;
                table.insert((begun.scope, fingerprint.as_str()), &*to_json(run)?)?;
            }
        }
    }
    change.commit()?;
    Ok(())
}

/// Raises a counter by one and gives it.
fn increment_counter(
    meta: &mut Table<'_, &'static str, u64>,
    name: &'static str,
) -> Result<u64, StateError> {
    let count = next_counter(meta, name)?;
    meta.insert(name, count)?;
    Ok(count)
}

/// What a counter would be raised to.
fn next_counter(
    meta: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
) -> Result<u64, StateError> {
    Ok(meta.get(name)?.map_or(0, |count| count.value()) + 1)
}

/// The number of a scope that is known already.
fn find_scope(
    scopes: &impl ReadableTable<u32, &'static str>,
    wanted: &Scope,
) -> Result<Option<u32>, StateError> {
    for entry in scopes.iter()? {
        let (number, scope) = entry?;
        if from_json::<Scope>(scope.value())? == *wanted {
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

/// The inverse of [`to_json`].
pub(crate) fn from_json<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, StateError> {
    serde_json::from_str(json).map_err(|error| StateError::Damaged(error.to_string()))
}

/// A record's text on disk.
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

        /// A session that is given an answer, and does not finish.
        fn begin_with_answer(&self, app: &str, fingerprint: &str) -> Session {
            let begun = self.begin(app, fingerprint, false);
            self.add_answer(&begun);
            begun
        }

        fn add_answer(&self, begun: &Session) {
            let change = self.state.database.begin_write().unwrap();
            {
                let mut table = change.open_table(RUNS).unwrap();
                let key = (begun.scope, &*begun.fingerprint);
                let mut run: UnfinishedRun =
                    from_json(table.get(key).unwrap().unwrap().value()).unwrap();
                run.known += 1;
                table.insert(key, &*to_json(&run).unwrap()).unwrap();
            }
            change.commit().unwrap();
        }

        fn finish(&self, begun: &Session) {
            finish_session(&self.state, begun).unwrap();
        }
    }

    #[test]
    fn the_predicted_session_is_the_one_that_begins() {
        let desk = TestState::new();
        let preview = |fingerprint, restart| {
            let scope =
                &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
            let wish = SessionRequest { scope, fingerprint, restart, rows: None, now: 2000 };
            preview_session(&desk.state, wish).unwrap()
        };
        assert_eq!(preview("x", false), None, "nobody has asked for this app");
        desk.begin_with_answer("a", "x");
        for (fingerprint, restart) in [("x", true), ("y", false), ("x", false)] {
            let told = preview(fingerprint, restart);
            assert_eq!(told, preview(fingerprint, restart), "nothing was begun");
            assert_eq!(told, Some(desk.begin("a", fingerprint, restart)));
        }
    }

    fn inherited(begun: &Session) -> bool {
        matches!(begun.earlier, EarlierRun::Inherited { .. })
    }

    fn resumed(begun: &Session) -> bool {
        matches!(begun.earlier, EarlierRun::Resumed { .. })
    }

    #[test]
    fn a_session_resumes_by_fingerprint_until_it_is_finished() {
        let desk = TestState::new();
        let first = desk.begin_with_answer("a", "x");
        assert_eq!(
            (first.id, first.first_session, first.earlier.clone()),
            (1, 1, EarlierRun::None)
        );
        let second = desk.begin("a", "x", false);
        assert!(resumed(&second) && (second.id, second.first_session) == (2, 1), "{second:?}");
        desk.finish(&second);
        let third = desk.begin("a", "x", false);
        assert_eq!(
            (third.first_session, third.earlier),
            (3, EarlierRun::None),
            "each run asks anew"
        );
    }

    #[test]
    fn another_input_inherits_answers_once() {
        let desk = TestState::new();
        desk.begin_with_answer("a", "x");
        let other = desk.begin_with_answer("a", "y");
        assert!(inherited(&other) && other.first_session == 1, "{other:?}");
        let third = desk.begin_with_answer("a", "z");
        assert!(inherited(&third) && third.first_session == 1, "neither has finished: {third:?}");
        desk.finish(&other);
        assert_eq!(
            desk.begin("a", "v", false).earlier,
            EarlierRun::None,
            "all that y could use is used"
        );
        let again = desk.begin("a", "x", false);
        assert!(
            resumed(&again) && again.first_session == 1,
            "its own command still goes on: {again:?}"
        );
    }

    #[test]
    fn scopes_do_not_mix() {
        let desk = TestState::new();
        let first = desk.begin_with_answer("a", "x");
        let other = desk.begin_with_answer("b", "x");
        assert_ne!(first.scope, other.scope);
        assert_eq!(other.earlier, EarlierRun::None);
        desk.finish(&other);
        assert!(resumed(&desk.begin("a", "x", false)));
        assert_eq!(desk.begin("b", "y", false).earlier, EarlierRun::None);
    }

    #[test]
    fn a_restart_ignores_open_sessions_and_keeps_the_others() {
        let desk = TestState::new();
        desk.begin_with_answer("a", "x");
        desk.begin_with_answer("a", "y");
        let again = desk.begin("a", "x", true);
        assert_eq!((again.first_session, again.earlier.clone()), (again.id, EarlierRun::None));
        desk.add_answer(&again);
        assert!(resumed(&desk.begin("a", "y", false)));
        let resumed = desk.begin("a", "x", false);
        assert_eq!(resumed.first_session, again.first_session, "what was forgotten stays so");
    }

    #[test]
    fn a_finished_restart_leaves_other_sessions_unchanged() {
        let desk = TestState::new();
        desk.begin_with_answer("a", "x");
        desk.begin_with_answer("a", "y");
        desk.finish(&desk.begin("a", "x", true));
        assert!(
            inherited(&desk.begin("a", "z", false)),
            "it used nothing of y, which others still may"
        );
    }

    #[test]
    fn a_resumed_session_is_closed_when_it_finishes() {
        let desk = TestState::new();
        desk.begin_with_answer("a", "y");
        desk.begin_with_answer("a", "x");
        let again = desk.begin("a", "y", false);
        assert!(resumed(&again) && again.first_session == 1, "{again:?}");
        desk.finish(&again);
        let anew = desk.begin("a", "y", false);
        assert_eq!(
            (anew.first_session, anew.earlier),
            (anew.id, EarlierRun::None),
            "x, begun in between, lends nothing"
        );
    }

    #[test]
    fn a_session_without_answers_is_neither_resumed_nor_inherited() {
        let desk = TestState::new();
        desk.begin("a", "x", false);
        let other = desk.begin_with_answer("a", "y");
        assert_eq!(other.earlier, EarlierRun::None);
        desk.finish(&other);
        let again = desk.begin("a", "x", false);
        assert_eq!((again.first_session, again.earlier), (again.id, EarlierRun::None));
    }
}
