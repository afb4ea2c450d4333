//! The signals that end a run (SIGINT, SIGTERM, SIGHUP) and SIGUSR1, which requests a status line.

use std::time::Duration;
use std::{fs, io};

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::app::exit::{Exit, Failure, Signal};

/// How long other threads have after a signal to remove their temporary files. They may be blocked
/// on a pipe forever.
pub(crate) const CLEANUP_TIMEOUT: Duration = Duration::from_millis(500);

/// Receives the signals that end a run, from the moment it is created.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
    hangup: Option<unix::Signal>,
}

/// The signals that the parent process set to be ignored: `nohup` does so with SIGHUP, a shell
/// without job control with SIGINT for background jobs. Bit n-1 is signal n (proc(5), `SigIgn`); 0
/// on systems without `/proc`.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// SIGXFSZ on Linux, the BSDs and macOS.
const SIGXFSZ: i32 = 25;

async fn recv_or_pending(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// How blocking work ended.
enum BlockingEnd<T> {
    /// The work returned or panicked; `signal` arrived before that.
    Joined { result: Result<T, JoinError>, signal: Option<Signal> },
    /// The work was not done within [`CLEANUP_TIMEOUT`] after the signal.
    Abandoned(Signal),
}

impl Signals {
    /// Installs the handlers. Must be called within a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let ignored = ignored_signals();
        // Above the limit on file size (`ulimit -f`), SIGXFSZ would kill the process and leave a
        // temporary file behind. With a handler, the write fails instead, which is reported.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        let handler = |kind: SignalKind| {
            let bit =
                u32::try_from(kind.as_raw_value() - 1).map_or(0, |bit| 1_u64.wrapping_shl(bit));
            if ignored & bit == 0 { signal(kind).map(Some) } else { Ok(None) }
        };
        Ok(Self {
            interrupt: handler(SignalKind::interrupt())?,
            terminate: handler(SignalKind::terminate())?,
            hangup: handler(SignalKind::hangup())?,
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

    /// Runs `work` on the blocking thread pool. After a signal, its result is dropped, with any
    /// temporary file in it.
    ///
    /// # Errors
    /// Interrupted (130, 143, 129) with the message `on_signal`; 1 if the work panicked.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        on_signal: String,
    ) -> Result<T, Failure> {
        match self.join_blocking(work).await {
            BlockingEnd::Joined { result, signal: None } => result.map_err(panic_failure),
            BlockingEnd::Joined { signal: Some(signal), .. } | BlockingEnd::Abandoned(signal) => {
                Err(interrupted_failure(signal, on_signal))
            }
        }
    }

    /// Like [`Signals::run_blocking`], for work that cannot be undone: if it is done within
    /// [`CLEANUP_TIMEOUT`] after a signal, its result counts.
    ///
    /// # Errors
    /// Interrupted (130, 143, 129) with the message `on_signal`; 1 if the work panicked.
    pub(crate) async fn finish_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        on_signal: String,
    ) -> Result<T, Failure> {
        match self.join_blocking(work).await {
            BlockingEnd::Joined { result, .. } => result.map_err(panic_failure),
            BlockingEnd::Abandoned(signal) => Err(interrupted_failure(signal, on_signal)),
        }
    }

    async fn join_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BlockingEnd<T> {
        let mut task = tokio::task::spawn_blocking(work);
        tokio::select! {
            biased;
            result = &mut task => BlockingEnd::Joined { result, signal: None },
            signal = self.recv() => match timeout(CLEANUP_TIMEOUT, task).await {
                Ok(result) => BlockingEnd::Joined { result, signal: Some(signal) },
                Err(_) => BlockingEnd::Abandoned(signal),
            }
        }
    }
}

fn panic_failure(error: JoinError) -> Failure {
    Failure::from_error(Exit::Error, error)
}

fn interrupted_failure(signal: Signal, message: String) -> Failure {
    Failure::with_message(Exit::Interrupted(signal), message)
}

/// All signals that a run handles.
#[derive(Debug)]
pub(crate) struct SignalHandlers {
    /// The signals that end the run.
    pub signals: Signals,
    /// SIGUSR1.
    pub status_requests: StatusRequests,
}

impl SignalHandlers {
    /// Installs the handlers. Must be called within a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { signals: Signals::new()?, status_requests: StatusRequests::new()? })
    }
}

/// Prevents SIGUSR1 from killing a command that has no status to show. A handler that tokio has
/// installed stays until the process ends.
pub(crate) fn ignore_sigusr1() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    StatusRequests::new().map(drop)
}

/// Receives SIGUSR1.
#[derive(Debug)]
pub(crate) struct StatusRequests(unix::Signal);

impl StatusRequests {
    /// Installs the handler. Must be called within a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self)
    }

    pub(crate) async fn recv(&mut self) {
        self.0.recv().await;
    }
}
