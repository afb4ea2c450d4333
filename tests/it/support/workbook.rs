//! Builds workbooks part by part, with whatever contents a test needs.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Write};
use std::path::Path;

use dingmap::testing::table::workbook::{self, SheetFit};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

const RELATIONSHIP_TYPES: &str =
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
/// The styles by their number: general, date, five zeros, scientific, date and time, hours, text,
/// grouped, dialled, four with a country code, one that divides.
pub(crate) const FORMATS: [(u32, &str); 14] = [
    (0, ""),
    (14, ""),
    (165, "00000"),
    (11, ""),
    (22, ""),
    (46, ""),
    (49, ""),
    (4, ""),
    (166, "[&lt;=9999999]###-####;000 0000 0000"),
    (167, "\\+0"),
    (168, "&quot;+&quot;0"),
    (169, "&quot;+86 &quot;0"),
    (170, "&quot;+&quot;@"),
    (171, "\\+0,"),
];

/// A workbook of sheets: name, the state that Excel gives to hidden ones, and the cells.
pub(crate) fn build_workbook(sheets: &[(&str, &str, &str)]) -> Vec<u8> {
    zip_parts(&workbook_parts(sheets))
}

pub(crate) fn workbook_parts(sheets: &[(&str, &str, &str)]) -> Vec<(String, String)> {
    let relation = |n: usize, kind: &str, target: &str| {
        format!(r#"<Relationship Id="r{n}" Type="{RELATIONSHIP_TYPES}/{kind}" Target="{target}"/>"#)
    };
    let (mut list, mut relations) = (Vec::new(), vec![relation(0, "styles", "styles.xml")]);
    let mut parts = Vec::new();
    for (at, (name, state, cells)) in sheets.iter().enumerate() {
        let n = at + 1;
        list.push(format!(r#"<sheet name="{name}" sheetId="{n}" state="{state}" r:id="r{n}"/>"#));
        relations.push(relation(n, "worksheet", &format!("worksheets/sheet{n}.xml")));
        parts.push((
            format!("xl/worksheets/sheet{n}.xml"),
            format!("<worksheet><sheetData>{cells}</sheetData></worksheet>"),
        ));
    }
    let own = FORMATS.iter().filter(|(_, code)| !code.is_empty());
    let codes =
        concat_each(own, |(id, code)| format!(r#"<numFmt numFmtId="{id}" formatCode="{code}"/>"#));
    let styles = concat_each(&FORMATS, |(id, _)| format!(r#"<xf numFmtId="{id}"/>"#));
    for (name, text) in [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        (
            "_rels/.rels",
            format!(
                "<Relationships>{}</Relationships>",
                relation(1, "officeDocument", "xl/workbook.xml")
            ),
        ),
        ("xl/workbook.xml", format!("<workbook><sheets>{}</sheets></workbook>", list.concat())),
        (
            "xl/_rels/workbook.xml.rels",
            format!("<Relationships>{}</Relationships>", relations.concat()),
        ),
        (
            "xl/styles.xml",
            format!(
                "<styleSheet><numFmts>{codes}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>00138</t></si><si/><si><r><t>13800</t></r><r><t>138000</t></r>\
             <rPh><t>x</t></rPh></si><si><t>a,\"b\"&#10;c</t></si></sst>"
                .to_owned(),
        ),
    ] {
        parts.push((name.to_owned(), text));
    }
    parts
}

/// The texts of all items, one behind the other.
pub(crate) fn concat_each<T>(
    items: impl IntoIterator<Item = T>,
    text: impl Fn(T) -> String,
) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().concat()
}

pub(crate) fn zip_parts(parts: &[(String, String)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The cells of a sheet as dingmap reads them, row by row. A row of blank cells is left out.
pub(crate) fn read_sheet(path: &Path, sheet: &str) -> Vec<Vec<String>> {
    let file = File::open(path).unwrap();
    let opened = workbook::open(file, Some(sheet), ',', &|_| SheetFit::NoNumbers).unwrap();
    let mut csv = String::new();
    BufReader::new(opened.reader).read_to_string(&mut csv).unwrap();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The parts of a workbook, in the order of the archive.
pub(crate) fn read_parts(path: &Path) -> Vec<(String, String)> {
    let mut archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
    (0..archive.len())
        .map(|index| {
            let (mut part, mut text) = (archive.by_index(index).unwrap(), String::new());
            part.read_to_string(&mut text).unwrap();
            (part.name().unwrap().into_owned(), text)
        })
        .collect()
}
