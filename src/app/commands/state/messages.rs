//! The words about the state: what an earlier run left, what this one leaves, and what to do where the state cannot be
//! worked with. What is kept is decided elsewhere.

use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tr::tr;

use crate::app::exit::{Exit, Failure};
use crate::store::disk::database::StateError;
use crate::store::disk::lock::LockError;
use crate::store::disk::sessions::EarlierRun;
use crate::store::disk::writer::WriteError;

/// What becomes of answers once a run has ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// They are gone: there is no state.
    None,
    /// They are kept for whoever asks with the same token.
    TokenOnly,
    /// They are kept, and the same command would forget them again.
    Restart,
    /// They are kept.
    Persistent,
    /// They stand in the file that the same command reads.
    InPlace,
}

/// Adds to the reason why a run ended early what its next start will find. `lost` is why the last answers could not be
/// kept, if they could not.
#[must_use]
pub(crate) fn with_resume_hint(
    failure: &Failure,
    memory: StateKind,
    lost: Option<&WriteError>,
) -> Failure {
    let outlook = match (memory, lost) {
        (_, Some(lost)) => tr!(
            "what was answered is kept up to about a second before; the last answers could not be: {cause}. The same command goes on from there once that is mended",
            cause = lost
        ),
        (StateKind::None, None) => {
            tr!("nothing is kept without a state file; the same command starts from the beginning")
        }
        (StateKind::TokenOnly, None) => {
            tr!(
                "what was answered is kept for this token: the same command with it goes on from there, and with another starts anew"
            )
        }
        (StateKind::Restart, None) => {
            tr!("what was answered is kept; the same command without --restart goes on from there")
        }
        (StateKind::Persistent, None) => {
            tr!("what was answered is kept; the same command goes on from there")
        }
        (StateKind::InPlace, None) => {
            tr!(
                "what was answered stands in the file; the same command asks the rows that are left"
            )
        }
    };
    Failure::with_message(failure.exit, format!("{:#}\n  {outlook}", failure.error))
}

/// What to say of what an earlier run left.
#[must_use]
pub(crate) fn resume_message(found: &EarlierRun, rows: Option<u64>) -> Option<String> {
    match *found {
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
            "another input was not finished: its {known} numbers, known since {since}, are used where they occur here (--restart asks anew)",
            known = group_thousands(known),
            since = format_since(started)
        )),
        _ => None,
    }
}

/// What to say where a state cannot be worked with.
#[must_use]
pub(crate) fn state_failure(path: &Path, error: &StateError) -> Failure {
    let way_out = match error {
        StateError::Lock(LockError::InUse(_)) => {
            tr!(
                "Wait until it has ended, or give --wait to have this one wait; --state names another file, and --no-state uses none."
            )
        }
        StateError::NotFound => tr!("Nothing was kept yet, or --state names another file."),
        StateError::NotStateFile => tr!("Name another file with --state."),
        StateError::TooNew(_) => tr!("Use the newer dingmap, or name another file with --state."),
        StateError::TooOld(_) => {
            tr!(
                "Use the dingmap that wrote it and its `state export` to see what it knows, or name another file with --state."
            )
        }
        StateError::Damaged(_) => {
            tr!("The next `dingmap resolve` with this file sets it aside and begins a fresh one.")
        }
        StateError::Lock(_) | StateError::Io(_) | StateError::Database(_) => {
            tr!(
                "Make room or mend what the system says, name another file with --state, or use --no-state, with which an interrupted run cannot go on."
            )
        }
    };
    let path = path.display();
    Failure::with_message(
        Exit::Error,
        tr!("state {path}: {error}. {way_out}", path, error, way_out),
    )
}

/// A count with its thousands apart.
#[must_use]
pub(crate) fn group_thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time of the past as people say it: the clock's for today, with the date for others.
#[must_use]
pub(crate) fn format_since(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default().to_zoned(TimeZone::system());
    let today = time.date() == Zoned::now().date();
    time.strftime(if today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
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
        assert!(format_since(0).starts_with("19") && format_since(now).len() == 5);
        assert_eq!(
            [0, 999, 1000, 1_000_000].map(group_thousands),
            ["0", "999", "1 000", "1 000 000"]
        );
    }
}
