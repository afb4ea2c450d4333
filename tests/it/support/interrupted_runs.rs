//! Answers that outlive their run, on the real executable and a real server: the server's
//! call log shows what is asked again and what is not.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// So many numbers, each once, with every answer that is definitive among them.
pub(crate) fn resolvable_numbers(count: u32) -> Vec<String> {
    let endings: Vec<u32> = (0..94).chain(95..98).collect();
    let width = u32::try_from(endings.len()).unwrap();
    (0..count).map(|n| format!("139{:06}{:02}", n / width, endings[(n % width) as usize])).collect()
}

/// A table of these.
pub(crate) fn numbers_table(numbers: &[String]) -> String {
    "mobile\n".to_owned() + &numbers.join("\n") + "\n"
}

/// What an uninterrupted run makes of an input, without a state and at a server of its own.
pub(crate) fn uninterrupted_output(input: &Path) -> Vec<u8> {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let output = workdir.path("undisturbed.csv");
    let ended = run(api.resolve(input, &output).arg("--no-state"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    std::fs::read(output).unwrap()
}

/// Starts a run and ends it by a signal once so many calls have come.
pub(crate) fn interrupt_after_calls(
    api: &Sandbox,
    input: &Path,
    output: &Path,
    calls: usize,
    signal: &str,
    flags: &[&str],
) -> RunOutput {
    let before = api.call_log().calls().len();
    let mut process = Process::start(api.resolve(input, output).args(flags));
    wait_until("calls", || (api.call_log().calls().len() >= before + calls).then_some(()));
    process.send_signal(signal);
    process.wait()
}

/// Runs to the end, and gives how many calls that took.
pub(crate) fn run_and_count_calls(
    api: &Sandbox,
    input: &Path,
    output: &Path,
    flags: &[&str],
) -> (usize, RunOutput) {
    let before = api.call_log().calls().len();
    let ended = run(api.resolve(input, output).args(flags));
    (api.call_log().calls().len() - before, ended)
}

/// The same command, run by a shell after a few lines of its own, which may have signals ignored:
/// the program that resets them comes before the shell.
pub(crate) fn shell_command(lines: &str, command: &Command) -> Command {
    let mut words = command.get_args();
    let mut shell = Command::new(command.get_program());
    shell.args(words.next()).args(["sh", "-c", &format!("{lines}\nexec \"$@\""), "sh"]).args(words);
    copy_env(command, shell)
}

/// The same, with the rights to mount file systems that nobody else sees: in a user namespace,
/// whose absence fails the test.
pub(crate) fn command_in_mount_namespace(lines: &str, command: &Command) -> Command {
    let inner = shell_command(lines, command);
    let mut outer = Command::new("unshare");
    outer
        .args(["--user", "--map-root-user", "--mount"])
        .arg(inner.get_program())
        .args(inner.get_args());
    copy_env(command, outer)
}

pub(crate) fn copy_env(command: &Command, mut other: Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other.stdin(Stdio::null());
    other
}
