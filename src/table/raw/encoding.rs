//! The supported encodings: names, byte order marks, decoding and encoding, and checks of bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use encoding_rs::{DecoderResult, EncoderResult};
use tr::tr;

use crate::table::raw::framer::count_line_ends;

/// An encoding of text. In none of them does the code unit of a line end occur inside another
/// character, so lines can be found before they are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16 little-endian, which Windows writes.
    Utf16Le,
    /// UTF-16 big-endian.
    Utf16Be,
    /// GB18030, which includes GBK and GB2312.
    Gb18030,
    /// Big5 as in browsers, with the characters of Hong Kong.
    Big5,
    /// Shift_JIS as on Windows (code page 932).
    ShiftJis,
    /// Windows-1252, which includes ISO 8859-1.
    Windows1252,
}

/// The name of an encoding that is not supported.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", tr!(
    "no such encoding; one of UTF-8, UTF-16LE, UTF-16BE, {legacy} (GBK and GB2312 are read as \
     GB18030)",
    legacy = LEGACY_NAMES
))]
pub struct UnknownEncoding;

/// The encodings without a byte order mark, as messages list them.
pub(crate) const LEGACY_NAMES: &str = "GB18030, Big5, Shift_JIS, Windows-1252";

/// Why the input cannot be read as text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodingError {
    /// The file begins with a UTF-32 byte order mark.
    #[error("{}", tr!(
        "the file is UTF-32, which dingmap cannot read: save it as \"CSV UTF-8\" and run again"
    ))]
    Utf32,
    /// The file begins like an archive, a workbook or a compressed file. The outer one is unpacked
    /// already.
    #[error("{}", tr!(
        "what is packed in this file is packed once more, or is a workbook: unpack it and run again"
    ))]
    Packed,
    /// At least a tenth of the bytes are zero, and the file is not UTF-16.
    #[error("{}", tr!(
        "the file has so many zero bytes that it is not text in any encoding that can be detected \
         by content; if it is UTF-16, say so with --encoding (-e: UTF-16LE, UTF-16BE), or save it \
         as \"CSV UTF-8\" and run again"
    ))]
    ZeroBytes,
    /// The byte order mark belongs to another encoding.
    #[error("{}", tr!(
        "the file begins with the byte order mark of {marked}, and --encoding says {asked}: leave \
         --encoding out and run again",
        marked, asked
    ))]
    BomConflict {
        /// The encoding of the byte order mark.
        marked: Encoding,
        /// The requested encoding.
        asked: Encoding,
    },
    /// The bytes fit neither UTF-8 nor another supported encoding.
    #[error("{}", tr!(
        "line {line}: the byte 0x{byte} at offset {offset} of the file is not UTF-8, and the text \
         does not read well in any of {legacy} or UTF-16; name its encoding with --encoding (-e), \
         or save the file as UTF-8 (in Excel: \"CSV UTF-8\") and run again",
        line, byte = format_args!("{byte:02X}"), offset, legacy = LEGACY_NAMES
    ))]
    Unknown {
        /// The physical line that holds the first byte that is not UTF-8, counted from 1.
        line: u64,
        /// Its offset in the file, in bytes.
        offset: u64,
        byte: u8,
    },
    /// A byte that is invalid in the encoding.
    #[error("{}", tr!(
        "line {line}: the byte 0x{byte} at offset {offset} of the file is not {encoding}; if the \
         whole file is in another encoding, name it with --encoding (-e: {legacy} …) or save the \
         file as UTF-8 (in Excel: \"CSV UTF-8\"); --lossy-cells lets such cells pass through as \
         they are",
        line, byte = format_args!("{byte:02X}"), offset, encoding, legacy = LEGACY_NAMES
    ))]
    Invalid {
        encoding: Encoding,
        /// The physical line that holds the byte, counted from 1.
        line: u64,
        /// Its offset in the file, in bytes.
        offset: u64,
        byte: u8,
    },
    /// A row ends inside a character, so nothing can be appended to it.
    #[error("{}", tr!(
        "line {line}: the row ends in the middle of a character of {encoding}, with the byte \
         0x{byte} at offset {offset} of the file, which would swallow the delimiter behind it; \
         remove or complete the character, or save the file as UTF-8 (in Excel: \"CSV UTF-8\"), \
         then run again",
        line, encoding, byte = format_args!("{byte:02X}"), offset
    ))]
    TruncatedCharacter {
        encoding: Encoding,
        /// The physical line on which the row ends, counted from 1.
        line: u64,
        /// The offset of the last byte of the row in the file, in bytes.
        offset: u64,
        byte: u8,
    },
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Gb18030 => "GB18030",
            Self::Big5 => "Big5",
            Self::ShiftJis => "Shift_JIS",
            Self::Windows1252 => "Windows-1252",
        })
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Parses the usual names and Windows code pages. Ignores case, hyphens, underscores and
    /// spaces.
    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let plain: String =
            name.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
        match plain.as_str() {
            "utf8" | "cp65001" => Ok(Self::Utf8),
            // Windows means little-endian. A byte order mark overrides it.
            "utf16" | "utf16le" | "unicode" => Ok(Self::Utf16Le),
            "utf16be" => Ok(Self::Utf16Be),
            "gb18030" | "gbk" | "gb2312" | "euccn" | "cp936" => Ok(Self::Gb18030),
            "big5" | "cp950" => Ok(Self::Big5),
            "shiftjis" | "sjis" | "mskanji" | "windows31j" | "cp932" => Ok(Self::ShiftJis),
            "windows1252" | "cp1252" | "latin1" | "iso88591" => Ok(Self::Windows1252),
            _ => Err(UnknownEncoding),
        }
    }
}

impl Encoding {
    pub const ALL: [Self; 7] = [
        Self::Utf8,
        Self::Utf16Le,
        Self::Utf16Be,
        Self::Gb18030,
        Self::Big5,
        Self::ShiftJis,
        Self::Windows1252,
    ];

    /// The length of a code unit in bytes. A line end is one code unit.
    #[must_use]
    pub fn code_unit_len(self) -> usize {
        if matches!(self, Self::Utf16Le | Self::Utf16Be) { 2 } else { 1 }
    }

    /// The byte order mark; empty if the encoding has none.
    #[must_use]
    pub fn bom(self) -> &'static [u8] {
        match self {
            Self::Utf8 => b"\xEF\xBB\xBF",
            Self::Utf16Le => b"\xFF\xFE",
            Self::Utf16Be => b"\xFE\xFF",
            Self::Gb18030 => b"\x84\x31\x95\x33",
            Self::Big5 | Self::ShiftJis | Self::Windows1252 => b"",
        }
    }

    /// Decodes bytes that begin and end between characters. Invalid bytes become U+FFFD.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        self.to_encoding_rs().decode_without_bom_handling(bytes).0
    }

    /// Decodes `bytes`. Also returns, for each byte of the text, the offset in `bytes` of the end
    /// of its character.
    #[must_use]
    pub fn decode_with_offsets(self, bytes: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let mut decoder = self.to_encoding_rs().new_decoder_without_bom_handling();
        let (mut text, mut ends) =
            (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
        for (at, byte) in bytes.iter().enumerate() {
            // One byte ends at most two characters: a truncated one and itself.
            let mut room = [0; 32];
            let last = at + 1 == bytes.len();
            let (_, _, written, _) =
                decoder.decode_to_utf8(std::slice::from_ref(byte), &mut room, last);
            text.extend_from_slice(&room[..written]);
            ends.resize(text.len(), at + 1);
        }
        (text, ends)
    }

    /// The position of the first invalid byte, if there is one.
    #[must_use]
    pub fn first_invalid(self, bytes: &[u8]) -> Option<usize> {
        if !self.to_encoding_rs().decode_without_bom_handling(bytes).1 {
            return None;
        }
        let mut decoder = self.to_encoding_rs().new_decoder_without_bom_handling();
        // The length overflows only where `bytes` fills half of the address space.
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len())?;
        let (result, read, _) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut vec![0; room], true);
        match result {
            DecoderResult::Malformed(length, after) => {
                Some(read - usize::from(length) - usize::from(after))
            }
            DecoderResult::InputEmpty | DecoderResult::OutputFull => None,
        }
    }

    /// Whether the encoding has this character.
    #[must_use]
    pub fn has_char(self, letter: char) -> bool {
        self.encode(letter.encode_utf8(&mut [0; 4]), &mut Vec::new()) == 0
    }

    /// Appends the encoded text to `to`, with a question mark for each character that the encoding
    /// lacks. Returns the number of those.
    pub fn encode(self, text: &str, to: &mut Vec<u8>) -> u64 {
        match self {
            Self::Utf8 => to.extend_from_slice(text.as_bytes()),
            Self::Utf16Le => to.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16Be => to.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            _ if text.is_ascii() => to.extend_from_slice(text.as_bytes()),
            _ => return self.encode_legacy(text, to),
        }
        0
    }

    fn encode_legacy(self, text: &str, to: &mut Vec<u8>) -> u64 {
        let mut encoder = self.to_encoding_rs().new_encoder();
        let (mut rest, mut unmappable) = (text, 0);
        loop {
            // A character takes at most twice as many bytes in these encodings as in UTF-8.
            to.reserve(rest.len() * 2 + 16);
            let (result, read) =
                encoder.encode_from_utf8_to_vec_without_replacement(rest, to, true);
            // Slicing would show the text in the panic message.
            let Some(unread) = rest.get(read..) else {
                unreachable!("the encoder stops between characters")
            };
            rest = unread;
            match result {
                EncoderResult::InputEmpty => return unmappable,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => {
                    to.push(b'?');
                    unmappable += 1;
                }
            }
        }
    }

    fn to_encoding_rs(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => encoding_rs::UTF_8,
            Self::Utf16Le => encoding_rs::UTF_16LE,
            Self::Utf16Be => encoding_rs::UTF_16BE,
            Self::Gb18030 => encoding_rs::GB18030,
            Self::Big5 => encoding_rs::BIG5,
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::Windows1252 => encoding_rs::WINDOWS_1252,
        }
    }
}

/// Rejects a file whose first bytes are not those of text. `asked` is the requested encoding.
pub(crate) fn check_is_text(start: &[u8], asked: Option<Encoding>) -> Result<(), EncodingError> {
    // In UTF-16 these bytes are its byte order mark and a zero.
    let is_utf16 = asked.is_some_and(|asked| asked.code_unit_len() == 2);
    if is_utf16 {
        return Ok(());
    }
    if start.starts_with(b"\xFF\xFE\0\0") || start.starts_with(b"\0\0\xFE\xFF") {
        Err(EncodingError::Utf32)
    } else if [&b"PK\x03\x04"[..], b"\xD0\xCF\x11\xE0", b"\x1F\x8B"]
        .iter()
        .any(|kind| start.starts_with(kind))
    {
        Err(EncodingError::Packed)
    } else {
        Ok(())
    }
}

/// Checks the bytes of a row in UTF-8, which start on `line` and at `offset` bytes in the file.
pub(crate) fn check_utf8(text: &[u8], line: u64, offset: u64) -> Result<(), EncodingError> {
    let Err(invalid) = str::from_utf8(text) else { return Ok(()) };
    let (valid, rest) = text.split_at(invalid.valid_up_to());
    Err(EncodingError::Invalid {
        encoding: Encoding::Utf8,
        line: line + count_line_ends(valid),
        offset: offset + valid.len() as u64,
        byte: rest[0],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_csv_files_are_recognized_by_their_first_bytes() {
        let cases: [(&[u8], _); 5] = [
            (b"\xFF\xFE\0\0a\0\0\0", Err(EncodingError::Utf32)),
            (b"PK\x03\x04\x14", Err(EncodingError::Packed)),
            (b"\xD0\xCF\x11\xE0\xA1", Err(EncodingError::Packed)),
            (b"\x1F\x8B\x08", Err(EncodingError::Packed)),
            (b"PK\x03,", Ok(())),
        ];
        for (start, found) in cases {
            assert_eq!(check_is_text(start, None), found);
        }
    }

    #[test]
    fn encoding_names_are_parsed_as_typed() {
        let read = |name: &str| name.parse::<Encoding>();
        for (names, encoding) in [
            (&["UTF-8", "utf8", "utf_8"][..], Encoding::Utf8),
            (&["utf-16", "UTF-16LE"], Encoding::Utf16Le),
            (&["UTF-16BE"], Encoding::Utf16Be),
            (&["GBK", "gb2312", "GB 18030", "cp936"], Encoding::Gb18030),
            (&["Big5", "big-5"], Encoding::Big5),
            (&["Shift_JIS", "sjis", "CP932"], Encoding::ShiftJis),
            (&["windows-1252", "latin1", "ISO-8859-1"], Encoding::Windows1252),
        ] {
            assert!(names.iter().all(|name| read(name) == Ok(encoding)), "{encoding}");
            assert_eq!(read(&encoding.to_string()), Ok(encoding));
        }
        assert!(read("klingon").unwrap_err().to_string().contains("Shift_JIS, Windows-1252"));
    }

    #[test]
    fn an_invalid_byte_is_located() {
        assert_eq!(check_utf8("手机\u{feff}\0".as_bytes(), 1, 0), Ok(()));
        let wrong = check_utf8(b"\"a\r\nb\n\xCA\xD6\",c", 7, 100);
        let invalid =
            EncodingError::Invalid { encoding: Encoding::Utf8, line: 9, offset: 106, byte: 0xCA };
        assert_eq!(wrong, Err(invalid));
        assert_eq!(Encoding::Gb18030.first_invalid(b"\xCA\xD6,\xFF\n"), Some(3));
        assert_eq!(Encoding::Gb18030.first_invalid(b"\xCA\xD6,\x81"), Some(3));
        assert_eq!(Encoding::Gb18030.first_invalid(b"\xCA\xD6,\x81\n"), Some(3));
        assert_eq!(Encoding::Gb18030.first_invalid(b"\xCA\xD6,\x81\x30\n"), Some(3));
        assert_eq!(Encoding::Utf16Le.first_invalid(b"a\0\x00\xDCb\0"), Some(2));
        assert_eq!(Encoding::Utf16Le.first_invalid(b"a\0b"), Some(2));
        assert_eq!(Encoding::ShiftJis.first_invalid(b"\x83\x41|"), None);
    }

    #[test]
    fn unencodable_characters_are_counted() {
        let encoded = |encoding: Encoding, text: &str| {
            let mut bytes = b"x".to_vec();
            let lacking = encoding.encode(text, &mut bytes);
            let signs = |text: &[u8]| text.split(|byte| *byte == b'?').count() as u64;
            assert_eq!(lacking, signs(&bytes) - signs(text.as_bytes()));
            bytes
        };
        assert_eq!(encoded(Encoding::Windows1252, "é找到😀€"), b"x\xE9???\x80");
        assert_eq!(encoded(Encoding::Big5, "找到该"), b"x\xA7\xE4\xA8\xEC?");
        assert_eq!(encoded(Encoding::Gb18030, "找😀"), b"x\xD5\xD2\x94\x39\xFC\x36");
        assert_eq!(encoded(Encoding::Utf16Be, "a😀"), b"x\0a\xD8\x3D\xDE\x00");
        let long = "找?".repeat(10_000);
        assert_eq!(encoded(Encoding::Windows1252, &long).len(), 20_001);
    }
}
