//! Reads a sample of a table, and detects its delimiter from it.

use tr::tr;

use crate::table::detect::encoding::{DetectedEncoding, EncodingReason};
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::{FrameResult, Framer, Row};
use crate::table::raw::row_numbers::RowNumbers;

/// The format of the input and, by default, of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub encoding: Encoding,
    pub encoding_reason: EncodingReason,
    /// Whether the file begins with a byte order mark.
    pub has_bom: bool,
    /// The character between two cells.
    pub delimiter: char,
    /// Whether the first row has the column names.
    pub has_headers: bool,
}

impl Dialect {
    #[must_use]
    pub(crate) fn new(encoding: &DetectedEncoding, delimiter: char, has_headers: bool) -> Self {
        Self {
            encoding: encoding.encoding,
            encoding_reason: encoding.reason,
            has_bom: encoding.bom_len > 0,
            delimiter,
            has_headers,
        }
    }
}

/// The maximum size of the sample in bytes.
pub(crate) const SAMPLE_BYTES: usize = 64 << 10;
/// The maximum number of rows of the sample whose cells are kept.
pub(crate) const SAMPLE_ROWS: usize = 200;
/// The delimiters that are detected. The first one is the default.
pub(crate) const DELIMITERS: [char; 6] = [',', ';', '\t', '|', '，', '；'];
/// The delimiters that are not ASCII. People also write `、` and `｜` inside a cell, so these two are
/// not detected.
const WIDE_DELIMITERS: [char; 4] = ['，', '；', '、', '｜'];

/// A table gets at most so many columns without a name. A row with more blank cells is an error of
/// that row, so that one row does not pad all others.
const MAX_UNNAMED_COLUMNS: usize = 64;

/// An invalid delimiter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", tr!(
    "invalid delimiter: use one ASCII character other than a letter, a digit, a quote, a question \
     mark, a backslash or a line end, one of ， ； 、 ｜, or the word `tab`"
))]
pub(crate) struct DelimiterError;

/// Parses a delimiter: the character itself, `tab` or `\t`.
pub(crate) fn parse_delimiter(text: &str) -> Result<char, DelimiterError> {
    if matches!(text, "tab" | "\\t") {
        return Ok('\t');
    }
    let mut letters = text.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return Err(DelimiterError) };
    // An appended cell may get a question mark for a character that the encoding lacks, an
    // apostrophe from --excel-safe, and in Shift_JIS a backslash for a yen sign, after its quotes
    // are decided.
    let is_plain =
        letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"\"'?\\\r\n\0".contains(letter);
    if is_plain || WIDE_DELIMITERS.contains(&letter) { Ok(letter) } else { Err(DelimiterError) }
}

/// The complete rows at the beginning of the input, read with one delimiter.
pub(crate) struct Sample {
    pub delimiter: char,
    /// The cells of the first rows. Invalid bytes are replaced.
    pub rows: Vec<Vec<String>>,
    /// The line on which each of them starts; the first line of the sample is line 1.
    pub row_lines: Vec<u64>,
    /// The width of each row. This covers at least as many rows as `rows`.
    pub widths: Vec<RowWidth>,
    /// Whether a quoted cell is not closed.
    has_open_quote: bool,
}

/// The number of cells of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowWidth {
    pub cells: usize,
    /// How many of them are blank, at the end of the row.
    blank_end: usize,
    ends_with_delimiter: bool,
}

impl RowWidth {
    /// The width of the row that `framer` found.
    fn read(framer: &Framer, row: &Row<'_>, delimiter: char) -> Self {
        let cells = framer.width();
        let is_blank = |index: &usize| framer.cell(*index).is_some_and(is_blank_cell);
        Self {
            cells,
            blank_end: (0..cells).rev().take_while(is_blank).count(),
            ends_with_delimiter: ends_with_delimiter(row, delimiter),
        }
    }

    /// Whether the row has the cells of a table of this width, and at most blank ones more.
    #[must_use]
    pub(crate) fn fits(self, columns: usize) -> bool {
        self.cells >= columns && self.cells - self.blank_end <= columns
    }

    /// How many columns a table has to be wider, so that the blank cells at the end of the row are
    /// in columns of their own. The answer takes the place of one empty cell.
    fn unnamed_columns(self, columns: usize) -> usize {
        match self.cells.saturating_sub(columns) {
            extra if extra > self.blank_end => 0,
            1 if self.ends_with_delimiter => 0,
            extra => extra,
        }
    }
}

/// Whether an unquoted cell has nothing but spaces.
#[must_use]
pub(crate) fn is_blank_cell(cell: &[u8]) -> bool {
    str::from_utf8(cell).is_ok_and(|cell| cell.trim().is_empty())
}

/// Whether the last cell of a row has no byte.
#[must_use]
pub(crate) fn ends_with_delimiter(row: &Row<'_>, delimiter: char) -> bool {
    row.content.ends_with(delimiter.encode_utf8(&mut [0; 4]).as_bytes())
}

/// How well a delimiter fits. Scores are compared field by field, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DelimiterScore {
    has_mobiles: bool,
    /// Of 1000 rows, those with as many cells as the first, or blank ones more.
    even_rows: usize,
    mobiles: usize,
    columns: usize,
}

impl Sample {
    /// Reads the complete rows of `bytes`, up to about [`SAMPLE_BYTES`]. `complete` means that
    /// nothing follows.
    #[must_use]
    pub(crate) fn read(bytes: &[u8], delimiter: char, complete: bool) -> Self {
        Self::read_numbered(bytes, delimiter, complete, &RowNumbers::default())
    }

    /// The same, with the numbers that the rows have if nothing is above them.
    #[must_use]
    pub(crate) fn read_numbered(
        bytes: &[u8],
        delimiter: char,
        complete: bool,
        numbers: &RowNumbers,
    ) -> Self {
        let mut framer = Framer::new(delimiter).with_numbers(numbers, 0);
        let mut sample = Self {
            delimiter,
            rows: Vec::new(),
            row_lines: Vec::new(),
            widths: Vec::new(),
            has_open_quote: false,
        };
        let mut start = 0;
        while start < SAMPLE_BYTES {
            let row = match framer.frame(&bytes[start..], complete) {
                Ok(FrameResult::Row(row)) => row,
                Ok(FrameResult::NeedMore | FrameResult::End) => break,
                Err(_) => {
                    sample.has_open_quote = true;
                    break;
                }
            };
            start += row.byte_len();
            sample.widths.push(RowWidth::read(&framer, &row, delimiter));
            if sample.rows.len() < SAMPLE_ROWS {
                sample.row_lines.push(row.line);
                let cells = framer.cells().map(|cell| String::from_utf8_lossy(cell).into_owned());
                sample.rows.push(cells.collect());
            }
        }
        sample
    }

    /// Reads the sample with the delimiter that fits best: first one that gives mobile numbers,
    /// then the one that gives most rows the width of the first, then more mobile numbers, then
    /// more columns.
    #[must_use]
    pub(crate) fn detect(
        bytes: &[u8],
        complete: bool,
        looks_like_mobile: &dyn Fn(&str) -> bool,
    ) -> Self {
        let [default, others @ ..] = DELIMITERS;
        let mut best = Self::read(bytes, default, complete);
        let mut best_score = best.score(looks_like_mobile);
        for delimiter in others {
            let other = Self::read(bytes, delimiter, complete);
            let score = other.score(looks_like_mobile);
            if score > best_score {
                (best, best_score) = (other, score);
            }
        }
        best
    }

    /// How many columns without a name follow those of the first row: blank cells at the end of
    /// other rows are in them.
    #[must_use]
    pub(crate) fn unnamed_columns(&self) -> usize {
        let [first, others @ ..] = self.widths.as_slice() else { return 0 };
        let unnamed = others.iter().map(|width| width.unnamed_columns(first.cells));
        unnamed.filter(|&columns| columns <= MAX_UNNAMED_COLUMNS).max().unwrap_or(0)
    }

    /// How well the delimiter fits. `None` if fewer than half of the rows have the width of the
    /// first.
    fn score(&self, looks_like_mobile: &dyn Fn(&str) -> bool) -> Option<DelimiterScore> {
        let columns = self.widths.first().map(|width| width.cells).filter(|&cells| cells > 1)?;
        let even = self.widths.iter().filter(|width| width.fits(columns)).count();
        let even_rows = even * 1000 / (self.widths.len() + usize::from(self.has_open_quote));
        let mobiles = self.rows.iter().flatten().filter(|cell| looks_like_mobile(cell)).count();
        let has_mobiles = mobiles > 0;
        (even_rows >= 500).then_some(DelimiterScore { has_mobiles, even_rows, mobiles, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mobile(cell: &str) -> bool {
        cell.len() == 11 && cell.starts_with('1') && cell.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn detect(text: &str, complete: bool) -> char {
        Sample::detect(text.as_bytes(), complete, &mobile).delimiter
    }

    #[test]
    fn the_most_consistent_delimiter_wins() {
        assert_eq!(detect("name,phone\nA;B,13800138000\nC;D,13800138001\n", true), ',');
        assert_eq!(detect("name;phone\n\"A;B\";13800138000\nC,D;13800138001\n", true), ';');
        assert_eq!(detect("name\tphone\nA, B\t13800138000\nC, D\t13800138001\n", true), '\t');
        assert_eq!(detect("A|13800138000|x\n", true), '|');
        assert_eq!(detect("A;13800138000;1,5\nB;13800138001;2,5\n", true), ';');
        assert_eq!(detect("a,b;c,d;e\n", true), ',');
        assert_eq!(detect("姓名，手机号\n甲，13800138000\n乙，13800138001\n", true), '，');
        assert_eq!(detect("甲；13800138000\n乙；13800138001\n", true), '；');
        // Header and rows disagree, or the character is part of a cell.
        assert_eq!(detect("姓名,手机号\n甲，13800138000\n乙，13800138001\n", true), ',');
        assert_eq!(detect("姓名，手机号\n甲,13800138000\n乙,13800138001\n", true), ',');
        assert_eq!(detect("名，字,手机号\n甲，乙,13800138000\n丙，丁,13800138001\n", true), ',');
        assert_eq!(detect("手机号\n13800138000，13900139000\n", true), ',');
    }

    #[test]
    fn blank_cells_after_the_last_column_do_not_matter() {
        for delimiter in [';', '\t', '|', '，', '；'] {
            for end in ["", "\"\"", " ", "DD", "\"\"D"] {
                let row = format!("甲D1380013800{{}}D{end}\n");
                let text =
                    ["姓名D手机号\n".to_owned(), row.replace("{}", "0"), row.replace("{}", "1")];
                let text = text.concat().replace('D', &delimiter.to_string());
                assert_eq!(detect(&text, true), delimiter, "{end}");
            }
        }
        for (rows, expected) in [
            ("甲,1,\n乙,2,\n", 0),
            ("甲,1\n乙,2\n", 0),
            ("甲\n乙,2,x\n", 0),
            ("甲,1,\n乙,2,\"\"\n", 1),
            ("甲,1, \n", 1),
            ("甲,1,,\n乙,2,\n", 2),
        ] {
            let sample = Sample::read(format!("姓名,手机号\n{rows}").as_bytes(), ',', true);
            assert_eq!(sample.unnamed_columns(), expected, "{rows}");
        }
        for (commas, expected) in [(64, 64), (65, 2)] {
            let text = format!("姓名,手机号\n甲,1,,\n乙,2{}\n", ",".repeat(commas));
            let sample = Sample::read(text.as_bytes(), ',', true);
            assert_eq!(sample.unnamed_columns(), expected, "{commas}");
        }
    }

    #[test]
    fn a_single_column_uses_the_default_delimiter() {
        assert_eq!(detect("phone\n13800138000\n", true), ',');
        assert_eq!(detect("13800138000;13800138001\n13800138002\n13800138003\n", true), ',');
        assert_eq!(detect("", true), ',');
    }

    #[test]
    fn a_truncated_last_row_is_ignored() {
        assert_eq!(detect("a;b\n1;2\n3;4\n\"5;6,7,8", false), ';');
        assert_eq!(Sample::read(b"a,b\nc,", ',', false).rows.len(), 1);
        assert_eq!(Sample::read(b"a,b\nc,", ',', true).rows.len(), 2);
        assert_eq!(Sample::read(b"\"a\n", ',', false).rows.len(), 0);
    }

    #[test]
    fn delimiters_are_parsed_as_typed() {
        assert_eq!(parse_delimiter(";"), Ok(';'));
        assert_eq!(parse_delimiter("tab"), Ok('\t'));
        assert_eq!(parse_delimiter("\\t"), Ok('\t'));
        assert_eq!(parse_delimiter("\t"), Ok('\t'));
        assert_eq!(parse_delimiter("，"), Ok('，'));
        for wrong in ["", "\"", "\n", "手", "。", ",,", "，，", "a"] {
            assert_eq!(parse_delimiter(wrong), Err(DelimiterError));
        }
    }
}
