//! Undoes number formats of spreadsheets (`13800138000.0`, `13,800,138,000`, `1.3800138E+10`) if no
//! digit is lost.

use std::borrow::Cow;

use crate::domain::decimal::{Scientific, is_digits};
use crate::domain::number::invalid::Invalid;

/// The maximum of E.164, including the country code.
const MAX_DIGITS: usize = 15;
/// Fewer significant digits before an exponent mean that a spreadsheet rounded the number. Programs
/// that print it in full show all digits (Java's `1.3800138E10`); no default cell format shows 8.
const MIN_SIGNIFICANT_DIGITS: usize = 8;
/// With this many digits before a decimal mark, they are a whole number and not an area code.
const MIN_INTEGER_DIGITS: usize = 7;
/// Up to 2 decimals that are not zero are a fraction. More may be the second half of a number
/// (`138001.38000`).
const MAX_DECIMALS: usize = 2;

/// Returns the plain number; any other text is returned unchanged.
///
/// # Errors
/// [`Invalid::Rounded`] if digits are lost, [`Invalid::Fraction`] for a fraction, and
/// [`Invalid::NotANumber`] for an `e` that is not an exponent.
pub(crate) fn undo_number_format(text: &str) -> Result<Cow<'_, str>, Invalid> {
    if text.contains(['e', 'E']) {
        let number = Scientific::parse(text).filter(|number| number.exponent_sign != Some('-'));
        return expand_scientific(text, number.ok_or(Invalid::NotANumber)?);
    }
    let (sign, unsigned) = text.split_at(usize::from(text.starts_with('+')));
    if let Some(whole) = strip_grouping(unsigned) {
        return Ok(format!("{sign}{whole}").into());
    }
    match unsigned.split_once(['.', ',']) {
        Some((whole, decimals))
            if whole.len() >= MIN_INTEGER_DIGITS
                && is_digits(whole)
                && (decimals.is_empty() || is_digits(decimals)) =>
        {
            if decimals.bytes().all(|digit| digit == b'0') {
                Ok(text.split_at(sign.len() + whole.len()).0.into())
            } else if decimals.len() <= MAX_DECIMALS {
                Err(Invalid::Fraction)
            } else {
                Ok(text.into())
            }
        }
        _ => Ok(text.into()),
    }
}

/// Multiplies the mantissa by its power of ten.
fn expand_scientific<'a>(text: &str, number: Scientific<'_>) -> Result<Cow<'a, str>, Invalid> {
    let Scientific { units, decimals, exponent, .. } = number;
    let power = exponent.parse().unwrap_or(usize::MAX);
    let significant = (units.len() + decimals.len()) - count_leading_zeros(units, decimals);
    // Zeros after the decimal mark of the expanded number are dropped.
    let decimals = match decimals.split_at_checked(power) {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return Err(Invalid::Fraction),
        None => decimals,
    };
    if significant < MIN_SIGNIFICANT_DIGITS || power >= MAX_DIGITS {
        return Err(Invalid::Rounded(text.to_owned()));
    }
    let whole = format!("{units}{decimals:0<power$}");
    Ok(whole.trim_start_matches('0').to_owned().into())
}

/// Leading zeros are not significant: `0.138E+11` has 3 significant digits.
fn count_leading_zeros(units: &str, decimals: &str) -> usize {
    units.bytes().chain(decimals.bytes()).take_while(|digit| *digit == b'0').count()
}

/// Removes the commas of the format `#,##0`, and decimals if they are zero.
fn strip_grouping(text: &str) -> Option<String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next().filter(|first| first.len() <= 3 && is_digits(first))?;
    let groups: Vec<_> = groups.collect();
    let is_group = |group: &&str| group.len() == 3 && is_digits(group);
    // A single comma may separate a list or be a decimal mark.
    let is_grouped = groups.len() > 1
        && groups.iter().all(is_group)
        && decimals.bytes().all(|digit| digit == b'0');
    is_grouped.then(|| first.to_owned() + &groups.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreadsheet_notation_is_undone_when_all_digits_remain() {
        for text in [
            "13800138000",
            "13800138000.",
            "13800138000.0",
            "13800138000.00",
            "13800138000.000000",
            "13800138000,0",
            "13,800,138,000",
            "13,800,138,000.00",
            "1.3800138E10",
            "1.3800138E+10",
            "1.3800138e+10",
            "1,3800138E+10",
            "1.3800138000E+10",
            "1.38001380000000E+10",
            "13.800138E+9",
            "13800138E3",
            "0.13800138E11",
            "1.3800138E010",
        ] {
            assert_eq!(undo_number_format(text).as_deref(), Ok("13800138000"), "{text}");
        }
        assert_eq!(undo_number_format("+85251234567.0").as_deref(), Ok("+85251234567"));
        assert_eq!(undo_number_format("1.23456789012345E14").as_deref(), Ok("123456789012345"));
    }

    #[test]
    fn spreadsheet_notation_is_rejected_when_digits_are_lost() {
        for text in [
            "1.38E+10",
            "1.38001E+10",
            "1.380013E10",
            "1E10",
            "1.3800138E+15",
            "1.38e99",
            "0.1380013E11",
        ] {
            assert_eq!(undo_number_format(text), Err(Invalid::Rounded(text.to_owned())), "{text}");
        }
        let text = format!("1.38E{}", "9".repeat(40));
        assert_eq!(undo_number_format(&text), Err(Invalid::Rounded(text.clone())));
        for text in ["1.38001380005E+10", "13800138000.5", "13800138000,25", "1380013.80"] {
            assert_eq!(undo_number_format(text), Err(Invalid::Fraction), "{text}");
        }
        for text in ["e", "E10", "1.38E", ".5e10", "1.2.3e4", "1.38E-10", "one", "1e2e3"] {
            assert_eq!(undo_number_format(text), Err(Invalid::NotANumber), "{text}");
        }
    }

    #[test]
    fn separators_between_digits_are_not_a_decimal_point() {
        for text in [
            "138.0013.8000",
            "138001.38000",
            "010.62345678",
            "1380013.8000",
            "13,800",
            "1,38,001",
            "+852",
            "",
        ] {
            assert_eq!(undo_number_format(text).as_deref(), Ok(text));
        }
    }
}
