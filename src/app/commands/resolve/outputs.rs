//! The files that a run writes: opened before the first call, so that a place that cannot be
//! written is reported then.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tr::tr;

use crate::app::cli::paths::OutputTargets;
use crate::app::exit::{Exit, Failure, Signal};
use crate::app::signals::{CLEANUP_TIMEOUT, Signals};
use crate::domain::row_stats::RowStats;
use crate::engine::io::unresolved::SharedUnresolved;
use crate::engine::io::writer::Outputs;
use crate::table::header::Header;
use crate::table::write::sink::{Sink, SinkError, SinkOptions};
use crate::table::write::workbook::plan::CopyPlan;

/// Opens the outputs; with a plan, the main one as a copy of the workbook. Opening a FIFO waits for
/// its reader; a signal ends the wait.
///
/// # Errors
/// Output (7) if a file cannot be created; interrupted, by a signal.
pub(crate) async fn open_outputs(
    signals: &mut Signals,
    targets: OutputTargets,
    header: Header,
    copy_plan: Option<CopyPlan>,
    style: SinkOptions,
) -> Result<Outputs, Failure> {
    let open = move || open_outputs_blocking(targets, &header, copy_plan, style);
    let outputs = signals.run_blocking(open, tr!("interrupted while opening the output")).await?;
    outputs.map_err(Failure::from_sink_error)
}

fn open_outputs_blocking(
    OutputTargets { output, failed, failed_format, .. }: OutputTargets,
    header: &Header,
    copy_plan: Option<CopyPlan>,
    style: SinkOptions,
) -> Result<Outputs, SinkError> {
    // The rows of --failed are the input's, to the byte: no column is appended, nothing converted.
    let failed_header = Header { appended_names: None, ..header.clone() };
    let failed_style = SinkOptions {
        format: failed_format,
        has_summary: false,
        flag: "--failed",
        ..SinkOptions::default()
    };
    // A FIFO may block for ever: it is opened first, so that no temporary file is left.
    let is_failed_first = failed.as_ref().is_some_and(|target| !target.is_atomic());
    let open_all = || match copy_plan {
        Some(plan) => Sink::copy_workbook(output, plan, style),
        None => Sink::create(output, header, style),
    };
    let open_failed =
        || failed.map(|target| Sink::create(target, &failed_header, failed_style)).transpose();
    let (failed, all) = if is_failed_first {
        (open_failed()?, open_all()?)
    } else {
        let all = open_all()?;
        (open_failed()?, all)
    };
    Ok(Outputs {
        all,
        failed,
        held_header: None,
        row_stats: RowStats::default(),
        unresolved: SharedUnresolved::default(),
    })
}

/// Why the writer returned no outputs.
pub(crate) enum WriterError {
    /// The wait for the writer ended.
    Interrupted(Signal),
    /// A bug.
    Panicked,
    Sink(SinkError),
}

impl WriterError {
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Interrupted(signal) => Failure::with_message(
                Exit::Interrupted(signal),
                tr!("interrupted while writing the output"),
            ),
            Self::Panicked => Failure::with_message(
                Exit::Error,
                tr!("the writer ended unexpectedly; this is a bug, please report it"),
            ),
            Self::Sink(error) => Failure::from_sink_error(error),
        }
    }
}

/// Waits for the writer, at most `patience`; a signal reduces that to [`CLEANUP_TIMEOUT`].
pub(crate) async fn join_writer(
    signals: &mut Signals,
    writer: JoinHandle<Result<Outputs, SinkError>>,
    last_signal: Option<Signal>,
    patience: Duration,
) -> Result<Outputs, WriterError> {
    let join = move || match writer.join() {
        Ok(outputs) => outputs.map_err(WriterError::Sink),
        Err(_) => Err(WriterError::Panicked),
    };
    let mut joined = tokio::task::spawn_blocking(join);
    let (signal, patience) = tokio::select! {
        biased;
        joined = &mut joined => return joined.unwrap_or(Err(WriterError::Panicked)),
        () = sleep(patience) => (last_signal.unwrap_or(Signal::Interrupt), Duration::ZERO),
        signal = signals.recv() => (signal, CLEANUP_TIMEOUT),
    };
    match timeout(patience, joined).await {
        Ok(joined) => joined.unwrap_or(Err(WriterError::Panicked)),
        Err(_) => Err(WriterError::Interrupted(signal)),
    }
}
