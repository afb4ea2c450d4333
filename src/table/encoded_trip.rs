//! Owns the property that encodings make no difference: what becomes of a table in UTF-8 becomes of it in every other
//! encoding, and its own bytes stay. Tests only.

use std::fs;

use proptest::prelude::*;
use proptest::sample::select;

use crate::table::encoding::Encoding;
use crate::table::layout::Options;
use crate::table::round_trip::{ANSWER, Crumbs, Way, options, way, write};
use crate::table::sink::{Sink, Style};
use crate::table::source::{Source, SourceError};
use crate::table::target::Target;

const ENCODINGS: [Encoding; 6] = [
    Encoding::Utf16Le,
    Encoding::Utf16Be,
    Encoding::Gb18030,
    Encoding::Big5,
    Encoding::ShiftJis,
    Encoding::Windows1252,
];

/// Pieces of cells, and among them every trap: characters that have the byte of a delimiter, a quote or a line end in them.
fn pieces(encoding: Encoding) -> Vec<String> {
    let plain =
        ["", "9", "13800138000", "a", " ", "\"", "\"\"", ",", ";", "\t", "|", "\r", "\n", "\r\n", "\0"];
    let rare = [
        "手", "機", "机", "é", "Ä", "😀", "か", "ｱ", "∵", "€", "\u{fffd}", "\u{a0a}", "\u{d0d}", "\u{2c22}",
        "\u{222c}", "\u{7c0a}",
    ];
    // Whatever ends with a vertical bar, a backslash or a quote's neighbour.
    let trails = (0x81..=0xFE).flat_map(|lead| [0x7C, 0x5C, 0x40, 0x30].map(|trail| [lead, trail]));
    let odd = trails.map(|pair| encoding.decode(&pair).into_owned()).step_by(5);
    let all = plain.into_iter().chain(rare).map(str::to_owned).chain(odd);
    all.filter(|piece| encoding.decode(&encoded(encoding, piece)) == *piece).collect()
}

/// The text's bytes; where a character has two spellings, the one that encoders do not use.
fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for letter in text.chars() {
        if encoding == Encoding::ShiftJis && letter == '∵' {
            bytes.extend_from_slice(b"\xFA\x5B");
        } else {
            encoding.encode(letter.encode_utf8(&mut [0; 4]), &mut bytes);
        }
    }
    bytes
}

fn table() -> impl Strategy<Value = (Encoding, Vec<Vec<String>>)> {
    (select(ENCODINGS.to_vec()), 1..5_usize).prop_flat_map(|(encoding, width)| {
        let cell = prop::collection::vec(select(pieces(encoding)), 0..5).prop_map(|pieces| pieces.concat());
        let rows = prop::collection::vec(prop::collection::vec(cell, width), 1..12);
        (Just(encoding), rows)
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Passed {
    output: Vec<u8>,
    lines: Vec<u64>,
    numbers: Vec<String>,
    pieces: Vec<u8>,
}

fn pass(bytes: &[u8], way: &Way, options: &Options, style: Style) -> Result<Passed, SourceError> {
    let reader = Crumbs { bytes: bytes.to_vec(), given: 0, sizes: way.sizes.clone(), reads: 0 };
    let mut source = Source::open(Box::new(reader), options, &|_: &str| false)?;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.csv");
    let mut sink = Sink::create(Target::File(path.clone()), source.head(), style).unwrap();
    let head = source.head();
    let pieces = [head.mark.as_slice(), &head.raw, &head.terminator].concat();
    let mut passed = Passed { output: Vec::new(), lines: Vec::new(), numbers: Vec::new(), pieces };
    while let Some(batch) = source.next_batch(way.batch_rows)? {
        for row in 0..batch.len() {
            passed.lines.push(batch.line(row));
            passed.numbers.extend(batch.cells(row).map(str::to_owned));
            for piece in [batch.before(row), batch.raw(row), batch.terminator(row)] {
                passed.pieces.extend_from_slice(piece);
            }
            sink.row(&batch, row, &ANSWER).unwrap();
        }
    }
    passed.pieces.extend_from_slice(source.tail());
    sink.finish(source.tail()).unwrap();
    passed.output = fs::read(path).unwrap();
    Ok(passed)
}

proptest! {
    #[test]
    fn every_encoding_fares_as_utf_8_does((encoding, table) in table(), way in way()) {
        let way = Way { bom: way.bom && !encoding.mark().is_empty(), ..way };
        let width = table[0].len();
        let utf8 = write(&table, &way);
        let text = str::from_utf8(&utf8).unwrap();
        let bytes = encoded(encoding, text);
        let settled = options(&way, width);
        let expected = pass(&utf8, &way, &settled, Style::default()).unwrap();
        let settled = Options { encoding: Some(encoding), ..settled };
        let found = pass(&bytes, &way, &settled, Style::default()).unwrap();
        prop_assert_eq!(&found.pieces, &bytes);
        prop_assert_eq!((&found.lines, &found.numbers), (&expected.lines, &expected.numbers));
        prop_assert_eq!(&found.output, &encoded(encoding, str::from_utf8(&expected.output).unwrap()));
        // The other way round, the whole of it can become UTF-8.
        let style = Style { encoding: Some(Encoding::Utf8), ..Style::default() };
        prop_assert_eq!(pass(&bytes, &way, &settled, style).unwrap().output, expected.output);
    }

    #[test]
    fn no_bytes_are_lost_in_any_encoding(
        bytes in prop::collection::vec(select(b"\"\",;\r\n a1\0\xE6\x81\x30\x8B\xFF\xD8\xDC|".to_vec()), 0..60),
        encoding in select(ENCODINGS.to_vec()),
        way in way(),
    ) {
        let lossy = Options { lossy: true, flexible: true, encoding: Some(encoding), ..options(&way, 1) };
        let strict = Options { lossy: false, ..lossy.clone() };
        let given = pass(&bytes, &way, &lossy, Style::default());
        if let Ok(passed) = &given {
            prop_assert_eq!(&passed.pieces, &bytes);
        }
        // What is read without complaint is read the same when nobody complains.
        if let Ok(passed) = pass(&bytes, &way, &strict, Style::default()) {
            prop_assert_eq!(passed, given.unwrap());
        }
    }
}
