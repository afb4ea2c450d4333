//! Owns what stands in front of the first row: all that an output needs to begin with. Where it is written, and what
//! the appended cells say, is for others.

use crate::table::columns::appended_names;
use crate::table::layout::Layout;
use crate::table::record::{Framed, Framer};

/// What stands before the first row, and how rows are continued: all that an output needs at its start.
#[derive(Clone)]
pub struct Head {
    /// The byte order mark, blank lines in front of the header, and the header row, as they stand in the input.
    pub raw: Vec<u8>,
    /// What ends the header row.
    pub terminator: Vec<u8>,
    /// The names of the appended columns, where there is a header row to append them to.
    pub names: Option<[String; 5]>,
    /// The byte between two cells.
    pub delimiter: u8,
}

impl Head {
    /// Reads the head off the input's first bytes, which begin with a mark of `mark` bytes, and leaves `framer` where
    /// the rows begin: behind as many bytes as `raw` and `terminator` have.
    #[must_use]
    pub fn take(bytes: &[u8], mark: usize, complete: bool, layout: &Layout, framer: &mut Framer) -> Self {
        let (mut end, mut terminator, mut names) = (mark, Vec::new(), None);
        if layout.dialect.headers {
            names = Some(appended_names(&layout.first));
            if let Ok(Framed::Row(row)) = framer.frame(bytes.get(mark..).unwrap_or_default(), complete) {
                end += row.before.len() + row.text.len();
                terminator = row.terminator.to_vec();
            }
        }
        let raw = bytes.get(..end).unwrap_or_default().to_vec();
        Self { raw, terminator, names, delimiter: layout.dialect.delimiter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::dialect::Sample;
    use crate::table::layout::{Beginning, Options};

    fn take(text: &str, headers: bool) -> (Head, u64) {
        let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let sample = Sample::take(&text.as_bytes()[mark..], b';', true);
        let options = Options { headers: Some(headers), ..Options::default() };
        let beginning =
            Beginning { sample: &sample, line: 1, bom: mark > 0, looks_like_mobile: &|_: &str| false };
        let layout = beginning.layout(&options).0.unwrap();
        let mut framer = Framer::new(b';');
        let head = Head::take(text.as_bytes(), mark, true, &layout, &mut framer);
        (head, framer.line())
    }

    #[test]
    fn the_header_and_what_is_in_front_of_it() {
        let (head, line) = take("\u{feff}\n\"phone\n\";status\r\n1;2\n", true);
        assert_eq!(
            (head.raw.as_slice(), head.terminator.as_slice()),
            ("\u{feff}\n\"phone\n\";status".as_bytes(), &b"\r\n"[..])
        );
        assert_eq!((&head.names.unwrap()[2], head.delimiter, line), (&"dingtalk_status".to_owned(), b';', 4));
    }

    #[test]
    fn without_a_header_there_is_the_mark_alone() {
        let (head, line) = take("\u{feff}\n1\n", false);
        assert_eq!((head.raw.as_slice(), head.terminator.as_slice()), ("\u{feff}".as_bytes(), &b""[..]));
        assert_eq!((head.names, line), (None, 1));
    }
}
