//! Work that blocks, done on another thread while signals are heard and people see how far it is. Leaves the work to its
//! command.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tr::tr;

use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::{CLEANUP_TIMEOUT, Signals, StatusRequests};

/// How far work is, as the thread that does it tells.
pub(crate) trait TaskProgress: Send + Sync + 'static {
    /// Asks it to stop.
    fn stop(&self);

    /// In words, and as a share where the whole is known.
    fn describe(&self) -> (String, Option<(u64, u64)>);

    /// As one JSON object on one line.
    fn to_json(&self) -> String;
}

/// The thread that hears and shows.
pub(crate) struct BackgroundTask<'a, C> {
    signals: Signals,
    status_requests: StatusRequests,
    progress: Arc<C>,
    terminal: &'a Terminal,
}

impl<'a, C: TaskProgress> BackgroundTask<'a, C> {
    /// Hears signals from now on.
    ///
    /// # Errors
    /// Unexpected (1) where the system gives no handlers.
    pub(crate) fn new(course: &Arc<C>, terminal: &'a Terminal) -> Result<Self, Failure> {
        let signals = Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        let question =
            StatusRequests::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        Ok(Self { signals, status_requests: question, progress: Arc::clone(course), terminal })
    }

    /// Does a part of the work.
    ///
    /// # Errors
    /// Interrupted, by a signal; unexpected (1) where the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&C) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let course = Arc::clone(&self.progress);
        let mut working = tokio::task::spawn_blocking(move || work(&course));
        let period = self.terminal.refresh_period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to show yet.
        ticks.reset();
        loop {
            tokio::select! {
                biased;
                done = &mut working => return done.map_err(|error| Failure::from_error(Exit::Error, error)),
                signal = self.signals.recv() => {
                    self.progress.stop();
                    // What was begun of the output is removed with what this gives.
                    drop(timeout(CLEANUP_TIMEOUT, working).await);
                    return Err(Failure::with_message(Exit::Interrupted(signal), tr!("interrupted; nothing was written")));
                }
                _ = ticks.tick(), if period.is_some() => {
                    let (words, share) = self.progress.describe();
                    self.terminal.show_task_progress(&words, share, || self.progress.to_json());
                }
                () = self.status_requests.recv() => self.terminal.print_status(&self.progress.describe().0),
            }
        }
    }
}
