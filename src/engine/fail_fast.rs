//! Signs, early in a run, that nothing in it will work, so that it stops before hours and quota are spent
//! (`API.md` 5, unknown codes): a host that never answers, one that answers everybody alike with what is no answer of
//! the API, and one unknown code for everybody.

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::verdict::{Verdict, by_code};
use crate::engine::lookup::Abort;

/// So many first numbers failing alike are no accident (`API.md` 5).
const PROBE_NUMBERS: u32 = 20;

/// What the first calls of a run came to.
#[derive(Debug, Default)]
pub(crate) struct FailFast {
    /// Whether the host ever answered, by whatever.
    has_answered: bool,
    /// Why the last call did not reach it.
    unreachable: Option<String>,
    /// Numbers that failed with `alike`, a code or a reason.
    failures: u32,
    common_cause: Option<String>,
    is_proven: bool,
}

impl FailFast {
    /// Whether so many numbers are enough to have called: until one of them has shown that the calls work, only the
    /// first twenty are risked.
    #[must_use]
    pub(crate) fn is_probe_exhausted(&self, called: u64) -> bool {
        !self.is_proven && called >= u64::from(PROBE_NUMBERS)
    }

    /// Whether the host ever answered, by whatever.
    #[must_use]
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Takes note of one call's result; the reason to stop, where it is one: somebody else may sit where the host was,
    /// or a proxy, and no attempt makes that better.
    pub(crate) fn on_result(&mut self, result: &Result<Reply, CallError>) -> Option<Abort> {
        match result {
            Err(CallError::Untrusted(what)) => return Some(Abort::Untrusted(what.clone())),
            Err(fault) if !fault.has_reached_host() => self.unreachable = Some(fault.to_string()),
            _ => self.has_answered = true,
        }
        None
    }

    /// Takes note of one number's answer; the reason to stop, if the answers so far are one.
    pub(crate) fn on_settled(&mut self, mobile: Mobile, outcome: &Outcome) -> Option<Abort> {
        if !self.has_answered && outcome.status == Status::Failed {
            return self.unreachable.clone().map(Abort::Unreachable);
        }
        if self.is_proven {
            return None;
        }
        // A number without a code failed at the gateway: then the reason is what is alike.
        let unknown = |code| by_code(code, &outcome.message) == Verdict::UnknownCode;
        let failed = outcome.status == Status::Failed && outcome.code.as_ref().is_none_or(unknown);
        let sign = failed.then(|| {
            outcome.code.as_ref().map_or_else(|| outcome.message.to_string(), Code::to_string)
        });
        self.is_proven = sign.is_none()
            || self.common_cause.as_ref().is_some_and(|alike| Some(alike) != sign.as_ref());
        self.common_cause = sign;
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

    fn settled(omen: &mut FailFast, outcome: &Outcome) -> Option<Abort> {
        omen.on_settled(Mobile::parse("+852-51234508", DefaultRegion::CHINA).unwrap(), outcome)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for a call's result")]
    fn ok() -> Result<Reply, CallError> {
        Ok(Reply { status: 200, retry_after: None, redirects_to: None, body: "".into() })
    }

    #[test]
    fn twenty_identical_failures_stop_the_run_and_mixed_ones_do_not() {
        let mut omen = FailFast::default();
        assert!(omen.on_result(&ok()).is_none());
        for _ in 0..19 {
            assert!(settled(&mut omen, &failed(34567)).is_none());
        }
        assert!(matches!(
            settled(&mut omen, &failed(34567)),
            Some(Abort::UnknownCode { code: Code::Number(34567), .. })
        ));
        let mut omen = FailFast::default();
        assert!(omen.on_result(&ok()).is_none());
        let page =
            || Outcome::without_user(Status::Failed, None, "HTTP 407: the reply was a web page");
        assert!((0..19).all(|_| settled(&mut omen, &page()).is_none()));
        assert!(
            matches!(settled(&mut omen, &page()), Some(Abort::InvalidReplies(reason)) if reason.contains("407"))
        );
        for other in [
            failed(34568),
            failed(-1),
            Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok"),
        ] {
            let mut omen = FailFast::default();
            assert!(omen.on_result(&ok()).is_none());
            assert!(settled(&mut omen, &failed(34567)).is_none());
            assert!(settled(&mut omen, &other).is_none());
            assert!(!omen.is_probe_exhausted(u64::MAX));
            assert!((0..100).all(|_| settled(&mut omen, &failed(34567)).is_none()), "{other:?}");
        }
    }

    #[test]
    fn a_host_that_never_answered_stops_the_run() {
        let refused = || Err(CallError::Unreachable("refused".into()));
        let silent = Outcome::without_user(Status::Failed, None, "no connection");
        let mut omen = FailFast::default();
        assert!(omen.on_result(&refused()).is_none());
        assert!(
            matches!(settled(&mut omen, &silent), Some(Abort::Unreachable(reason)) if reason.contains("refused"))
        );
        let mut omen = FailFast::default();
        assert!(omen.on_result(&ok()).is_none());
        assert!(omen.on_result(&refused()).is_none());
        assert!(settled(&mut omen, &silent).is_none());
    }

    #[test]
    fn an_untrusted_certificate_stops_the_run_immediately() {
        let mut omen = FailFast::default();
        for _ in 0..2 {
            let untrusted = Err(CallError::Untrusted("UnknownIssuer".into()));
            assert!(
                matches!(omen.on_result(&untrusted), Some(Abort::Untrusted(what)) if what == "UnknownIssuer")
            );
            assert!(omen.on_result(&ok()).is_none());
        }
    }

    #[test]
    fn the_fail_fast_message_does_not_contain_the_number() {
        let mut omen = FailFast::default();
        assert!(omen.on_result(&ok()).is_none());
        let of = |_| {
            Outcome::without_user(
                Status::Failed,
                Some(Code::Number(34567)),
                "no rule for 852-51234508 / 85251234508",
            )
        };
        let stop = (0..20).map(of).find_map(|outcome| settled(&mut omen, &outcome));
        let Some(Abort::UnknownCode { message, .. }) = stop else { panic!("{stop:?}") };
        assert!(message.starts_with("no rule for ") && !message.contains("1234508"), "{message}");
    }
}
