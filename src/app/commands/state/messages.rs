//! Messages about the state: what an earlier run left, what this run leaves, and what to do if the
//! state cannot be used.

use std::path::Path;

use tr::tr;

use crate::app::exit::{Exit, Failure};
use crate::app::format::{format_since, group_thousands};
use crate::store::disk::database::StateError;
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::EarlierRun;
use crate::store::disk::writer::WriteError;

/// What becomes of the answers of a run that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// Lost: there is no state.
    None,
    /// Kept for the same access token.
    TokenOnly,
    /// Kept, but the same command would delete them first (`--restart`).
    Restart,
    Persistent,
    /// Kept in the file that the same command reads.
    InPlace,
}

/// Adds what the next run will find to the reason why a run ended early. `lost` is the error that
/// kept the last answers from being written.
#[must_use]
pub(crate) fn with_resume_hint(
    failure: &Failure,
    kind: StateKind,
    lost: Option<&WriteError>,
) -> Failure {
    let outlook = match (kind, lost) {
        (_, Some(lost)) => tr!(
            "the answers are kept, except those of about the last second, which could not be \
             written: {cause}. Fix that and run the same command again to resume",
            cause = lost
        ),
        (StateKind::None, None) => {
            tr!("without a state file no answers are kept; the same command starts from the \
                 beginning")
        }
        (StateKind::TokenOnly, None) => {
            tr!(
                "the answers are kept for this token: the same command resumes with it, and starts \
                 over with another token"
            )
        }
        (StateKind::Restart, None) => {
            tr!("the answers are kept; the same command without --restart resumes the run")
        }
        (StateKind::Persistent, None) => {
            tr!("the answers are kept; the same command resumes the run")
        }
        (StateKind::InPlace, None) => {
            tr!("the answers are in the file; the same command asks the remaining rows")
        }
    };
    failure.with_line(&outlook)
}

#[must_use]
pub(crate) fn resume_message(earlier_run: &EarlierRun, rows: Option<u64>) -> Option<String> {
    match *earlier_run {
        EarlierRun::Resumed { answers: known, started } if known > 0 => {
            let (known, since) = (group_thousands(known), format_since(started));
            Some(match rows.map(group_thousands) {
                Some(most) => {
                    tr!(
                        "resuming: {known} of at most {most} numbers known since {since}",
                        known,
                        most,
                        since
                    )
                }
                None => tr!("resuming: {known} numbers known since {since}", known, since),
            })
        }
        EarlierRun::Inherited { answers: known, started } if known > 0 => Some(tr!(
            "a run of another input was not finished: its {known} answers since {since} are reused \
             here (--restart asks again)",
            known = group_thousands(known),
            since = format_since(started)
        )),
        _ => None,
    }
}

#[must_use]
pub(crate) fn state_failure(path: &Path, error: &StateError) -> Failure {
    let remedy = match error {
        StateError::Lock(LockError::InUse(_)) => {
            tr!("Wait until it ends or use --wait; or name another file with --state, or use \
                 --no-state.")
        }
        StateError::NotFound => tr!("No answers are stored yet, or --state names another file."),
        StateError::NotStateFile => tr!("Name another file with --state."),
        StateError::TooNew(_) => tr!("Use the newer dingmap, or name another file with --state."),
        StateError::TooOld(_) => {
            tr!("Read it with `state export` of the dingmap that wrote it, or name another file \
                 with --state.")
        }
        StateError::Damaged(_) => {
            tr!("The next `dingmap resolve` with this file sets it aside and creates a new one.")
        }
        StateError::Lock(_) | StateError::Io(_) | StateError::Database(_) => {
            tr!("Free disk space or fix the reported problem, name another file with --state, or \
                 use --no-state (an interrupted run can then not be resumed).")
        }
    };
    let path = path.display();
    Failure::with_message(Exit::Error, tr!("state {path}: {error}. {remedy}", path, error, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::disk_store::wall_secs;

    #[test]
    fn the_resume_message_is_printed_only_when_useful() {
        let now = wall_secs();
        let resumed = |known| EarlierRun::Resumed { answers: known, started: now };
        let text = resume_message(&resumed(48210), Some(100_000)).unwrap();
        assert!(
            text.starts_with("resuming: 48 210 of at most 100 000 numbers known since "),
            "{text}"
        );
        assert!(
            resume_message(&resumed(7), None)
                .unwrap()
                .starts_with("resuming: 7 numbers known since ")
        );
        assert!(
            resume_message(&resumed(0), Some(1)).is_none()
                && resume_message(&EarlierRun::None, Some(1)).is_none()
        );
    }
}
