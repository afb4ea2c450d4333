//! How many rows of a table have each status.

use crate::domain::outcome::Status;

#[derive(Debug, Default)]
pub(super) struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    /// Counts a row by its cell with the status.
    pub(super) fn count(&mut self, cell: Option<&str>) {
        if let Some(Ok(status)) = cell.map(|cell| Status::parse(cell, 0)) {
            self.0[status as usize] += 1;
        }
    }

    #[must_use]
    pub(super) fn rows_with(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    #[must_use]
    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
