//! How a run ends. Leaves the words and the exit status that people get to `app::exit`.

use std::time::Duration;

use tr::tr;

use crate::domain::verdict::Limit;
use crate::engine::lookup::Stop;

/// What a run is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// To go on.
    No,
    /// To end once the calls under way are back.
    Soon,
    /// To end at once.
    Now,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Every row has been settled by an answer.
    Finished,
    /// `most_calls` were made, and there was more to ask.
    CallsUsedUp,
    /// Throttling would hold the run longer than `patience`.
    PatienceUsedUp {
        /// What was exceeded last.
        cause: Limit,
        /// How long the calls would have to rest from now.
        left: Duration,
    },
    /// It was told to stop.
    Interrupted,
    /// It could not go on.
    Stopped(Stop),
    /// The input broke off; whoever reads it knows why.
    InputLost,
    /// Answers can no longer be kept: what the system says.
    StateLost(String),
    /// Nobody takes the rows any more; whoever took them knows why.
    OutputLost,
}

impl End {
    /// Whether a limit of the user's ended it, so that the rows that have no answer are handed on as pending without being asked to.
    #[must_use]
    pub fn limit(&self) -> bool {
        matches!(self, Self::CallsUsedUp | Self::PatienceUsedUp { .. })
    }

    /// Whether every row is handed on, the open ones as pending, and so makes an output: where it finished, where a limit
    /// ended it, and where that is asked for and both ends of the run are there.
    #[must_use]
    pub fn hands_on_all(&self, partial: bool) -> bool {
        match self {
            Self::Finished | Self::CallsUsedUp | Self::PatienceUsedUp { .. } => true,
            Self::Interrupted | Self::Stopped(_) | Self::StateLost(_) => partial,
            Self::InputLost | Self::OutputLost => false,
        }
    }

    /// The `errmsg` of the rows whose turn did not come.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::CallsUsedUp => {
                tr!("the run ended first: the calls that it may make were used up")
            }
            Self::PatienceUsedUp { cause: Limit::Shared, .. } => {
                tr!("the run ended first: the shared server was silent for too long")
            }
            Self::PatienceUsedUp { .. } => tr!("the run ended first: throttling held it too long"),
            Self::Interrupted => tr!("the run ended first: it was interrupted"),
            _ => tr!("the run ended first: it could not go on"),
        }
    }
}
