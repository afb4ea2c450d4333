//! The file that log lines are appended to: what gets there and what does not, and that nothing
//! that happens to it costs a run anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::Value;

use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

fn messages(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["fields"]["message"].as_str().unwrap()).collect()
}

#[test]
fn the_log_file_is_private_appended_and_independent_of_quiet() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(2, ScriptedAnswer::Code { code: -1, msg: "系统繁忙".to_owned() });
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, log) = (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("run.log"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["--log-format", "json", "-q", "--log-file"]).arg(&log);
    let ended = run(&mut command);
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    let first = json_lines(&log);
    assert_eq!(messages(&first), ["started", "token fetched", "retrying", "finished"]);
    assert!(first.iter().all(|object| object["level"] == "INFO"), "{first:?}");
    let moments: Vec<jiff::Timestamp> =
        first.iter().map(|object| object["timestamp"].as_str().unwrap().parse().unwrap()).collect();
    assert!(moments.is_sorted(), "{moments:?}");
    assert_eq!(first[3]["fields"]["status"], 0);
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);

    // The next run goes on behind it, and says in it why it ended; standard error has its messages
    // as ever.
    let mut command = api.resolve(Path::new("/nowhere.csv"), &workdir.path("out.csv"));
    let ended =
        run(command.env("DINGMAP_LOG_FILE", &log).env("DINGMAP_LOG_FORMAT", "json").arg("-vvv"));
    assert_eq!(ended.status, Some(3));
    assert!(
        ended.stderr.starts_with("dingmap: ") && ended.stderr.lines().count() == 1,
        "{}",
        ended.stderr
    );
    let both = json_lines(&log);
    assert_eq!(both[..4], first);
    let last = &both[both.len() - 1]["fields"];
    assert_eq!((&last["message"], &last["status"]), (&"finished".into(), &3.into()));
    assert!(last["failure"].as_str().unwrap().contains("/nowhere.csv"), "{last}");
}

#[test]
fn every_command_accepts_log_file_and_verbosity_adds_detail() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, log) = (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("run.log"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.arg("-vv").arg("--log-file").arg(&log));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("DEBUG answered") && text.contains("139****0000") && !text.contains('\x1b'),
        "{text}"
    );
    assert!(!ended.stderr.contains("answered"), "{}", ended.stderr);
    for command in ["plan", "diff", "state info"] {
        let log = workdir.path(command.replace(' ', "-"));
        let mut typed = dingmap();
        typed.args(command.split(' '));
        match command {
            "plan" => typed.arg(&input),
            "diff" => typed.arg(workdir.path("out.csv")).arg(workdir.path("out.csv")),
            _ => typed.arg("--state").arg(api.state_path()),
        };
        let ended = run(typed.arg("--log-file").arg(&log));
        assert_eq!(ended.status, Some(0), "{command}: {}", ended.stderr);
        assert!(fs::read_to_string(&log).unwrap().contains("finished status=0"), "{command}");
    }
}

#[test]
fn an_invalid_log_file_is_rejected_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("out.csv"));
    let secret = workdir.write_file("secret", "sandbox-secret\n");
    fs::hard_link(&input, workdir.path("hard link to the input")).unwrap();
    workdir.write_file("c.toml", "rate = 7\n");
    // Nobody reads it.
    assert!(Command::new("mkfifo").arg(workdir.path("pipe")).status().unwrap().success());
    for (name, status, word) in [
        ("no/such/directory/run.log", 7, "No such file or directory"),
        ("", 7, "directory"),
        ("staff.csv", 2, "is the input already"),
        ("out.csv", 2, "is the output already"),
        ("failed.csv", 2, "is --failed already"),
        ("state.redb", 2, "is --state already"),
        ("state.redb.lock", 2, "is the lock of the state already"),
        ("run.html", 2, "is --report already"),
        ("secret", 2, "is --app-secret-file already"),
        ("c.toml", 2, "is --config already"),
        ("hard link to the input", 2, "is the input already"),
        ("pipe", 7, "No such device"),
    ] {
        let mut command = api.resolve(&input, &output);
        command
            .arg("--failed")
            .arg(workdir.path("failed.csv"))
            .arg("--state")
            .arg(workdir.path("state.redb"));
        command
            .arg("--report")
            .arg(workdir.path("run.html"))
            .arg("--app-secret-file")
            .arg(workdir.path("secret"));
        command.arg("--config").arg(workdir.path("c.toml"));
        let ended = run(command.arg("--log-file").arg(workdir.path(name)));
        assert_eq!(ended.status, Some(status), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("--log-file: ") && ended.stderr.contains(word),
            "{}",
            ended.stderr
        );
    }
    let settings = workdir.write_file("dingmap.toml", "rate = 5\n");
    for (flag, file) in [("--report", workdir.path("run.html")), ("--config", settings.clone())] {
        let mut command = api.resolve(&input, &output);
        let ended = run(command.arg(flag).arg(&file).arg("--log-file").arg(&file));
        assert_eq!(ended.status, Some(2), "{}", ended.stderr);
        let words = format!("--log-file: {} is {flag} already", file.display());
        assert!(ended.stderr.contains(&words), "{}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(&settings).unwrap(), "rate = 5\n");
    fs::remove_file(settings).unwrap();
    let ended = run(api.resolve(&input, &output).args(["--log-file", "-"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    let ended = run(dingmap().arg("plan").arg(&input).arg("--log-file").arg(&input));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    // A state that nobody named is one too.
    let mut command = api.resolve(&input, &output);
    let ended = run(command.arg("--log-file").arg(api.state_path()));
    assert!(
        ended.status == Some(2) && ended.stderr.contains("is the state already"),
        "{}",
        ended.stderr
    );
    // And so are files that only others write.
    let mut command = api.resolve(&input, &output);
    let ended = run(command.arg("--summary").arg(&secret).arg("--app-secret-file").arg(&secret));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--summary: ")
            && ended.stderr.contains("is --app-secret-file already")
    );
    assert_eq!(
        workdir.file_names(),
        ["c.toml", "hard link to the input", "pipe", "secret", "staff.csv"]
    );
    assert_eq!(fs::read_to_string(&input).unwrap(), staff_csv(3));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "sandbox-secret\n");
    assert!(api.call_log().calls().is_empty() && api.call_log().token_calls().is_empty());
}

#[test]
fn a_full_disk_loses_only_log_lines() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (workdir.write_file("staff.csv", staff_csv(60)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).args(["-vvv", "-q", "--log-file", "/dev/full"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot write /dev/full: No space left"), "{}", ended.stderr);
    assert_eq!(read_rows(&output).iter().filter(|row| row["status"] == "found").count(), 60);
}

#[test]
fn a_renamed_log_file_keeps_receiving_lines() {
    let (api, workdir) = (Sandbox::new(slow_script(100)), Workdir::new());
    let (input, log) = (workdir.write_file("staff.csv", staff_csv(40)), workdir.path("run.log"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["--workers", "2", "-vv", "--log-format", "json", "--log-file"]).arg(&log);
    let mut process = Process::start(&mut command);
    wait_until("a call", || (!api.call_log().calls().is_empty()).then_some(()));
    fs::rename(&log, workdir.path("run.log.1")).unwrap();
    let ended = process.wait();
    assert_eq!((ended.status, log.exists()), (Some(0), false), "{}", ended.stderr);
    let objects = json_lines(&workdir.path("run.log.1"));
    assert_eq!(messages(&objects).iter().filter(|message| **message == "answered").count(), 40);
    assert_eq!(messages(&objects).last(), Some(&"finished"));
}

#[test]
fn log_lines_can_be_written_to_a_pipe() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, pipe) = (workdir.write_file("staff.csv", staff_csv(3)), workdir.path("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let read = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    // Whoever opens it to write waits for the reader, and lets him wait for the run.
    let held = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let ended =
        run(api.resolve(&input, &workdir.path("out.csv")).args(["-vvv", "--log-file"]).arg(&pipe));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    drop(held);
    assert!(read.join().unwrap().contains("finished status=0"));
}
