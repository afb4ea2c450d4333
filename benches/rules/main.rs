//! Benchmarks of single rules. `cargo bench --bench rules` measures their times; an argument
//! filters them (`-- reply`). `-- instructions` counts instructions instead, which does not depend
//! on other load, and fails if a count has grown; `-- instructions record` records the counts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its results and panics on any failure"
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
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["instructions"] => instructions::compare(),
        ["instructions", "record"] => instructions::record(),
        [instructions::CHILD_MODE, dir, name, rounds] => {
            run_rounds(Path::new(dir), name, rounds.parse().unwrap())
        }
        _ => run_criterion(),
    }
}

/// Runs a case under callgrind.
fn run_rounds(dir: &Path, name: &str, rounds: u32) -> ExitCode {
    let case = cases::all_cases().into_iter().find(|case| case.name == name).unwrap();
    let mut round = (case.setup)(dir);
    for _ in 0..rounds {
        round();
    }
    ExitCode::SUCCESS
}

fn run_criterion() -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .configure_from_args();
    let mut group = criterion.benchmark_group("rules");
    for case in cases::all_cases() {
        group.throughput(Throughput::Elements(case.items.into()));
        group.bench_function(case.name, |bencher| {
            let mut round = (case.setup)(dir.path());
            bencher.iter(&mut round);
        });
    }
    group.finish();
    criterion.final_summary();
    ExitCode::SUCCESS
}
