//! What a server or a line can do wrong with a call: what the row, the run and the exit status then
//! say. The server is of bytes, since most of it is what no library for servers would send.

use crate::support::raw_server::{AfterReply, RawReply, RawServer};
use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

const FOUND_BODY: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u1"}}"#;

/// A whole reply with this body.
fn ok_response(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}

/// A reply of something in between.
fn status_response(line: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}

fn gzip_response() -> Vec<u8> {
    // A frame of gzip, up to where its content would be.
    let body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*.)R\xb2R";
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend(body);
    reply
}

/// A run against this host with a given token, one more attempt, and a short timeout.
fn resolve_against(host: &RawServer, numbers: &[&str], flags: &[&str]) -> (RunOutput, Workdir) {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", format!("mobile\n{}\n", numbers.join("\n")));
    let mut command = api.resolve_at_endpoint(
        &format!("http://{}", host.address),
        &input,
        &workdir.path("out.csv"),
    );
    command
        .env("DINGTALK_ACCESS_TOKEN", "the-token")
        .env_remove("DINGTALK_APP_KEY")
        .env_remove("DINGTALK_APP_SECRET");
    command.args(["--timeout", "700ms", "--max-retries", "1", "--retry-max", "5ms"]).args(flags);
    let ended = run(&mut command);
    assert!(ended.status.is_some() && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    (ended, workdir)
}

/// What is wrong with a reply, the reply, and the words of the row.
fn fault_cases() -> Vec<(&'static str, RawReply, &'static str)> {
    let (hang, serve, close, reset) =
        (AfterReply::Hang, AfterReply::KeepAlive, AfterReply::Close, AfterReply::Reset);
    let page = "<html>log in</html>";
    let some = |bytes: Vec<u8>, then| RawReply { bytes, after: then };
    let head = |text: &str| text.as_bytes().to_vec();
    vec![
        ("reset before the headers", some(vec![], reset), "connection lost: "),
        ("closed before the headers", some(vec![], close), "connection lost: "),
        ("silence", some(vec![], hang), "timed out after 700ms"),
        ("reset in the headers", some(head("HTTP/1.1 200 O"), reset), "connection lost: "),
        (
            "reset after the headers",
            some(head("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), reset),
            "connection lost: ",
        ),
        (
            "half a body",
            some(head("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"errcode\":0"), close),
            "connection lost: ",
        ),
        ("headers and silence", some(head("HTTP/1.1 200 OK\r\n"), hang), "timed out after 700ms"),
        (
            "a body that is longer than it says",
            some([ok_response("{}"), b"garbage".to_vec()].concat(), close),
            "the reply had no errcode",
        ),
        (
            "a body that is shorter than it says",
            some(head("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{}"), hang),
            "timed out after 700ms",
        ),
        (
            "a length that is none",
            some(head("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"), close),
            "connection lost: ",
        ),
        (
            "bytes that are no HTTP",
            some(b"\0\x01\xffgarbage\r\n\r\n".to_vec(), close),
            "connection lost: ",
        ),
        (
            "endless headers",
            some([head("HTTP/1.1 200 OK\r\nx: "), vec![b'a'; 1 << 20]].concat(), hang),
            "connection lost: ",
        ),
        (
            "chunks that are none",
            some(head("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), close),
            "connection lost: ",
        ),
        (
            "a drip",
            some(head("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), AfterReply::Drip),
            "timed out after 700ms",
        ),
        ("an empty body", some(ok_response(""), serve), "the reply was empty"),
        ("no JSON", some(ok_response("hello"), serve), "the reply was not readable JSON"),
        (
            "JSON that breaks off",
            some(ok_response("{\"errcode\":0,"), serve),
            "the reply was not readable JSON",
        ),
        ("JSON that is no answer", some(ok_response("[1,2]"), serve), "the reply"),
        (
            "deep JSON",
            some(ok_response(&"[".repeat(200_000)), serve),
            "the reply was not readable JSON",
        ),
        (
            "a page",
            some(ok_response(page), serve),
            "the reply was a web page, not an answer of the API",
        ),
        (
            "gzip, which was not asked for",
            some(gzip_response(), serve),
            "the reply is compressed (gzip)",
        ),
        (
            "10 MiB",
            some(ok_response(&" ".repeat(10 << 20)), serve),
            "reply larger than 1048576 bytes",
        ),
        (
            "endless bytes",
            some(head("HTTP/1.1 200 OK\r\n\r\n"), AfterReply::Flood),
            "reply larger than 1048576 bytes",
        ),
        (
            "a proxy's 403",
            some(status_response("403 Forbidden", page), serve),
            "HTTP 403: the reply was a web page",
        ),
        (
            "a proxy's 404",
            some(status_response("404 Not Found", page), serve),
            "HTTP 404: the reply was a web page",
        ),
        (
            "a proxy's 407",
            some(status_response("407 Proxy Authentication Required", ""), serve),
            "the proxy requires a user name and a password",
        ),
        (
            "a proxy's 413",
            some(status_response("413 Content Too Large", page), serve),
            "HTTP 413: the reply was a web page",
        ),
        ("a proxy's 502", some(status_response("502 Bad Gateway", page), serve), "HTTP 502"),
        ("a proxy's 504", some(status_response("504 Gateway Timeout", page), serve), "HTTP 504"),
        (
            "a status that nobody has",
            some(status_response("999 What", page), serve),
            "HTTP 999: the reply was a web page",
        ),
    ]
}

#[test]
fn a_fault_costs_an_attempt_and_finally_fails_the_row() {
    std::thread::scope(|scope| {
        for (fault, reply, words) in fault_cases() {
            scope.spawn(move || {
                // The first number is answered, so that the host counts as one that works.
                let host = RawServer::new(move |call| {
                    if call == 0 {
                        RawReply { bytes: ok_response(FOUND_BODY), after: AfterReply::KeepAlive }
                    } else {
                        reply.clone()
                    }
                });
                let (ended, workdir) =
                    resolve_against(&host, &["13900000000", "13900000001"], &["-j", "1"]);
                assert_eq!(ended.status, Some(4), "{fault}: {}", ended.stderr);
                let rows = read_rows(&workdir.path("out.csv"));
                assert_eq!((&*rows[0]["status"], &*rows[0]["userid"]), ("found", "u1"), "{fault}");
                let row = &rows[1];
                assert_eq!(
                    (&*row["status"], &*row["errcode"], &*row["userid"]),
                    ("failed", "", ""),
                    "{fault}"
                );
                assert!(row["errmsg"].starts_with(words), "{fault}: {}", row["errmsg"]);
                assert_eq!(host.call_count(), 3, "{fault}: one answer, one attempt and one retry");
            });
        }
    });
}

#[test]
fn a_redirect_is_not_followed() {
    for code in [301, 302, 303, 307, 308] {
        let other = RawServer::new(|_| RawReply {
            bytes: ok_response(FOUND_BODY),
            after: AfterReply::KeepAlive,
        });
        let to = other.address;
        let head = format!(
            "{code} Moved\r\nlocation: http://{to}/login?access_token=the-token&x=13900000000"
        );
        let host = RawServer::new(move |_| RawReply {
            bytes: status_response(&head, ""),
            after: AfterReply::KeepAlive,
        });
        let (ended, workdir) = resolve_against(&host, &["13900000000"], &[]);
        assert_eq!((ended.status, other.call_count()), (Some(4), 0), "{}", ended.stderr);
        let errmsg = format!(
            "HTTP {code}: redirect to http://{to} not followed (it would receive the token)"
        );
        assert_eq!(read_rows(&workdir.path("out.csv"))[0]["errmsg"], errmsg);
    }
}

#[test]
fn a_host_that_is_not_the_api_ends_the_run_after_twenty_numbers() {
    let host = RawServer::new(|_| RawReply {
        bytes: status_response("404 Not Found", "<html>nobody here</html>"),
        after: AfterReply::KeepAlive,
    });
    let numbers: Vec<_> = (0..200).map(|n| format!("139000{n:05}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let (ended, workdir) = resolve_against(&host, &numbers, &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for words in ["unexpected replies from", "HTTP 404", "first 20 numbers", "--endpoint"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(host.call_count() <= 40, "{}", host.call_count());
    assert_eq!(workdir.file_names(), ["staff.csv"]);
}

#[test]
fn a_random_faulty_server_causes_no_panic_hang_or_lost_row() {
    // Cuts, delays and garbage by chance, the same in every run of this test.
    let host = RawServer::new(|call| {
        let mut chance = fastrand::Rng::with_seed(call as u64);
        let mut bytes = ok_response(FOUND_BODY);
        if chance.u8(..4) == 0 {
            let place = chance.usize(..bytes.len());
            bytes[place] = chance.u8(..);
        }
        if chance.u8(..4) == 0 {
            bytes.truncate(chance.usize(..bytes.len()));
        }
        if chance.u8(..8) == 0 {
            let count = chance.usize(..300);
            bytes = std::iter::repeat_with(|| chance.u8(..)).take(count).collect();
        }
        let then = match chance.u8(..8) {
            0 => AfterReply::Close,
            1 => AfterReply::Reset,
            2 => AfterReply::Hang,
            _ => AfterReply::KeepAlive,
        };
        RawReply { bytes, after: then }
    });
    let numbers: Vec<_> = (0..300).map(|n| format!("139000{n:05}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", format!("mobile\n{}\n", numbers.join("\n")));
    let mut command = api.resolve_at_endpoint(
        &format!("http://{}", host.address),
        &input,
        &workdir.path("out.csv"),
    );
    command
        .env("DINGTALK_ACCESS_TOKEN", "the-token")
        .env_remove("DINGTALK_APP_KEY")
        .env_remove("DINGTALK_APP_SECRET");
    // A flipped digit of the status can make a hold or a dead end of a reply: then the rows are
    // pending.
    command.args([
        "--timeout",
        "200ms",
        "--max-retries",
        "2",
        "--retry-max",
        "5ms",
        "--patience",
        "2s",
        "--partial",
    ]);
    let ended = run(&mut command);
    assert!(matches!(ended.status, Some(0 | 4 | 5 | 6)), "{:?} {}", ended.status, ended.stderr);
    assert!(
        !ended.stderr.contains("panicked") && !ended.stderr.contains("add up"),
        "{}",
        ended.stderr
    );
    let rows = read_rows(&workdir.path("out.csv"));
    let there: Vec<_> = rows.iter().map(|row| &*row["mobile"]).collect();
    assert_eq!(there, numbers);
    assert!(rows.iter().filter(|row| row["status"] == "found").count() > 50, "{}", ended.stderr);
}
