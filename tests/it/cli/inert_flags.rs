//! A flag that does nothing beside other flags gives a warning.

use crate::support::sandbox::{dingmap, run};
use crate::support::workdir::Workdir;

/// The warnings of a rehearsal with these flags and variables, without their beginnings.
fn warnings(flags: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", "mobile\n13800138000\n");
    let state = workdir.path("state.redb");
    let mut command = dingmap();
    command.env_remove("DINGMAP_NO_STATE").arg("resolve").arg(&input).arg("--sandbox");
    if !flags.contains(&"--no-state") && !flags.contains(&"--quiet") {
        command.arg("--state").arg(&state);
    }
    let ended = run(command.args(flags).envs(variables.iter().copied()));
    assert_eq!(ended.status, Some(0), "{flags:?}: {}", ended.stderr);
    let warnings = ended.stderr.lines().filter_map(|line| line.strip_prefix("warning: "));
    warnings.map(str::to_owned).collect()
}

#[test]
fn a_flag_without_effect_gives_a_warning() {
    for (flags, expected) in [
        (
            &["--max-age-not-found", "1d"][..],
            "--max-age-not-found has no effect: it needs --max-age",
        ),
        (
            &["--no-state", "--max-age", "1d"],
            "--max-age has no effect: --no-state keeps no answers of earlier runs",
        ),
        (&["--shared-optional"], "--shared-optional has no effect: it needs --shared"),
        (
            &["--shared-password-file", "/dev/null"],
            "--shared-password-file has no effect: it needs --shared",
        ),
        (&["--shared-ca-file", "/dev/null"], "--shared-ca-file has no effect: it needs --shared"),
        (
            &["--max-retries", "0", "--retry-max", "1m"],
            "--retry-max has no effect: --max-retries is 0",
        ),
        (
            &["--log-format", "json"],
            "--log-format has no effect: there is no log without -v or --log-file",
        ),
        (
            &["--app-key", "k"],
            "--app-key has no effect: --sandbox uses no credentials and no network",
        ),
        (
            &["--connect-timeout", "20s"],
            "--connect-timeout has only part of its effect: --timeout is shorter and includes \
             connecting",
        ),
        (
            &["--max-age", "1h", "--max-age-not-found", "1d"],
            "--max-age-not-found has only part of its effect: --max-age is shorter and limits the \
             age of all answers",
        ),
        (&["--max-age", "1d", "--max-age-not-found", "1d"], ""),
        (&["--max-age", "0", "--wait", "--restart"], ""),
        (&["--log-format", "json", "-v"], ""),
        (&["--retry-max", "1m"], ""),
    ] {
        assert_eq!(warnings(flags, &[]).concat(), expected, "{flags:?}");
    }
}

#[test]
fn a_variable_gives_a_warning_unless_an_argument_overrides_it() {
    let age = [("DINGMAP_MAX_AGE_NOT_FOUND", "1d")];
    assert_eq!(
        warnings(&[], &age),
        ["DINGMAP_MAX_AGE_NOT_FOUND has no effect: it needs --max-age"]
    );
    // The variables are for other runs.
    let variables = [("DINGMAP_MAX_AGE", "1d"), ("DINGMAP_RETRY_MAX", "1m")];
    assert!(warnings(&["--no-state", "--max-retries", "0"], &variables).is_empty());
    let variables = [("DINGMAP_MAX_AGE", "1d"), ("DINGMAP_NO_STATE", "1")];
    let expected = "DINGMAP_MAX_AGE has no effect: --no-state keeps no answers of earlier runs";
    assert_eq!(
        warnings(&["--no-progress"][..0], &variables).concat(),
        "",
        "--state is an argument"
    );
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", "mobile\n13800138000\n");
    let ended = run(dingmap().arg("plan").arg(&input).envs(variables));
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}
