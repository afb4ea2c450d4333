//! The course of a run: events in, calls and holds over time out, in memory that does not grow with the run. Owns how fine the
//! record is. Leaves drawing it to `chart`; what is going on now is `board`'s.

use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use crate::api::rate::Rate;
use crate::app::exit::shown;
use crate::engine::event::Event;

/// The most stretches that are kept: one for every few pixels of a chart. A run of ten hours has stretches of four minutes.
const MOST: usize = 240;
/// A stretch is long enough at first for so many calls at the full rate, so that a slow run is no comb of ones and noughts.
const CALLS: f64 = 10.0;

/// Keeps the record.
#[derive(Debug)]
pub(crate) struct Chronicle {
    began: Instant,
    course: Course,
    /// The rate that is aimed at now, in calls a second; infinite where there is none.
    rate: f64,
    /// The hold that is on: since when it is not yet recorded, and its end.
    hold: Option<(Instant, Instant)>,
}

/// What happened when.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    /// By the clock of whoever runs it; none where no call could be made yet.
    pub began: Option<Zoned>,
    /// How long it took.
    pub took: Duration,
    /// How long each stretch is; the last one ends with the run.
    pub width: Duration,
    /// The stretches, one after the other.
    pub stretches: Vec<Stretch>,
    /// How often no new token could be had, and what was said the last time.
    pub no_token: (u64, String),
}

/// A stretch of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// The calls that left in it.
    pub calls: u64,
    /// How many of them repeated an earlier one of their number.
    pub repeats: u64,
    /// How much of it throttling held.
    pub held: Duration,
    /// The highest rate that was aimed at in it, in calls a second; infinite where there was none.
    pub limit: f64,
}

impl Chronicle {
    /// Of a run that begins now, at this rate.
    #[must_use]
    pub(crate) fn new(rate: Rate) -> Self {
        let rate = rate.per_second().unwrap_or(f64::INFINITY);
        let width = Duration::from_secs_f64((CALLS / rate).max(1.0));
        let course = Course { began: Some(Zoned::now()), width, ..Course::default() };
        Self { began: Instant::now(), course, rate, hold: None }
    }

    /// Takes an event in.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::Called { again } => {
                if let Some(stretch) = self.at(Instant::now()) {
                    stretch.calls += 1;
                    stretch.repeats += u64::from(*again);
                }
            }
            Event::Held { until, .. } => {
                let now = Instant::now();
                self.rest(now);
                self.hold = Some((now, *until));
            }
            Event::Rate(rate) => {
                let rate = rate.per_second().unwrap_or(f64::INFINITY);
                // The stretches up to now are those of the old one.
                if let Some(stretch) = self.at(Instant::now()) {
                    stretch.limit = stretch.limit.max(rate);
                }
                self.rate = rate;
            }
            Event::NoToken { reason, .. } => {
                let (times, last) = &mut self.course.no_token;
                (*times, *last) = (*times + 1, shown(reason));
            }
            _ => {}
        }
    }

    /// The run has ended now.
    #[must_use]
    pub(crate) fn close(mut self) -> Course {
        let now = Instant::now();
        self.rest(now);
        self.at(now);
        self.course.took = now.duration_since(self.began);
        self.course
    }

    /// Records what of the hold lies before `now`.
    fn rest(&mut self, now: Instant) {
        let Some((mut from, until)) = self.hold.take() else { return };
        let until = until.min(now);
        while from < until {
            if self.at(from).is_none() {
                return;
            }
            // Only now, since looking may have made the stretches longer.
            let width = self.course.width;
            let place = place(from.duration_since(self.began), width);
            let next = u32::try_from(place + 1).ok().and_then(|next| width.checked_mul(next));
            let end = next.map_or(until, |next| until.min(self.began + next));
            if let Some(stretch) = self.at(from) {
                stretch.held += end.duration_since(from);
            }
            from = end;
        }
    }

    /// The stretch in which a moment lies.
    fn at(&mut self, moment: Instant) -> Option<&mut Stretch> {
        let after = moment.duration_since(self.began);
        while place(after, self.course.width) >= MOST {
            self.course.coarsen();
        }
        let place = place(after, self.course.width);
        let stretches = &mut self.course.stretches;
        while stretches.len() <= place {
            stretches.push(Stretch {
                calls: 0,
                repeats: 0,
                held: Duration::ZERO,
                limit: self.rate,
            });
        }
        stretches.get_mut(place)
    }
}

/// Which stretch of this width holds what is so long after the beginning.
fn place(after: Duration, width: Duration) -> usize {
    usize::try_from(after.as_nanos() / width.as_nanos().max(1)).unwrap_or(usize::MAX)
}

impl Course {
    /// Makes one stretch of every two.
    fn coarsen(&mut self) {
        self.width *= 2;
        self.stretches = self.stretches.chunks(2).filter_map(joined).collect();
    }

    /// The stretches with the moments at which they begin and end, in seconds since the run began. A last one that is too
    /// short to tell a speed belongs to the one before it.
    #[must_use]
    pub(crate) fn spans(&self) -> Vec<(f64, f64, Stretch)> {
        let (width, took) = (self.width.as_secs_f64(), self.took.as_secs_f64());
        let mut spans: Vec<(f64, f64, Stretch)> = Vec::with_capacity(self.stretches.len());
        let mut from = 0.0;
        for stretch in &self.stretches {
            let until = (from + width).min(took);
            match spans.last_mut() {
                Some((_, end, before)) if until - from < width / 2.0 => {
                    *end = until;
                    *before = joined(&[*before, *stretch]).unwrap_or(*before);
                }
                _ => spans.push((from, until, *stretch)),
            }
            from = until;
        }
        spans
    }
}

/// Stretches that follow each other as one.
fn joined(stretches: &[Stretch]) -> Option<Stretch> {
    stretches.iter().copied().reduce(|one, other| Stretch {
        calls: one.calls + other.calls,
        repeats: one.repeats + other.repeats,
        held: one.held + other.held,
        limit: one.limit.max(other.limit),
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::domain::verdict::Limit;

    fn chronicle(rate: &str) -> Chronicle {
        Chronicle::new(rate.parse().unwrap())
    }

    fn held(chronicle: &mut Chronicle, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        chronicle.observe(&Event::Held { until, cause: Limit::App });
    }

    #[tokio::test(start_paused = true)]
    async fn ten_hours_are_kept_in_a_few_stretches_and_nothing_is_lost() {
        let mut chronicle = chronicle("20");
        for minute in 0..600_u64 {
            for call in 0..10 {
                chronicle.observe(&Event::Called { again: call == 0 });
            }
            if minute % 100 == 50 {
                held(&mut chronicle, 90);
            }
            advance(Duration::from_mins(1)).await;
        }
        let course = chronicle.close();
        assert!((MOST / 2..=MOST).contains(&course.stretches.len()), "{}", course.stretches.len());
        let sum = |of: fn(&Stretch) -> u64| course.stretches.iter().map(of).sum::<u64>();
        assert_eq!((sum(|one| one.calls), sum(|one| one.repeats)), (6000, 600));
        let held: Duration = course.stretches.iter().map(|one| one.held).sum();
        assert_eq!((held, course.took), (Duration::from_mins(9), Duration::from_hours(10)));
        let spans = course.spans();
        let (_, end, _) = spans.last().unwrap();
        assert!(
            (end - 36_000.0).abs() < 1e-6
                && spans.windows(2).all(|two| (two[0].1 - two[1].0).abs() < 1e-6)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_lies_where_it_was_and_ends_with_the_run() {
        let mut chronicle = chronicle("20");
        advance(Duration::from_millis(2500)).await;
        held(&mut chronicle, 2);
        advance(Duration::from_millis(500)).await;
        // It is prolonged half-way.
        held(&mut chronicle, 3);
        advance(Duration::from_secs(5)).await;
        held(&mut chronicle, 60);
        advance(Duration::from_millis(1500)).await;
        let course = chronicle.close();
        let held: Vec<_> = course.stretches.iter().map(|one| one.held.as_millis()).collect();
        assert_eq!(held, [0, 0, 500, 1000, 1000, 1000, 0, 0, 1000, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lowered_rate_shows_and_a_slow_one_has_longer_stretches() {
        let mut slow = chronicle("0.5");
        assert_eq!(slow.course.width, Duration::from_secs(20));
        advance(Duration::from_secs(30)).await;
        slow.observe(&Event::Rate("0.4".parse().unwrap()));
        advance(Duration::from_secs(30)).await;
        let course = slow.close();
        let limits: Vec<_> = course.stretches.iter().map(|one| one.limit).collect();
        assert_eq!(limits, [0.5, 0.5, 0.4, 0.4]);
        // What is left of a stretch at the end is no stretch of its own.
        assert_eq!(course.spans().len(), 3);
        let unlimited = chronicle("unlimited").close();
        assert!(unlimited.stretches[0].limit.is_infinite() && unlimited.spans().len() == 1);
    }
}
