//! Owns what the input's bytes mean as text: the byte order mark, the files that are no CSV at all, and UTF-8. What
//! the text holds is for others.

use crate::table::record::line_ends;

/// How the input's text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
}

/// Why the bytes are no text that can be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodingError {
    /// The file begins with a UTF-16 byte order mark.
    #[error("the file is UTF-16, which is not read yet: save it as \"CSV UTF-8\" and run again")]
    Utf16,
    /// The file begins like a zip archive, which an `.xlsx` file is.
    #[error(
        "this is an Excel workbook (or another zip archive), not a CSV: save it as \"CSV UTF-8\" and run again"
    )]
    Workbook,
    /// The file begins like the workbooks that Excel wrote until 2003.
    #[error("this is an old Excel workbook (.xls), not a CSV: save it as \"CSV UTF-8\" and run again")]
    OldWorkbook,
    /// The file begins like gzip.
    #[error("the file is compressed with gzip: unpack it first (gunzip) and run again")]
    Gzip,
    /// A byte that UTF-8 does not allow.
    #[error(
        "line {line}: the byte 0x{byte:02X} at offset {offset} of the file is not UTF-8; save the file as UTF-8 \
         (in Excel: \"CSV UTF-8\") and run again"
    )]
    Invalid {
        /// The physical line that holds the byte, counted from 1.
        line: u64,
        /// How many bytes of the file stand before it.
        offset: u64,
        /// The byte itself.
        byte: u8,
    },
}

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
const LONGEST_SIGNATURE: usize = 4;

/// The length of the byte order mark at the start of a file (0 or 3), or nothing while too few bytes are known to
/// tell. `complete` says that no more will come.
///
/// # Errors
/// [`EncodingError`] when the first bytes are those of a file that is not CSV in UTF-8.
pub fn mark_length(start: &[u8], complete: bool) -> Result<Option<usize>, EncodingError> {
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        Err(EncodingError::Utf16)
    } else if start.starts_with(b"PK\x03\x04") {
        Err(EncodingError::Workbook)
    } else if start.starts_with(b"\xD0\xCF\x11\xE0") {
        Err(EncodingError::OldWorkbook)
    } else if start.starts_with(b"\x1F\x8B") {
        Err(EncodingError::Gzip)
    } else if start.len() < LONGEST_SIGNATURE && !complete {
        Ok(None)
    } else {
        Ok(Some(if start.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 }))
    }
}

/// Checks a row's bytes, which start on `line` and at `offset` bytes into the file.
///
/// # Errors
/// [`EncodingError::Invalid`] for the first byte that is not UTF-8.
pub fn check(text: &[u8], line: u64, offset: u64) -> Result<(), EncodingError> {
    let Err(wrong) = str::from_utf8(text) else { return Ok(()) };
    let (valid, rest) = text.split_at_checked(wrong.valid_up_to()).unwrap_or((text, &[]));
    Err(EncodingError::Invalid {
        line: line + line_ends(valid),
        offset: offset + valid.len() as u64,
        byte: rest.first().copied().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_csv_is_told_by_its_first_bytes() {
        let cases: [(&[u8], _); 5] = [
            (b"\xFF\xFEa\0", EncodingError::Utf16),
            (b"\xFE\xFF\0a", EncodingError::Utf16),
            (b"PK\x03\x04\x14", EncodingError::Workbook),
            (b"\xD0\xCF\x11\xE0\xA1", EncodingError::OldWorkbook),
            (b"\x1F\x8B\x08", EncodingError::Gzip),
        ];
        for (start, error) in cases {
            assert_eq!(mark_length(start, false), Err(error));
        }
    }

    #[test]
    fn the_mark_is_told_once_enough_is_known() {
        assert_eq!(mark_length(b"\xEF\xBB\xBFa", false), Ok(Some(3)));
        assert_eq!(mark_length(b"\xEF\xBB\xBF", true), Ok(Some(3)));
        assert_eq!(mark_length(b"\xEF\xBB\xBF", false), Ok(None));
        assert_eq!(mark_length(b"", true), Ok(Some(0)));
        assert_eq!(mark_length(b"PK\x03,", false), Ok(Some(0)));
    }

    #[test]
    fn a_wrong_byte_is_placed() {
        assert_eq!(check("手机\u{feff}\0".as_bytes(), 1, 0), Ok(()));
        let wrong = check(b"\"a\r\nb\n\xCA\xD6\",c", 7, 100);
        assert_eq!(wrong, Err(EncodingError::Invalid { line: 9, offset: 106, byte: 0xCA }));
    }
}
