//! The dispatcher: everything of a run that changes (flight, window, holds, token, totals), owned by one task by
//! value, and what each thing that happens changes in it. Order for a number: known, in flight, held, turn, call
//! (DESIGN 3). Leaves what may start to `starting`, and waiting for things to happen to `pipeline`.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use tr::tr;

use crate::api::error::Fault;
use crate::api::http::Reply;
use crate::api::limiter::Turns;
use crate::api::lookup_api::Remote;
use crate::api::rate::Rate;
use crate::api::token::{Grant, NoToken};
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::domain::totals::Report;
use crate::domain::verdict::{Hold, Limit};
use crate::engine::candidates::{self, By, Next, Told, leads_on};
use crate::engine::end::End;
use crate::engine::event::Event;
use crate::engine::fail_fast::Omen;
use crate::engine::in_flight::{Call, Fetch, UnderWay};
use crate::engine::limits::{Settings, Sheet};
use crate::engine::lookup::{Lookup, Step, Stop, Used};
use crate::engine::reorder::{Answer, Chunk, Reorder};
use crate::engine::retry_queue::Later;
use crate::engine::single_flight::{Flight, Waiting};
use crate::engine::throttle::{Held, Holds};
use crate::engine::token_state::Tokens;
use crate::store::answers::Known;
use crate::store::disk::prefetch::Recalled;

/// A run in progress.
pub(crate) struct Dispatcher<'k, R, L, F> {
    pub(crate) settings: Settings,
    pub(super) remote: Arc<R>,
    pub(super) announce: F,
    pub(super) turns: Box<dyn Turns>,
    jitter: fastrand::Rng,
    pub(super) known: &'k mut Known,
    flight: Flight,
    pub(crate) reorder: Reorder<L>,
    /// Numbers whose turn is next.
    pub(crate) ready: VecDeque<Lookup>,
    pub(super) later: Later,
    pub(crate) calls: UnderWay,
    pub(super) tokens: Tokens,
    pub(crate) fetch: Fetch,
    /// The rate that was announced last.
    pub(super) rate: Rate,
    pub(super) holds: Holds,
    pub(super) omen: Omen,
    pub(super) report: Report,
    pub(crate) end: Option<End>,
    /// The moment before which no call has its turn.
    pub(super) next_call: Option<Instant>,
}

impl<'k, R: Remote, L, F: FnMut(&Event)> Dispatcher<'k, R, L, F> {
    pub(crate) fn new(
        settings: Settings,
        remote: Arc<R>,
        turns: Box<dyn Turns>,
        known: &'k mut Known,
        announce: F,
    ) -> Self {
        let jitter = fastrand::Rng::with_seed(settings.seed);
        Self {
            settings,
            remote,
            announce,
            rate: turns.current(),
            turns,
            jitter,
            known,
            flight: Flight::default(),
            reorder: Reorder::default(),
            ready: VecDeque::new(),
            later: Later::default(),
            calls: UnderWay::default(),
            tokens: Tokens::default(),
            fetch: Fetch::default(),
            holds: Holds::default(),
            omen: Omen::default(),
            report: Report::default(),
            end: None,
            next_call: None,
        }
    }

    /// Takes rows in: what is known or refused settles at once, the rest waits for a call.
    pub(crate) fn admit(&mut self, mut sheet: Sheet<L>) {
        let foreseen = self.known.arrived(std::mem::take(&mut sheet.foreseen));
        let mut foreseen = foreseen.chunks(sheet.per_row.get());
        let rows = self.reorder.push(sheet);
        self.report.rows_in += rows.end - rows.start;
        (self.announce)(&Event::Read(rows.end - rows.start));
        for row in rows {
            let foreseen = foreseen.next().unwrap_or_default();
            match self.reorder.earlier(row).filter(|status| !status.may_yet_succeed()) {
                Some(status) => {
                    self.report.kept += 1;
                    self.settle(row, Answer::earlier(status));
                }
                None => self.seek(Waiting { row, nth: 0 }, None, foreseen),
            }
        }
    }

    /// Looks for a row's answer from one of its numbers on; those before it came to `told`, and ahead of all it was `foreseen`.
    fn seek(
        &mut self,
        Waiting { row, nth }: Waiting,
        told: Option<Told>,
        foreseen: &[Option<Recalled>],
    ) {
        let known = |nth, mobile| self.known.get(mobile, foreseen.get(nth));
        match candidates::next(self.reorder.numbers(row), nth, told, known) {
            Some(Next::Ask { nth, mobile }) => {
                let is_first = self.flight.join(mobile, Waiting { row, nth });
                if is_first {
                    self.ready.push_back(Lookup::new(mobile));
                    (self.announce)(&Event::Wanted);
                }
            }
            Some(Next::Settle(told)) => self.tell(row, told),
            None => {}
        }
    }

    /// Takes note of what was written to the state in the meantime.
    pub(crate) fn written(&mut self) {
        self.known.refresh();
    }

    /// A call came back, or panicked: then its row fails and the run goes on.
    pub(crate) fn heard(&mut self, call: Call, result: Option<Result<Reply, Fault>>) {
        let Call { mut lookup, generation, episode, left } = call;
        if let Some(Ok(_)) = result {
            self.report.latency.record(left.elapsed());
        }
        let Some(result) = result else {
            let text = tr!("the call failed inside dingmap; please report it");
            return self.answer(&lookup, Outcome::bare(Status::Failed, None, text));
        };
        if let Some(stop) = self.omen.heard(&result) {
            self.ready.push_front(lookup);
            return self.finish_early(End::Stopped(stop));
        }
        let hide = |text| self.remote.hide(text);
        let token = Used { hide: &hide, generation, renews: self.remote.renews() };
        let step = lookup.next(result, token, &self.settings.retries, &mut self.jitter);
        if lookup.was_answered() {
            self.holds.answered(episode);
        }
        match step {
            Step::Settle(outcome) => self.answer(&lookup, outcome),
            Step::AtOnce => self.ready.push_front(lookup),
            Step::Again(delay) => {
                (self.announce)(&Event::BacksOff { mobile: lookup.mobile(), delay });
                self.later.put_off(lookup, delay);
                (self.announce)(&Event::Retrying(self.later.len()));
            }
            Step::Hold(hold) => {
                self.ready.push_front(lookup);
                self.hold(&hold, episode);
            }
            Step::Renew => {
                self.ready.push_front(lookup);
                self.tokens.rejected(generation);
            }
            Step::Stop(reason) => {
                self.ready.push_front(lookup);
                self.finish_early(End::Stopped(reason));
            }
        }
    }

    /// A number has its answer, and so has every row that waited for it.
    fn answer(&mut self, lookup: &Lookup, outcome: Outcome) {
        let mobile = lookup.mobile();
        (self.announce)(&Event::Answered {
            mobile,
            status: outcome.status,
            code: outcome.code.clone(),
        });
        if let Some(stop) = self.omen.settled(mobile, &outcome) {
            self.finish_early(End::Stopped(stop));
        }
        let outcome = Arc::new(outcome);
        self.turns.answered(mobile, &outcome);
        self.known.keep(mobile, &outcome);
        self.deliver(mobile, &outcome, By::Itself);
    }

    /// Every row that waited for a number has its answer, which the first of them had asked `by` this run, or another.
    pub(super) fn deliver(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, by: By) {
        for (place, waiting) in self.flight.land(mobile).into_iter().enumerate() {
            let Waiting { row, nth } = waiting;
            let by = if place == 0 { by } else { By::AnotherRow };
            let told = Told { answer: Answer::new(nth, Arc::clone(outcome)), by };
            if leads_on(outcome) {
                self.seek(Waiting { row, nth: nth + 1 }, Some(told), &[]);
            } else {
                self.tell(row, told);
            }
        }
    }

    fn tell(&mut self, row: u64, Told { answer, by }: Told) {
        self.report.shared += u64::from(by == By::AnotherRow);
        self.report.recalled += u64::from(by == By::AnEarlierRun);
        self.settle(row, answer);
    }

    fn settle(&mut self, row: u64, answer: Answer) {
        (self.announce)(&Event::Settled(answer.outcome.status));
        self.reorder.settle(row, answer);
    }

    fn hold(&mut self, hold: &Hold, episode: u64) {
        let rest = self.holds.order(hold, episode, (self.settings.wall)(), &mut self.jitter);
        self.turns.held(rest.until, rest.cause, rest.begins);
        self.rested(rest);
    }

    /// All calls rest, whoever met the reason; where that is too long, the run ends.
    pub(super) fn rested(&mut self, rest: Held) {
        if rest.begins || rest.prolongs {
            (self.announce)(&Event::Held { until: rest.until, cause: rest.cause });
        }
        // The API names an end, while nobody knows how long a server will be silent.
        let held =
            if rest.cause == Limit::Shared { self.holds.passed() } else { self.holds.total() };
        if held > self.settings.patience {
            let left = rest.until.saturating_duration_since(Instant::now());
            self.holds.cut_short();
            self.finish_early(End::PatienceUsedUp { cause: rest.cause, left });
        }
    }

    /// A token call came back.
    pub(crate) fn fetched(&mut self, episode: u64, result: Option<Result<Grant, NoToken>>) {
        if self.end.is_some() {
            return;
        }
        let outage = match result {
            Some(Ok(grant)) => {
                let fetched = grant.fresh_for.is_some();
                self.tokens.granted(grant);
                if fetched {
                    self.report.tokens += 1;
                    (self.announce)(&Event::Token(self.report.tokens));
                }
                return;
            }
            Some(Err(NoToken::Throttled(hold))) => {
                self.tokens.put_off();
                return self.hold(&hold, episode);
            }
            Some(Err(refused @ NoToken::Refused { .. })) => {
                let stop = Stop::NoToken { reason: refused.to_string(), refused: true };
                return self.finish_early(End::Stopped(stop));
            }
            Some(Err(NoToken::Untrusted(what))) => {
                return self.finish_early(End::Stopped(Stop::Untrusted(what)));
            }
            Some(Err(NoToken::Unknown(reason))) => match self.tokens.unknown(reason) {
                Some(both) => (both, true),
                None => return,
            },
            Some(Err(NoToken::Transient { reason, answered })) => (reason, answered),
            None => (tr!("the token call failed inside dingmap; please report it"), true),
        };
        let (reason, answered) = outage;
        let retries = self.settings.retries;
        let serves = self.tokens.usable().is_some();
        let (failures, delay) = self.tokens.failed(retries, &mut self.jitter);
        if failures <= retries.most || serves {
            return (self.announce)(&Event::NoToken { reason, delay, serves });
        }
        let reached = answered || self.omen.answered();
        let stop = if reached {
            Stop::NoToken { reason, refused: false }
        } else {
            Stop::Unreachable(reason)
        };
        self.finish_early(End::Stopped(stop));
    }

    /// Starts no more calls. The first reason counts, save that one which a person has to act upon beats a limit.
    pub(crate) fn finish_early(&mut self, end: End) {
        let urgent = matches!(end, End::Stopped(_)) && self.end.as_ref().is_some_and(End::limit);
        if self.end.is_none() || urgent {
            self.end = Some(end);
            self.fetch.break_off();
            (self.announce)(&Event::Ending);
        }
    }

    /// Whether the run ends early and no call is under way any more. Calls are waited for, since they are paid for;
    /// each is bounded by its timeout.
    pub(crate) fn drained(&self) -> bool {
        self.end.is_some() && self.calls.is_empty()
    }

    /// Whether every row is handed on, the open ones as pending.
    pub(crate) fn hands_on_all(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.hands_on_all(self.settings.partial))
    }

    /// Once the run ends early and its calls are back, what is open becomes pending, or stays what it was.
    pub(crate) fn wind_up(&mut self) {
        if !self.drained() || !self.hands_on_all() {
            return;
        }
        self.ready.clear();
        self.later.clear();
        let Some(end) = &self.end else { return };
        let pending = Arc::new(Outcome::pending(&end.reason()));
        let rows: Vec<Waiting> = self.flight.scatter().collect();
        for Waiting { row, nth } in rows {
            let status = self.reorder.pass_over(row, Answer::new(nth, Arc::clone(&pending)));
            (self.announce)(&Event::Settled(status));
        }
    }

    /// The next moment at which something is due without anything coming in.
    pub(crate) fn wakes(&mut self) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        let due = self.later.wakes();
        let waits = !self.ready.is_empty();
        let held = self.holds.until().filter(|_| waits);
        let token = self.tokens.wakes().filter(|_| waits && held.is_none());
        [due, held, token, self.next_call].into_iter().flatten().min()
    }

    /// The next rows in input order.
    pub(crate) fn hand_on(&mut self) -> Option<Chunk<L>> {
        let chunk = self.reorder.take()?;
        for answer in &chunk.answers {
            self.report.count(answer.outcome.status);
        }
        Some(chunk)
    }

    /// The totals, and how it ended: a run all of whose rows have their answers has finished, whatever else came.
    pub(crate) fn close(&mut self, read_whole: bool) -> (Report, End) {
        self.holds.cut_short();
        (self.report.holds_by, self.report.held_by) = self.holds.by_limit();
        (self.report.asked, self.report.read_whole) =
            (self.report.calls - self.report.retries(), read_whole);
        self.report.token_calls = self.remote.token_calls();
        let whole = read_whole && self.reorder.is_through();
        let end = self
            .end
            .take()
            .filter(|end| !whole || !(end.limit() || matches!(end, End::Interrupted)));
        (std::mem::take(&mut self.report), end.unwrap_or(End::Finished))
    }
}
