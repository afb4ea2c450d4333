//! The calls that a sandbox received and how it answered them, for tests to assert on.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One `getbymobile` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When its head had arrived, before its body was read; never earlier than the call recorded
    /// before it.
    pub at: Instant,
    /// The number as sent; empty where there was none.
    pub number: Arc<str>,
    /// The token as sent; empty where there was none.
    pub token: Arc<str>,
    /// `support_exclusive_account_search` as sent; `None` where it was missing or neither true nor
    /// false.
    pub exclusive: Option<bool>,
    /// The content type as sent; empty where there was none.
    pub content_type: Arc<str>,
    /// The effective code that was answered ([reply](crate::guide::api#reply)), or the kind of a
    /// scripted answer without one: `json`, `http 503` (with its status), `html`, `punish`, `drop`,
    /// `half` or `hang`.
    pub answered: Cow<'static, str>,
}

/// Which of the two calls for a token ([tokens](crate::guide::api#tokens)).
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
    /// When its head had arrived.
    pub at: Instant,
    /// Which call it was.
    pub endpoint: TokenEndpoint,
    /// `0` where a token was handed out, else the code, or the kind as in [`Call::answered`].
    pub answered: Cow<'static, str>,
}

/// The records of a sandbox, as they were when it was asked for them.
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

    /// How many different numbers were asked for.
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
        // A window that begins at a call holds no fewer than the same window moved, so only those
        // need to be counted.
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

    /// How much of `rate` (calls per second) was used from the first `getbymobile` call to the
    /// last: 1.0 is all of it.
    /// 0.0 for fewer than two calls, infinite where they all came at one moment.
    #[must_use]
    pub fn rate_utilization(&self, rate: f64) -> f64 {
        let (Some(first), Some(last)) = (self.calls.first(), self.calls.last()) else { return 0.0 };
        let gaps = u32::try_from(self.calls.len() - 1).unwrap_or(u32::MAX);
        if gaps == 0 {
            return 0.0;
        }
        f64::from(gaps) / (last.at - first.at).as_secs_f64() / rate
    }

    /// Adds a `getbymobile` call. A moment before that of the call recorded last is set to that
    /// one's, for two bodies can come to an end in another order than their heads, and every count
    /// here rests on the order.
    pub fn record(&mut self, mut call: Call) {
        call.at = self.clamp_to_last(call.at);
        self.calls.push(call);
    }

    /// `moment`, or the arrival of the call recorded last if that is later.
    #[must_use]
    pub fn clamp_to_last(&self, moment: Instant) -> Instant {
        self.calls.last().map_or(moment, |last| last.at.max(moment))
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

    fn ledger_of(moments: impl IntoIterator<Item = u64>) -> CallLog {
        let start = Instant::now();
        let mut ledger = CallLog::default();
        for moment in moments {
            ledger.record(call(start + Duration::from_millis(moment), "1", "0"));
        }
        ledger
    }

    proptest! {
        #[test]
        fn windows_agree_with_a_count_of_every_window(
            mut moments in prop::collection::vec(0_u64..300, 0..60),
            window in 0_u64..120,
        ) {
            moments.sort_unstable();
            let by_hand = (0..300)
                .map(|from| moments.iter().filter(|&&at| at >= from && at < from + window).count())
                .max();
            let most = ledger_of(moments).max_in_window(Duration::from_millis(window));
            prop_assert_eq!(Some(most), by_hand);
        }

        #[test]
        fn arrival_times_are_monotonic(moments in prop::collection::vec(0_u64..300, 0..60)) {
            let ledger = ledger_of(moments);
            prop_assert!(ledger.arrivals().is_sorted());
        }
    }

    #[test]
    fn calls_are_counted_by_number_and_by_answer() {
        let now = Instant::now();
        let mut ledger = CallLog::default();
        for (number, answered) in [("1", "-1"), ("2", "0"), ("1", "0"), ("3", "drop")] {
            ledger.record(call(now, number, answered));
        }
        assert_eq!(ledger.distinct_numbers(), 3);
        assert_eq!(ledger.count_answered(0), 2);
        assert_eq!(ledger.count_answered(-1), 1);
        assert_eq!(ledger.count_answered("drop"), 1);
        assert_eq!(
            ledger.calls_for("1").map(|call| &*call.answered).collect::<Vec<_>>(),
            ["-1", "0"]
        );
        assert_eq!(
            (ledger.calls().len(), ledger.connections(), ledger.token_calls().len()),
            (4, 0, 0)
        );
    }

    #[test]
    fn the_share_counts_gaps_not_calls() {
        let ledger = ledger_of((0..21).map(|n| n * 50));
        assert!((ledger.rate_utilization(20.0) - 1.0).abs() < 1e-9);
        assert!((ledger.rate_utilization(40.0) - 0.5).abs() < 1e-9);
        assert!(ledger_of([]).rate_utilization(20.0).abs() < 1e-9);
        assert!(ledger_of([5]).rate_utilization(20.0).abs() < 1e-9);
    }
}
