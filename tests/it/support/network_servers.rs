//! Servers between a run and the sandbox: a server that speaks TLS, a proxy, and lines that behave
//! oddly. Each serves as long as it lives, on a thread of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const FOUND_BODY: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u1"}}"#;

fn server_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Somebody who signs certificates.
pub(crate) struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // No two have the same name, as none in the world should.
        let name = format!("{:x?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The certificate to trust.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and its key.
    fn sign(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    /// The same as files have them.
    pub(crate) fn issue_pem(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.sign(names);
        (certificate.pem(), key.serialize_pem())
    }

    /// What makes a server one of these names; `protocols` are those that it offers, the dearest
    /// first.
    fn tls_acceptor(&self, names: &[&str], protocols: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.sign(names);
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(tls))
    }
}

/// A server that speaks TLS and hands requests on to the sandbox.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    http_versions: Arc<Mutex<Vec<Version>>>,
    _runtime: Runtime,
}

impl TlsServer {
    /// With a certificate for these names; `protocols` are those that it offers, the dearest first.
    pub(crate) fn new(
        authority: &CertificateAuthority,
        names: &[&str],
        protocols: &[&str],
        sandbox: String,
    ) -> Self {
        let acceptor = authority.tls_acceptor(names, protocols);
        let (runtime, seen) = (server_runtime(), Arc::<Mutex<Vec<Version>>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let noted = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, noted, sandbox) =
                    (acceptor.clone(), Arc::clone(&noted), sandbox.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        forward(request, Arc::clone(&noted), sandbox.clone())
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, http_versions: seen, _runtime: runtime }
    }

    /// The versions of HTTP of the requests that came.
    pub(crate) fn http_versions(&self) -> Vec<Version> {
        self.http_versions.lock().unwrap().clone()
    }
}

async fn forward(
    request: Request<Incoming>,
    noted: Arc<Mutex<Vec<Version>>>,
    sandbox: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    noted.lock().unwrap().push(request.version());
    let (head, body) = request.into_parts();
    let url = format!("{sandbox}{}", head.uri.path_and_query().unwrap());
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let kind = head.headers.get("content-type").cloned();
    let mut request =
        client.request(head.method, url).body(body.collect().await.unwrap().to_bytes());
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    let reply = request.send().await.unwrap();
    let mut response = Response::builder().status(reply.status());
    if let Some(kind) = reply.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    Ok(response.body(Full::new(reply.bytes().await.unwrap())).unwrap())
}

/// A proxy that leads everybody to one address, whatever they ask for, and notes what they asked
/// for.
pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    request_heads: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl ConnectProxy {
    /// `answer` is what it says to a CONNECT; only after a 200 does it lead anywhere.
    pub(crate) fn new(to: SocketAddr, answer: &'static str) -> Self {
        let (runtime, asked) = (server_runtime(), Arc::<Mutex<Vec<String>>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let noted = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let head = read_head(&mut stream).await;
                    noted.lock().unwrap().push(head);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains(" 200 ") {
                        let mut upstream = TcpStream::connect(to).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                });
            }
        });
        Self { address, request_heads: asked, _runtime: runtime }
    }

    /// The heads of the requests that came.
    pub(crate) fn request_heads(&self) -> Vec<String> {
        self.request_heads.lock().unwrap().clone()
    }
}

/// Reads to the blank line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A line to the sandbox that listens at another address, such as one of IPv6.
pub(crate) struct TcpForwarder {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl TcpForwarder {
    pub(crate) fn new(at: &str, to: SocketAddr) -> Self {
        let runtime = server_runtime();
        let listener = runtime.block_on(TcpListener::bind(at)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                });
            }
        });
        Self { address, _runtime: runtime }
    }
}

/// A line that breaks a connection when a request comes after a rest, as one does that forgot the
/// connection meanwhile, without having closed it.
pub(crate) struct StaleConnectionProxy {
    pub(crate) address: SocketAddr,
    stale_requests: Arc<Mutex<u32>>,
    _runtime: Runtime,
}

impl StaleConnectionProxy {
    pub(crate) fn new(to: SocketAddr, after: Duration) -> Self {
        let (runtime, broken) = (server_runtime(), Arc::<Mutex<u32>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&broken);
        runtime.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(to).await.unwrap();
                    let (mut out, mut back) = ([0; 8192], [0; 8192]);
                    let mut replied = None::<Instant>;
                    loop {
                        tokio::select! {
                            read = client.read(&mut out) => match read {
                                Ok(read) if read > 0 => {
                                    if replied.is_some_and(|replied| replied.elapsed() >= after) {
                                        *count.lock().unwrap() += 1;
                                        return;
                                    }
                                    upstream.write_all(&out[..read]).await.unwrap();
                                }
                                _ => return,
                            },
                            read = upstream.read(&mut back) => {
                                let read = read.unwrap_or(0);
                                if read == 0 || client.write_all(&back[..read]).await.is_err() {
                                    return;
                                }
                                replied = Some(Instant::now());
                            }
                        }
                    }
                });
            }
        });
        Self { address, stale_requests: broken, _runtime: runtime }
    }

    /// How many requests met a forgotten connection.
    pub(crate) fn stale_requests(&self) -> u32 {
        *self.stale_requests.lock().unwrap()
    }
}

/// What a host of HTTP/2 does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StreamAction {
    /// Answers it.
    Answer,
    /// Refuses it, untouched.
    Refuse,
    /// Says goodbye to the connection instead of taking it: the first call on it.
    GoAway,
    /// Nothing, and nothing more on this connection.
    Stall,
}

/// Waits for a call and says, in frames by hand, that the connection ends and no call on it was
/// taken: no library says this of a call that it has seen (RFC 9113, 4.1, 6.5 and 6.8).
async fn send_goaway(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    const PREFACE_LEN: usize = 24;
    const SETTINGS_FRAME: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    // What it may say besides is for logs: a host may well put the request there.
    const DEBUG_DATA: &[u8; 59] = b"POST /topapi/v2/user/getbymobile?access_token=sandbox-token";
    const GOAWAY_FRAME: [u8; 17] = [0, 0, 8 + 59, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS_TYPE: u8 = 1;
    stream.write_all(&SETTINGS_FRAME).await.unwrap();
    stream.write_all(&SETTINGS_ACK).await.unwrap();
    stream.read_exact(&mut [0; PREFACE_LEN]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        if head[3] == HEADERS_TYPE {
            break;
        }
    }
    stream.write_all(&[&GOAWAY_FRAME[..], DEBUG_DATA].concat()).await.unwrap();
    stream.flush().await.unwrap();
    // What else comes is read, so that the connection ends without a reset.
    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
}

/// A host of HTTP/2 that finds everybody, where `does` lets it: for a connection and a call on it,
/// each from 0.
pub(crate) struct Http2Server {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<usize>>,
    _runtime: Runtime,
}

impl Http2Server {
    pub(crate) fn new(
        authority: &CertificateAuthority,
        does: fn(usize, usize) -> StreamAction,
    ) -> Self {
        let acceptor = authority.tls_acceptor(&["localhost"], &["h2"]);
        let (runtime, connections) = (server_runtime(), Arc::<Mutex<usize>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&connections);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, number) = (acceptor.clone(), *count.lock().unwrap());
                *count.lock().unwrap() += 1;
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    if does(number, 0) == StreamAction::GoAway {
                        return send_goaway(&mut stream).await;
                    }
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut place = 0;
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        match does(number, place) {
                            StreamAction::Answer => {
                                let mut body =
                                    respond.send_response(Response::default(), false).unwrap();
                                body.send_data(Bytes::from_static(FOUND_BODY.as_bytes()), true)
                                    .unwrap();
                            }
                            StreamAction::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
                            StreamAction::GoAway | StreamAction::Stall => {
                                std::future::pending::<()>().await;
                            }
                        }
                        place += 1;
                    }
                });
            }
        });
        Self { address, connections, _runtime: runtime }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}
