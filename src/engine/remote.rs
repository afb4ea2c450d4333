//! What the engine needs of the outside: one attempt of one lookup, and a token. Behind this seam a run can be
//! simulated on a paused clock (DESIGN 6). Leaves HTTP to `api`.

use std::future::Future;

use secrecy::SecretString;

use crate::api::client::Client;
use crate::api::fault::Fault;
use crate::api::http::Reply;
use crate::api::token::{Grant, Issuer, NoToken, TokenCall};
use crate::domain::mobile::Mobile;
use crate::shared::purse::Purse;

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

/// DingTalk over HTTP.
#[derive(Debug)]
pub struct DingTalk {
    /// The lookups.
    pub client: Client,
    /// The tokens.
    pub issuer: Issuer,
    /// Where runs that share a quota keep their token.
    pub purse: Option<Purse>,
}

impl Remote for DingTalk {
    async fn lookup(&self, mobile: Mobile, token: &SecretString) -> Result<Reply, Fault> {
        self.client.lookup(mobile, token).await
    }

    async fn token(&self, call: TokenCall) -> Result<Grant, NoToken> {
        let Some(purse) = self.purse.as_ref().filter(|_| self.issuer.renews()) else {
            return self.issuer.fetch(call).await;
        };
        let granted = purse.token(|| self.issuer.fetch(call)).await;
        granted.inspect(|grant| self.issuer.took(grant))
    }

    fn token_calls(&self) -> u64 {
        self.issuer.calls()
    }

    fn renews(&self) -> bool {
        self.issuer.renews()
    }

    fn hide(&self, text: String) -> String {
        self.issuer.hide(text)
    }
}
