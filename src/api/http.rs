//! HTTP: one request, one bounded reply. The only file that knows reqwest, so that the choice of a client stays
//! cheap to change. Owns timeouts, the bound on a reply, whom to trust, and errors without their URL, in the words of
//! `fault`. Leaves what is sent to `token` and `client`, and the shortest way, without encryption and proxy, to `plain`.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::{Request, Uri};
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Certificate, Client, Method, NoProxy, Proxy, StatusCode, Version, redirect, retry};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};
use tr::tr;
use url::Url;

use crate::api::error::{CallError, classify_error, root_cause};
use crate::api::plain::{Bounds, Plain, Whole};

/// The largest reply that is read, in bytes. An answer of the API has some hundreds.
const MAX_REPLY_BYTES: usize = 1 << 20;
/// The longest scheme, host and port that are told, in bytes.
const MAX_ORIGIN_BYTES: usize = 280;
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// A connection that was idle for so long is not used again: few hosts close one sooner, but after a hold of a second some
/// have, and the call that finds out is lost. Above two calls a second one is kept all the time; below, a new one for
/// each call is no burden.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// A timer that is late by more than this was not served, as in a program that is stopped or a laptop that sleeps.
const STALL_THRESHOLD: Duration = Duration::from_millis(250);
/// For so long a reply is then looked for that may have come meanwhile.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

/// What a body is.
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
/// By what the program is known to a host.
const USER_AGENT_VALUE: &str = concat!("dingmap/", env!("CARGO_PKG_VERSION"));

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// From the start of an attempt to the last byte of its reply.
    pub timeout: Duration,
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// Idle connections to keep: as many as there are calls in flight, since a new one costs seven times a kept one.
    pub max_idle_per_host: usize,
    /// The way to the host.
    pub route: ProxyRoute,
    /// Whether anything on that way is encrypted. Where nothing is, the system's certificates are not read.
    pub encrypted: bool,
    /// Whom to trust beside those that the system does.
    pub roots: Vec<TrustedRoot>,
}

/// The way to a host.
#[derive(Clone, Debug)]
pub(crate) enum ProxyRoute {
    /// Straight.
    Direct,
    /// By a proxy.
    Proxy {
        /// Its URL, which may have a password.
        url: SecretString,
        /// The hosts to which calls go straight, as `NO_PROXY` lists them.
        no_proxy: String,
    },
}

/// Somebody whose certificates are trusted.
#[derive(Clone, Debug)]
pub(crate) struct TrustedRoot(Certificate);

impl TrustedRoot {
    /// Those in a PEM file, which may be none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_pem_bundle(pem: &[u8]) -> Result<Vec<Self>, String> {
        let mut roots = Vec::new();
        for (at, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let der = der.ok().filter(is_certificate).ok_or_else(|| {
                let which = at + 1;
                tr!(
                    "certificate {which} in it is cut off, damaged, or none at all; export it anew, as PEM (X.509 in base 64)",
                    which
                )
            })?;
            roots.push(Self(Certificate::from_der(&der).map_err(describe)?));
        }
        Ok(roots)
    }
}

/// Whether these bytes are a certificate. The HTTP library takes any, and refuses them only when a client is made.
fn is_certificate(der: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(der.clone()).is_ok()
}

impl Default for HttpSettings {
    /// The defaults of DESIGN 1.
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

/// A client of HTTP; clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    settings: Arc<HttpSettings>,
    pool: Arc<Mutex<Pool>>,
    /// The shortest way, where it can be gone.
    plain: Option<Arc<Plain>>,
}

/// The connections that are in use.
#[derive(Clone, Debug)]
struct Pool {
    client: Client,
    /// Which one of its [`Http`] it is.
    generation: u64,
    /// Whether all calls share one connection, as with HTTP/2; not known to be so until the first reply.
    multiplexed: bool,
}

/// A reply, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// Where a redirect leads, by scheme, host and port alone: the rest can carry what was sent.
    pub redirects_to: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Reads the head of a reply to a call of `url`.
    fn from_parts(status: StatusCode, headers: &HeaderMap, url: &Url, body: Bytes) -> Self {
        let location = headers.get(LOCATION).filter(|_| status.is_redirection());
        let location = location.and_then(|place| url.join(place.to_str().ok()?).ok());
        let leads_to = location.map(|place| place.origin().ascii_serialization());
        // A longer one is none that could be looked up (RFC 1035, 2.3.4).
        let leads_to = leads_to
            .map(|place| if place.len() > MAX_ORIGIN_BYTES { tr!("another host") } else { place });
        let retry_after = headers.get(RETRY_AFTER).and_then(parse_retry_after);
        Self { status: status.as_u16(), retry_after, redirects_to: leads_to, body }
    }
}

impl HttpClient {
    /// Makes a client. No connection is opened yet.
    ///
    /// # Errors
    /// What the TLS library says, for instance that a certificate is malformed, or that the system has none.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, String> {
        // Fails only when a provider was installed before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // HTTP/2 is agreed upon where a connection is encrypted, and nowhere else.
        let line = Pool {
            client: build_client(settings)?,
            generation: 0,
            multiplexed: settings.encrypted,
        };
        let bounds = Bounds {
            connect: settings.connect_timeout,
            most: settings.max_idle_per_host,
            idle: POOL_IDLE_TIMEOUT,
            reply: MAX_REPLY_BYTES,
        };
        let plain =
            matches!(settings.route, ProxyRoute::Direct).then(|| Arc::new(Plain::new(bounds)));
        Ok(Self { settings: Arc::new(settings.clone()), pool: Arc::new(Mutex::new(line)), plain })
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// [`Fault`] where no whole reply came in time. An HTTP error status is a reply.
    pub(crate) async fn post(&self, url: &Url, json: String) -> Result<Reply, CallError> {
        self.send(Method::POST, url, Some(json)).await
    }

    /// Gets a URL.
    ///
    /// # Errors
    /// As [`Http::post`].
    pub(crate) async fn get(&self, url: &Url) -> Result<Reply, CallError> {
        self.send(Method::GET, url, None).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        json: Option<String>,
    ) -> Result<Reply, CallError> {
        if let Some(plain) = self.plain.as_ref().filter(|_| url.scheme() == "http") {
            let request = plainly(method, url, json)?;
            let reply = pin!(async {
                let (head, body) = plain.call(request).await?;
                Ok(Reply::from_parts(head.status, &head.headers, url, body))
            });
            // Whatever is late takes its connection along, which it alone uses.
            return self.within_deadline(reply).await;
        }
        // Large, and not taken where calls are many.
        Box::pin(self.send_by_reqwest(method, url, json)).await
    }

    async fn send_by_reqwest(
        &self,
        method: Method,
        url: &Url,
        json: Option<String>,
    ) -> Result<Reply, CallError> {
        let Pool { client, generation: number, .. } = self.pool().clone();
        let mut request = client.request(method, url.clone());
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, APPLICATION_JSON).body(json);
        }
        let reply = pin!(async {
            let mut response = request.send().await.map_err(into_call_error)?;
            self.pool().multiplexed = response.version() == Version::HTTP_2;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(into_call_error)? {
                if body.len() + chunk.len() > MAX_REPLY_BYTES {
                    return Err(CallError::ReplyTooLarge(MAX_REPLY_BYTES));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Reply::from_parts(response.status(), response.headers(), url, body.freeze()))
        });
        self.within_deadline(reply).await.inspect_err(|fault| {
            if matches!(fault, CallError::TimedOut(_)) {
                self.replace_pool(number);
            }
        })
    }

    /// Waits for a reply as long as an attempt may take.
    async fn within_deadline(
        &self,
        mut whole: Pin<&mut impl Future<Output = Result<Reply, CallError>>>,
    ) -> Result<Reply, CallError> {
        let deadline = Instant::now() + self.settings.timeout;
        let mut reply = timeout_at(deadline, whole.as_mut()).await;
        if reply.is_err() && deadline.elapsed() > STALL_THRESHOLD {
            // Not the reply is late but this program: what came while it stood still has not been looked at yet.
            reply = timeout(GRACE_PERIOD, whole).await;
        }
        reply.unwrap_or_else(|_| Err(CallError::TimedOut(self.settings.timeout)))
    }

    /// A call that comes too late takes its connection along, save where others share it: if it is the connection that
    /// fell silent, every call on it would be lost. So later ones go by another.
    fn replace_pool(&self, number: u64) {
        let mut line = self.pool();
        if line.multiplexed && line.generation == number
            // It could be made once; should that fail now, the connection that there is has to do.
            && let Ok(client) = build_client(&self.settings)
        {
            (line.client, line.generation) = (client, number + 1);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing that holds it can panic.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with the headers that reqwest would send.
fn plainly(method: Method, url: &Url, json: Option<String>) -> Result<Whole, CallError> {
    let unusable = |error: &(dyn std::error::Error + 'static)| classify_error(error, true);
    let place = Uri::try_from(url.as_str()).map_err(|error| unusable(&error))?;
    let mut request = Request::builder()
        .method(method)
        .uri(place)
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
    if json.is_some() {
        request = request.header(CONTENT_TYPE, APPLICATION_JSON);
    }
    request
        .body(Full::from(json.unwrap_or_default()))
        .map(Box::new)
        .map_err(|error| unusable(&error))
}

fn build_client(settings: &HttpSettings) -> Result<Client, String> {
    let builder = match &settings.route {
        ProxyRoute::Direct => Client::builder().no_proxy(),
        ProxyRoute::Proxy { url, no_proxy: except } => {
            let proxy = Proxy::all(url.expose_secret()).map_err(describe)?;
            Client::builder().proxy(proxy.no_proxy(NoProxy::from_string(except)))
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
        // A redirect would carry the token to whatever host it names.
        .redirect(redirect::Policy::none())
        // A repeat of its own would go past the pace and past the count of calls.
        .retry(retry::never())
        .user_agent(USER_AGENT_VALUE)
        .build()
        .map_err(describe)
}

/// What an error was, without its URL.
fn into_call_error(error: reqwest::Error) -> CallError {
    let connecting = error.is_connect();
    classify_error(&error.without_url(), connecting)
}

fn describe(error: reqwest::Error) -> String {
    root_cause(&error.without_url())
}

/// Seconds (fractions are seen), or an HTTP date in any of its three forms (RFC 9110, 5.6.7 and 10.2.3). Of a list of
/// seconds the first counts.
fn parse_retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(moment) = httpdate::parse_http_date(text) {
        let wait = moment.duration_since(SystemTime::now()).unwrap_or_default();
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
        let wait = |text: &str| parse_retry_after(&HeaderValue::from_str(text).unwrap());
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

    #[tokio::test]
    async fn an_unreachable_host_is_reported_without_its_url() {
        let http = HttpClient::new(&HttpSettings::default()).unwrap();
        let url = "http://127.0.0.1:1/topapi?access_token=secret".parse().unwrap();
        let fault = http.post(&url, "{}".to_owned()).await.unwrap_err();
        assert!(!fault.has_reached_host());
        let text = format!("{fault} {fault:?}");
        assert!(
            text.contains("refused") && !text.contains("secret") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}
