//! What a run would take: calls, time at the rate, and when it would end. Leaves what it would be asked to `tally` and what
//! it would know to `forecast`.

use std::time::Duration;

use jiff::Zoned;

use crate::api::rate::Rate;
use crate::app::commands::plan::count::Tally;
use crate::app::commands::plan::estimate::Forecast;

/// What a run would take, if nothing had to be asked twice.
#[derive(Debug)]
pub(crate) struct Effort {
    /// When it would begin.
    pub begin: Zoned,
    /// The calls that it makes in any case.
    pub least: Span,
    /// Those that it makes where nobody has the first number of any row; the same where rows have one number each.
    pub most: Span,
}

/// So many calls, and their time.
#[derive(Debug)]
pub(crate) struct Span {
    /// The calls.
    pub calls: u64,
    /// How long they take at the rate; none where there is no limit.
    pub takes: Option<Duration>,
    /// When they would be made; none where there is no limit, and beyond the years that a calendar has.
    pub end: Option<Zoned>,
}

impl Effort {
    /// Of a run that begins at `begin`.
    #[must_use]
    pub(crate) fn of(tally: &Tally, forecast: &Forecast, rate: Rate, begin: &Zoned) -> Self {
        let least = tally.distinct() - forecast.known;
        let most = least + tally.behind() - forecast.behind;
        let span = |calls| Span::of(calls, rate, begin);
        Self { begin: begin.clone(), least: span(least), most: span(most) }
    }
}

impl Span {
    fn of(calls: u64, rate: Rate, begin: &Zoned) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
        let takes = rate.per_second().map(|rate| Duration::from_secs_f64(calls as f64 / rate));
        let end = takes.and_then(|takes| begin.checked_add(takes).ok());
        Self { calls, takes, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands::resolve::start_at::clock;

    #[test]
    fn time_is_calls_by_the_rate_and_no_rate_is_too_slow() {
        let begin: Zoned = "2026-11-25T23:59:00+08:00[+08:00]".parse().unwrap();
        let span = Span::of(1200, Rate::of(20.0), &begin);
        assert_eq!((span.calls, span.takes), (1200, Some(Duration::from_mins(1))));
        assert_eq!(clock(&span.end.unwrap()), "2026-11-26 00:00:00 +08");
        let span = Span::of(10_000_000, Rate::of(0.0), &begin);
        assert!(span.takes.is_some() && span.end.is_none(), "{span:?}");
        let span = Span::of(7, Rate::UNLIMITED, &begin);
        assert!(span.takes.is_none() && span.end.is_none());
        assert_eq!(Span::of(0, Rate::of(20.0), &begin).end.unwrap(), begin);
    }
}
