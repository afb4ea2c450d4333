//! `--failed`: the rows that may succeed on another try, as the input of that try.

use std::path::Path;

use dingmap::testing::sandbox::ScriptedAnswer;

use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The numbers ending in 94 are busy through every retry, those in 99 get a code that nobody knows.
const TABLE: &[u8] =
    b"\xef\xbb\xbf\xe5\xb7\xa5\xe5\x8f\xb7,mobile,note\r\n1,13800138000,\"a, \"\"b\"\"\"\r\n\r\n\
2,13800138094,\"two\r\nlines\"\r\n3,13800138090\r\n4,n/a,x\r\n5,13800138099\r\n6,13800138094,last";
const FAILED: &[u8] =
    b"\xef\xbb\xbf\xe5\xb7\xa5\xe5\x8f\xb7,mobile,note\r\n2,13800138094,\"two\r\nlines\"\r\n\
5,13800138099\r\n6,13800138094,last";

#[test]
fn failed_rows_are_written_unchanged_and_can_be_resolved_again() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output, failed) =
        (workdir.write_file("in.csv", TABLE), workdir.path("out.csv"), workdir.path("failed.csv"));
    let ended =
        run(api.resolve(&input, &output).args(["--max-retries", "1", "--failed"]).arg(&failed));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(
        String::from_utf8_lossy(&std::fs::read(&failed).unwrap()),
        String::from_utf8_lossy(FAILED)
    );
    let actual = format!("3 rows to retry written to {}", failed.display());
    assert!(ended.stderr.contains(&actual), "{}", ended.stderr);
    // The next try takes it as it is, and in turn leaves what fails once more: here all of it.
    let again = workdir.path("again.csv");
    let ended =
        run(api.resolve(&failed, &output).args(["--max-retries", "0", "--failed"]).arg(&again));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(std::fs::read(&again).unwrap(), FAILED);
}

#[test]
fn without_failures_only_the_header_is_written() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("in.csv", staff_csv(3));
    let failed = workdir.write_file("failed.csv", "of yesterday\n");
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).arg("--failed").arg(&failed));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&failed).unwrap(), "mobile\n");
    assert_eq!(workdir.file_names(), ["failed.csv", "in.csv", "out.csv"]);
}

#[test]
fn pending_rows_are_written_to_failed() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, failed) = (workdir.write_file("in.csv", staff_csv(5)), workdir.path("failed.csv"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["--max-calls", "3", "-j", "1", "--failed"]).arg(&failed));
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    let rest = "mobile\n13900000003\n13900000004\n";
    assert_eq!(std::fs::read_to_string(&failed).unwrap(), rest);
    // To standard output as well, where the rows are not sent there.
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["--restart", "--max-calls", "3", "-j", "1", "--failed", "-"]));
    assert_eq!((ended.status, &*ended.stdout), (Some(6), rest), "{}", ended.stderr);
}

#[test]
fn a_run_without_output_leaves_the_failed_file_unchanged() {
    let mut script = unlimited_script();
    script.answers_by_call.insert(2, ScriptedAnswer::code(60011));
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let (input, failed) = (
        workdir.write_file("in.csv", staff_csv(5)),
        workdir.write_file(
            "failed.csv",
            "of \
            yesterday\n",
        ),
    );
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["-j", "1", "--failed"]).arg(&failed));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&failed).unwrap(), "of yesterday\n");
    assert_eq!(workdir.file_names(), ["failed.csv", "in.csv"]);
}

#[test]
fn an_invalid_failed_path_is_reported_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (workdir.write_file("in.csv", staff_csv(5)), workdir.path("out.csv"));
    let nowhere = workdir.path("none/failed.csv");
    let stdout = Path::new("-");
    for (failed, output, status, words) in [
        (&*input, &*output, 2, "is the input already"),
        (&*output, &*output, 2, "is the output already"),
        (stdout, stdout, 2, "is the output already"),
        (&*nowhere, &*output, 7, "choose another place with --failed"),
    ] {
        let ended = run(api.resolve(&input, output).arg("--failed").arg(failed));
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(words) && ended.stderr.contains("--failed"),
            "{}",
            ended.stderr
        );
        assert_eq!(workdir.file_names(), ["in.csv"]);
    }
    assert!(api.call_log().calls().is_empty() && api.call_log().token_calls().is_empty());
}
