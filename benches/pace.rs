//! Measures the rate limiter at the server: the used share of the rate and the most calls in any
//! second. The real executable calls a real server: without an interruption, after a pause of all
//! calls, and after the process was suspended, as by a laptop's sleep.
//!
//! Run it on an idle machine: `cargo bench --bench pace`, optionally with the seconds of each run
//! and the rates: `cargo bench --bench pace -- 30 0.5 20 40 60 1000`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed measurement stops; results are printed"
)]

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::Server;
use dingmap::testing::sandbox::{Script, ScriptedAnswer};

/// At least this share of the rate must be used (guide: architecture, Rate limit).
const MIN_SHARE: f64 = 0.985;

fn main() {
    // `cargo bench` adds `--bench`; all other arguments are numbers.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<f64>().ok());
    let seconds = numbers.next().unwrap_or(10.0);
    let mut rates: Vec<_> = numbers.collect();
    if rates.is_empty() {
        rates = vec![20.0, 60.0, 1000.0];
    }
    println!(
        "{:>8} {:<9} {:>8} {:>8} {:>16} {:>10}",
        "rate", "", "calls", "share", "most in 1 s", ""
    );
    for rate in rates {
        measure(rate, seconds, Scenario::Steady);
        // At lower rates the normal gaps are about as long as the pause.
        if rate >= 5.0 {
            measure(rate, seconds, Scenario::Paused);
            measure(rate, seconds, Scenario::Suspended);
        }
    }
}

/// What happens after a third of a run.
#[derive(Clone, Copy, PartialEq)]
enum Scenario {
    /// Nothing.
    Steady,
    /// HTTP 429 with `Retry-After` pauses all calls.
    Paused,
    /// The process is stopped by a signal.
    Suspended,
}

impl Scenario {
    fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
        }
    }
}

/// The length of the pause or suspension.
const PAUSE: Duration = Duration::from_secs(3);

/// Measures one run. 5 % of the numbers answer -1 twice; replies take 5 to 300 ms. The share leaves
/// out the first second after the start or the pause; the windows leave out nothing.
fn measure(rate: f64, seconds: f64, scenario: Scenario) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let count = whole_calls(rate * seconds).max(20);
    let mut script = Script {
        limit: None,
        latency: Duration::from_millis(5)..=Duration::from_millis(300),
        transient_share: 0.05,
        transient_attempts: 2,
        ..Script::default()
    };
    if scenario == Scenario::Paused {
        let headers = vec![("Retry-After".to_owned(), PAUSE.as_secs().to_string())];
        let busy = ScriptedAnswer::Http { status: 429, headers, body: String::new() };
        script.answers_by_call.insert(u64::try_from(count).unwrap() / 3, busy);
    }
    let server = runtime.block_on(Server::start(script, 0)).unwrap();
    let mut input = tempfile::NamedTempFile::new().unwrap();
    // The sandbox finds each number that ends in 00 to 79.
    let numbers: Vec<_> = (0..count).map(|n| format!("139{:06}{:02}", n / 80, n % 80)).collect();
    input.write_all(format!("mobile\n{}\n", numbers.join("\n")).as_bytes()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dingmap"))
        .arg("resolve")
        .arg(input.path())
        .args([
            "-o",
            "/dev/null",
            "--no-state",
            "-j",
            "512",
            "--quiet",
            "--rate",
            &rate.to_string(),
        ])
        .args(["--endpoint", &server.endpoint()])
        .env("DINGTALK_ACCESS_TOKEN", "sandbox-token")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    if scenario == Scenario::Suspended {
        sleep(Duration::from_secs_f64(seconds / 3.0));
        send_signal(&child, "-STOP");
        sleep(PAUSE);
        send_signal(&child, "-CONT");
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "the run failed: {status}");
    let call_log = server.call_log();
    let most = u32::try_from(call_log.max_in_window(Duration::from_secs(1))).unwrap();
    let arrivals: Vec<_> = call_log.arrivals().collect();
    let start =
        if scenario == Scenario::Steady { arrivals[0] } else { first_call_after_pause(&arrivals) };
    // At the end only retries with backoff remain, so the share covers the calls before them.
    let before_the_end =
        &arrivals[..arrivals.len().min(count.saturating_sub(whole_calls(rate)).max(2))];
    let steady: Vec<_> =
        before_the_end.iter().filter(|at| **at >= start + Duration::from_secs(1)).collect();
    assert!(steady.len() > 1, "the run is too short to measure: give it more seconds");
    let gaps = u32::try_from(steady.len() - 1).unwrap();
    let share = f64::from(gaps) / (*steady[steady.len() - 1] - *steady[0]).as_secs_f64() / rate;
    let allowed = if rate <= 60.0 { rate.max(1.0) } else { rate * 1.01 };
    let passed = f64::from(most) <= allowed && share >= MIN_SHARE;
    let verdict = if passed { "passed" } else { "NOT PASSED" };
    let (calls, name, share) = (arrivals.len(), scenario.name(), share * 100.0);
    println!(
        "{rate:>8} {name:<9} {calls:>8} {share:>7.2}% {most:>7} of {allowed:<6} {verdict:>10}"
    );
}

/// The first call after the longest gap.
fn first_call_after_pause(arrivals: &[Instant]) -> Instant {
    let pair = arrivals.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap();
    // Calls in flight when the process was stopped may arrive slightly later.
    assert!(pair[1] - pair[0] > Duration::from_millis(2500), "there was no pause");
    pair[1]
}

fn send_signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
fn whole_calls(calls: f64) -> usize {
    calls as usize
}
