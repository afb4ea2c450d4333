//! The dispatcher: the mutable state of a run (single flight, reorder buffer, pauses, token,
//! totals), owned by one task by value, and how each event changes it.
//!
//! The order for a number is: known answer, [single flight], pause, rate limiter, call.
//!
//! [single flight]: crate::guide::architecture#single-flight

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Permit;
use tokio::time::Instant;
use tr::tr;

use crate::api::error::CallError;
use crate::api::limiter::{ClaimState, Limiter};
use crate::api::lookup_api::LookupApi;
use crate::api::rate::Rate;
use crate::api::token::{AccessToken, TokenError};
use crate::domain::judgement::Judgement;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::domain::totals::Totals;
use crate::domain::verdict::{self, Limit, Pause};
use crate::engine::candidates::{self, AnswerSource, Candidate, Next, should_try_next_number};
use crate::engine::end::RunEnd;
use crate::engine::event::Event;
use crate::engine::fail_fast::FailFast;
use crate::engine::in_flight::{
    Call, Completion, FinishedCall, FinishedTokenRequest, InFlight, TokenRequest,
};
use crate::engine::limits::{BATCH_ROWS, RowBatch, RunLimits};
use crate::engine::lookup::{Abort, Action, Lookup, TokenInUse};
use crate::engine::recent_answers::RecentAnswers;
use crate::engine::reorder::{Answer, Chunk, ReorderBuffer};
use crate::engine::retry_queue::RetryQueue;
use crate::engine::single_flight::{SingleFlight, WaitingRow};
use crate::engine::suspect_connections::SuspectConnections;
use crate::engine::throttle::{PauseChange, Throttle};
use crate::engine::token_state::TokenState;
use crate::store::answers::Answers;
use crate::store::disk::prefetch::StoredAnswer;

/// How long a run that stops without an output waits for the writer to take the last answered rows.
const FINAL_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A number that another run has claimed is checked again after this time: short enough that its
/// answer is seen soon, long enough for a thousand such numbers.
const CLAIM_RECHECK_DELAY: Duration = Duration::from_millis(200);

/// Pauses, some 8 s together, after which a machine that has reached the host with no call does not
/// reach it. Calls that start together can use up the file descriptors for a moment.
const MAX_MACHINE_PAUSES_AT_START: u32 = 3;

/// A run in progress.
pub(crate) struct Dispatcher<'k, A, L, F> {
    pub(crate) limits: RunLimits,
    api: Arc<A>,
    emit: F,
    limiter: Box<dyn Limiter>,
    jitter: fastrand::Rng,
    answers: &'k mut Answers,
    single_flight: SingleFlight,
    pub(crate) reorder: ReorderBuffer<L>,
    /// Numbers that wait for a call, next one first.
    ready: VecDeque<Lookup>,
    retry_queue: RetryQueue,
    pub(crate) in_flight: InFlight,
    token_state: TokenState,
    pub(crate) token_request: TokenRequest,
    /// The rate of the last [`Event::RateChanged`].
    announced_rate: Rate,
    throttle: Throttle,
    fail_fast: FailFast,
    recent_answers: RecentAnswers,
    suspect_connections: SuspectConnections,
    /// Why this machine could not open a connection the last time.
    machine_failure: Option<String>,
    totals: Totals,
    end: Option<RunEnd>,
    /// The rate limiter grants no call before this time.
    next_call_at: Option<Instant>,
    /// Set once the run stops without an output.
    output_deadline: Option<Instant>,
}

impl<'k, A: LookupApi, L, F: FnMut(&Event)> Dispatcher<'k, A, L, F> {
    pub(crate) fn new(
        limits: RunLimits,
        api: Arc<A>,
        limiter: Box<dyn Limiter>,
        answers: &'k mut Answers,
        emit: F,
    ) -> Self {
        let jitter = fastrand::Rng::with_seed(limits.seed);
        Self {
            limits,
            api,
            emit,
            announced_rate: limiter.current_rate(),
            limiter,
            jitter,
            answers,
            single_flight: SingleFlight::default(),
            reorder: ReorderBuffer::default(),
            ready: VecDeque::new(),
            retry_queue: RetryQueue::default(),
            in_flight: InFlight::default(),
            token_state: TokenState::default(),
            token_request: TokenRequest::default(),
            throttle: Throttle::default(),
            fail_fast: FailFast::default(),
            recent_answers: RecentAnswers::default(),
            suspect_connections: SuspectConnections::default(),
            machine_failure: None,
            totals: Totals::default(),
            end: None,
            next_call_at: None,
            output_deadline: None,
        }
    }

    /// Takes rows in: a known answer or an invalid number settles its row; the others wait for a
    /// call.
    pub(crate) fn on_batch(&mut self, mut batch: RowBatch<L>) {
        let prefetched = self.answers.on_prefetched(std::mem::take(&mut batch.prefetched));
        let mut prefetched = prefetched.chunks(batch.numbers_per_row.get());
        self.totals.bytes_in += batch.source_bytes;
        let rows = self.reorder.push(batch);
        self.totals.rows_in += rows.end - rows.start;
        (self.emit)(&Event::RowsRead(rows.end - rows.start));
        for row in rows {
            let prefetched = prefetched.next();
            match self.reorder.judgement(row).and_then(Judgement::kept_status) {
                Some(status) => {
                    self.totals.rows_kept += 1;
                    self.settle(row, Answer::for_kept_row(status));
                }
                None => self.resolve_row(WaitingRow { row, nth: 0 }, None, prefetched),
            }
        }
    }

    /// Looks for the answer of a row, from its `nth` number on. `candidate` is the result of the
    /// numbers before; `prefetched` has the stored answers of the row, if they were looked up.
    fn resolve_row(
        &mut self,
        WaitingRow { row, nth }: WaitingRow,
        candidate: Option<Candidate>,
        prefetched: Option<&[Option<StoredAnswer>]>,
    ) {
        let known_answer =
            |nth, mobile| self.answers.get(mobile, prefetched.and_then(|stored| stored.get(nth)));
        match candidates::choose_next(self.reorder.mobiles(row), nth, candidate, known_answer) {
            Some(Next::Ask { nth, mobile }) => {
                let is_first = self.single_flight.join(mobile, WaitingRow { row, nth });
                if is_first {
                    self.ready.push_back(Lookup::new(mobile));
                    (self.emit)(&Event::Queued);
                }
            }
            Some(Next::Settle(candidate)) => self.settle_counted(row, candidate),
            None => {}
        }
    }

    /// Starts the token request and every lookup that may start now.
    pub(crate) fn start_calls(&mut self) {
        self.requeue_due();
        self.next_call_at = None;
        if let Some(error) = self.answers.write_error() {
            let cause = error.to_string();
            self.end_early(RunEnd::StateFailed(cause));
        }
        if self.end.is_some() {
            return self.cancel_prefetch();
        }
        // Before anything that the run may have to wait for, because no call can follow.
        let has_open_numbers = !self.ready.is_empty() || !self.retry_queue.is_empty();
        if has_open_numbers && self.is_call_limit_reached() {
            return self.end_early(RunEnd::CallLimitReached);
        }
        if self.ready.is_empty() {
            return self.cancel_prefetch();
        }
        self.apply_shared_pause();
        if self.end.is_some() || self.throttle.paused_until().is_some() {
            return;
        }
        self.request_token();
        self.start_lookups();
    }

    /// Moves the numbers whose backoff has ended to the front of the queue, because the rows behind
    /// them wait for them to leave the window.
    fn requeue_due(&mut self) {
        let now = Instant::now();
        while let Some(lookup) = self.retry_queue.pop_due(now) {
            self.ready.push_front(lookup);
            (self.emit)(&Event::InBackoff(self.retry_queue.len()));
        }
    }

    /// Tells the limiter that no call follows. At the end of a run, other runs may claim the
    /// numbers that were not called.
    fn cancel_prefetch(&mut self) {
        self.limiter.prefetch(&mut std::iter::empty(), 0);
        for lookup in self.ready.iter().filter(|_| self.end.is_some()) {
            self.limiter.release(lookup.mobile());
        }
    }

    fn is_call_limit_reached(&self) -> bool {
        self.limits.max_calls.is_some_and(|max_calls| self.totals.calls >= max_calls)
    }

    /// Pauses or resumes for a cause that the limiter reports.
    fn apply_shared_pause(&mut self) {
        match self.limiter.paused_until() {
            Some((until, cause)) => {
                let change = self.throttle.pause_until(until, cause);
                self.on_paused(change);
            }
            None => self.throttle.resume(Limit::Shared),
        }
    }

    fn request_token(&mut self) {
        if let Some(endpoint) = self.token_state.start_fetch() {
            let api = Arc::clone(&self.api);
            self.token_request
                .start(self.throttle.epoch(), async move { api.fetch_token(endpoint).await });
        }
    }

    /// Starts lookups until a worker, a claim, a token or a permit of the limiter is missing.
    fn start_lookups(&mut self) {
        let free_workers = self.limits.workers.saturating_sub(self.in_flight.len());
        self.limiter.prefetch(&mut self.ready.iter().map(Lookup::mobile), free_workers);
        let lookahead = self.limiter.lookahead();
        let mut position = 0;
        while position < lookahead
            && let Some(mobile) = self.ready.get(position).map(Lookup::mobile)
            && self.answers.has_room(self.in_flight.len())
        {
            match self.limiter.claim_state(mobile) {
                ClaimState::Granted => {
                    let has_worker = self.in_flight.len() < self.limits.workers;
                    if !has_worker || !self.start_call(position) {
                        return;
                    }
                }
                // Numbers behind it may be called: other runs may wait for their answers.
                ClaimState::Pending => position += 1,
                ClaimState::Answered(outcome, asked_at) => {
                    self.ready.remove(position);
                    self.on_peer_answer(mobile, &outcome, asked_at);
                }
                ClaimState::ClaimedElsewhere => {
                    if let Some(lookup) = self.ready.remove(position) {
                        self.retry_queue.schedule(lookup, CLAIM_RECHECK_DELAY);
                    }
                }
            }
        }
    }

    /// Starts the call of the number at `position` in the queue. False if it may not start yet, or
    /// if the run ended.
    fn start_call(&mut self, position: usize) -> bool {
        let Some((token, token_generation)) = self.token_state.usable() else { return false };
        if self.is_call_limit_reached() {
            self.end_early(RunEnd::CallLimitReached);
            return false;
        }
        let is_new = self.ready.get(position).is_some_and(Lookup::is_new);
        if is_new && self.fail_fast.is_probe_exhausted(self.totals.calls - self.totals.retries()) {
            return false;
        }
        if let Err(next_call_at) = self.limiter.try_acquire() {
            self.next_call_at = next_call_at;
            return false;
        }
        let Some(lookup) = self.ready.remove(position) else { return false };
        if self.announced_rate != self.limiter.current_rate() {
            self.announced_rate = self.limiter.current_rate();
            (self.emit)(&Event::RateChanged(self.announced_rate));
        }
        let retry_cause = lookup.retry_cause();
        self.totals.calls += 1;
        if let Some(cause) = retry_cause {
            self.totals.count_retry(cause);
        }
        (self.emit)(&Event::Called { is_retry: retry_cause.is_some() });
        let (api, mobile) = (Arc::clone(&self.api), lookup.mobile());
        let (pause_epoch, sent_at) = (self.throttle.epoch(), Instant::now());
        let connection_epoch = self.suspect_connections.epoch();
        let call = Call { lookup, token_generation, pause_epoch, connection_epoch, sent_at };
        self.in_flight.start(call, async move { api.lookup(mobile, &token).await });
        true
    }

    /// Another run has called this number: its answer, given at `asked_at` (Unix seconds), is used.
    fn on_peer_answer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked_at: i64) {
        (self.emit)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        self.answers.keep_from_peer(mobile, outcome, asked_at);
        self.complete(mobile, outcome, AnswerSource::AnotherSession);
    }

    /// Reads the answers that were written to the state in the meantime.
    pub(crate) fn on_committed(&mut self) {
        self.answers.refresh();
    }

    /// A call finished. If it panicked, its rows fail and the run continues.
    pub(crate) fn on_reply(&mut self, FinishedCall { call, completion }: FinishedCall) {
        let Call { mut lookup, token_generation, pause_epoch, connection_epoch, sent_at } = call;
        (self.emit)(&Event::CallEnded);
        let Completion::Returned(result) = completion else {
            let text = tr!("the call failed inside dingmap; this is a bug, please report it");
            return self.on_answer(&lookup, Outcome::without_user(Status::Failed, None, text));
        };
        if result.is_ok() {
            self.totals.latency.record(sent_at.elapsed());
        }
        if let Some(abort) = self.fail_fast.on_result(&result) {
            self.ready.push_front(lookup);
            return self.end_early(RunEnd::Aborted(abort));
        }
        if let Err(error @ CallError::Machine(..)) = &result {
            lookup.on_machine_failure();
            self.ready.push_front(lookup);
            return self.on_machine_failure(error.to_string(), pause_epoch);
        }
        let connection = result.as_ref().ok().and_then(|reply| reply.connection);
        // Hosts close an idle connection with HTTP 408: if it stays open, the reply to the call may
        // still come.
        let may_be_unsolicited =
            connection.is_some() && result.as_ref().is_ok_and(|reply| reply.status == 408);
        let redact = |text| self.api.redact(text);
        let token = TokenInUse {
            redact: &redact,
            is_fresh: self.token_state.is_fresh(token_generation),
            can_renew: self.api.can_renew_token(),
        };
        let retries = self.limits.retry_policy;
        let mut action = lookup.next_action(result, token, &retries, &mut self.jitter);
        match lookup.is_token_accepted() {
            Some(true) => self.token_state.on_accepted(token_generation),
            Some(false) => self.token_state.on_rejected(token_generation),
            None => {}
        }
        if lookup.has_api_answer() {
            self.throttle.on_answered(pause_epoch);
        }
        if may_be_unsolicited {
            self.on_unsolicited_reply(lookup.mobile(), connection);
        }
        if let Action::Settle(outcome) = &action
            && self.is_foreign_answer(lookup.mobile(), outcome, connection, connection_epoch)
        {
            action = lookup.on_foreign_answer(&retries, &mut self.jitter);
        }
        match action {
            Action::Settle(outcome) => self.on_answer(&lookup, outcome),
            Action::RetryNow => self.ready.push_front(lookup),
            Action::RetryAfter(delay) => {
                (self.emit)(&Event::BackingOff { mobile: lookup.mobile(), delay });
                self.retry_queue.schedule(lookup, delay);
                (self.emit)(&Event::InBackoff(self.retry_queue.len()));
            }
            Action::Pause(pause) => {
                self.ready.push_front(lookup);
                self.on_throttled(&pause, pause_epoch);
            }
            Action::Abort(abort) => {
                self.ready.push_front(lookup);
                self.end_early(RunEnd::Aborted(abort));
            }
        }
    }

    /// Whether an answer may belong to another call: the same answer came before, or an unsolicited
    /// reply came on its connection after the call was sent.
    fn is_foreign_answer(
        &mut self,
        mobile: Mobile,
        outcome: &Outcome,
        connection: Option<SocketAddr>,
        sent_epoch: u64,
    ) -> bool {
        if outcome.status == Status::Failed {
            return false;
        }
        let epoch = self.suspect_connections.epoch();
        if self.recent_answers.is_repeated(outcome, sent_epoch, epoch) {
            self.on_unsolicited_reply(mobile, connection);
            return true;
        }
        let is_suspect = self.suspect_connections.contains(connection, sent_epoch);
        if is_suspect {
            (self.emit)(&Event::UnsolicitedReply(mobile));
        }
        is_suspect
    }

    /// The connection on which the reply came may have more of them, also the reply that the call
    /// did not get: later calls use new ones.
    fn on_unsolicited_reply(&mut self, mobile: Mobile, connection: Option<SocketAddr>) {
        self.api.reset_connections();
        self.suspect_connections.on_unsolicited_reply(connection);
        (self.emit)(&Event::UnsolicitedReply(mobile));
    }

    /// A number has its answer, and so has every row that waited for it.
    fn on_answer(&mut self, lookup: &Lookup, outcome: Outcome) {
        let mobile = lookup.mobile();
        (self.emit)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        if let Some(abort) = self.fail_fast.on_settled(mobile, &outcome) {
            self.end_early(RunEnd::Aborted(abort));
        }
        let outcome = Arc::new(outcome);
        self.limiter.on_answered(mobile, &outcome);
        self.answers.keep(mobile, &outcome);
        self.complete(mobile, &outcome, AnswerSource::OwnRow);
    }

    /// Gives the answer of a number to every row that waits for it. `source` is where the first of
    /// them has it from; the others share its answer.
    fn complete(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, source: AnswerSource) {
        for (index, waiting) in self.single_flight.complete(mobile).into_iter().enumerate() {
            let WaitingRow { row, nth } = waiting;
            let source = if index == 0 { source } else { AnswerSource::AnotherRow };
            let candidate = Candidate { answer: Answer::new(nth, Arc::clone(outcome)), source };
            if should_try_next_number(outcome) {
                self.resolve_row(WaitingRow { row, nth: nth + 1 }, Some(candidate), None);
            } else {
                self.settle_counted(row, candidate);
            }
        }
    }

    fn settle_counted(&mut self, row: u64, Candidate { answer, source }: Candidate) {
        self.totals.rows_shared += u64::from(source == AnswerSource::AnotherRow);
        self.totals.rows_known += u64::from(source == AnswerSource::AnotherSession);
        self.settle(row, answer);
    }

    fn settle(&mut self, row: u64, answer: Answer) {
        (self.emit)(&Event::Settled(answer.outcome.status));
        self.reorder.settle(row, answer);
    }

    fn on_throttled(&mut self, pause: &Pause, epoch: u64) {
        let wall_clock = (self.limits.wall_clock)();
        let change = self.throttle.on_throttled(pause, epoch, wall_clock, &mut self.jitter);
        // Other runs that share the quota are on other machines.
        if change.cause != Limit::Machine {
            self.limiter.on_paused(change.until, change.cause, change.is_new);
        }
        self.on_paused(change);
    }

    /// A call could not leave this machine: a later one may, so all calls are paused. Before the
    /// first reply of the host, only for some seconds.
    fn on_machine_failure(&mut self, reason: String, epoch: u64) {
        if self.throttle.consecutive() == 0 {
            (self.emit)(&Event::MachineFailed(reason.clone()));
        }
        self.machine_failure = Some(reason.clone());
        self.on_throttled(&verdict::machine_pause(), epoch);
        let has_failed = self.throttle.consecutive() > MAX_MACHINE_PAUSES_AT_START;
        if has_failed && !self.fail_fast.has_answered() {
            self.end_early(RunEnd::Aborted(Abort::MachineFailed(reason)));
        }
    }

    /// All calls are paused; if the pauses exceed `--patience`, the run ends.
    fn on_paused(&mut self, change: PauseChange) {
        if change.is_new || change.is_extended {
            (self.emit)(&Event::Paused { until: change.until, cause: change.cause });
        }
        // A pause of the API has a known end; an outage of the shared server has none.
        let paused = if change.cause == Limit::Shared {
            self.throttle.elapsed_paused()
        } else {
            self.throttle.total_paused()
        };
        if paused > self.limits.patience {
            let remaining = change.until.saturating_duration_since(Instant::now());
            self.throttle.end_now();
            self.end_early(match self.machine_failure.clone() {
                Some(cause) if change.cause == Limit::Machine => RunEnd::MachineFailed(cause),
                _ => RunEnd::PatienceExceeded { cause: change.cause, remaining },
            });
        }
    }

    pub(crate) fn on_token(&mut self, finished: FinishedTokenRequest) {
        if self.end.is_some() {
            return;
        }
        let FinishedTokenRequest { pause_epoch, completion } = finished;
        let Completion::Returned(result) = completion else {
            let text = tr!("the token call failed inside dingmap; this is a bug, please report it");
            return self.on_token_failed(text, true);
        };
        match result {
            Ok(token) => self.on_token_received(token),
            Err(TokenError::Throttled(pause)) => {
                self.token_state.on_throttled();
                self.on_throttled(&pause, pause_epoch);
            }
            Err(TokenError::Machine(reason)) => {
                self.token_state.on_throttled();
                self.on_machine_failure(reason, pause_epoch);
            }
            Err(TokenError::Misconfigured(reason)) => {
                if self.token_state.had_token() || self.fail_fast.has_answered() {
                    self.on_token_failed(reason, true);
                } else {
                    self.end_early(RunEnd::Aborted(Abort::Misconfigured(reason)));
                }
            }
            Err(error @ TokenError::Refused { .. }) => {
                let abort = Abort::TokenUnavailable { reason: error.to_string(), refused: true };
                self.end_early(RunEnd::Aborted(abort));
            }
            Err(TokenError::Untrusted(reason)) => {
                self.end_early(RunEnd::Aborted(Abort::Untrusted(reason)));
            }
            Err(TokenError::UnknownEndpoint(reason)) => {
                if let Some(both_reasons) = self.token_state.fall_back(reason) {
                    self.on_token_failed(both_reasons, true);
                }
            }
            Err(TokenError::Transient { reason, answered }) => {
                self.on_token_failed(reason, answered);
            }
        }
    }

    fn on_token_received(&mut self, token: AccessToken) {
        // A token that the user gave is not renewed.
        let is_fetched = token.renew_after.is_some();
        self.token_state.on_token(token);
        if is_fetched {
            self.totals.tokens_fetched += 1;
            (self.emit)(&Event::TokenReceived(self.totals.tokens_fetched));
        }
    }

    /// A token request failed for a transient reason: it is retried, or the run ends. `answered`
    /// says that the host sent some reply.
    fn on_token_failed(&mut self, reason: String, answered: bool) {
        let retries = self.limits.retry_policy;
        let old_token_valid = self.token_state.usable().is_some();
        let (failures, delay) = self.token_state.on_failure(retries, &mut self.jitter);
        if failures <= retries.max_retries || old_token_valid {
            return (self.emit)(&Event::TokenFailed { reason, delay, old_token_valid });
        }
        let abort = if answered || self.fail_fast.has_answered() {
            Abort::TokenUnavailable { reason, refused: false }
        } else {
            Abort::Unreachable(reason)
        };
        self.end_early(RunEnd::Aborted(abort));
    }

    /// The user interrupts the run. `is_cut` says that the input is not read to its end.
    pub(crate) fn on_interrupted(&mut self, is_cut: bool) {
        // A run that a limit ended reads the remaining rows, which are pending. Once they are not
        // read any more, its output would lack them: it ends as interrupted.
        if is_cut && self.end.as_ref().is_some_and(RunEnd::is_limit) {
            self.end = None;
        }
        self.end_early(RunEnd::Interrupted);
    }

    /// Starts no more calls. The first reason counts, but a reason that needs an action of a person
    /// replaces a limit.
    pub(crate) fn end_early(&mut self, end: RunEnd) {
        let replaces_limit =
            matches!(end, RunEnd::Aborted(_)) && self.end.as_ref().is_some_and(RunEnd::is_limit);
        if self.end.is_none() || replaces_limit {
            self.end = Some(end);
            self.token_request.abort();
            (self.emit)(&Event::Stopping);
        }
    }

    /// Whether the run ends early and no call is in flight. Calls are waited for, because they
    /// count against the quota; each is bounded by its timeout.
    fn is_drained(&self) -> bool {
        self.end.is_some() && self.in_flight.is_empty()
    }

    fn should_write_output(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.should_write_output(self.limits.partial))
    }

    /// Whether the run ended without an output: only the answered rows at the front are still sent.
    fn is_discarding(&self) -> bool {
        self.is_drained() && !self.should_write_output()
    }

    /// Once the run ends early and its calls have finished, every open row becomes pending or keeps
    /// its earlier answer.
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

    /// Whether no row is left to wait for: all were sent, or the run ended without an output and
    /// the answered rows at the front were sent or the writer did not take them in time.
    pub(crate) fn is_finished(&mut self, is_input_open: bool) -> bool {
        if !is_input_open && self.reorder.is_empty() {
            return true;
        }
        if !self.is_discarding() {
            return false;
        }
        let now = Instant::now();
        let deadline = *self.output_deadline.get_or_insert(now + FINAL_OUTPUT_TIMEOUT);
        deadline <= now || self.reorder.settled_rows() == 0
    }

    /// The next time at which something is due without an event.
    pub(crate) fn next_wakeup(&mut self) -> Option<Instant> {
        if self.end.is_some() {
            return self.output_deadline;
        }
        let retry = self.retry_queue.next_wakeup();
        let has_ready = !self.ready.is_empty();
        let resume = self.throttle.paused_until().filter(|_| has_ready);
        let token = self.token_state.next_wakeup().filter(|_| has_ready && resume.is_none());
        [retry, resume, token, self.next_call_at].into_iter().flatten().min()
    }

    /// Whether a number waits for the limiter, a pause or a token.
    pub(crate) fn has_queued_calls(&self) -> bool {
        self.end.is_none() && !self.ready.is_empty()
    }

    /// Whether a further batch may be read. A batch larger than the window is read on its own.
    pub(crate) fn has_room(&self) -> bool {
        let fits = self.reorder.len() + BATCH_ROWS <= self.limits.window;
        !self.is_discarding() && (self.reorder.is_empty() || fits)
    }

    /// Sends the next rows in input order.
    pub(crate) fn send_chunk(&mut self, slot: Permit<'_, Chunk<L>>) {
        let Some(chunk) = self.reorder.pop_chunk() else { return };
        for answer in &chunk.answers {
            self.totals.count_row(answer.outcome.status);
        }
        slot.send(chunk);
    }

    /// The totals, and how the run ended: if every row has its answer, a limit or an interrupt does
    /// not matter any more.
    pub(crate) fn finish(&mut self, input_complete: bool) -> (Totals, RunEnd) {
        self.throttle.end_now();
        (self.totals.pauses_by_limit, self.totals.pause_time_by_limit) =
            self.throttle.stats_by_limit();
        self.totals.numbers_asked = self.totals.calls - self.totals.retries();
        self.totals.input_complete = input_complete;
        self.totals.token_calls = self.api.token_call_count();
        let is_complete = input_complete && self.reorder.is_complete();
        let end = self
            .end
            .take()
            .filter(|end| !is_complete || !(end.is_limit() || matches!(end, RunEnd::Interrupted)));
        (std::mem::take(&mut self.totals), end.unwrap_or(RunEnd::Finished))
    }
}
