//! Why a call got no complete reply. The texts contain no URL, since URLs contain the token.

use std::error::Error;
use std::io;
use std::time::Duration;

use tr::tr;

/// Why a call got no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection: refused, unknown host, or rejected by a proxy.
    #[error("{}", tr!("cannot connect: {cause}", cause = .0))]
    Unreachable(String),
    /// The server's or proxy's certificate is not trusted.
    #[error("{}", tr!("certificate not trusted: {cause}", cause = .0))]
    Untrusted(String),
    /// No complete reply within the timeout.
    #[error("{}", tr!("timed out after {time}", time = humantime::format_duration(*.0)))]
    TimedOut(Duration),
    /// The server did not process the request: it closes the HTTP/2 connection (GOAWAY), or
    /// accepts no more streams on it for now (RFC 9113, 6.8 and 8.7).
    #[error("{}", tr!("the server refused the HTTP/2 stream: {cause}", cause = .0))]
    RefusedStream(String),
    /// The connection ended before the reply was complete.
    #[error("{}", tr!("connection lost: {cause}", cause = .0))]
    ConnectionLost(String),
    /// The reply exceeds the limit, in bytes.
    #[error("{}", tr!("reply larger than {max} bytes", max = .0))]
    ReplyTooLarge(usize),
}

impl CallError {
    /// Whether a trusted server was reached.
    #[must_use]
    pub fn has_reached_host(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted(_))
    }
}

/// Classifies an error of the HTTP library from which the URL was removed. `connecting` is whether
/// there was no connection yet.
pub(crate) fn classify_error(error: &(dyn Error + 'static), connecting: bool) -> CallError {
    let text = root_cause(error);
    match () {
        () if is_certificate_error(error) => CallError::Untrusted(text),
        () if connecting => CallError::Unreachable(describe_tunnel_error(text)),
        () if is_refused_stream(error) => CallError::RefusedStream(text),
        () => CallError::ConnectionLost(text),
    }
}

/// Says that it was the proxy that refused. The library does not pass on the proxy's HTTP status.
fn describe_tunnel_error(text: String) -> String {
    match text.strip_prefix("tunnel error: ") {
        Some(cause) if cause.contains("authorization") => tr!(
            "the proxy requires a user name and a password; put them into the URL in DINGMAP_PROXY \
             ({cause})",
            cause
        ),
        Some(cause) => tr!("the proxy refused the connection ({cause})", cause),
        None => text,
    }
}

/// The innermost cause, such as "Connection refused". Of an HTTP/2 error only the reason: the rest
/// of it is text that the server chose.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let reason = |error: &(dyn Error + 'static)| {
        let reason = error.downcast_ref::<h2::Error>()?.reason()?;
        Some(reason.description().to_owned())
    };
    let last = || error_chain(error).last().map_or_else(String::new, ToString::to_string);
    error_chain(error).find_map(reason).unwrap_or_else(last)
}

/// An error and its causes, the innermost last. What an I/O error wraps is not its `source()`.
fn error_chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn is_certificate_error(error: &(dyn Error + 'static)) -> bool {
    let is_rejected = |error: &rustls::Error| {
        matches!(
            error,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
        )
    };
    error_chain(error).any(|error| error.downcast_ref().is_some_and(is_rejected))
}

/// Whether the server refused the stream, or sent GOAWAY before it processed it.
fn is_refused_stream(error: &(dyn Error + 'static)) -> bool {
    let is_refused = |error: &h2::Error| {
        error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    };
    error_chain(error).any(|error| error.downcast_ref().is_some_and(is_refused))
}
