//! What each status means and what to do about it, for people.

use tr::tr;

use crate::domain::outcome::Status;

#[must_use]
pub(crate) fn meaning(status: Status) -> String {
    match status {
        Status::Found => tr!("the directory has a user with this number"),
        Status::NotFound => tr!("nobody in the organization has this number"),
        Status::BadNumber => tr!("the API refused the number"),
        Status::Invalid => tr!("not sent; errmsg says why"),
        Status::OutOfScope => tr!("outside the app's contact scope"),
        Status::Failed => tr!("may succeed on another try"),
        Status::Pending => tr!("the run ended first"),
    }
}

/// What a person can do about rows with a status; empty for `found`.
#[must_use]
pub(crate) fn remedy(status: Status) -> String {
    match status {
        Status::Found => String::new(),
        Status::NotFound => {
            tr!("Check these numbers, and that the app belongs to the organization of these \
                 people. Correct them in the output and ask again with --retry-failed, or correct \
                 them at their source and run again.")
        }
        Status::BadNumber => {
            tr!(
                "Correct these numbers in the output and ask again with --retry-failed, or correct \
                 them at their source and run again."
            )
        }
        Status::Invalid => {
            tr!("Correct these cells in the output and ask again with --retry-failed, or correct \
                 them at their source and run again. Digits that Excel rounded are missing from \
                 the CSV: format the column as text and export it again, or use the workbook \
                 (.xlsx) itself.")
        }
        Status::OutOfScope => {
            tr!("Widen the app's contact scope in the developer console and run again.")
        }
        Status::Failed => tr!(
            "They may succeed on another try: --retry-failed asks only these rows of a resolved \
             file again, and --failed FILE writes them to a separate input file."
        ),
        Status::Pending => {
            tr!("Run the same command again: it continues from the answers in the state.")
        }
    }
}
