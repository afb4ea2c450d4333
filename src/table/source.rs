//! Owns the reading of a table: it opens an input, settles dialect and column, and hands out the rows in batches.
//! What is done with a row, and where it goes, is for others.

use std::io::{self, Read};

use crate::table::batch::Batch;
use crate::table::columns::Column;
use crate::table::dialect::{Dialect, SAMPLE_BYTES, Sample};
use crate::table::encoding::{self, EncodingError};
use crate::table::evidence::ColumnError;
use crate::table::head::Head;
use crate::table::layout::{Beginning, Layout, Options};
use crate::table::record::{Framed, Framer, LONGEST_ROW, RecordError, Row};
use crate::table::window::Window;

/// The size of a batch's text, in bytes, at which it is handed over.
const BATCH_BYTES: usize = 256 << 10;
/// How often the input's beginning is looked at as soon as another line of it is known.
const EARLY_LOOKS: usize = 8;

/// Why the input cannot be read as a table. The messages name lines and columns; the caller knows the input's name.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The input broke off.
    #[error("line {line}: reading failed here: {cause}; make the input readable and run again")]
    Read {
        /// The line up to which the input was read, counted from 1.
        line: u64,
        /// What the system says.
        cause: io::Error,
    },
    /// There is not even a header.
    #[error(
        "the input is empty: it has neither a header nor a row; check that the export worked and run again"
    )]
    Empty,
    /// A row has more or fewer cells than the first one.
    #[error(
        "line {line}: cells in this row: {found}, in the first row: {expected}; correct the row (a cell that holds \
         the delimiter needs quotes around it) or give the right --delimiter, then run again"
    )]
    Ragged {
        /// The line on which the row starts, counted from 1.
        line: u64,
        /// How many cells the row has.
        found: usize,
        /// How many cells the first row has.
        expected: usize,
    },
    /// The bytes are no text.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The text cannot be cut into rows.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no column to read the numbers from.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

/// A table that is being read.
pub struct Source {
    window: Window,
    framer: Framer,
    layout: Layout,
    head: Head,
    tail: Vec<u8>,
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
        options: &Options,
        looks_like_mobile: &dyn Fn(&str) -> bool,
    ) -> Result<Self, SourceError> {
        let mut window = Window::new(reader);
        let (mut looks, mut looked_at, mut line_ended) = (0, 0, false);
        loop {
            let known = window.bytes().len();
            window.fill().map_err(|cause| SourceError::Read { line: 1, cause })?;
            let (bytes, complete) = (window.bytes(), window.complete());
            line_ended |=
                bytes.get(known..).unwrap_or_default().iter().any(|byte| matches!(byte, b'\n' | b'\r'));
            let Some(mark) = encoding::mark_length(bytes, complete)? else { continue };
            // Each look begins at the start, so an input that comes in crumbs is not looked at for every crumb.
            let grown = looks < EARLY_LOOKS || bytes.len() >= looked_at + looked_at / 8;
            if complete || (line_ended && grown) || bytes.len() > LONGEST_ROW {
                (looks, looked_at, line_ended) = (looks + 1, bytes.len(), false);
                let rest = bytes.get(mark..).unwrap_or_default();
                if let Some(layout) = look(rest, mark, complete, options, looks_like_mobile)? {
                    return Ok(Self::start(window, layout, mark));
                }
            }
        }
    }

    /// Puts window and framer where the data begin.
    fn start(mut window: Window, layout: Layout, mark: usize) -> Self {
        let mut framer = Framer::new(layout.dialect.delimiter);
        let head = Head::take(window.bytes(), mark, window.complete(), &layout, &mut framer);
        framer.blank_is_row(layout.width() == 1);
        window.consume(head.raw.len() + head.terminator.len());
        Self { window, framer, layout, head, tail: Vec::new(), state: State::Reading }
    }

    /// How the table is written.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.layout.dialect
    }

    /// The column that holds the number.
    #[must_use]
    pub fn column(&self) -> &Column {
        &self.layout.column
    }

    /// How many cells each row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layout.width()
    }

    /// What an output needs at its start.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The blank lines behind the last row; empty until [`Source::next_batch`] has given the last batch.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
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
        let mut batch = Batch::with_room_for(self.window.bytes().len().min(BATCH_BYTES));
        while batch.len() < max_rows.max(1) && batch.size() < BATCH_BYTES {
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
            match self.framer.frame(self.window.bytes(), self.window.complete())? {
                Framed::Row(row) => {
                    let offset = self.window.offset() + row.before.len() as u64;
                    let cell = check(&row, &self.framer, &self.layout, offset)?;
                    batch.push(&row, cell);
                    let size = row.size();
                    self.window.consume(size);
                    return Ok(true);
                }
                Framed::More if batch.is_empty() => {
                    let line = self.framer.line();
                    self.window.fill().map_err(|cause| SourceError::Read { line, cause })?;
                }
                Framed::More => return Ok(false),
                Framed::End => {
                    self.tail = self.window.bytes().to_vec();
                    self.state = State::Done;
                    return Ok(false);
                }
            }
        }
    }
}

/// Reads the layout off the input's beginning, which stands behind a mark of `mark` bytes, or says that more of it is
/// needed.
fn look(
    bytes: &[u8],
    mark: usize,
    complete: bool,
    options: &Options,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Result<Option<Layout>, SourceError> {
    let sample = match options.delimiter {
        Some(delimiter) => Sample::take(bytes, delimiter, complete),
        None => Sample::detect(bytes, complete, looks_like_mobile),
    };
    let line = match Framer::new(sample.delimiter).frame(bytes, complete)? {
        Framed::Row(row) => {
            encoding::check(row.text, row.line, (mark + row.before.len()) as u64)?;
            row.line
        }
        Framed::More => return Ok(None),
        Framed::End => return Err(SourceError::Empty),
    };
    let beginning = Beginning { sample: &sample, line, bom: mark > 0, looks_like_mobile };
    match beginning.layout(options) {
        // Further rows may give the answer.
        (Err(_), _) | (Ok(_), false) if !complete && bytes.len() < SAMPLE_BYTES => Ok(None),
        (layout, _) => Ok(Some(layout?)),
    }
}

/// The number cell of a row that is text and has as many cells as the first one.
fn check<'a>(
    row: &Row<'_>,
    framer: &'a Framer,
    layout: &Layout,
    offset: u64,
) -> Result<&'a str, SourceError> {
    encoding::check(row.text, row.line, offset)?;
    if framer.width() != layout.width() {
        return Err(SourceError::Ragged { line: row.line, found: framer.width(), expected: layout.width() });
    }
    // A cell is cut at ASCII bytes out of text that was just found to be UTF-8.
    Ok(framer.cell(layout.column.index).and_then(|cell| str::from_utf8(cell).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
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
        Source::open(Box::new(Pieces(pieces)), &Options::default(), &mobile)
    }

    fn cells(batch: &Batch) -> Vec<(u64, &str)> {
        (0..batch.len()).map(|row| (batch.line(row), batch.cell(row))).collect()
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
    fn a_table_is_read_as_it_is_written() {
        let text = "\u{feff}\n姓名;手机\r\n\r\n张三;\"138\"\r\n\"李\n四\";138\"x\r\n王五;\n\r\n\n";
        let mut source = open(&[text.as_bytes()]).unwrap();
        let dialect =
            Dialect { encoding: encoding::Encoding::Utf8, bom: true, delimiter: b';', headers: true };
        assert_eq!((source.dialect(), source.width()), (&dialect, 2));
        assert_eq!((source.column().index, source.column().name.as_deref()), (1, Some("手机")));
        assert_eq!(source.head().raw, "\u{feff}\n姓名;手机".as_bytes());
        assert_eq!(source.head().terminator, b"\r\n");
        assert_eq!(source.head().names.as_ref().unwrap()[0], "userid");
        let batch = source.next_batch(100).unwrap().unwrap();
        assert_eq!(cells(&batch), [(4, "138"), (5, "138\"x"), (7, "")]);
        assert_eq!((batch.before(0), batch.raw(0)), (&b"\r\n"[..], "张三;\"138\"".as_bytes()));
        assert!(source.next_batch(100).unwrap().is_none());
        assert!(source.next_batch(100).unwrap().is_none());
        assert_eq!(source.tail(), b"\r\n\n");
    }

    #[test]
    fn one_column_without_header_has_its_blank_lines_as_rows() {
        let mut source = open(&[b"\n138\n\n1380\n\n"]).unwrap();
        assert_eq!((source.head().raw.as_slice(), &source.head().names), (&b""[..], &None));
        let batch = source.next_batch(100).unwrap().unwrap();
        assert_eq!(cells(&batch), [(1, ""), (2, "138"), (3, ""), (4, "1380"), (5, "")]);
        let mut source = open(&[b"\nphone\n\n138"]).unwrap();
        assert_eq!(source.head().raw, b"\nphone");
        assert_eq!(cells(&source.next_batch(100).unwrap().unwrap()), [(3, ""), (4, "138")]);
        assert!(source.next_batch(100).unwrap().is_none());
        assert_eq!(source.tail(), b"");
    }

    #[test]
    fn a_slow_input_hands_over_what_it_has() {
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
    fn the_beginning_is_read_until_it_tells_the_column() {
        let mut source = open(&[b"x,y\n", b",\n", b"a,b\n", b"c,138\nd,1380\ne,1381", b"\n"]).unwrap();
        assert_eq!(source.column().index, 1);
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 4);
        let source = open(&[b"mob", b"ile"]).unwrap();
        assert_eq!((source.width(), source.head().raw.as_slice()), (1, &b"mobile"[..]));
    }

    #[test]
    fn good_rows_come_before_the_error_and_nothing_after() {
        let mut source = open(&[b"a,mobile\nx,138\ny,138\nz\nw,138\n"]).unwrap();
        assert_eq!(source.next_batch(100).unwrap().unwrap().len(), 2);
        let error = source.next_batch(100).unwrap_err();
        assert!(matches!(error, SourceError::Ragged { line: 4, found: 1, expected: 2 }));
        assert!(source.next_batch(100).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_placed() {
        assert!(matches!(refused(b""), SourceError::Empty));
        assert!(matches!(refused(b"\xEF\xBB\xBF\r\n\n"), SourceError::Empty));
        assert!(matches!(refused(b"PK\x03\x04"), SourceError::Encoding(EncodingError::Workbook)));
        assert!(matches!(refused(b"a,b\n1,2\n"), SourceError::Column(_)));
        assert!(matches!(
            refused(b"\n\"phone\n138"),
            SourceError::Record(RecordError::OpenQuote { line: 2 })
        ));
        let error = refused(b"phone,a\n138,b\n\n138,\"b\n\nc,d\n");
        assert!(matches!(error, SourceError::Record(RecordError::OpenQuote { line: 4 })), "{error}");
        let error = refused(b"\xEF\xBB\xBF\xCA\xD6\xBB\xFA\n138\n");
        let invalid = EncodingError::Invalid { line: 1, offset: 3, byte: 0xCA };
        assert!(matches!(error, SourceError::Encoding(found) if found == invalid));
        let error = refused(b"a,mobile\n\nx,138\n\"\r\n\xFFx\",138\n");
        let invalid = EncodingError::Invalid { line: 5, offset: 19, byte: 0xFF };
        assert!(matches!(&error, SourceError::Encoding(found) if *found == invalid), "{error}");
    }
}
