//! Answers as they lie on the shared server: by the digest of their number, encrypted, with the moment at which they were given
//! in front. Owns which of them a run may use. Leaves the keys to `seal`.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::quota::crypto::AppKeys;
use crate::store::disk::record::AnswerRecord;
use crate::store::freshness::{Freshness, MaxAges};

/// Answers are kept for a day at least, and longer where this run would use them for longer.
const MIN_RETENTION: Duration = Duration::from_hours(24);

/// An answer, and when it was given, in milliseconds since 1970.
pub(crate) type TimedAnswer = (Arc<Outcome>, u64);

/// One run's view of the answers.
#[derive(Debug)]
pub(crate) struct AnswerCache {
    app_keys: Arc<AppKeys>,
    /// What sets these answers apart from those of other questions to the same app.
    namespace: Vec<u8>,
    ages: MaxAges,
    /// When the run began by the server's clock, in milliseconds since 1970; none before it is known.
    session_start_ms: Option<u64>,
}

impl AnswerCache {
    /// The answers to a question, of which those of earlier runs are used up to these ages.
    pub(crate) fn new(seal: Arc<AppKeys>, question: Vec<u8>, ages: MaxAges) -> Self {
        Self { app_keys: seal, namespace: question, ages, session_start_ms: None }
    }

    /// By what a number is known there.
    pub(crate) fn digest(&self, mobile: Mobile) -> String {
        self.app_keys.digest(&[&self.namespace, &mobile.to_bits().to_le_bytes()])
    }

    /// How long answers are kept.
    pub(crate) fn retention(&self) -> Duration {
        self.ages.any.max(MIN_RETENTION)
    }

    /// The run has begun.
    pub(crate) fn set_session_start(&mut self, now: u64) {
        self.session_start_ms = Some(now);
    }

    /// Answers given before these moments are too old, any and those that name nobody; in milliseconds since 1970. None is
    /// used before it is known what time it is.
    pub(crate) fn oldest_allowed_ms(&self, now: Option<u64>) -> [u64; 2] {
        let Some((since, now)) = self.session_start_ms.zip(now) else { return [u64::MAX >> 11; 2] };
        let oldest = |age: Duration| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            if age == 0 { since } else { since.min(now.saturating_sub(age)) }
        };
        [oldest(self.ages.any), oldest(self.ages.without_user.min(self.ages.any))]
    }

    /// A number's digest and what is kept for it: an answer that was given at a moment, in milliseconds since 1970, or nothing.
    pub(crate) fn encrypt(
        &self,
        mobile: Mobile,
        answer: Option<&TimedAnswer>,
    ) -> (String, Vec<u8>) {
        let digest = self.digest(mobile);
        let sealed = answer.and_then(|(outcome, at)| {
            let asked = i64::try_from(at / 1000).ok()?;
            let kept =
                AnswerRecord { session_id: 0, asked_at: asked, outcome: Arc::clone(outcome) };
            let bytes = kept.encode((0, mobile.to_bits()))?;
            let sealed = self.app_keys.encrypt(&associated_data(&digest, *at), bytes)?;
            Some([format!("{at} ").into_bytes(), sealed].concat())
        });
        (digest, sealed.unwrap_or_default())
    }

    /// The answer to a number, and when it was given, in seconds since 1970; none where it is too old, or is not what was kept.
    pub(crate) fn decrypt(&self, mobile: Mobile, sealed: &[u8]) -> Option<(Arc<Outcome>, i64)> {
        let space = sealed.iter().position(|byte| *byte == b' ')?;
        let (at, sealed) = sealed.split_at(space);
        let at: u64 = std::str::from_utf8(at).ok()?.parse().ok()?;
        let bytes =
            self.app_keys.decrypt(&associated_data(&self.digest(mobile), at), sealed.get(1..)?)?;
        let AnswerRecord { asked_at: asked, outcome, .. } =
            AnswerRecord::decode((0, mobile.to_bits()), &bytes)?;
        let since = self.session_start_ms?;
        let rule = Freshness { first_session: 1, max_ages: self.ages };
        let now = crate::store::disk::disk_store::wall_secs();
        rule.allows(outcome.status, u64::from(at >= since), asked, now).then_some((outcome, asked))
    }
}

fn associated_data(digest: &str, at: u64) -> String {
    format!("{digest} {at}")
}
