//! A running executable: its standard error in a file, signals, and waiting with a time limit.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::sandbox::RunOutput;
use crate::support::workdir::Workdir;

/// Far longer than anything here takes on a busy machine.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until `condition` gives something.
pub(crate) fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < WAIT_TIMEOUT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The running executable, with its standard error in a file; it never outlives its test.
pub(crate) struct Process {
    pub(crate) child: Child,
    stderr_path: PathBuf,
    _workdir: Workdir,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let workdir = Workdir::new();
        let errors = workdir.path("stderr");
        let child = command.stderr(File::create(&errors).unwrap()).spawn().unwrap();
        Self { child, stderr_path: errors, _workdir: workdir }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr_path).unwrap()
    }

    pub(crate) fn wait_for_stderr(&self, words: &str) {
        wait_until(words, || self.stderr().contains(words).then_some(()));
    }

    pub(crate) fn send_signal(&self, name: &str) {
        let kill =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> RunOutput {
        let status = wait_until("the end of the process", || self.child.try_wait().unwrap());
        RunOutput { status: status.code(), stdout: String::new(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
