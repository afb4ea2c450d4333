//! A rate in calls per second, as text and as a number.

use std::fmt;
use std::str::FromStr;

use tr::tr;

/// Calls per second, from 1/86400 to a million, or no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(Option<f64>);

impl Rate {
    /// No limit, for a private gateway.
    pub const UNLIMITED: Self = Self(None);
    /// The highest rate that is a limit, in calls per second.
    pub const MAX: f64 = 1_000_000.0;
    /// One call a day: slower than any use, and its interval fits every clock.
    const MIN: f64 = 1.0 / 86_400.0;

    /// Clamps to the bounds.
    #[must_use]
    pub fn from_per_second(per_second: f64) -> Self {
        Self(Some(per_second.clamp(Self::MIN, Self::MAX)))
    }

    /// `None` is no limit.
    #[must_use]
    pub fn per_second(self) -> Option<f64> {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `15`, `0.5`, `900/m`, `5/s`, `100/h` or `unlimited`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::UNLIMITED);
        }
        let invalid = || {
            tr!(
                "invalid rate '{text}'; write calls per second (20, 0.5), 900/m, 100/h or \
                 unlimited",
                text
            )
        };
        let (count, seconds) = match text.split_once('/') {
            None | Some((_, "s")) => (text.strip_suffix("/s").unwrap_or(text), 1.0),
            Some((count, "m")) => (count, 60.0),
            Some((count, "h")) => (count, 3600.0),
            Some(_) => return Err(invalid()),
        };
        let rate = count.parse::<f64>().map_err(|_| invalid())? / seconds;
        if (Self::MIN..=Self::MAX).contains(&rate) {
            return Ok(Self(Some(rate)));
        }
        Err(tr!(
            "invalid rate '{text}'; write at least one call a day and at most {max} calls per \
             second, or unlimited",
            text,
            max = Self::MAX
        ))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("unlimited"),
            Some(rate) if rate < 1.0 => write!(f, "{}", (rate * 1000.0).round() / 1000.0),
            Some(rate) => write!(f, "{}", (rate * 100.0).round() / 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_parsed_in_every_spelling() {
        for (text, per_second) in
            [("15", 15.0), ("0.5", 0.5), ("900/m", 15.0), ("20/s", 20.0), ("7200/h", 2.0)]
        {
            assert_eq!(rate(text).per_second(), Some(per_second), "{text}");
        }
        assert_eq!(rate("unlimited").per_second(), None);
        for text in ["", "0", "-1", "NaN", "inf", "20/d", "fast", "1e9", "/m", "20/s/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
