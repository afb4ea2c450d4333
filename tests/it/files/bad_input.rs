//! Input that cannot be read: exit status 3, the line and what to do about it, and not one call.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::compression::gzip;
use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::observed_run::{assert_exit, assert_redacted, observe_run, people_csv};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn a_missing_input_file_is_reported() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let ended = run(&mut api.resolve(&workdir.path("staff.csv"), &workdir.path("out.csv")));
    assert_exit(&ended, 3, &["staff.csv", "No such file"]);
    assert_eq!((workdir.file_names(), api.call_log().token_calls().len()), (vec![], 0));
}

#[test]
fn a_directory_as_input_is_rejected() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    std::fs::create_dir(workdir.path("staff")).unwrap();
    let ended = run(&mut api.resolve(&workdir.path("staff"), &workdir.path("out.csv")));
    assert_exit(&ended, 3, &["staff", "directory"]);
    assert_eq!(
        (workdir.file_names(), api.call_log().token_calls().len()),
        (vec!["staff".to_owned()], 0)
    );
}

#[test]
fn a_missing_column_is_reported_with_the_existing_ones() {
    for column in ["手机号", "9", "0", ""] {
        let seen = observe_run(unlimited_script(), "name,mobile\na,13800138000\n", |command| {
            command.args(["-c", column]);
        });
        seen.assert_refused(3, &["1 name, 2 mobile", "--column"]);
        seen.assert_no_calls();
    }
    let seen = observe_run(unlimited_script(), "a,13800138000\nb,13800138001\n", |command| {
        command.args(["-n", "-c", "mobile"]);
    });
    seen.assert_refused(3, &["no header", "mobile", "from 1 to 2"]);
    seen.assert_no_calls();
}

#[test]
fn an_ambiguous_column_is_not_guessed() {
    for (text, flags, words) in [
        ("手机号,mobile\n13800138000,13900139000\n", &[][..], ["1 手机号", "2 mobile"]),
        ("phone,n,phone\n13800138000,1,13900139000\n", &["-c", "phone"], ["1 phone", "3 phone"]),
        ("colour,city\nred,Rome\n", &[], ["1 colour", "2 city"]),
        ("姓名,座机,直属上级手机\n甲,,13800138000\n", &[], ["3 直属上级手机", "--column"]),
        ("Name,Emergency Contact Phone\nA,13800138000\n", &[], ["other people", "--column"]),
        // Without a header there is nothing to go by but the cells, and those are masked.
        ("13800138000,13900139000\n", &[], ["1 (138****8000), 2 (139****9000)", "--column"]),
    ] {
        let seen = observe_run(unlimited_script(), text, |command| {
            command.args(flags);
        });
        seen.assert_refused(3, &words);
        seen.assert_no_calls();
    }
}

#[test]
fn an_empty_input_is_rejected() {
    for text in ["", "\u{feff}", "\n\r\n", "\u{feff}\n"] {
        let seen = observe_run(unlimited_script(), text, |_| ());
        seen.assert_refused(3, &["empty"]);
        seen.assert_no_calls();
    }
}

#[test]
fn a_header_without_rows_is_accepted_by_a_flag() {
    for (text, expected) in [
        ("name,phone\n", format!("name,phone,{}\n", ANSWER_COLUMNS.join(","))),
        ("name,phone", format!("name,phone,{}", ANSWER_COLUMNS.join(","))),
        (
            "\u{feff}姓名;手机\r\n\r\n",
            format!("\u{feff}姓名;手机;{}\r\n\r\n", ANSWER_COLUMNS.join(";")),
        ),
    ] {
        let seen = observe_run(unlimited_script(), text, |command| {
            command.arg("--allow-empty");
        });
        seen.assert_stderr(0, &[]);
        assert_eq!(seen.output.as_ref(), Some(&expected));
        seen.assert_no_calls();
    }
}

#[test]
fn a_ragged_row_is_reported_before_the_first_call() {
    let many = "a,13800138000\n".repeat(3000);
    for (text, line) in [
        ("name,phone\na,13800138000\nb,13800138002,more\n".to_owned(), "line 3"),
        // Lines are those that an editor shows, whatever rows they belong to.
        ("name,phone\n\"a\nb\",13800138000\n\nc,1,x\n".to_owned(), "line 5"),
        (format!("name,phone\n{many}b,,13800138001\n"), "line 3002"),
    ] {
        let seen = observe_run(unlimited_script(), text, |_| ());
        seen.assert_refused(3, &[line, "in.csv", "cells"]);
        seen.assert_no_calls();
    }
}

#[test]
fn a_ragged_row_in_a_pipe_is_reported_with_its_line() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let mut command = api.resolve("-".as_ref(), &workdir.path("out.csv"));
    let mut child =
        command.arg("-vvv").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = format!("{}1,2,3\n", people_csv(200));
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let ended = child.wait_with_output().unwrap().into();
    assert_exit(&ended, 3, &["standard input", "line 202"]);
    assert_redacted(&ended, &api.call_log(), text.as_bytes());
    assert!(!workdir.path("out.csv").exists());
}

#[test]
fn a_ragged_row_in_a_pipe_leaves_nothing_behind() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    // Rows so wide that most often something is left to write when the ragged one is met; hence the
    // repeats.
    let wide = format!("{},13800138000\n", "x".repeat(100_000)).repeat(60);
    let input = workdir.write_file("in.csv", format!("note,phone\n{wide}1,2,3\n"));
    for _ in 0..20 {
        let mut command = api.resolve("-".as_ref(), &workdir.path("out.csv"));
        let ended = run(command.stdin(File::open(&input).unwrap()));
        assert_exit(&ended, 3, &["line 62"]);
        assert_eq!(workdir.file_names(), ["in.csv"]);
    }
}

#[test]
fn invalid_utf_8_is_reported_with_its_line() {
    for (text, line) in [
        (&b"name,phone\na,13800138000\n\xFF,13800138001\n"[..], "line 3"),
        (b"name\xFF,phone\na,13800138000\n", "line 1"),
        (b"name,phone\n\"a\nb\xC3\",13800138000\n", "line 3"),
    ] {
        let seen = observe_run(unlimited_script(), text, |_| ());
        seen.assert_refused(3, &[line, "UTF-8"]);
        seen.assert_no_calls();
    }
}

#[test]
fn binary_files_are_reported_by_their_format() {
    for (bytes, words) in [
        (b"\xFF\xFE\0\0a\0\0\0".to_vec(), ["UTF-32", "UTF-8"]),
        (b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml".to_vec(), ["workbook", "damaged"]),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0".to_vec(), ["old Excel workbook", ".xlsx"]),
        (b"\x1F\x8B\x08\0\0\0\0\0\0\x03abc".to_vec(), ["gzip", "line 1"]),
    ] {
        let seen = observe_run(unlimited_script(), bytes, |_| ());
        seen.assert_refused(3, &words);
        seen.assert_no_calls();
    }
}

/// Files that people and programs give in place of a table: their content, and what a run says of
/// them.
const NO_TABLES: [(&[u8], [&str; 2]); 16] = [
    (
        b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\">\n<body><table>\n<tr><th>\xE6\
          \x89\x8B\xE6\x9C\xBA\xE5\x8F\xB7</th></tr>\n<tr><td>13800000020</td></tr>\n\
          </table></body></html>\n",
        ["web page", "Excel workbook (.xlsx)"],
    ),
    (b"\r\n\r\n<!-- \xB5\xC7\xC2\xBC -->\r\n<!DOCTYPE HTML>\r\n", ["web page", "login"]),
    (
        b"<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook>\n",
        ["XML Spreadsheet 2003", "Excel workbook (.xlsx)"],
    ),
    (b"{\"errcode\":40014,\"errmsg\":\"expired\"}", ["JSON", "as CSV"]),
    (b"%PDF-1.7\n1 0 obj\n", ["PDF", "as CSV"]),
    (b"{\\rtf1\\ansi\n13800138000\n}", ["RTF", "as CSV"]),
    (b"SQLite format 3\0\x10\0\x01\x01\0\x40\n", ["a database (SQLite)", "as CSV"]),
    (b"7z\xBC\xAF\x27\x1C\0\x04\n", ["an archive (7z)", "unpack"]),
    (b"<%@ page %>\n<html><tr><td>13800138000</td></tr>\n", ["web page", "login"]),
    (b"\xE2\x80\x8B<table>\n<tr><td>13800138000</td></tr>\n", ["web page", "login"]),
    (b"{'mobile': '13800138000'}\n{'mobile': '13900004011'}\n", ["JSON", "as CSV"]),
    (b"\r\nxx%PDF-1.4\n1 0 obj 13800138000\n", ["PDF", "as CSV"]),
    (b"\r\nPK\x03\x04\x14\0\x06\0", ["other bytes before it", "Excel workbook (.xlsx)"]),
    (b"version https://git-lfs.github.com/spec/v1\nsize 13800138000\n", ["LFS", "git lfs pull"]),
    (b"<\xE5\x91\x98>\n<m>13800138000</m>\n</\xE5\x91\x98>\n", ["an XML file", "as CSV"]),
    (&[0; 600], ["zero bytes only", "copy or export it again"]),
];

#[test]
fn a_file_that_is_no_table_is_refused_under_any_name_and_from_a_pipe() {
    for (bytes, words) in NO_TABLES {
        for (name, content) in [
            ("in.csv", bytes.to_vec()),
            ("in.xls", bytes.to_vec()),
            ("in.xlsx", bytes.to_vec()),
            ("in.csv.gz", gzip(bytes)),
        ] {
            let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
            let input = workdir.write_file(name, &content);
            let output = workdir.write_file("out.csv", "of last night\n");
            let ended = run(&mut api.resolve(&input, &output));
            assert_exit(&ended, 3, &[name, "which dingmap cannot read", words[0], words[1]]);
            assert_eq!(std::fs::read_to_string(&output).unwrap(), "of last night\n");
            let ended = run(dingmap().args(["plan", "--no-state"]).arg(&input));
            assert_exit(&ended, 3, &words);
            let mut command = api.resolve("-".as_ref(), "-".as_ref());
            let ended = run(command.stdin(File::open(&input).unwrap()));
            assert_exit(&ended, 3, &["standard input", words[0], words[1]]);
            assert_eq!(ended.stdout, "");
            assert!(api.call_log().token_calls().is_empty());
        }
    }
}

#[test]
fn a_row_beyond_the_limits_is_reported_with_the_limit() {
    for (text, limit) in [
        (format!("phone\n{}\n", ",".repeat(4_000_000)), "16384 cells, the limit of a row"),
        (format!("{}\n13800138000\n", ",".repeat(20_000)), "16384 cells, the limit of a row"),
        (format!("phone\n\"{}\n", "x".repeat(17 << 20)), "16 MiB, the limit of a row"),
    ] {
        let seen = observe_run(unlimited_script(), text, |_| ());
        seen.assert_refused(3, &["line ", limit]);
        seen.assert_no_calls();
    }
}

#[test]
fn a_table_whose_header_has_brackets_is_read() {
    for text in [
        "<name>,<mobile>\na,13800138000\n",
        "{name},mobile\na,13800138000\n",
        "[name],mobile\na,13800138000\n",
        "ID;Phone\n1;13800138000\n",
        "%PDF-Name,mobile\na,13800138000\n",
        "GIF89a,mobile\na,13800138000\n",
        "BEGIN:VCARD,mobile\na,13800138000\n",
        "<b>a</b>,13800138000\n",
        "<a href=x>name</a>,mobile\na,13800138000\n",
    ] {
        let seen = observe_run(unlimited_script(), text, |_| ());
        seen.assert_stderr(0, &["found                1"]);
    }
}

#[test]
fn a_table_that_is_taken_for_another_type_is_read_once_its_column_is_named() {
    let text = "<script>x</script>,13800138000\n<b>y</b>,13900004011\n";
    let seen = observe_run(unlimited_script(), text, |_| ());
    seen.assert_refused(3, &["a web page", "if it is a table all the same", "--column"]);
    seen.assert_no_calls();
    for flag in [["-c", "2"], ["-d", ","]] {
        let seen = observe_run(unlimited_script(), text, |command| {
            command.args(flag);
        });
        seen.assert_stderr(0, &["found                2"]);
    }
    // The flags alone do not make a table of a web page.
    let page = "<table>\n<tr><td>13800138000</td></tr>\n</table>\n";
    for flag in [["-c", "1"], ["-d", ","]] {
        let seen = observe_run(unlimited_script(), page, |command| {
            command.args(flag);
        });
        seen.assert_refused(3, &["a web page", "login"]);
    }
}

#[test]
fn an_old_workbook_in_a_pipe_that_stays_open_is_refused_at_once() {
    let api = Sandbox::new(unlimited_script());
    let mut command = api.resolve("-".as_ref(), "-".as_ref());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"\xD0\xCF\x11\xE0").unwrap();
    let mut errors = child.stderr.take().unwrap();
    let mut message = String::new();
    // The pipe is open until the process has ended.
    std::io::Read::read_to_string(&mut errors, &mut message).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{message}");
    assert!(message.contains("an old Excel workbook (.xls), or a workbook with a password"));
    drop(input);
}

#[test]
fn an_unclosed_quote_is_reported_with_its_line() {
    let seen = observe_run(
        unlimited_script(),
        "name,phone\na,13800138000\n\"b,13800138001\nc,13800138002\n",
        |_| (),
    );
    seen.assert_refused(3, &["line 3", "quote"]);
    seen.assert_no_calls();
}

#[test]
fn bad_input_in_a_pipe_is_reported() {
    let workdir = Workdir::new();
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04", "Excel"),
        (b"a,b\nc,d\n", "--column"),
        (b"\"phone\n1380", "quote"),
    ] {
        let api = Sandbox::new(unlimited_script());
        let mut command = api.resolve("-".as_ref(), "-".as_ref());
        let ended = run(command.stdin(File::open(workdir.write_file("in", bytes)).unwrap()));
        assert_exit(&ended, 3, &["standard input", word]);
        assert_eq!((ended.stdout.as_str(), api.call_log().token_calls().len()), ("", 0));
    }
}
