//! Runs blocking work on another thread, while signals end it and progress is shown.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tr::tr;

use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::{CLEANUP_TIMEOUT, Signals, StatusRequests};

/// The progress of a background task, as its thread records it.
pub(crate) trait TaskProgress: Send + Sync + 'static {
    /// Requests the task to stop.
    fn stop(&self);

    /// A text, and the part done with the total once that is known.
    fn describe(&self) -> (String, Option<(u64, u64)>);

    /// One JSON object on one line.
    fn to_json(&self) -> String;
}

pub(crate) struct BackgroundTask<'a, C> {
    signals: Signals,
    status_requests: StatusRequests,
    progress: Arc<C>,
    terminal: &'a Terminal,
}

impl<'a, C: TaskProgress> BackgroundTask<'a, C> {
    /// Installs the signal handlers.
    pub(crate) fn new(progress: &Arc<C>, terminal: &'a Terminal) -> Result<Self, Failure> {
        let signals = Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        let status_requests =
            StatusRequests::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        Ok(Self { signals, status_requests, progress: Arc::clone(progress), terminal })
    }

    /// Runs one step of the task.
    ///
    /// # Errors
    /// Interrupted (130 or 143) by a signal; unexpected (1) if the work panics.
    pub(crate) async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&C) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let progress = Arc::clone(&self.progress);
        let mut working = tokio::task::spawn_blocking(move || work(&progress));
        let period = self.terminal.refresh_period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, before there is progress.
        ticks.reset();
        loop {
            tokio::select! {
                biased;
                done = &mut working => {
                    return done.map_err(|error| Failure::from_error(Exit::Error, error));
                }
                signal = self.signals.recv() => {
                    self.progress.stop();
                    // Waits for the step to end: what it returns removes the unfinished output.
                    drop(timeout(CLEANUP_TIMEOUT, working).await);
                    let text = tr!("interrupted; nothing was written");
                    return Err(Failure::with_message(Exit::Interrupted(signal), text));
                }
                _ = ticks.tick(), if period.is_some() => {
                    let (text, fraction) = self.progress.describe();
                    self.terminal.show_task_progress(&text, fraction, || self.progress.to_json());
                }
                () = self.status_requests.recv() => {
                    let (message, _) = self.progress.describe();
                    self.terminal.print_task(&message, || self.progress.to_json());
                }
            }
        }
    }
}
