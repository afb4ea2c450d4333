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

use crate::api::limiter::Turns;
use crate::app::commands::resolve::connect::DingTalk;
use crate::app::commands::resolve::join_quota;
use crate::app::exit::Signal;
use crate::app::progress::terminal::Terminal;
use crate::app::progress::tracker::Board;
use crate::app::report::timeline::Chronicle;
use crate::app::signals::{Question, Signals};
use crate::domain::totals::Report;
use crate::engine::end::{End, Halt};
use crate::engine::io::feed::{FeedError, Load};
use crate::engine::limits::Settings;
use crate::engine::run::{self, Ends};
use crate::quota::limiter::{Part, Word};
use crate::store::answers::Known;

/// So many remarks are kept for the account of a run.
const REMARKS: usize = 30;

/// What a run is driven with.
pub(crate) struct Drive<'a> {
    /// Where it shows how it goes.
    pub terminal: &'a Terminal,
    /// The rows of the input, where they were counted.
    pub total: Option<u64>,
    /// What bounds it.
    pub bounds: Settings,
    /// Where its turns come from.
    pub turns: Box<dyn Turns>,
    /// Its part in a quota that runs share, and what the server of that is called.
    pub part: Option<(Part, String)>,
    /// What people were told on the way.
    pub remarks: &'a mut Vec<String>,
}

impl Drive<'_> {
    /// Drives the engine: the totals, how it ended, none where a second signal ended it at once, and the last signal.
    pub(crate) async fn to_its_end(
        self,
        remote: DingTalk,
        known: &mut Known,
        ends: Ends<'_, Load, FeedError>,
        signals: &mut Signals,
        question: &mut Question,
        chronicle: &mut Chronicle,
    ) -> (Report, Option<Result<End, FeedError>>, Option<Signal>) {
        let Self { terminal, total, bounds, turns, mut part, remarks } = self;
        let board = RefCell::new(Board::new(total, turns.current()));
        let (halt, halted) = watch::channel(Halt::No);
        let announce = |event: &_| {
            board.borrow_mut().observe(event);
            chronicle.observe(event);
        };
        let mut engine =
            pin!(run::run(bounds, Arc::new(remote), turns, known, ends, halted, announce));
        let period = terminal.period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to show yet.
        ticks.reset();
        let (mut signalled, mut at_once) = (None, false);
        let (report, ended) = loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    at_once = signalled.replace(signal).is_some();
                    if !at_once {
                        terminal.say(&tr!("stopping: waiting for the calls under way; once more to stop at once"));
                    }
                    // The run has ended where nobody listens.
                    let _ = halt.send(if at_once { Halt::Now } else { Halt::Soon });
                }
                ended = &mut engine => {
                    let glance = board.borrow_mut().glance();
                    terminal.end(&glance);
                    break ended;
                }
                (word, server) = heard(&mut part) => {
                    let remark = join_quota::told(server, &word);
                    terminal.say(&remark);
                    // A server that comes and goes has said enough.
                    if remarks.len() < REMARKS {
                        remarks.push(remark);
                    }
                }
                _ = ticks.tick(), if period.is_some() => {
                    let glance = board.borrow_mut().glance();
                    terminal.progress(&glance);
                }
                () = question.asked() => {
                    let glance = board.borrow_mut().glance();
                    terminal.tell(&glance);
                }
            }
        };
        if let Some((part, _)) = part.filter(|_| !at_once) {
            // Whoever signals once more does not wait for what others may miss.
            tokio::select! {
                biased;
                _ = signals.next() => {}
                () = part.leave() => {}
            }
        }
        (report, Some(ended).filter(|_| !at_once), signalled)
    }
}

/// Waits for a word about the server of the shared quota, and what that is called; for ever where there is none.
async fn heard(part: &mut Option<(Part, String)>) -> (Word, &str) {
    if let Some((part, server)) = part
        && let Some(word) = part.word().await
    {
        return (word, server);
    }
    pending().await
}
