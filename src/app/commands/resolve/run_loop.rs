//! Drives the engine: shows progress, and reacts to signals and to notices of the shared server.

use std::cell::RefCell;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tr::tr;

use crate::api::limiter::Limiter;
use crate::app::commands::resolve::connect::DingTalk;
use crate::app::commands::resolve::join_quota;
use crate::app::exit::Signal;
use crate::app::progress::terminal::Terminal;
use crate::app::progress::tracker::Tracker;
use crate::app::report::timeline::TimelineRecorder;
use crate::app::signals::{SignalHandlers, Signals};
use crate::domain::totals::Totals;
use crate::engine::end::{RunEnd, Stop};
use crate::engine::io::reader::{ParsedBatch, ReaderError};
use crate::engine::limits::RunLimits;
use crate::engine::run::{self, RunIo};
use crate::quota::limiter::{Notice, SharedSession};
use crate::store::answers::Answers;

/// Most warnings that the summary of a run keeps.
const MAX_WARNINGS: usize = 30;

/// A session in a shared quota, and the name of its server.
type NamedSession = (SharedSession, String);

pub(crate) struct RunLoop<'a> {
    pub terminal: &'a Terminal,
    /// The rows of the input, if they were counted.
    pub total_rows: Option<u64>,
    pub limits: RunLimits,
    pub limiter: Box<dyn Limiter>,
    pub session: Option<NamedSession>,
    /// The warnings in the summary.
    pub warnings: &'a mut Vec<String>,
}

/// What the engine returned.
pub(crate) struct Driven {
    pub totals: Totals,
    pub end: DriveEnd,
    /// The last signal.
    pub signal: Option<Signal>,
}

pub(crate) enum DriveEnd {
    Engine(RunEnd),
    InputFailed(ReaderError),
    /// A second signal ended the run at once.
    Killed,
}

impl RunLoop<'_> {
    /// Runs the engine to its end.
    pub(crate) async fn run(
        self,
        api: DingTalk,
        answers: &mut Answers,
        io: RunIo<'_, ParsedBatch, ReaderError>,
        SignalHandlers { signals, status_requests }: &mut SignalHandlers,
        timeline: &mut TimelineRecorder,
    ) -> Driven {
        let Self { terminal, total_rows, limits, limiter, mut session, warnings } = self;
        let tracker = RefCell::new(Tracker::new(total_rows, limiter.current_rate()));
        let (stop, stops) = watch::channel(Stop::Running);
        let emit = |event: &_| {
            tracker.borrow_mut().on_event(event);
            timeline.on_event(event);
        };
        let mut engine = pin!(run::run(limits, Arc::new(api), limiter, answers, io, stops, emit));
        let period = terminal.refresh_period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, when there is nothing to show yet.
        ticks.reset();
        let (mut last_signal, mut is_killed) = (None, false);
        let (totals, result) = loop {
            tokio::select! {
                biased;
                signal = signals.recv() => {
                    is_killed = last_signal.replace(signal).is_some();
                    if !is_killed {
                        terminal.print(&tr!(
                            "stopping: waiting for calls in flight; repeat to stop at once"
                        ));
                    }
                    // Fails only if the run has ended.
                    let _ = stop.send(if is_killed { Stop::Immediate } else { Stop::Graceful });
                }
                ended = &mut engine => {
                    terminal.finish_run(&tracker.borrow_mut().snapshot());
                    break ended;
                }
                (notice, server) = next_notice(&mut session) => {
                    let warning = join_quota::describe_notice(server, &notice);
                    terminal.print_warning(&warning);
                    // Bounded, because a server may come and go for hours.
                    if warnings.len() < MAX_WARNINGS {
                        warnings.push(warning);
                    }
                }
                _ = ticks.tick(), if period.is_some() => {
                    terminal.show_progress(&tracker.borrow_mut().snapshot());
                }
                () = status_requests.recv() => {
                    terminal.print_snapshot(&tracker.borrow_mut().snapshot());
                }
            }
        };
        let end = match result {
            _ if is_killed => DriveEnd::Killed,
            Ok(end) => DriveEnd::Engine(end),
            Err(error) => DriveEnd::InputFailed(error),
        };
        if let Some((session, _)) = session.filter(|_| !is_killed) {
            close_session(session, signals).await;
        }
        Driven { totals, end, signal: last_signal }
    }
}

/// Sends the last answers to the shared server; a signal ends the wait, because other runs can call
/// for them.
async fn close_session(session: SharedSession, signals: &mut Signals) {
    tokio::select! {
        biased;
        _ = signals.recv() => {}
        () = session.close() => {}
    }
}

/// Waits for a notice about the shared server, and returns it with the server's name; for ever if
/// the quota is not shared.
async fn next_notice(session: &mut Option<NamedSession>) -> (Notice, &str) {
    if let Some((session, server)) = session
        && let Some(notice) = session.next_notice().await
    {
        return (notice, server);
    }
    pending().await
}
