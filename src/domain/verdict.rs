//! The one table from what the API said to what it means: every class of `API.md` 5, by the effective code, and by
//! HTTP status and failure where there is no code. Leaves what to do about it (wait, retry, renew, stop) to
//! `engine::lookup`.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz};
use tr::tr;

use crate::domain::outcome::{Code, Status};

/// What an answer means for the row and for the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The row has its answer: found, not found, bad number or out of scope. One call, no retry.
    Answer(Status),
    /// The same call may succeed shortly: back off, bounded attempts.
    Transient,
    /// Nobody calls until the hold ends; no attempt is used up.
    Throttled(Pause),
    /// The token is not accepted (any more): renew it once, replay.
    TokenRejected,
    /// Nothing will work until a person acts: the run stops.
    Fatal(Remedy),
    /// A code that no source names: tried twice more at most, then the row is `failed`.
    UnknownCode,
}

/// How long all calls rest after a throttling answer (`API.md` 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What was exceeded.
    pub cause: Limit,
    /// The end that the answer itself names, to the second.
    pub until: Option<Timestamp>,
    /// How long where the answer names no end.
    pub length: PauseLength,
}

/// How long a hold lasts where the answer does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseLength {
    /// This long.
    Fixed(Duration),
    /// 1, 2, 4 s from one hold in a row to the next, with jitter.
    Exponential,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// This app's calls a second: the one answer that says that our own rate is too high.
    App,
    /// The platform's capacity for this API.
    Platform,
    /// Calls a minute of the app or the organisation.
    Minute,
    /// The API was closed to the app for a while.
    Suspended,
    /// Some other frequency limit.
    Other,
    /// The egress IP was banned.
    Address,
    /// The host, or a proxy in between, asked for a pause by HTTP 429 or 503.
    Proxy,
    /// No limit of the API's: whoever shares out the quota among several runs cannot be asked.
    Shared,
}

/// What a person has to do before the run can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Grant the app the permission.
    Permission,
    /// Put this machine's address on the app's list.
    AllowList,
    /// Correct the key, the secret or the token.
    Credentials,
    /// The app or the organisation is not in a state to call.
    Organisation,
    /// The month's quota is used up.
    Quota,
    /// The endpoint is not the one that has this API.
    Endpoint,
}

/// A class of the table, before the message has had its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Answer(Status),
    Transient,
    Throttled(Limit, PauseLength),
    TokenRejected,
    Fatal(Remedy),
}

/// The least that a proxy's `Retry-After` is taken for: one that says 0 would be asked again without end.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(100);
const SECOND: PauseLength = PauseLength::Fixed(Duration::from_secs(1));
const MINUTE: PauseLength = PauseLength::Fixed(Duration::from_mins(1));
const FIVE_MINUTES: PauseLength = PauseLength::Fixed(Duration::from_mins(5));

/// `API.md` 5, row by row. Codes that stand in no row are unknown.
const TABLE: &[(RangeInclusive<i64>, Class)] = &[
    (0..=0, Class::Answer(Status::Found)),
    (60121..=60121, Class::Answer(Status::NotFound)),
    (33012..=33012, Class::Answer(Status::NotFound)),
    (40003..=40003, Class::Answer(Status::NotFound)),
    (60111..=60111, Class::Answer(Status::NotFound)),
    (60120..=60120, Class::Answer(Status::NotFound)), // disabled
    (40104..=40104, Class::Answer(Status::BadNumber)),
    (60103..=60103, Class::Answer(Status::BadNumber)),
    (400_002..=400_002, Class::Answer(Status::BadNumber)),
    (40000..=40000, Class::Answer(Status::BadNumber)), // save where it speaks of a blank token
    (40035..=40035, Class::Answer(Status::BadNumber)),
    (40038..=40038, Class::Answer(Status::BadNumber)),
    (40..=41, Class::Answer(Status::BadNumber)),
    (50002..=50002, Class::Answer(Status::OutOfScope)),
    (50004..=50004, Class::Answer(Status::OutOfScope)),
    (-1..=-1, Class::Transient),
    (400_001..=400_001, Class::Transient),
    (10..=10, Class::Transient),
    (15..=15, Class::Transient),
    (90018..=90018, Class::Throttled(Limit::App, SECOND)),
    (90002..=90002, Class::Throttled(Limit::Platform, PauseLength::Exponential)),
    (90005..=90006, Class::Throttled(Limit::Minute, MINUTE)),
    (90001..=90001, Class::Throttled(Limit::Suspended, FIVE_MINUTES)),
    (90003..=90004, Class::Throttled(Limit::Suspended, FIVE_MINUTES)),
    (90007..=90014, Class::Throttled(Limit::Other, MINUTE)),
    (90019..=90019, Class::Throttled(Limit::Other, MINUTE)),
    (45009..=45009, Class::Throttled(Limit::Other, MINUTE)),
    (7..=7, Class::Throttled(Limit::Other, MINUTE)),
    (40014..=40014, Class::TokenRejected),
    (42001..=42001, Class::TokenRejected),
    (40001..=40001, Class::TokenRejected),
    (33001..=33001, Class::TokenRejected),
    (43007..=43007, Class::TokenRejected),
    (60011..=60011, Class::Fatal(Remedy::Permission)),
    (60020..=60020, Class::Fatal(Remedy::AllowList)),
    (40096..=40096, Class::Fatal(Remedy::Credentials)),
    (40089..=40089, Class::Fatal(Remedy::Credentials)),
    (40013..=40013, Class::Fatal(Remedy::Credentials)),
    (41001..=41002, Class::Fatal(Remedy::Credentials)),
    (41004..=41004, Class::Fatal(Remedy::Credentials)),
    (48002..=48002, Class::Fatal(Remedy::Organisation)),
    (50003..=50003, Class::Fatal(Remedy::Organisation)),
    (50005..=50005, Class::Fatal(Remedy::Organisation)),
    (70001..=70001, Class::Fatal(Remedy::Organisation)),
    (90017..=90017, Class::Fatal(Remedy::Quota)),
    (90020..=90020, Class::Fatal(Remedy::Quota)),
    (22..=22, Class::Fatal(Remedy::Endpoint)),
    (404..=404, Class::Fatal(Remedy::Endpoint)),
    (43001..=43005, Class::Fatal(Remedy::Endpoint)),
    (43009..=43009, Class::Fatal(Remedy::Endpoint)),
];

/// What an effective code means. The message decides twice only: the end of a penalty, and a blank token.
#[must_use]
pub fn by_code(code: &Code, message: &str) -> Verdict {
    let number = match code {
        Code::Number(number) => *number,
        // `isp.*` are failures of the service behind the gateway (`API.md` 5).
        Code::Word(word) if word.starts_with("isp.") => return Verdict::Transient,
        Code::Word(word) => return by_word(word, message),
    };
    if number == 40000 && message.contains("access_token is blank") {
        return Verdict::Fatal(Remedy::Credentials);
    }
    match TABLE.iter().find(|(codes, _)| codes.contains(&number)).map(|(_, class)| *class) {
        None => Verdict::UnknownCode,
        Some(Class::Answer(status)) => Verdict::Answer(status),
        Some(Class::Transient) => Verdict::Transient,
        Some(Class::Throttled(cause, pause)) => {
            Verdict::Throttled(Pause { cause, until: parse_penalty_end(message), length: pause })
        }
        Some(Class::TokenRejected) => Verdict::TokenRejected,
        Some(Class::Fatal(remedy)) => Verdict::Fatal(remedy),
    }
}

/// The newer calls, of which the token call is one, say in words that a limit was met, and the platform's limit with
/// the end of its penalty like 90002 (open.dingtalk.com, "API rate limits"). Neither is a limit of the lookups' own rate.
fn by_word(word: &str, message: &str) -> Verdict {
    let (cause, pause) = match word.strip_prefix("Forbidden.AccessDenied.QpsLimitFor") {
        Some("Api") => (Limit::Platform, PauseLength::Exponential),
        Some(_) => (Limit::Other, SECOND),
        None => return Verdict::UnknownCode,
    };
    Verdict::Throttled(Pause { cause, until: parse_penalty_end(message), length: pause })
}

/// What an HTTP status means by itself, where it decides before the body does: too many calls, or a failing
/// server or proxy. `wait` is its `Retry-After`.
#[must_use]
pub(crate) fn by_status(status: u16, wait: Option<Duration>) -> Option<Verdict> {
    match (status, wait) {
        (429, None) => Some(Verdict::Throttled(Pause {
            cause: Limit::Proxy,
            until: None,
            length: PauseLength::Exponential,
        })),
        (429 | 503, Some(wait)) => Some(Verdict::Throttled(Pause {
            cause: Limit::Proxy,
            until: None,
            length: PauseLength::Fixed(wait.max(MIN_RETRY_AFTER)),
        })),
        (408 | 500..=599, _) => Some(Verdict::Transient),
        _ => None,
    }
}

/// The ban of the egress IP: five minutes (`API.md` 3).
#[must_use]
pub fn ip_ban_pause() -> Pause {
    Pause { cause: Limit::Address, until: None, length: FIVE_MINUTES }
}

/// The end of a penalty in a throttling message, `… 处罚将在 2026-09-03 00:01:03 结束` or `限制将在 …`: China
/// time (`API.md` 3).
fn parse_penalty_end(message: &str) -> Option<Timestamp> {
    let (_, rest) = message.split_once("处罚将在").or_else(|| message.split_once("限制将在"))?;
    let (moment, _) = rest.split_once("结束")?;
    let moment: DateTime = moment.trim().replace('/', "-").parse().ok()?;
    // A moment past the end of time, which is in some hours of the year 9999, is a very late one.
    Some(tz::offset(8).to_timestamp(moment).unwrap_or(Timestamp::MAX))
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::App,
        Self::Platform,
        Self::Minute,
        Self::Suspended,
        Self::Other,
        Self::Address,
        Self::Proxy,
        Self::Shared,
    ];
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::App => tr!("this app's calls a second"),
            Self::Platform => tr!("the platform's capacity"),
            Self::Minute => tr!("the calls a minute"),
            Self::Suspended => tr!("a suspension of the API"),
            Self::Other => tr!("a frequency limit"),
            Self::Address => tr!("a ban of this network address"),
            Self::Proxy => tr!("a limit of the host or of a proxy, told by HTTP"),
            Self::Shared => tr!("no word from the shared server"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(code: i64) -> Verdict {
        by_code(&Code::Number(code), "")
    }

    /// `API.md` 5 once more, in its own order and written independently of the table.
    #[test]
    fn every_documented_code_has_a_verdict() {
        let answers = [
            (Status::Found, &[0][..]),
            (Status::NotFound, &[60121, 33012, 40003, 60111, 60120]),
            (Status::BadNumber, &[40104, 60103, 400_002, 40000, 40035, 40038, 40, 41]),
            (Status::OutOfScope, &[50002, 50004]),
        ];
        for (status, codes) in answers {
            for code in codes {
                assert_eq!(of(*code), Verdict::Answer(status), "{code}");
            }
        }
        for code in [-1, 400_001, 10, 15] {
            assert_eq!(of(code), Verdict::Transient, "{code}");
        }
        let throttled = [90018, 90002, 90005, 90006, 90001, 90003, 90004, 90019, 45009, 7];
        for code in throttled.into_iter().chain(90007..=90014) {
            assert!(matches!(of(code), Verdict::Throttled(_)), "{code}");
        }
        for code in [40014, 42001, 40001, 33001, 43007] {
            assert_eq!(of(code), Verdict::TokenRejected, "{code}");
        }
        let fatal = [
            60011, 60020, 40096, 40089, 40013, 41001, 41002, 41004, 48002, 50003, 50005, 70001,
            90017, 90020, 22, 404, 43001, 43002, 43003, 43004, 43005, 43009,
        ];
        for code in fatal {
            assert!(matches!(of(code), Verdict::Fatal(_)), "{code}");
        }
        for code in [1, 88, 34567, 43006, 43008, 90015, 90016, 90021, 60122, i64::MIN, i64::MAX] {
            assert_eq!(of(code), Verdict::UnknownCode, "{code}");
        }
    }

    #[test]
    fn every_fatal_code_has_its_remedy() {
        for (code, remedy) in [
            (60011, Remedy::Permission),
            (60020, Remedy::AllowList),
            (40096, Remedy::Credentials),
            (50005, Remedy::Organisation),
            (90020, Remedy::Quota),
            (22, Remedy::Endpoint),
        ] {
            assert_eq!(of(code), Verdict::Fatal(remedy), "{code}");
        }
        let blank = by_code(&Code::Number(40000), "access_token is blank");
        assert_eq!(blank, Verdict::Fatal(Remedy::Credentials));
    }

    #[test]
    fn gateway_words_have_a_verdict() {
        assert_eq!(by_code(&Code::Word("isp.service-timeout".into()), ""), Verdict::Transient);
        assert_eq!(
            by_code(&Code::Word("isv.permission-api-package-limit".into()), ""),
            Verdict::UnknownCode
        );
        let limit = |whose: &str, message| {
            by_code(
                &Code::Word(format!("Forbidden.AccessDenied.QpsLimitFor{whose}").into()),
                message,
            )
        };
        let own = Pause { cause: Limit::Other, until: None, length: SECOND };
        assert_eq!(limit("AppkeyAndApi", ""), Verdict::Throttled(own));
        let until = Some("2026-09-21T04:00:04Z".parse().unwrap());
        let all = Pause { cause: Limit::Platform, until, length: PauseLength::Exponential };
        let message = "请求过于频繁，限制将在 2026-09-21 12:00:04 结束";
        assert_eq!(limit("Api", message), Verdict::Throttled(all));
    }

    #[test]
    fn no_code_is_listed_twice() {
        for (at, (codes, _)) in TABLE.iter().enumerate() {
            let rest = &TABLE[at + 1..];
            let twice =
                codes.clone().find(|code| rest.iter().any(|(others, _)| others.contains(code)));
            assert_eq!(twice, None);
        }
    }

    #[test]
    fn a_pause_ends_at_the_time_given_in_the_reply() {
        let end: Timestamp = "2026-09-02T16:01:03Z".parse().unwrap();
        for message in [
            "触发全局限流, 处罚将在 2026-09-03 00:01:03 结束",
            "ding talk error[subcode=90002,submsg=限制将在2026-09-03 00:01:03结束]",
            "限制将在 2026/09/03 00:01:03 结束",
        ] {
            let Verdict::Throttled(hold) = by_code(&Code::Number(90002), message) else {
                panic!("{message}")
            };
            assert_eq!(
                (hold.until, hold.cause, hold.length),
                (Some(end), Limit::Platform, PauseLength::Exponential)
            );
        }
        for message in [
            "",
            "处罚将在 明天 结束",
            "处罚将在 2026-13-41 00:00:00 结束",
            "处罚将在 2026-09-03 00:01:03",
        ] {
            let Verdict::Throttled(hold) = by_code(&Code::Number(90018), message) else {
                panic!("{message}")
            };
            assert_eq!((hold.until, hold.length), (None, SECOND), "{message}");
        }
    }

    #[test]
    fn a_pause_without_an_end_time_has_its_default_length() {
        let pause = |code| match of(code) {
            Verdict::Throttled(hold) => hold.length,
            other => panic!("{other:?}"),
        };
        assert_eq!([pause(90018), pause(90002)], [SECOND, PauseLength::Exponential]);
        assert_eq!([pause(90005), pause(90006)], [MINUTE; 2]);
        assert_eq!([pause(90001), pause(90003), pause(90004)], [FIVE_MINUTES; 3]);
        assert_eq!(
            ip_ban_pause(),
            Pause { cause: Limit::Address, until: None, length: FIVE_MINUTES }
        );
    }

    #[test]
    fn some_http_statuses_decide_the_verdict_alone() {
        let wait = Some(Duration::from_secs(7));
        let proxy = |pause| {
            Some(Verdict::Throttled(Pause { cause: Limit::Proxy, until: None, length: pause }))
        };
        assert_eq!(by_status(429, None), proxy(PauseLength::Exponential));
        assert_eq!(by_status(429, wait), proxy(PauseLength::Fixed(Duration::from_secs(7))));
        assert_eq!(by_status(503, wait), proxy(PauseLength::Fixed(Duration::from_secs(7))));
        assert_eq!(
            by_status(429, Some(Duration::ZERO)),
            proxy(PauseLength::Fixed(MIN_RETRY_AFTER))
        );
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(by_status(status, None), Some(Verdict::Transient), "{status}");
        }
        for status in [200, 302, 400, 403, 404] {
            assert_eq!(by_status(status, wait), None, "{status}");
        }
    }

    proptest! {
        #[test]
        fn any_code_and_message_has_a_verdict(code in any::<i64>(), message in "\\PC{0,60}") {
            let _ = by_code(&Code::Number(code), &message);
        }
    }
}
