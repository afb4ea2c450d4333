//! A TCP proxy that can add latency and partition the network. What is in flight during a partition
//! arrives when it heals, as when lost packets are sent again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// What the proxy does to connections.
#[derive(Clone, Copy, Default)]
struct LinkState {
    partitioned: bool,
    /// How long anything takes in either direction.
    latency: Duration,
}

/// Forwards connections to one address until it is dropped.
pub(crate) struct FaultProxy {
    pub(crate) address: SocketAddr,
    state: watch::Sender<LinkState>,
    _runtime: Runtime,
}

impl FaultProxy {
    pub(crate) fn new(to: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, receiver) = watch::channel(LinkState::default());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let receiver = receiver.clone();
                tokio::spawn(async move {
                    client.set_nodelay(true).unwrap();
                    // Where nobody listens at the other end, this one closes.
                    let Ok(server) = TcpStream::connect(to).await else { return };
                    server.set_nodelay(true).unwrap();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        forward(from_client, to_server, receiver.clone()),
                        forward(from_server, to_client, receiver)
                    );
                });
            }
        });
        Self { address, state, _runtime: runtime }
    }

    /// The URL for `--shared`.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn partition(&self) {
        self.state.send_modify(|state| state.partitioned = true);
    }

    pub(crate) fn heal(&self) {
        self.state.send_modify(|state| state.partitioned = false);
    }

    /// Makes every round trip take so much longer.
    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        self.state.send_modify(|state| state.latency = round_trip / 2);
    }
}

/// One direction of a connection, to its end. The end of the stream is delayed too.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<LinkState>,
) {
    let (in_flight, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let delay = state.clone();
    let entering = async move {
        let mut piece = [0; 8192];
        loop {
            let read = from.read(&mut piece).await.unwrap_or(0);
            let arrives = Instant::now() + delay.borrow().latency;
            if in_flight.send((arrives, piece[..read].to_vec())).await.is_err() || read == 0 {
                return;
            }
        }
    };
    let leaving = async move {
        while let Some((arrives, piece)) = arriving.recv().await {
            sleep_until(arrives).await;
            if state.wait_for(|state| !state.partitioned).await.is_err() {
                return;
            }
            if piece.is_empty() || to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(entering, leaving);
}
