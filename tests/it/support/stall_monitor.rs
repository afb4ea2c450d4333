//! Measures how late threads run on this machine while a test is running.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const SAMPLE_INTERVAL: Duration = Duration::from_millis(3);
/// Rounds of work for each sample: half a millisecond without optimization.
const WORK_ROUNDS: u64 = 50_000;

/// Sleeps and works for short intervals until dropped, and records by how much the worst of them
/// was longer than the shortest. It works because schedulers prefer a thread that only sleeps to
/// those that encrypt and send calls.
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
            let (mut start, mut shortest) = (Instant::now(), Duration::MAX);
            while stopped.recv_timeout(SAMPLE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                std::hint::black_box((0..WORK_ROUNDS).fold(0, |sum: u64, n| sum ^ n));
                let elapsed = start.elapsed();
                shortest = shortest.min(elapsed);
                let late = elapsed.saturating_sub(shortest);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
                start = Instant::now();
            }
        });
        Self { worst_micros, _stop: stop }
    }

    pub(crate) fn worst_lateness(&self) -> Duration {
        Duration::from_micros(self.worst_micros.load(Ordering::Relaxed))
    }
}
