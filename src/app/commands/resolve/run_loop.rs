//! A run on its way: the engine is driven, what there is to see is shown, and signals and the shared server are listened to.
//! Leaves what comes before and after to `resolve`.

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
use crate::app::signals::{Signals, StatusRequests};
use crate::domain::totals::Totals;
use crate::engine::end::{RunEnd, Stop};
use crate::engine::io::feed::{ParsedBatch, ReaderError};
use crate::engine::limits::RunLimits;
use crate::engine::run::{self, RunIo};
use crate::quota::limiter::{Notice, SharedSession};
use crate::store::answers::Answers;

/// So many remarks are kept for the account of a run.
const MAX_WARNINGS: usize = 30;

/// What a run is driven with.
pub(crate) struct RunLoop<'a> {
    /// Where it shows how it goes.
    pub terminal: &'a Terminal,
    /// The rows of the input, where they were counted.
    pub total_rows: Option<u64>,
    /// What bounds it.
    pub limits: RunLimits,
    /// Where its turns come from.
    pub limiter: Box<dyn Limiter>,
    /// Its part in a quota that runs share, and what the server of that is called.
    pub session: Option<(SharedSession, String)>,
    /// What people were told on the way.
    pub warnings: &'a mut Vec<String>,
}

impl RunLoop<'_> {
    /// Drives the engine: the totals, how it ended, none where a second signal ended it at once, and the last signal.
    pub(crate) async fn run(
        self,
        remote: DingTalk,
        known: &mut Answers,
        ends: RunIo<'_, ParsedBatch, ReaderError>,
        signals: &mut Signals,
        question: &mut StatusRequests,
        chronicle: &mut TimelineRecorder,
    ) -> (Totals, Option<Result<RunEnd, ReaderError>>, Option<Signal>) {
        let Self {
            terminal,
            total_rows: total,
            limits: bounds,
            limiter: turns,
            session: mut part,
            warnings: remarks,
        } = self;
        let board = RefCell::new(Tracker::new(total, turns.current_rate()));
        let (halt, halted) = watch::channel(Stop::Running);
        let announce = |event: &_| {
            board.borrow_mut().on_event(event);
            chronicle.on_event(event);
        };
        let mut engine =
            pin!(run::run(bounds, Arc::new(remote), turns, known, ends, halted, announce));
        let period = terminal.refresh_period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to show yet.
        ticks.reset();
        let (mut signalled, mut at_once) = (None, false);
        let (report, ended) = loop {
            tokio::select! {
                biased;
                signal = signals.recv() => {
                    at_once = signalled.replace(signal).is_some();
                    if !at_once {
                        terminal.print(&tr!("stopping: waiting for the calls under way; once more to stop at once"));
                    }
                    // The run has ended where nobody listens.
                    let _ = halt.send(if at_once { Stop::Immediate } else { Stop::Graceful });
                }
                ended = &mut engine => {
                    let glance = board.borrow_mut().snapshot();
                    terminal.finish_run(&glance);
                    break ended;
                }
                (word, server) = next_notice(&mut part) => {
                    let remark = join_quota::describe_notice(server, &word);
                    terminal.print(&remark);
                    // A server that comes and goes has said enough.
                    if remarks.len() < MAX_WARNINGS {
                        remarks.push(remark);
                    }
                }
                _ = ticks.tick(), if period.is_some() => {
                    let glance = board.borrow_mut().snapshot();
                    terminal.show_progress(&glance);
                }
                () = question.recv() => {
                    let glance = board.borrow_mut().snapshot();
                    terminal.print_snapshot(&glance);
                }
            }
        };
        if let Some((part, _)) = part.filter(|_| !at_once) {
            // Whoever signals once more does not wait for what others may miss.
            tokio::select! {
                biased;
                _ = signals.recv() => {}
                () = part.close() => {}
            }
        }
        (report, Some(ended).filter(|_| !at_once), signalled)
    }
}

/// Waits for a word about the server of the shared quota, and what that is called; for ever where there is none.
async fn next_notice(part: &mut Option<(SharedSession, String)>) -> (Notice, &str) {
    if let Some((part, server)) = part
        && let Some(word) = part.next_notice().await
    {
        return (word, server);
    }
    pending().await
}
