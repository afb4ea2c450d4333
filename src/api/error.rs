//! Why a call got no complete reply. The texts contain no URL, since URLs contain the token.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tr::tr;

/// What this machine lacks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    Descriptors,
    Memory,
    Addresses,
    Route,
}

/// Why a call got no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection: refused, unknown host, or rejected by a proxy.
    #[error("{}", tr!("cannot connect: {cause}", cause = .0))]
    Unreachable(String),
    /// This machine could not open a connection, so nothing was sent.
    #[error("{}", describe_shortage(*.0, .1))]
    Machine(Shortage, String),
    /// The scheme or the port is wrong, or the proxy wants a password: no attempt can succeed.
    #[error("{0}")]
    Misconfigured(String),
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
    /// The reply to plain HTTP does not begin as one of HTTP does: the port may expect TLS.
    #[error("{}", tr!("connection lost: {cause}", cause = .0))]
    NotHttp(String),
    /// The reply is compressed in a form that was not asked for.
    #[error("{}", tr!(
        "the reply is compressed ({name}), which dingmap did not ask for", name = .0
    ))]
    Compressed(String),
    /// The reply exceeds the limit, in bytes.
    #[error("{}", tr!("reply larger than {max} bytes", max = .0))]
    ReplyTooLarge(usize),
}

impl CallError {
    /// Whether a trusted server was reached.
    #[must_use]
    pub fn has_reached_host(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable(_) | Self::Machine(..) | Self::Untrusted(_) | Self::Misconfigured(_)
        )
    }

    /// Whether a complete reply came, which is unusable.
    #[must_use]
    pub(crate) fn is_reply(&self) -> bool {
        matches!(self, Self::Compressed(_) | Self::ReplyTooLarge(_))
    }
}

/// Where a call was on its way to the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallStage {
    /// Whether there was no connection yet.
    pub connecting: bool,
    /// Whether every connection goes to a proxy.
    pub proxied: bool,
    /// Whether the endpoint is an `https://` URL.
    pub encrypted: bool,
}

/// Classifies an error of the HTTP library from which the URL was removed.
pub(crate) fn classify_error(error: &(dyn Error + 'static), stage: CallStage) -> CallError {
    let CallStage { connecting, proxied, encrypted } = stage;
    let http2_reason = error_chain(error).find_map(describe_http2_error);
    let is_http2 = http2_reason.is_some();
    let cause = http2_reason.unwrap_or_else(|| describe_cause(error));
    match () {
        () if is_certificate_error(error) => CallError::Untrusted(cause),
        () if is_plain_reply(error) => CallError::Misconfigured(tr!(
            "{cause}; correct scheme and port of --endpoint or of --proxy",
            cause
        )),
        () if connecting && let Some(shortage) = find_shortage(error) => {
            CallError::Machine(shortage, cause)
        }
        // HTTP 407 of the proxy.
        () if connecting && cause.starts_with("tunnel error: proxy authorization required") => {
            CallError::Misconfigured(proxy_auth_text(&cause))
        }
        () if connecting => CallError::Unreachable(describe_connect_error(cause, proxied)),
        // The reply does not begin with `HTTP/`.
        () if !encrypted && root_cause(error).starts_with("invalid HTTP version parsed") => {
            CallError::NotHttp(cause)
        }
        () if is_refused_stream(error) => CallError::RefusedStream(cause),
        () if is_http2 => CallError::ConnectionLost(tr!("HTTP/2 error: {cause}", cause)),
        () => CallError::ConnectionLost(cause),
    }
}

fn describe_shortage(shortage: Shortage, cause: &str) -> String {
    match shortage {
        Shortage::Descriptors => tr!(
            "no file descriptor is left for a connection ({cause}); raise `ulimit -n`, or lower \
             --workers",
            cause
        ),
        Shortage::Memory => tr!(
            "no memory is left for a connection ({cause}); free some, or lower --workers",
            cause
        ),
        Shortage::Addresses => tr!(
            "no address or port of this machine is left for a connection ({cause}); lower \
             --workers, or close other programs' connections",
            cause
        ),
        Shortage::Route => tr!(
            "this machine has no route to the host ({cause}); check its network connection and \
             --proxy",
            cause
        ),
    }
}

/// What this machine lacked, if an I/O error says so.
fn find_shortage(error: &(dyn Error + 'static)) -> Option<Shortage> {
    error_chain(error).find_map(|error| shortage_of(error.downcast_ref::<io::Error>()?))
}

fn shortage_of(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::NOMEM | Errno::NOBUFS => Some(Shortage::Memory),
        Errno::ADDRNOTAVAIL => Some(Shortage::Addresses),
        // Not EHOSTUNREACH: a router or a firewall says it of one host.
        Errno::NETUNREACH | Errno::NETDOWN => Some(Shortage::Route),
        _ => None,
    }
}

/// What to do about HTTP status 407.
pub(crate) fn proxy_auth_text(cause: &str) -> String {
    tr!(
        "the proxy requires a user name and a password; put them into the URL in DINGMAP_PROXY \
         ({cause})",
        cause
    )
}

/// Says that the proxy is the cause. The library does not pass on the proxy's HTTP status.
fn describe_connect_error(text: String, proxied: bool) -> String {
    match text.strip_prefix("tunnel error: ") {
        Some(cause) => tr!(
            "the proxy refused the connection, or --proxy names a server that is not a \
             proxy ({cause})",
            cause
        ),
        None if proxied => tr!(
            "the proxy does not answer ({cause}); correct --proxy, or the variable that names it",
            cause = text
        ),
        None => text,
    }
}

/// The innermost common cause in the language of the run. Of any other, the text of its library.
fn describe_cause(error: &(dyn Error + 'static)) -> String {
    let describe = |error: &(dyn Error + 'static)| {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(describe_tls_error(error));
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return describe_http_error(error);
        }
        describe_io_error(error.downcast_ref::<io::Error>()?.kind())
    };
    let text = root_cause(error);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(cause) => tr!("the host name cannot be resolved: {cause}", cause),
        // The connect timeout of reqwest and of tokio.
        None if text.starts_with("operation timed out")
            || text.starts_with("deadline has elapsed") =>
        {
            tr!("timed out")
        }
        None => error_chain(error).filter_map(describe).last().unwrap_or(text),
    }
}

fn describe_io_error(kind: io::ErrorKind) -> Option<String> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => tr!("connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            tr!("reset by the server")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            tr!("the server closed the connection")
        }
        io::ErrorKind::HostUnreachable => tr!("host unreachable"),
        io::ErrorKind::NetworkUnreachable => tr!("network unreachable"),
        io::ErrorKind::TimedOut => tr!("timed out"),
        _ => return None,
    })
}

fn describe_http_error(error: &hyper::Error) -> Option<String> {
    if error.is_parse() {
        // What a TLS server sends over plain HTTP cannot be parsed.
        return Some(tr!("the reply is not valid HTTP; if the server expects TLS, use https://"));
    }
    error.is_incomplete_message().then(|| tr!("the server closed the connection"))
}

fn describe_tls_error(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => {
            tr!("issued by an unknown authority (UnknownIssuer)")
        }
        rustls::Error::InvalidCertificate(
            Certificate::Expired | Certificate::ExpiredContext { .. },
        ) => tr!("expired"),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. },
        ) => tr!("not valid yet"),
        rustls::Error::InvalidCertificate(Certificate::NotValidForNameContext {
            expected,
            presented,
        }) => tr!(
            "not valid for name {name}, only for {names}",
            name = expected.to_str(),
            names = presented.join(&tr!("list" => ", "))
        ),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            tr!("the server does not use TLS at this port")
        }
        other => tr!("TLS error: {cause}", cause = other),
    }
}

/// The reason of an HTTP/2 error. The rest of the error is text that the server chose.
fn describe_http2_error(error: &(dyn Error + 'static)) -> Option<String> {
    let reason = error.downcast_ref::<h2::Error>()?.reason()?;
    Some(match reason {
        h2::Reason::NO_ERROR => tr!("the server closes the connection"),
        h2::Reason::INTERNAL_ERROR => tr!("internal error at the server"),
        h2::Reason::REFUSED_STREAM => tr!("not processed"),
        h2::Reason::CANCEL => tr!("canceled by the server"),
        h2::Reason::ENHANCE_YOUR_CALM => tr!("too many requests"),
        h2::Reason::HTTP_1_1_REQUIRED => tr!("the server requires HTTP/1.1"),
        other => tr!("protocol error, code {code}", code = u32::from(other)),
    })
}

/// The innermost cause.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    error_chain(error).last().map_or_else(String::new, ToString::to_string)
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

/// Whether the other side answered the start of TLS with something else.
fn is_plain_reply(error: &(dyn Error + 'static)) -> bool {
    let is_no_tls = |error: &rustls::Error| {
        matches!(error, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))
    };
    error_chain(error).any(|error| error.downcast_ref().is_some_and(is_no_tls))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(connecting: bool) -> CallStage {
        CallStage { connecting, proxied: false, encrypted: true }
    }

    #[test]
    fn failures_of_this_machine_are_told_from_those_of_the_network() {
        let shortage = |errno: Errno| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            match classify_error(&io::Error::other(error), stage(true)) {
                CallError::Machine(shortage, _) => Some(shortage),
                CallError::Unreachable(_) => None,
                other => panic!("{other:?}"),
            }
        };
        for (errno, expected) in [
            (Errno::MFILE, Shortage::Descriptors),
            (Errno::NFILE, Shortage::Descriptors),
            (Errno::NOMEM, Shortage::Memory),
            (Errno::ADDRNOTAVAIL, Shortage::Addresses),
            (Errno::NETUNREACH, Shortage::Route),
            (Errno::NETDOWN, Shortage::Route),
        ] {
            assert_eq!(shortage(errno), Some(expected), "{errno}");
        }
        let of_the_host = [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::HOSTUNREACH];
        assert_eq!(of_the_host.map(shortage), [None; 3]);
        let late = io::Error::from_raw_os_error(Errno::NETUNREACH.raw_os_error());
        assert!(matches!(classify_error(&late, stage(false)), CallError::ConnectionLost(_)));
        let text = CallError::Machine(Shortage::Descriptors, "m".into()).to_string();
        assert!(text.contains("ulimit -n") && text.contains("--workers"), "{text}");
    }

    #[test]
    fn common_causes_are_described_for_users() {
        let classify = |error: &(dyn Error + 'static), connecting| {
            classify_error(error, stage(connecting)).to_string()
        };
        let http2 = h2::Error::from(h2::Reason::INTERNAL_ERROR);
        assert_eq!(
            classify(&http2, false),
            "connection lost: HTTP/2 error: internal error at the server"
        );
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(
            classify(&io::Error::new(io::ErrorKind::InvalidData, unknown), true),
            "certificate not trusted: issued by an unknown authority (UnknownIssuer)"
        );
        let no_tls = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert_eq!(
            classify(&no_tls, true),
            "the server does not use TLS at this port; correct scheme and port of --endpoint or of \
             --proxy"
        );
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(classify(&refused, true), "cannot connect: connection refused");
        let unknown_name = io::Error::other("failed to lookup address information: Try again");
        assert_eq!(
            classify(&unknown_name, true),
            "cannot connect: the host name cannot be resolved: Try again"
        );
        assert_eq!(classify(&io::Error::other("odd"), false), "connection lost: odd");
    }
}
