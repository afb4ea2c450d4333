//! When a run makes its first call: at once, or at a moment that the user names; and the minutes around the full hour, in
//! which the platform is busiest (`API.md` 3). Owns both, and waiting. Leaves what is called to the engine.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan, Unit, Zoned};
use tokio::time::sleep;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::SignalHandlers;

/// How long before and after the full hour the platform is busy, in minutes.
const PEAK_MARGIN_MINUTES: i64 = 5;
/// Slower runs than this, in calls a second, add little to the crowd and suffer little from it.
const PEAK_WARNING_RATE: f64 = 10.0;
/// The clock is looked at so often while waiting, since a machine that slept has lost time that timers do not know of.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// When the first call is made, where that is not at once.
///
/// # Errors
/// Usage (2) for what is no moment, and for one that has passed.
pub(crate) fn parse_start_at(named: Option<&str>, now: &Zoned) -> Result<Option<Zoned>, Failure> {
    let wrong = |what| Failure::with_message(Exit::Usage, format!("--start-at: {what}"));
    named.map(|text| parse_time(text, now).map_err(wrong)).transpose()
}

/// The moment that a user means: `14:10` (the next one, in local time), `2026-11-23 14:10`, a date and time with an offset
/// or a zone, or `+15m`.
fn parse_time(text: &str, now: &Zoned) -> Result<Zoned, String> {
    let text = text.trim();
    let wrong = || {
        tr!(
            "'{text}' is no moment; write 14:10, 2026-11-23 14:10 or +15m, or for another place than this one 2026-11-23T14:10:00+08:00 or 2026-11-23T14:10[Asia/Shanghai]",
            text
        )
    };
    if let Some(later) = text.strip_prefix('+') {
        let later = humantime::parse_duration(later).map_err(|_| wrong())?;
        return now.checked_add(later).map_err(|_| wrong());
    }
    // A bare `14` could as well be a day or minutes from now.
    if !text.contains(':') {
        return Err(wrong());
    }
    // A `Timestamp` passes over a zone, with which an offset has to agree.
    let exact = if text.contains('[') {
        text.parse::<Zoned>()
    } else {
        text.parse::<Timestamp>().map(|moment| moment.to_zoned(now.time_zone().clone()))
    };
    if let Ok(moment) = exact {
        return ensure_future(moment.with_time_zone(now.time_zone().clone()), now);
    }
    // What is parsed as local would lose an offset or a zone without a word.
    let time = text.rsplit(['T', 't', ' ']).next().unwrap_or_default();
    if !time.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.')) {
        return Err(wrong());
    }
    // Before the time alone, which would be read off it.
    if let Ok(local) = text.parse::<DateTime>() {
        return ensure_future(local.to_zoned(now.time_zone().clone()).map_err(|_| wrong())?, now);
    }
    let time: Time = text.parse().map_err(|_| wrong())?;
    let local = |day: &Zoned| day.date().to_datetime(time).to_zoned(now.time_zone().clone());
    let today = local(now).map_err(|_| wrong())?;
    if today > *now {
        Ok(today)
    } else {
        now.tomorrow().and_then(|day| local(&day)).map_err(|_| wrong())
    }
}

fn ensure_future(moment: Zoned, now: &Zoned) -> Result<Zoned, String> {
    if moment > *now {
        Ok(moment)
    } else {
        Err(tr!(
            "{moment} has passed; name a later one, or leave --start-at out to begin at once",
            moment = format_timestamp(&moment)
        ))
    }
}

/// What to say where a run that starts at `now` would call in the busy minutes; `rows` is how many the input has, where that
/// is known, each with a number in so many `columns`. China's full hours are those of UTC.
#[must_use]
pub(crate) fn peak_hour_warning(
    now: &Zoned,
    rate: Rate,
    rows: Option<u64>,
    columns: usize,
) -> Option<String> {
    // Repeats aside a row takes one call at most, and with several columns as many more as nobody can know before: a number
    // that nobody has leads on to the next one.
    let calls = rows.filter(|_| columns == 1);
    let rate = rate.per_second().unwrap_or(Rate::MAX);
    let hour = now.timestamp().round(Unit::Hour).ok()?;
    let (opens, closes) =
        (hour - PEAK_MARGIN_MINUTES.minutes(), hour + PEAK_MARGIN_MINUTES.minutes());
    if rate <= PEAK_WARNING_RATE || now.timestamp() < opens || now.timestamp() >= closes {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
    let reaches = calls.is_none_or(|calls| {
        now.timestamp() + SignedDuration::from_secs_f64((calls as f64 / rate).min(3600.0)) >= hour
    });
    let later = closes.to_zoned(now.time_zone().clone());
    reaches.then(|| {
        tr!(
            "around the full hour the platform is busiest and may throttle every app (90002); to start after it: --start-at {time}",
            time = later.strftime("%H:%M")
        )
    })
}

/// Waits until the moment, and says so, once more to whoever asks.
///
/// # Errors
/// Interrupted (130, 143) by a signal.
pub(crate) async fn wait_until(
    moment: &Zoned,
    heard: &mut SignalHandlers,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let left =
        || moment.timestamp().duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO);
    let told = || {
        tr!(
            "starting at {moment} (in {left})",
            moment = format_timestamp(moment),
            left = format_whole_seconds(left())
        )
    };
    terminal.print(&told());
    loop {
        let left = left();
        if left.is_zero() {
            return Ok(());
        }
        tokio::select! {
            biased;
            signal = heard.signals.recv() => {
                let text = tr!("interrupted before the first call");
                return Err(Failure::with_message(Exit::Interrupted(signal), text));
            }
            () = heard.status_requests.recv() => terminal.print(&told()),
            () = sleep(left.min(CLOCK_CHECK_INTERVAL)) => {}
        }
    }
}

/// A moment as people read it, with its date and zone.
#[must_use]
pub(crate) fn format_timestamp(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn start_times_are_parsed_in_every_spelling() {
        let now = at("2026-11-23T14:05:30+08:00[+08:00]");
        for (text, expected) in [
            ("14:10", "2026-11-23T14:10:00"),
            ("14:05", "2026-11-24T14:05:00"),
            ("00:00:01", "2026-11-24T00:00:01"),
            ("+15m", "2026-11-23T14:20:30"),
            ("+1h 30s", "2026-11-23T15:06:00"),
            ("2026-11-23T07:00:00Z", "2026-11-23T15:00:00"),
            ("2026-11-23T16:00:00+09:00", "2026-11-23T15:00:00"),
            (" 2026-12-01 08:00 ", "2026-12-01T08:00:00"),
            ("2026-12-01T08:00", "2026-12-01T08:00:00"),
            ("2026-12-01t08:00:30.5", "2026-12-01T08:00:30"),
            ("2026-11-23T16:00[+09:00]", "2026-11-23T15:00:00"),
            ("2026-11-23T16:00+09:00[+09:00]", "2026-11-23T15:00:00"),
            ("2026-11-23 07:00Z[UTC]", "2026-11-23T15:00:00"),
        ] {
            let moment = parse_time(text, &now).unwrap();
            assert_eq!(moment.strftime("%Y-%m-%dT%H:%M:%S").to_string(), expected, "{text}");
        }
        for text in ["2026-11-23 14:05", "2026-11-23T06:05:29Z", "2025-01-01T00:00:00Z"] {
            assert!(parse_time(text, &now).unwrap_err().contains("has passed"), "{text}");
        }
        for text in ["", "soon", "25:00", "14", "2026-12-01", "+", "+15", "-5m", "2026-13-01 00:00"]
        {
            assert!(parse_time(text, &now).unwrap_err().contains("no moment"), "{text}");
        }
    }

    #[test]
    fn an_offset_or_time_zone_is_applied_or_rejected_never_ignored() {
        let now = at("2026-11-23T14:05:30-05:00[-05:00]");
        // What a zone's name means is told by the system's tables, which a machine may lack.
        let told = parse_time("2031-11-23T14:10[Asia/Shanghai]", &now);
        let right = told
            .as_ref()
            .is_ok_and(|moment| moment.timestamp().to_string() == "2031-11-23T06:10:00Z");
        assert!(right || told.as_ref().is_err_and(|what| what.contains("no moment")), "{told:?}");
        for text in [
            "23:59+08:00",
            "23:59-05",
            "23:59 +08:00",
            "23-05:00",
            "23+08:00",
            "23:59Z",
            "23:59z",
            "23:59[Asia/Shanghai]",
            "23:59 Asia/Shanghai",
            "2031-11-23T14:10[Nowhere/Else]",
            "2031-11-23T14:10+08:00[+09:00]",
            "2031-11-23 14:10 Asia/Shanghai",
            "2031-11-23 14:10 CST",
            "2031-11-23T14:10+0x:00",
            "2031-11-23T14:10[u-ca=gregory]",
        ] {
            assert!(parse_time(text, &now).is_err_and(|what| what.contains("no moment")), "{text}");
        }
    }

    #[test]
    fn a_fast_run_that_starts_on_the_hour_is_warned_about() {
        let (brisk, slow) = (Rate::from_per_second(20.0), Rate::from_per_second(10.0));
        let told = |time: &str, rate, rows| {
            peak_hour_warning(&at(&format!("2026-11-23T{time}+08:00[+08:00]")), rate, rows, 1)
        };
        for time in ["14:55:00", "14:59:59", "15:00:00", "15:04:59"] {
            let told = told(time, brisk, Some(100_000)).unwrap();
            assert!(told.contains("--start-at 15:05"), "{time}: {told}");
        }
        for time in ["14:54:59", "15:05:00", "15:30:00", "14:29:59"] {
            assert_eq!(told(time, brisk, None), None, "{time}");
        }
        assert_eq!(
            (told("15:00:00", slow, None), told("15:00:00", Rate::UNLIMITED, None).is_some()),
            (None, true)
        );
        // Over before the hour: 100 calls take five seconds.
        assert_eq!(told("14:59:50", brisk, Some(100)), None);
        assert!(told("14:59:56", brisk, Some(100)).is_some());
        // A second column may double them, so nobody knows when it is over.
        let now = at("2026-11-23T14:59:50+08:00[+08:00]");
        assert!(peak_hour_warning(&now, brisk, Some(100), 2).is_some());
        // India's full hours are half past China's.
        let india = |time: &str| {
            peak_hour_warning(&at(&format!("2026-11-23T{time}+05:30[+05:30]")), brisk, None, 1)
        };
        assert!(
            india("14:30:00").unwrap().contains("--start-at 14:35") && india("15:00:00").is_none()
        );
    }
}
