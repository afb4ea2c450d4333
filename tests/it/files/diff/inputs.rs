//! The inputs of `diff` and its progress: sheets of workbooks, files without a header, longer rows,
//! empty ones, what could not be compared or written.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{diff_command, resolved_table, summary_count};
use crate::support::sandbox::run;
use crate::support::workbook::build_workbook;
use crate::support::workdir::Workdir;

/// A sheet whose rows have these cells, all texts.
fn sheet_xml(csv: &str) -> String {
    let cell = |cell: &str| format!(r#"<c t="inlineStr"><is><t>{cell}</t></is></c>"#);
    let row =
        |row: &str| format!("<row>{}</row>", row.split(',').map(cell).collect::<Vec<_>>().concat());
    csv.lines().map(row).collect::<Vec<_>>().concat()
}

#[test]
fn the_sheet_flag_applies_to_both_workbooks() {
    let workdir = Workdir::new();
    let book = |name: &str, userid: &str| {
        let staff = sheet_xml(&resolved_table(&[
            ("13800138000", userid, "found"),
            ("13800138001", "u1", "found"),
        ]));
        let cover = sheet_xml("a,b\nc,d\n");
        workdir.write_file(
            name,
            build_workbook(&[("cover", "visible", &cover), ("staff", "visible", &staff)]),
        )
    };
    let (old, new) = (book("old.xlsx", "before"), book("new.xlsx", "after"));
    let ended = run(diff_command(&old, &new).args(["--sheet", "staff"]));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    assert_eq!(
        (summary_count(&ended, "changed"), summary_count(&ended, "same")),
        (1, 1),
        "{}",
        ended.stderr
    );
    // Without it, the sheet with numbers counts, not the one before it.
    let ended = run(&mut diff_command(&old, &new));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    assert_eq!(summary_count(&ended, "changed"), 1, "{}", ended.stderr);
    let ended = run(diff_command(&old, &new).args(["--sheet", "cover"]));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no column \"userid\""), "{}", ended.stderr);
    let plain = workdir.write_file("plain.csv", resolved_table(&[("13800138000", "u", "found")]));
    let ended = run(diff_command(&plain, &new).args(["--sheet", "staff"]));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    let ended = run(diff_command(&plain, &plain).args(["--sheet", "staff"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--sheet chooses a sheet of an Excel workbook"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_incomparable_file_is_reported_with_a_remedy() {
    let workdir = Workdir::new();
    let good = workdir.write_file("good.csv", resolved_table(&[("13800138000", "u", "found")]));
    let bare = resolved_table(&[("13800138000", "u", "found")]);
    let bare = workdir.write_file("bare.csv", bare.split_once('\n').unwrap().1);
    let ended = run(&mut diff_command(&good, &bare));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let words = "line 1: this row is data and no header";
    assert!(
        ended.stderr.contains(words) && ended.stderr.contains("all 6 columns above it"),
        "{}",
        ended.stderr
    );
    // With that line above it, it is compared.
    let header = resolved_table(&[]);
    let named = workdir.write_file("named.csv", header + &fs::read_to_string(&bare).unwrap());
    assert_eq!(run(&mut diff_command(&good, &named)).status, Some(0));
    let long = workdir.write_file(
        "long.csv",
        resolved_table(&[("13800138000", "u", "found")]).replace(",ok", ",ok,more"),
    );
    let ended = run(&mut diff_command(&good, &long));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("line 2: cells in this row: 7, in the first row: 6"),
        "{}",
        ended.stderr
    );
    // A flag that it has not is not recommended.
    assert!(!ended.stderr.contains("or keep such rows whole with --flexible"), "{}", ended.stderr);
    assert!(ended.stderr.contains("give the first row as many cells"), "{}", ended.stderr);
}

#[test]
fn progress_is_reported_while_reading() {
    let workdir = Workdir::new();
    let rows = resolved_table(&[("13800138000", "u", "found"), ("13800138001", "u1", "found")]);
    let new = workdir.write_file("new.csv", &rows);
    let mut command = diff_command(Path::new("-"), &new);
    command
        .args(["--progress", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut old = child.stdin.take().unwrap();
    old.write_all(rows.as_bytes()).unwrap();
    old.flush().unwrap();
    // An object a second, as long as the old file has not ended: soon one that has its rows.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let actual = lines.by_ref().filter(|line| line.starts_with('{')).take(60).find_map(|line| {
        let actual: Value = serde_json::from_str(&line).unwrap();
        (actual["old_rows"] == 2).then_some(actual)
    });
    let actual = actual.unwrap();
    assert_eq!((&actual["new_rows"], &actual["compared"]), (&0.into(), &0.into()), "{actual}");
    drop(old);
    // And a last one when it is done.
    let objects = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let actual = objects.filter(|object| object["message"].is_null()).last().unwrap();
    assert_eq!(
        (&actual["old_rows"], &actual["new_rows"], &actual["compared"]),
        (&2.into(), &2.into(), &4.into())
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn incomparable_rows_count_against_max_change() {
    let workdir = Workdir::new();
    let known = [
        ("13800138000", "a", "found"),
        ("13800138001", "b", "found"),
        ("13800138002", "c", "found"),
    ];
    let open = known.map(|(number, _, _)| (number, "", "failed"));
    let (known, open) = (
        workdir.write_file("known.csv", resolved_table(&known)),
        workdir.write_file("open.csv", resolved_table(&open)),
    );
    let actual =
        "could not be compared: 3 of 3 rows (100.00 %); resolve --retry-failed asks them again";
    for (most, status) in
        [(&["--max-change", "5%"][..], 11), (&["--max-change", "100%"], 0), (&[], 0)]
    {
        let ended = run(diff_command(&known, &open).args(most));
        assert_eq!(ended.status, Some(status), "{most:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(actual), "{}", ended.stderr);
        let why = "known.csv could not be compared, which is more than --max-change 5%";
        assert_eq!(ended.stderr.contains(why), status == 11, "{}", ended.stderr);
    }
    let one = workdir.write_file("one.csv", resolved_table(&[("13800138000", "a", "found")]));
    let ended = run(&mut diff_command(&one, &one));
    assert!(ended.stderr.contains("\n1 row before, 1 now\n"), "{}", ended.stderr);
}

#[test]
fn empty_rows_and_hand_edited_statuses_are_accepted() {
    let workdir = Workdir::new();
    let text = resolved_table(&[("13800138000", "a", "found"), ("13800138001", "", "not_found")]);
    let edited = text.replace("found,0", " Found ,0").replace("not_ Found ", "NOT_FOUND")
        + ",,,,,\n , ,,,,\n";
    let (old, new) = (workdir.write_file("old.csv", &text), workdir.write_file("new.csv", edited));
    let ended = run(&mut diff_command(&old, &new));
    assert_eq!((ended.status, summary_count(&ended, "same")), (Some(0), 2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("rows without a key, skipped: 2 (lines 4, 5)"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_file_size_limit_ends_diff_without_leftovers() {
    let workdir = Workdir::new();
    let rows: Vec<_> = (0..2000).map(|n| format!("138{n:08}")).collect();
    let rows: Vec<_> = rows.iter().map(|number| (&**number, "u", "found")).collect();
    let (old, new) = (
        workdir.write_file("old.csv", resolved_table(&rows)),
        workdir.write_file("new.csv", resolved_table(&rows[..1])),
    );
    let command = diff_command(&old, &new);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 2; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    let ended = run(limited.arg("-o").arg(workdir.path("out.csv")));
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["new.csv", "old.csv"]);
}
