//! Fetches access tokens ([tokens](crate::guide::api#tokens)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tr::tr;
use url::Url;

use crate::api::error::CallError;
use crate::api::http::{HttpClient, Reply};
use crate::domain::outcome::{Code, Status};
use crate::domain::redact::Redactor;
use crate::domain::reply::{self, DecodeError};
use crate::domain::verdict::{self, Pause, Remedy, Verdict};

/// The lifetime of a token whose reply states none ([tokens](crate::guide::api#tokens)).
const DEFAULT_LIFETIME: Duration = Duration::from_hours(2);
/// A longer stated lifetime is cut to this one, so that no clock overflows.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 30);
/// The shortest time between two renewals: token calls do not pass the rate limiter.
const MIN_RENEW_AFTER: Duration = Duration::from_secs(1);
/// How long before its expiry a token is renewed ([tokens](crate::guide::api#tokens)).
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_mins(10);

/// What the user authenticates with.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// A token that is renewed outside of dingmap.
    Token(SecretString),
    /// An app's key and secret.
    App {
        /// The key (also called client id); not a secret.
        key: String,
        /// The secret.
        secret: SecretString,
    },
}

/// A fetched token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token.
    pub token: SecretString,
    /// The time after which it should be renewed; none for a token that cannot be renewed.
    pub renew_after: Option<Duration>,
}

/// Why a token call returned no token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The key or the secret is wrong, or the app is not allowed to get a token.
    #[error("{message} ({code})")]
    Refused {
        /// The API's code, a number or a word.
        code: String,
        message: String,
    },
    /// Too many token calls.
    #[error("{}", tr!("the token call was rate limited"))]
    Throttled(Pause),
    /// This machine could not open a connection, so nothing was sent.
    #[error("{0}")]
    Machine(String),
    /// Something else than the API answers: a login page, a redirect, another protocol.
    #[error("{0}")]
    Misconfigured(String),
    /// The host's certificate is not trusted: the TLS handshake failed, and no secret was sent.
    #[error("{0}")]
    Untrusted(String),
    /// The host has no such endpoint; the other one may work.
    #[error("{0}")]
    UnknownEndpoint(String),
    /// May succeed when retried.
    #[error("{reason}")]
    Transient {
        /// What happened, without a URL.
        reason: String,
        /// Whether the host answered.
        answered: bool,
    },
}

/// The two calls for a token ([tokens](crate::guide::api#tokens)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEndpoint {
    /// `POST /v1.0/oauth2/accessToken`.
    V1,
    /// `GET /gettoken`, for hosts without the V1 endpoint, such as old gateways. The URL contains
    /// the secret.
    Legacy,
}

/// Fetches tokens for one app.
#[derive(Debug)]
pub(crate) struct TokenClient {
    http: HttpClient,
    v1_url: Url,
    legacy_url: Url,
    credentials: Credentials,
    call_count: AtomicU64,
    redactor: Redactor,
}

impl TokenClient {
    /// `endpoint` is that of the directory calls. The host of the V1 token call is derived from it:
    /// `api.` and the same top-level domain for DingTalk's own hosts, the same origin for any other
    /// ([tokens](crate::guide::api#tokens)).
    #[must_use]
    pub(crate) fn new(http: HttpClient, endpoint: &Url, credentials: Credentials) -> Self {
        let mut v1_url = endpoint.clone();
        let host = endpoint.host_str().and_then(|host| host.strip_prefix("oapi.dingtalk."));
        if let Some(domain) = host {
            // Cannot fail: the new host is as well-formed as the old one.
            let _ = v1_url.set_host(Some(&format!("api.dingtalk.{domain}")));
        }
        let mut legacy_url = endpoint.clone();
        v1_url.set_path(&format!(
            "{}/v1.0/oauth2/accessToken",
            endpoint.path().trim_end_matches('/')
        ));
        legacy_url.set_path(&format!("{}/gettoken", endpoint.path().trim_end_matches('/')));
        let redactor = Redactor::default();
        match &credentials {
            Credentials::Token(secret) | Credentials::App { secret, .. } => redactor.add(secret),
        }
        Self { http, v1_url, legacy_url, credentials, call_count: AtomicU64::new(0), redactor }
    }

    /// Redacts every secret of this run. Replies can quote what was sent, and texts reach files and
    /// terminals. A replaced token can still be valid, so it stays redacted until the run ends.
    #[must_use]
    pub(crate) fn redact(&self, text: String) -> String {
        self.redactor.redact(text)
    }

    /// Redacts a token that was not fetched here.
    pub(crate) fn remember(&self, access: &AccessToken) {
        self.redactor.add(&access.token);
    }

    /// Whether a rejected token can be replaced.
    #[must_use]
    pub(crate) fn can_renew(&self) -> bool {
        matches!(self.credentials, Credentials::App { .. })
    }

    /// The number of token calls, of both endpoints.
    #[must_use]
    pub(crate) fn call_count(&self) -> u64 {
        self.call_count.load(Ordering::Relaxed)
    }

    /// Makes one call for a token. [`Credentials::Token`] needs no call.
    ///
    /// The text of an error contains no secret and no URL.
    pub(crate) async fn fetch(&self, endpoint: TokenEndpoint) -> Result<AccessToken, TokenError> {
        let (key, secret) = match &self.credentials {
            Credentials::Token(token) => {
                return Ok(AccessToken { token: token.clone(), renew_after: None });
            }
            Credentials::App { key, secret } => (key, secret),
        };
        self.call_count.fetch_add(1, Ordering::Relaxed);
        let (url, reply) = match endpoint {
            TokenEndpoint::V1 => {
                let body = json!({"appKey": key, "appSecret": secret.expose_secret()});
                (&self.v1_url, self.http.post(&self.v1_url, body.to_string()).await)
            }
            TokenEndpoint::Legacy => {
                // The call takes the secret in the query, so this URL is dropped after the call.
                let mut url_with_secret = self.legacy_url.clone();
                url_with_secret
                    .query_pairs_mut()
                    .append_pair("appkey", key)
                    .append_pair("appsecret", secret.expose_secret());
                (&self.legacy_url, self.http.get(&url_with_secret).await)
            }
        };
        let error = match reply {
            Ok(reply) => {
                return parse_reply(&reply, |text| self.redact(text))
                    .inspect(|access| self.redactor.add(&access.token));
            }
            Err(error) => error,
        };
        let answered = error.has_reached_host();
        // Messages name the host of the lookups. Name the token host where it is another one.
        let describe = |cause: String| match url
            .host_str()
            .filter(|host| Some(*host) != self.legacy_url.host_str())
        {
            Some(host) => self.redact(tr!("{host}: {cause}", host, cause)),
            None => self.redact(cause),
        };
        Err(match error {
            CallError::Untrusted(cause) => TokenError::Untrusted(describe(cause)),
            CallError::NotHttp(cause) | CallError::Misconfigured(cause) => {
                TokenError::Misconfigured(describe(cause))
            }
            error @ CallError::Machine(..) => TokenError::Machine(describe(error.to_string())),
            error => TokenError::Transient { reason: describe(error.to_string()), answered },
        })
    }
}

/// The body of either reply. Their fields have different names, so one struct can decode both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenResponse {
    access_token: Option<SecretString>,
    expire_in: Option<Value>,
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "access_token")]
    legacy_token: Option<SecretString>,
    #[serde(rename = "expires_in")]
    legacy_lifetime: Option<Value>,
}

fn parse_reply(
    reply: &Reply,
    redact: impl Fn(String) -> String,
) -> Result<AccessToken, TokenError> {
    let decoded = reply::decode(&reply.body, &redact);
    if matches!(decoded, Err(DecodeError::Banned)) {
        // The ban is on the IP address and applies to all calls (guide: api, Limits).
        return Err(TokenError::Throttled(verdict::ip_ban_pause()));
    }
    if let Some(Verdict::Throttled(pause)) = verdict::by_status(reply.status, reply.retry_after) {
        return Err(TokenError::Throttled(pause));
    }
    let is_page = matches!(decoded, Err(DecodeError::HtmlPage));
    if let Some(text) = describe_login_page(reply, is_page) {
        return Err(TokenError::Misconfigured(text));
    }
    let unexpected = || {
        let reason =
            tr!("the token call returned HTTP {status} and no token", status = reply.status);
        match reply.status {
            300..=399 | 408 | 500..=599 => TokenError::Transient { reason, answered: true },
            _ => TokenError::UnknownEndpoint(reason),
        }
    };
    let body: TokenResponse = serde_json::from_slice(&reply.body).map_err(|_| unexpected())?;
    if let Some(token) =
        body.access_token.or(body.legacy_token).filter(|token| !token.expose_secret().is_empty())
    {
        let lifetime = body.expire_in.or(body.legacy_lifetime).map(|seconds| seconds.to_string());
        let lifetime =
            lifetime.and_then(|seconds| seconds.trim_matches('"').parse().ok()).unwrap_or_default();
        return Ok(AccessToken { token, renew_after: Some(renew_after(lifetime)) });
    }
    // The V1 call reports an error as a word and an HTTP status, the legacy call as a code like
    // that of lookups. A gateway without the V1 call answers with 404 or a similar status; the
    // legacy call may work there.
    let (code, message) = match (body.code, decoded) {
        (Some(word), _) if matches!(reply.status, 400 | 401 | 403) => {
            (Code::from_text(&redact(word)), redact(body.message.unwrap_or_default()))
        }
        (_, Ok(decoded)) => (decoded.code, decoded.message),
        _ => return Err(unexpected()),
    };
    Err(match verdict::by_code(&code, &message) {
        Verdict::Throttled(pause) => TokenError::Throttled(pause),
        Verdict::Answer(Status::Found) => unexpected(),
        Verdict::Fatal(Remedy::Endpoint) => {
            TokenError::UnknownEndpoint(format!("{message} ({code})"))
        }
        Verdict::Transient => {
            TokenError::Transient { reason: format!("{message} ({code})"), answered: true }
        }
        _ => TokenError::Refused { code: code.to_string(), message },
    })
}

/// What came in place of the API's reply: a redirect, or a web page whose status is neither that of
/// a host without the endpoint nor of an outage (511 is that of a login page, RFC 6585).
fn describe_login_page(reply: &Reply, is_page: bool) -> Option<String> {
    let status = reply.status;
    let advice =
        tr!("a login page of the network or a proxy answers in place of DingTalk; log in with a \
         browser on this machine, or correct --endpoint and --proxy");
    match (status, &reply.redirects_to) {
        (300..=399, Some(target)) => Some(tr!(
            "the token call was redirected to {target} (HTTP {status}): {advice}",
            target,
            status,
            advice
        )),
        (404 | 405 | 408 | 410 | 429 | 500..=510 | 512..=599, _) => None,
        _ if is_page => Some(tr!(
            "a web page came instead of a token (HTTP {status}): {advice}",
            status,
            advice
        )),
        _ => None,
    }
}

/// The lifetime minus 10 minutes, or half of a lifetime under 20 minutes. A missing or invalid
/// lifetime counts as [`DEFAULT_LIFETIME`].
fn renew_after(seconds: f64) -> Duration {
    let lifetime = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|stated| !stated.is_zero())
        .map_or(DEFAULT_LIFETIME, |stated| stated.min(MAX_LIFETIME));
    lifetime
        .saturating_sub(RENEW_BEFORE_EXPIRY)
        .max(lifetime.min(RENEW_BEFORE_EXPIRY * 2) / 2)
        .max(MIN_RENEW_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<AccessToken, TokenError> {
        parse_reply(
            &Reply {
                status,
                retry_after: None,
                redirects_to: None,
                connection: None,
                body: body.into(),
            },
            |text| text.replace("the secret", "***"),
        )
    }

    #[test]
    fn both_token_endpoints_return_a_token() {
        for body in [
            r#"{"accessToken":"t","expireIn":7200}"#,
            r#"{"errcode":0,"errmsg":"ok","access_token":"t","expires_in":7200}"#,
            r#"{"accessToken":"t"}"#,
            r#"{"accessToken":"t","expireIn":0}"#,
            r#"{"accessToken":"t","expireIn":"7200"}"#,
            r#"{"accessToken":"t","expireIn":"soon"}"#,
            r#"{"accessToken":"t","expireIn":null}"#,
            r#"{"accessToken":"t","expireIn":-5}"#,
            r#"{"accessToken":"t","expireIn":"1e400"}"#,
        ] {
            let access = answer(200, body).unwrap();
            assert_eq!(access.token.expose_secret(), "t", "{body}");
            assert_eq!(access.renew_after, Some(Duration::from_mins(110)), "{body}");
        }
        assert_eq!(
            [renew_after(60.0), renew_after(1e-9)],
            [Duration::from_secs(30), MIN_RENEW_AFTER]
        );
        assert_eq!(
            renew_after(1e18),
            Duration::from_hours(24 * 30).saturating_sub(RENEW_BEFORE_EXPIRY)
        );
        assert_eq!(renew_after(f64::MAX), Duration::from_mins(110));
    }

    #[test]
    fn refused_credentials_are_fatal_and_outages_are_transient() {
        let quoted =
            answer(400, r#"{"code":"invalidClientIdOrSecret","message":"the secret is wrong"}"#)
                .unwrap_err();
        assert_eq!(quoted.to_string(), "*** is wrong (invalidClientIdOrSecret)");
        let refused =
            answer(400, r#"{"code":"invalidClientIdOrSecret","message":"no"}"#).unwrap_err();
        assert_eq!(refused.to_string(), "no (invalidClientIdOrSecret)");
        for body in [r#"{"errcode":40096,"errmsg":"no"}"#, r#"{"errcode":"40089","errmsg":"no"}"#] {
            assert!(matches!(answer(200, body), Err(TokenError::Refused { .. })), "{body}");
        }
        for (status, body) in
            [(404, "{}"), (200, ""), (404, r#"{"code":"NotFound","message":"x"}"#), (405, "<html>")]
        {
            assert!(
                matches!(answer(status, body), Err(TokenError::UnknownEndpoint(_))),
                "{status} {body}"
            );
        }
        for (status, body) in [(502, "<html>"), (302, ""), (200, r#"{"errcode":-1,"errmsg":"x"}"#)]
        {
            let transient =
                matches!(answer(status, body), Err(TokenError::Transient { answered: true, .. }));
            assert!(transient, "{status} {body}");
        }
        assert!(matches!(answer(429, ""), Err(TokenError::Throttled(_))));
        assert!(matches!(
            answer(200, r#"{"errcode":90018,"errmsg":""}"#),
            Err(TokenError::Throttled(_))
        ));
        let limited = r#"{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","message":"x"}"#;
        assert!(
            matches!(answer(403, limited), Err(TokenError::Throttled(_))),
            "this 403 is a throttle, not a refusal"
        );
        for (status, ban) in
            [(200, r#"{"status":1111,"punish":"deny"}"#), (403, "<html>x5sec</html>")]
        {
            let banned = answer(status, ban).unwrap_err();
            assert!(
                matches!(
                    banned,
                    TokenError::Throttled(Pause { cause: verdict::Limit::Address, .. })
                ),
                "{ban}"
            );
        }
    }

    #[test]
    fn a_login_page_in_place_of_a_token_is_recognized() {
        for status in [200, 401, 403, 511] {
            let page = answer(status, "<!DOCTYPE html><title>Log in</title>").unwrap_err();
            let TokenError::Misconfigured(text) = page else { panic!("{status}: {page}") };
            assert!(text.starts_with("a web page came instead of a token"), "{text}");
        }
        let redirects_to = Some("https://login.example".to_owned());
        let (retry_after, connection) = (None, None);
        let reply = Reply { status: 302, retry_after, redirects_to, connection, body: "".into() };
        let TokenError::Misconfigured(text) = parse_reply(&reply, |text| text).unwrap_err() else {
            panic!()
        };
        assert!(text.contains("redirected to https://login.example (HTTP 302): a login"), "{text}");
    }

    #[test]
    fn the_token_host_follows_the_endpoint() {
        let hosts = |endpoint: &str| {
            let http = HttpClient::new(&crate::api::http::HttpSettings::default()).unwrap();
            let token = Credentials::Token("t".into());
            let client = TokenClient::new(http, &endpoint.parse().unwrap(), token);
            (client.v1_url.to_string(), client.legacy_url.to_string())
        };
        let pair = |v1: &str, legacy: &str| (v1.to_owned(), legacy.to_owned());
        assert_eq!(
            hosts("https://oapi.dingtalk.io"),
            pair(
                "https://api.dingtalk.io/v1.0/oauth2/accessToken",
                "https://oapi.dingtalk.io/gettoken"
            )
        );
        assert_eq!(
            hosts("https://oapi.dingtalk.com/"),
            pair(
                "https://api.dingtalk.com/v1.0/oauth2/accessToken",
                "https://oapi.dingtalk.com/gettoken"
            )
        );
        assert_eq!(
            hosts("http://127.0.0.1:8080"),
            pair("http://127.0.0.1:8080/v1.0/oauth2/accessToken", "http://127.0.0.1:8080/gettoken")
        );
    }
}
