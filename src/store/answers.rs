//! The answers that a run knows: all in memory, or definitive ones on disk and others in memory.

use std::sync::Arc;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::disk_store::{DiskStore, Flushed};
use crate::store::disk::prefetch::{Prefetched, Prefetcher, StoredAnswer};
use crate::store::disk::record::is_definitive;
use crate::store::disk::resolved_files::FileRecords;
use crate::store::disk::writer::WriteError;
use crate::store::memory::MemoryStore;

/// The answers that a run knows. A failed number counts as known for this run: its repeats are not
/// looked up again.
#[derive(Debug, Default)]
pub struct Answers {
    memory: MemoryStore,
    disk: Option<DiskStore>,
}

impl Answers {
    /// Reads stored answers from `disk` and stores definitive ones there.
    #[must_use]
    pub fn with_disk(disk: DiskStore) -> Self {
        Self { memory: MemoryStore::default(), disk: Some(disk) }
    }

    /// One [`Prefetcher`] per thread; none without a disk store.
    pub fn prefetchers(&mut self, threads: usize) -> Vec<Prefetcher> {
        self.disk.as_mut().map(|disk| disk.prefetchers(threads)).unwrap_or_default()
    }

    /// See [`DiskStore::file_records`]; none without a disk store.
    #[must_use]
    pub(crate) fn file_records(&self) -> Option<FileRecords> {
        self.disk.as_ref().map(DiskStore::file_records)
    }

    /// See [`DiskStore::on_prefetched`].
    pub fn on_prefetched(&mut self, prefetched: Prefetched) -> Vec<Option<StoredAnswer>> {
        self.disk.as_mut().map(|disk| disk.on_prefetched(prefetched)).unwrap_or_default()
    }

    /// The answer to a number, if known; `prefetched` as in [`DiskStore::get`].
    pub fn get(
        &mut self,
        mobile: Mobile,
        prefetched: Option<&Option<StoredAnswer>>,
    ) -> Option<StoredAnswer> {
        match self.memory.get(mobile) {
            Some(outcome) => Some(StoredAnswer { outcome, from_earlier_session: false }),
            None => self.disk.as_mut()?.get(mobile, prefetched),
        }
    }

    pub fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        match &mut self.disk {
            Some(disk) if is_definitive(outcome.status) => disk.keep(mobile, outcome),
            _ => self.memory.keep(mobile, outcome),
        }
    }

    /// Keeps a definitive answer that another run got at `asked_at`, in seconds since 1970.
    pub fn keep_from_peer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked_at: i64) {
        match &mut self.disk {
            Some(disk) => disk.keep_from_peer(mobile, outcome, asked_at),
            None => self.memory.keep(mobile, outcome),
        }
    }

    /// Whether `more` answers can be kept now.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.disk.as_ref().is_none_or(|disk| disk.has_room(more))
    }

    /// Why answers can no longer be stored or read.
    #[must_use]
    pub fn write_error(&self) -> Option<&WriteError> {
        self.disk.as_ref()?.write_error()
    }

    /// Sets the function that is called, on another thread, when [`Answers::refresh`] has work.
    pub fn set_waker(&self, wake: impl Fn() + Send + Sync + 'static) {
        if let Some(disk) = &self.disk {
            disk.set_waker(Box::new(wake));
        }
    }

    /// Reads the last commit from now on; see [`DiskStore::refresh`].
    pub fn refresh(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.refresh();
        }
    }

    /// Waits until all answers are on disk; none without a disk store.
    pub fn close(self) -> Result<Option<Flushed>, WriteError> {
        self.disk.map(DiskStore::close).transpose()
    }
}
