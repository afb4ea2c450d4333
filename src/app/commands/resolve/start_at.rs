//! `--start-at`: the time of the first call; and the warning about the minutes around the full
//! hour, when the platform is busiest ([limits](crate::guide::api#limits)).

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan, Unit, Zoned};
use tokio::time::sleep;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::format::format_timestamp;
use crate::app::progress::terminal::Terminal;
use crate::app::signals::SignalHandlers;
use crate::clock;

/// The platform is busy for this many minutes before and after the full hour.
const PEAK_MARGIN_MINUTES: i64 = 5;
/// Slower runs, in calls per second, are hardly throttled.
const PEAK_WARNING_RATE: f64 = 10.0;
/// How often the clock is checked while waiting, because timers stop while a machine is suspended.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// # Errors
/// Usage (2) for an invalid time, and for one that has passed.
pub(crate) fn parse_start_at(value: Option<&str>, now: &Zoned) -> Result<Option<Zoned>, Failure> {
    let invalid = |reason| Failure::with_message(Exit::Usage, format!("--start-at: {reason}"));
    value.map(|text| parse_time(text, now).map_err(invalid)).transpose()
}

/// Parses `14:10` (the next one, in local time), `2026-11-23 14:10`, a date and time with an offset
/// or a time zone, or `+15m`.
fn parse_time(text: &str, now: &Zoned) -> Result<Zoned, String> {
    let text = text.trim();
    let invalid = || {
        tr!(
            "invalid time '{text}': write 14:10, 2026-11-23 14:10 or +15m, or in another time zone \
             2026-11-23T14:10:00+08:00 or 2026-11-23T14:10[Asia/Shanghai]",
            text
        )
    };
    if let Some(delay) = text.strip_prefix('+') {
        let delay = humantime::parse_duration(delay).map_err(|_| invalid())?;
        return now.checked_add(delay).map_err(|_| invalid());
    }
    // `14` alone could also mean a day or a number of minutes.
    if !text.contains(':') {
        return Err(invalid());
    }
    // `Timestamp` ignores a time zone, which has to agree with the offset.
    let exact = if text.contains('[') {
        text.parse::<Zoned>()
    } else {
        text.parse::<Timestamp>().map(|time| time.to_zoned(now.time_zone().clone()))
    };
    if let Ok(time) = exact {
        return ensure_future(time.with_time_zone(now.time_zone().clone()), now);
    }
    // Parsing as local time would ignore an offset or a time zone.
    let time = text.rsplit(['T', 't', ' ']).next().unwrap_or_default();
    if !time.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.')) {
        return Err(invalid());
    }
    // Before the time alone, which would match a part of it.
    if let Ok(local) = text.parse::<DateTime>() {
        return ensure_future(local.to_zoned(now.time_zone().clone()).map_err(|_| invalid())?, now);
    }
    let time: Time = text.parse().map_err(|_| invalid())?;
    let local = |day: &Zoned| day.date().to_datetime(time).to_zoned(now.time_zone().clone());
    let today = local(now).map_err(|_| invalid())?;
    if today > *now {
        Ok(today)
    } else {
        now.tomorrow().and_then(|day| local(&day)).map_err(|_| invalid())
    }
}

fn ensure_future(time: Zoned, now: &Zoned) -> Result<Zoned, String> {
    if time > *now {
        Ok(time)
    } else {
        Err(tr!(
            "{moment} has passed: use a later time, or omit --start-at to start at once",
            moment = format_timestamp(&time)
        ))
    }
}

/// The warning if a run that starts at `now` makes calls in the busy minutes. `rows` is the count
/// of rows that may need a call, if known; each has `columns` numbers. China's full hours are those
/// of UTC.
#[must_use]
pub(crate) fn peak_hour_warning(
    now: &Zoned,
    rate: Rate,
    rows: Option<u64>,
    columns: usize,
) -> Option<String> {
    // A row needs at most one call, retries aside. With several columns the count is unknown,
    // because a number that is not found leads to the next one.
    let calls = rows.filter(|_| columns == 1);
    let rate = rate.per_second().unwrap_or(Rate::MAX);
    let hour = now.timestamp().round(Unit::Hour).ok()?;
    let margin = PEAK_MARGIN_MINUTES.minutes();
    let (busy_from, busy_until) = (hour.checked_sub(margin).ok()?, hour.checked_add(margin).ok()?);
    if rate <= PEAK_WARNING_RATE || now.timestamp() < busy_from || now.timestamp() >= busy_until {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
    let reaches_hour = calls.is_none_or(|calls| {
        let time = SignedDuration::from_secs_f64((calls as f64 / rate).min(3600.0));
        now.timestamp().checked_add(time).is_ok_and(|end| end >= hour)
    });
    let later = busy_until.to_zoned(now.time_zone().clone());
    reaches_hour.then(|| {
        tr!(
            "around the full hour the platform is busiest and may throttle every app (90002); use \
             --start-at {time} to start after that",
            time = later.strftime("%H:%M")
        )
    })
}

/// Waits until `time` and prints how long; prints it again on SIGUSR1.
///
/// # Errors
/// Interrupted, by a signal.
pub(crate) async fn wait_until(
    time: &Zoned,
    handlers: &mut SignalHandlers,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let remaining =
        || time.timestamp().duration_since(clock::now()).try_into().unwrap_or(Duration::ZERO);
    let message = || {
        tr!(
            "starting at {moment} (in {left})",
            moment = format_timestamp(time),
            left = format_whole_seconds(remaining())
        )
    };
    terminal.print(&message());
    loop {
        let remaining = remaining();
        if remaining.is_zero() {
            return Ok(());
        }
        tokio::select! {
            biased;
            signal = handlers.signals.recv() => {
                let text = tr!("interrupted before the first call");
                return Err(Failure::with_message(Exit::Interrupted(signal), text));
            }
            () = handlers.status_requests.recv() => terminal.print(&message()),
            () = sleep(remaining.min(CLOCK_CHECK_INTERVAL)) => {}
        }
    }
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
            let time = parse_time(text, &now).unwrap();
            assert_eq!(time.strftime("%Y-%m-%dT%H:%M:%S").to_string(), expected, "{text}");
        }
        for text in ["2026-11-23 14:05", "2026-11-23T06:05:29Z", "2025-01-01T00:00:00Z"] {
            assert!(parse_time(text, &now).unwrap_err().contains("has passed"), "{text}");
        }
        for text in ["", "soon", "25:00", "14", "2026-12-01", "+", "+15", "-5m", "2026-13-01 00:00"]
        {
            assert!(parse_time(text, &now).unwrap_err().contains("invalid time"), "{text}");
        }
    }

    #[test]
    fn an_offset_or_time_zone_is_applied_or_rejected_never_ignored() {
        let now = at("2026-11-23T14:05:30-05:00[-05:00]");
        // A machine may lack the time zone database.
        match parse_time("2031-11-23T14:10[Asia/Shanghai]", &now) {
            Ok(time) => assert_eq!(time.timestamp().to_string(), "2031-11-23T06:10:00Z"),
            Err(error) => assert!(error.contains("invalid time"), "{error}"),
        }
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
            assert!(parse_time(text, &now).unwrap_err().contains("invalid time"), "{text}");
        }
    }

    #[test]
    fn a_fast_run_that_starts_on_the_hour_is_warned_about() {
        let (fast, slow) = (Rate::from_per_second(20.0), Rate::from_per_second(10.0));
        let warning = |time: &str, rate, rows| {
            peak_hour_warning(&at(&format!("2026-11-23T{time}+08:00[+08:00]")), rate, rows, 1)
        };
        for time in ["14:55:00", "14:59:59", "15:00:00", "15:04:59"] {
            let text = warning(time, fast, Some(100_000)).unwrap();
            assert!(text.contains("--start-at 15:05"), "{time}: {text}");
        }
        for time in ["14:54:59", "15:05:00", "15:30:00", "14:29:59"] {
            assert_eq!(warning(time, fast, None), None, "{time}");
        }
        assert_eq!(
            (warning("15:00:00", slow, None), warning("15:00:00", Rate::UNLIMITED, None).is_some()),
            (None, true)
        );
        // Finished before the hour: 100 calls take 5 s.
        assert_eq!(warning("14:59:50", fast, Some(100)), None);
        assert!(warning("14:59:56", fast, Some(100)).is_some());
        // A second column may double the calls.
        let now = at("2026-11-23T14:59:50+08:00[+08:00]");
        assert!(peak_hour_warning(&now, fast, Some(100), 2).is_some());
        // A full hour in India is half past in China.
        let india = |time: &str| {
            peak_hour_warning(&at(&format!("2026-11-23T{time}+05:30[+05:30]")), fast, None, 1)
        };
        assert!(
            india("14:30:00").unwrap().contains("--start-at 14:35") && india("15:00:00").is_none()
        );
    }
}
