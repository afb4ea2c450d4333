//! How a run ends. Leaves the words and the exit status that people get to `app::exit`.

use std::time::Duration;

use tr::tr;

use crate::domain::verdict::Limit;
use crate::engine::lookup::Abort;

/// What a run is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// To go on.
    Running,
    /// To end once the calls under way are back.
    Graceful,
    /// To end at once.
    Immediate,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// Every row has been settled by an answer.
    Finished,
    /// `most_calls` were made, and there was more to ask.
    CallLimitReached,
    /// Throttling would hold the run longer than `patience`.
    PatienceExceeded {
        /// What was exceeded last.
        cause: Limit,
        /// How long the calls would have to rest from now.
        remaining: Duration,
    },
    /// It was told to stop.
    Interrupted,
    /// It could not go on.
    Aborted(Abort),
    /// The input broke off; whoever reads it knows why.
    InputFailed,
    /// Answers can no longer be kept: what the system says.
    StateFailed(String),
    /// Nobody takes the rows any more; whoever took them knows why.
    OutputClosed,
}

impl RunEnd {
    /// Whether a limit of the user's ended it, so that the rows that have no answer are handed on as pending without being asked to.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::CallLimitReached | Self::PatienceExceeded { .. })
    }

    /// Whether every row is handed on, the open ones as pending, and so makes an output: where it finished, where a limit
    /// ended it, and where that is asked for and both ends of the run are there.
    #[must_use]
    pub fn should_write_output(&self, partial: bool) -> bool {
        match self {
            Self::Finished | Self::CallLimitReached | Self::PatienceExceeded { .. } => true,
            Self::Interrupted | Self::Aborted(_) | Self::StateFailed(_) => partial,
            Self::InputFailed | Self::OutputClosed => false,
        }
    }

    /// The `errmsg` of the rows whose turn did not come.
    #[must_use]
    pub fn pending_reason(&self) -> String {
        match self {
            Self::CallLimitReached => {
                tr!("the run ended first: the calls that it may make were used up")
            }
            Self::PatienceExceeded { cause: Limit::Shared, .. } => {
                tr!("the run ended first: the shared server was silent for too long")
            }
            Self::PatienceExceeded { .. } => {
                tr!("the run ended first: throttling held it too long")
            }
            Self::Interrupted => tr!("the run ended first: it was interrupted"),
            _ => tr!("the run ended first: it could not go on"),
        }
    }
}
