//! When answered rows leave: together where there is time, and at once where nothing is left to ask for, each on a paused clock.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dingmap::api::pace::Pace;
use dingmap::domain::mobile::{Home, Mobile};
use dingmap::engine::ending::{End, Halt};
use dingmap::engine::pipeline::{self, Ends};
use dingmap::engine::reorder::Chunk;
use dingmap::engine::settings::Sheet;
use dingmap::store::ahead::Foreseen;
use dingmap::store::known::Known;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::endings::{Digits, FOUND, SLOW_DOWN};
use crate::stage::{paused, settings};

/// When rows left since the start, and how many at a time.
type Left = Vec<(Duration, usize)>;

/// A run over sheets of so many numbers, each of which comes at its time.
fn play(remote: Digits, pace: Pace, sheets: &'static [(Duration, u8)]) -> (Left, Duration) {
    paused().block_on(async {
        let (sender, inlet) = mpsc::channel::<Result<Option<Sheet<()>>, String>>(2);
        let began = Instant::now();
        tokio::spawn(async move {
            for (at, count) in sheets {
                tokio::time::sleep_until(began + *at).await;
                let numbers =
                    (0..*count).map(|n| Mobile::parse(&format!("139000000{n:02}"), Home::CHINA)).collect();
                let per_row = NonZeroUsize::MIN;
                let sheet =
                    Sheet { load: (), numbers, per_row, earlier: vec![], foreseen: Foreseen::default() };
                sender.send(Ok(Some(sheet))).await.unwrap();
            }
            sender.send(Ok(None)).await.unwrap();
        });
        let (chunks, mut out) = mpsc::channel::<Chunk<()>>(2);
        let left = tokio::spawn(async move {
            let mut left = Left::new();
            while let Some(chunk) = out.recv().await {
                left.push((began.elapsed(), chunk.rows.len()));
            }
            left
        });
        let (_stop, stopped) = watch::channel(Halt::No);
        let (mut known, ends) = (Known::default(), Ends { sheets: &mut inlet.into(), chunks });
        let run = pipeline::run(settings(), Arc::new(remote), pace, &mut known, ends, stopped, |_| {});
        let (report, end) = run.await;
        assert!(matches!(end, Ok(End::Finished | End::PatienceUsedUp { .. })), "{end:?}");
        let (left, took) = (left.await.unwrap(), began.elapsed());
        assert_eq!(left.iter().map(|(_, rows)| *rows as u64).sum::<u64>(), report.rows_in);
        (left, took)
    })
}

fn pace(rate: &str) -> Pace {
    Pace::new(rate.parse().unwrap())
}

const SLOW: &[(Duration, u8)] =
    &[(Duration::ZERO, 1), (Duration::from_secs(10), 2), (Duration::from_secs(20), 1)];
const ONE: &[(Duration, u8)] = &[(Duration::ZERO, 100)];

#[test]
fn at_the_quota_rows_leave_a_few_times_a_second() {
    let far = Digits(|_| (Duration::from_millis(5), FOUND));
    let (left, took) = play(far, pace("20"), ONE);
    // A hundred rows in five seconds, four times a second at most and the first and the last by themselves.
    assert!((15..=22).contains(&left.len()), "{left:?}");
    assert!(left.windows(2).all(|two| two[1].0 - two[0].0 <= Duration::from_millis(300)), "{left:?}");
    assert!(left.last().unwrap().0 >= took.saturating_sub(Duration::from_millis(1)), "{took:?} {left:?}");
}

#[test]
fn rows_that_come_now_and_then_leave_as_soon_as_they_are_answered() {
    let far = Digits(|_| (Duration::from_millis(5), FOUND));
    let (left, took) = play(far, pace("unlimited"), SLOW);
    assert!(took < Duration::from_secs(21));
    for (at, _) in SLOW {
        assert!(
            left.iter().any(|(left, _)| (0..20).contains(&left.saturating_sub(*at).as_millis())),
            "{left:?}"
        );
    }
}

#[test]
fn rows_do_not_wait_for_the_end_of_a_hold() {
    let far =
        Digits(|n| if n == 2 { (Duration::from_millis(50), SLOW_DOWN) } else { (Duration::ZERO, FOUND) });
    let (left, took) = play(far, pace("20"), ONE);
    // The third number is refused until the run's patience ends.
    assert!(
        left[0] <= (Duration::from_millis(300), 2) && took > Duration::from_mins(10),
        "{took:?} {left:?}"
    );
}
