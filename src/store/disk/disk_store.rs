//! A run's store on disk: looks numbers up in the last commit and among uncommitted answers, and
//! keeps only the latter in memory.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::output_records;
use crate::store::disk::prefetch::{
    CloseGuard, CommittedAnswers, Prefetched, Prefetcher, StoredAnswer,
};
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::resolved_files::{self, FileRecords};
use crate::store::disk::sessions::{Session, finish_session};
use crate::store::disk::writer::{AnswerWriter, QUEUE_CAPACITY, WriteError};
use crate::store::freshness::{Freshness, MaxAges};
use crate::table::digest::FileDigest;

/// Prefetched answers older than this are looked up again, since they may exceed their maximum age.
const MAX_PREFETCH_AGE_SECS: u64 = 60;

/// The store of a run.
#[derive(Debug)]
pub struct DiskStore {
    /// Dropped before `state`.
    close_guard: CloseGuard,
    state: Arc<State>,
    session: Session,
    clock: fn() -> i64,
    writer: AnswerWriter,
    /// The commit that lookups read.
    committed: CommittedAnswers,
    /// How many of this run's answers are in `committed`.
    committed_count: u64,
    /// Answers that are missing in `committed` or in the last commit that some prefetch thread
    /// read.
    uncommitted: HashMap<Mobile, Arc<Outcome>>,
    /// The order in which `uncommitted` was filled.
    uncommitted_order: VecDeque<Mobile>,
    /// How many answers were removed from `uncommitted`.
    evicted_count: u64,
    /// For each prefetch thread, how many of this run's answers were in the last commit it read.
    seen_by_worker: Vec<u64>,
    write_error: Option<WriteError>,
}

/// An unfinished run whose answers are all on disk.
#[derive(Debug)]
pub struct Flushed {
    state: Arc<State>,
    session: Session,
}

/// The wall clock in seconds since 1970.
#[must_use]
pub(crate) fn wall_secs() -> i64 {
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or_else(|error| -seconds(error.duration()), seconds)
}

impl DiskStore {
    /// Opens the store for a started session. `clock` returns the wall clock in seconds since 1970.
    pub fn start(
        state: State,
        session: Session,
        max_ages: MaxAges,
        clock: fn() -> i64,
    ) -> Result<Self, StateError> {
        let state = Arc::new(state);
        let freshness = Freshness { first_session: session.first_session, max_ages };
        let committed = CommittedAnswers::open(&state, session.scope, freshness)?;
        let writer = AnswerWriter::start(Arc::clone(&state), session.clone())?;
        Ok(Self {
            close_guard: CloseGuard::new(&state),
            state,
            session,
            clock,
            writer,
            committed,
            committed_count: 0,
            uncommitted: HashMap::new(),
            uncommitted_order: VecDeque::new(),
            evicted_count: 0,
            seen_by_worker: Vec::new(),
            write_error: None,
        })
    }

    /// One [`Prefetcher`] per thread. From now on, uncommitted answers stay in memory until each
    /// thread has read a commit that contains them.
    pub fn prefetchers(&mut self, threads: usize) -> Vec<Prefetcher> {
        self.seen_by_worker = vec![0; threads];
        let prefetcher = |worker| Prefetcher {
            state: self.close_guard.shared_state(),
            session: self.session.clone(),
            freshness: self.committed.freshness,
            clock: self.clock,
            progress: self.writer.progress(),
            worker,
        };
        (0..threads).map(prefetcher).collect()
    }

    /// What the state has about a resolved file.
    pub(crate) fn file_records(&self) -> FileRecords {
        FileRecords { state: Arc::clone(&self.state), session: self.session.clone() }
    }

    /// Takes a prefetched batch whose turn has come. Returns its answers, one per number, or
    /// nothing if the lookup was too long ago.
    pub fn on_prefetched(&mut self, prefetched: Prefetched) -> Vec<Option<StoredAnswer>> {
        if let Some(seen) = self.seen_by_worker.get_mut(prefetched.worker) {
            *seen = prefetched.committed;
        }
        self.evict_committed();
        if (self.clock)().abs_diff(prefetched.looked_up_at) > MAX_PREFETCH_AGE_SECS {
            Vec::new()
        } else {
            prefetched.answers
        }
    }

    /// The answer to a number, if known. `prefetched` is the result of looking the number up ahead,
    /// if that was done. A damaged record is no answer; a read error ends the run.
    pub fn get(
        &mut self,
        mobile: Mobile,
        prefetched: Option<&Option<StoredAnswer>>,
    ) -> Option<StoredAnswer> {
        if let Some(outcome) = self.uncommitted.get(&mobile) {
            return Some(StoredAnswer {
                outcome: Arc::clone(outcome),
                from_earlier_session: false,
            });
        }
        if let Some(prefetched) = prefetched {
            return prefetched.clone();
        }
        StoredAnswer::look_up(&self.committed, mobile, (self.clock)(), self.session.id)
            .unwrap_or_else(|error| {
                self.write_error = Some(WriteError(error.to_string()));
                None
            })
    }

    /// Keeps a definitive answer. Lookups find it at once; it is on disk within about 1 s.
    pub fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        self.keep_from_peer(mobile, outcome, (self.clock)());
    }

    /// Keeps an answer that another run got at `asked_at`, in seconds since 1970.
    pub fn keep_from_peer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked_at: i64) {
        self.uncommitted.insert(mobile, Arc::clone(outcome));
        self.uncommitted_order.push_back(mobile);
        let record =
            AnswerRecord { session_id: self.session.id, asked_at, outcome: Arc::clone(outcome) };
        self.writer.enqueue(mobile, record);
    }

    /// Whether the queue has room for `more` answers.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.writer.queued() + (more as u64) < QUEUE_CAPACITY as u64
    }

    /// Why answers can no longer be stored or read.
    #[must_use]
    pub fn write_error(&self) -> Option<&WriteError> {
        self.write_error.as_ref().or_else(|| self.writer.write_error())
    }

    /// Sets the function that is called when [`DiskStore::refresh`] has work or
    /// [`DiskStore::write_error`] has an error.
    pub fn set_waker(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.writer.set_waker(wake);
    }

    /// Reads the last commit from now on, and removes its answers from memory.
    pub fn refresh(&mut self) {
        let committed = self.writer.committed();
        if committed == self.committed_count {
            return;
        }
        if let Err(error) = self.committed.refresh(&self.state) {
            self.write_error = Some(WriteError(error.to_string()));
            return;
        }
        self.committed_count = committed;
        self.evict_committed();
    }

    /// Removes the answers that this store and every prefetch thread find on disk.
    fn evict_committed(&mut self) {
        let seen_by_all = self.seen_by_worker.iter().copied().fold(self.committed_count, u64::min);
        while self.evicted_count < seen_by_all {
            if let Some(mobile) = self.uncommitted_order.pop_front() {
                self.uncommitted.remove(&mobile);
            }
            self.evicted_count += 1;
        }
    }

    /// Waits until all answers are on disk.
    pub fn close(self) -> Result<Flushed, WriteError> {
        drop(self.close_guard);
        self.writer.close()?;
        self.write_error.map_or(Ok(Flushed { state: self.state, session: self.session }), Err)
    }
}

impl Flushed {
    /// The digest of what a run last wrote to this file.
    pub(crate) fn recorded_output(&self, path: &Path) -> Result<Option<FileDigest>, StateError> {
        output_records::find(&self.state, path)
    }

    /// Whether a run of this app wrote a file and asked all of its numbers.
    pub(crate) fn has_written(&self, path: &Path) -> Result<bool, StateError> {
        resolved_files::was_written(&self.state, path, self.session.scope)
    }

    /// Records what this run wrote to a file, if `digest` is known, and whether the state has the
    /// answers to all numbers in it.
    pub(crate) fn record_output(
        &self,
        path: &Path,
        digest: Option<&FileDigest>,
        has_all_answers: bool,
    ) -> Result<(), WriteError> {
        let record = || -> Result<(), StateError> {
            let transaction = self.state.database.begin_write()?;
            if has_all_answers {
                resolved_files::record_written(&transaction, path, &self.session)?;
            } else {
                resolved_files::forget_written(&transaction, path)?;
            }
            if let Some(digest) = digest {
                output_records::record(&transaction, path, digest)?;
            }
            transaction.commit()?;
            Ok(())
        };
        record().map_err(|error| WriteError(error.to_string()))
    }

    /// Finishes the run, whose output is complete. After an error the run is still unfinished, and
    /// its answers would be used again.
    pub fn finish(self) -> Result<(), WriteError> {
        let finish = || -> Result<(), StateError> {
            let transaction = self.state.database.begin_write()?;
            finish_session(&transaction, &self.session)?;
            resolved_files::forget_row_records(&transaction, &self.session)?;
            transaction.commit()?;
            Ok(())
        };
        finish().map_err(|error| WriteError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::outcome::{Code, Status};
    use crate::store::disk::sessions::{SessionRequest, begin_session};
    use crate::store::scope::Scope;

    const NOON: i64 = 1_790_000_000;
    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> i64 {
        NOON
    }

    fn an_hour_earlier() -> i64 {
        NOON - 3600
    }

    fn start(path: &Path, clock: fn() -> i64, any: Duration) -> DiskStore {
        let (state, aside) = State::open(path, false, false).unwrap();
        assert_eq!(aside, None);
        let scope =
            &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
        let request =
            SessionRequest { scope, fingerprint: "f", restart: false, rows: None, now: clock() };
        let session = begin_session(&state, request).unwrap();
        DiskStore::start(state, session, MaxAges { any, without_user: any }, clock).unwrap()
    }

    fn number(n: u32) -> Mobile {
        Mobile::from_mainland_digits(format!("139{n:08}").as_bytes()).unwrap()
    }

    fn answer(n: u32) -> Arc<Outcome> {
        Arc::new(Outcome::without_user(
            Status::NotFound,
            Some(Code::Number(60121)),
            format!("answer {n}"),
        ))
    }

    #[test]
    fn an_answer_is_available_immediately_and_leaves_memory_once_committed() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = start(&directory.path().join("s"), noon, Duration::ZERO);
        for n in 0..100 {
            assert_eq!(disk.get(number(n), None), None);
            disk.keep(number(n), &answer(n));
            assert_eq!(
                disk.get(number(n), None),
                Some(StoredAnswer { outcome: answer(n), from_earlier_session: false })
            );
        }
        let start = Instant::now();
        while !disk.uncommitted.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(30) && disk.write_error().is_none());
            std::thread::sleep(Duration::from_millis(5));
            disk.refresh();
        }
        assert!(
            disk.uncommitted_order.is_empty()
                && disk.has_room(QUEUE_CAPACITY - 1)
                && !disk.has_room(QUEUE_CAPACITY)
        );
        for n in 0..100 {
            assert_eq!(
                disk.get(number(n), None),
                Some(StoredAnswer { outcome: answer(n), from_earlier_session: false })
            );
        }
    }

    #[test]
    fn answers_kept_after_a_prefetch_are_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = start(&directory.path().join("s"), noon, Duration::ZERO);
        let prefetchers = disk.prefetchers(2);
        let look_up =
            |worker: usize| prefetchers[worker].look_up([Some(number(1)), None].into_iter());
        let early = look_up(0);
        assert_eq!(early.answers, [None, None]);
        disk.keep(number(1), &answer(1));
        let start = Instant::now();
        while disk.writer.queued() > 0 {
            assert!(start.elapsed() < Duration::from_secs(30) && disk.write_error().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        disk.refresh();
        let known = Some(StoredAnswer { outcome: answer(1), from_earlier_session: false });
        for worker in [0, 1] {
            // A lookup from before the answer may still be queued in either thread.
            disk.on_prefetched(early.clone());
            assert_eq!(disk.get(number(1), early.answers.first()), known);
            assert_eq!(look_up(worker).answers, [known.clone(), None]);
            disk.on_prefetched(look_up(worker));
        }
        assert!(!disk.uncommitted.is_empty(), "one thread last read a commit without it");
        disk.on_prefetched(look_up(0));
        assert!(disk.uncommitted.is_empty() && disk.uncommitted_order.is_empty());
        assert_eq!(
            (disk.get(number(1), look_up(1).answers.first()), disk.get(number(1), None)),
            (known.clone(), known)
        );
    }

    #[test]
    fn a_stale_prefetch_is_read_again() {
        static CLOCK: AtomicI64 = AtomicI64::new(NOON);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let open = || start(&path, || CLOCK.load(Ordering::Relaxed), Duration::from_mins(10));
        let mut disk = open();
        disk.keep(number(1), &answer(1));
        disk.close().unwrap().finish().unwrap();
        CLOCK.store(NOON + 9 * 60, Ordering::Relaxed);
        let mut disk = open();
        let prefetchers = disk.prefetchers(1);
        let early = prefetchers[0].look_up([Some(number(1))].into_iter());
        let known = Some(StoredAnswer { outcome: answer(1), from_earlier_session: true });
        for (later, is_found) in [(0, true), (50, true), (59, true)] {
            CLOCK.store(NOON + 9 * 60 + later, Ordering::Relaxed);
            let arrived = disk.on_prefetched(early.clone());
            assert_eq!(disk.get(number(1), arrived.first()) == known, is_found, "{later}");
        }
        CLOCK.store(NOON + 11 * 60, Ordering::Relaxed);
        let arrived = disk.on_prefetched(early);
        assert_eq!(disk.get(number(1), arrived.first()), None, "the answer is 11 minutes old");
        drop(disk);
        assert!(
            prefetchers[0].look_up([Some(number(1))].into_iter()).answers.is_empty(),
            "no lookups after the end of a run"
        );
    }

    #[test]
    fn a_clock_set_back_keeps_answers_of_the_session_and_adds_none_of_earlier_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let mut disk = start(&path, noon, Duration::ZERO);
        disk.keep(number(1), &answer(1));
        drop(disk.close().unwrap());
        let mut disk = start(&path, an_hour_earlier, Duration::ZERO);
        assert_eq!(
            disk.get(number(1), None),
            Some(StoredAnswer { outcome: answer(1), from_earlier_session: true })
        );
        disk.close().unwrap().finish().unwrap();
        for (max_age, is_known) in
            [(Duration::ZERO, false), (HOUR / 2, false), (HOUR, true), (HOUR * 2, true)]
        {
            let mut disk = start(&path, an_hour_earlier, max_age);
            assert_eq!(disk.get(number(1), None).is_some(), is_known, "{max_age:?}");
            disk.close().unwrap().finish().unwrap();
        }
    }
}
