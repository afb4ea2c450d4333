//! What may start now: which numbers have their turn, which have an answer already since somebody else asked, and which have
//! to wait, and for what. Leaves what follows from an answer to `dispatcher`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::limiter::Stand;
use crate::api::lookup_api::Remote;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::engine::candidates::By;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::end::End;
use crate::engine::event::Event;
use crate::engine::in_flight::Call;
use crate::engine::lookup::Lookup;

/// When a number that somebody else asks for is looked at again: often enough for its answer to be no news any more, and
/// seldom enough for a thousand of them.
const AGAIN: Duration = Duration::from_millis(200);

impl<R: Remote, L, F: FnMut(&Event)> Dispatcher<'_, R, L, F> {
    /// Starts every token call and every lookup that may start now.
    pub(crate) fn start(&mut self) {
        let now = Instant::now();
        while let Some(due) = self.later.take(now) {
            // In front: the rows behind wait for this one to leave the window.
            self.ready.push_front(due);
            (self.announce)(&Event::Retrying(self.later.len()));
        }
        self.next_call = None;
        if self.end.is_none()
            && let Some(lost) = self.known.lost()
        {
            let lost = lost.to_string();
            self.finish_early(End::StateLost(lost));
        }
        if self.end.is_some() {
            return self.want_nothing();
        }
        // Before anything that may have to be waited for, since no call can follow.
        let open = !self.ready.is_empty() || !self.later.is_empty();
        if open && self.used_up() {
            return self.finish_early(End::CallsUsedUp);
        }
        if self.ready.is_empty() {
            return self.want_nothing();
        }
        match self.turns.rest() {
            Some((until, cause)) => {
                let rest = self.holds.join(until, cause);
                self.rested(rest);
            }
            None => self.holds.lift(Limit::Shared),
        }
        if self.end.is_some() || self.holds.until().is_some() {
            return;
        }
        if let Some(call) = self.tokens.fetch_now() {
            let remote = Arc::clone(&self.remote);
            self.fetch.start(self.holds.episode(), async move { remote.token(call).await });
        }
        let room = self.settings.workers.saturating_sub(self.calls.len());
        let looked_at = self.turns.expect(&mut self.ready.iter().map(Lookup::mobile), room);
        // One that somebody else may be asking for does not keep those behind it from their turns: they may be what others
        // wait for.
        let mut place = 0;
        while place < looked_at
            && let Some(mobile) = self.ready.get(place).map(Lookup::mobile)
            && self.known.has_room(self.calls.len())
        {
            match self.turns.stand(mobile) {
                Stand::Open => {}
                Stand::Unclear => {
                    place += 1;
                    continue;
                }
                Stand::Known(outcome, asked) => {
                    self.ready.remove(place);
                    self.learned(mobile, &outcome, asked);
                    continue;
                }
                Stand::Elsewhere => {
                    if let Some(lookup) = self.ready.remove(place) {
                        self.later.put_off(lookup, AGAIN);
                    }
                    continue;
                }
            }
            if self.calls.len() >= self.settings.workers || !self.call(place) {
                return;
            }
        }
    }

    /// No number comes next, for now or for good; what waits for its turn at the end of a run is somebody else's to ask.
    fn want_nothing(&mut self) {
        self.turns.expect(&mut std::iter::empty(), 0);
        for lookup in self.ready.iter().filter(|_| self.end.is_some()) {
            self.turns.let_go(lookup.mobile());
        }
    }

    fn used_up(&self) -> bool {
        self.settings.most_calls.is_some_and(|most| self.report.calls >= most)
    }

    /// Lets the call of the number at this place leave; false where it may not leave yet, or no more.
    fn call(&mut self, place: usize) -> bool {
        let Some((token, generation)) = self.tokens.usable() else { return false };
        if self.used_up() {
            self.finish_early(End::CallsUsedUp);
            return false;
        }
        let new = self.ready.get(place).is_some_and(Lookup::is_new);
        if new && self.omen.enough(self.report.calls - self.report.retries()) {
            return false;
        }
        if let Err(moment) = self.turns.take() {
            self.next_call = moment;
            return false;
        }
        let Some(lookup) = self.ready.remove(place) else { return false };
        if self.rate != self.turns.current() {
            self.rate = self.turns.current();
            (self.announce)(&Event::Rate(self.rate));
        }
        let again = lookup.again();
        self.report.calls += 1;
        if let Some(cause) = again {
            self.report.repeated(cause);
        }
        (self.announce)(&Event::Called { again: again.is_some() });
        let (remote, mobile) = (Arc::clone(&self.remote), lookup.mobile());
        let (episode, left) = (self.holds.episode(), Instant::now());
        let call = Call { lookup, generation, episode, left };
        self.calls.start(call, async move { remote.lookup(mobile, &token).await });
        true
    }

    /// Another run had asked: its answer is as good as one of our own, and as old as it is.
    fn learned(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked: i64) {
        (self.announce)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        self.known.learn(mobile, outcome, asked);
        self.deliver(mobile, outcome, By::AnEarlierRun);
    }
}
