//! What the tests stand on: the executable with a clean environment, a sandbox to call, a directory for files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dingmap::testing::sandbox::CallLog;
use dingmap::testing::sandbox::Script;
use dingmap::testing::sandbox::Server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where the executable is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dingmap");

/// The executable, with nothing of this environment's that could change what it does.
pub(crate) fn dingmap() -> Command {
    // Nor are signals ignored that are ignored around the tests, as under `nohup` and in the background of a script: it would
    // honour that, and could not be interrupted.
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
    // No run finds the answers of whoever runs the tests: those against an [`Api`] have a place of their own.
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

/// A sandbox that serves as long as this lives, on threads of its own, and a data directory for the runs against it.
pub(crate) struct Sandbox {
    server: Server,
    data_dir: TempDir,
    _runtime: Runtime,
}

impl Sandbox {
    pub(crate) fn new(script: Script) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start(script, 0)).unwrap();
        Self { server, data_dir: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
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

    /// `dingmap resolve` against this sandbox with its app key, unlimited and with short backoffs unless flags
    /// say otherwise: `--rate` and the like may be given again, and the last one counts.
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

/// A table of so many numbers, all of which the sandbox finds.
pub(crate) fn staff_csv(count: u32) -> String {
    let rows: Vec<_> = (0..count).map(|n| format!("139{:06}{:02}\n", n / 80, n % 80)).collect();
    "mobile\n".to_owned() + &rows.concat()
}

/// A directory with an input, gone at the end.
pub(crate) struct Workdir {
    directory: TempDir,
}

impl Workdir {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.directory.path().join(name.as_ref())
    }

    /// Writes a file and gives its path.
    pub(crate) fn write_file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Every name in the directory, in order: a run must leave nothing behind.
    pub(crate) fn file_names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// A run to its end.
pub(crate) fn run(command: &mut Command) -> RunOutput {
    command.output().unwrap().into()
}

/// Sees that something is as its schema in `samples/` says.
#[track_caller]
pub(crate) fn assert_matches_schema(name: &str, told: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("samples/{name}.schema.json"));
    let published = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut whole = Value::clone(&published);
    forbid_unknown_fields(&mut whole);
    for schema in [published, whole] {
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(told)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?} in {told:#}");
    }
}

/// Lets a schema take no field that it does not name: programs are told to pass over those, and we are to describe them all.
fn forbid_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            parts.values_mut().for_each(forbid_unknown_fields);
            if parts.get("properties").is_some_and(Value::is_object) {
                parts.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(forbid_unknown_fields),
        _ => {}
    }
}

/// An output, as rows by column name.
pub(crate) fn read_rows(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}
