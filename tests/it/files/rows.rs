//! The row contract (guide: architecture) on the real executable: what each row gets, and how its
//! number is read and asked for.

mod bytes;
mod input_output;
mod random_runs;

use std::path::Path;
use std::process::Command;

use dingmap::testing::sandbox::CallLog;
use dingmap::testing::sandbox::ScriptedAnswer;

use crate::support::expected_rows::{ExpectedTable, expected_answer, invalid_answer};
use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Resolves `text` against an unlimited sandbox: how it ended, the output, and what arrived.
fn resolve_text(text: &str, set: impl FnOnce(&mut Command)) -> (RunOutput, String, CallLog) {
    resolve_against(&Sandbox::new(unlimited_script()), text, set)
}

fn resolve_against(
    api: &Sandbox,
    text: &str,
    set: impl FnOnce(&mut Command),
) -> (RunOutput, String, CallLog) {
    let workdir = Workdir::new();
    let output = workdir.path("out.csv");
    let mut command = api.resolve(&workdir.write_file("in.csv", text), &output);
    set(&mut command);
    let ended = run(&mut command);
    assert_eq!(workdir.file_names(), ["in.csv", "out.csv"], "{}", ended.stderr);
    (ended, read_text(&output), api.call_log())
}

fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The numbers that were asked for, in the order of their first call.
fn asked_numbers(call_log: &CallLog) -> Vec<String> {
    let mut asked: Vec<String> = Vec::new();
    for call in call_log.calls() {
        if !asked.iter().any(|number| **number == *call.number) {
            asked.push(call.number.to_string());
        }
    }
    asked
}

#[test]
fn every_directory_answer_becomes_a_row() {
    let mut table = ExpectedTable { header: Some("phone"), ..ExpectedTable::default() };
    for ending in (90..100).chain([0, 89, 12]) {
        table.push_number(&format!("138001382{ending:02}"));
    }
    table.push_row("", invalid_answer("the cell is empty"));
    table.push_row(
        "1.38E+10",
        invalid_answer("1.38E+10: Excel rounded this number; restore it from the source"),
    );
    table.push_number("13800138100");
    let (ended, output, call_log) = resolve_text(&table.input_text(), |_| ());
    assert_eq!((ended.status, output), (Some(4), table.output_text()), "{}", ended.stderr);
    for (number, calls) in [
        ("13800138290", 1),
        ("13800138291", 1),
        ("13800138292", 1),
        ("13800138293", 1),
        ("13800138294", 6),
        ("13800138295", 3),
        ("13800138296", 1),
        ("13800138297", 1),
        ("13800138298", 1),
        ("13800138299", 3),
        ("13800138200", 1),
    ] {
        assert_eq!(call_log.calls_for(number).count(), calls, "{number}");
    }
    assert_eq!(call_log.distinct_numbers(), 14);
    assert!(call_log.calls().iter().all(|call| call.exclusive == Some(true)));
}

#[test]
fn statuses_and_codes_match_the_contract() {
    let workdir = Workdir::new();
    let api = Sandbox::new(unlimited_script());
    let numbers =
        (90..100).map(|ending| format!("139001390{ending}\n")).collect::<Vec<_>>().concat();
    let output = workdir.path("out.csv");
    run(&mut api.resolve(
        &workdir.write_file("in.csv", format!("mobile\n{numbers}13900139000\n")),
        &output,
    ));
    // Once more in plain words: a mistake in `answers` must not agree with the same mistake in the
    // program.
    let seen: Vec<_> = read_rows(&output)
        .iter()
        .map(|row| {
            format!(
                "{}|{}|{}|{}",
                row["status"], row["errcode"], row["userid"], row["exclusive_userids"]
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "not_found|60121||",
            "not_found|60121||",
            "bad_number|40104||",
            "out_of_scope|50002||",
            "failed|-1||",
            "found|0|u00139095|",
            "found|0||ex1-00139096;ex2-00139096",
            "found|0|u00139097|ex1-00139097;ex2-00139097",
            "not_found|0||",
            "failed|34567||",
            "found|0|u00139000|",
        ]
    );
}

#[test]
fn api_messages_are_written_unchanged() {
    let mut script = unlimited_script();
    script.push_answers("13800138001", [ScriptedAnswer::wrapped("400002")]);
    script.push_answers(
        "13800138002",
        [ScriptedAnswer::Code { code: 33012, msg: "she said \"no\", twice;\nand left".to_owned() }],
    );
    script.push_answers("13800138003", vec![ScriptedAnswer::wrapped("isp.timeout"); 6]);
    let (ended, output, _) = resolve_against(
        &Sandbox::new(script),
        "phone\n13800138001\n13800138002\n13800138003\n",
        |_| (),
    );
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let expected = "phone,userid,exclusive_userids,status,errcode,errmsg\n\
                    13800138001,,,bad_number,400002,scripted code 400002\n\
                    13800138002,,,not_found,33012,\"she said \"\"no\"\", twice;\nand left\"\n\
                    13800138003,,,failed,isp.timeout,scripted code isp.timeout\n";
    assert_eq!(output, expected);
}

#[test]
fn a_row_without_a_reply_has_a_reason_and_no_code() {
    let mut script = unlimited_script();
    script.push_answers("13800138001", vec![ScriptedAnswer::status(502); 3]);
    script.push_answers("13800138002", vec![ScriptedAnswer::Drop; 3]);
    script.push_answers("13800138003", vec![ScriptedAnswer::Half; 3]);
    let api = Sandbox::new(script);
    let numbers = "13800138000\n13800138001\n13800138002\n13800138003\n";
    let (ended, output, call_log) =
        resolve_against(&api, &format!("phone\n{numbers}"), |command| {
            command.args(["--max-retries", "2"]);
        });
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[1], "13800138000,u00138000,,found,0,ok");
    for (line, number) in lines[2..].iter().zip(["13800138001", "13800138002", "13800138003"]) {
        let reason = line.strip_prefix(&format!("{number},,,failed,,"));
        assert!(reason.is_some_and(|reason| !reason.is_empty()), "{line}");
        assert_eq!(call_log.calls_for(number).count(), 3, "{number}");
    }
}

#[test]
fn an_invalid_cell_has_a_reason_and_is_never_sent() {
    let mut table = ExpectedTable { header: Some("name,phone"), ..ExpectedTable::default() };
    for (cell, reason) in [
        ("", "the cell is empty"),
        (" \u{3000}\t", "the cell is empty"),
        ("1.38E+10", "1.38E+10: Excel rounded this number; restore it from the source"),
        (
            "离职",
            "not a phone number: it has characters other than digits and + - ( ) . and spaces",
        ),
        ("13800138000.5", "not a phone number: it has a fraction"),
        (
            "010-62345678/62345678",
            "none of the 2 numbers in the cell was sent; the first: a landline number, not a \
             mobile number",
        ),
        (
            "1380013800",
            "too short: 10 digits; a mainland mobile number has 11, others need their country code",
        ),
        ("138001380001234", "too long: 15 digits; a mainland mobile number has 11"),
        ("010-62345678", "a landline number, not a mobile number"),
        ("4008001234", "a service number, not a mobile number"),
        ("+999 123456", "no country has this calling code"),
        ("12345678901", "not a mobile number of +86: no such range in its numbering plan"),
    ] {
        table.push_row(&format!("x,{cell}"), invalid_answer(reason));
    }
    let (ended, output, call_log) = resolve_text(&table.input_text(), |_| ());
    // "invalid" is a definitive answer: asking again would give the same.
    assert_eq!((ended.status, output), (Some(0), table.output_text()), "{}", ended.stderr);
    assert!(call_log.calls().is_empty());
}

#[test]
fn a_placeholder_cell_is_not_read_as_several_numbers() {
    for cell in ["n/a", "N/A", "无/离职", "-,-"] {
        let (_, output, call_log) =
            resolve_text(&format!("phone;name\n13800138000;x\n{cell};y\n"), |_| ());
        let line = output.lines().nth(2).unwrap();
        assert!(line.contains("invalid") && !line.contains("numbers in the cell"), "{line}");
        assert_eq!(call_log.calls().len(), 1);
    }
}

#[test]
fn the_first_of_several_numbers_in_a_cell_is_asked_and_noted() {
    let mut table = ExpectedTable { header: Some("phone"), ..ExpectedTable::default() };
    // A found, a refused and a failed one, and each behind the answer that another row has without
    // the remark.
    for number in ["13800138000", "13800138090", "13800138092", "13800138094"] {
        table.push_number(number);
        for (cell, remark) in [
            (format!("{number}/13900139000"), " (first of 2 numbers in the cell)"),
            (format!("010-62345678、{number}、13900139000"), " (second of 3 numbers in the cell)"),
        ] {
            let mut cells = expected_answer(number, true);
            cells[4] += remark;
            table.push_row(&cell, cells);
        }
    }
    let (ended, output, call_log) = resolve_text(&table.input_text(), |_| ());
    assert_eq!((ended.status, output), (Some(4), table.output_text()), "{}", ended.stderr);
    assert_eq!(call_log.distinct_numbers(), 4);
}

#[test]
fn unlikely_numbers_are_sent_when_not_strict_and_landlines_never() {
    let text = "phone\n12345678901\n+852 1234 5678\n010-62345678\n1380013800\n";
    let sent = |strict: &str| {
        let (ended, _, call_log) = resolve_text(text, |command| {
            command.args(["--strict-numbers", strict, "-c", "1", "-j", "1"]);
        });
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        asked_numbers(&call_log)
    };
    assert!(sent("on").is_empty());
    assert_eq!(sent("off"), ["12345678901", "+852-12345678"]);
}

#[test]
fn one_number_in_many_spellings_costs_one_call() {
    let spellings = [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+8613800138000",
        "+86 138-0013-8000",
        "008613800138000",
        "8613800138000",
        "013800138000",
        "１３８００１３８０００",
        "'13800138000",
        "=\"13800138000\"",
        "13800138000.0",
        "1.3800138000E+10",
        "tel:+86-138-0013-8000",
        "138\u{a0}0013\u{a0}8000",
        "\u{200e}13800138000",
    ];
    let mut table = ExpectedTable { header: Some("phone,n"), ..ExpectedTable::default() };
    // The repeats are far apart, so that late ones meet an answer and early ones a call in
    // flight.
    for round in 0..60 {
        for spelling in spellings {
            let cell = spelling.replace('"', "\"\"");
            let cell = if cell == spelling { cell } else { format!("\"{cell}\"") };
            table.push_row(&format!("{cell},{round}"), expected_answer("13800138000", true));
        }
        table.push_row(
            &format!("1390013{round:04},{round}"),
            expected_answer(&format!("1390013{round:04}"), true),
        );
        table.push_row(&format!("13800138095,{round}"), expected_answer("13800138095", true));
    }
    let (ended, output, call_log) = resolve_text(&table.input_text(), |_| ());
    assert_eq!((ended.status, output), (Some(0), table.output_text()), "{}", ended.stderr);
    assert_eq!(call_log.calls_for("13800138000").count(), 1);
    assert_eq!(call_log.calls_for("13800138095").count(), 3);
    assert_eq!((call_log.distinct_numbers(), call_log.calls().len()), (62, 64));
    assert_eq!(call_log.token_calls().len(), 1);
}

#[test]
fn without_exclusive_accounts_only_regular_users_are_found() {
    let mut table = ExpectedTable::default();
    for number in ["13800138000", "13800138096", "13800138097", "13800138090"] {
        table.push_row(number, expected_answer(number, false));
    }
    let (ended, output, call_log) = resolve_text(&table.input_text(), |command| {
        command.args(["--exclusive-accounts", "false"]);
    });
    assert_eq!((ended.status, output), (Some(0), table.output_text()), "{}", ended.stderr);
    assert!(call_log.calls().iter().all(|call| call.exclusive == Some(false)));
}

#[test]
fn mainland_numbers_are_sent_as_the_organisation_stores_them() {
    let text = "phone\n13800138000\n+86 139-0013-9000\n+852 5123 4567\n";
    let sent = |mainland: &str| {
        let (ended, _, call_log) = resolve_text(text, |command| {
            command.args(["--mainland", mainland, "-j", "1"]);
        });
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        asked_numbers(&call_log)
    };
    assert_eq!(sent("plain"), ["13800138000", "13900139000", "+852-51234567"]);
    assert_eq!(sent("prefixed"), ["+86-13800138000", "+86-13900139000", "+852-51234567"]);
}

#[test]
fn numbers_without_a_country_code_belong_to_the_region() {
    let text = "name,mobile\na,5123 4567\nb,+8613800138000\nc,+852 51234567\nd,13800138000\n";
    let (ended, output, call_log) = resolve_text(text, |command| {
        command.args(["--region", "HK", "-j", "1"]);
    });
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(asked_numbers(&call_log)[..2], ["+852-51234567", "13800138000"]);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[1], "a,5123 4567,u51234567,,found,0,ok");
    assert_eq!(lines[2], "b,+8613800138000,u00138000,,found,0,ok");
    assert_eq!(lines[3], "c,+852 51234567,u51234567,,found,0,ok");
}

#[test]
fn a_first_row_with_a_regional_number_is_not_a_header() {
    for text in ["51234567\n51234568\n", "a,51234567\nb,51234568\n"] {
        let (ended, output, call_log) = resolve_text(text, |command| {
            command.args(["--region", "HK", "-c", if text.contains(',') { "2" } else { "1" }]);
        });
        assert_eq!(
            (ended.status, call_log.distinct_numbers()),
            (Some(0), 2),
            "{output}{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("51234567"), "{}", ended.stderr);
        assert!(
            output.lines().next().unwrap().ends_with("51234567,u51234567,,found,0,ok"),
            "{output}"
        );
    }
}
