//! Owns the input as text: its lines decoded to UTF-8 for whoever frames them, beside the bytes that they stand for.
//! UTF-8 is not decoded but passed on as it is. Where rows begin and end is for others.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::table::raw::buffer::InputBuffer;
use crate::table::raw::encoding::{self, Encoding, EncodingError};
use crate::table::raw::framer::{MAX_ROW_BYTES, Row, count_line_ends};

/// The part of an input that is known and not used up yet, as text. Lengths and places are in bytes of the text, in UTF-8,
/// except where they are said to be the input's.
pub struct TextDecoder {
    buffer: InputBuffer,
    encoding: Encoding,
    /// How many of the window's bytes are the byte order mark, which is no part of the text.
    bom_len: usize,
    decoded: Vec<u8>,
    /// Where in `decoded` the text that is not used up begins.
    start: usize,
    /// The lines of that text. A line ends with its `\n` or `\r`, so that `\r\n` makes two.
    lines: VecDeque<LineLengths>,
    /// How many of the window's bytes behind the mark are decoded.
    decoded_raw_len: usize,
    /// How many bytes behind those have no line end.
    scanned: usize,
    /// How many of the lines hold something that is no text.
    invalid_lines: usize,
}

/// How long a line is, as text and as the input has it.
struct LineLengths {
    text_len: usize,
    raw_len: usize,
    /// How many of the input's bytes stand before the first one that is no text.
    first_invalid: Option<usize>,
}

impl TextDecoder {
    /// The text at the beginning of `input`, of which nothing is known yet.
    #[must_use]
    pub fn new(input: Box<dyn Read + Send>) -> Self {
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

    /// The input's bytes that are known and not used up, with the mark if it is not passed.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// Settles how the input is read. May be settled anew until something is used up.
    pub fn set_encoding(&mut self, encoding: Encoding, mark: usize) {
        (
            self.encoding,
            self.bom_len,
            self.start,
            self.decoded_raw_len,
            self.scanned,
            self.invalid_lines,
        ) = (encoding, mark, 0, 0, 0, 0);
        self.decoded.clear();
        self.lines.clear();
        self.decode_lines();
    }

    /// The text that is known and not used up: whole lines, or everything once the input is complete; UTF-8 as it is.
    #[must_use]
    pub fn decoded(&self) -> &[u8] {
        if self.encoding == Encoding::Utf8 {
            self.buffer.bytes().get(self.bom_len..).unwrap_or_default()
        } else {
            self.decoded.get(self.start..).unwrap_or_default()
        }
    }

    /// How many bytes of the input are consumed.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// Whether the input has nothing beyond the text.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.buffer.is_complete()
    }

    /// Whether a line grows beyond what a row may have, so that it will never be text to frame.
    #[must_use]
    pub fn is_overlong(&self) -> bool {
        self.encoding != Encoding::Utf8
            && self.scanned > MAX_ROW_BYTES * self.encoding.code_unit_len()
    }

    /// Reads once, and waits for it if it must.
    ///
    /// # Errors
    /// What the reader fails with, other than an interruption.
    pub fn fill(&mut self) -> io::Result<()> {
        self.buffer.fill()?;
        self.decode_lines();
        Ok(())
    }

    /// Gives the mark, which is then used up.
    pub fn take_bom(&mut self) -> Vec<u8> {
        let mark = self.buffer.bytes().get(..self.bom_len).unwrap_or_default().to_vec();
        self.buffer.consume(self.bom_len);
        self.bom_len = 0;
        mark
    }

    /// The row at the beginning of the text with the input's own bytes. The mark is passed.
    #[must_use]
    pub fn raw_row<'a>(&'a self, row: &Row<'a>) -> Row<'a> {
        if self.encoding == Encoding::Utf8 {
            return *row;
        }
        let before = self.raw_len(row.leading_blanks.len());
        let end = self.raw_len(row.byte_len());
        let terminator = end.saturating_sub(row.terminator.len() * self.encoding.code_unit_len());
        let piece = |from, to| self.buffer.bytes().get(from..to).unwrap_or_default();
        Row {
            leading_blanks: piece(0, before),
            content: piece(before, terminator),
            terminator: piece(terminator, end),
            line: row.line,
        }
    }

    /// The input's bytes that the first `length` bytes of the text, which are whole lines, stand for. The mark is passed.
    #[must_use]
    pub fn raw_prefix(&self, length: usize) -> &[u8] {
        self.buffer.bytes().get(..self.raw_len(length)).unwrap_or_default()
    }

    /// Checks that all of a row is text; `row` stands `start` bytes behind the beginning of the text.
    ///
    /// # Errors
    /// [`EncodingError::Invalid`] for the first byte that is none.
    pub fn check_row(&self, start: usize, row: &Row<'_>) -> Result<(), EncodingError> {
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
            if let Some(wrong) = line.first_invalid.filter(|_| at >= from) {
                let known = self.buffer.bytes().get(self.bom_len + raw + wrong);
                return Err(EncodingError::Invalid {
                    encoding: self.encoding,
                    line: row.line
                        + count_line_ends(row.content.get(..at - from).unwrap_or_default()),
                    offset: offset + (raw + wrong) as u64,
                    byte: known.copied().unwrap_or_default(),
                });
            }
            at += line.text_len;
            raw += line.raw_len;
        }
        Ok(())
    }

    /// Checks that a row, which may hold bytes that are no text, does not end with some that would make another
    /// character of the delimiter behind them; `row` stands `start` bytes behind the beginning of the text.
    ///
    /// # Errors
    /// [`EncodingError::Cut`] for the row's last byte.
    pub fn check_row_end(
        &self,
        start: usize,
        row: &Row<'_>,
        delimiter: u8,
    ) -> Result<(), EncodingError> {
        if self.invalid_lines == 0 {
            return Ok(());
        }
        let from = self.bom_len + self.raw_len(start);
        let end = self.bom_len + self.raw_len(start + row.byte_len());
        let end = end.saturating_sub(row.terminator.len() * self.encoding.code_unit_len());
        let mut bytes = self.buffer.bytes().get(from..end).unwrap_or_default().to_vec();
        let last = bytes.last().copied().unwrap_or_default();
        let delimiter = char::from(delimiter);
        self.encoding.encode(delimiter.encode_utf8(&mut [0; 4]), &mut bytes);
        if self.encoding.decode(&bytes).ends_with(delimiter) {
            return Ok(());
        }
        Err(EncodingError::TruncatedCharacter {
            encoding: self.encoding,
            line: row.line + count_line_ends(row.content),
            offset: self.buffer.offset() + end.saturating_sub(1) as u64,
            byte: last,
        })
    }

    /// Uses up the first `length` bytes of the text, which are whole lines. The mark is passed.
    pub fn consume(&mut self, length: usize) {
        if self.encoding == Encoding::Utf8 {
            self.buffer.consume(length);
            return;
        }
        let mut left = length;
        while left > 0
            && let Some(line) = self.lines.pop_front()
        {
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

    /// Decodes the lines that have become whole; the rest too when nothing follows it.
    fn decode_lines(&mut self) {
        if self.encoding == Encoding::Utf8 {
            return;
        }
        self.decoded.drain(..self.start);
        self.start = 0;
        loop {
            let known =
                self.buffer.bytes().get(self.bom_len + self.decoded_raw_len..).unwrap_or_default();
            let end = find_line_end(known, self.scanned, self.encoding);
            let length = match end {
                Some(end) => end,
                None if self.buffer.is_complete() && !known.is_empty() => known.len(),
                None => {
                    // A unit that is cut in two is looked at again.
                    self.scanned = known.len() - known.len() % self.encoding.code_unit_len();
                    return;
                }
            };
            let raw = known.get(..length).unwrap_or_default();
            let text = self.encoding.decode(raw);
            // A text may hold the replacement character itself; only a line that has one can have a wrong byte.
            let suspect = text.contains(char::REPLACEMENT_CHARACTER);
            let wrong = if suspect { self.encoding.first_invalid(raw) } else { None };
            self.decoded.extend_from_slice(text.as_bytes());
            self.lines.push_back(LineLengths {
                text_len: text.len(),
                raw_len: length,
                first_invalid: wrong,
            });
            self.invalid_lines += usize::from(wrong.is_some());
            self.decoded_raw_len += length;
            self.scanned = 0;
        }
    }
}

/// Where the first line in `bytes` ends, which is not before `from`.
fn find_line_end(bytes: &[u8], from: usize, encoding: Encoding) -> Option<usize> {
    let ends = |byte: u8| byte == b'\n' || byte == b'\r';
    let rest = bytes.get(from..).unwrap_or_default();
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
            for _ in 0..6 {
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
            (Encoding::Gb18030, &b"a|b\x81\n"[..], b'|', Some((3, 0x81))),
            (Encoding::Gb18030, b"a,b\x81\n", b',', None),
            (Encoding::Gb18030, b"a|\"b\x81\"\n", b'|', None),
            (Encoding::Big5, b"\xFF|\xA4\r\n", b'|', Some((2, 0xA4))),
            (Encoding::ShiftJis, b"\xFFa|b\n", b'|', None),
            (Encoding::Utf16Le, b"a\0,\0b", b',', Some((4, b'b'))),
            (Encoding::Utf16Be, b"\0a\0,\xD8\0\0\n", b',', None),
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
