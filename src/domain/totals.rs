//! What a run amounts to: rows by status and calls by kind, and the check that no row was lost or doubled
//! (DESIGN 2.5). Leaves showing it to `app`.

use std::time::Duration;

use tr::tr;

use crate::domain::latency::Latency;
use crate::domain::outcome::Status;
use crate::domain::verdict::Limit;

/// Why a number was called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The API's answer was a transient one.
    Answer,
    /// No reply came, or not all of it: the line failed.
    Line,
    /// A reply came that was no answer of the API: of whatever stands in between, or of its web server alone.
    Foreign,
    /// A limit was met.
    Throttled,
    /// The token was not accepted.
    Token,
    /// The code is one that no source names.
    Unknown,
}

impl Repeat {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Answer, Self::Line, Self::Foreign, Self::Throttled, Self::Token, Self::Unknown];
}

/// The totals of a run. Rows are counted where they enter and where they leave, so that the two can disagree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rows taken from the input.
    pub rows_in: u64,
    /// Whether these are all: an interrupted run does not wait for the rest of a pipe.
    pub read_whole: bool,
    /// Rows handed to the output, by status in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    /// Rows handed to the output.
    pub rows_out: u64,
    /// Distinct numbers that were called.
    pub asked: u64,
    /// Rows whose answer another row's call gave.
    pub shared: u64,
    /// Rows whose answer an earlier session asked for.
    pub recalled: u64,
    /// Rows that had a definitive answer already and keep it.
    pub kept: u64,
    /// Calls of the directory, retries included.
    pub calls: u64,
    /// Calls that repeated an earlier one of the same number, by cause in the order of [`Repeat::ALL`].
    repeats: [u64; Repeat::ALL.len()],
    /// How long lookups took, from their departure to their whole reply; those that had none are not in it.
    pub latency: Latency,
    /// Times that throttling held the run, by what was exceeded in the order of [`Limit::ALL`].
    pub holds_by: [u64; Limit::ALL.len()],
    /// How long throttling held the run, by what was exceeded in the order of [`Limit::ALL`].
    pub held_by: [Duration; Limit::ALL.len()],
    /// Tokens fetched.
    pub tokens: u64,
    /// Calls for a token, of either kind.
    pub token_calls: u64,
}

/// What was exceeded, in a word for programs.
#[must_use]
pub(crate) fn limit(cause: Limit) -> &'static str {
    match cause {
        Limit::App => "app",
        Limit::Platform => "platform",
        Limit::Minute => "minute",
        Limit::Suspended => "suspended",
        Limit::Other => "other",
        Limit::Address => "address",
        Limit::Proxy => "proxy",
        Limit::Shared => "shared",
    }
}

/// The counts of a run that do not add up: a bug, never a row's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", tr!(
    "the counts do not add up: {rows_in} rows read, {rows_out} written, {statuses} with a status; this is a bug, please report it",
    rows_in, rows_out, statuses
))]
pub struct Mismatch {
    /// Rows taken from the input.
    pub rows_in: u64,
    /// Rows handed to the output.
    pub rows_out: u64,
    /// The sum over all statuses.
    pub statuses: u64,
}

impl Report {
    /// Counts rows handed to the output.
    pub fn count(&mut self, status: Status) {
        self.rows_out += 1;
        self.by_status[status as usize] += 1;
    }

    /// Rows with this status.
    #[must_use]
    pub fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Counts a call that repeated an earlier one of its number.
    pub fn repeated(&mut self, cause: Repeat) {
        self.repeats[cause as usize] += 1;
    }

    /// Calls that were repeated for this cause.
    #[must_use]
    pub fn repeats(&self, cause: Repeat) -> u64 {
        self.repeats[cause as usize]
    }

    /// Calls that repeated an earlier one of the same number, whatever the cause.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.repeats.iter().sum()
    }

    /// How often throttling held the run in all.
    #[must_use]
    pub fn holds(&self) -> u64 {
        self.holds_by.iter().sum()
    }

    /// How long throttling held the run in all.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.held_by.iter().sum()
    }

    /// Rows in = rows out = the sum over statuses.
    ///
    /// # Errors
    /// The three numbers, where they differ.
    pub fn check(&self) -> Result<(), Mismatch> {
        let statuses = self.by_status.iter().sum();
        if self.rows_in == self.rows_out && self.rows_out == statuses {
            return Ok(());
        }
        Err(Mismatch { rows_in: self.rows_in, rows_out: self.rows_out, statuses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_add_up_and_counts_that_do_not() {
        let mut report = Report { rows_in: 2, ..Report::default() };
        report.count(Status::Found);
        assert_eq!(report.check(), Err(Mismatch { rows_in: 2, rows_out: 1, statuses: 1 }));
        report.count(Status::Pending);
        assert_eq!(report.check(), Ok(()));
        assert_eq!((report.rows(Status::Found), report.rows(Status::Pending)), (1, 1));
        report.rows_out += 1;
        assert!(report.check().is_err());
    }
}
