//! The state machine that splits a row of UTF-8 text into cells and removes their quotes.
//!
//! csv-core is not used, because its delimiters have one byte (`，` has three) and it takes a quote
//! after a space for text. For all other rows the cells are the same.

/// The maximum number of cells of a row, which is also the limit of Excel. A row of delimiters
/// takes eight times its size in memory.
pub(crate) const MAX_COLUMNS: usize = 1 << 14;

/// Where the parser is in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the content of a cell, or after spaces that may precede its quote.
    CellStart,
    Unquoted,
    Quoted,
    /// After a quote inside a quoted cell: the end of the cell, or the first of two quotes.
    AfterQuote,
}

/// What [`RowParser::advance`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parsed {
    /// The row ends at [`RowParser::read`], where its line end or the end of the text is.
    Row,
    NeedMore,
    /// The text ends inside a quoted cell.
    OpenQuote,
    /// The row has more than [`MAX_COLUMNS`] cells.
    TooManyCells,
}

/// Parses one row at a time. Continues inside a row when more bytes arrive.
pub(crate) struct RowParser {
    delimiter: Vec<u8>,
    state: State,
    /// How many bytes of the row were read. No byte is read twice.
    read: usize,
    /// The unquoted cells of the row, one after the other.
    text: Vec<u8>,
    /// Where each cell ends in `text`.
    text_ends: Vec<usize>,
    /// Where each cell ends in the row's bytes.
    raw_ends: Vec<usize>,
    /// Where the quoted part of the cell ended in `text`.
    closed_at: Option<usize>,
    has_quotes: bool,
    has_text_after_quote: bool,
}

impl RowParser {
    #[must_use]
    pub(crate) fn new(delimiter: char) -> Self {
        Self {
            delimiter: delimiter.to_string().into_bytes(),
            state: State::CellStart,
            read: 0,
            text: Vec::with_capacity(1024),
            text_ends: Vec::with_capacity(64),
            raw_ends: Vec::with_capacity(64),
            closed_at: None,
            has_quotes: false,
            has_text_after_quote: false,
        }
    }

    /// Forgets the row, so that the next one can be parsed.
    pub(crate) fn reset(&mut self) {
        (self.state, self.read, self.closed_at) = (State::CellStart, 0, None);
        (self.has_quotes, self.has_text_after_quote) = (false, false);
        self.text.clear();
        self.text_ends.clear();
        self.raw_ends.clear();
    }

    /// The number of bytes read of the row.
    #[must_use]
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// The number of complete cells.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.text_ends.len()
    }

    /// The unquoted cell at `index` (from 0).
    #[must_use]
    pub(crate) fn cell(&self, index: usize) -> Option<&[u8]> {
        let end = *self.text_ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.text_ends[before]);
        Some(&self.text[start..end])
    }

    /// Where each cell ends in the row's bytes. Except after the last cell, the delimiter follows.
    #[must_use]
    pub(crate) fn raw_ends(&self) -> &[usize] {
        &self.raw_ends
    }

    /// Whether a cell of the row is quoted. Only such a cell can contain a line end.
    #[must_use]
    pub(crate) fn has_quotes(&self) -> bool {
        self.has_quotes
    }

    /// Whether text follows the closing quote of a cell.
    #[must_use]
    pub(crate) fn has_text_after_quote(&self) -> bool {
        self.has_text_after_quote
    }

    /// Makes the row one empty cell.
    pub(crate) fn set_blank(&mut self) {
        self.reset();
        self.end_cell();
    }

    /// Reads on in `row`, the known text from the beginning of the row on. `complete` means that
    /// nothing follows.
    pub(crate) fn advance(&mut self, row: &[u8], complete: bool) -> Parsed {
        while let Some(&byte) = row.get(self.read) {
            match self.state {
                State::Quoted => self.read_quoted(row),
                State::AfterQuote if byte == b'"' => {
                    self.push(byte);
                    self.state = State::Quoted;
                }
                State::CellStart if byte == b'"' => {
                    // The spaces before the quote are not part of the cell.
                    self.text.truncate(self.text_ends.last().copied().unwrap_or(0));
                    self.read += 1;
                    (self.state, self.has_quotes) = (State::Quoted, true);
                }
                State::CellStart if byte == b' ' && self.delimiter != b" " => self.push(byte),
                _ => {
                    if let Some(parsed) = self.read_unquoted(row, complete) {
                        return parsed;
                    }
                }
            }
            if self.width() >= MAX_COLUMNS {
                return Parsed::TooManyCells;
            }
        }
        if !complete {
            return Parsed::NeedMore;
        }
        let is_open = self.state == State::Quoted;
        self.end_cell();
        if is_open { Parsed::OpenQuote } else { Parsed::Row }
    }

    fn push(&mut self, byte: u8) {
        self.text.push(byte);
        self.read += 1;
    }

    /// Reads up to the next quote.
    fn read_quoted(&mut self, row: &[u8]) {
        let rest = &row[self.read..];
        let quote = rest.iter().position(|&byte| byte == b'"');
        let length = quote.unwrap_or(rest.len());
        self.text.extend_from_slice(&rest[..length]);
        self.read += length;
        if quote.is_some() {
            self.read += 1;
            self.state = State::AfterQuote;
        }
    }

    /// Reads up to the end of a cell that is not quoted, or not any more. `None` if the row goes
    /// on.
    fn read_unquoted(&mut self, row: &[u8], complete: bool) -> Option<Parsed> {
        if self.state == State::AfterQuote {
            self.closed_at = Some(self.text.len());
        }
        self.state = State::Unquoted;
        let rest = &row[self.read..];
        let first = self.delimiter[0];
        let end = rest.iter().position(|&byte| byte == first || matches!(byte, b'\n' | b'\r'));
        let length = end.unwrap_or(rest.len());
        self.text.extend_from_slice(&rest[..length]);
        self.read += length;
        let rest = &rest[length..];
        if matches!(rest.first()?, b'\n' | b'\r') {
            self.end_cell();
            return Some(Parsed::Row);
        }
        if rest.starts_with(&self.delimiter) {
            self.end_cell();
            self.read += self.delimiter.len();
        } else if self.delimiter.starts_with(rest) && !complete {
            return Some(Parsed::NeedMore);
        } else {
            // Another character that begins with the same byte.
            self.push(first);
        }
        None
    }

    fn end_cell(&mut self) {
        if let Some(closed) = self.closed_at.take() {
            self.has_text_after_quote |= self.text[closed..].iter().any(|&byte| byte != b' ');
        }
        self.text_ends.push(self.text.len());
        self.raw_ends.push(self.read);
        self.state = State::CellStart;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cells of the row at the beginning of `text`, and where it ends. A `step` of the bytes
    /// become known at a time.
    fn parse(text: &str, delimiter: char, step: usize) -> (Parsed, Vec<String>, usize) {
        let mut parser = RowParser::new(delimiter);
        let (bytes, mut known) = (text.as_bytes(), 0);
        loop {
            match parser.advance(&bytes[..known], known == bytes.len()) {
                Parsed::NeedMore => known = bytes.len().min(known + step),
                parsed => {
                    let cells = (0..parser.width())
                        .map(|index| String::from_utf8(parser.cell(index).unwrap().to_vec()));
                    return (parsed, cells.map(Result::unwrap).collect(), parser.read());
                }
            }
        }
    }

    fn cells(text: &str, delimiter: char) -> Vec<String> {
        let whole = parse(text, delimiter, text.len().max(1));
        for step in 1..4 {
            assert_eq!(parse(text, delimiter, step), whole, "{text:?}");
        }
        assert_eq!(whole.0, Parsed::Row);
        whole.1
    }

    #[test]
    fn spaces_before_a_quote_do_not_hide_it() {
        assert_eq!(
            cells(" \"a, b\",  \"c\"\"d\" , \"\",e \"f", ','),
            ["a, b", "c\"d ", "", "e \"f"]
        );
        assert_eq!(cells("  a, b ,\t\"c\",  ", ','), ["  a", " b ", "\t\"c\"", "  "]);
        assert_eq!(cells("a \"b c\"", ' '), ["a", "b c"]);
        assert_eq!(parse("a, \"b", ',', 1).0, Parsed::OpenQuote);
    }

    #[test]
    fn a_delimiter_may_have_several_bytes() {
        // The first bytes of ！ are those of ，
        assert_eq!(cells("甲，\"乙，！\"，！，丙\n", '，'), ["甲", "乙，！", "！", "丙"]);
        assert_eq!(cells("，，", '，'), ["", "", ""]);
        assert_eq!(cells("甲！", '，'), ["甲！"]);
    }

    #[test]
    fn text_after_a_closing_quote_is_noticed() {
        for (row, expected) in
            [("\"a\"b,c", true), ("\"a\" ,c", false), ("\"a\" x", true), ("a\"b", false)]
        {
            let mut parser = RowParser::new(',');
            assert_eq!(parser.advance(row.as_bytes(), true), Parsed::Row);
            assert_eq!(parser.has_text_after_quote(), expected, "{row}");
        }
    }

    proptest! {
        #[test]
        fn cells_are_those_of_the_csv_crate(row in "[ab ,;\"\u{feff}é]{1,40}", step in 1..5_usize) {
            let (parsed, cells, read) = parse(&row, ';', step);
            // Where the csv crate takes a quote after spaces for text.
            let spaced = |cell: &str| cell.starts_with(' ') && cell.trim_start().starts_with('"');
            prop_assume!(!row.split(';').any(spaced));
            let row = format!("x;{row}");
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(b';')
                .has_headers(false)
                .from_reader(row.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            if parsed == Parsed::Row {
                prop_assert_eq!(record.iter().skip(1).collect::<Vec<_>>(), cells);
                prop_assert_eq!(read + 2, row.len());
            } else {
                prop_assert_eq!(parsed, Parsed::OpenQuote);
            }
        }

        #[test]
        fn cells_joined_by_delimiters_are_the_row(
            row in "[ab ,，！\"\n]{0,40}",
            delimiter in proptest::sample::select(vec![',', '，', ' ']),
        ) {
            let mut parser = RowParser::new(delimiter);
            parser.advance(row.as_bytes(), true);
            let mut start = 0;
            for &end in parser.raw_ends() {
                prop_assert!(start <= end);
                if end < parser.read() {
                    prop_assert!(row[end..].starts_with(delimiter));
                }
                start = end + delimiter.len_utf8();
            }
        }
    }
}
