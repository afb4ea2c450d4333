//! A temporary directory for the files of one test.

use std::ffi::OsStr;
use std::path::PathBuf;

use tempfile::TempDir;

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
