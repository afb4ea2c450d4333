//! What a run and the shared server say to each other: one script, its arguments and its reply. Owns their order and the names
//! of keys. Leaves when to speak to `desk`, and what follows to `book`.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Pipeline, Script, Value};

use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Cause, Connection, Unavailable};

/// What all keys begin with, and the make of what is stored: another make takes another number.
pub(crate) const KEY_PREFIX: &str = "dingmap:1:";
const EXCHANGE_SCRIPT: &str = include_str!("exchange.lua");
/// A claim outlives its run's own mark by far, which is what counts.
const CLAIM_TTL: Duration = Duration::from_hours(24);

/// What is said to the server.
#[derive(Clone, Debug, Default)]
pub struct ExchangeRequest {
    /// The calls a second that the run was given; 0 for no limit.
    pub rate: f64,
    /// How long answers are kept.
    pub retention: Duration,
    /// Whether the server's clock was seen to have been set, so that what it promised lies elsewhere now.
    pub clock_stepped: bool,
    /// How long the last word and its reply took.
    pub round_trip: Duration,
    /// For how long all calls rest by an answer that this run met, why, and whether the pace was too fast.
    pub pause: Option<(Duration, Limit, bool)>,
    /// Slots that went by unused, in the server's microseconds.
    pub unused_slots: Vec<u64>,
    /// Numbers that are settled, by their digest: what to keep for all, nothing where there is nothing to keep.
    pub settled: Vec<(String, Vec<u8>)>,
    /// Answers given before these moments are too old, any and those that name nobody; in milliseconds since 1970.
    pub oldest_allowed_ms: [u64; 2],
    /// Numbers to look at, by their digest.
    pub queries: Vec<(String, QueryMode)>,
    /// How many claimed numbers lack a slot (less than none where there are slots to spare), and how many slots are taken at most.
    pub slot_demand: (i64, usize),
}

/// How a number is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryMode {
    /// Whether the run is to ask it where nobody has.
    pub claim: bool,
    /// Whether its answer is known to name nobody.
    pub is_known_not_found: bool,
}

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeReply {
    /// Its clock, in microseconds since 1970.
    pub now_us: u64,
    /// From which moment on its promises count; another one than before takes them back.
    pub valid_from_us: u64,
    /// How long all calls still rest, and why.
    pub pause: Option<(Duration, Limit)>,
    /// How many other runs there are.
    pub peer_count: u32,
    /// The lowest rate of all runs, in calls a second; 0 for no limit.
    pub min_rate: f64,
    /// Which share of that is used since the API complained.
    pub rate_factor: f64,
    /// The slots, in the server's microseconds.
    pub slots: Vec<u64>,
    /// What is known of each number that was looked at.
    pub results: Vec<QueryResult>,
}

/// What is known of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// Nothing; nobody has to ask it.
    Unclaimed,
    /// This run is to ask it.
    Claimed,
    /// Another run asks it.
    ClaimedElsewhere,
    /// Its answer, still sealed.
    Answer(Vec<u8>),
}

/// One app's part of the server, as one run sees it.
#[derive(Debug)]
pub struct Protocol {
    script: Script,
    /// What the keys of this app begin with.
    hash_tag: String,
    /// Whose they are, as `state info` tells it: the endpoint and the app.
    owner: [String; 2],
    session_id: String,
}

impl Protocol {
    /// That of the app whose keys begin with `place`, of which `owner` are endpoint and name; `run` is no other run's name.
    #[must_use]
    pub fn new(place: String, owner: [String; 2], run: String) -> Self {
        Self { script: Script::new(EXCHANGE_SCRIPT), hash_tag: place, owner, session_id: run }
    }

    /// One word with the server.
    ///
    /// # Errors
    /// [`Silence`]; then nothing, or all of it, was heard.
    pub async fn exchange(
        &self,
        link: &Connection,
        request: &ExchangeRequest,
    ) -> Result<ExchangeReply, Unavailable> {
        let server = link.server_run_id().await?;
        let arguments = self.arguments(request, &server);
        let keys = self.keys(request);
        let mut commands = Pipeline::new();
        commands
            .cmd("EVALSHA")
            .arg(self.script.get_hash())
            .arg(keys.len())
            .arg(&keys)
            .arg(&arguments);
        let told = match link.query::<(ExchangeReply,)>(&commands).await {
            // Whoever flushed the scripts, or started the server anew, gets it once more.
            Err(Unavailable { cause: Cause::ScriptMissing, .. }) => {
                let mut commands = Pipeline::new();
                commands
                    .cmd("EVAL")
                    .arg(EXCHANGE_SCRIPT)
                    .arg(keys.len())
                    .arg(&keys)
                    .arg(&arguments);
                link.query::<(ExchangeReply,)>(&commands).await
            }
            told => told,
        };
        told.map(|(reply,)| reply)
    }

    /// The run is gone: what it claimed is free.
    ///
    /// # Errors
    /// [`Silence`].
    pub async fn end_session(&self, link: &Connection) -> Result<(), Unavailable> {
        let mut commands = Pipeline::new();
        commands.cmd("HDEL").arg(self.key("runs")).arg(&self.session_id).ignore();
        link.query(&commands).await
    }

    fn key(&self, name: &str) -> String {
        format!("{KEY_PREFIX}{}:{name}", self.hash_tag)
    }

    fn keys(&self, request: &ExchangeRequest) -> Vec<String> {
        let settled = request.settled.iter().map(|(digest, _)| digest);
        let numbers = settled.chain(request.queries.iter().map(|(digest, _)| digest));
        let own = ["pace", "slots", "runs"].map(|name| self.key(name));
        let pairs = numbers
            .flat_map(|digest| ["a:", "c:"].map(|kind| self.key(&format!("{kind}{digest}"))));
        own.into_iter().chain(pairs).collect()
    }

    fn arguments(&self, request: &ExchangeRequest, server: &str) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut say = |text: String| all.push(text.into_bytes());
        say(self.session_id.clone());
        say(server.to_owned());
        self.owner.iter().cloned().for_each(&mut say);
        say(request.rate.to_string());
        say(request.retention.as_millis().to_string());
        say(CLAIM_TTL.as_millis().to_string());
        say(u8::from(request.clock_stepped).to_string());
        say(request.round_trip.as_micros().to_string());
        let (rest, cause, cut) = request.pause.unwrap_or((Duration::ZERO, Limit::Other, false));
        say(rest.as_micros().to_string());
        say(limit_name(cause).to_owned());
        say(u8::from(cut).to_string());
        say(request.unused_slots.len().to_string());
        request.unused_slots.iter().for_each(|slot| say(slot.to_string()));
        say(request.settled.len().to_string());
        all.extend(request.settled.iter().map(|(_, value)| value.clone()));
        let mut say = |text: String| all.push(text.into_bytes());
        request.oldest_allowed_ms.iter().for_each(|bound| say(bound.to_string()));
        say(request.queries.len().to_string());
        for (_, how) in &request.queries {
            let letters =
                [if how.is_known_not_found { 'n' } else { '.' }, if how.claim { 'c' } else { '.' }];
            say(letters.iter().collect());
        }
        say(request.slot_demand.0.to_string());
        say(request.slot_demand.1.to_string());
        all
    }
}

impl ExchangeReply {
    /// What of it holds until the next one.
    #[must_use]
    pub fn without_results(&self) -> Self {
        let Self {
            now_us: now,
            valid_from_us: open,
            pause: rest,
            peer_count: others,
            min_rate: least,
            rate_factor: share,
            ..
        } = *self;
        Self {
            now_us: now,
            valid_from_us: open,
            pause: rest,
            peer_count: others,
            min_rate: least,
            rate_factor: share,
            ..Self::default()
        }
    }
}

impl FromRedisValue for ExchangeReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Parts = (u64, u64, u64, String, u32, f64, f64, Vec<u64>, Vec<Vec<u8>>);
        let (now, open, rest, cause, others, least, share, slots, told): Parts =
            FromRedisValue::from_redis_value(value)?;
        let cause = Limit::ALL
            .into_iter()
            .find(|known| limit_name(*known) == cause)
            .unwrap_or(Limit::Other);
        let rest = Some((Duration::from_micros(rest), cause)).filter(|(rest, _)| !rest.is_zero());
        let told = told.into_iter().map(QueryResult::from_bytes).collect();
        Ok(Self {
            now_us: now,
            valid_from_us: open,
            pause: rest,
            peer_count: others,
            min_rate: least,
            rate_factor: share,
            slots,
            results: told,
        })
    }
}

impl QueryResult {
    fn from_bytes(mut said: Vec<u8>) -> Self {
        match said.first() {
            Some(b'+') => Self::Claimed,
            Some(b'-') => Self::ClaimedElsewhere,
            Some(b'a') => Self::Answer(said.split_off(1)),
            _ => Self::Unclaimed,
        }
    }
}
