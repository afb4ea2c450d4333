//! What the engine needs of the API: one attempt of one lookup, and a token.
//! Separate so that a run can be simulated on a paused clock.

use std::future::Future;

use secrecy::SecretString;

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::api::token::{AccessToken, TokenEndpoint, TokenError};
use crate::domain::number::mobile::Mobile;

/// DingTalk's API, or a simulation of it.
pub trait LookupApi: Send + Sync + 'static {
    /// Makes one attempt, without waiting or retrying.
    fn lookup(
        &self,
        mobile: Mobile,
        token: &SecretString,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send;

    /// Makes one call for a token.
    fn fetch_token(
        &self,
        endpoint: TokenEndpoint,
    ) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;

    /// How many calls for a token were made so far.
    fn token_call_count(&self) -> u64;

    /// Whether a rejected token can be replaced by fetching one.
    fn can_renew_token(&self) -> bool;

    /// Makes later calls on new connections.
    fn reset_connections(&self) {}

    /// Removes this run's secrets from a text that the API sent.
    fn redact(&self, text: String) -> String;
}
