//! Whole runs on a paused clock: rows, faults, throttling, tokens and stops drawn from a seed, and
//! the promises checked after each. The seeds that fail are printed, and one can be run alone:
//! `DINGMAP_SEED=17 cargo test simulated`. More of them run with
//! `DINGMAP_SEEDS=5000..10000 cargo test --release simulated`; `DINGMAP_SEED_TIME=90s` ends that
//! after this time and prints how far it came.

use std::collections::{HashMap, HashSet};
use std::env;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::CallError;
use dingmap::testing::api::LocalLimiter;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Reply;
use dingmap::testing::api::Shortage;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Invalid;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::Totals;
use dingmap::testing::domain::{DefaultRegion, MainlandFormat, Mobile};
use dingmap::testing::engine::Event;
use dingmap::testing::engine::RoundRobinReceiver;
use dingmap::testing::engine::{Answer, Chunk};
use dingmap::testing::engine::{BATCH_ROWS, RowBatch, RunLimits};
use dingmap::testing::engine::{RunEnd, Stop};
use dingmap::testing::engine::{RunIo, run};
use dingmap::testing::store::Answers;
use dingmap::testing::store::Prefetched;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::support::sim_harness;

/// A simulated API whose replies, latencies and faults are drawn from the seed.
struct SimulatedApi {
    state: Mutex<SimulatedState>,
    /// Calls in any second above which the run has broken its promise.
    max_calls_per_second: usize,
    /// Calls that a token is good for.
    calls_per_token: u64,
    injects_faults: bool,
}

struct SimulatedState {
    rng: fastrand::Rng,
    /// Every call: when, and of which number.
    calls: Vec<(Instant, Mobile)>,
    /// Numbers that are being asked at this moment.
    in_flight: HashSet<Mobile>,
    /// No call may come before this.
    paused_until: Option<Instant>,
    token: u64,
    token_uses: u64,
    /// Token requests that failed since the last token.
    token_failures: u32,
    violations: Vec<String>,
    calls_by_number: HashMap<Mobile, NumberCalls>,
    /// Set where this machine fails now and then, and replies come twice.
    oddities: Option<Oddities>,
}

/// Drawn by dice of their own, so that the seeds of the other runs keep their meaning.
struct Oddities {
    rng: fastrand::Rng,
    replies: u64,
    /// Connections that no call uses, the last used one last.
    idle: Vec<SimulatedConnection>,
    connections: u16,
    /// How often the run went over to new connections.
    resets: u32,
}

struct SimulatedConnection {
    port: u16,
    resets: u32,
    /// A reply that the next call on it meets in place of its own.
    extra: Option<Reply>,
}

impl Oddities {
    /// A failure of this machine, or the reply to a call on some connection: this body with an id
    /// of its own, HTTP 408, or the reply that was sent too many.
    fn reply(&mut self, body: &str) -> (Result<Reply, CallError>, Option<SimulatedConnection>) {
        let fault = self.rng.u8(..100);
        if fault < 2 {
            return (Err(CallError::Machine(Shortage::Descriptors, "none left".into())), None);
        }
        let mut connection = self.idle.pop().unwrap_or_else(|| {
            self.connections += 1;
            SimulatedConnection { port: self.connections, resets: self.resets, extra: None }
        });
        self.replies += 1;
        let id = format!(r#"{{"request_id":"r{}","#, self.replies);
        let address = Some(([127, 0, 0, 1], connection.port).into());
        let own = json_reply(body.replacen('{', &id, 1)).unwrap();
        let own = Reply { connection: address, ..own };
        let timeout_reply = Reply { status: 408, body: "".into(), ..own.clone() };
        let reply = match (connection.extra.take(), fault) {
            (Some(extra), _) => {
                connection.extra = Some(own);
                extra
            }
            (None, 2..5) => {
                connection.extra = Some(own.clone());
                own
            }
            (None, 5) => {
                connection.extra = Some(own);
                timeout_reply
            }
            (None, 6) => timeout_reply,
            _ => own,
        };
        (Ok(reply), Some(connection))
    }

    fn release(&mut self, connection: SimulatedConnection) {
        if connection.resets == self.resets {
            self.idle.push(connection);
        }
    }
}

/// The calls of one number, by what they use up.
#[derive(Default)]
struct NumberCalls {
    has_replayed_token: bool,
    refused_streams: u32,
    attempts: u32,
}

impl NumberCalls {
    fn count(&mut self, is_throttled: bool, result: &Result<Reply, CallError>) {
        if is_throttled || matches!(result, Err(CallError::Machine(..))) {
            return;
        }
        let is_token_rejected =
            |reply: &Reply| String::from_utf8_lossy(&reply.body).contains("40014");
        match result {
            Err(CallError::RefusedStream(_)) if self.refused_streams < 3 => {
                self.refused_streams += 1;
            }
            Ok(reply) if is_token_rejected(reply) && !self.has_replayed_token => {
                self.has_replayed_token = true;
            }
            _ => self.attempts += 1,
        }
    }
}

impl SimulatedState {
    /// One of the answers that throttle, and for how many seconds nobody may call.
    fn throttled_reply(&mut self) -> (u64, Result<Reply, CallError>) {
        match self.rng.u8(..5) {
            0 => (1, json_reply(r#"{"errcode":88,"sub_code":"90018","sub_msg":"slow down"}"#)),
            1 => (1, json_reply(r#"{"errcode":90002,"errmsg":"all too many"}"#)),
            2 => (60, json_reply(r#"{"errcode":90006,"errmsg":"a minute"}"#)),
            3 => (300, json_reply(r#"{"status":1111,"punish":"deny"}"#)),
            _ => {
                let seconds = self.rng.u64(1..20);
                let retry_after = Some(Duration::from_secs(seconds));
                (seconds, Ok(Reply { retry_after, ..sim_harness::http_reply(429, "") }))
            }
        }
    }
}

impl SimulatedApi {
    fn new(seed: u64, limit: usize, faulty: bool) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let token_life = dice.u64(20..200);
        let state = SimulatedState {
            rng: dice,
            calls: Vec::new(),
            in_flight: HashSet::new(),
            paused_until: None,
            token: 0,
            token_uses: 0,
            token_failures: 0,
            violations: Vec::new(),
            calls_by_number: HashMap::new(),
            oddities: None,
        };
        Self {
            state: Mutex::new(state),
            max_calls_per_second: limit,
            calls_per_token: token_life,
            injects_faults: faulty,
        }
    }

    fn with_oddities(self, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 2);
        self.state.lock().unwrap().oddities =
            Some(Oddities { rng, replies: 0, idle: Vec::new(), connections: 0, resets: 0 });
        self
    }

    /// What the directory holds for a number: by its last digit.
    fn true_answer(mobile: Mobile) -> (Status, String) {
        let number = mobile.to_api_string(MainlandFormat::Plain);
        match number.as_bytes().last() {
            Some(b'0') => (Status::NotFound, String::new()),
            Some(b'1') => (Status::BadNumber, String::new()),
            _ => (Status::Found, format!("u{number}")),
        }
    }

    fn reply_body(mobile: Mobile) -> String {
        match Self::true_answer(mobile) {
            (Status::NotFound, _) => r#"{"errcode":60121,"errmsg":"none"}"#.to_owned(),
            (Status::BadNumber, _) => {
                r#"{"errcode":88,"sub_code":"40104","sub_msg":"bad"}"#.to_owned()
            }
            (_, id) => format!(r#"{{"errcode":0,"errmsg":"ok","result":{{"userid":"{id}"}}}}"#),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is used as a call's result")]
fn json_reply(body: impl Into<String>) -> Result<Reply, CallError> {
    Ok(sim_harness::http_reply(200, body))
}

impl LookupApi for SimulatedApi {
    async fn lookup(&self, mobile: Mobile, token: &SecretString) -> Result<Reply, CallError> {
        let (latency, result, connection) = {
            let mut state = self.state.lock().unwrap();
            let now = Instant::now();
            if state.paused_until.is_some_and(|shut| now < shut) {
                state.violations.push("a call during a hold".into());
            }
            if !state.in_flight.insert(mobile) {
                state.violations.push("two calls of one number at once".into());
            }
            state.calls.push((now, mobile));
            state.token_uses += 1;
            let since = |past: &&(Instant, Mobile)| now - past.0 < Duration::from_secs(1);
            if state.calls.iter().rev().take_while(since).count() > self.max_calls_per_second {
                state.violations.push("more calls in a second than the rate".into());
            }
            let fresh = token.expose_secret() == state.token.to_string()
                && state.token_uses <= self.calls_per_token;
            let fault = if self.injects_faults { state.rng.u8(..100) } else { 100 };
            let (mut throttled, mut connection) = (false, None);
            let result = match fault {
                _ if !fresh => {
                    json_reply(r#"{"errcode":88,"sub_code":"40014","sub_msg":"expired"}"#)
                }
                0..6 => json_reply(r#"{"errcode":-1,"errmsg":"busy"}"#),
                6 => json_reply("<html>proxy</html>"),
                7 => Err(CallError::TimedOut(Duration::from_secs(10))),
                8 => Ok(sim_harness::http_reply(502, "")),
                9 if state.rng.bool() => Err(CallError::ConnectionLost("reset".into())),
                9 => Err(CallError::RefusedStream("goodbye".into())),
                10 if state.paused_until.is_none_or(|shut| shut <= now) => {
                    throttled = true;
                    let (seconds, reply) = state.throttled_reply();
                    state.paused_until = Some(now + Duration::from_secs(seconds));
                    reply
                }
                11 if state.rng.u8(..20) == 0 => {
                    state.in_flight.remove(&mobile);
                    drop(state);
                    std::panic::resume_unwind(Box::new("a bug in a call, as the test wants it"));
                }
                _ => match &mut state.oddities {
                    Some(oddities) => {
                        let (result, used) = oddities.reply(&Self::reply_body(mobile));
                        connection = used;
                        result
                    }
                    None => json_reply(Self::reply_body(mobile)),
                },
            };
            state.calls_by_number.entry(mobile).or_default().count(throttled, &result);
            let latency = match &result {
                Err(CallError::TimedOut(timeout)) => *timeout,
                // A throttling reply takes no time, so that the run sends no call before it knows
                // of the limit.
                Ok(_) if throttled => Duration::ZERO,
                _ => Duration::from_millis(state.rng.u64(1..300)),
            };
            (latency, result, connection)
        };
        tokio::time::sleep(latency).await;
        let mut state = self.state.lock().unwrap();
        state.in_flight.remove(&mobile);
        if let (Some(oddities), Some(connection)) = (&mut state.oddities, connection) {
            oddities.release(connection);
        }
        result
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        tokio::time::sleep(Duration::from_millis(80)).await;
        let mut state = self.state.lock().unwrap();
        // An outage that outlasts every attempt ends a run, as it must, and would hide what else
        // this seed can find.
        let max_failures = sim_harness::default_limits().retry_policy.max_retries;
        let is_outage = self.injects_faults && state.rng.u8(..10) == 0;
        if is_outage && state.token_failures < max_failures {
            state.token_failures += 1;
            return Err(TokenError::Transient { reason: "outage".into(), answered: true });
        }
        state.token += 1;
        (state.token_uses, state.token_failures) = (0, 0);
        Ok(AccessToken {
            token: state.token.to_string().into(),
            renew_after: Some(Duration::from_mins(110)),
        })
    }

    fn token_call_count(&self) -> u64 {
        0
    }

    fn can_renew_token(&self) -> bool {
        true
    }

    fn reset_connections(&self) {
        if let Some(oddities) = &mut self.state.lock().unwrap().oddities {
            oddities.idle.clear();
            oddities.resets += 1;
        }
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

/// The numbers of a row, of which every row of a run has the same count.
type RowNumbers = Vec<Result<Mobile, Invalid>>;

/// Rows with repeats and refusals, as many as asked; in every third run with several numbers each.
fn random_rows(dice: &mut fastrand::Rng, count: usize) -> Vec<RowNumbers> {
    let pool = dice.u64(1..=count as u64);
    let per_row = if dice.u8(..3) == 0 { dice.usize(2..=4) } else { 1 };
    let mut number = || match dice.u8(..20) {
        0 => Mobile::parse("离职", DefaultRegion::CHINA),
        _ => Mobile::parse(&format!("138{:08}", dice.u64(..pool)), DefaultRegion::CHINA),
    };
    (0..count).map(|_| (0..per_row).map(|_| number()).collect()).collect()
}

fn limits_for_seed(seed: u64) -> RunLimits {
    RunLimits { patience: Duration::from_hours(100), seed, ..sim_harness::default_limits() }
}

/// What came out of a run: for each row which of its numbers was answered, a status and a user id.
struct SimResult {
    totals: Totals,
    end: RunEnd,
    answers: Vec<(usize, Status, String)>,
    api: Arc<SimulatedApi>,
    /// The most rows that were in the run at one moment.
    max_rows_inside: u64,
}

/// Plays a run. The rows come in batches of any size, and the consumer takes its time now and then.
fn simulate(
    world: SimulatedApi,
    settings: RunLimits,
    rate: &str,
    rows: Vec<RowNumbers>,
    stop_after: Option<Duration>,
) -> SimResult {
    let world = Arc::new(world);
    let remote = Arc::clone(&world);
    sim_harness::paused_runtime().block_on(async move {
        let (batches_in, batches) = mpsc::channel::<Result<Option<RowBatch<()>>, String>>(1);
        let (chunks, mut chunks_out) = mpsc::channel::<Chunk<()>>(2);
        let (stop, stopped) = watch::channel(Stop::Running);
        let mut dice = fastrand::Rng::with_seed(settings.seed ^ 1);
        let feeding = tokio::spawn(async move {
            let per_row = NonZeroUsize::new(rows[0].len()).unwrap();
            let mut rows = rows.into_iter();
            loop {
                let numbers: Vec<_> =
                    rows.by_ref().take(dice.usize(1..=BATCH_ROWS)).flatten().collect();
                let earlier = Vec::new();
                let batch = (!numbers.is_empty()).then_some(RowBatch {
                    source_bytes: 0,
                    payload: (),
                    mobiles: numbers,
                    numbers_per_row: per_row,
                    judgements: earlier,
                    prefetched: Prefetched::default(),
                });
                let ends = batch.is_none();
                if batches_in.send(Ok(batch)).await.is_err() || ends {
                    return;
                }
            }
        });
        let taking = tokio::spawn(async move {
            let mut out = Vec::new();
            while let Some(chunk) = chunks_out.recv().await {
                out.extend(chunk.answers.iter().map(|Answer { nth, outcome: of, .. }| {
                    (*nth, of.status, of.userid.to_string())
                }));
                if out.len() % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
            }
            out
        });
        if let Some(after) = stop_after {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let _ = stop.send(Stop::Graceful);
                std::future::pending::<()>().await;
            });
        }
        let (mut read, mut settled, mut most_inside) = (0_u64, 0_u64, 0);
        let announce = |event: &Event| {
            match event {
                Event::RowsRead(rows) => read += rows,
                Event::Settled(_) => settled += 1,
                _ => {}
            }
            most_inside = most_inside.max(read - settled);
        };
        let pace = Box::new(LocalLimiter::new(rate.parse().unwrap()));
        let mut known = Answers::default();
        let mut batches = RoundRobinReceiver::from(batches);
        let ends = RunIo { batches: &mut batches, chunks };
        let run = run::run(settings, remote, pace, &mut known, ends, stopped, announce);
        let (report, end) = run.await;
        let end = end.unwrap();
        drop(batches);
        feeding.await.unwrap();
        let out = taking.await.unwrap();
        SimResult { totals: report, end, answers: out, api: world, max_rows_inside: most_inside }
    })
}

/// What holds for every run, however it ended.
fn check_invariants(seed: u64, rows: &[RowNumbers], played: &SimResult) {
    let state = played.api.state.lock().unwrap();
    assert_eq!(state.violations, Vec::<String>::new(), "seed {seed}");
    assert!(
        played.answers.len() <= rows.len(),
        "seed {seed}: {} of {}",
        played.answers.len(),
        rows.len()
    );
    for (at, ((nth, status, userid), row)) in played.answers.iter().zip(rows).enumerate() {
        let actual = (*status, userid.clone());
        match (&row[*nth], status) {
            (Err(_), _) => {
                assert_eq!(actual, (Status::Invalid, String::new()), "seed {seed}, row {at}");
                assert!(
                    row.iter().all(Result::is_err),
                    "seed {seed}, row {at}: a number was not tried"
                );
            }
            (Ok(_), Status::Failed | Status::Pending) => {
                assert_eq!(userid, "", "seed {seed}, row {at}");
            }
            (Ok(mobile), _) => {
                assert_eq!(actual, SimulatedApi::true_answer(*mobile), "seed {seed}, row {at}");
            }
        }
        let nobody = |number: &Mobile| SimulatedApi::true_answer(*number).0 != Status::Found;
        assert!(
            row[..*nth].iter().flatten().all(nobody),
            "seed {seed}, row {at}: a number was passed over"
        );
        if matches!(status, Status::NotFound | Status::BadNumber) {
            let rest = row[nth + 1..].iter().flatten();
            let new: Vec<_> = rest.filter(|number| !row[..=*nth].contains(&Ok(**number))).collect();
            assert!(new.is_empty(), "seed {seed}, row {at}: a number was not tried");
        }
    }
    let mut by_number = HashMap::<_, HashSet<_>>::new();
    for ((nth, status, _), row) in played.answers.iter().zip(rows) {
        if let Ok(mobile) = row[*nth] {
            by_number.entry(mobile).or_default().insert(*status);
        }
    }
    let of_two_minds = by_number.values().filter(|statuses| statuses.len() > 1).count();
    let ended_early = !matches!(played.end, RunEnd::Finished);
    assert!(ended_early || of_two_minds == 0, "seed {seed}: rows of one number differ");
    let max_attempts = 1 + sim_harness::default_limits().retry_policy.max_retries;
    let attempts = state.calls_by_number.values().map(|calls| calls.attempts).max();
    assert!(attempts <= Some(max_attempts), "seed {seed}: {attempts:?} attempts for one number");
    let asked: HashSet<_> = state.calls.iter().map(|(_, mobile)| *mobile).collect();
    assert_eq!(played.totals.calls, state.calls.len() as u64, "seed {seed}");
    assert_eq!(played.totals.calls, asked.len() as u64 + played.totals.retries(), "seed {seed}");
    assert!(played.max_rows_inside <= 1024, "seed {seed}: {}", played.max_rows_inside);
}

/// The usual seeds, or those that `DINGMAP_SEEDS` names, or the one of `DINGMAP_SEED`.
fn selected_seeds() -> Range<u64> {
    const USUAL: u64 = 150;
    let number = |text: &str| text.parse::<u64>().unwrap();
    match (env::var("DINGMAP_SEED"), env::var("DINGMAP_SEEDS")) {
        (Ok(alone), _) => number(&alone)..number(&alone) + 1,
        (_, Ok(many)) => match many.split_once("..") {
            Some((from, to)) => number(from)..if to.is_empty() { u64::MAX } else { number(to) },
            None => 0..number(&many),
        },
        _ => 0..USUAL,
    }
}

/// Checks a kind of run with every seed, also after one that fails, so that one pass over many
/// seeds finds all that fail.
fn for_each_seed(kind: &str, check: fn(u64)) {
    const MOST_FAILURES: usize = 50;
    let started = std::time::Instant::now();
    let time = env::var("DINGMAP_SEED_TIME").map(|text| humantime::parse_duration(&text).unwrap());
    let time = time.unwrap_or(Duration::MAX);
    let (seeds, mut failed) = (selected_seeds(), Vec::new());
    let mut next = seeds.start;
    while next < seeds.end && started.elapsed() < time && failed.len() < MOST_FAILURES {
        if catch_unwind(|| check(next)).is_err() {
            failed.push(next);
        }
        next += 1;
    }
    println!("{kind}: seeds {} to {}", seeds.start, next - 1);
    assert!(failed.is_empty(), "{kind}: these seeds fail, see DINGMAP_SEED: {failed:?}");
}

#[test]
fn simulated_runs_lose_no_row_and_keep_the_rate() {
    for_each_seed("runs", check_run);
}

#[test]
fn simulated_failures_of_this_machine_and_repeated_replies_cost_no_row() {
    for_each_seed("oddities", |seed| check_run_with(seed, |api| api.with_oddities(seed)));
}

fn check_run(seed: u64) {
    check_run_with(seed, |api| api);
}

fn check_run_with(seed: u64, change: impl FnOnce(SimulatedApi) -> SimulatedApi) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let count = dice.usize(1..600);
    let rows = random_rows(&mut dice, count);
    let rate = [20, 40, 60][dice.usize(..3)];
    let world = change(SimulatedApi::new(seed, rate, true));
    let played = simulate(world, limits_for_seed(seed), &rate.to_string(), rows.clone(), None);
    assert!(matches!(played.end, RunEnd::Finished), "seed {seed}: {:?}", played.end);
    assert_eq!(played.answers.len(), rows.len(), "seed {seed}");
    played.totals.check().unwrap();
    check_invariants(seed, &rows, &played);
    let needed =
        rows.iter().zip(&played.answers).flat_map(|(row, (nth, ..))| row[..=*nth].iter().flatten());
    let distinct: HashSet<_> = needed.collect();
    assert_eq!(played.totals.numbers_asked, distinct.len() as u64, "seed {seed}");
}

#[test]
fn simulated_stops_leave_a_correct_prefix_or_a_complete_table() {
    for_each_seed("stops", check_stopped_run);
}

fn check_stopped_run(seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let count = dice.usize(200..600);
    let rows = random_rows(&mut dice, count);
    let partial = dice.bool();
    let most_calls = dice.bool().then(|| dice.u64(..200));
    let bounds = RunLimits { partial, max_calls: most_calls, ..limits_for_seed(seed) };
    let stop = Duration::from_millis(dice.u64(..20_000));
    let played =
        simulate(SimulatedApi::new(seed, 20, true), bounds, "20", rows.clone(), Some(stop));
    check_invariants(seed, &rows, &played);
    if matches!(played.end, RunEnd::Finished | RunEnd::CallLimitReached) || partial {
        assert_eq!(played.answers.len(), rows.len(), "seed {seed}: every row is handed on");
        played.totals.check().unwrap();
    }
    let most = most_calls.unwrap_or(u64::MAX);
    assert!(played.totals.calls <= most, "seed {seed}: {} calls", played.totals.calls);
}

#[test]
fn a_number_that_meets_the_end_of_two_tokens_does_not_end_the_run() {
    // Seeds with which a number did, when that counted as a rejected new token.
    for seed in [991, 1061] {
        check_run(seed);
    }
}

#[test]
fn simulated_runs_use_the_rate_while_there_is_work() {
    let rows = (0..2000)
        .map(|n| vec![Mobile::parse(&format!("138{n:08}"), DefaultRegion::CHINA)])
        .collect();
    let mut world = SimulatedApi::new(1, 20, false);
    world.calls_per_token = u64::MAX;
    let played = simulate(world, limits_for_seed(1), "20", rows, None);
    let state = played.api.state.lock().unwrap();
    let span = state.calls[state.calls.len() - 1].0 - state.calls[0].0;
    let share = 1999.0 / span.as_secs_f64() / 20.0;
    assert!(share >= 0.985, "{share}");
}
