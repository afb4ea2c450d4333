//! Inputs without rows or without numbers: refused before anything is replaced, unless a flag
//! accepts an input without rows.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::build_workbook;
use crate::support::workdir::Workdir;

/// Resolves `text` over an output of an earlier run. Returns how it ended, what the output is then,
/// and how many calls arrived.
fn resolve(text: &str, flags: &[&str]) -> (RunOutput, String, usize) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", text);
    let output = workdir.write_file("out.csv", "of yesterday");
    let ended = run(api.resolve(&input, &output).args(flags));
    let replaced = std::fs::read_to_string(output).unwrap();
    (ended, replaced, api.call_log().calls().len())
}

fn plan(text: &str, flags: &[&str]) -> RunOutput {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", text);
    run(dingmap().arg("plan").arg(input).args(flags))
}

#[track_caller]
fn assert_refused(text: &str, flags: &[&str], message: &str) {
    let (ended, output, calls) = resolve(text, flags);
    assert_eq!((ended.status, calls), (Some(3), 0), "{text}{}", ended.stderr);
    assert_eq!(output, "of yesterday", "{text}");
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    let ended = plan(text, flags);
    assert_eq!((ended.status, &*ended.stdout), (Some(3), ""), "{text}{}", ended.stderr);
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
}

#[test]
fn a_table_without_a_number_is_refused_however_many_rows_it_has() {
    for rows in [1, 9, 60, 1500] {
        let text = "姓名,手机号\n".to_owned() + &"甲,无\n乙,\n丙,138001\n".repeat(rows);
        let message = format!(
            "no cell in column 2 手机号 could be meant as a phone number: none of them has seven \
             digits, dates and addresses aside (rows: {})",
            3 * rows
        );
        assert_refused(&text, &[], &message);
    }
    assert_refused("姓名,手机号\n甲,13800138000\n", &["-c", "姓名"], "no cell in column 1 姓名");
    let several = "a,b,mobile\nx,y,13800138000\n";
    assert_refused(several, &["-c", "2", "-c", "a"], "no cell in column 2 b, 1 a could");
    // One column instead of two: the wrong delimiter.
    assert_refused("name;mobile\nx;y\n", &["-d", ","], "--delimiter");
    assert_refused(
        "name;mobile\nx;13800138000\n",
        &["-d", ","],
        "by (;): give this delimiter with --delimiter",
    );
    assert_refused("name\tmobile\nx\t13800138000\n", &["-d", ";"], "-d tab");
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("out.csv");
    let ended = run(api.resolve(Path::new("samples/staff.xlsx"), &output).args(["-c", "姓名"]));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(!output.exists());
}

#[test]
fn rows_of_one_column_are_refused_with_the_delimiter_to_give() {
    for (separator, name) in [('^', "(^)"), ('~', "(~)"), (' ', "a space"), ('#', "(#)")] {
        let text = "姓名^手机号\n张三^13800138000\n李四^13800138001\n"
            .replace('^', &separator.to_string());
        let message = format!(
            "no row is a phone number and nothing else (rows: 2); the cells seem to be separated \
             by {name}: give this delimiter with --delimiter, then run again"
        );
        assert_refused(&text, &[], &message);
        let (_, rows) = text.split_once('\n').unwrap();
        assert_refused(rows, &[], &message);
        let (ended, output, calls) = resolve(&text, &["-d", &separator.to_string()]);
        assert_eq!((ended.status, calls), (Some(0), 2), "{}", ended.stderr);
        assert_eq!(output.lines().count(), 3, "{output}");
    }
    let widths = "姓名      手机号\n张三      13800138000\n欧阳光明  13800138001\n";
    assert_refused(widths, &[], "aligned with spaces: save the list with a delimiter such as");
}

#[test]
fn cells_with_a_number_beside_other_text_are_rows() {
    for (text, rows) in [
        ("张三 138 0013 8000\n李四 138 0013 8001\n", 2),
        ("张三13800138000\n13800138001（李四）\n", 2),
        ("手机号\n微信同号13800138000\n", 1),
        ("姓名,手机号\n张三,张三 13800138000\n李四,李四 13800138001\n", 2),
        ("姓名,手机号\n张三,13800138000（本人）\n李四,13800138001（本人）\n", 2),
        ("姓名,手机号\n张三,微信^13800138000\n", 1),
        ("手机号\n\"00001,张三,13800138000\"\n", 1),
        ("手机号\n\"张三;13800138000\"\n", 1),
    ] {
        let (ended, output, calls) = resolve(text, &[]);
        assert_eq!((ended.status, calls), (Some(0), 0), "{text}{}", ended.stderr);
        assert_eq!(output.matches(",invalid,,").count(), rows, "{output}");
        assert_eq!(plan(text, &[]).status, Some(0), "{text}");
    }
}

#[test]
fn dates_and_addresses_are_no_numbers() {
    let message = "none of them has seven digits, dates and addresses aside";
    for text in [
        "手机号\nNo data found for 2026-11-30\n",
        "姓名,手机号\n张三,2026-11-30\n李四,2021/2/12\n王五,2026年1月1日 08:30\n",
        "姓名,手机号\n张三,zhang1234567@example.com\n李四,10.100.100.20\n",
    ] {
        assert_refused(text, &[], message);
    }
    assert_refused("No data found for 2026-11-30\n", &[], "");
}

#[test]
fn a_number_in_another_cell_of_a_short_row_is_named() {
    let elsewhere = "\"the cell is empty, but another cell of this row holds a number; check the \
                     delimiters of this row\"";
    let empty = "the cell is empty";
    for (header, row, delimiters, reason) in [
        ("姓名,手机号", "李四，13900139000", ",,,,", elsewhere),
        ("序号,姓名,手机号", "2，李四，13900139000", ",,,,,", elsewhere),
        ("姓名,部门,手机号", "李四,研发 13900139000", ",,,,", elsewhere),
        ("姓名\t部门\t手机号", "李四 13900139000", "\t\t\t\t\t", &elsewhere.replace('"', "")),
        ("姓名,手机号", "李四", ",,,,", empty),
        ("姓名,工号,手机号", "李四,20240001", ",,,,", empty),
        ("姓名,身份证,手机号", "李四,110101199001011234", ",,,,", empty),
        ("姓名,手机号,备注", "李四,,电话 13900139000", ",,,", empty),
    ] {
        let delimiter = if header.contains('\t') { "\t" } else { "," };
        let first = ["13800138000"; 3][..header.matches(delimiter).count()].join(delimiter);
        let text = format!("{header}\n张{delimiter}{first}\n{row}\n");
        let (ended, output, _) = resolve(&text, &["-c", "手机号"]);
        assert_eq!(ended.status, Some(0), "{text}{}", ended.stderr);
        let last = output.lines().last().unwrap();
        let invalid = format!("{delimiter}invalid{delimiter}{delimiter}{reason}");
        assert!(last.starts_with(&format!("{row}{delimiters}")) || reason == empty, "{last}");
        assert!(last.ends_with(&invalid), "{last}");
    }
}

#[test]
fn one_number_without_other_text_is_enough() {
    for (text, found) in [
        ("138 0013 8000\nTel: 13800138001\n", 2),
        ("张三 13800138000\n13800138001\n", 1),
        ("手机号\n13800138000 / 13800138001\n无\n", 1),
        ("姓名,手机号\n张三,x13800138000\n李四,13800138001\n", 1),
        ("姓名,手机号\n张三,l3800138000\n李四,13800138000 x\n王五,1380014\n", 0),
        ("张三^13800138000\n1380013\n138001\n", 0),
    ] {
        let (ended, _, calls) = resolve(text, &[]);
        assert_eq!((ended.status, calls), (Some(0), found), "{text}{}", ended.stderr);
    }
}

#[test]
fn the_metrics_of_a_refused_input_have_its_rows() {
    for (text, rows) in [("姓名,手机号\n", 0), ("", 0), ("姓名,手机号\n甲,无\n乙,\n", 2)]
    {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let input = workdir.write_file("in.csv", text);
        let metrics = workdir.write_file("run.prom", "of yesterday");
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        let ended = run(command.arg("--metrics").arg(&metrics));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        let metrics = std::fs::read_to_string(metrics).unwrap();
        let line = metrics.lines().find(|line| line.starts_with("dingmap_rows_read{"));
        assert!(line.unwrap_or_default().ends_with(&format!("}} {rows}")), "{metrics}");
    }
}

#[test]
fn one_mistyped_or_rounded_number_is_enough() {
    for cell in ["1380013", "1.38E+10", "１３８００１３８０００x", "010-62345678"] {
        let text = format!("name,mobile\nx,n/a\ny,{cell}\nz,\n");
        let (ended, output, calls) = resolve(&text, &[]);
        assert_eq!((ended.status, calls), (Some(0), 0), "{cell} {}", ended.stderr);
        assert_eq!(output.matches(",invalid,").count(), 3, "{cell}");
        assert_eq!(plan(&text, &[]).status, Some(0), "{cell}");
    }
}

#[test]
fn shorter_numbers_of_small_countries_are_enough() {
    for (text, region, sent) in [
        ("手机号\n312345\n", "AD", "+376-312345"),
        ("国家,手机号\nAD,312345\n", "CN", "+376-312345"),
        ("国家,手机号\nGL,221234\n", "CN", "+299-221234"),
    ] {
        let (ended, output, calls) = resolve(text, &["--region", region, "--show-sent"]);
        assert_eq!((ended.status, calls), (Some(0), 1), "{text}{}", ended.stderr);
        assert!(output.ends_with(&format!(",{sent}\n")), "{output}");
        assert_eq!(plan(text, &["--region", region]).status, Some(0), "{text}");
    }
    assert_refused("手机号\n312345\n", &[], "no cell in column 1");
}

#[test]
fn an_input_with_fewer_lines_than_are_skipped_is_not_empty() {
    let flags = |lines| ["--allow-empty", "--skip-lines", lines];
    for text in ["name,mobile\nx,13800138000\ny,13800138001\n", "title\nname,mobile"] {
        let message = "neither a header nor a row after the 10 lines that --skip-lines skips";
        assert_refused(text, &flags("10"), message);
    }
    for text in ["", "\n", "title\n\n"] {
        let (ended, output, calls) = resolve(text, &flags("2"));
        assert_eq!((ended.status, calls, &*output), (Some(0), 0, text), "{}", ended.stderr);
    }
}

#[test]
fn the_whole_input_is_judged_before_shards() {
    // Cells without digits share a shard, and the numbers are in both.
    let numbers: Vec<String> = (0..20).map(|row| format!("x,138001380{row:02}\n")).collect();
    let numbers = numbers.concat();
    let shards = ["0/2", "1/2"];
    for shard in shards {
        let text = format!("name,mobile\n{numbers}");
        assert_eq!(resolve(&text, &["--shard", shard]).0.status, Some(0));
        assert_refused("name,mobile\nx,n/a\ny,\n", &["--shard", shard], "no cell in column 2");
    }
    let lone = "name,mobile\nx,13800138000\n";
    for shard in shards {
        let (ended, output, _) = resolve(lone, &["--shard", shard]);
        assert_eq!(ended.status, Some(0), "a shard may have no rows: {}", ended.stderr);
        assert!(output.starts_with("name,mobile,userid,"), "{output}");
    }
}

#[test]
fn the_whole_input_is_judged_before_retries() {
    let header = format!("name,mobile,{}\n", ANSWER_COLUMNS.join(","));
    let workdir = Workdir::new();
    let api = Sandbox::new(unlimited_script());
    let retry = |text: &str| {
        let input = workdir.write_file("out.csv", text);
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        let ended = run(command.arg("--retry-failed"));
        (ended.status, std::fs::read_to_string(input).unwrap() == text)
    };
    let kept = format!("{header}x,13800138000,u1,,found,0,ok\ny,,,,invalid,,the cell is empty\n");
    assert_eq!(retry(&kept), (Some(0), true));
    let none = format!("{header}y,,,,failed,,busy\nz,n/a,,,failed,,busy\n");
    assert_eq!(retry(&none), (Some(3), true));
    let input = workdir.write_file("out.csv", &none);
    let mut command = api.resolve_without_output(&api.endpoint(), &input);
    let ended = run(command.args(["--retry-failed", "-c", "mobile"]));
    let message = "so there is nothing to retry (rows: 2); correct the numbers in this file";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    assert_eq!(retry(&header), (Some(3), true));
    assert_eq!(api.call_log().calls().len(), 0);
}

#[test]
fn a_pipe_without_a_number_ends_with_the_same_status() {
    let pipe = |text: &str, flags: &[&str]| -> RunOutput {
        let api = Sandbox::new(unlimited_script());
        let mut command = api.resolve(Path::new("-"), Path::new("-"));
        command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    };
    let ended = pipe("name,mobile\nx,n/a\ny,\n", &[]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("no cell in column 2 mobile"), "{}", ended.stderr);
    let ended = pipe("name,mobile\n", &[]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let ended = pipe("name,mobile\n", &["--allow-empty"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, format!("name,mobile,{}\n", ANSWER_COLUMNS.join(",")));
    let ended = pipe("name,mobile\nx,n/a\ny,13800138000\n", &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn an_input_without_rows_is_refused_unless_a_flag_accepts_it() {
    let names = ANSWER_COLUMNS.join(",");
    for (text, message) in [
        ("name,mobile\n", "the input has a header and no rows"),
        ("a,b\n", "the input has a header and no rows"),
        ("title\nname,mobile\n", "the input has a header and no rows"),
        ("", "the input is empty"),
        ("\u{feff}\n\n", "the input is empty"),
    ] {
        assert_refused(text, &[], message);
        assert_refused(text, &[], "--allow-empty");
        let (ended, output, calls) = resolve(text, &["--allow-empty"]);
        assert_eq!((ended.status, calls), (Some(0), 0), "{text}{}", ended.stderr);
        let expected = match text.trim_start_matches('\u{feff}').trim() {
            "" => text.to_owned(),
            header => format!("{header},{names}\n"),
        };
        assert_eq!(output, expected, "{text}");
        assert_eq!(plan(text, &["--allow-empty"]).status, Some(0), "{text}");
    }
    // Nobody is in it, and its rows come out.
    for (rows, reason) in [
        (",\n , \n", ",,,invalid,,the cell is empty"),
        ("合计,0\n", ",,,invalid,,\"a total (合计), not a person\""),
    ] {
        let text = format!("name,mobile\n{rows}");
        assert_refused(&text, &[], "no cell in column 2");
        let (ended, output, calls) = resolve(&text, &["--allow-empty"]);
        assert_eq!((ended.status, calls), (Some(0), 0), "{text}{}", ended.stderr);
        let rows = rows.replace('\n', &format!("{reason}\n"));
        assert_eq!(output, format!("name,mobile,{names}\n{rows}"));
    }
    // A person without a number is a row.
    assert_refused("name,mobile\nx,n/a\n", &["--allow-empty"], "no cell in column 2");
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", "name,mobile\n");
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    assert_eq!(run(command.env("DINGMAP_ALLOW_EMPTY", "1")).status, Some(0));
    let config = workdir.write_file("dingmap.toml", "allow-empty = true\n");
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    assert_eq!(run(command.arg("--config").arg(config)).status, Some(0));
}

#[test]
fn a_workbook_without_rows_is_accepted_by_a_flag() {
    let header = r#"<row r="1"><c t="inlineStr"><is><t>手机号</t></is></c></row>"#;
    for (cells, expected) in
        [("", String::new()), (header, format!("\u{feff}手机号,{}\r\n", ANSWER_COLUMNS.join(",")))]
    {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let book = build_workbook(&[("A", "visible", cells), ("B", "visible", "")]);
        let (input, output) = (workdir.write_file("in.xlsx", book), workdir.path("out.csv"));
        let ended = run(&mut api.resolve(&input, &output));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        let ended = run(api.resolve(&input, &output).arg("--allow-empty"));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), expected);
    }
}

#[test]
fn an_empty_result_is_accepted_for_a_retry() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.write_file("out.csv", "");
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    assert_eq!(run(command.arg("--retry-failed")).status, Some(3));
    let ended = run(command.arg("--allow-empty"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "");
}

#[test]
fn what_failed_leaves_is_accepted_each_night() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    // The column is known by its cells, which a header alone does not have.
    for text in
        ["name,mobile\nx,13800138000\n", "name,b\nx,13800138000\n", "t\n\na,手机\nx,13800138000\n"]
    {
        let (input, failed) = (workdir.write_file("in.csv", text), workdir.path("failed.csv"));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        assert_eq!(run(command.arg("--failed").arg(&failed)).status, Some(0));
        let again = |flags: &[&str]| {
            run(api.resolve(&failed, &workdir.path("again.csv")).args(flags)).status
        };
        assert_eq!(again(&[]), Some(3), "{text}");
        assert_eq!(again(&["--allow-empty"]), Some(0), "{text}");
        // With its answers, as --retry-failed leaves it.
        let output = workdir.path("out.csv");
        let mut command = api.resolve_without_output(&api.endpoint(), &output);
        let ended = run(command.args(["--retry-failed", "--failed"]).arg(&failed));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(again(&["--retry-failed"]), Some(3), "{text}");
        assert_eq!(again(&["--retry-failed", "--allow-empty"]), Some(0), "{text}");
    }
}
