//! What lies on the shared server, for its owner: whose it is, how much, until when; and forgetting it. It is counted and never
//! opened, since only those with an app's secret can. Leaves words and flags to `app`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::Pipeline;

use crate::api::rate::Rate;
use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::protocol::KEY_PREFIX;

/// Every key that a dingmap of any version has put there.
const KEY_PATTERN: &str = "dingmap:*";
/// How many keys the server looks at for one word, which keeps it from nobody else for long.
const SCAN_COUNT: usize = 1000;
/// A run that was not heard for longer is none, in microseconds (`turn.lua`: the lease).
const LEASE_US: u64 = 5_000_000;

/// An app of which something is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppInventory {
    /// The host that was asked; none where its name is not there any more.
    pub endpoint: Option<String>,
    /// The app's key, or what stands for a token; what its keys begin with where its name is not there any more.
    pub app: String,
    /// How many runs are there now.
    pub session_count: u64,
    /// The lowest rate that one of them asks for.
    pub min_rate: Option<Rate>,
    /// Which share of it is used since the API complained, if that is less than all.
    pub rate_factor: Option<f64>,
    /// How long all calls still rest, and why.
    pub pause: Option<(Duration, Limit)>,
    /// How many answers are kept.
    pub answers: u64,
    /// How many numbers a run has claimed; those of one that is not there any more keep nobody from asking.
    pub claims: u64,
    /// For how long a token is kept, where one is.
    pub token_ttl: Option<Duration>,
    /// In how long the last of it expires.
    pub expires_in: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// App by app, by what their keys begin with.
    pub apps: BTreeMap<String, AppInventory>,
    /// How many keys are of another version.
    pub foreign_keys: u64,
}

/// What a key of an app is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Answer,
    Claim,
    Token,
    /// What paces its runs.
    Quota,
}

/// Whose a key is, and what it is for; none for a key of another version.
fn parse_key(key: &[u8]) -> Option<(&str, KeyKind)> {
    let (place, name) = std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.split_once(':')?;
    let kind = match name.split(':').next()? {
        "a" => KeyKind::Answer,
        "c" => KeyKind::Claim,
        "token" => KeyKind::Token,
        _ => KeyKind::Quota,
    };
    Some((place, kind))
}

/// A walk over all keys, a batch at a time. One that is there from its beginning to its end is met; where the server puts its
/// table in order meanwhile, it may be met twice.
#[derive(Default)]
struct KeyScan {
    cursor: u64,
    started: bool,
}

impl KeyScan {
    /// The next keys; none at the end.
    async fn next(&mut self, link: &Connection) -> Result<Option<Vec<Vec<u8>>>, Unavailable> {
        if self.started && self.cursor == 0 {
            return Ok(None);
        }
        let mut commands = Pipeline::new();
        commands
            .cmd("SCAN")
            .arg(self.cursor)
            .arg("MATCH")
            .arg(KEY_PATTERN)
            .arg("COUNT")
            .arg(SCAN_COUNT);
        let ((cursor, keys),): ((u64, Vec<Vec<u8>>),) = link.query(&commands).await?;
        (self.cursor, self.started) = (cursor, true);
        Ok(Some(keys))
    }
}

/// What a command says of each of these keys.
async fn query_each(
    link: &Connection,
    command: &str,
    keys: &[Vec<u8>],
) -> Result<Vec<i64>, Unavailable> {
    let mut commands = Pipeline::new();
    for key in keys {
        commands.cmd(command).arg(key);
    }
    if keys.is_empty() { Ok(Vec::new()) } else { link.query(&commands).await }
}

/// Looks at everything that is there.
///
/// # Errors
/// [`Silence`].
pub(crate) async fn inspect(link: &Connection) -> Result<Inventory, Unavailable> {
    let mut survey = Inventory::default();
    let mut walk = KeyScan::default();
    while let Some(mut keys) = walk.next(link).await? {
        let all = keys.len();
        // Of others nothing more may be asked: a user of this version's keys alone may not.
        keys.retain(|key| parse_key(key).is_some());
        survey.foreign_keys += (all - keys.len()) as u64;
        let ends = query_each(link, "PTTL", &keys).await?;
        for ((place, kind), ends) in keys.iter().filter_map(|key| parse_key(key)).zip(ends) {
            // What has expired since it was met is told by a time below zero.
            let Ok(left) = u64::try_from(ends).map(Duration::from_millis) else { continue };
            let tenant = survey.apps.entry(place.to_owned()).or_default();
            tenant.expires_in = tenant.expires_in.max(left);
            match kind {
                KeyKind::Answer => tenant.answers += 1,
                KeyKind::Claim => tenant.claims += 1,
                KeyKind::Token => tenant.token_ttl = Some(left),
                KeyKind::Quota => {}
            }
        }
    }
    for (place, tenant) in &mut survey.apps {
        tenant.load_quota(place, link).await?;
    }
    Ok(survey)
}

/// What is told of an app: the server's time, what paces its runs, and the runs.
type QuotaReply = ((u64, u64), HashMap<String, String>, HashMap<String, String>);

impl AppInventory {
    /// Learns its name, and how it stands with its runs.
    async fn load_quota(&mut self, place: &str, link: &Connection) -> Result<(), Unavailable> {
        let mut commands = Pipeline::new();
        commands.cmd("TIME");
        for name in ["pace", "runs"] {
            commands.cmd("HGETALL").arg(format!("{KEY_PREFIX}{place}:{name}"));
        }
        let ((seconds, micros), mut kept, runs): QuotaReply = link.query(&commands).await?;
        let now = seconds.saturating_mul(1_000_000).saturating_add(micros);
        self.endpoint = kept.remove("endpoint");
        self.app = kept.remove("app").unwrap_or_else(|| place.to_owned());
        let hold = kept.get("hold").and_then(|hold| hold.parse::<u64>().ok()).unwrap_or_default();
        let cause = Limit::ALL
            .into_iter()
            .find(|known| kept.get("cause").is_some_and(|told| told == limit_name(*known)));
        let rest = Duration::from_micros(hold.saturating_sub(now));
        self.pause = Some((rest, cause.unwrap_or(Limit::Other))).filter(|_| !rest.is_zero());
        self.rate_factor =
            kept.get("share").and_then(|share| share.parse().ok()).filter(|share| *share < 1.0);
        let rates: Vec<_> = runs.values().filter_map(|told| live_session_rate(told, now)).collect();
        self.session_count = rates.len() as u64;
        let speed = |rate: &Rate| rate.per_second().unwrap_or(f64::INFINITY);
        self.min_rate = rates.into_iter().min_by(|one, other| speed(one).total_cmp(&speed(other)));
        Ok(())
    }
}

/// The rate that a run asks for, by what is kept of it; none where it is not there any more.
fn live_session_rate(told: &str, now: u64) -> Option<Rate> {
    let (seen, rate) = told.split_once(' ')?;
    let rate: f64 = rate.parse().ok()?;
    let here = seen.parse::<u64>().ok()?.saturating_add(LEASE_US) >= now;
    // None is written as a limit of nothing.
    here.then(|| if rate > 0.0 { Rate::from_per_second(rate) } else { Rate::UNLIMITED })
}

/// Forgets answers, claims and token, of this app or of all, and says how many answers there were. What paces runs stays until
/// it expires by itself: it tells of nobody, a run that has just ended counts for the API still, and a rest that the API
/// ordered is over when that says so. A number whose claim goes while it is asked may be asked once more, in a turn of its own.
///
/// # Errors
/// [`Silence`]; what was met before it is forgotten.
pub(crate) async fn forget(link: &Connection, app: Option<&str>) -> Result<u64, Unavailable> {
    let mut meant = Vec::new();
    if let Some(app) = app {
        let tenants = inspect(link).await?.apps.into_iter();
        meant.extend(tenants.filter(|(_, tenant)| tenant.app == app).map(|(place, _)| place));
    }
    let is_meant = |key: &[u8]| {
        let found = parse_key(key).filter(|(_, kind)| *kind != KeyKind::Quota);
        found.is_some_and(|(place, _)| app.is_none() || meant.iter().any(|meant| meant == place))
    };
    let mut forgotten = 0;
    let mut walk = KeyScan::default();
    while let Some(mut keys) = walk.next(link).await? {
        keys.retain(|key| is_meant(key));
        let gone = query_each(link, "UNLINK", &keys).await?;
        let answers = keys.iter().zip(gone).filter(|(key, gone)| {
            *gone > 0 && parse_key(key).is_some_and(|(_, kind)| kind == KeyKind::Answer)
        });
        forgotten += answers.count() as u64;
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_keys_are_parsed_into_owner_and_kind() {
        for (key, told) in [
            ("dingmap:1:0a:a:ff", Some(("0a", KeyKind::Answer))),
            ("dingmap:1:0a:c:ff", Some(("0a", KeyKind::Claim))),
            ("dingmap:1:0a:token", Some(("0a", KeyKind::Token))),
            ("dingmap:1:0a:fetching", Some(("0a", KeyKind::Quota))),
            ("dingmap:1:0a:pace", Some(("0a", KeyKind::Quota))),
            ("dingmap:1:0a", None),
            ("dingmap:2:0a:a:ff", None),
            ("dingmap:11:0a:a:ff", None),
        ] {
            assert_eq!(parse_key(key.as_bytes()), told, "{key}");
        }
        assert_eq!(parse_key(b"dingmap:1:\xff:a:ff"), None);
    }

    #[test]
    fn a_session_is_active_for_five_seconds_after_its_last_exchange() {
        let now = 1_700_000_000_000_000;
        assert_eq!(
            live_session_rate("1700000000000000 20", now),
            Some(Rate::from_per_second(20.0))
        );
        assert_eq!(live_session_rate("1699999995000000 0", now), Some(Rate::UNLIMITED));
        assert_eq!(live_session_rate("1699999994999999 20", now), None);
        assert_eq!(
            (
                live_session_rate("", now),
                live_session_rate("x 20", now),
                live_session_rate("1700000000000000 x", now)
            ),
            (None, None, None)
        );
    }
}
