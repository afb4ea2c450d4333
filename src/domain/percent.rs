//! An exact percentage: `5%`, `0.5%`, `0.05`.

use std::fmt;
use std::str::FromStr;

use tr::tr;

/// The value of 100 %: a fraction has nine decimals.
const SCALE: u64 = 1_000_000_000;

/// A percentage from 0 to 100, in units of 10⁻⁹ of the whole. It is a decimal because 0.7 % of 1000
/// is less than 7 in binary floating point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u64);

impl Percentage {
    /// Whether `part` of `all` is more than this percentage; false if `all` is 0 and `part` is 0.
    #[must_use]
    pub fn is_exceeded_by(self, part: u64, all: u64) -> bool {
        u128::from(part) * u128::from(SCALE) > u128::from(self.0) * u128::from(all)
    }
}

impl FromStr for Percentage {
    type Err = String;

    /// Accepts a number with a percent sign, or a fraction of 1 without.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid =
            || tr!("invalid percentage '{text}': write 5%, 0.5% or a fraction such as 0.05", text);
        let (number, places) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 7),
            None => (text, 9),
        };
        let (units, decimals) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() && decimals.is_empty() || !is_digits(units) || !is_digits(decimals) {
            return Err(invalid());
        }
        if decimals.len() > places {
            return Err(tr!(
                "invalid percentage '{text}': at most {places} decimals",
                text,
                places
            ));
        }
        // Only digits are left: what does not parse is too large.
        let value = format!("{units}{decimals:0<places$}").parse().unwrap_or(u64::MAX);
        if value > SCALE {
            Err(tr!("invalid percentage '{text}': at most 100%", text))
        } else {
            Ok(Self(value))
        }
    }
}

impl fmt::Display for Percentage {
    /// With a percent sign, without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = SCALE / 100;
        let text = format!("{}.{:07}", self.0 / percent, self.0 % percent);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_parsed_exactly() {
        for (text, value, displayed) in [
            ("5%", 50_000_000, "5%"),
            ("0.5%", 5_000_000, "0.5%"),
            ("0.05", 50_000_000, "5%"),
            (".7 %", 7_000_000, "0.7%"),
            ("0", 0, "0%"),
            ("1", 1_000_000_000, "100%"),
            ("100%", 1_000_000_000, "100%"),
            ("0.000000001", 1, "0.0000001%"),
        ] {
            let percentage: Percentage = text.parse().unwrap();
            let actual = (percentage.0, &*percentage.to_string());
            assert_eq!(actual, (value, displayed), "{text}");
        }
        for text in ["", "%", ".", "5", "101%", "-1%", "5%%", "a", "1e-2", "0.0000000001", "1.0.0"]
        {
            assert!(text.parse::<Percentage>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_exceeded_by_the_first_row_above_it() {
        let percentage: Percentage = "0.7%".parse().unwrap();
        assert!(!percentage.is_exceeded_by(7, 1000) && percentage.is_exceeded_by(8, 1000));
        let zero: Percentage = "0".parse().unwrap();
        assert!(!zero.is_exceeded_by(0, 0) && !zero.is_exceeded_by(0, 5));
        assert!(zero.is_exceeded_by(1, u64::MAX));
    }
}
