//! The program as a process: `dingmap sandbox` over HTTP, what the help promises, signals, and readers that go away.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{
    PROGRAM, RunOutput, Sandbox, Workdir, dingmap, read_rows, run, unlimited_script,
};

const LOOKUP_PATH: &str = "/topapi/v2/user/getbymobile";

/// Far longer than anything here takes on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until `condition` gives something.
pub(crate) fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < WAIT_TIMEOUT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The executable under way, with its standard error in a file; it never outlives its test.
pub(crate) struct Process {
    child: Child,
    stderr_path: PathBuf,
    _workdir: Workdir,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let desk = Workdir::new();
        let errors = desk.path("stderr");
        let child = command.stderr(File::create(&errors).unwrap()).spawn().unwrap();
        Self { child, stderr_path: errors, _workdir: desk }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr_path).unwrap()
    }

    pub(crate) fn wait_for_stderr(&self, words: &str) {
        wait_until(words, || self.stderr().contains(words).then_some(()));
    }

    pub(crate) fn send_signal(&self, name: &str) {
        let kill =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> RunOutput {
        let status = wait_until("the end of the process", || self.child.try_wait().unwrap());
        RunOutput { status: status.code(), stdout: String::new(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `dingmap sandbox` under way.
struct SandboxProcess {
    process: Process,
    _stdout: BufReader<ChildStdout>,
    banner: String,
    endpoint: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl SandboxProcess {
    fn start(flags: &[&str]) -> Self {
        let mut command = dingmap();
        command.args(["sandbox", "--port", "0"]).args(flags).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        let mut told = String::new();
        while !told.contains("curl ") {
            assert!(stdout.read_line(&mut told).unwrap() > 0, "{told}\n{}", process.stderr());
        }
        let first = told.lines().next().unwrap();
        let endpoint =
            first.split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
        // Fails only where a provider was installed before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(WAIT_TIMEOUT).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { process, _stdout: stdout, banner: told, endpoint, runtime, client }
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
    assert!(served.banner.contains("calls: 1 in any second"), "{}", served.banner);
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
    let (served, desk) = (SandboxProcess::start(&["--limit", "0"]), Workdir::new());
    desk.write_file("INPUT.csv", "name,mobile\nA,13800138000\nB,13800138090\n");
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
        .current_dir(desk.path(""))
        .env("PATH", path)
        .stdin(Stdio::null()));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let written = std::fs::read_to_string(desk.path("INPUT.resolved.csv")).unwrap();
    let expected = "name,mobile,userid,exclusive_userids,status,errcode,errmsg\n\
                    A,13800138000,u00138000,,found,0,ok\nB,13800138090,,,not_found,60121,找不到该用户\n";
    assert_eq!(written, expected);

    // By hand, as curl would send it: `curl -d BODY 'URL'`.
    let line = served.banner.lines().find(|line| line.contains("curl -d ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, body, url] = words[..] else { panic!("{line}") };
    let request = served.client.post(url.trim_matches('\'')).body(body.to_owned());
    let (_, reply) = served.send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"));
    assert_eq!(reply["result"]["userid"], "u00138000");
}

#[test]
fn signals_end_the_sandbox_with_status_0() {
    for name in ["TERM", "INT"] {
        let mut served = SandboxProcess::start(&[]);
        assert_eq!(served.lookup_code("sandbox-token"), "0");
        served.process.send_signal(name);
        let ended = served.process.wait();
        assert_eq!(ended.status, Some(0), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("1 lookups and 0 token calls were served"),
            "{}",
            ended.stderr
        );
        assert!(std::net::TcpStream::connect(&served.endpoint["http://".len()..]).is_err());
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

#[test]
fn help_names_every_flag_and_ends_with_status_0() {
    let resolve = "-o, --output|-c, --column|-n, --no-headers|-d, --delimiter|--region|--mainland|--endpoint|--sandbox|\
                   --app-key|--app-secret-file|--exclusive-accounts|-r, --rate|-j, --workers|--max-retries|\
                   --retry-min|--retry-max|--patience|--timeout|--connect-timeout|--max-calls|--partial|--fail-on|\
                   --progress|-q, --quiet|-v, --verbose|--log-format|DINGTALK_APP_KEY|DINGTALK_APP_SECRET|\
                   DINGTALK_ACCESS_TOKEN|https://oapi.dingtalk.io|130/143";
    let sandbox = "--port|--limit|--latency|--token-lifetime|8600";
    let version = concat!("dingmap ", env!("CARGO_PKG_VERSION"));
    for (args, words) in [
        (&["--help"][..], "resolve|sandbox|--sandbox|DINGTALK_APP_KEY|DINGMAP_<FLAG>"),
        (&["resolve", "--help"], resolve),
        (&["resolve", "-h"], "--output|--rate|--help"),
        (&["sandbox", "--help"], sandbox),
        (&["--version"], version),
    ] {
        let ended = run(dingmap().args(args));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
        for word in words.split('|') {
            assert!(ended.stdout.contains(word), "{args:?} does not mention {word}");
        }
        // A flag has its variable beside it.
        for flag in words
            .split('|')
            .filter_map(|word| word.split("--").nth(1))
            .filter(|_| args.contains(&"--help") && args.len() == 2)
        {
            let variable = format!("DINGMAP_{}", flag.replace('-', "_").to_uppercase());
            assert!(ended.stdout.contains(&variable), "{args:?} does not mention {variable}");
        }
    }
}

fn numbers_csv(count: u32) -> String {
    (0..count).fold("mobile\n".to_owned(), |text, n| text + &format!("139{:06}00\n", n + 1))
}

/// Four calls at a time, 300 ms each: 200 rows take 15 s.
fn slow_script() -> Script {
    Script {
        latency: Duration::from_millis(300)..=Duration::from_millis(300),
        ..unlimited_script()
    }
}

/// Starts a run, lets it make some calls, sends it the signal and waits until it has said so.
fn start_and_signal(
    api: &Sandbox,
    desk: &Workdir,
    name: &str,
    flags: &[&str],
) -> (Process, PathBuf) {
    let (input, output) = (desk.write_file("staff.csv", numbers_csv(200)), desk.path("out.csv"));
    let mut command = api.resolve(&input, &output);
    let process = Process::start(command.args(["--workers", "4"]).args(flags));
    wait_until("the first calls", || (api.call_log().calls().len() >= 4).then_some(()));
    process.send_signal(name);
    process.wait_for_stderr("stopping: ");
    (process, output)
}

#[test]
fn a_signal_ends_a_run_once_calls_in_flight_finish() {
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let (api, desk) = (Sandbox::new(slow_script()), Workdir::new());
        let (mut process, _) = start_and_signal(&api, &desk, name, &["--timeout", "5s"]);
        let (told, calls) = (Instant::now(), api.call_log().calls().len());
        let ended = process.wait();
        assert!(told.elapsed() < Duration::from_secs(6), "{:?}", told.elapsed());
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        let after = api.call_log().calls().len();
        assert!(after <= calls + 4, "{calls} calls when it was told to stop, {after} in the end");
        assert_eq!(desk.file_names(), ["staff.csv"], "neither an output nor a temporary file");
        assert!(
            ended.stderr.contains("interrupted") && ended.stderr.contains("--partial"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("1390000"), "{}", ended.stderr);
    }
}

#[test]
fn an_interrupted_run_with_partial_writes_every_row() {
    let (api, desk) = (Sandbox::new(slow_script()), Workdir::new());
    let (mut process, output) = start_and_signal(&api, &desk, "INT", &["--partial"]);
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    assert_eq!(desk.file_names(), ["out.csv", "staff.csv"]);
    let (rows, ledger) = (read_rows(&output), api.call_log());
    let input: Vec<String> = numbers_csv(200).lines().skip(1).map(str::to_owned).collect();
    assert_eq!(rows.iter().map(|row| row["mobile"].clone()).collect::<Vec<_>>(), input);
    for row in &rows {
        let called = ledger.calls_for(&row["mobile"]).count();
        let expected = if called == 1 { ["found", "0"] } else { ["pending", ""] };
        assert_eq!([&row["status"], &row["errcode"]], expected, "{row:?}");
        assert_eq!(row["errmsg"].contains("interrupted"), called == 0, "{row:?}");
    }
    let pending = rows.iter().filter(|row| row["status"] == "pending").count();
    assert!(pending > 0 && pending < 200, "{pending}");
    assert!(ended.stderr.contains(&format!("written to {}", output.display())), "{}", ended.stderr);
}

#[test]
fn a_second_signal_ends_a_run_immediately() {
    let silence = ScriptedAnswer::Hang(Duration::from_secs(20));
    // Several times each: what is left behind depends on which thread is faster.
    for (first, second, status) in
        [("INT", "INT", 130), ("TERM", "INT", 130), ("INT", "TERM", 143)].repeat(4)
    {
        let api = Sandbox::new(Script { always: Some(silence.clone()), ..unlimited_script() });
        let desk = Workdir::new();
        desk.write_file("out.csv", "from the last run");
        let (mut process, output) =
            start_and_signal(&api, &desk, first, &["--timeout", "30s", "--partial"]);
        let told = Instant::now();
        process.send_signal(second);
        let ended = process.wait();
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert_eq!(desk.file_names(), ["out.csv", "staff.csv"], "no temporary file");
        assert_eq!(std::fs::read_to_string(output).unwrap(), "from the last run");
    }
}

#[test]
fn a_signal_at_the_very_start_leaves_nothing_behind() {
    let (api, desk) = (Sandbox::new(slow_script()), Workdir::new());
    let input = desk.write_file("staff.csv", numbers_csv(200));
    let mut process = Process::start(&mut api.resolve(&input, &desk.path("out.csv")));
    wait_until("the temporary file", || (desk.file_names().len() > 1).then_some(()));
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(
        (ended.status, desk.file_names()),
        (Some(130), vec!["staff.csv".to_owned()]),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unreadable_input_leaves_nothing_behind() {
    let desk = Workdir::new();
    for _ in 0..20 {
        let api = Sandbox::new(unlimited_script());
        let input = desk.write_file(
            "staff.csv",
            numbers_csv(90).replace('\n', ",\n") + "13900000000,too,many\n",
        );
        let mut command = api.resolve(Path::new("-"), &desk.path("out.csv"));
        let ended = run(command.stdin(File::open(input).unwrap()));
        assert_eq!(
            (ended.status, desk.file_names()),
            (Some(3), vec!["staff.csv".to_owned()]),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_reader_that_closes_early_ends_the_run() {
    let latency = Duration::from_millis(20);
    let (api, desk) =
        (Sandbox::new(Script { latency: latency..=latency, ..unlimited_script() }), Workdir::new());
    let input = desk.write_file("staff.csv", numbers_csv(5000));
    let mut process = Process::start(api.resolve(&input, Path::new("-")).stdout(Stdio::piped()));
    let mut line = String::new();
    let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(line, "mobile,userid,exclusive_userids,status,errcode,errmsg\n");
    let ended = process.wait();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cannot write to standard output: Broken pipe"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("the program that reads the output has ended"),
        "{}",
        ended.stderr
    );
    assert!(api.call_log().calls().len() < 5000, "the calls stop");
    assert_eq!(desk.file_names(), ["staff.csv"]);
}
