//! Builds workbooks part by part, with whatever contents a test needs.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

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
