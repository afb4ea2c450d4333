//! How a run ends.

use std::time::Duration;

use tr::tr;

use crate::domain::verdict::Limit;
use crate::engine::lookup::Abort;

/// Whether a run should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Running,
    /// End once the calls in flight have finished.
    Graceful,
    /// End now, without waiting for calls.
    Immediate,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// Every row has its answer.
    Finished,
    /// `max_calls` calls were made and more were needed.
    CallLimitReached,
    /// Throttling would pause the run for longer than `patience`.
    PatienceExceeded {
        /// The limit that was exceeded last.
        cause: Limit,
        /// The rest of the pause.
        remaining: Duration,
    },
    /// This machine could not open a connection for longer than `patience`, with the cause.
    MachineFailed(String),
    Interrupted,
    /// Further calls are useless.
    Aborted(Abort),
    /// No more rows came; the reader knows the cause.
    InputFailed,
    /// Answers cannot be written to the state any more, with the cause.
    StateFailed(String),
    /// The writer takes no more rows; it knows the cause.
    OutputClosed,
}

impl RunEnd {
    /// Whether a limit that the user set ended the run. Then the open rows become pending without
    /// `--partial`.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::CallLimitReached | Self::PatienceExceeded { .. } | Self::MachineFailed(_)
        )
    }

    /// Whether every row is sent to the writer, open rows as pending. `partial` asks for this where
    /// the run could not continue.
    #[must_use]
    pub fn should_write_output(&self, partial: bool) -> bool {
        match self {
            Self::Finished
            | Self::CallLimitReached
            | Self::PatienceExceeded { .. }
            | Self::MachineFailed(_) => true,
            Self::Interrupted | Self::Aborted(_) | Self::StateFailed(_) => partial,
            Self::InputFailed | Self::OutputClosed => false,
        }
    }

    /// The `errmsg` of pending rows.
    #[must_use]
    pub fn pending_reason(&self) -> String {
        match self {
            Self::CallLimitReached => tr!("not attempted: --max-calls reached"),
            Self::PatienceExceeded { cause: Limit::Shared, .. } => {
                tr!("not attempted: the shared server was unreachable for longer than --patience")
            }
            Self::PatienceExceeded { .. } => {
                tr!("not attempted: throttled for longer than --patience")
            }
            Self::MachineFailed(_) => tr!(
                "not attempted: this machine could not open a connection for longer than --patience"
            ),
            Self::Interrupted => tr!("not attempted: the run was interrupted"),
            _ => tr!("not attempted: the run stopped early"),
        }
    }
}
