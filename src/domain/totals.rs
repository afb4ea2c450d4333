//! The totals of a run, and the check that no row was lost or duplicated
//! ([row contract](crate::guide::architecture#row-contract)).

use std::time::Duration;

use tr::tr;

use crate::domain::latency::Latency;
use crate::domain::outcome::Status;
use crate::domain::verdict::Limit;

/// Why a number was called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCause {
    /// The API answered with a transient code.
    Transient,
    /// No reply, or an incomplete one.
    Connection,
    /// This machine could not open a connection.
    Machine,
    /// A reply that is not from the API, but from a proxy or the API's web server.
    UnexpectedReply,
    Throttled,
    TokenRejected,
    /// A code that no source documents.
    UnknownCode,
}

impl RetryCause {
    pub const ALL: [Self; 7] = [
        Self::Transient,
        Self::Connection,
        Self::Machine,
        Self::UnexpectedReply,
        Self::Throttled,
        Self::TokenRejected,
        Self::UnknownCode,
    ];
}

/// The totals of a run. Rows are counted separately on input and on output, for [`Totals::check`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Rows taken from the input.
    pub rows_in: u64,
    /// Whether `rows_in` is all of the input: an interrupted run does not read a pipe to its end.
    pub input_complete: bool,
    /// Rows passed to the output, in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    /// Rows passed to the output.
    pub rows_out: u64,
    /// Input bytes of those rows, counted where the reader consumes them.
    pub bytes_in: u64,
    /// Input bytes of those rows that the writer wrote, or replaced on purpose. Counted before they
    /// are encoded; appended cells are not counted.
    pub bytes_out: u64,
    /// Distinct numbers for which a call was made.
    pub numbers_asked: u64,
    /// Rows answered by the call of another row.
    pub rows_shared: u64,
    /// Rows answered from an earlier session.
    pub rows_known: u64,
    /// Rows that already had a definitive answer and keep it.
    pub rows_kept: u64,
    /// Lookup calls, including retries.
    pub calls: u64,
    /// In the order of [`RetryCause::ALL`].
    retries_by_cause: [u64; RetryCause::ALL.len()],
    /// From the start of a lookup call to its complete reply. Calls without a reply are not
    /// counted.
    pub latency: Latency,
    /// In the order of [`Limit::ALL`].
    pub pauses_by_limit: [u64; Limit::ALL.len()],
    /// In the order of [`Limit::ALL`].
    pub pause_time_by_limit: [Duration; Limit::ALL.len()],
    pub tokens_fetched: u64,
    /// Token calls to both endpoints.
    pub token_calls: u64,
}

/// The limit's name in JSON and metrics.
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
        Limit::Machine => "machine",
    }
}

/// The row counts do not match, which is always a bug. The run exits with status 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", tr!(
    "row or byte counts do not match: {rows_in} rows read, {rows_out} written, {statuses} with a \
     status; {bytes_in} bytes of rows read, {bytes_out} written; this is a bug, please report it",
    rows_in, rows_out, statuses, bytes_in, bytes_out
))]
pub struct TotalsMismatch {
    pub rows_in: u64,
    pub rows_out: u64,
    /// The sum over all statuses.
    pub statuses: u64,
    /// Bytes of the rows taken from the input.
    pub bytes_in: u64,
    /// Bytes of the rows that the output has.
    pub bytes_out: u64,
}

impl Totals {
    /// Counts a row passed to the output.
    pub fn count_row(&mut self, status: Status) {
        self.rows_out += 1;
        self.by_status[status as usize] += 1;
    }

    #[must_use]
    pub fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    pub fn count_retry(&mut self, cause: RetryCause) {
        self.retries_by_cause[cause as usize] += 1;
    }

    #[must_use]
    pub fn retries_for(&self, cause: RetryCause) -> u64 {
        self.retries_by_cause[cause as usize]
    }

    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries_by_cause.iter().sum()
    }

    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses_by_limit.iter().sum()
    }

    #[must_use]
    pub fn pause_time(&self) -> Duration {
        self.pause_time_by_limit.iter().sum()
    }

    /// Checks that rows in = rows out = the sum over statuses, and that bytes in = bytes out.
    ///
    /// # Errors
    /// The counts if they differ; the run then exits with status 1.
    pub fn check(&self) -> Result<(), TotalsMismatch> {
        let statuses = self.by_status.iter().sum();
        let rows_agree = self.rows_in == self.rows_out && self.rows_out == statuses;
        if rows_agree && self.bytes_in == self.bytes_out {
            return Ok(());
        }
        Err(TotalsMismatch {
            rows_in: self.rows_in,
            rows_out: self.rows_out,
            statuses,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inconsistent_totals_are_detected() {
        let mut totals = Totals { rows_in: 2, ..Totals::default() };
        totals.count_row(Status::Found);
        let mismatch =
            TotalsMismatch { rows_in: 2, rows_out: 1, statuses: 1, bytes_in: 0, bytes_out: 0 };
        assert_eq!(totals.check(), Err(mismatch));
        totals.count_row(Status::Pending);
        assert_eq!(totals.check(), Ok(()));
        assert_eq!((totals.rows(Status::Found), totals.rows(Status::Pending)), (1, 1));
        (totals.bytes_in, totals.bytes_out) = (10, 9);
        assert_eq!(
            totals.check().unwrap_err().to_string(),
            "row or byte counts do not match: 2 rows read, 2 written, 2 with a status; 10 bytes of \
             rows read, 9 written; this is a bug, please report it"
        );
        totals.bytes_out += 1;
        totals.rows_out += 1;
        assert!(totals.check().is_err());
    }
}
