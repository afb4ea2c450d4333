//! What a run knows of the quota that it shares: which numbers it may call, which slots it has, whether all calls rest, and
//! what it still has to tell. Owns what follows from each word of the server, and from none. Leaves speaking to `desk`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::limiter::Stand;
use crate::api::rate::Rate;
use crate::api::rate_limiter::Pace;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::quota::answer_cache::{Given, Vault};
use crate::quota::connection::Silence;
use crate::quota::protocol::{How, Reply, Request, Told};
use crate::quota::server_clock::{CONFIRMED, Clock};

/// After so long without a word the server takes a run for gone, and its claims for free (`turn.lua`).
const LEASE: Duration = Duration::from_secs(5);
/// How many of the next numbers are looked at: known ones need no slot, and come through together.
const LOOK: usize = 128;
/// How much later than its slot a call may leave. What is later is given back, since the calls of all runs together keep
/// their distance only where each keeps to its moment (`turn.lua`: the guard is nearly three times that).
const LATE: Duration = Duration::from_millis(8);
/// For so long ahead a run has slots, and at least one: so every run that is busy has as many waiting as any other, and comes
/// to its turn as often.
const AHEAD: Duration = Duration::from_millis(250);
/// How long one word to a server that is silent takes at most, until that is certain.
const TRY: Duration = Duration::from_secs(4);
/// So many of them are told in one word at most.
const TOLD: usize = 256;
/// Settled numbers that wait for the server to take them; more than that are kept here alone.
const WAITING: usize = 10_000;

/// The book of one run.
#[derive(Debug)]
pub(crate) struct Book {
    vault: Vault,
    /// What this run was given.
    asked: Rate,
    /// Whether it goes on by itself where the server is silent.
    optional: bool,
    /// The next numbers, and how many calls may start.
    wants: Vec<Mobile>,
    room: usize,
    numbers: HashMap<Mobile, Number>,
    slots: VecDeque<u64>,
    unused: Vec<u64>,
    settled: VecDeque<(Mobile, Option<Given>)>,
    /// A rest that the server has not heard of.
    met: Option<Met>,
    rest: Option<(Instant, Limit)>,
    clock: Clock,
    /// When the last word was sent that was answered, or the run began.
    heard: Instant,
    /// How long that took.
    way: Duration,
    /// Whether the server's clock was set, which it has not been told.
    stepped: bool,
    /// The last reply; none before the first.
    last: Option<Reply>,
    pub(crate) silence: Option<Silence>,
    /// Until when the run rests since the server is silent.
    hush: Instant,
    /// The pace that is kept without the server.
    alone: Option<Pace>,
}

/// Until when all calls rest, why, and whether the pace was too fast.
type Met = (Instant, Limit, bool);

/// How it stands with one of the next numbers.
#[derive(Clone, Debug)]
enum Number {
    /// Nobody has an answer, and it is not claimed.
    Free,
    /// There is an answer, which is too old for one that names nobody.
    Stale,
    /// This run is to call it.
    Claimed,
    Elsewhere,
    Known(Arc<Outcome>, i64),
}

/// What was said in a request, to be crossed out once it is answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) request: Request,
    looked: Vec<Mobile>,
    met: Option<Met>,
}

impl Book {
    pub(crate) fn new(vault: Vault, asked: Rate, optional: bool) -> Self {
        let now = Instant::now();
        Self {
            vault,
            asked,
            optional,
            wants: Vec::new(),
            room: 0,
            numbers: HashMap::new(),
            slots: VecDeque::new(),
            unused: Vec::new(),
            settled: VecDeque::new(),
            met: None,
            rest: None,
            clock: Clock::default(),
            heard: now,
            way: Duration::ZERO,
            stepped: false,
            last: None,
            silence: None,
            hush: now,
            alone: None,
        }
    }

    /// The rate of all runs together: what each of them was given at most; none before the server has said so.
    pub(crate) fn least(&self) -> Option<Rate> {
        self.last
            .as_ref()
            .map(|last| if last.least > 0.0 { Rate::of(last.least) } else { Rate::UNLIMITED })
    }

    /// How many runs there are, with this one, as far as it is known.
    pub(crate) fn runs(&self) -> u32 {
        self.last.as_ref().map_or(0, |last| last.others) + 1
    }

    /// This run's part of what is used now.
    pub(crate) fn current(&self) -> Rate {
        if let Some(alone) = &self.alone {
            return alone.current();
        }
        let share = self.last.as_ref().map_or(1.0, |last| last.share);
        let whole = self.least().unwrap_or(self.asked).per_second();
        whole.map_or(Rate::UNLIMITED, |whole| Rate::of(whole * share / f64::from(self.runs())))
    }

    pub(crate) fn expect(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, room: usize) {
        self.wants.clear();
        self.wants.extend(numbers.take(LOOK));
        self.room = room;
    }

    /// How many of the next numbers are looked at.
    pub(crate) fn looked_at(&self) -> usize {
        if self.alone.is_some() { usize::MAX } else { self.wants.len() }
    }

    pub(crate) fn stand(&mut self, mobile: Mobile) -> Stand {
        match self.numbers.get(&mobile) {
            Some(Number::Known(outcome, asked)) => {
                let known = Stand::Known(Arc::clone(outcome), *asked);
                self.numbers.remove(&mobile);
                known
            }
            _ if self.alone.is_some() => Stand::Open,
            Some(Number::Claimed) => Stand::Open,
            Some(Number::Elsewhere) => {
                self.numbers.remove(&mobile);
                Stand::Elsewhere
            }
            Some(Number::Free | Number::Stale) | None => Stand::Unclear,
        }
    }

    pub(crate) fn take(&mut self) -> Result<(), Option<Instant>> {
        if let Some(alone) = &mut self.alone {
            return alone.take().map_err(Some);
        }
        let now = Instant::now();
        while let Some(slot) = self.slots.front() {
            let moment = self.clock.here(*slot).ok_or(None)?;
            if now < moment {
                return Err(Some(moment));
            }
            // What the server promised counts for as long as it may be believed to remember it.
            if now > moment + LATE {
                self.unused.extend(self.slots.pop_front());
            } else if now.saturating_duration_since(self.heard) > CONFIRMED {
                return Err(None);
            } else {
                self.slots.pop_front();
                return Ok(());
            }
        }
        Err(None)
    }

    pub(crate) fn rest(&mut self) -> Option<(Instant, Limit)> {
        let now = Instant::now();
        let ordered = self.rest.filter(|(until, _)| *until > now);
        ordered.or_else(|| {
            let silent = self.silence.is_some() && self.alone.is_none() && self.hush > now;
            silent.then_some((self.hush, Limit::Shared))
        })
    }

    /// Whether the server has been silent for longer than it is relied on.
    pub(crate) fn is_lost(&self) -> bool {
        self.silence.is_some() && self.heard.elapsed() > CONFIRMED
    }

    pub(crate) fn held(&mut self, until: Instant, cause: Limit, begins: bool) {
        if let Some(alone) = self.alone.as_mut().filter(|_| begins && cause == Limit::App) {
            alone.slow_down();
        }
        let cut = (begins && cause == Limit::App) || self.met.is_some_and(|(_, _, cut)| cut);
        self.met = Some((until, cause, cut));
        self.unused.extend(self.slots.drain(..));
    }

    /// A number that was called has its answer, given now in milliseconds since 1970 where that is one for all.
    pub(crate) fn answered(&mut self, mobile: Mobile, answer: Option<Given>) {
        self.numbers.remove(&mobile);
        self.wants.retain(|next| *next != mobile);
        if self.settled.len() < WAITING {
            self.settled.push_back((mobile, answer));
        }
    }

    /// A number is not called after all: whoever wants it may.
    pub(crate) fn let_go(&mut self, mobile: Mobile) {
        if matches!(self.numbers.remove(&mobile), Some(Number::Claimed)) {
            self.answered(mobile, None);
        }
    }

    /// The run begins now: what others were told before is as old as it is.
    pub(crate) fn begin(&mut self) {
        if let Some(now) = self.now() {
            self.vault.began(now);
        }
    }

    /// The moment now by the server's clock, in milliseconds since 1970, where it was ever heard.
    pub(crate) fn now(&self) -> Option<u64> {
        self.clock.there(Instant::now()).map(|micros| micros / 1000)
    }

    /// Whether there is something to say that cannot wait.
    pub(crate) fn is_eager(&self) -> bool {
        let (claims, slots) = self.lacks();
        let more =
            self.rest.is_none_or(|(until, _)| until <= Instant::now()) && (claims > 0 || slots);
        // Answers come along with the next word, and do not need one each.
        more || self.settled.len() >= LOOK || !self.unused.is_empty() || self.met.is_some()
    }

    /// Whether slots are held or wanted, or others may wait for an answer, so that the server should be heard of often.
    pub(crate) fn is_busy(&self) -> bool {
        !self.slots.is_empty() || !self.wants.is_empty() || !self.settled.is_empty()
    }

    /// So many slots this run may have at a time.
    fn most(&self) -> usize {
        let calls =
            self.current().per_second().map(|rate| rate * (AHEAD + 2 * self.way).as_secs_f64());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a million"
        )]
        let calls = calls.map_or(self.room, |calls| calls.ceil() as usize);
        calls.clamp(1, self.room.max(1)).min(LOOK)
    }

    fn claimed(&self) -> usize {
        let is_claimed =
            |mobile: &&Mobile| matches!(self.numbers.get(mobile), Some(Number::Claimed));
        self.wants.iter().filter(is_claimed).count()
    }

    /// How many more numbers may be claimed, and whether slots are lacking.
    fn lacks(&self) -> (usize, bool) {
        if self.room == 0 {
            return (0, false);
        }
        let (most, claimed) = (self.most(), self.claimed());
        let open = self.wants.iter().filter(|mobile| self.is_open(**mobile)).count();
        let claims = most.saturating_sub(claimed).min(open);
        let low = self.slots.len() <= most / 2;
        (if low { claims } else { 0 }, low && self.slots.len() < claimed.min(most))
    }

    /// Whether nothing is known of a number that would keep it from being claimed.
    fn is_open(&self, mobile: Mobile) -> bool {
        matches!(self.numbers.get(&mobile), None | Some(Number::Free | Number::Stale))
    }

    /// What there is to say now; `closing` where nothing is to be asked for any more. The first word only says who is there.
    pub(crate) fn request(&self, closing: bool) -> Said {
        let now = Instant::now();
        let (most, claimed) = (self.most(), self.claimed());
        let mut claims = if self.room == 0 { 0 } else { most.saturating_sub(claimed) };
        let (mut looked, mut looks) = (Vec::new(), Vec::new());
        let quiet = closing || self.last.is_none();
        for mobile in self.wants.iter().filter(|mobile| !quiet && self.is_open(**mobile)) {
            let number = self.numbers.get(mobile);
            if claims == 0 && matches!(number, Some(Number::Free)) {
                continue;
            }
            let how = How { claims: claims > 0, nobody: matches!(number, Some(Number::Stale)) };
            claims = claims.saturating_sub(1);
            looked.push(*mobile);
            looks.push((self.vault.digest(*mobile), how));
        }
        let met =
            self.met.map(|(until, cause, cut)| (until.saturating_duration_since(now), cause, cut));
        let settled = self.settled.iter().take(TOLD);
        let settled = settled.map(|(mobile, answer)| self.vault.close(*mobile, answer.as_ref()));
        let held = self.slots.len();
        let due = i64::try_from(claimed).unwrap_or(0) - i64::try_from(held).unwrap_or(0);
        let most = if self.room == 0 || quiet { 0 } else { most.saturating_sub(held) };
        let request = Request {
            asked: self.asked.per_second().unwrap_or(0.0),
            keep: self.vault.keep(),
            stepped: self.stepped,
            way: self.way,
            rest: met.filter(|(rest, ..)| !rest.is_zero()),
            unused: self.unused.clone(),
            settled: settled.collect(),
            bounds: self.vault.bounds(self.now()),
            looks,
            due: (due, most),
        };
        Said { request, looked, met: self.met }
    }

    /// What follows from a reply.
    pub(crate) fn fold(&mut self, said: &Said, reply: &Reply, sent: Instant, received: Instant) {
        let steady = self.clock.learn(reply.now, sent, received);
        let same = self.last.as_ref().is_none_or(|last| last.open == reply.open);
        self.stepped = !steady || (self.stepped && !said.request.stepped);
        if !steady || !same {
            // What was promised before is not remembered there.
            self.slots.clear();
        }
        if !same || sent.saturating_duration_since(self.heard) > LEASE {
            // Neither is what was claimed, save for the calls that are under way, which nobody can take back.
            let (wants, numbers) = (&self.wants, &mut self.numbers);
            numbers.retain(|mobile, number| {
                !matches!(number, Number::Claimed) || !wants.contains(mobile)
            });
        }
        (self.heard, self.way, self.silence, self.alone) = (sent, received - sent, None, None);
        if self.last.is_none() {
            self.vault.began(reply.now / 1000);
        }
        self.unused.drain(..said.request.unused.len().min(self.unused.len()));
        self.settled.drain(..said.request.settled.len().min(self.settled.len()));
        if self.met == said.met {
            self.met = None;
        }
        // A server that remembers nothing does not know of a rest any more.
        let forgotten = self.rest.filter(|(until, _)| !same && *until > received);
        if let Some((until, cause)) = forgotten {
            self.met.get_or_insert((until, cause, false));
        }
        self.rest = reply.rest.map(|(rest, cause)| (received + rest, cause)).or(forgotten);
        for (mobile, told) in said.looked.iter().zip(&reply.told) {
            let before = self.numbers.remove(mobile);
            let number = match told {
                Told::Nothing => Number::Free,
                Told::Claimed => Number::Claimed,
                Told::Elsewhere => Number::Elsewhere,
                Told::Answer(sealed) => match self.vault.open(*mobile, sealed) {
                    Some((outcome, asked)) => Number::Known(outcome, asked),
                    None if matches!(before, Some(Number::Stale)) => Number::Claimed,
                    None => Number::Stale,
                },
            };
            self.numbers.insert(*mobile, number);
        }
        self.slots.extend(reply.slots.iter().copied());
        if self.rest.is_some() {
            self.unused.extend(self.slots.drain(..));
        }
        self.last = Some(reply.standing());
    }

    /// Nothing was heard, and nothing is tried for so long.
    pub(crate) fn silent(&mut self, silence: Silence, pause: Duration) {
        self.silence = Some(silence);
        if !self.is_lost() {
            return;
        }
        // A little longer than until the next try is over, so that the rest goes on without a gap.
        self.hush = Instant::now() + pause + TRY;
        self.slots.clear();
        if self.optional && self.alone.is_none() {
            // A pace allows the calls of a rate rounded up in any second, and all runs together no more than theirs.
            let part = self
                .current()
                .per_second()
                .map(|part| if part < 1.0 { part } else { part.floor() });
            self.alone = Some(Pace::new(part.map_or(Rate::UNLIMITED, Rate::of)));
        }
    }

    /// The rate that is kept without the server, where that is so.
    pub(crate) fn alone(&self) -> Option<Rate> {
        self.alone.as_ref().map(Pace::current)
    }

    /// Whether everything was told that others need.
    pub(crate) fn is_told(&self) -> bool {
        self.settled.is_empty()
    }
}
