//! Workbooks made by hand, part by part, against the CSV that is read from them: what Excel and
//! other programs store, and what makes a workbook unreadable.

use std::fs::File;
use std::io::Read;

use dingmap::testing::table::{FileType, WorkbookError, workbook};

use crate::support::workbook::{build_workbook, concat_each, workbook_parts, zip_parts};
use crate::support::workdir::Workdir;

/// What is read of a workbook: the sheet's label, the other sheets, the text.
fn read_workbook(
    bytes: &[u8],
    wanted: Option<&str>,
) -> Result<(String, Vec<String>, String), WorkbookError> {
    let workdir = Workdir::new();
    let file = File::open(workdir.write_file("in.xlsx", bytes)).unwrap();
    let rate = |csv: Vec<u8>| match csv.as_slice() {
        [] => workbook::SheetFit::NoNumbers,
        _ => workbook::SheetFit::NamedNumbers,
    };
    let mut sheet = workbook::open(file, wanted, ',', &rate)?;
    let mut text = String::new();
    sheet.reader.read_to_string(&mut text).unwrap();
    Ok((sheet.label, sheet.other_sheets, text))
}

/// The text of one sheet, without its mark.
fn sheet_text(cells: &str) -> String {
    let (_, _, text) = read_workbook(&build_workbook(&[("A", "visible", cells)]), None).unwrap();
    text.strip_prefix('\u{feff}').unwrap().to_owned()
}

/// A row of cells, each by its attributes and what is in it.
fn row_xml(number: u32, cells: &[(&str, &str)]) -> String {
    let cells = concat_each(cells, |(attributes, inner)| format!("<c {attributes}>{inner}</c>"));
    format!(r#"<row r="{number}">{cells}</row>"#)
}

#[test]
fn every_number_cell_keeps_its_digits() {
    for (attributes, inner, expected) in [
        ("", "<v>13800138000</v>", "13800138000"),
        ("", "<v>13800138000.0</v>", "13800138000"),
        ("", "<v>1.3800138E10</v>", "13800138000"),
        ("t=\"n\" s=\"3\"", "<v>13800138000</v>", "13800138000"),
        ("s=\"6\"", "<v>13800138000</v>", "13800138000"),
        ("s=\"7\"", "<v>13800138000</v>", "13800138000"),
        ("s=\"8\"", "<v>13800138000</v>", "13800138000"),
        ("s=\"1\"", "<v>13800138000</v>", "13800138000"),
        ("t=\"s\"", "<v>2</v>", "13800138000"),
        ("t=\"s\"", "<v>0</v>", "00138"),
        ("t=\"str\"", "<f>A1&amp;A2</f><v>013800138000</v>", "013800138000"),
        ("t=\"inlineStr\"", "<is><t>+86 138</t></is>", "+86 138"),
        ("t=\"inlineStr\"", "<is><t xml:space=\"preserve\"> 138 </t></is>", " 138 "),
        ("", "<f>SUM(B1:B2)</f><v>13800138000</v>", "13800138000"),
        ("s=\"2\"", "<v>42</v>", "00042"),
        ("s=\"3\"", "<v>13800000000</v>", "1.38E+10"),
        ("", "<v>13800138000.5</v>", "13800138000.5"),
    ] {
        assert_eq!(
            sheet_text(&row_xml(1, &[(attributes, inner)])),
            format!("{expected}\r\n"),
            "{attributes} {inner}"
        );
    }
}

#[test]
fn dates_booleans_and_errors_read_as_displayed() {
    for (attributes, inner, expected) in [
        ("s=\"1\"", "<v>45943</v>", "2025-10-13"),
        ("s=\"4\"", "<v>45943.5</v>", "2025-10-13 12:00:00"),
        ("s=\"5\"", "<v>1.5</v>", "36:00:00"),
        ("t=\"d\"", "<v>2025-10-13</v>", "2025-10-13"),
        ("t=\"b\"", "<v>1</v>", "TRUE"),
        ("t=\"b\"", "<v>0</v>", "FALSE"),
        ("t=\"e\"", "<v>#N/A</v>", "#N/A"),
        ("t=\"e\"", "<f>1/0</f><v>#DIV/0!</v>", "#DIV/0!"),
        ("t=\"s\"", "<v>3</v>", "\"a,\"\"b\"\"\nc\""),
    ] {
        assert_eq!(
            sheet_text(&row_xml(1, &[(attributes, inner)])),
            format!("{expected}\r\n"),
            "{attributes} {inner}"
        );
    }
}

#[test]
fn an_offset_table_is_cropped_to_a_rectangle() {
    let cells = [
        row_xml(1, &[(r#"r="A1" s="1""#, "")]),
        row_xml(3, &[(r#"r="C3""#, "<v>1</v>"), (r#"r="D3""#, "<v>2</v>")]),
        row_xml(4, &[(r#"r="D4""#, "<v>3</v>"), (r#"r="F4""#, "<v>4</v>")]),
        row_xml(6, &[(r#"r="B6" t="s""#, "<v>0</v>"), (r#"r="Z6" t="s""#, "<v>1</v>")]),
        row_xml(900, &[(r#"r="A900" s="2""#, "")]),
    ];
    assert_eq!(sheet_text(&cells.concat()), ",1,2,,\r\n,,3,,4\r\n\r\n00138,,,,\r\n");
    // Some programs leave the places out, since cells stand in order.
    let bare = "<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>";
    assert_eq!(sheet_text(bare), "1,2\r\n3,\r\n");
}

#[test]
fn hidden_rows_and_columns_are_read() {
    let hidden = row_xml(1, &[("", "<v>1</v>")])
        + &row_xml(2, &[("", "<v>2</v>")]).replace("<row", "<row hidden=\"1\"");
    let mut parts = workbook_parts(&[("A", "visible", &hidden)]);
    parts[0].1 = parts[0]
        .1
        .replace("<sheetData>", "<cols><col min=\"1\" max=\"1\" hidden=\"1\"/></cols><sheetData>");
    assert_eq!(read_workbook(&zip_parts(&parts), None).unwrap().2, "\u{feff}1\r\n2\r\n");
}

#[test]
fn every_error_value_is_a_text() {
    for value in [
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
        "#BUSY!",
        "#BLOCKED!",
        "#CONNECT!",
        "#PYTHON!",
        "#UNKNOWN!",
        "#EXTERNAL!",
        "#GETTING_DATA",
        "#NULL!",
        "#NEW!",
    ] {
        let cells = row_xml(1, &[("t=\"e\"", &format!("<f>X()</f><v>{value}</v>"))]);
        assert_eq!(sheet_text(&cells), format!("{value}\r\n"));
    }
}

#[test]
fn cells_that_cannot_be_read_are_named() {
    for (attributes, inner) in [
        ("t=\"s\"", "<v>9</v>"),
        ("t=\"s\"", "<v>x</v>"),
        ("t=\"s\"", "<v>-1</v>"),
        ("t=\"b\"", "<v>2</v>"),
        ("t=\"n\"", "<v>x</v>"),
        ("t=\"n\"", "<v>nan</v>"),
        ("t=\"new\"", "<v>1</v>"),
    ] {
        let cells = row_xml(1, &[("r=\"A1\"", "<v>1</v>"), ("r=\"B1\"", "<v>1</v>")])
            + &row_xml(2, &[(&format!("r=\"B2\" {attributes}"), inner)]);
        let error =
            read_workbook(&build_workbook(&[("员工", "visible", &cells)]), None).unwrap_err();
        assert!(
            matches!(
                &error,
                WorkbookError::InvalidCell { sheet, cell, .. } if sheet == "员工" && cell == "B2"
            ),
            "{attributes} {error}"
        );
    }
}

#[test]
fn unusual_xml_is_read() {
    for (cells, expected) in [
        (r#"<row r="1"><c r="$A$1"><v>1</v></c><c r="$B$1"><v>2</v></c></row>"#, "1,2\r\n"),
        (r#"<x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c></x:row>"#, "1\r\n"),
        (r#"<row><c t="s"><v/></c><c t="s"/><c t="s"><v>1</v></c><c><v>2</v></c></row>"#, "2\r\n"),
        (r#"<row><c t="inlineStr"><v>9</v><is><t>1</t></is></c></row>"#, "1\r\n"),
        ("<row><c><v>1</v><extLst><ext><v>9</v></ext></extLst></c></row>", "1\r\n"),
        (r#"<row><c t="str"><f>""</f><v></v></c><c><v>1</v></c></row>"#, "1\r\n"),
        (r#"<row><c t="str"><v>_x0031_&#x32;<![CDATA[3]]></v></c></row>"#, "123\r\n"),
    ] {
        assert_eq!(sheet_text(cells), expected, "{cells}");
    }
}

#[test]
fn formulas_without_a_value_are_rows() {
    let cells = row_xml(2, &[(r#"r="B2""#, "<v>1</v>"), (r#"r="C2""#, "<f>B2</f><v></v>")])
        + &row_xml(3, &[(r#"r="C3""#, "<f t=\"shared\" si=\"0\"/>")]);
    assert_eq!(sheet_text(&cells), "1,\r\n,\r\n");
}

#[test]
fn a_merged_cell_is_read_once() {
    let cells = row_xml(1, &[(r#"r="A1""#, "<v>1</v>"), (r#"r="B1""#, "<v>7</v>")])
        + &row_xml(2, &[(r#"r="A2""#, ""), (r#"r="B2""#, "<v>8</v>")]);
    let mut parts = workbook_parts(&[("A", "visible", &cells)]);
    parts[0].1 = parts[0].1.replace(
        "</sheetData>",
        r#"</sheetData><mergeCells count="1"><mergeCell ref="A1:A2"/></mergeCells>"#,
    );
    assert_eq!(read_workbook(&zip_parts(&parts), None).unwrap().2, "\u{feff}1,7\r\n,8\r\n");
}

#[test]
fn the_1904_date_system_is_supported() {
    let mut parts =
        workbook_parts(&[("A", "visible", &row_xml(1, &[("s=\"1\"", "<v>44481</v>")]))]);
    let workbook = parts.iter_mut().find(|(name, _)| name == "xl/workbook.xml").unwrap();
    workbook.1 = workbook.1.replace("<sheets>", r#"<workbookPr date1904="1"/><sheets>"#);
    assert_eq!(read_workbook(&zip_parts(&parts), None).unwrap().2, "\u{feff}2025-10-13\r\n");
}

#[test]
fn the_first_visible_sheet_with_rows_is_taken_unless_one_is_named() {
    let cell = |n: u32| row_xml(1, &[("", &format!("<v>{n}</v>"))]);
    let bytes = build_workbook(&[
        ("旧", "hidden", &cell(1)),
        ("Empty", "visible", &row_xml(1, &[("s=\"1\"", "")])),
        ("Staff", "visible", &cell(3)),
        ("2", "visible", &cell(4)),
    ]);
    let taken = |wanted| read_workbook(&bytes, wanted).unwrap();
    let (name, others, text) = taken(None);
    assert_eq!(
        (name.as_str(), others, text.as_str()),
        ("Staff", vec!["旧 (hidden)".to_owned(), "2".to_owned()], "\u{feff}3\r\n")
    );
    for (wanted, name) in [
        ("staff ", "Staff"),
        // A name comes first; else the number is that of the tab, of which hidden sheets have none.
        ("2", "2"),
        ("1", "Empty"),
        ("3", "2"),
        ("旧", "旧 (hidden)"),
        ("empty", "Empty"),
    ] {
        assert_eq!(taken(Some(wanted)).0, name, "{wanted}");
    }
    assert_eq!(taken(Some("Empty")).2, "");
    for wanted in ["0", "4", "Staff2", ""] {
        let error = read_workbook(&bytes, Some(wanted)).unwrap_err().to_string();
        assert!(error.contains("旧 (hidden), 1 Empty, 2 Staff, 3 2"), "{error}");
    }
    let hidden = build_workbook(&[("旧", "veryHidden", &cell(1)), ("新", "visible", "")]);
    let error = read_workbook(&hidden, None).unwrap_err();
    assert!(
        matches!(
            &error,
            WorkbookError::NoNumbers { sheets, hidden: Some(hidden) }
                if sheets == "旧 (hidden), 1 新" && hidden == "旧"
        ),
        "{error}"
    );
    let empty = build_workbook(&[("旧", "hidden", ""), ("新", "visible", "")]);
    let error = read_workbook(&empty, None).unwrap_err();
    assert!(
        matches!(&error, WorkbookError::NoRows(list) if list == "旧 (hidden), 1 新"),
        "{error}"
    );
}

#[test]
fn charts_are_counted_among_the_tabs_and_cannot_be_chosen() {
    let cells = row_xml(1, &[("", "<v>1</v>")]);
    let mut parts = workbook_parts(&[
        ("图", "visible", ""),
        ("旧图", "hidden", ""),
        ("在职", "visible", &cells),
        ("离职", "visible", &cells),
    ]);
    let relations = parts.iter_mut().find(|(name, _)| name.ends_with("workbook.xml.rels")).unwrap();
    for n in [1, 2] {
        let target = format!("worksheet\" Target=\"worksheets/sheet{n}.xml");
        assert!(relations.1.contains(&target));
        relations.1 = relations.1.replace(&target, &target.replace("worksheet", "chartsheet"));
    }
    let bytes = zip_parts(&parts);
    for (wanted, name) in [(None, "在职"), (Some("2"), "在职"), (Some("3"), "离职")] {
        assert_eq!(read_workbook(&bytes, wanted).unwrap().0, name, "{wanted:?}");
    }
    for wanted in ["1", "图", "旧图"] {
        let error = read_workbook(&bytes, Some(wanted)).unwrap_err();
        assert!(matches!(error, WorkbookError::NoCells { .. }), "{error}");
        let list = "1 图 (no cells), 旧图 (hidden), 2 在职, 3 离职";
        assert!(error.to_string().contains(list), "{error}");
    }
}

#[test]
fn other_archives_are_reported_by_their_format() {
    for (names, expected) in [
        (&["staff.csv"][..], FileType::Archive("zip")),
        (&["[Content_Types].xml", "_rels/.rels", "word/document.xml"], FileType::Document),
        (&["_rels/.rels", "xl/workbook.bin"], FileType::BinaryWorkbook),
        (&["mimetype", "content.xml"], FileType::OpenDocument),
        (&["Index/Document.iwa", "Index/Tables/Tile.iwa"], FileType::Numbers),
        (&[], FileType::Archive("zip")),
    ] {
        let parts: Vec<_> =
            names.iter().map(|name| ((*name).to_owned(), "<x/>".to_owned())).collect();
        let error = read_workbook(&zip_parts(&parts), None).unwrap_err();
        assert!(
            matches!(error, WorkbookError::UnsupportedType(found) if found == expected),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_workbook_is_an_error_not_a_short_table() {
    let rows = concat_each(1..=2000, |n| row_xml(n, &[("", &format!("<v>{}</v>", n * 7919))]));
    let bytes = build_workbook(&[("A", "visible", &rows)]);
    assert_eq!(read_workbook(&bytes, None).unwrap().2.lines().count(), 2000);
    let is_damaged =
        |bytes: &[u8]| matches!(read_workbook(bytes, None), Err(WorkbookError::Damaged(_)));
    for size in [4, 100, bytes.len() / 2, bytes.len() - 30] {
        assert!(is_damaged(&bytes[..size]), "cut to {size}");
    }
    let mut flipped = bytes.clone();
    flipped[400] ^= 0x55;
    assert!(is_damaged(&flipped));
    let cut = build_workbook(&[("员工", "visible", "<row><c><v>1")]);
    let error = read_workbook(&cut, None).unwrap_err().to_string();
    assert!(error.contains("员工: it ends too early"), "{error}");
    for part in ["xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"] {
        let mut parts = workbook_parts(&[("A", "visible", "")]);
        let text = &mut parts.iter_mut().find(|(name, _)| name == part).unwrap().1;
        text.truncate(text.rfind("</").unwrap());
        let error = read_workbook(&zip_parts(&parts), None).unwrap_err().to_string();
        assert!(error.contains(&format!("{part}: it ends too early")), "{error}");
    }
}

#[test]
fn cells_out_of_place_are_named() {
    let outside = "it is outside the limits of a sheet";
    let unordered = "the cells of the sheet are not in order";
    let one = "<v>1</v>";
    for (cells, name, reason) in [
        (row_xml(2, &[("", one)]) + &row_xml(1, &[("", one)]), "A1", unordered),
        (row_xml(1, &[(r#"r="B1""#, one), (r#"r="A1""#, one)]), "A1", unordered),
        (row_xml(1, &[(r#"r="B1""#, one), (r#"r="B1""#, one)]), "B1", unordered),
        (row_xml(1, &[(r#"r="A1048577""#, one)]), "A1048577", outside),
        (row_xml(1, &[(r#"r="A1""#, one), (r#"r="A4294967000""#, one)]), "A4294967000", outside),
        (row_xml(1, &[(r#"r="A1""#, one), (r#"r="MWLQKWU1""#, one)]), "MWLQKWU1", outside),
        (row_xml(1, &[(r#"r="XFE1""#, one)]), "XFE1", outside),
        (row_xml(1, &[(r#"r="A1""#, one), (r#"r="1B""#, one)]), "after A1", "its name is invalid"),
        (row_xml(3, &[(r#"r="?""#, one)]), "A3", "its name is invalid"),
    ] {
        let workbook = build_workbook(&[("员工", "visible", &cells)]);
        for wanted in [None, Some("员工")] {
            let error = read_workbook(&workbook, wanted).unwrap_err();
            assert!(
                matches!(&error, WorkbookError::InvalidCell { cell, what, .. }
                    if cell == name && what == reason),
                "{cells} {error}"
            );
        }
    }
}

#[test]
fn a_cell_that_cannot_be_read_on_a_later_sheet_does_not_matter() {
    let unreadable = row_xml(1, &[("t=\"new\"", "<v>1</v>")]);
    let staff = row_xml(1, &[("", "<v>1</v>")]);
    let bytes = build_workbook(&[("图", "visible", &unreadable), ("员工", "visible", &staff)]);
    let later = build_workbook(&[("员工", "visible", &staff), ("图", "visible", &unreadable)]);
    for (bytes, wanted) in [(&later, None), (&bytes, Some("员工"))] {
        let (name, others, text) = read_workbook(bytes, wanted).unwrap();
        assert_eq!((&*name, others, &*text), ("员工", vec!["图".to_owned()], "\u{feff}1\r\n"));
    }
    // It may be the sheet that is meant.
    let error = read_workbook(&bytes, None).unwrap_err().to_string();
    assert!(error.contains("图 cannot be read, and the later sheet 员工 has"), "{error}");
    let notes = row_xml(1, &[("", "")]);
    for (sheets, wanted) in [
        ([("图", "visible", &*unreadable), ("员工", "visible", &*staff)], Some("图")),
        ([("图", "visible", &*unreadable), ("员工", "visible", &*notes)], None),
    ] {
        let error = read_workbook(&build_workbook(&sheets), wanted).unwrap_err().to_string();
        assert!(error.contains("sheet 图, cell A1: "), "{error}");
    }
}

#[test]
fn two_sheets_with_one_part_are_refused() {
    let mut parts = workbook_parts(&[("A", "visible", ""), ("B", "visible", "")]);
    let relations = parts.iter_mut().find(|(name, _)| name.ends_with("workbook.xml.rels")).unwrap();
    relations.1 = relations.1.replace("sheet2.xml", "sheet1.xml");
    let error = read_workbook(&zip_parts(&parts), None).unwrap_err().to_string();
    assert!(error.contains("two sheets have the same part"), "{error}");
}

#[test]
fn a_text_longer_than_a_row_is_refused() {
    let mut parts = workbook_parts(&[("A", "visible", &row_xml(1, &[("t=\"s\"", "<v>0</v>")]))]);
    let strings = parts.iter_mut().find(|(name, _)| name == "xl/sharedStrings.xml").unwrap();
    let piece = format!("<r><t>{}</t></r>", "x".repeat(1 << 20)).repeat(17);
    strings.1 = format!("<sst><si>{piece}</si></sst>");
    let error = read_workbook(&zip_parts(&parts), None).unwrap_err();
    assert!(matches!(error, WorkbookError::TextTooLong), "{error}");
    let cells = row_xml(2, &[("r=\"B2\" t=\"inlineStr\"", &format!("<is>{piece}</is>"))]);
    let error = read_workbook(&build_workbook(&[("A", "visible", &cells)]), None).unwrap_err();
    assert!(matches!(&error, WorkbookError::InvalidCell { cell, .. } if cell == "B2"), "{error}");
}

#[test]
fn a_stray_cell_does_not_exhaust_memory() {
    let rows = concat_each(1..=131_100, |n| format!("<row r=\"{n}\"><c><v>1</v></c></row>"));
    let cells = row_xml(1, &[(r#"r="XFD1""#, "<v>1</v>")])
        + &rows.replacen("<row r=\"1\"><c><v>1</v></c></row>", "", 1);
    let error = read_workbook(&build_workbook(&[("A", "visible", &cells)]), None).unwrap_err();
    assert!(matches!(error, WorkbookError::SheetTooLarge(_)), "{error}");
}
