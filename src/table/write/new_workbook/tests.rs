//! Tests of new workbooks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::table::raw::framer::Row;
use crate::table::unpack::workbook::{self, SheetFit};
use crate::table::write::format::TableFormat;

fn style() -> SinkOptions {
    SinkOptions { format: TableFormat::Workbook, ..SinkOptions::default() }
}

fn head(raw: &str, first_row: &[&str], has_answers: bool) -> Header {
    let names = ANSWER_COLUMNS.map(str::to_owned).to_vec();
    Header {
        first_row: first_row.iter().map(|&cell| cell.to_owned()).collect(),
        bom: Vec::new(),
        raw: raw.as_bytes().to_vec(),
        terminator: b"\n".to_vec(),
        appended_names: Some(names).filter(|_| !has_answers),
        answer_delimiters: 1,
        delimiter: ',',
        encoding: Encoding::Utf8,
        line: 1,
    }
}

/// Rows with the delimiters before their answers.
fn batch(rows: &[(&str, usize)]) -> Batch {
    let mut batch = Batch::default();
    for (line, &(content, delimiters)) in (2..).zip(rows) {
        let content = content.as_bytes();
        let row = Row { leading_blanks: b"\n", content, terminator: b"\r\n", line };
        batch.push(&row, [Cow::Borrowed("")], delimiters);
    }
    batch
}

fn create(path: &Path, head: &Header, style: SinkOptions) -> Result<NewWorkbook, SinkError> {
    NewWorkbook::create(Target::File(path.to_owned()), head, style)
}

/// The sheet as the reader of workbooks sees it, as CSV.
fn sheet_csv(path: &Path, sheet: &str) -> String {
    let file = File::open(path).unwrap();
    let mut opened = workbook::open(file, Some(sheet), ',', &|_| SheetFit::NoNumbers).unwrap();
    let mut csv = String::new();
    opened.reader.read_to_string(&mut csv).unwrap();
    csv.trim_start_matches('\u{feff}').to_owned()
}

fn part(path: &Path, name: &str) -> String {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

const ANSWER: [&str; 5] = ["00468625835106", "", "found", "0", "ok"];

#[test]
fn rows_and_answers_are_text_cells() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.xlsx");
    let mut sink = create(&path, &head("name,tel", &["name", "tel"], false), style()).unwrap();
    // A complete row, a short one, one with an empty cell behind, quotes and a line end.
    let rows = batch(&[("00001,138", 1), ("b", 2), ("c,139,", 0), ("\"d,\"\"\r\n\",=1+1", 1)]);
    for row in 0..rows.len() {
        sink.write_row(&rows, row, &ANSWER).unwrap();
    }
    assert_eq!(sink.row_bytes(), rows.byte_len() as u64);
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    assert_eq!(
        sheet_csv(&path, "1"),
        "name,tel,userid,exclusive_userids,status,errcode,errmsg\r\n\
         00001,138,00468625835106,,found,0,ok\r\n\
         b,,00468625835106,,found,0,ok\r\n\
         c,139,00468625835106,,found,0,ok\r\n\
         \"d,\"\"\r\n\",=1+1,00468625835106,,found,0,ok\r\n"
    );
    let sheet = part(&path, "xl/worksheets/sheet1.xml");
    let cells = sheet.matches("<c ").count();
    assert_eq!(sheet.matches(r#" t="inlineStr""#).count(), cells);
    assert!(!sheet.contains("<f>"), "{sheet}");
    // The styles of the text and of the header: both have the format `@`.
    let styles = part(&path, "xl/styles.xml");
    let xfs = styles.split("<cellXfs").nth(1).unwrap().split("</cellXfs>").next().unwrap();
    let text_formats: Vec<usize> = xfs
        .match_indices("<xf ")
        .enumerate()
        .filter(|(_, (at, _))| xfs[*at..].starts_with(r#"<xf numFmtId="49""#))
        .map(|(index, _)| index)
        .collect();
    for cell in sheet.match_indices("<c ").map(|(at, _)| &sheet[at..]) {
        let style = cell.split(r#" s=""#).nth(1).unwrap().split('"').next().unwrap();
        assert!(text_formats.contains(&style.parse().unwrap()), "{cell:.40}");
    }
}

#[test]
fn the_header_is_frozen_bold_and_filtered_and_statuses_are_colored() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.xlsx");
    let first_row = ["姓名", "手机号"];
    let mut sink =
        create(&path, &head("花名册,\n\n姓名,手机号", &first_row, false), style()).unwrap();
    let rows = batch(&[("一个相当长的名字在这里,138", 1), ("b,139", 1)]);
    sink.write_row(&rows, 0, &ANSWER).unwrap();
    sink.write_row(&rows, 1, &["", "", "not_found", "60121", ""]).unwrap();
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    let sheet = part(&path, "xl/worksheets/sheet1.xml");
    for expected in [
        r#"<pane ySplit="3" topLeftCell="A4" activePane="bottomLeft" state="frozen"/>"#,
        r#"<autoFilter ref="A3:G5"/>"#,
        r#"<conditionalFormatting sqref="E4:E5">"#,
        r#"numberStoredAsText="1""#,
    ] {
        assert!(sheet.contains(expected), "{expected} is not in {sheet}");
    }
    assert_eq!(sheet.matches("<cfRule ").count(), Status::ALL.len());
    let widths: Vec<f64> = sheet
        .split(r#" width=""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    // Two columns of the terminal for each character of the name.
    assert!(widths[0] > 22.0 && widths[0] < 28.0, "{widths:?}");
    let styles = part(&path, "xl/styles.xml");
    assert_eq!(styles.matches("<dxf>").count(), Status::ALL.len());
    assert!(styles.contains("<b/>"));
    let bold = sheet.split(r#"<c r="A3" s=""#).nth(1).unwrap().split('"').next().unwrap();
    let plain = sheet.split(r#"<c r="A4" s=""#).nth(1).unwrap().split('"').next().unwrap();
    assert_ne!(bold, plain);
    assert!(part(&path, "xl/workbook.xml").contains("_xlnm._FilterDatabase"));
}

#[test]
fn the_second_sheet_has_the_counts_and_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.xlsx");
    let first_row: Vec<_> = ["tel"].into_iter().chain(ANSWER_COLUMNS).collect();
    let raw = first_row.join(",");
    let mut sink = create(&path, &head(&raw, &first_row, true), style()).unwrap();
    let rows = batch(&[("138,u1,,found,0,ok", 1), ("139,,,failed,-1,", 1), ("137", 6)]);
    sink.copy_row(&rows, 0).unwrap();
    sink.edit_row(&rows, 1, &[(3, "found"), (1, "u2")]).unwrap();
    sink.edit_row(&rows, 2, &[(3, "pending")]).unwrap();
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    assert!(
        sheet_csv(&path, "1")
            .ends_with("\r\n138,u1,,found,0,ok\r\n139,u2,,found,-1,\r\n137,,,pending,,\r\n")
    );
    let summary = sheet_csv(&path, "Summary");
    let counts: HashMap<_, _> = summary.lines().filter_map(|line| line.split_once(',')).collect();
    let count = |name| counts[name].split(',').next().unwrap();
    assert_eq!(["found", "pending", "failed", "All rows"].map(count), ["2", "1", "0", "3"]);
    assert!(counts["failed"].contains("--retry-failed"));
    // The counts follow the cells when somebody edits them.
    let formulas = part(&path, "xl/worksheets/sheet2.xml");
    for formula in ["COUNTIF(Result!$D$2:$D$4,A2)</f><v>2</v>", "SUM(B2:B8)</f><v>3</v>"] {
        assert!(formulas.contains(formula), "{formula} is not in {formulas}");
    }
    // The rows of --failed are an input, which needs no such sheet.
    let failed = SinkOptions { has_summary: false, ..style() };
    let sink = create(&path, &head(&raw, &first_row, true), failed).unwrap();
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    assert!(!part(&path, "xl/workbook.xml").contains("Summary"));
}

#[test]
fn lines_above_the_table_stay_above_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.xlsx");
    for (raw, first_row, expected) in [
        ("title,x\r\n\r\ntel", &["tel"][..], "title,x,,,,\r\n\r\ntel,userid,"),
        ("sep=,\ntel", &["tel"], "tel,userid,"),
        ("\"a\nb\",tel", &["a\nb", "tel"], "\"a\nb\",tel,userid,"),
        ("tel\rtel", &["tel"], "tel,,,,,\r\ntel,userid,"),
        ("it is 5\" long\ntel", &["tel"], "\"it is 5\"\" long\",,,,,\r\ntel,userid,"),
    ] {
        let sink = create(&path, &head(raw, first_row, false), style()).unwrap();
        sink.finish_with(&ReplaceRule::Replace).unwrap();
        let csv = sheet_csv(&path, "1");
        assert!(csv.starts_with(expected), "{raw:?}: {csv:?}");
    }
    // Without a header, nothing is frozen or filtered.
    let headless = Header { appended_names: None, ..head("", &["138"], true) };
    let mut sink = create(&path, &headless, style()).unwrap();
    sink.write_row(&batch(&[("138", 1)]), 0, &ANSWER).unwrap();
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    assert_eq!(sheet_csv(&path, "1"), "138,00468625835106,,found,0,ok\r\n");
    let sheet = part(&path, "xl/worksheets/sheet1.xml");
    assert!(!sheet.contains("<pane") && !sheet.contains("autoFilter"), "{sheet}");
    assert!(sheet_csv(&path, "Summary").contains("\r\nfound,1,"));
}

#[test]
fn two_workbooks_of_the_same_rows_have_the_same_bytes_and_leave_no_file() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = place.path().join(name);
        let mut sink = create(&path, &head("tel", &["tel"], false), style()).unwrap();
        let rows = batch(&[("138", 1), ("139", 1)]);
        for row in 0..rows.len() {
            sink.write_row(&rows, row, &ANSWER).unwrap();
        }
        sink.finish_with(&ReplaceRule::Replace).unwrap();
        fs::read(path).unwrap()
    };
    let first = write("a.xlsx");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert!(write("b.xlsx") == first, "a time is in the workbook");
    drop(create(&place.path().join("c.xlsx"), &head("tel", &["tel"], false), style()).unwrap());
    let mut names: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.xlsx", "b.xlsx"]);
}

#[test]
fn what_a_sheet_cannot_hold_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out.xlsx");
    let header = head("tel", &["tel"], false);
    for (rows, fits) in [(MAX_ROWS - 1, true), (MAX_ROWS, false)] {
        let counted = SinkOptions { rows: Some(rows), ..style() };
        match create(&path, &header, counted) {
            Ok(_) => assert!(fits, "{rows}"),
            Err(error) => {
                assert!(!fits && matches!(error, SinkError::TooManyRows { .. }), "{error}");
                assert!(error.to_string().contains("1048576 rows"), "{error}");
            }
        }
    }
    let long = "x".repeat(MAX_CELL_UNITS + 1);
    let wide = "x,".repeat(MAX_COLUMNS - 1);
    let rows = batch(&[(&*long, 1), (&*wide, 1), ("138", 1)]);
    let mut sink = create(&path, &header, style()).unwrap();
    let error = sink.write_row(&rows, 0, &ANSWER).unwrap_err().to_string();
    assert!(error.starts_with("line 2: column 1: a cell of a workbook"), "{error}");
    let error = sink.write_row(&rows, 1, &ANSWER).unwrap_err().to_string();
    assert!(error.starts_with("line 3: a row of a workbook"), "{error}");
    sink.next_row = u32::try_from(MAX_ROWS).unwrap();
    let error = sink.write_row(&rows, 2, &ANSWER).unwrap_err().to_string();
    assert!(error.starts_with("line 4: a sheet of a workbook"), "{error}");
    drop(sink);
    assert!(!path.exists());
    // A message of the API is cut instead.
    let mut sink = create(&path, &header, style()).unwrap();
    sink.write_row(&rows, 2, &["", "", "failed", "1", &"手".repeat(40_000)]).unwrap();
    sink.finish_with(&ReplaceRule::Replace).unwrap();
    assert_eq!(sheet_csv(&path, "1").matches('手').count(), MAX_CELL_UNITS);
}

#[test]
fn a_cell_is_cut_between_characters() {
    let text = format!("{}𠮷", "x".repeat(MAX_CELL_UNITS - 1));
    assert_eq!(truncate_cell(&text).len(), MAX_CELL_UNITS - 1);
    let fits = format!("{}𠮷", "x".repeat(MAX_CELL_UNITS - 2));
    assert_eq!(truncate_cell(&fits), fits);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Control characters, escapes of the format, spaces, line ends, formulas, any plane.
    #[test]
    fn every_cell_is_read_back_with_its_value(
        rows in proptest::collection::vec(
            proptest::collection::vec(
                "([ \t\r\n\"',;=+@-]|_x00(41|5F|0D)_|[\u{0}-\u{1f}\u{fffe}\u{ffff}]|\\PC|0|1){0,6}",
                2..5,
            ),
            1..6,
        ),
    ) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.xlsx");
        let mut sink = create(&path, &head("tel", &["tel"], true), style()).unwrap();
        let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let lines: Vec<String> =
            rows.iter().map(|row| row.iter().map(quote).collect::<Vec<_>>().join(",")).collect();
        let rows_and_delimiters: Vec<_> = lines.iter().map(|line| (&**line, 1)).collect();
        let batch = batch(&rows_and_delimiters);
        for row in 0..batch.len() {
            sink.copy_row(&batch, row).unwrap();
        }
        sink.finish_with(&ReplaceRule::Replace).unwrap();
        let csv = sheet_csv(&path, "1");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(true)
            .flexible(true)
            .from_reader(csv.as_bytes());
        let read: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let trim = |row: &[String]| {
            let filled = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
            row[..filled].to_vec()
        };
        // A row without content is a blank line, which the reader of the test skips.
        let filled = |rows: &[Vec<String>]| -> Vec<Vec<String>> {
            rows.iter().map(|row| trim(row)).filter(|row| !row.is_empty()).collect()
        };
        let (written, read) = (filled(&rows), filled(&read));
        prop_assert_eq!(read, written);
    }
}
