//! The state file as a run sees it: it looks numbers up in the last commit and in what is not
//! committed yet, and keeps only the latter in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::prefetch::{
    CloseGuard, CommittedAnswers, Prefetched, Prefetcher, StoredAnswer,
};
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::sessions::{Session, finish_session};
use crate::store::disk::writer::{AnswerWriter, QUEUE_CAPACITY, WriteError};
use crate::store::freshness::{Freshness, MaxAges};

/// What was found ahead so many seconds ago is looked up again: an answer may have got too old
/// since.
const MAX_PREFETCH_AGE_SECS: u64 = 60;

/// A run's view of the state.
#[derive(Debug)]
pub struct DiskStore {
    /// Closed before the state is let go of.
    close_guard: CloseGuard,
    state: Arc<State>,
    session: Session,
    clock: fn() -> i64,
    writer: AnswerWriter,
    /// The answers of the last commit that was looked at.
    committed: CommittedAnswers,
    /// How many answers were committed then.
    committed_count: u64,
    /// What is not in there yet, or not in what is looked at ahead, and its order.
    uncommitted: HashMap<Mobile, Arc<Outcome>>,
    uncommitted_order: VecDeque<Mobile>,
    /// How many answers have left `fresh`.
    evicted_count: u64,
    /// How many answers each thread that looks ahead had before it, the last time that it was heard
    /// of.
    seen_by_worker: Vec<u64>,
    write_error: Option<WriteError>,
}

/// A run all of whose answers are on disk, and which is not finished.
#[derive(Debug)]
pub struct Flushed {
    state: Arc<State>,
    session: Session,
}

/// The wall clock in seconds since 1970.
#[must_use]
pub(crate) fn wall_secs() -> i64 {
    let since = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or_else(|error| -since(error.duration()), since)
}

impl DiskStore {
    /// Takes up a run that was begun. `clock` gives the wall clock in seconds since 1970.
    ///
    /// # Errors
    /// What the database says, or the system where it gives no thread.
    pub fn start(
        state: State,
        begun: Session,
        ages: MaxAges,
        clock: fn() -> i64,
    ) -> Result<Self, StateError> {
        let state = Arc::new(state);
        let answers = CommittedAnswers::open(
            &state,
            begun.scope,
            Freshness { first_session: begun.first_session, max_ages: ages },
        )?;
        let journal = AnswerWriter::start(Arc::clone(&state), begun.clone())?;
        Ok(Self {
            close_guard: CloseGuard::new(&state),
            state,
            session: begun,
            clock,
            writer: journal,
            committed: answers,
            committed_count: 0,
            uncommitted: HashMap::new(),
            uncommitted_order: VecDeque::new(),
            evicted_count: 0,
            seen_by_worker: Vec::new(),
            write_error: None,
        })
    }

    /// What that many threads need to look ahead, one each. From now on each has to be heard of,
    /// time and again.
    pub fn prefetchers(&mut self, threads: usize) -> Vec<Prefetcher> {
        self.seen_by_worker = vec![0; threads];
        let of = |lane| Prefetcher {
            state: self.close_guard.shared_state(),
            session: self.session.clone(),
            freshness: self.committed.freshness,
            clock: self.clock,
            progress: self.writer.progress(),
            worker: lane,
        };
        (0..threads).map(of).collect()
    }

    /// What was looked up ahead has come to its turn: what was found, one for each number; nothing
    /// where that was too long ago.
    pub fn on_prefetched(&mut self, foreseen: Prefetched) -> Vec<Option<StoredAnswer>> {
        if let Some(seen) = self.seen_by_worker.get_mut(foreseen.worker) {
            *seen = foreseen.committed;
        }
        self.evict_committed();
        if (self.clock)().abs_diff(foreseen.looked_up_at) > MAX_PREFETCH_AGE_SECS {
            Vec::new()
        } else {
            foreseen.answers
        }
    }

    /// What is known of a number, where `foreseen` is what was found ahead, if somebody looked.
    /// What cannot be read, or is not as it was written, is not known.
    pub fn get(
        &mut self,
        mobile: Mobile,
        foreseen: Option<&Option<StoredAnswer>>,
    ) -> Option<StoredAnswer> {
        if let Some(outcome) = self.uncommitted.get(&mobile) {
            return Some(StoredAnswer {
                outcome: Arc::clone(outcome),
                from_earlier_session: false,
            });
        }
        if let Some(foreseen) = foreseen {
            return foreseen.clone();
        }
        StoredAnswer::look_up(&self.committed, mobile, (self.clock)(), self.session.id)
            .unwrap_or_else(|error| {
                self.write_error = Some(WriteError(error.to_string()));
                None
            })
    }

    /// Keeps a definitive answer: at once for lookups, on disk within a second.
    pub fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        self.keep_from_peer(mobile, outcome, (self.clock)());
    }

    /// The same for one that another run was given at `asked`, in seconds since 1970.
    pub fn keep_from_peer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked: i64) {
        self.uncommitted.insert(mobile, Arc::clone(outcome));
        self.uncommitted_order.push_back(mobile);
        let session = self.session.id;
        self.writer.enqueue(
            mobile,
            AnswerRecord { session_id: session, asked_at: asked, outcome: Arc::clone(outcome) },
        );
    }

    /// Whether so many more answers can be taken before some have been committed.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.writer.queued() + (more as u64) < QUEUE_CAPACITY as u64
    }

    /// Why answers can no longer be kept.
    #[must_use]
    pub fn write_error(&self) -> Option<&WriteError> {
        self.write_error.as_ref().or_else(|| self.writer.write_error())
    }

    /// Has `wake` called whenever [`DiskStore::refresh`] has something to do or
    /// [`DiskStore::write_error`] something to say.
    pub fn set_waker(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.writer.set_waker(wake);
    }

    /// Looks at the last commit from now on, and lets go of what is in it.
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

    /// Lets go of the answers that everybody finds who looks, here or ahead.
    fn evict_committed(&mut self) {
        let found = self.seen_by_worker.iter().copied().fold(self.committed_count, u64::min);
        while self.evicted_count < found {
            if let Some(mobile) = self.uncommitted_order.pop_front() {
                self.uncommitted.remove(&mobile);
            }
            self.evicted_count += 1;
        }
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// [`WriteError`], where not all of it came there.
    pub fn close(self) -> Result<Flushed, WriteError> {
        drop(self.close_guard);
        self.writer.close()?;
        self.write_error.map_or(Ok(Flushed { state: self.state, session: self.session }), Err)
    }
}

impl Flushed {
    /// Ends the run: its output is complete.
    ///
    /// # Errors
    /// [`WriteError`]; then the run is still open, and its answers would be used again.
    pub fn finish(self) -> Result<(), WriteError> {
        finish_session(&self.state, &self.session).map_err(|error| WriteError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
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
        let wish =
            SessionRequest { scope, fingerprint: "f", restart: false, rows: None, now: clock() };
        let begun = begin_session(&state, wish).unwrap();
        DiskStore::start(state, begun, MaxAges { any, without_user: any }, clock).unwrap()
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
        let room = tempfile::tempdir().unwrap();
        let mut disk = start(&room.path().join("s"), noon, Duration::ZERO);
        for n in 0..100 {
            assert_eq!(disk.get(number(n), None), None);
            disk.keep(number(n), &answer(n));
            assert_eq!(
                disk.get(number(n), None),
                Some(StoredAnswer { outcome: answer(n), from_earlier_session: false })
            );
        }
        let begun = Instant::now();
        while !disk.uncommitted.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30) && disk.write_error().is_none());
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
        let room = tempfile::tempdir().unwrap();
        let mut disk = start(&room.path().join("s"), noon, Duration::ZERO);
        let lanes = disk.prefetchers(2);
        let look = |lane: usize| lanes[lane].look_up([Some(number(1)), None].into_iter());
        let early = look(0);
        assert_eq!(early.answers, [None, None]);
        disk.keep(number(1), &answer(1));
        let begun = Instant::now();
        while disk.writer.queued() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30) && disk.write_error().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        disk.refresh();
        let known = Some(StoredAnswer { outcome: answer(1), from_earlier_session: false });
        for lane in [0, 1] {
            // The one that looked before the answer came may still be under way, and so may the
            // other.
            disk.on_prefetched(early.clone());
            assert_eq!(disk.get(number(1), early.answers.first()), known);
            assert_eq!(look(lane).answers, [known.clone(), None]);
            disk.on_prefetched(look(lane));
        }
        assert!(!disk.uncommitted.is_empty(), "one of them was last heard of before it");
        disk.on_prefetched(look(0));
        assert!(disk.uncommitted.is_empty() && disk.uncommitted_order.is_empty());
        assert_eq!(
            (disk.get(number(1), look(1).answers.first()), disk.get(number(1), None)),
            (known.clone(), known)
        );
    }

    #[test]
    fn a_stale_prefetch_is_read_again() {
        static CLOCK: AtomicI64 = AtomicI64::new(NOON);
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s");
        let open = || start(&path, || CLOCK.load(Ordering::Relaxed), Duration::from_mins(10));
        let mut disk = open();
        disk.keep(number(1), &answer(1));
        disk.close().unwrap().finish().unwrap();
        CLOCK.store(NOON + 9 * 60, Ordering::Relaxed);
        let mut disk = open();
        let lanes = disk.prefetchers(1);
        let early = lanes[0].look_up([Some(number(1))].into_iter());
        let known = Some(StoredAnswer { outcome: answer(1), from_earlier_session: true });
        for (later, found) in [(0, true), (50, true), (59, true)] {
            CLOCK.store(NOON + 9 * 60 + later, Ordering::Relaxed);
            let arrived = disk.on_prefetched(early.clone());
            assert_eq!(disk.get(number(1), arrived.first()) == known, found, "{later}");
        }
        CLOCK.store(NOON + 11 * 60, Ordering::Relaxed);
        let arrived = disk.on_prefetched(early);
        assert_eq!(disk.get(number(1), arrived.first()), None, "it is eleven minutes old");
        drop(disk);
        assert!(
            lanes[0].look_up([Some(number(1))].into_iter()).answers.is_empty(),
            "nobody looks behind a run's end"
        );
    }

    #[test]
    fn a_clock_set_back_keeps_answers_of_the_session_and_adds_none_of_earlier_ones() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s");
        let mut disk = start(&path, noon, Duration::ZERO);
        disk.keep(number(1), &answer(1));
        drop(disk.close().unwrap());
        let mut disk = start(&path, an_hour_earlier, Duration::ZERO);
        assert_eq!(
            disk.get(number(1), None),
            Some(StoredAnswer { outcome: answer(1), from_earlier_session: true })
        );
        disk.close().unwrap().finish().unwrap();
        for (any, known) in
            [(Duration::ZERO, false), (HOUR / 2, false), (HOUR, true), (HOUR * 2, true)]
        {
            let mut disk = start(&path, an_hour_earlier, any);
            assert_eq!(disk.get(number(1), None).is_some(), known, "{any:?}");
            disk.close().unwrap().finish().unwrap();
        }
    }
}
