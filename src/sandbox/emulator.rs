//! Decides the reply to each call by the script, and its delay. It does no I/O and does not wait.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sandbox::call_log::{Call, CallLog, TokenCall, TokenEndpoint};
use crate::sandbox::directory::DirectoryEntry;
use crate::sandbox::json::{self, Credentials, FullReply, LookupRequest, Reply};
use crate::sandbox::limits::{IssuedTokens, SlidingWindow};
use crate::sandbox::script::{Script, ScriptedAnswer};

/// A reply and when to send it.
#[derive(Debug)]
pub(crate) struct TimedReply {
    /// How long to wait first.
    pub delay: Duration,
    /// What to send.
    pub reply: Reply,
}

/// What a call is told, with the name that the ledger has for it.
type LabeledReply = (Cow<'static, str>, Reply);

/// The state of one sandbox.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// What is still to go wrong; answers that were used are gone from it.
    pub script: Script,
    /// What was seen so far.
    pub call_log: CallLog,
    window: SlidingWindow,
    tokens: IssuedTokens,
    attempts: HashMap<String, u32>,
    lookup_count: u64,
    reply_count: u64,
}

impl Emulator {
    /// A platform that has seen nothing yet.
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

    /// Answers a `getbymobile` call whose head had come in at `arrival`, in the order that
    /// [`Script`] documents.
    pub(crate) fn answer_lookup(&mut self, lookup: &LookupRequest, arrival: Instant) -> TimedReply {
        // The limit and the ledger must go by the same moments, or a test could count more than the
        // limit let through.
        let at = self.call_log.clamp_to_last(arrival);
        let id = self.next_request_id();
        let index = self.lookup_count;
        self.lookup_count += 1;
        if self.script.revoke_tokens_after_calls.is_some_and(|calls| index >= calls) {
            self.script.revoke_tokens_after_calls = None;
            self.tokens.revoke();
        }
        let mut wait = self.script.delay(index);
        let said = self
            .scripted_by_index(lookup, index, id, &mut wait)
            .or_else(|| self.reject_invalid(lookup, at, id))
            .or_else(|| {
                let turn = self.script.answers_by_number.get_mut(&lookup.mobile)?.pop_front()?;
                reply_scripted(&turn, &lookup.mobile, id, &mut wait)
            });
        let (answered, reply) = said.unwrap_or_else(|| self.answer_by_entry(lookup, id));
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
        TimedReply { delay: wait, reply }
    }

    /// Answers a call for a token that came in at `at` ([tokens](crate::guide::api#tokens)).
    pub(crate) fn answer_token_call(
        &mut self,
        kind: TokenEndpoint,
        credentials: &Credentials,
        at: Instant,
    ) -> TimedReply {
        let id = self.next_request_id();
        let mut wait = Duration::ZERO;
        let (answered, reply) = if kind == TokenEndpoint::V1 && !self.script.has_v1_token_endpoint {
            unknown_path_reply(id)
        } else {
            let turn = self.script.token_answers.pop_front();
            turn.and_then(|turn| reply_scripted(&turn, "", id, &mut wait))
                .unwrap_or_else(|| self.issue_token(kind, credentials, at, id))
        };
        self.call_log.record_token_call(TokenCall { at, endpoint: kind, answered });
        TimedReply { delay: wait, reply }
    }

    /// Answers `getbymobile` with a slash behind it, which the API does not take
    /// ([request](crate::guide::api#request)). The ledger leaves it out.
    pub(crate) fn answer_trailing_slash(&mut self) -> TimedReply {
        let reply = Reply::json(200, json::bare_code(22, "无效的方法", self.next_request_id()));
        TimedReply { delay: Duration::ZERO, reply }
    }

    /// Answers a call to a path that does not exist. The ledger leaves it out.
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
        wait: &mut Duration,
    ) -> Option<LabeledReply> {
        if let Some(said) = self
            .script
            .always
            .as_ref()
            .and_then(|always| reply_scripted(always, &lookup.mobile, id, wait))
        {
            return Some(said);
        }
        reply_scripted(&self.script.answers_by_call.remove(&index)?, &lookup.mobile, id, wait)
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
        let rule = DirectoryEntry::for_number(mobile);
        let busy_tries = rule.busy_attempts().max(self.script.transient_attempts_for(mobile));
        // Most numbers are never busy, and a run of millions of them must not fill this table.
        if busy_tries > 0 {
            let tries = self.attempts.entry(mobile.to_owned()).or_default();
            if *tries < busy_tries {
                *tries += 1;
                return ("-1".into(), Reply::json(200, json::busy(id)));
            }
        }
        let exclusive = lookup.exclusive == Some(true);
        let answered = match rule.code(exclusive) {
            0 => Cow::Borrowed("0"),
            code => code.to_string().into(),
        };
        (answered, Reply::json(200, json::body_for_entry(rule, mobile, exclusive, id)))
    }

    fn issue_token(
        &mut self,
        kind: TokenEndpoint,
        credentials: &Credentials,
        at: Instant,
        id: u64,
    ) -> LabeledReply {
        let right_key = credentials.key == self.script.app_key;
        let right = right_key && credentials.secret == self.script.app_secret;
        match kind {
            TokenEndpoint::V1 if !right => {
                ("invalidClientIdOrSecret".into(), Reply::json(400, json::v1_token_rejected(id)))
            }
            TokenEndpoint::Legacy if !right_key => {
                ("40096".into(), Reply::json(200, json::bare_code(40096, "不合法的appkey", id)))
            }
            TokenEndpoint::Legacy if !right => (
                "40089".into(),
                Reply::json(200, json::bare_code(40089, "不合法的appkey或appsecret", id)),
            ),
            TokenEndpoint::V1 | TokenEndpoint::Legacy => {
                let lifetime = self.script.token_lifetime;
                // Rounded up, so that no living token is said to live for 0 s.
                let seconds =
                    lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
                let token = self.tokens.issue(self.script.seed, lifetime, at);
                let body = match kind {
                    TokenEndpoint::V1 => json::v1_token(token, seconds, id),
                    TokenEndpoint::Legacy => json::legacy_token(token, seconds, id),
                };
                ("0".into(), Reply::json(200, body))
            }
        }
    }
}

/// What a scripted answer comes to, or nothing where it passes the call on; adds to `wait` what it
/// asks for.
fn reply_scripted(
    answer: &ScriptedAnswer,
    mobile: &str,
    id: u64,
    wait: &mut Duration,
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
        ScriptedAnswer::Half => ("half".into(), Reply::Half(json::found_user(mobile, id))),
        ScriptedAnswer::Hang(silence) => {
            *wait = wait.saturating_add(*silence);
            ("hang".into(), Reply::Drop)
        }
        ScriptedAnswer::Delayed(delay, answer) => {
            *wait = wait.saturating_add(*delay);
            return reply_scripted(answer, mobile, id, wait);
        }
        ScriptedAnswer::Pass => return None,
    })
}

fn unknown_path_reply(id: u64) -> LabeledReply {
    ("404".into(), Reply::json(404, json::bare_code(404, "请求的URI地址不存在", id)))
}

/// `text` as the last record has it where that is the same: a run sends the same token thousands of
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

    /// The ledger's name for the answer to `mobile`, asked with the static token at `at`.
    fn ask(platform: &mut Emulator, mobile: &str, at: Instant) -> String {
        let lookup = lookup_of(mobile, "sandbox-token");
        platform.answer_lookup(&lookup, at);
        platform.call_log.calls().last().unwrap().answered.to_string()
    }

    fn token_of(platform: &mut Emulator, at: Instant) -> String {
        let credentials =
            Credentials { key: "sandbox-key".to_owned(), secret: "sandbox-secret".to_owned() };
        let Reply::Full(page) =
            platform.answer_token_call(TokenEndpoint::V1, &credentials, at).reply
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
        let mut platform = Emulator::new(script);
        let second = Duration::from_secs(1);
        assert_eq!(ask(&mut platform, "13800138000", now), "60011");
        assert_eq!(ask(&mut platform, "13800138000", now), "drop");
        assert_eq!(ask(&mut platform, "13800138000", now), "0");
        assert_eq!(ask(&mut platform, "13800138000", now), "90018");
        assert_eq!(ask(&mut platform, "13800138000", now + second), "isp.x");
        assert_eq!(ask(&mut platform, "", now + second), "40");
        platform.script.always = Some(ScriptedAnswer::Punish);
        assert_eq!(ask(&mut platform, "13800138000", now + second), "punish");
        platform.script.always = Some(ScriptedAnswer::Pass);
        assert_eq!(ask(&mut platform, "13800138000", now + 2 * second), "0");
    }

    #[test]
    fn refused_calls_use_up_no_tries() {
        let now = Instant::now();
        let mut platform = Emulator::new(Script { limit: Some(1), ..Script::default() });
        let answers: Vec<_> = [0, 1, 1000, 1001, 2000, 3000]
            .map(|millis| ask(&mut platform, "13800138095", now + Duration::from_millis(millis)))
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
        let mut platform = Emulator::new(script);
        for mobile in ["13800138000", "13800138095", "13800138090"] {
            let answers: Vec<_> = (0..5).map(|_| ask(&mut platform, mobile, now)).collect();
            let end = DirectoryEntry::for_number(mobile).code(true).to_string();
            assert_eq!(answers, ["-1", "-1", "-1", &end, &end]);
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
        let mut platform = Emulator::new(script);
        let token = token_of(&mut platform, now);
        let mut answer = |token: &str, seconds| {
            let lookup = lookup_of("13800138000", token);
            if token == "renew" {
                return token_of(&mut platform, now + Duration::from_secs(seconds));
            }
            platform.answer_lookup(&lookup, now + Duration::from_secs(seconds));
            platform.call_log.calls().last().unwrap().answered.to_string()
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
        let mut platform = Emulator::new(Script { latency: second..=second, ..Script::default() });
        platform.script.push_answers(
            "13800138000",
            [
                ScriptedAnswer::Hang(second).delayed_by(2 * second),
                ScriptedAnswer::Pass.delayed_by(2 * second),
                ScriptedAnswer::Pass,
            ],
        );
        let waits: Vec<_> = [4, 3, 1].map(|seconds| seconds * second).into();
        let lookup = lookup_of("13800138000", "sandbox-token");
        let turns: Vec<_> =
            (0..3).map(|_| platform.answer_lookup(&lookup, Instant::now()).delay).collect();
        assert_eq!(turns, waits);
        assert_eq!(platform.call_log.count_answered("hang"), 1);
    }

    #[test]
    fn request_ids_repeat_by_seed() {
        let ids = |seed| {
            let mut platform = Emulator::new(Script { seed, ..Script::default() });
            [platform.next_request_id(), platform.next_request_id()]
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_ne!(ids(1)[0], ids(1)[1]);
    }
}
