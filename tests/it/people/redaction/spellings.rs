//! A number, however it is spelled and wherever it stands, is in no output but the result table.

use std::fs;
use std::path::Path;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use proptest::prelude::*;

use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::build_workbook;
use crate::support::workdir::Workdir;

const DIGITS: &str = "13871238777";

/// The number with separators that a file name can have.
fn spellings() -> Vec<String> {
    let (head, middle, tail) = (&DIGITS[..3], &DIGITS[3..7], &DIGITS[7..]);
    let separators =
        ["", " ", "-", "_", ".", "·", ") ", " - ", "\u{202e}", "\u{2028}", "\u{200b}", "%2D"];
    let mut spellings: Vec<_> =
        separators.map(|separator| [head, middle, tail].join(separator)).into();
    for zero in ['\u{660}', '\u{6f0}', '\u{ff10}'] {
        let digit = |c: char| char::from_u32(u32::from(zero) + c.to_digit(10)?);
        spellings.push(DIGITS.chars().filter_map(digit).collect());
    }
    spellings.extend(["+86 ", "0086-", "%2B86-"].map(|prefix| format!("{prefix}{DIGITS}")));
    spellings
}

/// The digits of a text, of whatever script, without anything between them.
fn bare_digits(text: &str) -> String {
    let text = text.replace("%2D", "").replace("%2d", "");
    let ascii = |c: char| {
        let zeros = [0x30, 0x660, 0x6f0, 0xff10];
        zeros.into_iter().find_map(|zero| char::from_digit(u32::from(c).checked_sub(zero)?, 10))
    };
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '*' | '/' | '"' | ',' | ':');
    text.chars().filter_map(|c| ascii(c).or_else(|| is_letter(c).then_some(c))).collect()
}

fn assert_masked(what: &str, text: &str) {
    assert!(!bare_digits(text).contains(DIGITS), "{what}: {text}");
    let is_direction = |c| {
        let directions = '\u{2066}'..='\u{2069}';
        matches!(c, '\u{2028}'..='\u{202e}') || directions.contains(&c)
    };
    assert!(!text.contains(is_direction), "{what}: {text:?}");
}

/// Runs `command` and checks what it prints.
fn run_masked(what: &str, command: &mut std::process::Command, has_rows_on_stdout: bool) {
    let ended = run(command);
    assert!(ended.status.is_some_and(|status| status != 101), "{what}: {}", ended.stderr);
    assert_masked(what, &ended.stderr);
    if !has_rows_on_stdout {
        assert_masked(what, &ended.stdout);
    }
}

fn quoting_script(spelling: &str) -> Script {
    let message = format!("no {spelling} here");
    Script { always: Some(ScriptedAnswer::Code { code: -1, msg: message }), ..unlimited_script() }
}

fn check_outputs(spelling: &str, api: &Sandbox) {
    let workdir = Workdir::new();
    let cells = format!(
        r#"<row r="1"><c t="str"><v>mobile</v></c><c t="str"><v>{spelling}</v></c></row>
        <row r="2"><c t="str"><v>{DIGITS}</v></c><c t="str"><v>{spelling}</v></c></row>"#
    );
    let csv = workdir.write_file(
        &format!("a{spelling}.csv"),
        format!("mobile,{spelling}\n{DIGITS},{spelling}\n1380,x\n"),
    );
    let book = workdir
        .write_file(&format!("b{spelling}.xlsx"), build_workbook(&[(spelling, "visible", &cells)]));
    let output = workdir.path(format!("out{spelling}.csv"));
    let files = ["json", "prom", "html", "log"].map(|kind| workdir.path(format!("run.{kind}")));
    for (turn, input) in [&csv, &book].into_iter().enumerate() {
        let mut command = api.resolve(input, &output);
        command.args(["-vvv", "--max-retries", "0", "--no-state", "--failed"]);
        command.arg(workdir.path(format!("failed{spelling}.csv")));
        for (flag, file) in ["--summary", "--metrics", "--report", "--log-file"].iter().zip(&files)
        {
            command.arg(flag).arg(file);
        }
        command.args([
            "--log-format",
            ["json", "text"][turn],
            "--progress",
            ["json", "line"][turn],
        ]);
        run_masked(spelling, &mut command, false);
        for file in &files {
            assert_masked(&file.display().to_string(), &fs::read_to_string(file).unwrap());
        }
        run_masked(spelling, dingmap().arg("plan").arg(input), false);
        run_masked(spelling, dingmap().args(["plan", "--json"]).arg(input), false);
        run_masked(spelling, dingmap().arg("diff").arg(&output).arg(input), true);
    }
    for line in [
        &["plan", spelling][..],
        &["resolve", spelling, "--sandbox"],
        &["resolve", "x", "--sandbox", "-c", spelling],
        &["resolve", "x", "--sandbox", "--start-at", spelling],
        &["resolve", "x", "--endpoint", &format!("https://127.0.0.1:1/{spelling}")],
        &["resolve", "x", "--config", spelling],
        &["resolve", "x", "--print-config", "--output", spelling],
        &["state", "info", "--state", spelling],
        &["state", "forget", "--app", spelling],
        &["help", spelling],
    ] {
        run_masked(spelling, dingmap().args(line).current_dir(workdir.path("")), false);
    }
    let wrong_column = run(dingmap().arg("plan").arg(&csv).args(["-c", "none"]));
    assert_masked(spelling, &wrong_column.stderr);
    let wrong_sheet = run(dingmap().arg("plan").arg(&book).args(["--sheet", "none"]));
    assert_masked(spelling, &wrong_sheet.stderr);
    assert!(Path::new(&output).exists(), "{spelling}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_output_but_the_table_has_a_number_in_any_spelling(
        spelling in proptest::sample::select(spellings()),
    ) {
        check_outputs(&spelling, &Sandbox::new(quoting_script(&spelling)));
    }
}
