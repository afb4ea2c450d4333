//! The dispatcher: everything of a run that changes (flight, window, holds, token, totals), owned by one task by
//! value, and what each thing that happens changes in it. Order for a number: known, in flight, held, turn, call
//! (DESIGN 3). Leaves what may start to `starting`, and waiting for things to happen to `pipeline`.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tr::tr;

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::api::limiter::Limiter;
use crate::api::lookup_api::LookupApi;
use crate::api::rate::Rate;
use crate::api::token::{AccessToken, TokenError};
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::domain::totals::Totals;
use crate::domain::verdict::{Limit, Pause};
use crate::engine::candidates::{self, AnswerSource, Candidate, Next, should_try_next_number};
use crate::engine::end::RunEnd;
use crate::engine::event::Event;
use crate::engine::fail_fast::FailFast;
use crate::engine::in_flight::{Call, InFlight, TokenRequest};
use crate::engine::limits::{RowBatch, RunLimits};
use crate::engine::lookup::{Abort, Action, Lookup, TokenInUse};
use crate::engine::reorder::{Answer, Chunk, ReorderBuffer};
use crate::engine::retry_queue::RetryQueue;
use crate::engine::single_flight::{SingleFlight, WaitingRow};
use crate::engine::throttle::{PauseChange, Throttle};
use crate::engine::token_state::TokenState;
use crate::store::answers::Answers;
use crate::store::disk::prefetch::StoredAnswer;

/// A run in progress.
pub(crate) struct Dispatcher<'k, R, L, F> {
    pub(crate) limits: RunLimits,
    pub(super) api: Arc<R>,
    pub(super) emit: F,
    pub(super) limiter: Box<dyn Limiter>,
    jitter: fastrand::Rng,
    pub(super) answers: &'k mut Answers,
    single_flight: SingleFlight,
    pub(crate) reorder: ReorderBuffer<L>,
    /// Numbers whose turn is next.
    pub(crate) ready: VecDeque<Lookup>,
    pub(super) retry_queue: RetryQueue,
    pub(crate) in_flight: InFlight,
    pub(super) token_state: TokenState,
    pub(crate) token_request: TokenRequest,
    /// The rate that was announced last.
    pub(super) announced_rate: Rate,
    pub(super) throttle: Throttle,
    pub(super) fail_fast: FailFast,
    pub(super) totals: Totals,
    pub(crate) end: Option<RunEnd>,
    /// The moment before which no call has its turn.
    pub(super) next_call_at: Option<Instant>,
}

impl<'k, R: LookupApi, L, F: FnMut(&Event)> Dispatcher<'k, R, L, F> {
    pub(crate) fn new(
        settings: RunLimits,
        remote: Arc<R>,
        turns: Box<dyn Limiter>,
        known: &'k mut Answers,
        announce: F,
    ) -> Self {
        let jitter = fastrand::Rng::with_seed(settings.seed);
        Self {
            limits: settings,
            api: remote,
            emit: announce,
            announced_rate: turns.current_rate(),
            limiter: turns,
            jitter,
            answers: known,
            single_flight: SingleFlight::default(),
            reorder: ReorderBuffer::default(),
            ready: VecDeque::new(),
            retry_queue: RetryQueue::default(),
            in_flight: InFlight::default(),
            token_state: TokenState::default(),
            token_request: TokenRequest::default(),
            throttle: Throttle::default(),
            fail_fast: FailFast::default(),
            totals: Totals::default(),
            end: None,
            next_call_at: None,
        }
    }

    /// Takes rows in: what is known or refused settles at once, the rest waits for a call.
    pub(crate) fn on_batch(&mut self, mut sheet: RowBatch<L>) {
        let foreseen = self.answers.on_prefetched(std::mem::take(&mut sheet.prefetched));
        let mut foreseen = foreseen.chunks(sheet.numbers_per_row.get());
        let rows = self.reorder.push(sheet);
        self.totals.rows_in += rows.end - rows.start;
        (self.emit)(&Event::RowsRead(rows.end - rows.start));
        for row in rows {
            let foreseen = foreseen.next().unwrap_or_default();
            match self.reorder.earlier_status(row).filter(|status| !status.is_retryable()) {
                Some(status) => {
                    self.totals.rows_kept += 1;
                    self.settle(row, Answer::for_kept_row(status));
                }
                None => self.resolve_row(WaitingRow { row, nth: 0 }, None, foreseen),
            }
        }
    }

    /// Looks for a row's answer from one of its numbers on; those before it came to `told`, and ahead of all it was `foreseen`.
    fn resolve_row(
        &mut self,
        WaitingRow { row, nth }: WaitingRow,
        told: Option<Candidate>,
        foreseen: &[Option<StoredAnswer>],
    ) {
        let known = |nth, mobile| self.answers.get(mobile, foreseen.get(nth));
        match candidates::choose_next(self.reorder.mobiles(row), nth, told, known) {
            Some(Next::Ask { nth, mobile }) => {
                let is_first = self.single_flight.join(mobile, WaitingRow { row, nth });
                if is_first {
                    self.ready.push_back(Lookup::new(mobile));
                    (self.emit)(&Event::Queued);
                }
            }
            Some(Next::Settle(told)) => self.settle_counted(row, told),
            None => {}
        }
    }

    /// Takes note of what was written to the state in the meantime.
    pub(crate) fn on_committed(&mut self) {
        self.answers.refresh();
    }

    /// A call came back, or panicked: then its row fails and the run goes on.
    pub(crate) fn on_reply(&mut self, call: Call, result: Option<Result<Reply, CallError>>) {
        let Call { mut lookup, token_generation: generation, pause_epoch: episode, sent_at: left } =
            call;
        (self.emit)(&Event::CallEnded);
        if let Some(Ok(_)) = result {
            self.totals.latency.record(left.elapsed());
        }
        let Some(result) = result else {
            let text = tr!("the call failed inside dingmap; please report it");
            return self.on_answer(&lookup, Outcome::without_user(Status::Failed, None, text));
        };
        if let Some(stop) = self.fail_fast.on_result(&result) {
            self.ready.push_front(lookup);
            return self.end_early(RunEnd::Aborted(stop));
        }
        let hide = |text| self.api.redact(text);
        let token = TokenInUse { redact: &hide, generation, can_renew: self.api.can_renew_token() };
        let step = lookup.next_action(result, token, &self.limits.retry_policy, &mut self.jitter);
        if lookup.has_api_answer() {
            self.throttle.on_answered(episode);
        }
        match step {
            Action::Settle(outcome) => self.on_answer(&lookup, outcome),
            Action::RetryNow => self.ready.push_front(lookup),
            Action::RetryAfter(delay) => {
                (self.emit)(&Event::BackingOff { mobile: lookup.mobile(), delay });
                self.retry_queue.schedule(lookup, delay);
                (self.emit)(&Event::InBackoff(self.retry_queue.len()));
            }
            Action::Pause(hold) => {
                self.ready.push_front(lookup);
                self.on_throttled(&hold, episode);
            }
            Action::RenewToken => {
                self.ready.push_front(lookup);
                self.token_state.on_rejected(generation);
            }
            Action::Abort(reason) => {
                self.ready.push_front(lookup);
                self.end_early(RunEnd::Aborted(reason));
            }
        }
    }

    /// A number has its answer, and so has every row that waited for it.
    fn on_answer(&mut self, lookup: &Lookup, outcome: Outcome) {
        let mobile = lookup.mobile();
        (self.emit)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        if let Some(stop) = self.fail_fast.on_settled(mobile, &outcome) {
            self.end_early(RunEnd::Aborted(stop));
        }
        let outcome = Arc::new(outcome);
        self.limiter.on_answered(mobile, &outcome);
        self.answers.keep(mobile, &outcome);
        self.complete(mobile, &outcome, AnswerSource::OwnRow);
    }

    /// Every row that waited for a number has its answer, which the first of them had asked `by` this run, or another.
    pub(super) fn complete(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, by: AnswerSource) {
        for (place, waiting) in self.single_flight.complete(mobile).into_iter().enumerate() {
            let WaitingRow { row, nth } = waiting;
            let by = if place == 0 { by } else { AnswerSource::AnotherRow };
            let told = Candidate { answer: Answer::new(nth, Arc::clone(outcome)), source: by };
            if should_try_next_number(outcome) {
                self.resolve_row(WaitingRow { row, nth: nth + 1 }, Some(told), &[]);
            } else {
                self.settle_counted(row, told);
            }
        }
    }

    fn settle_counted(&mut self, row: u64, Candidate { answer, source: by }: Candidate) {
        self.totals.rows_shared += u64::from(by == AnswerSource::AnotherRow);
        self.totals.rows_known += u64::from(by == AnswerSource::AnotherSession);
        self.settle(row, answer);
    }

    fn settle(&mut self, row: u64, answer: Answer) {
        (self.emit)(&Event::Settled(answer.outcome.status));
        self.reorder.settle(row, answer);
    }

    fn on_throttled(&mut self, hold: &Pause, episode: u64) {
        let rest =
            self.throttle.on_throttled(hold, episode, (self.limits.wall_clock)(), &mut self.jitter);
        self.limiter.on_paused(rest.until, rest.cause, rest.is_new);
        self.on_paused(rest);
    }

    /// All calls rest, whoever met the reason; where that is too long, the run ends.
    pub(super) fn on_paused(&mut self, rest: PauseChange) {
        if rest.is_new || rest.is_extended {
            (self.emit)(&Event::Paused { until: rest.until, cause: rest.cause });
        }
        // The API names an end, while nobody knows how long a server will be silent.
        let held = if rest.cause == Limit::Shared {
            self.throttle.elapsed_paused()
        } else {
            self.throttle.total_paused()
        };
        if held > self.limits.patience {
            let left = rest.until.saturating_duration_since(Instant::now());
            self.throttle.end_now();
            self.end_early(RunEnd::PatienceExceeded { cause: rest.cause, remaining: left });
        }
    }

    /// A token call came back.
    pub(crate) fn on_token(
        &mut self,
        episode: u64,
        result: Option<Result<AccessToken, TokenError>>,
    ) {
        if self.end.is_some() {
            return;
        }
        let outage = match result {
            Some(Ok(grant)) => {
                let fetched = grant.renew_after.is_some();
                self.token_state.on_token(grant);
                if fetched {
                    self.totals.tokens_fetched += 1;
                    (self.emit)(&Event::TokenReceived(self.totals.tokens_fetched));
                }
                return;
            }
            Some(Err(TokenError::Throttled(hold))) => {
                self.token_state.on_throttled();
                return self.on_throttled(&hold, episode);
            }
            Some(Err(refused @ TokenError::Refused { .. })) => {
                let stop = Abort::TokenUnavailable { reason: refused.to_string(), refused: true };
                return self.end_early(RunEnd::Aborted(stop));
            }
            Some(Err(TokenError::Untrusted(what))) => {
                return self.end_early(RunEnd::Aborted(Abort::Untrusted(what)));
            }
            Some(Err(TokenError::UnknownEndpoint(reason))) => {
                match self.token_state.fall_back(reason) {
                    Some(both) => (both, true),
                    None => return,
                }
            }
            Some(Err(TokenError::Transient { reason, answered })) => (reason, answered),
            None => (tr!("the token call failed inside dingmap; please report it"), true),
        };
        let (reason, answered) = outage;
        let retries = self.limits.retry_policy;
        let serves = self.token_state.usable().is_some();
        let (failures, delay) = self.token_state.on_failure(retries, &mut self.jitter);
        if failures <= retries.max_retries || serves {
            return (self.emit)(&Event::TokenFailed { reason, delay, old_token_valid: serves });
        }
        let reached = answered || self.fail_fast.has_answered();
        let stop = if reached {
            Abort::TokenUnavailable { reason, refused: false }
        } else {
            Abort::Unreachable(reason)
        };
        self.end_early(RunEnd::Aborted(stop));
    }

    /// Starts no more calls. The first reason counts, save that one which a person has to act upon beats a limit.
    pub(crate) fn end_early(&mut self, end: RunEnd) {
        let urgent =
            matches!(end, RunEnd::Aborted(_)) && self.end.as_ref().is_some_and(RunEnd::is_limit);
        if self.end.is_none() || urgent {
            self.end = Some(end);
            self.token_request.abort();
            (self.emit)(&Event::Stopping);
        }
    }

    /// Whether the run ends early and no call is under way any more. Calls are waited for, since they are paid for;
    /// each is bounded by its timeout.
    pub(crate) fn is_drained(&self) -> bool {
        self.end.is_some() && self.in_flight.is_empty()
    }

    /// Whether every row is handed on, the open ones as pending.
    pub(crate) fn should_write_output(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.should_write_output(self.limits.partial))
    }

    /// Once the run ends early and its calls are back, what is open becomes pending, or stays what it was.
    pub(crate) fn drain_pending(&mut self) {
        if !self.is_drained() || !self.should_write_output() {
            return;
        }
        self.ready.clear();
        self.retry_queue.clear();
        let Some(end) = &self.end else { return };
        let pending = Arc::new(Outcome::pending(&end.pending_reason()));
        let rows: Vec<WaitingRow> = self.single_flight.drain().collect();
        for WaitingRow { row, nth } in rows {
            let status = self.reorder.skip(row, Answer::new(nth, Arc::clone(&pending)));
            (self.emit)(&Event::Settled(status));
        }
    }

    /// The next moment at which something is due without anything coming in.
    pub(crate) fn next_wakeup(&mut self) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        let due = self.retry_queue.next_wakeup();
        let waits = !self.ready.is_empty();
        let held = self.throttle.paused_until().filter(|_| waits);
        let token = self.token_state.next_wakeup().filter(|_| waits && held.is_none());
        [due, held, token, self.next_call_at].into_iter().flatten().min()
    }

    /// The next rows in input order.
    pub(crate) fn pop_chunk(&mut self) -> Option<Chunk<L>> {
        let chunk = self.reorder.pop_chunk()?;
        for answer in &chunk.answers {
            self.totals.count_row(answer.outcome.status);
        }
        Some(chunk)
    }

    /// The totals, and how it ended: a run all of whose rows have their answers has finished, whatever else came.
    pub(crate) fn finish(&mut self, read_whole: bool) -> (Totals, RunEnd) {
        self.throttle.end_now();
        (self.totals.pauses_by_limit, self.totals.pause_time_by_limit) =
            self.throttle.stats_by_limit();
        (self.totals.numbers_asked, self.totals.input_complete) =
            (self.totals.calls - self.totals.retries(), read_whole);
        self.totals.token_calls = self.api.token_call_count();
        let whole = read_whole && self.reorder.is_complete();
        let end = self
            .end
            .take()
            .filter(|end| !whole || !(end.is_limit() || matches!(end, RunEnd::Interrupted)));
        (std::mem::take(&mut self.totals), end.unwrap_or(RunEnd::Finished))
    }
}
