//! The calls that a sandbox received and how it answered them, for tests to assert on.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One `getbymobile` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When its headers had arrived, before its body was read; never earlier than the call recorded
    /// before it.
    pub at: Instant,
    /// The number as sent; empty if missing.
    pub number: Arc<str>,
    /// The token as sent; empty if missing.
    pub token: Arc<str>,
    /// `support_exclusive_account_search` as sent; `None` if missing or neither true nor false.
    pub exclusive: Option<bool>,
    /// The content type as sent; empty if missing.
    pub content_type: Arc<str>,
    /// The effective code of the reply ([reply](crate::guide::api#reply)), or the kind of a
    /// scripted answer without a code: `json`, `http 503` (with its status), `html`, `punish`,
    /// `drop`, `half` or `hang`.
    pub answered: Cow<'static, str>,
}

/// One of the two calls for a token ([tokens](crate::guide::api#tokens)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenEndpoint {
    /// `POST /v1.0/oauth2/accessToken`.
    V1,
    /// `GET /gettoken`.
    Legacy,
}

/// One call for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCall {
    /// When its headers had arrived.
    pub at: Instant,
    pub endpoint: TokenEndpoint,
    /// `0` if a token was issued, else the code or kind as in [`Call::answered`].
    pub answered: Cow<'static, str>,
}

/// A snapshot of the calls that a sandbox received.
#[derive(Debug, Clone, Default)]
pub struct CallLog {
    calls: Vec<Call>,
    token_calls: Vec<TokenCall>,
    connections: usize,
}

impl CallLog {
    /// Every `getbymobile` call, in the order of arrival.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The `getbymobile` calls for one number as sent, in the order of arrival.
    pub fn calls_for(&self, number: &str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| &*call.number == number)
    }

    /// The number of distinct numbers looked up.
    #[must_use]
    pub fn distinct_numbers(&self) -> usize {
        self.calls.iter().map(|call| &*call.number).collect::<HashSet<_>>().len()
    }

    /// How many `getbymobile` calls were answered with this effective code or kind (see
    /// [`Call::answered`]).
    #[must_use]
    pub fn count_answered(&self, code: impl Display) -> usize {
        let code = code.to_string();
        self.calls.iter().filter(|call| call.answered == code).count()
    }

    /// Every call for a token, in the order of arrival.
    #[must_use]
    pub fn token_calls(&self) -> &[TokenCall] {
        &self.token_calls
    }

    /// How many connections were opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// When each `getbymobile` call arrived, earliest first.
    #[must_use]
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = Instant> {
        self.calls.iter().map(|call| call.at)
    }

    /// The most `getbymobile` calls that arrived in any window `[t, t + window)`, refused ones
    /// included.
    #[must_use]
    pub fn max_in_window(&self, window: Duration) -> usize {
        // The maximum occurs in a window that begins at a call, so only those are counted.
        let mut first = 0;
        let mut most = 0;
        for (last, call) in self.calls.iter().enumerate() {
            while first < last && call.at - self.calls[first].at >= window {
                first += 1;
            }
            if !window.is_zero() {
                most = most.max(last + 1 - first);
            }
        }
        most
    }

    /// The share of `rate` (calls per second) that was used from the first `getbymobile` call to
    /// the last: 1.0 is all of it. 0.0 for fewer than two calls, infinite if all came at once.
    #[must_use]
    pub fn rate_utilization(&self, rate: f64) -> f64 {
        let (Some(first), Some(last)) = (self.calls.first(), self.calls.last()) else { return 0.0 };
        let gaps = u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX);
        if gaps == 0 {
            return 0.0;
        }
        f64::from(gaps) / (last.at - first.at).as_secs_f64() / rate
    }

    /// Adds a `getbymobile` call. An arrival before that of the last recorded call is set to that
    /// call's: two bodies can end in another order than their headers arrived, and the counts need
    /// sorted arrivals.
    pub fn record(&mut self, mut call: Call) {
        call.at = self.clamp_to_last(call.at);
        self.calls.push(call);
    }

    /// `time`, or the arrival of the last recorded call if that is later.
    #[must_use]
    pub fn clamp_to_last(&self, time: Instant) -> Instant {
        self.calls.last().map_or(time, |last| last.at.max(time))
    }

    /// Adds a call for a token.
    pub fn record_token_call(&mut self, call: TokenCall) {
        self.token_calls.push(call);
    }

    /// Counts a connection.
    pub fn record_connection(&mut self) {
        self.connections += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(at: Instant, number: &str, answered: &'static str) -> Call {
        Call {
            at,
            number: number.into(),
            token: "t".into(),
            exclusive: Some(true),
            content_type: "".into(),
            answered: answered.into(),
        }
    }

    fn log_at(millis: impl IntoIterator<Item = u64>) -> CallLog {
        let start = Instant::now();
        let mut log = CallLog::default();
        for millis in millis {
            log.record(call(start + Duration::from_millis(millis), "1", "0"));
        }
        log
    }

    proptest! {
        #[test]
        fn windows_agree_with_a_count_of_every_window(
            mut arrivals in prop::collection::vec(0_u64..300, 0..60),
            window in 0_u64..120,
        ) {
            arrivals.sort_unstable();
            let expected = (0..300)
                .map(|from| arrivals.iter().filter(|&&at| at >= from && at < from + window).count())
                .max();
            let most = log_at(arrivals).max_in_window(Duration::from_millis(window));
            prop_assert_eq!(Some(most), expected);
        }

        #[test]
        fn arrival_times_are_monotonic(arrivals in prop::collection::vec(0_u64..300, 0..60)) {
            let log = log_at(arrivals);
            prop_assert!(log.arrivals().is_sorted());
        }
    }

    #[test]
    fn calls_are_counted_by_number_and_by_answer() {
        let now = Instant::now();
        let mut log = CallLog::default();
        for (number, answered) in [("1", "-1"), ("2", "0"), ("1", "0"), ("3", "drop")] {
            log.record(call(now, number, answered));
        }
        assert_eq!(log.distinct_numbers(), 3);
        assert_eq!(log.count_answered(0), 2);
        assert_eq!(log.count_answered(-1), 1);
        assert_eq!(log.count_answered("drop"), 1);
        assert_eq!(log.calls_for("1").map(|call| &*call.answered).collect::<Vec<_>>(), ["-1", "0"]);
        assert_eq!((log.calls().len(), log.connections(), log.token_calls().len()), (4, 0, 0));
    }

    #[test]
    fn the_share_counts_gaps_not_calls() {
        let log = log_at((0..21).map(|n| n * 50));
        assert!((log.rate_utilization(20.0) - 1.0).abs() < 1e-9);
        assert!((log.rate_utilization(40.0) - 0.5).abs() < 1e-9);
        assert!(log_at([]).rate_utilization(20.0).abs() < 1e-9);
        assert!(log_at([5]).rate_utilization(20.0).abs() < 1e-9);
    }
}
