//! The signals that end a run, Ctrl-C, SIGTERM and SIGHUP, and the one that asks how far it is, SIGUSR1. Owns hearing them, also
//! while something blocks; what they mean is the run's.

use std::time::Duration;
use std::{fs, io};

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::app::exit::{Exit, Failure, Signal};

/// How long a signal leaves other threads to remove their temporary files; one may wait for a pipe for ever.
pub(crate) const CLEANUP_TIMEOUT: Duration = Duration::from_millis(500);

/// Hears signals from the moment it is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
    hangup: Option<unix::Signal>,
}

/// Which signals whoever started the program wants ignored: `nohup` the hangup, a shell without job control Ctrl-C for what
/// runs in the background. One bit a signal, from 1 (proc(5), `SigIgn`); none where the system does not tell.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// SIGXFSZ, on Linux, the BSDs and macOS.
const SIGXFSZ: i32 = 25;

async fn recv_or_pending(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

impl Signals {
    /// Begins to hear; has to be called within tokio's runtime.
    ///
    /// # Errors
    /// Where the system gives no handler.
    pub(crate) fn new() -> io::Result<Self> {
        let ignored = ignored_signals();
        // Where files may not grow further (`ulimit -f`), this signal would end the program with a temporary file left behind;
        // heard by anybody, it makes the write fail, which is told and tidied up after.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        let hear = |kind: SignalKind| {
            let bit =
                u32::try_from(kind.as_raw_value() - 1).map_or(0, |bit| 1_u64.wrapping_shl(bit));
            if ignored & bit == 0 { signal(kind).map(Some) } else { Ok(None) }
        };
        Ok(Self {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hangup: hear(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub(crate) async fn recv(&mut self) -> Signal {
        tokio::select! {
            () = recv_or_pending(&mut self.interrupt) => Signal::Interrupt,
            () = recv_or_pending(&mut self.terminate) => Signal::Terminate,
            () = recv_or_pending(&mut self.hangup) => Signal::Hangup,
        }
    }

    /// Does what blocks, on a thread of its own. `broken_off` is what people are told where a signal ends it.
    ///
    /// # Errors
    /// Interrupted, by a signal; unexpected (1) where the work panicked.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        broken_off: String,
    ) -> Result<T, Failure> {
        match self.run_blocking_or_signal(work).await {
            // A temporary file that was just made is removed with what the work gave.
            (Some(signal), _) | (None, Err(signal)) => Err(interrupted_failure(signal, broken_off)),
            (None, Ok(done)) => done,
        }
    }

    /// The same for work that is not taken back: a signal cuts it down to [`AT_ONCE`], and what is done by then counts.
    ///
    /// # Errors
    /// As [`Signals::during`].
    pub(crate) async fn finish_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        broken_off: String,
    ) -> Result<T, Failure> {
        let (_, done) = self.run_blocking_or_signal(work).await;
        done.unwrap_or_else(|signal| Err(interrupted_failure(signal, broken_off)))
    }

    /// The signal that came while something blocked, and what that gave, unless the signal ended the wait for it.
    async fn run_blocking_or_signal<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (Option<Signal>, Result<Result<T, Failure>, Signal>) {
        let told = |done: Result<T, JoinError>| {
            done.map_err(|error| Failure::from_error(Exit::Error, error))
        };
        let mut working = tokio::task::spawn_blocking(work);
        tokio::select! {
            biased;
            done = &mut working => (None, Ok(told(done))),
            signal = self.recv() => {
                let done = timeout(CLEANUP_TIMEOUT, working).await;
                (Some(signal), done.map(told).map_err(|_| signal))
            }
        }
    }
}

fn interrupted_failure(signal: Signal, broken_off: String) -> Failure {
    Failure::with_message(Exit::Interrupted(signal), broken_off)
}

/// Both, for a run.
#[derive(Debug)]
pub(crate) struct SignalHandlers {
    /// What ends it.
    pub signals: Signals,
    /// What asks how far it is.
    pub status_requests: StatusRequests,
}

impl SignalHandlers {
    /// Begins to hear; has to be called within tokio's runtime.
    ///
    /// # Errors
    /// Where the system gives no handler.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { signals: Signals::new()?, status_requests: StatusRequests::new()? })
    }
}

/// Sees that SIGUSR1 ends no command: who asks one that has nothing to say gets no answer, and does no harm. What tokio has
/// once put in the place of the system's own way stays there until the process ends.
///
/// # Errors
/// Where the system gives no handler.
pub(crate) fn ignore_sigusr1() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _within = runtime.enter();
    StatusRequests::new().map(drop)
}

/// Hears SIGUSR1.
#[derive(Debug)]
pub(crate) struct StatusRequests(unix::Signal);

impl StatusRequests {
    /// Begins to hear; has to be called within tokio's runtime.
    ///
    /// # Errors
    /// Where the system gives no handler.
    pub(crate) fn new() -> io::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self)
    }

    /// Waits until somebody asks.
    pub(crate) async fn recv(&mut self) {
        self.0.recv().await;
    }
}
