//! Opens a database without changing its file. Writes of the database, such as a repair after a
//! kill, go to copies of pages in memory (copy on write).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, DatabaseError, StorageBackend};

/// The size of a page, in bytes.
const PAGE_SIZE: usize = 4096;
/// The size of the database's page cache, in bytes. Readers iterate in key order, so few pages are
/// enough.
const CACHE_SIZE: usize = 4 << 20;

/// Opens an existing database with the builder's options; nothing is written to its file.
pub(crate) fn open(builder: &mut Builder, path: &Path) -> Result<Database, DatabaseError> {
    builder.set_cache_size(CACHE_SIZE).create_with_backend(Overlay::new(File::open(path)?)?)
}

/// A file and the pages written over it.
#[derive(Debug)]
struct Overlay {
    file: File,
    state: Mutex<OverlayState>,
}

#[derive(Debug)]
struct OverlayState {
    /// The current length.
    length: u64,
    /// How many bytes of the file are visible. Truncated bytes do not become visible again.
    visible_file_len: u64,
    /// Pages by number that replace the file's. The database writes few: its header and the records
    /// of free space.
    pages: HashMap<u64, Box<[u8; PAGE_SIZE]>>,
}

impl Overlay {
    fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            state: Mutex::new(OverlayState {
                length,
                visible_file_len: length,
                pages: HashMap::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, OverlayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills `out` from `offset`: from written pages, else from the file, else with zeros.
    fn fill(&self, state: &OverlayState, offset: u64, out: &mut [u8]) -> io::Result<()> {
        for (page, within, range) in split_by_page(offset, out.len()) {
            let out = &mut out[range];
            if let Some(bytes) = state.pages.get(&page) {
                out.copy_from_slice(&bytes[within..within + out.len()]);
                continue;
            }
            let start = page * PAGE_SIZE as u64 + within as u64;
            let available = usize::try_from(state.visible_file_len.saturating_sub(start))
                .map_or(out.len(), |n| n.min(out.len()));
            let (from_file, beyond) = out.split_at_mut(available);
            self.file.read_exact_at(from_file, start)?;
            beyond.fill(0);
        }
        Ok(())
    }
}

/// The offset of a position in its page.
#[expect(clippy::cast_possible_truncation, reason = "less than a page")]
fn offset_in_page(position: u64) -> usize {
    (position % PAGE_SIZE as u64) as usize
}

/// Splits a range of bytes by pages: the number of the page, the offset in it, and the subrange.
fn split_by_page(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = offset_in_page(at);
        let range = done..length.min(done + PAGE_SIZE - within);
        done = range.end;
        (!range.is_empty()).then_some((at / PAGE_SIZE as u64, within, range))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.fill(&state, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.lock();
        if length < state.length {
            let (page, within) = (length / PAGE_SIZE as u64, offset_in_page(length));
            state.pages.retain(|number, _| *number <= page);
            if let Some(bytes) = state.pages.get_mut(&page) {
                bytes[within..].fill(0);
            }
        }
        state.visible_file_len = state.visible_file_len.min(length);
        state.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        for (page, within, range) in split_by_page(offset, data.len()) {
            let mut bytes = Box::new([0; PAGE_SIZE]);
            self.fill(&state, page * PAGE_SIZE as u64, bytes.as_mut_slice())?;
            let data = &data[range];
            bytes[within..within + data.len()].copy_from_slice(data);
            state.pages.insert(page, bytes);
        }
        state.length = state.length.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let bytes = prop::collection::vec(any::<u8>(), 0..9000);
        prop_oneof![
            (0..20_000u64, bytes).prop_map(|(at, bytes)| Operation::Write(at, bytes)),
            (0..20_000u64).prop_map(Operation::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn the_overlay_behaves_like_a_file_and_leaves_the_file_unchanged(
            content in prop::collection::vec(any::<u8>(), 0..10_000),
            operations in prop::collection::vec(operation(), 0..8),
        ) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            let overlay = Overlay::new(file.try_clone().unwrap()).unwrap();
            let mut model = content.clone();
            for operation in operations {
                match operation {
                    Operation::Write(at, bytes) => {
                        overlay.write(at, &bytes).unwrap();
                        let end = usize::try_from(at).unwrap() + bytes.len();
                        model.resize(model.len().max(end), 0);
                        model[end - bytes.len()..end].copy_from_slice(&bytes);
                    }
                    Operation::SetLen(length) => {
                        overlay.set_len(length).unwrap();
                        model.resize(usize::try_from(length).unwrap(), 0);
                    }
                }
                let mut read = vec![1; model.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == model);
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                prop_assert!(overlay.read(1, &mut read).is_err() || read.is_empty());
            }
            file.rewind().unwrap();
            let mut after = Vec::new();
            io::Read::read_to_end(&mut file, &mut after).unwrap();
            prop_assert!(after == content);
        }
    }
}
