//! The certificate of a sandbox that serves TLS, signed by a certificate authority that is made at
//! startup.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Covers a client whose clock is behind.
const VALID_BEFORE: Duration = Duration::from_hours(24);
/// macOS accepts no server certificate that is valid for more than 825 days.
const VALID_AFTER: Duration = Duration::from_hours(24 * 365);
/// By preference of the server (ALPN, RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a server needs to serve TLS, and a client to trust it.
#[derive(Clone)]
pub(crate) struct TlsIdentity {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate, as PEM.
    pub(crate) ca_certificate: String,
}

impl TlsIdentity {
    /// Makes an authority and a certificate for `localhost`, `127.0.0.1` and `::1`. The authority's
    /// key is dropped.
    pub(crate) fn generate() -> io::Result<Self> {
        let (authority, key, certificate) = generate_certificate().map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let chain = vec![certificate.der().clone()];
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_certificate: authority.pem() })
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn generate_certificate() -> Result<(Issuer, KeyPair, rcgen::Certificate), rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Two authorities with one name and different keys would make a client reject either.
    let id = format!("dingmap sandbox {:x?}", &authority_key.public_key_raw()[1..9]);
    authority.distinguished_name.push(DnType::CommonName, id);
    let authority = CertifiedIssuer::self_signed(authority, authority_key)?;

    let names =
        ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()];
    let mut server = params(names.into())?;
    server.distinguished_name.push(DnType::CommonName, "dingmap sandbox");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok((authority, key, certificate))
}

fn params(names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let now = SystemTime::now();
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + VALID_AFTER).into();
    Ok(params)
}
