//! How far a comparison is, and whether it should stop: what the thread that works and the one that shows it share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The earlier one.
    Old,
    /// The later one.
    New,
}

/// The work as others see it. Counts only grow, and nothing hangs on their order.
#[derive(Debug, Default)]
pub(crate) struct DiffProgress {
    stop: AtomicBool,
    read: [AtomicU64; 2],
    compared: AtomicU64,
}

impl DiffProgress {
    /// Asks the work to stop.
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it should.
    #[must_use]
    pub(crate) fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts rows of a table that were read.
    pub(crate) fn add_read(&self, side: Side, rows: u64) {
        let [old, new] = &self.read;
        let count = if side == Side::Old { old } else { new };
        count.fetch_add(rows, Ordering::Relaxed);
    }

    /// Counts rows of either table that were compared.
    pub(crate) fn add_compared(&self, rows: u64) {
        self.compared.fetch_add(rows, Ordering::Relaxed);
    }

    /// How many rows of the old table and of the new one were read.
    #[must_use]
    pub(crate) fn rows_read(&self) -> [u64; 2] {
        self.read.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How many of both were compared.
    #[must_use]
    pub(crate) fn rows_compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }
}
