//! Outputs that cannot be written, or no longer: what is reported, that nothing is left behind, and
//! that the run goes on once that is mended.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::interrupted_runs::{
    command_in_mount_namespace, numbers_table, resolvable_numbers, run_and_count_calls,
    shell_command, uninterrupted_output,
};
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{Sandbox, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn leftovers_of_a_killed_run_are_removed_by_the_next() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(400))),
        workdir.path("out.csv"),
    );
    let mut process = Process::start(api.resolve(&input, &output).args(["--workers", "4"]));
    wait_until("calls", || (api.call_log().calls().len() > 20).then_some(()));
    process.send_signal("KILL");
    process.wait();
    assert_eq!(workdir.file_names().len(), 2, "{:?}", workdir.file_names());
    let (_, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert_eq!(
        (ended.status, workdir.file_names()),
        (Some(0), vec!["out.csv".to_owned(), "staff.csv".to_owned()])
    );
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
}

#[test]
fn missing_disk_space_is_reported_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(9000)));
    fs::create_dir(workdir.path("small")).unwrap();
    let (small, output) = (workdir.path("small"), workdir.path("small/out.csv"));
    let lines = format!("mount -t tmpfs -o size=64k tmpfs {} || exit 99", small.display());
    let ended = run(&mut command_in_mount_namespace(&lines, &api.resolve(&input, &output)));
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(7), 0), "{}", ended.stderr);
    for words in ["bytes at least", "make room", "same command", "out.csv"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[test]
fn a_run_resumes_after_the_output_disk_was_full() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(9000)));
    fs::create_dir(workdir.path("small")).unwrap();
    let (small, output, kept) =
        (workdir.path("small"), workdir.path("small/out.csv"), workdir.path("kept.csv"));
    // The input is a pipe, whose size nobody knows: the room runs out in writing.
    let mut command = api.resolve("-".as_ref(), &output);
    command.arg("--rate").arg("4000");
    let lines = format!(
        "mount -t tmpfs -o size=128k tmpfs {small} || exit 99\n\
         \"$@\" < {input}; echo first $? >&2\n\
         ls -A {small} >&2\n\
         mount -o remount,size=9m {small} || exit 98\n\
         \"$@\" < {input}; echo second $? >&2\n\
         cp {output} {kept}; exit 0",
        small = small.display(),
        input = input.display(),
        output = output.display(),
        kept = kept.display(),
    );
    let ended = run(&mut command_in_mount_namespace(&lines, &command));
    let (before, after) = ended.stderr.split_once("first 7\n").expect(&ended.stderr);
    assert!(before.contains("make room and run the same command again"), "{before}");
    assert!(
        !after.contains("out.csv.") && !after.contains("dingmap-tmp"),
        "something was left: {after}"
    );
    assert!(after.contains("resuming: ") && after.contains("second 0\n"), "{after}");
    assert_eq!(fs::read(&kept).unwrap(), uninterrupted_output(&input));
    assert!(api.call_log().calls().len() <= 9000 + 1000, "{}", api.call_log().calls().len());
}

#[test]
fn a_file_size_limit_is_treated_as_a_full_disk() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3000)));
    let output = workdir.path("out.csv");
    let mut command = api.resolve(&input, &output);
    command.arg("--no-state");
    let ended = run(&mut shell_command("trap '' XFSZ; ulimit -f 100", &command));
    assert_eq!(
        (ended.status, workdir.file_names()),
        (Some(7), vec!["staff.csv".to_owned()]),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("make room"), "{}", ended.stderr);
}

#[test]
fn a_deleted_output_directory_loses_no_answers() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(300)));
    let (place, output) = (workdir.path("place"), workdir.path("place/out.csv"));
    fs::create_dir(&place).unwrap();
    let mut process = Process::start(api.resolve(&input, &output).args(["--workers", "4"]));
    wait_until("calls", || (api.call_log().calls().len() > 20).then_some(()));
    fs::remove_dir_all(&place).unwrap();
    let ended = process.wait();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    for words in [
        "cannot put the finished output in place",
        "create the directory first",
        "same command resumes",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("dingmap-tmp"), "{}", ended.stderr);
    fs::create_dir(&place).unwrap();
    let (calls, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert_eq!((ended.status, calls), (Some(0), 0), "{}", ended.stderr);
    assert_eq!(fs::read(&output).unwrap(), uninterrupted_output(&input));
}

#[test]
fn a_read_only_output_directory_is_reported_before_the_first_call() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3)));
    fs::create_dir(workdir.path("fixed")).unwrap();
    let (fixed, output) = (workdir.path("fixed"), workdir.path("fixed/out.csv"));
    let lines = format!("mount -t tmpfs -o ro tmpfs {} || exit 99", fixed.display());
    let ended = run(&mut command_in_mount_namespace(&lines, &api.resolve(&input, &output)));
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(7), 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("out.csv") && ended.stderr.contains("--output"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_output_replaced_through_a_symlink_keeps_mode_and_owner() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(3)));
    let (target, link) = (workdir.write_file("real.csv", "old"), workdir.path("out.csv"));
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    // Only the superuser can give a file away; anybody else's stays their own.
    let _ = std::os::unix::fs::chown(&target, Some(12_345), Some(23_456));
    let of = |path: &std::path::Path| {
        let file = fs::metadata(path).unwrap();
        (file.mode() & 0o777, file.uid(), file.gid())
    };
    let before = of(&target);
    std::os::unix::fs::symlink("real.csv", &link).unwrap();
    let (_, ended) = run_and_count_calls(&api, &input, &link, &[]);
    assert_eq!((ended.status, of(&target)), (Some(0), before), "{}", ended.stderr);
    assert_eq!(fs::read(&target).unwrap(), uninterrupted_output(&input));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}
