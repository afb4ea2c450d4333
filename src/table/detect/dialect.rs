//! Detects the delimiter of a table, and whether its first row is a header, from a sample.

use tr::tr;

use crate::table::detect::encoding::{DetectedEncoding, EncodingReason};
use crate::table::detect::header_words::{self, HeaderMatch};
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::{FrameResult, Framer};

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
    /// The number of cells of each row. This covers at least as many rows as `rows`.
    pub widths: Vec<usize>,
    /// Whether a quoted cell is not closed.
    has_open_quote: bool,
}

/// How well a delimiter fits. Scores are compared field by field, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DelimiterScore {
    has_mobiles: bool,
    /// Of 1000 rows, those with as many cells as the first.
    even_rows: usize,
    mobiles: usize,
    columns: usize,
}

impl Sample {
    /// Reads the complete rows of `bytes`, up to about [`SAMPLE_BYTES`]. `complete` means that
    /// nothing follows.
    #[must_use]
    pub(crate) fn read(bytes: &[u8], delimiter: char, complete: bool) -> Self {
        let mut framer = Framer::new(delimiter);
        let mut sample = Self {
            delimiter,
            rows: Vec::new(),
            row_lines: Vec::new(),
            widths: Vec::new(),
            has_open_quote: false,
        };
        let mut start = 0;
        while start < SAMPLE_BYTES {
            match framer.frame(&bytes[start..], complete) {
                Ok(FrameResult::Row(row)) => {
                    start += row.byte_len();
                    if sample.row_lines.len() < SAMPLE_ROWS {
                        sample.row_lines.push(row.line);
                    }
                }
                Ok(FrameResult::NeedMore | FrameResult::End) => break,
                Err(_) => {
                    sample.has_open_quote = true;
                    break;
                }
            }
            sample.widths.push(framer.width());
            if sample.rows.len() < SAMPLE_ROWS {
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

    /// How well the delimiter fits. `None` if fewer than half of the rows have the width of the
    /// first.
    fn score(&self, looks_like_mobile: &dyn Fn(&str) -> bool) -> Option<DelimiterScore> {
        let columns = *self.widths.first().filter(|&&width| width > 1)?;
        let even = self.widths.iter().filter(|&&width| width == columns).count();
        let even_rows = even * 1000 / (self.widths.len() + usize::from(self.has_open_quote));
        let mobiles = self.rows.iter().flatten().filter(|cell| looks_like_mobile(cell)).count();
        let has_mobiles = mobiles > 0;
        (even_rows >= 500).then_some(DelimiterScore { has_mobiles, even_rows, mobiles, columns })
    }
}

/// A column name does not have this many digits; a damaged number does.
const MIN_NUMBER_DIGITS: usize = 7;

/// Whether the first of `rows` is a header. It is not if one of its cells is a mobile number or has
/// as many digits, nor if it has no known column name and is empty where most of the other rows
/// have a mobile number. In doubt the first row is data, because a row that is taken for a header
/// gets no answer.
#[must_use]
pub(crate) fn has_header_row(
    rows: &[Vec<String>],
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> bool {
    let [first, others @ ..] = rows else { return true };
    if first.iter().any(|cell| has_number(cell, looks_like_mobile)) {
        return false;
    }
    let mobiles = |column: usize| {
        let cells = others.iter().filter_map(|row| row.get(column));
        cells.filter(|cell| looks_like_mobile(cell)).count() * 2 > others.len()
    };
    let known = first.iter().any(|cell| header_words::match_header(cell) > HeaderMatch::NoMatch);
    let gap =
        first.iter().enumerate().any(|(column, cell)| cell.trim().is_empty() && mobiles(column));
    known || !gap
}

/// Whether a cell of the first row has a number, or one that is damaged, so that the row is data.
#[must_use]
pub(crate) fn has_number(cell: &str, looks_like_mobile: &dyn Fn(&str) -> bool) -> bool {
    // A column name may contain an example: `手机（如13800138000）`.
    let is_damaged = || {
        cell.chars().filter(|c| c.is_numeric()).count() >= MIN_NUMBER_DIGITS
            && header_words::match_header(cell) == HeaderMatch::NoMatch
    };
    looks_like_mobile(cell) || is_damaged()
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
    fn a_number_in_the_first_row_makes_it_data() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let alone = |cells| vec![row(cells)];
        assert!(has_header_row(&alone(["姓名", "手机号"]), &mobile));
        assert!(!has_header_row(&alone(["张三", "13800138000"]), &mobile));
        for damaged in ["010-62345678", "1391111222", "139111122210", "13911112221/13911112229"] {
            assert!(!has_header_row(&alone(["张三", damaged]), &mobile), "{damaged}");
        }
        let below =
            |first| vec![row(first), row(["李四", "13800138000"]), row(["王五", "13800138001"])];
        assert!(!has_header_row(&below(["张三", ""]), &mobile), "a row without its number");
        assert!(
            has_header_row(&below(["电话", ""]), &mobile)
                && has_header_row(&below(["甲", "乙"]), &mobile)
        );
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
