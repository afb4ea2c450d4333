//! The calls in flight, lookups and the token request, each with what the dispatcher needs to judge
//! its result.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::api::token::{AccessToken, TokenError};
use crate::engine::lookup::Lookup;

/// A lookup in flight.
pub(crate) struct Call {
    pub(crate) lookup: Lookup,
    /// The count of the run's tokens when the call was sent.
    pub(crate) token_generation: u64,
    /// The count of the run's pauses when the call was sent.
    pub(crate) pause_epoch: u64,
    /// The count of the run's resets of connections when the call was sent.
    pub(crate) connection_epoch: u64,
    pub(crate) sent_at: Instant,
}

/// How an attempt ended.
pub(crate) enum Completion<T, E> {
    Returned(Result<T, E>),
    Panicked,
}

pub(crate) struct FinishedCall {
    pub(crate) call: Call,
    pub(crate) completion: Completion<Reply, CallError>,
}

pub(crate) struct FinishedTokenRequest {
    /// The count of the run's pauses when the request was sent.
    pub(crate) pause_epoch: u64,
    pub(crate) completion: Completion<AccessToken, TokenError>,
}

/// The lookups in flight; dropping it aborts them. They run inside the task of the run: a task per
/// call doubles the CPU time of a call.
#[derive(Default)]
pub(crate) struct InFlight(FuturesUnordered<Pin<Box<dyn Future<Output = FinishedCall> + Send>>>);

impl InFlight {
    pub(crate) fn start<A>(&mut self, call: Call, attempt: A)
    where
        A: Future<Output = Result<Reply, CallError>> + Send + 'static,
    {
        // Unwind-safe: nothing of the attempt is used after a panic.
        let attempt = AssertUnwindSafe(attempt).catch_unwind();
        self.0.push(Box::pin(async move {
            let completion = attempt.await.map_or(Completion::Panicked, Completion::Returned);
            FinishedCall { call, completion }
        }));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for the next call to finish; `None` if there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<FinishedCall> {
        self.0.next().await
    }
}

/// The token request, at most one at a time; dropping it aborts it.
#[derive(Default)]
pub(crate) struct TokenRequest {
    task: JoinSet<Result<AccessToken, TokenError>>,
    /// The count of the run's pauses when the request was sent.
    pause_epoch: u64,
}

impl TokenRequest {
    pub(crate) fn start<A>(&mut self, pause_epoch: u64, attempt: A)
    where
        A: Future<Output = Result<AccessToken, TokenError>> + Send + 'static,
    {
        self.pause_epoch = pause_epoch;
        self.task.spawn(attempt);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.task.is_empty()
    }

    pub(crate) fn abort(&mut self) {
        self.task.abort_all();
    }

    /// Waits for the request to finish; `None` if there is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<FinishedTokenRequest> {
        let joined = self.task.join_next().await?;
        // An aborted request counts as panicked: the run has ended and ignores it.
        let completion = joined.map_or(Completion::Panicked, Completion::Returned);
        Some(FinishedTokenRequest { pause_epoch: self.pause_epoch, completion })
    }
}
