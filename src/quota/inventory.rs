//! Lists and deletes the data on the shared server, for `state info` and `state forget`. Answers
//! are only counted, since they are encrypted with the apps' secrets.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::Pipeline;

use crate::api::rate::Rate;
use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::protocol::{KEY_PREFIX, LEASE};

/// The keys of all versions of dingmap.
const KEY_PATTERN: &str = "dingmap:*";
/// Keys per SCAN command, which blocks the server for other clients.
const SCAN_COUNT: usize = 1000;

/// The data of one app.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppInventory {
    /// `None` if the state of the quota has expired, which has the names.
    pub endpoint: Option<String>,
    /// The app key, or the name of a token; the hash tag if the names have expired.
    pub app: String,
    /// The number of active runs.
    pub session_count: u64,
    /// The lowest rate of the active runs.
    pub min_rate: Option<Rate>,
    /// The fraction of the rate in use, if it is below 1.
    pub rate_factor: Option<f64>,
    /// The remaining pause of all calls, and its cause.
    pub pause: Option<(Duration, Limit)>,
    pub answers: u64,
    /// Claimed numbers, including the claims of dead runs, which have no effect.
    pub claims: u64,
    /// The remaining lifetime of the token, if there is one.
    pub token_ttl: Option<Duration>,
    /// The time until all keys have expired.
    pub expires_in: Duration,
}

/// The data of all apps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// By hash tag.
    pub apps: BTreeMap<String, AppInventory>,
    /// The number of keys of other versions.
    pub foreign_keys: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Answer,
    Claim,
    Token,
    /// The state of the quota: rates, slots, pauses, runs.
    Quota,
}

/// The hash tag and the kind of a key. `None` for keys of other versions.
fn parse_key(key: &[u8]) -> Option<(&str, KeyKind)> {
    let (hash_tag, name) =
        std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.split_once(':')?;
    let kind = match name.split(':').next()? {
        "a" => KeyKind::Answer,
        "c" => KeyKind::Claim,
        "token" => KeyKind::Token,
        _ => KeyKind::Quota,
    };
    Some((hash_tag, kind))
}

/// A SCAN over all keys, in batches. It returns every key that exists during the whole scan, some
/// of them twice if the server resizes its table.
#[derive(Default)]
struct KeyScan {
    cursor: u64,
    started: bool,
}

impl KeyScan {
    /// The next batch. `None` at the end.
    async fn next(&mut self, connection: &Connection) -> Result<Option<Vec<Vec<u8>>>, Unavailable> {
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
        let ((cursor, keys),): ((u64, Vec<Vec<u8>>),) = connection.query(&commands).await?;
        (self.cursor, self.started) = (cursor, true);
        Ok(Some(keys))
    }
}

/// The replies to a command for each key.
async fn query_each(
    connection: &Connection,
    command: &str,
    keys: &[Vec<u8>],
) -> Result<Vec<i64>, Unavailable> {
    let mut commands = Pipeline::new();
    for key in keys {
        commands.cmd(command).arg(key);
    }
    if keys.is_empty() { Ok(Vec::new()) } else { connection.query(&commands).await }
}

/// Inspects the data of all apps.
pub(crate) async fn inspect(connection: &Connection) -> Result<Inventory, Unavailable> {
    let mut inventory = Inventory::default();
    let mut scan = KeyScan::default();
    while let Some(mut keys) = scan.next(connection).await? {
        let found = keys.len();
        // An ACL may restrict the user to the keys of this version, so ask nothing about others.
        keys.retain(|key| parse_key(key).is_some());
        inventory.foreign_keys += (found - keys.len()) as u64;
        let ttls = query_each(connection, "PTTL", &keys).await?;
        for ((hash_tag, kind), ttl) in keys.iter().filter_map(|key| parse_key(key)).zip(ttls) {
            // A key that has expired since the scan has a negative TTL.
            let Ok(ttl) = u64::try_from(ttl).map(Duration::from_millis) else { continue };
            let app = inventory.apps.entry(hash_tag.to_owned()).or_default();
            app.expires_in = app.expires_in.max(ttl);
            match kind {
                KeyKind::Answer => app.answers += 1,
                KeyKind::Claim => app.claims += 1,
                KeyKind::Token => app.token_ttl = Some(ttl),
                KeyKind::Quota => {}
            }
        }
    }
    for (hash_tag, app) in &mut inventory.apps {
        app.load_quota(hash_tag, connection).await?;
    }
    Ok(inventory)
}

/// The server's time (s, µs), the fields of the key `pace`, and those of the key `runs`.
type QuotaReply = ((u64, u64), HashMap<String, String>, HashMap<String, String>);

impl AppInventory {
    /// Reads the names and the state of the quota.
    async fn load_quota(
        &mut self,
        hash_tag: &str,
        connection: &Connection,
    ) -> Result<(), Unavailable> {
        let mut commands = Pipeline::new();
        commands.cmd("TIME");
        for name in ["pace", "runs"] {
            commands.cmd("HGETALL").arg(format!("{KEY_PREFIX}{hash_tag}:{name}"));
        }
        let ((secs, micros), mut fields, runs): QuotaReply = connection.query(&commands).await?;
        let now_us = secs.saturating_mul(1_000_000).saturating_add(micros);
        self.endpoint = fields.remove("endpoint");
        self.app = fields.remove("app").unwrap_or_else(|| hash_tag.to_owned());
        let pause_until_us = fields.get("hold").and_then(|hold| hold.parse().ok()).unwrap_or(0_u64);
        let cause = Limit::ALL
            .into_iter()
            .find(|limit| fields.get("cause").is_some_and(|cause| cause == limit_name(*limit)));
        let pause = Duration::from_micros(pause_until_us.saturating_sub(now_us));
        self.pause = (!pause.is_zero()).then_some((pause, cause.unwrap_or(Limit::Other)));
        self.rate_factor =
            fields.get("share").and_then(|share| share.parse().ok()).filter(|share| *share < 1.0);
        let rates: Vec<_> =
            runs.values().filter_map(|run| live_session_rate(run, now_us)).collect();
        self.session_count = rates.len() as u64;
        let per_second = |rate: &Rate| rate.per_second().unwrap_or(f64::INFINITY);
        self.min_rate =
            rates.into_iter().min_by(|one, other| per_second(one).total_cmp(&per_second(other)));
        Ok(())
    }
}

/// The rate of a run from its field in the key `runs`. `None` if the run is dead.
fn live_session_rate(field: &str, now_us: u64) -> Option<Rate> {
    let (seen_us, rate) = field.split_once(' ')?;
    let rate: f64 = rate.parse().ok()?;
    let lease_us = u64::try_from(LEASE.as_micros()).ok()?;
    let is_live = seen_us.parse::<u64>().ok()?.saturating_add(lease_us) >= now_us;
    // 0 means no limit.
    is_live.then(|| if rate > 0.0 { Rate::from_per_second(rate) } else { Rate::UNLIMITED })
}

/// Deletes the answers, claims and token of an app, or of all apps. Returns the number of answers.
///
/// The state of the quota is kept until it expires: it contains no personal data, calls of a run
/// that has just ended still count at the API, and pauses ordered by the API must be obeyed.
/// Dropping a claim in flight can cost one duplicate call. After an error, some keys may be
/// deleted.
pub(crate) async fn forget(connection: &Connection, app: Option<&str>) -> Result<u64, Unavailable> {
    let mut hash_tags = Vec::new();
    if let Some(name) = app {
        let apps = inspect(connection).await?.apps.into_iter();
        hash_tags.extend(apps.filter(|(_, app)| app.app == name).map(|(hash_tag, _)| hash_tag));
    }
    let is_selected = |key: &[u8]| {
        let parsed = parse_key(key).filter(|(_, kind)| *kind != KeyKind::Quota);
        parsed.is_some_and(|(tag, _)| app.is_none() || hash_tags.iter().any(|own| own == tag))
    };
    let mut deleted = 0;
    let mut scan = KeyScan::default();
    while let Some(mut keys) = scan.next(connection).await? {
        keys.retain(|key| is_selected(key));
        let counts = query_each(connection, "UNLINK", &keys).await?;
        let answers = keys.iter().zip(counts).filter(|(key, count)| {
            *count > 0 && parse_key(key).is_some_and(|(_, kind)| kind == KeyKind::Answer)
        });
        deleted += answers.count() as u64;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_keys_are_parsed_into_owner_and_kind() {
        for (key, parsed) in [
            ("dingmap:1:0a:a:ff", Some(("0a", KeyKind::Answer))),
            ("dingmap:1:0a:c:ff", Some(("0a", KeyKind::Claim))),
            ("dingmap:1:0a:token", Some(("0a", KeyKind::Token))),
            ("dingmap:1:0a:fetching", Some(("0a", KeyKind::Quota))),
            ("dingmap:1:0a:pace", Some(("0a", KeyKind::Quota))),
            ("dingmap:1:0a", None),
            ("dingmap:2:0a:a:ff", None),
            ("dingmap:11:0a:a:ff", None),
        ] {
            assert_eq!(parse_key(key.as_bytes()), parsed, "{key}");
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
