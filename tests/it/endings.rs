//! How runs end: single cases on a paused clock, each with a far side made for it, and those that only a real file or
//! a real environment can show.

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::api::Pace;
use dingmap::testing::domain::Report;
use dingmap::testing::domain::Status;
use dingmap::testing::domain::{Home, Mobile};
use dingmap::testing::engine::{End, Halt};
use dingmap::testing::engine::{Ends, run};
use dingmap::testing::engine::{Settings, Sheet};
use dingmap::testing::sandbox::Script;
use dingmap::testing::store::Foreseen;
use dingmap::testing::store::Known;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::harness::{Api, Desk, Ended, dingmap, rows, run, unlimited};
use crate::stage::{Digits, FOUND, SLOW_DOWN, paused, settings};

const DENIED: &str = r#"{"errcode":60011,"errmsg":"no permission"}"#;
const CLOSED: &str = r#"{"errcode":90001,"errmsg":"closed for a while"}"#;
const BUSY: &str = r#"{"errcode":-1,"errmsg":"busy"}"#;

/// How the input ends.
#[derive(Clone, Copy, PartialEq)]
enum Inlet {
    Whole,
    Broken,
    Open,
}

/// What a run came to: its totals, its end, the rows handed on and how long it took.
type Played = (Report, End, usize, Duration);

/// A run over so many numbers on a paused clock.
fn play(
    remote: Digits,
    settings: Settings,
    count: u8,
    inlet: Inlet,
    stop_after: Option<Duration>,
) -> Played {
    paused().block_on(async {
        let (sender, sheets) = mpsc::channel::<Result<Option<Sheet<()>>, String>>(2);
        let numbers =
            (0..count).map(|n| Mobile::parse(&format!("139000000{n:02}"), Home::CHINA)).collect();
        sender
            .try_send(Ok(Some(Sheet {
                load: (),
                numbers,
                per_row: NonZeroUsize::MIN,
                earlier: Vec::new(),
                foreseen: Foreseen::default(),
            })))
            .unwrap();
        if inlet == Inlet::Whole {
            sender.try_send(Ok(None)).unwrap();
        }
        let _open = (inlet == Inlet::Open).then_some(sender);
        let (chunks, mut out) = mpsc::channel(1024);
        let (stop, stopped) = watch::channel(Halt::No);
        tokio::spawn(async move {
            if let Some(after) = stop_after {
                tokio::time::sleep(after).await;
                let _ = stop.send(Halt::Soon);
            }
            std::future::pending::<()>().await;
        });
        let (started, pace) = (Instant::now(), Box::new(Pace::new("unlimited".parse().unwrap())));
        let (mut known, ends) = (Known::default(), Ends { sheets: &mut sheets.into(), chunks });
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
fn what_is_ready_is_handed_on_when_a_run_stops() {
    let far = Digits(|n| match n {
        0 => (Duration::from_secs(2), FOUND),
        10 => (Duration::from_secs(1), DENIED),
        _ => (Duration::from_millis(1), FOUND),
    });
    let (_, end, rows, _) = play(far, settings(), 20, Inlet::Whole, None);
    assert!(matches!(end, End::Stopped(_)), "{end:?}");
    assert_eq!(
        rows, 10,
        "the first row was waited for, and those up to the one that stopped the run"
    );
}

#[test]
fn an_interrupted_run_that_has_every_answer_has_finished() {
    let far = Digits(|_| (Duration::from_secs(1), FOUND));
    let (report, end, rows, _) =
        play(far, settings(), 10, Inlet::Whole, Some(Duration::from_millis(500)));
    assert!(matches!(end, End::Finished), "{end:?}");
    assert_eq!((rows, report.rows(Status::Found)), (10, 10));
}

#[test]
fn an_input_that_ends_without_saying_so_has_lost_rows() {
    let far = Digits(|_| (Duration::from_millis(1), FOUND));
    let bounds = Settings { partial: true, ..settings() };
    let (_, end, rows, _) = play(far, bounds, 10, Inlet::Broken, None);
    assert!(matches!(end, End::InputLost), "{end:?}");
    assert!(rows <= 10);
}

#[test]
fn an_interrupted_pipe_is_not_read_on() {
    let far = Digits(|_| (Duration::from_secs(1), FOUND));
    let bounds = Settings { partial: true, reads_on: false, ..settings() };
    let (report, end, rows, took) =
        play(far, bounds, 40, Inlet::Open, Some(Duration::from_millis(1500)));
    assert!(matches!(end, End::Interrupted), "{end:?}");
    assert_eq!(
        (rows, report.rows(Status::Found)),
        (40, 32),
        "two rounds of sixteen, and the rest pending"
    );
    assert!(!report.read_whole);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn calls_that_are_used_up_wait_for_nothing() {
    let busy = Digits(|_| (Duration::from_millis(1), BUSY));
    let closed = Digits(|_| (Duration::from_millis(1), CLOSED));
    for far in [busy, closed] {
        let bounds = Settings { most_calls: Some(5), ..settings() };
        let (report, end, rows, took) = play(far, bounds, 50, Inlet::Whole, None);
        assert!(matches!(end, End::CallsUsedUp), "{end:?}");
        assert_eq!((report.calls, report.asked, report.shared, rows), (5, 5, 0, 50));
        assert!(took < Duration::from_millis(400), "{took:?}");
        assert!(
            report.held() < Duration::from_millis(400),
            "only what was waited for: {:?}",
            report.held()
        );
    }
}

#[test]
fn patience_ends_a_run_whose_limit_never_lifts() {
    let far = Digits(|_| (Duration::ZERO, SLOW_DOWN));
    let bounds = Settings { patience: Duration::from_secs(30), ..settings() };
    let (report, end, rows, took) = play(far, bounds, 50, Inlet::Whole, None);
    assert!(matches!(end, End::PatienceUsedUp { .. }), "{end:?}");
    assert!(report.held() <= Duration::from_secs(30) && took < Duration::from_mins(1));
    assert_eq!(
        (report.rows(Status::Pending), report.holds()),
        (50, 31),
        "30 of a second, and one too many"
    );
    assert_eq!(rows, 50);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_does_not_pass_for_resolved() {
    let latency = Duration::from_secs(1);
    let api = Api::new(Script { latency: latency..=latency, ..unlimited() });
    let desk = Desk::new();
    // One number for all rows: the reading waits for its answer, and most of the file is unread by then.
    let input = desk.file("staff.csv", "mobile\n".to_owned() + &"13900000000\n".repeat(60_000));
    let mut command = api.resolve(&input, &desk.path("out.csv"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while api.ledger().calls().is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    OpenOptions::new().write(true).open(&input).and_then(|file| file.set_len(120_007)).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("changed while it was read: 60000 rows at first"),
        "{}",
        ended.stderr
    );
    assert_eq!(desk.names(), ["staff.csv"]);
}

#[test]
fn a_flag_beats_a_variable_of_its_opposite() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let (input, output) = (desk.file("staff.csv", "mobile\n13900000001\n"), desk.path("out.csv"));
    let ended = run(api.resolve(&input, &output).env("DINGMAP_SANDBOX", "1"));
    assert_eq!((ended.status, api.ledger().calls().len()), (Some(0), 1), "{}", ended.stderr);
    let ended = run(api.resolve(&input, &output).arg("--sandbox"));
    assert_eq!((ended.status, api.ledger().calls().len()), (Some(2), 1), "{}", ended.stderr);
    let mut command = dingmap();
    command
        .args(["resolve".as_ref(), input.as_os_str(), "--sandbox".as_ref(), "-o".as_ref()])
        .arg(&output);
    let ended = run(command.env("DINGMAP_ENDPOINT", api.endpoint()));
    assert_eq!((ended.status, api.ledger().calls().len()), (Some(0), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("built-in sandbox"), "{}", ended.stderr);
    assert_eq!(rows(&output)[0]["status"], "found");
}
