//! The wall clock. jiff's own `now` panics in the last day of the year 9999, where machines without
//! a battery for their clock can be; this one stops there.

use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

#[must_use]
pub(crate) fn now() -> Timestamp {
    from_system(SystemTime::now())
}

/// In the system's time zone.
#[must_use]
pub(crate) fn now_local() -> Zoned {
    now().to_zoned(TimeZone::system())
}

fn from_system(time: SystemTime) -> Timestamp {
    let is_past = time < SystemTime::UNIX_EPOCH;
    Timestamp::try_from(time).unwrap_or(if is_past { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_stops_at_the_ends_of_the_calendar() {
        let moment = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let new_year = 253_402_300_800;
        for seconds in [new_year - 86_400, new_year - 1, new_year, 10 * new_year] {
            let local =
                from_system(moment(seconds)).to_zoned(TimeZone::fixed(jiff::tz::offset(14)));
            assert!(
                local.date().year() == 9999 && local.date().month() == 12,
                "{seconds}: {local}"
            );
        }
        assert_eq!(from_system(moment(7)), Timestamp::from_second(7).unwrap());
        let past = SystemTime::UNIX_EPOCH - Duration::from_secs(10 * new_year);
        assert_eq!(from_system(past), Timestamp::MIN);
    }
}
