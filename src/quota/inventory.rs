//! What lies on the shared server, for its owner: whose it is, how much, until when; and forgetting it. It is counted and never
//! opened, since only those with an app's secret can. Leaves words and flags to `app`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::Pipeline;

use crate::api::rate::Rate;
use crate::domain::totals::limit;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Link, Silence};
use crate::quota::protocol::PREFIX;

/// Every key that a dingmap of any version has put there.
const OURS: &str = "dingmap:*";
/// How many keys the server looks at for one word, which keeps it from nobody else for long.
const BATCH: usize = 1000;
/// A run that was not heard for longer is none, in microseconds (`turn.lua`: the lease).
const HERE: u64 = 5_000_000;

/// An app of which something is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenant {
    /// The host that was asked; none where its name is not there any more.
    pub endpoint: Option<String>,
    /// The app's key, or what stands for a token; what its keys begin with where its name is not there any more.
    pub app: String,
    /// How many runs are there now.
    pub runs: u64,
    /// The lowest rate that one of them asks for.
    pub least: Option<Rate>,
    /// Which share of it is used since the API complained, if that is less than all.
    pub share: Option<f64>,
    /// How long all calls still rest, and why.
    pub rest: Option<(Duration, Limit)>,
    /// How many answers are kept.
    pub answers: u64,
    /// How many numbers a run has claimed; those of one that is not there any more keep nobody from asking.
    pub claims: u64,
    /// For how long a token is kept, where one is.
    pub token: Option<Duration>,
    /// In how long the last of it expires.
    pub expires: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// App by app, by what their keys begin with.
    pub tenants: BTreeMap<String, Tenant>,
    /// How many keys are of another version.
    pub foreign: u64,
}

/// What a key of an app is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    Claim,
    Token,
    /// What paces its runs.
    Pace,
}

/// Whose a key is, and what it is for; none for a key of another version.
fn known(key: &[u8]) -> Option<(&str, Kind)> {
    let (place, name) = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?.split_once(':')?;
    let kind = match name.split(':').next()? {
        "a" => Kind::Answer,
        "c" => Kind::Claim,
        "token" => Kind::Token,
        _ => Kind::Pace,
    };
    Some((place, kind))
}

/// A walk over all keys, a batch at a time. One that is there from its beginning to its end is met; where the server puts its
/// table in order meanwhile, it may be met twice.
#[derive(Default)]
struct Walk {
    cursor: u64,
    begun: bool,
}

impl Walk {
    /// The next keys; none at the end.
    async fn next(&mut self, link: &Link) -> Result<Option<Vec<Vec<u8>>>, Silence> {
        if self.begun && self.cursor == 0 {
            return Ok(None);
        }
        let mut commands = Pipeline::new();
        commands.cmd("SCAN").arg(self.cursor).arg("MATCH").arg(OURS).arg("COUNT").arg(BATCH);
        let ((cursor, keys),): ((u64, Vec<Vec<u8>>),) = link.ask(&commands).await?;
        (self.cursor, self.begun) = (cursor, true);
        Ok(Some(keys))
    }
}

/// What a command says of each of these keys.
async fn each(link: &Link, command: &str, keys: &[Vec<u8>]) -> Result<Vec<i64>, Silence> {
    let mut commands = Pipeline::new();
    for key in keys {
        commands.cmd(command).arg(key);
    }
    if keys.is_empty() { Ok(Vec::new()) } else { link.ask(&commands).await }
}

/// Looks at everything that is there.
///
/// # Errors
/// [`Silence`].
pub(crate) async fn survey(link: &Link) -> Result<Survey, Silence> {
    let mut survey = Survey::default();
    let mut walk = Walk::default();
    while let Some(mut keys) = walk.next(link).await? {
        let all = keys.len();
        // Of others nothing more may be asked: a user of this version's keys alone may not.
        keys.retain(|key| known(key).is_some());
        survey.foreign += (all - keys.len()) as u64;
        let ends = each(link, "PTTL", &keys).await?;
        for ((place, kind), ends) in keys.iter().filter_map(|key| known(key)).zip(ends) {
            // What has expired since it was met is told by a time below zero.
            let Ok(left) = u64::try_from(ends).map(Duration::from_millis) else { continue };
            let tenant = survey.tenants.entry(place.to_owned()).or_default();
            tenant.expires = tenant.expires.max(left);
            match kind {
                Kind::Answer => tenant.answers += 1,
                Kind::Claim => tenant.claims += 1,
                Kind::Token => tenant.token = Some(left),
                Kind::Pace => {}
            }
        }
    }
    for (place, tenant) in &mut survey.tenants {
        tenant.meet(place, link).await?;
    }
    Ok(survey)
}

/// What is told of an app: the server's time, what paces its runs, and the runs.
type Told = ((u64, u64), HashMap<String, String>, HashMap<String, String>);

impl Tenant {
    /// Learns its name, and how it stands with its runs.
    async fn meet(&mut self, place: &str, link: &Link) -> Result<(), Silence> {
        let mut commands = Pipeline::new();
        commands.cmd("TIME");
        for name in ["pace", "runs"] {
            commands.cmd("HGETALL").arg(format!("{PREFIX}{place}:{name}"));
        }
        let ((seconds, micros), mut kept, runs): Told = link.ask(&commands).await?;
        let now = seconds.saturating_mul(1_000_000).saturating_add(micros);
        self.endpoint = kept.remove("endpoint");
        self.app = kept.remove("app").unwrap_or_else(|| place.to_owned());
        let hold = kept.get("hold").and_then(|hold| hold.parse::<u64>().ok()).unwrap_or_default();
        let cause = Limit::ALL
            .into_iter()
            .find(|known| kept.get("cause").is_some_and(|told| told == limit(*known)));
        let rest = Duration::from_micros(hold.saturating_sub(now));
        self.rest = Some((rest, cause.unwrap_or(Limit::Other))).filter(|_| !rest.is_zero());
        self.share =
            kept.get("share").and_then(|share| share.parse().ok()).filter(|share| *share < 1.0);
        let rates: Vec<_> = runs.values().filter_map(|told| heard(told, now)).collect();
        self.runs = rates.len() as u64;
        let speed = |rate: &Rate| rate.per_second().unwrap_or(f64::INFINITY);
        self.least = rates.into_iter().min_by(|one, other| speed(one).total_cmp(&speed(other)));
        Ok(())
    }
}

/// The rate that a run asks for, by what is kept of it; none where it is not there any more.
fn heard(told: &str, now: u64) -> Option<Rate> {
    let (seen, rate) = told.split_once(' ')?;
    let rate: f64 = rate.parse().ok()?;
    let here = seen.parse::<u64>().ok()?.saturating_add(HERE) >= now;
    // None is written as a limit of nothing.
    here.then(|| if rate > 0.0 { Rate::of(rate) } else { Rate::UNLIMITED })
}

/// Forgets answers, claims and token, of this app or of all, and says how many answers there were. What paces runs stays until
/// it expires by itself: it tells of nobody, a run that has just ended counts for the API still, and a rest that the API
/// ordered is over when that says so. A number whose claim goes while it is asked may be asked once more, in a turn of its own.
///
/// # Errors
/// [`Silence`]; what was met before it is forgotten.
pub(crate) async fn forget(link: &Link, app: Option<&str>) -> Result<u64, Silence> {
    let mut meant = Vec::new();
    if let Some(app) = app {
        let tenants = survey(link).await?.tenants.into_iter();
        meant.extend(tenants.filter(|(_, tenant)| tenant.app == app).map(|(place, _)| place));
    }
    let is_meant = |key: &[u8]| {
        let found = known(key).filter(|(_, kind)| *kind != Kind::Pace);
        found.is_some_and(|(place, _)| app.is_none() || meant.iter().any(|meant| meant == place))
    };
    let mut forgotten = 0;
    let mut walk = Walk::default();
    while let Some(mut keys) = walk.next(link).await? {
        keys.retain(|key| is_meant(key));
        let gone = each(link, "UNLINK", &keys).await?;
        let answers = keys.iter().zip(gone).filter(|(key, gone)| {
            *gone > 0 && known(key).is_some_and(|(_, kind)| kind == Kind::Answer)
        });
        forgotten += answers.count() as u64;
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_whose_they_are_and_what_for() {
        for (key, told) in [
            ("dingmap:1:0a:a:ff", Some(("0a", Kind::Answer))),
            ("dingmap:1:0a:c:ff", Some(("0a", Kind::Claim))),
            ("dingmap:1:0a:token", Some(("0a", Kind::Token))),
            ("dingmap:1:0a:fetching", Some(("0a", Kind::Pace))),
            ("dingmap:1:0a:pace", Some(("0a", Kind::Pace))),
            ("dingmap:1:0a", None),
            ("dingmap:2:0a:a:ff", None),
            ("dingmap:11:0a:a:ff", None),
        ] {
            assert_eq!(known(key.as_bytes()), told, "{key}");
        }
        assert_eq!(known(b"dingmap:1:\xff:a:ff"), None);
    }

    #[test]
    fn a_run_is_there_for_five_seconds_after_its_last_word() {
        let now = 1_700_000_000_000_000;
        assert_eq!(heard("1700000000000000 20", now), Some(Rate::of(20.0)));
        assert_eq!(heard("1699999995000000 0", now), Some(Rate::UNLIMITED));
        assert_eq!(heard("1699999994999999 20", now), None);
        assert_eq!(
            (heard("", now), heard("x 20", now), heard("1700000000000000 x", now)),
            (None, None, None)
        );
    }
}
