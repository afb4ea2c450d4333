//! Other clients as a check of the sandbox: requests as the official SDK for Python, Python's
//! `requests` and curl were recorded to send them, byte for byte, and the answers that the API
//! promises them (guide: api, Request, Reply, Tokens).

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, unlimited_script};

/// Sends a recorded request, whose line ends are written here as the lines' own, and gives the
/// status and the JSON. The host's port is another than when it was recorded.
fn send_recorded(api: &Sandbox, head: &str, body: &str) -> (u16, Value) {
    let address = api.endpoint().trim_start_matches("http://").to_owned();
    let head = head.trim().replace('\n', "\r\n").replace("127.0.0.1:PORT", &address);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut reply = Vec::new();
    let (head, length) = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
        if reply.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(reply).unwrap();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            break (head.clone(), length.parse().unwrap());
        }
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// `get_access_token` and `get_access_token_async` of alibabacloud-dingtalk 2.2.65.
const SDK_TOKEN_REQUESTS: [&str; 2] = [
    "
POST /v1.0/oauth2/accessToken HTTP/1.1
Accept-Encoding: identity
host: 127.0.0.1:PORT
user-agent: AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2
accept: application/json
content-type: application/json; charset=utf-8
Content-Length: LENGTH",
    "
POST /v1.0/oauth2/accessToken HTTP/1.1
host: 127.0.0.1:PORT
user-agent: AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2
accept: application/json
content-type: application/json; charset=utf-8
Accept-Encoding: gzip, deflate
Content-Length: LENGTH",
];

#[test]
fn the_sandbox_answers_token_requests_of_the_official_sdk() {
    let api = Sandbox::with_plain_http(unlimited_script());
    let ask = |head: &str, body: &str| {
        send_recorded(&api, &head.replace("LENGTH", &body.len().to_string()), body)
    };
    for head in SDK_TOKEN_REQUESTS {
        let (status, reply) = ask(head, r#"{"appKey":"sandbox-key","appSecret":"sandbox-secret"}"#);
        assert_eq!((status, &reply["expireIn"]), (200, &json!(7200)), "{reply}");
        let (status, refused) = ask(head, r#"{"appKey":"sandbox-key","appSecret":"wrong"}"#);
        assert_eq!((status, &refused["code"]), (400, &json!("invalidClientIdOrSecret")));
        // The SDK shows these two to its user; the id it reads by this name.
        assert!(refused["message"].is_string() && refused["requestid"].is_string(), "{refused}");
        // The token serves at once.
        let token = reply["accessToken"].as_str().unwrap();
        let (head, body) = &recorded_lookups(token, "13800138000")[0];
        assert_eq!(send_recorded(&api, head, body).1["result"]["userid"], "u00138000");
    }
    let tokens: Vec<_> = SDK_TOKEN_REQUESTS
        .map(|head| {
            ask(head, r#"{"appKey":"sandbox-key","appSecret":"sandbox-secret"}"#).1["accessToken"]
                .clone()
        })
        .into();
    assert_eq!(tokens[0], tokens[1], "asking again gives the same token");
}

/// The same lookup by `requests` as JSON with string values, by the older official SDK, which sends
/// JSON too, and by curl in both forms.
fn recorded_lookups(token: &str, number: &str) -> [(String, String); 4] {
    let first = format!("POST /topapi/v2/user/getbymobile?access_token={token} HTTP/1.1\n");
    let spaced = format!(r#"{{"mobile": "{number}", "support_exclusive_account_search": "true"}}"#);
    let dense = format!(r#"{{"mobile":"{number}","support_exclusive_account_search":"true"}}"#);
    let form = format!("mobile={number}&support_exclusive_account_search=true");
    let curl = "Host: 127.0.0.1:PORT\nUser-Agent: curl/7.88.1\nAccept: */*\n";
    [
        (
            format!(
                "{first}Host: 127.0.0.1:PORT\nUser-Agent: python-requests/2.34.2\nAccept-Encoding: \
                 gzip, deflate\nAccept: */*\nConnection: keep-alive\nContent-Length: \
                 {}\nContent-Type: application/json",
                spaced.len()
            ),
            spaced.clone(),
        ),
        (
            format!(
                "{first}Host: 127.0.0.1:PORT\nAccept-Encoding: identity\nContent-Length: \
                 {}\nContent-type: application/json;charset=UTF-8\nCache-Control: \
                 no-cache\nConnection: Keep-Alive",
                spaced.len()
            ),
            spaced,
        ),
        (
            format!("{first}{curl}Content-Type: application/json\nContent-Length: {}", dense.len()),
            dense,
        ),
        (
            format!(
                "{first}{curl}Content-Length: {}\nContent-Type: application/x-www-form-urlencoded",
                form.len()
            ),
            form,
        ),
    ]
}

#[test]
fn a_lookup_is_answered_identically_in_every_request_form() {
    let api = Sandbox::with_plain_http(unlimited_script());
    for (token, number, code) in [
        ("sandbox-token", "13800138000", "0"),
        ("sandbox-token", "13800138096", "0"),
        ("sandbox-token", "13800138090", "60121"),
        ("sandbox-token", "13800138092", "40104"),
        ("another", "13800138000", "40014"),
    ] {
        let replies = recorded_lookups(token, number).map(|(head, body)| {
            let (status, mut reply) = send_recorded(&api, &head, &body);
            assert_eq!(status, 200, "failures of the API too: {reply}");
            assert!(reply["request_id"].is_string(), "{reply}");
            reply.as_object_mut().unwrap().remove("request_id");
            reply
        });
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        let reply = &replies[0];
        let effective = if reply["errcode"] == 88 { &reply["sub_code"] } else { &reply["errcode"] };
        assert_eq!(effective.to_string().trim_matches('"'), code, "{reply}");
    }
    let call_log = api.call_log();
    assert!(call_log.calls().iter().all(|call| call.exclusive == Some(true)), "sent in each form");
}
