//! Correct and ask again: a person edits numbers in the result, and the advised command asks the
//! rows whose number is not the one that was asked.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;
use dingmap::testing::table::Encoding;

use crate::support::observed_run::assert_exit;
use crate::support::process::{Process, wait_until};
use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::schema::read_summary;
use crate::support::workdir::Workdir;

mod evidence;
mod histories;
mod interrupted;

/// A staff list of which somebody will correct four numbers.
const STAFF: &str = "工号,姓名,手机号\n\
    00001,甲,13900000001\n00002,乙,13900000002\n00003,丙,1390000003\n00004,丁,13900000090\n\
    00005,戊,13900000005\n00006,己,13900000092\n00007,庚,13900000007\n00008,辛,\n\
    00009,壬,13900000009\n00010,癸,13900000094\n";

/// The command that a run prints after `words`, with the environment of the sandbox.
fn advised(api: &Sandbox, ended: &RunOutput, words: &str) -> Command {
    let line = ended.stderr.lines().find(|line| line.contains(words)).unwrap_or_else(|| {
        panic!("{words} is missing in: {}", ended.stderr);
    });
    let at = line.find(": dingmap ").unwrap_or_else(|| panic!("no command in {line}")) + 2;
    let mut command = dingmap();
    command.args(shlex::split(&line[at..]).unwrap().into_iter().skip(1));
    let template = api.resolve_without_output(&api.endpoint(), Path::new("x"));
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn call_numbers(api: &Sandbox) -> Vec<String> {
    api.call_log().calls().iter().map(|call| call.number.to_string()).collect()
}

/// A first run, and a person who then corrects the result. Returns its path and what was printed.
fn first_run(api: &Sandbox, workdir: &Workdir, flags: &[&str]) -> (std::path::PathBuf, RunOutput) {
    let (input, output) = (workdir.write_file("staff.csv", STAFF), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(["--max-retries", "0"]).args(flags));
    assert_exit(&ended, 4, &["without a user id:"]);
    (output, ended)
}

/// The corrections: an invalid number, one that was not found, one of somebody else, and none.
fn correct(text: &str) -> String {
    let corrected = text
        .replace(",1390000003,", ",13900000003,")
        .replace(",13900000090,", ",13900000004,")
        .replace(",13900000005,", ",13900000015,")
        .replace(",13900000007,", ",,");
    assert_ne!(text, corrected);
    corrected
}

/// The statuses and user ids after the corrections were asked.
const CORRECTED: [(&str, &str); 10] = [
    ("found", "u00000001"),
    ("found", "u00000002"),
    ("found", "u00000003"),
    ("found", "u00000004"),
    ("found", "u00000015"),
    ("bad_number", ""),
    ("invalid", ""),
    ("invalid", ""),
    ("found", "u00000009"),
    ("failed", ""),
];

fn answers(path: &Path) -> Vec<(String, String)> {
    let rows = read_rows(path);
    rows.iter().map(|row| (row["status"].clone(), row["userid"].clone())).collect()
}

fn owned(answers: &[(&str, &str)]) -> Vec<(String, String)> {
    answers.iter().map(|(status, id)| ((*status).to_owned(), (*id).to_owned())).collect()
}

#[test]
fn the_advised_command_asks_the_corrected_rows_and_no_other() {
    for show_sent in [false, true] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let flags: &[&str] = if show_sent { &["--show-sent"] } else { &[] };
        let (output, ended) = first_run(&api, &workdir, flags);
        let asked = call_numbers(&api).len();
        fs::write(&output, correct(&fs::read_to_string(&output).unwrap())).unwrap();
        let again = run(&mut advised(&api, &ended, "correct the numbers in"));
        // The state alone only says that it does not know the new number of the row that was not
        // found.
        let changed = if show_sent {
            "another number than the one that was asked 3"
        } else {
            "another number than the one that was asked 2, number not in the state 1"
        };
        let asking = "asking 5 of 10 rows again: failed 1, invalid and can be sent now 1, ";
        let words = [&*format!("{asking}{changed}"), "5 rows kept as they were"];
        assert_exit(&again, 4, &words);
        assert_eq!(answers(&output), owned(&CORRECTED), "{show_sent}");
        let mut numbers = call_numbers(&api).split_off(asked);
        numbers.sort();
        assert_eq!(numbers, ["13900000003", "13900000004", "13900000015", "13900000094"]);
        let row = &read_rows(&output)[6];
        assert_eq!((&*row["errcode"], &*row["errmsg"]), ("", "the cell is empty"));
        // Once more: only the failed row is open.
        let once_more = run(&mut advised(&api, &again, "row failed; to ask it again"));
        assert_exit(&once_more, 4, &["asking 1 of 10 rows again: failed 1"]);
        assert_eq!(answers(&output), owned(&CORRECTED));
    }
}

#[test]
fn a_result_that_a_spreadsheet_saved_otherwise_is_read_all_the_same() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, ended) = first_run(&api, &workdir, &["-e", "utf-8"]);
    let text = correct(&fs::read_to_string(&output).unwrap());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    reader.records().for_each(|row| writer.write_record(&row.unwrap()).unwrap());
    let quoted = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    let mut bytes = Vec::new();
    Encoding::Gb18030.encode(&quoted, &mut bytes);
    fs::write(&output, bytes).unwrap();
    let again = run(&mut advised(&api, &ended, "correct the numbers in"));
    assert_exit(&again, 4, &["asking 5 of 10 rows again"]);
    let text = Encoding::Gb18030.decode(&fs::read(&output).unwrap()).into_owned();
    fs::write(&output, text).unwrap();
    assert_eq!(answers(&output), owned(&CORRECTED));
}

#[test]
fn a_corrected_row_that_is_not_reached_loses_the_old_user_id() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, ended) = first_run(&api, &workdir, &[]);
    let text = fs::read_to_string(&output).unwrap();
    let text = text.replace(",13900000005,", ",13900000015,");
    fs::write(&output, text.replace(",13900000007,", ",13900000017,")).unwrap();
    let mut command = advised(&api, &ended, "correct the numbers in");
    let again = run(command.args(["--max-calls", "1", "-j", "1"]));
    assert_exit(&again, 6, &[]);
    let rows = read_rows(&output);
    assert_eq!(rows[4]["userid"], "u00000015");
    assert_eq!(
        (&*rows[6]["status"], &*rows[6]["userid"], &*rows[6]["errcode"]),
        ("pending", "", "")
    );
    assert_eq!((&*rows[9]["status"], &*rows[9]["errcode"]), ("failed", "-1"));
}

#[test]
fn retry_names_the_statuses_that_are_asked_instead() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, _) = first_run(&api, &workdir, &[]);
    let asked = call_numbers(&api).len();
    let (before, summary) = (fs::read_to_string(&output).unwrap(), workdir.path("run.json"));
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    command.args(["--retry", "not_found,bad_number", "--summary"]).arg(&summary);
    assert_exit(&run(&mut command), 4, &["asking 2 of 10 rows again: not_found 1, bad_number 1"]);
    let mut numbers = call_numbers(&api).split_off(asked);
    numbers.sort();
    assert_eq!(numbers, ["13900000090", "13900000092"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), before);
    assert_eq!(read_summary(&summary)["settings"]["retry"], "not_found,bad_number");
    let ended = run(api
        .resolve_without_output(&api.endpoint(), &output)
        .args(["--retry", "not_found,lost"]));
    assert_exit(&ended, 2, &["lost", "bad_number"]);
}

#[test]
fn rows_without_a_status_are_asked() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = "姓名,手机号,userid,exclusive_userids,status,errcode,errmsg\n\
                甲,13900000001,,,,,\n乙,13900000002,,,not_found,60121,none\n";
    let file = workdir.write_file("out.csv", text);
    let mut command = api.resolve_without_output(&api.endpoint(), &file);
    assert_exit(&run(command.arg("--retry-failed")), 0, &["asking 1 of 2 rows again: no status 1"]);
    assert_eq!(read_rows(&file)[0]["userid"], "u00000001");
}

#[test]
fn rows_that_cannot_be_judged_are_printed_and_kept() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, _) = first_run(&api, &workdir, &["--no-state"]);
    let text = fs::read_to_string(&output).unwrap().replace(",13900000005,", ",13900000015,");
    fs::write(&output, &text).unwrap();
    let summary = workdir.path("run.json");
    for flags in [&["--no-state"][..], &[]] {
        let mut command = api.resolve_without_output(&api.endpoint(), &output);
        command.args(["--retry-failed", "--max-retries", "0", "-q", "--summary"]).arg(&summary);
        let ended = run(command.args(flags));
        let words = [
            "7 rows have an answer, and there is no record of the number that was asked",
            "--retry found,not_found,bad_number,failed,pending asks them again",
            "line 6: 00005, 戊",
        ];
        assert_exit(&ended, 4, &words);
        assert_eq!(fs::read_to_string(&output).unwrap(), text);
        let warnings = read_summary(&summary);
        assert_eq!(warnings["numbers"]["rows_kept"], 9);
    }
    // Whoever is advised so gets the answers of the numbers that are there now.
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    let flags = ["--retry", "found,not_found,bad_number,failed,pending", "--max-retries", "0"];
    assert_exit(&run(command.args(flags)), 4, &[]);
    assert_eq!(read_rows(&output)[4]["userid"], "u00000015");
}

#[test]
fn a_run_without_a_record_advises_a_command_that_asks_the_corrected_rows() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, ended) = first_run(&api, &workdir, &["--no-state"]);
    assert!(ended.stderr.contains("keeps no record"), "{}", ended.stderr);
    fs::write(&output, correct(&fs::read_to_string(&output).unwrap())).unwrap();
    let again = run(&mut advised(&api, &ended, "correct the numbers in"));
    assert_exit(&again, 4, &["found 4", "not_found 1", "invalid and can be sent now 1"]);
    assert!(!again.stderr.contains("there is no record"), "{}", again.stderr);
    assert_eq!(answers(&output), owned(&CORRECTED));
    // With the numbers in the file, no other row is asked.
    let (output, ended) = first_run(&api, &workdir, &["--no-state", "--show-sent"]);
    assert!(!ended.stderr.contains("keeps no record"), "{}", ended.stderr);
    fs::write(&output, correct(&fs::read_to_string(&output).unwrap())).unwrap();
    let again = run(&mut advised(&api, &ended, "correct the numbers in"));
    assert_exit(&again, 4, &["asking 5 of 10 rows again"]);
    assert_eq!(answers(&output), owned(&CORRECTED));
}

#[test]
fn an_answer_that_may_be_about_another_number_is_marked() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = "姓名,手机号,userid,exclusive_userids,status,errcode,errmsg\n\
                甲,13900000001,,,bad_number,40022,the API said so\n";
    let file = workdir.write_file("out.csv", text);
    let retry = || {
        let mut command = api.resolve_without_output(&api.endpoint(), &file);
        command.args(["--retry-failed", "--no-state"]);
        command
    };
    let ended = run(&mut retry());
    assert_exit(&ended, 0, &["no record of the number", "nothing to retry apart from"]);
    assert!(!ended.stderr.contains("definitive"), "{}", ended.stderr);
    let ended = run(retry().arg("-o").arg(workdir.path("other.csv")));
    let line = "bad_number: the API said so; there is no record of the number that was asked";
    assert_exit(&ended, 0, &[line]);
    assert!(api.call_log().calls().is_empty());
}

#[test]
fn an_added_row_without_a_number_gets_its_status() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = "姓名,手机号,userid,exclusive_userids,status,errcode,errmsg\n\
                甲,13900000001,u00000001,,found,0,ok\n乙,,,,,,\n,,,,,,\n";
    let file = workdir.write_file("out.csv", text);
    let mut command = api.resolve_without_output(&api.endpoint(), &file);
    assert_exit(&run(command.args(["--retry", "failed"])), 0, &[]);
    let expected = text.replace("乙,,,,,,", "乙,,,,invalid,,the cell is empty");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn a_plain_run_of_a_result_names_the_flag_for_corrections() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, _) = first_run(&api, &workdir, &[]);
    let other = workdir.path("other.csv");
    let ended = run(api.resolve(&output, &other).args(["--max-retries", "0"]));
    assert_exit(&ended, 4, &["has the answers of an earlier run: --retry-failed"]);
}

#[test]
fn a_renamed_result_is_recognized_by_its_answers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, _) = first_run(&api, &workdir, &[]);
    let text = fs::read_to_string(&output).unwrap().replace(",13900000005,", ",13900000015,");
    let renamed = workdir.write_file("交回.csv", text);
    let mut command = api.resolve_without_output(&api.endpoint(), &renamed);
    let ended = run(command.args(["--retry-failed", "--max-retries", "0"]));
    assert_exit(&ended, 4, &["another number than the one that was asked 1"]);
    assert!(!ended.stderr.contains("no record"), "{}", ended.stderr);
    assert_eq!(read_rows(&renamed)[4]["userid"], "u00000015");
}

#[test]
fn a_missing_flag_does_not_take_user_ids_away() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("hk.csv", "phone\n51234561\n51234562\n51234563\n");
    let output = workdir.path("out.csv");
    assert_exit(&run(api.resolve(&input, &output).args(["--region", "HK"])), 0, &[]);
    let before = fs::read_to_string(&output).unwrap();
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    let ended = run(command.args(["--retry-failed", "-c", "1"]));
    assert_exit(
        &ended,
        0,
        &["3 rows have an answer, and their numbers cannot be read", "nothing to retry"],
    );
    assert_eq!(fs::read_to_string(&output).unwrap(), before);
}

/// An interrupted run decides no row anew: the answers that it has got since would change the
/// decision about the last row, whose number is that of corrected rows too.
#[test]
fn an_interrupted_correction_ends_as_an_uninterrupted_one() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let mut rows = vec!["姓名,手机号".to_owned()];
    rows.extend((0..40).map(|n| format!("甲{n},139000000{n:02}")));
    let (input, output) = (workdir.write_file("in.csv", rows.join("\n")), workdir.path("out.csv"));
    assert_exit(&run(&mut api.resolve(&input, &output)), 0, &[]);
    let corrected = (0..20).fold(fs::read_to_string(&output).unwrap(), |text, n| {
        let number = if n % 4 == 0 { "13900000039".to_owned() } else { format!("138000001{n:02}") };
        text.replace(&format!(",139000000{n:02},"), &format!(",{number},"))
    });
    fs::write(&output, &corrected).unwrap();
    api.update_script(|script| {
        script.latency = Duration::from_millis(150)..=Duration::from_millis(150);
        let moved = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"moved"}}"#.to_owned();
        script.push_answers("13900000039", vec![ScriptedAnswer::Json(moved); 4]);
    });
    let command = || {
        let mut command = api.resolve_without_output(&api.endpoint(), &output);
        command.args(["--retry-failed", "-j", "1"]);
        command
    };
    let asked = call_numbers(&api).len();
    let mut process = Process::start(&mut command());
    // Later than the first commit, which comes after a second.
    wait_until("calls", || (call_numbers(&api).len() >= asked + 12).then_some(()));
    process.send_signal("KILL");
    process.wait();
    assert_eq!(fs::read_to_string(&output).unwrap(), corrected);
    assert_exit(&run(&mut command()), 0, &["resuming", "asking 20 of 40 rows again"]);
    let ids: Vec<_> = read_rows(&output).iter().map(|row| row["userid"].clone()).collect();
    let expected: Vec<_> = (0..40)
        .map(|n| match n {
            0..20 if n % 4 == 0 => "moved".to_owned(),
            0..20 => format!("u000001{n:02}"),
            _ => format!("u000000{n:02}"),
        })
        .collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_source_that_was_corrected_costs_only_the_new_numbers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (output, ended) = first_run(&api, &workdir, &[]);
    // Three that were answered or refused, one empty cell, one that failed.
    let words = "staff.csv instead, run this, which makes 5 calls at most";
    let asked = call_numbers(&api).len();
    let staff = STAFF.replace("1390000003", "13900000003").replace("13900000090", "13900000004");
    workdir.write_file("staff.csv", staff);
    let again = run(&mut advised(&api, &ended, words));
    assert_exit(&again, 4, &["6 rows already known"]);
    let mut numbers = call_numbers(&api).split_off(asked);
    numbers.sort();
    assert_eq!(numbers, ["13900000003", "13900000004", "13900000094"]);
    assert_eq!(read_rows(&output)[3]["userid"], "u00000004");
}

#[test]
fn several_numbers_of_a_row_are_compared_in_their_order() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = "姓名,手机,备用\n甲,13900000190,13900000001\n乙,13900000002,13900000003\n\
                丙,13900000290,13900000390\n丁,13900000004,\n";
    let (input, output) = (workdir.write_file("in.csv", text), workdir.path("out.csv"));
    let columns = ["-c", "手机", "-c", "备用"];
    assert_exit(&run(api.resolve(&input, &output).args(columns)), 0, &[]);
    let asked = call_numbers(&api).len();
    let text = fs::read_to_string(&output).unwrap();
    // The first number is tried first; the second one of 乙 was never asked.
    let text = text.replace("13900000190", "13900000011").replace("13900000003,", "13900000013,");
    fs::write(&output, text).unwrap();
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    assert_exit(&run(command.arg("--retry-failed").args(columns)), 0, &["asking 1 of 4 rows"]);
    assert_eq!(call_numbers(&api).split_off(asked), ["13900000011"]);
    let ids: Vec<_> = read_rows(&output).iter().map(|row| row["userid"].clone()).collect();
    assert_eq!(ids, ["u00000011", "u00000002", "", "u00000004"]);
}
