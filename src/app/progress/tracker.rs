//! Counts the events of a run for its progress, estimates the remaining time, and logs the events.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, trace, warn};

use crate::api::rate::Rate;
use crate::app::progress::snapshot::Snapshot;
use crate::domain::float::to_f64;
use crate::domain::outcome::{Code, Status};
use crate::domain::redact::sanitize;
use crate::domain::verdict::Limit;
use crate::engine::event::Event;

/// The speed is the average over this time.
const SPEED_WINDOW: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Tracker {
    /// Rows of the whole input, if it was read before.
    total: Option<u64>,
    rows_read: u64,
    rows_settled: u64,
    by_status: [u64; Status::ALL.len()],
    /// Numbers that need a call, and those of them that have their answer.
    queued: u64,
    answered: u64,
    calls: u64,
    in_flight: u64,
    retrying: usize,
    rate: Rate,
    pause: Option<(Instant, Limit)>,
    /// Why there is no token, while there is none.
    token_error: Option<String>,
    is_stopping: bool,
    /// Times and the calls made until then, oldest first.
    call_history: VecDeque<(Instant, u64)>,
}

impl Tracker {
    #[must_use]
    pub(crate) fn new(total: Option<u64>, rate: Rate) -> Self {
        Self {
            total,
            rows_read: 0,
            rows_settled: 0,
            by_status: [0; Status::ALL.len()],
            queued: 0,
            answered: 0,
            calls: 0,
            in_flight: 0,
            retrying: 0,
            rate,
            pause: None,
            token_error: None,
            is_stopping: false,
            call_history: VecDeque::from([(Instant::now(), 0)]),
        }
    }

    /// Counts and logs an event. Numbers are masked.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::RowsRead(rows) => self.rows_read += rows,
            Event::Queued => self.queued += 1,
            Event::Called { .. } => {
                self.calls += 1;
                self.in_flight += 1;
            }
            Event::CallEnded => self.in_flight = self.in_flight.saturating_sub(1),
            Event::InBackoff(numbers) => self.retrying = *numbers,
            Event::BackingOff { mobile, delay } => {
                info!(number = mobile.to_masked_string(), ?delay, "retrying");
            }
            Event::Answered { mobile, status, code } => {
                self.answered += 1;
                // Masked here and not before, since most runs do not log this.
                debug!(
                    number = mobile.to_masked_string(),
                    status = status.name(),
                    code = code_text(code.as_ref()),
                    "answered"
                );
            }
            Event::Settled(status) => {
                self.rows_settled += 1;
                self.by_status[*status as usize] += 1;
                trace!(status = status.name(), "row settled");
            }
            Event::Paused { until, cause } => {
                let seconds = until.saturating_duration_since(Instant::now()).as_secs_f64();
                if *cause == Limit::Machine {
                    info!(seconds, "cannot connect, pausing all calls");
                } else {
                    info!(seconds, ?cause, "throttled, pausing all calls");
                }
                self.pause = Some((*until, *cause));
            }
            Event::RateChanged(rate) => {
                info!(%rate, "rate changed");
                self.rate = *rate;
            }
            Event::TokenReceived(count) => {
                info!(count, "token fetched");
                self.token_error = None;
            }
            Event::TokenFailed { reason, delay, old_token_valid: serves } => {
                let reason = sanitize(reason);
                info!(reason, ?delay, serves, "token request failed, retrying");
                self.token_error = Some(reason).filter(|_| !serves);
            }
            Event::MachineFailed(reason) => warn!(reason = sanitize(reason), "cannot connect"),
            Event::UnsolicitedReply(mobile) => {
                let number = mobile.to_masked_string();
                warn!(number, "a reply may belong to another call or to none; it is not used");
            }
            Event::Stopping => self.is_stopping = true,
        }
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let now = Instant::now();
        if self.pause.is_some_and(|(until, _)| until <= now) {
            // The speed during a pause says nothing about the time after it.
            self.pause = None;
            self.call_history = VecDeque::from([(now, self.calls)]);
        }
        let speed = self.sample_speed(now);
        Snapshot {
            rows: self.rows_settled,
            total: self.total,
            by_status: self.by_status,
            calls: self.calls,
            in_flight: self.in_flight,
            speed,
            rate: self.rate,
            retrying: self.retrying,
            pause: self.pause.map(|(until, cause)| (until.saturating_duration_since(now), cause)),
            token_error: self.token_error.clone(),
            is_stopping: self.is_stopping,
            eta: self.eta(speed),
        }
    }

    /// Calls per second within [`SPEED_WINDOW`].
    fn sample_speed(&mut self, now: Instant) -> f64 {
        self.call_history.push_back((now, self.calls));
        while self.call_history.len() > 2
            && self
                .call_history
                .get(1)
                .is_some_and(|(moment, _)| now.duration_since(*moment) >= SPEED_WINDOW)
        {
            self.call_history.pop_front();
        }
        let Some((since, before)) = self.call_history.front() else { return 0.0 };
        let seconds = now.duration_since(*since).as_secs_f64();
        if seconds < 0.05 { 0.0 } else { to_f64(self.calls - before) / seconds }
    }

    /// Open calls divided by the rate, or by the speed if that is clearly lower. Rows not yet read
    /// are assumed to need as many calls as those that were read.
    fn eta(&self, speed: f64) -> Option<Duration> {
        let unread = self.total?.saturating_sub(self.rows_read);
        // The time of a backoff does not follow from the rate.
        let open = self.queued.saturating_sub(self.answered);
        if unread == 0 && open <= self.retrying as u64 {
            return None;
        }
        let new =
            if self.rows_read == 0 { 1.0 } else { to_f64(self.queued) / to_f64(self.rows_read) };
        let calls = to_f64(open) + to_f64(unread) * new;
        let target = self.rate.per_second().unwrap_or(f64::INFINITY);
        let speed_used =
            if speed > 0.0 && speed < 0.8 * target && self.calls > 50 { speed } else { target };
        Duration::try_from_secs_f64(calls / speed_used).ok().filter(|left| !left.is_zero())
    }
}

fn code_text(code: Option<&Code>) -> String {
    code.map(|code| sanitize(&code.to_string())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_status_line_describes_the_current_state() {
        let mut tracker = Tracker::new(Some(100), "20".parse().unwrap());
        tracker.on_event(&Event::RowsRead(60));
        for _ in 0..30 {
            tracker.on_event(&Event::Queued);
            tracker.on_event(&Event::Called { is_retry: false });
        }
        tracker.on_event(&Event::Settled(Status::Found));
        tracker.on_event(&Event::Settled(Status::OutOfScope));
        tracker.on_event(&Event::InBackoff(2));
        tokio::time::advance(Duration::from_secs(2)).await;
        // 30 numbers are open and 40 rows unread, half of which need a call: 50 calls at 20/s.
        assert_eq!(
            [
                tracker.snapshot().progress_line(usize::MAX),
                tracker.snapshot().counts_line(usize::MAX)
            ]
            .join(" | "),
            "2 of 100 rows · 15.0 of 20 calls/s · about 3s left | found 1 · not_found 0 · invalid \
             0 · out_of_scope 1 · failed 0 · retrying 2"
        );
        tracker.on_event(&Event::Paused {
            until: Instant::now() + Duration::from_mins(1),
            cause: Limit::Platform,
        });
        let line = tracker.snapshot().progress_line(usize::MAX);
        assert!(
            line.contains(" · throttled until ") && line.contains("(the platform's capacity)"),
            "{line}"
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!tracker.snapshot().progress_line(usize::MAX).contains("throttled"));
        // Only numbers in backoff are left: their time is unknown.
        tracker.on_event(&Event::RowsRead(40));
        tracker.on_event(&Event::InBackoff(30));
        assert!(!tracker.snapshot().progress_line(usize::MAX).contains("left"));
        tracker.on_event(&Event::InBackoff(29));
        assert!(tracker.snapshot().progress_line(usize::MAX).contains("about 2s left"));
        tracker.on_event(&Event::Stopping);
        assert!(
            tracker
                .snapshot()
                .progress_line(usize::MAX)
                .contains("stopping: waiting for 30 calls in flight")
        );
    }
}
