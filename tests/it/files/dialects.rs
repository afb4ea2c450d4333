//! What programs do to CSV, on the real executable: Excel's first line, titles, rows that are too
//! short or too long, odd headers, and sizes that nobody expects.

use std::fmt::Write as _;

use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// How the run ended, the output where there is one, and how many calls arrived. Unlike
/// `observe_run`, it keeps the usual verbosity: some tests check that a message is absent.
fn resolve_text(text: &str, flags: &[&str]) -> (RunOutput, Option<String>, usize) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("out.csv");
    let ended = run(api.resolve(&workdir.write_file("in.csv", text), &output).args(flags));
    (ended, std::fs::read_to_string(output).ok(), api.call_log().calls().len())
}

/// Ended well, with this output.
#[track_caller]
fn assert_output(text: &str, flags: &[&str], expected: &str) {
    let (ended, output, _) = resolve_text(text, flags);
    assert_eq!((ended.status, output.as_deref()), (Some(0), Some(expected)), "{}", ended.stderr);
}

const FOUND_CELLS: &str = "u00138000,,found,0,ok";

#[test]
fn the_excel_sep_line_sets_the_delimiter_and_is_kept() {
    let names = ANSWER_COLUMNS.join(";");
    for line in ["sep=;", "\"sep=;\"", "\u{feff}SEP=;"] {
        let text = format!("{line}\r\na,b;mobile\r\nx,y;13800138000\r\n");
        let expected =
            format!("{line}\r\na,b;mobile;{names}\r\nx,y;13800138000;u00138000;;found;0;ok\r\n");
        assert_output(&text, &[], &expected);
    }
    // Who asks for another one gets it.
    let (ended, output, _) = resolve_text("sep=;\nname,mobile\nx,13800138000\n", &["-d", ","]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(
        output.unwrap(),
        format!("sep=;\nname,mobile,{}\nx,13800138000,{FOUND_CELLS}\n", ANSWER_COLUMNS.join(","))
    );
    assert_output("sep=|\n1|13800138000\n", &[], "sep=|\n1|13800138000|u00138000||found|0|ok\n");
}

#[test]
fn lines_above_the_header_are_kept() {
    let title = "员工名单 \"2024\n\r\n# exported, by HR\r";
    let text = format!("{title}name,mobile\nx,13800138000\n");
    let expected =
        format!("{title}name,mobile,{}\nx,13800138000,{FOUND_CELLS}\n", ANSWER_COLUMNS.join(","));
    assert_output(&text, &["--skip-lines", "3"], &expected);
    assert_output(
        "# data\nx,13800138000\n",
        &["--skip-lines", "1"],
        &format!("# data\nx,13800138000,{FOUND_CELLS}\n"),
    );
    // The line for Excel is one of them.
    let text = "sep=,\ntitle\nname,mobile\nx,13800138000\n";
    let expected = format!(
        "sep=,\ntitle\nname,mobile,{}\nx,13800138000,{FOUND_CELLS}\n",
        ANSWER_COLUMNS.join(",")
    );
    assert_output(text, &["--skip-lines", "2"], &expected);
    // Lines are counted from the file's beginning.
    let (ended, _, calls) = resolve_text(
        &format!("{title}name,mobile\nx,13800138000\ny,1,x\n"),
        &["--skip-lines", "3"],
    );
    assert_eq!((ended.status, calls), (Some(3), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 6"), "{}", ended.stderr);
    let (ended, _, _) = resolve_text("name,mobile\n", &["--skip-lines", "1"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("--skip-lines"), "{}", ended.stderr);
}

#[test]
fn title_lines_are_skipped_and_kept() {
    let names = ANSWER_COLUMNS.join(",");
    for (title, table) in [
        ("staff 2024\n", "name,city,mobile\na,b,13800138000\n"),
        ("staff 2024,,\n\n,,\n", "name,city,mobile\na,b,13800138000\n"),
        // No name is known, but the title is too narrow for a row of the table.
        ("\"staff\r\n2024\"\r\n", "a,b,c\r\nx,7,13800138000\r\n"),
        // A title of several cells, above a header that is known by its names.
        ("员工花名册,,2026年11月\n", "姓名,部门,手机号\na,b,13800138000\n"),
        ("制表人：张三,日期：2026-11-30\n", "姓名,手机号\na,13800138000\n"),
        ("公司,花名册\n", "姓名,部门,手机号\na,b,13800138000\n"),
        ("基本信息,,联系方式\n", "姓名,工号,手机号\na,1,13800138000\n"),
        ("名单\n", "手机号\n13800138000\n"),
        ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "姓名,手机号\na,13800138000\n"),
        (",contact,\n", "姓名,手机号,备注\na,13800138000,\n"),
        ("sep=,\nstaff 2024\n", "name,city,mobile\na,b,13800138000\n"),
    ] {
        let text = format!("{title}{table}");
        let end = if table.contains('\r') { "\r\n" } else { "\n" };
        let (header, row) = table.trim_end().split_once(end).unwrap();
        let expected = format!("{title}{header},{names}{end}{row},{FOUND_CELLS}{end}");
        assert_output(&text, &[], &expected);
        let (ended, _, _) = resolve_text(&text, &[]);
        // Excel's line is no title.
        let said = match title.lines().filter(|line| !line.starts_with("sep=")).count() {
            1 => "1 title line above the header skipped".to_owned(),
            lines => format!("{lines} title lines above the header skipped"),
        };
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    }
    // The result is read like the list.
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let text = format!("staff\nname,mobile,{names}\na,13800138000,,,failed,,busy\n");
    let resolved = workdir.write_file("out.csv", &text);
    let mut command = api.resolve_without_output(&api.endpoint(), &resolved);
    let ended = run(command.arg("--retry-failed"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = format!("staff\nname,mobile,{names}\na,13800138000,{FOUND_CELLS}\n");
    assert_eq!(std::fs::read_to_string(resolved).unwrap(), expected);
}

#[test]
fn a_doubtful_title_line_suggests_skip_lines() {
    for (text, flags, status) in [
        // The first person may have no number, and the second one a remark instead of it.
        ("张三,\n李四,无\n王五,13800138000\n", &[][..], 0),
        ("张三\n李四,无\n王五,13800138000\n", &[], 3),
        ("张三\n李四,离职\n王五,13800138000\n", &[], 3),
        ("staff 2024;;\nname;city;note\na;b;c\nd;e;f\n", &[], 3),
        // The user decided.
        ("staff\nname,city,mobile\na,b,13800138000\n", &["--skip-lines", "0"], 3),
        ("staff,\nname,mobile\na,13800138000\n", &["--no-headers"], 0),
        // The first line may be about a person.
        ("管理员,13800138001\n姓名,手机号,部门\na,13800138000,x\n", &[], 3),
    ] {
        let (ended, _, _) = resolve_text(text, flags);
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains("add --skip-lines 1"), "{}", ended.stderr);
    }
    let (ended, _, _) = resolve_text("mobile\n13800138000\n", &[]);
    assert!(!ended.stderr.contains("--skip-lines"), "{}", ended.stderr);
}

#[test]
fn a_title_of_several_cells_does_not_hide_the_country_column() {
    let text = "员工花名册,,2026年11月\n姓名,国家码,手机号\n甲,49,15123456780\n";
    let (ended, output, calls) = resolve_text(text, &["--show-sent"]);
    assert_eq!((ended.status, calls), (Some(0), 1), "{}", ended.stderr);
    let output = output.unwrap();
    assert!(output.starts_with("员工花名册,,2026年11月\n姓名,国家码,手机号,userid,"), "{output}");
    assert!(output.ends_with(",+49-15123456780\n"), "{output}");
}

#[test]
fn a_person_without_a_number_is_not_taken_for_the_header() {
    let reason = "not a phone number: it has characters other than digits and + - ( ) . and spaces";
    for (first, reason) in [
        ("张三,离职", reason),
        ("张三,", "the cell is empty"),
        ("张三,无", "no number: the cell says that there is none"),
    ] {
        let text = format!("{first}\n李四,\n王五,13800138000\n");
        let (ended, output, calls) = resolve_text(&text, &[]);
        assert_eq!((ended.status, calls), (Some(0), 1), "{}", ended.stderr);
        let expected = format!(
            "{first},,,invalid,,{reason}\n李四,,,,invalid,,the cell is empty\n\
             王五,13800138000,{FOUND_CELLS}\n"
        );
        assert_eq!(output.unwrap(), expected);
        let hint = "; the first row has no number and was not read as the header";
        assert!(ended.stderr.contains(hint), "{}", ended.stderr);
        // A name of it that is requested makes it the header.
        let name = first.split(',').next().unwrap();
        let (ended, output, _) = resolve_text(&text, &["-c", "2", "--country-column", name]);
        assert!(!ended.stderr.contains(hint), "{}", ended.stderr);
        assert!(output.unwrap().starts_with(&format!("{first},userid,")));
    }
}

#[test]
fn a_doubtful_header_is_named() {
    let text = "Wer,Wann,Womit\nA,2024-05-01,13800138000\nB,2024-05-02,13800138001\n";
    let hint = "; the first row (Wer, Wann, Womit) was read as the header: if it is about a \
                person, add --no-headers";
    let (ended, output, _) = resolve_text(text, &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
    assert!(output.unwrap().starts_with("Wer,Wann,Womit,userid,"));
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", text);
    let planned = run(dingmap().arg("plan").arg(&input));
    assert!(planned.stdout.contains(hint), "{}", planned.stdout);
    let (ended, output, _) = resolve_text(text, &["--no-headers"]);
    assert!(!ended.stderr.contains("was read as"), "{}", ended.stderr);
    assert!(output.unwrap().starts_with("Wer,Wann,Womit,,,invalid,"));
    let (ended, _, _) = resolve_text("姓名,手机号\nA,13800138000\n", &[]);
    assert!(!ended.stderr.contains("the first row"), "{}", ended.stderr);
}

#[test]
fn a_row_that_leaves_no_room_for_the_answers_is_refused() {
    for (cells, message) in [
        (16_380, "line 2: cells in this row: 16380, and the output adds 5 more; a row has 16384"),
        (16_385, "line 2: the row that begins here has more than 16384 cells"),
    ] {
        let row = format!("a,13800138000{}x", ",".repeat(cells - 2));
        let (ended, output, calls) =
            resolve_text(&format!("name,mobile\n{row}\n"), &["--flexible"]);
        assert_eq!((ended.status, output, calls), (Some(3), None, 0), "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[test]
fn totals_page_numbers_and_headers_have_their_own_reason() {
    let text = "姓名,手机号\n甲,13800138001\n第1页,\n姓名,手机号\n乙,13800138002\n合计：2人,\n\
                审核：丙,\n合计,13800138003\n丁,abc\n";
    let (ended, output, calls) = resolve_text(text, &[]);
    assert_eq!((ended.status, calls), (Some(0), 3), "{}", ended.stderr);
    let output = output.unwrap();
    for (row, reason) in [
        ("第1页,", "\"a page number, not a person\""),
        ("姓名,手机号", "\"the header again, not a person\""),
        ("合计：2人,", "\"a total (合计), not a person\""),
        ("审核：丙,", "\"a line for signatures (审核), not a person\""),
    ] {
        let line = format!("\n{row},,,invalid,,{reason}\n");
        assert!(output.contains(&line), "{line}{output}");
    }
    // A person of that name has a number.
    assert!(output.contains("\n合计,13800138003,u00138003,,found,0,ok\n"), "{output}");
    assert!(output.contains("\n丁,abc,,,invalid,,not a phone number"), "{output}");
    assert!(ended.stderr.contains("\n  invalid              5"), "{}", ended.stderr);
    let line =
        "\n  4 invalid rows are not about a person: totals, signatures, page numbers or headers";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    let (ended, _, _) = resolve_text(text, &["--lang", "zh"]);
    assert!(ended.stderr.contains("有 4 行不是人员"), "{}", ended.stderr);
}

#[test]
fn short_rows_are_padded() {
    let text = "mobile,name,city\n13800138000,a,b\n13800138000,\"a\"\r\n13800138000\n\n,\nx,a,b";
    let reason = "invalid,,the cell is empty";
    let (ended, output, calls) = resolve_text(text, &[]);
    assert_eq!((ended.status, calls), (Some(0), 1), "{}", ended.stderr);
    let output = output.unwrap();
    let expected = format!(
        "mobile,name,city,{}\n13800138000,a,b,{FOUND_CELLS}\n\
         13800138000,\"a\",,{FOUND_CELLS}\r\n13800138000,,,{FOUND_CELLS}\n\n\
         ,,,,,{reason}\nx,a,b,,,invalid,,",
        ANSWER_COLUMNS.join(",")
    );
    assert!(output.starts_with(&expected), "{output}");
    // A number cell that is missing is empty.
    let (_, output, _) = resolve_text("name,mobile\na,13800138000\nb\n", &[]);
    assert!(output.unwrap().ends_with(&format!("\nb,,,,{reason}\n")));
}

#[test]
fn long_rows_are_rejected_before_the_first_call_or_kept_with_flexible() {
    let text = "name,mobile\na,13800138000\nb,13800138000,,\"c,d\"\n";
    let (ended, output, calls) = resolve_text(text, &[]);
    assert_eq!((ended.status, output, calls), (Some(3), None, 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("line 3") && ended.stderr.contains("--flexible"),
        "{}",
        ended.stderr
    );
    let expected = format!(
        "name,mobile,{}\na,13800138000,{FOUND_CELLS}\nb,13800138000,,\"c,d\",{FOUND_CELLS}\n",
        ANSWER_COLUMNS.join(",")
    );
    assert_output(text, &["--flexible"], &expected);
}

#[test]
fn empty_and_duplicate_header_names_are_accepted() {
    let text = ",name,name,,mobile\n1,a,b,,13800138000\n";
    assert_output(
        text,
        &[],
        &format!(
            ",name,name,,mobile,{}\n1,a,b,,13800138000,{FOUND_CELLS}\n",
            ANSWER_COLUMNS.join(",")
        ),
    );
    let text = "mobile,,mobile\n13800138000,,x\n";
    assert_output(
        text,
        &["-c", "1"],
        &format!("mobile,,mobile,{}\n13800138000,,x,{FOUND_CELLS}\n", ANSWER_COLUMNS.join(",")),
    );
    let text = "姓名,手机（如13800138000）\n张,13800138000\n";
    assert_output(
        text,
        &[],
        &format!(
            "姓名,手机（如13800138000）,{}\n张,13800138000,{FOUND_CELLS}\n",
            ANSWER_COLUMNS.join(",")
        ),
    );
    // A name with a line end in it is found without.
    let text = "\"手机\n号码\",x\n13800138000,1\n";
    assert_output(
        text,
        &["-c", "手机号码"],
        &format!("\"手机\n号码\",x,{}\n13800138000,1,{FOUND_CELLS}\n", ANSWER_COLUMNS.join(",")),
    );
    // A first row without any name is no header: it may be a person without a number.
    assert_output(
        ",\n13800138000,x\n",
        &[],
        &format!(",,,,invalid,,the cell is empty\n13800138000,x,{FOUND_CELLS}\n"),
    );
}

#[test]
fn a_one_mebibyte_cell_is_kept() {
    let cell = "手,\"\"\n\0".repeat((1 << 20) / 8);
    let text = format!("note,mobile\n\"{cell}\",13800138000\n");
    assert_output(
        &text,
        &[],
        &format!(
            "note,mobile,{}\n\"{cell}\",13800138000,{FOUND_CELLS}\n",
            ANSWER_COLUMNS.join(",")
        ),
    );
}

#[test]
fn ten_thousand_columns_are_kept() {
    let mut names = String::from("mobile");
    let mut cells = String::from("13800138000");
    for n in 1..10_000 {
        write!(names, ",c{n}").unwrap();
        write!(cells, ",{}", n % 7).unwrap();
    }
    let rows = format!("{cells}\n{cells}\n");
    let expected = rows.replace('\n', &format!(",{FOUND_CELLS}\n"));
    assert_output(
        &format!("{names}\n{rows}"),
        &[],
        &format!("{names},{}\n{expected}", ANSWER_COLUMNS.join(",")),
    );
    // A row of one cell gets the rest.
    let (_, output, _) = resolve_text(&format!("{names}\n{cells}\n13800138000\n"), &[]);
    assert!(
        output.unwrap().ends_with(&format!("\n13800138000{},{FOUND_CELLS}\n", ",".repeat(9_999)))
    );
}

#[test]
fn excel_safe_escapes_only_appended_cells() {
    let text = "name,mobile\n=1+1,13800138094\n";
    for (flags, expected) in [
        (&[][..], "=1+1,13800138094,,,failed,-1,系统繁忙\n"),
        (&["--excel-safe"], "=1+1,13800138094,,,failed,'-1,系统繁忙\n"),
    ] {
        let (ended, output, _) = resolve_text(text, flags);
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
        assert!(output.as_ref().unwrap().ends_with(expected), "{output:?}");
    }
}
