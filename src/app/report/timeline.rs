//! The calls and pauses of a run over time, in memory that does not grow with the run.

use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::clock;
use crate::domain::redact::sanitize;
use crate::engine::event::Event;

/// One bucket for every few pixels of a chart. A run of ten hours has buckets of four minutes.
const MAX_BUCKETS: usize = 240;
/// The initial bucket is long enough for this many calls at the full rate. Otherwise the chart of a
/// slow run alternates between 0 and 1.
const CALLS_PER_BUCKET: f64 = 10.0;

#[derive(Debug)]
pub(crate) struct TimelineRecorder {
    started: Instant,
    timeline: Timeline,
    /// In calls per second; infinite without a limit.
    target_rate: f64,
    /// The current pause: from when it is not yet recorded, and its end.
    pause: Option<(Instant, Instant)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    /// Local time; `None` if no call could be made.
    pub started: Option<Zoned>,
    pub elapsed: Duration,
    /// The last bucket ends with the run.
    pub bucket_width: Duration,
    pub buckets: Vec<Bucket>,
    /// How many token requests failed, and the last reason.
    pub token_failures: (u64, String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub calls: u64,
    pub retries: u64,
    /// How long throttling paused the run within this bucket.
    pub paused: Duration,
    /// The highest target rate, in calls per second; infinite without a limit.
    pub target_rate: f64,
}

impl TimelineRecorder {
    #[must_use]
    pub(crate) fn new(rate: Rate) -> Self {
        let rate = rate.per_second().unwrap_or(f64::INFINITY);
        let width = Duration::from_secs_f64((CALLS_PER_BUCKET / rate).max(1.0));
        let timeline = Timeline {
            started: Some(clock::now_local()),
            bucket_width: width,
            ..Timeline::default()
        };
        Self { started: Instant::now(), timeline, target_rate: rate, pause: None }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Called { is_retry } => {
                if let Some(bucket) = self.bucket_at(Instant::now()) {
                    bucket.calls += 1;
                    bucket.retries += u64::from(*is_retry);
                }
            }
            Event::Paused { until, .. } => {
                let now = Instant::now();
                self.record_pause(now);
                self.pause = Some((now, *until));
            }
            Event::RateChanged(rate) => {
                let rate = rate.per_second().unwrap_or(f64::INFINITY);
                // The buckets up to now have the old rate.
                if let Some(bucket) = self.bucket_at(Instant::now()) {
                    bucket.target_rate = bucket.target_rate.max(rate);
                }
                self.target_rate = rate;
            }
            Event::TokenFailed { reason, .. } => {
                let (times, last) = &mut self.timeline.token_failures;
                (*times, *last) = (*times + 1, sanitize(reason));
            }
            _ => {}
        }
    }

    #[must_use]
    pub(crate) fn finish(mut self) -> Timeline {
        let now = Instant::now();
        self.record_pause(now);
        self.bucket_at(now);
        self.timeline.elapsed = now.duration_since(self.started);
        self.timeline
    }

    /// Adds the current pause up to `now` to its buckets.
    fn record_pause(&mut self, now: Instant) {
        let Some((mut from, until)) = self.pause.take() else { return };
        let until = until.min(now);
        while from < until {
            if self.bucket_at(from).is_none() {
                return;
            }
            // Read inside the loop: `bucket_at` may double the width.
            let width = self.timeline.bucket_width;
            let index = bucket_index(from.duration_since(self.started), width);
            let next = u32::try_from(index + 1).ok().and_then(|next| width.checked_mul(next));
            let end = next.map_or(until, |next| until.min(self.started + next));
            if let Some(bucket) = self.bucket_at(from) {
                bucket.paused += end.duration_since(from);
            }
            from = end;
        }
    }

    fn bucket_at(&mut self, moment: Instant) -> Option<&mut Bucket> {
        let after = moment.duration_since(self.started);
        while bucket_index(after, self.timeline.bucket_width) >= MAX_BUCKETS {
            self.timeline.downsample();
        }
        let index = bucket_index(after, self.timeline.bucket_width);
        let buckets = &mut self.timeline.buckets;
        while buckets.len() <= index {
            buckets.push(Bucket {
                calls: 0,
                retries: 0,
                paused: Duration::ZERO,
                target_rate: self.target_rate,
            });
        }
        buckets.get_mut(index)
    }
}

fn bucket_index(after: Duration, width: Duration) -> usize {
    usize::try_from(after.as_nanos() / width.as_nanos().max(1)).unwrap_or(usize::MAX)
}

impl Timeline {
    /// Merges every two buckets into one.
    fn downsample(&mut self) {
        self.bucket_width *= 2;
        self.buckets = self.buckets.chunks(2).filter_map(merge_buckets).collect();
    }

    /// The buckets with their start and end in seconds since the start. A last bucket shorter than
    /// half the width is merged into the one before: it is too short for a rate.
    #[must_use]
    pub(crate) fn intervals(&self) -> Vec<(f64, f64, Bucket)> {
        let (width, took) = (self.bucket_width.as_secs_f64(), self.elapsed.as_secs_f64());
        let mut spans: Vec<(f64, f64, Bucket)> = Vec::with_capacity(self.buckets.len());
        let mut from = 0.0;
        for bucket in &self.buckets {
            let until = (from + width).min(took);
            match spans.last_mut() {
                Some((_, end, before)) if until - from < width / 2.0 => {
                    *end = until;
                    *before = merge_buckets(&[*before, *bucket]).unwrap_or(*before);
                }
                _ => spans.push((from, until, *bucket)),
            }
            from = until;
        }
        spans
    }
}

fn merge_buckets(buckets: &[Bucket]) -> Option<Bucket> {
    buckets.iter().copied().reduce(|bucket, other| Bucket {
        calls: bucket.calls + other.calls,
        retries: bucket.retries + other.retries,
        paused: bucket.paused + other.paused,
        target_rate: bucket.target_rate.max(other.target_rate),
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::domain::verdict::Limit;

    fn recorder(rate: &str) -> TimelineRecorder {
        TimelineRecorder::new(rate.parse().unwrap())
    }

    fn pause_for(recorder: &mut TimelineRecorder, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        recorder.on_event(&Event::Paused { until, cause: Limit::App });
    }

    #[tokio::test(start_paused = true)]
    async fn ten_hours_fit_in_few_buckets_without_loss() {
        let mut recorder = recorder("20");
        for minute in 0..600_u64 {
            for call in 0..10 {
                recorder.on_event(&Event::Called { is_retry: call == 0 });
            }
            if minute % 100 == 50 {
                pause_for(&mut recorder, 90);
            }
            advance(Duration::from_mins(1)).await;
        }
        let timeline = recorder.finish();
        assert!(
            (MAX_BUCKETS / 2..=MAX_BUCKETS).contains(&timeline.buckets.len()),
            "{}",
            timeline.buckets.len()
        );
        let sum = |of: fn(&Bucket) -> u64| timeline.buckets.iter().map(of).sum::<u64>();
        assert_eq!((sum(|bucket| bucket.calls), sum(|bucket| bucket.retries)), (6000, 600));
        let pause_for: Duration = timeline.buckets.iter().map(|bucket| bucket.paused).sum();
        assert_eq!(
            (pause_for, timeline.elapsed),
            (Duration::from_mins(9), Duration::from_hours(10))
        );
        let spans = timeline.intervals();
        let (_, end, _) = spans.last().unwrap();
        assert!(
            (end - 36_000.0).abs() < 1e-6
                && spans.windows(2).all(|two| (two[0].1 - two[1].0).abs() < 1e-6)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_keeps_its_position_and_ends_with_the_run() {
        let mut recorder = recorder("20");
        advance(Duration::from_millis(2500)).await;
        pause_for(&mut recorder, 2);
        advance(Duration::from_millis(500)).await;
        // Extended half-way.
        pause_for(&mut recorder, 3);
        advance(Duration::from_secs(5)).await;
        pause_for(&mut recorder, 60);
        advance(Duration::from_millis(1500)).await;
        let timeline = recorder.finish();
        let pause_for: Vec<_> =
            timeline.buckets.iter().map(|bucket| bucket.paused.as_millis()).collect();
        assert_eq!(pause_for, [0, 0, 500, 1000, 1000, 1000, 0, 0, 1000, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lowered_rate_is_recorded_and_a_low_rate_has_wider_buckets() {
        let mut slow = recorder("0.5");
        assert_eq!(slow.timeline.bucket_width, Duration::from_secs(20));
        advance(Duration::from_secs(30)).await;
        slow.on_event(&Event::RateChanged("0.4".parse().unwrap()));
        advance(Duration::from_secs(30)).await;
        let timeline = slow.finish();
        let limits: Vec<_> = timeline.buckets.iter().map(|bucket| bucket.target_rate).collect();
        assert_eq!(limits, [0.5, 0.5, 0.4, 0.4]);
        // The short last bucket is merged into the one before.
        assert_eq!(timeline.intervals().len(), 3);
        let unlimited = recorder("unlimited").finish();
        assert!(unlimited.buckets[0].target_rate.is_infinite() && unlimited.intervals().len() == 1);
    }
}
