//! Replies that are compressed, dated by another clock, unasked for, or without end: none gives a
//! number the answer of another one.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};

use super::TOKEN_ENV;
use crate::support::raw_server::{AfterReply, RawReply, RawServer};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{RunOutput, dingmap, run};
use crate::support::workdir::Workdir;

/// The warning about a reply that may belong to another call.
const NOT_USED: &str = "a reply may belong to another call or to none; it is not used";

/// The reply that finds the number of this request, with an id of its own.
fn found(place: usize, request: &str) -> String {
    let number = request.split("\"mobile\":\"").nth(1).unwrap().split('"').next().unwrap();
    format!(
        r#"{{"errcode":0,"errmsg":"ok","result":{{"userid":"u{number}"}},"request_id":"r{place}"}}"#
    )
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn keep_alive(bytes: Vec<u8>) -> RawReply {
    RawReply { bytes, after: AfterReply::KeepAlive }
}

/// A run over so many numbers; the rows have the number in `mobile`.
fn resolve(server: &RawServer, count: u32, flags: &[&str]) -> (RunOutput, Workdir) {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", staff_csv(count));
    let mut command = dingmap();
    command.arg("resolve").arg(input).arg("-o").arg(workdir.path("out.csv"));
    command.args(["--endpoint", &format!("http://{}", server.address), "-r", "unlimited"]);
    command.args(["--retry-min", "5ms", "--retry-max", "20ms"]).args(flags).envs(TOKEN_ENV);
    (run(&mut command), workdir)
}

#[track_caller]
fn assert_each_has_its_own_answer(ended: &RunOutput, workdir: &Workdir) {
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for row in read_rows(&workdir.path("out.csv")) {
        assert_eq!(row["userid"], format!("u{}", row["mobile"]), "{}", ended.stderr);
    }
}

#[test]
fn a_dated_retry_after_counts_from_the_clock_of_the_server() {
    for skew in [3600, -3600] {
        let server = RawServer::with_requests(move |place, request| {
            if place != 2 {
                return keep_alive(http("200 OK", "", found(place, request).as_bytes()));
            }
            let sent = Timestamp::now() + SignedDuration::from_secs(skew);
            let date = |time: Timestamp| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let until = date(sent + SignedDuration::from_secs(1));
            let headers = format!("Date: {}\r\nRetry-After: {until}\r\n", date(sent));
            keep_alive(http("429 Too Many Requests", &headers, b"slow"))
        });
        let started = Instant::now();
        let (ended, workdir) = resolve(&server, 9, &["--patience", "10s", "-j", "1"]);
        assert_each_has_its_own_answer(&ended, &workdir);
        assert!(started.elapsed() >= Duration::from_secs(1), "{}", ended.stderr);
        assert_eq!(server.call_count(), 10);
    }
}

#[test]
fn a_reply_that_is_compressed_unasked_is_read_or_named() {
    let server = RawServer::with_requests(|place, request| {
        assert!(!request.contains("accept-encoding"), "{request}");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(found(place, request).as_bytes()).unwrap();
        keep_alive(http("200 OK", "Content-Encoding: gzip\r\n", &gzip.finish().unwrap()))
    });
    let (ended, workdir) = resolve(&server, 9, &[]);
    assert_each_has_its_own_answer(&ended, &workdir);
    let server =
        RawServer::new(|_| keep_alive(http("200 OK", "Content-Encoding: br\r\n", b"\x0b\x02")));
    let (ended, workdir) = resolve(&server, 3, &["--max-retries", "1"]);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    for row in read_rows(&workdir.path("out.csv")) {
        assert_eq!(row["errmsg"], "the reply is compressed (br), which dingmap did not ask for");
    }
}

#[test]
fn a_user_id_of_unusual_length_is_no_answer() {
    let server = RawServer::new(|_| {
        let id = "u".repeat(257);
        let body = format!(r#"{{"errcode":0,"errmsg":"ok","result":{{"userid":"{id}"}}}}"#);
        keep_alive(http("200 OK", "", body.as_bytes()))
    });
    let (ended, workdir) = resolve(&server, 3, &["--max-retries", "0"]);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    for row in read_rows(&workdir.path("out.csv")) {
        assert_eq!((&*row["status"], &*row["userid"]), ("failed", ""));
    }
}

#[test]
fn a_second_reply_to_one_request_answers_no_other_number() {
    // In the same packet, with an id of its own: the connection is closed.
    let server = RawServer::with_requests(|place, request| {
        let other = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"wrong"},"request_id":"w"}"#;
        let twice = [
            http("200 OK", "", found(place, request).as_bytes()),
            http("200 OK", "", other.as_bytes()),
        ];
        keep_alive(twice.concat())
    });
    let (ended, workdir) = resolve(&server, 200, &["-j", "4"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    // Once more in place of the next answer.
    let server = RawServer::with_requests(|place, request| RawReply {
        bytes: http("200 OK", "", found(place, request).as_bytes()),
        after: if place % 10 == 3 { AfterReply::Again } else { AfterReply::KeepAlive },
    });
    let (ended, workdir) = resolve(&server, 400, &["-j", "4"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    assert!(ended.stderr.contains(NOT_USED), "{}", ended.stderr);
    let unused = ended.stderr.matches(NOT_USED).count();
    assert!(server.call_count() >= 400 + unused, "each is called again: {}", server.call_count());
}

#[test]
fn a_host_that_gives_every_call_one_id_is_believed() {
    let server = RawServer::new(|_| {
        let body = r#"{"errcode":60121,"errmsg":"none","request_id":"always"}"#;
        keep_alive(http("200 OK", "", body.as_bytes()))
    });
    let (ended, _workdir) = resolve(&server, 100, &["-j", "4", "--max-retries", "1"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("not_found          100"), "{}", ended.stderr);
    assert!((101..=108).contains(&server.call_count()), "{}", server.call_count());
    // Without a retry, one number shows it.
    let (ended, _workdir) = resolve(&server, 100, &["-j", "1", "--max-retries", "0"]);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("not_found           99"), "{}", ended.stderr);
}

#[test]
fn a_timeout_reply_of_an_idle_connection_costs_no_row() {
    let server = RawServer::with_requests(|place, request| {
        let mut bytes = http("200 OK", "", found(place, request).as_bytes());
        if place % 2 == 0 {
            bytes.extend(http("408 Request Timeout", "", b""));
        }
        keep_alive(bytes)
    });
    let (ended, workdir) = resolve(&server, 60, &["-j", "2"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    // In place of an answer.
    let server = RawServer::with_requests(|place, request| {
        keep_alive(match place % 5 {
            4 => http("408 Request Timeout", "", b""),
            _ => http("200 OK", "", found(place, request).as_bytes()),
        })
    });
    let (ended, workdir) = resolve(&server, 60, &["-j", "1"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    assert!(ended.stderr.contains(NOT_USED), "{}", ended.stderr);
}

#[test]
fn a_timeout_reply_to_one_call_costs_the_others_nothing() {
    let server = RawServer::with_requests(|place, request| {
        thread::sleep(Duration::from_millis(5));
        keep_alive(match place % 20 {
            7 => http("408 Request Timeout", "", b""),
            _ => http("200 OK", "", found(place, request).as_bytes()),
        })
    });
    let (ended, workdir) = resolve(&server, 300, &["-j", "8"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    // The number that met it is called again, and at most the one that is next on its connection.
    let timeout_replies = (server.call_count() + 12) / 20;
    let calls = 300 + timeout_replies..=300 + 2 * timeout_replies;
    assert!(calls.contains(&server.call_count()), "{}: {}", server.call_count(), ended.stderr);
}

#[test]
fn a_flood_of_interim_replies_ends_by_the_timeout() {
    let server = RawServer::with_requests(|place, request| match place {
        0 => RawReply {
            bytes: b"HTTP/1.1 100 Continue\r\n\r\n".repeat(400),
            after: AfterReply::FloodOfThese,
        },
        _ => keep_alive(http("200 OK", "", found(place, request).as_bytes())),
    });
    let (ended, workdir) = resolve(&server, 3, &["-j", "1", "--timeout", "1s"]);
    assert_each_has_its_own_answer(&ended, &workdir);
    assert_eq!(server.call_count(), 4, "{}", ended.stderr);
}
