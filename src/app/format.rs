//! Formats counts and times for people.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tr::tr;

use crate::clock;

#[must_use]
pub(crate) fn group_thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// With the date and the time zone.
#[must_use]
pub(crate) fn format_timestamp(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The local time of `seconds` since 1970: today without the date, otherwise with it.
#[must_use]
pub(crate) fn format_since(seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else {
        return tr!("an invalid time ({seconds} s since 1970)", seconds);
    };
    let time = time.to_zoned(TimeZone::system());
    let today = time.date() == clock::now_local().date();
    time.strftime(if today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_by_spaces() {
        assert_eq!(
            [0, 999, 1000, 1_000_000].map(group_thousands),
            ["0", "999", "1 000", "1 000 000"]
        );
    }

    #[test]
    fn a_time_of_today_has_no_date_and_an_impossible_one_is_not_1970() {
        assert_eq!(format_since(clock::now().as_second()).len(), 5);
        assert!(format_since(0).starts_with("19"));
        assert_eq!(format_since(i64::MAX), format!("an invalid time ({} s since 1970)", i64::MAX));
    }
}
