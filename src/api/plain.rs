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

use crate::api::error::{CallError, classify_error};

/// A request with its body, and its absolute URL; in a box, since it is passed on and on.
pub(crate) type Whole = Box<Request<Full<Bytes>>>;

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

/// What moves bytes while it is polled.
type Moved = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A connection that is open. It is large, and passed on at each call: so it is always in a box.
#[derive(Debug)]
struct Line {
    to: Authority,
    requests: SendRequest<Full<Bytes>>,
    /// Gone once it has come to its end.
    connection: Option<Moved>,
    /// Since when it is idle.
    idle: Instant,
}

/// What came of a request on one connection.
enum Sent {
    Replied(response::Parts, Bytes),
    /// The connection had ended before any of it was sent: in these words.
    Unsent(Whole, CallError),
    Failed(CallError),
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
    pub(crate) async fn call(
        &self,
        mut request: Whole,
    ) -> Result<(response::Parts, Bytes), CallError> {
        let url = std::mem::take(request.uri_mut());
        // Only a URL with a host comes to be called.
        let Some(to) = url.authority().cloned() else {
            return Err(CallError::Unreachable(String::new()));
        };
        let host =
            HeaderValue::try_from(to.as_str()).map_err(|error| classify_error(&error, true))?;
        request.headers_mut().insert(HOST, host);
        // On the way to the host itself a request names the place on it alone (RFC 9112, 3.2.1).
        *request.uri_mut() = url.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        loop {
            let kept = self.take(&to);
            let is_new = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                // Seldom taken and large: a call has only the room for it, not the thing itself.
                None => Box::pin(self.connect(&url, to.clone())).await?,
            };
            match line.send(request, self.bounds.reply).await {
                Sent::Replied(head, body) => {
                    self.keep(line);
                    return Ok((head, body));
                }
                Sent::Unsent(_, fault) if is_new => return Err(fault),
                // A kept one that had ended is gone now, and in the end there is a new one.
                Sent::Unsent(unsent, _) => request = unsent,
                Sent::Failed(fault) => return Err(fault),
            }
        }
    }

    async fn connect(&self, url: &Uri, to: Authority) -> Result<Box<Line>, CallError> {
        let connecting = self.connector.clone().call(url.clone());
        let stream = match timeout(self.bounds.connect, connecting).await {
            Ok(stream) => stream.map_err(|error| classify_error(&error, true))?,
            Err(_) => return Err(classify_error(&io::Error::from(ErrorKind::TimedOut), true)),
        };
        let (requests, connection) =
            handshake(stream).await.map_err(|error| classify_error(&error, true))?;
        Ok(Box::new(Line { to, requests, connection: Some(connection), idle: Instant::now() }))
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
        if line.connection.is_some() && idle.len() < self.bounds.most {
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
        let Self { requests, connection, .. } = self;
        if let Err(error) = moving(connection, pin!(requests.ready())).await {
            return Sent::Unsent(request, classify_error(&error, false));
        }
        let sending = requests.try_send_request(*request);
        let replied = pin!(async {
            let (head, body) = match sending.await {
                Ok(response) => response.into_parts(),
                Err(mut refused) => {
                    let (request, fault) =
                        (refused.take_message(), classify_error(refused.error(), false));
                    return match request {
                        Some(request) => Sent::Unsent(Box::new(request), fault),
                        None => Sent::Failed(fault),
                    };
                }
            };
            match Limited::new(body, most).collect().await {
                // A copy, so that the connection has its buffer to itself again, and needs no new one for the next reply.
                Ok(body) => Sent::Replied(head, Bytes::copy_from_slice(&body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Sent::Failed(CallError::ReplyTooLarge(most))
                }
                Err(error) => Sent::Failed(classify_error(&*error, false)),
            }
        });
        moving(connection, replied).await
    }
}

/// Waits for something that needs the connection to move. It is pinned by who waits: here it would take its room twice.
async fn moving<T>(
    connection: &mut Option<Moved>,
    mut wanted: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|context| {
        // Who waits on it hears of its end when it is dropped, and not before.
        connection.take_if(|connection| Pin::new(connection).poll(context).is_ready());
        wanted.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        connect: Duration::from_secs(5),
        most: 4,
        idle: Duration::from_mins(1),
        reply: 100,
    };

    fn request(port: u16) -> Whole {
        let url = format!("http://127.0.0.1:{port}/a?b=c");
        Box::new(Request::post(url).body(Full::from("body")).unwrap())
    }

    /// Serves so many requests on each connection, answers that many bytes to each, and closes it after a while. The
    /// counts are those of connections that were opened, and that were closed.
    async fn serve(requests: usize, length: usize) -> (u16, Arc<[AtomicUsize; 2]>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::<[AtomicUsize; 2]>::default();
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted[0].fetch_add(1, SeqCst);
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    answer(stream, port, requests, length).await;
                    counted[1].fetch_add(1, SeqCst);
                });
            }
        });
        (port, counts)
    }

    async fn answer(mut stream: TcpStream, port: u16, requests: usize, length: usize) {
        for _ in 0..requests {
            let mut request = Vec::new();
            while !request.ends_with(b"body") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    return;
                }
            }
            let request = String::from_utf8(request).unwrap();
            assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{request}");
            assert!(request.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")), "{request}");
            let body = "x".repeat(length);
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
        if requests > 0 {
            // By then who called has the reply, and has put the connection by.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// One call, which is not to be waited for: no server here is slow.
    async fn call(plain: &Plain, port: u16) -> Result<(response::Parts, Bytes), CallError> {
        timeout(Duration::from_secs(20), plain.call(request(port))).await.expect("the call hangs")
    }

    #[tokio::test]
    async fn a_kept_connection_that_was_closed_costs_no_call() {
        let plain = Plain::new(BOUNDS);
        let (port, counts) = serve(2, 5).await;
        for round in 1..4 {
            for _ in 0..2 {
                let (head, body) = call(&plain, port).await.unwrap();
                assert_eq!((head.status.as_u16(), &*body), (200, &b"xxxxx"[..]));
            }
            assert_eq!((counts[0].load(SeqCst), plain.idle().len()), (round, 1));
            while counts[1].load(SeqCst) < round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    #[tokio::test]
    async fn a_new_connection_that_is_closed_at_once_costs_the_call() {
        let plain = Plain::new(BOUNDS);
        let (port, counts) = serve(0, 0).await;
        for calls in 1..9 {
            assert!(matches!(call(&plain, port).await, Err(CallError::ConnectionLost(_))));
            assert_eq!(counts[0].load(SeqCst), calls);
        }
    }

    #[tokio::test]
    async fn reply_size_and_connection_count_are_bounded() {
        let plain = Plain::new(BOUNDS);
        let (port, _) = serve(9, 100).await;
        assert_eq!(call(&plain, port).await.unwrap().1.len(), 100);
        let (port, counts) = serve(9, 101).await;
        for calls in 1..3 {
            assert_eq!(call(&plain, port).await.err(), Some(CallError::ReplyTooLarge(100)));
            assert_eq!(counts[0].load(SeqCst), calls, "it is not used again");
        }
        let (port, counts) = serve(9, 0).await;
        let all = futures_util::future::join_all((0..9).map(|_| call(&plain, port))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!((counts[0].load(SeqCst), plain.idle().len()), (9, BOUNDS.most));
    }
}
