//! The files that a run writes: opened before the first call, so that a place that cannot be written to is told then, and
//! let go of in order, whatever ends the run. Leaves what is written to `engine::feed`.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tr::tr;

use crate::app::cli::paths::Targets;
use crate::app::exit::{Exit, Failure, Signal};
use crate::app::signals::{AT_ONCE, Signals};
use crate::domain::row_stats::Findings;
use crate::engine::io::feed::Sinks;
use crate::engine::io::unresolved::Basket;
use crate::table::header::Head;
use crate::table::write::sink::{Sink, SinkError, Style};

/// Opens the outputs. A FIFO that nobody reads makes that wait, which a signal ends.
///
/// # Errors
/// Output (7) for a place that cannot be written to; interrupted, by a signal.
pub(crate) async fn create(
    signals: &mut Signals,
    targets: Targets,
    head: Head,
    style: Style,
) -> Result<Sinks, Failure> {
    let creating = move || open(targets, &head, style);
    let sinks = signals.during(creating, tr!("interrupted while opening the output")).await?;
    sinks.map_err(|error| Failure::of(Exit::Output, error))
}

fn open(
    Targets { all, failed, .. }: Targets,
    head: &Head,
    style: Style,
) -> Result<Sinks, SinkError> {
    // They come out as they came in, to the byte: no column is appended, and nothing is converted.
    let bare = Head { names: None, ..head.clone() };
    let plain = Style { flag: "--failed", ..Style::default() };
    let first = failed.as_ref().is_some_and(|target| !target.is_drafted());
    let all = || Sink::create(all, head, style);
    let failed = || failed.map(|target| Sink::create(target, &bare, plain)).transpose();
    // Where a pipe makes us wait for ever, no temporary file must wait with it.
    let (failed, all) = if first {
        (failed()?, all()?)
    } else {
        let all = all()?;
        (failed()?, all)
    };
    Ok(Sinks { all, failed, findings: Findings::default(), misses: Basket::default() })
}

/// Waits for the writer, for so long at most; a signal cuts the wait down to [`AT_ONCE`].
///
/// # Errors
/// Interrupted, by a signal; unexpected (1) where the writer panicked.
pub(crate) async fn outrun(
    signals: &mut Signals,
    writer: JoinHandle<Result<Sinks, SinkError>>,
    signalled: Option<Signal>,
    patience: Duration,
) -> Result<Result<Sinks, SinkError>, Failure> {
    let mut joined = tokio::task::spawn_blocking(move || writer.join());
    let (signal, patience) = tokio::select! {
        biased;
        joined = &mut joined => return ended(joined),
        () = sleep(patience) => (signalled.unwrap_or(Signal::Interrupt), Duration::ZERO),
        signal = signals.next() => (signal, AT_ONCE),
    };
    match timeout(patience, joined).await {
        Ok(joined) => ended(joined),
        Err(_) => Err(Failure::new(
            Exit::Interrupted(signal),
            tr!("interrupted while writing the output"),
        )),
    }
}

/// What the writer gave back; that it panicked is a bug of ours.
fn ended<E, P>(
    joined: Result<Result<Result<Sinks, SinkError>, P>, E>,
) -> Result<Result<Sinks, SinkError>, Failure> {
    let bug = || {
        Failure::new(
            Exit::Broken,
            tr!("the writer ended unexpectedly; this is a bug, please report it"),
        )
    };
    joined.map_err(|_| bug())?.map_err(|_| bug())
}
