//! Where a run that shares its quota asks for its turns: what the engine asks is answered from the book at once, and a clerk
//! beside it speaks with the server. Owns when there is a word, and what people are told of silences. Leaves what the words
//! mean to `book`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::api::limiter::{ClaimState, Limiter};
use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::protocol::Protocol;
use crate::quota::run_state::RunState;
use crate::store::disk::record::is_definitive;

/// A run with slots, or in want of them, is heard of so often, which is how soon it knows of a rest that others met; one with
/// neither so often.
const BUSY_SYNC_INTERVAL: Duration = Duration::from_millis(150);
const IDLE_SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// After a word that was not answered the next one is tried this much later, and after the third one that.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(50);
const RETRY_DELAY: Duration = Duration::from_millis(400);
/// Words that nobody has read yet; more than that are dropped.
const NOTICE_CAPACITY: usize = 16;
/// How long a run that has ended waits for its last answers to be taken.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What people are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// The server is silent, so that nothing is called.
    Unreachable(Unavailable),
    /// It is, and the run goes on at a rate of its own, as one of so many.
    Degraded(Unavailable, Rate, u32),
    /// It is there again, after so long.
    Restored(Duration),
}

/// What the clerk and the engine's side have in common.
struct Shared {
    run_state: Mutex<RunState>,
    /// There may be something to say.
    sync_needed: Notify,
    close_requested: Notify,
    waker: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

impl Shared {
    fn run_state(&self) -> MutexGuard<'_, RunState> {
        self.run_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(wake) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    /// Has the clerk look, where there is something to say.
    fn nudge(&self, book: &RunState) {
        if book.should_sync_now() {
            self.sync_needed.notify_one();
        }
    }
}

/// The giver of turns of a run that shares its quota.
pub(crate) struct SharedLimiter(Arc<Shared>);

impl fmt::Debug for SharedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk(..)")
    }
}

/// A run's part in what is shared, for as long as it lasts.
pub(crate) struct SharedSession {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    notices: Receiver<Notice>,
}

impl fmt::Debug for SharedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part(..)")
    }
}

/// Says to the server for the first time that a run is there.
///
/// # Errors
/// [`Silence`]; the run may take part all the same, and rests until it is heard.
pub(crate) async fn hello(
    book: &mut RunState,
    talk: &Protocol,
    link: &Connection,
) -> Result<(), Unavailable> {
    let (said, sent) = (book.next_request(true), Instant::now());
    let reply = talk.exchange(link, &said.request).await?;
    book.apply(&said, &reply, sent, Instant::now());
    Ok(())
}

/// Begins to take part.
pub(crate) fn start_session(
    mut book: RunState,
    talk: Protocol,
    link: Arc<Connection>,
) -> (SharedLimiter, SharedSession) {
    book.start();
    let common = Arc::new(Shared {
        run_state: Mutex::new(book),
        sync_needed: Notify::new(),
        close_requested: Notify::new(),
        waker: Mutex::default(),
    });
    let (told, words) = channel(NOTICE_CAPACITY);
    let clerk = SyncTask {
        shared: Arc::clone(&common),
        protocol: talk,
        connection: link,
        notices: told,
        unreachable_since: None,
        failures: 0,
    };
    (
        SharedLimiter(Arc::clone(&common)),
        SharedSession { shared: common, task: tokio::spawn(clerk.run()), notices: words },
    )
}

impl SharedSession {
    /// Waits for what people are to be told. Giving the wait up loses nothing.
    pub(crate) async fn next_notice(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Ends it: the last answers are handed over, within two seconds, and what was claimed is free.
    pub(crate) async fn close(self) {
        self.shared.close_requested.notify_one();
        // Without it what was claimed is free five seconds later.
        let _ = timeout(CLOSE_TIMEOUT, self.task).await;
    }
}

struct SyncTask {
    shared: Arc<Shared>,
    protocol: Protocol,
    connection: Arc<Connection>,
    notices: Sender<Notice>,
    /// Since when people know that the server is silent.
    unreachable_since: Option<Instant>,
    failures: u32,
}

impl SyncTask {
    async fn run(mut self) {
        let mut closing = false;
        let mut pause = Duration::ZERO;
        while !(closing && self.shared.run_state().is_flushed()) {
            closing = self.wait_for_work(pause, closing).await;
            pause = self.sync(closing).await;
        }
        // Where the server is silent, what was claimed is free a little later.
        let _ = self.protocol.end_session(&self.connection).await;
    }

    /// Waits until there is something to say, or for this pause; whether it is to be the last.
    async fn wait_for_work(&self, pause: Duration, closing: bool) -> bool {
        if closing || !pause.is_zero() {
            sleep(pause).await;
            return closing;
        }
        let begun = Instant::now();
        loop {
            let until = {
                let book = self.shared.run_state();
                if book.should_sync_now() {
                    return false;
                }
                begun + if book.is_busy() { BUSY_SYNC_INTERVAL } else { IDLE_SYNC_INTERVAL }
            };
            tokio::select! {
                biased;
                () = self.shared.close_requested.notified() => return true,
                () = self.shared.sync_needed.notified() => {}
                () = sleep_until(until) => return false,
            }
        }
    }

    /// One word, and what follows: how long to wait where there was no answer.
    async fn sync(&mut self, closing: bool) -> Duration {
        let said = self.shared.run_state().next_request(closing);
        let sent = Instant::now();
        let pause = match self.protocol.exchange(&self.connection, &said.request).await {
            Ok(reply) => {
                self.shared.run_state().apply(&said, &reply, sent, Instant::now());
                self.failures = 0;
                if let Some(since) = self.unreachable_since.take() {
                    let _ = self.notices.try_send(Notice::Restored(since.elapsed()));
                }
                Duration::ZERO
            }
            Err(silence) => {
                self.failures += 1;
                let pause = if self.failures < 3 { FIRST_RETRY_DELAY } else { RETRY_DELAY };
                let (lost, word) = {
                    let mut book = self.shared.run_state();
                    book.on_unavailable(silence.clone(), pause);
                    let alone = book
                        .fallback_rate()
                        .map(|rate| Notice::Degraded(silence.clone(), rate, book.session_count()));
                    (book.is_unreachable(), alone.unwrap_or(Notice::Unreachable(silence)))
                };
                if lost && self.unreachable_since.is_none() {
                    self.unreachable_since = Some(Instant::now());
                    let _ = self.notices.try_send(word);
                }
                pause
            }
        };
        self.shared.wake();
        pause
    }
}

impl Limiter for SharedLimiter {
    fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, room: usize) {
        let mut book = self.0.run_state();
        book.prefetch(numbers, room);
        self.0.nudge(&book);
    }

    fn lookahead(&self) -> usize {
        self.0.run_state().lookahead()
    }

    fn claim_state(&mut self, mobile: Mobile) -> ClaimState {
        self.0.run_state().claim_state(mobile)
    }

    fn try_acquire(&mut self) -> Result<(), Option<Instant>> {
        let mut book = self.0.run_state();
        let taken = book.try_acquire();
        self.0.nudge(&book);
        taken
    }

    fn paused_until(&mut self) -> Option<(Instant, Limit)> {
        self.0.run_state().paused_until()
    }

    fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool) {
        let mut book = self.0.run_state();
        book.on_paused(until, cause, begins);
        self.0.nudge(&book);
    }

    fn on_answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        let mut book = self.0.run_state();
        let now = || book.server_now_ms().unwrap_or_else(wall_ms);
        let answer = is_definitive(outcome.status).then(|| (Arc::clone(outcome), now()));
        book.on_answered(mobile, answer);
        self.0.nudge(&book);
    }

    fn release(&mut self, mobile: Mobile) {
        let mut book = self.0.run_state();
        book.release(mobile);
    }

    fn current_rate(&self) -> Rate {
        self.0.run_state().current_rate()
    }

    fn set_waker(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}

/// The wall clock, in milliseconds since 1970.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
