//! What holds for any bytes that are taken for a table: they are refused, or come out as they went
//! in with five cells more in each row, whatever pieces they are read in. The fuzz targets in
//! `tests/fuzz/` and the replay of their corpus share this file.

use std::borrow::Cow;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsRawFd;

use dingmap::testing::table::Batch;
use dingmap::testing::table::ColumnChoice;
use dingmap::testing::table::CountryChoice;
use dingmap::testing::table::Encoding;
use dingmap::testing::table::Preamble;
use dingmap::testing::table::SourceOptions;
use dingmap::testing::table::Target;
use dingmap::testing::table::count_line_ends;
use dingmap::testing::table::prescan;
use dingmap::testing::table::{Sink, SinkOptions};
use dingmap::testing::table::{Source, SourceError};

const ENCODINGS: [Option<Encoding>; 8] = [
    None,
    Some(Encoding::Utf8),
    Some(Encoding::Utf16Le),
    Some(Encoding::Utf16Be),
    Some(Encoding::Gb18030),
    Some(Encoding::Big5),
    Some(Encoding::ShiftJis),
    Some(Encoding::Windows1252),
];
/// The usual delimiters, and one that is in the names of the appended columns.
const DELIMITERS: [Option<char>; 8] =
    [None, Some('，'), Some(','), Some(';'), Some('\t'), Some('|'), Some(' '), Some('e')];
const HEADERS: [Option<bool>; 4] = [None, None, Some(true), Some(false)];
/// The sizes of the pieces that an input is read in, in turn.
const CHUNK_SIZES: [&[usize]; 8] =
    [&[1], &[2], &[3], &[1, 2], &[7, 1], &[64], &[5, 1, 300], &[1000]];
/// What is appended: cells with whatever needs quotes, and a character that not every encoding has.
const ANSWER_CELLS: [&str; 5] = ["u,1;2|3\t4", "", "é手", "say \"no\"", "a\r\nb"];
/// Stands for the delimiter in the `csv` crate, whose delimiters have one byte.
const STAND_IN: char = '\u{1}';
/// How many bytes a pipe takes at the least without anyone reading it.
const PIPE_CAPACITY: usize = 16 << 10;

/// Gives pieces of these sizes in turn.
struct ChunkedReader {
    bytes: Vec<u8>,
    position: usize,
    chunk_sizes: &'static [usize],
    reads: usize,
}

impl ChunkedReader {
    fn boxed(bytes: &[u8], sizes: &'static [usize]) -> Box<dyn Read + Send> {
        Box::new(Self { bytes: bytes.to_vec(), position: 0, chunk_sizes: sizes, reads: 0 })
    }
}

impl Read for ChunkedReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let end = self
            .bytes
            .len()
            .min(self.position + self.chunk_sizes[self.reads % self.chunk_sizes.len()]);
        self.reads += 1;
        let read = (&self.bytes[self.position..end]).read(room)?;
        self.position += read;
        Ok(read)
    }
}

/// Options of one round trip, as three bytes choose them.
struct RoundTripCase {
    options: SourceOptions,
    style: SinkOptions,
    chunk_sizes: &'static [usize],
    batch_rows: usize,
}

impl RoundTripCase {
    fn from_bytes(written: u8, read: u8, columns: u8) -> Self {
        let position = |position: u8| ColumnChoice::Position(usize::from(position));
        let options = SourceOptions {
            read_sample_first: false,
            encoding: ENCODINGS[usize::from(written & 7)],
            delimiter: DELIMITERS[usize::from(written >> 3 & 7)],
            has_headers: HEADERS[usize::from(written >> 6)],
            lossy: read & 1 > 0,
            flexible: read & 2 > 0,
            has_answers: false,
            skip_lines: Some(u64::from(read >> 2 & 3)),
            columns: match [columns & 7, columns >> 6] {
                [0 | 1, _] => Vec::new(),
                [one, 0] => vec![position(one - 1)],
                [one, other] => vec![position(one - 1), position(other)],
            },
            // Its cells would follow the numbers.
            country_column: CountryChoice::None,
            extra_columns: Vec::new(),
            optional_columns: Vec::new(),
            ..SourceOptions::default()
        };
        Self {
            options,
            // Bytes that are to pass through cannot be converted; the command line refuses to try.
            style: SinkOptions {
                encoding: (read >> 7 > 0 && read & 1 == 0).then_some(Encoding::Utf8),
                ..SinkOptions::default()
            },
            chunk_sizes: CHUNK_SIZES[usize::from(read >> 4 & 7)],
            batch_rows: usize::from(columns >> 3 & 7) + 1,
        }
    }
}

/// What became of a table.
#[derive(Debug, PartialEq, Eq)]
struct RoundTripResult {
    /// Empty when reading failed.
    output: Vec<u8>,
    /// What the output should be, put together from what the source gave.
    expected: Vec<u8>,
    /// The input's bytes as the source gave them.
    source_bytes: Vec<u8>,
    lines: Vec<u64>,
    numbers: Vec<Vec<String>>,
    /// How many delimiters are between each row and its answer.
    delimiters: Vec<usize>,
    error: Option<String>,
}

/// An error without the advice on titles, which looks at no more of the input than is known by
/// then.
fn error_text(error: &SourceError) -> String {
    let words = error.to_string();
    assert!(!words.is_empty());
    words.split("; if the header is below").next().unwrap_or_default().to_owned()
}

/// Reads what the sink has written so far, which is something.
fn drain_pipe(pipe: &mut PipeReader, to: &mut Vec<u8>) {
    let mut room = vec![0; 8 * PIPE_CAPACITY];
    let read = pipe.read(&mut room).unwrap();
    to.extend_from_slice(&room[..read]);
}

/// Takes the rows of `source` through the sink. A pipe takes the place of a file: what is written
/// to either is the same.
fn copy_through_sink(mut source: Source, case: &RoundTripCase) -> RoundTripResult {
    let (mut pipe, end) = io::pipe().unwrap();
    let target = Target::File(format!("/dev/fd/{}", end.as_raw_fd()).into());
    let head = source.header().clone();
    let mut sink = Sink::create(target, &head, case.style).unwrap();
    drop(end);
    let (from, to) = (head.encoding, case.style.encoding.unwrap_or(head.encoding));
    let pieces = [head.bom.as_slice(), &head.raw, &head.terminator].concat();
    let expected = if head.bom.is_empty() { Vec::new() } else { to.bom().to_vec() };
    let mut passed = RoundTripResult {
        output: Vec::new(),
        expected,
        source_bytes: pieces,
        lines: Vec::new(),
        numbers: Vec::new(),
        delimiters: Vec::new(),
        error: None,
    };
    let put = |raw: &[u8], expected: &mut Vec<u8>| {
        if from == to {
            expected.extend_from_slice(raw);
        } else {
            to.encode(&from.decode(raw), expected);
        }
    };
    put(&head.raw, &mut passed.expected);
    if let Some(names) = &head.appended_names {
        let names = appended_cells(head.answer_delimiters, names, head.delimiter);
        to.encode(&names, &mut passed.expected);
    }
    put(&head.terminator, &mut passed.expected);
    let mut line = 1 + line_ends_in(&head.raw, from) + line_ends_in(&head.terminator, from);
    let mut written = 2 * head.raw.len() + PIPE_CAPACITY / 4;
    loop {
        let batch = match source.next_batch(case.batch_rows) {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                passed.error = Some(error_text(&error));
                passed.output.clear();
                assert!(source.next_batch(case.batch_rows).unwrap().is_none());
                return passed;
            }
        };
        assert!((1..=case.batch_rows).contains(&batch.len()));
        for row in 0..batch.len() {
            let [before, raw, terminator] = row_parts(&batch, row);
            line += line_ends_in(before, from);
            assert_eq!(batch.line(row), line);
            line += line_ends_in(raw, from) + line_ends_in(terminator, from);
            passed.lines.push(batch.line(row));
            passed.numbers.push(batch.cells(row).map(str::to_owned).collect());
            passed.source_bytes.extend([before, raw, terminator].concat());
            let delimiters = batch.answer_delimiters(row);
            passed.delimiters.push(delimiters);
            put(before, &mut passed.expected);
            put(raw, &mut passed.expected);
            to.encode(
                &appended_cells(delimiters, &ANSWER_CELLS, head.delimiter),
                &mut passed.expected,
            );
            put(terminator, &mut passed.expected);
            written += 3 * (before.len() + raw.len()) + 4 * delimiters + 200;
            if written > PIPE_CAPACITY {
                sink.flush().unwrap();
                drain_pipe(&mut pipe, &mut passed.output);
                written = 0;
            }
            sink.write_row(&batch, row, &ANSWER_CELLS).unwrap();
        }
    }
    put(source.trailing_blanks(), &mut passed.expected);
    passed.source_bytes.extend_from_slice(source.trailing_blanks());
    sink.finish(source.trailing_blanks()).unwrap();
    pipe.read_to_end(&mut passed.output).unwrap();
    passed
}

fn row_parts(batch: &Batch, row: usize) -> [&[u8]; 3] {
    [batch.leading_blanks(row), batch.content(row), batch.terminator(row)]
}

fn line_ends_in(raw: &[u8], encoding: Encoding) -> u64 {
    if encoding.code_unit_len() == 1 {
        count_line_ends(raw)
    } else {
        count_line_ends(encoding.decode(raw).as_bytes())
    }
}

/// Cells as the `csv` crate writes them behind so many delimiters.
fn appended_cells<C: AsRef<str>>(delimiters: usize, cells: &[C], delimiter: char) -> String {
    let stand_in = STAND_IN.to_string();
    let mut writer = csv::WriterBuilder::new().delimiter(STAND_IN as u8).from_writer(Vec::new());
    writer
        .write_record(cells.iter().map(|cell| cell.as_ref().replace(delimiter, &stand_in)))
        .unwrap();
    let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    let written = stand_in.repeat(delimiters) + written.strip_suffix('\n').unwrap_or_default();
    written.replace(STAND_IN, &delimiter.to_string())
}

/// What the `csv` crate reads. It drops a mark at the beginning, which a line end in front of it
/// keeps in its cell.
fn csv_records(text: &[u8], delimiter: char) -> Vec<Vec<Vec<u8>>> {
    let (wide, stand_in) = (delimiter.to_string().into_bytes(), [STAND_IN as u8]);
    let text = [b"\n", &*replace_bytes(text, &wide, &stand_in)].concat();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(STAND_IN as u8)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_slice());
    let cell = |cell: &[u8]| replace_bytes(cell, &stand_in, &wide);
    reader.byte_records().map(|record| record.unwrap().iter().map(cell).collect()).collect()
}

fn replace_bytes(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::new(), text);
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from) {
            replaced.extend_from_slice(to);
            rest = after;
        } else {
            replaced.push(first);
            rest = after;
        }
    }
    replaced
}

/// Whether the `csv` crate may read a text otherwise: it takes a quote after a space for text, and
/// the stand-in must not occur.
fn is_read_otherwise(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b" \"") || text.contains(&(STAND_IN as u8))
}

/// The bytes behind the mark as text; in UTF-8 also what is none.
fn decode_text(bytes: &[u8], mark: usize, encoding: Encoding) -> Cow<'_, [u8]> {
    let bytes = &bytes[mark..];
    if encoding == Encoding::Utf8 {
        return bytes.into();
    }
    match encoding.decode(bytes) {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    }
}

/// How a table was opened: what its rows depend on.
struct OpenedTable {
    width: usize,
    columns: Vec<usize>,
    headers: bool,
    delimiter: char,
    encoding: Encoding,
    bom_len: usize,
}

fn opened_table(source: &Source) -> OpenedTable {
    let dialect = source.dialect();
    OpenedTable {
        width: source.width(),
        columns: source.columns().iter().map(|column| column.index).collect(),
        headers: dialect.has_headers,
        delimiter: dialect.delimiter,
        encoding: dialect.encoding,
        bom_len: source.header().bom.len(),
    }
}

/// What holds for one table that was read to its end, by an outside reader's account.
fn assert_round_trip(
    bytes: &[u8],
    case: &RoundTripCase,
    shape: &OpenedTable,
    passed: &RoundTripResult,
) {
    assert_eq!(passed.source_bytes, bytes);
    assert_eq!(passed.output, passed.expected);
    let OpenedTable { width, delimiter, encoding, .. } = *shape;
    let to = case.style.encoding.unwrap_or(encoding);
    let input = decode_text(bytes, shape.bom_len, encoding);
    let output =
        decode_text(&passed.output, if shape.bom_len > 0 { to.bom().len() } else { 0 }, to);
    let lead =
        Preamble::parse(&input, true, case.options.skip_lines.unwrap_or(0)).unwrap().byte_len;
    if is_read_otherwise(&input) {
        return;
    }
    let after = csv_records(&output[lead..], delimiter);
    assert_eq!(after.len(), passed.numbers.len() + usize::from(shape.headers));
    let answer = ANSWER_CELLS.map(|cell| {
        let mut bytes = Vec::new();
        to.encode(cell, &mut bytes);
        to.decode(&bytes).into_owned().into_bytes()
    });
    for cells in &after[usize::from(shape.headers)..] {
        assert!(cells.len() >= width + 5 && cells.ends_with(&answer));
    }
    // In a file with one column a blank line is a row, which the outside reader does not see.
    if width == 1 {
        return;
    }
    let padded = |input: &[u8]| {
        let mut rows = csv_records(input, delimiter);
        // The answer takes the place of an empty cell at the end of a row.
        let data = rows.iter_mut().skip(usize::from(shape.headers)).zip(&passed.delimiters);
        for (cells, _) in data.filter(|(_, delimiters)| **delimiters == 0) {
            assert_eq!(cells.pop(), Some(Vec::new()));
        }
        for cells in rows.iter_mut().filter(|cells| cells.len() < width) {
            cells.resize(width, Vec::new());
        }
        rows
    };
    let before = padded(&input[lead..]);
    let number =
        |cells: &[Vec<u8>], column: usize| String::from_utf8_lossy(&cells[column]).into_owned();
    let numbers = before[usize::from(shape.headers)..].iter();
    let numbers: Vec<Vec<_>> = numbers
        .map(|cells| shape.columns.iter().map(|&column| number(cells, column)).collect())
        .collect();
    assert_eq!(passed.numbers, numbers);
    let own: Vec<_> = after.iter().map(|cells| cells[..cells.len() - 5].to_vec()).collect();
    if encoding == to {
        // The end of a file can cut a character of four bytes behind its second one, a digit, which
        // is text again as soon as anything follows.
        let mut followed = bytes.to_vec();
        to.encode("\n", &mut followed);
        assert_eq!(own, padded(&decode_text(&followed, shape.bom_len, encoding)[lead..]));
    } else {
        assert_eq!(own, before);
    }
}

/// Three bytes choose the options, the rest is the input.
///
/// # Panics
/// Where the property does not hold.
pub(crate) fn roundtrip(data: &[u8]) {
    let Some((&[written, read, columns], bytes)) = data.split_first_chunk() else { return };
    let case = RoundTripCase::from_bytes(written, read, columns);
    let mobile = |cell: &str| cell.starts_with("13");
    let open = |sizes, options: &SourceOptions| {
        Source::open(ChunkedReader::boxed(bytes, sizes), options, &mobile)
    };
    let surveyed = prescan(ChunkedReader::boxed(bytes, &[usize::MAX / 2]), &case.options, &mobile);
    let source = match open(&[usize::MAX / 2], &case.options) {
        Ok(source) => source,
        Err(error) => {
            assert_eq!(surveyed.map_err(|error| error_text(&error)), Err(error_text(&error)));
            // With less of the input known, less may speak against it, unless all is settled.
            let SourceOptions { encoding, delimiter, has_headers: headers, columns, .. } =
                &case.options;
            let settled = encoding.is_some()
                && delimiter.is_some()
                && headers.is_some()
                && !columns.is_empty();
            match open(case.chunk_sizes, &case.options) {
                Ok(source) => {
                    assert!(!settled);
                    let shape = opened_table(&source);
                    let passed = copy_through_sink(source, &case);
                    if passed.error.is_none() {
                        assert_round_trip(bytes, &case, &shape, &passed);
                    }
                }
                Err(other) => {
                    assert!(!settled || error_text(&other) == error_text(&error), "{other}");
                }
            }
            return;
        }
    };
    let found = opened_table(&source);
    let passed = copy_through_sink(source, &case);
    assert!(bytes.starts_with(&passed.source_bytes));
    if let Some(error) = &passed.error {
        assert_eq!(surveyed.map_err(|error| error_text(&error)), Err(error.clone()));
    } else {
        assert_eq!(surveyed.unwrap().rows, passed.numbers.len() as u64);
        assert_round_trip(bytes, &case, &found, &passed);
    }
    let settled = SourceOptions {
        encoding: Some(found.encoding),
        delimiter: Some(found.delimiter),
        has_headers: Some(found.headers),
        columns: found.columns.iter().map(|column| ColumnChoice::Position(column + 1)).collect(),
        ..case.options.clone()
    };
    match open(case.chunk_sizes, &settled) {
        // A column that is called by the number is not the one at the position, and may be asked
        // for already.
        Ok(source) if opened_table(&source).columns != found.columns => assert!(found.headers),
        Ok(source) => assert_eq!(copy_through_sink(source, &case), passed),
        Err(error) => assert!(found.headers && found.columns.len() > 1, "{error}"),
    }
}
