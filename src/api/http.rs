//! One HTTP request, one bounded reply.
//! Separate because it is the only file that knows reqwest: the choice of a client stays cheap to
//! change.

use std::io::Read;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{
    Certificate, Client, Method, NoProxy, Proxy, Response, StatusCode, Version, redirect, retry,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};
use tr::tr;
use url::Url;

use crate::api::error::{
    CallError, CallStage, Shortage, classify_error, proxy_auth_text, root_cause,
};
use crate::api::route::has_route;

/// A reply of the API has some hundred bytes.
const MAX_REPLY_BYTES: usize = 1 << 20;
/// The longest scheme, host and port that a message shows. No valid host name is longer
/// (RFC 1035, 2.3.4).
const MAX_ORIGIN_BYTES: usize = 280;
/// How much of an unknown content coding a message shows.
const MAX_CODING_CHARS: usize = 20;
/// A longer `Retry-After` is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// A connection that was idle for longer is not reused. Some hosts close one after a pause of one
/// second, and the call that finds out is lost. Above 2 calls per second a connection stays in use;
/// below, a new one per call is cheap.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// A timer that fires later than this shows that the process was suspended, or the machine asleep.
const STALL_THRESHOLD: Duration = Duration::from_millis(250);
/// How long to poll for a reply that arrived meanwhile.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT_VALUE: &str = concat!("dingmap/", env!("CARGO_PKG_VERSION"));

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// From the start of an attempt to the last byte of its reply.
    pub timeout: Duration,
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// As many as there are calls in flight: a new connection costs 7 times a reused one.
    pub max_idle_per_host: usize,
    pub route: ProxyRoute,
    /// Whether the host or the proxy is reached over TLS. If neither is, the system's certificates
    /// are not read.
    pub encrypted: bool,
    /// Trusted in addition to the system's.
    pub roots: Vec<TrustedRoot>,
}

/// How the host is reached.
#[derive(Clone, Debug)]
pub(crate) enum ProxyRoute {
    Direct,
    Proxy {
        /// May contain a password.
        url: SecretString,
        /// The hosts that are reached directly, in the syntax of `NO_PROXY`.
        no_proxy: String,
    },
}

/// A certificate of an authority that is trusted.
#[derive(Clone, Debug)]
pub(crate) struct TrustedRoot(Certificate);

impl TrustedRoot {
    /// Parses a PEM file, which may contain no certificate. The error is a text for people.
    pub(crate) fn from_pem_bundle(pem: &[u8]) -> Result<Vec<Self>, String> {
        let mut roots = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let der = der.ok().filter(is_certificate).ok_or_else(|| {
                tr!(
                    "certificate {number} in it is truncated, damaged or not a certificate; export \
                     it again as PEM (base64-encoded X.509)",
                    number = index + 1
                )
            })?;
            roots.push(Self(Certificate::from_der(&der).map_err(describe)?));
        }
        Ok(roots)
    }
}

/// reqwest accepts any bytes here, and rejects them only when a client is built.
fn is_certificate(der: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(der.clone()).is_ok()
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            max_idle_per_host: 16,
            route: ProxyRoute::Direct,
            encrypted: true,
            roots: Vec::new(),
        }
    }
}

/// An HTTP client. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    settings: Arc<HttpSettings>,
    pool: Arc<Mutex<Pool>>,
}

/// The connections in use.
#[derive(Clone, Debug)]
struct Pool {
    client: Client,
    /// How often the pool was replaced.
    generation: u64,
    /// Whether all calls share one connection, as with HTTP/2. Before the first reply: whether
    /// they may.
    multiplexed: bool,
}

/// A complete reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, at most a day.
    pub retry_after: Option<Duration>,
    /// Scheme, host and port of a redirect. Its path and query may repeat what was sent.
    pub redirects_to: Option<String>,
    /// The local address of the connection on which it came, if later calls may use that
    /// connection one after another. Over HTTP/2, a reply names its call.
    pub connection: Option<SocketAddr>,
    pub body: Bytes,
}

impl Reply {
    /// `url` is what was called; a redirect may be relative to it.
    fn from_parts(response: &Response, url: &Url, body: Bytes) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let location = headers.get(LOCATION).filter(|_| status.is_redirection());
        let location = location.and_then(|location| url.join(location.to_str().ok()?).ok());
        let origin = location.map(|location| location.origin().ascii_serialization());
        let redirects_to =
            origin.map(
                |origin| {
                    if origin.len() > MAX_ORIGIN_BYTES { tr!("another host") } else { origin }
                },
            );
        let retry_after = parse_retry_after(headers);
        let connection = kept_connection(response);
        Self { status: status.as_u16(), retry_after, redirects_to, connection, body }
    }
}

fn kept_connection(response: &Response) -> Option<SocketAddr> {
    let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    let is_closing = response.headers().get_all(CONNECTION).iter().any(closes);
    let is_kept = response.version() == Version::HTTP_11 && !is_closing;
    response.extensions().get::<HttpInfo>().filter(|_| is_kept).map(HttpInfo::local_addr)
}

impl HttpClient {
    /// Makes a client. It connects at the first call. The error is that of the TLS library, for
    /// instance that the system has no certificates.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, String> {
        // Fails only if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // HTTP/2 is negotiated on encrypted connections alone.
        let multiplexed = settings.encrypted;
        let pool = Pool { client: build_client(settings)?, generation: 0, multiplexed };
        Ok(Self { settings: Arc::new(settings.clone()), pool: Arc::new(Mutex::new(pool)) })
    }

    /// Posts a JSON body. An HTTP error status is a reply, not an error.
    pub(crate) async fn post(&self, url: &Url, json: String) -> Result<Reply, CallError> {
        self.send(Method::POST, url, Some(json)).await
    }

    /// Gets a URL. An HTTP error status is a reply, not an error.
    pub(crate) async fn get(&self, url: &Url) -> Result<Reply, CallError> {
        self.send(Method::GET, url, None).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        json: Option<String>,
    ) -> Result<Reply, CallError> {
        let Pool { client, generation, .. } = self.pool().clone();
        let mut request = client.request(method, url.clone());
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, APPLICATION_JSON).body(json);
        }
        let reply = pin!(async {
            let to_call_error = |error| self.to_call_error(url, error);
            let mut response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(self.confirm_shortage(url, to_call_error(error)).await),
            };
            self.pool().multiplexed = response.version() == Version::HTTP_2;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(to_call_error)? {
                if body.len() + chunk.len() > MAX_REPLY_BYTES {
                    return Err(CallError::ReplyTooLarge(MAX_REPLY_BYTES));
                }
                body.extend_from_slice(&chunk);
            }
            let body = decode_body(response.headers(), body.freeze())?;
            check_route(response.status(), url, &body)?;
            Ok(Reply::from_parts(&response, url, body))
        });
        self.within_deadline(reply).await.inspect_err(|error| {
            if matches!(error, CallError::TimedOut(_)) {
                self.replace_pool(generation);
            }
        })
    }

    async fn within_deadline(
        &self,
        mut call: Pin<&mut impl Future<Output = Result<Reply, CallError>>>,
    ) -> Result<Reply, CallError> {
        let deadline = Instant::now() + self.settings.timeout;
        let mut reply = timeout_at(deadline, call.as_mut()).await;
        if reply.is_err() && deadline.elapsed() > STALL_THRESHOLD {
            // The process was suspended: a reply that arrived meanwhile was not polled yet.
            reply = timeout(GRACE_PERIOD, call).await;
        }
        reply.unwrap_or_else(|_| Err(CallError::TimedOut(self.settings.timeout)))
    }

    /// A call that timed out drops its connection, unless other calls share it. Over HTTP/2 the
    /// shared connection may be dead, and every call on it would time out: later calls use a new
    /// one.
    fn replace_pool(&self, generation: u64) {
        let is_shared = {
            let pool = self.pool();
            pool.multiplexed && pool.generation == generation
        };
        if is_shared {
            self.reset_connections();
        }
    }

    /// Later calls use new connections.
    pub(crate) fn reset_connections(&self) {
        let mut pool = self.pool();
        // It could be built once; if that fails now, the old one stays in use.
        if let Ok(client) = build_client(&self.settings) {
            (pool.client, pool.generation) = (client, pool.generation + 1);
        }
    }

    fn to_call_error(&self, url: &Url, error: reqwest::Error) -> CallError {
        let proxied = match &self.settings.route {
            ProxyRoute::Direct => false,
            // With exceptions, the call may have gone to the host.
            ProxyRoute::Proxy { no_proxy, .. } => no_proxy.is_empty(),
        };
        let encrypted = url.scheme() == "https";
        let stage = CallStage { connecting: error.is_connect(), proxied, encrypted };
        classify_error(&error.without_url(), stage)
    }

    /// The library reports the error of one address. If this machine has a route to any address
    /// of the host, its lack is not why the call failed.
    async fn confirm_shortage(&self, url: &Url, error: CallError) -> CallError {
        let CallError::Machine(Shortage::Route, cause) = error else { return error };
        let proxy = match &self.settings.route {
            ProxyRoute::Direct => None,
            ProxyRoute::Proxy { url, .. } => Url::parse(url.expose_secret()).ok(),
        };
        if Box::pin(has_route(proxy.as_ref().unwrap_or(url))).await {
            return CallError::Unreachable(cause);
        }
        CallError::Machine(Shortage::Route, cause)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing panics while it is locked.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build_client(settings: &HttpSettings) -> Result<Client, String> {
    let builder = match &settings.route {
        ProxyRoute::Direct => Client::builder().no_proxy(),
        ProxyRoute::Proxy { url, no_proxy } => {
            let proxy = Proxy::all(url.expose_secret()).map_err(describe)?;
            Client::builder().proxy(proxy.no_proxy(NoProxy::from_string(no_proxy)))
        }
    };
    let roots = settings.roots.iter().map(|root| root.0.clone());
    let builder = if settings.encrypted {
        builder.tls_certs_merge(roots)
    } else {
        builder.tls_certs_only(roots)
    };
    builder
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.max_idle_per_host)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // A redirect would send the token to whatever host it names.
        .redirect(redirect::Policy::none())
        // A retry inside the client would bypass the rate limiter and the count of calls.
        .retry(retry::never())
        .user_agent(USER_AGENT_VALUE)
        .build()
        .map_err(describe)
}

/// Decodes the body of a reply that a server compressed although nothing asks for that.
fn decode_body(headers: &HeaderMap, body: Bytes) -> Result<Bytes, CallError> {
    let name = headers.get(CONTENT_ENCODING).map(|name| String::from_utf8_lossy(name.as_bytes()));
    let name = name.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    match &*name {
        "" | "identity" => return Ok(body),
        "gzip" | "x-gzip" => {}
        _ => return Err(CallError::Compressed(name.chars().take(MAX_CODING_CHARS).collect())),
    }
    let mut plain = Vec::new();
    let limit = MAX_REPLY_BYTES as u64 + 1;
    match MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut plain) {
        Ok(length) if length > MAX_REPLY_BYTES => Err(CallError::ReplyTooLarge(MAX_REPLY_BYTES)),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(CallError::Compressed(name)),
    }
}

/// Finds replies that say that the call went to a wrong port, or through a proxy without password.
fn check_route(status: StatusCode, url: &Url, body: &[u8]) -> Result<(), CallError> {
    // What nginx, Apache and Go answer to plain HTTP on a port for TLS.
    let is_plain_refused = || {
        let text = String::from_utf8_lossy(body);
        text.contains("plain HTTP request was sent to HTTPS port")
            || text.contains("speaking plain HTTP to an SSL-enabled server port")
            || text.contains("HTTP request to an HTTPS server")
    };
    let wants_tls =
        url.scheme() == "http" && status == StatusCode::BAD_REQUEST && is_plain_refused();
    if wants_tls {
        return Err(CallError::Misconfigured(tr!(
            "the server expects TLS at this port (HTTP 400); use https:// in --endpoint"
        )));
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(CallError::Misconfigured(proxy_auth_text("HTTP 407")));
    }
    Ok(())
}

fn describe(error: reqwest::Error) -> String {
    root_cause(&error.without_url())
}

/// Parses seconds (a fraction is allowed) or an HTTP date in any of its three forms (RFC 9110,
/// 5.6.7 and 10.2.3). Of a list of seconds the first one counts. A date counts from the `Date` of
/// the same reply, because the server's clock and ours may differ by hours.
fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(end) = httpdate::parse_http_date(text) {
        let sent_at = headers.get(DATE).and_then(|date| date.to_str().ok());
        let sent_at = sent_at.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
        let wait = end.duration_since(sent_at.unwrap_or_else(SystemTime::now)).unwrap_or_default();
        return Some(wait.min(MAX_RETRY_AFTER));
    }
    let seconds: f64 = text.split(',').next()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_parsed_in_every_form() {
        let wait = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            parse_retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(
            [wait("999999999"), wait("99999999999999999999999")],
            [Some(MAX_RETRY_AFTER); 2]
        );
        assert_eq!(wait("2, 3"), Some(Duration::from_secs(2)));
        for date in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Sunday, 22-Nov-65 20:28:22 GMT",
            "Sun Nov 22 20:28:24 2065",
        ] {
            assert_eq!(wait(date), Some(MAX_RETRY_AFTER), "{date}");
        }
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait("Wed, 21 Oct 2099 07:28:00 GMT").is_some());
        assert_eq!([wait("-1"), wait("soon"), wait("NaN"), wait("")], [None; 4]);
    }

    #[test]
    fn a_dated_retry_after_counts_from_the_date_of_its_reply() {
        let wait = |end: &str, date: &str| {
            let [end, date] = [end, date].map(|text| HeaderValue::from_str(text).unwrap());
            parse_retry_after(&HeaderMap::from_iter([(RETRY_AFTER, end), (DATE, date)]))
        };
        let (end, date) = ("Wed, 21 Oct 2099 07:28:07 GMT", "Wed, 21 Oct 2099 07:28:00 GMT");
        assert_eq!(wait(end, date), Some(Duration::from_secs(7)));
        assert_eq!(wait(date, end), Some(Duration::ZERO), "it has passed");
        assert_eq!(wait(end, "soon"), Some(MAX_RETRY_AFTER), "from the local clock");
        assert_eq!(wait("7", end), Some(Duration::from_secs(7)), "seconds need no date");
        let past = "Wed, 21 Oct 2015 07:28:07 GMT";
        assert_eq!(wait(past, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_gzip_body_is_decoded_and_another_coding_is_named() {
        use std::io::Write;
        let decode = |coding: &str, body: &[u8]| {
            let value = HeaderValue::from_str(coding).unwrap();
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, value)]);
            decode_body(&headers, Bytes::copy_from_slice(body))
        };
        let compress = |plain: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(plain).unwrap();
            gzip.finish().unwrap()
        };
        let packed = compress(b"{}");
        for coding in ["gzip", "GZIP", " x-gzip "] {
            assert_eq!(decode(coding, &packed), Ok(Bytes::from_static(b"{}")), "{coding}");
        }
        assert_eq!(decode("identity", b"{}"), Ok(Bytes::from_static(b"{}")));
        let named = |name: &str| Err(CallError::Compressed(name.to_owned()));
        assert_eq!(decode("br", b"{}"), named("br"));
        assert_eq!(decode("gzip", b"{}"), named("gzip"));
        assert_eq!(decode("gzip", &packed[..packed.len() - 9]), named("gzip"));
        let bomb = compress(&vec![b' '; MAX_REPLY_BYTES + 1]);
        assert_eq!(decode("gzip", &bomb), Err(CallError::ReplyTooLarge(MAX_REPLY_BYTES)));
    }

    #[test]
    fn a_wrong_port_and_a_proxy_without_password_are_recognized() {
        let check = |url: &str, status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            check_route(status, &url.parse().unwrap(), body.as_bytes())
        };
        let text = |error: Result<(), CallError>| error.unwrap_err().to_string();
        for page in [
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "Client sent an HTTP request to an HTTPS server.",
            "<p>You're speaking plain HTTP to an SSL-enabled server port.</p>",
        ] {
            assert!(text(check("http://h:443", 400, page)).contains("https://"));
            assert_eq!(check("https://h", 400, page), Ok(()));
            assert_eq!(check("http://h:443", 200, page), Ok(()));
        }
        assert!(text(check("http://h", 407, "")).contains("DINGMAP_PROXY"));
        assert_eq!(check("http://h", 403, ""), Ok(()));
    }

    #[tokio::test]
    async fn an_unreachable_host_is_reported_without_its_url() {
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        let url = "http://127.0.0.1:1/topapi?access_token=secret".parse().unwrap();
        let error = http.post(&url, "{}".to_owned()).await.unwrap_err();
        assert!(!error.has_reached_host());
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("refused") && !text.contains("secret") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}
