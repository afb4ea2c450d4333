//! The script on the server by itself, word by word and without waiting: which slots it promises to
//! whom, of whatever rate, and when it promises none.

use std::collections::BTreeSet;
use std::time::Duration;

use dingmap::testing::domain::Limit;
use dingmap::testing::quota::Connection;
use dingmap::testing::quota::{ExchangeReply, ExchangeRequest, Protocol, QueryMode, QueryResult};
use redis::Client;
use tokio::runtime::{Builder, Runtime};

use crate::support::redis::RedisServer;

/// For so long a server that remembers nothing promises nothing, in microseconds.
const QUIET_MICROS: u64 = 2_100_000;
const SECOND_MICROS: u64 = 1_000_000;

/// Some runs of one app at a server.
struct ScriptFixture {
    runtime: Runtime,
    redis: RedisServer,
    connection: Connection,
    protocols: Vec<Protocol>,
}

impl ScriptFixture {
    fn new(runs: usize) -> Self {
        let redis = RedisServer::start();
        let link = Connection::new(Client::open(redis.url()).unwrap());
        let runs = (0..runs)
            .map(|run| {
                Protocol::new("app".into(), ["https://h".into(), "k".into()], run.to_string())
            })
            .collect();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, redis, connection: link, protocols: runs }
    }

    fn exchange(&self, run: usize, request: &ExchangeRequest) -> ExchangeReply {
        self.runtime.block_on(self.protocols[run].exchange(&self.connection, request)).unwrap()
    }

    /// So many slots at a rate.
    fn request_slots(&self, run: usize, asked: f64, slots: usize) -> ExchangeReply {
        self.exchange(run, &slot_request(asked, slots))
    }
}

fn slot_request(asked: f64, slots: usize) -> ExchangeRequest {
    let due = (i64::try_from(slots).unwrap(), slots);
    ExchangeRequest {
        rate: asked,
        retention: Duration::from_mins(1),
        slot_demand: due,
        ..ExchangeRequest::default()
    }
}

/// Slots that runs in random order ask for, so many in all, some of which are given back.
fn granted_slots(
    party: &ScriptFixture,
    rate: f64,
    count: usize,
    random: &mut fastrand::Rng,
) -> Vec<u64> {
    let mut all = BTreeSet::new();
    while all.len() < count {
        let run = random.usize(..party.protocols.len());
        let slots = party.request_slots(run, rate, random.usize(1..20)).slots;
        let last = all.last().copied().unwrap_or(0);
        assert!(slots.iter().all(|slot| *slot > last), "in order, and none twice");
        all.extend(&slots);
        if random.u8(..4) == 0 {
            let unused: Vec<_> = slots.into_iter().filter(|_| random.bool()).collect();
            assert!(unused.iter().all(|slot| all.remove(slot)));
            party.exchange(run, &ExchangeRequest { unused_slots: unused, ..slot_request(rate, 0) });
        }
    }
    all.into_iter().collect()
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates up to a thousand"
)]
fn granted_slots_never_exceed_the_rate() {
    for (seed, rate) in [0.3, 0.7, 1.0, 1.5, 2.5, 19.7, 20.0, 59.9, 60.0, 60.5, 61.0, 250.0, 1000.0]
        .into_iter()
        .enumerate()
    {
        let party = ScriptFixture::new(3);
        let slots = granted_slots(&party, rate, 400, &mut fastrand::Rng::with_seed(seed as u64));
        // Rounded up to whole calls, as for a single run; a call may be 8 ms late and its latency
        // differ by 13 ms more.
        let most = rate.ceil() as usize;
        for (first, next) in slots.iter().zip(&slots[most.min(slots.len())..]) {
            assert!(
                next - first >= SECOND_MICROS + 21_000,
                "{rate}: {most} calls in {} µs",
                next - first
            );
        }
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
#[expect(
    clippy::cast_precision_loss,
    reason = "some hundreds of slots, and spans of minutes in microseconds"
)]
fn granted_slots_use_nearly_all_of_the_rate() {
    for (rate, requests, slots) in [
        (0.5, 60, 1),
        (1.0, 400, 1),
        (2.5, 400, 1),
        (20.0, 400, 1),
        (60.0, 400, 1),
        (61.0, 400, 1),
        // The slots of a request last 100 ms, so that the next one comes in time.
        (1000.0, 10, 100),
    ] {
        let party = ScriptFixture::new(2);
        let slots: Vec<u64> =
            (0..requests).flat_map(|at| party.request_slots(at % 2, rate, slots).slots).collect();
        let took = (slots[slots.len() - 1] - slots[0]) as f64 / 1e6;
        let share = (slots.len() - 1) as f64 / took / rate;
        assert!((0.975..=1.0).contains(&share), "{rate}: {share}");
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_lowest_rate_applies_while_its_run_is_active() {
    let party = ScriptFixture::new(3);
    assert_eq!(party.request_slots(0, 20.0, 0).peer_count, 0);
    let reply = party.request_slots(1, 0.0, 0);
    assert_eq!((reply.peer_count, reply.min_rate), (1, 20.0));
    let reply = party.request_slots(2, 5.0, 0);
    assert_eq!((reply.peer_count, reply.min_rate), (2, 5.0));
    assert_eq!(Some(party.request_slots(1, 0.0, 0).min_rate), Some(5.0));
    party.runtime.block_on(party.protocols[2].end_session(&party.connection)).unwrap();
    let reply = party.request_slots(0, 20.0, 0);
    assert_eq!((reply.peer_count, reply.min_rate), (1, 20.0));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn an_empty_server_grants_no_slot_until_earlier_ones_have_passed() {
    let mut party = ScriptFixture::new(2);
    let quiet = |reply: &ExchangeReply| {
        let [slot] = reply.slots[..] else { panic!("{reply:?}") };
        slot.checked_sub(reply.now_us).unwrap()
    };
    let first = party.request_slots(0, 20.0, 1);
    assert_eq!(quiet(&first), QUIET_MICROS, "nobody knows what was before");
    assert_eq!(party.request_slots(1, 20.0, 0).valid_from_us, first.valid_from_us);
    party.redis.call(&["SCRIPT", "FLUSH"]);
    assert_eq!(
        party.request_slots(0, 20.0, 0).valid_from_us,
        first.valid_from_us,
        "the script is no memory"
    );
    party.redis.call(&["FLUSHALL"]);
    let second = party.request_slots(0, 20.0, 1);
    assert_eq!(quiet(&second), QUIET_MICROS);
    assert_ne!(second.valid_from_us, first.valid_from_us, "what was promised before is taken back");
    party.redis.kill();
    party.redis.restart_empty();
    // The first word finds the connection gone.
    let lost = party
        .runtime
        .block_on(party.protocols[0].exchange(&party.connection, &slot_request(20.0, 0)));
    assert!(lost.is_err());
    assert_eq!(quiet(&party.request_slots(1, 20.0, 1)), QUIET_MICROS);
    // A server that was started anew from a copy of its data is another one all the same.
    party.redis.call(&["HSET", "dingmap:1:app:pace", "server", "another"]);
    assert_eq!(quiet(&party.request_slots(1, 20.0, 1)), QUIET_MICROS);
    // So is one whose clock was set back, and one that has not reported for a while: all may have
    // gone on by themselves.
    let ahead = (second.now_us + 3600 * SECOND_MICROS).to_string();
    party.redis.call(&["HSET", "dingmap:1:app:pace", "last", &ahead]);
    assert_eq!(quiet(&party.request_slots(1, 20.0, 1)), QUIET_MICROS);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(quiet(&party.request_slots(0, 20.0, 1)), QUIET_MICROS);
    // Where the last run had left, there is nobody who may have.
    for run in &party.protocols {
        party.runtime.block_on(run.end_session(&party.connection)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(2200));
    assert!(quiet(&party.request_slots(0, 20.0, 1)) < QUIET_MICROS / 2);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_pause_applies_to_all_and_lowers_the_rate_once() {
    let party = ScriptFixture::new(2);
    party.request_slots(1, 20.0, 0);
    let rest = |seconds, cut| ExchangeRequest {
        pause: Some((Duration::from_secs(seconds), Limit::App, cut)),
        ..slot_request(20.0, 3)
    };
    let reply = party.exchange(0, &rest(60, true));
    let Some((left, cause)) = reply.pause else { panic!("{reply:?}") };
    assert!(
        left <= Duration::from_mins(1) && left > Duration::from_secs(30) && cause == Limit::App
    );
    assert_eq!((reply.slots.len(), reply.rate_factor), (0, 0.8));
    // Others meet the same limit at the same moment, and one a shorter rest.
    assert_eq!(Some(party.exchange(1, &rest(60, true)).rate_factor), Some(0.8));
    let reply = party.exchange(1, &rest(1, false));
    assert!(reply.slots.is_empty() && reply.pause.unwrap().0 > Duration::from_secs(28));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_number_is_claimed_by_one_run_and_its_answer_shared() {
    let party = ScriptFixture::new(2);
    let look = |claims| ExchangeRequest {
        queries: vec![("digest".into(), QueryMode { claim: claims, is_known_not_found: false })],
        ..slot_request(20.0, 1)
    };
    party.request_slots(1, 20.0, 0);
    assert_eq!(party.exchange(0, &look(false)).results, [QueryResult::Unclaimed]);
    let claimed = party.exchange(0, &ExchangeRequest { slot_demand: (0, 1), ..look(true) });
    assert_eq!(
        (claimed.results, claimed.slots.len()),
        (vec![QueryResult::Claimed], 1),
        "a slot for it comes along"
    );
    let other = party.exchange(1, &ExchangeRequest { slot_demand: (0, 1), ..look(true) });
    assert_eq!((other.results, other.slots.len()), (vec![QueryResult::ClaimedElsewhere], 0));
    assert_eq!(party.exchange(0, &look(true)).results, [QueryResult::Claimed], "its own");
    let answer = b"1000 sealed".to_vec();
    let settled = vec![("digest".to_owned(), answer.clone())];
    party.exchange(0, &ExchangeRequest { settled, ..slot_request(20.0, 0) });
    let bounds = |any, nobody| ExchangeRequest { oldest_allowed_ms: [any, nobody], ..look(true) };
    assert_eq!(
        party.exchange(1, &bounds(1000, 9999)).results,
        [QueryResult::Answer(answer.clone())]
    );
    assert_eq!(
        party.exchange(1, &bounds(1001, 0)).results,
        [QueryResult::Claimed],
        "it is too old"
    );
    let mut anew = bounds(0, 1001);
    anew.queries[0].1.is_known_not_found = true;
    assert_eq!(
        party.exchange(0, &anew).results,
        [QueryResult::ClaimedElsewhere],
        "too old for one that names nobody"
    );
    // The run that claimed it is gone.
    party.runtime.block_on(party.protocols[1].end_session(&party.connection)).unwrap();
    assert_eq!(party.exchange(0, &anew).results, [QueryResult::Claimed]);
}
