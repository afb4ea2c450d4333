//! What the engine needs of the outside: one attempt of one lookup, and a token. Behind this seam a run can be
//! simulated on a paused clock (DESIGN 6). Leaves HTTP to `api`.

use std::future::Future;

use secrecy::SecretString;

use crate::api::error::Fault;
use crate::api::http::Reply;
use crate::api::token::{Grant, NoToken, TokenCall};
use crate::domain::number::mobile::Mobile;

/// The far side of a run.
pub trait Remote: Send + Sync + 'static {
    /// One attempt. Neither waits nor retries.
    fn lookup(
        &self,
        mobile: Mobile,
        token: &SecretString,
    ) -> impl Future<Output = Result<Reply, Fault>> + Send;

    /// One call for a token.
    fn token(&self, call: TokenCall) -> impl Future<Output = Result<Grant, NoToken>> + Send;

    /// How many calls for a token were made so far.
    fn token_calls(&self) -> u64;

    /// Whether a rejected token can be replaced by fetching one.
    fn renews(&self) -> bool;

    /// A text of the far side without the secrets that it may quote.
    fn hide(&self, text: String) -> String;
}
