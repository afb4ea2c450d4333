//! The progress and the stop flag of a comparison, shared by its thread and the display.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Old,
    New,
}

/// Relaxed atomics suffice: the counts only grow, and no other data depends on them.
#[derive(Debug, Default)]
pub(crate) struct DiffProgress {
    stop: AtomicBool,
    read: [AtomicU64; 2],
    compared: AtomicU64,
}

impl DiffProgress {
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub(crate) fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn add_read(&self, side: Side, rows: u64) {
        let [old, new] = &self.read;
        let count = if side == Side::Old { old } else { new };
        count.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_compared(&self, rows: u64) {
        self.compared.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows read of the old and the new table.
    #[must_use]
    pub(crate) fn rows_read(&self) -> [u64; 2] {
        self.read.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Rows compared, of both tables together.
    #[must_use]
    pub(crate) fn rows_compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }
}
