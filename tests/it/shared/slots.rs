//! The script on the server by itself, word by word and without waiting: which slots it promises to whom, of whatever rate, and
//! when it promises none.

use std::collections::BTreeSet;
use std::time::Duration;

use dingmap::testing::domain::Limit;
use dingmap::testing::quota::Link;
use dingmap::testing::quota::{How, Reply, Request, Talk, Told};
use redis::Client;
use tokio::runtime::{Builder, Runtime};

use crate::redis::Redis;

/// For so long a server that remembers nothing promises nothing, in microseconds.
const QUIET: u64 = 2_100_000;
const SECOND: u64 = 1_000_000;

/// Some runs of one app at a server.
struct Party {
    runtime: Runtime,
    redis: Redis,
    link: Link,
    runs: Vec<Talk>,
}

impl Party {
    fn of(runs: usize) -> Option<Self> {
        let redis = Redis::start()?;
        let link = Link::to(Client::open(redis.url()).unwrap());
        let runs = (0..runs)
            .map(|run| Talk::of("app".into(), ["https://h".into(), "k".into()], run.to_string()))
            .collect();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Some(Self { runtime, redis, link, runs })
    }

    fn say(&self, run: usize, request: &Request) -> Reply {
        self.runtime.block_on(self.runs[run].say(&self.link, request)).unwrap()
    }

    /// So many slots at a rate.
    fn ask(&self, run: usize, asked: f64, slots: usize) -> Reply {
        self.say(run, &request(asked, slots))
    }
}

fn request(asked: f64, slots: usize) -> Request {
    let due = (i64::try_from(slots).unwrap(), slots);
    Request { asked, keep: Duration::from_mins(1), due, ..Request::default() }
}

/// Slots that runs in random order ask for, so many in all, some of which are given back.
fn promised(party: &Party, rate: f64, count: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    let mut all = BTreeSet::new();
    while all.len() < count {
        let run = random.usize(..party.runs.len());
        let slots = party.ask(run, rate, random.usize(1..20)).slots;
        let last = all.last().copied().unwrap_or(0);
        assert!(slots.iter().all(|slot| *slot > last), "in order, and none twice");
        all.extend(&slots);
        if random.u8(..4) == 0 {
            let unused: Vec<_> = slots.into_iter().filter(|_| random.bool()).collect();
            assert!(unused.iter().all(|slot| all.remove(slot)));
            party.say(run, &Request { unused, ..request(rate, 0) });
        }
    }
    all.into_iter().collect()
}

#[test]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates up to a thousand"
)]
fn whatever_the_rate_and_whoever_asks_no_second_is_promised_to_more_calls() {
    for (seed, rate) in [0.3, 0.7, 1.0, 1.5, 2.5, 19.7, 20.0, 59.9, 60.0, 60.5, 61.0, 250.0, 1000.0]
        .into_iter()
        .enumerate()
    {
        let Some(party) = Party::of(3) else { return };
        let slots = promised(&party, rate, 400, &mut fastrand::Rng::with_seed(seed as u64));
        // Rounded up to whole calls, as for a single run; a call may be 8 ms late and its way differ by 13 ms more.
        let most = rate.ceil() as usize;
        for (first, next) in slots.iter().zip(&slots[most.min(slots.len())..]) {
            assert!(next - first >= SECOND + 21_000, "{rate}: {most} calls in {} µs", next - first);
        }
    }
}

#[test]
#[expect(
    clippy::cast_precision_loss,
    reason = "some hundreds of slots, and spans of minutes in microseconds"
)]
fn nearly_all_of_the_rate_is_promised() {
    for rate in [0.5, 1.0, 2.5, 20.0, 60.0, 61.0, 1000.0] {
        let Some(party) = Party::of(2) else { return };
        let count = if rate < 1.0 { 60 } else { 400 };
        let slots: Vec<u64> = (0..count).flat_map(|at| party.ask(at % 2, rate, 1).slots).collect();
        let took = (slots[slots.len() - 1] - slots[0]) as f64 / 1e6;
        let share = (slots.len() - 1) as f64 / took / rate;
        assert!((0.975..=1.0).contains(&share), "{rate}: {share}");
    }
}

#[test]
fn the_lowest_rate_of_all_rules_for_as_long_as_its_run_is_there() {
    let Some(party) = Party::of(3) else { return };
    assert_eq!(party.ask(0, 20.0, 0).others, 0);
    let reply = party.ask(1, 0.0, 0);
    assert_eq!((reply.others, reply.least), (1, 20.0));
    let reply = party.ask(2, 5.0, 0);
    assert_eq!((reply.others, reply.least), (2, 5.0));
    assert_eq!(Some(party.ask(1, 0.0, 0).least), Some(5.0));
    party.runtime.block_on(party.runs[2].leave(&party.link)).unwrap();
    let reply = party.ask(0, 20.0, 0);
    assert_eq!((reply.others, reply.least), (1, 20.0));
}

#[test]
fn a_server_that_remembers_nothing_promises_nothing_until_what_was_promised_is_over() {
    let Some(mut party) = Party::of(2) else { return };
    let quiet = |reply: &Reply| {
        let [slot] = reply.slots[..] else { panic!("{reply:?}") };
        slot.checked_sub(reply.now).unwrap()
    };
    let first = party.ask(0, 20.0, 1);
    assert_eq!(quiet(&first), QUIET, "nobody knows what was before");
    assert_eq!(party.ask(1, 20.0, 0).open, first.open);
    party.redis.call(&["SCRIPT", "FLUSH"]);
    assert_eq!(party.ask(0, 20.0, 0).open, first.open, "the script is no memory");
    party.redis.call(&["FLUSHALL"]);
    let second = party.ask(0, 20.0, 1);
    assert_eq!(quiet(&second), QUIET);
    assert_ne!(second.open, first.open, "what was promised before is taken back");
    party.redis.kill();
    party.redis.start_anew();
    // The first word finds the connection gone.
    let lost = party.runtime.block_on(party.runs[0].say(&party.link, &request(20.0, 0)));
    assert!(lost.is_err());
    assert_eq!(quiet(&party.ask(1, 20.0, 1)), QUIET);
    // A server that was started anew from a copy of its data is another one all the same.
    party.redis.call(&["HSET", "dingmap:1:app:pace", "server", "another"]);
    assert_eq!(quiet(&party.ask(1, 20.0, 1)), QUIET);
    // So is one whose clock was set back, and one that nobody heard of for a while: all may have gone on by themselves.
    let ahead = (second.now + 3600 * SECOND).to_string();
    party.redis.call(&["HSET", "dingmap:1:app:pace", "last", &ahead]);
    assert_eq!(quiet(&party.ask(1, 20.0, 1)), QUIET);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(quiet(&party.ask(0, 20.0, 1)), QUIET);
    // Where the last run had left, there is nobody who may have.
    for run in &party.runs {
        party.runtime.block_on(run.leave(&party.link)).unwrap();
    }
    std::thread::sleep(Duration::from_millis(2200));
    assert!(quiet(&party.ask(0, 20.0, 1)) < QUIET / 2);
}

#[test]
fn a_rest_holds_all_until_its_end_and_the_rate_goes_down_once() {
    let Some(party) = Party::of(2) else { return };
    party.ask(1, 20.0, 0);
    let rest = |seconds, cut| Request {
        rest: Some((Duration::from_secs(seconds), Limit::App, cut)),
        ..request(20.0, 3)
    };
    let reply = party.say(0, &rest(60, true));
    let Some((left, cause)) = reply.rest else { panic!("{reply:?}") };
    assert!(
        left <= Duration::from_mins(1) && left > Duration::from_secs(59) && cause == Limit::App
    );
    assert_eq!((reply.slots.len(), reply.share), (0, 0.8));
    // Others meet the same limit at the same moment, and one a shorter rest.
    assert_eq!(Some(party.say(1, &rest(60, true)).share), Some(0.8));
    let reply = party.say(1, &rest(1, false));
    assert!(reply.slots.is_empty() && reply.rest.unwrap().0 > Duration::from_secs(58));
}

#[test]
fn a_number_is_asked_by_one_run_and_known_to_all() {
    let Some(party) = Party::of(2) else { return };
    let look = |claims| Request {
        looks: vec![("digest".into(), How { claims, nobody: false })],
        ..request(20.0, 1)
    };
    party.ask(1, 20.0, 0);
    assert_eq!(party.say(0, &look(false)).told, [Told::Nothing]);
    let claimed = party.say(0, &Request { due: (0, 1), ..look(true) });
    assert_eq!(
        (claimed.told, claimed.slots.len()),
        (vec![Told::Claimed], 1),
        "a slot for it comes along"
    );
    let other = party.say(1, &Request { due: (0, 1), ..look(true) });
    assert_eq!((other.told, other.slots.len()), (vec![Told::Elsewhere], 0));
    assert_eq!(party.say(0, &look(true)).told, [Told::Claimed], "its own");
    let answer = b"1000 sealed".to_vec();
    let settled = vec![("digest".to_owned(), answer.clone())];
    party.say(0, &Request { settled, ..request(20.0, 0) });
    let bounds = |any, nobody| Request { bounds: [any, nobody], ..look(true) };
    assert_eq!(party.say(1, &bounds(1000, 9999)).told, [Told::Answer(answer.clone())]);
    assert_eq!(party.say(1, &bounds(1001, 0)).told, [Told::Claimed], "it is too old");
    let mut anew = bounds(0, 1001);
    anew.looks[0].1.nobody = true;
    assert_eq!(party.say(0, &anew).told, [Told::Elsewhere], "too old for one that names nobody");
    // The run that claimed it is gone.
    party.runtime.block_on(party.runs[1].leave(&party.link)).unwrap();
    assert_eq!(party.say(0, &anew).told, [Told::Claimed]);
}
