//! Rows of a workbook as people see them: by the sheet, its own row number and the cell, in plans,
//! messages, errors, reports and JSON.

use std::fs;

use serde_json::{Value, json};

use crate::support::observed_run::assert_exit;
use crate::support::rows::read_rows;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::schema::{assert_matches_schema, read_summary};
use crate::support::workbook::{build_workbook, concat_each};
use crate::support::workdir::Workdir;

/// A sheet of texts in cells that are named; what is empty is left out.
fn sheet(rows: &[(u32, &[(&str, &str)])]) -> String {
    concat_each(rows, |(row, cells)| {
        let cells = concat_each(*cells, |(column, text)| {
            format!("<c r=\"{column}{row}\" t=\"str\"><v>{text}</v></c>")
        });
        format!("<row r=\"{row}\">{cells}</row>")
    })
}

/// A staff list as HR makes it: a title of two lines in row 3, the header in row 5, an empty row, a
/// cell of two lines, all from column B on.
fn staff() -> String {
    sheet(&[
        (3, &[("B", "员工名单&#10;2026 年 11 月")]),
        (5, &[("B", "工号"), ("C", "姓名"), ("D", "部门"), ("E", "手机号")]),
        (6, &[("B", "00001"), ("C", "王芳"), ("D", "人事"), ("E", "13900000001")]),
        (7, &[("B", "00002"), ("C", "李雷"), ("D", "人事&#10;行政"), ("E", "1390000000")]),
        (9, &[("B", "00003"), ("C", "韩梅"), ("D", "财务"), ("E", "13900000090")]),
        (10, &[("B", "00004"), ("C", "赵敏 13800138000"), ("D", "财务")]),
        (12, &[("B", "00005"), ("C", "周杰"), ("D", "财务"), ("E", "13900000094")]),
    ])
}

#[test]
fn plans_summaries_and_reports_name_the_rows_of_the_sheet() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let notes = sheet(&[(1, &[("A", "填写说明")])]);
    let sheets = [("说明", "visible", &*notes), ("在职", "visible", &*staff())];
    let input = workdir.write_file("staff.xlsx", build_workbook(&sheets));
    let plan = run(dingmap().args(["plan", "--no-state"]).arg(&input));
    let lines = ["\n  在职, row 7 (E7): too short", "\n  在职, row 10 (E10): the cell is empty\n"];
    assert!(lines.iter().all(|line| plan.stdout.contains(line)), "{}{}", plan.stdout, plan.stderr);
    // The encoding and the delimiter would be those of a text that nobody sees.
    let detected =
        ": 5 rows, a header, 2 title lines above the header skipped; numbers in column 4";
    assert!(plan.stdout.contains(detected), "{}", plan.stdout);
    let plan = run(dingmap().args(["plan", "--no-state", "--json"]).arg(&input));
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_matches_schema("plan", &plan);
    assert_eq!(plan["input"]["sheet"], "在职");
    let place = |row: &Value| json!([row["sheet"], row["row"], row["cell"], row["line"]]);
    let places: Vec<_> = plan["invalid"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(places, [json!(["在职", 7, "E7", 7]), json!(["在职", 10, "E10", 10])]);

    let (summary, report) = (workdir.path("run.json"), workdir.path("run.html"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["--max-retries", "0", "--summary"]).arg(&summary).arg("--report").arg(&report);
    let ended = run(&mut command);
    let listed = "without a user id:\
        \n  在职, row 12 (E12): 00005, 周杰, 139****0094: failed: 系统繁忙\
        \n  在职, row 7 (E7): 00002, 李雷: invalid: too short";
    assert_exit(&ended, 4, &[listed]);
    let listed = "\n  在职, row 10 (E10): 00004, 赵敏 138****00: invalid: the cell is empty\
        \n  在职, row 9 (E9): 00003, 韩梅, 139****0090: not_found\n";
    assert_exit(&ended, 4, &[listed]);
    let summary = read_summary(&summary);
    assert_eq!(summary["input"]["sheet"], "在职");
    let rows = summary["unresolved"].as_array().unwrap();
    let places: Vec<_> = rows
        .iter()
        .map(|row| json!([row["status"], row["sheet"], row["row"], row["cell"]]))
        .collect();
    let expected = [("not_found", 9), ("invalid", 7), ("invalid", 10), ("failed", 12)];
    assert_eq!(
        places,
        expected.map(|(status, row)| json!([status, "在职", row, format!("E{row}")]))
    );
    let report = fs::read_to_string(&report).unwrap();
    for text in ["在职", ">E12<", ">12<", ">00005<", ">周杰<", "工号", "赵敏 138****00"] {
        assert!(report.contains(text), "{text}");
    }
    assert!(!report.contains("13800138000") && !ended.stderr.contains("13800138000"));
}

#[test]
fn errors_name_the_row_of_the_sheet() {
    for (flags, words) in [
        (&["-c", "电话"][..], "在职, row 5: there is no column \"电话\""),
        (&["--retry-failed"], "在职, row 5: there is no column \"userid\""),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let input =
            workdir.write_file("staff.xlsx", build_workbook(&[("在职", "visible", &staff())]));
        let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(flags));
        assert_exit(&ended, 3, &[words]);
    }
}

#[test]
fn skipped_lines_are_rows_of_the_sheet() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", build_workbook(&[("在职", "visible", &staff())]));
    let output = workdir.path("out.csv");
    for lines in ["4", "3"] {
        let mut command = api.resolve(&input, &output);
        let ended = run(command.args(["--max-retries", "0", "--skip-lines", lines]));
        assert_exit(&ended, 4, &["在职, row 12 (E12): 00005, 周杰"]);
    }
    // What follows is the table, its first row the header.
    let text = fs::read_to_string(&output).unwrap();
    let table = &text[text.find("工号").unwrap()..];
    let path = workdir.write_file("table.csv", table);
    assert_eq!(read_rows(&path)[0]["userid"], "u00000001");
}

#[test]
fn a_text_file_keeps_its_line_numbers() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let text =
        "工号,姓名,手机号\n00001,\"王\n芳\",13900000001\n00002,李雷,\n00003,韩梅,13900000090\n";
    let input = workdir.write_file("staff.csv", text);
    let summary = workdir.path("run.json");
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let listed = "without a user id:\n  line 4: 00002, 李雷: invalid: the cell is empty\
        \n  line 5: 00003, 韩梅, 139****0090: not_found\n";
    assert_exit(&run(command.arg("--summary").arg(&summary)), 0, &[listed]);
    let summary = read_summary(&summary);
    assert_eq!(summary["input"]["sheet"], Value::Null);
    let row = &summary["unresolved"][0];
    assert_eq!((&row["line"], &row["row"], &row["cell"]), (&json!(5), &Value::Null, &Value::Null));
}
