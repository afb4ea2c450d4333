//! Writes a zip archive front to back: packed entries of another archive, and entries with new
//! content. Sizes have 32 bits.

use std::io::{self, Read, Write};

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use tr::tr;

use crate::table::write::workbook::archive_entry::{
    ArchiveEntry, CENTRAL_HEADER_BYTES, DEFLATE, LOCAL_HEADER_BYTES, STORED,
};

/// The end of the central directory.
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
/// The sizes and the checksum behind the data of an entry.
const DESCRIPTOR_SIGNATURE: [u8; 4] = *b"PK\x07\x08";
/// The flag of an entry whose sizes and checksum are behind its data.
const DESCRIPTOR_FLAG: u16 = 1 << 3;
/// The flags that say how an entry was compressed.
const LEVEL_FLAGS: u16 = 0b110;
/// Data are compressed in pieces of this size, so that the result does not depend on when they
/// come.
const PIECE_BYTES: usize = 64 << 10;
/// Faster than the default, and hardly larger for XML.
const LEVEL: Compression = Compression::new(4);

/// The sizes and the checksum of an entry.
#[derive(Clone, Copy)]
struct Content {
    crc: u32,
    packed_size: u32,
    size: u32,
}

/// An archive that is being written.
pub(crate) struct ArchiveWriter<W: Write> {
    output: CountingWriter<W>,
    /// The central directory so far.
    directory: Vec<u8>,
    entries: u16,
}

/// An entry whose content is written piece by piece.
pub(crate) struct EntryWriter<W: Write> {
    encoder: DeflateEncoder<CountingWriter<W>>,
    entry: ArchiveEntry,
    /// Where the entry and its data begin.
    offset: u32,
    data_offset: u64,
    /// What was not compressed yet.
    pending: Vec<u8>,
    crc: Hasher,
    size: u64,
    directory: Vec<u8>,
    entries: u16,
}

impl<W: Write> ArchiveWriter<W> {
    #[must_use]
    pub(crate) fn new(output: W) -> Self {
        let output = CountingWriter { output, written: 0 };
        Self { output, directory: Vec::new(), entries: 0 }
    }

    /// Writes an entry as it is packed.
    pub(crate) fn copy(&mut self, entry: &ArchiveEntry, mut packed: impl Read) -> io::Result<()> {
        let content = Content {
            crc: entry.crc,
            packed_size: to_u32(entry.packed_size)?,
            size: to_u32(entry.size)?,
        };
        let (flags, method) = (flags(entry) & !DESCRIPTOR_FLAG, method(entry));
        let offset = self.begin(entry, flags, method, content)?;
        let copied = io::copy(&mut packed, &mut self.output)?;
        if copied != entry.packed_size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.list(entry, flags, method, content, offset)
    }

    /// Writes an entry with other content.
    pub(crate) fn write(&mut self, entry: &ArchiveEntry, data: &[u8]) -> io::Result<()> {
        let mut encoder = DeflateEncoder::new(Vec::new(), LEVEL);
        encoder.write_all(data)?;
        let packed = encoder.finish()?;
        let content = Content {
            crc: crc32fast::hash(data),
            packed_size: to_u32(packed.len() as u64)?,
            size: to_u32(data.len() as u64)?,
        };
        let flags = flags(entry) & !(DESCRIPTOR_FLAG | LEVEL_FLAGS);
        let offset = self.begin(entry, flags, DEFLATE, content)?;
        self.output.write_all(&packed)?;
        self.list(entry, flags, DEFLATE, content, offset)
    }

    /// Begins an entry whose content follows.
    pub(crate) fn start(mut self, entry: ArchiveEntry) -> io::Result<EntryWriter<W>> {
        let flags = (flags(&entry) & !LEVEL_FLAGS) | DESCRIPTOR_FLAG;
        let unknown = Content { crc: 0, packed_size: 0, size: 0 };
        let offset = self.begin(&entry, flags, DEFLATE, unknown)?;
        Ok(EntryWriter {
            data_offset: self.output.written,
            encoder: DeflateEncoder::new(self.output, LEVEL),
            entry,
            offset,
            pending: Vec::new(),
            crc: Hasher::new(),
            size: 0,
            directory: self.directory,
            entries: self.entries,
        })
    }

    /// Writes the central directory. Returns the output, which is not flushed.
    pub(crate) fn finish(mut self, comment: &[u8]) -> io::Result<W> {
        let (start, size) = (to_u32(self.output.written)?, to_u32(self.directory.len() as u64)?);
        self.output.write_all(&self.directory)?;
        let comment_len = u16::try_from(comment.len()).map_err(|_| too_large())?;
        let mut end = END_SIGNATURE.to_vec();
        // The number of this disk and of that with the directory.
        end.extend([0; 4]);
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(size.to_le_bytes());
        end.extend(start.to_le_bytes());
        end.extend(comment_len.to_le_bytes());
        end.extend(comment);
        self.output.write_all(&end)?;
        Ok(self.output.output)
    }

    /// Writes the header of an entry. Returns where it begins.
    fn begin(
        &mut self,
        entry: &ArchiveEntry,
        flags: u16,
        method: u16,
        content: Content,
    ) -> io::Result<u32> {
        let offset = to_u32(self.output.written)?;
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(needed_version(entry, method));
        header.extend(flags.to_le_bytes());
        header.extend(method.to_le_bytes());
        // The time of its last change.
        header.extend_from_slice(&entry.central[12..16]);
        header.extend(content.to_bytes());
        header.extend(length(&entry.name)?);
        header.extend(length(&entry.local_extra)?);
        debug_assert_eq!(header.len(), LOCAL_HEADER_BYTES);
        header.extend_from_slice(&entry.name);
        header.extend_from_slice(&entry.local_extra);
        self.output.write_all(&header)?;
        Ok(offset)
    }

    /// Lists an entry in the central directory.
    fn list(
        &mut self,
        entry: &ArchiveEntry,
        flags: u16,
        method: u16,
        content: Content,
        offset: u32,
    ) -> io::Result<()> {
        let mut header = entry.central;
        header[6..8].copy_from_slice(&needed_version(entry, method));
        header[8..10].copy_from_slice(&flags.to_le_bytes());
        header[10..12].copy_from_slice(&method.to_le_bytes());
        header[16..28].copy_from_slice(&content.to_bytes());
        header[30..32].copy_from_slice(&length(&entry.central_extra)?);
        // The entry is on the first disk.
        header[34..36].fill(0);
        header[CENTRAL_HEADER_BYTES - 4..].copy_from_slice(&offset.to_le_bytes());
        for bytes in [&header[..], &entry.name, &entry.central_extra, &entry.comment] {
            self.directory.extend_from_slice(bytes);
        }
        self.entries += 1;
        Ok(())
    }
}

impl<W: Write> EntryWriter<W> {
    /// The buffer for more content, which [`EntryWriter::compress`] takes.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Compresses what is in the buffer, as far as it fills pieces.
    pub(crate) fn compress(&mut self) -> io::Result<()> {
        let whole = self.pending.len() - self.pending.len() % PIECE_BYTES;
        self.compress_pieces(whole)
    }

    fn compress_pieces(&mut self, size: usize) -> io::Result<()> {
        for piece in self.pending[..size].chunks(PIECE_BYTES) {
            self.crc.update(piece);
            self.encoder.write_all(piece)?;
        }
        self.size += size as u64;
        self.pending.drain(..size);
        Ok(())
    }

    /// Completes the entry.
    pub(crate) fn finish(mut self) -> io::Result<ArchiveWriter<W>> {
        self.compress_pieces(self.pending.len())?;
        let mut output = self.encoder.finish()?;
        let content = Content {
            crc: self.crc.finalize(),
            packed_size: to_u32(output.written - self.data_offset)?,
            size: to_u32(self.size)?,
        };
        output.write_all(&DESCRIPTOR_SIGNATURE)?;
        output.write_all(&content.to_bytes())?;
        let mut archive =
            ArchiveWriter { output, directory: self.directory, entries: self.entries };
        let flags = (flags(&self.entry) & !LEVEL_FLAGS) | DESCRIPTOR_FLAG;
        archive.list(&self.entry, flags, DEFLATE, content, self.offset)?;
        Ok(archive)
    }
}

impl Content {
    fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (place, number) in
            bytes.chunks_exact_mut(4).zip([self.crc, self.packed_size, self.size])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// The version of the format that a reader needs: 2.0 for deflate, since there are no sizes of 64
/// bits any more. Other methods keep theirs.
fn needed_version(entry: &ArchiveEntry, method: u16) -> [u8; 2] {
    if matches!(method, STORED | DEFLATE) { [20, 0] } else { [entry.central[6], entry.central[7]] }
}

fn flags(entry: &ArchiveEntry) -> u16 {
    u16::from_le_bytes([entry.central[8], entry.central[9]])
}

fn method(entry: &ArchiveEntry) -> u16 {
    u16::from_le_bytes([entry.central[10], entry.central[11]])
}

fn length(bytes: &[u8]) -> io::Result<[u8; 2]> {
    u16::try_from(bytes.len()).map(u16::to_le_bytes).map_err(|_| too_large())
}

/// The largest number says that the size has 64 bits.
fn to_u32(size: u64) -> io::Result<u32> {
    u32::try_from(size).ok().filter(|size| *size < u32::MAX).ok_or_else(too_large)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, tr!("a workbook of more than 4 GiB is not written"))
}

/// Counts the bytes that were written.
struct CountingWriter<W> {
    output: W,
    written: u64,
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.output.write(bytes)?;
        self.written += size as u64;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
