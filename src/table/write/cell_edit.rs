//! Finds the cells in the bytes of a row, so that some can be replaced while the others keep their
//! bytes.

use std::ops::Range;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use crate::table::raw::encoding::Encoding;

/// Finds the cells of rows. Reused, because creating csv-core's state machine takes longer than
/// reading a row.
pub(crate) struct Splitter {
    core: Box<Reader>,
}

impl Splitter {
    #[must_use]
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { core: Box::new(ReaderBuilder::new().delimiter(delimiter).build()) }
    }

    /// Where each cell ends in `raw`, the bytes of a row without its terminator. Except after the
    /// last cell, the delimiter follows. A row has at least one cell.
    #[must_use]
    pub(crate) fn cell_ends(&mut self, raw: &[u8], encoding: Encoding) -> Vec<usize> {
        if encoding == Encoding::Utf8 {
            return self.utf8_cell_ends(raw);
        }
        let (text, offsets) = encoding.decode_with_offsets(raw);
        let raw_end = |end: usize| match offsets.get(end) {
            // The character there is the delimiter, which is one code unit in every encoding.
            Some(offset) => offset - encoding.code_unit_len(),
            None => raw.len(),
        };
        self.utf8_cell_ends(&text).into_iter().map(raw_end).collect()
    }

    /// The same for UTF-8, with the state machine that framed the row.
    fn utf8_cell_ends(&mut self, text: &[u8]) -> Vec<usize> {
        let (mut room, mut at, mut ends) = ([0; 256], 0, Vec::new());
        self.core.reset();
        // As in the framer, a byte order mark at the beginning of a row is part of its first cell.
        self.core.read_field(b"\n", &mut room);
        loop {
            let (result, read, _) = self.core.read_field(&text[at..], &mut room);
            at += read;
            match result {
                // At the end of the text, a read of no bytes ends the last cell.
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::Field { record_end: false } => ends.push(at.saturating_sub(1)),
                ReadFieldResult::Field { record_end: true } | ReadFieldResult::End => {
                    ends.push(text.len());
                    return ends;
                }
            }
        }
    }
}

/// The bytes of the cell at `index` (from 0) of a row that has this cell; `ends` are those of
/// [`Splitter::cell_ends`].
#[must_use]
pub(crate) fn cell_range(ends: &[usize], index: usize, encoding: Encoding) -> Range<usize> {
    let start = if index == 0 { 0 } else { ends[index - 1] + encoding.code_unit_len() };
    start..ends[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::raw::framer::{FrameResult, Framer};
    use proptest::prelude::*;

    /// The cells as they stand in the row, quotes and all.
    fn cells(row: &str, encoding: Encoding, delimiter: u8) -> Vec<String> {
        let mut raw = Vec::new();
        encoding.encode(row, &mut raw);
        let ends = Splitter::new(delimiter).cell_ends(&raw, encoding);
        let cell = |index| encoding.decode(&raw[cell_range(&ends, index, encoding)]).into_owned();
        (0..ends.len()).map(cell).collect()
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
            ] {
                assert_eq!(cells(row, encoding, b','), expected, "{encoding}");
            }
        }
        // The second byte of these is the delimiter's.
        assert_eq!(cells("峾|x|y", Encoding::Gb18030, b'|'), ["峾", "x", "y"]);
        assert_eq!(cells("育|x", Encoding::Big5, b'|'), ["育", "x"]);
        assert_eq!(cells("ポ|x", Encoding::ShiftJis, b'|'), ["ポ", "x"]);
        assert_eq!(cells("𠮷,x", Encoding::Utf16Be, b','), ["𠮷", "x"]);
    }

    #[test]
    fn parsing_state_does_not_leak_into_the_next_row() {
        let mut splitter = Splitter::new(b',');
        for (row, expected) in
            [(&b"a,\"b"[..], &[1, 4][..]), (b"a,b", &[1, 3]), (b"", &[0]), (b"a,b,", &[1, 3, 4])]
        {
            assert_eq!(splitter.cell_ends(row, Encoding::Utf8), expected);
        }
    }

    #[test]
    fn undecodable_bytes_stay_in_their_cell() {
        for (encoding, raw) in [
            (Encoding::Utf8, &b"\xff\xe4,x,y"[..]),
            (Encoding::Gb18030, b"\xff\x80,x,y"),
            (Encoding::ShiftJis, b"\xfd\xff,x,y"),
        ] {
            assert_eq!(Splitter::new(b',').cell_ends(raw, encoding), [2, 4, 6], "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn cell_boundaries_match_the_framer(
            row in "[ab,;\"\n峾𠮷]{1,40}",
            at in 0..Encoding::ALL.len(),
        ) {
            let encoding = Encoding::ALL[at];
            let mut framer = Framer::new(b',');
            let mut raw = Vec::new();
            encoding.encode(&row, &mut raw);
            let text = encoding.decode(&raw).into_owned();
            let Ok(FrameResult::Row(framed)) = framer.frame(text.as_bytes(), true) else {
                return Ok(());
            };
            prop_assume!(framed.leading_blanks.is_empty());
            let own = std::str::from_utf8(framed.content).unwrap();
            let found = cells(own, encoding, b',');
            prop_assert_eq!(found.join(","), own);
            prop_assert_eq!(found.len(), framer.width());
            // Each cell alone reads as the framer read it in its row.
            for (index, cell) in found.iter().enumerate() {
                let mut alone = Framer::new(b',');
                let line = format!("{cell},x\n");
                prop_assume!(!line.starts_with('\n'));
                prop_assert!(matches!(alone.frame(line.as_bytes(), true), Ok(FrameResult::Row(_))));
                prop_assert_eq!(alone.cell(0), framer.cell(index));
            }
        }
    }
}
