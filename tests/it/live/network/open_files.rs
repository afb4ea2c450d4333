//! A process that may open few files.

use std::process::Command;
use std::time::Duration;

use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The same command after this `ulimit`.
fn limit_open_files(command: &Command, ulimit: &str) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("{ulimit} && exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

#[test]
fn fewer_workers_are_used_where_few_files_may_be_open() {
    let mut script = unlimited_script();
    script.latency = Duration::from_millis(60)..=Duration::from_millis(90);
    for api in [Sandbox::new(script.clone()), Sandbox::with_plain_http(script)] {
        let workdir = Workdir::new();
        let input = workdir.write_file("staff.csv", staff_csv(300));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        command.args(["-j", "256", "--max-retries", "0"]);
        let ended = run(&mut limit_open_files(&command, "ulimit -n 64"));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let warning = "--workers 256 lowered to 16, because this process may open only 64 files; \
                       raise the limit (ulimit -n 544), or set --workers 16";
        assert_eq!(ended.stderr.matches(warning).count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("found              300"), "{}", ended.stderr);
        assert_eq!(api.call_log().calls().len(), 300);
        command.args(["-j", "16"]);
        let ended = run(&mut limit_open_files(&command, "ulimit -n 64"));
        assert!(!ended.stderr.contains("lowered"), "{}", ended.stderr);
    }
}

#[test]
fn the_sandbox_in_the_process_needs_twice_as_many_files() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", staff_csv(100));
    let mut command = crate::support::sandbox::dingmap();
    command.arg("resolve").arg(input).arg("-o").arg(workdir.path("out.csv"));
    command.args(["--sandbox", "-j", "64", "-r", "unlimited", "--max-retries", "0"]);
    let ended = run(&mut limit_open_files(&command, "ulimit -n 64"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("--workers 64 lowered to 8"), "{}", ended.stderr);
}

#[test]
fn the_limit_is_raised_where_the_hard_limit_allows_it() {
    let mut script = unlimited_script();
    script.latency = Duration::from_millis(60)..=Duration::from_millis(90);
    let (api, workdir) = (Sandbox::with_plain_http(script), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(300));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.args(["-j", "64", "--max-retries", "0"]);
    let ended = run(&mut limit_open_files(&command, "ulimit -Sn 64 && ulimit -Hn 256"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lowered"), "{}", ended.stderr);
    assert!(ended.stderr.contains("found              300"), "{}", ended.stderr);
}
