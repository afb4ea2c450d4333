//! Signs, early in a run, that nothing in it will work, so that it stops before hours and quota are spent
//! (`API.md` 5, unknown codes): a host that never answers, one that answers everybody alike with what is no answer of
//! the API, and one unknown code for everybody.

use crate::api::error::Fault;
use crate::api::http::Reply;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::verdict::{Verdict, verdict};
use crate::engine::lookup::Stop;

/// So many first numbers failing alike are no accident (`API.md` 5).
const FIRST: u32 = 20;

/// What the first calls of a run came to.
#[derive(Debug, Default)]
pub(crate) struct Omen {
    /// Whether the host ever answered, by whatever.
    answered: bool,
    /// Why the last call did not reach it.
    unreachable: Option<String>,
    /// Numbers that failed with `alike`, a code or a reason.
    failed: u32,
    alike: Option<String>,
    well: bool,
}

impl Omen {
    /// Whether so many numbers are enough to have called: until one of them has shown that the calls work, only the
    /// first twenty are risked.
    #[must_use]
    pub(crate) fn enough(&self, called: u64) -> bool {
        !self.well && called >= u64::from(FIRST)
    }

    /// Whether the host ever answered, by whatever.
    #[must_use]
    pub(crate) fn answered(&self) -> bool {
        self.answered
    }

    /// Takes note of one call's result; the reason to stop, where it is one: somebody else may sit where the host was,
    /// or a proxy, and no attempt makes that better.
    pub(crate) fn heard(&mut self, result: &Result<Reply, Fault>) -> Option<Stop> {
        match result {
            Err(Fault::Untrusted(what)) => return Some(Stop::Untrusted(what.clone())),
            Err(fault) if !fault.answered() => self.unreachable = Some(fault.to_string()),
            _ => self.answered = true,
        }
        None
    }

    /// Takes note of one number's answer; the reason to stop, if the answers so far are one.
    pub(crate) fn settled(&mut self, mobile: Mobile, outcome: &Outcome) -> Option<Stop> {
        if !self.answered && outcome.status == Status::Failed {
            return self.unreachable.clone().map(Stop::Unreachable);
        }
        if self.well {
            return None;
        }
        // A number without a code failed at the gateway: then the reason is what is alike.
        let unknown = |code| verdict(code, &outcome.message) == Verdict::Unknown;
        let failed = outcome.status == Status::Failed && outcome.code.as_ref().is_none_or(unknown);
        let sign = failed.then(|| {
            outcome.code.as_ref().map_or_else(|| outcome.message.to_string(), Code::to_string)
        });
        self.well =
            sign.is_none() || self.alike.as_ref().is_some_and(|alike| Some(alike) != sign.as_ref());
        self.alike = sign;
        self.failed += 1;
        if self.well || self.failed < FIRST {
            return None;
        }
        let message = mobile.hidden_in(&outcome.message);
        Some(match outcome.code.clone() {
            Some(code) => Stop::Unknown { code, message },
            None => Stop::Unreadable(message),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::Home;

    fn failed(code: i64) -> Outcome {
        Outcome::bare(Status::Failed, Some(Code::Number(code)), "m")
    }

    fn settled(omen: &mut Omen, outcome: &Outcome) -> Option<Stop> {
        omen.settled(Mobile::parse("+852-51234508", Home::CHINA).unwrap(), outcome)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for a call's result")]
    fn ok() -> Result<Reply, Fault> {
        Ok(Reply { status: 200, retry_after: None, leads_to: None, body: "".into() })
    }

    #[test]
    fn twenty_alike_stop_and_anything_else_among_them_does_not() {
        let mut omen = Omen::default();
        assert!(omen.heard(&ok()).is_none());
        for _ in 0..19 {
            assert!(settled(&mut omen, &failed(34567)).is_none());
        }
        assert!(matches!(
            settled(&mut omen, &failed(34567)),
            Some(Stop::Unknown { code: Code::Number(34567), .. })
        ));
        let mut omen = Omen::default();
        assert!(omen.heard(&ok()).is_none());
        let page = || Outcome::bare(Status::Failed, None, "HTTP 407: the reply was a web page");
        assert!((0..19).all(|_| settled(&mut omen, &page()).is_none()));
        assert!(
            matches!(settled(&mut omen, &page()), Some(Stop::Unreadable(reason)) if reason.contains("407"))
        );
        for other in
            [failed(34568), failed(-1), Outcome::bare(Status::Found, Some(Code::Number(0)), "ok")]
        {
            let mut omen = Omen::default();
            assert!(omen.heard(&ok()).is_none());
            assert!(settled(&mut omen, &failed(34567)).is_none());
            assert!(settled(&mut omen, &other).is_none());
            assert!(!omen.enough(u64::MAX));
            assert!((0..100).all(|_| settled(&mut omen, &failed(34567)).is_none()), "{other:?}");
        }
    }

    #[test]
    fn a_host_that_never_answered() {
        let refused = || Err(Fault::Unreachable("refused".into()));
        let silent = Outcome::bare(Status::Failed, None, "no connection");
        let mut omen = Omen::default();
        assert!(omen.heard(&refused()).is_none());
        assert!(
            matches!(settled(&mut omen, &silent), Some(Stop::Unreachable(reason)) if reason.contains("refused"))
        );
        let mut omen = Omen::default();
        assert!(omen.heard(&ok()).is_none());
        assert!(omen.heard(&refused()).is_none());
        assert!(settled(&mut omen, &silent).is_none());
    }

    #[test]
    fn a_certificate_that_proves_nothing_stops_at_once() {
        let mut omen = Omen::default();
        for _ in 0..2 {
            let untrusted = Err(Fault::Untrusted("UnknownIssuer".into()));
            assert!(
                matches!(omen.heard(&untrusted), Some(Stop::Untrusted(what)) if what == "UnknownIssuer")
            );
            assert!(omen.heard(&ok()).is_none());
        }
    }

    #[test]
    fn what_is_said_of_the_last_number_does_not_name_it() {
        let mut omen = Omen::default();
        assert!(omen.heard(&ok()).is_none());
        let of = |_| {
            Outcome::bare(
                Status::Failed,
                Some(Code::Number(34567)),
                "no rule for 852-51234508 / 85251234508",
            )
        };
        let stop = (0..20).map(of).find_map(|outcome| settled(&mut omen, &outcome));
        let Some(Stop::Unknown { message, .. }) = stop else { panic!("{stop:?}") };
        assert!(message.starts_with("no rule for ") && !message.contains("1234508"), "{message}");
    }
}
