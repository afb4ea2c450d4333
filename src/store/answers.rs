//! The answers that a run knows: all in memory, or definitive ones on disk and the others in
//! memory.

use std::sync::Arc;

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::store::disk::disk_store::{DiskStore, Flushed};
use crate::store::disk::prefetch::{Prefetched, Prefetcher, StoredAnswer};
use crate::store::disk::record::is_definitive;
use crate::store::disk::writer::WriteError;
use crate::store::memory::MemoryStore;

/// What a run knows. A number that failed is known too, for this run: its repeats are not asked
/// again.
#[derive(Debug, Default)]
pub struct Answers {
    memory: MemoryStore,
    disk: Option<DiskStore>,
}

impl Answers {
    /// Knows what the state has, and keeps there what outlives the run.
    #[must_use]
    pub fn with_disk(disk: DiskStore) -> Self {
        Self { memory: MemoryStore::default(), disk: Some(disk) }
    }

    /// What that many threads need to look numbers up ahead, one each; none where there is nothing
    /// to look at but memory.
    pub fn prefetchers(&mut self, threads: usize) -> Vec<Prefetcher> {
        self.disk.as_mut().map(|disk| disk.prefetchers(threads)).unwrap_or_default()
    }

    /// What was looked up ahead has come to its turn: what was found, as in
    /// [`DiskStore::on_prefetched`].
    pub fn on_prefetched(&mut self, foreseen: Prefetched) -> Vec<Option<StoredAnswer>> {
        self.disk.as_mut().map(|disk| disk.on_prefetched(foreseen)).unwrap_or_default()
    }

    /// The answer to a number, if there is one; `foreseen` as in [`DiskStore::get`].
    pub fn get(
        &mut self,
        mobile: Mobile,
        foreseen: Option<&Option<StoredAnswer>>,
    ) -> Option<StoredAnswer> {
        match self.memory.get(mobile) {
            Some(outcome) => Some(StoredAnswer { outcome, from_earlier_session: false }),
            None => self.disk.as_mut()?.get(mobile, foreseen),
        }
    }

    /// Keeps an answer.
    pub fn keep(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        match &mut self.disk {
            Some(disk) if is_definitive(outcome.status) => disk.keep(mobile, outcome),
            _ => self.memory.keep(mobile, outcome),
        }
    }

    /// Keeps a definitive answer that another run was given at `asked`, in seconds since 1970.
    pub fn keep_from_peer(&mut self, mobile: Mobile, outcome: &Arc<Outcome>, asked: i64) {
        match &mut self.disk {
            Some(disk) => disk.keep_from_peer(mobile, outcome, asked),
            None => self.memory.keep(mobile, outcome),
        }
    }

    /// Whether so many more answers can be taken now.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.disk.as_ref().is_none_or(|disk| disk.has_room(more))
    }

    /// Why answers can no longer be kept.
    #[must_use]
    pub fn write_error(&self) -> Option<&WriteError> {
        self.disk.as_ref()?.write_error()
    }

    /// Has `wake` called, from another thread, whenever [`Answers::refresh`] has something to do.
    pub fn set_waker(&self, wake: impl Fn() + Send + Sync + 'static) {
        if let Some(disk) = &self.disk {
            disk.set_waker(Box::new(wake));
        }
    }

    /// Takes note of what was written in the meantime.
    pub fn refresh(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.refresh();
        }
    }

    /// Waits until everything is where it outlives the program; nothing to finish where that is
    /// nowhere.
    ///
    /// # Errors
    /// [`WriteError`], where not all of it came there.
    pub fn close(self) -> Result<Option<Flushed>, WriteError> {
        self.disk.map(DiskStore::close).transpose()
    }
}
