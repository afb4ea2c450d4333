//! An external merge sort: sorted runs in temporary files, merged when they are read.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// Bytes of records in memory before they are written as a run. Four sorters and the reader of a
/// table use less than 64 MiB together.
const ARENA_BYTES: usize = 5 << 20;
/// Runs of one level that are merged into one run of the next level. For a billion records, some
/// hundred files are open, and each record is written two or three times.
const MERGE_FAN_IN: usize = 32;
/// Bytes of a run that are read or written at a time.
const BUFFER_SIZE: usize = 32 << 10;
/// Bytes of the lengths of a record's key and value.
const LENGTHS_LEN: usize = 8;

/// Sorts records by key. The sort is stable.
pub(crate) struct Sorter {
    /// The directory of the temporary files. They have no names, so none remains after a crash.
    temp_dir: PathBuf,
    buffer: RunBuffer,
    /// The runs with their levels, in the order of their records. Levels never increase.
    runs: Vec<(u32, File)>,
    arena: usize,
}

/// Records in memory.
#[derive(Default)]
struct RunBuffer {
    /// Records one after another: lengths of key and value, key, value.
    bytes: Vec<u8>,
    /// For each record the prefix of its key, which decides most comparisons, and its offset.
    entries: Vec<(u64, u32)>,
}

impl Sorter {
    #[must_use]
    pub(crate) fn new(temp_dir: &Path) -> Self {
        Self {
            temp_dir: temp_dir.to_owned(),
            buffer: RunBuffer::default(),
            runs: Vec::new(),
            arena: ARENA_BYTES,
        }
    }

    /// Adds a record. Key and value must be shorter than 4 GiB.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let size = LENGTHS_LEN + key.len() + value.len();
        if !self.buffer.entries.is_empty() && self.buffer.bytes.len() + size > self.arena {
            self.spill()?;
        }
        let RunBuffer { bytes, entries } = &mut self.buffer;
        entries.push((key_prefix(key), to_u32(bytes.len())?));
        bytes.extend_from_slice(&to_u32(key.len())?.to_le_bytes());
        bytes.extend_from_slice(&to_u32(value.len())?.to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Ok(())
    }

    /// Writes the buffer as a run, and merges runs of the same level.
    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let mut file =
            BufWriter::with_capacity(BUFFER_SIZE, tempfile::tempfile_in(&self.temp_dir)?);
        for (_, offset) in &self.buffer.entries {
            let (key, value) = record(&self.buffer.bytes, *offset);
            write_record(&mut file, key, value)?;
        }
        self.buffer.bytes.clear();
        self.buffer.entries.clear();
        self.runs.push((0, file.into_inner()?));
        loop {
            let level = self.runs.last().map_or(0, |(level, _)| *level);
            let higher_level = self.runs.iter().rposition(|(other, _)| *other != level);
            let first = higher_level.map_or(0, |index| index + 1);
            if self.runs.len() - first < MERGE_FAN_IN {
                return Ok(());
            }
            let files = self.runs.drain(first..).map(|(_, file)| file).collect();
            let mut merged = SortedRecords::merge(files, RunBuffer::default())?;
            let mut file =
                BufWriter::with_capacity(BUFFER_SIZE, tempfile::tempfile_in(&self.temp_dir)?);
            while let Some((key, value)) = merged.peek() {
                write_record(&mut file, key, value)?;
                merged.advance()?;
            }
            self.runs.push((level + 1, file.into_inner()?));
        }
    }

    /// Returns the sorted records. If all fit into memory, no file is written.
    pub(crate) fn finish(mut self) -> io::Result<SortedRecords> {
        if !self.runs.is_empty() && !self.buffer.entries.is_empty() {
            self.spill()?;
        }
        let Self { mut buffer, runs, .. } = self;
        buffer.sort();
        if buffer.entries.is_empty() {
            // Frees the memory of the arena.
            buffer = RunBuffer::default();
        }
        SortedRecords::merge(runs.into_iter().map(|(_, file)| file).collect(), buffer)
    }
}

impl RunBuffer {
    fn sort(&mut self) {
        let Self { bytes, entries } = self;
        entries.sort_unstable_by(|one, other| {
            let key = |offset| record(bytes, offset).0;
            one.0.cmp(&other.0).then_with(|| key(one.1).cmp(key(other.1))).then(one.1.cmp(&other.1))
        });
    }
}

/// The key and the value of the record at `offset`. Panics if there is none, which is a bug.
fn record(bytes: &[u8], offset: u32) -> (&[u8], &[u8]) {
    let (lengths, content) = bytes[offset as usize..].split_at(LENGTHS_LEN);
    let (key_len, value_len) = decode_lengths(std::array::from_fn(|index| lengths[index]));
    let (key, after_key) = content.split_at(key_len);
    (key, &after_key[..value_len])
}

/// The lengths of key and value.
fn decode_lengths(bytes: [u8; LENGTHS_LEN]) -> (usize, usize) {
    let decode = |start| {
        u32::from_le_bytes(std::array::from_fn(|index: usize| bytes[start + index])) as usize
    };
    (decode(0), decode(LENGTHS_LEN / 2))
}

fn to_u32(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

fn write_record(file: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    file.write_all(&to_u32(key.len())?.to_le_bytes())?;
    file.write_all(&to_u32(value.len())?.to_le_bytes())?;
    file.write_all(key)?;
    file.write_all(value)
}

/// The first 8 bytes as a number with the same order. A shorter key is padded with zeros.
fn key_prefix(key: &[u8]) -> u64 {
    let mut prefix = [0; 8];
    prefix.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(prefix)
}

/// A merge of sorted runs.
pub(crate) struct SortedRecords(BinaryHeap<RunHead>);

/// The next record of a run.
struct RunHead {
    key: Vec<u8>,
    value: Vec<u8>,
    /// Of equal keys, that of the earlier run comes first.
    run_index: usize,
    run: SortedRun,
}

enum SortedRun {
    File(BufReader<File>),
    Memory(Vec<u8>, IntoIter<(u64, u32)>),
}

impl SortedRecords {
    /// Merges the runs in files and, as the last run, the sorted buffer.
    fn merge(files: Vec<File>, buffer: RunBuffer) -> io::Result<Self> {
        let mut runs = Vec::with_capacity(files.len() + 1);
        for mut file in files {
            io::Seek::rewind(&mut file)?;
            runs.push(SortedRun::File(BufReader::with_capacity(BUFFER_SIZE, file)));
        }
        runs.push(SortedRun::Memory(buffer.bytes, buffer.entries.into_iter()));
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (run_index, run) in runs.into_iter().enumerate() {
            let mut head = RunHead { key: Vec::new(), value: Vec::new(), run_index, run };
            if head.read_next()? {
                heads.push(head);
            }
        }
        Ok(Self(heads))
    }

    /// The key and the value of the next record. `None` after the last one.
    #[must_use]
    pub(crate) fn peek(&self) -> Option<(&[u8], &[u8])> {
        self.0.peek().map(|head| (&*head.key, &*head.value))
    }

    /// Skips the next record.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        if let Some(mut head) = self.0.peek_mut()
            && !head.read_next()?
        {
            PeekMut::pop(head);
        }
        Ok(())
    }
}

impl RunHead {
    /// Reads the next record of the run. Returns false at its end.
    fn read_next(&mut self) -> io::Result<bool> {
        let Self { key, value, run, .. } = self;
        match run {
            SortedRun::File(file) => {
                if file.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut lengths = [0; LENGTHS_LEN];
                file.read_exact(&mut lengths)?;
                let (key_len, value_len) = decode_lengths(lengths);
                key.resize(key_len, 0);
                value.resize(value_len, 0);
                file.read_exact(key)?;
                file.read_exact(value)?;
            }
            SortedRun::Memory(bytes, entries) => {
                let Some((_, offset)) = entries.next() else { return Ok(false) };
                let (next_key, next_value) = record(bytes, offset);
                key.clear();
                key.extend_from_slice(next_key);
                value.clear();
                value.extend_from_slice(next_value);
            }
        }
        Ok(true)
    }
}

impl Ord for RunHead {
    /// Reversed, since the heap pops its maximum first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then(other.run_index.cmp(&self.run_index))
    }
}

impl PartialOrd for RunHead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RunHead {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RunHead {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sorts with a small arena, so that there are several levels of runs.
    fn sorted(records: &[(Vec<u8>, Vec<u8>)], arena: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let temp_dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter { arena, ..Sorter::new(temp_dir.path()) };
        for (key, value) in records {
            sorter.push(key, value).unwrap();
        }
        assert!(sorter.runs.len() < 3 * MERGE_FAN_IN, "{} files are open", sorter.runs.len());
        let (mut records, mut result) = (sorter.finish().unwrap(), Vec::new());
        while let Some((key, value)) = records.peek() {
            result.push((key.to_vec(), value.to_vec()));
            records.advance().unwrap();
        }
        assert_eq!(std::fs::read_dir(temp_dir.path()).unwrap().count(), 0);
        result
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_external_sort_is_stable(
            keys in prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 0..11),
                0..400,
            ),
            arena in prop::sample::select(vec![1, 60, 700, ARENA_BYTES]),
        ) {
            let numbered = keys.into_iter().enumerate();
            let records: Vec<_> =
                numbered.map(|(index, key)| (key, index.to_string().into_bytes())).collect();
            let mut expected = records.clone();
            expected.sort_by(|one, other| one.0.cmp(&other.0));
            prop_assert_eq!(sorted(&records, arena), expected);
        }
    }

    #[test]
    fn sorted_runs_are_merged_in_order() {
        let records: Vec<_> = (0..3000_u32)
            .map(|n| (vec![u8::try_from(n * 7 % 11).unwrap()], n.to_be_bytes().to_vec()))
            .collect();
        let mut expected = records.clone();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(sorted(&records, 1), expected);
    }

    #[test]
    fn an_unwritable_temporary_directory_is_reported() {
        let mut sorter = Sorter { arena: 1, ..Sorter::new(Path::new("/nowhere/at/all")) };
        sorter.push(b"a", b"").unwrap();
        assert_eq!(sorter.push(b"b", b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
