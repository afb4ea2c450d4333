//! The thread that writes answers to the state: it gathers for half a second after the first one, or until there
//! are enough, commits all of them at once with a sync, and says so. Leaves what is looked up to `disk`.

use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use redb::ReadableTable;
use tr::tr;

use crate::domain::number::mobile::Mobile;
use crate::store::disk::database::{ANSWERS, RUNS, State, StateError};
use crate::store::disk::record::Kept;
use crate::store::disk::sessions::{Begun, Run, read, written};

/// How long the first answer waits for others. With the commit itself an answer is on disk within a second.
const GATHERS: Duration = Duration::from_millis(500);
/// So many answers are enough to be committed without waiting for more. Each takes some hundred bytes of memory until it is
/// on disk; fewer to a commit cost more of the database's upper pages.
const ENOUGH: u64 = 1 << 12;
/// Answers that may wait to be written: those of one commit, and as many that come in the meantime. A disk on which a commit takes a
/// second so holds a run at some thousand calls a second; twice as many would take 3 MiB more.
pub(crate) const QUEUE: usize = 1 << 13;

/// Why answers can no longer be kept: what the system or the database says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// How far the writing is.
#[derive(Default)]
pub(crate) struct Progress {
    committed: AtomicU64,
    lost: OnceLock<Lost>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Progress {
    /// How many answers were committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    fn tell(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// No more can be kept, or can be read.
    pub(crate) fn lose(&self, lost: Lost) {
        // The first reason counts.
        let _ = self.lost.set(lost);
        self.tell();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("committed", &self.committed()).finish_non_exhaustive()
    }
}

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct Journal {
    answers: SyncSender<(Mobile, Kept)>,
    /// Tells the thread not to wait for more: a message that there is enough, and its end that there will be none.
    hurry: SyncSender<()>,
    /// Answers handed over since the start.
    handed: u64,
    progress: Arc<Progress>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Starts the thread.
    pub(crate) fn start(state: Arc<State>, begun: Begun) -> io::Result<Self> {
        Self::gathering(GATHERS, state, begun)
    }

    fn gathering(gathers: Duration, state: Arc<State>, begun: Begun) -> io::Result<Self> {
        let (answers, queue) = sync_channel(QUEUE);
        let (hurry, hurried) = sync_channel(1);
        let progress = Arc::<Progress>::default();
        let writer =
            Writer { gathers, state, begun, progress: Arc::clone(&progress), ended: false };
        let thread = thread::Builder::new()
            .name("state".into())
            .spawn(move || writer.write(&queue, &hurried))?;
        Ok(Self { answers, hurry, handed: 0, progress, thread })
    }

    /// Hands an answer over. Never waits: its caller asks for no more than there is room for, and an answer too many
    /// counts as lost.
    pub(crate) fn keep(&mut self, mobile: Mobile, kept: Kept) {
        if self.answers.try_send((mobile, kept)).is_err() {
            self.progress.lose(Lost(tr!("answers come faster than they can be written")));
        }
        self.handed += 1;
        if self.waiting().is_multiple_of(ENOUGH) {
            // One message that waits already says the same.
            let _ = self.hurry.try_send(());
        }
    }

    /// How many answers were committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.progress.committed()
    }

    /// How many wait to be.
    pub(crate) fn waiting(&self) -> u64 {
        self.handed - self.committed()
    }

    /// The same for others who look.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Why no more are.
    pub(crate) fn lost(&self) -> Option<&Lost> {
        self.progress.lost.get()
    }

    /// Has `wake` called after each commit, and when answers are lost.
    pub(crate) fn on_news(&self, wake: Box<dyn Fn() + Send + Sync>) {
        // Set once for each run; a second caller would wake the same run.
        let _ = self.progress.wake.set(wake);
    }

    /// Waits until everything that was handed over is committed.
    ///
    /// # Errors
    /// [`Lost`], where not all of it was.
    pub(crate) fn close(self) -> Result<(), Lost> {
        drop((self.answers, self.hurry));
        // A panic of the thread has been told as a loss.
        let _ = self.thread.join();
        self.progress.lost.get().cloned().map_or(Ok(()), Err)
    }
}

struct Writer {
    gathers: Duration,
    state: Arc<State>,
    begun: Begun,
    progress: Arc<Progress>,
    ended: bool,
}

impl Writer {
    fn write(mut self, queue: &Receiver<(Mobile, Kept)>, hurried: &Receiver<()>) {
        while let Ok(first) = queue.recv() {
            // Ends early where there is enough, and where the journal is closed.
            let _ = hurried.recv_timeout(self.gathers);
            let mut batch: Vec<_> = iter::once(first).chain(queue.try_iter().take(QUEUE)).collect();
            // In the order of the keys, so that each page is taken up once. It leaves answers to one number in theirs.
            batch.sort_by_key(|(mobile, _)| mobile.bits());
            if let Err(error) = self.commit(&batch) {
                self.progress.lose(Lost(error.to_string()));
                break;
            }
            self.progress.committed.fetch_add(batch.len() as u64, Ordering::Release);
            self.progress.tell();
        }
        self.ended = true;
    }

    fn commit(&self, batch: &[(Mobile, Kept)]) -> Result<(), StateError> {
        let change = self.state.database.begin_write()?;
        {
            let mut answers = change.open_table(ANSWERS)?;
            for (mobile, kept) in batch {
                let key = (self.begun.scope, mobile.bits());
                if let Some(bytes) = kept.encode(key) {
                    answers.insert(key, &*bytes)?;
                }
            }
            let mut runs = change.open_table(RUNS)?;
            let key = (self.begun.scope, &*self.begun.fingerprint);
            let run = runs.get(key)?.map(|run| read::<Run>(run.value())).transpose()?;
            if let Some(mut run) = run {
                run.known += batch.len() as u64;
                runs.insert(key, &*written(&run)?)?;
            }
        }
        Ok(change.commit()?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.progress
                .lose(Lost(tr!("the writing thread failed; this is a bug, please report it")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::outcome::{Code, Outcome, Status};
    use crate::store::disk::sessions::{Wish, begin};
    use crate::store::scope::Scope;

    fn number(n: u64) -> Mobile {
        Mobile::mainland(format!("139{n:08}").as_bytes()).unwrap()
    }

    fn kept(message: &str) -> Kept {
        let outcome = Outcome::bare(Status::NotFound, Some(Code::Number(60121)), message);
        Kept { session: 1, asked: 0, outcome: Arc::new(outcome) }
    }

    /// A journal that commits when it has enough, or at its end.
    fn patient(path: &std::path::Path) -> (Journal, Arc<State>, Begun) {
        let (state, _) = State::open(path, false, false).unwrap();
        let scope =
            &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
        let wish = Wish { scope, fingerprint: "f", restart: false, rows: None, now: 0 };
        let begun = begin(&state, wish).unwrap();
        let state = Arc::new(state);
        let journal =
            Journal::gathering(Duration::from_hours(1), Arc::clone(&state), begun.clone()).unwrap();
        (journal, state, begun)
    }

    #[test]
    fn enough_answers_are_committed_without_waiting_for_more() {
        let room = tempfile::tempdir().unwrap();
        let (mut journal, ..) = patient(&room.path().join("s"));
        let mut sent = 0;
        for round in 1..4 {
            while sent < round * ENOUGH {
                journal.keep(number(sent), kept("m"));
                sent += 1;
            }
            let begun = Instant::now();
            while journal.committed() < sent {
                assert!(
                    begun.elapsed() < Duration::from_mins(1),
                    "{} of {sent}",
                    journal.committed()
                );
                thread::sleep(Duration::from_millis(2));
            }
        }
        assert_eq!((journal.committed(), journal.lost()), (sent, None));
        journal.close().unwrap();
    }

    #[test]
    fn the_later_of_two_answers_to_a_number_stays() {
        let room = tempfile::tempdir().unwrap();
        let (mut journal, state, begun) = patient(&room.path().join("s"));
        for (n, message) in [(2, "first"), (1, "other"), (2, "second"), (0, "another")] {
            journal.keep(number(n), kept(message));
        }
        journal.close().unwrap();
        let answers = redb::ReadableDatabase::begin_read(&state.database)
            .unwrap()
            .open_table(ANSWERS)
            .unwrap();
        let key = (begun.scope, number(2).bits());
        let found = Kept::decode(key, answers.get(key).unwrap().unwrap().value()).unwrap();
        assert_eq!(&*found.outcome.message, "second");
    }
}
