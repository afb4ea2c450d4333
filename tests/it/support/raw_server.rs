//! A host that answers with any bytes, and then does with the connection what `AfterReply` says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What becomes of a connection when the bytes are sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum AfterReply {
    /// It serves the next request.
    KeepAlive,
    /// It stays open and silent.
    Hang,
    Close,
    /// It ends with a reset instead of an end.
    Reset,
    /// A chunk of one byte follows every so often.
    Drip,
    /// Bytes follow as fast as they are taken.
    Flood,
    /// The same bytes follow, some megabytes a second.
    FloodOfThese,
    /// The same bytes come once more after the next request, ahead of the reply to it.
    Again,
}

/// One answer.
#[derive(Clone)]
pub(crate) struct RawReply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) after: AfterReply,
}

/// The host; its threads end with the connections.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl RawServer {
    /// `answer` gives the reply to each call by its place, from 0.
    pub(crate) fn new(answer: impl Fn(usize) -> RawReply + Send + Sync + 'static) -> Self {
        Self::with_requests(move |place, _| answer(place))
    }

    /// `answer` is given the text of the request too.
    pub(crate) fn with_requests(
        answer: impl Fn(usize, &str) -> RawReply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, calls) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (count, answer) = (Arc::clone(&calls), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                thread::spawn(move || serve_connection(stream, &count, &*answer));
            }
        });
        Self { address, calls }
    }

    /// How many calls came.
    pub(crate) fn call_count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn serve_connection(
    mut stream: TcpStream,
    count: &AtomicUsize,
    answer: &dyn Fn(usize, &str) -> RawReply,
) {
    let mut repeated = Vec::new();
    while let Some(request) = read_request(&mut stream) {
        let place = count.fetch_add(1, Ordering::SeqCst);
        let RawReply { bytes, after: then } = answer(place, &request);
        let sent = stream.write_all(&[&*repeated, &*bytes].concat()).is_ok();
        repeated.clear();
        match then {
            AfterReply::KeepAlive if sent => {}
            AfterReply::Again if sent => repeated = bytes,
            AfterReply::Hang if sent => drop(stream.read(&mut [0])),
            AfterReply::Reset => return reset_connection(&stream),
            AfterReply::Drip => {
                while stream.write_all(b"1\r\n \r\n").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
                return;
            }
            AfterReply::FloodOfThese => {
                while stream.write_all(&bytes).is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
                return;
            }
            AfterReply::Flood => {
                while stream.write_all(&[b' '; 4096]).is_ok() {}
                return;
            }
            _ => return,
        }
        if then == AfterReply::Hang {
            return;
        }
    }
}

/// Reads one request: its headers, and the body that its length announces.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8_lossy(&body))
}

/// Ends a connection by a reset: what was not read makes one of the end.
fn reset_connection(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}
