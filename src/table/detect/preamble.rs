//! Owns the lines above a table: Excel's `sep=;`, those that the user skips, and the signs that there are more of
//! them. The header below them is for others.

use tr::tr;

use crate::table::detect::dialect::{DELIMITERS, Sample, has_header_row, parse_delimiter};

/// The lines above the table, which are kept and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// How many bytes of the text they take, with their line ends.
    pub byte_len: usize,
    /// How many lines they are.
    pub lines: u64,
    /// The delimiter that Excel's line names.
    pub delimiter: Option<u8>,
}

impl Preamble {
    /// The lead of a text: its first `skip` lines, and in any case a first line by which Excel is told the delimiter.
    /// Nothing while too little is known to tell; `complete` says that nothing follows the text.
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

/// The length of the first line with its end; of what there is, where nothing follows.
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

/// The delimiter that a line such as `sep=;` names, bare or in quotes.
fn parse_sep_line(line: &[u8]) -> Option<u8> {
    let line = str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
    let bare = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let (word, delimiter) = bare.split_at_checked(4)?;
    let single = delimiter.len() == 1 && word.eq_ignore_ascii_case("sep=");
    single.then(|| parse_delimiter(delimiter).ok()).flatten()
}

/// How many rows a title is looked for in.
const MAX_TITLE_ROWS: usize = 5;

/// How many lines at the beginning of `text` look like a title above the header: rows with one cell at most, above one
/// with several that are no numbers, above data as wide as that. `delimiter` is the one that is settled, if any is.
#[must_use]
pub(crate) fn detect_title_lines(
    text: &[u8],
    complete: bool,
    delimiter: Option<u8>,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Option<u64> {
    let settled = delimiter.map(|delimiter| [delimiter]);
    let delimiters = settled.as_ref().map_or(&DELIMITERS[..], |one| &one[..]);
    delimiters.iter().find_map(|&delimiter| {
        let sample = Sample::read(text, delimiter, complete);
        let filled = |row: &Vec<String>| row.iter().filter(|cell| !cell.trim().is_empty()).count();
        let header = sample.rows.iter().take(MAX_TITLE_ROWS + 1).position(|row| filled(row) > 1)?;
        // The rows of which the cells are kept are the first of those of which the widths are.
        let (width, data) = sample.widths[header..].split_first()?;
        let even = data.iter().filter(|&other| other == width).count();
        let rows = sample.rows.get(header..)?;
        // A header may lack most of its names, but it then stands right above the data.
        (header > 0
            && even > 0
            && even * 2 >= data.len()
            && has_header_row(rows, looks_like_mobile))
        .then(|| sample.row_lines.get(header).map(|line| line - 1))
        .flatten()
    })
}

/// The hint for a person, where lines look like a title; empty where none do.
#[must_use]
pub(crate) fn title_hint(title: Option<u64>) -> String {
    match title {
        None => String::new(),
        Some(lines) => {
            let line = lines + 1;
            tr!(
                "; if the header stands below a title, on line {line}, add --skip-lines {lines}",
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
            "; if the header stands below a title, on line 3, add --skip-lines 2"
        );
    }
}
