//! How late things are on this machine while a test is under way: what a busy one adds to the way of a call was not added by
//! whoever made it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(3);

/// Whoever oversleeps so long may have missed a second: a machine that stood still.
const STILL: Duration = Duration::from_millis(500);

/// Takes naps as long as it lives, and notes how long it overslept.
pub(super) struct Lateness {
    worst: Arc<AtomicU64>,
    /// When the machine last stood still.
    still: Arc<Mutex<Option<Instant>>>,
    _bed: SyncSender<()>,
}

impl Lateness {
    pub(super) fn watch() -> Self {
        let (bed, nap) = sync_channel::<()>(0);
        let worst = Arc::<AtomicU64>::default();
        let still = Arc::<Mutex<Option<Instant>>>::default();
        let (noted, stood) = (Arc::clone(&worst), Arc::clone(&still));
        std::thread::spawn(move || {
            let mut asleep = Instant::now();
            while nap.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
                let late = asleep.elapsed().saturating_sub(NAP);
                noted.fetch_max(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
                asleep = Instant::now();
                if late > STILL {
                    *stood.lock().unwrap_or_else(PoisonError::into_inner) = Some(asleep);
                }
            }
        });
        Self { worst, still, _bed: bed }
    }

    /// The worst so far.
    pub(super) fn worst(&self) -> Duration {
        Duration::from_micros(self.worst.load(Ordering::Relaxed))
    }

    /// Whether the machine stood still since then.
    pub(super) fn stood_still(&self, since: Instant) -> bool {
        self.still
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|moment| moment > since)
    }
}
