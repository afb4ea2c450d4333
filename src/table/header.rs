//! Owns what stands in front of the first row: all that an output needs to begin with. Where it is written, and what
//! the appended cells say, is for others.

use crate::table::detect::columns::appended_names;
use crate::table::detect::layout::Layout;
use crate::table::detect::preamble::Lead;
use crate::table::raw::decoder::Text;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::{Framed, Framer};

/// What stands before the first row, and how rows are continued: all that an output needs at its start.
#[derive(Clone)]
pub struct Head {
    /// The byte order mark; empty without one.
    pub mark: Vec<u8>,
    /// The lines above the table, blank lines in front of the header, and the header row, as they stand in the input.
    pub raw: Vec<u8>,
    /// What ends the header row.
    pub terminator: Vec<u8>,
    /// The cells of the first row: the columns' names, where it is a header.
    pub first: Vec<String>,
    /// The names of the appended columns, where there is a header row to append them to.
    pub names: Option<Vec<String>>,
    /// The byte between two cells.
    pub delimiter: u8,
    /// How all of it is encoded.
    pub encoding: Encoding,
}

impl Head {
    /// Reads the head off the beginning of `text`, which then begins with the rows, and leaves `framer` there.
    /// `further` are the names of columns that are appended behind the usual ones.
    #[must_use]
    pub fn take(
        text: &mut Text,
        lead: &Lead,
        layout: &Layout,
        further: &[&str],
        framer: &mut Framer,
    ) -> Self {
        let mark = text.pass_mark();
        let mut raw = text.raw_of(lead.length).to_vec();
        text.consume(lead.length);
        let (mut terminator, mut names) = (Vec::new(), None);
        if layout.dialect.headers {
            names = Some(appended_names(&layout.first, further));
            if let Ok(Framed::Row(row)) = framer.frame(text.bytes(), text.complete()) {
                let own = text.raw_row(&row);
                raw.extend_from_slice(own.before);
                raw.extend_from_slice(own.text);
                terminator = own.terminator.to_vec();
                let size = row.size();
                text.consume(size);
            }
        }
        Self {
            mark,
            raw,
            terminator,
            first: layout.first.clone(),
            names,
            delimiter: layout.dialect.delimiter,
            encoding: layout.dialect.encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::dialect::Sample;
    use crate::table::detect::encoding::guess;
    use crate::table::detect::layout::{Beginning, Options};

    fn take(raw: &[u8], headers: bool, skip: u64) -> (Head, u64, String) {
        let mut text = Text::new(Box::new(std::io::Cursor::new(raw.to_vec())));
        while !text.complete() {
            text.fill().unwrap();
        }
        let guess = guess(raw, true, None).unwrap().unwrap();
        text.settle(guess.encoding, guess.mark);
        let lead = Lead::take(text.bytes(), true, skip).unwrap();
        let sample = Sample::take(&text.bytes()[lead.length..], b';', true);
        let options = Options { headers: Some(headers), ..Options::default() };
        let beginning = Beginning {
            sample: &sample,
            line: 1,
            guess: &guess,
            looks_like_mobile: &|_: &str| false,
        };
        let layout = beginning.layout(&options).0.unwrap();
        let mut framer = Framer::new(b';').at_line(lead.lines + 1);
        let head = Head::take(&mut text, &lead, &layout, &[], &mut framer);
        (head, framer.line(), String::from_utf8(text.bytes().to_vec()).unwrap())
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_header_and_what_is_in_front_of_it() {
        let text = "\u{feff}sep=;\r\n\n\"phone\n\";status\r\n1;2\n";
        for (raw, expected, end) in [
            (text.as_bytes().to_vec(), b"sep=;\r\n\n\"phone\n\";status".to_vec(), b"\r\n".to_vec()),
            (wide(text), wide("sep=;\r\n\n\"phone\n\";status"), wide("\r\n")),
        ] {
            let (head, line, rest) = take(&raw, true, 0);
            assert_eq!((&head.raw, &head.terminator), (&expected, &end));
            assert_eq!(head.mark, head.encoding.mark());
            assert_eq!(
                (&head.names.unwrap()[2], head.delimiter, line),
                (&"dingtalk_status".to_owned(), b';', 5)
            );
            assert_eq!(rest, "1;2\n");
        }
    }

    #[test]
    fn without_a_header_there_are_the_mark_and_the_skipped_lines() {
        let (head, line, rest) = take("\u{feff}title\n\n1\n".as_bytes(), false, 1);
        assert_eq!(
            (head.mark.as_slice(), head.raw.as_slice()),
            ("\u{feff}".as_bytes(), &b"title\n"[..])
        );
        assert_eq!(
            (head.terminator.as_slice(), head.names, line, rest.as_str()),
            (&b""[..], None, 2, "\n1\n")
        );
    }
}
