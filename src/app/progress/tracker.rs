//! What a run looks like from outside: events in, a glance out. Owns the counting for progress and the estimate of what is
//! left. Leaves the words to `glance`; the run's own totals are the engine's report.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, trace};

use crate::api::rate::Rate;
use crate::app::exit::shown;
use crate::app::progress::snapshot::Glance;
use crate::domain::outcome::{Code, Status};
use crate::domain::verdict::Limit;
use crate::engine::event::Event;

/// Over this much of the past the speed is taken.
const RECENT: Duration = Duration::from_secs(5);

/// The state of a run as its user sees it.
#[derive(Debug)]
pub(crate) struct Board {
    /// Rows of the whole input, where it could be looked through before.
    total: Option<u64>,
    read: u64,
    settled: u64,
    by_status: [u64; Status::ALL.len()],
    /// Numbers that need a call, and those of them that have their answer.
    wanted: u64,
    answered: u64,
    calls: u64,
    retrying: usize,
    rate: Rate,
    hold: Option<(Instant, Limit)>,
    /// Why there is no token, while there is none.
    trouble: Option<String>,
    ending: bool,
    /// Moments and the calls made up to them, oldest first.
    past: VecDeque<(Instant, u64)>,
}

impl Board {
    /// A run of which nothing has happened.
    #[must_use]
    pub(crate) fn new(total: Option<u64>, rate: Rate) -> Self {
        Self {
            total,
            read: 0,
            settled: 0,
            by_status: [0; Status::ALL.len()],
            wanted: 0,
            answered: 0,
            calls: 0,
            retrying: 0,
            rate,
            hold: None,
            trouble: None,
            ending: false,
            past: VecDeque::from([(Instant::now(), 0)]),
        }
    }

    /// Takes an event in, and logs it. Numbers are masked.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::Read(rows) => self.read += rows,
            Event::Wanted => self.wanted += 1,
            Event::Called { .. } => self.calls += 1,
            Event::Retrying(numbers) => self.retrying = *numbers,
            Event::BacksOff { mobile, delay } => {
                info!(number = mobile.masked(), ?delay, "tries again")
            }
            Event::Answered { mobile, status, code } => {
                self.answered += 1;
                // Made where it is logged, and nowhere else.
                debug!(
                    number = mobile.masked(),
                    status = status.name(),
                    code = told(code.as_ref()),
                    "answered"
                );
            }
            Event::Settled(status) => {
                self.settled += 1;
                self.by_status[*status as usize] += 1;
                trace!(status = status.name(), "row settled");
            }
            Event::Held { until, cause } => {
                info!(
                    seconds = until.saturating_duration_since(Instant::now()).as_secs_f64(),
                    ?cause,
                    "all calls rest"
                );
                self.hold = Some((*until, *cause));
            }
            Event::Rate(rate) => {
                info!(%rate, "the rate is now");
                self.rate = *rate;
            }
            Event::Token(count) => {
                info!(count, "a token was fetched");
                self.trouble = None;
            }
            Event::NoToken { reason, delay, serves } => {
                let reason = shown(reason);
                info!(reason, ?delay, serves, "no new token; tries again");
                self.trouble = Some(reason).filter(|_| !serves);
            }
            Event::Ending => self.ending = true,
        }
    }

    /// What there is to see now.
    pub(crate) fn glance(&mut self) -> Glance {
        let now = Instant::now();
        if self.hold.is_some_and(|(until, _)| until <= now) {
            // The speed of a rest says nothing of the time after it.
            self.hold = None;
            self.past = VecDeque::from([(now, self.calls)]);
        }
        let speed = self.speed(now);
        Glance {
            rows: self.settled,
            total: self.total,
            by_status: self.by_status,
            calls: self.calls,
            speed,
            rate: self.rate,
            retrying: self.retrying,
            held: self.hold.map(|(until, cause)| (until.saturating_duration_since(now), cause)),
            trouble: self.trouble.clone(),
            ending: self.ending,
            left: self.left(speed),
        }
    }

    /// Calls a second of late.
    fn speed(&mut self, now: Instant) -> f64 {
        self.past.push_back((now, self.calls));
        while self.past.len() > 2
            && self.past.get(1).is_some_and(|(moment, _)| now.duration_since(*moment) >= RECENT)
        {
            self.past.pop_front();
        }
        let Some((since, before)) = self.past.front() else { return 0.0 };
        let span = now.duration_since(*since).as_secs_f64();
        if span < 0.05 { 0.0 } else { count(self.calls - before) / span }
    }

    /// The calls that are left, at the rate or at the speed where that is clearly lower. The numbers in rows that
    /// were not read yet are taken to repeat as often as those that were.
    fn left(&self, speed: f64) -> Option<Duration> {
        let unread = self.total?.saturating_sub(self.read);
        // How long those take that back off does not follow from the rate.
        let open = self.wanted.saturating_sub(self.answered);
        if unread == 0 && open <= self.retrying as u64 {
            return None;
        }
        let new = if self.read == 0 { 1.0 } else { count(self.wanted) / count(self.read) };
        let calls = count(open) + count(unread) * new;
        let aim = self.rate.per_second().unwrap_or(f64::INFINITY);
        let pace = if speed > 0.0 && speed < 0.8 * aim && self.calls > 50 { speed } else { aim };
        Duration::try_from_secs_f64(calls / pace).ok().filter(|left| !left.is_zero())
    }
}

fn told(code: Option<&Code>) -> String {
    code.map(|code| shown(&code.to_string())).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows and calls are far below 2⁵³")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_says_what_is_going_on() {
        let mut board = Board::new(Some(100), "20".parse().unwrap());
        board.observe(&Event::Read(60));
        for _ in 0..30 {
            board.observe(&Event::Wanted);
            board.observe(&Event::Called { again: false });
        }
        board.observe(&Event::Settled(Status::Found));
        board.observe(&Event::Settled(Status::OutOfScope));
        board.observe(&Event::Retrying(2));
        tokio::time::advance(Duration::from_secs(2)).await;
        // 30 numbers are open and 40 rows unread, half of which need a call: 50 calls at 20 a second.
        assert_eq!(
            [board.glance().course(usize::MAX), board.glance().counts(usize::MAX)].join(" | "),
            "2 of 100 rows · 15.0 of 20 calls/s · about 3s left | found 1 · not found 0 · invalid 0 · out of scope 1 · failed 0 · retrying 2"
        );
        board.observe(&Event::Held {
            until: Instant::now() + Duration::from_mins(1),
            cause: Limit::Platform,
        });
        let line = board.glance().course(usize::MAX);
        assert!(
            line.contains(" · throttled until ") && line.contains("(the platform's capacity)"),
            "{line}"
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!board.glance().course(usize::MAX).contains("throttled"));
        // Nothing is left but what backs off, for as long as that takes.
        board.observe(&Event::Read(40));
        board.observe(&Event::Retrying(30));
        assert!(!board.glance().course(usize::MAX).contains("left"));
        board.observe(&Event::Retrying(29));
        assert!(board.glance().course(usize::MAX).contains("about 2s left"));
        board.observe(&Event::Ending);
        assert!(board.glance().course(usize::MAX).contains("ending"));
    }
}
