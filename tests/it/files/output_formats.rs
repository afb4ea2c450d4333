//! The format of an output is what its name says: text, compressed text or a workbook. Every other
//! name is refused before anything is read.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dingmap::testing::sandbox::{IdForm, Script, ScriptedAnswer};

use crate::support::compression::{gzip, zstd};
use crate::support::excel_workbook::ExcelWorkbook;
use crate::support::observed_run::assert_exit;
use crate::support::process::Process;
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::{build_workbook, read_sheet};
use crate::support::workdir::Workdir;

fn numeric_ids() -> Script {
    Script { id_form: IdForm::Numeric, ..unlimited_script() }
}

fn assert_refused(ended: &RunOutput, reason: &str) {
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(reason), "{reason}: {}", ended.stderr);
}

/// A workbook with a column of numbers.
fn workbook_of(numbers: &[&str]) -> Vec<u8> {
    let cell = |text: &str| format!("<row><c t=\"str\"><v>{text}</v></c></row>");
    let rows: String = ["手机号"].iter().chain(numbers).map(|text| cell(text)).collect();
    build_workbook(&[("在职", "visible", &rows), ("离职", "visible", &cell("张三"))])
}

fn decompressed(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if bytes.starts_with(b"\x1f\x8b") {
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        assert!(bytes.starts_with(b"\x28\xb5\x2f\xfd"), "not compressed");
        text = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap();
    }
    text
}

#[test]
fn a_new_workbook_has_the_cells_of_the_csv_output_and_every_digit_of_the_ids() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(numeric_ids()));
    let table = "工号,姓名,手机号,备注\n00001,王伟,13800138000,\"=1+1\n第二行\"\n\
                 00002,李娜,13800138090\n\n00003,张敏,1380013\n00004,刘洋,13800138096,\" 空格 \"\n";
    let input = workdir.write_file("staff.csv", table);
    let [text, workbook] = ["out.csv", "out.xlsx"].map(|name| workdir.path(name));
    for output in [&text, &workbook] {
        let ended = run(&mut api.resolve(&input, output));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        // Its cells are text, which no spreadsheet rounds.
        assert_eq!(ended.stderr.contains("Excel changes"), output == &text, "{}", ended.stderr);
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&text).unwrap();
    let expected: Vec<Vec<String>> = reader
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect();
    let rows = read_sheet(&workbook, "Result");
    assert_eq!(rows, expected);
    assert_eq!((&*rows[1][0], &*rows[1][3]), ("00001", "=1+1\n第二行"));
    let id = IdForm::Numeric.userid("13800138000");
    assert!(rows[1][4] == id && id.len() >= 17, "{:?}", rows[1]);
    let summary = read_sheet(&workbook, "Summary");
    let count = |name: &str| {
        let row = summary.iter().find(|row| row[0] == name).unwrap();
        row[1].clone()
    };
    assert_eq!(["found", "not_found", "invalid", "All rows"].map(count), ["2", "1", "1", "4"]);
    assert_eq!(workdir.file_names(), ["out.csv", "out.xlsx", "staff.csv"]);
}

#[test]
fn the_second_sheet_is_in_the_language_of_the_run() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(3));
    let output = workdir.path("out.xlsx");
    let ended = run(api.resolve(&input, &output).args(["--lang", "zh-CN"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let summary = read_sheet(&output, "汇总");
    assert_eq!(summary[0][..3], ["状态", "行数", "含义"]);
    assert_eq!(read_sheet(&output, "结果").len(), 4);
}

#[test]
fn two_runs_give_the_same_workbook_and_an_interrupted_one_does_too() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(400));
    let [one, two] = ["one.xlsx", "two.xlsx"].map(|name| workdir.path(name));
    let ended = run(api.resolve(&input, &one).arg("--no-state"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let stopped = run(api.resolve(&input, &two).args(["--max-calls", "150"]));
    assert_eq!(stopped.status, Some(6), "{}", stopped.stderr);
    let resumed = run(&mut api.resolve(&input, &two));
    assert_eq!(resumed.status, Some(0), "{}", resumed.stderr);
    assert!(fs::read(&two).unwrap() == fs::read(&one).unwrap(), "the bytes differ");
}

#[test]
fn a_run_that_is_killed_again_and_again_gives_the_same_bytes_and_leaves_no_file() {
    let seed = fastrand::u64(..);
    let mut dice = fastrand::Rng::with_seed(seed);
    for name in ["out.xlsx", "out.csv.gz", "out.csv.zst"] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(numeric_ids()));
        let input = workdir.write_file("staff.csv", staff_csv(300));
        let output = workdir.path(name);
        let whole = workdir.path(format!("whole-{name}"));
        let ended = run(api.resolve(&input, &whole).arg("--no-state"));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let mut command = api.resolve(&input, &output);
        command.args(["--rate", "200"]);
        let mut killed = 0;
        while killed < 4 {
            let mut process = Process::start(&mut command);
            std::thread::sleep(Duration::from_millis(dice.u64(50..600)));
            process.send_signal("KILL");
            if process.wait().status == Some(0) {
                break;
            }
            killed += 1;
        }
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "seed {seed}: {}", ended.stderr);
        assert!(fs::read(&output).unwrap() == fs::read(&whole).unwrap(), "seed {seed}: {name}");
        assert_eq!(workdir.file_names(), [name, "staff.csv", &format!("whole-{name}")]);
    }
}

#[test]
fn compressed_names_give_compressed_text() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(50));
    let plain = workdir.path("plain.csv");
    run(&mut api.resolve(&input, &plain));
    for name in ["out.csv.gz", "out.zst", "OUT.TXT.GZ"] {
        let output = workdir.path(name);
        let ended = run(&mut api.resolve(&input, &output));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(decompressed(&output), fs::read_to_string(&plain).unwrap(), "{name}");
    }
}

#[test]
fn other_names_are_refused_before_the_input_is_read() {
    let workdir = Workdir::new();
    let input = workdir.path("missing.csv");
    for (name, reason) in [
        ("out.xls", "a workbook of Excel 97 to 2003"),
        ("out.ods", "a spreadsheet of LibreOffice"),
        ("out.et", "a spreadsheet of WPS"),
        ("out.xlsb", "a binary workbook"),
        ("out.xlsm", "only the copy of an .xlsm"),
        ("out.xlsx.gz", "compressed already"),
        ("out.zip", "only to .gz and .zst"),
        ("out.json", "would not read it as .json"),
    ] {
        for flag in ["-o", "--failed"] {
            let mut command = dingmap();
            command.args(["resolve".as_ref(), input.as_os_str(), "--sandbox".as_ref()]);
            assert_refused(&run(command.arg(flag).arg(workdir.path(name))), reason);
        }
        let mut command = dingmap();
        command.args(["merge".as_ref(), input.as_os_str(), input.as_os_str(), "-o".as_ref()]);
        assert_refused(&run(command.arg(workdir.path(name))), reason);
    }
    // The format of one flag does not change that of the other.
    let mut command = dingmap();
    command.args(["resolve".as_ref(), input.as_os_str(), "--sandbox".as_ref()]);
    command.args(["--output-format", "xlsx", "-o"]).arg(workdir.path("out.csv"));
    assert_refused(&run(&mut command), "--output-format says xlsx");
    assert!(workdir.file_names().is_empty());
}

#[test]
fn a_name_never_promises_another_delimiter() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    for (delimiter, good, bad) in [(",", "out.csv", "out.tsv"), ("\t", "out.tsv.gz", "out.psv")] {
        let text = ["name", "mobile\na", "13800138000\n"].join(delimiter);
        let input = workdir.write_file("in", text);
        assert_exit(&run(&mut api.resolve(&input, &workdir.path(good))), 0, &[]);
        assert_refused(&run(&mut api.resolve(&input, &workdir.path(bad))), "another delimiter");
        let mut command = api.resolve(&input, &workdir.path(good));
        let ended = run(command.arg("--failed").arg(workdir.path(bad)));
        assert_refused(&ended, "another delimiter");
    }
    assert_eq!(api.call_log().calls().len(), 2);
}

#[test]
fn the_format_flag_says_what_standard_output_gets_and_changes_the_default_name() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(3));
    let output = api.resolve(&input, "-".as_ref()).args(["--output-format", "xlsx"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let piped = workdir.write_file("piped.xlsx", output.stdout);
    assert_eq!(read_sheet(&piped, "Result").len(), 4);
    let mut command = api.resolve_without_output(&api.endpoint(), &input);
    let ended = run(command.env("DINGMAP_OUTPUT_FORMAT", "xlsx"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["piped.xlsx", "staff.csv", "staff.resolved.xlsx"]);
    // A workbook without a name for its output, as before.
    let input = workdir.write_file("list.xlsx", workbook_of(&["13800138000"]));
    let ended = run(&mut api.resolve(&input, "-".as_ref()));
    assert!(ended.stdout.contains("\r\n13800138000,u00138000,,found,0,ok\r\n"), "{ended:?}");
    let mut command = api.resolve_without_output(&api.endpoint(), &input);
    let ended = run(command.args(["--output-format", "csv"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(read_rows(&workdir.path("list.resolved.csv"))[0]["userid"], "u00138000");
}

#[test]
fn the_rows_of_failed_are_in_the_format_of_its_own_name() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", "工号,手机号\n007,13800138000\n008,13800138094\n");
    let (output, failed) = (workdir.path("out.csv"), workdir.path("failed.xlsx"));
    let mut command = api.resolve(&input, &output);
    let ended = run(command.args(["--max-retries", "0", "--failed"]).arg(&failed));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(read_sheet(&failed, "1"), [["工号", "手机号"], ["008", "13800138094"]]);
    // It is the input of the next try.
    let ended = run(api.resolve(&failed, &output).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(read_rows(&output).len(), 1);
}

#[test]
fn an_output_over_its_input_has_the_format_of_the_name() {
    let table = "tel,note\n13800138000,a\n13800138094,b\n";
    for (name, content) in [
        ("staff.csv", table.as_bytes().to_vec()),
        ("staff.csv.gz", gzip(table.as_bytes())),
        ("staff.csv.zst", zstd(table.as_bytes())),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let input = workdir.write_file(name, content);
        let ended = run(api.resolve(&input, &input).args(["--max-retries", "0"]));
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
        // In place, too.
        api.update_script(|script| {
            script.push_answers("13800138094", [ScriptedAnswer::code(60121)]);
        });
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        let ended = run(command.arg("--retry-failed"));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let text = if name == "staff.csv" {
            fs::read_to_string(&input).unwrap()
        } else {
            decompressed(&input)
        };
        assert!(text.contains("\n13800138000,a,u00138000,,found,0,ok\n"), "{text}");
        assert!(text.contains("\n13800138094,b,,,not_found,60121,"), "{text}");
        assert_eq!(workdir.file_names(), [name]);
    }
}

#[test]
fn text_never_replaces_a_workbook() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let content = workbook_of(&["13800138000"]);
    let input = workdir.write_file("staff.csv", &content);
    assert_refused(&run(&mut api.resolve(&input, &input)), "would replace all its sheets");
    let mut command = api.resolve_without_output(&api.endpoint(), &input);
    assert_refused(&run(command.arg("--retry-failed")), "would replace all its sheets");
    assert!(fs::read(&input).unwrap() == content);
    // Nor another workbook, whatever its name is.
    let list = workdir.write_file("list.csv", "手机号\n13800138000\n");
    let refused = "this file is a workbook now";
    assert_refused(&run(&mut api.resolve(&list, &input)), refused);
    let output = workdir.path("out.csv");
    assert_refused(&run(api.resolve(&list, &output).arg("--failed").arg(&input)), refused);
    let diff = |command: &mut std::process::Command| {
        run(command.arg(&list).arg(&list).arg("-o").arg(&input))
    };
    assert_refused(&diff(dingmap().arg("diff")), refused);
    assert_refused(&diff(dingmap().arg("merge")), refused);
    assert!(fs::read(&input).unwrap() == content);
    assert!(api.call_log().calls().is_empty());
}

#[test]
fn the_content_says_whether_a_workbook_has_macros() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let main = "spreadsheetml.sheet.main+xml";
    let plain = ExcelWorkbook::staff_list();
    let macros = plain.clone().with(
        "[Content_Types].xml",
        &format!("application/vnd.openxmlformats-officedocument.{main}"),
        "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    );
    let resolve = |input: &Path, output: &str| run(&mut api.resolve(input, &workdir.path(output)));
    let input = workdir.write_file("a.xlsx", macros.pack());
    assert_refused(&resolve(&input, "out.xlsx"), "a workbook with macros");
    assert_eq!(resolve(&input, "out.xlsm").status, Some(0));
    assert_eq!(run(&mut api.resolve_without_output(&api.endpoint(), &input)).status, Some(0));
    assert!(workdir.path("a.resolved.xlsm").exists());
    let input = workdir.write_file("b.xlsm", plain.pack());
    assert_refused(&resolve(&input, "out.xlsm"), "a workbook without macros, whatever its name");
    assert_eq!(run(&mut api.resolve_without_output(&api.endpoint(), &input)).status, Some(0));
    assert!(workdir.path("b.resolved.xlsx").exists());
}

#[test]
fn answers_of_a_new_workbook_are_below_their_header_however_long_rows_are() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let text = "姓名,手机号\n甲,13800138000\n乙,13800138001,备注,x\n丙\n";
    let (input, output) = (workdir.write_file("a.csv", text), workdir.path("a.xlsx"));
    let ended = run(api.resolve(&input, &output).arg("--flexible"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let rows = read_sheet(&output, "Result");
    for row in &rows {
        assert_eq!(row.len(), 9, "{rows:?}");
    }
    assert_eq!([&rows[0][4], &rows[1][4], &rows[2][4]], ["userid", "u00138000", "u00138001"]);
    // The result can be corrected: its rows are as long as its header.
    let command = ended.stderr.lines().find(|line| line.contains("correct the number in"));
    assert!(command.is_some_and(|line| !line.contains("--flexible")), "{}", ended.stderr);
}

#[test]
fn flags_about_text_have_no_effect_on_a_workbook() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(2));
    let mut command = api.resolve(&input, &workdir.path("out.xlsx"));
    let ended = run(command.args(["--excel-safe", "--output-encoding", "gb18030"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for flag in ["--excel-safe", "--output-encoding"] {
        let warning = format!("warning: {flag} has no effect: the output is a workbook");
        assert!(ended.stderr.contains(&warning), "{}", ended.stderr);
    }
    let mut command = api.resolve(&input, &workdir.path("lossy.xlsx"));
    assert_refused(&run(command.arg("--lossy-cells")), "which a workbook cannot hold");
}

#[test]
fn a_cell_that_a_workbook_cannot_hold_is_an_error_with_its_place() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let long = "x".repeat(32_768);
    let table = format!("tel,note\n13800138000,a\n13800138001,{long}\n");
    let input = workdir.write_file("staff.csv", table);
    let output = workdir.path("out.xlsx");
    let ended = run(&mut api.resolve(&input, &output));
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 3: column 2: a cell of a workbook"), "{}", ended.stderr);
    assert!(!output.exists());
}

#[test]
fn differences_are_text_and_both_formats_are_compared() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(numeric_ids()));
    let input = workdir.write_file("staff.csv", staff_csv(20));
    let [text, workbook] = ["old.csv", "new.xlsx"].map(|name| workdir.path(name));
    for output in [&text, &workbook] {
        let ended = run(&mut api.resolve(&input, output));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let diff = |files: [&Path; 2], flags: &[&str]| {
        let mut command = dingmap();
        command.arg("diff").args(files).args(flags);
        run(&mut command)
    };
    for files in [[&*text, &*workbook], [&*workbook, &*text]] {
        for flags in [&[][..], &["--sheet", "Result"]] {
            let ended = diff(files, flags);
            assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        }
    }
    let changes = workdir.path("changes.csv.gz");
    let ended = diff([&text, &workbook], &["-o", changes.to_str().unwrap()]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(decompressed(&changes).starts_with("change,"));
    let refused = diff([&text, &workbook], &["-o", workdir.path("changes.xlsx").to_str().unwrap()]);
    assert_refused(&refused, "the output is text");
    // A result is recognized in a compressed file, too.
    let result = workdir.path("result.csv.gz");
    run(&mut api.resolve(&input, &result));
    let refused = diff([&text, &workbook], &["-o", result.to_str().unwrap()]);
    assert_refused(&refused, "was written by resolve");
}

#[test]
fn shards_are_text_and_merge_writes_the_workbook() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(numeric_ids()));
    let input = workdir.write_file("staff.csv", staff_csv(30));
    let [whole, merged] = ["whole.xlsx", "merged.xlsx"].map(|name| workdir.path(name));
    run(&mut api.resolve(&input, &whole));
    for shard in ["0/2", "1/2"] {
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        let ended = run(command.args(["--shard", shard, "--excel-safe"]));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let mut command = api.resolve(&input, &workdir.path("shard.xlsx"));
        assert_refused(&run(command.args(["--shard", shard])), "the rows of a shard are CSV");
    }
    let mut command = dingmap();
    command.arg("merge").arg(&input);
    command
        .args(["staff.resolved.0-of-2.csv", "staff.resolved.1-of-2.csv"].map(|n| workdir.path(n)));
    let ended = run(command.arg("-o").arg(&merged));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(fs::read(&merged).unwrap() == fs::read(&whole).unwrap(), "the bytes differ");
}

#[test]
fn a_reader_of_a_workbook_that_ends_early_is_an_output_error() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("staff.csv", staff_csv(3000));
    let mut command = api.resolve(&input, "-".as_ref());
    command.args(["--output-format", "xlsx"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ended: RunOutput = child.wait_with_output().unwrap().into();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(!ended.stderr.contains("error"), "{ended:?}");
}

#[test]
fn the_rows_of_a_pipe_become_a_workbook() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("out.xlsx");
    let mut child =
        api.resolve("-".as_ref(), &output).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().unwrap();
    child.stdin.take().unwrap().write_all(b"tel\n13800138000\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(read_sheet(&output, "1")[1][..2], ["13800138000", "u00138000"]);
}
