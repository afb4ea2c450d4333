//! Reads a table: opens an input, detects its layout and returns its rows in batches.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use tr::tr;

use crate::domain::number::cell::MISSING_VALUE;
use crate::domain::number::invalid::NonPerson;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::number::plausible::{could_be_number, holds_number};
use crate::domain::redact::column_name;
use crate::table::detect::column_error::ColumnList;
use crate::table::detect::columns::{Column, appended_names};
use crate::table::detect::country_reading::NumberCountries;
use crate::table::detect::dialect::{Dialect, SAMPLE_BYTES, ends_with_delimiter, is_blank_cell};
use crate::table::detect::encoding::detect_encoding;
use crate::table::detect::extra_columns::find_appended_column;
use crate::table::detect::file_type::Recognized;
use crate::table::detect::header_row::FirstRow;
use crate::table::detect::layout::{Layout, SourceOptions};
use crate::table::detect::non_person;
use crate::table::detect::preamble::TitleLines;
use crate::table::detect::recognize::recognize;
use crate::table::detect::separator::SeparatorSurvey;
pub use crate::table::error::SourceError;
use crate::table::header::Header;
use crate::table::number_cells::NumberCells;
use crate::table::person_cells::PersonCells;
use crate::table::raw::batch::Batch;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::framer::{
    FrameError, FrameResult, Framer, MAX_ROW_BYTES, Row, count_line_ends, has_escaped_quote,
};
use crate::table::raw::missing_values::MissingValues;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::raw::row_parser::MAX_COLUMNS;
use crate::table::sniff::{Sniffed, sniff};
use crate::table::swallowed;

/// A batch is returned once its rows take this many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// After so many attempts to detect the layout, the next one waits until the input has grown by an
/// eighth.
const EARLY_SNIFFS: usize = 8;

/// A table that is being read.
pub struct Source {
    decoder: TextDecoder,
    framer: Framer,
    layout: Layout,
    number_cells: NumberCells,
    titles: TitleLines,
    /// The number of lines of the text above the table.
    skipped_lines: u64,
    row_numbers: RowNumbers,
    lossy: bool,
    flexible: bool,
    missing_values: Arc<MissingValues>,
    /// Whether the table has answers already.
    has_answers: bool,
    header: Header,
    trailing_blanks: Vec<u8>,
    trusts_quotes: bool,
    required_numbers: Option<NumberRules>,
    allow_empty: bool,
    /// The number of rows that were read.
    rows: u64,
    /// Whether one of them is neither blank nor certainly something else than a person.
    has_person: bool,
    /// The number of cells that are appended to a row.
    appended: usize,
    /// Whether a cell that could be meant as a number was read.
    has_number: bool,
    /// What the number cells hold, until one of them is a number.
    separators: Option<Box<SeparatorSurvey>>,
    /// An error that was met after rows which have to be returned first.
    failed: Option<SourceError>,
    /// Whether nothing follows the rows that were returned.
    done: bool,
}

impl Source {
    /// Reads as much of `reader` as is needed to detect dialect and column: one read if that is
    /// enough, otherwise until a row of data shows the column, at most 64 KiB. `looks_like_mobile`
    /// returns whether a cell looks like a mobile number.
    ///
    /// # Errors
    /// [`SourceError`] if the input cannot be read, is empty, is not CSV, or does not show which
    /// column is meant.
    pub fn open(
        reader: Box<dyn Read + Send>,
        options: &SourceOptions,
        looks_like_mobile: &dyn Fn(&str) -> bool,
    ) -> Result<Self, SourceError> {
        let mut decoder = TextDecoder::new(reader);
        let (mut attempts, mut sniffed_len, mut has_new_line) = (0, 0, false);
        let numbers = &options.row_numbers;
        let read_error = |cause| SourceError::Read { row: numbers.locate(numbers.first()), cause };
        loop {
            let known = decoder.raw().len();
            decoder.fill().map_err(&read_error)?;
            while options.read_sample_first
                && !decoder.is_complete()
                && decoder.raw().len() < SAMPLE_BYTES
            {
                decoder.fill().map_err(&read_error)?;
            }
            let (bytes, complete) = (decoder.raw(), decoder.is_complete());
            has_new_line |= bytes[known..].iter().any(|byte| matches!(byte, b'\n' | b'\r'));
            // Each attempt starts at the first byte, so a slow pipe must not cause one for every
            // read.
            let has_grown = attempts < EARLY_SNIFFS || bytes.len() >= sniffed_len + sniffed_len / 8;
            let is_overlong = bytes.len() > 2 * MAX_ROW_BYTES;
            if complete || ((has_new_line || is_overlong) && has_grown) {
                (attempts, sniffed_len, has_new_line) = (attempts + 1, bytes.len(), false);
                // A cell of a workbook may hold anything.
                let recognized = if options.trusts_quotes {
                    Recognized::Other
                } else {
                    recognize(bytes, complete)
                };
                match recognized {
                    Recognized::Other => {}
                    Recognized::TypeOrTable(_) if options.describes_table() => {}
                    Recognized::TypeOrTable(found) => return Err(SourceError::TypeOrTable(found)),
                    Recognized::Type(found) => return Err(SourceError::UnsupportedType(found)),
                    Recognized::NeedsMore => continue,
                }
                let Some(encoding) = detect_encoding(bytes, complete, options.encoding)? else {
                    continue;
                };
                decoder.set_encoding(encoding.encoding, encoding.bom_len);
                if let Some(sniffed) = sniff(&decoder, &encoding, options, looks_like_mobile)? {
                    return Self::from_sniffed(decoder, sniffed, options);
                }
            }
        }
    }

    /// Consumes everything before the first row of data.
    fn from_sniffed(
        mut decoder: TextDecoder,
        sniffed: Sniffed,
        options: &SourceOptions,
    ) -> Result<Self, SourceError> {
        let Sniffed { preamble, layout, titles } = sniffed;
        let mut framer = Framer::new(layout.dialect.delimiter)
            .with_numbers(&options.row_numbers, preamble.lines);
        let names = &options.optional_columns;
        let width = layout.width();
        let skipped_lines = match decoder.decoded().get(..preamble.byte_len) {
            Some(text) if options.row_numbers.counts_rows() => count_line_ends(text),
            _ => preamble.lines,
        };
        let added =
            if options.has_answers { 0 } else { appended_names(&layout.first_row, names).len() };
        if width + added > MAX_COLUMNS {
            let row = framer.location();
            return Err(SourceError::NoRoomForAnswers { row, width, added });
        }
        let header = Header::read(&mut decoder, &preamble, &layout, names, &mut framer)?;
        framer.set_blank_line_is_row(layout.width() == 1);
        let Layout { columns, country_columns, extra_columns, .. } = &layout;
        let first_country = columns.len() + extra_columns.len();
        let may_lack_delimiter =
            layout.width() == 1 && !options.has_answers && !options.trusts_quotes;
        let separators = may_lack_delimiter.then(Box::default);
        Ok(Self {
            decoder,
            framer,
            number_cells: NumberCells::new(country_columns.iter().cloned(), first_country),
            layout,
            titles,
            skipped_lines,
            row_numbers: options.row_numbers.clone(),
            lossy: options.lossy,
            flexible: options.flexible,
            missing_values: Arc::clone(&options.missing_values),
            has_answers: options.has_answers,
            header,
            trailing_blanks: Vec::new(),
            trusts_quotes: options.trusts_quotes,
            required_numbers: options.required_numbers,
            allow_empty: options.allow_empty,
            rows: 0,
            has_person: false,
            appended: added,
            has_number: false,
            separators,
            failed: None,
            done: false,
        })
    }

    /// The dialect of the table.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.layout.dialect
    }

    /// What the first row was taken for.
    #[must_use]
    pub(crate) fn first_row_kind(&self) -> FirstRow {
        self.layout.first_row_kind
    }

    /// The number columns, at least one.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.layout.columns
    }

    /// The country columns of each of [`Source::columns`].
    #[must_use]
    pub(crate) fn country_columns(&self) -> &[NumberCountries] {
        &self.layout.country_columns
    }

    /// Where the cells of a batch hold numbers and their countries.
    #[must_use]
    pub(crate) fn number_cells(&self) -> NumberCells {
        self.number_cells.clone()
    }

    /// The positions, from 0, of the columns whose cells follow the numbers in a batch, in the
    /// order of [`SourceOptions::extra_columns`].
    #[must_use]
    pub fn extra_columns(&self) -> &[usize] {
        &self.layout.extra_columns
    }

    /// The position, from 0, of the answer column that was appended under this name, if there is
    /// one.
    #[must_use]
    pub fn appended_column(&self, name: &str) -> Option<usize> {
        find_appended_column(&self.layout.first_row, name)
    }

    /// The text that a row has in `matched_column`, for each of [`Source::columns`].
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.layout.columns.iter().map(|column| column.label(&self.layout.first_row)).collect()
    }

    /// The number of cells of the first row. Shorter rows are filled up to it.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layout.width()
    }

    /// The lines above the header that look like a title.
    #[must_use]
    pub(crate) fn titles(&self) -> TitleLines {
        self.titles
    }

    /// The number of lines above the table, as `--skip-lines` counts them in a text file. For a
    /// sheet, those of its text.
    #[must_use]
    pub(crate) fn skipped_lines(&self) -> u64 {
        self.skipped_lines
    }

    /// Which cells show to a person who a row is about.
    #[must_use]
    pub(crate) fn person_cells(&self) -> PersonCells {
        let Dialect { delimiter, encoding, .. } = self.layout.dialect;
        PersonCells::new(self.layout.person_columns.clone(), delimiter, encoding)
    }

    /// The names of the columns of [`Source::person_cells`]; a column without a name has its
    /// position.
    #[must_use]
    pub(crate) fn person_columns(&self) -> Vec<String> {
        let has_names = self.layout.dialect.has_headers;
        let name = |&column: &usize| {
            let name = self.layout.first_row.get(column).filter(|_| has_names);
            name.and_then(|name| column_name(name))
                .unwrap_or_else(|| tr!("column {position}", position = column + 1))
        };
        self.layout.person_columns.iter().map(name).collect()
    }

    /// How the rows are numbered.
    #[must_use]
    pub(crate) fn row_numbers(&self) -> &RowNumbers {
        &self.row_numbers
    }

    /// Everything before the first row of data.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The blank lines after the last row. Empty until [`Source::next_batch`] has returned `None`.
    #[must_use]
    pub fn trailing_blanks(&self) -> &[u8] {
        &self.trailing_blanks
    }

    /// Returns the next rows: at most `max_rows` (at least 1) and about 256 KiB, and only those
    /// that can be had without waiting, if there are any. `None` after the last row.
    ///
    /// # Errors
    /// [`SourceError`] for the first row that cannot be read, once the rows before it were
    /// returned. `None` follows.
    pub fn next_batch(&mut self, max_rows: usize) -> Result<Option<Batch>, SourceError> {
        if let Some(error) = self.failed.take() {
            self.done = true;
            return Err(error);
        }
        if self.done {
            return Ok(None);
        }
        let mut batch = Batch::with_capacity(self.decoder.raw().len().min(BATCH_BYTES));
        while batch.len() < max_rows.max(1) && batch.byte_len() < BATCH_BYTES {
            match self.read_row(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if batch.is_empty() => {
                    self.done = true;
                    return Err(error);
                }
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }

    /// Adds one row to the batch. Returns false if there is none, or if `batch` has rows and the
    /// next one would have to be waited for.
    fn read_row(&mut self, batch: &mut Batch) -> Result<bool, SourceError> {
        loop {
            match self.framer.frame(self.decoder.decoded(), self.decoder.is_complete())? {
                FrameResult::Row(row) => {
                    if self.lossy {
                        self.decoder.check_row_end(0, &row, self.layout.dialect.delimiter)?;
                    } else {
                        self.decoder.check_row(0, &row)?;
                    }
                    self.check_quotes(&row)?;
                    let answer_delimiters = self.check_width(&row)?;
                    let numbers = self.layout.columns.iter().map(|column| column.index);
                    let countries = self.layout.country_columns.iter();
                    let countries = countries.flat_map(NumberCountries::columns);
                    let countries = countries.map(|column| column.index);
                    let columns =
                        numbers.chain(self.layout.extra_columns.iter().copied()).chain(countries);
                    // The cells that a short row lacks are empty.
                    let cells = columns.map(|index| match self.framer.cell(index) {
                        _ if self.missing_values.contains(row.line, index) => {
                            Cow::Borrowed(MISSING_VALUE)
                        }
                        cell => cell.map_or(Cow::Borrowed(""), String::from_utf8_lossy),
                    });
                    batch.push(&self.decoder.raw_row(&row), cells, answer_delimiters);
                    let size = row.byte_len();
                    let (last, columns) = (batch.len() - 1, self.layout.columns.len());
                    if batch.cells(last).take(columns).any(could_be_number) {
                        (self.has_number, self.has_person) = (true, true);
                    } else {
                        let non_person = self.classify_non_person();
                        batch.set_non_person(non_person);
                        self.has_person |=
                            non_person.is_none() && !self.framer.cells().all(is_blank_cell);
                        let is_blank =
                            batch.cells(last).take(columns).all(|cell| cell.trim().is_empty());
                        batch.set_number_elsewhere(is_blank && self.has_number_elsewhere());
                    }
                    if let Some(rules) = self.required_numbers {
                        self.look_for_number(batch, last, rules);
                    }
                    self.rows += 1;
                    let start = self.decoder.offset();
                    self.decoder.consume(size);
                    batch.count_source_bytes(self.decoder.offset() - start);
                    return Ok(true);
                }
                FrameResult::NeedMore if self.decoder.is_overlong() => {
                    return Err(FrameError::RowTooLong { row: self.framer.location() }.into());
                }
                FrameResult::NeedMore if batch.is_empty() => {
                    let row = self.framer.location();
                    self.decoder.fill().map_err(|cause| SourceError::Read { row, cause })?;
                }
                FrameResult::NeedMore => return Ok(false),
                FrameResult::End => {
                    self.trailing_blanks = self.decoder.raw().to_vec();
                    self.done = true;
                    return self.check_content().map(|()| false);
                }
            }
        }
    }

    /// Looks for a number in row `row`, unless one was found.
    fn look_for_number(&mut self, batch: &Batch, row: usize, rules: NumberRules) {
        if self.has_number && self.separators.is_none() {
            return;
        }
        let cells = batch.cells(row).zip(self.number_cells.parse(batch, row, rules));
        for (cell, number) in cells {
            match (number, &mut self.separators) {
                // The numbers of some countries have fewer digits than others could have.
                (Ok(_), _) => (self.has_number, self.separators) = (true, None),
                // No delimiter separates the parts of a quoted cell.
                (Err(_), separators) if self.framer.has_quotes() => *separators = None,
                (Err(reason), Some(separators)) => separators.add(cell, &reason, rules),
                (Err(_), None) => {}
            }
        }
    }

    /// Whether the row lacks cells and has a number in another one, as after a wrong delimiter.
    fn has_number_elsewhere(&self) -> bool {
        let rules = self.required_numbers;
        let region = rules.map_or(DefaultRegion::CHINA, |rules| rules.default_region);
        !self.trusts_quotes
            && self.framer.width() < self.layout.width()
            && self.framer.cells().any(|cell| holds_number(&String::from_utf8_lossy(cell), region))
    }

    /// What the row is, which has no number, if it is not about a person.
    fn classify_non_person(&self) -> Option<NonPerson> {
        let cells: Vec<_> = self.framer.cells().map(String::from_utf8_lossy).collect();
        // The answer of an earlier run says nothing about the row.
        let is_answer = |at: &usize| self.has_answers && self.layout.extra_columns.contains(at);
        let cells: Vec<&str> =
            (0..).zip(&cells).map(|(at, cell)| if is_answer(&at) { "" } else { &**cell }).collect();
        non_person::classify(&cells, &self.layout, self.rows == 0)
    }

    /// The number of delimiters between the row and its answer.
    fn check_width(&self, row: &Row<'_>) -> Result<usize, SourceError> {
        let (found, expected) = (self.framer.width(), self.layout.width());
        // Many exports end each row, but not the header, with a delimiter.
        if found > expected && self.framer.cells().skip(expected).all(is_blank_cell) {
            let is_empty =
                found == expected + 1 && ends_with_delimiter(row, self.layout.dialect.delimiter);
            // Answers that the table has already are not appended.
            if is_empty || self.has_answers {
                return Ok(0);
            }
        }
        if found > expected && !self.flexible {
            return Err(SourceError::Ragged {
                row: self.row_numbers.locate(row.line),
                found,
                expected,
                suspected_header: self.titles.suspected_header(&self.row_numbers),
                can_be_flexible: !self.has_answers,
                has_escaped_quote: has_escaped_quote(row.content),
            });
        }
        if found > expected && found + self.appended > MAX_COLUMNS {
            let (width, added) = (found, self.appended);
            let row = self.row_numbers.locate(row.line);
            return Err(SourceError::NoRoomForAnswers { row, width, added });
        }
        Ok(1 + expected.saturating_sub(found))
    }

    /// Refuses a quoted cell that holds rows of the table: one stray quote opened it, and another
    /// one closed it, so that nobody would be asked about the people between them.
    fn check_quotes(&self, row: &Row<'_>) -> Result<(), SourceError> {
        if self.flexible || self.trusts_quotes {
            return Ok(());
        }
        match swallowed::find_swallowed_rows(&self.framer, &self.layout, row) {
            None => Ok(()),
            Some(last) => Err(SourceError::SwallowedRows {
                first: row.line,
                last,
                can_be_flexible: !self.has_answers,
                has_escaped_quote: has_escaped_quote(row.content),
            }),
        }
    }

    /// Judges the whole input once it was read, so that a pipe is judged too.
    fn check_content(&self) -> Result<(), SourceError> {
        if self.required_numbers.is_none() {
            return Ok(());
        }
        if let Some(separator) = self.separators.as_deref().and_then(SeparatorSurvey::finish) {
            return Err(SourceError::SeveralCells { rows: self.rows, separator });
        }
        if self.has_number {
            return Ok(());
        }
        // A formula without a value may be a number.
        let is_empty = self.rows == 0 || (!self.has_person && self.missing_values.count() == 0);
        if self.allow_empty && is_empty {
            return Ok(());
        }
        if self.rows == 0 {
            let has_header = !self.layout.first_row.is_empty();
            return Err(SourceError::NoRows { has_header });
        }
        let columns = self.layout.columns.iter();
        let columns: Vec<_> =
            columns.map(|column| (column.index, column.name.as_deref())).collect();
        Err(SourceError::NoNumber {
            rows: self.rows,
            columns: ColumnList::new(&columns, &[]),
            missing_values: Arc::clone(&self.missing_values),
            suspected_header: self.titles.suspected_header(&self.row_numbers),
            has_answers: self.has_answers,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::row_location::RowLocation;
    use crate::table::raw::encoding::{Encoding, EncodingError};
    use std::collections::VecDeque;

    /// Returns one chunk per read.
    struct Pieces(VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0.pop_front().map_or(Ok(0), |piece| piece.as_slice().read(room))
        }
    }

    fn mobile(cell: &str) -> bool {
        cell.starts_with("138")
    }

    fn open(pieces: &[&[u8]]) -> Result<Source, SourceError> {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        Source::open(Box::new(Pieces(pieces)), &SourceOptions::default(), &mobile)
    }

    fn cells(batch: &Batch) -> Vec<(u64, &str)> {
        (0..batch.len())
            .map(|row| (batch.line(row), batch.cells(row).next().unwrap_or_default()))
            .collect()
    }

    fn refused(bytes: &[u8]) -> SourceError {
        let mut source = match open(&[bytes]) {
            Err(error) => return error,
            Ok(source) => source,
        };
        loop {
            match source.next_batch(1) {
                Err(error) => return error,
                Ok(batch) => assert!(batch.is_some()),
            }
        }
    }

    #[test]
    fn a_table_is_read_cell_by_cell() {
        let text = "\u{feff}\n姓名;手机\r\n\r\n张三;\"138\"\r\n\"李\n四\";138\"x\r\n王五;\n\r\n\n";
        let mut source = open(&[text.as_bytes()]).unwrap();
        let why = crate::table::detect::encoding::EncodingReason::Bom;
        let dialect = Dialect {
            encoding: Encoding::Utf8,
            encoding_reason: why,
            has_bom: true,
            delimiter: ';',
            has_headers: true,
        };
        assert_eq!((source.dialect(), source.width()), (&dialect, 2));
        assert_eq!(
            (source.columns()[0].index, source.columns()[0].name.as_deref()),
            (1, Some("手机"))
        );
        assert_eq!(source.header().raw, "\n姓名;手机".as_bytes());
        assert_eq!(source.header().bom, "\u{feff}".as_bytes());
        assert_eq!(source.header().terminator, b"\r\n");
        assert_eq!(source.header().appended_names.as_ref().unwrap()[0], "userid");
        let batch = source.next_batch(100).unwrap().unwrap();
        assert_eq!(cells(&batch), [(4, "138"), (5, "138\"x"), (7, "")]);
        assert_eq!(
            (batch.leading_blanks(0), batch.content(0)),
            (&b"\r\n"[..], "张三;\"138\"".as_bytes())
        );
        assert!(source.next_batch(100).unwrap().is_none());
        assert!(source.next_batch(100).unwrap().is_none());
        assert_eq!(source.trailing_blanks(), b"\r\n\n");
    }

    #[test]
    fn blank_lines_of_a_headerless_single_column_are_rows() {
        let mut source = open(&[b"\n138\n\n1380\n\n"]).unwrap();
        assert_eq!(
            (source.header().raw.as_slice(), &source.header().appended_names),
            (&b""[..], &None)
        );
        let batch = source.next_batch(100).unwrap().unwrap();
        assert_eq!(cells(&batch), [(1, ""), (2, "138"), (3, ""), (4, "1380"), (5, "")]);
        let mut source = open(&[b"\nphone\n\n138"]).unwrap();
        assert_eq!(source.header().raw, b"\nphone");
        assert_eq!(cells(&source.next_batch(100).unwrap().unwrap()), [(3, ""), (4, "138")]);
        assert!(source.next_batch(100).unwrap().is_none());
        assert_eq!(source.trailing_blanks(), b"");
    }

    #[test]
    fn a_slow_input_yields_available_rows() {
        let pieces: [&[u8]; 5] = [b"a,mobile\n", b"x,138\n", b"y,1381\nz,13", b"82\r", b"\nw,\n"];
        let mut source = open(&pieces).unwrap();
        let mut seen = Vec::new();
        while let Some(batch) = source.next_batch(100).unwrap() {
            seen.push(batch.len());
        }
        assert_eq!(seen, [1, 1, 2]);
        let mut source = open(&[b"a,mobile\nx,138\ny,138\nz,138\n"]).unwrap();
        assert_eq!(source.next_batch(2).unwrap().unwrap().len(), 2);
        assert_eq!(source.next_batch(0).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn the_sample_is_read_until_the_column_is_decided() {
        let pieces: [&[u8]; 5] =
            [b"name,note,y\n", b",,\n", b"a,x,b\n", b"c,,138\nd,,1380\ne,,1381", b"\n"];
        let mut source = open(&pieces).unwrap();
        assert_eq!(source.columns()[0].index, 2);
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 4);
        let source = open(&[b"mob", b"ile"]).unwrap();
        assert_eq!((source.width(), source.header().raw.as_slice()), (1, &b"mobile"[..]));
    }

    #[test]
    fn a_pipe_and_a_file_have_the_same_first_row() {
        let rows = |text: &[&[u8]]| {
            let mut source = open(text).unwrap();
            let (kind, titles) = (source.first_row_kind(), source.titles());
            let mut rows = 0;
            while let Some(batch) = source.next_batch(100).unwrap() {
                rows += batch.len();
            }
            (kind, titles, rows)
        };
        for text in [
            "张三,研发部,离职\n李四,2组,13800138000\n王五,研发部,138001\n赵六,研发部,138002\n",
            "Wer,Wann,Wo\n李四,2024,138001\n王五,x,138002\n赵六,y,138003\n甲,z,138\n",
            "张三,,手机\n李四,138001,研发\n王五,138002,手机\n",
            "张三,电话销售部,\n李四,x,138001\n王五,电话销售部,138002\n",
            "张三,\n李四,研发部\n王五,138001\n赵六,138002\n甲,138003\n",
            "a,\nname,x\n李四,138001\n王五,138002\n",
            "员工,手机号\n李四,138001\n手机号,手机号\n",
        ] {
            let whole = rows(&[text.as_bytes()]);
            for (end, _) in text.match_indices('\n') {
                let (first, rest) = text.as_bytes().split_at(end + 1);
                assert_eq!(rows(&[first, rest]), whole, "{text}: {end}");
            }
        }
    }

    #[test]
    fn a_table_leaves_room_for_the_answers() {
        let table = |width: usize| format!("mobile{}\n138\n", ",".repeat(width - 1));
        let open = |width, has_answers| {
            let options = SourceOptions { has_answers, ..SourceOptions::default() };
            let reader = io::Cursor::new(table(width).into_bytes());
            Source::open(Box::new(reader), &options, &mobile).map(|source| source.width())
        };
        assert_eq!(open(MAX_COLUMNS - 5, false).unwrap(), MAX_COLUMNS - 5);
        let error = open(MAX_COLUMNS - 4, false).unwrap_err();
        let SourceError::NoRoomForAnswers { row: RowLocation::Line(1), width, added: 5 } = error
        else {
            panic!("{error}")
        };
        assert_eq!(width, MAX_COLUMNS - 4);
    }

    #[test]
    fn valid_rows_precede_the_error_and_nothing_follows() {
        let mut source = open(&[b"a,mobile\nx,138\ny\nz,,x\nw,138\n"]).unwrap();
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 2);
        let error = source.next_batch(100).unwrap_err();
        assert!(matches!(
            error,
            SourceError::Ragged {
                row: RowLocation::Line(4),
                found: 3,
                expected: 2,
                suspected_header: None,
                ..
            }
        ));
        assert!(source.next_batch(100).unwrap().is_none());
    }

    #[test]
    fn errors_have_their_line() {
        assert!(matches!(refused(b""), SourceError::Empty { skipped: 0 }));
        assert!(matches!(refused(b"\xEF\xBB\xBF\r\n\n"), SourceError::Empty { skipped: 0 }));
        assert!(matches!(refused(b"PK\x03\x04"), SourceError::Encoding(EncodingError::Packed)));
        assert!(matches!(refused(b"a,b\n1,2\n"), SourceError::Column { .. }));
        assert!(matches!(
            refused(b"\n\"phone\n138"),
            SourceError::Frame(FrameError::UnclosedQuote { row: RowLocation::Line(2), .. })
        ));
        let error = refused(b"phone,a\n138,b\n\n138,\"b\n\nc,d\n");
        assert!(
            matches!(
                error,
                SourceError::Frame(FrameError::UnclosedQuote { row: RowLocation::Line(4), .. })
            ),
            "{error}"
        );
        let error = refused(b"\xEF\xBB\xBF\xCA\xD6\xBB\xFA\n138\n");
        let invalid =
            EncodingError::Invalid { encoding: Encoding::Utf8, line: 1, offset: 3, byte: 0xCA };
        assert!(matches!(error, SourceError::Encoding(found) if found == invalid));
        let late =
            [&"a,mobile\n\né,138\n".repeat(3).into_bytes()[..], b"\"\r\n\xFFx\",138\n"].concat();
        let error = refused(&late);
        let invalid =
            EncodingError::Invalid { encoding: Encoding::Utf8, line: 11, offset: 54, byte: 0xFF };
        assert!(matches!(&error, SourceError::Encoding(found) if *found == invalid), "{error}");
    }

    /// An endless input that counts the bytes read.
    struct Endless {
        beginning: Vec<u8>,
        row: &'static [u8],
        read: Arc<AtomicUsize>,
    }

    impl Read for Endless {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            if self.beginning.is_empty() {
                self.beginning = self.row.repeat(1000);
            }
            let length = room.len().min(self.beginning.len());
            room[..length].copy_from_slice(&self.beginning[..length]);
            self.beginning.drain(..length);
            self.read.fetch_add(length, Ordering::Relaxed);
            Ok(length)
        }
    }

    #[test]
    fn a_table_is_opened_from_its_sample() {
        for (beginning, row) in [
            (&b"name,mobile\nM\xFCller,13800138000\n"[..], &b"a,13800138000\n"[..]),
            (b"name,mobile\n", b"\xCD\xF5\xCE\xB0,13800138000\n"),
            (b"mobile\n", b"13800138000\n"),
        ] {
            let read = Arc::<AtomicUsize>::default();
            let input = Endless { beginning: beginning.to_vec(), row, read: Arc::clone(&read) };
            let options = SourceOptions::default();
            Source::open(Box::new(input), &options, &|cell| cell.len() == 11).unwrap();
            let read = read.load(Ordering::Relaxed);
            assert!(read <= 256 << 10, "{read}");
        }
        // A line without an end is an error in every encoding.
        for header in [
            &b"name,mobile\n"[..],
            "姓名,手机号\n".as_bytes(),
            b"\xD0\xD5\xC3\xFB,\xCA\xD6\xBB\xFA\n",
        ] {
            let input = Endless { beginning: header.to_vec(), row: b"x", read: Arc::default() };
            let source = Source::open(Box::new(input), &SourceOptions::default(), &|_| false);
            let error = source.and_then(|mut source| source.next_batch(10)).unwrap_err();
            assert!(
                matches!(
                    error,
                    SourceError::Frame(FrameError::RowTooLong { row: RowLocation::Line(2) })
                ),
                "{error}"
            );
        }
    }
}
