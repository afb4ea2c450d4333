//! Random workbooks: whatever else they hold, a result is its input with the answers in new cells.

use std::fs;
use std::io::{Cursor, Read};

use proptest::prelude::*;
use zip::ZipArchive;

use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::random_workbook::{
    HEADER, MAX_COLUMN, NewCells, RandomWorkbook, any_workbook, attribute, letters, tag_name,
    tokens,
};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workbook_checker::{Element, check_workbook, decode, read_parts};
use crate::support::workdir::Workdir;

/// The sheet without the cells of the new columns in the rows that get them, and without `col`
/// elements.
fn without_new_cells(workbook: &RandomWorkbook, xml: &str) -> String {
    let rows = workbook.sheet_rows();
    let new = workbook.last_column() + 1..=workbook.last_new_column();
    let (mut kept, mut number, mut column, mut is_edited) = (String::new(), 0, 0, false);
    let mut all = tokens(xml).into_iter();
    while let Some(token) = all.next() {
        match tag_name(token).as_str() {
            "cols" | "/cols" | "col" => continue,
            "row" => {
                number = attribute(token, "r").map_or(number + 1, |text| text.parse().unwrap());
                let row = rows.iter().find(|row| row.number == number);
                is_edited = row.is_some_and(|row| row.new != NewCells::None);
                column = 0;
            }
            "c" => {
                column = attribute(token, "r").map_or(column + 1, parse_column);
                if is_edited && new.contains(&column) {
                    if !token.ends_with("/>") {
                        all.find(|token| tag_name(token) == "/c");
                    }
                    continue;
                }
            }
            _ => {}
        }
        kept.push_str(token);
    }
    kept
}

fn parse_column(position: &str) -> u32 {
    let letters = position.bytes().take_while(u8::is_ascii_alphabetic);
    letters.fold(0, |sum, letter| sum * 26 + u32::from(letter - b'A') + 1)
}

/// The attributes of each column but the new ones, which must not be hidden.
fn check_columns(workbook: &RandomWorkbook, sheet: &Element) {
    let new = workbook.last_column() + 1..=workbook.last_new_column();
    let mut found = vec![String::new(); MAX_COLUMN as usize + 1];
    for column in sheet.items("cols", "col") {
        let mut attributes = column.attributes.clone();
        let [first, last] =
            ["min", "max"].map(|name| attributes.remove(name).unwrap().parse::<usize>().unwrap());
        found[first..=last].fill(format!("{attributes:?}"));
    }
    let mut expected = vec![String::new(); MAX_COLUMN as usize + 1];
    for (first, last, attributes) in workbook.column_ranges() {
        let element = Element::parse(format!("<col {attributes}/>").as_bytes()).unwrap();
        expected[first as usize..=last as usize].fill(format!("{:?}", element.attributes));
    }
    for column in new {
        let attributes = std::mem::take(&mut found[column as usize]);
        assert!(attributes.contains("width") && !attributes.contains("hidden"), "{attributes}");
        expected[column as usize].clear();
    }
    assert!(found == expected, "the columns differ");
}

/// Whether the new cells are the answers to their rows, as text, with the format of their rows.
fn check_new_cells(workbook: &RandomWorkbook, sheet: &Element, styles: &Element) {
    let formats = styles.items("cellXfs", "xf");
    let format = |style: u32| {
        let format = formats[style as usize];
        ["numFmtId", "borderId"].map(|name| format.attribute(name).unwrap().parse::<u32>().unwrap())
    };
    let elements = sheet.items("sheetData", "row");
    let rows = workbook.sheet_rows();
    assert_eq!(elements.len(), rows.len());
    let columns = workbook.column_ranges();
    let last_column = workbook.last_column();
    let column_style =
        columns.iter().find(|(first, last, _)| (*first..=*last).contains(&last_column));
    let column_style = column_style
        .and_then(|(_, _, attributes)| attribute(&format!(" {attributes}"), "style")?.parse().ok());
    for (row, element) in rows.iter().zip(elements) {
        let cells: Vec<_> = (last_column + 1..=workbook.last_new_column())
            .filter_map(|column| {
                let position = format!("{}{}", letters(column), row.number);
                element.children.iter().find(|cell| cell.attribute("r") == Some(&position))
            })
            .collect();
        let texts: Vec<&str> = cells.iter().map(|cell| &*cell.text).collect();
        match &row.new {
            // It was compared with the input as a whole.
            NewCells::None => {}
            NewCells::Header => assert_eq!(texts, ANSWER_COLUMNS),
            NewCells::Answer(answer) => assert_eq!(texts, answer.each_ref()),
            NewCells::Invalid => assert_eq!(texts[..4], ["", "", "invalid", ""]),
        }
        let last = row.cells.iter().find(|cell| cell.column == last_column);
        let own = last.map(|cell| cell.style.unwrap_or_default());
        let base = own.or(row.style).or(column_style).unwrap_or_default();
        for cell in cells {
            let style = cell.attribute("s").map_or(0, |style| style.parse().unwrap());
            match row.new {
                NewCells::None => {}
                NewCells::Header => assert_eq!(style, base),
                _ => assert_eq!(format(style), [49, format(base)[1]]),
            }
        }
    }
}

/// The names of the entries and their bytes as they are packed.
fn packed_entries(workbook: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index_raw(index).unwrap();
        let (name, mut packed) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut packed).unwrap();
        entries.push((name, packed));
    }
    entries
}

fn check_result(workbook: &RandomWorkbook, input: &[u8], output: &[u8]) {
    let (known, mut faults) = (check_workbook(input), check_workbook(output));
    faults.retain(|fault| !known.contains(fault));
    assert_eq!(faults, Vec::<String>::new());
    let (before, after) = (packed_entries(input), packed_entries(output));
    let names = |entries: &[(String, Vec<u8>)]| {
        entries.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    let (expected, found) = (workbook.parts(true), read_parts(output));
    let find = |parts: &[(String, Vec<u8>)], name: &str| {
        parts.iter().find(|(part, _)| part == name).unwrap().1.clone()
    };
    let sheet_part = "xl/worksheets/sheet1.xml";
    for ((name, packed), (_, copied)) in before.iter().zip(&after) {
        match name.as_str() {
            "xl/styles.xml" => {}
            "xl/workbook.xml" | "xl/tables/table1.xml" => {
                let [expected, found] =
                    [&expected, &found].map(|parts| String::from_utf8(find(parts, name)).unwrap());
                assert_eq!(expected, found);
            }
            name if name == sheet_part => {
                let [expected, found] = [&expected, &found]
                    .map(|parts| without_new_cells(workbook, &decode(&find(parts, name)).unwrap()));
                assert_eq!(expected, found);
            }
            _ => assert!(packed == copied, "{name}"),
        }
    }
    let sheet = Element::parse(&find(&found, sheet_part)).unwrap();
    check_columns(workbook, &sheet);
    let styles = Element::parse(&find(&found, "xl/styles.xml")).unwrap();
    check_new_cells(workbook, &sheet, &styles);
}

#[test]
fn results_of_random_workbooks_differ_in_the_answers_alone() {
    let api = Sandbox::with_plain_http(unlimited_script());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(24),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(workbook in any_workbook())| {
        let (workdir, packed) = (Workdir::new(), workbook.pack());
        let input = workdir.write_file("a.xlsx", &packed);
        let output = workdir.path("b.xlsx");
        let ended = run(api.resolve(&input, &output).args(["--no-state", "-c", HEADER[0]]));
        prop_assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        check_result(&workbook, &packed, &fs::read(&output).unwrap());
    });
}
