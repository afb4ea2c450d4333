//! The pace as the server sees it: the share of the rate that is used, and the most calls in any second, over the real
//! executable and a real server. `cargo bench --bench pace`; seconds for each rate, and the rates, may follow:
//! `cargo bench --bench pace -- 30 0.5 20 40 60 1000`. To be run on a quiet machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints"
)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use dingmap::sandbox::script::Script;
use dingmap::sandbox::server::Server;

/// DESIGN 3: at least this share of the rate is used.
const SHARE: f64 = 0.985;

fn main() {
    // `cargo bench` adds `--bench`; what remains is numbers.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<f64>().ok());
    let seconds = numbers.next().unwrap_or(10.0);
    let mut rates: Vec<_> = numbers.collect();
    if rates.is_empty() {
        rates = vec![20.0, 60.0, 1000.0];
    }
    println!("{:>8} {:>8} {:>8} {:>16} {:>9}", "rate", "calls", "share", "most in 1 s", "");
    for rate in rates {
        measure(rate, seconds);
    }
}

/// One run: 5 % of the numbers answer -1 twice, replies take 5 to 300 ms, and the first second is left out.
fn measure(rate: f64, seconds: f64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let script = Script {
        limit: None,
        latency: Duration::from_millis(5)..=Duration::from_millis(300),
        transient_share: 0.05,
        transient_tries: 2,
        ..Script::default()
    };
    let server = runtime.block_on(Server::start(script, 0)).unwrap();
    let mut input = tempfile::NamedTempFile::new().unwrap();
    let count = whole(rate * seconds).max(20);
    // The sandbox finds everybody whose number ends in 00 to 79.
    let numbers: Vec<_> = (0..count).map(|n| format!("139{:06}{:02}", n / 80, n % 80)).collect();
    input.write_all(format!("mobile\n{}\n", numbers.join("\n")).as_bytes()).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_dingmap"))
        .arg("resolve")
        .arg(input.path())
        .args(["-o", "/dev/null", "-j", "512", "--quiet", "--rate", &rate.to_string()])
        .args(["--endpoint", &server.endpoint()])
        .env("DINGTALK_ACCESS_TOKEN", "sandbox-token")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the run failed: {status}");
    let ledger = server.ledger();
    let most = u32::try_from(ledger.most_in_window(Duration::from_secs(1))).unwrap();
    // At the end only numbers that back off are left, so the share is that of the calls before.
    let arrivals: Vec<_> = ledger.arrivals().collect();
    let start = arrivals[0] + Duration::from_secs(1);
    let steady: Vec<_> =
        arrivals.iter().filter(|at| **at >= start).take(count.saturating_sub(whole(rate)).max(2)).collect();
    let gaps = u32::try_from(steady.len() - 1).unwrap();
    let share = f64::from(gaps) / (*steady[steady.len() - 1] - *steady[0]).as_secs_f64() / rate;
    let allowed = if rate <= 60.0 { rate.max(1.0) } else { rate * 1.01 };
    let kept = if f64::from(most) <= allowed && share >= SHARE { "kept" } else { "NOT KEPT" };
    println!("{rate:>8} {:>8} {:>7.2}% {:>7} of {allowed:<6} {kept:>9}", arrivals.len(), share * 100.0, most);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
fn whole(calls: f64) -> usize {
    calls as usize
}
