//! Workbooks given to the executable: which sheet is read, and which number of a cell is sent.

use crate::support::observed_run::assert_exit;
use crate::support::rows::read_rows;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::{build_workbook, concat_each, workbook_parts, zip_parts};
use crate::support::workdir::Workdir;

/// A sheet of texts and cells: each by its attributes and what is in it.
fn sheet_xml(rows: &[&[(&str, &str)]]) -> String {
    concat_each(rows, |row| {
        let cells = concat_each(*row, |(attributes, inner)| format!("<c {attributes}>{inner}</c>"));
        format!("<row>{cells}</row>")
    })
}

/// A sheet of texts.
fn text_sheet(rows: &[&[&str]]) -> String {
    concat_each(rows, |row| {
        let cell = |text: &&str| format!("<c t=\"str\"><v>{text}</v></c>");
        format!("<row>{}</row>", concat_each(*row, cell))
    })
}

const HEADER: &[(&str, &str)] = &[("t=\"str\"", "<v>姓名</v>"), ("t=\"str\"", "<v>手机号</v>")];
const NAME: (&str, &str) = ("t=\"str\"", "<v>甲</v>");

#[test]
fn the_country_code_of_a_number_format_is_part_of_the_number() {
    let cells = sheet_xml(&[
        HEADER,
        &[NAME, ("s=\"9\"", "<v>13108207129</v>")],
        &[NAME, ("s=\"10\"", "<v>85251234567</v>")],
        &[NAME, ("s=\"9\"", "<v>8613800000021</v>")],
        &[NAME, ("s=\"11\"", "<v>13800000022</v>")],
        &[NAME, ("s=\"12\" t=\"str\"", "<v>14155550132</v>")],
        &[NAME, ("s=\"13\"", "<v>13800000023</v>")],
        &[NAME, ("s=\"8\"", "<v>13800000024</v>")],
    ]);
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", build_workbook(&[("员工", "visible", &cells)]));
    let output = workdir.path("out.csv");
    let ended = run(api.resolve(&input, &output).arg("--show-sent"));
    assert_exit(&ended, 0, &[]);
    let sent: Vec<_> = read_rows(&output).iter().map(|row| row["mobile_sent"].clone()).collect();
    let expected = [
        "+1-3108207129",
        "+852-51234567",
        "13800000021",
        "13800000022",
        "+1-4155550132",
        "",
        "13800000024",
    ];
    assert_eq!(sent, expected);
    let rows = read_rows(&output);
    assert_eq!(rows[0]["手机号"], "+13108207129");
    assert_eq!((&*rows[5]["手机号"], &*rows[5]["status"]), ("13800000023 [\\+0,]", "invalid"));
    // The output alone says the same: a number that was not sent is not sent later.
    let ended = run(api.resolve(&output, &output).args(["--retry-failed", "--show-sent"]));
    assert_exit(&ended, 0, &[]);
    let again: Vec<_> = read_rows(&output).iter().map(|row| row["mobile_sent"].clone()).collect();
    assert_eq!(again, expected);
}

#[test]
fn the_first_visible_sheet_with_numbers_is_read_and_named() {
    let notes = text_sheet(&[
        &["请按要求填写"],
        &["1. 手机号必填，如有疑问请拨打 010-62345678"],
        &["2. 不要修改表头"],
    ]);
    let example = text_sheet(&[&["填写说明", "示例"], &["手机号", "13800000029"]]);
    let phones = text_sheet(&[&["部门", "办公电话"], &["人事", "010-62345678"]]);
    let cover = text_sheet(&[&["版本", "日期"], &["v1", "2025-10-13"], &["v2", "20251014"]]);
    let staff = text_sheet(&[&["姓名", "手机号"], &["甲", "13800000021"]]);
    for (sheets, chosen) in [
        (&[("填写说明", "visible", &notes), ("员工", "visible", &staff)][..], "员工"),
        (&[("示例", "visible", &example), ("员工", "visible", &staff)], "员工"),
        (&[("部门", "visible", &phones), ("员工", "visible", &staff)], "员工"),
        (&[("封面", "visible", &cover), ("员工", "visible", &staff)], "员工"),
        (&[("旧", "hidden", &staff), ("员工", "visible", &staff)], "员工"),
        (
            &[("填写说明", "visible", &notes), ("旧", "hidden", &staff), ("新", "visible", &staff)],
            "新",
        ),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let sheets: Vec<_> =
            sheets.iter().map(|(name, state, cells)| (*name, *state, cells.as_str())).collect();
        let input = workdir.write_file("staff.xlsx", build_workbook(&sheets));
        let ended = run(&mut api.resolve(&input, &workdir.path("out.csv")));
        let named = format!("staff.xlsx (sheet {chosen}; ");
        assert_exit(&ended, 0, &[&named, "choose with --sheet", "found                1"]);
        for columns in [&[][..], &["-c", "2"]] {
            let plan = run(dingmap().args(["plan", "--no-state"]).args(columns).arg(&input));
            assert_eq!(plan.status, Some(0), "{}", plan.stderr);
            assert!(plan.stdout.contains(&named), "{}", plan.stdout);
        }
    }
}

#[test]
fn a_later_sheet_that_fits_better_is_not_read_in_place_of_the_first() {
    let leavers = text_sheet(&[&["姓名", "手机号"], &["甲", "13800000021"]]);
    let number = ("t=\"str\"", "<v>13800000022</v>");
    let unreadable = |first| sheet_xml(&[&[first, HEADER[1]], &[NAME, number]]);
    let unknown = [("t=\"zz\"", "<v>1</v>"), ("t=\"s\"", "<v>99</v>")];
    let mut late = vec![vec!["姓名", "Kontakt"]];
    late.resize(4000, vec!["一个很长的名字，没有号码", ""]);
    late.push(vec!["甲", "13800000021"]);
    let late: Vec<&[&str]> = late.iter().map(Vec::as_slice).collect();
    let formula = ("", "<f>B9</f>");
    for (first, words) in [
        (text_sheet(&[&["姓名", "手机号"]]), "no mobile number in it"),
        (text_sheet(&[&["姓名", "员工电话"]]), "no mobile number in it"),
        (text_sheet(&[&["手机号"], &["无"]]), "no mobile number in it"),
        (sheet_xml(&[HEADER, &[NAME, formula], &[NAME, formula]]), "without stored values"),
        (text_sheet(&[&["姓名", "联系电话"], &["乙", "010-62345678"]]), "no mobile number in it"),
        (text_sheet(&[&["部门", "电话"], &["人事", "13800000029"]]), "names as mobile numbers"),
        (text_sheet(&[&["乙", "13800000028"], &["丙", "13800000029"]]), "names as mobile numbers"),
        (unreadable(unknown[0]), "(sheet 在职, cell A1"),
        (unreadable(unknown[1]), "(sheet 在职, cell A1"),
        (sheet_xml(&[&[NAME], &[unknown[0], number]]), "(sheet 在职, cell A2"),
        (text_sheet(&late), "far down"),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let bytes = build_workbook(&[("在职", "visible", &first), ("离职", "visible", &leavers)]);
        let input = workdir.write_file("staff.xlsx", bytes);
        let output = workdir.path("out.csv");
        let ended = run(&mut api.resolve(&input, &output));
        assert_exit(&ended, 3, &["sheet 在职", "sheet 离职", words, "--sheet"]);
        let plan = run(dingmap().args(["plan", "--no-state"]).arg(&input));
        assert_exit(&plan, 3, &["sheet 在职", "sheet 离职", words, "--sheet"]);
        assert_eq!(api.call_log().calls().len(), 0);
        let ended = run(api.resolve(&input, &output).args(["--sheet", "2"]));
        assert_exit(&ended, 0, &["(sheet 离职; other sheets with rows: 在职; ", "found "]);
    }
    // Alone, the first one is read, and its own error is better.
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let header = text_sheet(&[&["姓名", "手机号"]]);
    let notes = text_sheet(&[&["客服 13800000029"]]);
    let bytes = build_workbook(&[("在职", "visible", &header), ("说明", "visible", &notes)]);
    let input = workdir.write_file("staff.xlsx", bytes);
    let ended = run(&mut api.resolve(&input, &workdir.path("out.csv")));
    assert_exit(&ended, 3, &["a header and no rows"]);
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).arg("--allow-empty"));
    assert_exit(&ended, 0, &["(sheet 在职; "]);
}

#[test]
fn a_format_that_shows_a_plus_for_some_numbers_only_is_applied_or_named() {
    let minus = "<v>-13108207129</v>";
    let cells = sheet_xml(&[
        HEADER,
        &[NAME, ("s=\"9\"", minus)],
        &[NAME, ("s=\"10\"", "<v>13108207129</v>")],
        &[NAME, ("", "<v>13108207129</v>")],
        &[NAME, ("", "<v>13800000021</v>")],
    ]);
    let mut parts = workbook_parts(&[("员工", "visible", &cells)]);
    let styles = parts.iter_mut().find(|(name, _)| name == "xl/styles.xml").unwrap();
    styles.1 = styles
        .1
        .replace("\"\\+0\"", "\"0;\\+0\"")
        .replace("\"&quot;+&quot;0\"", "\"[&gt;=10000000000]\\+0;0\"")
        .replace(
            "</styleSheet>",
            "<dxfs><dxf/><dxf><numFmt numFmtId=\"190\" formatCode=\"\\+0\"/></dxf></dxfs>\
             </styleSheet>",
        );
    let sheet = parts.iter_mut().find(|(name, _)| name.ends_with("sheet1.xml")).unwrap();
    sheet.1 = sheet.1.replace(
        "</sheetData>",
        "</sheetData><conditionalFormatting sqref=\"B4\"><cfRule type=\"cellIs\" dxfId=\"1\"/>\
         </conditionalFormatting>",
    );
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", zip_parts(&parts));
    let output = workdir.path("out.csv");
    assert_exit(&run(api.resolve(&input, &output).arg("--show-sent")), 0, &[]);
    let rows = read_rows(&output);
    let sent: Vec<_> = rows.iter().map(|row| row["mobile_sent"].as_str()).collect();
    assert_eq!(sent, ["+1-3108207129", "+1-3108207129", "", "13800000021"]);
    assert_eq!(
        (&*rows[2]["手机号"], &*rows[2]["status"]),
        ("13108207129 [\\+0]", "invalid"),
        "whether the condition holds is not known"
    );
}

#[test]
fn a_sheet_whose_numbers_begin_far_down_is_read() {
    let mut staff = vec![vec!["姓名", "手机号"]];
    staff.resize(4000, vec!["一个很长的名字，没有号码", ""]);
    staff.push(vec!["甲", "13800000021"]);
    let staff: Vec<&[&str]> = staff.iter().map(Vec::as_slice).collect();
    let phones = text_sheet(&[&["部门", "部门电话"], &["人事", "13900000000"]]);
    let workdir = Workdir::new();
    let sheets = [("员工", "visible", &*text_sheet(&staff)), ("部门", "visible", &*phones)];
    let input = workdir.write_file("staff.xlsx", build_workbook(&sheets));
    let plan = run(dingmap().args(["plan", "--no-state"]).arg(&input));
    assert!(plan.stdout.contains("staff.xlsx (sheet 员工; "), "{}{}", plan.stdout, plan.stderr);
}

#[test]
fn zeros_in_place_of_values_that_were_not_calculated_are_missing_values() {
    let zero = ("", "<f>B9</f><v>0</v>");
    let cells = sheet_xml(&[
        &[("t=\"str\"", "<v>手机号</v>"), ("t=\"str\"", "<v>次数</v>"), ("", "<f>1+1</f><v>2</v>")],
        &[zero, zero, zero],
        &[zero, ("", "<f>1+0</f><v>1</v>"), zero],
        &[("", "<v>13800000021</v>"), zero, zero],
    ]);
    for (calculation, reason) in [
        (r#"<calcPr calcId="1" fullCalcOnLoad="1"/>"#, "a formula without a stored value"),
        ("", "no number"),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let mut parts = workbook_parts(&[("员工", "visible", &cells)]);
        let workbook = parts.iter_mut().find(|(name, _)| name == "xl/workbook.xml").unwrap();
        workbook.1 = workbook.1.replace("</workbook>", &format!("{calculation}</workbook>"));
        let input = workdir.write_file("staff.xlsx", zip_parts(&parts));
        let output = workdir.path("out.csv");
        let ended = run(&mut api.resolve(&input, &output));
        assert_exit(&ended, 0, &["found                1"]);
        assert_eq!(
            ended.stderr.contains("2 formulas have no stored value (A2:A3)"),
            !calculation.is_empty()
        );
        let rows = read_rows(&output);
        assert!(rows[0]["errmsg"].starts_with(reason), "{}", rows[0]["errmsg"]);
        assert_eq!((&*rows[0]["手机号"], &*rows[0]["次数"]), ("0", "0"));
    }
}

#[test]
fn an_equals_sign_in_a_text_file_is_not_a_formula_of_a_workbook() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", "姓名,手机号\n甲,13800000021\n乙,=\n");
    let output = workdir.path("out.csv");
    let ended = run(&mut api.resolve(&input, &output));
    assert_exit(&ended, 0, &["found                1"]);
    assert!(!ended.stderr.contains("formula"), "{}", ended.stderr);
    assert!(!read_rows(&output)[1]["errmsg"].contains("formula"));
}

#[test]
fn a_localized_general_format_keeps_the_plus_sign() {
    let mut parts = workbook_parts(&[(
        "员工",
        "visible",
        &sheet_xml(&[HEADER, &[NAME, ("s=\"10\"", "<v>13108207129</v>")]]),
    )]);
    let styles = parts.iter_mut().find(|(name, _)| name == "xl/styles.xml").unwrap();
    styles.1 = styles.1.replace("&quot;+&quot;0", "&quot;+&quot;G/通用格式");
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", zip_parts(&parts));
    let output = workdir.path("out.csv");
    assert_exit(&run(api.resolve(&input, &output).arg("--show-sent")), 0, &[]);
    assert_eq!(read_rows(&output)[0]["mobile_sent"], "+1-3108207129");
}

#[test]
fn a_workbook_without_a_sheet_of_numbers_is_refused_with_its_sheets() {
    let notes = text_sheet(&[&["请按要求填写"], &["1. 必填"]]);
    let staff = text_sheet(&[&["姓名", "手机号"], &["甲", "13800000021"]]);
    for (sheets, words) in [
        (
            &[("说明", "visible", &notes), ("封面", "visible", &notes)][..],
            &["1 说明, 2 封面", "--sheet"][..],
        ),
        (
            &[("说明", "visible", &notes), ("员工", "hidden", &staff)],
            &["the hidden sheet 员工 has one", "1 说明, 员工 (hidden)", "--sheet"],
        ),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let sheets: Vec<_> =
            sheets.iter().map(|(name, state, cells)| (*name, *state, cells.as_str())).collect();
        let input = workdir.write_file("staff.xlsx", build_workbook(&sheets));
        let ended = run(&mut api.resolve(&input, &workdir.path("out.csv")));
        assert_exit(&ended, 3, words);
        assert_eq!(workdir.file_names(), ["staff.xlsx"]);
    }
}

#[test]
fn a_formula_without_a_value_is_invalid_with_its_reason_and_its_cell_is_named() {
    let missing = |formula: &'static str| ("", formula);
    let cells = sheet_xml(&[
        HEADER,
        &[NAME, missing("<f>B9&amp;C9</f><v></v>")],
        &[NAME, ("t=\"str\"", "<f>B9</f><v>13800000021</v>")],
        // A cell with a line break, after which lines and rows differ.
        &[("t=\"str\"", "<v>乙&#10;丙</v>"), missing("<f>B9</f>")],
        &[NAME, missing("<f>B9</f><v/>")],
        &[NAME, ("", "")],
    ]);
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", build_workbook(&[("员工", "visible", &cells)]));
    let output = workdir.path("out.csv");
    let ended = run(&mut api.resolve(&input, &output));
    assert_exit(&ended, 0, &["3 formulas have no stored value (B2, B4:B5)", "Excel and save it"]);
    let rows = read_rows(&output);
    let reasons: Vec<_> = rows.iter().map(|row| row["errmsg"].as_str()).collect();
    let missing =
        "a formula without a stored value: open the workbook in Excel, save it, and run again";
    assert_eq!(reasons, [missing, "ok", missing, missing, "the cell is empty"]);
    assert!(rows[0]["手机号"].is_empty());
    let plan = run(dingmap().args(["plan", "--no-state"]).arg(&input));
    assert!(plan.stdout.contains("a formula without a stored value"), "{}", plan.stdout);
}

#[test]
fn an_error_value_in_another_column_passes_through() {
    let cells = sheet_xml(&[
        &[("t=\"str\"", "<v>手机号</v>"), ("t=\"str\"", "<v>备注</v>")],
        &[("", "<v>13800000021</v>"), ("t=\"e\"", "<v>#SPILL!</v>")],
    ]);
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.xlsx", build_workbook(&[("员工", "visible", &cells)]));
    let output = workdir.path("out.csv");
    assert_exit(&run(&mut api.resolve(&input, &output)), 0, &["found                1"]);
    assert_eq!(read_rows(&output)[0]["备注"], "#SPILL!");
}
