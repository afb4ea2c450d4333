//! A run becomes one of those that share an app's quota: which app that is on the server, under which name the run is known
//! there, and what it finds. Leaves what follows to `desk` and `purse`.

use std::sync::Arc;

use redis::Client;
use secrecy::SecretString;

use crate::api::rate::Rate;
use crate::quota::answer_cache::AnswerCache;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::crypto::AppKeys;
use crate::quota::limiter::{self, SharedLimiter, SharedSession};
use crate::quota::protocol::Protocol;
use crate::quota::run_state::RunState;
use crate::quota::token_cache::TokenCache;
use crate::store::freshness::MaxAges;
use crate::store::scope::{Fingerprint, Scope};

/// How much of a digest stands for an app.
const HASH_TAG_LEN: usize = 16;

/// What a run brings.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    /// The server, and how to be let in.
    pub client: Client,
    /// Whose answers, and how they are asked.
    pub scope: Scope,
    /// What only those have who may share: the app's secret, or the token where there is no other.
    pub secret: SecretString,
    /// The rate that the run was given.
    pub rate: Rate,
    /// How old the answers of earlier runs may be.
    pub ages: MaxAges,
    /// Whether the run goes on by itself where the server is silent.
    pub optional: bool,
}

/// A run that shares.
#[derive(Debug)]
pub(crate) struct Joined {
    run_state: RunState,
    protocol: Protocol,
    connection: Arc<Connection>,
    app_keys: Arc<AppKeys>,
    hash_tag: String,
    session_id: String,
    optional: bool,
    unavailable: Option<Unavailable>,
}

/// What an app's keys begin with behind the prefix: short, of plain letters, and another one for another host or app.
#[must_use]
pub(crate) fn hash_tag(scope: &Scope) -> String {
    let print = Fingerprint::new("dingmap shared")
        .with("endpoint", scope.endpoint.as_bytes())
        .with("app", scope.app.as_bytes())
        .to_string();
    // In a cluster all keys with the same word in braces lie on one node, which a script needs.
    format!("{{{}}}", print.get(..HASH_TAG_LEN).unwrap_or_default())
}

impl Joined {
    /// Joins, or stands at the door where the server is silent. None only where no keys can be made of the secret.
    pub(crate) async fn join(application: JoinRequest) -> Option<Self> {
        let JoinRequest { client, scope, secret, rate, ages, optional } = application;
        let (link, seal) =
            (Arc::new(Connection::new(client)), Arc::new(AppKeys::from_secret(&secret)?));
        let question = vec![u8::from(scope.exclusive), u8::from(scope.prefixed)];
        let (place, run) = (hash_tag(&scope), format!("{:016x}", fastrand::u64(..)));
        let mut book =
            RunState::new(AnswerCache::new(Arc::clone(&seal), question, ages), rate, optional);
        let talk = Protocol::new(place.clone(), [scope.endpoint, scope.app], run.clone());
        let silence = limiter::hello(&mut book, &talk, &link).await.err();
        Some(Self {
            run_state: book,
            protocol: talk,
            connection: link,
            app_keys: seal,
            hash_tag: place,
            session_id: run,
            optional,
            unavailable: silence,
        })
    }

    /// Why the server was not heard yet.
    #[must_use]
    pub(crate) fn unavailable(&self) -> Option<&Unavailable> {
        self.unavailable.as_ref()
    }

    /// The lowest rate that any of the runs was given, and how many other runs there are; none before the server was heard.
    #[must_use]
    pub(crate) fn min_rate_and_peers(&self) -> Option<(Rate, u32)> {
        self.run_state.min_rate().map(|least| (least, self.run_state.session_count() - 1))
    }

    /// Where the token is kept.
    #[must_use]
    pub(crate) fn token_cache(&self) -> TokenCache {
        let (link, seal) = (Arc::clone(&self.connection), Arc::clone(&self.app_keys));
        TokenCache::new(link, seal, &self.hash_tag, self.session_id.clone(), self.optional)
    }

    /// Takes part from now on.
    #[must_use]
    pub(crate) fn start_session(self) -> (SharedLimiter, SharedSession) {
        limiter::start_session(self.run_state, self.protocol, self.connection)
    }
}
