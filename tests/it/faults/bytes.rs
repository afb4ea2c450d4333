//! A host that answers in bytes, whatever they are, and then does as it is told with the connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What becomes of a connection when the bytes are sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// It serves the next request.
    Serve,
    /// It stays open and silent.
    Hang,
    Close,
    /// It ends with a reset instead of an end.
    Reset,
    /// A chunk of one byte follows every so often.
    Drip,
    /// Bytes follow as fast as they are taken.
    Flood,
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// The host; its threads end with the connections.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Host {
    /// `answer` gives the reply to each call by its place, from 0.
    pub(crate) fn new(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, calls) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let (count, answer) = (Arc::clone(&calls), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &count, &*answer));
            }
        });
        Self { address, calls }
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, count: &AtomicUsize, answer: &dyn Fn(usize) -> Reply) {
    while asked(&mut stream) {
        let Reply { bytes, then } = answer(count.fetch_add(1, Ordering::SeqCst));
        let sent = stream.write_all(&bytes).is_ok();
        match then {
            Then::Serve if sent => {}
            Then::Hang if sent => drop(stream.read(&mut [0])),
            Then::Reset => return reset(&stream),
            Then::Drip => {
                while stream.write_all(b"1\r\n \r\n").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
                return;
            }
            Then::Flood => {
                while stream.write_all(&[b' '; 4096]).is_ok() {}
                return;
            }
            _ => return,
        }
        if then == Then::Hang {
            return;
        }
    }
}

/// Reads one request: its headers, and the body that its length announces.
fn asked(stream: &mut TcpStream) -> bool {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return false;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).is_ok()
}

/// Ends a connection by a reset: what was not read makes one of the end.
fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}
