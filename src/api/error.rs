//! Why there was no reply, or not all of it, in words that have no URL, since URLs carry the token. Owns telling apart
//! what the HTTP library says. Leaves what a fault costs to `engine`.

use std::error::Error;
use std::io;
use std::time::Duration;

use tr::tr;

/// No reply, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection: refused, unknown host, a proxy that does not let through.
    #[error("{}", tr!("no connection: {cause}", cause = .0))]
    Unreachable(String),
    /// Somebody is there whose certificate proves nothing.
    #[error("{}", tr!("its certificate is not trusted: {cause}", cause = .0))]
    Untrusted(String),
    /// Nothing, or not everything, within the timeout.
    #[error("{}", tr!("no reply within {time}", time = humantime::format_duration(*.0)))]
    TimedOut(Duration),
    /// The host said by the means of HTTP/2 that it did nothing with the request: it closes that connection, or takes
    /// no more on it for now (RFC 9113, 6.8 and 8.7).
    #[error("{}", tr!("the host did not take the call: {cause}", cause = .0))]
    RefusedStream(String),
    /// The connection broke before the reply was whole.
    #[error("{}", tr!("the connection broke: {cause}", cause = .0))]
    ConnectionLost(String),
    /// More bytes than a reply can have.
    #[error("{}", tr!("the reply was longer than {most} bytes", most = .0))]
    ReplyTooLarge(usize),
}

impl CallError {
    /// Whether the host is there at all, and is the one that was meant.
    #[must_use]
    pub fn has_reached_host(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted(_))
    }
}

/// What an error of the HTTP library is, from which the URL was taken. `connecting` says whether there was no
/// connection yet.
pub(crate) fn classify_error(error: &(dyn Error + 'static), connecting: bool) -> CallError {
    let text = root_cause(error);
    match () {
        () if is_certificate_error(error) => CallError::Untrusted(text),
        () if connecting => CallError::Unreachable(describe_tunnel_error(text)),
        () if is_refused_stream(error) => CallError::RefusedStream(text),
        () => CallError::ConnectionLost(text),
    }
}

/// A proxy's refusal in words that say whose it is; what status it came with is not to be had.
fn describe_tunnel_error(text: String) -> String {
    match text.strip_prefix("tunnel error: ") {
        Some(what) if what.contains("authorization") => tr!(
            "the proxy wants a user and a password, which the variable DINGMAP_PROXY can have in its URL ({what})",
            what
        ),
        Some(what) => tr!("the proxy does not let the call through ({what})", what),
        None => text,
    }
}

/// The innermost cause, which says what happened ("Connection refused"). Of HTTP/2 the reason alone: beside it the far side
/// can send whatever it likes.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let reason = |error: &(dyn Error + 'static)| {
        let reason = error.downcast_ref::<h2::Error>()?.reason()?;
        Some(reason.description().to_owned())
    };
    let last = || error_chain(error).last().map_or_else(String::new, ToString::to_string);
    error_chain(error).find_map(reason).unwrap_or_else(last)
}

/// An error and what lies below it, the innermost last. What an I/O error was made of is not among its sources.
fn error_chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn is_certificate_error(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &rustls::Error| {
        matches!(
            error,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
        )
    };
    error_chain(error).any(|error| error.downcast_ref().is_some_and(refused))
}

/// Whether the host refused the stream, or said goodbye before it came to it.
fn is_refused_stream(error: &(dyn Error + 'static)) -> bool {
    let before = |error: &h2::Error| {
        error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    };
    error_chain(error).any(|error| error.downcast_ref().is_some_and(before))
}
