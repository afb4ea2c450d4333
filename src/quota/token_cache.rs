//! The token that runs share: fetched once and renewed once for all, and kept on the server encrypted. Leaves the call for it
//! to `api::token`, and which token of a run is used to the engine.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Pipeline;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;
use tr::tr;

use crate::api::token::{AccessToken, TokenError};
use crate::quota::connection::{Cause, Connection, Unavailable};
use crate::quota::crypto::AppKeys;
use crate::quota::protocol::KEY_PREFIX;

/// How often a run looks whether another one that fetches has the token.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long one that fetches has for it before another one does: an attempt's usual timeout, and some more.
const LOCK_TTL: Duration = Duration::from_secs(12);
/// A server that is silent is asked again after this long.
const UNAVAILABLE_RETRY_DELAY: Duration = Duration::from_millis(500);

/// How much stands before a token: sixteen digits by which one fetch is told from another.
const FETCH_ID_LEN: usize = 16;
/// Takes a mark away where it is that of the run which asks.
const UNLOCK_SCRIPT: &str = include_str!("unlock.lua");

/// Where the token is kept, as one run sees it.
pub(crate) struct TokenCache {
    connection: Arc<Connection>,
    app_keys: Arc<AppKeys>,
    /// The keys of the token and of the mark of whoever fetches one.
    redis_keys: [String; 2],
    session_id: String,
    /// Whether the run fetches one for itself where the server is silent.
    optional: bool,
    /// The token that this run was given last, with its ticket.
    last_token: Mutex<Option<SecretString>>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purse(..)")
    }
}

impl TokenCache {
    /// That of the app whose keys begin with `place`.
    #[must_use]
    pub(crate) fn new(
        link: Arc<Connection>,
        seal: Arc<AppKeys>,
        place: &str,
        run: String,
        optional: bool,
    ) -> Self {
        let keys = ["token", "fetching"].map(|name| format!("{KEY_PREFIX}{place}:{name}"));
        Self {
            connection: link,
            app_keys: seal,
            redis_keys: keys,
            session_id: run,
            optional,
            last_token: Mutex::default(),
        }
    }

    /// A token: the one that is kept, unless that is the one which this run had and wants to replace; else a fresh one, which
    /// `fetch` gets and all are given.
    ///
    /// # Errors
    /// What `fetch` says.
    pub(crate) async fn get_or_fetch<F>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<AccessToken, TokenError>
    where
        F: Future<Output = Result<AccessToken, TokenError>>,
    {
        loop {
            match self.cached_or_lock().await {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => break,
                Err(_) if self.optional => return fetch().await,
                Err(Unavailable { message: what, cause: Cause::Unsupported | Cause::Denied }) => {
                    let reason = tr!("the shared server: {what}", what);
                    return Err(TokenError::Transient { reason, answered: true });
                }
                // Whoever waits for the token knows from elsewhere that the server is silent, and for how long to wait.
                Err(_) => sleep(UNAVAILABLE_RETRY_DELAY).await,
            }
        }
        let fetched = fetch().await;
        let mut commands = Pipeline::new();
        if let Some((sealed, fresh_for)) =
            fetched.as_ref().ok().and_then(|grant| self.encrypt(grant))
        {
            let [token, _] = &self.redis_keys;
            commands.cmd("SET").arg(token).arg(sealed).arg("PX").arg(fresh_for.max(1)).ignore();
        }
        self.unlock(&mut commands);
        // Where that fails the others fetch one for themselves once this one's time is over.
        let _ = self.connection.query::<()>(&commands).await;
        fetched
    }

    /// The token that is kept, once there is another than this run had; none where it is this run that has to fetch one.
    async fn cached_or_lock(&self) -> Result<Option<AccessToken>, Unavailable> {
        let [token, fetching] = &self.redis_keys;
        let time = LOCK_TTL.as_millis().to_string();
        loop {
            // First the mark, then the look: whoever fetches takes its mark away once the token is there, not before.
            let mut commands = Pipeline::new();
            commands.cmd("SET").arg(fetching).arg(&self.session_id).arg("PX").arg(&time).arg("NX");
            commands.cmd("GET").arg(token).cmd("PTTL").arg(token);
            let (mine, sealed, left): (Option<String>, Option<Vec<u8>>, i64) =
                self.connection.query(&commands).await?;
            let text = sealed.and_then(|sealed| self.app_keys.decrypt(token, &sealed));
            let kept =
                text.and_then(|text| String::from_utf8(text).ok()).filter(|text| self.is_new(text));
            if let (Some(text), Ok(left @ 1..)) = (kept, u64::try_from(left)) {
                if mine.is_some() {
                    let mut commands = Pipeline::new();
                    self.unlock(&mut commands);
                    self.connection.query::<()>(&commands).await?;
                }
                let fresh_for = Some(Duration::from_millis(left));
                let token = text.get(FETCH_ID_LEN..).unwrap_or_default().into();
                self.remember(text);
                return Ok(Some(AccessToken { token, renew_after: fresh_for }));
            }
            if mine.is_some() {
                return Ok(None);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Takes this run's mark away, and no other's.
    fn unlock(&self, commands: &mut Pipeline) {
        let [_, fetching] = &self.redis_keys;
        commands.cmd("EVAL").arg(UNLOCK_SCRIPT).arg(1).arg(fetching).arg(&self.session_id).ignore();
    }

    fn is_new(&self, text: &str) -> bool {
        let last = self.last_token.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_none_or(|last| last.expose_secret() != text)
    }

    fn remember(&self, text: String) {
        *self.last_token.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    }

    /// The token sealed, and for how many milliseconds it is fresh. In front of it stands another ticket each time, since the API
    /// may give the same token again, with a longer life.
    fn encrypt(&self, grant: &AccessToken) -> Option<(Vec<u8>, u64)> {
        let fresh_for = u64::try_from(grant.renew_after?.as_millis()).ok()?;
        let text = format!("{:016x}{}", fastrand::u64(..), grant.token.expose_secret());
        let [token, _] = &self.redis_keys;
        let sealed = self.app_keys.encrypt(token, text.clone().into_bytes())?;
        self.remember(text);
        Some((sealed, fresh_for))
    }
}
