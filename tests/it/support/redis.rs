//! A Redis server for tests, which can be killed, restarted empty, paused, filled and locked.
//! `resp_client` sends commands to it; `fault_proxy` delays or cuts the connections to it.

pub(crate) mod fault_proxy;
pub(crate) mod resp_client;
mod self_test;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::network_servers::CertificateAuthority;
use crate::support::process::wait_until;
use crate::support::workdir::Workdir;
use resp_client::{Entry, RespClient};

/// Ports that the system gives to nobody who asks for any, so that a server that was killed finds
/// its own free.
const PORT_RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A running server, or one that was killed.
pub(crate) struct RedisServer {
    process: Child,
    flags: Vec<String>,
    password: Option<&'static str>,
    pub(crate) port: u16,
    workdir: Workdir,
}

impl RedisServer {
    /// Starts a server; fails the test if there is no `redis-server` on the PATH.
    pub(crate) fn start() -> Self {
        Self::start_with(Workdir::new(), "--port", &[], None)
    }

    /// One that lets in nobody without this password.
    pub(crate) fn with_password(password: &'static str) -> Self {
        Self::start_with(Workdir::new(), "--port", &["--requirepass", password], Some(password))
    }

    /// One that speaks TLS alone, as `localhost`.
    pub(crate) fn with_tls(authority: &CertificateAuthority) -> Self {
        let workdir = Workdir::new();
        let (certificate, key) = authority.issue_pem(&["localhost"]);
        let files = [("cert", certificate), ("key", key), ("ca-cert", authority.pem())];
        let mut flags =
            vec!["--port".to_owned(), "0".to_owned(), "--tls-auth-clients".into(), "no".into()];
        for (name, content) in files {
            let path = workdir.write_file(name, content);
            flags.extend([format!("--tls-{name}-file"), path.to_str().unwrap().to_owned()]);
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        Self::start_with(workdir, "--tls-port", &flags, None)
    }

    fn start_with(
        workdir: Workdir,
        port_flag: &str,
        flags: &[&str],
        password: Option<&'static str>,
    ) -> Self {
        let socket = workdir.path("redis.sock");
        let (process, flags, port) = wait_until("a port that is free", || {
            let port = fastrand::u16(PORT_RANGE);
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            let own = [port_flag, &port.to_string(), "--unixsocket", socket.to_str().unwrap()];
            let flags: Vec<_> = flags.iter().chain(&own).map(ToString::to_string).collect();
            let mut process = spawn_server(&workdir, &flags);
            // Somebody else may have taken the port since.
            wait_until_ready(&mut process, &socket, password).then_some((process, flags, port))
        });
        Self { process, flags, password, port, workdir }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.workdir.path("redis.sock")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The URL for `--shared`.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Kills it: connections are cut without notice, nothing is kept.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after a kill, on the same port and with nothing in it.
    pub(crate) fn restart_empty(&mut self) {
        self.process = spawn_server(&self.workdir, &self.flags);
        let socket = self.socket();
        assert!(
            wait_until_ready(&mut self.process, &socket, self.password),
            "the port is taken: {}",
            self.log()
        );
    }

    /// Suspends the process: connections stay open, and nobody gets an answer.
    pub(crate) fn pause(&self) {
        self.send_signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.send_signal("-CONT");
    }

    fn send_signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// A command and its reply, which has to be none of an error.
    pub(crate) fn call(&self, words: &[&str]) -> resp_client::RespValue {
        let mut wire = RespClient::connect(&self.socket(), self.password).unwrap();
        wire.call(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Lets it take nothing more into its memory; whatever wants to write is refused.
    pub(crate) fn exhaust_memory(&self) {
        self.call(&["CONFIG", "SET", "maxmemory", "1"]);
    }

    pub(crate) fn free_memory(&self) {
        self.call(&["CONFIG", "SET", "maxmemory", "0"]);
    }

    /// Everything that is in it.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        RespClient::connect(&self.socket(), self.password).unwrap().entries()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.workdir.path("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until a server answers; false where it ended instead.
fn wait_until_ready(process: &mut Child, socket: &Path, password: Option<&str>) -> bool {
    wait_until("an answer of the server", || {
        if process.try_wait().unwrap().is_some() {
            return Some(false);
        }
        let mut wire = RespClient::connect(socket, password)?;
        wire.call(&["PING"]).is_ok().then_some(true)
    })
}

/// A server that keeps nothing on any disk and is spoken to on this machine alone.
fn spawn_server(workdir: &Workdir, flags: &[String]) -> Child {
    let usual = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];
    Command::new("redis-server")
        .args(usual)
        .arg("--dir")
        .arg(workdir.path(""))
        .arg("--logfile")
        .arg(workdir.path("log"))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be on the PATH: apt-get install redis-server")
}
