//! The API that a run calls: DingTalk, or the built-in sandbox.

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

pub(crate) struct ApiConnection {
    pub api: DingTalk,
    pub base_url: String,
    /// The name of the API in messages.
    pub display_name: String,
    /// The built-in server; it stops when this is dropped.
    pub sandbox: Option<Server>,
}

impl ApiConnection {
    /// Prepares the HTTP client, or starts the sandbox if there is no `access`, and prints
    /// warnings. Nothing is sent yet.
    ///
    /// # Errors
    /// Error (1) if the sandbox cannot listen; usage (2) if the TLS settings cannot be used.
    pub(crate) async fn from_args(
        args: &ResolveArgs,
        access: Option<ApiConfig>,
        token_cache: Option<TokenCache>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let (sandbox, access) = if let Some(access) = access {
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
        for warning in &access.warnings {
            terminal.print_warning(warning);
        }
        let display_name =
            network::describe_endpoint(&access.endpoint, &access.http_settings.route);
        let http = HttpClient::new(&access.http_settings)
            .map_err(|reason| network::tls_failure(&reason))?;
        let (mainland, exclusive) =
            (options::mainland_format(&args.api), args.api.exclusive_accounts);
        let api = DingTalk {
            client: Client::new(http.clone(), &access.endpoint, mainland, exclusive),
            token_client: TokenClient::new(http, &access.endpoint, access.credentials),
            token_cache,
        };
        let base_url = access.endpoint.as_str().trim_end_matches('/').to_owned();
        Ok(Self { api, base_url, display_name, sandbox })
    }
}

/// DingTalk over HTTP.
#[derive(Debug)]
pub(crate) struct DingTalk {
    pub client: Client,
    pub token_client: TokenClient,
    /// The token of the runs that share a quota.
    pub token_cache: Option<TokenCache>,
}

impl LookupApi for DingTalk {
    async fn lookup(&self, mobile: Mobile, token: &SecretString) -> Result<Reply, CallError> {
        self.client.lookup(mobile, token).await
    }

    async fn fetch_token(&self, endpoint: TokenEndpoint) -> Result<AccessToken, TokenError> {
        let Some(cache) = self.token_cache.as_ref().filter(|_| self.token_client.can_renew())
        else {
            return self.token_client.fetch(endpoint).await;
        };
        let token = cache.get_or_fetch(|| self.token_client.fetch(endpoint)).await;
        token.inspect(|token| self.token_client.remember(token))
    }

    fn token_call_count(&self) -> u64 {
        self.token_client.call_count()
    }

    fn can_renew_token(&self) -> bool {
        self.token_client.can_renew()
    }

    fn reset_connections(&self) {
        self.client.reset_connections();
    }

    fn redact(&self, text: String) -> String {
        self.token_client.redact(text)
    }
}
