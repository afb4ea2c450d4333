//! The pace as the server sees it: the share of the rate that is used, and the most calls in any second, over the real
//! executable and a real server: all the time, after a hold of everybody, and after the whole process was stopped, as a
//! laptop's sleep does. `cargo bench --bench pace`; seconds for each run, and the rates, may follow:
//! `cargo bench --bench pace -- 30 0.5 20 40 60 1000`. To be run on a quiet machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints"
)]

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::Server;
use dingmap::testing::sandbox::{Script, ScriptedAnswer};

/// At least this share of the rate is used (guide: architecture, Rate limit).
const MIN_SHARE: f64 = 0.985;

fn main() {
    // `cargo bench` adds `--bench`; what remains is numbers.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<f64>().ok());
    let seconds = numbers.next().unwrap_or(10.0);
    let mut rates: Vec<_> = numbers.collect();
    if rates.is_empty() {
        rates = vec![20.0, 60.0, 1000.0];
    }
    println!(
        "{:>8} {:<8} {:>8} {:>8} {:>16} {:>9}",
        "rate", "", "calls", "share", "most in 1 s", ""
    );
    for rate in rates {
        measure(rate, seconds, Scenario::Steady);
        // Slower runs have rests of this length between any two calls.
        if rate >= 5.0 {
            measure(rate, seconds, Scenario::Paused);
            measure(rate, seconds, Scenario::Suspended);
        }
    }
}

/// What happens to a run after a third of its time.
#[derive(Clone, Copy, PartialEq)]
enum Scenario {
    /// Nothing.
    Steady,
    /// A proxy asks everybody to rest.
    Paused,
    /// The process stands still.
    Suspended,
}

impl Scenario {
    fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Paused => "held",
            Self::Suspended => "stopped",
        }
    }
}

/// How long the rest in the middle is.
const PAUSE: Duration = Duration::from_secs(3);

/// One run: 5 % of the numbers answer -1 twice, replies take 5 to 300 ms. The second after the start, or after the rest,
/// is left out of the share, and nothing is left out of the windows.
fn measure(rate: f64, seconds: f64, course: Scenario) {
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
    if course == Scenario::Paused {
        let headers = vec![("Retry-After".to_owned(), PAUSE.as_secs().to_string())];
        let busy = ScriptedAnswer::Http { status: 429, headers, body: String::new() };
        script.answers_by_call.insert(u64::try_from(count).unwrap() / 3, busy);
    }
    let server = runtime.block_on(Server::start(script, 0)).unwrap();
    let mut input = tempfile::NamedTempFile::new().unwrap();
    // The sandbox finds everybody whose number ends in 00 to 79.
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
    if course == Scenario::Suspended {
        sleep(Duration::from_secs_f64(seconds / 3.0));
        send_signal(&child, "-STOP");
        sleep(PAUSE);
        send_signal(&child, "-CONT");
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "the run failed: {status}");
    let ledger = server.call_log();
    let most = u32::try_from(ledger.max_in_window(Duration::from_secs(1))).unwrap();
    let arrivals: Vec<_> = ledger.arrivals().collect();
    let start =
        if course == Scenario::Steady { arrivals[0] } else { first_call_after_pause(&arrivals) };
    // At the end only numbers that back off are left, so the share is that of the calls before.
    let before_the_end =
        &arrivals[..arrivals.len().min(count.saturating_sub(whole_calls(rate)).max(2))];
    let steady: Vec<_> =
        before_the_end.iter().filter(|at| **at >= start + Duration::from_secs(1)).collect();
    assert!(steady.len() > 1, "the run is too short to be measured: give it more seconds");
    let gaps = u32::try_from(steady.len() - 1).unwrap();
    let share = f64::from(gaps) / (*steady[steady.len() - 1] - *steady[0]).as_secs_f64() / rate;
    let allowed = if rate <= 60.0 { rate.max(1.0) } else { rate * 1.01 };
    let kept = if f64::from(most) <= allowed && share >= MIN_SHARE { "kept" } else { "NOT KEPT" };
    let (calls, name, share) = (arrivals.len(), course.name(), share * 100.0);
    println!("{rate:>8} {name:<8} {calls:>8} {share:>7.2}% {most:>7} of {allowed:<6} {kept:>9}");
}

/// The first call after the longest rest.
fn first_call_after_pause(arrivals: &[Instant]) -> Instant {
    let pair = arrivals.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap();
    // Those under way to the server when the process was stopped may come a moment later.
    assert!(pair[1] - pair[0] > Duration::from_millis(2500), "there was no rest");
    pair[1]
}

fn send_signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
fn whole_calls(calls: f64) -> usize {
    calls as usize
}
