//! The thread that writes answers to the state. It commits 500 ms after the first answer, or as
//! soon as 4096 are queued, with one fsync.

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
use crate::store::disk::record::AnswerRecord;
use crate::store::disk::sessions::{Session, UnfinishedRun, from_json, to_json};

/// How long the first answer waits for others. With the commit itself an answer is on disk within a
/// second.
const LINGER: Duration = Duration::from_millis(500);
/// So many answers are enough to be committed without waiting for more. Each takes some hundred
/// bytes of memory until it is on disk; fewer to a commit cost more of the database's upper pages.
const FLUSH_THRESHOLD: u64 = 1 << 12;
/// Answers that may wait to be written: those of one commit, and as many that come in the meantime.
/// A disk on which a commit takes a second so holds a run at some thousand calls a second; twice as
/// many would take 3 MiB more.
pub(crate) const QUEUE_CAPACITY: usize = 1 << 13;

/// Why answers can no longer be kept: what the system or the database says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

/// How far the writing is.
#[derive(Default)]
pub(crate) struct CommitProgress {
    committed: AtomicU64,
    error: OnceLock<WriteError>,
    waker: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl CommitProgress {
    /// How many answers were committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    fn notify(&self) {
        if let Some(wake) = self.waker.get() {
            wake();
        }
    }

    /// No more can be kept, or can be read.
    pub(crate) fn fail(&self, lost: WriteError) {
        // The first reason counts.
        let _ = self.error.set(lost);
        self.notify();
    }
}

impl fmt::Debug for CommitProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("committed", &self.committed()).finish_non_exhaustive()
    }
}

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct AnswerWriter {
    sender: SyncSender<(Mobile, AnswerRecord)>,
    /// Tells the thread not to wait for more: a message that there is enough, and its end that
    /// there will be none.
    flush: SyncSender<()>,
    /// Answers handed over since the start.
    enqueued: u64,
    progress: Arc<CommitProgress>,
    thread: JoinHandle<()>,
}

impl AnswerWriter {
    /// Starts the thread.
    pub(crate) fn start(state: Arc<State>, begun: Session) -> io::Result<Self> {
        Self::start_with_linger(LINGER, state, begun)
    }

    fn start_with_linger(gathers: Duration, state: Arc<State>, begun: Session) -> io::Result<Self> {
        let (answers, queue) = sync_channel(QUEUE_CAPACITY);
        let (hurry, hurried) = sync_channel(1);
        let progress = Arc::<CommitProgress>::default();
        let writer = WriterThread {
            linger: gathers,
            state,
            session: begun,
            progress: Arc::clone(&progress),
            finished: false,
        };
        let thread = thread::Builder::new()
            .name("state".into())
            .spawn(move || writer.run(&queue, &hurried))?;
        Ok(Self { sender: answers, flush: hurry, enqueued: 0, progress, thread })
    }

    /// Hands an answer over. Never waits: its caller asks for no more than there is room for, and
    /// an answer too many counts as lost.
    pub(crate) fn enqueue(&mut self, mobile: Mobile, kept: AnswerRecord) {
        if self.sender.try_send((mobile, kept)).is_err() {
            self.progress.fail(WriteError(tr!("answers come faster than they can be written")));
        }
        self.enqueued += 1;
        if self.queued().is_multiple_of(FLUSH_THRESHOLD) {
            // One message that waits already says the same.
            let _ = self.flush.try_send(());
        }
    }

    /// How many answers were committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.progress.committed()
    }

    /// How many wait to be.
    pub(crate) fn queued(&self) -> u64 {
        self.enqueued - self.committed()
    }

    /// The same for others who look.
    pub(crate) fn progress(&self) -> Arc<CommitProgress> {
        Arc::clone(&self.progress)
    }

    /// Why no more are.
    pub(crate) fn write_error(&self) -> Option<&WriteError> {
        self.progress.error.get()
    }

    /// Has `wake` called after each commit, and when answers are lost.
    pub(crate) fn set_waker(&self, wake: Box<dyn Fn() + Send + Sync>) {
        // Set once for each run; a second caller would wake the same run.
        let _ = self.progress.waker.set(wake);
    }

    /// Waits until everything that was handed over is committed.
    ///
    /// # Errors
    /// [`WriteError`], where not all of it was.
    pub(crate) fn close(self) -> Result<(), WriteError> {
        drop((self.sender, self.flush));
        // A panic of the thread has been told as a loss.
        let _ = self.thread.join();
        self.progress.error.get().cloned().map_or(Ok(()), Err)
    }
}

struct WriterThread {
    linger: Duration,
    state: Arc<State>,
    session: Session,
    progress: Arc<CommitProgress>,
    finished: bool,
}

impl WriterThread {
    fn run(mut self, queue: &Receiver<(Mobile, AnswerRecord)>, hurried: &Receiver<()>) {
        while let Ok(first) = queue.recv() {
            // Ends early where there is enough, and where the journal is closed.
            let _ = hurried.recv_timeout(self.linger);
            let mut batch: Vec<_> =
                iter::once(first).chain(queue.try_iter().take(QUEUE_CAPACITY)).collect();
            // In the order of the keys, so that each page is taken up once. It leaves answers to
            // one number in theirs.
            batch.sort_by_key(|(mobile, _)| mobile.to_bits());
            if let Err(error) = self.commit(&batch) {
                self.progress.fail(WriteError(error.to_string()));
                break;
            }
            self.progress.committed.fetch_add(batch.len() as u64, Ordering::Release);
            self.progress.notify();
        }
        self.finished = true;
    }

    fn commit(&self, batch: &[(Mobile, AnswerRecord)]) -> Result<(), StateError> {
        let change = self.state.database.begin_write()?;
        {
            let mut answers = change.open_table(ANSWERS)?;
            for (mobile, kept) in batch {
                let key = (self.session.scope, mobile.to_bits());
                if let Some(bytes) = kept.encode(key) {
                    answers.insert(key, &*bytes)?;
                }
            }
            let mut runs = change.open_table(RUNS)?;
            let key = (self.session.scope, &*self.session.fingerprint);
            let run =
                runs.get(key)?.map(|run| from_json::<UnfinishedRun>(run.value())).transpose()?;
            if let Some(mut run) = run {
                run.known += batch.len() as u64;
                runs.insert(key, &*to_json(&run)?)?;
            }
        }
        Ok(change.commit()?)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        if !self.finished {
            self.progress.fail(WriteError(tr!(
                "the writing thread failed; this is a bug, please report it"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::outcome::{Code, Outcome, Status};
    use crate::store::disk::sessions::{SessionRequest, begin_session};
    use crate::store::scope::Scope;

    fn number(n: u64) -> Mobile {
        Mobile::from_mainland_digits(format!("139{n:08}").as_bytes()).unwrap()
    }

    fn kept(message: &str) -> AnswerRecord {
        let outcome = Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), message);
        AnswerRecord { session_id: 1, asked_at: 0, outcome: Arc::new(outcome) }
    }

    /// A journal that commits when it has enough, or at its end.
    fn patient(path: &std::path::Path) -> (AnswerWriter, Arc<State>, Session) {
        let (state, _) = State::open(path, false, false).unwrap();
        let scope =
            &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
        let wish = SessionRequest { scope, fingerprint: "f", restart: false, rows: None, now: 0 };
        let begun = begin_session(&state, wish).unwrap();
        let state = Arc::new(state);
        let journal = AnswerWriter::start_with_linger(
            Duration::from_hours(1),
            Arc::clone(&state),
            begun.clone(),
        )
        .unwrap();
        (journal, state, begun)
    }

    #[test]
    fn a_full_batch_is_committed_immediately() {
        let room = tempfile::tempdir().unwrap();
        let (mut journal, ..) = patient(&room.path().join("s"));
        let mut sent = 0;
        for round in 1..4 {
            while sent < round * FLUSH_THRESHOLD {
                journal.enqueue(number(sent), kept("m"));
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
        assert_eq!((journal.committed(), journal.write_error()), (sent, None));
        journal.close().unwrap();
    }

    #[test]
    fn the_later_answer_to_a_number_wins() {
        let room = tempfile::tempdir().unwrap();
        let (mut journal, state, begun) = patient(&room.path().join("s"));
        for (n, message) in [(2, "first"), (1, "other"), (2, "second"), (0, "another")] {
            journal.enqueue(number(n), kept(message));
        }
        journal.close().unwrap();
        let answers = redb::ReadableDatabase::begin_read(&state.database)
            .unwrap()
            .open_table(ANSWERS)
            .unwrap();
        let key = (begun.scope, number(2).to_bits());
        let found = AnswerRecord::decode(key, answers.get(key).unwrap().unwrap().value()).unwrap();
        assert_eq!(&*found.outcome.message, "second");
    }
}
