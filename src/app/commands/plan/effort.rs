//! What a run would take: calls, time at the rate, and when it would end. Leaves what it would be asked to `tally` and what
//! it would know to `forecast`.

use std::time::Duration;

use jiff::Zoned;

use crate::api::rate::Rate;
use crate::app::commands::plan::count::InputCounts;
use crate::app::commands::plan::estimate::KnownNumbers;

/// What a run would take, if nothing had to be asked twice.
#[derive(Debug)]
pub(crate) struct Estimate {
    /// When it would begin.
    pub start: Zoned,
    /// The calls that it makes in any case.
    pub min: CallEstimate,
    /// Those that it makes where nobody has the first number of any row; the same where rows have one number each.
    pub max: CallEstimate,
}

/// So many calls, and their time.
#[derive(Debug)]
pub(crate) struct CallEstimate {
    /// The calls.
    pub calls: u64,
    /// How long they take at the rate; none where there is no limit.
    pub duration: Option<Duration>,
    /// When they would be made; none where there is no limit, and beyond the years that a calendar has.
    pub end: Option<Zoned>,
}

impl Estimate {
    /// Of a run that begins at `begin`.
    #[must_use]
    pub(crate) fn from_counts(
        tally: &InputCounts,
        forecast: &KnownNumbers,
        rate: Rate,
        begin: &Zoned,
    ) -> Self {
        let least = tally.distinct_first() - forecast.first;
        let most = least + tally.distinct_further() - forecast.further;
        let span = |calls| CallEstimate::from_calls(calls, rate, begin);
        Self { start: begin.clone(), min: span(least), max: span(most) }
    }
}

impl CallEstimate {
    fn from_calls(calls: u64, rate: Rate, begin: &Zoned) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
        let takes = rate.per_second().map(|rate| Duration::from_secs_f64(calls as f64 / rate));
        let end = takes.and_then(|takes| begin.checked_add(takes).ok());
        Self { calls, duration: takes, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands::resolve::start_at::format_timestamp;

    #[test]
    fn estimated_time_is_calls_divided_by_rate_at_any_rate() {
        let begin: Zoned = "2026-11-25T23:59:00+08:00[+08:00]".parse().unwrap();
        let span = CallEstimate::from_calls(1200, Rate::from_per_second(20.0), &begin);
        assert_eq!((span.calls, span.duration), (1200, Some(Duration::from_mins(1))));
        assert_eq!(format_timestamp(&span.end.unwrap()), "2026-11-26 00:00:00 +08");
        let span = CallEstimate::from_calls(10_000_000, Rate::from_per_second(0.0), &begin);
        assert!(span.duration.is_some() && span.end.is_none(), "{span:?}");
        let span = CallEstimate::from_calls(7, Rate::UNLIMITED, &begin);
        assert!(span.duration.is_none() && span.end.is_none());
        assert_eq!(
            CallEstimate::from_calls(0, Rate::from_per_second(20.0), &begin).end.unwrap(),
            begin
        );
    }
}
