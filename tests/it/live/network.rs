//! The network as users have it: encrypted hosts and whom to trust, proxies, IPv6, HTTP/2,
//! connections that close.

mod connections;
mod misconfiguration;
mod odd_replies;
mod open_files;

use std::net::SocketAddr;

use hyper::Version;

use crate::support::network_servers::{
    CertificateAuthority, ConnectProxy, TcpForwarder, TlsServer,
};
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

const CONNECT_OK: &str = "HTTP/1.1 200 Connected\r\n\r\n";
/// The variables of a run with a token instead of an app.
const TOKEN_ENV: [(&str, &str); 3] = [
    ("DINGTALK_ACCESS_TOKEN", "sandbox-token"),
    ("DINGTALK_APP_KEY", ""),
    ("DINGTALK_APP_SECRET", ""),
];
const STAFF_CSV: &str = "mobile\n13900000000\n13900000001\n13900000002\n";

/// A sandbox, an input, and an authority whose certificate is in a file.
struct NetworkFixture {
    sandbox: Sandbox,
    workdir: Workdir,
    authority: CertificateAuthority,
}

impl NetworkFixture {
    fn new() -> Self {
        let (workdir, authority) = (Workdir::new(), CertificateAuthority::new());
        workdir.write_file("staff.csv", STAFF_CSV);
        workdir.write_file("ca.pem", authority.pem());
        Self { sandbox: Sandbox::with_plain_http(unlimited_script()), workdir, authority }
    }

    fn tls_server(&self, names: &[&str], protocols: &[&str]) -> TlsServer {
        TlsServer::new(&self.authority, names, protocols, self.sandbox.endpoint())
    }

    fn sandbox_address(&self) -> SocketAddr {
        self.sandbox.endpoint().trim_start_matches("http://").parse().unwrap()
    }

    /// A run at this address, with these flags and variables.
    fn run(&self, endpoint: &str, flags: &[&str], variables: &[(&str, &str)]) -> RunOutput {
        let mut command = self.sandbox.resolve_at_endpoint(
            endpoint,
            &self.workdir.path("staff.csv"),
            &self.workdir.path("out.csv"),
        );
        run(command.args(flags).envs(variables.iter().copied()))
    }

    fn ca_path(&self) -> String {
        self.workdir.path("ca.pem").display().to_string()
    }
}

fn assert_all_found(ended: &RunOutput) {
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("found                3"), "{}", ended.stderr);
}

#[test]
fn certificate_authorities_from_file_and_system_are_trusted() {
    let scene = NetworkFixture::new();
    let front = scene.tls_server(&["localhost"], &["http/1.1"]);
    let endpoint = format!("https://localhost:{}", front.address.port());
    let ca = scene.ca_path();
    assert_all_found(&scene.run(&endpoint, &["--ca-file", &ca], &[]));
    assert_all_found(&scene.run(&endpoint, &[], &[("SSL_CERT_FILE", &ca)]));
    // The file adds to the system's, and takes nothing from them.
    let other = scene.workdir.write_file("other.pem", CertificateAuthority::new().pem());
    assert_all_found(&scene.run(
        &endpoint,
        &["--ca-file", other.to_str().unwrap()],
        &[("SSL_CERT_FILE", &ca)],
    ));
}

#[test]
fn an_untrusted_certificate_ends_the_run_and_nothing_is_sent() {
    let scene = NetworkFixture::new();
    let stranger = TlsServer::new(
        &CertificateAuthority::new(),
        &["localhost"],
        &["h2"],
        scene.sandbox.endpoint(),
    );
    let another = scene.tls_server(&["elsewhere.example"], &["h2"]);
    let ca = scene.ca_path();
    for (front, reason) in [(&stranger, "UnknownIssuer"), (&another, "not valid for name")] {
        let endpoint = format!("https://localhost:{}", front.address.port());
        for token in [&[][..], &TOKEN_ENV] {
            let ended = scene.run(&endpoint, &["--ca-file", &ca], token);
            assert_eq!(ended.status, Some(1), "{}", ended.stderr);
            assert!(ended.stderr.contains("TLS certificate"), "{}", ended.stderr);
            assert!(
                ended.stderr.contains(reason) && ended.stderr.contains("--ca-file"),
                "{}",
                ended.stderr
            );
            assert!(!scene.workdir.path("out.csv").exists() && front.http_versions().is_empty());
        }
    }
    let proxy = format!("https://localhost:{}", stranger.address.port());
    let ended = scene.run("https://oapi.invalid", &["--proxy", &proxy], &TOKEN_ENV);
    assert_eq!((ended.status, stranger.http_versions().len()), (Some(1), 0), "{}", ended.stderr);
    let actual = format!(
        "https://oapi.invalid (proxy: {proxy}): TLS certificate of the host or its proxy is not \
         trusted"
    );
    assert!(ended.stderr.contains(&actual), "{}", ended.stderr);
}

#[test]
fn https_to_a_port_without_tls_is_named() {
    let scene = NetworkFixture::new();
    let endpoint = scene.sandbox.endpoint().replace("http://", "https://");
    for (language, words) in
        [("en", "the server does not use TLS at this port"), ("zh", "服务器的这个端口没有使用 TLS")]
    {
        let flags = ["--max-retries", "0", "--lang", language];
        let ended = scene.run(&endpoint, &flags, &TOKEN_ENV);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn an_invalid_ca_file_is_rejected() {
    let scene = NetworkFixture::new();
    let ca = scene.authority.pem();
    let framed =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let damaged = |which: u8| {
        format!(
            "certificate {which} in it is truncated, damaged or not a certificate; export it again \
             as PEM (base64-encoded X.509)"
        )
    };
    for (name, text, reason) in [
        (
            "nothing.pem",
            Some("hello\n".to_owned()),
            "no certificate in the file; it must be PEM, with a line BEGIN CERTIFICATE".to_owned(),
        ),
        ("nowhere.pem", None, "No such file or directory (os error 2)".to_owned()),
        ("bytes.pem", Some(framed("AAAA")), damaged(1)),
        ("letters.pem", Some(ca.clone() + &framed("****")), damaged(2)),
        ("half.pem", Some(ca[..ca.len() / 2].to_owned()), damaged(1)),
    ] {
        let file = text
            .map_or_else(|| scene.workdir.path(name), |text| scene.workdir.write_file(name, text));
        let ended = scene.run("https://localhost:1", &["--ca-file", file.to_str().unwrap()], &[]);
        let actual = format!("dingmap: --ca-file {}: {reason}", file.display());
        assert_eq!(
            (ended.status, ended.stderr.lines().last()),
            (Some(2), Some(&*actual)),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn http2_is_used_when_offered() {
    let scene = NetworkFixture::new();
    for (protocols, version) in
        [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11)]
    {
        let front = scene.tls_server(&["localhost"], protocols);
        let endpoint = format!("https://localhost:{}", front.address.port());
        assert_all_found(&scene.run(&endpoint, &["--ca-file", &scene.ca_path()], &[]));
        assert_eq!(front.http_versions(), [version; 4], "a token call and three lookups");
    }
}

#[test]
fn an_ipv6_host_is_called() {
    let scene = NetworkFixture::new();
    let line = TcpForwarder::new("[::1]:0", scene.sandbox_address());
    assert_all_found(&scene.run(&format!("http://{}", line.address), &[], &[]));
}

#[test]
fn the_environment_proxy_is_used_for_both_hosts_and_sees_no_secret() {
    let scene = NetworkFixture::new();
    let front = scene.tls_server(&["oapi.dingtalk.com", "api.dingtalk.com"], &["h2", "http/1.1"]);
    let proxy = ConnectProxy::new(front.address, CONNECT_OK);
    let url = format!("http://user:geheim@{}", proxy.address);
    let ended = scene.run(
        "https://oapi.dingtalk.com",
        &["--ca-file", &scene.ca_path(), "-vvv"],
        &[("HTTPS_PROXY", &url), ("NO_PROXY", "elsewhere.example")],
    );
    assert_all_found(&ended);
    assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    let asked = proxy.request_heads();
    for host in ["oapi.dingtalk.com:443", "api.dingtalk.com:443"] {
        assert!(
            asked.iter().any(|head| head.starts_with(&format!("CONNECT {host} "))),
            "{asked:?}"
        );
    }
    // user:geheim in base 64.
    assert!(asked.iter().all(|head| head.contains("dXNlcjpnZWhlaW0=")), "{asked:?}");
    assert!(
        asked.iter().all(|head| !head.contains("139") && !head.contains("sandbox-")),
        "{asked:?}"
    );
}

#[test]
fn the_proxy_flag_overrides_the_environment_and_no_proxy_is_honored() {
    let scene = NetworkFixture::new();
    let front = scene.tls_server(&["localhost", "oapi.example"], &["h2"]);
    let (proxy, other) = (
        ConnectProxy::new(front.address, CONNECT_OK),
        ConnectProxy::new(front.address, CONNECT_OK),
    );
    let [flag, variable] = [&proxy, &other].map(|proxy| format!("http://{}", proxy.address));
    let (local, ca) = (format!("https://localhost:{}", front.address.port()), scene.ca_path());
    assert_all_found(&scene.run(
        "https://oapi.example",
        &["--ca-file", &ca, "--proxy", &flag],
        &[("HTTPS_PROXY", &variable)],
    ));
    assert!(!proxy.request_heads().is_empty() && other.request_heads().is_empty());
    let before = proxy.request_heads().len();
    // Straight: by the flag, and since the host is this machine.
    assert_all_found(&scene.run(
        &local,
        &["--ca-file", &ca, "--proxy", "none"],
        &[("HTTPS_PROXY", &variable)],
    ));
    assert_all_found(&scene.run(&local, &["--ca-file", &ca], &[("HTTPS_PROXY", &variable)]));
    assert_eq!((proxy.request_heads().len(), other.request_heads().len()), (before, 0));
    // A flag's proxy leads to this machine too, since it was asked for.
    assert_all_found(&scene.run(&local, &["--ca-file", &ca, "--proxy", &flag], &[]));
    assert!(proxy.request_heads().len() > before);
    // An excepted host is not asked for at the proxy; this name has no address.
    let ended = scene.run(
        "https://oapi.invalid",
        &["--ca-file", &ca, "--max-retries", "0"],
        &[("HTTPS_PROXY", &variable), ("NO_PROXY", ".invalid")],
    );
    assert_eq!((ended.status, other.request_heads().len()), (Some(1), 0), "{}", ended.stderr);
}

#[test]
fn a_refusing_proxy_is_reported() {
    let scene = NetworkFixture::new();
    for (answer, reason) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy refused the connection"),
        ("-ERR unknown command\r\n", "--proxy names a server that is not a proxy"),
    ] {
        let proxy = ConnectProxy::new(scene.sandbox_address(), answer);
        let url = format!("http://u:geheim@{}", proxy.address);
        let ended = scene.run(
            "https://oapi.dingtalk.io",
            &["--max-retries", "1"],
            &[("DINGMAP_PROXY", &url)],
        );
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        let actual = format!(
            "https://oapi.dingtalk.io (proxy: http://{}) was never reached: ",
            proxy.address
        );
        assert!(
            ended.stderr.contains(reason) && ended.stderr.contains(&actual),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
}

#[test]
fn plain_http_to_remote_hosts_requires_insecure_http() {
    let scene = NetworkFixture::new();
    // The sandbox acts as a proxy of plain HTTP: it is given whole addresses, and looks at their
    // paths alone.
    let proxy = scene.sandbox.endpoint();
    let gateway = "http://gateway.example";
    let ended = scene.run(gateway, &["--proxy", &proxy], &[]);
    assert_eq!(
        (ended.status, scene.sandbox.call_log().calls().len()),
        (Some(2), 0),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("--insecure-http"), "{}", ended.stderr);
    assert_all_found(&scene.run(gateway, &["--insecure-http", "--proxy", &proxy], &[]));
    let ended = scene.run(&proxy, &["--proxy", "http://u:geheim@192.0.2.1:3128"], &[]);
    assert!(ended.status == Some(2) && ended.stderr.contains("DINGMAP_PROXY"), "{}", ended.stderr);
    let ended = scene.run(&proxy, &[], &[("DINGMAP_PROXY", "http://u:geheim@192.0.2.1:3128")]);
    assert!(
        ended.status == Some(2) && ended.stderr.contains("could read the token"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
}
