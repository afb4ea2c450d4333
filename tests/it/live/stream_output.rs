//! When answered rows leave: together where there is time, and at once where nothing is left to ask
//! for, each on a paused clock.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::api::LocalLimiter;
use dingmap::testing::domain::{DefaultRegion, Mobile};
use dingmap::testing::engine::Chunk;
use dingmap::testing::engine::RowBatch;
use dingmap::testing::engine::{RunEnd, Stop};
use dingmap::testing::engine::{RunIo, run};
use dingmap::testing::store::Answers;
use dingmap::testing::store::Prefetched;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::support::sim_harness::{
    FOUND_REPLY, FakeLookupApi, THROTTLED_REPLY, default_limits, paused_runtime,
};

/// When rows left since the start, and how many at a time.
type ChunkTimes = Vec<(Duration, usize)>;

/// A run over batches of so many numbers, each of which comes at its time.
fn simulate(
    remote: FakeLookupApi,
    pace: Box<LocalLimiter>,
    batches: Vec<(Duration, u8)>,
) -> (ChunkTimes, Duration) {
    paused_runtime().block_on(async {
        let (sender, inlet) = mpsc::channel::<Result<Option<RowBatch<()>>, String>>(2);
        let began = Instant::now();
        tokio::spawn(async move {
            let mut everybody = 0_u32..;
            for (at, count) in batches {
                tokio::time::sleep_until(began + at).await;
                let people = everybody.by_ref().take(count.into());
                let numbers = people
                    .map(|n| Mobile::parse(&format!("139{n:08}"), DefaultRegion::CHINA))
                    .collect();
                let per_row = NonZeroUsize::MIN;
                let batch = RowBatch {
                    source_bytes: 0,
                    payload: (),
                    mobiles: numbers,
                    numbers_per_row: per_row,
                    judgements: vec![],
                    prefetched: Prefetched::default(),
                };
                sender.send(Ok(Some(batch))).await.unwrap();
            }
            sender.send(Ok(None)).await.unwrap();
        });
        let (chunks, mut out) = mpsc::channel::<Chunk<()>>(2);
        let left = tokio::spawn(async move {
            let mut left = ChunkTimes::new();
            while let Some(chunk) = out.recv().await {
                left.push((began.elapsed(), chunk.rows.len()));
            }
            left
        });
        let (_stop, stopped) = watch::channel(Stop::Running);
        let (mut known, ends) = (Answers::default(), RunIo { batches: &mut inlet.into(), chunks });
        let run =
            run::run(default_limits(), Arc::new(remote), pace, &mut known, ends, stopped, |_| {});
        let (report, end) = run.await;
        assert!(matches!(end, Ok(RunEnd::Finished | RunEnd::PatienceExceeded { .. })), "{end:?}");
        let (left, took) = (left.await.unwrap(), began.elapsed());
        assert_eq!(left.iter().map(|(_, rows)| *rows as u64).sum::<u64>(), report.rows_in);
        (left, took)
    })
}

fn rate_limiter(rate: &str) -> Box<LocalLimiter> {
    Box::new(LocalLimiter::new(rate.parse().unwrap()))
}

/// A hundred rows that are there at once.
fn hundred_rows_at_once() -> Vec<(Duration, u8)> {
    vec![(Duration::ZERO, 100)]
}

#[test]
fn at_the_rate_limit_rows_are_written_a_few_times_a_second() {
    let api = FakeLookupApi(|_| (Duration::from_millis(5), FOUND_REPLY));
    let (left, took) = simulate(api, rate_limiter("20"), hundred_rows_at_once());
    // A hundred rows in five seconds, four times a second, and the last by themselves.
    assert!((15..=22).contains(&left.len()), "{left:?}");
    assert!(
        left.windows(2).all(|two| two[1].0 <= two[0].0 + Duration::from_millis(300)),
        "{left:?}"
    );
    assert!(
        took < Duration::from_millis(5100),
        "the last row waits for nothing: {took:?} {left:?}"
    );
}

#[test]
fn rows_of_many_batches_are_written_as_soon_as_those_of_one() {
    let api = FakeLookupApi(|_| (Duration::from_millis(5), FOUND_REPLY));
    // One by one as a slow program writes them into a pipe, and faster than they can be asked.
    let batches = (0..200).map(|n| (Duration::from_millis(30 * n), 1)).collect();
    let (left, took) = simulate(api, rate_limiter("20"), batches);
    for late in 1..10 {
        let moment = Duration::from_secs(late);
        let out: usize = left.iter().filter(|(at, _)| *at <= moment).map(|(_, rows)| rows).sum();
        let asked = 20 * usize::try_from(late).unwrap();
        assert!(out + 7 >= asked, "{out} rows of {asked} are out after {late} s: {left:?}");
    }
    assert!(took < Duration::from_millis(10_200), "{took:?}");
}

#[test]
fn rows_that_arrive_occasionally_are_written_once_answered() {
    let api = FakeLookupApi(|_| (Duration::from_millis(5), FOUND_REPLY));
    let batches =
        vec![(Duration::ZERO, 1), (Duration::from_secs(10), 2), (Duration::from_secs(20), 1)];
    let (left, _) = simulate(api, rate_limiter("unlimited"), batches.clone());
    for (at, rows) in batches {
        let at_once = |left: &Duration| {
            left.checked_sub(at).is_some_and(|late| late < Duration::from_millis(20))
        };
        let out: usize = left.iter().filter(|(left, _)| at_once(left)).map(|(_, rows)| rows).sum();
        assert_eq!(out, usize::from(rows), "{at:?}: {left:?}");
    }
}

#[test]
fn completed_rows_are_written_during_a_pause() {
    let api = FakeLookupApi(|n| {
        if n == 2 {
            (Duration::from_millis(50), THROTTLED_REPLY)
        } else {
            (Duration::ZERO, FOUND_REPLY)
        }
    });
    let (left, took) = simulate(api, rate_limiter("20"), hundred_rows_at_once());
    // The third number is refused until the run's patience ends.
    assert!(left[0].0 <= Duration::from_millis(300) && left[0].1 == 2, "{left:?}");
    assert!(took > Duration::from_mins(10), "{took:?}");
}
