//! Bytes that are kept in memory up to a limit, and beyond it in a temporary file without a name.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// The size of a block of a file that is kept in memory.
const BLOCK_BYTES: usize = 16 << 10;
/// The number of blocks that are kept. Cells mostly refer to strings in their order.
const BLOCKS: usize = 128;

/// Bytes that are appended first and then read.
pub(crate) struct SpilledBytes {
    /// The bytes behind those in the file.
    memory: Vec<u8>,
    file: Option<SpillFile>,
    /// How many bytes stay in memory.
    limit: usize,
}

/// The first bytes, in a file.
struct SpillFile {
    file: File,
    len: usize,
    blocks: Mutex<Vec<Block>>,
}

/// A part of the file; empty before it is read.
#[derive(Clone, Default)]
struct Block {
    number: usize,
    bytes: Vec<u8>,
}

impl SpilledBytes {
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Self { memory: Vec::new(), file: None, limit }
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.file_len() + self.memory.len()
    }

    fn file_len(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.len)
    }

    /// Appends bytes. Without room for a file, all of them stay in memory.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > self.limit && self.spill().is_err() {
            self.limit = usize::MAX;
        }
    }

    /// Moves the bytes in memory to the file.
    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let (file, blocks) =
                (tempfile::tempfile()?, Mutex::new(vec![Block::default(); BLOCKS]));
            self.file = Some(SpillFile { file, len: 0, blocks });
        }
        if let Some(file) = &mut self.file {
            file.file.write_all_at(&self.memory, file.len as u64)?;
            file.len += self.memory.len();
            // The last one may be shorter than it is now.
            file.blocks = Mutex::new(vec![Block::default(); BLOCKS]);
            self.memory.clear();
        }
        Ok(())
    }

    /// The bytes from `start` to `end`. `None` if they are not there any more.
    #[must_use]
    pub(crate) fn get(&self, start: usize, end: usize) -> Option<Cow<'_, [u8]>> {
        let in_file = self.file_len();
        if start >= in_file {
            let bytes = self.memory.get(start - in_file..end.checked_sub(in_file)?)?;
            return Some(bytes.into());
        }
        let mut bytes = self.file.as_ref()?.get(start, end.min(in_file))?;
        if end > in_file {
            bytes.extend_from_slice(self.memory.get(..end - in_file)?);
        }
        Some(bytes.into())
    }
}

impl SpillFile {
    fn get(&self, start: usize, end: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(end.checked_sub(start)?);
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = start;
        while at < end {
            let number = at / BLOCK_BYTES;
            let block = blocks.get_mut(number % BLOCKS)?;
            if block.number != number || block.bytes.is_empty() {
                let first = number * BLOCK_BYTES;
                block.bytes.resize(BLOCK_BYTES.min(self.len - first), 0);
                block.number = number;
                if self.file.read_exact_at(&mut block.bytes, first as u64).is_err() {
                    block.bytes.clear();
                    return None;
                }
            }
            let offset = at % BLOCK_BYTES;
            let piece = block.bytes.get(offset..block.bytes.len().min(offset + end - at))?;
            bytes.extend_from_slice(piece);
            at += piece.len();
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_the_same_in_memory_and_in_a_file(
            pieces in proptest::collection::vec(0..40_000_usize, 1..8),
            limit in 0..50_000_usize,
            places in proptest::collection::vec((0..200_000_usize, 0..40_000_usize), 20),
        ) {
            let byte = |n: usize| u8::try_from(n % 251).unwrap();
            let all: Vec<u8> = (0..pieces.iter().sum()).map(byte).collect();
            let (mut spilled, mut appended) = (SpilledBytes::new(limit), 0);
            for piece in pieces {
                spilled.append(&all[appended..appended + piece]);
                appended += piece;
                prop_assert!(spilled.memory.len() <= limit.max(piece));
                prop_assert_eq!(spilled.len(), appended);
                for &(start, len) in &places {
                    let expected = all[..appended].get(start..start + len);
                    let found = spilled.get(start, start + len);
                    prop_assert_eq!(found.as_deref(), expected);
                }
            }
        }
    }
}
