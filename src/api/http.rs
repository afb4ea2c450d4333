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

use crate::api::error::{Fault, cause, fault};
use crate::api::plain::{Bounds, Plain, Whole};

/// The largest reply that is read, in bytes. An answer of the API has some hundreds.
const LARGEST_REPLY: usize = 1 << 20;
/// The longest scheme, host and port that are told, in bytes.
const LONGEST_PLACE: usize = 280;
/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// A connection that was idle for so long is not used again: few hosts close one sooner, but after a hold of a second some
/// have, and the call that finds out is lost. Above two calls a second one is kept all the time; below, a new one for
/// each call is no burden.
const LONGEST_IDLE: Duration = Duration::from_millis(500);

/// A timer that is late by more than this was not served, as in a program that is stopped or a laptop that sleeps.
const STALL: Duration = Duration::from_millis(250);
/// For so long a reply is then looked for that may have come meanwhile.
const GRACE: Duration = Duration::from_secs(1);

/// What a body is.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// By what the program is known to a host.
const PROGRAM: &str = concat!("dingmap/", env!("CARGO_PKG_VERSION"));

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// From the start of an attempt to the last byte of its reply.
    pub timeout: Duration,
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// Idle connections to keep: as many as there are calls in flight, since a new one costs seven times a kept one.
    pub idle: usize,
    /// The way to the host.
    pub route: Route,
    /// Whether anything on that way is encrypted. Where nothing is, the system's certificates are not read.
    pub encrypted: bool,
    /// Whom to trust beside those that the system does.
    pub roots: Vec<Root>,
}

/// The way to a host.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// Straight.
    Direct,
    /// By a proxy.
    Proxy {
        /// Its URL, which may have a password.
        url: SecretString,
        /// The hosts to which calls go straight, as `NO_PROXY` lists them.
        except: String,
    },
}

/// Somebody whose certificates are trusted.
#[derive(Clone, Debug)]
pub(crate) struct Root(Certificate);

impl Root {
    /// Those in a PEM file, which may be none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(pem: &[u8]) -> Result<Vec<Self>, String> {
        let mut roots = Vec::new();
        for (at, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let der = der.ok().filter(is_certificate).ok_or_else(|| {
                let which = at + 1;
                tr!(
                    "certificate {which} in it is cut off, damaged, or none at all; export it anew, as PEM (X.509 in base 64)",
                    which
                )
            })?;
            roots.push(Self(Certificate::from_der(&der).map_err(told)?));
        }
        Ok(roots)
    }
}

/// Whether these bytes are a certificate. The HTTP library takes any, and refuses them only when a client is made.
fn is_certificate(der: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(der.clone()).is_ok()
}

impl Default for Settings {
    /// The defaults of DESIGN 1.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            idle: 16,
            route: Route::Direct,
            encrypted: true,
            roots: Vec::new(),
        }
    }
}

/// A client of HTTP; clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    settings: Arc<Settings>,
    line: Arc<Mutex<Line>>,
    /// The shortest way, where it can be gone.
    plain: Option<Arc<Plain>>,
}

/// The connections that are in use.
#[derive(Clone, Debug)]
struct Line {
    client: Client,
    /// Which one of its [`Http`] it is.
    number: u64,
    /// Whether all calls share one connection, as with HTTP/2; not known to be so until the first reply.
    shared: bool,
}

/// A reply, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// Where a redirect leads, by scheme, host and port alone: the rest can carry what was sent.
    pub leads_to: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Reads the head of a reply to a call of `url`.
    fn of(status: StatusCode, headers: &HeaderMap, url: &Url, body: Bytes) -> Self {
        let location = headers.get(LOCATION).filter(|_| status.is_redirection());
        let location = location.and_then(|place| url.join(place.to_str().ok()?).ok());
        let leads_to = location.map(|place| place.origin().ascii_serialization());
        // A longer one is none that could be looked up (RFC 1035, 2.3.4).
        let leads_to = leads_to
            .map(|place| if place.len() > LONGEST_PLACE { tr!("another host") } else { place });
        let retry_after = headers.get(RETRY_AFTER).and_then(retry_after);
        Self { status: status.as_u16(), retry_after, leads_to, body }
    }
}

impl Http {
    /// Makes a client. No connection is opened yet.
    ///
    /// # Errors
    /// What the TLS library says, for instance that a certificate is malformed, or that the system has none.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        // Fails only when a provider was installed before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // HTTP/2 is agreed upon where a connection is encrypted, and nowhere else.
        let line = Line { client: client(settings)?, number: 0, shared: settings.encrypted };
        let bounds = Bounds {
            connect: settings.connect_timeout,
            most: settings.idle,
            idle: LONGEST_IDLE,
            reply: LARGEST_REPLY,
        };
        let plain = matches!(settings.route, Route::Direct).then(|| Arc::new(Plain::new(bounds)));
        Ok(Self { settings: Arc::new(settings.clone()), line: Arc::new(Mutex::new(line)), plain })
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// [`Fault`] where no whole reply came in time. An HTTP error status is a reply.
    pub(crate) async fn post(&self, url: &Url, json: String) -> Result<Reply, Fault> {
        self.send(Method::POST, url, Some(json)).await
    }

    /// Gets a URL.
    ///
    /// # Errors
    /// As [`Http::post`].
    pub(crate) async fn get(&self, url: &Url) -> Result<Reply, Fault> {
        self.send(Method::GET, url, None).await
    }

    async fn send(&self, method: Method, url: &Url, json: Option<String>) -> Result<Reply, Fault> {
        if let Some(plain) = self.plain.as_ref().filter(|_| url.scheme() == "http") {
            let request = plainly(method, url, json)?;
            let reply = pin!(async {
                let (head, body) = plain.call(request).await?;
                Ok(Reply::of(head.status, &head.headers, url, body))
            });
            // Whatever is late takes its connection along, which it alone uses.
            return self.in_time(reply).await;
        }
        // Large, and not taken where calls are many.
        Box::pin(self.send_by_reqwest(method, url, json)).await
    }

    async fn send_by_reqwest(
        &self,
        method: Method,
        url: &Url,
        json: Option<String>,
    ) -> Result<Reply, Fault> {
        let Line { client, number, .. } = self.line().clone();
        let mut request = client.request(method, url.clone());
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, JSON).body(json);
        }
        let reply = pin!(async {
            let mut response = request.send().await.map_err(failed)?;
            self.line().shared = response.version() == Version::HTTP_2;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                if body.len() + chunk.len() > LARGEST_REPLY {
                    return Err(Fault::TooLong(LARGEST_REPLY));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Reply::of(response.status(), response.headers(), url, body.freeze()))
        });
        self.in_time(reply).await.inspect_err(|fault| {
            if matches!(fault, Fault::Late(_)) {
                self.give_up(number);
            }
        })
    }

    /// Waits for a reply as long as an attempt may take.
    async fn in_time(
        &self,
        mut whole: Pin<&mut impl Future<Output = Result<Reply, Fault>>>,
    ) -> Result<Reply, Fault> {
        let deadline = Instant::now() + self.settings.timeout;
        let mut reply = timeout_at(deadline, whole.as_mut()).await;
        if reply.is_err() && deadline.elapsed() > STALL {
            // Not the reply is late but this program: what came while it stood still has not been looked at yet.
            reply = timeout(GRACE, whole).await;
        }
        reply.unwrap_or_else(|_| Err(Fault::Late(self.settings.timeout)))
    }

    /// A call that comes too late takes its connection along, save where others share it: if it is the connection that
    /// fell silent, every call on it would be lost. So later ones go by another.
    fn give_up(&self, number: u64) {
        let mut line = self.line();
        if line.shared && line.number == number
            // It could be made once; should that fail now, the connection that there is has to do.
            && let Ok(client) = client(&self.settings)
        {
            (line.client, line.number) = (client, number + 1);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing that holds it can panic.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with the headers that reqwest would send.
fn plainly(method: Method, url: &Url, json: Option<String>) -> Result<Whole, Fault> {
    let unusable = |error: &(dyn std::error::Error + 'static)| fault(error, true);
    let place = Uri::try_from(url.as_str()).map_err(|error| unusable(&error))?;
    let mut request = Request::builder()
        .method(method)
        .uri(place)
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(USER_AGENT, HeaderValue::from_static(PROGRAM));
    if json.is_some() {
        request = request.header(CONTENT_TYPE, JSON);
    }
    request
        .body(Full::from(json.unwrap_or_default()))
        .map(Box::new)
        .map_err(|error| unusable(&error))
}

fn client(settings: &Settings) -> Result<Client, String> {
    let builder = match &settings.route {
        Route::Direct => Client::builder().no_proxy(),
        Route::Proxy { url, except } => {
            let proxy = Proxy::all(url.expose_secret()).map_err(told)?;
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
        .pool_max_idle_per_host(settings.idle)
        .pool_idle_timeout(LONGEST_IDLE)
        // A redirect would carry the token to whatever host it names.
        .redirect(redirect::Policy::none())
        // A repeat of its own would go past the pace and past the count of calls.
        .retry(retry::never())
        .user_agent(PROGRAM)
        .build()
        .map_err(told)
}

/// What an error was, without its URL.
fn failed(error: reqwest::Error) -> Fault {
    let connecting = error.is_connect();
    fault(&error.without_url(), connecting)
}

fn told(error: reqwest::Error) -> String {
    cause(&error.without_url())
}

/// Seconds (fractions are seen), or an HTTP date in any of its three forms (RFC 9110, 5.6.7 and 10.2.3). Of a list of
/// seconds the first counts.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(moment) = httpdate::parse_http_date(text) {
        let wait = moment.duration_since(SystemTime::now()).unwrap_or_default();
        return Some(wait.min(LONGEST_WAIT));
    }
    let seconds: f64 = text.split(',').next()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_every_form() {
        let wait = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap());
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!([wait("999999999"), wait("99999999999999999999999")], [Some(LONGEST_WAIT); 2]);
        assert_eq!(wait("2, 3"), Some(Duration::from_secs(2)));
        for date in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Sunday, 22-Nov-65 20:28:22 GMT",
            "Sun Nov 22 20:28:24 2065",
        ] {
            assert_eq!(wait(date), Some(LONGEST_WAIT), "{date}");
        }
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait("Wed, 21 Oct 2099 07:28:00 GMT").is_some());
        assert_eq!([wait("-1"), wait("soon"), wait("NaN"), wait("")], [None; 4]);
    }

    #[tokio::test]
    async fn an_unreachable_host_is_told_without_its_url() {
        let http = Http::new(&Settings::default()).unwrap();
        let url = "http://127.0.0.1:1/topapi?access_token=secret".parse().unwrap();
        let fault = http.post(&url, "{}".to_owned()).await.unwrap_err();
        assert!(!fault.answered());
        let text = format!("{fault} {fault:?}");
        assert!(
            text.contains("refused") && !text.contains("secret") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}
