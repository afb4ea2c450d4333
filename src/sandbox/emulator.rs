//! Decides the reply to each call and its delay by the script. It does no I/O and does not wait.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sandbox::call_log::{Call, CallLog, TokenCall, TokenEndpoint};
use crate::sandbox::directory::{DirectoryEntry, IdForm};
use crate::sandbox::json::{self, Credentials, FullReply, LookupRequest, Reply};
use crate::sandbox::limits::{IssuedTokens, SlidingWindow};
use crate::sandbox::script::{Script, ScriptedAnswer};

/// A reply and the delay before it.
#[derive(Debug)]
pub(crate) struct TimedReply {
    pub delay: Duration,
    pub reply: Reply,
}

/// A reply and its label in the call log.
type LabeledReply = (Cow<'static, str>, Reply);

/// The state of one sandbox.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// Scripted answers are removed when they are used.
    pub script: Script,
    pub call_log: CallLog,
    window: SlidingWindow,
    tokens: IssuedTokens,
    attempts: HashMap<String, u32>,
    lookup_count: u64,
    reply_count: u64,
}

impl Emulator {
    #[must_use]
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            call_log: CallLog::default(),
            window: SlidingWindow::default(),
            tokens: IssuedTokens::default(),
            attempts: HashMap::new(),
            lookup_count: 0,
            reply_count: 0,
        }
    }

    /// Answers a `getbymobile` call whose headers arrived at `arrival`, by the rules of [`Script`].
    pub(crate) fn answer_lookup(&mut self, lookup: &LookupRequest, arrival: Instant) -> TimedReply {
        // The limit and the call log must use the same times; otherwise a test could count more
        // calls than the limit admitted.
        let at = self.call_log.clamp_to_last(arrival);
        let id = self.next_request_id();
        let index = self.lookup_count;
        self.lookup_count += 1;
        if self.script.revoke_tokens_after_calls.is_some_and(|calls| index >= calls) {
            self.script.revoke_tokens_after_calls = None;
            self.tokens.revoke();
        }
        let mut delay = self.script.delay(index);
        let scripted = self
            .scripted_by_index(lookup, index, id, &mut delay)
            .or_else(|| self.reject_invalid(lookup, at, id))
            .or_else(|| {
                let answer = self.script.answers_by_number.get_mut(&lookup.mobile)?.pop_front()?;
                reply_scripted(&answer, &lookup.mobile, id, &mut delay)
            });
        let (answered, reply) = scripted.unwrap_or_else(|| self.answer_by_entry(lookup, id));
        let last = self.call_log.calls().last();
        let call = Call {
            at,
            number: Arc::from(&*lookup.mobile),
            token: intern(last.map(|call| &call.token), &lookup.token),
            exclusive: lookup.exclusive,
            content_type: intern(last.map(|call| &call.content_type), &lookup.content_type),
            answered,
        };
        self.call_log.record(call);
        TimedReply { delay, reply }
    }

    /// Answers a call for a token that arrived at `at` ([tokens](crate::guide::api#tokens)).
    pub(crate) fn answer_token_call(
        &mut self,
        endpoint: TokenEndpoint,
        credentials: &Credentials,
        at: Instant,
    ) -> TimedReply {
        let id = self.next_request_id();
        let mut delay = Duration::ZERO;
        let exists = endpoint != TokenEndpoint::V1 || self.script.has_v1_token_endpoint;
        let (answered, reply) = if exists {
            let answer = self.script.token_answers.pop_front();
            answer
                .and_then(|answer| reply_scripted(&answer, "", id, &mut delay))
                .unwrap_or_else(|| self.issue_token(endpoint, credentials, at, id))
        } else {
            unknown_path_reply(id)
        };
        self.call_log.record_token_call(TokenCall { at, endpoint, answered });
        TimedReply { delay, reply }
    }

    /// Answers `getbymobile/`, since the API rejects a trailing slash
    /// ([request](crate::guide::api#request)). The call is not logged.
    pub(crate) fn answer_trailing_slash(&mut self) -> TimedReply {
        let reply = Reply::json(200, json::bare_code(22, "无效的方法", self.next_request_id()));
        TimedReply { delay: Duration::ZERO, reply }
    }

    /// Answers a call to an unknown path. The call is not logged.
    pub(crate) fn answer_unknown_path(&mut self) -> TimedReply {
        TimedReply { delay: Duration::ZERO, reply: unknown_path_reply(self.next_request_id()).1 }
    }

    fn next_request_id(&mut self) -> u64 {
        self.reply_count += 1;
        fastrand::Rng::with_seed(self.script.seed.rotate_left(32) ^ self.reply_count).u64(..)
    }

    fn scripted_by_index(
        &mut self,
        lookup: &LookupRequest,
        index: u64,
        id: u64,
        delay: &mut Duration,
    ) -> Option<LabeledReply> {
        if let Some(reply) = self
            .script
            .always
            .as_ref()
            .and_then(|always| reply_scripted(always, &lookup.mobile, id, delay))
        {
            return Some(reply);
        }
        reply_scripted(&self.script.answers_by_call.remove(&index)?, &lookup.mobile, id, delay)
    }

    fn reject_invalid(
        &mut self,
        lookup: &LookupRequest,
        at: Instant,
        id: u64,
    ) -> Option<LabeledReply> {
        let (code, msg) = if lookup.token.is_empty() {
            ("40000", "access_token is blank")
        } else if lookup.token != self.script.static_token
            && !self.tokens.is_valid(&lookup.token, at)
        {
            ("40014", "不合法的access_token")
        } else if self.script.limit.is_some_and(|limit| !self.window.admit(limit, at)) {
            ("90018", "您的应用调用该接口超过了每秒的QPS限制，请降低调用频率后重试")
        } else if lookup.mobile.is_empty() {
            ("40", "缺少参数: mobile")
        } else {
            return None;
        };
        Some((code.into(), Reply::json(200, json::wrapped_code(code, msg, id))))
    }

    fn answer_by_entry(&mut self, lookup: &LookupRequest, id: u64) -> LabeledReply {
        let mobile = &*lookup.mobile;
        let entry = DirectoryEntry::for_number(mobile);
        let busy_attempts = entry.busy_attempts().max(self.script.transient_attempts_for(mobile));
        // Most numbers are never busy; a run with millions of them must not fill this map.
        if busy_attempts > 0 {
            let attempts = self.attempts.entry(mobile.to_owned()).or_default();
            if *attempts < busy_attempts {
                *attempts += 1;
                return ("-1".into(), Reply::json(200, json::busy(id)));
            }
        }
        let exclusive = lookup.exclusive == Some(true);
        let answered = match entry.code(exclusive) {
            0 => Cow::Borrowed("0"),
            code => code.to_string().into(),
        };
        let body = json::body_for_entry(entry, mobile, self.script.id_form, exclusive, id);
        (answered, Reply::json(200, body))
    }

    fn issue_token(
        &mut self,
        endpoint: TokenEndpoint,
        credentials: &Credentials,
        at: Instant,
        id: u64,
    ) -> LabeledReply {
        let valid_key = credentials.key == self.script.app_key;
        let valid = valid_key && credentials.secret == self.script.app_secret;
        match endpoint {
            TokenEndpoint::V1 if !valid => {
                ("invalidClientIdOrSecret".into(), Reply::json(400, json::v1_token_rejected(id)))
            }
            TokenEndpoint::Legacy if !valid_key => {
                ("40096".into(), Reply::json(200, json::bare_code(40096, "不合法的appkey", id)))
            }
            TokenEndpoint::Legacy if !valid => (
                "40089".into(),
                Reply::json(200, json::bare_code(40089, "不合法的appkey或appsecret", id)),
            ),
            TokenEndpoint::V1 | TokenEndpoint::Legacy => {
                let lifetime = self.script.token_lifetime;
                // Rounded up, so that the lifetime of a valid token is never stated as 0 s.
                let seconds =
                    lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
                let token = self.tokens.issue(self.script.seed, lifetime, at);
                let body = match endpoint {
                    TokenEndpoint::V1 => json::v1_token(token, seconds, id),
                    TokenEndpoint::Legacy => json::legacy_token(token, seconds, id),
                };
                ("0".into(), Reply::json(200, body))
            }
        }
    }
}

/// The reply of a scripted answer; none for [`ScriptedAnswer::Pass`]. Adds the answer's own delay
/// to `delay`.
fn reply_scripted(
    answer: &ScriptedAnswer,
    mobile: &str,
    id: u64,
    delay: &mut Duration,
) -> Option<LabeledReply> {
    let page = |content_type, body| {
        Reply::Full(FullReply { status: 200, content_type, headers: Vec::new(), body })
    };
    Some(match answer {
        ScriptedAnswer::Json(body) => ("json".into(), Reply::json(200, body.clone())),
        ScriptedAnswer::Code { code, msg } => {
            (code.to_string().into(), Reply::json(200, json::bare_code(*code, msg, id)))
        }
        ScriptedAnswer::Wrapped { code, msg } => {
            (code.clone().into(), Reply::json(200, json::wrapped_code(code, msg, id)))
        }
        ScriptedAnswer::Http { status, headers, body } => {
            let (headers, body) = (headers.clone(), body.clone());
            let reply = FullReply {
                status: *status,
                content_type: "text/plain;charset=utf-8",
                headers,
                body,
            };
            (format!("http {status}").into(), Reply::Full(reply))
        }
        ScriptedAnswer::Html => {
            ("html".into(), page("text/html;charset=utf-8", json::ban_page(id)))
        }
        ScriptedAnswer::Punish => ("punish".into(), Reply::json(200, json::ban_json(id))),
        ScriptedAnswer::Drop => ("drop".into(), Reply::Drop),
        ScriptedAnswer::Half => {
            ("half".into(), Reply::Half(json::found_user(mobile, IdForm::Short, id)))
        }
        ScriptedAnswer::Hang(silence) => {
            *delay = delay.saturating_add(*silence);
            ("hang".into(), Reply::Drop)
        }
        ScriptedAnswer::Delayed(extra, answer) => {
            *delay = delay.saturating_add(*extra);
            return reply_scripted(answer, mobile, id, delay);
        }
        ScriptedAnswer::Pass => return None,
    })
}

fn unknown_path_reply(id: u64) -> LabeledReply {
    ("404".into(), Reply::json(404, json::bare_code(404, "请求的URI地址不存在", id)))
}

/// Shares the text of the last record if it is the same: a run sends the same token thousands of
/// times.
fn intern(last: Option<&Arc<str>>, text: &str) -> Arc<str> {
    last.filter(|last| ***last == *text).map_or_else(|| Arc::from(text), Arc::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup_of(mobile: &str, token: &str) -> LookupRequest {
        LookupRequest {
            token: token.to_owned(),
            mobile: mobile.to_owned(),
            exclusive: Some(true),
            content_type: String::new(),
        }
    }

    /// Looks up `mobile` with the static token at `at`; returns the label in the call log.
    fn ask(emulator: &mut Emulator, mobile: &str, at: Instant) -> String {
        let lookup = lookup_of(mobile, "sandbox-token");
        emulator.answer_lookup(&lookup, at);
        emulator.call_log.calls().last().unwrap().answered.to_string()
    }

    fn token_of(emulator: &mut Emulator, at: Instant) -> String {
        let credentials =
            Credentials { key: "sandbox-key".to_owned(), secret: "sandbox-secret".to_owned() };
        let Reply::Full(page) =
            emulator.answer_token_call(TokenEndpoint::V1, &credentials, at).reply
        else {
            panic!()
        };
        let value: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        value["accessToken"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_first_matching_rule_answers() {
        let now = Instant::now();
        let mut script = Script { limit: Some(2), ..Script::default() };
        script.push_answers(
            "13800138000",
            [ScriptedAnswer::code(60011), ScriptedAnswer::Pass, ScriptedAnswer::wrapped("isp.x")],
        );
        script.answers_by_call.insert(1, ScriptedAnswer::Drop);
        script.answers_by_call.insert(2, ScriptedAnswer::Pass);
        let mut emulator = Emulator::new(script);
        let second = Duration::from_secs(1);
        assert_eq!(ask(&mut emulator, "13800138000", now), "60011");
        assert_eq!(ask(&mut emulator, "13800138000", now), "drop");
        assert_eq!(ask(&mut emulator, "13800138000", now), "0");
        assert_eq!(ask(&mut emulator, "13800138000", now), "90018");
        assert_eq!(ask(&mut emulator, "13800138000", now + second), "isp.x");
        assert_eq!(ask(&mut emulator, "", now + second), "40");
        emulator.script.always = Some(ScriptedAnswer::Punish);
        assert_eq!(ask(&mut emulator, "13800138000", now + second), "punish");
        emulator.script.always = Some(ScriptedAnswer::Pass);
        assert_eq!(ask(&mut emulator, "13800138000", now + 2 * second), "0");
    }

    #[test]
    fn rejected_calls_use_up_no_attempts() {
        let now = Instant::now();
        let mut emulator = Emulator::new(Script { limit: Some(1), ..Script::default() });
        let answers: Vec<_> = [0, 1, 1000, 1001, 2000, 3000]
            .map(|millis| ask(&mut emulator, "13800138095", now + Duration::from_millis(millis)))
            .into();
        assert_eq!(answers, ["-1", "90018", "-1", "90018", "0", "0"]);
    }

    #[test]
    fn transient_numbers_recover() {
        let now = Instant::now();
        let script = Script {
            limit: None,
            transient_share: 1.0,
            transient_attempts: 3,
            ..Script::default()
        };
        let mut emulator = Emulator::new(script);
        for mobile in ["13800138000", "13800138095", "13800138090"] {
            let answers: Vec<_> = (0..5).map(|_| ask(&mut emulator, mobile, now)).collect();
            let code = DirectoryEntry::for_number(mobile).code(true).to_string();
            assert_eq!(answers, ["-1", "-1", "-1", &code, &code]);
        }
    }

    #[test]
    fn tokens_expire_and_are_revoked_once() {
        let now = Instant::now();
        let script = Script {
            revoke_tokens_after_calls: Some(2),
            token_lifetime: Duration::from_mins(1),
            ..Script::default()
        };
        let mut emulator = Emulator::new(script);
        let token = token_of(&mut emulator, now);
        let mut answer = |token: &str, seconds| {
            let lookup = lookup_of("13800138000", token);
            if token == "renew" {
                return token_of(&mut emulator, now + Duration::from_secs(seconds));
            }
            emulator.answer_lookup(&lookup, now + Duration::from_secs(seconds));
            emulator.call_log.calls().last().unwrap().answered.to_string()
        };
        assert_eq!([answer(&token, 0), answer(&token, 0)], ["0", "0"]);
        assert_eq!(answer(&token, 0), "40014");
        assert_eq!(answer("sandbox-token", 0), "0");
        assert_eq!(answer("", 0), "40000");
        let next = answer("renew", 0);
        assert_ne!(next, token);
        assert_eq!([answer(&next, 1), answer(&next, 59)], ["0", "0"]);
        assert_eq!(answer(&next, 60), "40014");
    }

    #[test]
    fn delays_add_up() {
        let second = Duration::from_secs(1);
        let mut emulator = Emulator::new(Script { latency: second..=second, ..Script::default() });
        emulator.script.push_answers(
            "13800138000",
            [
                ScriptedAnswer::Hang(second).delayed_by(2 * second),
                ScriptedAnswer::Pass.delayed_by(2 * second),
                ScriptedAnswer::Pass,
            ],
        );
        let expected: Vec<_> = [4, 3, 1].map(|seconds| seconds * second).into();
        let lookup = lookup_of("13800138000", "sandbox-token");
        let delays: Vec<_> =
            (0..3).map(|_| emulator.answer_lookup(&lookup, Instant::now()).delay).collect();
        assert_eq!(delays, expected);
        assert_eq!(emulator.call_log.count_answered("hang"), 1);
    }

    #[test]
    fn request_ids_repeat_by_seed() {
        let ids = |seed| {
            let mut emulator = Emulator::new(Script { seed, ..Script::default() });
            [emulator.next_request_id(), emulator.next_request_id()]
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_ne!(ids(1)[0], ids(1)[1]);
    }
}
