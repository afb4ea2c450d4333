//! Owns what stands in front of the first row: all that an output needs to begin with. Where it is written, and what
//! the appended cells say, is for others.

use crate::table::detect::columns::appended_names;
use crate::table::detect::layout::Layout;
use crate::table::detect::preamble::Preamble;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::{FrameResult, Framer};

/// What stands before the first row, and how rows are continued: all that an output needs at its start.
#[derive(Clone)]
pub struct Header {
    /// The byte order mark; empty without one.
    pub bom: Vec<u8>,
    /// The lines above the table, blank lines in front of the header, and the header row, as they stand in the input.
    pub raw: Vec<u8>,
    /// What ends the header row.
    pub terminator: Vec<u8>,
    /// The cells of the first row: the columns' names, where it is a header.
    pub first_row: Vec<String>,
    /// The names of the appended columns, where there is a header row to append them to.
    pub appended_names: Option<Vec<String>>,
    /// The byte between two cells.
    pub delimiter: u8,
    /// How all of it is encoded.
    pub encoding: Encoding,
}

impl Header {
    /// Reads the head off the beginning of `text`, which then begins with the rows, and leaves `framer` there.
    /// `further` are the names of columns that are appended behind the usual ones.
    #[must_use]
    pub fn read(
        text: &mut TextDecoder,
        lead: &Preamble,
        layout: &Layout,
        further: &[&str],
        framer: &mut Framer,
    ) -> Self {
        let mark = text.take_bom();
        let mut raw = text.raw_prefix(lead.byte_len).to_vec();
        text.consume(lead.byte_len);
        let (mut terminator, mut names) = (Vec::new(), None);
        if layout.dialect.has_headers {
            names = Some(appended_names(&layout.first_row, further));
            if let Ok(FrameResult::Row(row)) = framer.frame(text.decoded(), text.is_complete()) {
                let own = text.raw_row(&row);
                raw.extend_from_slice(own.leading_blanks);
                raw.extend_from_slice(own.content);
                terminator = own.terminator.to_vec();
                let size = row.byte_len();
                text.consume(size);
            }
        }
        Self {
            bom: mark,
            raw,
            terminator,
            first_row: layout.first_row.clone(),
            appended_names: names,
            delimiter: layout.dialect.delimiter,
            encoding: layout.dialect.encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::dialect::Sample;
    use crate::table::detect::encoding::detect_encoding;
    use crate::table::detect::layout::{LayoutDetector, SourceOptions};

    fn take(raw: &[u8], headers: bool, skip: u64) -> (Header, u64, String) {
        let mut text = TextDecoder::new(Box::new(std::io::Cursor::new(raw.to_vec())));
        while !text.is_complete() {
            text.fill().unwrap();
        }
        let guess = detect_encoding(raw, true, None).unwrap().unwrap();
        text.set_encoding(guess.encoding, guess.bom_len);
        let lead = Preamble::parse(text.decoded(), true, skip).unwrap();
        let sample = Sample::read(&text.decoded()[lead.byte_len..], b';', true);
        let options = SourceOptions { has_headers: Some(headers), ..SourceOptions::default() };
        let beginning = LayoutDetector {
            sample: &sample,
            line: 1,
            encoding: &guess,
            looks_like_mobile: &|_: &str| false,
        };
        let layout = beginning.detect(&options).0.unwrap();
        let mut framer = Framer::new(b';').with_line(lead.lines + 1);
        let head = Header::read(&mut text, &lead, &layout, &[], &mut framer);
        (head, framer.line(), String::from_utf8(text.decoded().to_vec()).unwrap())
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_header_and_its_preamble_are_separated() {
        let text = "\u{feff}sep=;\r\n\n\"phone\n\";status\r\n1;2\n";
        for (raw, expected, end) in [
            (text.as_bytes().to_vec(), b"sep=;\r\n\n\"phone\n\";status".to_vec(), b"\r\n".to_vec()),
            (wide(text), wide("sep=;\r\n\n\"phone\n\";status"), wide("\r\n")),
        ] {
            let (head, line, rest) = take(&raw, true, 0);
            assert_eq!((&head.raw, &head.terminator), (&expected, &end));
            assert_eq!(head.bom, head.encoding.bom());
            assert_eq!(
                (&head.appended_names.unwrap()[2], head.delimiter, line),
                (&"dingtalk_status".to_owned(), b';', 5)
            );
            assert_eq!(rest, "1;2\n");
        }
    }

    #[test]
    fn without_a_header_only_bom_and_skipped_lines_remain() {
        let (head, line, rest) = take("\u{feff}title\n\n1\n".as_bytes(), false, 1);
        assert_eq!(
            (head.bom.as_slice(), head.raw.as_slice()),
            ("\u{feff}".as_bytes(), &b"title\n"[..])
        );
        assert_eq!(
            (head.terminator.as_slice(), head.appended_names, line, rest.as_str()),
            (&b""[..], None, 2, "\n1\n")
        );
    }
}
