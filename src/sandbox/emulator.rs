//! The emulated platform behind the sandbox: carries out the script, call by call, and enters each in the ledger. It
//! knows no sockets and does not wait: it says what to reply, and after how long. Leaves that to `server`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sandbox::call_log::{Call, Ledger, TokenCall, TokenKind};
use crate::sandbox::directory::Rule;
use crate::sandbox::json::{self, Credentials, Lookup, Page, Reply};
use crate::sandbox::limits::{Tokens, Window};
use crate::sandbox::script::{Answer, Script};

/// A reply and when to send it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// How long to wait first.
    pub wait: Duration,
    /// What to send.
    pub reply: Reply,
}

/// What a call is told, with the name that the ledger has for it.
type Said = (Cow<'static, str>, Reply);

/// The state of one sandbox.
#[derive(Debug)]
pub(crate) struct Platform {
    /// What is still to go wrong; answers that were used are gone from it.
    pub script: Script,
    /// What was seen so far.
    pub ledger: Ledger,
    window: Window,
    tokens: Tokens,
    tries: HashMap<String, u32>,
    lookups: u64,
    replies: u64,
}

impl Platform {
    /// A platform that has seen nothing yet.
    #[must_use]
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            ledger: Ledger::default(),
            window: Window::default(),
            tokens: Tokens::default(),
            tries: HashMap::new(),
            lookups: 0,
            replies: 0,
        }
    }

    /// Answers a `getbymobile` call whose head had come in at `arrival`, in the order that [`Script`] documents.
    pub(crate) fn lookup(&mut self, lookup: &Lookup, arrival: Instant) -> Turn {
        // The limit and the ledger must go by the same moments, or a test could count more than the limit let through.
        let at = self.ledger.not_before_last(arrival);
        let id = self.next_id();
        let index = self.lookups;
        self.lookups += 1;
        if self.script.expire_tokens_after_calls.is_some_and(|calls| index >= calls) {
            self.script.expire_tokens_after_calls = None;
            self.tokens.revoke();
        }
        let mut wait = self.script.delay(index);
        let said = self
            .scripted_by_place(lookup, index, id, &mut wait)
            .or_else(|| self.refused(lookup, at, id))
            .or_else(|| {
                let turn = self.script.turns.get_mut(&lookup.mobile)?.pop_front()?;
                say(&turn, &lookup.mobile, id, &mut wait)
            });
        let (answered, reply) = said.unwrap_or_else(|| self.by_rule(lookup, id));
        let last = self.ledger.calls().last();
        let call = Call {
            at,
            number: Arc::from(&*lookup.mobile),
            token: shared(last.map(|call| &call.token), &lookup.token),
            exclusive: lookup.exclusive,
            content_type: shared(last.map(|call| &call.content_type), &lookup.content_type),
            answered,
        };
        self.ledger.record(call);
        Turn { wait, reply }
    }

    /// Answers a call for a token that came in at `at` (API.md 4).
    pub(crate) fn token(
        &mut self,
        kind: TokenKind,
        credentials: &Credentials,
        at: Instant,
    ) -> Turn {
        let id = self.next_id();
        let mut wait = Duration::ZERO;
        let (answered, reply) = if kind == TokenKind::Current && !self.script.current_token_call {
            no_such_path(id)
        } else {
            let turn = self.script.token_turns.pop_front();
            turn.and_then(|turn| say(&turn, "", id, &mut wait))
                .unwrap_or_else(|| self.handed_out(kind, credentials, at, id))
        };
        self.ledger.record_token_call(TokenCall { at, kind, answered });
        Turn { wait, reply }
    }

    /// Answers `getbymobile` with a slash behind it, which the API does not take (API.md 1). The ledger leaves it out.
    pub(crate) fn trailing_slash(&mut self) -> Turn {
        let reply = Reply::json(200, json::bare(22, "无效的方法", self.next_id()));
        Turn { wait: Duration::ZERO, reply }
    }

    /// Answers a call to a path that does not exist. The ledger leaves it out.
    pub(crate) fn unknown_path(&mut self) -> Turn {
        Turn { wait: Duration::ZERO, reply: no_such_path(self.next_id()).1 }
    }

    fn next_id(&mut self) -> u64 {
        self.replies += 1;
        fastrand::Rng::with_seed(self.script.seed.rotate_left(32) ^ self.replies).u64(..)
    }

    fn scripted_by_place(
        &mut self,
        lookup: &Lookup,
        index: u64,
        id: u64,
        wait: &mut Duration,
    ) -> Option<Said> {
        if let Some(said) =
            self.script.always.as_ref().and_then(|always| say(always, &lookup.mobile, id, wait))
        {
            return Some(said);
        }
        say(&self.script.calls.remove(&index)?, &lookup.mobile, id, wait)
    }

    fn refused(&mut self, lookup: &Lookup, at: Instant, id: u64) -> Option<Said> {
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
        Some((code.into(), Reply::json(200, json::wrapped(code, msg, id))))
    }

    fn by_rule(&mut self, lookup: &Lookup, id: u64) -> Said {
        let mobile = &*lookup.mobile;
        let rule = Rule::of(mobile);
        let busy_tries = rule.busy_tries().max(self.script.transient_tries_of(mobile));
        // Most numbers are never busy, and a run of millions of them must not fill this table.
        if busy_tries > 0 {
            let tries = self.tries.entry(mobile.to_owned()).or_default();
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
        (answered, Reply::json(200, json::of_rule(rule, mobile, exclusive, id)))
    }

    fn handed_out(
        &mut self,
        kind: TokenKind,
        credentials: &Credentials,
        at: Instant,
        id: u64,
    ) -> Said {
        let right_key = credentials.key == self.script.app_key;
        let right = right_key && credentials.secret == self.script.app_secret;
        match kind {
            TokenKind::Current if !right => (
                "invalidClientIdOrSecret".into(),
                Reply::json(400, json::current_token_refused(id)),
            ),
            TokenKind::Legacy if !right_key => {
                ("40096".into(), Reply::json(200, json::bare(40096, "不合法的appkey", id)))
            }
            TokenKind::Legacy if !right => (
                "40089".into(),
                Reply::json(200, json::bare(40089, "不合法的appkey或appsecret", id)),
            ),
            TokenKind::Current | TokenKind::Legacy => {
                let lifetime = self.script.token_lifetime;
                // Rounded up, so that no living token is said to live for 0 s.
                let seconds =
                    lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
                let token = self.tokens.hand_out(self.script.seed, lifetime, at);
                let body = match kind {
                    TokenKind::Current => json::current_token(token, seconds, id),
                    TokenKind::Legacy => json::legacy_token(token, seconds, id),
                };
                ("0".into(), Reply::json(200, body))
            }
        }
    }
}

/// What a scripted answer comes to, or nothing where it passes the call on; adds to `wait` what it asks for.
fn say(answer: &Answer, mobile: &str, id: u64, wait: &mut Duration) -> Option<Said> {
    let page = |content_type, body| {
        Reply::Page(Page { status: 200, content_type, headers: Vec::new(), body })
    };
    Some(match answer {
        Answer::Json(body) => ("json".into(), Reply::json(200, body.clone())),
        Answer::Code { code, msg } => {
            (code.to_string().into(), Reply::json(200, json::bare(*code, msg, id)))
        }
        Answer::Wrapped { code, msg } => {
            (code.clone().into(), Reply::json(200, json::wrapped(code, msg, id)))
        }
        Answer::Http { status, headers, body } => {
            let (headers, body) = (headers.clone(), body.clone());
            let reply =
                Page { status: *status, content_type: "text/plain;charset=utf-8", headers, body };
            (format!("http {status}").into(), Reply::Page(reply))
        }
        Answer::Html => ("html".into(), page("text/html;charset=utf-8", json::ban_page(id))),
        Answer::Punish => ("punish".into(), Reply::json(200, json::punish(id))),
        Answer::Drop => ("drop".into(), Reply::Drop),
        Answer::Half => ("half".into(), Reply::Half(json::found(mobile, id))),
        Answer::Hang(silence) => {
            *wait = wait.saturating_add(*silence);
            ("hang".into(), Reply::Drop)
        }
        Answer::Late(delay, answer) => {
            *wait = wait.saturating_add(*delay);
            return say(answer, mobile, id, wait);
        }
        Answer::Pass => return None,
    })
}

fn no_such_path(id: u64) -> Said {
    ("404".into(), Reply::json(404, json::bare(404, "请求的URI地址不存在", id)))
}

/// `text` as the last record has it where that is the same: a run sends the same token thousands of times.
fn shared(last: Option<&Arc<str>>, text: &str) -> Arc<str> {
    last.filter(|last| ***last == *text).map_or_else(|| Arc::from(text), Arc::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup_of(mobile: &str, token: &str) -> Lookup {
        Lookup {
            token: token.to_owned(),
            mobile: mobile.to_owned(),
            exclusive: Some(true),
            content_type: String::new(),
        }
    }

    /// The ledger's name for the answer to `mobile`, asked with the static token at `at`.
    fn ask(platform: &mut Platform, mobile: &str, at: Instant) -> String {
        let lookup = lookup_of(mobile, "sandbox-token");
        platform.lookup(&lookup, at);
        platform.ledger.calls().last().unwrap().answered.to_string()
    }

    fn token_of(platform: &mut Platform, at: Instant) -> String {
        let credentials =
            Credentials { key: "sandbox-key".to_owned(), secret: "sandbox-secret".to_owned() };
        let Reply::Page(page) = platform.token(TokenKind::Current, &credentials, at).reply else {
            panic!()
        };
        let value: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        value["accessToken"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_comes_first_answers() {
        let now = Instant::now();
        let mut script = Script { limit: Some(2), ..Script::default() };
        script.turn("13800138000", [Answer::code(60011), Answer::Pass, Answer::wrapped("isp.x")]);
        script.calls.insert(1, Answer::Drop);
        script.calls.insert(2, Answer::Pass);
        let mut platform = Platform::new(script);
        let second = Duration::from_secs(1);
        assert_eq!(ask(&mut platform, "13800138000", now), "60011");
        assert_eq!(ask(&mut platform, "13800138000", now), "drop");
        assert_eq!(ask(&mut platform, "13800138000", now), "0");
        assert_eq!(ask(&mut platform, "13800138000", now), "90018");
        assert_eq!(ask(&mut platform, "13800138000", now + second), "isp.x");
        assert_eq!(ask(&mut platform, "", now + second), "40");
        platform.script.always = Some(Answer::Punish);
        assert_eq!(ask(&mut platform, "13800138000", now + second), "punish");
        platform.script.always = Some(Answer::Pass);
        assert_eq!(ask(&mut platform, "13800138000", now + 2 * second), "0");
    }

    #[test]
    fn refused_calls_use_up_no_tries() {
        let now = Instant::now();
        let mut platform = Platform::new(Script { limit: Some(1), ..Script::default() });
        let answers: Vec<_> = [0, 1, 1000, 1001, 2000, 3000]
            .map(|millis| ask(&mut platform, "13800138095", now + Duration::from_millis(millis)))
            .into();
        assert_eq!(answers, ["-1", "90018", "-1", "90018", "0", "0"]);
    }

    #[test]
    fn transient_numbers_recover() {
        let now = Instant::now();
        let script =
            Script { limit: None, transient_share: 1.0, transient_tries: 3, ..Script::default() };
        let mut platform = Platform::new(script);
        for mobile in ["13800138000", "13800138095", "13800138090"] {
            let answers: Vec<_> = (0..5).map(|_| ask(&mut platform, mobile, now)).collect();
            let end = Rule::of(mobile).code(true).to_string();
            assert_eq!(answers, ["-1", "-1", "-1", &end, &end]);
        }
    }

    #[test]
    fn tokens_expire_and_are_revoked_once() {
        let now = Instant::now();
        let script = Script {
            expire_tokens_after_calls: Some(2),
            token_lifetime: Duration::from_mins(1),
            ..Script::default()
        };
        let mut platform = Platform::new(script);
        let token = token_of(&mut platform, now);
        let mut answer = |token: &str, seconds| {
            let lookup = lookup_of("13800138000", token);
            if token == "renew" {
                return token_of(&mut platform, now + Duration::from_secs(seconds));
            }
            platform.lookup(&lookup, now + Duration::from_secs(seconds));
            platform.ledger.calls().last().unwrap().answered.to_string()
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
    fn waits_add_up() {
        let second = Duration::from_secs(1);
        let mut platform = Platform::new(Script { latency: second..=second, ..Script::default() });
        platform.script.turn(
            "13800138000",
            [Answer::Hang(second).late(2 * second), Answer::Pass.late(2 * second), Answer::Pass],
        );
        let waits: Vec<_> = [4, 3, 1].map(|seconds| seconds * second).into();
        let lookup = lookup_of("13800138000", "sandbox-token");
        let turns: Vec<_> = (0..3).map(|_| platform.lookup(&lookup, Instant::now()).wait).collect();
        assert_eq!(turns, waits);
        assert_eq!(platform.ledger.answered("hang"), 1);
    }

    #[test]
    fn request_ids_repeat_by_seed() {
        let ids = |seed| {
            let mut platform = Platform::new(Script { seed, ..Script::default() });
            [platform.next_id(), platform.next_id()]
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_ne!(ids(1)[0], ids(1)[1]);
    }
}
