//! Tells what a compound file is: an `.xls` workbook, a workbook with a password, or a document.

use std::io::{self, Read};

use crate::table::detect::file_type::FileType;
use crate::table::unpack::workbook::error::WorkbookError;

/// The size of an entry of the directory, which begins with the name of a stream in UTF-16. Entries
/// are aligned to it.
const ENTRY_BYTES: usize = 128;
/// How many bytes of a file are looked through for the directory.
const MAX_BYTES: u64 = 1 << 30;

/// Why the compound file, read from its beginning, is not read.
pub(crate) fn classify(file: impl Read) -> WorkbookError {
    let mut reader = io::BufReader::with_capacity(64 << 10, file.take(MAX_BYTES));
    let mut entry = [0; ENTRY_BYTES];
    let mut found = FileType::LegacyWorkbook;
    while reader.read_exact(&mut entry).is_ok() {
        let is = |name| begins_with(&entry, name);
        if is("EncryptedPackage") {
            return WorkbookError::PasswordProtected;
        } else if is("Workbook\0") || is("Book\0") {
            // A document inside a workbook has a directory entry too.
            return WorkbookError::UnsupportedType(FileType::LegacyWorkbook);
        } else if is("WordDocument") || is("PowerPoint") {
            found = FileType::Document;
        }
    }
    WorkbookError::UnsupportedType(found)
}

fn begins_with(entry: &[u8; ENTRY_BYTES], name: &str) -> bool {
    let mut units = entry.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    name.encode_utf16().all(|expected| units.next() == Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_says_what_the_file_is() {
        let file = |names: &str| {
            let mut bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
            bytes.resize(100_096, 0);
            for name in names.split(' ') {
                bytes.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
                bytes.resize(bytes.len().next_multiple_of(ENTRY_BYTES), 0);
            }
            bytes.resize(101_376, 0);
            classify(bytes.as_slice())
        };
        let unsupported = |name: &str| match file(name) {
            WorkbookError::UnsupportedType(found) => found,
            other => panic!("{other}"),
        };
        assert_eq!(unsupported("Workbook"), FileType::LegacyWorkbook);
        assert_eq!(unsupported("WordDocument"), FileType::Document);
        assert_eq!(unsupported("PowerPoint"), FileType::Document);
        assert_eq!(unsupported("WordDocument Workbook"), FileType::LegacyWorkbook);
        assert_eq!(unsupported("Book WordDocument"), FileType::LegacyWorkbook);
        assert!(matches!(file("EncryptedPackage"), WorkbookError::PasswordProtected));
    }
}
