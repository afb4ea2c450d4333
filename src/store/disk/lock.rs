//! An exclusive lock on a file next to the state, so that only one process uses the state. The
//! file contains the process id. The system releases the lock however the process ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tr::tr;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it; its process id, if known.
    #[error("{}", match .0 {
        None => tr!("in use by another process"),
        Some(pid) => tr!("in use by process {pid}", pid),
    })]
    InUse(Option<u32>),
    /// The lock file cannot be opened or locked.
    #[error("{path}: {cause}")]
    File { path: PathBuf, cause: io::Error },
}

impl Lock {
    /// Acquires the lock of a state file. If another process holds it and `waits` is set, this
    /// blocks, without a time limit, until that process releases it.
    pub(crate) fn acquire(state: &Path, waits: bool) -> Result<Self, LockError> {
        let path = with_suffix(state, ".lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let failed = |cause| LockError::File { path: path.clone(), cause };
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if waits => file.lock().map_err(failed)?,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Optional: without the process id the lock is still reported as in use.
                let _ = (&file).take(20).read_to_string(&mut holder);
                return Err(LockError::InUse(holder.trim().parse().ok()));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let mut holder = String::new();
        let _ = (&file).take(20).read_to_string(&mut holder);
        if !holder.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(failed(io::Error::other(tr!("not a dingmap lock file"))));
        }
        // Optional as well: on a full disk the lock works without the process id.
        let _ = file
            .rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The path of a file next to the state, named by adding a suffix.
#[must_use]
pub(crate) fn with_suffix(state: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(state);
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_learns_the_lock_holder_and_can_wait() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s");
        let lock = Lock::acquire(&state, false).unwrap();
        let refused = Lock::acquire(&state, false).unwrap_err();
        assert!(
            matches!(refused, LockError::InUse(Some(pid)) if pid == std::process::id()),
            "{refused}"
        );
        let waiting = std::thread::spawn({
            let state = state.clone();
            move || Lock::acquire(&state, true).map(drop)
        });
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(!waiting.is_finished());
        drop(lock);
        waiting.join().unwrap().unwrap();
        Lock::acquire(&state, false).unwrap();
    }

    #[test]
    fn an_unusable_lock_path_is_not_reported_as_locked() {
        let directory = tempfile::tempdir().unwrap();
        let refused = Lock::acquire(&directory.path().join("no/such"), true).unwrap_err();
        assert!(
            matches!(refused, LockError::File { .. }) && refused.to_string().contains("such.lock"),
            "{refused}"
        );
    }
}
