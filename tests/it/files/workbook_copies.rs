//! A workbook in gives a workbook out: the same one, with the answers in new columns of the sheet
//! that was read. Everything else is as it was, to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use zip::ZipArchive;

use crate::support::excel_workbook::{ExcelWorkbook, FILTER, SHEET, TABLE_COLUMNS};
use crate::support::interrupted_runs::resolvable_numbers;
use crate::support::observed_run::assert_exit;
use crate::support::process::Process;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::schema::assert_matches_schema;
use crate::support::workbook::{build_workbook, concat_each, read_sheet};
use crate::support::workbook_checker::{Element, check_workbook, read_parts};
use crate::support::workdir::Workdir;

/// Resolves a workbook with the default name of the output, and checks the result.
fn resolve_copy(workbook: &[u8], flags: &[&str]) -> (RunOutput, Vec<u8>) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", workbook);
    let ended = run(api.resolve_without_output(&api.endpoint(), &input).args(flags));
    assert_exit(&ended, 0, &[]);
    assert_eq!(fs::read(&input).unwrap(), workbook, "the input stays as it is");
    assert_eq!(workdir.file_names(), ["staff.resolved.xlsx", "staff.xlsx"]);
    let copy = fs::read(workdir.path("staff.resolved.xlsx")).unwrap();
    assert_eq!(check_workbook(&copy), Vec::<String>::new());
    (ended, copy)
}

/// The exit status and the message of a workbook that is refused before the first call.
#[track_caller]
fn assert_refused(workbook: &[u8], flags: &[&str], words: &[&str]) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", workbook);
    let ended = run(api.resolve_without_output(&api.endpoint(), &input).args(flags));
    assert_exit(&ended, 3, words);
    assert_eq!(workdir.file_names(), ["staff.xlsx"]);
    assert!(api.call_log().calls().is_empty());
}

/// The names of the parts that differ. The parts have the same order in both.
fn changed_parts(before: &[u8], after: &[u8]) -> Vec<String> {
    let (before, after) = (read_parts(before), read_parts(after));
    let names = |parts: &[(String, Vec<u8>)]| {
        parts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    let pairs = before.into_iter().zip(after);
    pairs.filter(|(one, other)| one.1 != other.1).map(|(one, _)| one.0).collect()
}

/// The entries of a workbook as they are packed.
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

fn part(workbook: &[u8], name: &str) -> String {
    let parts = read_parts(workbook);
    let (_, content) = parts.into_iter().find(|(part, _)| part == name).unwrap();
    String::from_utf8(content).unwrap()
}

/// The cells of the sheet by their names: the XML, and nothing of the program.
fn cells(workbook: &[u8]) -> BTreeMap<String, Element> {
    let sheet = Element::parse(part(workbook, SHEET).as_bytes()).unwrap();
    let rows = sheet.items("sheetData", "row").into_iter().flat_map(|row| row.children.clone());
    rows.map(|cell| (cell.attribute("r").unwrap().to_owned(), cell)).collect()
}

fn number_format(workbook: &[u8], cell: &Element) -> (String, String) {
    let styles = Element::parse(part(workbook, "xl/styles.xml").as_bytes()).unwrap();
    let style: usize = cell.attribute("s").unwrap().parse().unwrap();
    let format = styles.items("cellXfs", "xf")[style].clone();
    let attribute = |name| format.attribute(name).unwrap_or_default().to_owned();
    (attribute("numFmtId"), attribute("borderId"))
}

#[test]
fn only_the_sheet_the_styles_and_the_names_of_its_range_change() {
    let workbook = ExcelWorkbook::staff_list().pack();
    assert_eq!(check_workbook(&workbook), Vec::<String>::new());
    let (_, copy) = resolve_copy(&workbook, &[]);
    assert_eq!(changed_parts(&workbook, &copy), ["xl/workbook.xml", SHEET, "xl/styles.xml"]);
    let (before, after) = (cells(&workbook), cells(&copy));
    for (name, cell) in &before {
        let is_replaced = name.starts_with('G');
        assert!(is_replaced || after[name].text == cell.text, "{name}");
        assert!(is_replaced || after[name].attributes == cell.attributes, "{name}");
    }
    let header: Vec<&str> =
        ["G3", "H3", "I3", "J3", "K3"].iter().map(|name| &*after[*name].text).collect();
    assert_eq!(header, ["userid", "exclusive_userids", "status", "errcode", "errmsg"]);
    assert_eq!(after["G3"].attribute("s"), before["F3"].attribute("s"));
    let statuses: Vec<&str> =
        ["I4", "I5", "I6", "I7", "I8", "I9"].map(|name| &*after[name].text).to_vec();
    assert_eq!(statuses, ["found", "found", "not_found", "invalid", "found", "invalid"]);
    // Bordered as the last column, and text, so that editing keeps every digit.
    for name in ["G4", "H4", "K9"] {
        assert_eq!(number_format(&copy, &after[name]), ("49".to_owned(), "1".to_owned()), "{name}");
    }
    assert_eq!(after["G4"].attribute("t"), Some("inlineStr"));
    let names = part(&copy, "xl/workbook.xml");
    for expected in [
        "hidden=\"1\">在职!$A$3:$K$8<",
        "name=\"名单\">在职!$A$3:$K$8<",
        "name=\"部门\">在职!$C$4:$C$8<",
        "在职!$1:$3<",
    ] {
        assert!(names.contains(expected), "{expected}: {names}");
    }
    let sheet = part(&copy, SHEET);
    for expected in [
        "<dimension ref=\"A1:K9\"/>",
        "<row r=\"6\" spans=\"1:11\" x14ac:dyDescent=\"0.25\" hidden=\"1\">",
        "<autoFilter ref=\"A3:K8\">",
        "<sortState ref=\"A4:K8\"><sortCondition ref=\"B4:B8\"/>",
        "<mergeCell ref=\"A1:F1\"/>",
        "<col min=\"7\" max=\"7\" width=\"24\" customWidth=\"1\"/>",
        "<!-- kept -->",
    ] {
        assert!(sheet.contains(expected), "{expected}: {sheet}");
    }
}

#[test]
fn two_runs_give_the_same_bytes_and_other_parts_stay_packed() {
    let workbook = ExcelWorkbook::staff_list().pack();
    let copies = [resolve_copy(&workbook, &[]).1, resolve_copy(&workbook, &[]).1];
    assert!(copies[0] == copies[1]);
    let changed = changed_parts(&workbook, &copies[0]);
    let others = |workbook: &[u8]| {
        let mut entries = packed_entries(workbook);
        entries.retain(|(name, _)| !changed.contains(name));
        entries
    };
    let kept = others(&workbook);
    assert!(kept.len() > 5 && kept == others(&copies[0]));
}

#[test]
fn a_table_gets_the_new_columns() {
    let workbook = ExcelWorkbook::staff_list().with_table("ref=\"A3:F8\"", TABLE_COLUMNS).pack();
    assert_eq!(check_workbook(&workbook), Vec::<String>::new());
    let (ended, copy) = resolve_copy(&workbook, &[]);
    let table = part(&copy, "xl/tables/table1.xml");
    for expected in [
        " ref=\"A3:K8\">",
        "<autoFilter ref=\"A3:K8\"/>",
        "<tableColumns count=\"11\">",
        "<tableColumn id=\"10\" name=\"userid\"/>",
    ] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    assert!(!ended.stderr.contains("do not sort"), "{}", ended.stderr);
}

#[test]
fn what_cannot_grow_is_named_before_the_first_call() {
    let columns = "<tableColumn id=\"1\" name=\"工号\"/><tableColumn id=\"2\" name=\"姓名\"/>";
    let list = ExcelWorkbook::staff_list();
    for (workbook, words) in [
        (
            list.clone().with_table("ref=\"A3:F8\" tableType=\"queryTable\"", TABLE_COLUMNS),
            "a query fills 员工",
        ),
        (
            list.clone().with_table("ref=\"A3:B8\"", columns).with(
                "xl/tables/table1.xml",
                "<autoFilter ref=\"A3:F8\"/>",
                "",
            ),
            "the table 员工 cannot take the new columns",
        ),
        (list.clone().with_part("_xmlsignatures/sig1.xml", "<Signature/>"), "is signed"),
        (
            list.clone().with(
                "xl/workbook.xml",
                "<workbookPr",
                "<fileSharing readOnlyRecommended=\"1\"/><workbookPr",
            ),
            "read-only",
        ),
        (
            list.clone().with(SHEET, FILTER, &format!("<sheetProtection sheet=\"1\"/>{FILTER}")),
            "the sheet 在职 is protected",
        ),
    ] {
        let workbook = workbook.pack();
        let (ended, copy) = resolve_copy(&workbook, &[]);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        let changed = changed_parts(&workbook, &copy);
        assert!(!changed.contains(&"xl/tables/table1.xml".to_owned()), "{changed:?}");
    }
}

#[test]
fn a_value_in_the_new_columns_is_named_and_flexible_goes_beside_it() {
    let list = ExcelWorkbook::staff_list();
    let ragged = list.clone().with(
        SHEET,
        "<c r=\"G6\" s=\"2\"/>",
        "<c r=\"G6\" s=\"2\"/><c r=\"I6\"><v>5</v></c>",
    );
    assert_refused(&ragged.pack(), &[], &["sheet 在职, cell I6", "columns G:K", "--flexible"]);
    let (_, copy) = resolve_copy(&ragged.pack(), &["--flexible"]);
    let cells = cells(&copy);
    assert_eq!((&*cells["J3"].text, &*cells["N3"].text), ("userid", "errmsg"));
    assert_eq!(&*cells["I6"].text, "5");
    let merged = list.with(SHEET, "<mergeCell ref=\"A1:F1\"/>", "<mergeCell ref=\"A9:H9\"/>");
    assert_refused(&merged.pack(), &[], &["cells A9:H9", "merged"]);
    let (_, copy) = resolve_copy(&merged.pack(), &["--flexible"]);
    assert!(part(&copy, SHEET).contains("<c r=\"I3\""));
}

/// The list with a header of two rows, whose last cell is the first of merged cells.
fn two_header_rows(merge: &str) -> ExcelWorkbook {
    ExcelWorkbook::staff_list()
        .with(
            SHEET,
            "<row r=\"3\"",
            "<row r=\"2\"><c r=\"F2\" s=\"1\" t=\"s\"><v>6</v></c></row><row r=\"3\"",
        )
        .with(SHEET, "<c r=\"F3\" s=\"1\" t=\"s\"><v>6</v></c>", "<c r=\"F3\" s=\"4\"/>")
        .with(SHEET, "<mergeCells count=\"1\">", &format!("<mergeCells count=\"2\">{merge}"))
}

#[test]
fn merged_cells_of_the_header_row_belong_to_the_header() {
    let (_, copy) = resolve_copy(&two_header_rows("<mergeCell ref=\"F2:F3\"/>").pack(), &[]);
    let cells = cells(&copy);
    assert_eq!((&*cells["G3"].text, &*cells["F4"].text), ("userid", "1234.5"));
    assert_eq!(cells["G3"].attribute("s"), Some("4"));
    // The format of the last column, with number format Text.
    assert_eq!(number_format(&copy, &cells["G4"]), ("49".to_owned(), "1".to_owned()));
    for merge in ["<mergeCell ref=\"F2:H3\"/>", "<mergeCell ref=\"G1:H3\"/>"] {
        let workbook = two_header_rows(merge).with(
            SHEET,
            "<mergeCell ref=\"A1:F1\"/>",
            "<mergeCell ref=\"A1:E1\"/>",
        );
        let (_, copy) = resolve_copy(&workbook.pack(), &[]);
        let cells = self::cells(&copy);
        assert_eq!((&*cells["I3"].text, &*cells["I4"].text), ("userid", "u00138000"), "{merge}");
        assert!(!cells.contains_key("G3"));
    }
}

#[test]
fn a_plan_and_a_shard_say_what_is_in_the_way_of_the_copy() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let list = ExcelWorkbook::staff_list();
    let merge = "<mergeCell ref=\"A9:H9\"/>";
    let merged = list.clone().with(SHEET, "<mergeCell ref=\"A1:F1\"/>", merge);
    let input = workdir.write_file("merged.xlsx", merged.pack());
    let plan = run(dingmap().args(["plan", "--no-state"]).arg(&input));
    assert_exit(&plan, 3, &["cells A9:H9", "--output NAME.csv"]);
    assert!(plan.stdout.contains("calls needed"), "{}", plan.stdout);
    let shard = ["--shard", "0/2"];
    let ended = run(api.resolve_without_output(&api.endpoint(), &input).args(shard));
    assert_exit(&ended, 0, &["merge cannot write the workbook", "cells A9:H9"]);
    let other = workdir.write_file("signed.xlsx", {
        list.with_part("_xmlsignatures/sig1.xml", "<Signature/>").pack()
    });
    let plan = run(dingmap().args(["plan", "--no-state", "--json"]).arg(&other));
    assert_exit(&plan, 0, &["is signed"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_matches_schema("plan", &plan);
    assert_eq!(plan["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn merged_answers_are_named_before_a_retry() {
    let (_, copy) = resolve_copy(&ExcelWorkbook::staff_list().pack(), &[]);
    let parts = read_parts(&copy).into_iter().map(|(name, content)| {
        let text = String::from_utf8(content).unwrap();
        (
            name,
            text.replace("<mergeCell ref=\"A1:F1\"/>", "<mergeCell ref=\"I6:I7\"/>").into_bytes(),
        )
    });
    let merged = zip_bytes(&parts.collect::<Vec<_>>());
    let flags = ["--retry-failed", "--retry", "not_found"];
    assert_refused(&merged, &flags, &["sheet 在职, cells I6:I7", "column I", "unmerge"]);
}

#[test]
fn another_table_in_the_new_columns_is_named() {
    let columns = "<tableColumn id=\"1\" name=\"a\"/><tableColumn id=\"2\" name=\"b\"/>";
    let workbook = ExcelWorkbook::staff_list()
        .with_table("ref=\"H4:I6\" headerRowCount=\"0\"", columns)
        .with("xl/tables/table1.xml", "<autoFilter ref=\"A3:F8\"/>", "");
    assert_refused(&workbook.pack(), &[], &["cells H4:I6", "columns G:K", "the table 员工"]);
}

#[test]
fn the_row_of_totals_of_a_table_stays_as_it_is() {
    let workbook = ExcelWorkbook::staff_list()
        .with_table("ref=\"A3:F9\" totalsRowCount=\"1\"", TABLE_COLUMNS)
        .pack();
    let (_, copy) = resolve_copy(&workbook, &[]);
    let before = cells(&workbook).into_iter().filter(|(name, _)| name.ends_with('9'));
    let after = cells(&copy).into_iter().filter(|(name, _)| name.ends_with('9'));
    assert_eq!(after.collect::<Vec<_>>(), before.collect::<Vec<_>>());
    assert_eq!(cells(&copy)["I8"].text, "found");
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let result = workdir.write_file("staff.xlsx", &copy);
    let mut retry = api.resolve_without_output(&api.endpoint(), &result);
    assert_exit(&run(retry.arg("--retry-failed")), 0, &[]);
    assert!(!cells(&fs::read(&result).unwrap()).contains_key("I9"));
}

#[test]
fn hidden_columns_and_the_end_of_the_sheet_never_hide_answers() {
    let hidden = ExcelWorkbook::staff_list().with(
        SHEET,
        "</cols>",
        "<col min=\"7\" max=\"16384\" width=\"9\" hidden=\"1\" customWidth=\"1\"/></cols>",
    );
    let (_, copy) = resolve_copy(&hidden.pack(), &[]);
    let sheet = Element::parse(part(&copy, SHEET).as_bytes()).unwrap();
    let columns: Vec<_> = sheet
        .items("cols", "col")
        .iter()
        .map(|column| {
            (column.attribute("min").unwrap().to_owned(), column.attribute("hidden").is_some())
        })
        .collect();
    let expected: Vec<_> = [("4", false), ("7", false), ("8", false), ("9", false), ("10", false)]
        .into_iter()
        .chain([("11", false), ("12", true)])
        .map(|(first, hidden)| (first.to_owned(), hidden))
        .collect();
    assert_eq!(columns, expected);
    let full = ExcelWorkbook::staff_list().with(
        SHEET,
        "<c r=\"F3\" s=\"1\" t=\"s\"><v>6</v></c>",
        "<c r=\"F3\" s=\"1\" t=\"s\"><v>6</v></c><c r=\"XFD3\" t=\"s\"><v>0</v></c>",
    );
    assert_refused(&full.pack(), &[], &["16384"]);
}

#[test]
fn the_output_may_replace_the_input_and_keeps_its_other_sheets() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let workbook = ExcelWorkbook::staff_list().pack();
    let input = workdir.write_file("staff.xlsx", &workbook);
    let ended = run(&mut api.resolve(&input, &input));
    assert_exit(&ended, 0, &[]);
    assert_eq!(workdir.file_names(), ["staff.xlsx"]);
    let copy = fs::read(&input).unwrap();
    assert_eq!(check_workbook(&copy), Vec::<String>::new());
    assert_eq!(
        part(&copy, "xl/worksheets/sheet2.xml"),
        part(&workbook, "xl/worksheets/sheet2.xml")
    );
    assert_eq!(read_sheet(&input, "离职"), [["花名册"]]);
}

#[test]
fn a_retry_edits_the_answers_in_place() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", ExcelWorkbook::staff_list().pack());
    let output = workdir.path("staff.resolved.xlsx");
    api.update_script(|script| {
        script.push_answers("13800138001", [ScriptedAnswer::code(-1)]);
    });
    let ended = run(api.resolve(&input, &output).args(["--max-retries", "0"]));
    assert_exit(&ended, 4, &[]);
    let first = fs::read(&output).unwrap();
    assert_eq!(cells(&first)["I5"].text, "failed");
    let ended = run(api.resolve_without_output(&api.endpoint(), &output).arg("--retry-failed"));
    // The total is not about a person, so nobody has to correct it.
    assert_exit(&ended, 0, &["2 rows have no user id because of their numbers"]);
    let second = fs::read(&output).unwrap();
    assert_eq!(check_workbook(&second), Vec::<String>::new());
    assert_eq!(changed_parts(&first, &second), [SHEET]);
    let (before, after) = (cells(&first), cells(&second));
    for (name, cell) in &before {
        let is_edited =
            name.ends_with('5') && ["G", "H", "I", "J", "K"].iter().any(|c| name.starts_with(c));
        assert!(is_edited || after[name].text == cell.text, "{name}");
        assert_eq!(after[name].attribute("s"), cell.attribute("s"), "{name}");
    }
    assert_eq!(after["I5"].text, "found");
}

#[test]
fn other_encodings_prefixes_and_rows_without_numbers_stay_as_they_are() {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let sheet = format!(
        "<?xml version=\"1.0\"?><x:worksheet xmlns:x=\"{main}\"><x:sheetData><x:row><x:c t=\"str\">\
         <x:v>手机号</x:v></x:c><x:c t=\"str\"><x:v>备注</x:v></x:c></x:row>\n <!-- a --><x:row >\
         <x:c><x:v>13800138000</x:v></x:c></x:row ><x:row><x:c><x:v>13800138090</x:v></x:c><x:c/>\
         <x:c/></x:row></x:sheetData></x:worksheet>"
    );
    // The sheet has no filter any more.
    let list = ExcelWorkbook::staff_list().with("xl/workbook.xml", "_xlnm._FilterDatabase", "x");
    let mut parts = read_parts(&list.pack());
    for (name, content) in &mut parts {
        if name == SHEET {
            *content = [0xFE, 0xFF]
                .into_iter()
                .chain(sheet.encode_utf16().flat_map(u16::to_be_bytes))
                .collect();
        }
    }
    let workbook = zip_bytes(&parts);
    let (_, copy) = resolve_copy(&workbook, &[]);
    let after = read_parts(&copy).into_iter().find(|(name, _)| name == SHEET).unwrap().1;
    let units: Vec<u16> =
        after.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let after = String::from_utf16(&units).unwrap();
    let without: String = remove_new_cells(after.trim_start_matches('\u{feff}'), "x:", 'C'..='G');
    assert_eq!(
        without.replace("<x:cols></x:cols>", ""),
        sheet.replace("<x:c/><x:c/></x:row>", "<x:c/></x:row>")
    );
}

/// The XML of a sheet without the cells and the `col` elements of some columns.
fn remove_new_cells(sheet: &str, prefix: &str, columns: std::ops::RangeInclusive<char>) -> String {
    let (mut kept, mut rest) = (String::new(), sheet);
    let starts: Vec<String> =
        columns.clone().map(|column| format!("<{prefix}c r=\"{column}")).collect();
    while !rest.is_empty() {
        if starts.iter().any(|start| rest.starts_with(start)) {
            let tag = rest.find('>').unwrap() + 1;
            let end = format!("</{prefix}c>");
            let len = if rest[..tag].ends_with("/>") {
                tag
            } else {
                rest.find(&end).unwrap() + end.len()
            };
            rest = &rest[len..];
        } else if rest.starts_with(&format!("<{prefix}col ")) {
            rest = &rest[rest.find('>').unwrap() + 1..];
        } else {
            let next = rest[1..].find('<').map_or(rest.len(), |at| at + 1);
            kept.push_str(&rest[..next]);
            rest = &rest[next..];
        }
    }
    kept
}

fn zip_bytes(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let script = Script {
        latency: Duration::from_millis(1)..=Duration::from_millis(8),
        ..unlimited_script()
    };
    let (workdir, api) = (Workdir::new(), Sandbox::new(script));
    let rows = concat_each(resolvable_numbers(400), |number| {
        format!("<row><c t=\"str\"><v>{number}</v></c><c><v>1</v></c></row>")
    });
    let cells = format!("<row><c t=\"str\"><v>手机号</v></c><c t=\"str\"><v>n</v></c></row>{rows}");
    let workbook = build_workbook(&[("s", "visible", &cells)]);
    let input = workdir.write_file("staff.xlsx", workbook);
    let whole = workdir.path("whole.xlsx");
    let ended = run(api.resolve(&input, &whole).arg("--no-state"));
    assert!(matches!(ended.status, Some(0 | 4)), "{}", ended.stderr);
    let output = workdir.path("out.xlsx");
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..4 {
        let mut process =
            Process::start(api.resolve(&input, &output).args(["--rate", "200", "--quiet"]));
        std::thread::sleep(Duration::from_millis(dice.u64(100..900)));
        process.send_signal("KILL");
        process.wait();
    }
    let ended = run(&mut api.resolve(&input, &output));
    assert!(matches!(ended.status, Some(0 | 4)), "{}", ended.stderr);
    assert!(fs::read(&output).unwrap() == fs::read(&whole).unwrap());
    assert_eq!(leftover_files(&workdir), 0);
}

fn leftover_files(workdir: &Workdir) -> usize {
    workdir
        .file_names()
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "dingmap-tmp"))
        .count()
}
