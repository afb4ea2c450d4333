//! What the engine announces while it runs (DESIGN 6: the engine announces, the app shows).

use std::time::Duration;

use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Status};
use crate::domain::verdict::Limit;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// So many rows came in.
    RowsRead(u64),
    /// A number was met that needs a call.
    Queued,
    /// A call went out.
    Called {
        /// Whether it repeats an earlier one of its number.
        is_retry: bool,
    },
    /// A call ended: with a reply or with an error.
    CallEnded,
    /// A number backs off after a failure.
    BackingOff {
        /// The number.
        mobile: Mobile,
        /// For so long.
        delay: Duration,
    },
    /// So many numbers back off now.
    InBackoff(usize),
    /// A number has its answer.
    Answered {
        /// The number.
        mobile: Mobile,
        /// Its status.
        status: Status,
        /// The API's code, where one came.
        code: Option<Code>,
    },
    /// A row is settled.
    Settled(Status),
    /// All calls rest.
    Paused {
        /// Until then.
        until: Instant,
        /// What was exceeded.
        cause: Limit,
    },
    /// The rate changed.
    RateChanged(Rate),
    /// A token arrived; how many there were in this run.
    TokenReceived(u64),
    /// A token call failed and is tried again.
    TokenFailed {
        /// What it said.
        reason: String,
        /// After this long.
        delay: Duration,
        /// Whether the token that there is serves until then.
        old_token_valid: bool,
    },
    /// The run ends before its input does: calls under way are waited for.
    Stopping,
}
