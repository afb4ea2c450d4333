//! A cable to a server that can be cut for a while and that can be long. What is under way while it
//! is cut arrives when it is whole again, as on a network that lost its packets and sends them
//! anew.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// How a cable is.
#[derive(Clone, Copy, Default)]
struct LinkState {
    partitioned: bool,
    /// How long anything takes in either direction.
    latency: Duration,
}

/// Leads to one address as long as it lives.
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
        let (way, seen) = watch::channel(LinkState::default());
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    near.set_nodelay(true).unwrap();
                    // Where nobody listens at the other end, this one closes.
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    far.set_nodelay(true).unwrap();
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    tokio::join!(
                        forward(near_in, far_out, seen.clone()),
                        forward(far_in, near_out, seen)
                    );
                });
            }
        });
        Self { address, state: way, _runtime: runtime }
    }

    /// What a run is told.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn partition(&self) {
        self.state.send_modify(|way| way.partitioned = true);
    }

    pub(crate) fn heal(&self) {
        self.state.send_modify(|way| way.partitioned = false);
    }

    /// Makes every round trip take so much longer.
    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        self.state.send_modify(|way| way.latency = round_trip / 2);
    }
}

/// One direction of a connection, to its end. An end takes its time too, and passes no cut.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<LinkState>,
) {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let delay = way.clone();
    let entering = async move {
        let mut piece = [0; 8192];
        loop {
            let read = from.read(&mut piece).await.unwrap_or(0);
            let arrives = Instant::now() + delay.borrow().latency;
            if under_way.send((arrives, piece[..read].to_vec())).await.is_err() || read == 0 {
                return;
            }
        }
    };
    let leaving = async move {
        while let Some((arrives, piece)) = arriving.recv().await {
            sleep_until(arrives).await;
            if way.wait_for(|way| !way.partitioned).await.is_err() {
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
