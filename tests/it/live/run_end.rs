//! How runs end: single cases on a paused clock, each with an API made for it, and those that
//! only a real file or a real environment can show.

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::api::LocalLimiter;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::Totals;
use dingmap::testing::domain::{DefaultRegion, Mobile};
use dingmap::testing::engine::{RowBatch, RunLimits};
use dingmap::testing::engine::{RunEnd, Stop};
use dingmap::testing::engine::{RunIo, run};
use dingmap::testing::store::Answers;
use dingmap::testing::store::Prefetched;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::sim_harness::{
    FOUND_REPLY, FakeLookupApi, THROTTLED_REPLY, default_limits, paused_runtime,
};
use crate::support::workdir::Workdir;

const DENIED_REPLY: &str = r#"{"errcode":60011,"errmsg":"no permission"}"#;
const SUSPENDED_REPLY: &str = r#"{"errcode":90001,"errmsg":"closed for a while"}"#;
const BUSY_REPLY: &str = r#"{"errcode":-1,"errmsg":"busy"}"#;

/// How the input ends.
#[derive(Clone, Copy, PartialEq)]
enum InputEnd {
    Complete,
    Cut,
    Open,
}

/// What a run came to: its totals, its end, the rows handed on and how long it took.
type SimResult = (Totals, RunEnd, usize, Duration);

/// A run over so many numbers on a paused clock.
fn simulate(
    remote: FakeLookupApi,
    settings: RunLimits,
    count: u8,
    inlet: InputEnd,
    stop_after: Option<Duration>,
) -> SimResult {
    paused_runtime().block_on(async {
        let (sender, batches) = mpsc::channel::<Result<Option<RowBatch<()>>, String>>(2);
        let numbers = (0..count)
            .map(|n| Mobile::parse(&format!("139000000{n:02}"), DefaultRegion::CHINA))
            .collect();
        sender
            .try_send(Ok(Some(RowBatch {
                source_bytes: 0,
                payload: (),
                mobiles: numbers,
                numbers_per_row: NonZeroUsize::MIN,
                judgements: Vec::new(),
                prefetched: Prefetched::default(),
            })))
            .unwrap();
        if inlet == InputEnd::Complete {
            sender.try_send(Ok(None)).unwrap();
        }
        let _open = (inlet == InputEnd::Open).then_some(sender);
        let (chunks, mut out) = mpsc::channel(1024);
        let (stop, stopped) = watch::channel(Stop::Running);
        tokio::spawn(async move {
            if let Some(after) = stop_after {
                tokio::time::sleep(after).await;
                let _ = stop.send(Stop::Graceful);
            }
            std::future::pending::<()>().await;
        });
        let (started, pace) =
            (Instant::now(), Box::new(LocalLimiter::new("unlimited".parse().unwrap())));
        let (mut known, ends) =
            (Answers::default(), RunIo { batches: &mut batches.into(), chunks });
        let run = run::run(settings, Arc::new(remote), pace, &mut known, ends, stopped, |_| {});
        let (report, end) = run.await;
        let end = end.unwrap();
        let took = started.elapsed();
        let mut rows = 0;
        while let Some(chunk) = out.recv().await {
            rows += chunk.rows.len();
        }
        (report, end, rows, took)
    })
}

#[test]
fn completed_rows_are_written_when_a_run_stops() {
    let api = FakeLookupApi(|n| match n {
        0 => (Duration::from_secs(2), FOUND_REPLY),
        10 => (Duration::from_secs(1), DENIED_REPLY),
        _ => (Duration::from_millis(1), FOUND_REPLY),
    });
    let (_, end, rows, _) = simulate(api, default_limits(), 20, InputEnd::Complete, None);
    assert!(matches!(end, RunEnd::Aborted(_)), "{end:?}");
    assert_eq!(
        rows, 10,
        "the first row was waited for, and those up to the one that stopped the run"
    );
}

#[test]
fn an_interrupted_run_with_every_answer_is_finished() {
    let api = FakeLookupApi(|_| (Duration::from_secs(1), FOUND_REPLY));
    let (report, end, rows, _) =
        simulate(api, default_limits(), 10, InputEnd::Complete, Some(Duration::from_millis(500)));
    assert!(matches!(end, RunEnd::Finished), "{end:?}");
    assert_eq!((rows, report.rows(Status::Found)), (10, 10));
}

#[test]
fn an_input_that_ends_unexpectedly_is_an_error() {
    let api = FakeLookupApi(|_| (Duration::from_millis(1), FOUND_REPLY));
    let bounds = RunLimits { partial: true, ..default_limits() };
    let (_, end, rows, _) = simulate(api, bounds, 10, InputEnd::Cut, None);
    assert!(matches!(end, RunEnd::InputFailed), "{end:?}");
    assert!(rows <= 10);
}

#[test]
fn an_interrupted_run_stops_reading_its_pipe() {
    let api = FakeLookupApi(|_| (Duration::from_secs(1), FOUND_REPLY));
    let bounds = RunLimits { partial: true, read_to_end: false, ..default_limits() };
    let (report, end, rows, took) =
        simulate(api, bounds, 40, InputEnd::Open, Some(Duration::from_millis(1500)));
    assert!(matches!(end, RunEnd::Interrupted), "{end:?}");
    assert_eq!(
        (rows, report.rows(Status::Found)),
        (40, 32),
        "two rounds of sixteen, and the rest pending"
    );
    assert!(!report.input_complete);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_run_without_calls_left_ends_immediately() {
    let busy = FakeLookupApi(|_| (Duration::from_millis(1), BUSY_REPLY));
    let closed = FakeLookupApi(|_| (Duration::from_millis(1), SUSPENDED_REPLY));
    for api in [busy, closed] {
        let bounds = RunLimits { max_calls: Some(5), ..default_limits() };
        let (report, end, rows, took) = simulate(api, bounds, 50, InputEnd::Complete, None);
        assert!(matches!(end, RunEnd::CallLimitReached), "{end:?}");
        assert_eq!((report.calls, report.numbers_asked, report.rows_shared, rows), (5, 5, 0, 50));
        assert!(took < Duration::from_millis(400), "{took:?}");
        assert!(
            report.pause_time() < Duration::from_millis(400),
            "only what was waited for: {:?}",
            report.pause_time()
        );
    }
}

#[test]
fn patience_ends_a_run_that_stays_throttled() {
    let api = FakeLookupApi(|_| (Duration::ZERO, THROTTLED_REPLY));
    let bounds = RunLimits { patience: Duration::from_secs(30), ..default_limits() };
    let (report, end, rows, took) = simulate(api, bounds, 50, InputEnd::Complete, None);
    assert!(matches!(end, RunEnd::PatienceExceeded { .. }), "{end:?}");
    assert!(report.pause_time() <= Duration::from_secs(30) && took < Duration::from_mins(1));
    assert_eq!(
        (report.rows(Status::Pending), report.pauses()),
        (50, 31),
        "30 of a second, and one too many"
    );
    assert_eq!(rows, 50);
}

#[test]
fn a_file_that_shrinks_while_read_is_an_error() {
    let api = Sandbox::new(slow_script(1000));
    let workdir = Workdir::new();
    // One number for all rows: the reading waits for its answer, and most of the file is unread by
    // then.
    let input =
        workdir.write_file("staff.csv", "mobile\n".to_owned() + &"13900000000\n".repeat(60_000));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while api.call_log().calls().is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    OpenOptions::new().write(true).open(&input).and_then(|file| file.set_len(120_007)).unwrap();
    let ended: RunOutput = child.wait_with_output().unwrap().into();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("changed while it was read: 60000 rows at first"),
        "{}",
        ended.stderr
    );
    assert_eq!(workdir.file_names(), ["staff.csv"]);
}

#[test]
fn a_flag_overrides_the_variable_of_its_opposite() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output) =
        (workdir.write_file("staff.csv", "mobile\n13900000001\n"), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &output).env("DINGMAP_SANDBOX", "1"));
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(0), 1), "{}", ended.stderr);
    let ended = run(api.resolve(&input, &output).arg("--sandbox"));
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(2), 1), "{}", ended.stderr);
    let mut command = dingmap();
    command
        .args(["resolve".as_ref(), input.as_os_str(), "--sandbox".as_ref(), "-o".as_ref()])
        .arg(&output);
    let ended = run(command.env("DINGMAP_ENDPOINT", api.endpoint()));
    assert_eq!((ended.status, api.call_log().calls().len()), (Some(0), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("built-in sandbox"), "{}", ended.stderr);
    assert_eq!(read_rows(&output)[0]["status"], "found");
}
