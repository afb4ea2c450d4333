//! The lines above the header: Excel's `sep=;`, skipped lines, and detection of a title.

use tr::tr;

use crate::table::detect::dialect::{DELIMITERS, Sample, has_header_row, parse_delimiter};

/// The lines above the table. They are copied to the output and not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// Their length in bytes of the text, including line ends.
    pub byte_len: usize,
    /// The number of lines.
    pub lines: u64,
    /// The delimiter of Excel's `sep=` line.
    pub delimiter: Option<u8>,
}

impl Preamble {
    /// Parses the first `skip` lines of a text, and a first line `sep=` in any case. Returns `None`
    /// if more text is needed. `complete` means that nothing follows the text.
    #[must_use]
    pub fn parse(text: &[u8], complete: bool, skip: u64) -> Option<Self> {
        let first = first_line_len(text, complete)?;
        let delimiter = parse_sep_line(&text[..first]);
        let wanted = skip.max(u64::from(delimiter.is_some()));
        let mut preamble = Self { byte_len: 0, lines: 0, delimiter };
        while preamble.lines < wanted {
            match first_line_len(&text[preamble.byte_len..], complete)? {
                0 => break,
                length => preamble.byte_len += length,
            }
            preamble.lines += 1;
        }
        Some(preamble)
    }
}

/// The length of the first line including its end. `None` if more text is needed.
fn first_line_len(text: &[u8], complete: bool) -> Option<usize> {
    match text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        Some(end) if text.get(end) == Some(&b'\r') => match text.get(end + 1) {
            Some(b'\n') => Some(end + 2),
            None if !complete => None,
            _ => Some(end + 1),
        },
        Some(end) => Some(end + 1),
        None => complete.then_some(text.len()),
    }
}

/// The delimiter of a line such as `sep=;`, with or without quotes.
fn parse_sep_line(line: &[u8]) -> Option<u8> {
    let line = str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
    let bare = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let (word, delimiter) = bare.split_at_checked(4)?;
    let single = delimiter.len() == 1 && word.eq_ignore_ascii_case("sep=");
    single.then(|| parse_delimiter(delimiter).ok()).flatten()
}

/// The maximum number of rows of a title.
const MAX_TITLE_ROWS: usize = 5;

/// The number of lines at the beginning of `text` that look like a title: rows with at most one
/// cell, before a header with several, before data of the same width. `delimiter` is tried alone if
/// it is known.
#[must_use]
pub(crate) fn detect_title_lines(
    text: &[u8],
    complete: bool,
    delimiter: Option<u8>,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Option<u64> {
    let known = delimiter.map(|delimiter| [delimiter]);
    let delimiters = known.as_ref().map_or(&DELIMITERS[..], |one| &one[..]);
    delimiters.iter().find_map(|&delimiter| {
        let sample = Sample::read(text, delimiter, complete);
        let filled = |row: &Vec<String>| row.iter().filter(|cell| !cell.trim().is_empty()).count();
        let header = sample.rows.iter().take(MAX_TITLE_ROWS + 1).position(|row| filled(row) > 1)?;
        // The rows of which the cells are kept are the first of those of which the widths are.
        let (width, data) = sample.widths[header..].split_first()?;
        let even = data.iter().filter(|&other| other == width).count();
        let rows = sample.rows.get(header..)?;
        // A header may lack most names, but it is then directly above the data.
        (header > 0
            && even > 0
            && even * 2 >= data.len()
            && has_header_row(rows, looks_like_mobile))
        .then(|| sample.row_lines.get(header).map(|line| line - 1))
        .flatten()
    })
}

/// The hint to add to an error message if lines look like a title; otherwise empty.
#[must_use]
pub(crate) fn title_hint(title: Option<u64>) -> String {
    match title {
        None => String::new(),
        Some(lines) => {
            let line = lines + 1;
            tr!(
                "; if the header is below a title, on line {line}, add --skip-lines {lines}",
                line,
                lines
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str, skip: u64) -> Option<(usize, u64, Option<u8>)> {
        Preamble::parse(text.as_bytes(), false, skip)
            .map(|lead| (lead.byte_len, lead.lines, lead.delimiter))
    }

    #[test]
    fn the_excel_sep_line_sets_the_delimiter() {
        assert_eq!(take("sep=;\r\na;b\n", 0), Some((7, 1, Some(b';'))));
        assert_eq!(take("SEP=\t\na\n", 0), Some((6, 1, Some(b'\t'))));
        assert_eq!(take("\"sep=|\"\na\n", 0), Some((8, 1, Some(b'|'))));
        for text in ["sep=\na\n", "sep=;;\n", "sep,b\n", "sep=\"\n", "separate\n", "\n", "手=;\n"]
        {
            assert_eq!(take(text, 0), Some((0, 0, None)), "{text}");
        }
        assert_eq!(take("sep=;\r", 0), None);
    }

    #[test]
    fn skipped_lines_end_at_any_line_terminator() {
        assert_eq!(take("a\r\n\nb\rc\n", 3), Some((6, 3, None)));
        assert_eq!(take("sep=;\ntitle\na;b\n", 1), Some((6, 1, Some(b';'))));
        assert_eq!(take("sep=;\ntitle\na;b\n", 2), Some((12, 2, Some(b';'))));
        assert_eq!(take("a\nb", 2), None);
        let all = Preamble::parse(b"a\nb", true, 9).unwrap();
        assert_eq!((all.byte_len, all.lines), (3, 2));
    }

    #[test]
    fn a_title_is_distinguished_from_a_header() {
        let title = |text: &str| {
            detect_title_lines(text.as_bytes(), true, None, &|cell: &str| cell.starts_with("138"))
        };
        assert_eq!(title("staff 2024\nname,phone\na,138\nb,138\n"), Some(1));
        assert_eq!(title("staff;;\n\n;;\nname;phone;x\na;138;\nb;138;\n"), Some(3));
        for text in [
            "name,phone\na,138\n",
            "phone\n138\n",
            ",phone\na,138\n",
            "a\nb,c\n",
            "",
            "name,phone\n,\nx,y\nz,w\n",
        ] {
            assert_eq!(title(text), None, "{text}");
        }
        assert_eq!(
            title_hint(Some(2)),
            "; if the header is below a title, on line 3, add --skip-lines 2"
        );
    }
}
