//! The API that a run calls and its address: DingTalk's, or those of a server of our own. Leaves what is called when to the
//! engine, and where the credentials come from to `config`.

use secrecy::SecretString;
use tr::tr;

use crate::api::client::Client;
use crate::api::error::CallError;
use crate::api::http::HttpClient;
use crate::api::http::Reply;
use crate::api::lookup_api::LookupApi;
use crate::api::token::{AccessToken, TokenClient, TokenEndpoint, TokenError};
use crate::app::cli::args::ResolveArgs;
use crate::app::cli::network;
use crate::app::cli::options::{self, ApiConfig};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::domain::number::mobile::Mobile;
use crate::quota::token_cache::TokenCache;
use crate::sandbox::script::Script;
use crate::sandbox::server::Server;

/// The API and its address: DingTalk's, or those of a server of our own.
pub(crate) struct ApiConnection {
    /// What makes calls and fetches tokens.
    pub api: DingTalk,
    /// Its address.
    pub base_url: String,
    /// What messages call it.
    pub display_name: String,
    /// Serves as long as it lives.
    pub sandbox: Option<Server>,
}

impl ApiConnection {
    /// Makes ready to call it, and says what there is to say of that; `purse` is where runs that share have their token. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// Unexpected (1) where the emulation cannot be served, and what [`network::unusable`] says of a way that cannot be taken.
    pub(crate) async fn from_args(
        args: &ResolveArgs,
        access: Option<ApiConfig>,
        purse: Option<TokenCache>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let (server, access) = if let Some(access) = access {
            (None, access)
        } else {
            terminal.print(&tr!(
                "resolving against the built-in sandbox: its people and their ids are invented"
            ));
            let script = Script::default();
            let server = Server::start(script.clone(), 0)
                .await
                .map_err(|error| Failure::from_error(Exit::Error, error))?;
            let access = options::sandbox_config(args, &server.endpoint(), &script)?;
            (Some(server), access)
        };
        for remark in &access.warnings {
            terminal.print(remark);
        }
        let endpoint = network::describe_endpoint(&access.endpoint, &access.http_settings.route);
        let http =
            HttpClient::new(&access.http_settings).map_err(|what| network::tls_failure(&what))?;
        let (mainland, exclusive) =
            (options::mainland_format(&args.api), args.api.exclusive_accounts);
        let remote = DingTalk {
            client: Client::new(http.clone(), &access.endpoint, mainland, exclusive),
            token_client: TokenClient::new(http, &access.endpoint, access.credentials),
            token_cache: purse,
        };
        let address = access.endpoint.as_str().trim_end_matches('/').to_owned();
        Ok(Self { api: remote, base_url: address, display_name: endpoint, sandbox: server })
    }
}

/// DingTalk over HTTP.
#[derive(Debug)]
pub(crate) struct DingTalk {
    /// The lookups.
    pub client: Client,
    /// The tokens.
    pub token_client: TokenClient,
    /// Where runs that share a quota keep their token.
    pub token_cache: Option<TokenCache>,
}

impl LookupApi for DingTalk {
    async fn lookup(&self, mobile: Mobile, token: &SecretString) -> Result<Reply, CallError> {
        self.client.lookup(mobile, token).await
    }

    async fn fetch_token(&self, call: TokenEndpoint) -> Result<AccessToken, TokenError> {
        let Some(purse) = self.token_cache.as_ref().filter(|_| self.token_client.can_renew())
        else {
            return self.token_client.fetch(call).await;
        };
        let granted = purse.get_or_fetch(|| self.token_client.fetch(call)).await;
        granted.inspect(|grant| self.token_client.remember(grant))
    }

    fn token_call_count(&self) -> u64 {
        self.token_client.call_count()
    }

    fn can_renew_token(&self) -> bool {
        self.token_client.can_renew()
    }

    fn redact(&self, text: String) -> String {
        self.token_client.redact(text)
    }
}
