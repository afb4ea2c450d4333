//! The table from effective code or HTTP status to its meaning
//! ([codes](crate::guide::api#codes)). What the run does about it is in `engine::lookup`.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz};
use tr::tr;

use crate::domain::outcome::{Code, Status};

/// The meaning of a reply for the row and for the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A definitive answer: found, not found, bad number or out of scope. No retry.
    Answer(Status),
    /// The same call may succeed soon: retry with backoff, up to `--max-retries` times.
    Transient,
    /// All calls pause. The throttled call does not count as an attempt.
    Throttled(Pause),
    /// Renew the token once and repeat the call.
    TokenRejected,
    /// No call can succeed until a person acts: the run stops.
    Fatal(Remedy),
    /// A code that no source documents: at most 2 retries, then the row is `failed`.
    UnknownCode,
}

/// The pause of all calls after a throttling reply ([limits](crate::guide::api#limits)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub cause: Limit,
    /// The end that the reply names, to the second.
    pub until: Option<Timestamp>,
    /// Used if the reply names no end.
    pub length: PauseLength,
}

/// The length of a pause for which the reply names no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseLength {
    Fixed(Duration),
    /// 1, 2, 4 … s for consecutive pauses, with jitter.
    Exponential,
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Calls per second of this app: the only limit that means that our rate is too high.
    App,
    /// The platform's capacity for this API.
    Platform,
    /// Calls per minute of the app or the organization.
    Minute,
    /// The API is closed to the app for some time.
    Suspended,
    /// Another rate limit.
    Other,
    /// The egress IP is banned.
    Address,
    /// HTTP 429 or 503 from the host or a proxy.
    Proxy,
    /// Not a limit of the API: the server of `--shared` is unreachable.
    Shared,
    /// Not a limit of the API: this machine cannot open a connection.
    Machine,
}

/// What a person has to do before the run can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Grant the app the permission.
    Permission,
    /// Add this machine's IP to the app's allow list.
    AllowList,
    /// Correct the key, the secret or the token.
    Credentials,
    /// Enable the app, or the organization's access to the API.
    Organisation,
    /// Wait or pay: the quota of the month is used up.
    Quota,
    /// Correct `--endpoint`: the host does not have this API.
    Endpoint,
}

/// The meaning of a code, without the details that are in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Answer(Status),
    Transient,
    Throttled(Limit, PauseLength),
    TokenRejected,
    Fatal(Remedy),
}

/// The minimum for `Retry-After`: with 0, a call would be repeated without end.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(100);
const SECOND: PauseLength = PauseLength::Fixed(Duration::from_secs(1));
const MINUTE: PauseLength = PauseLength::Fixed(Duration::from_mins(1));
const FIVE_MINUTES: PauseLength = PauseLength::Fixed(Duration::from_mins(5));

/// The rows of [codes](crate::guide::api#codes). All other codes are unknown.
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
    (40000..=40000, Class::Answer(Status::BadNumber)), // except for a blank token
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

/// The meaning of an effective code. The message matters for the end of a penalty and for a blank
/// token.
#[must_use]
pub fn by_code(code: &Code, message: &str) -> Verdict {
    let number = match code {
        Code::Number(number) => *number,
        // `isp.*` are failures of the service behind the gateway.
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

/// Newer APIs, such as the token API, use words for exceeded limits. The platform's limit comes
/// with the end of its penalty, as 90002 does (open.dingtalk.com, "API rate limits"). None of them
/// limits the rate of lookups.
fn by_word(word: &str, message: &str) -> Verdict {
    let (cause, pause) = match word.strip_prefix("Forbidden.AccessDenied.QpsLimitFor") {
        Some("Api") => (Limit::Platform, PauseLength::Exponential),
        Some(_) => (Limit::Other, SECOND),
        None => return Verdict::UnknownCode,
    };
    Verdict::Throttled(Pause { cause, until: parse_penalty_end(message), length: pause })
}

/// The meaning of the HTTP statuses that take precedence over the body.
#[must_use]
pub(crate) fn by_status(status: u16, retry_after: Option<Duration>) -> Option<Verdict> {
    match (status, retry_after) {
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

/// The ban of the egress IP lasts 5 minutes ([limits](crate::guide::api#limits)).
#[must_use]
pub fn ip_ban_pause() -> Pause {
    Pause { cause: Limit::Address, until: None, length: FIVE_MINUTES }
}

/// The pause after a failure of this machine, which nobody ends but its operator.
#[must_use]
pub(crate) fn machine_pause() -> Pause {
    Pause { cause: Limit::Machine, until: None, length: PauseLength::Exponential }
}

/// The end of a penalty in a throttling message, `… 处罚将在 2026-09-03 00:01:03 结束` or
/// `限制将在 …`, in China time ([limits](crate::guide::api#limits)).
fn parse_penalty_end(message: &str) -> Option<Timestamp> {
    let (_, tail) = message.split_once("处罚将在").or_else(|| message.split_once("限制将在"))?;
    let (end, _) = tail.split_once("结束")?;
    let end: DateTime = end.trim().replace('/', "-").parse().ok()?;
    // The conversion fails only in the last hours of the year 9999.
    Some(tz::offset(8).to_timestamp(end).unwrap_or(Timestamp::MAX))
}

impl Limit {
    pub const ALL: [Self; 9] = [
        Self::App,
        Self::Platform,
        Self::Minute,
        Self::Suspended,
        Self::Other,
        Self::Address,
        Self::Proxy,
        Self::Shared,
        Self::Machine,
    ];
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::App => tr!("the app's calls per second"),
            Self::Platform => tr!("the platform's capacity"),
            Self::Minute => tr!("the calls per minute"),
            Self::Suspended => tr!("a suspension of the API"),
            Self::Other => tr!("another rate limit"),
            Self::Address => tr!("a ban of this IP address"),
            Self::Proxy => tr!("HTTP 429 or 503 from the host or a proxy"),
            Self::Shared => tr!("the shared server is unreachable"),
            Self::Machine => tr!("this machine cannot open a connection"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(code: i64) -> Verdict {
        by_code(&Code::Number(code), "")
    }

    /// The codes of the guide (api, Codes), in their order and independent of the table.
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
                assert_eq!(verdict(*code), Verdict::Answer(status), "{code}");
            }
        }
        for code in [-1, 400_001, 10, 15] {
            assert_eq!(verdict(code), Verdict::Transient, "{code}");
        }
        let throttled = [90018, 90002, 90005, 90006, 90001, 90003, 90004, 90019, 45009, 7];
        for code in throttled.into_iter().chain(90007..=90014) {
            assert!(matches!(verdict(code), Verdict::Throttled(_)), "{code}");
        }
        for code in [40014, 42001, 40001, 33001, 43007] {
            assert_eq!(verdict(code), Verdict::TokenRejected, "{code}");
        }
        let fatal = [
            60011, 60020, 40096, 40089, 40013, 41001, 41002, 41004, 48002, 50003, 50005, 70001,
            90017, 90020, 22, 404, 43001, 43002, 43003, 43004, 43005, 43009,
        ];
        for code in fatal {
            assert!(matches!(verdict(code), Verdict::Fatal(_)), "{code}");
        }
        for code in [1, 88, 34567, 43006, 43008, 90015, 90016, 90021, 60122, i64::MIN, i64::MAX] {
            assert_eq!(verdict(code), Verdict::UnknownCode, "{code}");
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
            assert_eq!(verdict(code), Verdict::Fatal(remedy), "{code}");
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
        let limit = |suffix: &str, message| {
            by_code(
                &Code::Word(format!("Forbidden.AccessDenied.QpsLimitFor{suffix}").into()),
                message,
            )
        };
        let app = Pause { cause: Limit::Other, until: None, length: SECOND };
        assert_eq!(limit("AppkeyAndApi", ""), Verdict::Throttled(app));
        let until = Some("2026-09-21T04:00:04Z".parse().unwrap());
        let platform = Pause { cause: Limit::Platform, until, length: PauseLength::Exponential };
        let message = "请求过于频繁，限制将在 2026-09-21 12:00:04 结束";
        assert_eq!(limit("Api", message), Verdict::Throttled(platform));
    }

    #[test]
    fn no_code_is_listed_twice() {
        for (index, (codes, _)) in TABLE.iter().enumerate() {
            let later = &TABLE[index + 1..];
            let duplicate =
                codes.clone().find(|code| later.iter().any(|(codes, _)| codes.contains(code)));
            assert_eq!(duplicate, None);
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
            let Verdict::Throttled(pause) = by_code(&Code::Number(90002), message) else {
                panic!("{message}")
            };
            assert_eq!(
                (pause.until, pause.cause, pause.length),
                (Some(end), Limit::Platform, PauseLength::Exponential)
            );
        }
        for message in [
            "",
            "处罚将在 明天 结束",
            "处罚将在 2026-13-41 00:00:00 结束",
            "处罚将在 2026-09-03 00:01:03",
        ] {
            let Verdict::Throttled(pause) = by_code(&Code::Number(90018), message) else {
                panic!("{message}")
            };
            assert_eq!((pause.until, pause.length), (None, SECOND), "{message}");
        }
    }

    #[test]
    fn a_pause_without_an_end_time_has_its_default_length() {
        let length = |code| match verdict(code) {
            Verdict::Throttled(pause) => pause.length,
            other => panic!("{other:?}"),
        };
        assert_eq!([length(90018), length(90002)], [SECOND, PauseLength::Exponential]);
        assert_eq!([length(90005), length(90006)], [MINUTE; 2]);
        assert_eq!([length(90001), length(90003), length(90004)], [FIVE_MINUTES; 3]);
        assert_eq!(
            ip_ban_pause(),
            Pause { cause: Limit::Address, until: None, length: FIVE_MINUTES }
        );
    }

    #[test]
    fn some_http_statuses_decide_the_verdict_alone() {
        let wait = Some(Duration::from_secs(7));
        let proxy =
            |length| Some(Verdict::Throttled(Pause { cause: Limit::Proxy, until: None, length }));
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
        fn no_code_or_message_causes_a_panic(code in any::<i64>(), message in "\\PC{0,60}") {
            let _ = by_code(&Code::Number(code), &message);
        }
    }
}
