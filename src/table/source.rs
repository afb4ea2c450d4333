//! Owns the reading of a table: it opens an input, settles dialect and column, and hands out the rows in batches.
//! What is done with a row, and where it goes, is for others.

use std::io::Read;

use crate::table::detect::columns::Column;
use crate::table::detect::dialect::{Dialect, SAMPLE_BYTES};
use crate::table::detect::encoding::detect_encoding;
use crate::table::detect::extra_columns::find_appended_column;
use crate::table::detect::layout::{Layout, SourceOptions};
pub use crate::table::error::SourceError;
use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::framer::{FrameError, FrameResult, Framer, MAX_ROW_BYTES};
use crate::table::sniff::{Sniffed, sniff};

/// The size of a batch's text, in bytes, at which it is handed over.
const BATCH_BYTES: usize = 256 << 10;
/// How often the input's beginning is looked at as soon as another line of it is known.
const EARLY_SNIFFS: usize = 8;

/// A table that is being read.
pub struct Source {
    decoder: TextDecoder,
    framer: Framer,
    layout: Layout,
    title_lines: Option<u64>,
    lossy: bool,
    flexible: bool,
    /// Whether the user may have it flexible.
    can_be_flexible: bool,
    header: Header,
    trailing_blanks: Vec<u8>,
    state: State,
}

enum State {
    Reading,
    /// An error was met behind rows that had to be handed over first.
    Failed(SourceError),
    Done,
}

impl Source {
    /// Reads as much of `reader` as it takes to settle dialect and column: one read where that does, else until a
    /// header and a row, or a row without header, are known and agree on a column, 64 KiB at most.
    /// `looks_like_mobile` says whether a cell looks like a mobile number.
    ///
    /// # Errors
    /// [`SourceError`] when the input cannot be read, is empty or no CSV, or leaves open which column is meant.
    pub fn open(
        reader: Box<dyn Read + Send>,
        options: &SourceOptions,
        looks_like_mobile: &dyn Fn(&str) -> bool,
    ) -> Result<Self, SourceError> {
        let mut text = TextDecoder::new(reader);
        let (mut looks, mut looked_at, mut line_ended) = (0, 0, false);
        loop {
            let known = text.raw().len();
            text.fill().map_err(|cause| SourceError::Read { line: 1, cause })?;
            while options.read_sample_first
                && !text.is_complete()
                && text.raw().len() < SAMPLE_BYTES
            {
                text.fill().map_err(|cause| SourceError::Read { line: 1, cause })?;
            }
            let (bytes, complete) = (text.raw(), text.is_complete());
            line_ended |= bytes
                .get(known..)
                .unwrap_or_default()
                .iter()
                .any(|byte| matches!(byte, b'\n' | b'\r'));
            // Each look begins at the start, so an input that comes in crumbs is not looked at for every crumb.
            let grown = looks < EARLY_SNIFFS || bytes.len() >= looked_at + looked_at / 8;
            let overlong = bytes.len() > 2 * MAX_ROW_BYTES;
            if complete || ((line_ended || overlong) && grown) {
                (looks, looked_at, line_ended) = (looks + 1, bytes.len(), false);
                let Some(guess) = detect_encoding(bytes, complete, options.encoding)? else {
                    continue;
                };
                text.set_encoding(guess.encoding, guess.bom_len);
                if let Some(look) = sniff(&text, &guess, options, looks_like_mobile)? {
                    return Ok(Self::from_sniffed(text, look, options));
                }
            }
        }
    }

    /// Puts text and framer where the data begin.
    fn from_sniffed(mut text: TextDecoder, look: Sniffed, options: &SourceOptions) -> Self {
        let Sniffed { preamble: lead, layout, title_lines: title } = look;
        let mut framer = Framer::new(layout.dialect.delimiter).with_line(lead.lines + 1);
        let head = Header::read(&mut text, &lead, &layout, &options.optional_columns, &mut framer);
        framer.set_blank_line_is_row(layout.width() == 1);
        let SourceOptions { lossy, flexible, has_answers: resolved, .. } = *options;
        let (may_flex, tail, state) = (!resolved, Vec::new(), State::Reading);
        Self {
            decoder: text,
            framer,
            layout,
            title_lines: title,
            lossy,
            flexible,
            can_be_flexible: may_flex,
            header: head,
            trailing_blanks: tail,
            state,
        }
    }

    /// How the table is written.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.layout.dialect
    }

    /// The columns that hold numbers, at least one.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.layout.columns
    }

    /// Where the columns stand whose cells come behind the numbers', counted from 0, in the order in which they were asked for.
    #[must_use]
    pub fn extra_columns(&self) -> &[usize] {
        &self.layout.extra_columns
    }

    /// Where the column stands, counted from 0, that was appended to the table under this name, if one was.
    #[must_use]
    pub fn appended_column(&self, name: &str) -> Option<usize> {
        find_appended_column(&self.layout.first_row, name)
    }

    /// What the rows say about the column that their answer came from, for each of [`Source::columns`].
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.layout.columns.iter().map(|column| column.label(&self.layout.first_row)).collect()
    }

    /// How many cells the first row has, and with what is added to shorter ones each row at least.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layout.width()
    }

    /// How many lines look like a title above the header, if any do: the user may have meant to skip them.
    #[must_use]
    pub fn title_lines(&self) -> Option<u64> {
        self.title_lines
    }

    /// What an output needs at its start.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The blank lines behind the last row; empty until [`Source::next_batch`] has given the last batch.
    #[must_use]
    pub fn trailing_blanks(&self) -> &[u8] {
        &self.trailing_blanks
    }

    /// The next rows: `max_rows` at most (at least 1), about 256 KiB at most, and fewer when a further row would
    /// have to be waited for. Nothing when all rows were given.
    ///
    /// # Errors
    /// [`SourceError`] for the first row that cannot be read, after the rows before it were given; nothing follows.
    pub fn next_batch(&mut self, max_rows: usize) -> Result<Option<Batch>, SourceError> {
        match std::mem::replace(&mut self.state, State::Reading) {
            State::Reading => {}
            State::Failed(error) => {
                self.state = State::Done;
                return Err(error);
            }
            State::Done => {
                self.state = State::Done;
                return Ok(None);
            }
        }
        let mut batch = Batch::with_capacity(self.decoder.raw().len().min(BATCH_BYTES));
        while batch.len() < max_rows.max(1) && batch.byte_len() < BATCH_BYTES {
            match self.read_row(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if batch.is_empty() => {
                    self.state = State::Done;
                    return Err(error);
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    break;
                }
            }
        }
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    }

    /// Adds one row to the batch, or says that none is left or that it would have to be waited for.
    fn read_row(&mut self, batch: &mut Batch) -> Result<bool, SourceError> {
        loop {
            match self.framer.frame(self.decoder.decoded(), self.decoder.is_complete())? {
                FrameResult::Row(row) => {
                    if self.lossy {
                        self.decoder.check_row_end(0, &row, self.layout.dialect.delimiter)?;
                    } else {
                        self.decoder.check_row(0, &row)?;
                    }
                    let (found, expected) = (self.framer.width(), self.layout.width());
                    if found > expected && !self.flexible {
                        let (line, title, may_flex) =
                            (row.line, self.title_lines, self.can_be_flexible);
                        return Err(SourceError::Ragged {
                            line,
                            found,
                            expected,
                            title_lines: title,
                            can_be_flexible: may_flex,
                        });
                    }
                    let cell = |index| self.framer.cell(index).unwrap_or_default();
                    let numbers = self.layout.columns.iter().map(|column| column.index);
                    let wanted = numbers.chain(self.layout.extra_columns.iter().copied());
                    let cells = wanted.map(|index| String::from_utf8_lossy(cell(index)));
                    let missing = expected.saturating_sub(found);
                    batch.push(&self.decoder.raw_row(&row), cells, missing);
                    let (size, start) = (row.byte_len(), self.decoder.offset());
                    self.decoder.consume(size);
                    batch.count_source_bytes(self.decoder.offset() - start);
                    return Ok(true);
                }
                FrameResult::NeedMore if self.decoder.is_overlong() => {
                    return Err(FrameError::RowTooLong { line: self.framer.line() }.into());
                }
                FrameResult::NeedMore if batch.is_empty() => {
                    let line = self.framer.line();
                    self.decoder.fill().map_err(|cause| SourceError::Read { line, cause })?;
                }
                FrameResult::NeedMore => return Ok(false),
                FrameResult::End => {
                    self.trailing_blanks = self.decoder.raw().to_vec();
                    self.state = State::Done;
                    return Ok(false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::table::raw::encoding::{Encoding, EncodingError};
    use std::collections::VecDeque;

    /// Gives one piece at each read.
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
            delimiter: b';',
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
        let mut source =
            open(&[b"x,y\n", b",\n", b"a,b\n", b"c,138\nd,1380\ne,1381", b"\n"]).unwrap();
        assert_eq!(source.columns()[0].index, 1);
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 4);
        let source = open(&[b"mob", b"ile"]).unwrap();
        assert_eq!((source.width(), source.header().raw.as_slice()), (1, &b"mobile"[..]));
    }

    #[test]
    fn valid_rows_precede_the_error_and_nothing_follows() {
        let mut source = open(&[b"a,mobile\nx,138\ny\nz,,\nw,138\n"]).unwrap();
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 2);
        let error = source.next_batch(100).unwrap_err();
        assert!(matches!(
            error,
            SourceError::Ragged { line: 4, found: 3, expected: 2, title_lines: None, .. }
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
            SourceError::Frame(FrameError::UnclosedQuote { line: 2 })
        ));
        let error = refused(b"phone,a\n138,b\n\n138,\"b\n\nc,d\n");
        assert!(
            matches!(error, SourceError::Frame(FrameError::UnclosedQuote { line: 4 })),
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

    /// Counts what is read of an input that has no end.
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
        // A line without an end is told, in whatever encoding.
        for header in [
            &b"name,mobile\n"[..],
            "姓名,手机号\n".as_bytes(),
            b"\xD0\xD5\xC3\xFB,\xCA\xD6\xBB\xFA\n",
        ] {
            let input = Endless { beginning: header.to_vec(), row: b"x", read: Arc::default() };
            let source = Source::open(Box::new(input), &SourceOptions::default(), &|_| false);
            let error = source.and_then(|mut source| source.next_batch(10)).unwrap_err();
            assert!(
                matches!(error, SourceError::Frame(FrameError::RowTooLong { line: 2 })),
                "{error}"
            );
        }
    }
}
