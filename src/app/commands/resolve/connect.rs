//! The API that a run calls and its address: DingTalk's, or those of a server of our own. Leaves what is called when to the
//! engine, and where the credentials come from to `config`.

use secrecy::SecretString;
use tr::tr;

use crate::api::client::Client;
use crate::api::error::Fault;
use crate::api::http::Http;
use crate::api::http::Reply;
use crate::api::lookup_api::Remote;
use crate::api::token::{Grant, Issuer, NoToken, TokenCall};
use crate::app::cli::args::Resolve;
use crate::app::cli::network;
use crate::app::cli::options::{self, Access};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::domain::number::mobile::Mobile;
use crate::quota::token_cache::Purse;
use crate::sandbox::script::Script;
use crate::sandbox::server::Server;

/// The API and its address: DingTalk's, or those of a server of our own.
pub(crate) struct FarSide {
    /// What makes calls and fetches tokens.
    pub remote: DingTalk,
    /// Its address.
    pub address: String,
    /// What messages call it.
    pub endpoint: String,
    /// Serves as long as it lives.
    pub server: Option<Server>,
}

impl FarSide {
    /// Makes ready to call it, and says what there is to say of that; `purse` is where runs that share have their token. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// Unexpected (1) where the emulation cannot be served, and what [`network::unusable`] says of a way that cannot be taken.
    pub(crate) async fn of(
        args: &Resolve,
        access: Option<Access>,
        purse: Option<Purse>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let (server, access) = if let Some(access) = access {
            (None, access)
        } else {
            terminal.say(&tr!(
                "resolving against the built-in sandbox: its people and their ids are invented"
            ));
            let script = Script::default();
            let server = Server::start(script.clone(), 0)
                .await
                .map_err(|error| Failure::of(Exit::Broken, error))?;
            let access = options::rehearsal(args, &server.endpoint(), &script)?;
            (Some(server), access)
        };
        for remark in &access.remarks {
            terminal.say(remark);
        }
        let endpoint = network::named(&access.endpoint, &access.connections.route);
        let http = Http::new(&access.connections).map_err(|what| network::unusable(&what))?;
        let (mainland, exclusive) =
            (options::mainland(&args.directory), args.directory.exclusive_accounts);
        let remote = DingTalk {
            client: Client::new(http.clone(), &access.endpoint, mainland, exclusive),
            issuer: Issuer::new(http, &access.endpoint, access.credentials),
            purse,
        };
        let address = access.endpoint.as_str().trim_end_matches('/').to_owned();
        Ok(Self { remote, address, endpoint, server })
    }
}

/// DingTalk over HTTP.
#[derive(Debug)]
pub(crate) struct DingTalk {
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
