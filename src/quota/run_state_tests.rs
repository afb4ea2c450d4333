//! The book word by word on a paused clock, in one process: what follows from each reply of a server, which is played here.
//! The real server's part is for the tests of the executable.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::api::limiter::ClaimState;
use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::verdict::Limit;
use crate::quota::answer_cache::AnswerCache;
use crate::quota::connection::{Cause, Unavailable};
use crate::quota::crypto::AppKeys;
use crate::quota::protocol::{ExchangeReply, QueryResult};
use crate::quota::run_state::{PendingRequest, RunState};
use crate::store::disk::disk_store::wall_secs;
use crate::store::freshness::MaxAges;

const MS: Duration = Duration::from_millis(1);

fn mobile(n: u32) -> Mobile {
    Mobile::from_mainland_digits(format!("139{n:08}").as_bytes()).unwrap()
}

fn app_keys() -> Arc<AppKeys> {
    Arc::new(AppKeys::from_secret(&"a secret of an app".into()).unwrap())
}

/// A run, and the server's clock, which shows the wall's time as it began.
struct Harness {
    run_state: RunState,
    started_at: Instant,
    wall_us: u64,
    valid_from_us: u64,
    peer_count: u32,
}

impl Harness {
    fn new(rate: &str, ages: MaxAges, optional: bool) -> Self {
        let rate: Rate = rate.parse().unwrap();
        let book = RunState::new(AnswerCache::new(app_keys(), vec![1, 0], ages), rate, optional);
        let wall = u64::try_from(wall_secs()).unwrap() * 1_000_000;
        let mut course = Self {
            run_state: book,
            started_at: Instant::now(),
            wall_us: wall,
            valid_from_us: 7,
            peer_count: 0,
        };
        course.reply(&[], vec![]);
        course
    }

    /// The server's clock after so long.
    fn server_us(&self, at: Instant) -> u64 {
        self.wall_us + u64::try_from((at - self.started_at).as_micros()).unwrap()
    }

    fn reply_to(
        &mut self,
        said: &PendingRequest,
        rest: Option<(Duration, Limit)>,
        slots: &[Duration],
        told: Vec<QueryResult>,
    ) {
        let now = Instant::now();
        let slots = slots.iter().map(|ahead| self.server_us(now + *ahead)).collect();
        let (now_there, open, others) = (self.server_us(now), self.valid_from_us, self.peer_count);
        let reply = ExchangeReply {
            now_us: now_there,
            valid_from_us: open,
            pause: rest,
            peer_count: others,
            min_rate: 20.0,
            rate_factor: 1.0,
            slots,
            results: told,
        };
        self.run_state.apply(said, &reply, now, now);
    }

    fn reply(&mut self, slots: &[Duration], told: Vec<QueryResult>) {
        let said = self.run_state.next_request(false);
        self.reply_to(&said, None, slots, told);
    }

    /// What is asked of these numbers with so many calls to start.
    fn prefetch(&mut self, numbers: std::ops::Range<u32>, room: usize) -> PendingRequest {
        self.run_state.prefetch(&mut numbers.map(mobile), room);
        self.run_state.next_request(false)
    }
}

fn no_reuse() -> MaxAges {
    MaxAges::default()
}

fn unavailable() -> Unavailable {
    Unavailable { message: "refused".into(), cause: Cause::Transient }
}

#[tokio::test(start_paused = true)]
async fn a_number_is_called_when_claimed_and_its_slot_is_due() {
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..3, 16);
    let claims: Vec<_> = said.request.queries.iter().map(|(_, how)| how.claim).collect();
    assert_eq!(
        claims,
        [true, true, true],
        "five slots in a quarter of a second, and no more numbers"
    );
    assert_eq!(said.request.slot_demand, (0, 5));
    assert_eq!(course.run_state.claim_state(mobile(0)), ClaimState::Pending);
    let told = vec![QueryResult::Claimed, QueryResult::ClaimedElsewhere, QueryResult::Unclaimed];
    course.reply_to(&said, None, &[50 * MS, 100 * MS], told);
    assert_eq!(
        [0, 1, 2].map(|n| course.run_state.claim_state(mobile(n))),
        [ClaimState::Granted, ClaimState::ClaimedElsewhere, ClaimState::Pending]
    );
    assert_eq!(
        course.run_state.claim_state(mobile(1)),
        ClaimState::Pending,
        "it is looked at anew once it comes again"
    );
    assert_eq!(course.run_state.try_acquire(), Err(Some(Instant::now() + 50 * MS)));
    advance(53 * MS).await;
    assert_eq!(course.run_state.try_acquire(), Ok(()));
    assert_eq!(course.run_state.try_acquire(), Err(Some(Instant::now() + 47 * MS)));
}

#[tokio::test(start_paused = true)]
async fn missed_slots_are_returned_and_unconfirmed_slots_are_not_used() {
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..5, 16);
    course.reply_to(
        &said,
        None,
        &[50 * MS, 100 * MS, 990 * MS, 1100 * MS],
        vec![QueryResult::Claimed; 5],
    );
    advance(103 * MS).await;
    assert_eq!(
        course.run_state.try_acquire(),
        Ok(()),
        "the first one is too old, and the second is not"
    );
    let said = course.run_state.next_request(false);
    assert_eq!(said.request.unused_slots, [course.server_us(course.started_at + 50 * MS)]);
    assert_eq!(said.request.slot_demand, (5 - 2, 5 - 2), "claimed numbers without a slot");
    advance(888 * MS).await;
    assert_eq!(course.run_state.try_acquire(), Ok(()), "heard of 991 ms ago");
    advance(111 * MS).await;
    assert_eq!(course.run_state.try_acquire(), Err(None), "heard of 1102 ms ago");
    course.reply(&[], vec![]);
    assert_eq!(course.run_state.try_acquire(), Ok(()), "heard of just now");
    assert!(course.run_state.next_request(false).request.unused_slots.is_empty(), "told once");
}

#[tokio::test(start_paused = true)]
async fn a_reset_server_and_a_pause_revoke_granted_slots() {
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..5, 16);
    course.reply_to(&said, None, &[50 * MS, 100 * MS], vec![QueryResult::Claimed; 5]);
    course.valid_from_us = 8;
    course.reply(&[], vec![]);
    advance(50 * MS).await;
    assert_eq!(course.run_state.try_acquire(), Err(None));
    let said = course.run_state.next_request(false);
    let rest = Some((Duration::from_secs(3), Limit::Platform));
    course.reply_to(&said, rest, &[50 * MS], vec![]);
    assert_eq!(
        course.run_state.paused_until(),
        Some((Instant::now() + Duration::from_secs(3), Limit::Platform))
    );
    assert_eq!(
        (
            course.run_state.try_acquire(),
            course.run_state.next_request(false).request.unused_slots.len()
        ),
        (Err(None), 1)
    );
    assert!(course.run_state.should_sync_now(), "the slot goes back at once");
    course.reply_to(&course.run_state.next_request(false), rest, &[], vec![]);
    assert!(!course.run_state.should_sync_now(), "nothing is asked for during a rest");
    advance(Duration::from_secs(3)).await;
    assert!(course.run_state.paused_until().is_none() && course.run_state.should_sync_now());
}

#[tokio::test(start_paused = true)]
async fn a_local_pause_is_sent_until_it_is_acknowledged() {
    let mut course = Harness::new("20", no_reuse(), false);
    let until = Instant::now() + Duration::from_mins(1);
    course.run_state.on_paused(until, Limit::App, true);
    let said = course.run_state.next_request(false);
    assert_eq!(said.request.pause, Some((Duration::from_mins(1), Limit::App, true)));
    // A longer one is met while the first is on its way.
    let later = until + Duration::from_mins(1);
    course.run_state.on_paused(later, Limit::Suspended, false);
    course.reply_to(&said, Some((Duration::from_mins(1), Limit::App)), &[], vec![]);
    let said = course.run_state.next_request(false);
    assert_eq!(said.request.pause.map(|(rest, ..)| rest), Some(Duration::from_mins(2)));
    course.reply_to(&said, Some((Duration::from_mins(2), Limit::Suspended)), &[], vec![]);
    assert_eq!(course.run_state.next_request(false).request.pause, None);
}

#[tokio::test(start_paused = true)]
async fn answers_of_other_runs_are_used_within_their_max_age() {
    let hour = Duration::from_hours(1);
    let vault = AnswerCache::new(app_keys(), vec![1, 0], no_reuse());
    let found = Arc::new(Outcome {
        userid: "u".into(),
        ..Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok")
    });
    let nobody =
        Arc::new(Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), "nobody"));
    let known = |outcome: &Arc<Outcome>, at: u64| {
        ClaimState::Answered(Arc::clone(outcome), i64::try_from(at / 1000).unwrap())
    };
    for (ages, minutes, usable) in [
        (no_reuse(), 0, [true, true]),
        (no_reuse(), 30, [false, false]),
        (MaxAges { any: hour, without_user: Duration::ZERO }, 30, [true, false]),
        (MaxAges { any: hour, without_user: hour / 4 }, 30, [true, false]),
        (MaxAges { any: hour, without_user: hour }, 30, [true, true]),
        (MaxAges { any: hour, without_user: hour }, 90, [false, false]),
    ] {
        let mut course = Harness::new("20", ages, false);
        let at = course.wall_us / 1000 - minutes * 60_000;
        let sealed = [(0, &found), (1, &nobody)]
            .map(|(n, outcome)| vault.encrypt(mobile(n), Some(&(Arc::clone(outcome), at))).1);
        let said = course.prefetch(0..2, 16);
        let old = sealed.clone().map(QueryResult::Answer);
        course.reply_to(&said, None, &[], old.to_vec());
        let stands = [0, 1].map(|n| course.run_state.claim_state(mobile(n)));
        assert_eq!(
            stands,
            [(0, &found), (1, &nobody)].map(|(n, outcome)| {
                if usable[n] { known(outcome, at) } else { ClaimState::Pending }
            }),
            "{ages:?}, {minutes} minutes"
        );
        // The server leaves out what is too old for anybody; what is too old for nobody alone is claimed the next time.
        let said = course.run_state.next_request(false);
        let looks: Vec<_> =
            said.request.queries.iter().map(|(_, how)| how.is_known_not_found).collect();
        assert_eq!(looks, usable.map(|usable| !usable), "{ages:?}, {minutes} minutes");
    }
    let foreign = AnswerCache::new(
        Arc::new(AppKeys::from_secret(&"another".into()).unwrap()),
        vec![1, 0],
        no_reuse(),
    );
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..1, 16);
    let sealed = foreign.encrypt(mobile(0), Some(&(found, course.wall_us / 1000))).1;
    course.reply_to(&said, None, &[], vec![QueryResult::Answer(sealed.clone())]);
    assert_eq!(course.run_state.claim_state(mobile(0)), ClaimState::Pending);
    let said = course.run_state.next_request(false);
    course.reply_to(&said, None, &[], vec![QueryResult::Answer(sealed)]);
    assert_eq!(
        course.run_state.claim_state(mobile(0)),
        ClaimState::Granted,
        "what cannot be read does not keep it from being asked"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_pauses_the_run_or_limits_it_to_its_share() {
    let mut course = Harness::new("20", no_reuse(), false);
    course.run_state.on_unavailable(unavailable(), 50 * MS);
    assert_eq!(course.run_state.paused_until(), None, "it was heard a moment ago");
    advance(1001 * MS).await;
    course.run_state.on_unavailable(unavailable(), 50 * MS);
    assert!(
        matches!(course.run_state.paused_until(), Some((until, Limit::Shared)) if until > Instant::now())
    );
    course.reply(&[], vec![]);
    assert_eq!(course.run_state.paused_until(), None);

    let mut course = Harness::new("20", no_reuse(), true);
    course.peer_count = 3;
    course.reply(&[], vec![]);
    advance(1001 * MS).await;
    course.run_state.on_unavailable(unavailable(), 50 * MS);
    assert_eq!(
        (course.run_state.paused_until(), course.run_state.fallback_rate()),
        (None, Some(Rate::from_per_second(5.0)))
    );
    assert_eq!(
        (course.run_state.claim_state(mobile(0)), course.run_state.try_acquire()),
        (ClaimState::Granted, Ok(()))
    );
    assert!(course.run_state.try_acquire().is_err(), "one call in a fifth of a second");
    course.reply(&[], vec![]);
    assert_eq!(
        (course.run_state.fallback_rate(), course.run_state.claim_state(mobile(0))),
        (None, ClaimState::Pending)
    );
}

#[tokio::test(start_paused = true)]
async fn resolved_numbers_are_sent_until_acknowledged_and_only_answers_are_stored() {
    let mut course = Harness::new("20", no_reuse(), false);
    let found = Arc::new(Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok"));
    course.run_state.on_answered(mobile(0), Some((found, course.wall_us / 1000)));
    course.run_state.on_answered(mobile(1), None);
    let said = course.run_state.next_request(false);
    let kept: Vec<_> = said.request.settled.iter().map(|(_, value)| !value.is_empty()).collect();
    assert_eq!(kept, [true, false]);
    course.run_state.on_unavailable(unavailable(), 50 * MS);
    course.run_state.on_answered(mobile(2), None);
    assert_eq!(
        course.run_state.next_request(false).request.settled.len(),
        3,
        "nobody heard the first word"
    );
    course.reply_to(&said, None, &[], vec![]);
    assert_eq!(course.run_state.next_request(false).request.settled.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_server_is_sent_the_pause_and_the_claims_again() {
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..2, 16);
    let rest = Duration::from_mins(5);
    course.reply_to(&said, Some((rest, Limit::Address)), &[], vec![QueryResult::Claimed; 2]);
    assert_eq!(course.run_state.claim_state(mobile(0)), ClaimState::Granted);
    assert_eq!(
        course.run_state.next_request(false).request.pause,
        None,
        "others met it, and it is known there"
    );
    course.valid_from_us = 8;
    let said = course.run_state.next_request(false);
    course.reply_to(&said, None, &[], vec![]);
    assert_eq!(course.run_state.claim_state(mobile(0)), ClaimState::Pending);
    assert_eq!(
        course.run_state.next_request(false).request.pause,
        Some((rest, Limit::Address, false))
    );
    assert_eq!(course.run_state.paused_until(), Some((Instant::now() + rest, Limit::Address)));
}

#[tokio::test(start_paused = true)]
async fn an_unused_claim_is_released() {
    let mut course = Harness::new("20", no_reuse(), false);
    let said = course.prefetch(0..2, 16);
    course.reply_to(&said, None, &[], vec![QueryResult::Claimed; 2]);
    course.run_state.on_answered(mobile(0), None);
    let claimed = course.run_state.next_request(false).request;
    assert!(claimed.queries.is_empty(), "one that has its answer is not claimed once more");
    course.prefetch(0..0, 0);
    course.run_state.release(mobile(1));
    course.run_state.release(mobile(1));
    assert_eq!(course.run_state.next_request(false).request.settled.len(), 2);
}
