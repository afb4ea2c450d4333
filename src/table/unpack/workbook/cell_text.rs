//! Formats the number of a cell as text: with all digits, or with what the format adds to a phone
//! number; dates in ISO 8601 order.

use std::fmt::Write as _;

use jiff::ToSpan as _;
use jiff::civil::date;

use crate::table::unpack::workbook::number_format::{Displayed, NumberFormat, NumberKind};

/// The first serial day without a date in Excel: the day after 9999-12-31.
const DATE_SERIAL_END: f64 = 2_958_466.0;
/// From this value on, a number in scientific format is written as it is displayed. Smaller ones
/// are not mobile numbers.
const MIN_SCIENTIFIC: f64 = 1e7;
const DAY_MILLIS: f64 = 86_400_000.0;

/// Formats `number` with the number format of its cell. `is_1904` says whether dates count from
/// 1904.
///
/// A number has all its digits and no exponent, with three exceptions. A format of only zeros
/// (`00000`) pads with zeros. A large number that a scientific format displays without loss
/// (`1.38E+10`) is written as displayed, because it was most likely rounded before and its zeros
/// must not pass for digits. A `+`, digits or letters that the format adds to seven digits or more
/// are written too, because they say whose number it is. Percentages and currencies are plain
/// numbers. A date that Excel cannot display, because it is negative or too large, is a number.
#[must_use]
pub(crate) fn format_number(number: f64, format: &NumberFormat, is_1904: bool) -> String {
    match format.kind() {
        NumberKind::Duration => format_duration(number),
        NumberKind::Date if (0.0..DATE_SERIAL_END).contains(&number) => {
            format_date(number, is_1904).unwrap_or_else(|| format_digits(number, ""))
        }
        // The letters of a name that is not known pass for those of a date.
        NumberKind::Date | NumberKind::Number => match format.display_number(number) {
            Displayed::Plain => format_digits(number, format.code()),
            Displayed::Text(text) | Displayed::ChangedDigits(text) => text,
        },
    }
}

fn format_digits(number: f64, format: &str) -> String {
    // Spreadsheets do not display negative zero.
    let number = if number == 0.0 { 0.0 } else { number };
    if format.len() > 1
        && format.bytes().all(|byte| byte == b'0')
        && number >= 0.0
        && number.fract() == 0.0
    {
        return format!("{number:0>width$}", width = format.len());
    }
    if number.abs() >= MIN_SCIENTIFIC
        && let Some(decimals) = scientific_decimals(format)
    {
        let shown = format!("{number:.decimals$e}");
        if shown.parse() == Ok(number) {
            return shown.replace('e', "E+");
        }
    }
    number.to_string()
}

/// The number of decimals of a scientific format.
fn scientific_decimals(format: &str) -> Option<usize> {
    let (mantissa, _) = format.split_once("E+").or_else(|| format.split_once("E-"))?;
    let (_, decimals) = mantissa.split_once('.').unwrap_or_default();
    Some(decimals.bytes().filter(|byte| matches!(byte, b'0' | b'#')).count())
}

/// Formats a date, a time of day if there is no date, or both. `None` for a date that does not
/// exist.
fn format_date(serial: f64, is_1904: bool) -> Option<String> {
    // The range of dates keeps both exact.
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 2^38 milliseconds")]
    let all_millis = (serial * DAY_MILLIS).round() as i64;
    let (days, millis) = (all_millis.div_euclid(86_400_000), all_millis.rem_euclid(86_400_000));
    let mut text = String::new();
    // Writing to a string does not fail.
    if days > 0 {
        text.push_str(&format_day(days, is_1904)?);
    }
    if days == 0 || millis > 0 {
        let separator = if days > 0 { " " } else { "" };
        let (seconds, minutes) = (millis / 1000, millis / 60_000);
        let (hour, minute, second) = (minutes / 60, minutes % 60, seconds % 60);
        let _ = write!(text, "{separator}{hour:02}:{minute:02}:{second:02}");
    }
    if millis % 1000 > 0 {
        let _ = write!(text, ".{:03}", millis % 1000);
    }
    Some(text)
}

/// The date with this serial number. `None` if it does not exist.
fn format_day(serial: i64, is_1904: bool) -> Option<String> {
    let day_zero = match serial {
        _ if is_1904 => date(1904, 1, 1),
        // Excel has this day, and the calendar does not.
        60 => return Some("1900-02-29".to_owned()),
        ..60 => date(1899, 12, 31),
        _ => date(1899, 12, 30),
    };
    day_zero.checked_add(serial.days()).ok().map(|day| day.to_string())
}

/// Formats a duration in hours, minutes and seconds. Hours are not converted to days.
fn format_duration(days: f64) -> String {
    let seconds = (days.abs() * 86_400.0).round();
    let sign = if days < 0.0 && seconds > 0.0 { "-" } else { "" };
    let (hours, minutes) = ((seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor());
    format!("{sign}{hours}:{minutes:02}:{:02}", seconds % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64, format: &str) -> String {
        format_number(value, &NumberFormat::parse(format), false)
    }

    fn date(value: f64, is_1904: bool) -> String {
        format_number(value, &NumberFormat::parse("yyyy-mm-dd"), is_1904)
    }

    #[test]
    fn numbers_come_out_digit_for_digit_whatever_their_format() {
        for format in [
            "General",
            "0",
            "0.00",
            "#,##0",
            "@",
            "000 0000 0000",
            "0.00E+00",
            "##0.0E+0",
            "￥#,##0.00",
        ] {
            assert_eq!(number(13_800_138_000.0, format), "13800138000", "{format}");
        }
        assert_eq!(number(13_108_207_129.0, "\\+0"), "+13108207129");
        for (value, expected) in [
            (-7.0, "-7"),
            (0.1, "0.1"),
            (-12.5, "-12.5"),
            (-0.0, "0"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
        ] {
            assert_eq!(number(value, "General"), expected);
        }
    }

    #[test]
    fn a_number_that_is_no_date_keeps_what_its_format_adds() {
        let unknown = number(13_108_207_129.0, r#""+"Bendras"#);
        assert_eq!(unknown, r#"13108207129 ["+"Bendras]"#);
        assert_eq!(number(13_800_138_000.0, "yyyy\"年\"m\"月\""), "13800138000");
    }

    #[test]
    fn a_zero_format_pads_with_zeros() {
        assert_eq!(number(42.0, "00000"), "00042");
        assert_eq!(number(123_456.0, "00000"), "123456");
        assert_eq!(number(-42.0, "00000"), "-42");
        assert_eq!(number(4.5, "00000"), "4.5");
    }

    #[test]
    fn a_rounded_number_keeps_its_displayed_form() {
        assert_eq!(number(13_800_000_000.0, "0.00E+00"), "1.38E+10");
        assert_eq!(number(10_000_000_000.0, "0E+00"), "1E+10");
        assert_eq!(number(13_000_000_000.0, "0E+00"), "13000000000");
        assert_eq!(number(1200.0, "0.00E+00"), "1200");
        assert_eq!(number(13_800_000_000.0, "General"), "13800000000");
    }

    #[test]
    fn dates_are_iso_dates_with_a_time_where_they_have_one() {
        assert_eq!(date(45_943.0, false), "2025-10-13");
        assert_eq!(date(45_943.541, false), "2025-10-13 12:59:02.400");
        assert_eq!(date(45_943.5, false), "2025-10-13 12:00:00");
        assert_eq!(date(0.354_166_666_666_666_7, false), "08:30:00");
        assert_eq!(date(44_481.0, true), "2025-10-13");
        assert_eq!(date(13_800_138_000.0, false), "13800138000");
        assert_eq!(date(-1.0, false), "-1");
        for (value, is_1904, expected) in [
            (1.0, false, "1900-01-01"),
            (59.0, false, "1900-02-28"),
            (60.0, false, "1900-02-29"),
            (61.0, false, "1900-03-01"),
            (2_958_465.0, false, "9999-12-31"),
            (2_958_465.0, true, "2958465"),
            (2_958_465.999_999_999_5, false, "2958465.9999999995"),
        ] {
            assert_eq!(date(value, is_1904), expected);
        }
    }

    #[test]
    fn durations_are_hours_minutes_and_seconds() {
        let hours = |value| number(value, "[h]:mm:ss");
        assert_eq!(
            (hours(1.5).as_str(), hours(-0.25).as_str(), hours(0.0).as_str()),
            ("36:00:00", "-6:00:00", "0:00:00")
        );
    }
}
