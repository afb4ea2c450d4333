//! The protocol between a run and the shared server: one script with its arguments and its reply.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Pipeline, Script, Value};

use crate::api::rate_limiter::{
    DECREASE_FACTOR, EXACT_BELOW, GCRA_FACTOR_BELOW, MIN_RATE_FACTOR, RECOVERY_INTERVAL,
    RECOVERY_STEP,
};
use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Cause, Connection, Unavailable};
use crate::quota::server_clock::REPLY_VALID_FOR;

/// The prefix of all keys, with the version of the stored data.
pub(crate) const KEY_PREFIX: &str = "dingmap:1:";
/// A run without an exchange for longer is dead, and its claims are free.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
const EXCHANGE_SCRIPT: &str = include_str!("exchange.lua");
/// Only limits how long the claim of a dead run occupies memory: whether it is valid depends on
/// [`LEASE`].
const CLAIM_TTL: Duration = Duration::from_hours(24);
/// A server that lost its state grants no slots for this time. Slots granted before are used for at
/// most [`REPLY_VALID_FOR`], and count at the API for a second more.
const QUIET_TIME: Duration = Duration::from_millis(2100);
/// How much longer than its nominal length a window of slots lasts. Nearly three times the lateness
/// that a call may have.
const SLOT_GUARD: Duration = Duration::from_millis(22);
/// Several runs report the same throttling within this time: the rate decreases only once.
const MIN_DECREASE_INTERVAL: Duration = Duration::from_secs(1);

/// The request of one exchange.
#[derive(Clone, Debug, Default)]
pub struct ExchangeRequest {
    /// The run's own rate in calls per second; 0 for no limit.
    pub rate: f64,
    /// How long the server keeps answers.
    pub retention: Duration,
    /// Whether the server's clock has jumped, so that granted slots are at wrong times.
    pub clock_stepped: bool,
    /// The time that the last exchange took.
    pub round_trip: Duration,
    /// A pause that this run's calls caused: remaining time, cause, and whether the rate was too
    /// high.
    pub pause: Option<(Duration, Limit, bool)>,
    /// Slots to return, in µs of the server's clock.
    pub unused_slots: Vec<u64>,
    /// Settled numbers by digest, with the encrypted answer. It is empty if there is none to store.
    pub settled: Vec<(String, Vec<u8>)>,
    /// Older answers are treated as absent: any, and those without a user; ms since 1970.
    pub oldest_allowed_ms: [u64; 2],
    /// Numbers to look up, by digest.
    pub queries: Vec<(String, QueryMode)>,
    /// Claimed numbers without a slot (negative if there are spare slots), and the maximum of slots
    /// to grant.
    pub slot_demand: (i64, usize),
}

/// How a number is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryMode {
    /// Whether to claim the number if it has no answer.
    pub claim: bool,
    /// Whether the stored answer is known to be without a user.
    pub is_known_not_found: bool,
}

/// The reply of one exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeReply {
    /// The server's clock, in µs since 1970.
    pub now_us: u64,
    /// The start of the validity of slots and claims. If it changes, all that were granted before
    /// are void.
    pub valid_from_us: u64,
    /// The remaining pause of all calls, and its cause.
    pub pause: Option<(Duration, Limit)>,
    /// The number of other runs.
    pub peer_count: u32,
    /// The lowest rate of all runs in calls per second; 0 for no limit.
    pub min_rate: f64,
    /// The fraction of `min_rate` in use, below 1 after throttling.
    pub rate_factor: f64,
    /// Granted slots, in µs of the server's clock.
    pub slots: Vec<u64>,
    /// In the order of the queries.
    pub results: Vec<QueryResult>,
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// No answer and no claim.
    Unclaimed,
    /// Claimed by this run.
    Claimed,
    ClaimedElsewhere,
    /// The encrypted answer.
    Answer(Vec<u8>),
}

/// The exchanges of one run, for one app.
#[derive(Debug)]
pub struct Protocol {
    script: Script,
    /// Follows [`KEY_PREFIX`] in the keys of the app.
    hash_tag: String,
    /// Endpoint and app, for `state info`.
    owner: [String; 2],
    session_id: String,
}

impl Protocol {
    /// `session_id` must be unique among the runs.
    #[must_use]
    pub fn new(hash_tag: String, owner: [String; 2], session_id: String) -> Self {
        Self { script: Script::new(EXCHANGE_SCRIPT), hash_tag, owner, session_id }
    }

    /// Runs the script once. After an error, the server has processed either nothing or everything.
    pub async fn exchange(
        &self,
        connection: &Connection,
        request: &ExchangeRequest,
    ) -> Result<ExchangeReply, Unavailable> {
        let server = connection.server_run_id().await?;
        let arguments = self.arguments(request, &server);
        let keys = self.keys(request);
        let mut commands = Pipeline::new();
        commands
            .cmd("EVALSHA")
            .arg(self.script.get_hash())
            .arg(keys.len())
            .arg(&keys)
            .arg(&arguments);
        let reply = match connection.query::<(ExchangeReply,)>(&commands).await {
            // The server was restarted, or its scripts were flushed.
            Err(Unavailable { cause: Cause::ScriptMissing, .. }) => {
                let mut commands = Pipeline::new();
                commands
                    .cmd("EVAL")
                    .arg(EXCHANGE_SCRIPT)
                    .arg(keys.len())
                    .arg(&keys)
                    .arg(&arguments);
                connection.query::<(ExchangeReply,)>(&commands).await
            }
            reply => reply,
        };
        reply.map(|(reply,)| reply)
    }

    /// Removes the run, which frees its claims.
    pub async fn end_session(&self, connection: &Connection) -> Result<(), Unavailable> {
        let mut commands = Pipeline::new();
        commands.cmd("HDEL").arg(self.key("runs")).arg(&self.session_id).ignore();
        connection.query(&commands).await
    }

    fn key(&self, name: &str) -> String {
        format!("{KEY_PREFIX}{}:{name}", self.hash_tag)
    }

    fn keys(&self, request: &ExchangeRequest) -> Vec<String> {
        let settled = request.settled.iter().map(|(digest, _)| digest);
        let digests = settled.chain(request.queries.iter().map(|(digest, _)| digest));
        let app_keys = ["pace", "slots", "runs"].map(|name| self.key(name));
        let number_keys = digests
            .flat_map(|digest| ["a:", "c:"].map(|kind| self.key(&format!("{kind}{digest}"))));
        app_keys.into_iter().chain(number_keys).collect()
    }

    /// The arguments of the script, in the order in which it reads them.
    fn arguments(&self, request: &ExchangeRequest, server: &str) -> Vec<Vec<u8>> {
        let mut arguments = Vec::new();
        let mut push = |text: String| arguments.push(text.into_bytes());
        let micros = |duration: Duration| duration.as_micros().to_string();
        push(micros(LEASE));
        push(micros(REPLY_VALID_FOR));
        push(micros(QUIET_TIME));
        push(micros(SLOT_GUARD));
        push(EXACT_BELOW.to_string());
        push(GCRA_FACTOR_BELOW.to_string());
        push(DECREASE_FACTOR.to_string());
        push(MIN_RATE_FACTOR.to_string());
        push(micros(MIN_DECREASE_INTERVAL));
        push(RECOVERY_STEP.to_string());
        push(micros(RECOVERY_INTERVAL));
        push(self.session_id.clone());
        push(server.to_owned());
        self.owner.iter().cloned().for_each(&mut push);
        push(request.rate.to_string());
        push(request.retention.as_millis().to_string());
        push(CLAIM_TTL.as_millis().to_string());
        push(u8::from(request.clock_stepped).to_string());
        push(micros(request.round_trip));
        let no_pause = (Duration::ZERO, Limit::Other, false);
        let (pause, cause, slow_down) = request.pause.unwrap_or(no_pause);
        push(micros(pause));
        push(limit_name(cause).to_owned());
        push(u8::from(slow_down).to_string());
        push(request.unused_slots.len().to_string());
        request.unused_slots.iter().for_each(|slot| push(slot.to_string()));
        push(request.settled.len().to_string());
        arguments.extend(request.settled.iter().map(|(_, answer)| answer.clone()));
        let mut push = |text: String| arguments.push(text.into_bytes());
        request.oldest_allowed_ms.iter().for_each(|oldest| push(oldest.to_string()));
        push(request.queries.len().to_string());
        for (_, mode) in &request.queries {
            let flags = [
                if mode.is_known_not_found { 'n' } else { '.' },
                if mode.claim { 'c' } else { '.' },
            ];
            push(flags.iter().collect());
        }
        push(request.slot_demand.0.to_string());
        push(request.slot_demand.1.to_string());
        arguments
    }
}

impl ExchangeReply {
    /// The part that stays valid until the next reply.
    #[must_use]
    pub fn without_results(&self) -> Self {
        let Self { now_us, valid_from_us, pause, peer_count, min_rate, rate_factor, .. } = *self;
        Self { now_us, valid_from_us, pause, peer_count, min_rate, rate_factor, ..Self::default() }
    }
}

impl FromRedisValue for ExchangeReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Fields = (u64, u64, u64, String, u32, f64, f64, Vec<u64>, Vec<Vec<u8>>);
        let (
            now_us,
            valid_from_us,
            pause_us,
            cause,
            peer_count,
            min_rate,
            rate_factor,
            slots,
            results,
        ): Fields = FromRedisValue::from_redis_value(value)?;
        let cause = Limit::ALL
            .into_iter()
            .find(|limit| limit_name(*limit) == cause)
            .unwrap_or(Limit::Other);
        let pause = Duration::from_micros(pause_us);
        Ok(Self {
            now_us,
            valid_from_us,
            pause: (!pause.is_zero()).then_some((pause, cause)),
            peer_count,
            min_rate,
            rate_factor,
            slots,
            results: results.into_iter().map(QueryResult::from_bytes).collect(),
        })
    }
}

impl QueryResult {
    fn from_bytes(mut bytes: Vec<u8>) -> Self {
        match bytes.first() {
            Some(b'+') => Self::Claimed,
            Some(b'-') => Self::ClaimedElsewhere,
            Some(b'a') => Self::Answer(bytes.split_off(1)),
            _ => Self::Unclaimed,
        }
    }
}
