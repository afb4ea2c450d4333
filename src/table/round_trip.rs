//! Property tests: any table, read in chunks of any size, is written with its own bytes and five
//! more cells.

use std::fs;
use std::io::{self, Read};

use proptest::prelude::*;
use proptest::sample::select;

use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::country_column::CountryChoice;
use crate::table::detect::dialect::DELIMITERS;
use crate::table::detect::layout::SourceOptions;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::framer::count_line_ends;
use crate::table::source::{Source, SourceError};
use crate::table::write::output::Target;
use crate::table::write::sink::{Sink, SinkOptions};

type Cells = Vec<Vec<Vec<u8>>>;

/// Returns chunks of these sizes in a cycle.
pub(crate) struct ChunkedReader {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pos: usize,
    pub(crate) chunk_sizes: Vec<usize>,
    pub(crate) reads: usize,
}

impl Read for ChunkedReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.chunk_sizes[self.reads % self.chunk_sizes.len()];
        self.reads += 1;
        let end = self.bytes.len().min(self.pos + size);
        let read = (&self.bytes[self.pos..end]).read(room)?;
        self.pos += read;
        Ok(read)
    }
}

pub(crate) const LINE_ENDS: [&[u8]; 3] = [b"\n", b"\r\n", b"\r"];
pub(crate) const QUOTES: [csv::QuoteStyle; 3] =
    [csv::QuoteStyle::Always, csv::QuoteStyle::Necessary, csv::QuoteStyle::NonNumeric];

/// How a table is generated and read.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) delimiter: char,
    /// What ends the rows, in turn.
    pub(crate) line_ends: Vec<&'static [u8]>,
    /// Which cells of the rows are quoted, in turn.
    pub(crate) quotes: Vec<csv::QuoteStyle>,
    /// How many spaces are before the quote of a cell, in turn.
    pub(crate) spaces: Vec<usize>,
    pub(crate) bom: bool,
    pub(crate) headers: bool,
    /// Whether the last row lacks its line end.
    pub(crate) no_final_line_end: bool,
    /// Blank lines written in front of each row, in turn.
    pub(crate) leading_blanks: Vec<&'static str>,
    pub(crate) column: usize,
    pub(crate) read_sizes: Vec<usize>,
    pub(crate) batch_rows: usize,
}

pub(crate) const ANSWER: [&str; 5] = ["§u,1;2|3\t4", "", "found", " §", "a \"b\"\r\nc"];
pub(crate) const EXPECTED_NAMES: [&str; 5] =
    ["userid", "exclusive_userids", "status", "errcode", "errmsg"];

/// No cell is a small number: as a header, it would be a name that a position can mean.
fn cell() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "",
        "9",
        "13800138000",
        "a",
        " ",
        "\"",
        "\"\"",
        ",",
        ";",
        "\t",
        "|",
        "，",
        "；",
        "！",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "手机",
        "\u{feff}",
        "é",
        "😀",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (1..5_usize)
        .prop_flat_map(|width| prop::collection::vec(prop::collection::vec(cell(), width), 1..12))
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let written = (
        select(DELIMITERS.to_vec()),
        prop::collection::vec(select(LINE_ENDS.to_vec()), 1..3),
        prop::collection::vec(select(QUOTES.to_vec()), 1..3),
        prop::collection::vec(select(vec![0, 0, 1, 3]), 1..3),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(select(vec!["", "", "", "\n", "\r\n", "\n\n", "\r"]), 1..4),
    );
    let sizes =
        prop_oneof![Just(vec![1]), prop::collection::vec(1..40_usize, 1..5), Just(vec![1 << 20])];
    (written, 0..4_usize, sizes, 1..6_usize).prop_map(|(written, column, sizes, batch_rows)| {
        let (delimiter, line_ends, quotes, spaces, bom, headers, cut, blanks) = written;
        Case {
            delimiter,
            line_ends,
            quotes,
            spaces,
            bom,
            headers,
            no_final_line_end: cut,
            leading_blanks: blanks,
            column,
            read_sizes: sizes,
            batch_rows,
        }
    })
}

/// What stands for the delimiter in the `csv` crate, whose delimiters have one byte.
const STAND_IN: char = '\u{1}';

/// The table as the `csv` crate writes it, with blank lines and spaces put in.
pub(crate) fn write(table: &[Vec<String>], case: &Case) -> Vec<u8> {
    let mut bytes = Vec::new();
    if case.bom {
        bytes.extend_from_slice("\u{feff}".as_bytes());
    }
    let mut line_end = &b""[..];
    for (index, row) in table.iter().enumerate() {
        line_end = case.line_ends[index % case.line_ends.len()];
        let blank = case.leading_blanks[index % case.leading_blanks.len()];
        // After a lone `\r` a blank line's `\n` would join it.
        let joins = bytes.last() == Some(&b'\r') && blank.starts_with('\n');
        bytes.extend_from_slice(if joins { b"" } else { blank.as_bytes() });
        let quotes = case.quotes[index % case.quotes.len()];
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let cell = write_cell(cell, quotes, case.delimiter, row.len());
            let spaces = case.spaces[(index + column) % case.spaces.len()];
            if cell.starts_with('"') { " ".repeat(spaces) + &cell } else { cell }
        });
        bytes.extend_from_slice(
            cells.collect::<Vec<_>>().join(&case.delimiter.to_string()).as_bytes(),
        );
        bytes.extend_from_slice(line_end);
    }
    if case.no_final_line_end {
        bytes.truncate(bytes.len() - line_end.len());
    }
    bytes
}

/// One cell of a row with `width` cells.
fn write_cell(cell: &str, quotes: csv::QuoteStyle, delimiter: char, width: usize) -> String {
    if cell.is_empty() && width > 1 && matches!(quotes, csv::QuoteStyle::Necessary) {
        return String::new();
    }
    let mut writer = csv::WriterBuilder::new()
        .delimiter(STAND_IN as u8)
        .quote_style(quotes)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record([cell.replace(delimiter, &STAND_IN.to_string())]).unwrap();
    let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    written.strip_suffix('\n').unwrap().replace(STAND_IN, &delimiter.to_string())
}

/// What the `csv` crate reads; blank lines count as rows where there is one column, as they do
/// here.
fn read(bytes: &[u8], delimiter: char) -> Cells {
    let text = str::from_utf8(bytes).unwrap().replace(delimiter, &STAND_IN.to_string());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(STAND_IN as u8)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let cell = |cell: &str| cell.replace(STAND_IN, &delimiter.to_string()).into_bytes();
    reader.records().map(|record| record.unwrap().iter().map(cell).collect()).collect()
}

pub(crate) fn options(case: &Case, width: usize) -> SourceOptions {
    SourceOptions {
        encoding: Some(Encoding::Utf8),
        delimiter: Some(case.delimiter),
        has_headers: Some(case.headers),
        columns: vec![ColumnChoice::Position(case.column % width + 1)],
        skip_lines: Some(0),
        // A batch then has the numbers only.
        country_column: CountryChoice::None,
        // A cell may hold any text, and so what looks like rows.
        trusts_quotes: true,
        ..SourceOptions::default()
    }
}

fn open(bytes: &[u8], case: &Case, width: usize) -> Result<Source, SourceError> {
    let reader = ChunkedReader {
        bytes: bytes.to_vec(),
        pos: 0,
        chunk_sizes: case.read_sizes.clone(),
        reads: 0,
    };
    Source::open(Box::new(reader), &options(case, width), &|_: &str| false)
}

struct RoundTrip {
    output: Vec<u8>,
    lines: Vec<u64>,
    numbers: Vec<String>,
    /// How many delimiters are between each row and its answer.
    delimiters: Vec<usize>,
    /// The input's bytes as the source gave them.
    pieces: Vec<u8>,
}

fn round_trip(mut source: Source, case: &Case) -> Result<RoundTrip, SourceError> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.csv");
    let mut sink =
        Sink::create(Target::File(path.clone()), source.header(), SinkOptions::default()).unwrap();
    let head = source.header();
    let pieces = [head.bom.as_slice(), &head.raw, &head.terminator].concat();
    let mut passed = RoundTrip {
        output: Vec::new(),
        lines: Vec::new(),
        numbers: Vec::new(),
        delimiters: Vec::new(),
        pieces,
    };
    while let Some(batch) = source.next_batch(case.batch_rows)? {
        assert!((1..=case.batch_rows).contains(&batch.len()));
        for row in 0..batch.len() {
            passed.lines.push(batch.line(row));
            passed.delimiters.push(batch.answer_delimiters(row));
            passed.numbers.extend(batch.cells(row).map(str::to_owned));
            for piece in [batch.leading_blanks(row), batch.content(row), batch.terminator(row)] {
                passed.pieces.extend_from_slice(piece);
            }
            sink.write_row(&batch, row, &ANSWER).unwrap();
        }
    }
    passed.pieces.extend_from_slice(source.trailing_blanks());
    sink.finish(source.trailing_blanks()).unwrap();
    passed.output = fs::read(path).unwrap();
    Ok(passed)
}

/// `bytes` without any `appended`, which must occur this often.
pub(crate) fn strip_appended(bytes: &[u8], appended: &str, times: usize) -> Vec<u8> {
    let text = str::from_utf8(bytes).unwrap();
    assert_eq!(text.matches(appended).count(), times);
    text.replace(appended, "").into_bytes()
}

pub(crate) fn appended_text(cells: [&str; 5], delimiter: char) -> String {
    let cell = |cell| write_cell(cell, csv::QuoteStyle::Necessary, delimiter, cells.len());
    let quoted = cells.map(cell).map(|cell| cell.replace(" §", "\" §\""));
    format!("{delimiter}{}", quoted.join(&delimiter.to_string()))
}

proptest! {
    #[test]
    fn a_table_survives_a_round_trip_with_five_appended_cells(table in table(), case in case()) {
        let width = table[0].len();
        let bytes = write(&table, &case);
        let unspaced = Case { spaces: vec![0], ..case.clone() };
        let before = read(&write(&table, &unspaced), case.delimiter);
        let mut rows: Vec<Vec<String>> = table.clone();
        // One column whose first cell is nothing but a mark is a file that begins with a blank
        // line.
        prop_assume!(case.bom || width > 1 || rows[0][0] != "\u{feff}");
        // Without a mark of its own, a file whose first cell begins with one has it as its mark.
        if !case.bom && bytes.starts_with("\u{feff}".as_bytes())
            && let Some(rest) = rows[0][0].strip_prefix('\u{feff}')
        {
            rows[0][0] = rest.to_owned();
        }
        prop_assert_eq!(before.len(), rows.len());

        let source = open(&bytes, &case, width).unwrap();
        prop_assert_eq!(source.width(), width);
        prop_assert_eq!(source.header().appended_names.is_some(), case.headers);
        let passed = round_trip(source, &case).unwrap();
        prop_assert_eq!(&passed.pieces, &bytes);

        let is_unspaced = case.spaces.iter().all(|&spaces| spaces == 0);
        let data = rows.iter().skip(usize::from(case.headers));
        let column = case.column % width;
        if width > 1 {
            // The rows that any reader sees are the rows that were written, in the same order.
            let expected: Cells = before.iter().enumerate().map(|(index, cells)| {
                let more = if case.headers && index == 0 { EXPECTED_NAMES } else { ANSWER };
                cells.iter().cloned().chain(more.map(|cell| cell.as_bytes().to_vec())).collect()
            }).collect();
            if is_unspaced {
                prop_assert_eq!(read(&passed.output, case.delimiter), expected);
            }
            let numbers: Vec<&str> = data.map(|row| row[column].as_str()).collect();
            prop_assert_eq!(&passed.numbers, &numbers);
        } else {
            // Blank lines are rows with an empty cell here; the others keep their order between
            // them.
            let filled: Vec<&str> =
                data.map(|row| row[0].as_str()).filter(|cell| !cell.is_empty()).collect();
            let numbers = passed.numbers.iter().map(String::as_str);
            let found: Vec<&str> = numbers.filter(|cell| !cell.is_empty()).collect();
            prop_assert_eq!(found, filled);
            if is_unspaced {
                let after = read(&passed.output, case.delimiter);
                prop_assert_eq!(after.len(), passed.numbers.len() + usize::from(case.headers));
                prop_assert!(after.iter().all(|cells| cells.len() == 6));
            }
        }

        let answer = appended_text(ANSWER, case.delimiter);
        let rest = strip_appended(&passed.output, &answer, passed.numbers.len());
        let names = appended_text(EXPECTED_NAMES, case.delimiter);
        let rest = strip_appended(&rest, &names, usize::from(case.headers));
        prop_assert_eq!(&rest, &bytes);
    }

    #[test]
    fn each_row_has_its_line_number(table in table(), case in case()) {
        let width = table[0].len();
        let bytes = write(&table, &case);
        let mut source = open(&bytes, &case, width).unwrap();
        let header = source.header();
        let mut start = header.bom.len() + header.raw.len() + header.terminator.len();
        while let Some(batch) = source.next_batch(case.batch_rows).unwrap() {
            for row in 0..batch.len() {
                start += batch.leading_blanks(row).len();
                prop_assert_eq!(batch.line(row), count_line_ends(&bytes[..start]) + 1);
                start += batch.content(row).len() + batch.terminator(row).len();
            }
        }
    }

    #[test]
    fn no_input_bytes_cause_a_panic(
        bytes in prop::collection::vec(
            select(b"\"\",;\r\n a1\0\xE6\x89\x8B\xFF".to_vec()),
            0..60,
        ),
        case in case(),
    ) {
        let detect = SourceOptions {
            encoding: Some(Encoding::Utf8),
            flexible: true,
            ..SourceOptions::default()
        };
        let reader = ChunkedReader {
            bytes: bytes.clone(),
            pos: 0,
            chunk_sizes: case.read_sizes.clone(),
            reads: 0,
        };
        let source =
            Source::open(Box::new(reader), &detect, &|cell: &str| cell.starts_with('1'));
        let shape = source.as_ref().ok().map(|source| {
            let dialect = source.dialect();
            (source.width(), dialect.delimiter, dialect.has_headers)
        });
        let passed = source.and_then(|source| round_trip(source, &case));
        if let (Ok(passed), Some((width, delimiter, has_headers))) = (passed, shape) {
            prop_assert_eq!(&passed.pieces, &bytes);
            // However oddly a row is quoted, the five cells behind it are cells of their own.
            let after = read(&passed.output, delimiter);
            prop_assert!(after.iter().all(|cells| cells.len() >= width + 5));
            if width > 1 {
                let own: Cells =
                    after.into_iter().map(|cells| cells[..cells.len() - 5].to_vec()).collect();
                let mut before = read(&bytes, delimiter);
                // The answer takes the place of an empty cell at the end of a row.
                let data = before.iter_mut().skip(usize::from(has_headers));
                for (cells, delimiters) in data.zip(&passed.delimiters) {
                    if *delimiters == 0 {
                        prop_assert_eq!(cells.pop(), Some(Vec::new()));
                    }
                }
                for cells in before.iter_mut().filter(|cells| cells.len() < width) {
                    cells.resize(width, Vec::new());
                }
                prop_assert_eq!(own, before);
            }
        }
    }

    #[test]
    fn reading_in_small_chunks_gives_the_same_result(
        table in table(),
        case in case(),
        damage in 0..200_usize,
    ) {
        let mut bytes = write(&table, &case);
        bytes.truncate(damage.max(1));
        let width = table[0].len();
        let outcome = |sizes: Vec<usize>| {
            let case = Case { read_sizes: sizes, ..case.clone() };
            let passed = open(&bytes, &case, width).and_then(|source| round_trip(source, &case));
            passed
                .map(|passed| (passed.output, passed.lines, passed.numbers))
                .map_err(|error| error.to_string())
        };
        prop_assert_eq!(outcome(vec![1 << 20]), outcome(case.read_sizes.clone()));
    }
}
