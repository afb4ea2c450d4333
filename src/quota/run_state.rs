//! The state of a run that shares its quota: claims, slots, pauses, and what must still be sent.
//!
//! It has no I/O: [`RunState::next_request`] and [`RunState::apply`] are the two halves of an
//! exchange.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::limiter::ClaimState;
use crate::api::rate::Rate;
use crate::api::rate_limiter::LocalLimiter;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::quota::answer_cache::{AnswerCache, TimedAnswer};
use crate::quota::connection::Unavailable;
use crate::quota::protocol::{ExchangeReply, ExchangeRequest, LEASE, QueryMode, QueryResult};
use crate::quota::server_clock::{REPLY_VALID_FOR, ServerClock};

/// How many of the next numbers are looked up ahead. A number with an answer needs no slot, so many
/// may be resolved by one exchange.
const LOOKAHEAD: usize = 128;
/// How much later than its slot a call may start. A later slot is returned, since the calls of all
/// runs together keep their distance only if each run keeps its times. The guard of the slots is
/// nearly three times as long.
const MAX_LATENESS: Duration = Duration::from_millis(8);
/// How far ahead a run requests slots; it requests at least one. So every busy run has the same
/// time of slots in reserve, and gets its share of the rate.
const SLOT_HORIZON: Duration = Duration::from_millis(250);
/// The maximum time until an exchange with an unreachable server fails.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum settled numbers in one request.
const MAX_SETTLED_PER_REQUEST: usize = 256;
/// Maximum settled numbers that wait to be sent. Further answers are not shared.
const MAX_UNSENT_SETTLED: usize = 10_000;

/// The state of one run.
#[derive(Debug)]
pub(crate) struct RunState {
    answer_cache: AnswerCache,
    /// The `--rate` of this run.
    own_rate: Rate,
    /// Whether the run continues alone while the server is unreachable.
    optional: bool,
    /// The next numbers of the run.
    upcoming: Vec<Mobile>,
    /// How many calls may start.
    capacity: usize,
    number_states: HashMap<Mobile, NumberState>,
    /// Granted slots, in µs of the server's clock.
    slots: VecDeque<u64>,
    /// Slots to return.
    unused_slots: Vec<u64>,
    /// Numbers to report as settled, with the answer to share.
    settled: VecDeque<(Mobile, Option<TimedAnswer>)>,
    /// A pause that the server has not acknowledged.
    local_pause: Option<LocalPause>,
    shared_pause: Option<(Instant, Limit)>,
    clock: ServerClock,
    /// When the last successful request was sent, or the start of the run.
    last_contact: Instant,
    /// The time that the last exchange took.
    round_trip: Duration,
    /// Whether the server's clock has jumped and the server does not know it yet.
    clock_stepped: bool,
    /// `None` before the first reply.
    last_reply: Option<ExchangeReply>,
    pub(crate) unavailable: Option<Unavailable>,
    /// The end of the pause while the server is unreachable.
    outage_pause_until: Instant,
    /// The limiter while the run continues alone.
    fallback: Option<LocalLimiter>,
}

/// A pause that one of this run's calls caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LocalPause {
    until: Instant,
    cause: Limit,
    /// Whether the rate was too high.
    slow_down: bool,
}

/// The state of one of the next numbers.
#[derive(Clone, Debug)]
enum NumberState {
    /// Without answer and claim.
    Free,
    /// Its answer is "not found" and too old for that.
    Stale,
    /// Claimed by this run.
    Claimed,
    ClaimedElsewhere,
    /// With the time of the answer, in seconds since 1970.
    Answered(Arc<Outcome>, i64),
}

/// What this run lacks to start calls, so that an exchange should start now.
#[derive(Clone, Copy, Debug, Default)]
struct Shortfall {
    /// How many numbers should be claimed.
    claims: usize,
    /// Whether too few slots are left for the claimed numbers.
    lacks_slots: bool,
}

/// A request, and what [`RunState::apply`] needs when its reply arrives.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    pub(crate) request: ExchangeRequest,
    queried: Vec<Mobile>,
    local_pause: Option<LocalPause>,
}

impl RunState {
    pub(crate) fn new(answer_cache: AnswerCache, own_rate: Rate, optional: bool) -> Self {
        let now = Instant::now();
        Self {
            answer_cache,
            own_rate,
            optional,
            upcoming: Vec::new(),
            capacity: 0,
            number_states: HashMap::new(),
            slots: VecDeque::new(),
            unused_slots: Vec::new(),
            settled: VecDeque::new(),
            local_pause: None,
            shared_pause: None,
            clock: ServerClock::default(),
            last_contact: now,
            round_trip: Duration::ZERO,
            clock_stepped: false,
            last_reply: None,
            unavailable: None,
            outage_pause_until: now,
            fallback: None,
        }
    }

    /// The rate of all runs together, which is the lowest of their rates. `None` before the first
    /// reply.
    pub(crate) fn min_rate(&self) -> Option<Rate> {
        self.last_reply.as_ref().map(|last| {
            if last.min_rate > 0.0 { Rate::from_per_second(last.min_rate) } else { Rate::UNLIMITED }
        })
    }

    /// The number of runs, including this one.
    pub(crate) fn session_count(&self) -> u32 {
        self.last_reply.as_ref().map_or(0, |last| last.peer_count) + 1
    }

    /// This run's share of the rate in use.
    pub(crate) fn current_rate(&self) -> Rate {
        if let Some(fallback) = &self.fallback {
            return fallback.current_rate();
        }
        let rate_factor = self.last_reply.as_ref().map_or(1.0, |last| last.rate_factor);
        let shared_rate = self.min_rate().unwrap_or(self.own_rate).per_second();
        shared_rate.map_or(Rate::UNLIMITED, |rate| {
            Rate::from_per_second(rate * rate_factor / f64::from(self.session_count()))
        })
    }

    /// Sets the next numbers of the run, and how many calls may start.
    pub(crate) fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, capacity: usize) {
        self.upcoming.clear();
        self.upcoming.extend(numbers.take(LOOKAHEAD));
        self.capacity = capacity;
    }

    /// How many of the next numbers may be polled by [`RunState::claim_state`].
    pub(crate) fn lookahead(&self) -> usize {
        if self.fallback.is_some() { usize::MAX } else { self.upcoming.len() }
    }

    pub(crate) fn claim_state(&mut self, mobile: Mobile) -> ClaimState {
        match self.number_states.get(&mobile) {
            Some(NumberState::Answered(outcome, asked_at)) => {
                let answered = ClaimState::Answered(Arc::clone(outcome), *asked_at);
                self.number_states.remove(&mobile);
                answered
            }
            _ if self.fallback.is_some() => ClaimState::Granted,
            Some(NumberState::Claimed) => ClaimState::Granted,
            Some(NumberState::ClaimedElsewhere) => {
                self.number_states.remove(&mobile);
                ClaimState::ClaimedElsewhere
            }
            Some(NumberState::Free | NumberState::Stale) | None => ClaimState::Pending,
        }
    }

    pub(crate) fn try_acquire(&mut self) -> Result<(), Option<Instant>> {
        if let Some(fallback) = &mut self.fallback {
            return fallback.try_acquire().map_err(Some);
        }
        let now = Instant::now();
        while let Some(slot) = self.slots.front() {
            let slot_at = self.clock.to_local(*slot).ok_or(None)?;
            if now < slot_at {
                return Err(Some(slot_at));
            }
            if now > slot_at + MAX_LATENESS {
                self.unused_slots.extend(self.slots.pop_front());
            } else if now.saturating_duration_since(self.last_contact) > REPLY_VALID_FOR {
                // The server may have lost its state and granted the same time to other runs.
                return Err(None);
            } else {
                self.slots.pop_front();
                return Ok(());
            }
        }
        Err(None)
    }

    pub(crate) fn paused_until(&mut self) -> Option<(Instant, Limit)> {
        let now = Instant::now();
        let shared_pause = self.shared_pause.filter(|(until, _)| *until > now);
        shared_pause.or_else(|| {
            let is_outage = self.unavailable.is_some()
                && self.fallback.is_none()
                && self.outage_pause_until > now;
            is_outage.then_some((self.outage_pause_until, Limit::Shared))
        })
    }

    /// Whether the server has not replied for longer than its last reply is valid.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unavailable.is_some() && self.last_contact.elapsed() > REPLY_VALID_FOR
    }

    /// A call of this run caused or extended a pause; `begins` for the first call.
    pub(crate) fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool) {
        let rate_too_high = begins && cause == Limit::App;
        if let Some(fallback) = self.fallback.as_mut().filter(|_| rate_too_high) {
            fallback.slow_down();
        }
        let slow_down = rate_too_high || self.local_pause.is_some_and(|pause| pause.slow_down);
        self.local_pause = Some(LocalPause { until, cause, slow_down });
        self.unused_slots.extend(self.slots.drain(..));
    }

    /// A number is settled. `answer` is what to share with other runs.
    pub(crate) fn on_answered(&mut self, mobile: Mobile, answer: Option<TimedAnswer>) {
        self.number_states.remove(&mobile);
        self.upcoming.retain(|next| *next != mobile);
        if self.settled.len() < MAX_UNSENT_SETTLED {
            self.settled.push_back((mobile, answer));
        }
    }

    /// Frees the claim of a number that is not called after all.
    pub(crate) fn release(&mut self, mobile: Mobile) {
        if matches!(self.number_states.remove(&mobile), Some(NumberState::Claimed)) {
            self.on_answered(mobile, None);
        }
    }

    /// Starts the run now: answers from before are as old as those of earlier runs.
    pub(crate) fn start(&mut self) {
        if let Some(now) = self.server_now_ms() {
            self.answer_cache.set_session_start(now);
        }
    }

    /// The server's clock in ms since 1970. `None` before the first reply.
    pub(crate) fn server_now_ms(&self) -> Option<u64> {
        self.clock.to_server(Instant::now()).map(|micros| micros / 1000)
    }

    /// Whether an exchange is needed before the next regular one.
    pub(crate) fn should_sync_now(&self) -> bool {
        let Shortfall { claims, lacks_slots } = self.shortfall();
        let is_paused = self.shared_pause.is_some_and(|(until, _)| until > Instant::now());
        // A few answers can wait for the next exchange.
        (!is_paused && (claims > 0 || lacks_slots))
            || self.settled.len() >= LOOKAHEAD
            || !self.unused_slots.is_empty()
            || self.local_pause.is_some()
    }

    /// Whether exchanges should be frequent: this run has or needs slots, or other runs may wait
    /// for an answer.
    pub(crate) fn is_busy(&self) -> bool {
        !self.slots.is_empty() || !self.upcoming.is_empty() || !self.settled.is_empty()
    }

    /// The maximum of slots that this run may have at a time.
    fn max_slots(&self) -> usize {
        let calls = self
            .current_rate()
            .per_second()
            .map(|rate| rate * (SLOT_HORIZON + 2 * self.round_trip).as_secs_f64());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a million"
        )]
        let calls = calls.map_or(self.capacity, |calls| calls.ceil() as usize);
        calls.clamp(1, self.capacity.max(1)).min(LOOKAHEAD)
    }

    fn claimed_count(&self) -> usize {
        let is_claimed =
            |mobile: &&Mobile| matches!(self.number_states.get(mobile), Some(NumberState::Claimed));
        self.upcoming.iter().filter(is_claimed).count()
    }

    fn shortfall(&self) -> Shortfall {
        if self.capacity == 0 {
            return Shortfall::default();
        }
        let (max_slots, claimed) = (self.max_slots(), self.claimed_count());
        let claimable = self.upcoming.iter().filter(|mobile| self.is_claimable(**mobile)).count();
        let claims = max_slots.saturating_sub(claimed).min(claimable);
        let is_low = self.slots.len() <= max_slots / 2;
        Shortfall {
            claims: if is_low { claims } else { 0 },
            lacks_slots: is_low && self.slots.len() < claimed.min(max_slots),
        }
    }

    fn is_claimable(&self, mobile: Mobile) -> bool {
        matches!(
            self.number_states.get(&mobile),
            None | Some(NumberState::Free | NumberState::Stale)
        )
    }

    /// Builds the next request. The first request of a run, and the last (`closing`), ask for
    /// neither numbers nor slots.
    pub(crate) fn next_request(&self, closing: bool) -> PendingRequest {
        let (max_slots, claimed) = (self.max_slots(), self.claimed_count());
        let mut claims = if self.capacity == 0 { 0 } else { max_slots.saturating_sub(claimed) };
        let (mut queried, mut queries) = (Vec::new(), Vec::new());
        let report_only = closing || self.last_reply.is_none();
        let candidates = if report_only { &[][..] } else { &self.upcoming };
        for mobile in candidates.iter().filter(|mobile| self.is_claimable(**mobile)) {
            let state = self.number_states.get(mobile);
            if claims == 0 && matches!(state, Some(NumberState::Free)) {
                continue;
            }
            let mode = QueryMode {
                claim: claims > 0,
                is_known_not_found: matches!(state, Some(NumberState::Stale)),
            };
            claims = claims.saturating_sub(1);
            queried.push(*mobile);
            queries.push((self.answer_cache.digest(*mobile), mode));
        }
        let now = Instant::now();
        let pause = self.local_pause.map(|LocalPause { until, cause, slow_down }| {
            (until.saturating_duration_since(now), cause, slow_down)
        });
        let settled = self.settled.iter().take(MAX_SETTLED_PER_REQUEST);
        let settled =
            settled.map(|(mobile, answer)| self.answer_cache.encrypt(*mobile, answer.as_ref()));
        let slots = self.slots.len();
        let missing_slots = i64::try_from(claimed).unwrap_or(0) - i64::try_from(slots).unwrap_or(0);
        let wants_slots = self.capacity > 0 && !report_only;
        let max_granted = if wants_slots { max_slots.saturating_sub(slots) } else { 0 };
        let request = ExchangeRequest {
            rate: self.own_rate.per_second().unwrap_or(0.0),
            retention: self.answer_cache.retention(),
            clock_stepped: self.clock_stepped,
            round_trip: self.round_trip,
            pause: pause.filter(|(remaining, ..)| !remaining.is_zero()),
            unused_slots: self.unused_slots.clone(),
            settled: settled.collect(),
            oldest_allowed_ms: self.answer_cache.oldest_allowed_ms(self.server_now_ms()),
            queries,
            slot_demand: (missing_slots, max_granted),
        };
        PendingRequest { request, queried, local_pause: self.local_pause }
    }

    /// Applies the reply to `pending`, which was sent and received at these times.
    pub(crate) fn apply(
        &mut self,
        pending: &PendingRequest,
        reply: &ExchangeReply,
        sent: Instant,
        received: Instant,
    ) {
        let is_same_server =
            self.last_reply.as_ref().is_none_or(|last| last.valid_from_us == reply.valid_from_us);
        self.sync_clock(&pending.request, reply, sent, received);
        self.drop_promises_of_a_new_server(is_same_server, sent);
        self.last_contact = sent;
        (self.unavailable, self.fallback) = (None, None);
        if self.last_reply.is_none() {
            self.answer_cache.set_session_start(reply.now_us / 1000);
        }
        self.acknowledge(pending);
        self.merge_pause(reply, is_same_server, received);
        self.merge_numbers(&pending.queried, reply);
        self.slots.extend(reply.slots.iter().copied());
        if self.shared_pause.is_some() {
            self.unused_slots.extend(self.slots.drain(..));
        }
        self.last_reply = Some(reply.without_results());
    }

    /// Compares the clocks. If one of them has jumped, the slots are at wrong times: they are
    /// dropped, and the next request reports it.
    fn sync_clock(
        &mut self,
        request: &ExchangeRequest,
        reply: &ExchangeReply,
        sent: Instant,
        received: Instant,
    ) {
        let is_steady = self.clock.add_sample(reply.now_us, sent, received);
        self.clock_stepped = !is_steady || (self.clock_stepped && !request.clock_stepped);
        if !is_steady {
            self.slots.clear();
        }
        self.round_trip = received - sent;
    }

    /// Drops the slots and claims that the server does not know any more, because it has lost its
    /// state or the lease of this run has expired.
    fn drop_promises_of_a_new_server(&mut self, is_same_server: bool, sent: Instant) {
        if !is_same_server {
            self.slots.clear();
        }
        if !is_same_server || sent.saturating_duration_since(self.last_contact) > LEASE {
            // The claims of calls in flight are kept: the calls cannot be undone.
            let upcoming = &self.upcoming;
            self.number_states.retain(|mobile, state| {
                !matches!(state, NumberState::Claimed) || !upcoming.contains(mobile)
            });
        }
    }

    /// Forgets what the server has received with the request.
    fn acknowledge(&mut self, pending: &PendingRequest) {
        let PendingRequest { request, local_pause, .. } = pending;
        self.unused_slots.drain(..request.unused_slots.len().min(self.unused_slots.len()));
        self.settled.drain(..request.settled.len().min(self.settled.len()));
        if self.local_pause == *local_pause {
            self.local_pause = None;
        }
    }

    /// Takes over the server's pause. A server that lost its state is sent the current pause again.
    fn merge_pause(&mut self, reply: &ExchangeReply, is_same_server: bool, received: Instant) {
        let forgotten = self.shared_pause.filter(|(until, _)| !is_same_server && *until > received);
        if let Some((until, cause)) = forgotten {
            self.local_pause.get_or_insert(LocalPause { until, cause, slow_down: false });
        }
        self.shared_pause =
            reply.pause.map(|(remaining, cause)| (received + remaining, cause)).or(forgotten);
    }

    /// Updates the states of the queried numbers.
    fn merge_numbers(&mut self, queried: &[Mobile], reply: &ExchangeReply) {
        for (mobile, result) in queried.iter().zip(&reply.results) {
            let previous = self.number_states.remove(mobile);
            let state = match result {
                QueryResult::Unclaimed => NumberState::Free,
                QueryResult::Claimed => NumberState::Claimed,
                QueryResult::ClaimedElsewhere => NumberState::ClaimedElsewhere,
                QueryResult::Answer(encrypted) => {
                    match self.answer_cache.decrypt(*mobile, encrypted) {
                        Some((outcome, asked_at)) => NumberState::Answered(outcome, asked_at),
                        // It was too old twice, so it is unreadable: call the number.
                        None if matches!(previous, Some(NumberState::Stale)) => {
                            NumberState::Claimed
                        }
                        None => NumberState::Stale,
                    }
                }
            };
            self.number_states.insert(*mobile, state);
        }
    }

    /// An exchange has failed, and the next one starts after `retry_delay`.
    pub(crate) fn on_unavailable(&mut self, reason: Unavailable, retry_delay: Duration) {
        self.unavailable = Some(reason);
        if !self.is_unreachable() {
            return;
        }
        // Until after the next exchange, so that the pause has no gap if that fails as well.
        self.outage_pause_until = Instant::now() + retry_delay + EXCHANGE_TIMEOUT;
        self.slots.clear();
        if self.optional && self.fallback.is_none() {
            // The window of a limiter allows the rate rounded up in a second. Rounding each share
            // down keeps the sum of all runs within the rate.
            let share = self
                .current_rate()
                .per_second()
                .map(|rate| if rate < 1.0 { rate } else { rate.floor() });
            self.fallback =
                Some(LocalLimiter::new(share.map_or(Rate::UNLIMITED, Rate::from_per_second)));
        }
    }

    /// The rate at which this run continues alone. `None` if it does not.
    pub(crate) fn fallback_rate(&self) -> Option<Rate> {
        self.fallback.as_ref().map(LocalLimiter::current_rate)
    }

    /// Whether all settled numbers were sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.settled.is_empty()
    }
}
