//! A Redis server of the tests' own, which lives as long as they need it and can be killed, started anew with nothing, paused,
//! filled and locked. What is said to it stands in `wire`, and what may happen on the way to it in `cable`.

pub(crate) mod cable;
mod trial;
pub(crate) mod wire;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::Desk;
use crate::network::fronts::Authority;
use crate::served::until;
use wire::{Entry, Wire};

/// Ports that the system gives to nobody who asks for any, so that a server that was killed finds its own free.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A server under way, or one that was killed.
pub(crate) struct Redis {
    process: Child,
    flags: Vec<String>,
    password: Option<&'static str>,
    pub(crate) port: u16,
    desk: Desk,
}

impl Redis {
    /// Starts one; none where there is none and the environment says that this is meant.
    pub(crate) fn start() -> Option<Self> {
        Self::with(Desk::new(), "--port", &[], None)
    }

    /// One that lets in nobody without this password.
    pub(crate) fn locked(password: &'static str) -> Option<Self> {
        Self::with(Desk::new(), "--port", &["--requirepass", password], Some(password))
    }

    /// One that speaks TLS alone, as `localhost`.
    pub(crate) fn encrypted(authority: &Authority) -> Option<Self> {
        let desk = Desk::new();
        let (certificate, key) = authority.issue(&["localhost"]);
        let files = [("cert", certificate), ("key", key), ("ca-cert", authority.pem())];
        let mut flags =
            vec!["--port".to_owned(), "0".to_owned(), "--tls-auth-clients".into(), "no".into()];
        for (name, content) in files {
            let path = desk.file(name, content);
            flags.extend([format!("--tls-{name}-file"), path.to_str().unwrap().to_owned()]);
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        Self::with(desk, "--tls-port", &flags, None)
    }

    fn with(
        desk: Desk,
        port_flag: &str,
        flags: &[&str],
        password: Option<&'static str>,
    ) -> Option<Self> {
        if !present() {
            return None;
        }
        let socket = desk.path("redis.sock");
        let (process, flags, port) = until("a port that is free", || {
            let port = fastrand::u16(PORTS);
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            let own = [port_flag, &port.to_string(), "--unixsocket", socket.to_str().unwrap()];
            let flags: Vec<_> = flags.iter().chain(&own).map(ToString::to_string).collect();
            let mut process = launch(&desk, &flags);
            // Somebody else may have taken the port since.
            answers(&mut process, &socket, password).then_some((process, flags, port))
        });
        Some(Self { process, flags, password, port, desk })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.desk.path("redis.sock")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What a run is told.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Kills it: nobody is told, nothing is kept.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after a kill, on the same port and with nothing in it.
    pub(crate) fn start_anew(&mut self) {
        self.process = launch(&self.desk, &self.flags);
        let socket = self.socket();
        assert!(
            answers(&mut self.process, &socket, self.password),
            "the port is taken: {}",
            self.log()
        );
    }

    /// Stops it where it stands; connections stay, and nobody gets an answer.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// A command and its reply, which has to be none of an error.
    pub(crate) fn call(&self, words: &[&str]) -> wire::Reply {
        let mut wire = Wire::connect(&self.socket(), self.password).unwrap();
        wire.call(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Lets it take nothing more into its memory; whatever wants to write is refused.
    pub(crate) fn fill(&self) {
        self.call(&["CONFIG", "SET", "maxmemory", "1"]);
    }

    pub(crate) fn empty(&self) {
        self.call(&["CONFIG", "SET", "maxmemory", "0"]);
    }

    /// Everything that is in it.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        Wire::connect(&self.socket(), self.password).unwrap().entries()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.desk.path("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether there is a server to start; where there is none, the environment has to say that this is meant.
fn present() -> bool {
    if Command::new("redis-server").arg("--version").output().is_ok() {
        return true;
    }
    let meant = std::env::var_os("DINGMAP_TEST_WITHOUT_REDIS").is_some_and(|set| set == "1");
    assert!(
        meant,
        "there is no redis-server on the PATH: `apt-get install redis-server`, or leave these checks out with DINGMAP_TEST_WITHOUT_REDIS=1"
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "what a test leaves out must be seen, and its prints are not"
    )]
    let mut loud = std::io::stderr();
    let _ = writeln!(loud, "NOT TESTED, for want of redis-server: runs that share one quota");
    false
}

/// Waits until a server answers; false where it ended instead.
fn answers(process: &mut Child, socket: &Path, password: Option<&str>) -> bool {
    until("an answer of the server", || {
        if process.try_wait().unwrap().is_some() {
            return Some(false);
        }
        let mut wire = Wire::connect(socket, password)?;
        wire.call(&["PING"]).is_ok().then_some(true)
    })
}

/// A server that keeps nothing on any disk and is spoken to on this machine alone.
fn launch(desk: &Desk, flags: &[String]) -> Child {
    let usual = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];
    Command::new("redis-server")
        .args(usual)
        .arg("--dir")
        .arg(desk.path(""))
        .arg("--logfile")
        .arg(desk.path("log"))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
