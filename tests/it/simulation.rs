//! Whole runs on a paused clock: rows, faults, throttling, tokens and stops drawn from a seed, and the promises checked
//! after each. A seed that fails is printed and can be run alone, `DINGMAP_SEED=17 cargo test simulated`; more of them
//! run with `DINGMAP_SEEDS=5000 cargo test --release simulated`.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::Fault;
use dingmap::testing::api::Pace;
use dingmap::testing::api::Remote;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{Grant, NoToken, TokenCall};
use dingmap::testing::domain::Refusal;
use dingmap::testing::domain::Report;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::{Home, Mainland, Mobile};
use dingmap::testing::engine::Event;
use dingmap::testing::engine::Inlet;
use dingmap::testing::engine::{Answer, Chunk};
use dingmap::testing::engine::{End, Halt};
use dingmap::testing::engine::{Ends, run};
use dingmap::testing::engine::{SHEET, Settings, Sheet};
use dingmap::testing::store::Foreseen;
use dingmap::testing::store::Known;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::stage;

/// A far side with a will of its own, all of it drawn from the seed.
struct World {
    state: Mutex<State>,
    /// Calls in any second above which the run has broken its promise.
    limit: usize,
    /// Calls that a token is good for.
    token_life: u64,
    faulty: bool,
}

struct State {
    dice: fastrand::Rng,
    /// Every call: when, and of which number.
    calls: Vec<(Instant, Mobile)>,
    /// Numbers that are being asked at this moment.
    open: HashSet<Mobile>,
    /// No call may come before this.
    shut: Option<Instant>,
    token: u64,
    used: u64,
    broken: Vec<String>,
}

impl State {
    /// One of the answers that throttle, and for how many seconds nobody may call.
    fn throttle(&mut self) -> (u64, Result<Reply, Fault>) {
        match self.dice.u8(..5) {
            0 => (1, json(r#"{"errcode":88,"sub_code":"90018","sub_msg":"slow down"}"#)),
            1 => (1, json(r#"{"errcode":90002,"errmsg":"all too many"}"#)),
            2 => (60, json(r#"{"errcode":90006,"errmsg":"a minute"}"#)),
            3 => (300, json(r#"{"status":1111,"punish":"deny"}"#)),
            _ => {
                let seconds = self.dice.u64(1..20);
                let retry_after = Some(Duration::from_secs(seconds));
                (seconds, Ok(Reply { status: 429, retry_after, leads_to: None, body: "".into() }))
            }
        }
    }
}

impl World {
    fn new(seed: u64, limit: usize, faulty: bool) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let token_life = dice.u64(20..200);
        let state = State {
            dice,
            calls: Vec::new(),
            open: HashSet::new(),
            shut: None,
            token: 0,
            used: 0,
            broken: Vec::new(),
        };
        Self { state: Mutex::new(state), limit, token_life, faulty }
    }

    /// What the directory holds for a number: by its last digit.
    fn truth(mobile: Mobile) -> (Status, String) {
        let number = mobile.sent(Mainland::Plain);
        match number.as_bytes().last() {
            Some(b'0') => (Status::NotFound, String::new()),
            Some(b'1') => (Status::BadNumber, String::new()),
            _ => (Status::Found, format!("u{number}")),
        }
    }

    fn body(mobile: Mobile) -> String {
        match Self::truth(mobile) {
            (Status::NotFound, _) => r#"{"errcode":60121,"errmsg":"none"}"#.to_owned(),
            (Status::BadNumber, _) => {
                r#"{"errcode":88,"sub_code":"40104","sub_msg":"bad"}"#.to_owned()
            }
            (_, id) => format!(r#"{{"errcode":0,"errmsg":"ok","result":{{"userid":"{id}"}}}}"#),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for a call's result")]
fn json(body: impl Into<String>) -> Result<Reply, Fault> {
    Ok(Reply { status: 200, retry_after: None, leads_to: None, body: body.into().into() })
}

impl Remote for World {
    async fn lookup(&self, mobile: Mobile, token: &SecretString) -> Result<Reply, Fault> {
        let (latency, result) = {
            let mut state = self.state.lock().unwrap();
            let now = Instant::now();
            if state.shut.is_some_and(|shut| now < shut) {
                state.broken.push("a call during a hold".into());
            }
            if !state.open.insert(mobile) {
                state.broken.push("two calls of one number at once".into());
            }
            state.calls.push((now, mobile));
            state.used += 1;
            let since = |past: &&(Instant, Mobile)| now - past.0 < Duration::from_secs(1);
            if state.calls.iter().rev().take_while(since).count() > self.limit {
                state.broken.push("more calls in a second than the rate".into());
            }
            let fresh =
                token.expose_secret() == state.token.to_string() && state.used <= self.token_life;
            let fault = if self.faulty { state.dice.u8(..100) } else { 100 };
            let mut throttled = false;
            let result = match fault {
                _ if !fresh => json(r#"{"errcode":88,"sub_code":"40014","sub_msg":"expired"}"#),
                0..6 => json(r#"{"errcode":-1,"errmsg":"busy"}"#),
                6 => json("<html>proxy</html>"),
                7 => Err(Fault::Late(Duration::from_secs(10))),
                8 => Ok(Reply { status: 502, retry_after: None, leads_to: None, body: "".into() }),
                9 if state.dice.bool() => Err(Fault::Broken("reset".into())),
                9 => Err(Fault::Declined("goodbye".into())),
                10 if state.shut.is_none_or(|shut| shut <= now) => {
                    throttled = true;
                    let (seconds, reply) = state.throttle();
                    state.shut = Some(now + Duration::from_secs(seconds));
                    reply
                }
                11 if state.dice.u8(..20) == 0 => {
                    state.open.remove(&mobile);
                    drop(state);
                    std::panic::resume_unwind(Box::new("a bug in a call, as the test wants it"));
                }
                _ => json(Self::body(mobile)),
            };
            let latency = match &result {
                Err(Fault::Late(timeout)) => *timeout,
                // A refusal that shuts the door is heard at once, so that no honest call can be under way to it.
                Ok(_) if throttled => Duration::ZERO,
                _ => Duration::from_millis(state.dice.u64(1..300)),
            };
            (latency, result)
        };
        tokio::time::sleep(latency).await;
        self.state.lock().unwrap().open.remove(&mobile);
        result
    }

    async fn token(&self, _: TokenCall) -> Result<Grant, NoToken> {
        tokio::time::sleep(Duration::from_millis(80)).await;
        let mut state = self.state.lock().unwrap();
        if self.faulty && state.dice.u8(..10) == 0 {
            return Err(NoToken::Transient { reason: "outage".into(), answered: true });
        }
        state.token += 1;
        state.used = 0;
        Ok(Grant {
            token: state.token.to_string().into(),
            fresh_for: Some(Duration::from_mins(110)),
        })
    }

    fn token_calls(&self) -> u64 {
        0
    }

    fn renews(&self) -> bool {
        true
    }

    fn hide(&self, text: String) -> String {
        text
    }
}

/// The numbers of a row, of which every row of a run has the same count.
type Row = Vec<Result<Mobile, Refusal>>;

/// Rows with repeats and refusals, as many as asked; in every third run with several numbers each.
fn input(dice: &mut fastrand::Rng, count: usize) -> Vec<Row> {
    let pool = dice.u64(1..=count as u64);
    let per_row = if dice.u8(..3) == 0 { dice.usize(2..=4) } else { 1 };
    let mut number = || match dice.u8(..20) {
        0 => Mobile::parse("离职", Home::CHINA),
        _ => Mobile::parse(&format!("138{:08}", dice.u64(..pool)), Home::CHINA),
    };
    (0..count).map(|_| (0..per_row).map(|_| number()).collect()).collect()
}

fn settings(seed: u64) -> Settings {
    Settings { patience: Duration::from_hours(100), seed, ..stage::settings() }
}

/// What came out of a run: for each row which of its numbers was answered, a status and a user id.
struct Played {
    report: Report,
    end: End,
    out: Vec<(usize, Status, String)>,
    world: Arc<World>,
    /// The most rows that were in the run at one moment.
    most_inside: u64,
}

/// Plays a run. The rows come in sheets of any size, and the consumer takes its time now and then.
fn play(
    world: World,
    settings: Settings,
    rate: &str,
    rows: Vec<Row>,
    stop_after: Option<Duration>,
) -> Played {
    let world = Arc::new(world);
    let remote = Arc::clone(&world);
    stage::paused().block_on(async move {
        let (sheets_in, sheets) = mpsc::channel::<Result<Option<Sheet<()>>, String>>(1);
        let (chunks, mut chunks_out) = mpsc::channel::<Chunk<()>>(2);
        let (stop, stopped) = watch::channel(Halt::No);
        let mut dice = fastrand::Rng::with_seed(settings.seed ^ 1);
        let feeding = tokio::spawn(async move {
            let per_row = NonZeroUsize::new(rows[0].len()).unwrap();
            let mut rows = rows.into_iter();
            loop {
                let numbers: Vec<_> = rows.by_ref().take(dice.usize(1..=SHEET)).flatten().collect();
                let earlier = Vec::new();
                let sheet = (!numbers.is_empty()).then_some(Sheet {
                    load: (),
                    numbers,
                    per_row,
                    earlier,
                    foreseen: Foreseen::default(),
                });
                let ends = sheet.is_none();
                if sheets_in.send(Ok(sheet)).await.is_err() || ends {
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
                let _ = stop.send(Halt::Soon);
                std::future::pending::<()>().await;
            });
        }
        let (mut read, mut settled, mut most_inside) = (0_u64, 0_u64, 0);
        let announce = |event: &Event| {
            match event {
                Event::Read(rows) => read += rows,
                Event::Settled(_) => settled += 1,
                _ => {}
            }
            most_inside = most_inside.max(read - settled);
        };
        let pace = Box::new(Pace::new(rate.parse().unwrap()));
        let mut known = Known::default();
        let mut sheets = Inlet::from(sheets);
        let ends = Ends { sheets: &mut sheets, chunks };
        let run = run::run(settings, remote, pace, &mut known, ends, stopped, announce);
        let (report, end) = run.await;
        let end = end.unwrap();
        drop(sheets);
        feeding.await.unwrap();
        let out = taking.await.unwrap();
        Played { report, end, out, world, most_inside }
    })
}

/// What holds for every run, however it ended.
fn check(seed: u64, rows: &[Row], played: &Played) {
    let state = played.world.state.lock().unwrap();
    assert_eq!(state.broken, Vec::<String>::new(), "seed {seed}");
    assert!(played.out.len() <= rows.len(), "seed {seed}: {} of {}", played.out.len(), rows.len());
    for (at, ((nth, status, userid), row)) in played.out.iter().zip(rows).enumerate() {
        let told = (*status, userid.clone());
        match (&row[*nth], status) {
            (Err(_), _) => {
                assert_eq!(told, (Status::Invalid, String::new()), "seed {seed}, row {at}");
                assert!(
                    row.iter().all(Result::is_err),
                    "seed {seed}, row {at}: a number was not tried"
                );
            }
            (Ok(_), Status::Failed | Status::Pending) => {
                assert_eq!(userid, "", "seed {seed}, row {at}")
            }
            (Ok(mobile), _) => assert_eq!(told, World::truth(*mobile), "seed {seed}, row {at}"),
        }
        let nobody = |number: &Mobile| World::truth(*number).0 != Status::Found;
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
    for ((nth, status, _), row) in played.out.iter().zip(rows) {
        if let Ok(mobile) = row[*nth] {
            by_number.entry(mobile).or_default().insert(*status);
        }
    }
    let of_two_minds = by_number.values().filter(|statuses| statuses.len() > 1).count();
    let ended_early = !matches!(played.end, End::Finished);
    assert!(ended_early || of_two_minds == 0, "seed {seed}: rows of one number differ");
    let asked: HashSet<_> = state.calls.iter().map(|(_, mobile)| *mobile).collect();
    assert_eq!(played.report.calls, state.calls.len() as u64, "seed {seed}");
    assert_eq!(played.report.calls, asked.len() as u64 + played.report.retries(), "seed {seed}");
    assert!(played.most_inside <= 1024, "seed {seed}: {}", played.most_inside);
}

/// The usual seeds, or as many as `DINGMAP_SEEDS` says, or the one of `DINGMAP_SEED`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let set = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (set("DINGMAP_SEED"), set("DINGMAP_SEEDS")) {
        (Some(alone), _) => alone..alone + 1,
        (None, many) => 0..many.unwrap_or(usual),
    }
}

#[test]
fn simulated_runs_lose_nothing_and_keep_the_pace() {
    for seed in seeds(150) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let count = dice.usize(1..600);
        let rows = input(&mut dice, count);
        let rate = [20, 40, 60][dice.usize(..3)];
        let world = World::new(seed, rate, true);
        let played = play(world, settings(seed), &rate.to_string(), rows.clone(), None);
        assert!(matches!(played.end, End::Finished), "seed {seed}: {:?}", played.end);
        assert_eq!(played.out.len(), rows.len(), "seed {seed}");
        played.report.check().unwrap();
        check(seed, &rows, &played);
        let needed =
            rows.iter().zip(&played.out).flat_map(|(row, (nth, ..))| row[..=*nth].iter().flatten());
        let distinct: HashSet<_> = needed.collect();
        assert_eq!(played.report.asked, distinct.len() as u64, "seed {seed}");
    }
}

#[test]
fn simulated_stops_leave_a_true_beginning_or_a_full_table() {
    for seed in seeds(150) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let count = dice.usize(200..600);
        let rows = input(&mut dice, count);
        let partial = dice.bool();
        let most_calls = dice.bool().then(|| dice.u64(..200));
        let bounds = Settings { partial, most_calls, ..settings(seed) };
        let stop = Duration::from_millis(dice.u64(..20_000));
        let played = play(World::new(seed, 20, true), bounds, "20", rows.clone(), Some(stop));
        check(seed, &rows, &played);
        if matches!(played.end, End::Finished | End::CallsUsedUp) || partial {
            assert_eq!(played.out.len(), rows.len(), "seed {seed}: every row is handed on");
            played.report.check().unwrap();
        }
        let most = most_calls.unwrap_or(u64::MAX);
        assert!(played.report.calls <= most, "seed {seed}: {} calls", played.report.calls);
    }
}

#[test]
fn the_rate_is_used_while_there_is_work() {
    let rows = (0..2000).map(|n| vec![Mobile::parse(&format!("138{n:08}"), Home::CHINA)]).collect();
    let mut world = World::new(1, 20, false);
    world.token_life = u64::MAX;
    let played = play(world, settings(1), "20", rows, None);
    let state = played.world.state.lock().unwrap();
    let span = state.calls[state.calls.len() - 1].0 - state.calls[0].0;
    let share = 1999.0 / span.as_secs_f64() / 20.0;
    assert!(share >= 0.985, "{share}");
}
