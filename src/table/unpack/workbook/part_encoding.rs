//! The encoding of a part: XML in a workbook is UTF-8 or UTF-16. Parts are read as UTF-8.

use std::io::{self, Read};

use tr::tr;

/// The number of bytes of UTF-16 that are converted at once.
const CHUNK_BYTES: usize = 8 << 10;

/// The encoding of a part, as its first bytes show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl PartEncoding {
    /// The encoding, and the length of the byte order mark.
    #[must_use]
    pub(crate) fn detect(start: &[u8]) -> (Self, usize) {
        match start {
            [0xEF, 0xBB, 0xBF, ..] => (Self::Utf8, 3),
            [0xFF, 0xFE, ..] => (Self::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Self::Utf16Be, 2),
            [b'<', 0, ..] => (Self::Utf16Le, 0),
            [0, b'<', ..] => (Self::Utf16Be, 0),
            _ => (Self::Utf8, 0),
        }
    }

    /// Appends `bytes`, which are complete characters of UTF-8, in this encoding.
    pub(crate) fn encode(self, bytes: &[u8], to: &mut Vec<u8>) {
        let text = || String::from_utf8_lossy(bytes);
        match self {
            Self::Utf8 => to.extend_from_slice(bytes),
            Self::Utf16Le => to.extend(text().encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16Be => to.extend(text().encode_utf16().flat_map(u16::to_be_bytes)),
        }
    }
}

/// A part as UTF-8, without its byte order mark.
pub(crate) struct Utf8Part<R> {
    part: R,
    /// `None` before the first read.
    encoding: Option<PartEncoding>,
    /// The byte order mark of the part.
    bom: Vec<u8>,
    /// Bytes of the part that were not converted yet.
    pending: Vec<u8>,
    /// Converted text, and how much of it was read.
    text: String,
    read: usize,
}

impl<R: Read> Utf8Part<R> {
    #[must_use]
    pub(crate) fn new(part: R) -> Self {
        let (bom, pending) = (Vec::new(), Vec::new());
        Self { part, encoding: None, bom, pending, text: String::new(), read: 0 }
    }

    /// The encoding of the part and its byte order mark.
    pub(crate) fn encoding(&mut self) -> io::Result<(PartEncoding, &[u8])> {
        let encoding = if let Some(encoding) = self.encoding {
            encoding
        } else {
            (&mut self.part).take(3).read_to_end(&mut self.pending)?;
            let (encoding, bom_len) = PartEncoding::detect(&self.pending);
            self.bom = self.pending.drain(..bom_len).collect();
            *self.encoding.insert(encoding)
        };
        Ok((encoding, &self.bom))
    }

    /// Converts more of a part in UTF-16. Returns whether the part may have more.
    fn convert_chunk(&mut self, from_bytes: fn([u8; 2]) -> u16) -> io::Result<bool> {
        (self.text, self.read) = (String::new(), 0);
        let size = (&mut self.part).take(CHUNK_BYTES as u64).read_to_end(&mut self.pending)?;
        let mut units: Vec<u16> =
            self.pending.chunks_exact(2).map(|pair| from_bytes([pair[0], pair[1]])).collect();
        // The second half of a pair may follow.
        let is_half = |unit: &u16| (0xD800..0xDC00).contains(unit);
        if size > 0 && units.last().is_some_and(is_half) {
            units.pop();
        }
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, tr!("it has invalid bytes of UTF-16"));
        for unit in char::decode_utf16(units.iter().copied()) {
            self.text.push(unit.map_err(|_| damaged())?);
        }
        self.pending.drain(..2 * units.len());
        if size == 0 && !self.pending.is_empty() { Err(damaged()) } else { Ok(size > 0) }
    }
}

impl<R: Read> Read for Utf8Part<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let from_bytes = match self.encoding()?.0 {
            PartEncoding::Utf8 if self.pending.is_empty() => return self.part.read(room),
            PartEncoding::Utf8 => {
                let size = self.pending.as_slice().read(room)?;
                self.pending.drain(..size);
                return Ok(size);
            }
            PartEncoding::Utf16Le => u16::from_le_bytes,
            PartEncoding::Utf16Be => u16::from_be_bytes,
        };
        // A chunk may have nothing but half a character.
        while self.read == self.text.len() && self.convert_chunk(from_bytes)? {}
        let size = (&self.text.as_bytes()[self.read..]).read(room)?;
        self.read += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_utf8_and_written_back_as_it_was() {
        let text = format!("<a>{}</a>", "手机\u{1F4F7}é".repeat(3000));
        for (encoding, bom) in [
            (PartEncoding::Utf8, &b"\xEF\xBB\xBF"[..]),
            (PartEncoding::Utf8, b""),
            (PartEncoding::Utf16Le, b"\xFF\xFE"),
            (PartEncoding::Utf16Le, b""),
            (PartEncoding::Utf16Be, b"\xFE\xFF"),
            (PartEncoding::Utf16Be, b""),
        ] {
            let mut part = bom.to_vec();
            encoding.encode(text.as_bytes(), &mut part);
            let mut reader = Utf8Part::new(part.as_slice());
            assert_eq!(reader.encoding().unwrap(), (encoding, bom));
            let mut read = String::new();
            reader.read_to_string(&mut read).unwrap();
            assert!(read == text);
        }
    }

    #[test]
    fn invalid_utf16_is_an_error() {
        for part in [&b"\xFF\xFE<\0\0"[..], b"\xFF\xFE\x00\xD8", b"\xFF\xFE\x00\xD8<\0"] {
            let error = Utf8Part::new(part).read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(Utf8Part::new(&b""[..]).read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}
