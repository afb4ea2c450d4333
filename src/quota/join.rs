//! Joins the runs that share the quota of an app.

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

/// Hexadecimal digits of the digest of an app.
const HASH_TAG_LEN: usize = 16;

/// The options of a run that shares its quota.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    pub client: Client,
    pub scope: Scope,
    /// The app's secret, or the token if there is none. The encryption keys are derived from it.
    pub secret: SecretString,
    /// The `--rate` of the run.
    pub rate: Rate,
    /// The maximum ages of the answers of earlier runs.
    pub ages: MaxAges,
    /// Whether the run continues alone while the server is unreachable.
    pub optional: bool,
}

/// A run that has joined and not started yet.
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

/// The part of all keys of an app after the prefix: a digest of endpoint and app in braces.
#[must_use]
pub(crate) fn hash_tag(scope: &Scope) -> String {
    let fingerprint = Fingerprint::new("dingmap shared")
        .with("endpoint", scope.endpoint.as_bytes())
        .with("app", scope.app.as_bytes())
        .to_string();
    // In a cluster, all keys with the same hash tag are on one node, as a script requires.
    format!("{{{}}}", &fingerprint[..HASH_TAG_LEN])
}

impl Joined {
    /// Registers the run at the server; if that is unreachable, the run joins later. `None` only if
    /// no keys can be derived from the secret.
    pub(crate) async fn join(request: JoinRequest) -> Option<Self> {
        let JoinRequest { client, scope, secret, rate, ages, optional } = request;
        let connection = Arc::new(Connection::new(client));
        let app_keys = Arc::new(AppKeys::from_secret(&secret)?);
        let namespace = vec![u8::from(scope.exclusive), u8::from(scope.prefixed)];
        let answer_cache = AnswerCache::new(Arc::clone(&app_keys), namespace, ages);
        let mut run_state = RunState::new(answer_cache, rate, optional);
        let (hash_tag, session_id) = (hash_tag(&scope), format!("{:016x}", fastrand::u64(..)));
        let owner = [scope.endpoint, scope.app];
        let protocol = Protocol::new(hash_tag.clone(), owner, session_id.clone());
        let unavailable = limiter::hello(&mut run_state, &protocol, &connection).await.err();
        Some(Self {
            run_state,
            protocol,
            connection,
            app_keys,
            hash_tag,
            session_id,
            optional,
            unavailable,
        })
    }

    /// Why the server has not replied yet.
    #[must_use]
    pub(crate) fn unavailable(&self) -> Option<&Unavailable> {
        self.unavailable.as_ref()
    }

    /// The lowest rate of all runs, and the number of other runs. `None` before the first reply.
    #[must_use]
    pub(crate) fn min_rate_and_peers(&self) -> Option<(Rate, u32)> {
        self.run_state.min_rate().map(|rate| (rate, self.run_state.session_count() - 1))
    }

    #[must_use]
    pub(crate) fn token_cache(&self) -> TokenCache {
        let (connection, app_keys) = (Arc::clone(&self.connection), Arc::clone(&self.app_keys));
        TokenCache::new(
            connection,
            app_keys,
            &self.hash_tag,
            self.session_id.clone(),
            self.optional,
        )
    }

    #[must_use]
    pub(crate) fn start_session(self) -> (SharedLimiter, SharedSession) {
        limiter::start_session(self.run_state, self.protocol, self.connection)
    }
}
