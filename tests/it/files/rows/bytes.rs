//! The input's bytes come out as they are: each row with the five cells behind it, in any dialect
//! that files come in.

use super::{read_text, resolve_text};
use crate::support::expected_rows::{ExpectedTable, expected_answer, invalid_answer};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// A table with quoted delimiters, quotes and line ends, in a given dialect.
fn table_with_quotes(delimiter: char, end: &'static str, bom: bool) -> ExpectedTable {
    let header = match delimiter {
        ',' => "id,\"name, full\",手机号,note",
        ';' => "id;\"name; full\";手机号;note",
        '\t' => "id\t\"name\t full\"\t手机号\tnote",
        _ => "id|\"name| full\"|手机号|note",
    };
    let mut table = ExpectedTable {
        bom,
        delimiter,
        line_end: end,
        header: Some(header),
        ..ExpectedTable::default()
    };
    let d = delimiter;
    for (n, number) in
        ["13800138000", "13800138097", "13800138090", "13800138292"].into_iter().enumerate()
    {
        table.push_row(
            &format!("{n}{d}\"Wang{d} Li\"{d}{number}{d}"),
            expected_answer(number, true),
        );
        table.push_row(
            &format!("{n}{d}\"two{end}lines, a \"\"word\"\"\"{d}\"{number}\"{d} sp ace "),
            expected_answer(number, true),
        );
    }
    table.push_row(&format!("x{d}é 王{d}{d}\"\""), invalid_answer("the cell is empty"));
    table
}

#[test]
fn every_row_keeps_its_bytes_in_any_dialect() {
    for delimiter in [',', ';', '\t', '|'] {
        for (end, bom, ends) in [
            ("\n", false, true),
            ("\r\n", false, true),
            ("\n", true, false),
            ("\r\n", true, true),
            ("\r\n", false, false),
            ("\r", false, true),
        ] {
            let table =
                ExpectedTable { ends_with_newline: ends, ..table_with_quotes(delimiter, end, bom) };
            let (ended, output, call_log) = resolve_text(&table.input_text(), |_| ());
            let dialect = format!("{delimiter:?} {end:?} mark: {bom} last end: {ends}");
            assert_eq!(output, table.output_text(), "{dialect}\n{}", ended.stderr);
            assert_eq!((ended.status, call_log.calls().len()), (Some(0), 4), "{dialect}");
        }
    }
}

#[test]
fn a_headerless_table_gets_no_header() {
    for (flags, first) in [(&["-n"][..], "13800138000"), (&[], "13800138000"), (&["-n"], "left")] {
        let mut table = ExpectedTable { header: None, ..ExpectedTable::default() };
        let cells = if first == "13800138000" {
            expected_answer(first, true)
        } else {
            invalid_answer(
                "not a phone number: it has characters other than digits and + - ( ) . and spaces",
            )
        };
        table.push_row(&format!("A,{first}"), cells);
        table.push_row("B,13800138090", expected_answer("13800138090", true));
        table.push_row("C,13800138089", expected_answer("13800138089", true));
        let (ended, output, _) = resolve_text(&table.input_text(), |command| {
            command.args(flags);
        });
        assert_eq!(
            (ended.status, output),
            (Some(0), table.output_text()),
            "{flags:?} {}",
            ended.stderr
        );
    }
}

#[test]
fn a_blank_line_is_a_row_where_there_is_one_column() {
    let mut table = ExpectedTable { header: Some("手机"), ..ExpectedTable::default() };
    table.push_number("13800138000");
    table.push_row("", invalid_answer("the cell is empty"));
    table.push_number("13800138001");
    table.push_row("", invalid_answer("the cell is empty"));
    let (ended, output, _) = resolve_text(&table.input_text(), |_| ());
    assert_eq!((ended.status, output), (Some(0), table.output_text()), "{}", ended.stderr);
}

#[test]
fn blank_lines_between_wider_rows_pass_through() {
    let text = "\n\nname,phone\r\n\r\na,13800138000\n\n\nb,13800138090\r\n\n";
    let (ended, output, _) = resolve_text(text, |_| ());
    let expected = "\n\nname,phone,userid,exclusive_userids,status,errcode,errmsg\r\n\r\n\
                    a,13800138000,u00138000,,found,0,ok\n\n\n\
                    b,13800138090,,,not_found,60121,找不到该用户\r\n\n";
    assert_eq!((ended.status, output.as_str()), (Some(0), expected), "{}", ended.stderr);
}

#[test]
fn line_ends_may_differ_from_row_to_row() {
    let text = "name,phone\na,13800138000\r\nb,13800138001\rc,13800138002\nd,13800138003";
    let (ended, output, _) = resolve_text(text, |_| ());
    let expected = "name,phone,userid,exclusive_userids,status,errcode,errmsg\n\
                    a,13800138000,u00138000,,found,0,ok\r\nb,13800138001,u00138001,,found,0,ok\r\
                    c,13800138002,u00138002,,found,0,ok\nd,13800138003,u00138003,,found,0,ok";
    assert_eq!((ended.status, output.as_str()), (Some(0), expected), "{}", ended.stderr);
}

#[test]
fn appended_names_avoid_columns_of_the_input() {
    let (ended, output, _) = resolve_text(
        "userid,phone, Status ,dingtalk_userid\nold,13800138000,active,older\n",
        |_| (),
    );
    let expected = "userid,phone, Status ,dingtalk_userid,\
                    dingtalk_dingtalk_userid,exclusive_userids,dingtalk_status,errcode,errmsg\n\
                    old,13800138000,active,older,u00138000,,found,0,ok\n";
    assert_eq!((ended.status, output.as_str()), (Some(0), expected), "{}", ended.stderr);
}

#[test]
fn an_output_can_be_an_input_again() {
    let workdir = Workdir::new();
    let api = Sandbox::new(unlimited_script());
    let (first, second) = (workdir.path("1.csv"), workdir.path("2.csv"));
    run(&mut api
        .resolve(&workdir.write_file("in.csv", "name,phone\n\"a, b\",13800138097\nc,n\n"), &first));
    let ended = run(&mut api.resolve(&first, &second));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let (before, after) = (read_text(&first), read_text(&second));
    for (before, after) in before.lines().zip(after.lines()) {
        assert!(after.starts_with(before), "{after}");
    }
    assert!(
        after
            .lines()
            .next()
            .unwrap()
            .contains(",dingtalk_userid,dingtalk_exclusive_userids,dingtalk_status,")
    );
    assert_eq!((before.lines().count(), after.lines().count()), (3, 3));
}

#[test]
fn odd_cells_keep_their_bytes() {
    // A quote inside an unquoted cell, spaces around cells, a NUL, a mark in the middle, and emoji.
    let text = "note,phone\n5\" nail,13800138000\n  a  , 13800138001 \
        \n\0\u{feff},13800138002\n👩‍💼,13800138003\n";
    let (ended, output, _) = resolve_text(text, |_| ());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for (n, (line, before)) in output.lines().zip(text.lines()).enumerate().skip(1) {
        assert_eq!(line, format!("{before},u0013800{},,found,0,ok", n - 1));
    }
}
