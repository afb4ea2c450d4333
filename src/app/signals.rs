//! The signals that end a run: Ctrl-C, SIGTERM, SIGHUP. Owns hearing them; what they mean is the run's.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

use crate::app::exit::Signal;

/// Hears signals from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Begins to hear; has to be called within tokio's runtime.
    ///
    /// # Errors
    /// Where the system gives no handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}
