//! Property tests: a table gives the same result in every encoding, and its own bytes are kept.

use std::fs;

use proptest::prelude::*;
use proptest::sample::select;

use crate::table::detect::country_column::CountryChoice;
use crate::table::detect::dialect::{DELIMITERS, Dialect};
use crate::table::detect::layout::SourceOptions;
use crate::table::raw::encoding::{Encoding, check_is_text};
use crate::table::round_trip::{
    ANSWER, Case, ChunkedReader, EXPECTED_NAMES, LINE_ENDS, QUOTES, appended_text, case, options,
    strip_appended, write,
};
use crate::table::source::{Source, SourceError};
use crate::table::write::output::Target;
use crate::table::write::sink::{Sink, SinkOptions};

const ENCODINGS: [Encoding; 6] = [
    Encoding::Utf16Le,
    Encoding::Utf16Be,
    Encoding::Gb18030,
    Encoding::Big5,
    Encoding::ShiftJis,
    Encoding::Windows1252,
];

/// Parts of cells, including characters that contain the byte of a delimiter, a quote or a line
/// end.
fn pieces(encoding: Encoding) -> Vec<String> {
    let plain = [
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
        "\r",
        "\n",
        "\r\n",
        "\0",
    ];
    let rare = [
        "手", "機", "机", "é", "Ä", "😀", "か", "ｱ", "∵", "€", "\u{fffd}", "\u{a0a}", "\u{d0d}",
        "\u{2c22}", "\u{222c}", "\u{7c0a}",
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
        let cell = prop::collection::vec(select(pieces(encoding)), 0..5)
            .prop_map(|pieces| pieces.concat());
        let rows = prop::collection::vec(prop::collection::vec(cell, width), 1..12);
        (Just(encoding), rows)
    })
}

#[derive(Debug, PartialEq, Eq)]
struct RoundTrip {
    dialect: Dialect,
    column: usize,
    output: Vec<u8>,
    lines: Vec<u64>,
    numbers: Vec<String>,
    pieces: Vec<u8>,
}

fn round_trip(
    bytes: &[u8],
    case: &Case,
    options: &SourceOptions,
    style: SinkOptions,
) -> Result<RoundTrip, SourceError> {
    let reader = ChunkedReader {
        bytes: bytes.to_vec(),
        pos: 0,
        chunk_sizes: case.read_sizes.clone(),
        reads: 0,
    };
    let mobile = |cell: &str| cell.starts_with("138") && cell.len() == 11;
    let mut source = Source::open(Box::new(reader), options, &mobile)?;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.csv");
    let mut sink = Sink::create(Target::File(path.clone()), source.header(), style).unwrap();
    let head = source.header();
    let pieces = [head.bom.as_slice(), &head.raw, &head.terminator].concat();
    let mut passed = RoundTrip {
        dialect: *source.dialect(),
        column: source.columns()[0].index,
        output: Vec::new(),
        lines: Vec::new(),
        numbers: Vec::new(),
        pieces,
    };
    while let Some(batch) = source.next_batch(case.batch_rows)? {
        for row in 0..batch.len() {
            passed.lines.push(batch.line(row));
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

/// A staff list whose remarks have all in them that needs quotes, and a zero byte.
fn staff([head, names]: [&[&str]; 2]) -> Vec<Vec<String>> {
    let remarks = [
        "",
        "say \"no\"",
        "\"",
        "a,b;c\td|e",
        "one\r\ntwo\nthree\rfour\n",
        "\0",
        " ",
        "plain",
        "\"\",\n\";\"",
    ];
    let numbered = remarks.iter().zip(names.iter().cycle()).zip(0..);
    let rows = numbered.map(|((remark, name), number)| {
        [name, &*format!("1380013800{number}"), remark].map(str::to_owned).to_vec()
    });
    std::iter::once(head.iter().map(|&name| name.to_owned()).collect()).chain(rows).collect()
}

/// One table for each encoding.
const LISTS: [(Encoding, [&[&str]; 2]); 7] = [
    (Encoding::Utf8, [&["姓名", "手机号", "备注"], &["王伟", "José", "佐藤", "😀"]]),
    (
        Encoding::Utf16Le,
        [&["姓名", "手机号", "备注"], &["王伟", "José", "佐藤", "😀", "\u{a0a}\u{d0d}\u{2c22}"]],
    ),
    (
        Encoding::Utf16Be,
        [&["姓名", "手机号", "备注"], &["王伟", "José", "佐藤", "😀", "\u{a0a}\u{d0d}\u{2c22}"]],
    ),
    (
        Encoding::Gb18030,
        [&["姓名", "手机号", "备注"], &["王伟", "欧阳娜娜", "李秀英", "赵㐂", "张国强"]],
    ),
    (Encoding::Big5, [&["姓名", "手機號碼", "備註"], &["陳志明", "林怡君", "張雅婷", "許功蓋"]]),
    (
        Encoding::ShiftJis,
        [&["氏名", "携帯電話", "備考"], &["佐藤太郎", "すずき 花子", "渡辺ケン", "表ソ一"]],
    ),
    (
        Encoding::Windows1252,
        [&["nom", "téléphone", "où"], &["Müller", "José Núñez", "Bjørn", "François d’Été"]],
    ),
];

/// Encoding, delimiter, header and column are detected.
#[test]
fn every_table_format_is_detected_and_kept() {
    let mut cases = Vec::new();
    for delimiter in DELIMITERS {
        for line_end in LINE_ENDS {
            for quotes in QUOTES {
                for (bom, cut) in [(false, false), (false, true), (true, false), (true, true)] {
                    cases.push(Case {
                        delimiter,
                        line_ends: vec![line_end],
                        quotes: vec![quotes],
                        spaces: vec![0],
                        bom,
                        headers: true,
                        no_final_line_end: cut,
                        leading_blanks: vec![""],
                        column: 1,
                        read_sizes: vec![1 << 20],
                        batch_rows: 4,
                    });
                }
            }
        }
    }
    for (encoding, list) in LISTS {
        let fits = |case: &&Case| {
            (!case.bom || !encoding.bom().is_empty()) && encoding.has_char(case.delimiter)
        };
        for case in cases.iter().filter(fits) {
            let bytes = encoded(encoding, str::from_utf8(&write(&staff(list), case)).unwrap());
            // A batch then has the numbers only.
            let country_column = CountryChoice::None;
            let options = SourceOptions { country_column, ..SourceOptions::default() };
            let passed = round_trip(&bytes, case, &options, SinkOptions::default()).unwrap();
            let dialect = passed.dialect;
            let detected = (
                dialect.encoding,
                dialect.has_bom,
                dialect.delimiter,
                dialect.has_headers,
                passed.column,
            );
            assert_eq!(detected, (encoding, case.bom, case.delimiter, true, 1), "{case:?}");
            assert_eq!(passed.pieces, bytes, "{encoding} {case:?}");
            let output = encoding.decode(&passed.output);
            assert_eq!(encoded(encoding, &output), passed.output, "{encoding} {case:?}");
            let rest = strip_appended(
                output.as_bytes(),
                &appended_text(ANSWER, case.delimiter),
                passed.numbers.len(),
            );
            let rest = strip_appended(&rest, &appended_text(EXPECTED_NAMES, case.delimiter), 1);
            assert_eq!(
                encoded(encoding, str::from_utf8(&rest).unwrap()),
                bytes,
                "{encoding} {case:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_encoding_behaves_like_utf_8((encoding, table) in table(), case in case()) {
        prop_assume!(encoding.has_char(case.delimiter));
        let case = Case { bom: case.bom && !encoding.bom().is_empty(), ..case };
        let width = table[0].len();
        let utf8 = write(&table, &case);
        let text = str::from_utf8(&utf8).unwrap();
        let bytes = encoded(encoding, text);
        // A zero behind the mark of UTF-16LE makes it that of UTF-32, which is refused.
        prop_assume!(check_is_text(&bytes, None).is_ok());
        let settled = options(&case, width);
        let expected = round_trip(&utf8, &case, &settled, SinkOptions::default()).unwrap();
        let settled = SourceOptions { encoding: Some(encoding), ..settled };
        let found = round_trip(&bytes, &case, &settled, SinkOptions::default()).unwrap();
        prop_assert_eq!(&found.pieces, &bytes);
        prop_assert_eq!((&found.lines, &found.numbers), (&expected.lines, &expected.numbers));
        let output = str::from_utf8(&expected.output).unwrap();
        prop_assert_eq!(&found.output, &encoded(encoding, output));
        // Conversely, all of it can become UTF-8.
        let style = SinkOptions { encoding: Some(Encoding::Utf8), ..SinkOptions::default() };
        let found = round_trip(&bytes, &case, &settled, style).unwrap();
        prop_assert_eq!(found.output, expected.output);
    }

    #[test]
    fn no_bytes_are_lost_in_any_encoding(
        bytes in prop::collection::vec(
            select(b"\"\",;\r\n a1\0\xE6\x81\x30\x8B\xFF\xD8\xDC|".to_vec()),
            0..60,
        ),
        encoding in select(ENCODINGS.to_vec()),
        case in case(),
    ) {
        prop_assume!(encoding.has_char(case.delimiter));
        let lossy = SourceOptions {
            lossy: true,
            flexible: true,
            encoding: Some(encoding),
            ..options(&case, 1)
        };
        let strict = SourceOptions { lossy: false, ..lossy.clone() };
        let given = round_trip(&bytes, &case, &lossy, SinkOptions::default());
        if let Ok(passed) = &given {
            prop_assert_eq!(&passed.pieces, &bytes);
        }
        // What is read without complaint is read the same when nobody complains.
        if let Ok(passed) = round_trip(&bytes, &case, &strict, SinkOptions::default()) {
            prop_assert_eq!(passed, given.unwrap());
        }
    }
}
