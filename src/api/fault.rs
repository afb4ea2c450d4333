//! Why there was no reply, or not all of it, in words that have no URL, since URLs carry the token. Owns telling apart
//! what the HTTP library says. Leaves what a fault costs to `engine`.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// No reply, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection: refused, unknown host, a proxy that does not let through.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// Somebody is there whose certificate proves nothing.
    #[error("its certificate is not trusted: {0}")]
    Untrusted(String),
    /// Nothing, or not everything, within the timeout.
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// A connection that had been idle ended before the first byte of a reply: the far side had closed it for that.
    #[error("the connection had been closed: {0}")]
    Closed(String),
    /// The connection broke before the reply was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// More bytes than a reply can have.
    #[error("the reply was longer than {0} bytes")]
    TooLong(usize),
}

impl Fault {
    /// Whether the host is there at all, and is the one that was meant.
    #[must_use]
    pub fn answered(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Untrusted(_))
    }
}

/// What an error of the HTTP library is, from which the URL was taken. `connecting` says whether there was no
/// connection yet, `busy` that it cannot have been idle.
pub(crate) fn fault(error: &(dyn Error + 'static), connecting: bool, busy: bool) -> Fault {
    let text = cause(error);
    match () {
        () if untrusted(error) => Fault::Untrusted(text),
        () if connecting => Fault::Unreachable(text),
        () if closed(error) && !busy => Fault::Closed(text),
        () => Fault::Broken(text),
    }
}

/// The innermost cause, which says what happened ("Connection refused").
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// An error and what lies below it, the innermost last. What an I/O error was made of is not among its sources.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn untrusted(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &rustls::Error| {
        matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    };
    causes(error).any(|error| error.downcast_ref().is_some_and(refused))
}

/// Whether the far side had closed: nothing of a reply came, or what was sent met a closed door.
fn closed(error: &(dyn Error + 'static)) -> bool {
    let door = |error: &io::Error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected
        )
    };
    let nothing =
        |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    causes(error)
        .any(|error| error.downcast_ref().is_some_and(door) || error.downcast_ref().is_some_and(nothing))
}
