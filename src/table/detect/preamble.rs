//! The lines above the header: Excel's `sep=;`, skipped lines, and detection of a title.

use tr::tr;

use crate::domain::row_location::RowLocation;
use crate::table::detect::columns::ANSWER_COLUMNS;
use crate::table::detect::dialect::{DELIMITERS, SAMPLE_ROWS, Sample, parse_delimiter};
use crate::table::detect::extra_columns::find_appended_column;
use crate::table::detect::header_row::{
    FirstRow, NamedHeader, count_names, find_named_header, is_number, judge_first_row,
};
use crate::table::detect::header_words::{HeaderMatch, match_header};
use crate::table::detect::layout::SourceOptions;
use crate::table::raw::row_numbers::RowNumbers;

/// The lines above the table. They are copied to the output and not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// Their length in bytes of the text, including line ends.
    pub byte_len: usize,
    /// The number of lines, or in a sheet of rows.
    pub lines: u64,
    /// The delimiter of Excel's `sep=` line.
    pub delimiter: Option<char>,
}

impl Preamble {
    /// Parses the first `skip` lines of a text, and a first line `sep=` in any case. Returns `None`
    /// if more text is needed. `complete` means that nothing follows the text.
    #[must_use]
    pub fn parse(text: &[u8], complete: bool, skip: u64) -> Option<Self> {
        Self::parse_with(text, complete, skip, first_line_len)
    }

    /// The same for the text that is made of a sheet, of which a row may have several lines.
    #[must_use]
    pub(crate) fn parse_sheet(text: &[u8], complete: bool, skip: u64) -> Option<Self> {
        Self::parse_with(text, complete, skip, first_row_len)
    }

    fn parse_with(
        text: &[u8],
        complete: bool,
        skip: u64,
        line_len: impl Fn(&[u8], bool) -> Option<usize>,
    ) -> Option<Self> {
        let first = line_len(text, complete)?;
        let delimiter = parse_sep_line(&text[..first]);
        let wanted = skip.max(u64::from(delimiter.is_some()));
        let mut preamble = Self { byte_len: 0, lines: 0, delimiter };
        while preamble.lines < wanted {
            match line_len(&text[preamble.byte_len..], complete)? {
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

/// As [`first_line_len`] for a text in which every quote is right: a line end inside a quoted cell
/// does not end the row.
fn first_row_len(text: &[u8], complete: bool) -> Option<usize> {
    let mut length = 0;
    loop {
        let line = first_line_len(&text[length..], complete)?;
        length += line;
        let between_quotes = text[..length].split(|byte| *byte == b'"').count();
        if line == 0 || !between_quotes.is_multiple_of(2) {
            return Some(length);
        }
    }
}

/// The delimiter of a line such as `sep=;`, with or without quotes.
pub(crate) fn parse_sep_line(line: &[u8]) -> Option<char> {
    let line = str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
    let bare = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let (word, delimiter) = bare.split_at_checked(4)?;
    let single = delimiter.chars().count() == 1 && word.eq_ignore_ascii_case("sep=");
    single.then(|| parse_delimiter(delimiter).ok()).flatten()
}

/// The lines above the header that look like a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TitleLines {
    None,
    /// So many lines are certainly none of the table, and are skipped.
    Skipped(u64),
    /// The first lines of the text, so many, may be none of the table. The user may have meant to
    /// skip them.
    Suspected(u64),
    /// More rows may show a title.
    Unknown,
}

/// What titles are detected from.
#[derive(Clone, Copy)]
pub(crate) struct TitleDetector<'a> {
    /// The text after the preamble.
    pub text: &'a [u8],
    /// Whether nothing follows the text.
    pub complete: bool,
    /// Whether more of the text may be read.
    pub can_grow: bool,
    pub options: &'a SourceOptions,
    /// Whether a cell looks like a mobile number.
    pub looks_like_mobile: &'a dyn Fn(&str) -> bool,
}

impl TitleDetector<'_> {
    /// Finds the rows above a header that is known by its names; otherwise rows with at most one
    /// cell, above a header with several, above data of the same width. `delimiter` is tried alone
    /// if it is known.
    #[must_use]
    pub(crate) fn detect(&self, delimiter: Option<char>) -> TitleLines {
        let known = delimiter.map(|delimiter| [delimiter]);
        let delimiters = known.as_ref().map_or(&DELIMITERS[..], |one| &one[..]);
        let (mut unconfirmed, mut narrow) = (None, TitleLines::None);
        let numbers = &self.options.row_numbers;
        for &delimiter in delimiters {
            let sample = Sample::read_numbered(self.text, delimiter, self.complete, numbers);
            let is_requested = |row: &[String]| self.has_requested_name(row);
            let named = find_named_header(&sample.rows, &is_requested, self.looks_like_mobile);
            let skipped = |index: usize| match sample.row_lines[index] - numbers.first() {
                _ if index == 0 => TitleLines::None,
                lines => TitleLines::Skipped(lines),
            };
            match named {
                Some(NamedHeader::Certain(index)) => return skipped(index),
                Some(NamedHeader::BelowPeople(index)) => {
                    return TitleLines::Suspected(sample.row_lines[index] - numbers.first());
                }
                Some(NamedHeader::Unconfirmed(index)) => {
                    unconfirmed.get_or_insert(match skipped(index) {
                        TitleLines::Skipped(_) if self.can_grow => TitleLines::Unknown,
                        titles => titles,
                    });
                }
                None if narrow == TitleLines::None => narrow = self.find_narrow_rows(&sample),
                None => {}
            }
        }
        unconfirmed.unwrap_or(narrow)
    }

    fn find_narrow_rows(&self, sample: &Sample) -> TitleLines {
        let filled = |row: &Vec<String>| row.iter().filter(|cell| !cell.trim().is_empty()).count();
        let header = sample.rows.iter().position(|row| filled(row) > 1);
        let Some(header) = header.filter(|&header| header > 0) else { return TitleLines::None };
        let (titles, rows) = sample.rows.split_at(header);
        let has_number =
            titles.iter().flatten().any(|cell| (self.looks_like_mobile)(cell) || is_number(cell));
        let kind = judge_first_row(rows, self.looks_like_mobile);
        // A header may lack most names, but it is then directly above the data.
        if has_number || kind == FirstRow::Row {
            return TitleLines::None;
        }
        let lines = sample.row_lines[header] - self.options.row_numbers.first();
        let is_known = self.is_known_header(&rows[0]);
        let are_blank = titles.iter().flatten().all(|cell| cell.trim().is_empty());
        let has_several_names = || count_names(&rows[0], &rows[1..], self.looks_like_mobile) > 1;
        let is_certain =
            self.has_requested_name(&rows[0]) || (is_known && (are_blank || has_several_names()));
        // The rows of which the cells are kept are the first of those of which the widths are.
        let (titles, widths) = sample.widths.split_at(header);
        let Some((width, data)) = widths.split_first() else { return TitleLines::None };
        if data.is_empty() {
            return match (self.can_grow, is_known) {
                (true, _) => TitleLines::Unknown,
                (false, true) => TitleLines::Skipped(lines),
                (false, false) => TitleLines::None,
            };
        }
        // A pipe must give the same lines as a file.
        if self.can_grow && !is_certain && sample.rows.len() < SAMPLE_ROWS {
            return TitleLines::Unknown;
        }
        let even = data.iter().filter(|other| other.fits(width.cells)).count();
        let is_narrower = titles.iter().all(|title| title.cells < width.cells);
        if even == 0 || even * 2 < data.len() {
            TitleLines::None
        } else if is_certain || (is_narrower && kind.is_header()) {
            TitleLines::Skipped(lines)
        } else {
            TitleLines::Suspected(lines)
        }
    }

    /// Whether a row has the name of a column that is known or requested.
    fn is_known_header(&self, row: &[String]) -> bool {
        row.iter().any(|cell| match_header(cell) > HeaderMatch::NoMatch)
            || self.has_requested_name(row)
    }

    fn has_requested_name(&self, row: &[String]) -> bool {
        let is_answer = || find_appended_column(row, ANSWER_COLUMNS[0]).is_some();
        self.options.has_name_in(row) || (self.options.has_answers && is_answer())
    }
}

impl TitleLines {
    /// Where the header may be, if lines may be a title.
    #[must_use]
    pub(crate) fn suspected_header(self, numbers: &RowNumbers) -> Option<RowLocation> {
        match self {
            Self::None | Self::Skipped(_) | Self::Unknown => None,
            Self::Suspected(lines) => Some(numbers.locate(numbers.first() + lines)),
        }
    }
}

/// The hint to add to a message if the header may be below a title; otherwise empty.
#[must_use]
pub(crate) fn title_hint(suspected_header: Option<&RowLocation>) -> String {
    let Some(row) = suspected_header else { return String::new() };
    tr!(
        "; if the header is below a title, on {row}, add --skip-lines {lines}",
        row,
        lines = row.number() - 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str, skip: u64) -> Option<(usize, u64, Option<char>)> {
        Preamble::parse(text.as_bytes(), false, skip)
            .map(|preamble| (preamble.byte_len, preamble.lines, preamble.delimiter))
    }

    #[test]
    fn the_excel_sep_line_sets_the_delimiter() {
        assert_eq!(take("sep=;\r\na;b\n", 0), Some((7, 1, Some(';'))));
        assert_eq!(take("SEP=\t\na\n", 0), Some((6, 1, Some('\t'))));
        assert_eq!(take("\"sep=|\"\na\n", 0), Some((8, 1, Some('|'))));
        for text in ["sep=\na\n", "sep=;;\n", "sep,b\n", "sep=\"\n", "separate\n", "\n", "手=;\n"]
        {
            assert_eq!(take(text, 0), Some((0, 0, None)), "{text}");
        }
        assert_eq!(take("sep=;\r", 0), None);
    }

    #[test]
    fn skipped_lines_end_at_any_line_terminator() {
        assert_eq!(take("a\r\n\nb\rc\n", 3), Some((6, 3, None)));
        assert_eq!(take("sep=;\ntitle\na;b\n", 1), Some((6, 1, Some(';'))));
        assert_eq!(take("sep=;\ntitle\na;b\n", 2), Some((12, 2, Some(';'))));
        assert_eq!(take("a\nb", 2), None);
        let sheet = Preamble::parse_sheet(b"\"a \"\"x\"\"\r\nb\",\r\nc,d\r\n", true, 1).unwrap();
        assert_eq!((sheet.byte_len, sheet.lines), (15, 1));
        assert_eq!(Preamble::parse_sheet(b"\"a\r\nb", false, 1), None);
        let all = Preamble::parse(b"a\nb", true, 9).unwrap();
        assert_eq!((all.byte_len, all.lines), (3, 2));
    }

    fn detect(text: &str, complete: bool, options: &SourceOptions) -> TitleLines {
        let looks_like_mobile = &|cell: &str| cell.starts_with("138");
        let (text, can_grow) = (text.as_bytes(), !complete);
        TitleDetector { text, complete, can_grow, options, looks_like_mobile }.detect(None)
    }

    #[test]
    fn a_title_is_distinguished_from_a_header() {
        let title = |text: &str| detect(text, true, &SourceOptions::default());
        for (text, lines) in [
            ("staff 2024\nname,phone\na,138\nb,138\n", 1),
            ("staff;;\n\n;;\nname;phone;x\na;138;\nb;138;\n", 3),
            // A header above no rows, by a name.
            ("staff\nname,phone\n", 1),
            // The title is too narrow for a row of the table.
            ("staff\n\nname,x\na,138\n", 2),
            ("\"staff\n2024\"\nname，phone\na，138\n", 2),
        ] {
            assert_eq!(title(text), TitleLines::Skipped(lines), "{text}");
        }
        for text in [
            "name,phone\na,138\n",
            "phone\n138\n",
            ",phone\na,138\n",
            "a\nb,c\n",
            "",
            "name,phone\n,\nx,y\nz,w\n",
        ] {
            assert_eq!(title(text), TitleLines::None, "{text}");
        }
        assert_eq!(title("138\nname,phone\na,138\n"), TitleLines::Suspected(1));
        // Several cells, in the header's delimiter or not.
        for text in [
            "员工花名册,,2026年11月\n姓名,部门,手机号\na,b,138\n",
            "制表人：张三,日期：2026-11-30\n姓名;手机号\na;138;\nb;138;\n",
            "员工名单\n手机号\n138\n",
        ] {
            assert_eq!(title(text), TitleLines::Skipped(1), "{text}");
        }
        // Rows about people without a number, of which one has a remark.
        for text in [
            "张三,\n李四,\n王五,手机\n赵六,138\n",
            "张三,\n李四,电话销售部\n王五,138\n",
            "员工名单,\n员工,手机号\na,138\n",
        ] {
            assert!(matches!(title(text), TitleLines::Suspected(_)), "{text}");
        }
        assert_eq!(title("员工名单\n员工,手机号\na,138\n"), TitleLines::Skipped(1));
        assert_eq!(title(",\n员工,手机号\na,138\n"), TitleLines::Skipped(1));
        // Without a number, the names may be those of another table.
        assert!(matches!(title("a,\nname,city\nb,c\n"), TitleLines::Suspected(1)));
        assert_eq!(title("010-62345678\n员工,手机号\na,138\n"), TitleLines::None);
        let many = "说明\n".repeat(40);
        assert_eq!(title(&format!("{many}姓名,手机号\na,138\n")), TitleLines::Skipped(40));
        // The second row may be of a person without a number.
        for text in ["a,\nb,none\nc,138\n", "a\nb,none\nc,138\n", "a\nb,dev\nc,138\n"] {
            assert_eq!(title(text), TitleLines::Suspected(1), "{text}");
        }
        assert_eq!(
            title_hint(TitleLines::Suspected(2).suspected_header(&RowNumbers::default()).as_ref()),
            "; if the header is below a title, on line 3, add --skip-lines 2"
        );
        let rows = RowNumbers::of_sheet("Staff", 3, 0);
        assert_eq!(
            title_hint(TitleLines::Suspected(2).suspected_header(&rows).as_ref()),
            "; if the header is below a title, on Staff, row 6, add --skip-lines 5"
        );
    }

    #[test]
    fn a_requested_name_proves_the_header() {
        let columns = vec!["NUM".parse().unwrap()];
        let named = SourceOptions { columns, ..SourceOptions::default() };
        assert_eq!(detect("a,\nb,num\nc,138\n", true, &named), TitleLines::Skipped(1));
    }

    #[test]
    fn a_title_is_not_judged_before_the_data() {
        let options = SourceOptions::default();
        assert_eq!(detect("staff\nname,phone\n", false, &options), TitleLines::Unknown);
        assert_eq!(detect("phone\n13", false, &options), TitleLines::None);
        let titled = "a,联系方式\n姓名,手机号\n";
        assert_eq!(detect(titled, false, &options), TitleLines::Unknown);
        let titled = format!("{titled}a,138\n");
        assert_eq!(detect(&titled, false, &options), TitleLines::Skipped(1));
    }
}
