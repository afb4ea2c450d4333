//! `--start-at`: no call before that moment, and how its values are parsed.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::process::{Process, wait_until};
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

#[test]
fn the_first_call_is_not_made_before_start_at() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile\n13900000000\n");
    let session = Instant::now();
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(["--start-at", "+2s"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    // The rest of the wait is less than two seconds where the start took its time.
    let announced = ["(in 2s)", "(in 1s)", "(in 0s)"];
    assert!(
        ended.stderr.contains("starting at 20")
            && announced.iter().any(|wait| ended.stderr.contains(wait)),
        "{}",
        ended.stderr
    );
    let first = api.call_log().arrivals().next().unwrap();
    assert!(first.duration_since(session) >= Duration::from_secs(2));
}

#[test]
fn a_signal_ends_a_run_that_waits_for_start_at() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile\n13900000000\n");
    let mut process =
        Process::start(api.resolve(&input, &workdir.path("out.csv")).args(["--start-at", "+1h"]));
    process.wait_for_stderr("starting at ");
    // A signal meanwhile repeats the message.
    process.send_signal("USR1");
    wait_until("an answer", || {
        (process.stderr().matches("starting at ").count() == 2).then_some(())
    });
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted before the first call"), "{}", ended.stderr);
    assert_eq!((api.call_log().calls().len(), api.call_log().token_calls().len()), (0, 0));
    assert_eq!(workdir.file_names(), ["staff.csv"]);
}

#[test]
fn setup_errors_are_reported_before_waiting_for_start_at() {
    let (api, workdir) = (Sandbox::with_plain_http(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile\n13900000000\n");
    let nothing = workdir.write_file("nothing.pem", "");
    let mut command =
        api.resolve_at_endpoint("https://oapi.invalid", &input, &workdir.path("out.csv"));
    // No authority of the system's, so that nobody can be trusted.
    command
        .env("SSL_CERT_FILE", &nothing)
        .env("SSL_CERT_DIR", workdir.path(""))
        .args(["--start-at", "+1h"]);
    let ended = Process::start(&mut command).wait();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot set up TLS"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("starting at"), "{}", ended.stderr);
    assert_eq!(workdir.file_names(), ["nothing.pem", "staff.csv"]);

    let secret = workdir.write_file("secret", "sandbox-secret\n");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.env_remove("DINGTALK_APP_SECRET").arg("--app-secret-file").arg(secret);
    let mut process = Process::start(command.args(["--start-at", "+1h"]));
    process.wait_for_stderr("starting at ");
    assert!(
        process.stderr().contains("warning: other users of this machine can read"),
        "{}",
        process.stderr()
    );
    process.send_signal("TERM");
    assert_eq!(process.wait().status, Some(143));
}

#[test]
fn an_invalid_start_at_is_rejected_before_anything_is_done() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile\n13900000000\n");
    for (moment, reason) in [
        ("2025-01-01T00:00:00Z", "has passed"),
        ("2025-01-01T00:00[+08:00]", "has passed"),
        ("soon", "invalid time"),
        ("23:59+08:00", "invalid time"),
    ] {
        let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(["--start-at", moment]));
        assert_eq!(ended.status, Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("--start-at: ") && ended.stderr.contains(reason),
            "{}",
            ended.stderr
        );
        assert_eq!(workdir.file_names(), ["staff.csv"]);
    }
}
