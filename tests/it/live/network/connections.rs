//! Connections that last: that one is kept while there is work, and that one which was forgotten,
//! closed or fell silent costs no row.

use std::time::Duration;

use dingmap::testing::sandbox::ScriptedAnswer;

use super::{NetworkFixture, TOKEN_ENV, assert_all_found};
use crate::support::network_servers::{Http2Server, StaleConnectionProxy, StreamAction};
use crate::support::rows::staff_csv;
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Longer than a connection is kept idle, by more than a busy machine makes of the difference.
const STALE_AFTER: Duration = Duration::from_secs(3);

#[test]
fn an_idle_connection_is_not_reused_after_a_pause() {
    let scene = NetworkFixture::new();
    let line = StaleConnectionProxy::new(scene.sandbox_address(), STALE_AFTER);
    let endpoint = format!("http://{}", line.address);
    // At this pace every call leaves after a rest.
    assert_all_found(&scene.run(&endpoint, &["--max-retries", "0", "--rate", "0.25"], &TOKEN_ENV));
    assert_eq!((line.stale_requests(), scene.sandbox.call_log().calls().len()), (0, 3));
    // Eight connections are warm when throttling holds the run for four seconds.
    let headers = vec![("Retry-After".to_owned(), "4".to_owned())];
    let mut script = unlimited_script();
    script.latency = Duration::from_millis(20)..=Duration::from_millis(20);
    script
        .answers_by_call
        .insert(20, ScriptedAnswer::Http { status: 429, headers, body: String::new() });
    let (api, workdir) = (Sandbox::with_plain_http(script), Workdir::new());
    let line = StaleConnectionProxy::new(
        api.endpoint().trim_start_matches("http://").parse().unwrap(),
        STALE_AFTER,
    );
    let input = workdir.write_file("staff.csv", staff_csv(60));
    let mut command = api.resolve_at_endpoint(
        &format!("http://{}", line.address),
        &input,
        &workdir.path("out.csv"),
    );
    let ended = run(command.args(["--max-retries", "0", "-j", "8"]));
    assert_eq!((ended.status, line.stale_requests()), (Some(0), 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("paused by throttling") && api.call_log().connections() > 8,
        "{}",
        ended.stderr
    );
}

#[test]
fn connections_are_reused_while_there_is_work() {
    let (api, workdir) = (Sandbox::with_plain_http(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(200));
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(["-j", "4"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!((1..=5).contains(&api.call_log().connections()), "{}", api.call_log().connections());
}

/// Thirty numbers at such a host of HTTP/2.
fn run_over_http2(
    flags: &[&str],
    does: fn(usize, usize) -> StreamAction,
) -> (RunOutput, Http2Server) {
    let scene = NetworkFixture::new();
    scene.workdir.write_file("staff.csv", staff_csv(30));
    let host = Http2Server::new(&scene.authority, does);
    let endpoint = format!("https://localhost:{}", host.address.port());
    let ca = scene.ca_path();
    (scene.run(&endpoint, &[&["--ca-file", &ca], flags].concat(), &TOKEN_ENV), host)
}

#[test]
fn a_refused_http2_stream_costs_no_attempt() {
    let refuses = |_, call| if call % 3 == 2 { StreamAction::Refuse } else { StreamAction::Answer };
    let leaves =
        |connection, _| if connection == 0 { StreamAction::GoAway } else { StreamAction::Answer };
    for does in [refuses, leaves] {
        let (ended, _host) = run_over_http2(&["--max-retries", "0", "-j", "1"], does);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("found               30"), "{}", ended.stderr);
        assert!(ended.stderr.contains("after a connection error"), "{}", ended.stderr);
    }
}

#[test]
fn an_http2_host_that_refuses_every_stream_ends_the_run() {
    for does in [|_, _| StreamAction::Refuse, |_, _| StreamAction::GoAway] {
        let (ended, _host) = run_over_http2(&["--max-retries", "1", "-vvv"], does);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("the server refused the HTTP/2 stream"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("sandbox-token"), "{}", ended.stderr);
    }
}

#[test]
fn a_stalled_http2_connection_is_abandoned() {
    let falls = |connection, call| {
        if connection < 2 && call == 3 { StreamAction::Stall } else { StreamAction::Answer }
    };
    // More than a second's calls can be in flight, so that the connection never rests.
    let flags = ["--max-retries", "5", "-j", "32", "--rate", "20", "--timeout", "1s"];
    let (ended, host) = run_over_http2(&flags, falls);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        host.connections() >= 2 && ended.stderr.contains("found               30"),
        "{}",
        ended.stderr
    );
}
