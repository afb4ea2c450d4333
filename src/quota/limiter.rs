//! The limiter of a run that shares its quota. The engine is answered from the local state at once;
//! a background task exchanges it with the server.

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

/// The interval of exchanges while the run has or needs slots. A pause of another run takes effect
/// within this time.
const BUSY_SYNC_INTERVAL: Duration = Duration::from_millis(150);
/// The interval of exchanges otherwise.
const IDLE_SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// The delay after the first two failures.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The delay after further failures.
const RETRY_DELAY: Duration = Duration::from_millis(400);
/// Maximum unread notices; further ones are dropped.
const NOTICE_CAPACITY: usize = 16;
/// How long the end of a run waits for its last answers to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A change that is reported to the user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// The server is unreachable and the run pauses.
    Unreachable(Unavailable),
    /// The server is unreachable and the run continues alone: its rate, and the number of runs that
    /// it assumes.
    Degraded(Unavailable, Rate, u32),
    /// With the duration of the outage.
    Restored(Duration),
}

/// Shared by the limiter and its background task.
struct Shared {
    run_state: Mutex<RunState>,
    /// Wakes the background task.
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

    /// Wakes the background task if an exchange is needed now.
    fn nudge(&self, run_state: &RunState) {
        if run_state.should_sync_now() {
            self.sync_needed.notify_one();
        }
    }
}

pub(crate) struct SharedLimiter(Arc<Shared>);

impl fmt::Debug for SharedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedLimiter(..)")
    }
}

/// The background task and its notices.
pub(crate) struct SharedSession {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    notices: Receiver<Notice>,
}

impl fmt::Debug for SharedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSession(..)")
    }
}

/// Registers the run at the server. After an error the run may start all the same; it pauses until
/// the server replies.
pub(crate) async fn hello(
    run_state: &mut RunState,
    protocol: &Protocol,
    connection: &Connection,
) -> Result<(), Unavailable> {
    let (pending, sent) = (run_state.next_request(true), Instant::now());
    let reply = protocol.exchange(connection, &pending.request).await?;
    run_state.apply(&pending, &reply, sent, Instant::now());
    Ok(())
}

/// Starts the background task.
pub(crate) fn start_session(
    mut run_state: RunState,
    protocol: Protocol,
    connection: Arc<Connection>,
) -> (SharedLimiter, SharedSession) {
    run_state.start();
    let shared = Arc::new(Shared {
        run_state: Mutex::new(run_state),
        sync_needed: Notify::new(),
        close_requested: Notify::new(),
        waker: Mutex::default(),
    });
    let (sender, notices) = channel(NOTICE_CAPACITY);
    let sync_task = SyncTask {
        shared: Arc::clone(&shared),
        protocol,
        connection,
        notices: sender,
        unreachable_since: None,
        failures: 0,
    };
    let task = tokio::spawn(sync_task.run());
    (SharedLimiter(Arc::clone(&shared)), SharedSession { shared, task, notices })
}

impl SharedSession {
    /// Cancel safe.
    pub(crate) async fn next_notice(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Sends the last answers, within 2 s, and frees the claims.
    pub(crate) async fn close(self) {
        self.shared.close_requested.notify_one();
        // After a timeout, the claims are free when the lease of 5 s expires.
        let _ = timeout(CLOSE_TIMEOUT, self.task).await;
    }
}

struct SyncTask {
    shared: Arc<Shared>,
    protocol: Protocol,
    connection: Arc<Connection>,
    notices: Sender<Notice>,
    /// When the outage of the server was reported to the user.
    unreachable_since: Option<Instant>,
    failures: u32,
}

impl SyncTask {
    async fn run(mut self) {
        let mut closing = false;
        let mut retry_delay = Duration::ZERO;
        while !(closing && self.shared.run_state().is_flushed()) {
            closing = self.wait_for_work(retry_delay, closing).await;
            retry_delay = self.sync(closing).await;
        }
        // If this fails, the claims are free when the lease expires.
        let _ = self.protocol.end_session(&self.connection).await;
    }

    /// Waits for the retry delay, or until an exchange is needed or due. Returns whether the run is
    /// closing.
    async fn wait_for_work(&self, retry_delay: Duration, closing: bool) -> bool {
        if closing || !retry_delay.is_zero() {
            sleep(retry_delay).await;
            return closing;
        }
        let started = Instant::now();
        loop {
            let until = {
                let run_state = self.shared.run_state();
                if run_state.should_sync_now() {
                    return false;
                }
                let is_busy = run_state.is_busy();
                started + if is_busy { BUSY_SYNC_INTERVAL } else { IDLE_SYNC_INTERVAL }
            };
            tokio::select! {
                biased;
                () = self.shared.close_requested.notified() => return true,
                () = self.shared.sync_needed.notified() => {}
                () = sleep_until(until) => return false,
            }
        }
    }

    /// Makes one exchange. Returns the delay before the next one, which is 0 after a success.
    async fn sync(&mut self, closing: bool) -> Duration {
        let pending = self.shared.run_state().next_request(closing);
        let sent = Instant::now();
        let retry_delay = match self.protocol.exchange(&self.connection, &pending.request).await {
            Ok(reply) => {
                self.shared.run_state().apply(&pending, &reply, sent, Instant::now());
                self.failures = 0;
                if let Some(since) = self.unreachable_since.take() {
                    let _ = self.notices.try_send(Notice::Restored(since.elapsed()));
                }
                Duration::ZERO
            }
            Err(reason) => {
                self.failures += 1;
                let retry_delay = if self.failures < 3 { FIRST_RETRY_DELAY } else { RETRY_DELAY };
                let (is_unreachable, notice) = {
                    let mut run_state = self.shared.run_state();
                    run_state.on_unavailable(reason.clone(), retry_delay);
                    let notice = match run_state.fallback_rate() {
                        Some(rate) => Notice::Degraded(reason, rate, run_state.session_count()),
                        None => Notice::Unreachable(reason),
                    };
                    (run_state.is_unreachable(), notice)
                };
                if is_unreachable && self.unreachable_since.is_none() {
                    self.unreachable_since = Some(Instant::now());
                    let _ = self.notices.try_send(notice);
                }
                retry_delay
            }
        };
        self.shared.wake();
        retry_delay
    }
}

impl Limiter for SharedLimiter {
    fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, capacity: usize) {
        let mut run_state = self.0.run_state();
        run_state.prefetch(numbers, capacity);
        self.0.nudge(&run_state);
    }

    fn lookahead(&self) -> usize {
        self.0.run_state().lookahead()
    }

    fn claim_state(&mut self, mobile: Mobile) -> ClaimState {
        self.0.run_state().claim_state(mobile)
    }

    fn try_acquire(&mut self) -> Result<(), Option<Instant>> {
        let mut run_state = self.0.run_state();
        let acquired = run_state.try_acquire();
        self.0.nudge(&run_state);
        acquired
    }

    fn paused_until(&mut self) -> Option<(Instant, Limit)> {
        self.0.run_state().paused_until()
    }

    fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool) {
        let mut run_state = self.0.run_state();
        run_state.on_paused(until, cause, begins);
        self.0.nudge(&run_state);
    }

    fn on_answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        let mut run_state = self.0.run_state();
        // Without a valid time the answer is not shared.
        let now_ms = || run_state.server_now_ms().or_else(wall_ms);
        let answer = if is_definitive(outcome.status) {
            now_ms().map(|asked_at_ms| (Arc::clone(outcome), asked_at_ms))
        } else {
            None
        };
        run_state.on_answered(mobile, answer);
        self.0.nudge(&run_state);
    }

    fn release(&mut self, mobile: Mobile) {
        self.0.run_state().release(mobile);
    }

    fn current_rate(&self) -> Rate {
        self.0.run_state().current_rate()
    }

    fn set_waker(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}

/// The wall clock in ms since 1970; `None` if it is set to an earlier time.
fn wall_ms() -> Option<u64> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_millis()).ok()
}
