//! Owns the sorting of more records than memory holds: sorted runs in temporary files, merged when they are read. What a
//! record is, and what is done with it, is for others.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// How many bytes of records are gathered before they become a run: four sorters and the reading of a table stay below
/// 64 MiB together.
const ARENA_BYTES: usize = 5 << 20;
/// How many runs of one level there are before they become one of the next. A sorter of a billion records then has some
/// hundred files open, and each record is written twice or thrice.
const MERGE_FAN_IN: usize = 32;
/// How much of a run is read, or written, at a time, in bytes.
const BUFFER_SIZE: usize = 32 << 10;
/// How many bytes say how long a record's key and value are.
const LENGTHS_LEN: usize = 8;

/// Gathers records and sorts them by key; those of one key stay in the order in which they came.
pub(crate) struct Sorter {
    /// Where temporary files go. They have no name there, so that nothing can leave them behind.
    temp_dir: PathBuf,
    buffer: RunBuffer,
    /// The runs with their levels, in the order of their records; no level is below one behind it.
    runs: Vec<(u32, File)>,
    arena: usize,
}

/// Records in memory.
#[derive(Default)]
struct RunBuffer {
    /// The records one after the other: two lengths, key, value.
    bytes: Vec<u8>,
    /// The first bytes of each record's key, by which most comparisons are settled, and where the record begins.
    entries: Vec<(u64, u32)>,
}

impl Sorter {
    /// One that keeps what memory does not hold in the directory `place`.
    #[must_use]
    pub(crate) fn new(place: &Path) -> Self {
        Self {
            temp_dir: place.to_owned(),
            buffer: RunBuffer::default(),
            runs: Vec::new(),
            arena: ARENA_BYTES,
        }
    }

    /// Adds a record. Key and value have less than 4 GiB each.
    ///
    /// # Errors
    /// What the system says where a temporary file cannot be written.
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

    /// Writes what is gathered as a run.
    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let mut file =
            BufWriter::with_capacity(BUFFER_SIZE, tempfile::tempfile_in(&self.temp_dir)?);
        for (_, at) in &self.buffer.entries {
            let (key, value) = self.buffer.record(*at);
            write_record(&mut file, key, value)?;
        }
        self.buffer.bytes.clear();
        self.buffer.entries.clear();
        self.runs.push((0, file.into_inner()?));
        loop {
            let level = self.runs.last().map_or(0, |(level, _)| *level);
            let begin = self.runs.iter().position(|(other, _)| *other == level).unwrap_or_default();
            if self.runs.len() - begin < MERGE_FAN_IN {
                return Ok(());
            }
            let files = self.runs.drain(begin..).map(|(_, file)| file).collect();
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

    /// The records in order. What memory holds stays there where it is all there is.
    ///
    /// # Errors
    /// What the system says where a temporary file cannot be written or read.
    pub(crate) fn finish(mut self) -> io::Result<SortedRecords> {
        if !self.runs.is_empty() && !self.buffer.entries.is_empty() {
            self.spill()?;
        }
        let Self { buffer: mut gathered, runs, .. } = self;
        gathered.sort();
        if gathered.entries.is_empty() {
            gathered = RunBuffer::default();
        }
        SortedRecords::merge(runs.into_iter().map(|(_, file)| file).collect(), gathered)
    }
}

impl RunBuffer {
    fn sort(&mut self) {
        let Self { bytes, entries } = self;
        entries.sort_unstable_by(|one, other| {
            let key = |at| record(bytes, at).0;
            one.0.cmp(&other.0).then_with(|| key(one.1).cmp(key(other.1))).then(one.1.cmp(&other.1))
        });
    }

    fn record(&self, at: u32) -> (&[u8], &[u8]) {
        record(&self.bytes, at)
    }
}

/// The record that begins at `at`.
fn record(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    let rest = bytes.get(at as usize..).unwrap_or_default();
    let Some((lengths, rest)) = rest.split_first_chunk() else { return (&[], &[]) };
    let (key, value) = decode_lengths(*lengths);
    let (key, rest) = rest.split_at(key.min(rest.len()));
    (key, rest.get(..value).unwrap_or_default())
}

/// How long key and value are.
fn decode_lengths(lengths: [u8; LENGTHS_LEN]) -> (usize, usize) {
    let mut both = lengths.as_chunks().0.iter().map(|length| u32::from_le_bytes(*length) as usize);
    (both.next().unwrap_or_default(), both.next().unwrap_or_default())
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

/// The first eight bytes as a number in the same order; a shorter key is filled up with zeros.
fn key_prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

/// Records in order.
pub(crate) struct SortedRecords(BinaryHeap<RunHead>);

/// The next record of a run.
struct RunHead {
    key: Vec<u8>,
    value: Vec<u8>,
    /// The run's place among the runs: of equal keys the earlier run's comes first.
    run_index: usize,
    run: SortedRun,
}

enum SortedRun {
    File(BufReader<File>),
    Memory(Vec<u8>, IntoIter<(u64, u32)>),
}

impl SortedRecords {
    /// Merges runs, the last of which is in memory.
    fn merge(files: Vec<File>, gathered: RunBuffer) -> io::Result<Self> {
        let mut runs = Vec::with_capacity(files.len() + 1);
        for mut file in files {
            io::Seek::rewind(&mut file)?;
            runs.push(SortedRun::File(BufReader::with_capacity(BUFFER_SIZE, file)));
        }
        runs.push(SortedRun::Memory(gathered.bytes, gathered.entries.into_iter()));
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (place, run) in runs.into_iter().enumerate() {
            let mut head = RunHead { key: Vec::new(), value: Vec::new(), run_index: place, run };
            if head.read_next()? {
                heads.push(head);
            }
        }
        Ok(Self(heads))
    }

    /// The next record's key and value; none when all were passed.
    #[must_use]
    pub(crate) fn peek(&self) -> Option<(&[u8], &[u8])> {
        self.0.peek().map(|head| (&*head.key, &*head.value))
    }

    /// Passes the next record.
    ///
    /// # Errors
    /// What the system says where a temporary file cannot be read.
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
    /// Reads the run's next record; false where there is none.
    fn read_next(&mut self) -> io::Result<bool> {
        let Self { key, value, run, .. } = self;
        match run {
            SortedRun::File(file) => {
                if file.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut lengths = [0; LENGTHS_LEN];
                file.read_exact(&mut lengths)?;
                let (keys, values) = decode_lengths(lengths);
                key.resize(keys, 0);
                value.resize(values, 0);
                file.read_exact(key)?;
                file.read_exact(value)?;
            }
            SortedRun::Memory(bytes, entries) => {
                let Some((_, at)) = entries.next() else { return Ok(false) };
                let (next, behind) = record(bytes, at);
                key.clear();
                key.extend_from_slice(next);
                value.clear();
                value.extend_from_slice(behind);
            }
        }
        Ok(true)
    }
}

impl Ord for RunHead {
    /// Turned round, since a heap gives its greatest first.
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

    /// Sorts with so small an arena that there are runs, and runs of runs.
    fn sorted(records: &[(Vec<u8>, Vec<u8>)], arena: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let place = tempfile::tempdir().unwrap();
        let mut sorter = Sorter { arena, ..Sorter::new(place.path()) };
        for (key, value) in records {
            sorter.push(key, value).unwrap();
        }
        assert!(sorter.runs.len() < 3 * MERGE_FAN_IN, "{} files are open", sorter.runs.len());
        let (mut all, mut seen) = (sorter.finish().unwrap(), Vec::new());
        while let Some((key, value)) = all.peek() {
            seen.push((key.to_vec(), value.to_vec()));
            all.advance().unwrap();
        }
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_external_sort_is_stable(
            keys in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 0..11), 0..400),
            arena in prop::sample::select(vec![1, 60, 700, ARENA_BYTES]),
        ) {
            let records: Vec<_> =
                keys.into_iter().enumerate().map(|(place, key)| (key, place.to_string().into_bytes())).collect();
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
