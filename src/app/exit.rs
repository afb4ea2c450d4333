//! How the program ends: the exit statuses of DESIGN 1, and what people are told where a run could not go on: what
//! happened and what to do now.

use std::process::ExitCode;
use std::time::Duration;

use tr::tr;

use crate::domain::outcome::Code;
use crate::domain::redact::sanitize;
use crate::domain::verdict::{Limit, Remedy};
use crate::engine::end::RunEnd;
use crate::engine::lookup::Abort;

/// The exit statuses of DESIGN 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: every row has a definitive answer.
    Success,
    /// 1: could not go on (I/O, unexpected).
    Error,
    /// 2: usage or configuration.
    Usage,
    /// 3: input unreadable.
    Input,
    /// 4: finished, but some rows failed and may succeed on another try.
    RowsFailed,
    /// 5: credentials or permission.
    AccessDenied,
    /// 6: stopped by a limit.
    LimitReached,
    /// 7: output cannot be written.
    Output,
    /// 10: `diff` found differences.
    Differs,
    /// 11: `diff` found more of them than were expected.
    TooManyDifferences,
    /// 130, 143 or 129: interrupted by this signal.
    Interrupted(Signal),
}

/// The signals that end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What a service manager sends.
    Terminate,
    /// The terminal or the connection is gone.
    Hangup,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::RowsFailed => 4,
            Self::AccessDenied => 5,
            Self::LimitReached => 6,
            Self::Output => 7,
            Self::Differs => 10,
            Self::TooManyDifferences => 11,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
            Self::Interrupted(Signal::Hangup) => 129,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}

/// What ended the program, and with which status. The text has everything that a person needs, and no secret.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What happened, where, and what to do now.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure told in one text.
    pub(crate) fn with_message(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(text.into()) }
    }

    /// A failure told by an error and its causes.
    pub(crate) fn from_error(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// What to tell about a run that ended before all rows had their answers; none for one that finished. `endpoint`
/// is where the calls went, `signal` what interrupted, if that happened, and `kept` whether another run has the answers.
#[must_use]
pub(crate) fn failure_from_end(
    end: &RunEnd,
    endpoint: &str,
    signal: Option<Signal>,
    kept: bool,
) -> Option<Failure> {
    let (exit, text) = match end {
        RunEnd::Finished => return None,
        RunEnd::CallLimitReached if !kept => (
            Exit::LimitReached,
            tr!(
                "stopped: --max-calls was reached; the rows that are left have no answer yet. Run again with a higher --max-calls, or with a --state file, where the next run finds what was answered."
            ),
        ),
        RunEnd::CallLimitReached => (
            Exit::LimitReached,
            tr!(
                "stopped: --max-calls was reached; the rows that are left have no answer yet. Run again to ask for as many more, or with a higher --max-calls for all."
            ),
        ),
        RunEnd::PatienceExceeded { cause: Limit::Shared, .. } => (
            Exit::LimitReached,
            tr!(
                "stopped: the shared server was silent for longer than --patience allows; the rows that are left have no answer yet. Run again when it is back, or with a longer --patience, or with --shared-optional."
            ),
        ),
        RunEnd::PatienceExceeded { cause, remaining: left } => (
            Exit::LimitReached,
            tr!(
                "stopped: throttling ({cause}) would hold the run for longer than --patience allows; the rows that are left have no answer yet. Run again in {left} or later, or with a longer --patience.",
                cause,
                left = format_whole_seconds(*left)
            ),
        ),
        RunEnd::Interrupted => {
            (Exit::Interrupted(signal.unwrap_or(Signal::Interrupt)), tr!("interrupted"))
        }
        RunEnd::StateFailed(what) => return Some(state_write_failure(what)),
        RunEnd::InputFailed => (
            Exit::Error,
            tr!("the input broke off inside dingmap; this is a bug, please report it"),
        ),
        RunEnd::OutputClosed => (Exit::Output, tr!("the output cannot be written")),
        RunEnd::Aborted(stop) => describe_abort(stop, endpoint),
    };
    Some(Failure::with_message(exit, text))
}

/// What to tell where answers can no longer be kept.
#[must_use]
pub(crate) fn state_write_failure(what: &str) -> Failure {
    Failure::with_message(
        Exit::Error,
        tr!(
            "answers can no longer be kept in the state file: {cause}. Make room or mend what the system says, and run the same command again.",
            cause = what
        ),
    )
}

fn describe_abort(stop: &Abort, endpoint: &str) -> (Exit, String) {
    match stop {
        Abort::Fatal { remedy, code, message } => {
            (Exit::AccessDenied, remedy_text(*remedy) + &quote_api_message(message, code))
        }
        Abort::TokenRejected { fresh: false, code, message } => (
            Exit::AccessDenied,
            tr!(
                "the access token is not accepted: it has expired, was revoked, or is not of this endpoint. Put a new one into DINGTALK_ACCESS_TOKEN, or set DINGTALK_APP_KEY and DINGTALK_APP_SECRET, which renew it by themselves. With DINGTALK_APP_KEY set beside a token from the first run on, what is answered is kept for the app and not for that token, so that the next token goes on from there."
            ) + &quote_api_message(message, code),
        ),
        Abort::TokenRejected { fresh: true, code, message } => (
            Exit::AccessDenied,
            tr!(
                "a token that was fetched a moment ago is not accepted. Check that DINGTALK_APP_KEY belongs to an internal app of this organisation and that --endpoint {endpoint} is its host.",
                endpoint
            ) + &quote_api_message(message, code),
        ),
        Abort::TokenUnavailable { reason, refused: true } => (
            Exit::AccessDenied,
            tr!(
                "DingTalk gives no token for this app. Check DINGTALK_APP_KEY and DINGTALK_APP_SECRET (developer console, your app, Credentials), that this machine's address is on the app's allow list if it has one, and that --endpoint {endpoint} is its host.",
                endpoint
            ) + "\n  "
                + &tr!("The API said: {message}", message = sanitize(reason)),
        ),
        Abort::TokenUnavailable { reason, refused: false } => (
            Exit::Error,
            tr!(
                "no token could be fetched at {endpoint}: {cause}. Try again later.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::Unreachable(reason) => (
            Exit::Error,
            tr!(
                "{endpoint} was never reached: {cause}. Check --endpoint, the network and the proxy, and run the same command again.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::Untrusted(reason) => (
            Exit::Error,
            tr!(
                "{endpoint}: the host or the proxy before it was reached, but its certificate is not trusted: {cause}. Nothing was sent to it. If a proxy of your organisation inspects connections, give its certificate with --ca-file; else check --endpoint, --proxy and this machine's clock.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::InvalidReplies(reason) => (
            Exit::Error,
            tr!(
                "{endpoint} does not answer as the API does: {cause}, for each of the first 20 numbers. Stopped before more calls are spent; check --endpoint, and whether a proxy or a login page stands in between.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::UnknownCode { code, message } => (
            Exit::Error,
            tr!(
                "the first 20 numbers all failed with errcode {code}, which dingmap does not know: {message}. Stopped before more calls are spent; look the code up in DingTalk's documentation.",
                code,
                message = sanitize(message)
            ),
        ),
    }
}

/// The API's own words, on a line of their own.
fn quote_api_message(message: &str, code: &Code) -> String {
    let (message, code) = (sanitize(message), sanitize(&code.to_string()));
    "\n  ".to_owned() + &tr!("The API said: {message} (errcode {code})", message, code)
}

fn remedy_text(remedy: Remedy) -> String {
    match remedy {
        Remedy::Permission => tr!(
            "the app has no permission for this call. Grant it qyapi_get_member_by_mobile (developer console, your app, Permissions; the message below may carry the link), then run the same command again."
        ),
        Remedy::AllowList => tr!(
            "this machine's address is not on the app's allow list. Add the address in the message below (developer console, your app, Security, server egress IP), then run the same command again."
        ),
        Remedy::Credentials => tr!(
            "the credentials are not accepted. Check DINGTALK_APP_KEY and DINGTALK_APP_SECRET, or DINGTALK_ACCESS_TOKEN."
        ),
        Remedy::Organisation => tr!(
            "the app or its organisation may not call the API now. Check in the developer console that the app is an internal one, enabled and installed."
        ),
        Remedy::Quota => tr!(
            "the organisation's quota of calls is used up. Wait until it is renewed, or extend it in the developer console, then run the same command again."
        ),
        Remedy::Endpoint => tr!(
            "the endpoint does not have this call. Check --endpoint: https://oapi.dingtalk.io or https://oapi.dingtalk.com, without a path."
        ),
    }
}

/// A duration in whole seconds, for people.
#[must_use]
pub(crate) fn format_whole_seconds(duration: Duration) -> String {
    let begun = u64::from(duration.subsec_nanos() > 0);
    format_duration(Duration::from_secs(duration.as_secs() + begun))
}

/// A unit of time, as [`humantime`] has it.
fn translate_unit(unit: &str) -> String {
    match unit {
        "year" => tr!("duration" => "year"),
        "years" => tr!("duration" => "years"),
        "month" => tr!("duration" => "month"),
        "months" => tr!("duration" => "months"),
        "day" => tr!("duration" => "day"),
        "days" => tr!("duration" => "days"),
        "h" => tr!("duration" => "h"),
        "m" => tr!("duration" => "m"),
        "s" => tr!("duration" => "s"),
        other => other.to_owned(),
    }
}

/// A duration in the units that people use.
#[must_use]
pub(crate) fn format_duration(duration: Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    let part = |part: &str| {
        let (count, unit) = part.split_at(part.find(char::is_alphabetic).unwrap_or(part.len()));
        format!("{count}{}", translate_unit(unit))
    };
    text.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resuming_is_not_suggested_without_a_state() {
        let told = |kept| {
            failure_from_end(&RunEnd::CallLimitReached, "https://e", None, kept)
                .unwrap()
                .error
                .to_string()
        };
        assert!(told(true).contains("as many more") && !told(true).contains("--state"));
        assert!(told(false).contains("--state") && !told(false).contains("as many more"));
    }

    #[test]
    fn every_stop_reason_suggests_an_action() {
        let code = crate::domain::outcome::Code::Number(1);
        let fatal = |remedy| Abort::Fatal { remedy, code: code.clone(), message: "m".into() };
        for (stop, status, word) in [
            (fatal(Remedy::Permission), 5, "qyapi_get_member_by_mobile"),
            (fatal(Remedy::AllowList), 5, "allow list"),
            (fatal(Remedy::Credentials), 5, "DINGTALK_APP_SECRET"),
            (fatal(Remedy::Quota), 5, "quota"),
            (
                Abort::TokenRejected { fresh: false, code: code.clone(), message: String::new() },
                5,
                "DINGTALK_ACCESS_TOKEN",
            ),
            (
                Abort::TokenRejected { fresh: false, code: code.clone(), message: String::new() },
                5,
                "With DINGTALK_APP_KEY set beside a token from the first run on, what is answered is kept for the app",
            ),
            (Abort::TokenUnavailable { reason: "r".into(), refused: true }, 5, "DINGTALK_APP_KEY"),
            (Abort::TokenUnavailable { reason: "r".into(), refused: false }, 1, "later"),
            (Abort::Unreachable("refused".into()), 1, "https://e was never reached: refused"),
            (Abort::Untrusted("UnknownIssuer".into()), 1, "--ca-file"),
            // It may be the proxy's, whereas another host has been sent something before.
            (
                Abort::Untrusted("m".into()),
                1,
                "https://e: the host or the proxy before it was reached",
            ),
            (Abort::Untrusted("m".into()), 1, "Nothing was sent to it. "),
            (Abort::UnknownCode { code: code.clone(), message: "m".into() }, 1, "first 20"),
        ] {
            let failure =
                failure_from_end(&RunEnd::Aborted(stop), "https://e", None, true).unwrap();
            assert_eq!(failure.exit.status(), status, "{word}");
            assert!(failure.error.to_string().contains(word), "{}", failure.error);
        }
    }
}
