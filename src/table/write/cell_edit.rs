//! Finds the cells in the bytes of a row, so that some can be replaced while the others keep their
//! bytes.

use std::ops::Range;

use crate::table::raw::encoding::Encoding;
use crate::table::raw::row_parser::RowParser;

/// Finds the cells of rows of one table.
pub(crate) struct Splitter {
    parser: RowParser,
    encoding: Encoding,
    /// The length of the delimiter in the encoding, in bytes.
    delimiter_len: usize,
}

impl Splitter {
    #[must_use]
    pub(crate) fn new(delimiter: char, encoding: Encoding) -> Self {
        let mut encoded = Vec::new();
        encoding.encode(delimiter.encode_utf8(&mut [0; 4]), &mut encoded);
        Self { parser: RowParser::new(delimiter), encoding, delimiter_len: encoded.len() }
    }

    /// Where each cell is in `raw`, the bytes of a row without its terminator. Between two cells is
    /// the delimiter. A row has at least one cell.
    #[must_use]
    pub(crate) fn cell_ranges(&mut self, raw: &[u8]) -> Vec<Range<usize>> {
        let mut start = 0;
        let to_range = |end| {
            let range = start..end;
            start = end + self.delimiter_len;
            range
        };
        self.parser.reset();
        if self.encoding == Encoding::Utf8 {
            self.parser.advance(raw, true);
            return self.parser.raw_ends().iter().copied().map(to_range).collect();
        }
        let (text, offsets) = self.encoding.decode_with_offsets(raw);
        self.parser.advance(&text, true);
        // The character there is the delimiter.
        let raw_end =
            |&end: &usize| offsets.get(end).map_or(raw.len(), |offset| offset - self.delimiter_len);
        self.parser.raw_ends().iter().map(raw_end).map(to_range).collect()
    }

    /// The values of the cells in `raw`, without their quotes.
    #[must_use]
    pub(crate) fn cells(&mut self, raw: &[u8]) -> Vec<String> {
        self.parser.reset();
        self.parser.advance(self.encoding.decode(raw).as_bytes(), true);
        let cells = (0..self.parser.width()).filter_map(|index| self.parser.cell(index));
        cells.map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::raw::framer::{FrameResult, Framer};
    use proptest::prelude::*;

    /// The cells as they stand in the row, quotes and all.
    fn cells(row: &str, encoding: Encoding, delimiter: char) -> Vec<String> {
        let mut raw = Vec::new();
        encoding.encode(row, &mut raw);
        let ranges = Splitter::new(delimiter, encoding).cell_ranges(&raw);
        ranges.into_iter().map(|range| encoding.decode(&raw[range]).into_owned()).collect()
    }

    #[test]
    fn cells_are_found_in_every_encoding() {
        for encoding in Encoding::ALL {
            for (row, expected) in [
                ("a,b", vec!["a", "b"]),
                ("", vec![""]),
                (",", vec!["", ""]),
                ("\"a,\"\"\nb\",c,", vec!["\"a,\"\"\nb\"", "c", ""]),
                ("\"a\"b,c\"d\"", vec!["\"a\"b", "c\"d\""]),
                ("a, \"b,c\"", vec!["a", " \"b,c\""]),
            ] {
                assert_eq!(cells(row, encoding, ','), expected, "{encoding}");
            }
            if encoding != Encoding::Windows1252 {
                assert_eq!(
                    cells("a，\"b，\"，", encoding, '，'),
                    ["a", "\"b，\"", ""],
                    "{encoding}"
                );
            }
        }
        // The second byte of these is the delimiter's.
        assert_eq!(cells("峾|x|y", Encoding::Gb18030, '|'), ["峾", "x", "y"]);
        assert_eq!(cells("育|x", Encoding::Big5, '|'), ["育", "x"]);
        assert_eq!(cells("ポ|x", Encoding::ShiftJis, '|'), ["ポ", "x"]);
        assert_eq!(cells("𠮷,x", Encoding::Utf16Be, ','), ["𠮷", "x"]);
    }

    #[test]
    fn parsing_state_does_not_leak_into_the_next_row() {
        let mut splitter = Splitter::new(',', Encoding::Utf8);
        for (row, expected) in [
            (&b"a,\"b"[..], &[0..1, 2..4][..]),
            (b"a,b", &[0..1, 2..3]),
            (b"a,b,", &[0..1, 2..3, 4..4]),
        ] {
            assert_eq!(splitter.cell_ranges(row), expected);
        }
    }

    #[test]
    fn undecodable_bytes_stay_in_their_cell() {
        for (encoding, raw) in [
            (Encoding::Utf8, &b"\xff\xe4,x,y"[..]),
            (Encoding::Gb18030, b"\xff\x80,x,y"),
            (Encoding::ShiftJis, b"\xfd\xff,x,y"),
        ] {
            let ranges = Splitter::new(',', encoding).cell_ranges(raw);
            assert_eq!(ranges, [0..2, 3..4, 5..6], "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn cell_boundaries_match_the_framer(
            row in "[ab,，;\" \n峾𠮷]{1,40}",
            at in 0..Encoding::ALL.len(),
            delimiter in proptest::sample::select(vec![',', '，']),
        ) {
            let encoding = Encoding::ALL[at];
            prop_assume!(delimiter.is_ascii() || encoding != Encoding::Windows1252);
            let mut framer = Framer::new(delimiter);
            let mut raw = Vec::new();
            encoding.encode(&row, &mut raw);
            let text = encoding.decode(&raw).into_owned();
            let Ok(FrameResult::Row(framed)) = framer.frame(text.as_bytes(), true) else {
                return Ok(());
            };
            prop_assume!(framed.leading_blanks.is_empty());
            let own = std::str::from_utf8(framed.content).unwrap();
            let found = cells(own, encoding, delimiter);
            prop_assert_eq!(found.join(&delimiter.to_string()), own);
            prop_assert_eq!(found.len(), framer.width());
            // Each cell alone reads as the framer read it in its row.
            for (index, cell) in found.iter().enumerate() {
                let mut alone = Framer::new(delimiter);
                let line = format!("{cell}{delimiter}x\n");
                prop_assume!(!line.starts_with('\n'));
                prop_assert!(matches!(alone.frame(line.as_bytes(), true), Ok(FrameResult::Row(_))));
                prop_assert_eq!(alone.cell(0), framer.cell(index));
            }
        }
    }
}
