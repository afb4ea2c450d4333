//! Shares the access token among runs: one run fetches it, and the server keeps it encrypted.

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

/// How often a run checks whether the run that fetches has stored the token.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The time that a run has to fetch the token before another run may: the default `--timeout` of
/// 10 s and a margin.
const LOCK_TTL: Duration = Duration::from_secs(12);
/// The delay before an unreachable server is tried again.
const UNAVAILABLE_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The length of the hexadecimal id before a stored token. It distinguishes two fetches for which
/// the API returned the same token.
const FETCH_ID_LEN: usize = 16;
/// Compare-and-delete of the lock.
const UNLOCK_SCRIPT: &str = include_str!("unlock.lua");

/// The shared token of one app, for one run.
pub(crate) struct TokenCache {
    connection: Arc<Connection>,
    app_keys: Arc<AppKeys>,
    /// The keys of the token and of the fetch lock.
    redis_keys: [String; 2],
    session_id: String,
    /// Whether the run fetches its own token while the server is unreachable.
    optional: bool,
    /// The last token of this run, with its fetch id.
    last_token: Mutex<Option<SecretString>>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(..)")
    }
}

impl TokenCache {
    #[must_use]
    pub(crate) fn new(
        connection: Arc<Connection>,
        app_keys: Arc<AppKeys>,
        hash_tag: &str,
        session_id: String,
        optional: bool,
    ) -> Self {
        let redis_keys = ["token", "fetching"].map(|name| format!("{KEY_PREFIX}{hash_tag}:{name}"));
        let last_token = Mutex::default();
        Self { connection, app_keys, redis_keys, session_id, optional, last_token }
    }

    /// Returns the stored token, unless it is the one that this run had and must replace. Otherwise
    /// fetches one and stores it for all runs.
    pub(crate) async fn get_or_fetch<F>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<AccessToken, TokenError>
    where
        F: Future<Output = Result<AccessToken, TokenError>>,
    {
        loop {
            match self.cached_or_lock().await {
                Ok(Some(token)) => return Ok(token),
                Ok(None) => break,
                Err(_) if self.optional => return fetch().await,
                Err(Unavailable { message: what, cause: Cause::Unsupported | Cause::Denied }) => {
                    let reason = tr!("the shared server: {what}", what);
                    return Err(TokenError::Transient { reason, answered: true });
                }
                // The caller pauses by the limiter while the server is unreachable.
                Err(_) => sleep(UNAVAILABLE_RETRY_DELAY).await,
            }
        }
        let fetched = fetch().await;
        let mut commands = Pipeline::new();
        if let Some((encrypted, fresh_for_ms)) =
            fetched.as_ref().ok().and_then(|token| self.encrypt(token))
        {
            let [token, _] = &self.redis_keys;
            let ttl_ms = fresh_for_ms.max(1);
            commands.cmd("SET").arg(token).arg(encrypted).arg("PX").arg(ttl_ms).ignore();
        }
        self.unlock(&mut commands);
        // If this fails, another run fetches a token when the lock has expired.
        let _ = self.connection.query::<()>(&commands).await;
        fetched
    }

    /// Waits for a stored token that is new to this run. `None` if this run has the lock and must
    /// fetch one.
    async fn cached_or_lock(&self) -> Result<Option<AccessToken>, Unavailable> {
        let [token, fetching] = &self.redis_keys;
        let ttl = LOCK_TTL.as_millis().to_string();
        loop {
            // The lock before the token: the run that fetches stores the token and then unlocks, so
            // whoever gets the lock sees the token.
            let mut commands = Pipeline::new();
            commands.cmd("SET").arg(fetching).arg(&self.session_id).arg("PX").arg(&ttl).arg("NX");
            commands.cmd("GET").arg(token).cmd("PTTL").arg(token);
            let (locked, encrypted, ttl_ms): (Option<String>, Option<Vec<u8>>, i64) =
                self.connection.query(&commands).await?;
            let text = encrypted.and_then(|encrypted| self.app_keys.decrypt(token, &encrypted));
            let text =
                text.and_then(|text| String::from_utf8(text).ok()).filter(|text| self.is_new(text));
            if let (Some(text), Ok(ttl_ms @ 1..)) = (text, u64::try_from(ttl_ms))
                && let Some((_, token)) = text.split_at_checked(FETCH_ID_LEN)
            {
                if locked.is_some() {
                    let mut commands = Pipeline::new();
                    self.unlock(&mut commands);
                    self.connection.query::<()>(&commands).await?;
                }
                let (token, renew_after) = (token.into(), Some(Duration::from_millis(ttl_ms)));
                self.remember(text);
                return Ok(Some(AccessToken { token, renew_after }));
            }
            if locked.is_some() {
                return Ok(None);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Releases the lock if this run has it.
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

    /// The encrypted token with a new fetch id, and the time until its renewal in ms.
    fn encrypt(&self, token: &AccessToken) -> Option<(Vec<u8>, u64)> {
        let fresh_for_ms = u64::try_from(token.renew_after?.as_millis()).ok()?;
        let text = format!("{:016x}{}", fastrand::u64(..), token.token.expose_secret());
        let [token_key, _] = &self.redis_keys;
        let encrypted = self.app_keys.encrypt(token_key, text.clone().into_bytes())?;
        self.remember(text);
        Some((encrypted, fresh_for_ms))
    }
}
