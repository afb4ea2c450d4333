//! Places in which no state can be kept, or no longer: what is reported, and that the run goes on
//! once they are mended.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::interrupted_runs::{
    command_in_mount_namespace, numbers_table, resolvable_numbers, run_and_count_calls,
    shell_command, uninterrupted_output,
};
use crate::support::sandbox::{Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn the_state_and_its_directory_are_private() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    assert_eq!(run_and_count_calls(&api, &input, &output, &[]).1.status, Some(0));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (state, directory) = (api.state_path(), api.state_path().parent().unwrap().to_owned());
    assert_eq!((mode(&state), mode(&directory)), (0o600, 0o700));
    for entry in fs::read_dir(directory).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_missing_state_location_is_reported_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    let ended = run(api.resolve(&input, &output).env_remove("XDG_DATA_HOME").env_remove("HOME"));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    // Nobody can make a directory there, not even the system's administrator.
    let proc = run(api.resolve(&input, &output).env("XDG_DATA_HOME", "/proc"));
    assert_eq!(proc.status, Some(1), "{}", proc.stderr);
    let file = run(api.resolve(&input, &output).env("XDG_DATA_HOME", &input));
    assert_eq!(file.status, Some(1), "{}", file.stderr);
    for ended in [ended, proc, file] {
        assert!(
            ended.stderr.contains("--state") && ended.stderr.contains("--no-state"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(
        (workdir.file_names(), api.call_log().calls().len()),
        (vec!["staff.csv".to_owned()], 0)
    );
    let ended = run(api.resolve(&input, &output).env_remove("HOME").env("DINGMAP_NO_STATE", "1"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn state_flags_override_state_variables() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    let state = workdir.path("kept");
    let both = run(api.resolve(&input, &output).arg("--no-state").arg("--state").arg(&state));
    assert_eq!(both.status, Some(2), "{}", both.stderr);
    let ended = run(api.resolve(&input, &output).arg("--no-state").env("DINGMAP_STATE", &state));
    assert_eq!((ended.status, state.exists()), (Some(0), false), "{}", ended.stderr);
    let ended =
        run(api.resolve(&input, &output).arg("--state").arg(&state).env("DINGMAP_NO_STATE", "1"));
    assert_eq!((ended.status, state.exists()), (Some(0), true), "{}", ended.stderr);
}

#[test]
fn a_run_resumes_after_the_state_disk_was_full() {
    let (api, workdir) = (Sandbox::new(slow_script(5)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(9000)));
    let (output, state) = (workdir.path("out.csv"), workdir.path("state"));
    let command = || {
        let mut command = api.resolve(&input, &output);
        command.args(["--rate", "4000", "--workers", "64", "--state"]).arg(&state);
        command
    };
    // The state is made first: its first size is beyond the limit that its growth is then to meet.
    assert_eq!(run(command().args(["--max-calls", "50"])).status, Some(6));
    let (size, before) = (fs::metadata(&state).unwrap().len(), api.call_log().calls().len());
    fs::remove_file(&output).unwrap();
    // No file may grow beyond this; the signal that says so is ignored, so that the write fails as
    // on a full disk. Where there is no room even for the beginning of a run, it is refused before
    // the first call.
    let none =
        run(&mut shell_command(&format!("trap '' XFSZ; ulimit -f {}", size / 512), &command()));
    assert_eq!((none.status, api.call_log().calls().len()), (Some(1), before), "{}", none.stderr);
    assert!(none.stderr.contains("Free disk space") && !output.exists(), "{}", none.stderr);
    let blocks = (size + (256 << 10)) / 512;
    let mut full = shell_command(&format!("trap '' XFSZ; ulimit -f {blocks}"), &command());
    let ended = run(&mut full);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("can no longer be kept") && ended.stderr.contains("too large"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("same command"), "{}", ended.stderr);
    assert!(!output.exists() && api.call_log().calls().len() > before);
    let ended = run(&mut command());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("set aside") && ended.stderr.contains("resuming: "),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
}

/// On a file system of its own, which takes a user namespace or the rights of an administrator.
#[test]
fn a_run_resumes_after_a_small_file_system_was_full() {
    let (api, workdir) = (Sandbox::new(slow_script(5)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(9000)));
    let output = workdir.path("out.csv");
    fs::create_dir(workdir.path("small")).unwrap();
    let state = workdir.path("small/state");
    let mut command = api.resolve(&input, &output);
    command.args(["--rate", "4000", "--workers", "64", "--state"]).arg(&state);
    let small = workdir.path("small");
    let (small, kept) = (small.display(), workdir.path("kept"));
    // The second run is in the same namespace: the file system is gone with it.
    let lines = format!(
        "mount -t tmpfs -o size=20m tmpfs {small} || exit 99\n\
         \"$@\" --max-calls 50 || [ $? = 6 ] || exit 98\n\
         rm {output}\n\
         mount -o remount,size=$(($(du -sk {small} | cut -f1) + 40))k {small} || exit 95\n\
         \"$@\"; echo first $? >&2\n\
         [ -e {output} ] && exit 97\n\
         mount -o remount,size=200m {small} || exit 96\n\
         cp {small}/state {kept}",
        output = output.display(),
        kept = kept.display(),
    );
    let ended = run(&mut command_in_mount_namespace(&lines, &command));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("first 1\n") && ended.stderr.contains("No space left"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("resuming: "), "{}", ended.stderr);
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
    let info = run(dingmap().args(["state", "info", "--state"]).arg(&kept));
    assert!(info.stdout.contains("not finished") || info.stdout.contains("found"), "{info:?}");
}

#[test]
fn an_unusable_state_path_is_rejected_and_left_unchanged() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    let pipe = workdir.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let directory = workdir.path("directory");
    fs::create_dir(&directory).unwrap();
    let locked = workdir.path("other");
    workdir.write_file("other.lock", "mine");
    for (state, status) in [
        (std::path::Path::new("/dev/null"), 1),
        (&pipe, 1),
        (&directory, 1),
        (&locked, 1),
        (&input, 2),
        (&output, 2),
    ] {
        let ended = run(api.resolve(&input, &output).arg("--state").arg(state));
        assert_eq!(ended.status, Some(status), "{}: {}", state.display(), ended.stderr);
        assert!(ended.stderr.contains("--state"), "{}", ended.stderr);
    }
    assert!(
        !fs::metadata("/dev/null").unwrap().is_file() && !fs::metadata(&pipe).unwrap().is_file()
    );
    assert_eq!(fs::read(workdir.path("other.lock")).unwrap(), b"mine");
    assert_eq!((output.exists(), api.call_log().calls().len()), (false, 0));
}

#[test]
fn a_state_symlink_is_followed() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3))),
        workdir.path("out.csv"),
    );
    fs::create_dir(workdir.path("real")).unwrap();
    let (real, link) = (workdir.path("real/state"), workdir.path("link"));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let state = |path: &std::path::Path| {
        let ended = run(api.resolve(&input, &output).arg("--state").arg(path));
        (ended.status, ended.stderr)
    };
    assert_eq!(state(&link).0, Some(1), "it leads nowhere yet");
    assert_eq!(state(&real).0, Some(0));
    assert_eq!(state(&link).0, Some(0));
    // An empty file has nothing any more, and that is reported.
    fs::write(&real, "").unwrap();
    let (status, actual) = state(&link);
    assert!(
        status == Some(0) && actual.contains("set aside") && actual.contains("real/state.damaged-"),
        "{actual}"
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}
