//! The HTTP server of the sandbox on loopback: connections, routes, delays, and truncated replies.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::sandbox::call_log::{CallLog, TokenEndpoint};
use crate::sandbox::emulator::{Emulator, TimedReply};
use crate::sandbox::json::{Credentials, FullReply, LookupRequest, Reply};
use crate::sandbox::script::Script;
use crate::sandbox::tls::TlsIdentity;

/// The maximum length of a request body, in bytes; a longer one closes the connection.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The delay after `accept` failed, most often for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// A running sandbox. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Server {
    state: Arc<ServerState>,
    accept_task: JoinHandle<()>,
}

impl Server {
    /// Starts a sandbox on `127.0.0.1:port`; port 0 chooses a free port. It runs on the caller's
    /// tokio runtime, of either flavor, with I/O and time enabled. It fails if the port cannot be
    /// bound, most often because it is in use.
    pub async fn start(script: Script, port: u16) -> io::Result<Self> {
        Self::bind(script, port, None).await
    }

    /// Like [`start`](Self::start), but over TLS, with HTTP/2 or HTTP/1.1 as the client prefers
    /// (ALPN). The certificate is generated; clients must trust
    /// [`ca_certificate`](Self::ca_certificate).
    pub async fn start_tls(script: Script, port: u16) -> io::Result<Self> {
        Self::bind(script, port, Some(TlsIdentity::generate()?)).await
    }

    async fn bind(script: Script, port: u16, tls: Option<TlsIdentity>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let addr = listener.local_addr()?;
        let (acceptor, ca_certificate) = tls.map(|tls| (tls.acceptor, tls.ca_certificate)).unzip();
        let emulator = Mutex::new(Emulator::new(script));
        let state = Arc::new(ServerState { addr, ca_certificate, emulator });
        let accept_task = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Ok(Self { state, accept_task })
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// Its origin, such as `http://127.0.0.1:PORT`. It serves the calls of both DingTalk hosts.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.state.endpoint()
    }

    /// The certificate of the CA that signed the server's certificate, as PEM; none without TLS.
    #[must_use]
    pub fn ca_certificate(&self) -> Option<&str> {
        self.state.ca_certificate.as_deref()
    }

    /// The calls received so far.
    #[must_use]
    pub fn call_log(&self) -> CallLog {
        self.state.lock_emulator().call_log.clone()
    }

    /// Changes the script from the next call on. Used answers are already removed from it.
    pub fn update_script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state.lock_emulator().script);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept_task.abort(); // It owns the connections, so they close too.
    }
}

#[derive(Debug)]
struct ServerState {
    addr: SocketAddr,
    /// As PEM; none without TLS.
    ca_certificate: Option<String>,
    emulator: Mutex<Emulator>,
}

impl ServerState {
    fn lock_emulator(&self) -> MutexGuard<'_, Emulator> {
        // After a panic inside `change` a test must see that panic, not one from here.
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoint(&self) -> String {
        let scheme = if self.ca_certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    fn index_page(&self) -> TimedReply {
        let endpoint = self.endpoint();
        let emulator = self.lock_emulator();
        let Script { app_key, app_secret, static_token, .. } = &emulator.script;
        let body = format!(
            "This is dingmap's sandbox, an emulated DingTalk API. It has no real data: its people \
             are made up from the last two digits of each number.\n\n\
             Resolve against it:\n  \
             DINGTALK_ACCESS_TOKEN={static_token} dingmap resolve INPUT --endpoint {endpoint}\n\
             or, with tokens that the sandbox issues:\n  \
             DINGTALK_APP_KEY={app_key} DINGTALK_APP_SECRET={app_secret} \
             dingmap resolve INPUT --endpoint {endpoint}\n"
        );
        let page = FullReply {
            status: 200,
            content_type: "text/plain;charset=utf-8",
            headers: Vec::new(),
            body,
        };
        TimedReply { delay: Duration::ZERO, reply: Reply::Full(page) }
    }

    fn route(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        content_type: &str,
        body: &[u8],
        at: Instant,
    ) -> TimedReply {
        match (method, path) {
            (&Method::POST, "/topapi/v2/user/getbymobile") => {
                let lookup = LookupRequest::parse(query, content_type, body);
                self.lock_emulator().answer_lookup(&lookup, at)
            }
            (&Method::POST, "/topapi/v2/user/getbymobile/") => {
                self.lock_emulator().answer_trailing_slash()
            }
            (&Method::POST, "/v1.0/oauth2/accessToken") => {
                let credentials = Credentials::from_v1_body(body);
                self.lock_emulator().answer_token_call(TokenEndpoint::V1, &credentials, at)
            }
            (&Method::GET, "/gettoken") => {
                let credentials = Credentials::from_legacy_query(query);
                self.lock_emulator().answer_token_call(TokenEndpoint::Legacy, &credentials, at)
            }
            (&Method::GET, "/") => self.index_page(),
            _ => self.lock_emulator().answer_unknown_path(),
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<ServerState>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                state.lock_emulator().call_log.record_connection();
                connections.spawn(serve(stream, tls.clone(), Arc::clone(&state)));
            }
            Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
        }
        while connections.try_join_next().is_some() {} // Frees finished tasks.
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<ServerState>) {
    // Errors can be ignored: without this option the sandbox is only slower, and a closed
    // connection fails below.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_http(stream, state).await,
        Some(tls) => {
            // A client that does not trust the certificate closes the connection.
            if let Ok(stream) = tls.accept(stream).await {
                serve_http(stream, state).await;
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<ServerState>,
) {
    let service = hyper::service::service_fn(move |request| handle(Arc::clone(&state), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // A client may send as many concurrent calls as it has workers; hyper's default limit is 200.
    builder.http2().max_concurrent_streams(None);
    // It fails when the script truncates a reply or the client disconnects; both are expected.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// An error closes the connection without a reply.
async fn handle(
    state: Arc<ServerState>,
    request: Request<Incoming>,
) -> io::Result<Response<Either<Full<Bytes>, TruncatedBody>>> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body =
        Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
    let query = head.uri.query().unwrap_or_default();
    let content_type =
        head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let timed = state.route(&head.method, head.uri.path(), query, content_type, &body, at);
    if !timed.delay.is_zero() {
        tokio::time::sleep(timed.delay).await;
    }
    match timed.reply {
        Reply::Full(reply) => Ok(to_response(reply)),
        Reply::Half(body) => {
            let mut response = Response::new(Either::Right(TruncatedBody::new(&body)));
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
        Reply::Drop => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn to_response(reply: FullReply) -> Response<Either<Full<Bytes>, TruncatedBody>> {
    let mut response = Response::new(Either::Left(Full::from(reply.body)));
    // Only a final status: hyper rejects informational ones (below 200).
    let status = Some(reply.status).filter(|&status| status >= 200);
    *response.status_mut() = status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(reply.content_type));
    response
}

/// A body that announces its full length, sends the first half and then fails.
#[derive(Debug)]
struct TruncatedBody {
    length: u64,
    first_half: Option<Bytes>,
    is_flushed: bool,
}

impl TruncatedBody {
    fn new(body: &str) -> Self {
        let body = body.as_bytes();
        let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
        Self {
            length: u64::try_from(body.len()).unwrap_or(u64::MAX),
            first_half: Some(half),
            is_flushed: false,
        }
    }
}

impl Body for TruncatedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(half) = self.first_half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.is_flushed {
            // When a body fails, hyper discards what it has not written yet. It writes when a body
            // is pending.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::script::ScriptedAnswer;
    use reqwest::Client;
    use serde_json::{Value, json};

    const PATH: &str = "/topapi/v2/user/getbymobile";

    fn client() -> Client {
        // Only the first test of the process can install it; the others use the installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
    }

    async fn ask(client: &Client, server: &Server, mobile: &str) -> reqwest::Result<Value> {
        let url = format!("{}{PATH}?access_token=sandbox-token", server.endpoint());
        let body = format!(r#"{{"mobile":"{mobile}","support_exclusive_account_search":true}}"#);
        let response =
            client.post(url).header(CONTENT_TYPE, "application/json").body(body).send().await?;
        let text = response.text().await?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(client: &Client, server: &Server, path: &str) -> (u16, String) {
        let response = client.get(format!("{}{path}", server.endpoint())).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn post(client: &Client, server: &Server, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}{path}", server.endpoint());
        let response = client.post(url).body(body.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn both_request_forms_are_answered_and_recorded() {
        let (client, server) = (client(), Server::start(Script::default(), 0).await.unwrap());
        let reply = ask(&client, &server, "13800138000").await.unwrap();
        assert_eq!(
            (&reply["errcode"], &reply["result"]["userid"]),
            (&json!(0), &json!("u00138000"))
        );
        let form =
            "mobile=13800138096&support_exclusive_account_search=false&access_token=sandbox-token";
        let (status, reply) = post(&client, &server, PATH, form).await;
        assert_eq!((status, &reply["errcode"]), (200, &json!(60121)));
        let (_, reply) = post(&client, &server, &format!("{PATH}/"), form).await;
        assert_eq!(reply["errcode"], 22);
        let (_, reply) = post(&client, &server, PATH, "mobile=13800138000").await;
        assert_eq!((&reply["errcode"], &reply["sub_code"]), (&json!(88), &json!("40000")));
        let log = server.call_log();
        let recorded =
            log.calls().iter().map(|call| (&*call.number, &*call.content_type, call.exclusive));
        assert_eq!(
            recorded.collect::<Vec<_>>(),
            [
                ("13800138000", "application/json", Some(true)),
                ("13800138096", "", Some(false)),
                ("13800138000", "", None),
            ]
        );
        assert_eq!(
            (log.connections(), log.count_answered(0), log.count_answered("40000")),
            (1, 1, 1)
        );
    }

    #[tokio::test]
    async fn both_endpoints_issue_the_same_valid_token() {
        let (client, server) = (client(), Server::start(Script::default(), 0).await.unwrap());
        let v1 = "/v1.0/oauth2/accessToken";
        let valid = r#"{"appKey":"sandbox-key","appSecret":"sandbox-secret"}"#;
        let (status, reply) = post(&client, &server, v1, valid).await;
        assert_eq!((status, &reply["expireIn"]), (200, &json!(7200)));
        let legacy =
            get(&client, &server, "/gettoken?appkey=sandbox-key&appsecret=sandbox-secret").await.1;
        let legacy: Value = serde_json::from_str(&legacy).unwrap();
        assert_eq!((&legacy["errcode"], &legacy["expires_in"]), (&json!(0), &json!(7200)));
        assert_eq!(legacy["access_token"], reply["accessToken"]);
        let token = legacy["access_token"].as_str().unwrap();
        let path = format!("{PATH}?access_token={token}");
        assert_eq!(post(&client, &server, &path, "mobile=13800138000").await.1["errcode"], 0);

        let (status, reply) = post(&client, &server, v1, r#"{"appKey":"sandbox-key"}"#).await;
        assert_eq!((status, &reply["code"]), (400, &json!("invalidClientIdOrSecret")));
        let wrong_secret =
            get(&client, &server, "/gettoken?appkey=sandbox-key&appsecret=x").await.1;
        assert!(wrong_secret.contains(r#""errcode":40089,"#));
        assert!(get(&client, &server, "/gettoken").await.1.contains(r#""errcode":40096,"#));
        server.update_script(|script| script.has_v1_token_endpoint = false);
        assert_eq!(post(&client, &server, v1, valid).await.0, 404);
        server.update_script(|script| script.token_answers.push_back(ScriptedAnswer::status(502)));
        assert_eq!(get(&client, &server, "/gettoken").await.0, 502);
        let log = server.call_log();
        let labels: Vec<_> = log.token_calls().iter().map(|call| &*call.answered).collect();
        assert_eq!(
            labels,
            ["0", "0", "invalidClientIdOrSecret", "40089", "40096", "404", "http 502"]
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn replies_are_truncated_as_scripted() {
        let mut script = Script::default();
        let silence = Duration::from_millis(60);
        script.push_answers(
            "13800138000",
            [
                ScriptedAnswer::Drop,
                ScriptedAnswer::Half,
                ScriptedAnswer::Hang(silence),
                ScriptedAnswer::Html,
            ],
        );
        let server = Server::start(script, 0).await.unwrap();
        let client = client();
        assert!(ask(&client, &server, "13800138000").await.unwrap_err().is_request());

        let url = format!("{}{PATH}?access_token=sandbox-token", server.endpoint());
        let mut response = client.post(url).body("mobile=13800138000").send().await.unwrap();
        let announced = response.content_length().unwrap();
        let half = response.chunk().await.unwrap().unwrap();
        assert_eq!(u64::try_from(half.len()).unwrap(), announced / 2);
        assert!(half.starts_with(br#"{"errcode":0,"#));
        assert!(response.chunk().await.is_err());

        let before = Instant::now();
        assert!(ask(&client, &server, "13800138000").await.unwrap_err().is_request());
        assert!(before.elapsed() >= silence);
        let page = ask(&client, &server, "13800138000").await.unwrap();
        assert!(page.as_str().unwrap().contains("<html>"));
        assert_eq!(ask(&client, &server, "13800138000").await.unwrap()["errcode"], 0);
        let log = server.call_log();
        let labels: Vec<_> = log.calls_for("13800138000").map(|call| &*call.answered).collect();
        assert_eq!(labels, ["drop", "half", "hang", "html", "0"]);
    }

    #[tokio::test]
    async fn scripted_headers_are_sent_and_unknown_paths_are_rejected() {
        let (client, server) = (client(), Server::start(Script::default(), 0).await.unwrap());
        let headers = vec![
            ("Retry-After".to_owned(), "7".to_owned()),
            ("bad name".to_owned(), String::new()),
        ];
        let busy = ScriptedAnswer::Http { status: 503, headers, body: "busy".to_owned() };
        server.update_script(|script| script.always = Some(busy));
        let response = client.post(format!("{}{PATH}", server.endpoint())).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from(7))
        );
        assert_eq!(server.call_log().count_answered("http 503"), 1);
        let (status, index_page) = get(&client, &server, "/").await;
        assert!(status == 200 && index_page.contains(&server.endpoint()));
        let (status, reply) = get(&client, &server, "/nowhere").await;
        assert!(status == 404 && reply.contains(r#"{"errcode":404,"#));
    }

    #[tokio::test]
    async fn dropping_the_server_closes_port_and_connections() {
        let server = Server::start(Script::default(), 0).await.unwrap();
        let addr = server.addr();
        assert!(addr.ip().is_loopback());
        let connection = tokio::net::TcpStream::connect(addr).await.unwrap();
        assert!(Server::start(Script::default(), addr.port()).await.is_err());
        drop(server);
        connection.readable().await.unwrap();
        assert_eq!(connection.try_read(&mut [0; 8]).unwrap_or(0), 0);
        assert!(Server::start(Script::default(), addr.port()).await.is_ok());
    }
}
