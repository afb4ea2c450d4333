//! The life of one number: from the result of an attempt, and those before it, to the next action.
//! Without a clock: the dispatcher waits.

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

/// Extra attempts after a code that no source names ([codes](crate::guide::api#codes)).
const MAX_UNKNOWN_CODE_RETRIES: u32 = 2;

/// Extra attempts, which do not count, after the host refused the stream and so did not process the
/// call.
const MAX_REFUSED_STREAMS: u32 = 3;

/// A number that needs an answer.
#[derive(Debug)]
pub(crate) struct Lookup {
    mobile: Mobile,
    /// Attempts that failed for a transient reason or with an unknown code: those that count.
    failures: u32,
    unknown_codes: u32,
    /// Created at the first failure, because most numbers never fail.
    backoff: Option<Backoff>,
    /// Whether it was called again, without using up an attempt, after its token was rejected
    /// ([codes](crate::guide::api#codes)). Only once, because a host can reject every token for
    /// one number.
    has_replayed_token: bool,
    refused_streams: u32,
    /// Why the next call is a retry; `None` before the first call.
    retry_cause: Option<RetryCause>,
}

/// The token that an attempt was made with.
#[derive(Clone, Copy)]
pub(crate) struct TokenInUse<'a> {
    /// Removes secrets from a text of the API.
    pub redact: &'a dyn Fn(String) -> String,
    /// Whether it is new and no call was accepted with it.
    pub is_fresh: bool,
    /// Whether a new token can be fetched.
    pub can_renew: bool,
}

/// What to do next with a number.
#[derive(Debug)]
pub(crate) enum Action {
    /// It has its answer.
    Settle(Outcome),
    /// Call again as soon as the limiter permits and there is a token; no attempt is used up.
    RetryNow,
    /// Call again after this delay.
    RetryAfter(Duration),
    /// Pause all calls, then call again; no attempt is used up.
    Pause(Pause),
    /// End the run.
    Abort(Abort),
}

/// Why further calls are useless. Numbers in messages are masked.
#[derive(Clone, Debug)]
pub enum Abort {
    /// The API says that a person has to act.
    Fatal { remedy: Remedy, code: Code, message: String },
    /// The token is not accepted, and no better one can be fetched.
    TokenRejected {
        /// Whether it was just fetched; otherwise the user gave it.
        fresh: bool,
        code: Code,
        message: String,
    },
    /// No token can be fetched.
    TokenUnavailable {
        reason: String,
        /// Whether the API refused the request, rather than failed.
        refused: bool,
    },
    /// No connection to the host was ever made.
    Unreachable(String),
    /// This machine could not open a connection from the start.
    MachineFailed(String),
    /// The first reply shows that the endpoint, the proxy or the network is not set up for the API.
    Misconfigured(String),
    /// The TLS certificate of the host or the proxy is not trusted.
    Untrusted(String),
    /// The first numbers of the run all failed for one reason, with replies that are not the API's.
    InvalidReplies(String),
    /// The first numbers of the run all failed with one code that no source names.
    UnknownCode { code: Code, message: String },
}

impl Lookup {
    #[must_use]
    pub(crate) fn new(mobile: Mobile) -> Self {
        Self {
            mobile,
            failures: 0,
            unknown_codes: 0,
            backoff: None,
            has_replayed_token: false,
            refused_streams: 0,
            retry_cause: None,
        }
    }

    #[must_use]
    pub(crate) fn mobile(&self) -> Mobile {
        self.mobile
    }

    /// Whether it was never called.
    #[must_use]
    pub(crate) fn is_new(&self) -> bool {
        self.retry_cause.is_none()
    }

    #[must_use]
    pub(crate) fn retry_cause(&self) -> Option<RetryCause> {
        self.retry_cause
    }

    /// Whether the API accepted the token of the last attempt; `None` if its reply does not say.
    #[must_use]
    pub(crate) fn is_token_accepted(&self) -> Option<bool> {
        match self.retry_cause? {
            RetryCause::Transient | RetryCause::UnknownCode => Some(true),
            RetryCause::TokenRejected => Some(false),
            _ => None,
        }
    }

    /// Whether the last attempt got an answer of the API other than throttling.
    #[must_use]
    pub(crate) fn has_api_answer(&self) -> bool {
        self.is_token_accepted().is_some()
    }

    /// The call could not leave this machine.
    pub(crate) fn on_machine_failure(&mut self) {
        self.retry_cause = Some(RetryCause::Machine);
    }

    pub(crate) fn next_action(
        &mut self,
        result: Result<Reply, CallError>,
        token: TokenInUse<'_>,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        // The host did not process the call: a free retry, but not without end.
        if matches!(result, Err(CallError::RefusedStream(_)))
            && self.refused_streams < MAX_REFUSED_STREAMS
        {
            self.refused_streams += 1;
            self.retry_cause = Some(RetryCause::Connection);
            return Action::RetryNow;
        }
        let has_reply = result.as_ref().map_or_else(CallError::is_reply, |_| true);
        let classified = classify(result, token.redact);
        self.retry_cause = Some(match classified.verdict {
            Verdict::Throttled(_) => RetryCause::Throttled,
            Verdict::TokenRejected => RetryCause::TokenRejected,
            Verdict::UnknownCode => RetryCause::UnknownCode,
            _ if classified.code.is_some() => RetryCause::Transient,
            _ if has_reply => RetryCause::UnexpectedReply,
            _ => RetryCause::Connection,
        });
        match classified.verdict {
            Verdict::Answer(status) => Action::Settle(into_outcome(status, classified)),
            Verdict::Transient => self.back_off(classified, retries.max_retries, retries, jitter),
            Verdict::UnknownCode => {
                self.unknown_codes += 1;
                let is_last = self.unknown_codes > MAX_UNKNOWN_CODE_RETRIES;
                let max_failures = if is_last { 0 } else { retries.max_retries };
                self.back_off(classified, max_failures, retries, jitter)
            }
            Verdict::Throttled(pause) => Action::Pause(pause),
            Verdict::TokenRejected => self.on_token_rejected(classified, token, retries, jitter),
            Verdict::Fatal(remedy) => Action::Abort(Abort::Fatal {
                remedy,
                code: classified.code.unwrap_or(Code::Number(0)),
                message: self.mobile.mask_in(&classified.message),
            }),
        }
    }

    /// The answer to the last attempt may be that of another call: the attempt has failed.
    pub(crate) fn on_foreign_answer(
        &mut self,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        self.retry_cause = Some(RetryCause::UnexpectedReply);
        let text =
            tr!("the reply may belong to another call: the server sent more replies than calls");
        self.back_off(Classified::transient(text), retries.max_retries, retries, jitter)
    }

    fn back_off(
        &mut self,
        Classified { code, message, .. }: Classified,
        max_failures: u32,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        self.failures += 1;
        if self.failures > max_failures {
            return Action::Settle(Outcome::without_user(Status::Failed, code, message));
        }
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(*retries));
        Action::RetryAfter(backoff.next_delay(jitter))
    }

    /// If a fresh token is rejected, the run ends; otherwise it would renew tokens for ever
    /// ([codes](crate::guide::api#codes)). A number that meets the end of a second token uses up an
    /// attempt.
    fn on_token_rejected(
        &mut self,
        classified: Classified,
        token: TokenInUse<'_>,
        retries: &RetryPolicy,
        jitter: &mut fastrand::Rng,
    ) -> Action {
        if token.can_renew && !token.is_fresh {
            return if std::mem::replace(&mut self.has_replayed_token, true) {
                self.back_off(classified, retries.max_retries, retries, jitter)
            } else {
                Action::RetryNow
            };
        }
        Action::Abort(Abort::TokenRejected {
            fresh: token.is_fresh,
            code: classified.code.unwrap_or(Code::Number(0)),
            message: self.mobile.mask_in(&classified.message),
        })
    }
}

/// The result of an attempt, with its verdict.
#[derive(Debug)]
struct Classified {
    verdict: Verdict,
    code: Option<Code>,
    message: String,
    userid: Option<String>,
    exclusive_ids: Vec<String>,
    request_id: String,
}

impl Classified {
    /// A result without an answer of the API.
    fn without_answer(verdict: Verdict, message: String) -> Self {
        Self {
            verdict,
            code: None,
            message,
            userid: None,
            exclusive_ids: Vec::new(),
            request_id: String::new(),
        }
    }

    fn transient(message: String) -> Self {
        Self::without_answer(Verdict::Transient, message)
    }

    fn banned() -> Self {
        let verdict = Verdict::Throttled(verdict::ip_ban_pause());
        Self::without_answer(verdict, DecodeError::Banned.to_string())
    }

    /// A verdict of the HTTP status. If the body reports throttling too, it names the limit, and
    /// the length of the pause is the header's or else the body's.
    fn from_status(
        verdict: Verdict,
        status: u16,
        has_retry_after: bool,
        body: &Result<reply::Reply, DecodeError>,
    ) -> Self {
        let by_body = body.as_ref().map(|body| verdict::by_code(&body.code, &body.message));
        match (verdict, by_body) {
            (Verdict::Throttled(by_header), Ok(Verdict::Throttled(by_body))) => {
                let length = if has_retry_after { by_header.length } else { by_body.length };
                let pause = Pause { length, ..by_body };
                Self::without_answer(Verdict::Throttled(pause), String::new())
            }
            (verdict, _) => Self::without_answer(verdict, format!("HTTP {status}")),
        }
    }

    fn from_body(status: u16, body: Result<reply::Reply, DecodeError>) -> Self {
        match body {
            Ok(body) => Self {
                verdict: verdict::by_code(&body.code, &body.message),
                code: Some(body.code),
                message: body.message,
                userid: body.userid,
                exclusive_ids: body.exclusive_ids,
                request_id: body.request_id.unwrap_or_default(),
            },
            Err(error) if status == 200 => Self::transient(error.to_string()),
            Err(error) => Self::transient(format!("HTTP {status}: {error}")),
        }
    }
}

/// Judges the result of an attempt: by its HTTP status if that decides, otherwise by its body.
fn classify(result: Result<Reply, CallError>, redact: &dyn Fn(String) -> String) -> Classified {
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => return Classified::transient(redact(error.to_string())),
    };
    let status = reply.status;
    let body = reply::decode(&reply.body, redact);
    // Before the status: a ban outlasts every pause that a status asks for.
    if matches!(body, Err(DecodeError::Banned)) {
        return Classified::banned();
    }
    if let Some(verdict) = verdict::by_status(status, reply.retry_after) {
        return Classified::from_status(verdict, status, reply.retry_after.is_some(), &body);
    }
    if let Some(target) = reply.redirects_to {
        let text = tr!(
            "HTTP {status}: redirect to {target} not followed (it would receive the token)",
            status,
            target
        );
        return Classified::transient(redact(text));
    }
    Classified::from_body(status, body)
}

/// The outcome of an answer. `errcode` 0 without a user is `not_found`, with our own `errmsg`
/// ([reply](crate::guide::api#reply)).
fn into_outcome(status: Status, classified: Classified) -> Outcome {
    let Classified { code, message, userid, exclusive_ids, request_id, .. } = classified;
    let is_nobody = userid.is_none() && exclusive_ids.is_empty();
    let outcome = match status {
        Status::Found if is_nobody => Outcome::ok_without_user(code),
        Status::Found => Outcome {
            userid: userid.unwrap_or_default().into(),
            exclusive_ids: exclusive_ids.join(";").into(),
            ..Outcome::without_user(status, code, message)
        },
        _ => Outcome::without_user(status, code, message),
    };
    Outcome { request_id: request_id.into(), ..outcome }
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

    fn token(is_fresh: bool, can_renew: bool) -> TokenInUse<'static> {
        TokenInUse { redact: &|text| text.replace("secret", "***"), is_fresh, can_renew }
    }

    fn lookup() -> Lookup {
        Lookup::new(Mobile::parse("13800138000", DefaultRegion::CHINA).unwrap())
    }

    type CallResult = Result<Reply, CallError>;

    #[expect(clippy::unnecessary_wraps, reason = "the type of a call's result")]
    fn json(body: &str) -> CallResult {
        CallResult::Ok(Reply {
            status: 200,
            retry_after: None,
            redirects_to: None,
            connection: None,
            body: body.to_owned().into(),
        })
    }

    fn code(code: i64) -> CallResult {
        json(&format!(r#"{{"errcode":{code},"errmsg":"text"}}"#))
    }

    /// Repeats one result for a number until it settles; returns the delays of its retries.
    fn drive(result: impl Fn() -> CallResult, seed: u64) -> (Vec<Duration>, Outcome) {
        let (mut lookup, mut jitter, mut delays) =
            (lookup(), fastrand::Rng::with_seed(seed), Vec::new());
        loop {
            match lookup.next_action(result(), token(false, true), &RETRIES, &mut jitter) {
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
        let both = r#"{"errcode":0,"errmsg":"ok",
            "result":{"userid":"u","exclusive_account_userid_list":["a","b"]}}"#;
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
            "an unknown code: two retries at most"
        );
        let (delays, outcome) = drive(|| Err(CallError::TimedOut(Duration::from_secs(10))), 3);
        assert_eq!((delays.len(), outcome.code), (5, None));
        assert_eq!(&*outcome.message, "timed out after 10s");
        let web_page = || {
            Ok(Reply {
                status: 403,
                retry_after: None,
                redirects_to: None,
                connection: None,
                body: "<html>".into(),
            })
        };
        assert_eq!(
            &*drive(web_page, 0).1.message,
            "HTTP 403: the reply was a web page, not an answer of the API"
        );
        let bad_gateway = || {
            Ok(Reply {
                status: 502,
                retry_after: None,
                redirects_to: None,
                connection: None,
                body: "{\"errcode\":0}".into(),
            })
        };
        assert_eq!(&*drive(bad_gateway, 0).1.message, "HTTP 502");
    }

    #[test]
    fn a_refused_stream_costs_an_attempt_from_the_fourth_time() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut refused = || {
            lookup.next_action(
                Err(CallError::RefusedStream("c".into())),
                token(false, true),
                &RETRIES,
                &mut jitter,
            )
        };
        assert!((0..MAX_REFUSED_STREAMS).all(|_| matches!(refused(), Action::RetryNow)));
        assert!((0..RETRIES.max_retries).all(|_| matches!(refused(), Action::RetryAfter(_))));
        assert!(matches!(refused(), Action::Settle(outcome) if outcome.status == Status::Failed));
    }

    #[test]
    fn pauses_and_stops_cost_no_attempt() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        for _ in 0..100 {
            assert!(matches!(
                lookup.next_action(code(90018), token(false, true), &RETRIES, &mut jitter),
                Action::Pause(_)
            ));
        }
        let banned = json(r#"{"status":1111,"punish":"deny"}"#);
        assert!(matches!(
            lookup.next_action(banned, token(false, true), &RETRIES, &mut jitter),
            Action::Pause(_)
        ));
        assert!(matches!(
            lookup.next_action(code(60011), token(false, true), &RETRIES, &mut jitter),
            Action::Abort(_)
        ));
        assert_eq!(lookup.failures, 0);
    }

    #[test]
    fn a_rejected_token_is_replaced_unless_it_is_fresh_or_given() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut rejected = |token| lookup.next_action(code(40014), token, &RETRIES, &mut jitter);
        assert!(matches!(rejected(token(false, true)), Action::RetryNow));
        assert!(matches!(rejected(token(false, true)), Action::RetryAfter(_)));
        let abort = rejected(token(true, true));
        assert!(matches!(abort, Action::Abort(Abort::TokenRejected { fresh: true, .. })));
        let abort = rejected(token(false, false));
        assert!(matches!(abort, Action::Abort(Abort::TokenRejected { fresh: false, .. })));
    }

    #[test]
    fn a_number_for_which_every_token_is_rejected_fails() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let (mut free, mut delays) = (0, 0);
        let outcome = loop {
            match lookup.next_action(code(40014), token(false, true), &RETRIES, &mut jitter) {
                Action::RetryNow => free += 1,
                Action::RetryAfter(_) => delays += 1,
                Action::Settle(outcome) => break outcome,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((free, delays), (1, RETRIES.max_retries), "one replay uses up no attempt");
        assert_eq!((outcome.status, outcome.code), (Status::Failed, Some(Code::Number(40014))));
    }

    #[test]
    fn an_answer_of_another_call_costs_an_attempt() {
        let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
        let mut foreign = || lookup.on_foreign_answer(&RETRIES, &mut jitter);
        assert!((0..RETRIES.max_retries).all(|_| matches!(foreign(), Action::RetryAfter(_))));
        assert!(matches!(foreign(), Action::Settle(outcome) if outcome.status == Status::Failed));
    }

    #[test]
    fn a_reply_says_whether_the_token_was_accepted() {
        let accepted = |result| {
            let (mut lookup, mut jitter) = (lookup(), fastrand::Rng::with_seed(0));
            lookup.next_action(result, token(false, true), &RETRIES, &mut jitter);
            lookup.is_token_accepted()
        };
        assert_eq!([code(0), code(60121), code(-1), code(34567)].map(accepted), [Some(true); 4]);
        assert_eq!(accepted(code(40014)), Some(false));
        let lost = Err(CallError::ConnectionLost("reset".into()));
        assert_eq!([code(90018), json("<html>"), lost].map(accepted), [None; 3]);
    }
}
