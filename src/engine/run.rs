//! The run's loop: sheets of rows in, chunks of answered rows out, calls in between. Two numbers bound it:
//! `workers`, the calls in flight, and `window`, the rows read and not yet handed on. Owns what is waited for; what
//! follows from it is `dispatcher`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::api::limiter::Limiter;
use crate::api::lookup_api::LookupApi;
use crate::domain::totals::Totals;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::end::{RunEnd, Stop};
use crate::engine::event::Event;
use crate::engine::flush_timer::FlushTimer;
use crate::engine::io::batch_receiver::RoundRobinReceiver;
use crate::engine::limits::{BATCH_ROWS, RunLimits};
use crate::engine::reorder::Chunk;
use crate::store::answers::Answers;

/// How long a run that stops waits for whoever takes its last rows.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where rows come from and go to.
#[derive(Debug)]
pub struct RunIo<'a, L, E> {
    /// What comes in.
    pub batches: &'a mut RoundRobinReceiver<L, E>,
    /// What is answered.
    pub chunks: mpsc::Sender<Chunk<L>>,
}

/// Runs to the end: takes sheets, hands on chunks in the same order. `halt` ends the run early. `known` has what
/// is known and takes what is learned; closing it is its owner's. `turns` says when a number may be called.
///
/// Calls are spent whatever comes of them, so the totals are told in any case. In the place of how the run ended stands the
/// first error that came instead of a sheet, once the rows before it that have their answers are handed on.
pub async fn run<R: LookupApi, L, E>(
    settings: RunLimits,
    remote: Arc<R>,
    mut turns: Box<dyn Limiter>,
    known: &mut Answers,
    ends: RunIo<'_, L, E>,
    mut halt: watch::Receiver<Stop>,
    announce: impl FnMut(&Event),
) -> (Totals, Result<RunEnd, E>) {
    let RunIo { batches: sheets, chunks } = ends;
    let news = Arc::new(Notify::new());
    known.set_waker({
        let news = Arc::clone(&news);
        move || news.notify_one()
    });
    turns.set_waker({
        let news = Arc::clone(&news);
        Box::new(move || news.notify_one())
    });
    let mut run = Dispatcher::new(settings, remote, turns, known, announce);
    // No row is read any more, and that is so because there is none.
    let (mut all_read, mut whole) = (false, false);
    let (mut failure, mut deadline) = (None, None);
    let mut gathering = FlushTimer::default();
    loop {
        // In this order: starting may find that no call is left to make, and that winds up what is open.
        run.start_calls();
        run.drain_pending();
        let leaves = run.is_drained() && !run.should_write_output();
        let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if (all_read && run.reorder.is_empty())
            || (leaves && (late || run.reorder.settled_rows() == 0))
        {
            let (report, end) = run.finish(whole);
            return (report, failure.map_or(Ok(end), Err));
        }
        if leaves && deadline.is_none() {
            deadline = Some(Instant::now() + FINAL_OUTPUT_TIMEOUT);
        }
        let wakes = deadline.or_else(|| run.next_wakeup());
        let settled = run.reorder.settled_rows();
        let asks_on = run.end.is_none() && !run.ready.is_empty();
        let leave = gathering.should_flush(settled, asks_on);
        let room = run.reorder.is_empty() || run.reorder.len() + BATCH_ROWS <= run.limits.window;
        tokio::select! {
            biased;
            Ok(()) = halt.changed() => {
                if *halt.borrow_and_update() == Stop::Immediate {
                    return (run.finish(false).0, Ok(RunEnd::Interrupted));
                }
                let cuts = !run.limits.read_to_end && !all_read;
                // What was awaited where a limit had ended the run, the other rows of a pipe, is not any more.
                if cuts && run.end.as_ref().is_some_and(RunEnd::is_limit) {
                    run.end = None;
                }
                if run.end.is_none() {
                    run.end_early(RunEnd::Interrupted);
                }
                all_read |= cuts;
            }
            () = news.notified() => run.on_committed(),
            Some((call, result)) = run.in_flight.next(), if !run.in_flight.is_empty() => run.on_reply(call, result),
            Some((episode, result)) = run.token_request.next(), if !run.token_request.is_empty() => run.on_token(episode, result),
            permit = chunks.reserve(), if leave => {
                let Ok(permit) = permit else {
                    run.end_early(RunEnd::OutputClosed);
                    let (report, end) = run.finish(whole);
                    return (report, Ok(end));
                };
                if let Some(chunk) = run.pop_chunk() {
                    permit.send(chunk);
                }
            }
            () = gathering.wait(), if settled > 0 && !leave => {}
            sheet = sheets.recv(), if !all_read && !leaves && room => match sheet {
                Some(Ok(Some(sheet))) => run.on_batch(sheet),
                Some(Ok(None)) => (all_read, whole) = (true, true),
                Some(Err(error)) => {
                    run.end_early(RunEnd::InputFailed);
                    (all_read, failure) = (true, Some(error));
                }
                None => {
                    run.end_early(RunEnd::InputFailed);
                    all_read = true;
                }
            },
            () = sleep_until(wakes.unwrap_or_else(Instant::now)), if wakes.is_some() => {}
        }
    }
}
