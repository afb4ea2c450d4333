//! Exit statuses, and the messages of runs that end early: what happened and what to do.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tr::tr;

use crate::api::edition::other_edition;
use crate::domain::outcome::Code;
use crate::domain::redact::sanitize;
use crate::domain::verdict::{Limit, Remedy};
use crate::engine::end::RunEnd;
use crate::engine::lookup::Abort;
use crate::table::write::sink::SinkError;

/// The [exit statuses](crate::guide::exit_status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: every row has a definitive answer.
    Success,
    /// 1: the run could not continue (I/O, unexpected error).
    Error,
    /// 2: usage or configuration error.
    Usage,
    /// 3: the input is unreadable.
    Input,
    /// 4: the run finished, but some rows failed and may succeed on another try.
    RowsFailed,
    /// 5: credentials or permission.
    AccessDenied,
    /// 6: stopped by a limit (`--max-calls`, `--patience`).
    LimitReached,
    /// 7: the output cannot be written.
    Output,
    /// 10: `diff` found differences.
    Differs,
    /// 11: `diff` found more differences than `--max-change` allows.
    TooManyDifferences,
    /// 130, 143 or 129: interrupted by this signal.
    Interrupted(Signal),
}

/// The signals that end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: service managers send it.
    Terminate,
    /// SIGHUP: the terminal or the connection was closed.
    Hangup,
}

impl Exit {
    /// The number that the process returns.
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

/// An error that ends the program. Its text is complete for the user and contains no secret.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What happened, where, and what to do.
    pub error: anyhow::Error,
    /// Whether it gets no message, because the user caused it by closing a pipe.
    pub is_silent: bool,
}

impl Failure {
    pub(crate) fn with_message(exit: Exit, text: impl Into<String>) -> Self {
        Self::from_error(exit, anyhow::Error::msg(text.into()))
    }

    /// Keeps the error's sources: they are printed too.
    pub(crate) fn from_error(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), is_silent: false }
    }

    /// An output cannot be written, or a bug has damaged it.
    pub(crate) fn from_sink_error(error: SinkError) -> Self {
        let exit = match error {
            SinkError::Bug { .. } => Exit::Error,
            SinkError::Source(_) => Exit::Input,
            _ => Exit::Output,
        };
        let kind = error.kind();
        Self::from_error(exit, error).silence_closed_pipe(kind)
    }

    /// The same failure, without a message if an error of this kind shows that the program that
    /// reads an output has ended, as `head` does: the exit status is enough.
    pub(crate) fn silence_closed_pipe(self, kind: io::ErrorKind) -> Self {
        Self { is_silent: kind == io::ErrorKind::BrokenPipe, ..self }
    }

    /// The same failure with a further line.
    pub(crate) fn with_line(&self, line: &str) -> Self {
        let Self { exit, error, is_silent } = self;
        let text = format!("{error:#}\n  {line}");
        Self { is_silent: *is_silent, ..Self::with_message(*exit, text) }
    }
}

/// The failure of a run that ended early; `None` if it finished.
///
/// `endpoint` is the URL that was called, `signal` the signal that interrupted the run, `pending`
/// the number of rows with this status. `resumable` says whether another run has the answers.
#[must_use]
pub(crate) fn failure_from_end(
    end: &RunEnd,
    endpoint: &str,
    signal: Option<Signal>,
    pending: u64,
    resumable: bool,
) -> Option<Failure> {
    let stopped = |reason: String, advice: String| {
        (Exit::LimitReached, stopped_message(&reason, pending, &advice))
    };
    let (exit, text) = match end {
        RunEnd::Finished => return None,
        RunEnd::CallLimitReached => stopped(
            tr!("stopped: --max-calls reached."),
            if resumable {
                tr!("Run again for as many more calls, or with a higher --max-calls for all rows.")
            } else {
                tr!(
                    "Run again with a higher --max-calls, or with --state FILE to keep the answers \
                     for the next run."
                )
            },
        ),
        RunEnd::PatienceExceeded { cause: Limit::Shared, .. } => stopped(
            tr!("stopped: the shared server was unreachable for longer than --patience."),
            tr!("Run again when the server is back, or with a longer --patience, or with \
                 --shared-optional."),
        ),
        RunEnd::PatienceExceeded { cause, remaining } => stopped(
            tr!("stopped: rate limited ({cause}) for longer than --patience.", cause),
            tr!(
                "Run again in {left} or later, or with a longer --patience.",
                left = format_whole_seconds(*remaining)
            ),
        ),
        RunEnd::MachineFailed(cause) => stopped(
            tr!("stopped: {cause}; this lasted longer than --patience.", cause = sanitize(cause)),
            tr!("Correct the cause and run the same command again."),
        ),
        RunEnd::Interrupted => {
            (Exit::Interrupted(signal.unwrap_or(Signal::Interrupt)), tr!("interrupted"))
        }
        RunEnd::StateFailed(cause) => return Some(state_write_failure(cause)),
        RunEnd::InputFailed => (
            Exit::Error,
            tr!("the input ended unexpectedly inside dingmap; this is a bug, please report it"),
        ),
        RunEnd::OutputClosed => (Exit::Output, tr!("cannot write the output")),
        RunEnd::Aborted(abort) => describe_abort(abort, endpoint),
    };
    Some(Failure::with_message(exit, text))
}

fn stopped_message(stopped: &str, pending: u64, advice: &str) -> String {
    // With --retry-failed, rows that were not retried keep their earlier status.
    if pending == 0 {
        return tr!("{stopped} {advice}", stopped, advice);
    }
    let pending = tr!("{n} row is still pending." | "{n} rows are still pending." % pending);
    tr!("{stopped} {pending} {advice}", stopped, pending, advice)
}

/// The failure of a run whose state file can no longer be written.
fn state_write_failure(cause: &str) -> Failure {
    Failure::with_message(
        Exit::Error,
        tr!(
            "answers can no longer be kept in the state file: {cause}. Free disk space or correct \
             the cause, and run the same command again.",
            cause
        ),
    )
}

fn describe_abort(abort: &Abort, endpoint: &str) -> (Exit, String) {
    match abort {
        Abort::Fatal { remedy, code, message } => {
            let advice = match remedy {
                Remedy::Credentials => edition_advice(endpoint),
                _ => String::new(),
            };
            let text = remedy_text(*remedy) + &advice + &quote_api_message(message, code);
            (Exit::AccessDenied, text)
        }
        Abort::TokenRejected { fresh: false, code, message } => (
            Exit::AccessDenied,
            tr!(
                "the access token was rejected: it has expired, was revoked, or belongs to another \
                 endpoint. Set a new one in DINGTALK_ACCESS_TOKEN, or set DINGTALK_APP_KEY and \
                 DINGTALK_APP_SECRET, with which dingmap renews tokens itself. If DINGTALK_APP_KEY \
                 is set in addition to the token from the first run on, answers are kept for the \
                 app and not for the token, and a run with a new token resumes."
            ) + &edition_advice(endpoint)
                + &quote_api_message(message, code),
        ),
        Abort::TokenRejected { fresh: true, code, message } => (
            Exit::AccessDenied,
            tr!(
                "a newly obtained token was rejected. Check that DINGTALK_APP_KEY belongs to an \
                 internal app of this organization and that --endpoint {endpoint} is its host.",
                endpoint
            ) + &edition_advice(endpoint)
                + &quote_api_message(message, code),
        ),
        Abort::TokenUnavailable { reason, refused: true } => (
            Exit::AccessDenied,
            tr!(
                "DingTalk refused a token for this app. Check DINGTALK_APP_KEY and \
                 DINGTALK_APP_SECRET (developer console, your app, Credentials), that this \
                 machine's IP address is on the app's allow list if it has one, and that \
                 --endpoint {endpoint} is its host.",
                endpoint
            ) + &edition_advice(endpoint)
                + "\n  "
                + &tr!("The API said: {message}", message = sanitize(reason)),
        ),
        Abort::TokenUnavailable { reason, refused: false } => (
            Exit::Error,
            tr!(
                "cannot obtain a token from {endpoint}: {cause}. Check --endpoint, or try again \
                 later.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::Unreachable(reason) => (
            Exit::Error,
            tr!(
                "{endpoint} was never reached: {cause}. Check --endpoint, the network and the \
                 proxy, and run the same command again.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::MachineFailed(reason) => (
            Exit::Error,
            tr!(
                "{cause}. Nothing was sent to {endpoint}. Correct the cause and run the same \
                 command again.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::Misconfigured(reason) => (
            Exit::Error,
            tr!(
                "{endpoint}: {cause}. Then run the same command again.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::Untrusted(reason) => (
            Exit::Error,
            tr!(
                "{endpoint}: TLS certificate of the host or its proxy is not trusted: {cause}. \
                 The TLS handshake failed, so no credentials and no numbers were sent. If a proxy \
                 of your organization inspects TLS connections, pass its certificate with \
                 --ca-file; otherwise check --endpoint, --proxy and this machine's clock.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::InvalidReplies(reason) => (
            Exit::Error,
            tr!(
                "unexpected replies from {endpoint} for each of the first 20 numbers: {cause}. \
                 Stopped to save calls. Check --endpoint, and whether a proxy or a login page \
                 answers instead of the API.",
                endpoint,
                cause = sanitize(reason)
            ),
        ),
        Abort::UnknownCode { code, message } => (
            Exit::Error,
            tr!(
                "each of the first 20 numbers failed with unknown errcode {code}: {message}. \
                 Stopped to save calls. Look up the code in DingTalk's documentation.",
                code,
                message = sanitize(message)
            ),
        ),
    }
}

/// The host to try if the credentials are those of the other edition.
fn edition_advice(endpoint: &str) -> String {
    other_edition(endpoint).map_or_else(String::new, |other| {
        let advice = tr!("An app of DingTalk's other edition needs --endpoint {other}.", other);
        format!("\n  {advice}")
    })
}

/// The API's message on a separate line.
fn quote_api_message(message: &str, code: &Code) -> String {
    let (message, code) = (sanitize(message), sanitize(&code.to_string()));
    "\n  ".to_owned() + &tr!("The API said: {message} (errcode {code})", message, code)
}

fn remedy_text(remedy: Remedy) -> String {
    match remedy {
        Remedy::Permission => {
            tr!("the app has no permission for this call. Grant it qyapi_get_member_by_mobile \
                 (developer console, your app, Permissions; the message below may contain the \
                 link), then run the same command again.")
        }
        Remedy::AllowList => {
            tr!("this machine's IP address is not on the app's allow list. Add the address in the \
                 message below (developer console, your app, Security, server egress IP), then run \
                 the same command again.")
        }
        Remedy::Credentials => tr!(
            "the credentials were rejected. Check DINGTALK_APP_KEY and DINGTALK_APP_SECRET, or \
             DINGTALK_ACCESS_TOKEN."
        ),
        Remedy::Organisation => tr!(
            "the app or its organization may not call the API now. Check in the developer console \
             that the app is an internal app, enabled and installed."
        ),
        Remedy::Quota => tr!(
            "the organization's call quota is used up. Wait until it is renewed, or extend it in \
             the developer console, then run the same command again."
        ),
        Remedy::Endpoint => tr!(
            "the endpoint does not offer this call. Check --endpoint: https://oapi.dingtalk.io or \
             https://oapi.dingtalk.com, without a path."
        ),
    }
}

/// Rounds up to whole seconds.
#[must_use]
pub(crate) fn format_whole_seconds(duration: Duration) -> String {
    let fraction = u64::from(duration.subsec_nanos() > 0);
    format_duration(Duration::from_secs(duration.as_secs() + fraction))
}

/// Translates a unit of time of [`humantime`].
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

#[must_use]
pub(crate) fn format_duration(duration: Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    let translate = |component: &str| {
        let digits = component.find(char::is_alphabetic).unwrap_or(component.len());
        let (count, unit) = component.split_at(digits);
        format!("{count}{}", translate_unit(unit))
    };
    text.split(' ').map(translate).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resuming_is_not_suggested_without_a_state() {
        let message = |pending, resumable| {
            failure_from_end(&RunEnd::CallLimitReached, "https://e", None, pending, resumable)
                .unwrap()
                .error
                .to_string()
        };
        let (resumable, lost) = (message(7, true), message(1, false));
        assert!(resumable.contains("as many more") && !resumable.contains("--state"));
        assert!(lost.contains("--state") && !lost.contains("as many more"));
        assert!(resumable.starts_with("stopped: --max-calls reached. 7 rows are still pending. "));
        assert!(lost.contains(" 1 row is still pending. "));
        assert!(!message(0, true).contains("pending"));
    }

    #[test]
    fn refused_credentials_name_the_host_of_the_other_edition() {
        let code = crate::domain::outcome::Code::Number(40089);
        for abort in [
            Abort::TokenUnavailable { reason: "r".into(), refused: true },
            Abort::TokenRejected { fresh: false, code: code.clone(), message: String::new() },
            Abort::TokenRejected { fresh: true, code: code.clone(), message: String::new() },
            Abort::Fatal { remedy: Remedy::Credentials, code, message: String::new() },
        ] {
            let end = RunEnd::Aborted(abort);
            let message = |endpoint| {
                failure_from_end(&end, endpoint, None, 0, true).unwrap().error.to_string()
            };
            let text = message("https://oapi.dingtalk.io (proxy: http://p:1)");
            assert!(text.contains("needs --endpoint https://oapi.dingtalk.com."), "{text}");
            assert!(!message("https://gateway.example").contains("edition"));
        }
    }

    #[test]
    fn every_stop_reason_suggests_an_action() {
        let code = crate::domain::outcome::Code::Number(1);
        let fatal = |remedy| Abort::Fatal { remedy, code: code.clone(), message: "m".into() };
        for (abort, status, word) in [
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
                "If DINGTALK_APP_KEY is set in addition to the token from the first run on, \
                 answers are kept for the app",
            ),
            (Abort::TokenUnavailable { reason: "r".into(), refused: true }, 5, "DINGTALK_APP_KEY"),
            (Abort::TokenUnavailable { reason: "r".into(), refused: false }, 1, "later"),
            (Abort::Unreachable("refused".into()), 1, "https://e was never reached: refused"),
            (Abort::Untrusted("UnknownIssuer".into()), 1, "--ca-file"),
            // The untrusted certificate may be the proxy's.
            (
                Abort::Untrusted("m".into()),
                1,
                "https://e: TLS certificate of the host or its proxy",
            ),
            (Abort::Untrusted("m".into()), 1, "so no credentials and no numbers were sent. "),
            (Abort::MachineFailed("no route".into()), 1, "no route. Nothing was sent"),
            (Abort::Misconfigured("no TLS".into()), 1, "https://e: no TLS. "),
            (Abort::UnknownCode { code: code.clone(), message: "m".into() }, 1, "first 20"),
        ] {
            let failure =
                failure_from_end(&RunEnd::Aborted(abort), "https://e", None, 0, true).unwrap();
            assert_eq!(failure.exit.status(), status, "{word}");
            assert!(failure.error.to_string().contains(word), "{}", failure.error);
        }
    }
}
