//! The life of one number: from an attempt's result, and what happened before, to the next step. No clock: `dispatcher` waits.

use std::time::Duration;

use tr::tr;

use crate::api::error::Fault;
use crate::api::http::Reply;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::reply::{self, Garbled};
use crate::domain::totals::Repeat;
use crate::domain::verdict::{self, Hold, Remedy, Verdict};
use crate::engine::backoff::{Backoff, Retries};

/// A code that no source names is tried this many times more (`API.md` 5).
const RETRIES_OF_UNKNOWN: u32 = 2;

/// A call that the host says it did nothing with is repeated for free this many times.
const DECLINED: u32 = 3;

/// A number on its way to an answer.
#[derive(Debug)]
pub(crate) struct Lookup {
    mobile: Mobile,
    /// Attempts that failed for a transient reason or by an unknown code: those that count.
    failures: u32,
    unknown: u32,
    /// Made at the first failure, since most numbers never fail.
    backoff: Option<Backoff>,
    /// The generation of the token with which this number was turned away.
    turned_away: Option<u64>,
    /// How often a host said that it did nothing with the call.
    declined: u32,
    /// Why it is called again; none before its first call.
    again: Option<Repeat>,
}

/// The token that an attempt was made with.
#[derive(Clone, Copy)]
pub(crate) struct Used<'a> {
    /// A text of the API without the secrets that it may quote.
    pub hide: &'a dyn Fn(String) -> String,
    /// Which token of the run.
    pub generation: u64,
    /// Whether another can be fetched in its place.
    pub renews: bool,
}

/// What happens next to a number.
#[derive(Debug)]
pub(crate) enum Step {
    /// It has its answer.
    Settle(Outcome),
    /// The same call again in its turn; no attempt is used up.
    AtOnce,
    /// The same call again after this long.
    Again(Duration),
    /// Everyone rests, then the same call again; no attempt is used up.
    Hold(Hold),
    /// The same call again with a newer token.
    Renew,
    /// The run cannot go on.
    Stop(Stop),
}

/// Why a run cannot go on.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The API says that a person has to act. Messages in a stop have the number hidden.
    Fatal {
        /// What has to be done.
        remedy: Remedy,
        /// The API's code.
        code: Code,
        /// The API's message.
        message: String,
    },
    /// The token is not accepted and there is no way to a better one.
    TokenRejected {
        /// Whether it was freshly fetched; otherwise it was given by the user.
        fresh: bool,
        /// The API's code.
        code: Code,
        /// The API's message.
        message: String,
    },
    /// No token is to be had.
    NoToken {
        /// What the token call said.
        reason: String,
        /// Whether it was refused, which is for good, or failed.
        refused: bool,
    },
    /// The host was never reached.
    Unreachable(String),
    /// Whoever answers there is not known to be the host.
    Untrusted(String),
    /// The host answers, but the first numbers of the run all failed with one reason that is no answer of the API.
    Unreadable(String),
    /// The first numbers of the run all failed with one code that no source names.
    Unknown {
        /// The API's code.
        code: Code,
        /// The API's message.
        message: String,
    },
}

/// An attempt's result in the words of the domain.
#[derive(Debug)]
struct Heard {
    verdict: Verdict,
    code: Option<Code>,
    message: String,
    userid: Option<String>,
    exclusive: Vec<String>,
    request: String,
}

impl Lookup {
    /// A number that was not asked yet.
    #[must_use]
    pub(crate) fn new(mobile: Mobile) -> Self {
        Self {
            mobile,
            failures: 0,
            unknown: 0,
            backoff: None,
            turned_away: None,
            declined: 0,
            again: None,
        }
    }

    /// The number.
    #[must_use]
    pub(crate) fn mobile(&self) -> Mobile {
        self.mobile
    }

    /// Whether it was never called.
    #[must_use]
    pub(crate) fn is_new(&self) -> bool {
        self.again.is_none()
    }

    /// Why it is called again; none for the first call.
    #[must_use]
    pub(crate) fn again(&self) -> Option<Repeat> {
        self.again
    }

    /// Whether the last call of it came back with an answer of the API, of whatever kind.
    #[must_use]
    pub(crate) fn was_answered(&self) -> bool {
        matches!(self.again, Some(Repeat::Answer | Repeat::Token | Repeat::Unknown))
    }

    /// What follows from an attempt.
    pub(crate) fn next(
        &mut self,
        result: Result<Reply, Fault>,
        token: Used<'_>,
        retries: &Retries,
        jitter: &mut fastrand::Rng,
    ) -> Step {
        // The host says that it did nothing with the call: it may have that for free, but not without end.
        if matches!(result, Err(Fault::Declined(_))) && self.declined < DECLINED {
            self.declined += 1;
            self.again = Some(Repeat::Line);
            return Step::AtOnce;
        }
        let came = matches!(result, Ok(_) | Err(Fault::TooLong(_)));
        let heard = hear(result, token.hide);
        self.again = Some(match heard.verdict {
            Verdict::Throttled(_) => Repeat::Throttled,
            Verdict::Token => Repeat::Token,
            Verdict::Unknown => Repeat::Unknown,
            _ if heard.code.is_some() => Repeat::Answer,
            _ if came => Repeat::Foreign,
            _ => Repeat::Line,
        });
        match heard.verdict {
            Verdict::Answer(status) => Step::Settle(answer(status, heard)),
            Verdict::Transient => self.back_off(heard, retries.most, retries, jitter),
            Verdict::Unknown => {
                self.unknown += 1;
                let most = if self.unknown > RETRIES_OF_UNKNOWN { 0 } else { retries.most };
                self.back_off(heard, most, retries, jitter)
            }
            Verdict::Throttled(hold) => Step::Hold(hold),
            Verdict::Token => self.turn_away(heard, token),
            Verdict::Fatal(remedy) => Step::Stop(Stop::Fatal {
                remedy,
                code: heard.code.unwrap_or(Code::Number(0)),
                message: self.mobile.hidden_in(&heard.message),
            }),
        }
    }

    fn back_off(
        &mut self,
        heard: Heard,
        most: u32,
        retries: &Retries,
        jitter: &mut fastrand::Rng,
    ) -> Step {
        self.failures += 1;
        if self.failures > most {
            return Step::Settle(Outcome::bare(Status::Failed, heard.code, heard.message));
        }
        Step::Again(
            self.backoff.get_or_insert_with(|| Backoff::new(*retries)).after_failure(jitter),
        )
    }

    /// A renewed token that is turned away as well would be renewed for ever: it is fatal (`API.md` 5).
    fn turn_away(&mut self, heard: Heard, token: Used<'_>) -> Step {
        let fresh = self.turned_away.is_some_and(|before| before < token.generation);
        self.turned_away = Some(token.generation);
        if token.renews && !fresh {
            return Step::Renew;
        }
        let code = heard.code.unwrap_or(Code::Number(0));
        Step::Stop(Stop::TokenRejected {
            fresh,
            code,
            message: self.mobile.hidden_in(&heard.message),
        })
    }
}

/// The result of an attempt, judged: by HTTP status where that decides, else by the body.
fn hear(result: Result<Reply, Fault>, hide: &dyn Fn(String) -> String) -> Heard {
    let silent = |verdict, message: String| Heard {
        verdict,
        code: None,
        message,
        userid: None,
        exclusive: Vec::new(),
        request: String::new(),
    };
    let reply = match result {
        Ok(reply) => reply,
        Err(fault) => return silent(Verdict::Transient, hide(fault.to_string())),
    };
    let read = reply::decode(&reply.body, hide);
    if matches!(read, Err(Garbled::Banned)) {
        // Whatever status it comes with: a ban outlasts every pause that a status asks for.
        return silent(Verdict::Throttled(verdict::banned()), Garbled::Banned.to_string());
    }
    if let Some(verdict) = verdict::by_status(reply.status, reply.retry_after) {
        let said = read.as_ref().map(|read| verdict::verdict(&read.code, &read.message));
        return match (verdict, said) {
            // The body knows better which limit it is, and the header how long.
            (Verdict::Throttled(header), Ok(Verdict::Throttled(body))) => {
                let pause = if reply.retry_after.is_some() { header.pause } else { body.pause };
                silent(Verdict::Throttled(Hold { pause, ..body }), String::new())
            }
            (verdict, _) => silent(verdict, format!("HTTP {}", reply.status)),
        };
    }
    if let Some(place) = reply.leads_to {
        let status = reply.status;
        let text =
            tr!("HTTP {status}: the host leads to {place}, where no token is sent", status, place);
        return silent(Verdict::Transient, hide(text));
    }
    match read {
        Ok(read) => Heard {
            verdict: verdict::verdict(&read.code, &read.message),
            code: Some(read.code),
            message: read.message,
            userid: read.userid,
            exclusive: read.exclusive,
            request: read.request.unwrap_or_default(),
        },
        Err(garbled) if reply.status == 200 => silent(Verdict::Transient, garbled.to_string()),
        Err(garbled) => silent(Verdict::Transient, format!("HTTP {}: {garbled}", reply.status)),
    }
}

/// The row's answer. `errcode` 0 that names nobody is "not found", with a reason of its own (`API.md` 2).
fn answer(status: Status, heard: Heard) -> Outcome {
    let Heard { code, message, userid, exclusive, request, .. } = heard;
    let nobody = userid.is_none() && exclusive.is_empty();
    let bare = match status {
        Status::Found if nobody => Outcome::nobody(code),
        Status::Found => Outcome {
            userid: userid.unwrap_or_default().into(),
            exclusive: exclusive.join(";").into(),
            ..Outcome::bare(status, code, message)
        },
        _ => Outcome::bare(status, code, message),
    };
    Outcome { request: request.into(), ..bare }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::Home;

    const RETRIES: Retries =
        Retries { most: 5, min: Duration::from_millis(500), max: Duration::from_secs(30) };

    fn token(generation: u64, renews: bool) -> Used<'static> {
        Used { hide: &|text| text.replace("secret", "***"), generation, renews }
    }

    fn lookup() -> Lookup {
        Lookup::new(Mobile::parse("13800138000", Home::CHINA).unwrap())
    }

    type Heard = Result<Reply, Fault>;

    #[expect(clippy::unnecessary_wraps, reason = "it stands for a call's result")]
    fn json(body: &str) -> Heard {
        Heard::Ok(Reply {
            status: 200,
            retry_after: None,
            leads_to: None,
            body: body.to_owned().into(),
        })
    }

    fn code(code: i64) -> Heard {
        json(&format!(r#"{{"errcode":{code},"errmsg":"text"}}"#))
    }

    /// Drives one number with the same result until it settles; the delays on the way.
    fn drive(result: impl Fn() -> Heard, seed: u64) -> (Vec<Duration>, Outcome) {
        let (mut lookup, mut jitter, mut delays) =
            (lookup(), fastrand::Rng::with_seed(seed), Vec::new());
        loop {
            match lookup.next(result(), token(1, true), &RETRIES, &mut jitter) {
                Step::Again(delay) => delays.push(delay),
                Step::Settle(outcome) => return (delays, outcome),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn answers_settle_at_once() {
        for (errcode, status) in [
            (60121, "not_found"),
            (40104, "bad_number"),
            (400_002, "bad_number"),
            (50002, "out_of_scope"),
        ] {
            let (delays, outcome) = drive(|| code(errcode), 0);
            assert_eq!(
                (delays.len(), outcome.status.name(), &*outcome.message),
                (0, status, "text")
            );
            assert_eq!(outcome.code, Some(Code::Number(errcode)));
        }
        let both = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u","exclusive_account_userid_list":["a","b"]}}"#;
        let (_, outcome) = drive(|| json(both), 0);
        assert_eq!(
            (outcome.status, &*outcome.userid, &*outcome.exclusive),
            (Status::Found, "u", "a;b")
        );
        let only =
            r#"{"errcode":0,"errmsg":"ok","result":{"exclusive_account_userid_list":["a"]}}"#;
        assert_eq!(drive(|| json(only), 0).1.status, Status::Found);
        let (_, outcome) = drive(|| code(0), 0);
        assert_eq!(
            (outcome.status, &*outcome.message),
            (Status::NotFound, "the API answered ok and named no user")
        );
    }

    #[test]
    fn attempts_are_bounded_and_the_last_failure_is_told() {
        let (delays, outcome) = drive(|| code(-1), 3);
        assert_eq!((delays.len(), outcome.status), (5, Status::Failed));
        assert_eq!((outcome.code, &*outcome.message), (Some(Code::Number(-1)), "text"));
        let (delays, outcome) = drive(|| code(34567), 3);
        assert_eq!(
            (delays.len(), outcome.status),
            (2, Status::Failed),
            "an unknown code: twice more at most"
        );
        let (delays, outcome) = drive(|| Err(Fault::Late(Duration::from_secs(10))), 3);
        assert_eq!((delays.len(), outcome.code), (5, None));
        assert_eq!(&*outcome.message, "no reply within 10s");
        let page =
            || Ok(Reply { status: 403, retry_after: None, leads_to: None, body: "<html>".into() });
        assert_eq!(
            &*drive(page, 0).1.message,
            "HTTP 403: the reply was a web page, not an answer of the API"
        );
        let broken = || {
            Ok(Reply {
                status: 502,
                retry_after: None,
                leads_to: None,
                body: "{\"errcode\":0}".into(),
            })
        };
        assert_eq!(&*drive(broken, 0).1.message, "HTTP 502");
    }

    #[test]
    fn a_call_that_was_declined_costs_an_attempt_from_the_fourth_time_on() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut declined =
            || lookup.next(Err(Fault::Declined("c".into())), token(1, true), &RETRIES, &mut jitter);
        assert!((0..DECLINED).all(|_| matches!(declined(), Step::AtOnce)));
        assert!((0..RETRIES.most).all(|_| matches!(declined(), Step::Again(_))));
        assert!(matches!(declined(), Step::Settle(outcome) if outcome.status == Status::Failed));
    }

    #[test]
    fn holds_and_stops_leave_the_attempts_alone() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        for _ in 0..100 {
            assert!(matches!(
                lookup.next(code(90018), token(1, true), &RETRIES, &mut jitter),
                Step::Hold(_)
            ));
        }
        let banned = json(r#"{"status":1111,"punish":"deny"}"#);
        assert!(matches!(
            lookup.next(banned, token(1, true), &RETRIES, &mut jitter),
            Step::Hold(_)
        ));
        assert!(matches!(
            lookup.next(code(60011), token(1, true), &RETRIES, &mut jitter),
            Step::Stop(_)
        ));
        assert_eq!(lookup.failures, 0);
    }

    #[test]
    fn a_token_is_renewed_once_and_a_fresh_one_turned_away_is_fatal() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut turned_away =
            |generation| lookup.next(code(40014), token(generation, true), &RETRIES, &mut jitter);
        assert!(matches!(turned_away(1), Step::Renew));
        assert!(
            matches!(turned_away(1), Step::Renew),
            "the same token again, from a call that was under way"
        );
        assert!(matches!(turned_away(2), Step::Stop(Stop::TokenRejected { fresh: true, .. })));
        let given = token(1, false);
        let step =
            super::Lookup::new(lookup.mobile()).next(code(42001), given, &RETRIES, &mut jitter);
        assert!(matches!(step, Step::Stop(Stop::TokenRejected { fresh: false, .. })), "{step:?}");
    }
}
