//! Calls over HTTP/1.1 that nothing encrypts and no proxy passes on, as to a gateway in one's own network: where nothing else
//! slows calls down, what each costs is what counts, so each moves its own connection and no task stands between. Owns
//! those connections, open and kept. Leaves how long a call may take, what a reply says, and every other way to `http`.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::http::response;
use hyper::http::uri::Authority;
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower_service::Service;

use crate::api::fault::{Fault, fault};

/// A request with its body, and its absolute URL.
pub(crate) type Whole = Request<Full<Bytes>>;

/// How connections are made and kept, and what may come over them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For a connection to be there.
    pub(crate) connect: Duration,
    /// How many are kept while they are idle.
    pub(crate) most: usize,
    /// One that was idle for longer is not used again.
    pub(crate) idle: Duration,
    /// The largest reply, in bytes.
    pub(crate) reply: usize,
}

/// The connections to all hosts that are called so.
#[derive(Debug)]
pub(crate) struct Plain {
    bounds: Bounds,
    connector: HttpConnector,
    /// Those that are idle. The last one became so last.
    idle: Mutex<VecDeque<Box<Line>>>,
}

/// A connection that is open. It is large, and passed on at each call: so it is always in a box.
#[derive(Debug)]
struct Line {
    to: Authority,
    requests: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    /// Whether the connection has come to its end.
    ended: bool,
    /// Since when it is idle.
    idle: Instant,
}

/// What came of a request on one connection.
enum Sent {
    Replied(response::Parts, Bytes),
    /// The connection had ended before any of it was sent.
    Unsent(Whole),
    Failed(Fault),
}

impl Plain {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // Shared among a host's addresses, so that one which is silent leaves time for the others.
        connector.set_connect_timeout(Some(bounds.connect));
        Self { bounds, connector, idle: Mutex::default() }
    }

    /// Makes one call: the head of the reply, and its body.
    ///
    /// # Errors
    /// [`Fault`] where no whole reply came.
    pub(crate) async fn call(&self, mut request: Whole) -> Result<(response::Parts, Bytes), Fault> {
        let url = std::mem::take(request.uri_mut());
        // Only a URL with a host comes to be called.
        let Some(to) = url.authority().cloned() else { return Err(Fault::Unreachable(String::new())) };
        let host = HeaderValue::try_from(to.as_str()).map_err(|error| fault(&error, true))?;
        request.headers_mut().insert(HOST, host);
        // On the way to the host itself a request names the place on it alone (RFC 9112, 3.2.1).
        *request.uri_mut() = url.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        loop {
            let mut line = match self.take(&to) {
                Some(line) => line,
                // Seldom taken and large: a call has only the room for it, not the thing itself.
                None => Box::pin(self.connect(&url, to.clone())).await?,
            };
            match line.send(request, self.bounds.reply).await {
                Sent::Replied(head, body) => {
                    self.keep(line);
                    return Ok((head, body));
                }
                // Each kept one that had ended is gone now, and in the end there is a new one.
                Sent::Unsent(unsent) => request = unsent,
                Sent::Failed(fault) => return Err(fault),
            }
        }
    }

    async fn connect(&self, url: &Uri, to: Authority) -> Result<Box<Line>, Fault> {
        let connecting = self.connector.clone().call(url.clone());
        let stream = match timeout(self.bounds.connect, connecting).await {
            Ok(stream) => stream.map_err(|error| fault(&error, true))?,
            Err(_) => return Err(fault(&io::Error::from(ErrorKind::TimedOut), true)),
        };
        let (requests, connection) = handshake(stream).await.map_err(|error| fault(&error, true))?;
        Ok(Box::new(Line { to, requests, connection, ended: false, idle: Instant::now() }))
    }

    fn take(&self, to: &Authority) -> Option<Box<Line>> {
        let mut idle = self.idle();
        while idle.front().is_some_and(|line| line.idle.elapsed() > self.bounds.idle) {
            idle.pop_front();
        }
        let at = idle.iter().rposition(|line| line.to == *to)?;
        idle.remove(at)
    }

    fn keep(&self, mut line: Box<Line>) {
        let mut idle = self.idle();
        if !line.ended && idle.len() < self.bounds.most {
            line.idle = Instant::now();
            idle.push_back(line);
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Line>>> {
        // Nothing that holds it can panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    async fn send(&mut self, request: Whole, most: usize) -> Sent {
        let Self { requests, connection, ended, .. } = self;
        if moving(connection, ended, requests.ready()).await.is_err() || *ended {
            return Sent::Unsent(request);
        }
        let sending = requests.try_send_request(request);
        moving(connection, ended, async {
            let (head, body) = match sending.await {
                Ok(response) => response.into_parts(),
                Err(mut refused) => match refused.take_message() {
                    Some(request) => return Sent::Unsent(request),
                    None => return Sent::Failed(fault(refused.error(), false)),
                },
            };
            match Limited::new(body, most).collect().await {
                // A copy, so that the connection has its buffer to itself again, and needs no new one for the next reply.
                Ok(body) => Sent::Replied(head, Bytes::copy_from_slice(&body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Sent::Failed(Fault::TooLong(most)),
                Err(error) => Sent::Failed(fault(&*error, false)),
            }
        })
        .await
    }
}

/// Waits for something that needs the connection to move.
async fn moving<T>(
    connection: &mut Connection<TokioIo<TcpStream>, Full<Bytes>>,
    ended: &mut bool,
    wanted: impl Future<Output = T>,
) -> T {
    let mut wanted = pin!(wanted);
    poll_fn(|context| {
        // Its end is told to who waits for a reply on it.
        if !*ended {
            *ended = Pin::new(&mut *connection).poll(context).is_ready();
        }
        wanted.as_mut().poll(context)
    })
    .await
}
