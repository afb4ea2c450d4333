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

use crate::api::token::{Grant, NoToken};
use crate::quota::connection::{Kind, Link, Silence};
use crate::quota::crypto::Seal;
use crate::quota::protocol::PREFIX;

/// How often a run looks whether another one that fetches has the token.
const LOOK: Duration = Duration::from_millis(200);
/// How long one that fetches has for it before another one does: an attempt's usual timeout, and some more.
const FETCH: Duration = Duration::from_secs(12);
/// A server that is silent is asked again after this long.
const SILENT: Duration = Duration::from_millis(500);

/// How much stands before a token: sixteen digits by which one fetch is told from another.
const TICKET: usize = 16;
/// Takes a mark away where it is that of the run which asks.
const UNMARK: &str = include_str!("unlock.lua");

/// Where the token is kept, as one run sees it.
pub(crate) struct Purse {
    link: Arc<Link>,
    seal: Arc<Seal>,
    /// The keys of the token and of the mark of whoever fetches one.
    keys: [String; 2],
    run: String,
    /// Whether the run fetches one for itself where the server is silent.
    optional: bool,
    /// The token that this run was given last, with its ticket.
    last: Mutex<Option<SecretString>>,
}

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purse(..)")
    }
}

impl Purse {
    /// That of the app whose keys begin with `place`.
    #[must_use]
    pub(crate) fn of(
        link: Arc<Link>,
        seal: Arc<Seal>,
        place: &str,
        run: String,
        optional: bool,
    ) -> Self {
        let keys = ["token", "fetching"].map(|name| format!("{PREFIX}{place}:{name}"));
        Self { link, seal, keys, run, optional, last: Mutex::default() }
    }

    /// A token: the one that is kept, unless that is the one which this run had and wants to replace; else a fresh one, which
    /// `fetch` gets and all are given.
    ///
    /// # Errors
    /// What `fetch` says.
    pub(crate) async fn token<F>(&self, fetch: impl FnOnce() -> F) -> Result<Grant, NoToken>
    where
        F: Future<Output = Result<Grant, NoToken>>,
    {
        loop {
            match self.kept().await {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => break,
                Err(_) if self.optional => return fetch().await,
                Err(Silence { what, kind: Kind::Unfit | Kind::Denied }) => {
                    let reason = tr!("the shared server: {what}", what);
                    return Err(NoToken::Transient { reason, answered: true });
                }
                // Whoever waits for the token knows from elsewhere that the server is silent, and for how long to wait.
                Err(_) => sleep(SILENT).await,
            }
        }
        let fetched = fetch().await;
        let mut commands = Pipeline::new();
        if let Some((sealed, fresh_for)) =
            fetched.as_ref().ok().and_then(|grant| self.sealed(grant))
        {
            let [token, _] = &self.keys;
            commands.cmd("SET").arg(token).arg(sealed).arg("PX").arg(fresh_for.max(1)).ignore();
        }
        self.unmark(&mut commands);
        // Where that fails the others fetch one for themselves once this one's time is over.
        let _ = self.link.ask::<()>(&commands).await;
        fetched
    }

    /// The token that is kept, once there is another than this run had; none where it is this run that has to fetch one.
    async fn kept(&self) -> Result<Option<Grant>, Silence> {
        let [token, fetching] = &self.keys;
        let time = FETCH.as_millis().to_string();
        loop {
            // First the mark, then the look: whoever fetches takes its mark away once the token is there, not before.
            let mut commands = Pipeline::new();
            commands.cmd("SET").arg(fetching).arg(&self.run).arg("PX").arg(&time).arg("NX");
            commands.cmd("GET").arg(token).cmd("PTTL").arg(token);
            let (mine, sealed, left): (Option<String>, Option<Vec<u8>>, i64) =
                self.link.ask(&commands).await?;
            let text = sealed.and_then(|sealed| self.seal.open(token, &sealed));
            let kept = text
                .and_then(|text| String::from_utf8(text).ok())
                .filter(|text| self.is_other(text));
            if let (Some(text), Ok(left @ 1..)) = (kept, u64::try_from(left)) {
                if mine.is_some() {
                    let mut commands = Pipeline::new();
                    self.unmark(&mut commands);
                    self.link.ask::<()>(&commands).await?;
                }
                let fresh_for = Some(Duration::from_millis(left));
                let token = text.get(TICKET..).unwrap_or_default().into();
                self.had(text);
                return Ok(Some(Grant { token, fresh_for }));
            }
            if mine.is_some() {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
    }

    /// Takes this run's mark away, and no other's.
    fn unmark(&self, commands: &mut Pipeline) {
        let [_, fetching] = &self.keys;
        commands.cmd("EVAL").arg(UNMARK).arg(1).arg(fetching).arg(&self.run).ignore();
    }

    fn is_other(&self, text: &str) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_none_or(|last| last.expose_secret() != text)
    }

    fn had(&self, text: String) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    }

    /// The token sealed, and for how many milliseconds it is fresh. In front of it stands another ticket each time, since the API
    /// may give the same token again, with a longer life.
    fn sealed(&self, grant: &Grant) -> Option<(Vec<u8>, u64)> {
        let fresh_for = u64::try_from(grant.fresh_for?.as_millis()).ok()?;
        let text = format!("{:016x}{}", fastrand::u64(..), grant.token.expose_secret());
        let [token, _] = &self.keys;
        let sealed = self.seal.close(token, text.clone().into_bytes())?;
        self.had(text);
        Some((sealed, fresh_for))
    }
}
