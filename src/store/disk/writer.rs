//! The thread that writes answers to the state. It commits 500 ms after the first answer, or as
//! soon as 4096 answers are queued, with one fsync.

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

/// How long the first answer waits for others. Including the commit, an answer is on disk within
/// about 1 s.
const LINGER: Duration = Duration::from_millis(500);
/// How many queued answers are committed without further waiting. Each takes some 100 bytes of
/// memory until it is on disk; smaller commits would rewrite the upper pages of the database more
/// often.
const FLUSH_THRESHOLD: u64 = 1 << 12;
/// How many answers may be queued: those of one commit, and as many that arrive during it. On a
/// disk that takes 1 s per commit, this limits a run to some thousand calls per second. Twice the
/// capacity would take 3 MiB more.
pub(crate) const QUEUE_CAPACITY: usize = 1 << 13;

/// Why answers can no longer be stored: the error of the system or the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

/// The progress of the writer, shared between threads.
#[derive(Default)]
pub(crate) struct CommitProgress {
    committed: AtomicU64,
    error: OnceLock<WriteError>,
    waker: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl CommitProgress {
    /// The number of answers committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    fn notify(&self) {
        if let Some(wake) = self.waker.get() {
            wake();
        }
    }

    /// Reports that answers can no longer be written or read.
    pub(crate) fn fail(&self, error: WriteError) {
        // Only the first error is kept.
        let _ = self.error.set(error);
        self.notify();
    }
}

impl fmt::Debug for CommitProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("committed", &self.committed()).finish_non_exhaustive()
    }
}

/// A handle of the writing thread.
#[derive(Debug)]
pub(crate) struct AnswerWriter {
    sender: SyncSender<(Mobile, AnswerRecord)>,
    /// Ends the thread's waiting: by a message when enough answers are queued, by its end at the
    /// end of the run.
    flush: SyncSender<()>,
    /// The number of answers enqueued since the start.
    enqueued: u64,
    progress: Arc<CommitProgress>,
    thread: JoinHandle<()>,
}

impl AnswerWriter {
    pub(crate) fn start(state: Arc<State>, session: Session) -> io::Result<Self> {
        Self::start_with_linger(LINGER, state, session)
    }

    fn start_with_linger(
        linger: Duration,
        state: Arc<State>,
        session: Session,
    ) -> io::Result<Self> {
        let (sender, queue) = sync_channel(QUEUE_CAPACITY);
        let (flush, flush_requests) = sync_channel(1);
        let progress = Arc::<CommitProgress>::default();
        let writer = WriterThread {
            linger,
            state,
            session,
            progress: Arc::clone(&progress),
            finished: false,
        };
        let thread = thread::Builder::new()
            .name("state".into())
            .spawn(move || writer.run(&queue, &flush_requests))?;
        Ok(Self { sender, flush, enqueued: 0, progress, thread })
    }

    /// Queues an answer. Never blocks: callers check for room first, and without room the answer
    /// counts as a write error.
    pub(crate) fn enqueue(&mut self, mobile: Mobile, record: AnswerRecord) {
        if self.sender.try_send((mobile, record)).is_err() {
            self.progress.fail(WriteError(tr!("answers come faster than they can be written")));
        }
        self.enqueued += 1;
        if self.queued().is_multiple_of(FLUSH_THRESHOLD) {
            // If the channel is full, a flush is already requested.
            let _ = self.flush.try_send(());
        }
    }

    /// The number of answers committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.progress.committed()
    }

    /// The number of answers that are not committed yet.
    pub(crate) fn queued(&self) -> u64 {
        self.enqueued - self.committed()
    }

    /// The progress, for other threads.
    pub(crate) fn progress(&self) -> Arc<CommitProgress> {
        Arc::clone(&self.progress)
    }

    pub(crate) fn write_error(&self) -> Option<&WriteError> {
        self.progress.error.get()
    }

    /// Sets the function that is called after each commit and after a write error.
    pub(crate) fn set_waker(&self, wake: Box<dyn Fn() + Send + Sync>) {
        // Set once per run; a second waker would wake the same run.
        let _ = self.progress.waker.set(wake);
    }

    /// Waits until all queued answers are committed.
    pub(crate) fn close(self) -> Result<(), WriteError> {
        drop((self.sender, self.flush));
        // A panic of the thread was already reported as a write error.
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
    fn run(mut self, queue: &Receiver<(Mobile, AnswerRecord)>, flush_requests: &Receiver<()>) {
        while let Ok(first) = queue.recv() {
            // Ends early when a flush is requested or the writer is closed.
            let _ = flush_requests.recv_timeout(self.linger);
            let mut batch: Vec<_> =
                iter::once(first).chain(queue.try_iter().take(QUEUE_CAPACITY)).collect();
            // Key order touches each page once. The sort is stable, so the last answer to a number
            // stays last.
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
        let transaction = self.state.database.begin_write()?;
        {
            let mut answers = transaction.open_table(ANSWERS)?;
            for (mobile, record) in batch {
                let key = (self.session.scope, mobile.to_bits());
                if let Some(bytes) = record.encode(key) {
                    answers.insert(key, &*bytes)?;
                }
            }
            let mut runs = transaction.open_table(RUNS)?;
            let key = (self.session.scope, &*self.session.fingerprint);
            let run =
                runs.get(key)?.map(|run| from_json::<UnfinishedRun>(run.value())).transpose()?;
            if let Some(mut run) = run {
                run.known += batch.len() as u64;
                runs.insert(key, &*to_json(&run)?)?;
            }
        }
        Ok(transaction.commit()?)
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

    fn record(message: &str) -> AnswerRecord {
        let outcome = Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), message);
        AnswerRecord { session_id: 1, asked_at: 0, outcome: Arc::new(outcome) }
    }

    /// A writer that commits only when enough answers are queued or when it is closed.
    fn lingering_writer(path: &std::path::Path) -> (AnswerWriter, Arc<State>, Session) {
        let (state, _) = State::open(path, false, false).unwrap();
        let scope =
            &Scope { endpoint: "e".into(), app: "a".into(), exclusive: true, prefixed: false };
        let request =
            SessionRequest { scope, fingerprint: "f", restart: false, rows: None, now: 0 };
        let session = begin_session(&state, request).unwrap();
        let state = Arc::new(state);
        let writer = AnswerWriter::start_with_linger(
            Duration::from_hours(1),
            Arc::clone(&state),
            session.clone(),
        )
        .unwrap();
        (writer, state, session)
    }

    #[test]
    fn a_full_batch_is_committed_immediately() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, ..) = lingering_writer(&directory.path().join("s"));
        let mut sent = 0;
        for round in 1..4 {
            while sent < round * FLUSH_THRESHOLD {
                writer.enqueue(number(sent), record("m"));
                sent += 1;
            }
            let start = Instant::now();
            while writer.committed() < sent {
                assert!(
                    start.elapsed() < Duration::from_mins(1),
                    "{} of {sent}",
                    writer.committed()
                );
                thread::sleep(Duration::from_millis(2));
            }
        }
        assert_eq!((writer.committed(), writer.write_error()), (sent, None));
        writer.close().unwrap();
    }

    #[test]
    fn the_later_answer_to_a_number_wins() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, state, session) = lingering_writer(&directory.path().join("s"));
        for (n, message) in [(2, "first"), (1, "other"), (2, "second"), (0, "another")] {
            writer.enqueue(number(n), record(message));
        }
        writer.close().unwrap();
        let answers = redb::ReadableDatabase::begin_read(&state.database)
            .unwrap()
            .open_table(ANSWERS)
            .unwrap();
        let key = (session.scope, number(2).to_bits());
        let found = AnswerRecord::decode(key, answers.get(key).unwrap().unwrap().value()).unwrap();
        assert_eq!(&*found.outcome.message, "second");
    }
}
