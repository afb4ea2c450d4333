//! Connections that last: that one is kept while there is work, and that one which was forgotten, closed or fell silent
//! costs no row.

use std::time::Duration;

use dingmap::testing::sandbox::Answer;

use super::fronts::{Forgetful, Stream, Streams};
use super::{Scene, TOKEN, went_well};
use crate::harness::{Api, Desk, Ended, run, staff, unlimited};

/// Longer than a connection is kept idle, by more than a busy machine makes of the difference.
const FORGOTTEN: Duration = Duration::from_secs(3);

#[test]
fn a_connection_that_was_forgotten_in_a_rest_is_not_used_again() {
    let scene = Scene::new();
    let line = Forgetful::new(scene.sandbox(), FORGOTTEN);
    let endpoint = format!("http://{}", line.address);
    // At this pace every call leaves after a rest.
    went_well(&scene.run(&endpoint, &["--max-retries", "0", "--rate", "0.25"], &TOKEN));
    assert_eq!((line.broken(), scene.api.ledger().calls().len()), (0, 3));
    // Eight connections are warm when throttling holds the run for four seconds.
    let headers = vec![("Retry-After".to_owned(), "4".to_owned())];
    let mut script = unlimited();
    script.latency = Duration::from_millis(20)..=Duration::from_millis(20);
    script.calls.insert(20, Answer::Http { status: 429, headers, body: String::new() });
    let (api, desk) = (Api::new(script), Desk::new());
    let line =
        Forgetful::new(api.endpoint().trim_start_matches("http://").parse().unwrap(), FORGOTTEN);
    let input = desk.file("staff.csv", staff(60));
    let mut command =
        api.resolve_at(&format!("http://{}", line.address), &input, &desk.path("out.csv"));
    let ended = run(command.args(["--max-retries", "0", "-j", "8"]));
    assert_eq!((ended.status, line.broken()), (Some(0), 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("held by throttling") && api.ledger().connections() > 8,
        "{}",
        ended.stderr
    );
}

#[test]
fn a_connection_is_kept_while_there_is_work() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let input = desk.file("staff.csv", staff(200));
    let ended = run(api.resolve(&input, &desk.path("out.csv")).args(["-j", "4"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!((1..=5).contains(&api.ledger().connections()), "{}", api.ledger().connections());
}

/// Thirty numbers at such a host of HTTP/2.
fn over_streams(flags: &[&str], does: fn(usize, usize) -> Stream) -> (Ended, Streams) {
    let scene = Scene::new();
    scene.desk.file("staff.csv", staff(30));
    let host = Streams::new(&scene.authority, does);
    let endpoint = format!("https://localhost:{}", host.address.port());
    let ca = scene.ca();
    (scene.run(&endpoint, &[&["--ca-file", &ca], flags].concat(), &TOKEN), host)
}

#[test]
fn a_call_that_a_host_of_http_2_did_not_take_costs_no_attempt() {
    let refuses = |_, call| if call % 3 == 2 { Stream::Refuse } else { Stream::Answer };
    let leaves = |connection, _| if connection == 0 { Stream::Leave } else { Stream::Answer };
    for does in [refuses, leaves] {
        let (ended, _host) = over_streams(&["--max-retries", "0", "-j", "1"], does);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("found               30"), "{}", ended.stderr);
        assert!(ended.stderr.contains("after a failure of the line"), "{}", ended.stderr);
    }
}

#[test]
fn a_host_of_http_2_that_takes_no_call_is_not_asked_without_end() {
    for does in [|_, _| Stream::Refuse, |_, _| Stream::Leave] {
        let (ended, _host) = over_streams(&["--max-retries", "1", "-vvv"], does);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("the host did not take the call"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("sandbox-token"), "{}", ended.stderr);
    }
}

#[test]
fn a_connection_of_http_2_that_falls_silent_is_left() {
    let falls =
        |connection, call| if connection < 2 && call == 3 { Stream::Fall } else { Stream::Answer };
    // More than a second's calls can be under way, so that the connection never rests.
    let flags = ["--max-retries", "5", "-j", "32", "--rate", "20", "--timeout", "1s"];
    let (ended, host) = over_streams(&flags, falls);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        host.connections() >= 2 && ended.stderr.contains("found               30"),
        "{}",
        ended.stderr
    );
}
