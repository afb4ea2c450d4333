//! What a run amounts to: rows by status and calls by kind, and the check that no row was lost or doubled
//! (DESIGN 2.5). Leaves showing it to `app`.

use std::time::Duration;

use tr::tr;

use crate::domain::latency::Latency;
use crate::domain::outcome::Status;
use crate::domain::verdict::Limit;

/// Why a number was called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCause {
    /// The API's answer was a transient one.
    Transient,
    /// No reply came, or not all of it: the line failed.
    Connection,
    /// A reply came that was no answer of the API: of whatever stands in between, or of its web server alone.
    UnexpectedReply,
    /// A limit was met.
    Throttled,
    /// The token was not accepted.
    TokenRejected,
    /// The code is one that no source names.
    UnknownCode,
}

impl RetryCause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Transient,
        Self::Connection,
        Self::UnexpectedReply,
        Self::Throttled,
        Self::TokenRejected,
        Self::UnknownCode,
    ];
}

/// The totals of a run. Rows are counted where they enter and where they leave, so that the two can disagree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Rows taken from the input.
    pub rows_in: u64,
    /// Whether these are all: an interrupted run does not wait for the rest of a pipe.
    pub input_complete: bool,
    /// Rows handed to the output, by status in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    /// Rows handed to the output.
    pub rows_out: u64,
    /// Distinct numbers that were called.
    pub numbers_asked: u64,
    /// Rows whose answer another row's call gave.
    pub rows_shared: u64,
    /// Rows whose answer an earlier session asked for.
    pub rows_known: u64,
    /// Rows that had a definitive answer already and keep it.
    pub rows_kept: u64,
    /// Calls of the directory, retries included.
    pub calls: u64,
    /// Calls that repeated an earlier one of the same number, by cause in the order of [`Repeat::ALL`].
    retries_by_cause: [u64; RetryCause::ALL.len()],
    /// How long lookups took, from their departure to their whole reply; those that had none are not in it.
    pub latency: Latency,
    /// Times that throttling held the run, by what was exceeded in the order of [`Limit::ALL`].
    pub pauses_by_limit: [u64; Limit::ALL.len()],
    /// How long throttling held the run, by what was exceeded in the order of [`Limit::ALL`].
    pub pause_time_by_limit: [Duration; Limit::ALL.len()],
    /// Tokens fetched.
    pub tokens_fetched: u64,
    /// Calls for a token, of either kind.
    pub token_calls: u64,
}

/// What was exceeded, in a word for programs.
#[must_use]
pub(crate) fn limit_name(cause: Limit) -> &'static str {
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
pub struct TotalsMismatch {
    /// Rows taken from the input.
    pub rows_in: u64,
    /// Rows handed to the output.
    pub rows_out: u64,
    /// The sum over all statuses.
    pub statuses: u64,
}

impl Totals {
    /// Counts rows handed to the output.
    pub fn count_row(&mut self, status: Status) {
        self.rows_out += 1;
        self.by_status[status as usize] += 1;
    }

    /// Rows with this status.
    #[must_use]
    pub fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Counts a call that repeated an earlier one of its number.
    pub fn count_retry(&mut self, cause: RetryCause) {
        self.retries_by_cause[cause as usize] += 1;
    }

    /// Calls that were repeated for this cause.
    #[must_use]
    pub fn retries_for(&self, cause: RetryCause) -> u64 {
        self.retries_by_cause[cause as usize]
    }

    /// Calls that repeated an earlier one of the same number, whatever the cause.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries_by_cause.iter().sum()
    }

    /// How often throttling held the run in all.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses_by_limit.iter().sum()
    }

    /// How long throttling held the run in all.
    #[must_use]
    pub fn pause_time(&self) -> Duration {
        self.pause_time_by_limit.iter().sum()
    }

    /// Rows in = rows out = the sum over statuses.
    ///
    /// # Errors
    /// The three numbers, where they differ.
    pub fn check(&self) -> Result<(), TotalsMismatch> {
        let statuses = self.by_status.iter().sum();
        if self.rows_in == self.rows_out && self.rows_out == statuses {
            return Ok(());
        }
        Err(TotalsMismatch { rows_in: self.rows_in, rows_out: self.rows_out, statuses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inconsistent_totals_are_detected() {
        let mut report = Totals { rows_in: 2, ..Totals::default() };
        report.count_row(Status::Found);
        assert_eq!(report.check(), Err(TotalsMismatch { rows_in: 2, rows_out: 1, statuses: 1 }));
        report.count_row(Status::Pending);
        assert_eq!(report.check(), Ok(()));
        assert_eq!((report.rows(Status::Found), report.rows(Status::Pending)), (1, 1));
        report.rows_out += 1;
        assert!(report.check().is_err());
    }
}
