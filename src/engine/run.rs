//! The run loop: batches of rows in, chunks of answered rows out, calls in between.
//!
//! Two numbers bound a run: `workers` (calls in flight) and `window` (rows read, not yet written).

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::api::limiter::Limiter;
use crate::api::lookup_api::LookupApi;
use crate::domain::totals::Totals;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::end::{RunEnd, Stop};
use crate::engine::event::Event;
use crate::engine::io::batch_receiver::{BatchResult, RoundRobinReceiver};
use crate::engine::limits::RunLimits;
use crate::engine::reorder::{Chunk, FlushTimer};
use crate::store::answers::Answers;

/// The queues of a run.
#[derive(Debug)]
pub struct RunIo<'a, L, E> {
    pub batches: &'a mut RoundRobinReceiver<L, E>,
    pub chunks: mpsc::Sender<Chunk<L>>,
}

/// How far the input was read.
enum Intake<E> {
    /// More rows may come.
    Open,
    /// The whole input was read.
    Complete,
    /// No more rows are read, although there may be some.
    Cut,
    /// An error came instead of the next batch.
    Failed(E),
}

impl<E> Intake<E> {
    fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }

    fn into_result(self, end: RunEnd) -> Result<RunEnd, E> {
        if let Self::Failed(error) = self { Err(error) } else { Ok(end) }
    }
}

/// Runs to the end: takes batches and sends chunks in the same order. `stops` ends the run early.
/// `answers` gives known answers and takes new ones; the caller closes it. `limiter` says when a
/// number may be called.
///
/// The totals are returned in every case, because calls are spent whatever the result.
///
/// # Errors
/// The first error that `io.batches` gave; the answered rows before it are sent first.
pub async fn run<A: LookupApi, L, E>(
    limits: RunLimits,
    api: Arc<A>,
    mut limiter: Box<dyn Limiter>,
    answers: &mut Answers,
    io: RunIo<'_, L, E>,
    mut stops: watch::Receiver<Stop>,
    emit: impl FnMut(&Event),
) -> (Totals, Result<RunEnd, E>) {
    let RunIo { batches, chunks } = io;
    let notify = Arc::new(Notify::new());
    answers.set_waker({
        let notify = Arc::clone(&notify);
        move || notify.notify_one()
    });
    limiter.set_waker({
        let notify = Arc::clone(&notify);
        Box::new(move || notify.notify_one())
    });
    let mut run = Dispatcher::new(limits, api, limiter, answers, emit);
    let mut intake = Intake::Open;
    let mut flush_timer = FlushTimer::default();
    loop {
        // In this order: `start_calls` may find that no call may be made any more, and then
        // `drain_pending` settles the open rows.
        run.start_calls();
        run.drain_pending();
        if run.is_finished(intake.is_open()) {
            let (totals, end) = run.finish(intake.is_complete());
            return (totals, intake.into_result(end));
        }
        let wakeup = run.next_wakeup();
        let settled_rows = run.reorder.settled_rows();
        let should_flush = flush_timer.should_flush(settled_rows, run.has_queued_calls());
        tokio::select! {
            biased;
            Ok(()) = stops.changed() => {
                if *stops.borrow_and_update() == Stop::Immediate {
                    return (run.finish(false).0, Ok(RunEnd::Interrupted));
                }
                intake = on_graceful_stop(&mut run, intake);
            }
            // The state committed answers, or the limiter changed: `start_calls` asks it again.
            () = notify.notified() => run.on_committed(),
            Some(finished) = run.in_flight.next(), if !run.in_flight.is_empty() => {
                run.on_reply(finished);
            }
            Some(finished) = run.token_request.next(), if !run.token_request.is_empty() => {
                run.on_token(finished);
            }
            slot = chunks.reserve(), if should_flush => {
                let Ok(slot) = slot else {
                    run.end_early(RunEnd::OutputClosed);
                    let (totals, end) = run.finish(intake.is_complete());
                    return (totals, Ok(end));
                };
                run.send_chunk(slot);
            }
            () = flush_timer.wait(), if settled_rows > 0 && !should_flush => {}
            batch = batches.recv(), if intake.is_open() && run.has_room() => {
                intake = on_received(&mut run, batch);
            }
            () = sleep_until(wakeup.unwrap_or_else(Instant::now)), if wakeup.is_some() => {}
        }
    }
}

/// Ends the run once its calls have finished. Of a pipe, which may never end, no more is read.
fn on_graceful_stop<A: LookupApi, L, E, F: FnMut(&Event)>(
    run: &mut Dispatcher<'_, A, L, F>,
    intake: Intake<E>,
) -> Intake<E> {
    let should_cut = intake.is_open() && !run.limits.read_to_end;
    run.on_interrupted(should_cut);
    if should_cut { Intake::Cut } else { intake }
}

fn on_received<A: LookupApi, L, E, F: FnMut(&Event)>(
    run: &mut Dispatcher<'_, A, L, F>,
    received: Option<BatchResult<L, E>>,
) -> Intake<E> {
    match received {
        Some(Ok(Some(batch))) => {
            run.on_batch(batch);
            Intake::Open
        }
        Some(Ok(None)) => Intake::Complete,
        Some(Err(error)) => {
            run.end_early(RunEnd::InputFailed);
            Intake::Failed(error)
        }
        // The reader ended without the mark of the end: rows may be missing.
        None => {
            run.end_early(RunEnd::InputFailed);
            Intake::Cut
        }
    }
}
