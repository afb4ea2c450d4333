//! The calls that are under way, lookups and the one for a token: what each was made with, until it comes back. Leaves what
//! follows to `dispatcher`.

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

/// A call that is under way.
pub(crate) struct Call {
    pub(crate) lookup: Lookup,
    /// Which token of the run that is.
    pub(crate) token_generation: u64,
    /// The hold that was the last one when it left.
    pub(crate) pause_epoch: u64,
    pub(crate) sent_at: Instant,
}

/// What a call came to: its result, unless it panicked.
pub(crate) type FinishedCall = (Call, Option<Result<Reply, CallError>>);

/// All of them; dropping it breaks them off. They are part of the run's own task: one of its own for each call costs as much
/// as the rest of a call does.
#[derive(Default)]
pub(crate) struct InFlight(FuturesUnordered<Pin<Box<dyn Future<Output = FinishedCall> + Send>>>);

impl InFlight {
    /// Lets a call leave.
    pub(crate) fn start<A>(&mut self, call: Call, attempt: A)
    where
        A: Future<Output = Result<Reply, CallError>> + Send + 'static,
    {
        // After a panic nothing of the attempt is looked at any more.
        let attempt = AssertUnwindSafe(attempt).catch_unwind();
        self.0.push(Box::pin(async move { (call, attempt.await.ok()) }));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits for the next to come back. None where there is none. Giving the wait up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<FinishedCall> {
        self.0.next().await
    }
}

/// The call for a token, of which there is one at a time; dropping it breaks it off.
#[derive(Default)]
pub(crate) struct TokenRequest {
    task: JoinSet<Result<AccessToken, TokenError>>,
    /// The hold that was the last one when it left.
    pause_epoch: u64,
}

impl TokenRequest {
    /// Lets it leave.
    pub(crate) fn start<A>(&mut self, episode: u64, attempt: A)
    where
        A: Future<Output = Result<AccessToken, TokenError>> + Send + 'static,
    {
        self.pause_epoch = episode;
        self.task.spawn(attempt);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.task.is_empty()
    }

    pub(crate) fn abort(&mut self) {
        self.task.abort_all();
    }

    /// Waits for it to come back: the hold that was the last one when it left, and its result unless it panicked. None where
    /// none is under way. Giving the wait up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(u64, Option<Result<AccessToken, TokenError>>)> {
        let joined = self.task.join_next().await?;
        Some((self.pause_epoch, joined.ok()))
    }
}
