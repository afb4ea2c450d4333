//! What stands between a run and the sandbox: a server that speaks TLS, a proxy, and lines that behave oddly. Each serves
//! as long as it lives, on a thread of its own.

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

const FOUND: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u1"}}"#;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Somebody who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
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
    fn certificate(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    /// The same as files have them.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.certificate(names);
        (certificate.pem(), key.serialize_pem())
    }

    /// What makes a server one of these names; `protocols` are those that it offers, the dearest first.
    fn acceptor(&self, names: &[&str], protocols: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.certificate(names);
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
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Version>>>,
    _runtime: Runtime,
}

impl Front {
    /// With a certificate for these names; `protocols` are those that it offers, the dearest first.
    pub(crate) fn new(
        authority: &Authority,
        names: &[&str],
        protocols: &[&str],
        sandbox: String,
    ) -> Self {
        let acceptor = authority.acceptor(names, protocols);
        let (runtime, seen) = (runtime(), Arc::<Mutex<Vec<Version>>>::default());
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
                        hand_on(request, Arc::clone(&noted), sandbox.clone())
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen, _runtime: runtime }
    }

    /// The versions of HTTP of the requests that came.
    pub(crate) fn seen(&self) -> Vec<Version> {
        self.seen.lock().unwrap().clone()
    }
}

async fn hand_on(
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

/// A proxy that leads everybody to one address, whatever they ask for, and notes what they asked for.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Proxy {
    /// `answer` is what it says to a CONNECT; only after a 200 does it lead anywhere.
    pub(crate) fn new(to: SocketAddr, answer: &'static str) -> Self {
        let (runtime, asked) = (runtime(), Arc::<Mutex<Vec<String>>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let noted = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let head = head(&mut stream).await;
                    noted.lock().unwrap().push(head);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains(" 200 ") {
                        let mut far = TcpStream::connect(to).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut far).await;
                    }
                });
            }
        });
        Self { address, asked, _runtime: runtime }
    }

    /// The heads of the requests that came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads to the blank line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A line to the sandbox that listens at another address, such as one of IPv6.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Line {
    pub(crate) fn new(at: &str, to: SocketAddr) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind(at)).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut far).await;
                });
            }
        });
        Self { address, _runtime: runtime }
    }
}

/// A line that breaks a connection when a request comes after a rest, as one does that forgot the connection meanwhile,
/// without having said so.
pub(crate) struct Forgetful {
    pub(crate) address: SocketAddr,
    broken: Arc<Mutex<u32>>,
    _runtime: Runtime,
}

impl Forgetful {
    pub(crate) fn new(to: SocketAddr, after: Duration) -> Self {
        let (runtime, broken) = (runtime(), Arc::<Mutex<u32>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&broken);
        runtime.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let (mut out, mut back) = ([0; 8192], [0; 8192]);
                    let mut replied = None::<Instant>;
                    loop {
                        tokio::select! {
                            read = near.read(&mut out) => match read {
                                Ok(read) if read > 0 => {
                                    if replied.is_some_and(|replied| replied.elapsed() >= after) {
                                        *count.lock().unwrap() += 1;
                                        return;
                                    }
                                    far.write_all(&out[..read]).await.unwrap();
                                }
                                _ => return,
                            },
                            read = far.read(&mut back) => {
                                let read = read.unwrap_or(0);
                                if read == 0 || near.write_all(&back[..read]).await.is_err() {
                                    return;
                                }
                                replied = Some(Instant::now());
                            }
                        }
                    }
                });
            }
        });
        Self { address, broken, _runtime: runtime }
    }

    /// How many requests met a forgotten connection.
    pub(crate) fn broken(&self) -> u32 {
        *self.broken.lock().unwrap()
    }
}

/// What a host of HTTP/2 does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stream {
    /// Answers it.
    Answer,
    /// Refuses it, untouched.
    Refuse,
    /// Says goodbye to the connection instead of taking it: the first call on it.
    Leave,
    /// Nothing, and nothing more on this connection.
    Fall,
}

/// Waits for a call and says, in frames by hand, that the connection ends and no call on it was taken: no library says
/// this of a call that it has seen (RFC 9113, 4.1, 6.5 and 6.8).
async fn goodbye(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    const PREFACE: usize = 24;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const SETTINGS_SEEN: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    // What it may say besides is for logs: a host may well put the request there.
    const WORDS: &[u8; 59] = b"POST /topapi/v2/user/getbymobile?access_token=sandbox-token";
    const GOODBYE: [u8; 17] = [0, 0, 8 + 59, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    stream.write_all(&SETTINGS).await.unwrap();
    stream.write_all(&SETTINGS_SEEN).await.unwrap();
    stream.read_exact(&mut [0; PREFACE]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(&[&GOODBYE[..], WORDS].concat()).await.unwrap();
    stream.flush().await.unwrap();
    // What else comes is read, so that the connection ends without a reset.
    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
}

/// A host of HTTP/2 that finds everybody, where `does` lets it: for a connection and a call on it, each from 0.
pub(crate) struct Streams {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<usize>>,
    _runtime: Runtime,
}

impl Streams {
    pub(crate) fn new(authority: &Authority, does: fn(usize, usize) -> Stream) -> Self {
        let acceptor = authority.acceptor(&["localhost"], &["h2"]);
        let (runtime, connections) = (runtime(), Arc::<Mutex<usize>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&connections);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, number) = (acceptor.clone(), *count.lock().unwrap());
                *count.lock().unwrap() += 1;
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    if does(number, 0) == Stream::Leave {
                        return goodbye(&mut stream).await;
                    }
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut place = 0;
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        match does(number, place) {
                            Stream::Answer => {
                                let mut body =
                                    respond.send_response(Response::default(), false).unwrap();
                                body.send_data(Bytes::from_static(FOUND.as_bytes()), true).unwrap();
                            }
                            Stream::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
                            Stream::Leave | Stream::Fall => std::future::pending().await,
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
