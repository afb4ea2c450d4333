//! When answered rows leave the window: by the sheet, and fewer of them together, so that who takes them is not woken for each.
//! Owns that moment. Leaves which rows those are to `reorder`.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::limits::BATCH_ROWS;

/// How long answered rows wait for others to fill a sheet, while a number waits for its turn.
const LINGER: Duration = Duration::from_millis(250);
/// When nobody waits: as good as never.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// Rows that gather.
#[derive(Debug)]
pub(crate) struct FlushTimer {
    /// When those leave that gather now.
    flush_at: Option<Instant>,
    /// One timer for all, which is moved as seldom as rows leave.
    timer: Pin<Box<Sleep>>,
}

impl Default for FlushTimer {
    fn default() -> Self {
        Self { flush_at: None, timer: Box::pin(sleep_until(Instant::now() + NEVER)) }
    }
}

impl FlushTimer {
    /// Whether so many answered rows leave now. Where no number waits for its turn (`asks_on`), what comes next is not known,
    /// and they do.
    pub(crate) fn should_flush(&mut self, settled: usize, asks_on: bool) -> bool {
        if settled == 0 {
            if self.flush_at.take().is_some() {
                self.timer.as_mut().reset(Instant::now() + NEVER);
            }
            return false;
        }
        if settled >= BATCH_ROWS || !asks_on {
            return true;
        }
        let now = Instant::now();
        let until = *self.flush_at.get_or_insert_with(|| {
            self.timer.as_mut().reset(now + LINGER);
            now + LINGER
        });
        until <= now
    }

    /// Waits for the moment.
    pub(crate) async fn wait(&mut self) {
        self.timer.as_mut().await;
    }
}
