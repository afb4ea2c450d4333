//! Tokens that end in the middle of a run, token calls that fail, and runs that outlast many tokens, on a paused clock;
//! `line` has those that only a real line can show.

mod line;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dingmap::testing::api::Fault;
use dingmap::testing::api::Remote;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{Grant, NoToken, TokenCall};
use dingmap::testing::domain::Mobile;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::banned;
use dingmap::testing::domain::{Repeat, Report};
use dingmap::testing::engine::End;
use dingmap::testing::engine::Retries;
use dingmap::testing::engine::Settings;
use dingmap::testing::engine::Stop;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::Turn::{Banned, Grants, Silence, Unknown};
use crate::stage;

const WORKERS: usize = 16;

/// What becomes of a token call.
#[derive(Clone, Copy)]
enum Turn {
    Grants,
    Silence,
    Banned,
    Unknown,
}

/// How the far side deals with tokens.
#[derive(Clone)]
struct Rules {
    /// How long a token works.
    life: Duration,
    /// What it says of its life: the run renews it so long after it was handed out.
    fresh_for: Duration,
    /// Whether asking again gives the first token for ever, also when it has ended.
    stubborn: bool,
    /// Whether asking again while it works gives the same token and more time (`API.md` 4); else a new one, and the end of
    /// the old one.
    extends: bool,
    /// The lookup with which the token that is used then ends, where there is one.
    ends_with: Option<usize>,
    /// What a lookup with a token that has ended is told.
    rejection: String,
    /// From when on, and how long, every call is told that the address is banned.
    banned: Option<(Duration, Duration)>,
    /// What becomes of each token call, from the first on; those after the last succeed.
    calls: Vec<Turn>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            life: Duration::from_hours(2),
            fresh_for: Duration::from_mins(110),
            stubborn: false,
            extends: false,
            ends_with: None,
            rejection: r#"{"errcode":88,"sub_code":"40014","sub_msg":"m"}"#.to_owned(),
            banned: None,
            calls: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct State {
    began: Instant,
    token: u64,
    ends: Option<Instant>,
    lookups: usize,
    /// Lookups that came with a token that had ended.
    rejected: usize,
    /// Lookups that met the ban.
    banned: usize,
    /// Every token call that was answered otherwise.
    calls: Vec<TokenCall>,
}

/// A far side that finds everybody who comes with the token of the hour.
struct Hall {
    rules: Rules,
    state: Mutex<State>,
}

impl Hall {
    fn bans(&self, state: &State) -> bool {
        self.rules
            .banned
            .is_some_and(|(from, long)| (from..from + long).contains(&state.began.elapsed()))
    }
}

impl Remote for Hall {
    async fn lookup(&self, _: Mobile, token: &SecretString) -> Result<Reply, Fault> {
        let body = {
            let mut state = self.state.lock().unwrap();
            if self.rules.ends_with == Some(state.lookups) {
                state.ends = Some(Instant::now());
            }
            state.lookups += 1;
            let works = state.ends.is_some_and(|ends| Instant::now() < ends);
            let works = works && token.expose_secret() == format!("token-{}", state.token);
            state.rejected += usize::from(!works);
            let found = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u"}}"#;
            if self.bans(&state) {
                state.banned += 1;
                r#"{"status":1111,"punish":"deny"}"#.to_owned()
            } else if works {
                found.to_owned()
            } else {
                self.rules.rejection.clone()
            }
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Reply { status: 200, retry_after: None, leads_to: None, body: body.into() })
    }

    async fn token(&self, call: TokenCall) -> Result<Grant, NoToken> {
        let bans = self.bans(&self.state.lock().unwrap());
        if bans {
            tokio::time::sleep(Duration::from_millis(400)).await;
            return Err(NoToken::Throttled(banned()));
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
        let mut state = self.state.lock().unwrap();
        let turn = self.rules.calls.get(state.calls.len()).copied();
        state.calls.push(call);
        match turn {
            Some(Silence) => {
                return Err(NoToken::Transient {
                    reason: "no reply within 10s".into(),
                    answered: true,
                });
            }
            Some(Banned) => return Err(NoToken::Throttled(banned())),
            Some(Unknown) => return Err(NoToken::Unknown("HTTP 404".into())),
            Some(Grants) | None => {}
        }
        let works = state.ends.is_some_and(|ends| Instant::now() < ends);
        if state.token == 0 || !self.rules.stubborn {
            state.token += u64::from(!(works && self.rules.extends));
            state.ends = Some(Instant::now() + self.rules.life);
        }
        let token = format!("token-{}", state.token);
        Ok(Grant { token: token.into(), fresh_for: Some(self.rules.fresh_for) })
    }

    fn token_calls(&self) -> u64 {
        self.state.lock().unwrap().calls.len() as u64
    }

    fn renews(&self) -> bool {
        true
    }

    fn hide(&self, text: String) -> String {
        text
    }
}

/// What a run came to.
struct Played {
    report: Report,
    end: End,
    took: Duration,
    state: State,
}

/// A run over so many numbers without a retry, on a paused clock.
fn play(rules: Rules, rate: &str, count: usize, retries: u32) -> Played {
    let usual = stage::settings();
    let settings = Settings { retries: Retries { most: retries, ..usual.retries }, ..usual };
    stage::paused().block_on(async {
        let started = Instant::now();
        let state = State {
            began: started,
            token: 0,
            ends: None,
            lookups: 0,
            rejected: 0,
            banned: 0,
            calls: Vec::new(),
        };
        let remote = Arc::new(Hall { rules, state: Mutex::new(state) });
        let rate = rate.parse().unwrap();
        let (report, end) =
            stage::perform(Arc::clone(&remote), settings, rate, count, |_| {}).await;
        let took = started.elapsed();
        let state = remote.state.lock().unwrap().clone();
        Played { report, end, took, state }
    })
}

/// All rows were found, and a renewal cost the calls alone that had to be repeated.
#[track_caller]
fn all_found(played: &Played, count: usize) {
    let Played { report, end, state, .. } = played;
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!(report.rows(Status::Found), count as u64);
    assert_eq!(report.calls, (count + state.rejected) as u64);
    assert_eq!(report.repeats(Repeat::Token), state.rejected as u64);
}

#[test]
fn however_its_end_is_told_and_however_many_meet_it_a_token_is_renewed_once() {
    for code in [40014, 42001, 40001, 33001, 43007] {
        for rejection in [
            format!(r#"{{"errcode":{code},"errmsg":"m","request_id":"r"}}"#),
            format!(r#"{{"errcode":88,"sub_code":"{code}","sub_msg":"m","errmsg":"m"}}"#),
            format!(r#"{{"errcode":88,"errmsg":"ding talk error[subcode={code},submsg=m]"}}"#),
        ] {
            let rules = Rules { rejection, ends_with: Some(100), ..Rules::default() };
            let played = play(rules, "unlimited", 400, 0);
            all_found(&played, 400);
            assert_eq!(played.state.rejected, WORKERS, "{code}: all those that were under way");
            assert_eq!(played.state.calls.len(), 2, "{code}: one at the start, one in its place");
            assert_eq!(played.report.token_calls, 2);
        }
    }
}

#[test]
fn a_token_that_is_fresh_and_turned_away_ends_the_run() {
    // One that never works, and one that is handed out again and again after its end.
    let never = Rules { life: Duration::ZERO, ..Rules::default() };
    let again = Rules { stubborn: true, ends_with: Some(100), ..Rules::default() };
    for rules in [never, again] {
        let Played { report, end, state, .. } = play(rules, "unlimited", 400, 5);
        assert!(matches!(end, End::Stopped(Stop::TokenRejected { fresh: true, .. })), "{end:?}");
        assert_eq!(state.calls.len(), 2);
        assert!((1..=2 * WORKERS).contains(&state.rejected) && report.rows(Status::Failed) == 0);
    }
}

#[test]
fn a_run_of_three_hours_outlasts_tokens_of_half_an_hour() {
    let count = 5 * 3 * 3600;
    let (half, early) = (Duration::from_mins(30), Duration::from_mins(20));
    for extends in [true, false] {
        let rules = Rules { life: half, fresh_for: early, extends, ..Rules::default() };
        let played = play(rules, "5", count, 0);
        all_found(&played, count);
        assert!(played.took >= Duration::from_hours(3), "{:?}", played.took);
        assert_eq!(played.state.calls.len(), 10, "one at the start, and one every twenty minutes");
        // Those under way when a new token ends the old one, and nobody where it is extended.
        let most = if extends { 0 } else { 9 * WORKERS };
        assert!(played.state.rejected <= most, "{}", played.state.rejected);
    }
    // A host that promises two hours and keeps half of one.
    let played = play(Rules { life: half, ..Rules::default() }, "5", count, 0);
    all_found(&played, count);
    assert_eq!(played.state.calls.len(), 7, "one at the start, and one every half an hour");
    assert!((6..=6 * WORKERS).contains(&played.state.rejected), "{}", played.state.rejected);
}

#[test]
fn a_renewal_that_fails_is_tried_again_and_no_row_pays_for_it() {
    let rules = Rules {
        ends_with: Some(100),
        calls: vec![Grants, Silence, Silence, Unknown, Banned, Silence],
        ..Rules::default()
    };
    // It fails twice, then the host does not know it; the older one has to wait for five minutes and fails, and the next
    // gives the token.
    let played = play(rules, "unlimited", 400, 3);
    all_found(&played, 400);
    let (current, older) = (TokenCall::Current, TokenCall::Older);
    let expected = [current, current, current, current, older, older, current];
    assert_eq!(played.state.calls, expected);
    assert!(played.took > Duration::from_mins(5) && played.took < Duration::from_mins(6));
    assert_eq!((played.state.rejected, played.report.holds()), (WORKERS, 1));
}

#[test]
fn a_renewal_and_lookups_that_meet_one_ban_are_held_once() {
    // The first lookups are told of it while the renewal, which is due ten seconds after the first token, is under way.
    let ban = (Duration::from_millis(9850), Duration::from_millis(500));
    let rules = Rules {
        fresh_for: Duration::from_secs(10),
        extends: true,
        banned: Some(ban),
        ..Rules::default()
    };
    let Played { report, end, took, state } = play(rules, "20", 400, 0);
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!((report.rows(Status::Found), report.holds()), (400, 1));
    assert!(state.banned > 1 && report.calls == 400 + state.banned as u64);
    assert_eq!(report.held().as_secs(), 300);
    assert!(took > Duration::from_secs(320) && took < Duration::from_secs(330), "{took:?}");
}

#[test]
fn a_renewal_that_always_fails_ends_the_run_once_the_token_is_dead_and_not_before() {
    let rules = |ends_with| Rules {
        fresh_for: Duration::from_secs(5),
        ends_with,
        calls: [vec![Grants], vec![Silence; 1000]].concat(),
        ..Rules::default()
    };
    let played = play(rules(None), "5", 400, 2);
    all_found(&played, 400);
    assert!(played.state.calls.len() > 2, "it was due all the time");
    let Played { end, report, .. } = play(rules(Some(100)), "5", 400, 2);
    let told = matches!(&end, End::Stopped(Stop::NoToken { reason, refused: false }) if reason.contains("10s"));
    assert!(told, "{end:?}");
    assert_eq!(report.rows(Status::Failed), 0, "the rows are open, not failed");
}
