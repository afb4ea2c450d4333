//! The beginning of a table, before the first row of data: byte order mark, preamble and header
//! row.

use crate::table::detect::columns::appended_names;
use crate::table::detect::layout::Layout;
use crate::table::detect::preamble::Preamble;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::{FrameError, FrameResult, Framer};

/// The beginning of a table, and what else an output needs in order to begin.
#[derive(Clone)]
pub struct Header {
    /// The byte order mark; empty without one.
    pub bom: Vec<u8>,
    /// The input's bytes of the lines above the table, the blank lines before the header, and the
    /// header.
    pub raw: Vec<u8>,
    /// The number of the header row, or of the first line below the lines above the table if there
    /// is no header.
    pub line: u64,
    /// The line end of the header row.
    pub terminator: Vec<u8>,
    /// The cells of the first row: the column names, if it is a header.
    pub first_row: Vec<String>,
    /// The names of the appended columns, if there is a header row.
    pub appended_names: Option<Vec<String>>,
    /// The number of delimiters before them: columns without a name may be in between.
    pub answer_delimiters: usize,
    /// The character between two cells.
    pub delimiter: char,
    /// The encoding of the table.
    pub encoding: Encoding,
}

impl Header {
    /// Consumes the beginning of `text`, of which the header row is known already. `framer` is then
    /// at the first row of data. `optional_columns` are the names of the columns that follow the
    /// usual answer columns.
    pub(crate) fn read(
        text: &mut TextDecoder,
        preamble: &Preamble,
        layout: &Layout,
        optional_columns: &[&str],
        framer: &mut Framer,
    ) -> Result<Self, FrameError> {
        let bom = text.take_bom();
        let mut raw = text.raw_prefix(preamble.byte_len).to_vec();
        text.consume(preamble.byte_len);
        let (mut terminator, mut names, mut line) = (Vec::new(), None, framer.line());
        if layout.dialect.has_headers {
            names = Some(appended_names(&layout.first_row, optional_columns));
            let FrameResult::Row(row) = framer.frame(text.decoded(), text.is_complete())? else {
                unreachable!("the layout was detected from this row")
            };
            let raw_row = text.raw_row(&row);
            raw.extend_from_slice(raw_row.leading_blanks);
            raw.extend_from_slice(raw_row.content);
            terminator = raw_row.terminator.to_vec();
            line = row.line;
            let size = row.byte_len();
            text.consume(size);
        }
        Ok(Self {
            bom,
            raw,
            line,
            terminator,
            first_row: layout.first_row.clone(),
            appended_names: names,
            answer_delimiters: 1 + layout.unnamed_columns,
            delimiter: layout.dialect.delimiter,
            encoding: layout.dialect.encoding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row_location::RowLocation;
    use crate::table::detect::dialect::Sample;
    use crate::table::detect::encoding::detect_encoding;
    use crate::table::detect::layout::{Detected, LayoutDetector, SourceOptions};
    use crate::table::raw::row_numbers::RowNumbers;

    fn read(raw: &[u8], has_headers: bool, skip_lines: u64) -> (Header, u64, String) {
        let mut text = TextDecoder::new(Box::new(std::io::Cursor::new(raw.to_vec())));
        while !text.is_complete() {
            text.fill().unwrap();
        }
        let encoding = detect_encoding(raw, true, None).unwrap().unwrap();
        text.set_encoding(encoding.encoding, encoding.bom_len);
        let preamble = Preamble::parse(text.decoded(), true, skip_lines).unwrap();
        let sample = Sample::read(&text.decoded()[preamble.byte_len..], ';', true);
        let options = SourceOptions { has_headers: Some(has_headers), ..SourceOptions::default() };
        let detector = LayoutDetector {
            sample: &sample,
            row: &RowLocation::Line(1),
            encoding: &encoding,
            looks_like_mobile: &|_: &str| false,
        };
        let Detected::Layout(layout) = detector.detect(&options) else { panic!() };
        let mut framer = Framer::new(';').with_numbers(&RowNumbers::default(), preamble.lines);
        let header = Header::read(&mut text, &preamble, &layout, &[], &mut framer).unwrap();
        (header, framer.line(), String::from_utf8(text.decoded().to_vec()).unwrap())
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_header_and_its_preamble_are_separated() {
        let text = "\u{feff}sep=;\r\n\n\"phone\n\";status\r\n1;2\n";
        for (raw, expected, end) in [
            (text.as_bytes().to_vec(), b"sep=;\r\n\n\"phone\n\";status".to_vec(), b"\r\n".to_vec()),
            (utf16(text), utf16("sep=;\r\n\n\"phone\n\";status"), utf16("\r\n")),
        ] {
            let (header, line, rows) = read(&raw, true, 0);
            assert_eq!((&header.raw, &header.terminator, header.line), (&expected, &end, 3));
            assert_eq!(header.bom, header.encoding.bom());
            assert_eq!(
                (&header.appended_names.unwrap()[2], header.delimiter, line),
                (&"dingtalk_status".to_owned(), ';', 5)
            );
            assert_eq!(rows, "1;2\n");
        }
    }

    #[test]
    fn without_a_header_only_bom_and_skipped_lines_remain() {
        let (header, line, rows) = read("\u{feff}title\n\n1\n".as_bytes(), false, 1);
        assert_eq!(
            (header.bom.as_slice(), header.raw.as_slice()),
            ("\u{feff}".as_bytes(), &b"title\n"[..])
        );
        assert_eq!(
            (header.terminator.as_slice(), header.appended_names, line, rows.as_str()),
            (&b""[..], None, 2, "\n1\n")
        );
    }
}
