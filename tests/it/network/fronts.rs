//! What stands between a run and the sandbox: a server that speaks TLS, a proxy, and lines that behave oddly. Each serves
//! as long as it lives, on a thread of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

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
}

/// A server that speaks TLS and hands requests on to the sandbox.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Version>>>,
    _runtime: Runtime,
}

impl Front {
    /// With a certificate for these names; `protocols` are those that it offers, the dearest first.
    pub(crate) fn new(authority: &Authority, names: &[&str], protocols: &[&str], sandbox: String) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority.0).unwrap();
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (runtime, seen) = (runtime(), Arc::<Mutex<Vec<Version>>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, noted) = (TlsAcceptor::from(Arc::new(tls)), Arc::clone(&seen));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, noted, sandbox) = (acceptor.clone(), Arc::clone(&noted), sandbox.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service =
                        service_fn(move |request| hand_on(request, Arc::clone(&noted), sandbox.clone()));
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
    let mut request = client.request(head.method, url).body(body.collect().await.unwrap().to_bytes());
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

/// A line whose every connection carries one request and its reply. It promises to stay open, and is closed when
/// the next request has been sent on it: what a server does that was about to close an idle connection.
pub(crate) struct Closing {
    pub(crate) address: SocketAddr,
    closed: Arc<Mutex<u32>>,
    _runtime: Runtime,
}

impl Closing {
    pub(crate) fn new(to: SocketAddr) -> Self {
        let (runtime, closed) = (runtime(), Arc::<Mutex<u32>>::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::clone(&closed);
        runtime.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let (mut out, mut back) = ([0; 8192], [0; 8192]);
                    let mut answered = false;
                    loop {
                        tokio::select! {
                            read = near.read(&mut out) => match read {
                                Ok(read) if read > 0 && !answered => far.write_all(&out[..read]).await.unwrap(),
                                read => {
                                    *count.lock().unwrap() += u32::from(read.is_ok_and(|read| read > 0));
                                    return;
                                }
                            },
                            read = far.read(&mut back) => {
                                let read = read.unwrap_or(0);
                                if read == 0 || near.write_all(&back[..read]).await.is_err() {
                                    return;
                                }
                                answered = true;
                            }
                        }
                    }
                });
            }
        });
        Self { address, closed, _runtime: runtime }
    }

    /// How many requests met a closing connection.
    pub(crate) fn closed(&self) -> u32 {
        *self.closed.lock().unwrap()
    }
}
