//! The numbers in backoff, by the time at which they are due.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::lookup::Lookup;

/// Bounded by the window, because a row of the window waits for each number.
#[derive(Debug, Default)]
pub(crate) struct RetryQueue {
    /// By due time; the sequence number tells equal times apart.
    due: BTreeMap<(Instant, u64), Lookup>,
    sequence: u64,
}

impl RetryQueue {
    pub(crate) fn schedule(&mut self, lookup: Lookup, delay: Duration) {
        self.sequence += 1;
        self.due.insert((Instant::now() + delay, self.sequence), lookup);
    }

    /// Removes the number that was due first, if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Lookup> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.due.keys().next().map(|(due, _)| *due)
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::{DefaultRegion, Mobile};

    #[tokio::test(start_paused = true)]
    async fn retries_become_ready_in_order_of_their_due_time() {
        let number =
            |n: u64| Mobile::parse(&format!("1380013800{n}"), DefaultRegion::CHINA).unwrap();
        let (mut queue, start) = (RetryQueue::default(), Instant::now());
        for (n, seconds) in [(1, 2), (2, 1), (3, 2), (4, 0)] {
            queue.schedule(Lookup::new(number(n)), Duration::from_secs(seconds));
        }
        let mut due = |seconds: u64| {
            std::iter::from_fn(|| queue.pop_due(start + Duration::from_secs(seconds)))
                .map(|lookup| lookup.mobile())
                .collect::<Vec<_>>()
        };
        assert_eq!(due(0), [number(4)]);
        assert_eq!(due(1), [number(2)]);
        assert_eq!(due(2), [number(1), number(3)]);
        assert!(queue.is_empty() && queue.next_wakeup().is_none());
    }
}
