//! The files that a run writes: opened before the first call, so that a place that cannot be written to is told then, and
//! let go of in order, whatever ends the run. Leaves what is written to `engine::feed`.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tr::tr;

use crate::app::cli::paths::OutputTargets;
use crate::app::exit::{Exit, Failure, Signal};
use crate::app::signals::{CLEANUP_TIMEOUT, Signals};
use crate::domain::row_stats::RowStats;
use crate::engine::io::feed::Outputs;
use crate::engine::io::unresolved::SharedUnresolved;
use crate::table::header::Header;
use crate::table::write::sink::{Sink, SinkError, SinkOptions};

/// Opens the outputs. A FIFO that nobody reads makes that wait, which a signal ends.
///
/// # Errors
/// Output (7) for a place that cannot be written to; interrupted, by a signal.
pub(crate) async fn open_outputs(
    signals: &mut Signals,
    targets: OutputTargets,
    head: Header,
    style: SinkOptions,
) -> Result<Outputs, Failure> {
    let creating = move || open_outputs_blocking(targets, &head, style);
    let sinks = signals.run_blocking(creating, tr!("interrupted while opening the output")).await?;
    sinks.map_err(|error| Failure::from_error(Exit::Output, error))
}

fn open_outputs_blocking(
    OutputTargets { output: all, failed, .. }: OutputTargets,
    head: &Header,
    style: SinkOptions,
) -> Result<Outputs, SinkError> {
    // They come out as they came in, to the byte: no column is appended, and nothing is converted.
    let bare = Header { appended_names: None, ..head.clone() };
    let plain = SinkOptions { flag: "--failed", ..SinkOptions::default() };
    let first = failed.as_ref().is_some_and(|target| !target.is_atomic());
    let all = || Sink::create(all, head, style);
    let failed = || failed.map(|target| Sink::create(target, &bare, plain)).transpose();
    // Where a pipe makes us wait for ever, no temporary file must wait with it.
    let (failed, all) = if first {
        (failed()?, all()?)
    } else {
        let all = all()?;
        (failed()?, all)
    };
    Ok(Outputs {
        all,
        failed,
        row_stats: RowStats::default(),
        unresolved: SharedUnresolved::default(),
    })
}

/// Waits for the writer, for so long at most; a signal cuts the wait down to [`AT_ONCE`].
///
/// # Errors
/// Interrupted, by a signal; unexpected (1) where the writer panicked.
pub(crate) async fn join_writer(
    signals: &mut Signals,
    writer: JoinHandle<Result<Outputs, SinkError>>,
    signalled: Option<Signal>,
    patience: Duration,
) -> Result<Result<Outputs, SinkError>, Failure> {
    let mut joined = tokio::task::spawn_blocking(move || writer.join());
    let (signal, patience) = tokio::select! {
        biased;
        joined = &mut joined => return flatten_join(joined),
        () = sleep(patience) => (signalled.unwrap_or(Signal::Interrupt), Duration::ZERO),
        signal = signals.recv() => (signal, CLEANUP_TIMEOUT),
    };
    match timeout(patience, joined).await {
        Ok(joined) => flatten_join(joined),
        Err(_) => Err(Failure::with_message(
            Exit::Interrupted(signal),
            tr!("interrupted while writing the output"),
        )),
    }
}

/// What the writer gave back; that it panicked is a bug of ours.
fn flatten_join<E, P>(
    joined: Result<Result<Result<Outputs, SinkError>, P>, E>,
) -> Result<Result<Outputs, SinkError>, Failure> {
    let bug = || {
        Failure::with_message(
            Exit::Error,
            tr!("the writer ended unexpectedly; this is a bug, please report it"),
        )
    };
    joined.map_err(|_| bug())?.map_err(|_| bug())
}
