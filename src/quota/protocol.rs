//! What a run and the shared server say to each other: one script, its arguments and its reply. Owns their order and the names
//! of keys. Leaves when to speak to `desk`, and what follows to `book`.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Pipeline, Script, Value};

use crate::domain::totals::limit;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Kind, Link, Silence};

/// What all keys begin with, and the make of what is stored: another make takes another number.
pub(crate) const PREFIX: &str = "dingmap:1:";
const SCRIPT: &str = include_str!("exchange.lua");
/// A claim outlives its run's own mark by far, which is what counts.
const CLAIM: Duration = Duration::from_hours(24);

/// What is said to the server.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The calls a second that the run was given; 0 for no limit.
    pub asked: f64,
    /// How long answers are kept.
    pub keep: Duration,
    /// Whether the server's clock was seen to have been set, so that what it promised lies elsewhere now.
    pub stepped: bool,
    /// How long the last word and its reply took.
    pub way: Duration,
    /// For how long all calls rest by an answer that this run met, why, and whether the pace was too fast.
    pub rest: Option<(Duration, Limit, bool)>,
    /// Slots that went by unused, in the server's microseconds.
    pub unused: Vec<u64>,
    /// Numbers that are settled, by their digest: what to keep for all, nothing where there is nothing to keep.
    pub settled: Vec<(String, Vec<u8>)>,
    /// Answers given before these moments are too old, any and those that name nobody; in milliseconds since 1970.
    pub bounds: [u64; 2],
    /// Numbers to look at, by their digest.
    pub looks: Vec<(String, How)>,
    /// How many claimed numbers lack a slot (less than none where there are slots to spare), and how many slots are taken at most.
    pub due: (i64, usize),
}

/// How a number is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Whether the run is to ask it where nobody has.
    pub claims: bool,
    /// Whether its answer is known to name nobody.
    pub nobody: bool,
}

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Its clock, in microseconds since 1970.
    pub now: u64,
    /// From which moment on its promises count; another one than before takes them back.
    pub open: u64,
    /// How long all calls still rest, and why.
    pub rest: Option<(Duration, Limit)>,
    /// How many other runs there are.
    pub others: u32,
    /// The lowest rate of all runs, in calls a second; 0 for no limit.
    pub least: f64,
    /// Which share of that is used since the API complained.
    pub share: f64,
    /// The slots, in the server's microseconds.
    pub slots: Vec<u64>,
    /// What is known of each number that was looked at.
    pub told: Vec<Told>,
}

/// What is known of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing; nobody has to ask it.
    Nothing,
    /// This run is to ask it.
    Claimed,
    /// Another run asks it.
    Elsewhere,
    /// Its answer, still sealed.
    Answer(Vec<u8>),
}

/// One app's part of the server, as one run sees it.
#[derive(Debug)]
pub struct Talk {
    script: Script,
    /// What the keys of this app begin with.
    place: String,
    /// Whose they are, as `state info` tells it: the endpoint and the app.
    owner: [String; 2],
    run: String,
}

impl Talk {
    /// That of the app whose keys begin with `place`, of which `owner` are endpoint and name; `run` is no other run's name.
    #[must_use]
    pub fn of(place: String, owner: [String; 2], run: String) -> Self {
        Self { script: Script::new(SCRIPT), place, owner, run }
    }

    /// One word with the server.
    ///
    /// # Errors
    /// [`Silence`]; then nothing, or all of it, was heard.
    pub async fn say(&self, link: &Link, request: &Request) -> Result<Reply, Silence> {
        let server = link.server().await?;
        let arguments = self.arguments(request, &server);
        let keys = self.keys(request);
        let mut commands = Pipeline::new();
        commands
            .cmd("EVALSHA")
            .arg(self.script.get_hash())
            .arg(keys.len())
            .arg(&keys)
            .arg(&arguments);
        let told = match link.ask::<(Reply,)>(&commands).await {
            // Whoever flushed the scripts, or started the server anew, gets it once more.
            Err(Silence { kind: Kind::Scriptless, .. }) => {
                let mut commands = Pipeline::new();
                commands.cmd("EVAL").arg(SCRIPT).arg(keys.len()).arg(&keys).arg(&arguments);
                link.ask::<(Reply,)>(&commands).await
            }
            told => told,
        };
        told.map(|(reply,)| reply)
    }

    /// The run is gone: what it claimed is free.
    ///
    /// # Errors
    /// [`Silence`].
    pub async fn leave(&self, link: &Link) -> Result<(), Silence> {
        let mut commands = Pipeline::new();
        commands.cmd("HDEL").arg(self.key("runs")).arg(&self.run).ignore();
        link.ask(&commands).await
    }

    fn key(&self, name: &str) -> String {
        format!("{PREFIX}{}:{name}", self.place)
    }

    fn keys(&self, request: &Request) -> Vec<String> {
        let settled = request.settled.iter().map(|(digest, _)| digest);
        let numbers = settled.chain(request.looks.iter().map(|(digest, _)| digest));
        let own = ["pace", "slots", "runs"].map(|name| self.key(name));
        let pairs = numbers
            .flat_map(|digest| ["a:", "c:"].map(|kind| self.key(&format!("{kind}{digest}"))));
        own.into_iter().chain(pairs).collect()
    }

    fn arguments(&self, request: &Request, server: &str) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut say = |text: String| all.push(text.into_bytes());
        say(self.run.clone());
        say(server.to_owned());
        self.owner.iter().cloned().for_each(&mut say);
        say(request.asked.to_string());
        say(request.keep.as_millis().to_string());
        say(CLAIM.as_millis().to_string());
        say(u8::from(request.stepped).to_string());
        say(request.way.as_micros().to_string());
        let (rest, cause, cut) = request.rest.unwrap_or((Duration::ZERO, Limit::Other, false));
        say(rest.as_micros().to_string());
        say(limit(cause).to_owned());
        say(u8::from(cut).to_string());
        say(request.unused.len().to_string());
        request.unused.iter().for_each(|slot| say(slot.to_string()));
        say(request.settled.len().to_string());
        all.extend(request.settled.iter().map(|(_, value)| value.clone()));
        let mut say = |text: String| all.push(text.into_bytes());
        request.bounds.iter().for_each(|bound| say(bound.to_string()));
        say(request.looks.len().to_string());
        for (_, how) in &request.looks {
            let letters = [if how.nobody { 'n' } else { '.' }, if how.claims { 'c' } else { '.' }];
            say(letters.iter().collect());
        }
        say(request.due.0.to_string());
        say(request.due.1.to_string());
        all
    }
}

impl Reply {
    /// What of it holds until the next one.
    #[must_use]
    pub fn standing(&self) -> Self {
        let Self { now, open, rest, others, least, share, .. } = *self;
        Self { now, open, rest, others, least, share, ..Self::default() }
    }
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Parts = (u64, u64, u64, String, u32, f64, f64, Vec<u64>, Vec<Vec<u8>>);
        let (now, open, rest, cause, others, least, share, slots, told): Parts =
            FromRedisValue::from_redis_value(value)?;
        let cause =
            Limit::ALL.into_iter().find(|known| limit(*known) == cause).unwrap_or(Limit::Other);
        let rest = Some((Duration::from_micros(rest), cause)).filter(|(rest, _)| !rest.is_zero());
        let told = told.into_iter().map(Told::of).collect();
        Ok(Self { now, open, rest, others, least, share, slots, told })
    }
}

impl Told {
    fn of(mut said: Vec<u8>) -> Self {
        match said.first() {
            Some(b'+') => Self::Claimed,
            Some(b'-') => Self::Elsewhere,
            Some(b'a') => Self::Answer(said.split_off(1)),
            _ => Self::Nothing,
        }
    }
}
