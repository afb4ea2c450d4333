//! Measures how late threads run on this machine while a test is running.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(3);

/// Sleeps for short intervals until dropped, and records the worst oversleep.
pub(crate) struct StallMonitor {
    worst_micros: Arc<AtomicU64>,
    _stop: SyncSender<()>,
}

impl StallMonitor {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = sync_channel::<()>(0);
        let worst_micros = Arc::<AtomicU64>::default();
        let worst = Arc::clone(&worst_micros);
        std::thread::spawn(move || {
            let mut asleep = Instant::now();
            while stopped.recv_timeout(SAMPLE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let late = asleep.elapsed().saturating_sub(SAMPLE_INTERVAL);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
                asleep = Instant::now();
            }
        });
        Self { worst_micros, _stop: stop }
    }

    pub(crate) fn worst_lateness(&self) -> Duration {
        Duration::from_micros(self.worst_micros.load(Ordering::Relaxed))
    }
}
