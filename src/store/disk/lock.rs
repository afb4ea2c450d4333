//! An exclusive lock on a file next to the state, so that one run uses it at a time. The file
//! contains the process id. The system releases the lock however the process ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tr::tr;

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it: which one, where that can be told.
    #[error("{}", .0.map_or_else(|| tr!("in use by another process"), |pid| tr!("in use by process {pid}", pid)))]
    InUse(Option<u32>),
    /// The file beside the state cannot be had.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl Lock {
    /// Takes the lock of a state file. Where another process has it, `waits` makes this block until
    /// it lets go, for which there is no bound.
    ///
    /// # Errors
    /// [`LockError`].
    pub(crate) fn acquire(state: &Path, waits: bool) -> Result<Self, LockError> {
        let path = with_suffix(state, ".lock");
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600);
        let failed = |cause| LockError::File { path: path.clone(), cause };
        let mut file = open.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if waits => file.lock().map_err(failed)?,
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy: that it is held is known.
                let _ = (&file).take(20).read_to_string(&mut holder);
                return Err(LockError::InUse(holder.trim().parse().ok()));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let mut holder = String::new();
        let _ = (&file).take(20).read_to_string(&mut holder);
        if !holder.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(failed(io::Error::other(tr!(
                "this is no lock of dingmap, and stands where one has to be"
            ))));
        }
        // A courtesy too: on a full disk the lock holds without.
        let _ = file
            .rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The path of a file that stands beside the state: its name and what is added to it.
#[must_use]
pub(crate) fn with_suffix(state: &Path, ending: &str) -> PathBuf {
    let mut path = OsString::from(state);
    path.push(ending);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_learns_the_lock_holder_and_can_wait() {
        let desk = tempfile::tempdir().unwrap();
        let state = desk.path().join("s");
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
        let desk = tempfile::tempdir().unwrap();
        let refused = Lock::acquire(&desk.path().join("no/such"), true).unwrap_err();
        assert!(
            matches!(refused, LockError::File { .. }) && refused.to_string().contains("such.lock"),
            "{refused}"
        );
    }
}
