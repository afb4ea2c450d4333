//! The run's loop: sheets of rows in, chunks of answered rows out, calls in between. Two numbers bound it:
//! `workers`, the calls in flight, and `window`, the rows read and not yet handed on. Owns what is waited for; what
//! follows from it is `dispatcher`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::api::limiter::Turns;
use crate::api::lookup_api::Remote;
use crate::domain::totals::Report;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::end::{End, Halt};
use crate::engine::event::Event;
use crate::engine::flush_timer::Gathering;
use crate::engine::io::batch_receiver::Inlet;
use crate::engine::limits::{SHEET, Settings};
use crate::engine::reorder::Chunk;
use crate::store::answers::Known;

/// How long a run that stops waits for whoever takes its last rows.
const LAST_ROWS: Duration = Duration::from_secs(1);

/// Where rows come from and go to.
#[derive(Debug)]
pub struct Ends<'a, L, E> {
    /// What comes in.
    pub sheets: &'a mut Inlet<L, E>,
    /// What is answered.
    pub chunks: mpsc::Sender<Chunk<L>>,
}

/// Runs to the end: takes sheets, hands on chunks in the same order. `halt` ends the run early. `known` has what
/// is known and takes what is learned; closing it is its owner's. `turns` says when a number may be called.
///
/// Calls are spent whatever comes of them, so the totals are told in any case. In the place of how the run ended stands the
/// first error that came instead of a sheet, once the rows before it that have their answers are handed on.
pub async fn run<R: Remote, L, E>(
    settings: Settings,
    remote: Arc<R>,
    mut turns: Box<dyn Turns>,
    known: &mut Known,
    ends: Ends<'_, L, E>,
    mut halt: watch::Receiver<Halt>,
    announce: impl FnMut(&Event),
) -> (Report, Result<End, E>) {
    let Ends { sheets, chunks } = ends;
    let news = Arc::new(Notify::new());
    known.on_news({
        let news = Arc::clone(&news);
        move || news.notify_one()
    });
    turns.on_news({
        let news = Arc::clone(&news);
        Box::new(move || news.notify_one())
    });
    let mut run = Dispatcher::new(settings, remote, turns, known, announce);
    // No row is read any more, and that is so because there is none.
    let (mut all_read, mut whole) = (false, false);
    let (mut failure, mut deadline) = (None, None);
    let mut gathering = Gathering::default();
    loop {
        // In this order: starting may find that no call is left to make, and that winds up what is open.
        run.start();
        run.wind_up();
        let leaves = run.drained() && !run.hands_on_all();
        let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if (all_read && run.reorder.is_empty()) || (leaves && (late || run.reorder.settled() == 0))
        {
            let (report, end) = run.close(whole);
            return (report, failure.map_or(Ok(end), Err));
        }
        if leaves && deadline.is_none() {
            deadline = Some(Instant::now() + LAST_ROWS);
        }
        let wakes = deadline.or_else(|| run.wakes());
        let settled = run.reorder.settled();
        let asks_on = run.end.is_none() && !run.ready.is_empty();
        let leave = gathering.leave(settled, asks_on);
        let room = run.reorder.is_empty() || run.reorder.len() + SHEET <= run.settings.window;
        tokio::select! {
            biased;
            Ok(()) = halt.changed() => {
                if *halt.borrow_and_update() == Halt::Now {
                    return (run.close(false).0, Ok(End::Interrupted));
                }
                let cuts = !run.settings.reads_on && !all_read;
                // What was awaited where a limit had ended the run, the other rows of a pipe, is not any more.
                if cuts && run.end.as_ref().is_some_and(End::limit) {
                    run.end = None;
                }
                if run.end.is_none() {
                    run.finish_early(End::Interrupted);
                }
                all_read |= cuts;
            }
            () = news.notified() => run.written(),
            Some((call, result)) = run.calls.next(), if !run.calls.is_empty() => run.heard(call, result),
            Some((episode, result)) = run.fetch.next(), if !run.fetch.is_empty() => run.fetched(episode, result),
            permit = chunks.reserve(), if leave => {
                let Ok(permit) = permit else {
                    run.finish_early(End::OutputLost);
                    let (report, end) = run.close(whole);
                    return (report, Ok(end));
                };
                if let Some(chunk) = run.hand_on() {
                    permit.send(chunk);
                }
            }
            () = gathering.over(), if settled > 0 && !leave => {}
            sheet = sheets.recv(), if !all_read && !leaves && room => match sheet {
                Some(Ok(Some(sheet))) => run.admit(sheet),
                Some(Ok(None)) => (all_read, whole) = (true, true),
                Some(Err(error)) => {
                    run.finish_early(End::InputLost);
                    (all_read, failure) = (true, Some(error));
                }
                None => {
                    run.finish_early(End::InputLost);
                    all_read = true;
                }
            },
            () = sleep_until(wakes.unwrap_or_else(Instant::now)), if wakes.is_some() => {}
        }
    }
}
