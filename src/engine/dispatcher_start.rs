//! What may start now: which numbers have their turn, which have an answer already since somebody else asked, and which have
//! to wait, and for what. Leaves what follows from an answer to `dispatcher`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::limiter::ClaimState;
use crate::api::lookup_api::LookupApi;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::engine::candidates::AnswerSource;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::end::RunEnd;
use crate::engine::event::Event;
use crate::engine::in_flight::Call;
use crate::engine::lookup::Lookup;

/// When a number that somebody else asks for is looked at again: often enough for its answer to be no news any more, and
/// seldom enough for a thousand of them.
const CLAIM_RECHECK_DELAY: Duration = Duration::from_millis(200);

impl<R: LookupApi, L, F: FnMut(&Event)> Dispatcher<'_, R, L, F> {
    /// Starts every token call and every lookup that may start now.
    pub(crate) fn start_calls(&mut self) {
        let now = Instant::now();
        while let Some(due) = self.retry_queue.pop_due(now) {
            // In front: the rows behind wait for this one to leave the window.
            self.ready.push_front(due);
            (self.emit)(&Event::InBackoff(self.retry_queue.len()));
        }
        self.next_call_at = None;
        if self.end.is_none()
            && let Some(lost) = self.answers.write_error()
        {
            let lost = lost.to_string();
            self.end_early(RunEnd::StateFailed(lost));
        }
        if self.end.is_some() {
            return self.cancel_prefetch();
        }
        // Before anything that may have to be waited for, since no call can follow.
        let open = !self.ready.is_empty() || !self.retry_queue.is_empty();
        if open && self.is_call_limit_reached() {
            return self.end_early(RunEnd::CallLimitReached);
        }
        if self.ready.is_empty() {
            return self.cancel_prefetch();
        }
        match self.limiter.paused_until() {
            Some((until, cause)) => {
                let rest = self.throttle.pause_until(until, cause);
                self.on_paused(rest);
            }
            None => self.throttle.resume(Limit::Shared),
        }
        if self.end.is_some() || self.throttle.paused_until().is_some() {
            return;
        }
        if let Some(call) = self.token_state.start_fetch() {
            let remote = Arc::clone(&self.api);
            self.token_request
                .start(self.throttle.epoch(), async move { remote.fetch_token(call).await });
        }
        let room = self.limits.workers.saturating_sub(self.in_flight.len());
        let looked_at = self.limiter.prefetch(&mut self.ready.iter().map(Lookup::mobile), room);
        // One that somebody else may be asking for does not keep those behind it from their turns: they may be what others
        // wait for.
        let mut place = 0;
        while place < looked_at
            && let Some(mobile) = self.ready.get(place).map(Lookup::mobile)
            && self.answers.has_room(self.in_flight.len())
        {
            match self.limiter.claim_state(mobile) {
                ClaimState::Granted => {}
                ClaimState::Pending => {
                    place += 1;
                    continue;
                }
                ClaimState::Answered(outcome, asked) => {
                    self.ready.remove(place);
                    self.on_peer_answer(mobile, &outcome, asked);
                    continue;
                }
                ClaimState::ClaimedElsewhere => {
                    if let Some(lookup) = self.ready.remove(place) {
                        self.retry_queue.schedule(lookup, CLAIM_RECHECK_DELAY);
                    }
                    continue;
                }
            }
            if self.in_flight.len() >= self.limits.workers || !self.start_call(place) {
                return;
            }
        }
    }

    /// No number comes next, for now or for good; what waits for its turn at the end of a run is somebody else's to ask.
    fn cancel_prefetch(&mut self) {
        self.limiter.prefetch(&mut std::iter::empty(), 0);
        for lookup in self.ready.iter().filter(|_| self.end.is_some()) {
            self.limiter.release(lookup.mobile());
        }
    }

    fn is_call_limit_reached(&self) -> bool {
        self.limits.max_calls.is_some_and(|most| self.totals.calls >= most)
    }

    /// Lets the call of the number at this place leave; false where it may not leave yet, or no more.
    fn start_call(&mut self, place: usize) -> bool {
        let Some((token, generation)) = self.token_state.usable() else { return false };
        if self.is_call_limit_reached() {
            self.end_early(RunEnd::CallLimitReached);
            return false;
        }
        let new = self.ready.get(place).is_some_and(Lookup::is_new);
        if new && self.fail_fast.is_probe_exhausted(self.totals.calls - self.totals.retries()) {
            return false;
        }
        if let Err(moment) = self.limiter.try_acquire() {
            self.next_call_at = moment;
            return false;
        }
        let Some(lookup) = self.ready.remove(place) else { return false };
        if self.announced_rate != self.limiter.current_rate() {
            self.announced_rate = self.limiter.current_rate();
            (self.emit)(&Event::RateChanged(self.announced_rate));
        }
        let again = lookup.retry_cause();
        self.totals.calls += 1;
        if let Some(cause) = again {
            self.totals.count_retry(cause);
        }
        (self.emit)(&Event::Called { is_retry: again.is_some() });
        let (remote, mobile) = (Arc::clone(&self.api), lookup.mobile());
        let (episode, left) = (self.throttle.epoch(), Instant::now());
        let call =
            Call { lookup, token_generation: generation, pause_epoch: episode, sent_at: left };
        self.in_flight.start(call, async move { remote.lookup(mobile, &token).await });
        true
    }

    /// Another run had asked: its answer is as good as one of our own, and as old as it is.
    fn on_peer_answer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked: i64) {
        (self.emit)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        self.answers.keep_from_peer(mobile, outcome, asked);
        self.complete(mobile, outcome, AnswerSource::AnotherSession);
    }
}
