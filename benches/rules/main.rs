//! What the rules cost, one by one. `cargo bench --bench rules` takes their times; words that follow choose among them:
//! `cargo bench --bench rules -- reply`. `cargo bench --bench rules -- instructions` counts instructions instead, which no
//! other load on the machine changes, and fails where one has grown; with `record` behind it, it records what it counts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints"
)]

mod cases;
mod instructions;
mod whole;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, Throughput};

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["instructions"] => instructions::compare(),
        ["instructions", "record"] => instructions::record(),
        [instructions::CHILD_MODE, room, name, rounds] => {
            run_rounds(Path::new(room), name, rounds.parse().unwrap())
        }
        _ => run_criterion(),
    }
}

/// So many rounds of one case, for whoever counts them from outside.
fn run_rounds(room: &Path, name: &str, rounds: u32) -> ExitCode {
    let case = cases::all_cases().into_iter().find(|case| case.name == name).unwrap();
    let mut round = (case.setup)(room);
    for _ in 0..rounds {
        round();
    }
    ExitCode::SUCCESS
}

fn run_criterion() -> ExitCode {
    let room = tempfile::tempdir().unwrap();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    let mut group = criterion.benchmark_group("rules");
    for case in cases::all_cases() {
        group.throughput(Throughput::Elements(case.items.into()));
        group.bench_function(case.name, |bencher| {
            let mut round = (case.setup)(room.path());
            bencher.iter(&mut round);
        });
    }
    group.finish();
    criterion.final_summary();
    ExitCode::SUCCESS
}
