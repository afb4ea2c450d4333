//! Formats a cell of a workbook as text: numbers with all digits, dates in ISO 8601 order, booleans
//! and errors as in Excel.

use std::fmt::Write as _;

use calamine::{DataRef, ExcelDateTime};

/// The first serial day without a date in Excel: the day after 9999-12-31.
const DATE_SERIAL_END: f64 = 2_958_466.0;
/// From this value on, a number in scientific format is written as it is displayed. Smaller ones
/// are not mobile numbers.
const MIN_SCIENTIFIC: f64 = 1e7;

/// Formats `value` with the number format `format` of its cell.
///
/// A number has all its digits and no exponent, with two exceptions. A format of only zeros
/// (`00000`) pads with zeros. A large number that a scientific format displays without loss
/// (`1.38E+10`) is written as displayed, because it was most likely rounded before and its zeros
/// must not pass for digits. Percentages and currencies are plain numbers. A date that Excel cannot
/// display, because it is negative or too large, is a number.
#[must_use]
pub(crate) fn format_cell(value: &DataRef<'_>, format: Option<&str>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => format_number(*number, format),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(true) => "TRUE".to_owned(),
        DataRef::Bool(false) => "FALSE".to_owned(),
        DataRef::DateTime(date) if date.is_duration() => format_duration(date.as_f64()),
        DataRef::DateTime(date) if (0.0..DATE_SERIAL_END).contains(&date.as_f64()) => {
            format_date(date)
        }
        DataRef::DateTime(date) => format_number(date.as_f64(), None),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

fn format_number(number: f64, format: Option<&str>) -> String {
    // Spreadsheets do not display negative zero.
    let number = if number == 0.0 { 0.0 } else { number };
    let format = format.unwrap_or_default();
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

/// Formats a date, a time of day if there is no date, or both.
fn format_date(date: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = date.to_ymd_hms_milli();
    let mut text = String::new();
    let dated = date.as_f64() >= 1.0;
    let timed = !dated || (hour, minute, second, milli) != (0, 0, 0, 0);
    // Writing to a string does not fail.
    if dated {
        let _ = write!(text, "{year:04}-{month:02}-{day:02}");
    }
    if timed {
        let _ = write!(text, "{}{hour:02}:{minute:02}:{second:02}", if dated { " " } else { "" });
    }
    if milli > 0 {
        let _ = write!(text, ".{milli:03}");
    }
    text
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
    use calamine::{CellErrorType, ExcelDateTimeType};

    use super::*;

    fn number(value: f64, format: &str) -> String {
        format_cell(&DataRef::Float(value), Some(format))
    }

    fn date(value: f64, is_1904: bool) -> String {
        format_cell(
            &DataRef::DateTime(ExcelDateTime::new(value, ExcelDateTimeType::DateTime, is_1904)),
            None,
        )
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
        assert_eq!(format_cell(&DataRef::Float(8_613_800_138_000.0), None), "8613800138000");
        assert_eq!(format_cell(&DataRef::Int(-7), None), "-7");
        for (value, expected) in [
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
        let hours = |value| {
            format_cell(
                &DataRef::DateTime(ExcelDateTime::new(value, ExcelDateTimeType::TimeDelta, false)),
                None,
            )
        };
        assert_eq!(
            (hours(1.5).as_str(), hours(-0.25).as_str(), hours(0.0).as_str()),
            ("36:00:00", "-6:00:00", "0:00:00")
        );
        assert_eq!(
            format_cell(&DataRef::DateTimeIso("2025-10-13T08:30:00".to_owned()), None),
            "2025-10-13T08:30:00"
        );
    }

    #[test]
    fn other_cells_read_as_excel_displays_them() {
        assert_eq!(format_cell(&DataRef::Bool(true), None), "TRUE");
        assert_eq!(format_cell(&DataRef::Bool(false), None), "FALSE");
        assert_eq!(format_cell(&DataRef::Error(CellErrorType::NA), None), "#N/A");
        assert_eq!(format_cell(&DataRef::SharedString("00138"), Some("0")), "00138");
        assert_eq!(format_cell(&DataRef::String("1.38E+10".to_owned()), None), "1.38E+10");
        assert_eq!(format_cell(&DataRef::Empty, None), "");
    }
}
