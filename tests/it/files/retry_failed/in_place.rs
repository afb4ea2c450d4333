//! What a try in place leaves alone: rows whose turn did not come, pipes, what somebody else wrote
//! meanwhile, and a file that has nothing to ask.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{RESOLVED, call_count, found_answer, retry_command};
use crate::support::process::{Process, wait_until};
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, slow_script, unlimited_script};
use crate::support::schema::read_summary;
use crate::support::workdir::Workdir;

#[test]
fn a_row_that_is_not_attempted_keeps_its_cells() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (file, failed, summary) = (
        workdir.write_file("out.csv", RESOLVED),
        workdir.path("failed.csv"),
        workdir.path("run.json"),
    );
    api.update_script(|script| {
        script.answers_by_call.insert(0, found_answer("new"));
    });
    let mut command = retry_command(&api, &file);
    command
        .args(["-j", "1", "--max-calls", "1", "--failed"])
        .arg(&failed)
        .arg("--summary")
        .arg(&summary);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    // Both rows of the number that was asked have its answer; the third one is as it was
    // before.
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        RESOLVED.replace(",,,failed,-1,系统繁忙", ",new,,found,0,ok")
    );
    let rows = &read_summary(&summary)["rows"];
    assert_eq!(
        (&rows["found"], &rows["failed"], &rows["pending"]),
        (&json!(3), &json!(1), &json!(0))
    );
    assert_eq!((&rows["in"], &rows["out"]), (&json!(6), &json!(6)));
    let failed = fs::read_to_string(&failed).unwrap();
    assert_eq!(
        failed.lines().skip(1).collect::<Vec<_>>(),
        ["5,13800138099,\"\",,,failed,34567,未知错误"]
    );
    assert!(ended.stderr.contains("1 row to retry written to "), "{}", ended.stderr);
    // It was not asked, so that nothing is advised for it but to go on.
    let actual = "the answers are in the file; the same command asks the remaining rows";
    assert!(
        ended.stderr.contains(actual) && !ended.stderr.contains("failed; to ask"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_interrupted_partial_retry_keeps_the_cells_of_unattempted_rows() {
    let (api, workdir) = (Sandbox::new(slow_script(300)), Workdir::new());
    let (input, file) = (workdir.write_file("in.csv", staff_csv(30)), workdir.path("out.csv"));
    // As a run that nobody answered in time would leave them.
    let head = "mobile,userid,exclusive_userids,status,errcode,errmsg\n";
    let numbers = fs::read_to_string(input).unwrap();
    let rows = numbers
        .lines()
        .skip(1)
        .zip(0..)
        .map(|(number, at)| format!("{number},,,failed,-1,busy {at}\n"));
    let before = head.to_owned() + &rows.collect::<String>();
    fs::write(&file, &before).unwrap();
    let mut command = retry_command(&api, &file);
    let mut process = Process::start(command.args(["-j", "1", "--partial"]));
    wait_until("calls", || (call_count(&api) >= 2).then_some(()));
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    let after = fs::read_to_string(&file).unwrap();
    let asked = after.lines().filter(|line| line.contains(",found,")).count();
    assert!((1..30).contains(&asked), "{after}");
    let changed =
        after.lines().zip(before.lines()).filter(|(after, before)| after != before).count();
    assert_eq!((changed, after.lines().count()), (asked, 31));
}

#[test]
fn a_pipe_is_not_rewritten_in_place() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let words =
        "is a pipe or a device, which --retry-failed cannot rewrite in place: use --output FILE";
    let fifo = workdir.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Nobody writes to it: it is refused without being read.
    let ended = run(&mut retry_command(&api, &fifo));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    let piped = |input: &str, output: Option<&Path>| {
        let mut command = retry_command(&api, Path::new(input));
        command
            .args(["--max-retries", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(output) = output {
            command.arg("-o").arg(output);
        }
        let mut child = command.spawn().unwrap();
        // Who refuses it does not read it.
        let _ = child.stdin.take().unwrap().write_all(RESOLVED.as_bytes());
        crate::support::sandbox::RunOutput::from(child.wait_with_output().unwrap())
    };
    let ended = piped("/dev/stdin", None);
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert_eq!(call_count(&api), 0);
    // The two ways out that it names.
    let ended = piped("-", None);
    assert_eq!((ended.status, &*ended.stdout), (Some(4), RESOLVED), "{}", ended.stderr);
    let output = workdir.path("out.csv");
    let ended = piped("/dev/stdin", Some(&output));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&output).unwrap(), RESOLVED);
}

#[test]
fn a_concurrent_edit_is_not_overwritten() {
    // The edit has to come before the run's end, which several repeats put off.
    let (api, workdir) = (Sandbox::new(slow_script(300)), Workdir::new());
    let (file, summary) = (workdir.write_file("out.csv", RESOLVED), workdir.path("run.json"));
    let mut command = retry_command(&api, &file);
    let mut process = Process::start(command.args(["-j", "1", "--summary"]).arg(&summary));
    wait_until("a call", || (call_count(&api) > 0).then_some(()));
    // As many rows as before.
    let edited = RESOLVED.replace("two\r\nlines", "three");
    fs::write(&file, &edited).unwrap();
    let ended = process.wait();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another program changed the file during the run"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("the answers are kept"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(read_summary(&summary)["written"], json!(false));
    assert_eq!(workdir.file_names(), ["out.csv", "run.json"]);
    // Run again, it has the edit and the answers.
    api.update_script(|script| script.latency = Duration::ZERO..=Duration::ZERO);
    let ended = run(retry_command(&api, &file).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert!(fs::read_to_string(&file).unwrap().contains("2,13800138094,\"three\","));
}

#[test]
fn a_concurrent_edit_of_a_replaced_input_is_not_overwritten() {
    // The edit has to come before the run's end.
    let (api, workdir) = (Sandbox::new(slow_script(1000)), Workdir::new());
    let file = workdir.write_file("in.csv", staff_csv(2));
    let mut command = api.resolve(&file, &file);
    let mut process = Process::start(command.args(["-j", "1"]));
    wait_until("a call", || (call_count(&api) > 0).then_some(()));
    let edited = staff_csv(2).replace("mobile\n", "Mobile\n");
    fs::write(&file, &edited).unwrap();
    let ended = process.wait();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
}

#[test]
fn a_retry_without_failed_rows_reports_as_usual() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let table = "mobile,on file,userid,exclusive_userids,status,errcode,errmsg,expected\n\
                 13800138000,u1,u1,,found,0,ok,match\n13800138001,u2,u3,,found,0,ok,mismatch\n\
                 13800138090,u4,,,not_found,60121,找不到该用户,missing\n";
    let file = workdir.write_file("out.csv", table);
    let actual = |more: &[&str]| {
        let (summary, report) = (workdir.path("run.json"), workdir.path("run.html"));
        let mut command = retry_command(&api, &file);
        command
            .args(["--expect", "on file", "--summary"])
            .arg(&summary)
            .arg("--report")
            .arg(&report);
        let ended = run(command.args(more));
        (ended, read_summary(&summary), fs::read_to_string(report).unwrap())
    };
    let (ended, summary, page) = actual(&[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing to retry apart from"), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("expected: match 1, mismatch 1, rounded 0, missing 1; not compared 0"),
        "{}",
        ended.stderr
    );
    assert_eq!(summary["expected"], json!({"match": 1, "mismatch": 1, "rounded": 0, "missing": 1}));
    assert!(page.contains("60121") && page.contains("找不到该用户"), "{page}");
    // As a run that asks says it.
    let (ended, other, whole) = actual(&["-o", workdir.path("other.csv").to_str().unwrap()]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!((&summary["expected"], &summary["rows"]), (&other["expected"], &other["rows"]));
    let group = |page: &str| {
        page.split("group not_found").nth(1).unwrap().split("</section>").next().unwrap().to_owned()
    };
    assert_eq!(group(&page), group(&whole));
    let (ended, _, _) = actual(&["--fail-on", "not-found"]);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!((call_count(&api), fs::read_to_string(&file).unwrap()), (0, table.to_owned()));
}
