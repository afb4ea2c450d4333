//! Decodes an input to UTF-8 line by line and maps the text back to the input's bytes.
//! UTF-8 input is passed on without decoding.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::table::raw::buffer::InputBuffer;
use crate::table::raw::encoding::{self, Encoding, EncodingError};
use crate::table::raw::framer::{MAX_ROW_BYTES, Row, count_line_ends};

/// The text of an input that was read and not yet consumed.
///
/// There are two coordinate systems. Lengths and positions are in bytes of the decoded UTF-8 text,
/// unless their name contains `raw` or the doc comment says that they are in bytes of the input.
pub(crate) struct TextDecoder {
    buffer: InputBuffer,
    encoding: Encoding,
    /// The length of the byte order mark at the start of the buffer, which is not part of the text.
    bom_len: usize,
    decoded: Vec<u8>,
    /// Where in `decoded` the text that is not consumed begins.
    start: usize,
    /// The lines of that text. A line ends after `\n` or `\r`, so `\r\n` ends two lines.
    lines: VecDeque<LineLengths>,
    /// How many bytes of the buffer after the byte order mark are decoded.
    decoded_raw_len: usize,
    /// How many bytes after those contain no line end.
    scanned: usize,
    /// The number of lines with invalid bytes.
    invalid_lines: usize,
}

/// The length of a line, decoded and in the input.
struct LineLengths {
    text_len: usize,
    raw_len: usize,
    /// The position in the input's bytes of the line of the first invalid one.
    first_invalid: Option<usize>,
}

impl TextDecoder {
    #[must_use]
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            buffer: InputBuffer::new(input),
            encoding: Encoding::Utf8,
            bom_len: 0,
            decoded: Vec::new(),
            start: 0,
            lines: VecDeque::new(),
            decoded_raw_len: 0,
            scanned: 0,
            invalid_lines: 0,
        }
    }

    /// The input's bytes that were read and not consumed, including the byte order mark.
    #[must_use]
    pub(crate) fn raw(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// Sets the encoding. May be called again until something is consumed.
    pub(crate) fn set_encoding(&mut self, encoding: Encoding, bom_len: usize) {
        (
            self.encoding,
            self.bom_len,
            self.start,
            self.decoded_raw_len,
            self.scanned,
            self.invalid_lines,
        ) = (encoding, bom_len, 0, 0, 0, 0);
        self.decoded.clear();
        self.lines.clear();
        self.decode_lines();
    }

    /// The text that is not consumed: complete lines, or everything once the input has ended. UTF-8
    /// input is returned as it is, incomplete lines included.
    #[must_use]
    pub(crate) fn decoded(&self) -> &[u8] {
        if self.encoding == Encoding::Utf8 {
            &self.buffer.bytes()[self.bom_len..]
        } else {
            &self.decoded[self.start..]
        }
    }

    /// The number of bytes of the input consumed so far.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// Whether the input has ended.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.buffer.is_complete()
    }

    /// Whether an incomplete line is longer than a row may be, so that it will never be decoded.
    #[must_use]
    pub(crate) fn is_overlong(&self) -> bool {
        self.encoding != Encoding::Utf8
            && self.scanned > MAX_ROW_BYTES * self.encoding.code_unit_len()
    }

    /// Reads once, blocking.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        self.buffer.fill()?;
        self.decode_lines();
        Ok(())
    }

    /// Consumes and returns the byte order mark.
    pub(crate) fn take_bom(&mut self) -> Vec<u8> {
        let bom = self.buffer.bytes()[..self.bom_len].to_vec();
        self.buffer.consume(self.bom_len);
        self.bom_len = 0;
        bom
    }

    /// Returns the input's bytes of the row at the beginning of the text. The byte order mark must
    /// be consumed.
    #[must_use]
    pub(crate) fn raw_row<'a>(&'a self, row: &Row<'a>) -> Row<'a> {
        if self.encoding == Encoding::Utf8 {
            return *row;
        }
        let end = self.raw_len(row.byte_len());
        let content_start = self.raw_len(row.leading_blanks.len());
        let content_end = end - row.terminator.len() * self.encoding.code_unit_len();
        let bytes = &self.buffer.bytes()[..end];
        Row {
            leading_blanks: &bytes[..content_start],
            content: &bytes[content_start..content_end],
            terminator: &bytes[content_end..],
            line: row.line,
        }
    }

    /// Returns the input's bytes of the first `length` bytes of the text, which are complete lines.
    /// The byte order mark must be consumed.
    #[must_use]
    pub(crate) fn raw_prefix(&self, length: usize) -> &[u8] {
        &self.buffer.bytes()[..self.raw_len(length)]
    }

    /// Checks that a row has no invalid bytes. It begins `start` bytes after the beginning of the
    /// text.
    ///
    /// # Errors
    /// [`EncodingError::Invalid`] for the first invalid byte.
    pub(crate) fn check_row(&self, start: usize, row: &Row<'_>) -> Result<(), EncodingError> {
        let offset = self.buffer.offset() + self.bom_len as u64;
        if self.encoding == Encoding::Utf8 {
            return encoding::check_utf8(
                row.content,
                row.line,
                offset + (start + row.leading_blanks.len()) as u64,
            );
        }
        if self.invalid_lines == 0 {
            return Ok(());
        }
        let (mut at, mut raw) = (0, 0);
        let from = start + row.leading_blanks.len();
        for line in &self.lines {
            if at >= start + row.byte_len() {
                break;
            }
            if let Some(invalid) = line.first_invalid.filter(|_| at >= from) {
                return Err(EncodingError::Invalid {
                    encoding: self.encoding,
                    line: row.line + count_line_ends(&row.content[..at - from]),
                    offset: offset + (raw + invalid) as u64,
                    byte: self.buffer.bytes()[self.bom_len + raw + invalid],
                });
            }
            at += line.text_len;
            raw += line.raw_len;
        }
        Ok(())
    }

    /// Checks that a row, which may have invalid bytes, does not end with some that would form a
    /// character with an appended delimiter. It begins `start` bytes after the beginning of the
    /// text.
    ///
    /// # Errors
    /// [`EncodingError::TruncatedCharacter`] for the last byte of the row.
    pub(crate) fn check_row_end(
        &self,
        start: usize,
        row: &Row<'_>,
        delimiter: char,
    ) -> Result<(), EncodingError> {
        if self.invalid_lines == 0 {
            return Ok(());
        }
        let from = self.bom_len + self.raw_len(start);
        let end = self.bom_len + self.raw_len(start + row.byte_len());
        let end = end - row.terminator.len() * self.encoding.code_unit_len();
        let mut bytes = self.buffer.bytes()[from..end].to_vec();
        // A row without content ends with the line end before it, which is a whole character.
        let Some(&last) = bytes.last() else { return Ok(()) };
        self.encoding.encode(delimiter.encode_utf8(&mut [0; 4]), &mut bytes);
        if self.encoding.decode(&bytes).ends_with(delimiter) {
            return Ok(());
        }
        Err(EncodingError::TruncatedCharacter {
            encoding: self.encoding,
            line: row.line + count_line_ends(row.content),
            offset: self.buffer.offset() + end as u64 - 1,
            byte: last,
        })
    }

    /// Consumes the first `length` bytes of the text, which are complete lines. The byte order mark
    /// must be consumed.
    pub(crate) fn consume(&mut self, length: usize) {
        if self.encoding == Encoding::Utf8 {
            self.buffer.consume(length);
            return;
        }
        let mut left = length;
        while left > 0 {
            let Some(line) = self.lines.pop_front() else {
                unreachable!("only text that is known can be consumed")
            };
            left = left.saturating_sub(line.text_len);
            self.start += line.text_len;
            self.decoded_raw_len -= line.raw_len;
            self.invalid_lines -= usize::from(line.first_invalid.is_some());
            self.buffer.consume(line.raw_len);
        }
    }

    fn raw_len(&self, length: usize) -> usize {
        if self.encoding == Encoding::Utf8 {
            return length;
        }
        let mut left = length;
        let mut raw = 0;
        for line in &self.lines {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(line.text_len);
            raw += line.raw_len;
        }
        raw
    }

    /// Decodes the lines that are complete now, and the last one if the input has ended.
    fn decode_lines(&mut self) {
        if self.encoding == Encoding::Utf8 {
            return;
        }
        self.decoded.drain(..self.start);
        self.start = 0;
        loop {
            let pending = &self.buffer.bytes()[self.bom_len + self.decoded_raw_len..];
            let raw = match find_line_end(pending, self.scanned, self.encoding) {
                Some(end) => &pending[..end],
                None if self.buffer.is_complete() && !pending.is_empty() => pending,
                None => {
                    // Half of a code unit at the end is scanned again.
                    self.scanned = pending.len() - pending.len() % self.encoding.code_unit_len();
                    return;
                }
            };
            let text = self.encoding.decode(raw);
            // Valid text may contain U+FFFD too, but an invalid byte always becomes one.
            let suspect = text.contains(char::REPLACEMENT_CHARACTER);
            let first_invalid = if suspect { self.encoding.first_invalid(raw) } else { None };
            self.decoded.extend_from_slice(text.as_bytes());
            self.lines.push_back(LineLengths {
                text_len: text.len(),
                raw_len: raw.len(),
                first_invalid,
            });
            self.invalid_lines += usize::from(first_invalid.is_some());
            self.decoded_raw_len += raw.len();
            self.scanned = 0;
        }
    }
}

/// The end of the first line in `bytes`, which is not before `from`.
fn find_line_end(bytes: &[u8], from: usize, encoding: Encoding) -> Option<usize> {
    let ends = |byte: u8| byte == b'\n' || byte == b'\r';
    let rest = &bytes[from..];
    let (pairs, _) = rest.as_chunks::<2>();
    let end = match encoding {
        Encoding::Utf16Le => pairs.iter().position(|&[low, high]| high == 0 && ends(low)),
        Encoding::Utf16Be => pairs.iter().position(|&[high, low]| high == 0 && ends(low)),
        _ => rest.iter().position(|&byte| ends(byte)),
    };
    end.map(|end| from + (end + 1) * encoding.code_unit_len())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0.pop_front().map_or(Ok(0), |piece| piece.as_slice().read(room))
        }
    }

    /// A text whose input gives `size` bytes at a time.
    fn text(bytes: &[u8], size: usize, encoding: Encoding, mark: usize) -> TextDecoder {
        let mut text =
            TextDecoder::new(Box::new(Pieces(bytes.chunks(size).map(<[u8]>::to_vec).collect())));
        while text.raw().len() < mark {
            text.fill().unwrap();
        }
        text.set_encoding(encoding, mark);
        text
    }

    #[test]
    fn complete_lines_are_decoded_and_keep_their_bytes() {
        for (encoding, bytes) in [
            (Encoding::Utf16Le, &b"\xFF\xFEK\x62\r\0\n\0\x0A\x0A\n\0x\0"[..]),
            (Encoding::Utf16Be, b"\xFE\xFF\x62K\0\r\0\n\x0A\x0A\0\n\0x"),
        ] {
            let mut text = text(bytes, 1, encoding, 2);
            for _ in 0..4 {
                text.fill().unwrap();
            }
            assert_eq!(text.decoded(), "手\r".as_bytes());
            while !text.is_complete() {
                text.fill().unwrap();
            }
            assert_eq!(text.take_bom(), encoding.bom());
            assert_eq!(text.decoded(), "手\r\n\u{a0a}\nx".as_bytes());
            let all = text.decoded().to_vec();
            let row = Row {
                leading_blanks: &all[..5],
                content: &all[5..8],
                terminator: &all[8..9],
                line: 2,
            };
            let raw = text.raw_row(&row);
            assert_eq!(
                [raw.leading_blanks, raw.content, raw.terminator],
                [&bytes[2..8], &bytes[8..10], &bytes[10..12]]
            );
            assert_eq!(text.raw_prefix(5), &bytes[2..8]);
            text.consume(9);
            assert_eq!((text.decoded(), text.raw()), (&b"x"[..], &bytes[12..]));
        }
    }

    #[test]
    fn an_invalid_byte_is_located_in_the_input() {
        let bytes = b"\n\xCA\xD6,\"a\r\nb\xFF\"\nc\x81\n";
        for size in [1, 100] {
            let mut text = text(bytes, size, Encoding::Gb18030, 0);
            while !text.is_complete() {
                text.fill().unwrap();
            }
            let all = text.decoded().to_vec();
            assert_eq!(String::from_utf8_lossy(&all), "\n手,\"a\r\nb\u{fffd}\"\nc\u{fffd}\n");
            let row =
                Row { leading_blanks: &all[..1], content: &all[1..14], terminator: b"\n", line: 2 };
            let invalid = |line, offset, byte| {
                Err(EncodingError::Invalid { encoding: Encoding::Gb18030, line, offset, byte })
            };
            assert_eq!(text.check_row(0, &row), invalid(3, 9, 0xFF));
            text.consume(row.byte_len());
            let row =
                Row { leading_blanks: b"", content: &all[15..19], terminator: b"\n", line: 4 };
            assert_eq!(text.check_row(0, &row), invalid(4, 13, 0x81));
        }
        let genuine = text("\u{fffd}\n".as_bytes(), 9, Encoding::Utf8, 0);
        assert_eq!(
            genuine.check_row(
                0,
                &Row {
                    leading_blanks: b"",
                    content: "\u{fffd}".as_bytes(),
                    terminator: b"\n",
                    line: 1
                }
            ),
            Ok(())
        );
    }

    #[test]
    fn a_row_does_not_end_inside_a_character() {
        let cases = [
            (Encoding::Gb18030, &b"a|b\x81\n"[..], '|', Some((3, 0x81))),
            (Encoding::Gb18030, b"a,b\x81\n", ',', None),
            (Encoding::Gb18030, b"a|\"b\x81\"\n", '|', None),
            (Encoding::Big5, b"\xFF|\xA4\r\n", '|', Some((2, 0xA4))),
            (Encoding::ShiftJis, b"\xFFa|b\n", '|', None),
            (Encoding::Utf16Le, b"a\0,\0b", ',', Some((4, b'b'))),
            (Encoding::Utf16Be, b"\0a\0,\xD8\0\0\n", ',', None),
        ];
        for (encoding, bytes, delimiter, cut) in cases {
            let mut text = text(bytes, 100, encoding, 0);
            while !text.is_complete() {
                text.fill().unwrap();
            }
            let all = text.decoded().to_vec();
            let end =
                all.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(all.len());
            let row =
                Row { leading_blanks: b"", content: &all[..end], terminator: &all[end..], line: 1 };
            let expected = cut.map(|(offset, byte)| EncodingError::TruncatedCharacter {
                encoding,
                line: 1,
                offset,
                byte,
            });
            assert_eq!(text.check_row_end(0, &row, delimiter).err(), expected, "{bytes:?}");
        }
    }
}
