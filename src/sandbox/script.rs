//! The script of a sandbox: its limits and delays, and which calls fail and how.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::sandbox::directory::IdForm;

/// One scripted answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptedAnswer {
    /// HTTP 200 with exactly this body as JSON; no `request_id` is added.
    Json(String),
    /// HTTP 200 with a bare code, `{"errcode":…,"errmsg":…}` ([reply](crate::guide::api#reply)).
    Code {
        /// The `errcode`.
        code: i64,
        /// The `errmsg`.
        msg: String,
    },
    /// HTTP 200 with the code inside errcode 88, as the gateway wraps it
    /// ([reply](crate::guide::api#reply)).
    Wrapped {
        /// The `sub_code`.
        code: String,
        /// The `sub_msg`, also part of `errmsg`.
        msg: String,
    },
    /// A reply of a proxy or gateway between the caller and the API.
    Http {
        /// The status; a value outside of 200..=999 becomes 500.
        status: u16,
        /// Further headers; pairs that are invalid in HTTP are left out.
        headers: Vec<(String, String)>,
        /// The body, sent as plain text unless the headers name a content type.
        body: String,
    },
    /// The ban of an egress IP as an HTML page, HTTP 200 ([reply](crate::guide::api#reply) and
    /// [limits](crate::guide::api#limits)).
    Html,
    /// The ban of an egress IP as JSON, `{"status":1111,"wait":5,"source":"x5","punish":"deny",…}`,
    /// HTTP 200.
    Punish,
    /// The connection closes without a reply.
    Drop,
    /// The headers with a content length and the first half of a success, then the connection
    /// closes.
    Half,
    /// No reply for this long, then the connection closes.
    Hang(Duration),
    /// That answer, after an additional delay.
    Delayed(Duration, Box<ScriptedAnswer>),
    /// No scripted answer for this call: the next rule applies.
    Pass,
}

impl ScriptedAnswer {
    /// Throttling for the whole platform (90002, wrapped) whose message names the end of the
    /// penalty. `until` is in China time (UTC+8) with whole seconds, as in `2026-09-03 00:01:03`
    /// ([limits](crate::guide::api#limits)).
    #[must_use]
    pub fn penalty(until: &str) -> Self {
        Self::Wrapped {
            code: "90002".to_owned(),
            msg: format!("接口调用总量超过平台限制，您的请求被暂时禁用了，处罚将在 {until} 结束"),
        }
    }

    /// A bare code with a generated message.
    #[must_use]
    pub fn code(code: i64) -> Self {
        Self::Code { code, msg: format!("scripted code {code}") }
    }

    /// A code inside errcode 88 with a generated message.
    #[must_use]
    pub fn wrapped(code: impl Into<String>) -> Self {
        let code = code.into();
        Self::Wrapped { msg: format!("scripted code {code}"), code }
    }

    /// An HTTP status with no further headers and an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Http { status, headers: Vec::new(), body: String::new() }
    }

    /// This answer, after an additional delay.
    #[must_use]
    pub fn delayed_by(self, delay: Duration) -> Self {
        Self::Delayed(delay, Box::new(self))
    }
}

/// The behavior of a sandbox. The default is the API of the standard edition, without faults.
///
/// The first of these rules that applies answers a `getbymobile` call: [`always`],
/// [`answers_by_call`], the token ([tokens](crate::guide::api#tokens)), [`limit`], a missing
/// number, [`answers_by_number`], [`transient_share`], the entry in the directory. So a call that
/// the limit rejects uses up no scripted answer of its number.
///
/// [`always`]: Script::always
/// [`answers_by_call`]: Script::answers_by_call
/// [`limit`]: Script::limit
/// [`answers_by_number`]: Script::answers_by_number
/// [`transient_share`]: Script::transient_share
#[derive(Debug, Clone)]
pub struct Script {
    /// The seed of all randomness: delays, the choice of transient numbers, tokens and request ids.
    /// (0)
    pub seed: u64,
    /// The `getbymobile` calls admitted in any sliding window of 1 s. Each further one is answered
    /// with a wrapped 90018 and not counted. `None`: no limit. (20, as in the standard edition;
    /// [limits](crate::guide::api#limits))
    pub limit: Option<u32>,
    /// The delay of each `getbymobile` reply, uniformly distributed in this range. (0)
    pub latency: RangeInclusive<Duration>,
    /// A share of the `getbymobile` calls (0.0 to 1.0) and the additional delay of their replies.
    /// (none)
    pub slow: Option<(f64, Duration)>,
    /// The lifetime of a token; another token call restarts it. Replies state it in whole seconds,
    /// rounded up. (7200 s; [tokens](crate::guide::api#tokens))
    pub token_lifetime: Duration,
    /// The app key that token calls must send. (`sandbox-key`)
    pub app_key: String,
    /// The app secret that token calls must send. (`sandbox-secret`)
    pub app_secret: String,
    /// A token that is always accepted and never issued. (`sandbox-token`)
    pub static_token: String,
    /// Whether `POST /v1.0/oauth2/accessToken` exists. If not, it returns 404, as on an old
    /// gateway, and only the legacy call issues tokens. (true)
    pub has_v1_token_endpoint: bool,
    /// The form of the user ids. (short)
    pub id_form: IdForm,
    /// The share of the numbers (0.0 to 1.0) that are answered -1 at first; the choice depends only
    /// on seed and number. (0.0)
    pub transient_share: f64,
    /// How many attempts of such a number are answered -1. (1)
    pub transient_attempts: u32,
    /// Answers for single numbers, as sent, each used up in order. (none)
    pub answers_by_number: HashMap<String, VecDeque<ScriptedAnswer>>,
    /// Answers for single `getbymobile` calls by their index among all of them, from 0. (none)
    pub answers_by_call: BTreeMap<u64, ScriptedAnswer>,
    /// The answer to every `getbymobile` call. (none)
    pub always: Option<ScriptedAnswer>,
    /// Answers for token calls of either endpoint, used up in order, whatever the credentials.
    /// (none)
    pub token_answers: VecDeque<ScriptedAnswer>,
    /// After this many `getbymobile` calls every token issued so far is revoked, once; the static
    /// token stays valid. (none)
    pub revoke_tokens_after_calls: Option<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            seed: 0,
            limit: Some(20),
            latency: Duration::ZERO..=Duration::ZERO,
            slow: None,
            token_lifetime: Duration::from_hours(2),
            app_key: "sandbox-key".to_owned(),
            app_secret: "sandbox-secret".to_owned(),
            static_token: "sandbox-token".to_owned(),
            has_v1_token_endpoint: true,
            id_form: IdForm::Short,
            transient_share: 0.0,
            transient_attempts: 1,
            answers_by_number: HashMap::new(),
            answers_by_call: BTreeMap::new(),
            always: None,
            token_answers: VecDeque::new(),
            revoke_tokens_after_calls: None,
        }
    }
}

impl Script {
    /// Adds answers for one number, used up in order after those it already has.
    pub fn push_answers(
        &mut self,
        number: impl Into<String>,
        answers: impl IntoIterator<Item = ScriptedAnswer>,
    ) {
        self.answers_by_number.entry(number.into()).or_default().extend(answers);
    }

    /// The delay of the reply to `getbymobile` call `index` (from 0) by [`latency`](Self::latency)
    /// and [`slow`](Self::slow): the same for the same seed.
    #[must_use]
    pub fn delay(&self, index: u64) -> Duration {
        let (least, most) = (*self.latency.start(), *self.latency.end());
        if most.is_zero() && self.slow.is_none() {
            return Duration::ZERO; // Fast path: benchmarks get here thousands of times per second.
        }
        let mut random = fastrand::Rng::with_seed(self.seed.rotate_left(32) ^ index);
        let mut delay = least.saturating_add(most.saturating_sub(least).mul_f64(random.f64()));
        if let Some((share, extra)) = self.slow
            && random.f64() < share
        {
            delay = delay.saturating_add(extra);
        }
        delay
    }

    /// How many attempts of `number` are answered -1 by [`transient_share`](Self::transient_share):
    /// the same for the same seed, whatever the order of the calls.
    #[must_use]
    pub fn transient_attempts_for(&self, number: &str) -> u32 {
        if self.transient_share <= 0.0 {
            return 0;
        }
        // FNV-1a gives the same hash on every platform and in every release; std's hashers do not
        // guarantee that.
        let hash = number.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let chosen = fastrand::Rng::with_seed(hash).f64() < self.transient_share;
        if chosen { self.transient_attempts } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_repeat_by_seed_and_stay_in_their_range() {
        let (least, most) = (Duration::from_millis(5), Duration::from_millis(9));
        let script = Script { seed: 7, latency: least..=most, ..Script::default() };
        let delays: Vec<_> = (0..1000).map(|index| script.delay(index)).collect();
        assert_eq!(delays, (0..1000).map(|index| script.delay(index)).collect::<Vec<_>>());
        assert!(delays.iter().all(|delay| (least..=most).contains(delay)));
        let mean = delays.iter().sum::<Duration>() / 1000;
        assert!(
            mean > Duration::from_micros(6800) && mean < Duration::from_micros(7200),
            "{mean:?}"
        );
        let other = Script { seed: 8, ..script };
        assert_ne!(delays, (0..1000).map(|index| other.delay(index)).collect::<Vec<_>>());
    }

    #[test]
    fn the_share_of_slow_calls_is_kept() {
        let script = Script { slow: Some((0.01, Duration::from_millis(300))), ..Script::default() };
        let slow = (0..20_000).filter(|&index| !script.delay(index).is_zero()).count();
        assert!((150..=250).contains(&slow), "{slow}");
    }

    #[test]
    fn the_share_of_transient_numbers_is_kept() {
        let script = Script { transient_share: 0.05, transient_attempts: 3, ..Script::default() };
        let attempts = |script: &Script| -> Vec<u32> {
            (0..20_000).map(|n| script.transient_attempts_for(&format!("138{n:08}"))).collect()
        };
        let chosen = attempts(&script);
        let count = chosen.iter().filter(|&&attempts| attempts == 3).count();
        assert!((850..=1150).contains(&count), "{count}");
        assert!(chosen.iter().all(|&attempts| attempts == 0 || attempts == 3));
        assert_eq!(chosen, attempts(&script));
        assert_ne!(chosen, attempts(&Script { seed: 1, ..script }));
    }

    #[test]
    fn the_default_script_has_no_faults() {
        let script = Script::default();
        assert_eq!(script.delay(0), Duration::ZERO);
        assert_eq!(script.transient_attempts_for("13800138000"), 0);
    }

    #[test]
    fn scripted_answers_are_appended_in_order() {
        let mut script = Script::default();
        script.push_answers("13800138000", [ScriptedAnswer::Drop]);
        script.push_answers("13800138000", [ScriptedAnswer::Pass, ScriptedAnswer::code(-1)]);
        assert_eq!(
            script.answers_by_number["13800138000"],
            [ScriptedAnswer::Drop, ScriptedAnswer::Pass, ScriptedAnswer::code(-1)]
        );
    }
}
