//! Results as other programs read them, from workbooks that other programs wrote: every old cell is
//! as it was, and the new ones are those of the CSV output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use calamine::{Data, Reader as _, Sheet, Xlsx, open_workbook};
use dingmap::testing::sandbox::{IdForm, Script};
use serde_json::Value;

use crate::support::excel_workbook::{ExcelWorkbook, TABLE_COLUMNS};
use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::observed_run::assert_exit;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workbook_checker::{check_workbook, read_parts};
use crate::support::workdir::Workdir;

/// A program that hangs ends after so many seconds, and the test with it.
const TIMEOUT_SECS: &str = "300";
/// Prints what openpyxl reads, as JSON.
const DUMP_SCRIPT: &str = include_str!("spreadsheet_readers/dump.py");
/// CSV with commas, in UTF-8, of values instead of what is shown, and of all sheets.
const CSV_FILTER: &str =
    "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1";

/// The workbooks and their results, in a directory of the test.
struct Results {
    workdir: Workdir,
    files: Vec<ResultFiles>,
}

/// A workbook, its result, and the CSV output of the same rows.
struct ResultFiles {
    name: String,
    input: PathBuf,
    output: PathBuf,
    csv: PathBuf,
}

impl Results {
    /// Resolves every workbook. The user ids have up to 19 digits, of which a number keeps 15.
    fn new() -> Self {
        let script = Script { id_form: IdForm::Numeric, ..unlimited_script() };
        let (workdir, api) = (Workdir::new(), Sandbox::with_plain_http(script));
        let files = input_workbooks().into_iter().map(|(name, workbook)| {
            let input = workdir.write_file(&format!("{name}.xlsx"), workbook);
            let [output, csv] =
                ["resolved.xlsx", "csv"].map(|end| workdir.path(format!("{name}.{end}")));
            for path in [&output, &csv] {
                let ended = run(api.resolve(&input, path).arg("--no-state"));
                assert_exit(&ended, 0, &[]);
            }
            ResultFiles { name, input, output, csv }
        });
        let files = files.collect();
        Self { workdir, files }
    }

    fn inputs_and_outputs(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().flat_map(|files| [&*files.input, &*files.output])
    }
}

/// Workbooks of five programs, by name. `tests/fixtures/workbooks` says how they were made.
fn input_workbooks() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/workbooks");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "xlsx")).collect();
    paths.push(sample_path("roster.xlsx"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut workbooks: Vec<_> =
        paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
    let excel = ExcelWorkbook::staff_list();
    workbooks.push(("excel".to_owned(), excel.pack()));
    let table = excel.with_table("ref=\"A3:F8\"", TABLE_COLUMNS);
    workbooks.push(("excel-table".to_owned(), table.pack()));
    assert_eq!(workbooks.len(), 9);
    workbooks
}

/// The position of a cell: sheet, row, column, from 0.
type Position = (String, u32, u32);

/// A workbook as calamine reads it.
struct CalamineCells {
    sheets: Vec<Sheet>,
    values: BTreeMap<Position, Data>,
    formulas: BTreeMap<Position, String>,
    merges: BTreeSet<(Position, (u32, u32))>,
}

impl CalamineCells {
    fn read(path: &Path) -> Self {
        let mut workbook: Xlsx<_> = open_workbook(path).unwrap();
        let (mut values, mut formulas) = (BTreeMap::new(), BTreeMap::new());
        let mut merges = BTreeSet::new();
        for sheet in workbook.sheet_names() {
            let range = workbook.worksheet_range(&sheet).unwrap();
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, value) in range.used_cells() {
                let position = (sheet.clone(), top + to_u32(row), left + to_u32(column));
                values.insert(position, value.clone());
            }
            let range = workbook.worksheet_formula(&sheet).unwrap();
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, formula) in range.used_cells() {
                let position = (sheet.clone(), top + to_u32(row), left + to_u32(column));
                formulas.insert(position, formula.clone());
            }
            for merge in workbook.merge_cells_by_sheet_name(&sheet).unwrap() {
                let (row, column) = merge.start;
                merges.insert(((sheet.clone(), row, column), merge.end));
            }
        }
        Self { sheets: workbook.sheets_metadata().to_vec(), values, formulas, merges }
    }

    fn text(&self, sheet: &str, row: u32, column: u32) -> String {
        let value = self.values.get(&(sheet.to_owned(), row, column));
        value.map(ToString::to_string).unwrap_or_default()
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

/// Rows with a text; CSV outputs keep the blank ones of a sheet, LibreOffice writes commas there.
fn read_csv(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    rows.filter(|row: &Vec<String>| row.iter().any(|cell| !cell.is_empty())).collect()
}

/// The answers of a table from its header on, and the column that they begin in.
fn split_answers(rows: &[Vec<String>]) -> (Vec<[String; 5]>, usize) {
    let column = |row: &Vec<String>| row.iter().position(|cell| cell == ANSWER_COLUMNS[0]);
    let header = rows.iter().position(|row| column(row).is_some()).unwrap();
    let first = column(&rows[header]).unwrap();
    let answer = |row: &Vec<String>| {
        std::array::from_fn(|n| row.get(first + n).cloned().unwrap_or_default())
    };
    (rows[header..].iter().map(answer).collect(), first)
}

/// Reports that a copy adds to those of its input.
fn added<T: Ord + Clone>(before: &[T], after: &[T]) -> Vec<T> {
    let mut known = before.to_vec();
    let is_new = |report: &&T| match known.iter().position(|known| known == *report) {
        Some(index) => {
            known.swap_remove(index);
            false
        }
        None => true,
    };
    after.iter().filter(is_new).cloned().collect()
}

#[test]
fn calamine_reads_every_old_cell_and_the_answers_of_the_csv_output() {
    for ResultFiles { name, input, output, csv } in &Results::new().files {
        let (before, after) = (CalamineCells::read(input), CalamineCells::read(output));
        assert_eq!(before.sheets, after.sheets, "{name}");
        assert_eq!(before.formulas, after.formulas, "{name}");
        assert_eq!(before.merges, after.merges, "{name}");
        for (position, value) in &before.values {
            assert_eq!(after.values.get(position), Some(value), "{name} {position:?}");
        }
        let new: BTreeSet<_> =
            after.values.keys().filter(|position| !before.values.contains_key(*position)).collect();
        let (sheet, _, first) = new.first().unwrap().to_owned().clone();
        let rows: BTreeSet<u32> = new.iter().map(|(_, row, _)| *row).collect();
        let found: Vec<[String; 5]> = rows
            .iter()
            .map(|row| [0, 1, 2, 3, 4].map(|n| after.text(&sheet, *row, first + n)))
            .collect();
        let (expected, _) = split_answers(&read_csv(csv));
        assert_eq!(found, expected, "{name}");
        assert!(new.iter().all(|(in_sheet, _, column)| {
            *in_sheet == sheet && (first..first + 5).contains(column)
        }));
        // An id is that of the number in its row, and every digit of it is text.
        let header = *rows.first().unwrap();
        let column = (0..first).find(|at| after.text(&sheet, header, *at) == "手机号").unwrap();
        let mut found_rows = 0;
        for row in rows.iter().filter(|row| after.text(&sheet, **row, first + 2) == "found") {
            let number = after.text(&sheet, *row, column);
            let id = IdForm::Numeric.userid(&number.replace('-', ""));
            assert_eq!(after.values[&(sheet.clone(), *row, first)], Data::String(id), "{name}");
            found_rows += 1;
        }
        assert!(found_rows >= 3, "{name}");
    }
}

#[test]
fn only_parts_of_the_table_differ_and_no_fault_is_added() {
    for ResultFiles { name, input, output, .. } in &Results::new().files {
        let [before, after] = [input, output].map(|path| fs::read(path).unwrap());
        assert_eq!(added(&check_workbook(&before), &check_workbook(&after)), [""; 0], "{name}");
        let (before, after) = (read_parts(&before), read_parts(&after));
        assert_eq!(before.len(), after.len(), "{name}");
        let mut changed: Vec<&str> = Vec::new();
        for (one, other) in before.iter().zip(&after) {
            assert_eq!(one.0, other.0, "{name}");
            changed.extend((one.1 != other.1).then_some(&*one.0));
        }
        let sheets = changed.iter().filter(|part| part.starts_with("xl/worksheets/sheet")).count();
        assert_eq!(sheets, 1, "{name}: {changed:?}");
        let is_expected = |part: &&str| {
            part.starts_with("xl/worksheets/sheet")
                || part.starts_with("xl/tables/")
                || ["xl/styles.xml", "xl/workbook.xml"].contains(part)
        };
        assert!(changed.iter().all(is_expected), "{name}: {changed:?}");
        assert_eq!(changed.contains(&"xl/tables/table1.xml"), name.ends_with("-table"), "{name}");
    }
}

/// The letters and the row of a position such as `AB12`.
fn split_position(position: &str) -> (&str, u32) {
    let (column, row) = position.split_at(position.find(|c: char| c.is_ascii_digit()).unwrap());
    (column, row.parse().unwrap())
}

#[test]
#[ignore = "needs openpyxl: .ci/workbooks"]
fn openpyxl_reads_every_old_cell_and_new_ones_as_text() {
    let results = Results::new();
    let mut command = Command::new("timeout");
    command.args([TIMEOUT_SECS, "python3", "-c", DUMP_SCRIPT]).args(results.inputs_and_outputs());
    let ended = run(&mut command);
    assert_exit(&ended, 0, &[]);
    let dumps: Value = serde_json::from_str(&ended.stdout).unwrap();
    for ResultFiles { name, input, output, .. } in &results.files {
        let [before, after] = [input, output].map(|path| &dumps[path.to_str().unwrap()]);
        let sheets = before["sheets"].as_object().unwrap();
        let mut new_count = 0;
        for (title, sheet) in sheets {
            let copy = &after["sheets"][title];
            assert_eq!(sheet["kept"], copy["kept"], "{name} {title}");
            let [cells, copied] = [sheet, copy].map(|sheet| sheet["cells"].as_object().unwrap());
            let mut answer_columns = BTreeMap::new();
            for (position, cell) in copied {
                if ANSWER_COLUMNS.iter().any(|name| cell["value"] == *name) {
                    let (column, row) = split_position(position);
                    answer_columns.insert(column, row);
                }
            }
            let is_new = |position: &str| {
                let (column, row) = split_position(position);
                answer_columns.get(column).is_some_and(|header| row >= *header)
            };
            for (position, cell) in cells.iter().filter(|(position, _)| !is_new(position)) {
                assert_eq!(cell, &copied[position], "{name} {title} {position}");
            }
            let Some((first, header)) = answer_columns.first_key_value() else { continue };
            assert_eq!(answer_columns.len(), ANSWER_COLUMNS.len(), "{name}");
            let last = (first.as_bytes()[0] - 1) as char;
            for (position, cell) in copied.iter().filter(|(position, _)| is_new(position)) {
                let (_, row) = split_position(position);
                if row == *header || cell["value"] == "None" {
                    continue;
                }
                assert_eq!([&cell["format"], &cell["type"]], ["@", "s"], "{name} {position}");
                let beside = copied.get(&format!("{last}{row}"));
                let style = beside.map_or(&cell["style"], |beside| &beside["style"]);
                assert_eq!(&cell["style"], style, "{name} {position}");
                new_count += 1;
            }
            let grown = |ranges: &Value| {
                let ranges = ranges.as_array().unwrap().iter().filter_map(Value::as_str);
                ranges.map(|range| range.split(':').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
            };
            let (ranges, grown) = (grown(&sheet["ranges"]), grown(&copy["ranges"]));
            assert!(ranges.len() == 1 && grown.len() == 1 && ranges != grown, "{name} {grown:?}");
        }
        assert!(new_count > 15, "{name}: {new_count}");
    }
}

/// Converts files to another format with LibreOffice, in one call.
fn convert<'a>(filter: &str, files: impl Iterator<Item = &'a Path>) -> Workdir {
    let (profile, converted) = (Workdir::new(), Workdir::new());
    let mut command = Command::new("timeout");
    command.args([TIMEOUT_SECS, "soffice", "--headless"]);
    command.arg(format!("-env:UserInstallation=file://{}", profile.path("").display()));
    command.args(["--convert-to", filter, "--outdir"]).arg(converted.path("")).args(files);
    // The names of sheets are part of the names of files.
    let ended = run(command.env("LC_ALL", "C.UTF-8").env("HOME", profile.path("")));
    assert_exit(&ended, 0, &[]);
    converted
}

#[test]
#[ignore = "needs LibreOffice: .ci/workbooks"]
fn libreoffice_reads_every_old_cell_and_the_answers_of_the_csv_output() {
    let results = Results::new();
    let converted = convert(CSV_FILTER, results.inputs_and_outputs());
    for ResultFiles { name, input, csv, .. } in &results.files {
        let answers = read_csv(csv);
        for sheet in CalamineCells::read(input).sheets {
            let [before, after] = [name.clone(), format!("{name}.resolved")]
                .map(|stem| read_csv(&converted.path(format!("{stem}-{}.csv", sheet.name))));
            if before == after {
                continue;
            }
            let (found, first) = split_answers(&after);
            assert_eq!(found, split_answers(&answers).0, "{name}");
            let old: Vec<_> = after.iter().map(|row| &row[..first]).collect();
            let expected: Vec<_> = before.iter().map(|row| &row[..first]).collect();
            assert_eq!(old, expected, "{name}");
        }
    }
    drop(results.workdir);
}

#[test]
#[ignore = "needs LibreOffice: .ci/workbooks"]
fn libreoffice_saves_every_value_of_a_result() {
    let results = Results::new();
    let converted = convert("xlsx", results.files.iter().map(|files| &*files.output));
    for ResultFiles { name, output, .. } in &results.files {
        let before = CalamineCells::read(output);
        let after = CalamineCells::read(&converted.path(output.file_name().unwrap()));
        assert_eq!(before.sheets, after.sheets, "{name}");
        assert_eq!(before.merges, after.merges, "{name}");
        for (position, value) in &before.values {
            assert_eq!(after.values.get(position), Some(value), "{name} {position:?}");
        }
    }
}

/// The errors of a file: their places and descriptions.
fn validate(path: &Path) -> Vec<(String, String)> {
    let mut command = Command::new("timeout");
    let ended = run(command.args([TIMEOUT_SECS, "ooxml-validator"]).arg(path));
    assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let errors = report["errors"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors.map(|error| (text(&error["path"]), text(&error["description"]))).collect()
}

#[test]
#[ignore = "needs the validator of the Open XML SDK: .ci/workbooks"]
fn the_open_xml_sdk_finds_no_error_that_the_input_lacks() {
    for ResultFiles { name, input, output, .. } in &Results::new().files {
        assert_eq!(added(&validate(input), &validate(output)), [], "{name}");
    }
}
