//! The executable with a clean environment, and a sandbox server for it to call.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dingmap::testing::sandbox::{CallLog, Script, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where the executable is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dingmap");

/// The executable, with nothing of this environment's that could change what it does.
pub(crate) fn dingmap() -> Command {
    // Nor are signals ignored that are ignored around the tests, as under `nohup` and in the
    // background of a script: it would honour that, and could not be interrupted.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT,HUP,TERM", PROGRAM]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("DINGMAP_") || text.starts_with("DINGTALK_") || text.ends_with("_PROXY")
        {
            command.env_remove(name);
        }
    }
    // Nor does it speak the language of whoever runs the tests.
    command.env("LC_ALL", "C");
    command.stdin(Stdio::null());
    // No run finds the answers of whoever runs the tests: those against an [`Api`] have a place of
    // their own.
    command.env("DINGMAP_NO_STATE", "1");
    command
}

/// How a run of the executable ended.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for RunOutput {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A sandbox on a thread of its own, and a data directory for the runs against it.
///
/// It serves HTTPS, as DingTalk does, and runs get the `--ca-file` that they need. Plain HTTP is
/// for tests that read raw bytes, put something between the run and the sandbox, or are about plain
/// HTTP.
pub(crate) struct Sandbox {
    server: Server,
    data_dir: TempDir,
    _runtime: Runtime,
}

impl Sandbox {
    pub(crate) fn new(script: Script) -> Self {
        Self::serve(|| Server::start_tls(script, 0))
    }

    pub(crate) fn with_plain_http(script: Script) -> Self {
        Self::serve(|| Server::start(script, 0))
    }

    fn serve<F: Future<Output = std::io::Result<Server>>>(start: impl FnOnce() -> F) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(start()).unwrap();
        let data_dir = tempfile::tempdir().unwrap();
        if let Some(pem) = server.ca_certificate() {
            std::fs::write(data_dir.path().join("ca.pem"), pem).unwrap();
        }
        Self { server, data_dir, _runtime: runtime }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// What a client must trust; none with plain HTTP.
    pub(crate) fn ca_file(&self) -> Option<PathBuf> {
        self.server.ca_certificate().map(|_| self.data_dir.path().join("ca.pem"))
    }

    /// The state file that runs use unless flags say otherwise.
    pub(crate) fn state_path(&self) -> PathBuf {
        self.data_dir.path().join("dingmap/state.redb")
    }

    /// What the server saw so far.
    pub(crate) fn call_log(&self) -> CallLog {
        self.server.call_log()
    }

    /// Changes what the server does from now on.
    pub(crate) fn update_script(&self, change: impl FnOnce(&mut Script)) {
        self.server.update_script(change);
    }

    /// `dingmap resolve` against this sandbox with its app key, unlimited and with short backoffs
    /// unless flags say otherwise: `--rate` and the like may be given again, and the last one
    /// counts.
    pub(crate) fn resolve(&self, input: &Path, output: &Path) -> Command {
        self.resolve_at_endpoint(&self.endpoint(), input, output)
    }

    /// The same at another address, by which this sandbox is reached.
    pub(crate) fn resolve_at_endpoint(
        &self,
        endpoint: &str,
        input: &Path,
        output: &Path,
    ) -> Command {
        let mut command = self.resolve_without_output(endpoint, input);
        command.arg("-o").arg(output);
        command
    }

    /// The same without a word about the output.
    pub(crate) fn resolve_without_output(&self, endpoint: &str, input: &Path) -> Command {
        let mut command = dingmap();
        command.args(["resolve".as_ref(), input.as_os_str()]);
        command.args(["--endpoint", endpoint]);
        if let Some(path) = self.ca_file() {
            command.arg("--ca-file").arg(path);
        }
        command.env("DINGTALK_APP_KEY", "sandbox-key").env("DINGTALK_APP_SECRET", "sandbox-secret");
        command
            .env_remove("DINGMAP_NO_STATE")
            .env("XDG_DATA_HOME", self.data_dir.path())
            .env("DINGMAP_RATE", "unlimited")
            .env("DINGMAP_RETRY_MIN", "5ms")
            .env("DINGMAP_RETRY_MAX", "50ms");
        command
    }
}

/// A script without a limit, for tests that are not about pace.
pub(crate) fn unlimited_script() -> Script {
    Script { limit: None, ..Script::default() }
}

/// Replies that take so long, so that a run can be observed while it is running.
pub(crate) fn slow_script(milliseconds: u64) -> Script {
    let latency = Duration::from_millis(milliseconds);
    Script { latency: latency..=latency, ..unlimited_script() }
}

/// A run to its end.
pub(crate) fn run(command: &mut Command) -> RunOutput {
    command.output().unwrap().into()
}
