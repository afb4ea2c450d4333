//! Tests of the run state exchange by exchange, on a paused clock with scripted replies. The real
//! server is covered by the integration tests.

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

/// A run and a scripted server, whose clock started at the wall clock's time.
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
        let answer_cache = AnswerCache::new(app_keys(), vec![1, 0], ages);
        let mut harness = Self {
            run_state: RunState::new(answer_cache, rate, optional),
            started_at: Instant::now(),
            wall_us: u64::try_from(wall_secs()).unwrap() * 1_000_000,
            valid_from_us: 7,
            peer_count: 0,
        };
        harness.reply(&[], vec![]);
        harness
    }

    fn server_us(&self, at: Instant) -> u64 {
        self.wall_us + u64::try_from((at - self.started_at).as_micros()).unwrap()
    }

    fn reply_to(
        &mut self,
        pending: &PendingRequest,
        pause: Option<(Duration, Limit)>,
        slots: &[Duration],
        results: Vec<QueryResult>,
    ) {
        let now = Instant::now();
        let reply = ExchangeReply {
            now_us: self.server_us(now),
            valid_from_us: self.valid_from_us,
            pause,
            peer_count: self.peer_count,
            min_rate: 20.0,
            rate_factor: 1.0,
            slots: slots.iter().map(|ahead| self.server_us(now + *ahead)).collect(),
            results,
        };
        self.run_state.apply(pending, &reply, now, now);
    }

    fn reply(&mut self, slots: &[Duration], results: Vec<QueryResult>) {
        let pending = self.run_state.next_request(false);
        self.reply_to(&pending, None, slots, results);
    }

    /// The request for these next numbers.
    fn prefetch(&mut self, numbers: std::ops::Range<u32>, capacity: usize) -> PendingRequest {
        self.run_state.prefetch(&mut numbers.map(mobile), capacity);
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
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..3, 16);
    let claims: Vec<_> = pending.request.queries.iter().map(|(_, mode)| mode.claim).collect();
    assert_eq!(claims, [true, true, true], "up to five claims for the slots of 250 ms");
    assert_eq!(pending.request.slot_demand, (0, 5));
    assert_eq!(harness.run_state.claim_state(mobile(0)), ClaimState::Pending);
    let results = vec![QueryResult::Claimed, QueryResult::ClaimedElsewhere, QueryResult::Unclaimed];
    harness.reply_to(&pending, None, &[50 * MS, 100 * MS], results);
    assert_eq!(
        [0, 1, 2].map(|n| harness.run_state.claim_state(mobile(n))),
        [ClaimState::Granted, ClaimState::ClaimedElsewhere, ClaimState::Pending]
    );
    assert_eq!(
        harness.run_state.claim_state(mobile(1)),
        ClaimState::Pending,
        "it is queried again when the run needs it again"
    );
    assert_eq!(harness.run_state.try_acquire(), Err(Some(Instant::now() + 50 * MS)));
    advance(53 * MS).await;
    assert_eq!(harness.run_state.try_acquire(), Ok(()));
    assert_eq!(harness.run_state.try_acquire(), Err(Some(Instant::now() + 47 * MS)));
}

#[tokio::test(start_paused = true)]
async fn missed_slots_are_returned_and_unconfirmed_slots_are_not_used() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..5, 16);
    harness.reply_to(
        &pending,
        None,
        &[50 * MS, 100 * MS, 990 * MS, 1100 * MS],
        vec![QueryResult::Claimed; 5],
    );
    advance(103 * MS).await;
    assert_eq!(
        harness.run_state.try_acquire(),
        Ok(()),
        "the first slot is too late, the second is not"
    );
    let pending = harness.run_state.next_request(false);
    assert_eq!(pending.request.unused_slots, [harness.server_us(harness.started_at + 50 * MS)]);
    assert_eq!(pending.request.slot_demand, (5 - 2, 5 - 2), "claimed numbers without a slot");
    advance(888 * MS).await;
    assert_eq!(harness.run_state.try_acquire(), Ok(()), "the last contact was 991 ms ago");
    advance(111 * MS).await;
    assert_eq!(harness.run_state.try_acquire(), Err(None), "the last contact was 1102 ms ago");
    harness.reply(&[], vec![]);
    assert_eq!(harness.run_state.try_acquire(), Ok(()), "the last contact is now");
    assert!(harness.run_state.next_request(false).request.unused_slots.is_empty(), "sent once");
}

#[tokio::test(start_paused = true)]
async fn a_reset_server_and_a_pause_revoke_granted_slots() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..5, 16);
    harness.reply_to(&pending, None, &[50 * MS, 100 * MS], vec![QueryResult::Claimed; 5]);
    harness.valid_from_us = 8;
    harness.reply(&[], vec![]);
    advance(50 * MS).await;
    assert_eq!(harness.run_state.try_acquire(), Err(None));
    let pending = harness.run_state.next_request(false);
    let pause = Some((Duration::from_secs(3), Limit::Platform));
    harness.reply_to(&pending, pause, &[50 * MS], vec![]);
    assert_eq!(
        harness.run_state.paused_until(),
        Some((Instant::now() + Duration::from_secs(3), Limit::Platform))
    );
    assert_eq!(
        (
            harness.run_state.try_acquire(),
            harness.run_state.next_request(false).request.unused_slots.len()
        ),
        (Err(None), 1)
    );
    assert!(harness.run_state.should_sync_now(), "the slot is returned at once");
    harness.reply_to(&harness.run_state.next_request(false), pause, &[], vec![]);
    assert!(!harness.run_state.should_sync_now(), "nothing is requested during a pause");
    advance(Duration::from_secs(3)).await;
    assert!(harness.run_state.paused_until().is_none() && harness.run_state.should_sync_now());
}

#[tokio::test(start_paused = true)]
async fn a_local_pause_is_sent_until_it_is_acknowledged() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let until = Instant::now() + Duration::from_mins(1);
    harness.run_state.on_paused(until, Limit::App, true);
    let pending = harness.run_state.next_request(false);
    assert_eq!(pending.request.pause, Some((Duration::from_mins(1), Limit::App, true)));
    // A longer pause begins while the first is being sent.
    let later = until + Duration::from_mins(1);
    harness.run_state.on_paused(later, Limit::Suspended, false);
    harness.reply_to(&pending, Some((Duration::from_mins(1), Limit::App)), &[], vec![]);
    let pending = harness.run_state.next_request(false);
    assert_eq!(pending.request.pause.map(|(pause, ..)| pause), Some(Duration::from_mins(2)));
    harness.reply_to(&pending, Some((Duration::from_mins(2), Limit::Suspended)), &[], vec![]);
    assert_eq!(harness.run_state.next_request(false).request.pause, None);
}

#[tokio::test(start_paused = true)]
async fn answers_of_other_runs_are_used_within_their_max_age() {
    let hour = Duration::from_hours(1);
    let answer_cache = AnswerCache::new(app_keys(), vec![1, 0], no_reuse());
    let found = Arc::new(Outcome {
        userid: "u".into(),
        ..Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok")
    });
    let not_found =
        Arc::new(Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), "not found"));
    let answered = |outcome: &Arc<Outcome>, asked_at_ms: u64| {
        ClaimState::Answered(Arc::clone(outcome), i64::try_from(asked_at_ms / 1000).unwrap())
    };
    for (ages, minutes, usable) in [
        (no_reuse(), 0, [true, true]),
        (no_reuse(), 30, [false, false]),
        (MaxAges { any: hour, without_user: Duration::ZERO }, 30, [true, false]),
        (MaxAges { any: hour, without_user: hour / 4 }, 30, [true, false]),
        (MaxAges { any: hour, without_user: hour }, 30, [true, true]),
        (MaxAges { any: hour, without_user: hour }, 90, [false, false]),
    ] {
        let mut harness = Harness::new("20", ages, false);
        let asked_at_ms = harness.wall_us / 1000 - minutes * 60_000;
        let encrypted = [(0, &found), (1, &not_found)].map(|(n, outcome)| {
            answer_cache.encrypt(mobile(n), Some(&(Arc::clone(outcome), asked_at_ms))).1
        });
        let pending = harness.prefetch(0..2, 16);
        harness.reply_to(&pending, None, &[], encrypted.map(QueryResult::Answer).to_vec());
        let states = [0, 1].map(|n| harness.run_state.claim_state(mobile(n)));
        assert_eq!(
            states,
            [(0, &found), (1, &not_found)].map(|(n, outcome)| {
                if usable[n] { answered(outcome, asked_at_ms) } else { ClaimState::Pending }
            }),
            "{ages:?}, {minutes} minutes"
        );
        // The server omits answers that are too old. An answer that is too old only for "not found"
        // is marked in the next query.
        let pending = harness.run_state.next_request(false);
        let marked: Vec<_> =
            pending.request.queries.iter().map(|(_, mode)| mode.is_known_not_found).collect();
        assert_eq!(marked, usable.map(|usable| !usable), "{ages:?}, {minutes} minutes");
    }
    let foreign = AnswerCache::new(
        Arc::new(AppKeys::from_secret(&"another".into()).unwrap()),
        vec![1, 0],
        no_reuse(),
    );
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..1, 16);
    let encrypted = foreign.encrypt(mobile(0), Some(&(found, harness.wall_us / 1000))).1;
    harness.reply_to(&pending, None, &[], vec![QueryResult::Answer(encrypted.clone())]);
    assert_eq!(harness.run_state.claim_state(mobile(0)), ClaimState::Pending);
    let pending = harness.run_state.next_request(false);
    harness.reply_to(&pending, None, &[], vec![QueryResult::Answer(encrypted)]);
    assert_eq!(
        harness.run_state.claim_state(mobile(0)),
        ClaimState::Granted,
        "an unreadable answer does not block the call"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_pauses_the_run_or_limits_it_to_its_share() {
    let mut harness = Harness::new("20", no_reuse(), false);
    harness.run_state.on_unavailable(unavailable(), 50 * MS);
    assert_eq!(harness.run_state.paused_until(), None, "the last reply is still valid");
    advance(1001 * MS).await;
    harness.run_state.on_unavailable(unavailable(), 50 * MS);
    let pause = harness.run_state.paused_until();
    assert!(matches!(pause, Some((until, Limit::Shared)) if until > Instant::now()));
    harness.reply(&[], vec![]);
    assert_eq!(harness.run_state.paused_until(), None);

    let mut harness = Harness::new("20", no_reuse(), true);
    harness.peer_count = 3;
    harness.reply(&[], vec![]);
    advance(1001 * MS).await;
    harness.run_state.on_unavailable(unavailable(), 50 * MS);
    assert_eq!(
        (harness.run_state.paused_until(), harness.run_state.fallback_rate()),
        (None, Some(Rate::from_per_second(5.0)))
    );
    assert_eq!(
        (harness.run_state.claim_state(mobile(0)), harness.run_state.try_acquire()),
        (ClaimState::Granted, Ok(()))
    );
    assert!(harness.run_state.try_acquire().is_err(), "one call in 200 ms");
    harness.reply(&[], vec![]);
    assert_eq!(
        (harness.run_state.fallback_rate(), harness.run_state.claim_state(mobile(0))),
        (None, ClaimState::Pending)
    );
}

#[tokio::test(start_paused = true)]
async fn resolved_numbers_are_sent_until_acknowledged_and_only_answers_are_stored() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let found = Arc::new(Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok"));
    harness.run_state.on_answered(mobile(0), Some((found, harness.wall_us / 1000)));
    harness.run_state.on_answered(mobile(1), None);
    let pending = harness.run_state.next_request(false);
    let stored: Vec<_> =
        pending.request.settled.iter().map(|(_, value)| !value.is_empty()).collect();
    assert_eq!(stored, [true, false]);
    harness.run_state.on_unavailable(unavailable(), 50 * MS);
    harness.run_state.on_answered(mobile(2), None);
    assert_eq!(
        harness.run_state.next_request(false).request.settled.len(),
        3,
        "the first request had no reply"
    );
    harness.reply_to(&pending, None, &[], vec![]);
    assert_eq!(harness.run_state.next_request(false).request.settled.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_server_is_sent_the_pause_and_the_claims_again() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..2, 16);
    let pause = Duration::from_mins(5);
    harness.reply_to(&pending, Some((pause, Limit::Address)), &[], vec![QueryResult::Claimed; 2]);
    assert_eq!(harness.run_state.claim_state(mobile(0)), ClaimState::Granted);
    assert_eq!(
        harness.run_state.next_request(false).request.pause,
        None,
        "the server knows the pause"
    );
    harness.valid_from_us = 8;
    let pending = harness.run_state.next_request(false);
    harness.reply_to(&pending, None, &[], vec![]);
    assert_eq!(harness.run_state.claim_state(mobile(0)), ClaimState::Pending);
    assert_eq!(
        harness.run_state.next_request(false).request.pause,
        Some((pause, Limit::Address, false))
    );
    assert_eq!(harness.run_state.paused_until(), Some((Instant::now() + pause, Limit::Address)));
}

#[tokio::test(start_paused = true)]
async fn an_unused_claim_is_released() {
    let mut harness = Harness::new("20", no_reuse(), false);
    let pending = harness.prefetch(0..2, 16);
    harness.reply_to(&pending, None, &[], vec![QueryResult::Claimed; 2]);
    harness.run_state.on_answered(mobile(0), None);
    let claimed = harness.run_state.next_request(false).request;
    assert!(claimed.queries.is_empty(), "a settled number is not claimed again");
    harness.prefetch(0..0, 0);
    harness.run_state.release(mobile(1));
    harness.run_state.release(mobile(1));
    assert_eq!(harness.run_state.next_request(false).request.settled.len(), 2);
}
