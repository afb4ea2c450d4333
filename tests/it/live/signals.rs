//! Signals that come while a command does something else than to call: none leaves a file behind or
//! a run unreported, and a request for progress ends nothing.

use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use serde_json::Value;

use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

/// The numbers of two signals, as Linux has them.
const USR1: u32 = 10;
const TERM: u32 = 15;

/// A named pipe without content.
fn create_fifo(workdir: &Workdir, name: &str) -> PathBuf {
    let pipe = workdir.path(name);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

/// Waits until the process has opened a pipe to read it: our end, from which nothing comes.
fn wait_for_reader(pipe: &Path) -> File {
    let pipe = pipe.to_owned();
    let opening = thread::spawn(move || File::options().write(true).open(pipe).unwrap());
    wait_until("a reader", || opening.is_finished().then_some(()));
    opening.join().unwrap()
}

/// Waits until the process takes the signal of this number into its own hands (proc(5), `SigCgt`).
fn wait_for_signal_handler(process: &Process, signal: u32) {
    wait_until("ears", || {
        let status = read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        (u64::from_str_radix(caught.trim(), 16).unwrap() >> (signal - 1) & 1 == 1).then_some(())
    });
}

#[test]
fn a_run_interrupted_while_reading_writes_its_summary_and_no_output() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let input = create_fifo(&workdir, "staff.pipe");
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        command
            .arg("--summary")
            .arg(workdir.path("run.json"))
            .arg("--report")
            .arg(workdir.path("run.html"));
        let mut process = Process::start(&mut command);
        // Its own temporary files are there by then.
        let _writer = wait_for_reader(&input);
        process.send_signal("USR1");
        process.send_signal(signal);
        let ended = process.wait();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains("interrupted before the first call"), "{}", ended.stderr);
        assert_eq!(workdir.file_names(), ["run.html", "run.json", "staff.pipe"]);
        let actual: Value =
            serde_json::from_str(&read_to_string(workdir.path("run.json")).unwrap()).unwrap();
        assert_eq!(actual["exit_status"], status, "{actual}");
        assert!(api.call_log().calls().is_empty() && api.call_log().token_calls().is_empty());
    }
}

/// Also where a limit had ended the run before, and it only waited for the rest of the rows.
#[test]
fn an_idle_pipe_does_not_block_an_interrupted_run() {
    for (flags, calls, written) in [
        (&["--partial"][..], 5, true),
        (&["--partial", "--max-calls", "3"], 3, true),
        (&["--max-calls", "3"], 3, false),
        (&[], 5, false),
    ] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut command = api.resolve(Path::new("-"), &workdir.path("out.csv"));
        command.args(flags).stdin(reader);
        let mut process = Process::start(&mut command);
        drop(command);
        writer.write_all(staff_csv(5).as_bytes()).unwrap();
        wait_until("the calls", || (api.call_log().calls().len() == calls).then_some(()));
        process.send_signal("INT");
        let ended = process.wait();
        assert_eq!(ended.status, Some(130), "{flags:?}: {}", ended.stderr);
        let remark = "the input was not read to its end: only its first 5 rows are in the output";
        assert_eq!(ended.stderr.contains(remark), written, "{flags:?}: {}", ended.stderr);
        let lines = read_to_string(workdir.path("out.csv")).ok().map(|text| text.lines().count());
        assert_eq!(lines, written.then_some(6), "{flags:?}: {}", ended.stderr);
        assert_eq!(workdir.file_names().len(), usize::from(written), "{:?}", workdir.file_names());
        drop(writer);
    }
}

#[test]
fn a_run_that_waits_for_its_secret_can_be_interrupted() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, secret) =
        (workdir.write_file("in.csv", staff_csv(1)), create_fifo(&workdir, "secret.pipe"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let mut process = Process::start(command.arg("--app-secret-file").arg(&secret));
    let _writer = wait_for_reader(&secret);
    process.send_signal("TERM");
    let ended = process.wait();
    assert_eq!(ended.status, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted before the first call"), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["in.csv", "secret.pipe"]);
}

#[test]
fn an_output_pipe_without_reader_leaves_no_other_output() {
    for (flag, awaited) in [("--report", ""), ("--failed", "1 row")] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let (input, pipe) =
            (workdir.write_file("in.csv", staff_csv(1)), create_fifo(&workdir, "unread.pipe"));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        command.arg(flag).arg(&pipe).arg("--summary").arg(workdir.path("run.json"));
        let mut process = Process::start(&mut command);
        wait_for_signal_handler(&process, TERM);
        // Rows are counted after --report is opened and before --failed is.
        process.wait_for_stderr(awaited);
        process.send_signal("TERM");
        let ended = process.wait();
        assert_eq!(ended.status, Some(143), "{flag}: {}", ended.stderr);
        let names = workdir.file_names();
        assert!(
            names.iter().all(|name| !name.starts_with('.') && name != "out.csv"),
            "{flag}: {names:?}"
        );
    }
}

#[test]
fn a_run_blocked_on_its_report_pipe_can_be_interrupted() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let (input, pipe) =
            (workdir.write_file("in.csv", staff_csv(1)), create_fifo(&workdir, "full.pipe"));
        // Both ends are open, and the page has no room in what is left of the usual 64 KiB.
        let mut full = File::options().read(true).write(true).open(&pipe).unwrap();
        full.write_all(&vec![b' '; 65_000]).unwrap();
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        command.arg("--report").arg(&pipe).arg("--summary").arg(workdir.path("run.json"));
        let mut process = Process::start(&mut command);
        // The summary is written before the report.
        wait_until("the summary", || workdir.path("run.json").exists().then_some(()));
        process.send_signal(signal);
        let ended = process.wait();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(ended.stderr.contains("interrupted while writing --summary"), "{}", ended.stderr);
        assert_eq!(workdir.file_names(), ["full.pipe", "in.csv", "out.csv", "run.json"]);
    }
}

#[test]
fn sigusr1_ends_no_command() {
    let workdir = Workdir::new();
    let text = "mobile,userid,exclusive_userids,status,errcode,errmsg\n\
        13800138000,u00138000,,found,0,ok\n";
    workdir.write_file("old.csv", text);
    for line in [
        &["plan", "-"][..],
        &["resolve", "-", "-o", "-", "--sandbox"],
        &["diff", "old.csv", "-"],
        &["sandbox", "--port", "0"],
    ] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut command = dingmap();
        command.args(line).current_dir(workdir.path("")).stdout(Stdio::null()).stdin(reader);
        let mut process = Process::start(&mut command);
        // The process has its own.
        drop(command);
        wait_for_signal_handler(&process, USR1);
        process.send_signal("USR1");
        if line[0] == "diff" {
            writer.write_all(text.as_bytes()).unwrap();
            process.wait_for_stderr("comparing old.csv");
            // The other table has not come to its end.
            wait_until("an answer", || {
                process.send_signal("USR1");
                process.stderr().contains("  reading ").then_some(())
            });
        } else if line[0] == "sandbox" {
            wait_for_signal_handler(&process, TERM);
            process.send_signal("TERM");
        } else {
            writer.write_all(text.as_bytes()).unwrap();
        }
        drop(writer);
        let ended = process.wait();
        assert_eq!(ended.status, Some(0), "{line:?}: {}", ended.stderr);
    }
}

fn numbers_csv(count: u32) -> String {
    (0..count).fold("mobile\n".to_owned(), |text, n| text + &format!("139{:06}00\n", n + 1))
}

/// Milliseconds that a call takes; with four calls at a time 200 rows take 15 s.
const SLOW_CALL: u64 = 300;

/// Starts a run, lets it make some calls, sends it the signal and waits until it reports it.
fn start_and_signal(
    api: &Sandbox,
    workdir: &Workdir,
    name: &str,
    flags: &[&str],
) -> (Process, PathBuf) {
    let (input, output) =
        (workdir.write_file("staff.csv", numbers_csv(200)), workdir.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let process = Process::start(command.args(["--workers", "4"]).args(flags));
    wait_until("the first calls", || (api.call_log().calls().len() >= 4).then_some(()));
    process.send_signal(name);
    process.wait_for_stderr("stopping: ");
    (process, output)
}

#[test]
fn a_signal_ends_a_run_once_calls_in_flight_finish() {
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let (api, workdir) = (Sandbox::new(slow_script(SLOW_CALL)), Workdir::new());
        let (mut process, _) = start_and_signal(&api, &workdir, name, &["--timeout", "5s"]);
        let calls = api.call_log().calls().len();
        let ended = process.wait();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        let after = api.call_log().calls().len();
        assert!(after <= calls + 4, "{calls} calls at the signal, {after} in the end");
        assert_eq!(workdir.file_names(), ["staff.csv"], "neither an output nor a temporary file");
        assert!(
            ended.stderr.contains("interrupted") && ended.stderr.contains("--partial"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("1390000"), "{}", ended.stderr);
    }
}

#[test]
fn an_interrupted_run_with_partial_writes_every_row() {
    let (api, workdir) = (Sandbox::new(slow_script(SLOW_CALL)), Workdir::new());
    let (mut process, output) = start_and_signal(&api, &workdir, "INT", &["--partial"]);
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["out.csv", "staff.csv"]);
    let (rows, call_log) = (read_rows(&output), api.call_log());
    let input: Vec<String> = numbers_csv(200).lines().skip(1).map(str::to_owned).collect();
    assert_eq!(rows.iter().map(|row| row["mobile"].clone()).collect::<Vec<_>>(), input);
    for row in &rows {
        let called = call_log.calls_for(&row["mobile"]).count();
        let expected = if called == 1 { ["found", "0"] } else { ["pending", ""] };
        assert_eq!([&row["status"], &row["errcode"]], expected, "{row:?}");
        assert_eq!(row["errmsg"].contains("interrupted"), called == 0, "{row:?}");
    }
    let pending = rows.iter().filter(|row| row["status"] == "pending").count();
    assert!(pending > 0 && pending < 200, "{pending}");
    assert!(ended.stderr.contains(&format!("written to {}", output.display())), "{}", ended.stderr);
}

#[test]
fn a_second_signal_ends_a_run_immediately() {
    let silence = ScriptedAnswer::Hang(Duration::from_mins(10));
    // Four times each: what is left behind depends on which thread is faster.
    for (first, second, status) in
        [("INT", "INT", 130), ("TERM", "INT", 130), ("INT", "TERM", 143)].repeat(4)
    {
        let api = Sandbox::new(Script { always: Some(silence.clone()), ..unlimited_script() });
        let workdir = Workdir::new();
        workdir.write_file("out.csv", "from the last run");
        let (mut process, output) =
            start_and_signal(&api, &workdir, first, &["--timeout", "10m", "--partial"]);
        process.send_signal(second);
        let ended = process.wait();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert_eq!(workdir.file_names(), ["out.csv", "staff.csv"], "no temporary file");
        assert_eq!(std::fs::read_to_string(output).unwrap(), "from the last run");
    }
}

#[test]
fn a_signal_at_the_very_start_leaves_nothing_behind() {
    let (api, workdir) = (Sandbox::new(slow_script(SLOW_CALL)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_csv(200));
    let mut process = Process::start(&mut api.resolve(&input, &workdir.path("out.csv")));
    wait_until("the temporary file", || (workdir.file_names().len() > 1).then_some(()));
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(
        (ended.status, workdir.file_names()),
        (Some(130), vec!["staff.csv".to_owned()]),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unreadable_input_leaves_nothing_behind() {
    let workdir = Workdir::new();
    for _ in 0..20 {
        let api = Sandbox::new(unlimited_script());
        let input = workdir.write_file(
            "staff.csv",
            numbers_csv(90).replace('\n', ",\n") + "13900000000,too,many\n",
        );
        let mut command = api.resolve(Path::new("-"), &workdir.path("out.csv"));
        let ended = run(command.stdin(File::open(input).unwrap()));
        assert_eq!(
            (ended.status, workdir.file_names()),
            (Some(3), vec!["staff.csv".to_owned()]),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_reader_that_closes_early_ends_the_run() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_csv(5000));
    let resolve = || api.resolve(&input, Path::new("-"));
    let mut process = Process::start(resolve().stdout(Stdio::piped()));
    let mut line = String::new();
    let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(line, "mobile,userid,exclusive_userids,status,errcode,errmsg\n");
    let ended = process.wait();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dingmap: "), "{}", ended.stderr);
    assert!(api.call_log().calls().len() < 5000, "the calls stop");
    // The answers are kept, and the reports say what happened.
    let summary = workdir.path("run.json");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut process = Process::start(resolve().arg("--summary").arg(&summary).stdout(writer));
    let ended = process.wait();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("resuming: "), "{}", ended.stderr);
    let summary = read_to_string(summary).unwrap();
    assert!(summary.contains("cannot write to standard output: Broken pipe"), "{summary}");
    assert!(summary.contains("the program that reads the output has ended"), "{summary}");
    assert_eq!(workdir.file_names(), ["run.json", "staff.csv"]);
}
