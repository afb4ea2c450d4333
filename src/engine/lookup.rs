//! The life of one number: from an attempt's result, and what happened before, to the next step. No clock: `dispatcher` waits.

use std::time::Duration;

use tr::tr;

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::reply::{self, DecodeError};
use crate::domain::totals::RetryCause;
use crate::domain::verdict::{self, Pause, Remedy, Verdict};
use crate::engine::backoff::{Backoff, RetryPolicy};

/// A code that no source names is tried this many times more (`API.md` 5).
const MAX_UNKNOWN_CODE_RETRIES: u32 = 2;

/// A call that the host says it did nothing with is repeated for free this many times.
const MAX_REFUSED_STREAMS: u32 = 3;

/// A number on its way to an answer.
#[derive(Debug)]
pub(crate) struct Lookup {
    mobile: Mobile,
    /// Attempts that failed for a transient reason or by an unknown code: those that count.
    failures: u32,
    unknown_codes: u32,
    /// Made at the first failure, since most numbers never fail.
    backoff: Option<Backoff>,
    /// The generation of the token with which this number was turned away.
    rejected_generation: Option<u64>,
    /// How often a host said that it did nothing with the call.
    refused_streams: u32,
    /// Why it is called again; none before its first call.
    retry_cause: Option<RetryCause>,
}

/// The token that an attempt was made with.
#[derive(Clone, Copy)]
pub(crate) struct TokenInUse<'a> {
    /// A text of the API without the secrets that it may quote.
    pub redact: &'a dyn Fn(String) -> String,
    /// Which token of the run.
    pub generation: u64,
    /// Whether another can be fetched in its place.
    pub can_renew: bool,
}

/// What happens next to a number.
#[derive(Debug)]
pub(crate) enum Action {
    /// It has its answer.
    Settle(Outcome),
    /// The same call again in its turn; no attempt is used up.
    RetryNow,
    /// The same call again after this long.
    RetryAfter(Duration),
    /// Everyone rests, then the same call again; no attempt is used up.
    Pause(Pause),
    /// The same call again with a newer token.
    RenewToken,
    /// The run cannot go on.
    Abort(Abort),
}

/// Why a run cannot go on.
#[derive(Clone, Debug)]
pub enum Abort {
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
    TokenUnavailable {
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
    InvalidReplies(String),
    /// The first numbers of the run all failed with one code that no source names.
    UnknownCode {
        /// The API's code.
        code: Code,
        /// The API's message.
        message: String,
    },
}

/// An attempt's result in the words of the domain.
#[derive(Debug)]
struct Classified {
    verdict: Verdict,
    code: Option<Code>,
    message: String,
    userid: Option<String>,
    exclusive: Vec<String>,
    request_id: String,
}

impl Lookup {
    /// A number that was not asked yet.
    #[must_use]
    pub(crate) fn new(mobile: Mobile) -> Self {
        Self {
            mobile,
            failures: 0,
            unknown_codes: 0,
            backoff: None,
            rejected_generation: None,
            refused_streams: 0,
            retry_cause: None,
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
        self.retry_cause.is_none()
    }

    /// Why it is called again; none for the first call.
    #[must_use]
    pub(crate) fn retry_cause(&self) -> Option<RetryCause> {
        self.retry_cause
    }

    /// Whether the last call of it came back with an answer of the API, of whatever kind.
    #[must_use]
    pub(crate) fn has_api_answer(&self) -> bool {
        matches!(
            self.retry_cause,
            Some(RetryCause::Transient | RetryCause::TokenRejected | RetryCause::UnknownCode)
        )
    }

    /// What follows from an attempt.
    pub(crate) fn next_action(
        &mut self,
        result: Result<Reply, CallError>,
        token: TokenInUse<'_>,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        // The host says that it did nothing with the call: it may have that for free, but not without end.
        if matches!(result, Err(CallError::RefusedStream(_)))
            && self.refused_streams < MAX_REFUSED_STREAMS
        {
            self.refused_streams += 1;
            self.retry_cause = Some(RetryCause::Connection);
            return Action::RetryNow;
        }
        let came = matches!(result, Ok(_) | Err(CallError::ReplyTooLarge(_)));
        let heard = classify(result, token.redact);
        self.retry_cause = Some(match heard.verdict {
            Verdict::Throttled(_) => RetryCause::Throttled,
            Verdict::TokenRejected => RetryCause::TokenRejected,
            Verdict::UnknownCode => RetryCause::UnknownCode,
            _ if heard.code.is_some() => RetryCause::Transient,
            _ if came => RetryCause::UnexpectedReply,
            _ => RetryCause::Connection,
        });
        match heard.verdict {
            Verdict::Answer(status) => Action::Settle(into_outcome(status, heard)),
            Verdict::Transient => self.back_off(heard, retries.max_retries, retries, jitter),
            Verdict::UnknownCode => {
                self.unknown_codes += 1;
                let most = if self.unknown_codes > MAX_UNKNOWN_CODE_RETRIES {
                    0
                } else {
                    retries.max_retries
                };
                self.back_off(heard, most, retries, jitter)
            }
            Verdict::Throttled(hold) => Action::Pause(hold),
            Verdict::TokenRejected => self.on_token_rejected(heard, token),
            Verdict::Fatal(remedy) => Action::Abort(Abort::Fatal {
                remedy,
                code: heard.code.unwrap_or(Code::Number(0)),
                message: self.mobile.mask_in(&heard.message),
            }),
        }
    }

    fn back_off(
        &mut self,
        heard: Classified,
        most: u32,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        self.failures += 1;
        if self.failures > most {
            return Action::Settle(Outcome::without_user(
                Status::Failed,
                heard.code,
                heard.message,
            ));
        }
        Action::RetryAfter(
            self.backoff.get_or_insert_with(|| Backoff::new(*retries)).next_delay(jitter),
        )
    }

    /// A renewed token that is turned away as well would be renewed for ever: it is fatal (`API.md` 5).
    fn on_token_rejected(&mut self, heard: Classified, token: TokenInUse<'_>) -> Action {
        let fresh = self.rejected_generation.is_some_and(|before| before < token.generation);
        self.rejected_generation = Some(token.generation);
        if token.can_renew && !fresh {
            return Action::RenewToken;
        }
        let code = heard.code.unwrap_or(Code::Number(0));
        Action::Abort(Abort::TokenRejected {
            fresh,
            code,
            message: self.mobile.mask_in(&heard.message),
        })
    }
}

/// The result of an attempt, judged: by HTTP status where that decides, else by the body.
fn classify(result: Result<Reply, CallError>, hide: &dyn Fn(String) -> String) -> Classified {
    let silent = |verdict, message: String| Classified {
        verdict,
        code: None,
        message,
        userid: None,
        exclusive: Vec::new(),
        request_id: String::new(),
    };
    let reply = match result {
        Ok(reply) => reply,
        Err(fault) => return silent(Verdict::Transient, hide(fault.to_string())),
    };
    let read = reply::decode(&reply.body, hide);
    if matches!(read, Err(DecodeError::Banned)) {
        // Whatever status it comes with: a ban outlasts every pause that a status asks for.
        return silent(
            Verdict::Throttled(verdict::ip_ban_pause()),
            DecodeError::Banned.to_string(),
        );
    }
    if let Some(verdict) = verdict::by_status(reply.status, reply.retry_after) {
        let said = read.as_ref().map(|read| verdict::by_code(&read.code, &read.message));
        return match (verdict, said) {
            // The body knows better which limit it is, and the header how long.
            (Verdict::Throttled(header), Ok(Verdict::Throttled(body))) => {
                let pause = if reply.retry_after.is_some() { header.length } else { body.length };
                silent(Verdict::Throttled(Pause { length: pause, ..body }), String::new())
            }
            (verdict, _) => silent(verdict, format!("HTTP {}", reply.status)),
        };
    }
    if let Some(place) = reply.redirects_to {
        let status = reply.status;
        let text =
            tr!("HTTP {status}: the host leads to {place}, where no token is sent", status, place);
        return silent(Verdict::Transient, hide(text));
    }
    match read {
        Ok(read) => Classified {
            verdict: verdict::by_code(&read.code, &read.message),
            code: Some(read.code),
            message: read.message,
            userid: read.userid,
            exclusive: read.exclusive_ids,
            request_id: read.request_id.unwrap_or_default(),
        },
        Err(garbled) if reply.status == 200 => silent(Verdict::Transient, garbled.to_string()),
        Err(garbled) => silent(Verdict::Transient, format!("HTTP {}: {garbled}", reply.status)),
    }
}

/// The row's answer. `errcode` 0 that names nobody is "not found", with a reason of its own (`API.md` 2).
fn into_outcome(status: Status, heard: Classified) -> Outcome {
    let Classified { code, message, userid, exclusive, request_id: request, .. } = heard;
    let nobody = userid.is_none() && exclusive.is_empty();
    let bare = match status {
        Status::Found if nobody => Outcome::ok_without_user(code),
        Status::Found => Outcome {
            userid: userid.unwrap_or_default().into(),
            exclusive_ids: exclusive.join(";").into(),
            ..Outcome::without_user(status, code, message)
        },
        _ => Outcome::without_user(status, code, message),
    };
    Outcome { request_id: request.into(), ..bare }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    const RETRIES: RetryPolicy = RetryPolicy {
        max_retries: 5,
        min_delay: Duration::from_millis(500),
        max_delay: Duration::from_secs(30),
    };

    fn token(generation: u64, renews: bool) -> TokenInUse<'static> {
        TokenInUse { redact: &|text| text.replace("secret", "***"), generation, can_renew: renews }
    }

    fn lookup() -> Lookup {
        Lookup::new(Mobile::parse("13800138000", DefaultRegion::CHINA).unwrap())
    }

    type Heard = Result<Reply, CallError>;

    #[expect(clippy::unnecessary_wraps, reason = "it stands for a call's result")]
    fn json(body: &str) -> Heard {
        Heard::Ok(Reply {
            status: 200,
            retry_after: None,
            redirects_to: None,
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
            match lookup.next_action(result(), token(1, true), &RETRIES, &mut jitter) {
                Action::RetryAfter(delay) => delays.push(delay),
                Action::Settle(outcome) => return (delays, outcome),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn definitive_answers_complete_immediately() {
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
            (outcome.status, &*outcome.userid, &*outcome.exclusive_ids),
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
    fn attempts_are_bounded_and_the_last_failure_is_reported() {
        let (delays, outcome) = drive(|| code(-1), 3);
        assert_eq!((delays.len(), outcome.status), (5, Status::Failed));
        assert_eq!((outcome.code, &*outcome.message), (Some(Code::Number(-1)), "text"));
        let (delays, outcome) = drive(|| code(34567), 3);
        assert_eq!(
            (delays.len(), outcome.status),
            (2, Status::Failed),
            "an unknown code: twice more at most"
        );
        let (delays, outcome) = drive(|| Err(CallError::TimedOut(Duration::from_secs(10))), 3);
        assert_eq!((delays.len(), outcome.code), (5, None));
        assert_eq!(&*outcome.message, "no reply within 10s");
        let page = || {
            Ok(Reply { status: 403, retry_after: None, redirects_to: None, body: "<html>".into() })
        };
        assert_eq!(
            &*drive(page, 0).1.message,
            "HTTP 403: the reply was a web page, not an answer of the API"
        );
        let broken = || {
            Ok(Reply {
                status: 502,
                retry_after: None,
                redirects_to: None,
                body: "{\"errcode\":0}".into(),
            })
        };
        assert_eq!(&*drive(broken, 0).1.message, "HTTP 502");
    }

    #[test]
    fn a_refused_stream_costs_an_attempt_from_the_fourth_time() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut declined = || {
            lookup.next_action(
                Err(CallError::RefusedStream("c".into())),
                token(1, true),
                &RETRIES,
                &mut jitter,
            )
        };
        assert!((0..MAX_REFUSED_STREAMS).all(|_| matches!(declined(), Action::RetryNow)));
        assert!((0..RETRIES.max_retries).all(|_| matches!(declined(), Action::RetryAfter(_))));
        assert!(matches!(declined(), Action::Settle(outcome) if outcome.status == Status::Failed));
    }

    #[test]
    fn pauses_and_stops_cost_no_attempt() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        for _ in 0..100 {
            assert!(matches!(
                lookup.next_action(code(90018), token(1, true), &RETRIES, &mut jitter),
                Action::Pause(_)
            ));
        }
        let banned = json(r#"{"status":1111,"punish":"deny"}"#);
        assert!(matches!(
            lookup.next_action(banned, token(1, true), &RETRIES, &mut jitter),
            Action::Pause(_)
        ));
        assert!(matches!(
            lookup.next_action(code(60011), token(1, true), &RETRIES, &mut jitter),
            Action::Abort(_)
        ));
        assert_eq!(lookup.failures, 0);
    }

    #[test]
    fn a_token_is_renewed_once_and_a_rejected_fresh_token_is_fatal() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut turned_away = |generation| {
            lookup.next_action(code(40014), token(generation, true), &RETRIES, &mut jitter)
        };
        assert!(matches!(turned_away(1), Action::RenewToken));
        assert!(
            matches!(turned_away(1), Action::RenewToken),
            "the same token again, from a call that was under way"
        );
        assert!(matches!(turned_away(2), Action::Abort(Abort::TokenRejected { fresh: true, .. })));
        let given = token(1, false);
        let step = super::Lookup::new(lookup.mobile()).next_action(
            code(42001),
            given,
            &RETRIES,
            &mut jitter,
        );
        assert!(
            matches!(step, Action::Abort(Abort::TokenRejected { fresh: false, .. })),
            "{step:?}"
        );
    }
}
