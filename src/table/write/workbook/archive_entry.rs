//! The entries of a zip archive as they are packed, to copy them without unpacking.

use std::io::{self, BufReader, Read, Seek};

use crc32fast::Hasher;
use flate2::read::DeflateDecoder;
use tr::tr;
use zip::ZipArchive;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::shared_file::SharedFile;

/// The signatures of the two headers of an entry.
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const CENTRAL_SIGNATURE: &[u8] = b"PK\x01\x02";
/// The sizes of the headers without names and extra fields, in bytes.
pub(crate) const LOCAL_HEADER_BYTES: usize = 30;
pub(crate) const CENTRAL_HEADER_BYTES: usize = 46;
/// The identifier of the extra field with sizes of 64 bits.
const ZIP64_FIELD: u16 = 1;
/// The numbers of the methods that workbooks use.
pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATE: u16 = 8;

/// An entry of an archive.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveEntry {
    /// The header in the central directory, without its variable part.
    pub central: [u8; CENTRAL_HEADER_BYTES],
    pub name: Vec<u8>,
    /// The extra fields in the central directory and beside the data, without those of zip64.
    pub central_extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub crc: u32,
    pub packed_size: u64,
    pub size: u64,
    data_start: u64,
}

impl ArchiveEntry {
    /// The entries of an archive, in the order of its directory.
    pub(crate) fn read_all<R: Read + Seek>(
        archive: &mut ZipArchive<R>,
        file: &SharedFile,
    ) -> Result<Vec<Self>, WorkbookError> {
        let mut entries = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index)?;
            let data_start = entry
                .data_start()
                .ok_or_else(|| WorkbookError::Damaged(tr!("a header is invalid")))?;
            let (local, central) = (entry.header_start(), entry.central_header_start());
            let (crc, packed_size, size) = (entry.crc32(), entry.compressed_size(), entry.size());
            drop(entry);
            let read = Self::read(file, local, central)
                .map_err(|error| WorkbookError::Damaged(error.to_string()))?;
            entries.push(Self { crc, packed_size, size, data_start, ..read });
        }
        Ok(entries)
    }

    fn read(file: &SharedFile, local: u64, central: u64) -> io::Result<Self> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, tr!("a header is invalid"));
        let mut at_central = BufReader::with_capacity(512, file.at(central));
        let mut fixed = [0; CENTRAL_HEADER_BYTES];
        at_central.read_exact(&mut fixed)?;
        let mut at_local = BufReader::with_capacity(512, file.at(local));
        let mut local_fixed = [0; LOCAL_HEADER_BYTES];
        at_local.read_exact(&mut local_fixed)?;
        if !fixed.starts_with(CENTRAL_SIGNATURE) || !local_fixed.starts_with(LOCAL_SIGNATURE) {
            return Err(damaged());
        }
        let name = read_bytes(&mut at_central, short(&fixed, 28))?;
        let central_extra = read_bytes(&mut at_central, short(&fixed, 30))?;
        let comment = read_bytes(&mut at_central, short(&fixed, 32))?;
        read_bytes(&mut at_local, short(&local_fixed, 26))?;
        let local_extra = read_bytes(&mut at_local, short(&local_fixed, 28))?;
        Ok(Self {
            central: fixed,
            name,
            central_extra: without_zip64(&central_extra),
            local_extra: without_zip64(&local_extra),
            comment,
            crc: 0,
            packed_size: 0,
            size: 0,
            data_start: 0,
        })
    }

    /// The data as they are packed.
    #[must_use]
    pub(crate) fn packed(&self, file: &SharedFile) -> io::Take<SharedFile> {
        file.at(self.data_start).take(self.packed_size)
    }

    /// The unpacked data. Reading them fails at their end if they are not as the archive says.
    #[must_use]
    pub(crate) fn unpacked(&self, file: &SharedFile) -> EntryReader {
        let packed = self.packed(file);
        let data: Box<dyn Read + Send> = if short(&self.central, 10) == DEFLATE {
            Box::new(DeflateDecoder::new(packed))
        } else {
            Box::new(packed)
        };
        EntryReader { data, crc: Hasher::new(), expected_crc: self.crc }
    }
}

/// The unpacked data of an entry.
pub(crate) struct EntryReader {
    data: Box<dyn Read + Send>,
    crc: Hasher,
    expected_crc: u32,
}

impl Read for EntryReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.data.read(room)?;
        self.crc.update(&room[..size]);
        if size == 0 && !room.is_empty() && self.crc.clone().finalize() != self.expected_crc {
            let text = tr!("its checksum is wrong");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(size)
    }
}

/// Two bytes of a header as a number.
fn short(header: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([header[at], header[at + 1]])
}

fn read_bytes(reader: &mut impl Read, size: u16) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(size)];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Extra fields without the one with sizes of 64 bits. What is no list of fields stays as it is.
fn without_zip64(fields: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(fields.len());
    let mut rest = fields;
    while let [id_low, id_high, size_low, size_high, ..] = *rest {
        let size = 4 + usize::from(u16::from_le_bytes([size_low, size_high]));
        let (field, after) = rest.split_at(size.min(rest.len()));
        if u16::from_le_bytes([id_low, id_high]) != ZIP64_FIELD {
            kept.extend_from_slice(field);
        }
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_field_of_zip64_is_removed() {
        let zip64 = [1, 0, 2, 0, 9, 9];
        let other = [0x20, 0xA2, 1, 0, 7];
        assert_eq!(without_zip64(&[&zip64[..], &other].concat()), other);
        assert_eq!(without_zip64(&[&other[..], &zip64].concat()), other);
        for fields in [&[][..], &[9], &[9, 9, 9, 9, 1]] {
            assert_eq!(without_zip64(fields), fields);
        }
    }
}
