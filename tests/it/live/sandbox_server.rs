//! `dingmap sandbox` as a process: what it serves over HTTP, what it prints, and how it ends.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::process::{Process, WAIT_TIMEOUT, wait_until};
use crate::support::sandbox::{PROGRAM, dingmap, run};
use crate::support::workdir::Workdir;

const LOOKUP_PATH: &str = "/topapi/v2/user/getbymobile";

/// A running `dingmap sandbox`.
struct SandboxProcess {
    process: Process,
    _stdout: BufReader<ChildStdout>,
    banner: String,
    endpoint: String,
    /// Only with `--tls`.
    ca_file: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl SandboxProcess {
    fn start(flags: &[&str]) -> Self {
        let mut command = dingmap();
        command.args(["sandbox", "--port", "0"]).args(flags).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        let mut actual = String::new();
        while !actual.contains("curl ") {
            assert!(stdout.read_line(&mut actual).unwrap() > 0, "{actual}\n{}", process.stderr());
        }
        let first = actual.lines().next().unwrap();
        let endpoint = first.split(' ').find(|word| word.starts_with("http")).unwrap().to_owned();
        let ca_file =
            actual.split_once("--ca-file ").map(|(_, after)| after.lines().next().unwrap());
        // Fails only if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = ca_file
            .map(|path| reqwest::Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap());
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(WAIT_TIMEOUT)
            .tls_certs_only(roots)
            .build()
            .unwrap();
        let ca_file = ca_file.map(PathBuf::from);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { process, _stdout: stdout, banner: actual, endpoint, ca_file, runtime, client }
    }

    /// The HTTP status and the JSON of a reply; `kind` is the body's content type.
    fn post(&self, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.endpoint));
        self.send(request.header(CONTENT_TYPE, kind).body(body.to_owned()))
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
        })
    }

    /// The effective code for a number that has a person.
    fn lookup_code(&self, token: &str) -> String {
        let (path, body) =
            (format!("{LOOKUP_PATH}?access_token={token}"), r#"{"mobile":"13800138000"}"#);
        let (status, reply) = self.post(&path, "application/json", body);
        assert_eq!(status, 200);
        let code = if reply["errcode"] == 88 { &reply["sub_code"] } else { &reply["errcode"] };
        code.as_str().map_or_else(|| code.to_string(), str::to_owned)
    }
}

#[test]
fn the_sandbox_answers_both_request_forms() {
    let served = SandboxProcess::start(&[]);
    let path = format!("{LOOKUP_PATH}?access_token=sandbox-token");
    let found = json!({"userid": "u00138000", "exclusive_account_userid_list": []});
    let form = "mobile=13800138000&support_exclusive_account_search=true";
    let json = r#"{"mobile":"13800138000","support_exclusive_account_search":true}"#;
    for (kind, body) in [("application/x-www-form-urlencoded", form), ("application/json", json)] {
        let (status, reply) = served.post(&path, kind, body);
        assert_eq!(
            (status, &reply["errcode"], &reply["result"]),
            (200, &json!(0), &found),
            "{kind}"
        );
    }
    let (_, reply) = served.post(&path, "application/json", r#"{"mobile":"13800138090"}"#);
    assert_eq!(reply["errcode"], 60121);
    for token in ["wrong", "sandbox-token2"] {
        assert_eq!(served.lookup_code(token), "40014", "{token}");
    }
    assert_eq!(served.lookup_code(""), "40000");
}

#[test]
fn the_sandbox_issues_tokens_by_both_endpoints() {
    let served = SandboxProcess::start(&["--token-lifetime", "90s"]);
    let right = r#"{"appKey":"sandbox-key","appSecret":"sandbox-secret"}"#;
    let (status, current) = served.post("/v1.0/oauth2/accessToken", "application/json", right);
    assert_eq!((status, &current["expireIn"]), (200, &json!(90)));
    let url = format!("{}/gettoken?appkey=sandbox-key&appsecret=sandbox-secret", served.endpoint);
    let (status, legacy) = served.send(served.client.get(url));
    assert_eq!((status, &legacy["errcode"], &legacy["expires_in"]), (200, &json!(0), &json!(90)));
    assert_eq!(current["accessToken"], legacy["access_token"]);
    assert_eq!(served.lookup_code(legacy["access_token"].as_str().unwrap()), "0");
    let (status, refused) = served.post("/v1.0/oauth2/accessToken", "application/json", "{}");
    assert_eq!((status, &refused["code"]), (400, &json!("invalidClientIdOrSecret")));
    let (_, refused) = served.send(served.client.get(format!("{}/gettoken", served.endpoint)));
    assert_eq!(refused["errcode"], 40096);
}

#[test]
fn the_sandbox_throttles_calls_over_the_limit() {
    let served = SandboxProcess::start(&["--limit", "1"]);
    assert!(served.banner.contains("(rate limit: 1/s)"), "{}", served.banner);
    for expected in ["90018", "0", "90018"] {
        wait_until(expected, || {
            let code = served.lookup_code("sandbox-token");
            assert!(["0", "90018"].contains(&code.as_str()), "{code}");
            (code == expected).then_some(())
        });
    }
}

#[test]
fn the_printed_command_lines_work() {
    check_printed_command_lines(&["--limit", "0"]);
}

#[test]
fn the_printed_command_lines_work_over_tls() {
    check_printed_command_lines(&["--limit", "0", "--tls"]);
}

fn check_printed_command_lines(flags: &[&str]) {
    let (served, workdir) = (SandboxProcess::start(flags), Workdir::new());
    workdir.write_file("INPUT.csv", "name,mobile\nA,13800138000\nB,13800138090\n");
    let line = served.banner.lines().find(|line| line.contains("dingmap resolve ")).unwrap();
    let mut shell = Command::new("sh");
    let clean = dingmap();
    for (name, _) in clean.get_envs() {
        shell.env_remove(name);
    }
    let directory = Path::new(PROGRAM).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(directory).chain(std::env::split_paths(&path)))
        .unwrap();
    let ended = run(shell
        .args(["-c", line])
        .current_dir(workdir.path(""))
        .env("PATH", path)
        .env("XDG_DATA_HOME", workdir.path("data"))
        .stdin(Stdio::null()));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let written = std::fs::read_to_string(workdir.path("INPUT.resolved.csv")).unwrap();
    let expected = "name,mobile,userid,exclusive_userids,status,errcode,errmsg\n\
                    A,13800138000,u00138000,,found,0,ok\nB,13800138090,,,not_found,60121,找不到该用户\n";
    assert_eq!(written, expected);

    // By hand, as curl would send it: `curl [--cacert FILE] -d BODY 'URL'`.
    let line = served.banner.lines().find(|line| line.contains("curl ")).unwrap();
    let cacert = served.ca_file.as_ref().map(|path| format!(" --cacert {}", path.display()));
    let start = format!("curl{} -d ", cacert.unwrap_or_default());
    let (body, url) =
        line.trim_start().strip_prefix(&start).and_then(|line| line.split_once(' ')).unwrap();
    let request = served.client.post(url.trim_matches('\'')).body(body.to_owned());
    let (_, reply) = served.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"));
    assert_eq!(reply["result"]["userid"], "u00138000");
}

#[test]
fn signals_end_the_sandbox_with_status_0() {
    for name in ["TERM", "INT"] {
        let mut served = SandboxProcess::start(&["--tls"]);
        assert_eq!(served.lookup_code("sandbox-token"), "0");
        let ca_file = served.ca_file.clone().unwrap();
        assert_eq!(std::fs::metadata(&ca_file).unwrap().permissions().mode() & 0o777, 0o600);
        served.process.send_signal(name);
        let ended = served.process.wait();
        assert!(!ca_file.exists(), "{name}: removed with the sandbox");
        assert_eq!(ended.status, Some(0), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("1 lookups and 0 token calls were served"),
            "{}",
            ended.stderr
        );
        assert!(std::net::TcpStream::connect(&served.endpoint["https://".len()..]).is_err());
    }
}

#[test]
fn a_port_in_use_is_reported_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(dingmap().args(["sandbox", "--port", &port]));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains(&format!("port {port} on 127.0.0.1")), "{}", ended.stderr);
    assert!(ended.stderr.contains("in use") && ended.stderr.contains("--port"), "{}", ended.stderr);
}
