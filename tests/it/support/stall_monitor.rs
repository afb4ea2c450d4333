//! How late things are on this machine while a test is under way: what a busy one adds to the way of a call was not added by
//! whoever made it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(3);

/// Whoever oversleeps so long may have missed a second: a machine that stood still.
const STALL_THRESHOLD: Duration = Duration::from_millis(500);

/// Takes naps as long as it lives, and notes how long it overslept.
pub(crate) struct StallMonitor {
    worst_micros: Arc<AtomicU64>,
    /// When the machine last stood still.
    last_stall: Arc<Mutex<Option<Instant>>>,
    _stop: SyncSender<()>,
}

impl StallMonitor {
    pub(crate) fn start() -> Self {
        let (bed, nap) = sync_channel::<()>(0);
        let worst = Arc::<AtomicU64>::default();
        let still = Arc::<Mutex<Option<Instant>>>::default();
        let (noted, stood) = (Arc::clone(&worst), Arc::clone(&still));
        std::thread::spawn(move || {
            let mut asleep = Instant::now();
            while nap.recv_timeout(SAMPLE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let late = asleep.elapsed().saturating_sub(SAMPLE_INTERVAL);
                noted.fetch_max(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
                asleep = Instant::now();
                if late > STALL_THRESHOLD {
                    *stood.lock().unwrap_or_else(PoisonError::into_inner) = Some(asleep);
                }
            }
        });
        Self { worst_micros: worst, last_stall: still, _stop: bed }
    }

    /// The worst so far.
    pub(crate) fn worst_lateness(&self) -> Duration {
        Duration::from_micros(self.worst_micros.load(Ordering::Relaxed))
    }

    /// Whether the machine stood still since then.
    pub(crate) fn has_stalled_since(&self, since: Instant) -> bool {
        self.last_stall
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|moment| moment > since)
    }
}
