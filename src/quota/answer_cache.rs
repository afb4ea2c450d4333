//! Encodes the answers on the shared server: encrypted, under the digest of their number, with the
//! time of the answer in front.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::quota::crypto::AppKeys;
use crate::store::disk::disk_store::wall_secs;
use crate::store::disk::record::AnswerRecord;
use crate::store::freshness::{Freshness, MaxAges};

/// The server keeps answers for this time, or for the run's maximum age if that is longer.
const MIN_RETENTION: Duration = Duration::from_hours(24);

/// An answer with its time, in ms since 1970.
pub(crate) type TimedAnswer = (Arc<Outcome>, u64);

/// The answers that one run may use.
#[derive(Debug)]
pub(crate) struct AnswerCache {
    app_keys: Arc<AppKeys>,
    /// Separates answers for other options of the API call.
    namespace: Vec<u8>,
    ages: MaxAges,
    /// By the server's clock, in ms since 1970. `None` before the first reply.
    session_start_ms: Option<u64>,
}

impl AnswerCache {
    /// `ages` limit the use of answers from before the start of the run.
    pub(crate) fn new(app_keys: Arc<AppKeys>, namespace: Vec<u8>, ages: MaxAges) -> Self {
        Self { app_keys, namespace, ages, session_start_ms: None }
    }

    /// The name of a number on the server.
    pub(crate) fn digest(&self, mobile: Mobile) -> String {
        self.app_keys.digest(&[&self.namespace, &mobile.to_bits().to_le_bytes()])
    }

    pub(crate) fn retention(&self) -> Duration {
        self.ages.any.max(MIN_RETENTION)
    }

    pub(crate) fn set_session_start(&mut self, now_ms: u64) {
        self.session_start_ms = Some(now_ms);
    }

    /// The oldest answers to use: any, and those without a user; in ms since 1970. Before the
    /// server's time is known, a time in the far future, so that no answer is used.
    pub(crate) fn oldest_allowed_ms(&self, now_ms: Option<u64>) -> [u64; 2] {
        let Some((start, now)) = self.session_start_ms.zip(now_ms) else {
            // The script's numbers are exact up to 2⁵³.
            return [u64::MAX >> 11; 2];
        };
        let oldest = |age: Duration| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            if age == 0 { start } else { start.min(now.saturating_sub(age)) }
        };
        [oldest(self.ages.any), oldest(self.ages.without_user.min(self.ages.any))]
    }

    /// The number's digest and the bytes to store for it: `TIME_MS ENCRYPTED`. They are empty
    /// without an answer.
    pub(crate) fn encrypt(
        &self,
        mobile: Mobile,
        answer: Option<&TimedAnswer>,
    ) -> (String, Vec<u8>) {
        let digest = self.digest(mobile);
        let stored = answer.and_then(|(outcome, asked_at_ms)| {
            let asked_at = i64::try_from(asked_at_ms / 1000).ok()?;
            let record = AnswerRecord { session_id: 0, asked_at, outcome: Arc::clone(outcome) };
            let bytes = record.encode((0, mobile.to_bits()))?;
            let encrypted =
                self.app_keys.encrypt(&associated_data(&digest, *asked_at_ms), bytes)?;
            Some([format!("{asked_at_ms} ").into_bytes(), encrypted].concat())
        });
        (digest, stored.unwrap_or_default())
    }

    /// The inverse of [`AnswerCache::encrypt`], with the time in seconds since 1970. `None` if the
    /// answer is too old, or if it was not encrypted for this number by a run of the same app.
    pub(crate) fn decrypt(&self, mobile: Mobile, stored: &[u8]) -> Option<(Arc<Outcome>, i64)> {
        let space = stored.iter().position(|byte| *byte == b' ')?;
        let (asked_at_ms, encrypted) = (&stored[..space], &stored[space + 1..]);
        let asked_at_ms: u64 = std::str::from_utf8(asked_at_ms).ok()?.parse().ok()?;
        let associated_data = associated_data(&self.digest(mobile), asked_at_ms);
        let bytes = self.app_keys.decrypt(&associated_data, encrypted)?;
        let AnswerRecord { asked_at, outcome, .. } =
            AnswerRecord::decode((0, mobile.to_bits()), &bytes)?;
        // Session 1 is this run, 0 all before it.
        let session = u64::from(asked_at_ms >= self.session_start_ms?);
        let freshness = Freshness { first_session: 1, max_ages: self.ages };
        let is_fresh = freshness.allows(outcome.status, session, asked_at, wall_secs());
        is_fresh.then_some((outcome, asked_at))
    }
}

/// Binds a stored answer to its number and time.
fn associated_data(digest: &str, asked_at_ms: u64) -> String {
    format!("{digest} {asked_at_ms}")
}
