//! The [events](crate::guide::architecture#events) of a run: the engine emits them, the app shows
//! them.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Status};
use crate::domain::verdict::Limit;

#[derive(Clone, Debug)]
pub enum Event {
    /// This many rows were read.
    RowsRead(u64),
    /// A number needs a call.
    Queued,
    /// A call started.
    Called {
        is_retry: bool,
    },
    /// A call ended, with a reply or an error.
    CallEnded,
    /// A number waits before its next attempt.
    BackingOff {
        mobile: Mobile,
        delay: Duration,
    },
    /// How many numbers are in backoff now.
    InBackoff(usize),
    /// A number has its answer.
    Answered {
        mobile: Mobile,
        status: Status,
        /// The API's code, if its reply had one.
        code: Option<Code>,
    },
    /// A row has its answer.
    Settled(Status),
    /// All calls are paused.
    Paused {
        until: Instant,
        /// The limit that was exceeded.
        cause: Limit,
    },
    RateChanged(Rate),
    /// A token was fetched: the count of tokens in this run.
    TokenReceived(u64),
    /// A token request failed and is retried.
    TokenFailed {
        reason: String,
        delay: Duration,
        /// Whether the previous token can be used until then.
        old_token_valid: bool,
    },
    /// This machine cannot open a connection, for the first time since the last answer.
    MachineFailed(String),
    /// The reply to the call of this number belongs to another call, or to none.
    UnsolicitedReply(Mobile),
    /// The run ends before its input does; calls in flight are waited for.
    Stopping,
}
