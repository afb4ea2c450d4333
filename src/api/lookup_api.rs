//! What the engine needs of the outside: one attempt of one lookup, and a token. Behind this seam a run can be
//! simulated on a paused clock (DESIGN 6). Leaves HTTP to `api`.

use std::future::Future;

use secrecy::SecretString;

use crate::api::error::CallError;
use crate::api::http::Reply;
use crate::api::token::{AccessToken, TokenEndpoint, TokenError};
use crate::domain::number::mobile::Mobile;

/// The far side of a run.
pub trait LookupApi: Send + Sync + 'static {
    /// One attempt. Neither waits nor retries.
    fn lookup(
        &self,
        mobile: Mobile,
        token: &SecretString,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send;

    /// One call for a token.
    fn fetch_token(
        &self,
        call: TokenEndpoint,
    ) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;

    /// How many calls for a token were made so far.
    fn token_call_count(&self) -> u64;

    /// Whether a rejected token can be replaced by fetching one.
    fn can_renew_token(&self) -> bool;

    /// A text of the far side without the secrets that it may quote.
    fn redact(&self, text: String) -> String;
}
