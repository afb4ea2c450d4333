//! A file that several readers read at the same time, each at its own position.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A reader of a file. A clone has a position of its own. The file stays the same one, whatever
/// becomes of its name.
#[derive(Clone, Debug)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    position: u64,
}

impl SharedFile {
    #[must_use]
    pub(crate) fn new(file: File) -> Self {
        Self { file: Arc::new(file), position: 0 }
    }

    /// A reader of the same file at `position`.
    #[must_use]
    pub(crate) fn at(&self, position: u64) -> Self {
        Self { file: Arc::clone(&self.file), position }
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl Read for SharedFile {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.file.read_at(room, self.position)?;
        self.position += size as u64;
        Ok(size)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.file.metadata()?.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
