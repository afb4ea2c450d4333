//! The thread that writes answers to the state: it gathers for half a second after the first one, commits all of them
//! at once with a sync, and says so. Leaves what is looked up to `disk`.

use std::convert::Infallible;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use redb::ReadableTable;

use crate::domain::mobile::Mobile;
use crate::store::kept::Kept;
use crate::store::runs::{Begun, Run, read, written};
use crate::store::state::{ANSWERS, RUNS, State, StateError};

/// How long the first answer waits for others. With the commit itself an answer is on disk within a second.
const GATHERS: Duration = Duration::from_millis(500);
/// Answers that may wait to be written: a second's worth at the highest rates that were measured.
pub(crate) const QUEUE: usize = 1 << 15;

/// Why answers can no longer be kept: what the system or the database says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// How far the writing is.
#[derive(Default)]
struct Progress {
    committed: AtomicU64,
    lost: OnceLock<Lost>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Progress {
    fn tell(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    fn lose(&self, lost: Lost) {
        // The first reason counts.
        let _ = self.lost.set(lost);
        self.tell();
    }
}

/// The way to the writing thread.
pub(crate) struct Journal {
    answers: SyncSender<(Mobile, Kept)>,
    /// Nothing comes through here: its end tells the thread not to wait for more.
    open: SyncSender<Infallible>,
    progress: Arc<Progress>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Starts the thread.
    pub(crate) fn start(state: Arc<State>, begun: Begun) -> io::Result<Self> {
        let (answers, queue) = sync_channel(QUEUE);
        let (open, closed) = sync_channel(1);
        let progress = Arc::<Progress>::default();
        let writer = Writer { state, begun, progress: Arc::clone(&progress), ended: false };
        let thread =
            thread::Builder::new().name("state".into()).spawn(move || writer.write(&queue, &closed))?;
        Ok(Self { answers, open, progress, thread })
    }

    /// Hands an answer over. Never waits: its caller asks for no more than there is room for, and an answer too many
    /// counts as lost.
    pub(crate) fn keep(&self, mobile: Mobile, kept: Kept) {
        if self.answers.try_send((mobile, kept)).is_err() {
            self.progress.lose(Lost("answers come faster than they can be written".to_owned()));
        }
    }

    /// How many answers were committed since the start.
    pub(crate) fn committed(&self) -> u64 {
        self.progress.committed.load(Ordering::Acquire)
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
        drop((self.answers, self.open));
        // A panic of the thread has been told as a loss.
        let _ = self.thread.join();
        self.progress.lost.get().cloned().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("committed", &self.committed()).finish_non_exhaustive()
    }
}

struct Writer {
    state: Arc<State>,
    begun: Begun,
    progress: Arc<Progress>,
    ended: bool,
}

impl Writer {
    fn write(mut self, queue: &Receiver<(Mobile, Kept)>, closed: &Receiver<Infallible>) {
        while let Ok(first) = queue.recv() {
            // Ends early where the journal is closed.
            let _ = closed.recv_timeout(GATHERS);
            let batch: Vec<_> = iter::once(first).chain(queue.try_iter().take(QUEUE)).collect();
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
            self.progress.lose(Lost("the writing thread failed; this is a bug, please report it".to_owned()));
        }
    }
}
