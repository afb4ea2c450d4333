//! Peak memory of a run with a state on disk, by the number of distinct numbers, over the real executable and a real server
//! without a limit. `cargo bench --bench memory`; the sizes may follow: `cargo bench --bench memory -- 100000 10000000`.
//! Reads `/proc`, so it measures on Linux alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dingmap::sandbox::script::Script;
use dingmap::sandbox::server::Server;

fn main() {
    // `cargo bench` adds `--bench`; what remains is numbers.
    let mut sizes: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![100_000, 1_000_000];
    }
    println!("{:>10} {:>9} {:>9} {:>11} {:>9}", "numbers", "peak", "÷ first", "state file", "seconds");
    let mut first = None;
    for size in sizes {
        let (peak, file, took) = measure(size);
        let ratio = f64::from(peak) / f64::from(*first.get_or_insert(peak));
        println!(
            "{size:>10} {:>5.1} MiB {ratio:>9.2} {:>7} MiB {:>9.0}",
            f64::from(peak) / 1024.0,
            file >> 20,
            took.as_secs_f64()
        );
    }
}

/// One run: its peak in KiB, the size of its state in bytes, and how long it took.
fn measure(size: u64) -> (u32, u64, Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let script = Script { limit: None, ..Script::default() };
    let server = runtime.block_on(Server::start(script, 0)).unwrap();
    let room = tempfile::tempdir().unwrap();
    let (input, state) = (room.path().join("numbers.csv"), room.path().join("state.redb"));
    write(&input, size);
    let begun = Instant::now();
    let run = Command::new(env!("CARGO_BIN_EXE_dingmap"))
        .arg("resolve")
        .arg(&input)
        .args(["-j", "64", "--quiet", "--rate", "unlimited", "--endpoint", &server.endpoint()])
        .args(["--state".as_ref(), state.as_os_str()])
        .env("DINGTALK_ACCESS_TOKEN", "sandbox-token")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let peak = peak(run);
    (peak, fs::metadata(state).unwrap().len(), begun.elapsed())
}

/// Distinct numbers in no order. The sandbox finds everybody whose number ends in 00 to 79.
fn write(path: &Path, size: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "mobile").unwrap();
    // A prime above every size, so that the steps come to each remainder once.
    let (prime, step) = (79_999_987, 31_415_927);
    assert!(size < prime, "at most {prime} numbers");
    for n in 0..size {
        let n = n * step % prime;
        writeln!(file, "139{:06}{:02}", n / 80, n % 80).unwrap();
    }
    file.flush().unwrap();
}

/// Waits for the end: the most memory that was ever resident, as the kernel counts it.
fn peak(mut run: Child) -> u32 {
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = most.and_then(|most| most.trim_end_matches("kB").trim().parse().ok()).unwrap_or(peak);
        if let Some(ended) = run.try_wait().unwrap() {
            assert!(ended.success(), "the run failed: {ended}");
            return peak;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
