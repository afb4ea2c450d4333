//! Endpoints, proxies and networks that are not set up for the API: one sentence for each, at once.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::ScriptedAnswer;

use super::{NetworkFixture, TOKEN_ENV};
use crate::support::observed_run::people_csv;
use crate::support::raw_server::{AfterReply, RawReply, RawServer};
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Long backoffs: a run that retries takes longer than [`AT_ONCE`].
const SLOW_RETRIES: [&str; 4] = ["--retry-min", "20s", "--retry-max", "20s"];
const AT_ONCE: Duration = Duration::from_secs(10);

#[track_caller]
fn assert_ended_at_once(run: impl FnOnce() -> RunOutput, words: &[&str]) {
    let started = Instant::now();
    let ended = run();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is missing in: {}", ended.stderr);
    }
    assert!(started.elapsed() < AT_ONCE, "{:?}: {}", started.elapsed(), ended.stderr);
}

#[test]
fn a_web_page_in_place_of_the_first_token_ends_the_run() {
    let redirect = |target: &str| ScriptedAnswer::Http {
        status: 302,
        headers: vec![("Location".to_owned(), target.to_owned())],
        body: String::new(),
    };
    for (answer, words) in [
        (
            ScriptedAnswer::Json("<!DOCTYPE html><title>Log in</title>".to_owned()),
            ["a web page came instead of a token (HTTP 200)", "log in with a browser"],
        ),
        (
            redirect("https://login.example/?from=sandbox-secret"),
            ["redirected to https://login.example (HTTP 302)", "log in with a browser"],
        ),
    ] {
        let mut script = unlimited_script();
        script.token_answers = [answer].into();
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        let input = workdir.write_file("in.csv", people_csv(3));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        assert_ended_at_once(|| run(command.args(SLOW_RETRIES)), &words);
        let calls = api.call_log();
        assert_eq!((calls.token_calls().len(), calls.calls().len()), (1, 0));
    }
}

#[test]
fn a_port_without_tls_is_named() {
    let scene = NetworkFixture::new();
    let endpoint = format!("https://{}", scene.sandbox_address());
    for credentials in [&[][..], &TOKEN_ENV] {
        let words = [&*endpoint, "does not use TLS at this port", "correct scheme and port"];
        assert_ended_at_once(|| scene.run(&endpoint, &SLOW_RETRIES, credentials), &words);
    }
}

#[test]
fn a_port_with_tls_is_named() {
    let (scene, secure) = (NetworkFixture::new(), Sandbox::new(unlimited_script()));
    let page = "<html><center>The plain HTTP request was sent to HTTPS port</center></html>";
    let nginx = RawServer::new(move |_| RawReply {
        bytes: format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{page}", page.len())
            .into_bytes(),
        after: AfterReply::Close,
    });
    let secure = secure.endpoint().replace("https://", "http://");
    for endpoint in [secure, format!("http://{}", nginx.address)] {
        for credentials in [&[][..], &TOKEN_ENV] {
            let words = [&*endpoint, "TLS", "use https://"];
            assert_ended_at_once(|| scene.run(&endpoint, &SLOW_RETRIES, credentials), &words);
        }
    }
}

#[test]
fn a_proxy_that_wants_a_password_ends_the_run() {
    let scene = NetworkFixture::new();
    let proxy = RawServer::new(|_| RawReply {
        bytes: b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n".into(),
        after: AfterReply::Close,
    });
    let url = format!("http://u:geheim@{}", proxy.address);
    for endpoint in ["https://oapi.dingtalk.io", "http://gateway.example"] {
        let flags = [&SLOW_RETRIES[..], &["--insecure-http"]].concat();
        let words = [endpoint, "the proxy requires a user name and a password", "DINGMAP_PROXY"];
        assert_ended_at_once(|| scene.run(endpoint, &flags, &[("DINGMAP_PROXY", &url)]), &words);
    }
    assert_eq!(proxy.call_count(), 2, "one for each run");
}

#[test]
fn a_proxy_that_does_not_answer_is_named() {
    let scene = NetworkFixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended =
        scene.run("https://oapi.dingtalk.io", &["--proxy", &proxy, "--max-retries", "1"], &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the proxy does not answer"), "{}", ended.stderr);
    assert!(ended.stderr.contains("correct --proxy"), "{}", ended.stderr);
}

#[test]
fn a_machine_without_a_route_says_so() {
    let scene = NetworkFixture::new();
    // No system makes a TCP connection to all hosts of the network.
    let endpoint = "https://255.255.255.255";
    for credentials in [&[][..], &TOKEN_ENV] {
        let ended = scene.run(endpoint, &["--max-retries", "0"], credentials);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("this machine has no route to the host"), "{}", ended.stderr);
        assert!(ended.stderr.contains("Nothing was sent"), "{}", ended.stderr);
    }
    let ended = scene.run(endpoint, &["--patience", "0s"], &TOKEN_ENV);
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("3 rows are still pending"), "{}", ended.stderr);
}
