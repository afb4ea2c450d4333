//! The state as a run sees it: what is known of a number, and keeping what was learned. Looks up in the last commit and
//! in what is not committed yet, so that memory holds no more than the latter.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::database::{State, StateError};
use crate::store::disk::prefetch::{Ahead, Door, Foreseen, Recalled};
use crate::store::disk::record::Kept;
use crate::store::disk::sessions::{Begun, finish};
use crate::store::disk::usable::Usable;
use crate::store::disk::writer::{Journal, Lost, QUEUE};
use crate::store::freshness::{Ages, Rule};

/// What was found ahead so many seconds ago is looked up again: an answer may have got too old since.
const STALE: u64 = 60;

/// A run's view of the state.
#[derive(Debug)]
pub struct Disk {
    /// Closed before the state is let go of.
    door: Door,
    state: Arc<State>,
    begun: Begun,
    clock: fn() -> i64,
    journal: Journal,
    /// The answers of the last commit that was looked at.
    answers: Usable,
    /// How many answers were committed then.
    looked: u64,
    /// What is not in there yet, or not in what is looked at ahead, and its order.
    fresh: HashMap<Mobile, Arc<Outcome>>,
    order: VecDeque<Mobile>,
    /// How many answers have left `fresh`.
    settled: u64,
    /// How many answers each thread that looks ahead had before it, the last time that it was heard of.
    lanes: Vec<u64>,
    lost: Option<Lost>,
}

/// A run all of whose answers are on disk, and which is not finished.
#[derive(Debug)]
pub struct Settled {
    state: Arc<State>,
    begun: Begun,
}

/// The wall clock in seconds since 1970.
#[must_use]
pub(crate) fn wall() -> i64 {
    let since = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or_else(|error| -since(error.duration()), since)
}

impl Disk {
    /// Takes up a run that was begun. `clock` gives the wall clock in seconds since 1970.
    ///
    /// # Errors
    /// What the database says, or the system where it gives no thread.
    pub fn start(
        state: State,
        begun: Begun,
        ages: Ages,
        clock: fn() -> i64,
    ) -> Result<Self, StateError> {
        let state = Arc::new(state);
        let answers = Usable::of(&state, begun.scope, Rule { since: begun.since, ages })?;
        let journal = Journal::start(Arc::clone(&state), begun.clone())?;
        Ok(Self {
            door: Door::to(&state),
            state,
            begun,
            clock,
            journal,
            answers,
            looked: 0,
            fresh: HashMap::new(),
            order: VecDeque::new(),
            settled: 0,
            lanes: Vec::new(),
            lost: None,
        })
    }

    /// What that many threads need to look ahead, one each. From now on each has to be heard of, time and again.
    pub fn ahead(&mut self, threads: usize) -> Vec<Ahead> {
        self.lanes = vec![0; threads];
        let of = |lane| Ahead {
            way: self.door.way(),
            begun: self.begun.clone(),
            rule: self.answers.rule,
            clock: self.clock,
            progress: self.journal.progress(),
            lane,
        };
        (0..threads).map(of).collect()
    }

    /// What was looked up ahead has come to its turn: what was found, one for each number; nothing where that was too long ago.
    pub fn arrived(&mut self, foreseen: Foreseen) -> Vec<Option<Recalled>> {
        if let Some(seen) = self.lanes.get_mut(foreseen.lane) {
            *seen = foreseen.seen;
        }
        self.let_go();
        if (self.clock)().abs_diff(foreseen.at) > STALE { Vec::new() } else { foreseen.answers }
    }

    /// What is known of a number, where `foreseen` is what was found ahead, if somebody looked. What cannot be read, or is
    /// not as it was written, is not known.
    pub fn get(&mut self, mobile: Mobile, foreseen: Option<&Option<Recalled>>) -> Option<Recalled> {
        if let Some(outcome) = self.fresh.get(&mobile) {
            return Some(Recalled { outcome: Arc::clone(outcome), earlier: false });
        }
        if let Some(foreseen) = foreseen {
            return foreseen.clone();
        }
        Recalled::of(&self.answers, mobile, (self.clock)(), self.begun.session).unwrap_or_else(
            |error| {
                self.lost = Some(Lost(error.to_string()));
                None
            },
        )
    }

    /// Keeps a definitive answer: at once for lookups, on disk within a second.
    pub fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        self.learn(mobile, outcome, (self.clock)());
    }

    /// The same for one that another run was given at `asked`, in seconds since 1970.
    pub fn learn(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked: i64) {
        self.fresh.insert(mobile, Arc::clone(outcome));
        self.order.push_back(mobile);
        let session = self.begun.session;
        self.journal.keep(mobile, Kept { session, asked, outcome: Arc::clone(outcome) });
    }

    /// Whether so many more answers can be taken before some have been committed.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.journal.waiting() + (more as u64) < QUEUE as u64
    }

    /// Why answers can no longer be kept.
    #[must_use]
    pub fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref().or_else(|| self.journal.lost())
    }

    /// Has `wake` called whenever [`Disk::refresh`] has something to do or [`Disk::lost`] something to say.
    pub fn on_news(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.journal.on_news(wake);
    }

    /// Looks at the last commit from now on, and lets go of what is in it.
    pub fn refresh(&mut self) {
        let committed = self.journal.committed();
        if committed == self.looked {
            return;
        }
        if let Err(error) = self.answers.refresh(&self.state) {
            self.lost = Some(Lost(error.to_string()));
            return;
        }
        self.looked = committed;
        self.let_go();
    }

    /// Lets go of the answers that everybody finds who looks, here or ahead.
    fn let_go(&mut self) {
        let found = self.lanes.iter().copied().fold(self.looked, u64::min);
        while self.settled < found {
            if let Some(mobile) = self.order.pop_front() {
                self.fresh.remove(&mobile);
            }
            self.settled += 1;
        }
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// [`Lost`], where not all of it came there.
    pub fn close(self) -> Result<Settled, Lost> {
        drop(self.door);
        self.journal.close()?;
        self.lost.map_or(Ok(Settled { state: self.state, begun: self.begun }), Err)
    }
}

impl Settled {
    /// Ends the run: its output is complete.
    ///
    /// # Errors
    /// [`Lost`]; then the run is still open, and its answers would be used again.
    pub fn finish(self) -> Result<(), Lost> {
        finish(&self.state, &self.begun).map_err(|error| Lost(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::outcome::{Code, Status};
    use crate::store::disk::sessions::{Wish, begin};
    use crate::store::scope::Scope;

    const NOON: i64 = 1_790_000_000;
    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> i64 {
        NOON
    }

    fn an_hour_earlier() -> i64 {
        NOON - 3600
    }

    fn start(path: &Path, clock: fn() -> i64, any: Duration) -> Disk {
        let (state, aside) = State::open(path, false, false).unwrap();
        assert_eq!(aside, None);
        let scope =
            &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
        let wish = Wish { scope, fingerprint: "f", restart: false, rows: None, now: clock() };
        let begun = begin(&state, wish).unwrap();
        Disk::start(state, begun, Ages { any, nobody: any }, clock).unwrap()
    }

    fn number(n: u32) -> Mobile {
        Mobile::mainland(format!("139{n:08}").as_bytes()).unwrap()
    }

    fn answer(n: u32) -> Arc<Outcome> {
        Arc::new(Outcome::bare(Status::NotFound, Some(Code::Number(60121)), format!("answer {n}")))
    }

    #[test]
    fn an_answer_is_known_at_once_and_memory_lets_go_of_it_once_it_is_on_disk() {
        let room = tempfile::tempdir().unwrap();
        let mut disk = start(&room.path().join("s"), noon, Duration::ZERO);
        for n in 0..100 {
            assert_eq!(disk.get(number(n), None), None);
            disk.keep(number(n), &answer(n));
            assert_eq!(
                disk.get(number(n), None),
                Some(Recalled { outcome: answer(n), earlier: false })
            );
        }
        let begun = Instant::now();
        while !disk.fresh.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30) && disk.lost().is_none());
            std::thread::sleep(Duration::from_millis(5));
            disk.refresh();
        }
        assert!(disk.order.is_empty() && disk.has_room(QUEUE - 1) && !disk.has_room(QUEUE));
        for n in 0..100 {
            assert_eq!(
                disk.get(number(n), None),
                Some(Recalled { outcome: answer(n), earlier: false })
            );
        }
    }

    #[test]
    fn what_was_learned_since_somebody_looked_ahead_stays_known() {
        let room = tempfile::tempdir().unwrap();
        let mut disk = start(&room.path().join("s"), noon, Duration::ZERO);
        let lanes = disk.ahead(2);
        let look = |lane: usize| lanes[lane].look([Some(number(1)), None].into_iter());
        let early = look(0);
        assert_eq!(early.answers, [None, None]);
        disk.keep(number(1), &answer(1));
        let begun = Instant::now();
        while disk.journal.waiting() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30) && disk.lost().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        disk.refresh();
        let known = Some(Recalled { outcome: answer(1), earlier: false });
        for lane in [0, 1] {
            // The one that looked before the answer came may still be under way, and so may the other.
            disk.arrived(early.clone());
            assert_eq!(disk.get(number(1), early.answers.first()), known);
            assert_eq!(look(lane).answers, [known.clone(), None]);
            disk.arrived(look(lane));
        }
        assert!(!disk.fresh.is_empty(), "one of them was last heard of before it");
        disk.arrived(look(0));
        assert!(disk.fresh.is_empty() && disk.order.is_empty());
        assert_eq!(
            (disk.get(number(1), look(1).answers.first()), disk.get(number(1), None)),
            (known.clone(), known)
        );
    }

    #[test]
    fn what_was_looked_up_too_long_ago_is_looked_up_again() {
        static CLOCK: AtomicI64 = AtomicI64::new(NOON);
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s");
        let begin = || start(&path, || CLOCK.load(Ordering::Relaxed), Duration::from_mins(10));
        let mut disk = begin();
        disk.keep(number(1), &answer(1));
        disk.close().unwrap().finish().unwrap();
        CLOCK.store(NOON + 9 * 60, Ordering::Relaxed);
        let mut disk = begin();
        let lanes = disk.ahead(1);
        let early = lanes[0].look([Some(number(1))].into_iter());
        let known = Some(Recalled { outcome: answer(1), earlier: true });
        for (later, found) in [(0, true), (50, true), (59, true)] {
            CLOCK.store(NOON + 9 * 60 + later, Ordering::Relaxed);
            let arrived = disk.arrived(early.clone());
            assert_eq!(disk.get(number(1), arrived.first()) == known, found, "{later}");
        }
        CLOCK.store(NOON + 11 * 60, Ordering::Relaxed);
        let arrived = disk.arrived(early);
        assert_eq!(disk.get(number(1), arrived.first()), None, "it is eleven minutes old");
        drop(disk);
        assert!(
            lanes[0].look([Some(number(1))].into_iter()).answers.is_empty(),
            "nobody looks behind a run's end"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_answer_from_an_unfinished_run_and_gives_none_of_a_finished_one()
     {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s");
        let mut disk = start(&path, noon, Duration::ZERO);
        disk.keep(number(1), &answer(1));
        drop(disk.close().unwrap());
        let mut disk = start(&path, an_hour_earlier, Duration::ZERO);
        assert_eq!(disk.get(number(1), None), Some(Recalled { outcome: answer(1), earlier: true }));
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
