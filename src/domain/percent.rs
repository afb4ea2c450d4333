//! A share of a whole, exact: `5%`, `0.5%`, `0.05`. What it is a share of is for others.

use std::fmt;
use std::str::FromStr;

use tr::tr;

/// How many parts a whole has: nine decimals of a fraction.
const SCALE: u64 = 1_000_000_000;

/// A share from nothing to the whole, to nine decimals. Decimal, since in binary 0.7 % of 1000 is less than 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u64);

impl Percentage {
    /// Whether `part` of `all` is more than this share. Of nothing, nothing is.
    #[must_use]
    pub fn is_exceeded_by(self, part: u64, all: u64) -> bool {
        u128::from(part) * u128::from(SCALE) > u128::from(self.0) * u128::from(all)
    }
}

impl FromStr for Percentage {
    type Err = String;

    /// A percentage with its sign, or a fraction of 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            tr!(
                "'{text}' is no share: write a percentage such as 5% or 0.5%, or a fraction such as 0.05",
                text
            )
        };
        let (number, places) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 7),
            None => (text, 9),
        };
        let (units, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() && decimals.is_empty() || !digits(units) || !digits(decimals) {
            return Err(wrong());
        }
        if decimals.len() > places {
            return Err(tr!("'{text}' has more than {places} decimals", text, places));
        }
        let parts = format!("{units}{decimals:0<places$}").parse().map_err(|_| wrong())?;
        if parts > SCALE {
            Err(tr!("{wrong}; at most 100%", wrong = wrong()))
        } else {
            Ok(Self(parts))
        }
    }
}

impl fmt::Display for Percentage {
    /// As a percentage, without zeros that say nothing.
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
        for (text, part, shown) in [
            ("5%", 50_000_000, "5%"),
            ("0.5%", 5_000_000, "0.5%"),
            ("0.05", 50_000_000, "5%"),
            (".7 %", 7_000_000, "0.7%"),
            ("0", 0, "0%"),
            ("1", 1_000_000_000, "100%"),
            ("100%", 1_000_000_000, "100%"),
            ("0.000000001", 1, "0.0000001%"),
        ] {
            let share: Percentage = text.parse().unwrap();
            assert_eq!((share.0, share.to_string().as_str()), (part, shown), "{text}");
        }
        for text in ["", "%", ".", "5", "101%", "-1%", "5%%", "a", "1e-2", "0.0000000001", "1.0.0"]
        {
            assert!(text.parse::<Percentage>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_exceeded_by_the_first_row_above_it() {
        let share: Percentage = "0.7%".parse().unwrap();
        assert!(!share.is_exceeded_by(7, 1000) && share.is_exceeded_by(8, 1000));
        let none: Percentage = "0".parse().unwrap();
        assert!(
            !none.is_exceeded_by(0, 0)
                && !none.is_exceeded_by(0, 5)
                && none.is_exceeded_by(1, u64::MAX)
        );
    }
}
