//! Fail fast: ends a run early if its first calls show that nothing in it will work, before hours
//! and quota are spent. The cases are a host that never answers, replies that are not the API's,
//! and one [unknown code](crate::guide::api#codes) for all numbers.

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::verdict::{Verdict, by_code};
use crate::engine::lookup::Abort;

/// If this many first numbers fail alike, all numbers will.
const PROBE_NUMBERS: u32 = 20;

/// One reply that is not HTTP can be a damaged one.
const MAX_NOT_HTTP: u32 = 3;

/// The results of the first calls of a run.
#[derive(Debug, Default)]
pub(crate) struct FailFast {
    /// Whether the host ever sent a reply, of any kind.
    has_answered: bool,
    /// Why the last call did not reach the host.
    unreachable: Option<String>,
    /// Replies before the first one that was HTTP.
    not_http: u32,
    /// Numbers that failed with `common_cause`.
    failures: u32,
    /// A code or a reason.
    common_cause: Option<String>,
    /// Whether some number did not fail with `common_cause`.
    is_proven: bool,
}

impl FailFast {
    /// Whether no further number may be called yet: until one shows that the calls work, only the
    /// first 20 are.
    #[must_use]
    pub(crate) fn is_probe_exhausted(&self, numbers_called: u64) -> bool {
        !self.is_proven && numbers_called >= u64::from(PROBE_NUMBERS)
    }

    #[must_use]
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Records the result of a call. An untrusted certificate and, before the first reply, a wrong
    /// configuration end the run at once, because no further attempt changes them.
    pub(crate) fn on_result(&mut self, result: &Result<Reply, CallError>) -> Option<Abort> {
        match result {
            Err(CallError::Untrusted(reason)) => return Some(Abort::Untrusted(reason.clone())),
            Err(error @ CallError::NotHttp(cause)) if !self.has_answered => {
                self.not_http += 1;
                self.unreachable = Some(error.to_string());
                if self.not_http >= MAX_NOT_HTTP {
                    return Some(Abort::Misconfigured(cause.clone()));
                }
            }
            Err(CallError::Misconfigured(reason)) if !self.has_answered => {
                return Some(Abort::Misconfigured(reason.clone()));
            }
            Err(error) if !error.has_reached_host() => self.unreachable = Some(error.to_string()),
            _ => self.has_answered = true,
        }
        None
    }

    /// Records the answer of a number; returns why the run should end, if it should.
    pub(crate) fn on_settled(&mut self, mobile: Mobile, outcome: &Outcome) -> Option<Abort> {
        if !self.has_answered && outcome.status == Status::Failed {
            return self.unreachable.clone().map(Abort::Unreachable);
        }
        if self.is_proven {
            return None;
        }
        // A number without a code failed at a gateway: then the reason is compared.
        let is_unknown = |code| by_code(code, &outcome.message) == Verdict::UnknownCode;
        let has_failed =
            outcome.status == Status::Failed && outcome.code.as_ref().is_none_or(is_unknown);
        let cause = has_failed.then(|| {
            outcome.code.as_ref().map_or_else(|| outcome.message.to_string(), Code::to_string)
        });
        let differs = |common: &String| Some(common) != cause.as_ref();
        self.is_proven = cause.is_none() || self.common_cause.as_ref().is_some_and(differs);
        self.common_cause = cause;
        self.failures += 1;
        if self.is_proven || self.failures < PROBE_NUMBERS {
            return None;
        }
        let message = mobile.mask_in(&outcome.message);
        Some(match outcome.code.clone() {
            Some(code) => Abort::UnknownCode { code, message },
            None => Abort::InvalidReplies(message),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    fn failed(code: i64) -> Outcome {
        Outcome::without_user(Status::Failed, Some(Code::Number(code)), "m")
    }

    fn settled(fail_fast: &mut FailFast, outcome: &Outcome) -> Option<Abort> {
        fail_fast.on_settled(Mobile::parse("+852-51234508", DefaultRegion::CHINA).unwrap(), outcome)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the type of a call's result")]
    fn ok() -> Result<Reply, CallError> {
        Ok(Reply {
            status: 200,
            retry_after: None,
            redirects_to: None,
            connection: None,
            body: "".into(),
        })
    }

    #[test]
    fn twenty_identical_failures_stop_the_run_and_mixed_ones_do_not() {
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&ok()).is_none());
        for _ in 0..19 {
            assert!(settled(&mut fail_fast, &failed(34567)).is_none());
        }
        assert!(matches!(
            settled(&mut fail_fast, &failed(34567)),
            Some(Abort::UnknownCode { code: Code::Number(34567), .. })
        ));
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&ok()).is_none());
        let web_page =
            || Outcome::without_user(Status::Failed, None, "HTTP 407: the reply was a web page");
        assert!((0..19).all(|_| settled(&mut fail_fast, &web_page()).is_none()));
        let abort = settled(&mut fail_fast, &web_page());
        assert!(matches!(abort, Some(Abort::InvalidReplies(reason)) if reason.contains("407")));
        for other in [
            failed(34568),
            failed(-1),
            Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok"),
        ] {
            let mut fail_fast = FailFast::default();
            assert!(fail_fast.on_result(&ok()).is_none());
            assert!(settled(&mut fail_fast, &failed(34567)).is_none());
            assert!(settled(&mut fail_fast, &other).is_none());
            assert!(!fail_fast.is_probe_exhausted(u64::MAX));
            assert!(
                (0..100).all(|_| settled(&mut fail_fast, &failed(34567)).is_none()),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_host_that_never_answered_stops_the_run() {
        let refused = || Err(CallError::Unreachable("refused".into()));
        let no_connection = Outcome::without_user(Status::Failed, None, "no connection");
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&refused()).is_none());
        let abort = settled(&mut fail_fast, &no_connection);
        assert!(matches!(abort, Some(Abort::Unreachable(reason)) if reason.contains("refused")));
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&ok()).is_none());
        assert!(fail_fast.on_result(&refused()).is_none());
        assert!(settled(&mut fail_fast, &no_connection).is_none());
    }

    #[test]
    fn an_untrusted_certificate_stops_the_run_immediately() {
        let mut fail_fast = FailFast::default();
        for _ in 0..2 {
            let untrusted = Err(CallError::Untrusted("UnknownIssuer".into()));
            let abort = fail_fast.on_result(&untrusted);
            assert!(matches!(abort, Some(Abort::Untrusted(reason)) if reason == "UnknownIssuer"));
            assert!(fail_fast.on_result(&ok()).is_none());
        }
    }

    #[test]
    fn replies_that_are_not_http_stop_the_run_only_if_no_other_came() {
        let other = || Err(CallError::NotHttp("invalid".into()));
        let mut fail_fast = FailFast::default();
        assert!((1..MAX_NOT_HTTP).all(|_| fail_fast.on_result(&other()).is_none()));
        let abort = fail_fast.on_result(&other());
        assert!(matches!(abort, Some(Abort::Misconfigured(reason)) if reason == "invalid"));
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&ok()).is_none());
        assert!((0..100).all(|_| fail_fast.on_result(&other()).is_none()));
    }

    #[test]
    fn a_wrong_configuration_stops_the_run_before_the_first_reply_only() {
        let wrong = || Err(CallError::Misconfigured("no TLS".into()));
        let mut fail_fast = FailFast::default();
        let abort = fail_fast.on_result(&wrong());
        assert!(matches!(abort, Some(Abort::Misconfigured(reason)) if reason == "no TLS"));
        assert!(fail_fast.on_result(&ok()).is_none() && fail_fast.on_result(&wrong()).is_none());
    }

    #[test]
    fn the_fail_fast_message_does_not_contain_the_number() {
        let mut fail_fast = FailFast::default();
        assert!(fail_fast.on_result(&ok()).is_none());
        let outcome = |_| {
            Outcome::without_user(
                Status::Failed,
                Some(Code::Number(34567)),
                "no rule for 852-51234508 / 85251234508",
            )
        };
        let abort = (0..20).map(outcome).find_map(|outcome| settled(&mut fail_fast, &outcome));
        let Some(Abort::UnknownCode { message, .. }) = abort else { panic!("{abort:?}") };
        assert!(message.starts_with("no rule for ") && !message.contains("1234508"), "{message}");
    }
}
