//! What a run knows of the quota that it shares: which numbers it may call, which slots it has, whether all calls rest, and
//! what it still has to tell. Owns what follows from each word of the server, and from none. Leaves speaking to `desk`.

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
use crate::quota::protocol::{ExchangeReply, ExchangeRequest, QueryMode, QueryResult};
use crate::quota::server_clock::{REPLY_VALID_FOR, ServerClock};

/// After so long without a word the server takes a run for gone, and its claims for free (`turn.lua`).
const LEASE: Duration = Duration::from_secs(5);
/// How many of the next numbers are looked at: known ones need no slot, and come through together.
const LOOKAHEAD: usize = 128;
/// How much later than its slot a call may leave. What is later is given back, since the calls of all runs together keep
/// their distance only where each keeps to its moment (`turn.lua`: the guard is nearly three times that).
const MAX_LATENESS: Duration = Duration::from_millis(8);
/// For so long ahead a run has slots, and at least one: so every run that is busy has as many waiting as any other, and comes
/// to its turn as often.
const SLOT_HORIZON: Duration = Duration::from_millis(250);
/// How long one word to a server that is silent takes at most, until that is certain.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(4);
/// So many of them are told in one word at most.
const MAX_SETTLED_PER_REQUEST: usize = 256;
/// Settled numbers that wait for the server to take them; more than that are kept here alone.
const MAX_UNSENT_SETTLED: usize = 10_000;

/// The book of one run.
#[derive(Debug)]
pub(crate) struct RunState {
    answer_cache: AnswerCache,
    /// What this run was given.
    own_rate: Rate,
    /// Whether it goes on by itself where the server is silent.
    optional: bool,
    /// The next numbers, and how many calls may start.
    upcoming: Vec<Mobile>,
    capacity: usize,
    number_states: HashMap<Mobile, NumberState>,
    slots: VecDeque<u64>,
    unused_slots: Vec<u64>,
    settled: VecDeque<(Mobile, Option<TimedAnswer>)>,
    /// A rest that the server has not heard of.
    local_pause: Option<LocalPause>,
    shared_pause: Option<(Instant, Limit)>,
    clock: ServerClock,
    /// When the last word was sent that was answered, or the run began.
    last_contact: Instant,
    /// How long that took.
    round_trip: Duration,
    /// Whether the server's clock was set, which it has not been told.
    clock_stepped: bool,
    /// The last reply; none before the first.
    last_reply: Option<ExchangeReply>,
    pub(crate) unavailable: Option<Unavailable>,
    /// Until when the run rests since the server is silent.
    outage_pause_until: Instant,
    /// The pace that is kept without the server.
    fallback: Option<LocalLimiter>,
}

/// Until when all calls rest, why, and whether the pace was too fast.
type LocalPause = (Instant, Limit, bool);

/// How it stands with one of the next numbers.
#[derive(Clone, Debug)]
enum NumberState {
    /// Nobody has an answer, and it is not claimed.
    Free,
    /// There is an answer, which is too old for one that names nobody.
    Stale,
    /// This run is to call it.
    Claimed,
    ClaimedElsewhere,
    Answered(Arc<Outcome>, i64),
}

/// What was said in a request, to be crossed out once it is answered.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    pub(crate) request: ExchangeRequest,
    queried: Vec<Mobile>,
    local_pause: Option<LocalPause>,
}

impl RunState {
    pub(crate) fn new(vault: AnswerCache, asked: Rate, optional: bool) -> Self {
        let now = Instant::now();
        Self {
            answer_cache: vault,
            own_rate: asked,
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

    /// The rate of all runs together: what each of them was given at most; none before the server has said so.
    pub(crate) fn min_rate(&self) -> Option<Rate> {
        self.last_reply.as_ref().map(|last| {
            if last.min_rate > 0.0 { Rate::from_per_second(last.min_rate) } else { Rate::UNLIMITED }
        })
    }

    /// How many runs there are, with this one, as far as it is known.
    pub(crate) fn session_count(&self) -> u32 {
        self.last_reply.as_ref().map_or(0, |last| last.peer_count) + 1
    }

    /// This run's part of what is used now.
    pub(crate) fn current_rate(&self) -> Rate {
        if let Some(alone) = &self.fallback {
            return alone.current_rate();
        }
        let share = self.last_reply.as_ref().map_or(1.0, |last| last.rate_factor);
        let whole = self.min_rate().unwrap_or(self.own_rate).per_second();
        whole.map_or(Rate::UNLIMITED, |whole| {
            Rate::from_per_second(whole * share / f64::from(self.session_count()))
        })
    }

    pub(crate) fn prefetch(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, room: usize) {
        self.upcoming.clear();
        self.upcoming.extend(numbers.take(LOOKAHEAD));
        self.capacity = room;
    }

    /// How many of the next numbers are looked at.
    pub(crate) fn lookahead(&self) -> usize {
        if self.fallback.is_some() { usize::MAX } else { self.upcoming.len() }
    }

    pub(crate) fn claim_state(&mut self, mobile: Mobile) -> ClaimState {
        match self.number_states.get(&mobile) {
            Some(NumberState::Answered(outcome, asked)) => {
                let known = ClaimState::Answered(Arc::clone(outcome), *asked);
                self.number_states.remove(&mobile);
                known
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
        if let Some(alone) = &mut self.fallback {
            return alone.try_acquire().map_err(Some);
        }
        let now = Instant::now();
        while let Some(slot) = self.slots.front() {
            let moment = self.clock.to_local(*slot).ok_or(None)?;
            if now < moment {
                return Err(Some(moment));
            }
            // What the server promised counts for as long as it may be believed to remember it.
            if now > moment + MAX_LATENESS {
                self.unused_slots.extend(self.slots.pop_front());
            } else if now.saturating_duration_since(self.last_contact) > REPLY_VALID_FOR {
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
        let ordered = self.shared_pause.filter(|(until, _)| *until > now);
        ordered.or_else(|| {
            let silent = self.unavailable.is_some()
                && self.fallback.is_none()
                && self.outage_pause_until > now;
            silent.then_some((self.outage_pause_until, Limit::Shared))
        })
    }

    /// Whether the server has been silent for longer than it is relied on.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unavailable.is_some() && self.last_contact.elapsed() > REPLY_VALID_FOR
    }

    pub(crate) fn on_paused(&mut self, until: Instant, cause: Limit, begins: bool) {
        if let Some(alone) = self.fallback.as_mut().filter(|_| begins && cause == Limit::App) {
            alone.slow_down();
        }
        let cut =
            (begins && cause == Limit::App) || self.local_pause.is_some_and(|(_, _, cut)| cut);
        self.local_pause = Some((until, cause, cut));
        self.unused_slots.extend(self.slots.drain(..));
    }

    /// A number that was called has its answer, given now in milliseconds since 1970 where that is one for all.
    pub(crate) fn on_answered(&mut self, mobile: Mobile, answer: Option<TimedAnswer>) {
        self.number_states.remove(&mobile);
        self.upcoming.retain(|next| *next != mobile);
        if self.settled.len() < MAX_UNSENT_SETTLED {
            self.settled.push_back((mobile, answer));
        }
    }

    /// A number is not called after all: whoever wants it may.
    pub(crate) fn release(&mut self, mobile: Mobile) {
        if matches!(self.number_states.remove(&mobile), Some(NumberState::Claimed)) {
            self.on_answered(mobile, None);
        }
    }

    /// The run begins now: what others were told before is as old as it is.
    pub(crate) fn start(&mut self) {
        if let Some(now) = self.server_now_ms() {
            self.answer_cache.set_session_start(now);
        }
    }

    /// The moment now by the server's clock, in milliseconds since 1970, where it was ever heard.
    pub(crate) fn server_now_ms(&self) -> Option<u64> {
        self.clock.to_server(Instant::now()).map(|micros| micros / 1000)
    }

    /// Whether there is something to say that cannot wait.
    pub(crate) fn should_sync_now(&self) -> bool {
        let (claims, slots) = self.shortfall();
        let more = self.shared_pause.is_none_or(|(until, _)| until <= Instant::now())
            && (claims > 0 || slots);
        // Answers come along with the next word, and do not need one each.
        more || self.settled.len() >= LOOKAHEAD
            || !self.unused_slots.is_empty()
            || self.local_pause.is_some()
    }

    /// Whether slots are held or wanted, or others may wait for an answer, so that the server should be heard of often.
    pub(crate) fn is_busy(&self) -> bool {
        !self.slots.is_empty() || !self.upcoming.is_empty() || !self.settled.is_empty()
    }

    /// So many slots this run may have at a time.
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

    /// How many more numbers may be claimed, and whether slots are lacking.
    fn shortfall(&self) -> (usize, bool) {
        if self.capacity == 0 {
            return (0, false);
        }
        let (most, claimed) = (self.max_slots(), self.claimed_count());
        let open = self.upcoming.iter().filter(|mobile| self.is_claimable(**mobile)).count();
        let claims = most.saturating_sub(claimed).min(open);
        let low = self.slots.len() <= most / 2;
        (if low { claims } else { 0 }, low && self.slots.len() < claimed.min(most))
    }

    /// Whether nothing is known of a number that would keep it from being claimed.
    fn is_claimable(&self, mobile: Mobile) -> bool {
        matches!(
            self.number_states.get(&mobile),
            None | Some(NumberState::Free | NumberState::Stale)
        )
    }

    /// What there is to say now; `closing` where nothing is to be asked for any more. The first word only says who is there.
    pub(crate) fn next_request(&self, closing: bool) -> PendingRequest {
        let now = Instant::now();
        let (most, claimed) = (self.max_slots(), self.claimed_count());
        let mut claims = if self.capacity == 0 { 0 } else { most.saturating_sub(claimed) };
        let (mut looked, mut looks) = (Vec::new(), Vec::new());
        let quiet = closing || self.last_reply.is_none();
        for mobile in self.upcoming.iter().filter(|mobile| !quiet && self.is_claimable(**mobile)) {
            let number = self.number_states.get(mobile);
            if claims == 0 && matches!(number, Some(NumberState::Free)) {
                continue;
            }
            let how = QueryMode {
                claim: claims > 0,
                is_known_not_found: matches!(number, Some(NumberState::Stale)),
            };
            claims = claims.saturating_sub(1);
            looked.push(*mobile);
            looks.push((self.answer_cache.digest(*mobile), how));
        }
        let met = self
            .local_pause
            .map(|(until, cause, cut)| (until.saturating_duration_since(now), cause, cut));
        let settled = self.settled.iter().take(MAX_SETTLED_PER_REQUEST);
        let settled =
            settled.map(|(mobile, answer)| self.answer_cache.encrypt(*mobile, answer.as_ref()));
        let held = self.slots.len();
        let due = i64::try_from(claimed).unwrap_or(0) - i64::try_from(held).unwrap_or(0);
        let most = if self.capacity == 0 || quiet { 0 } else { most.saturating_sub(held) };
        let request = ExchangeRequest {
            rate: self.own_rate.per_second().unwrap_or(0.0),
            retention: self.answer_cache.retention(),
            clock_stepped: self.clock_stepped,
            round_trip: self.round_trip,
            pause: met.filter(|(rest, ..)| !rest.is_zero()),
            unused_slots: self.unused_slots.clone(),
            settled: settled.collect(),
            oldest_allowed_ms: self.answer_cache.oldest_allowed_ms(self.server_now_ms()),
            queries: looks,
            slot_demand: (due, most),
        };
        PendingRequest { request, queried: looked, local_pause: self.local_pause }
    }

    /// What follows from a reply.
    pub(crate) fn apply(
        &mut self,
        said: &PendingRequest,
        reply: &ExchangeReply,
        sent: Instant,
        received: Instant,
    ) {
        let steady = self.clock.add_sample(reply.now_us, sent, received);
        let same =
            self.last_reply.as_ref().is_none_or(|last| last.valid_from_us == reply.valid_from_us);
        self.clock_stepped = !steady || (self.clock_stepped && !said.request.clock_stepped);
        if !steady || !same {
            // What was promised before is not remembered there.
            self.slots.clear();
        }
        if !same || sent.saturating_duration_since(self.last_contact) > LEASE {
            // Neither is what was claimed, save for the calls that are under way, which nobody can take back.
            let (wants, numbers) = (&self.upcoming, &mut self.number_states);
            numbers.retain(|mobile, number| {
                !matches!(number, NumberState::Claimed) || !wants.contains(mobile)
            });
        }
        (self.last_contact, self.round_trip, self.unavailable, self.fallback) =
            (sent, received - sent, None, None);
        if self.last_reply.is_none() {
            self.answer_cache.set_session_start(reply.now_us / 1000);
        }
        self.unused_slots.drain(..said.request.unused_slots.len().min(self.unused_slots.len()));
        self.settled.drain(..said.request.settled.len().min(self.settled.len()));
        if self.local_pause == said.local_pause {
            self.local_pause = None;
        }
        // A server that remembers nothing does not know of a rest any more.
        let forgotten = self.shared_pause.filter(|(until, _)| !same && *until > received);
        if let Some((until, cause)) = forgotten {
            self.local_pause.get_or_insert((until, cause, false));
        }
        self.shared_pause = reply.pause.map(|(rest, cause)| (received + rest, cause)).or(forgotten);
        for (mobile, told) in said.queried.iter().zip(&reply.results) {
            let before = self.number_states.remove(mobile);
            let number = match told {
                QueryResult::Unclaimed => NumberState::Free,
                QueryResult::Claimed => NumberState::Claimed,
                QueryResult::ClaimedElsewhere => NumberState::ClaimedElsewhere,
                QueryResult::Answer(sealed) => match self.answer_cache.decrypt(*mobile, sealed) {
                    Some((outcome, asked)) => NumberState::Answered(outcome, asked),
                    None if matches!(before, Some(NumberState::Stale)) => NumberState::Claimed,
                    None => NumberState::Stale,
                },
            };
            self.number_states.insert(*mobile, number);
        }
        self.slots.extend(reply.slots.iter().copied());
        if self.shared_pause.is_some() {
            self.unused_slots.extend(self.slots.drain(..));
        }
        self.last_reply = Some(reply.without_results());
    }

    /// Nothing was heard, and nothing is tried for so long.
    pub(crate) fn on_unavailable(&mut self, silence: Unavailable, pause: Duration) {
        self.unavailable = Some(silence);
        if !self.is_unreachable() {
            return;
        }
        // A little longer than until the next try is over, so that the rest goes on without a gap.
        self.outage_pause_until = Instant::now() + pause + EXCHANGE_TIMEOUT;
        self.slots.clear();
        if self.optional && self.fallback.is_none() {
            // A pace allows the calls of a rate rounded up in any second, and all runs together no more than theirs.
            let part = self
                .current_rate()
                .per_second()
                .map(|part| if part < 1.0 { part } else { part.floor() });
            self.fallback =
                Some(LocalLimiter::new(part.map_or(Rate::UNLIMITED, Rate::from_per_second)));
        }
    }

    /// The rate that is kept without the server, where that is so.
    pub(crate) fn fallback_rate(&self) -> Option<Rate> {
        self.fallback.as_ref().map(LocalLimiter::current_rate)
    }

    /// Whether everything was told that others need.
    pub(crate) fn is_flushed(&self) -> bool {
        self.settled.is_empty()
    }
}
