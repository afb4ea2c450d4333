//! Parses whole numbers whose errors name the bounds, which those of std do not.

use std::ops::RangeInclusive;

use tr::tr;

/// The upper bound of counts of rows and calls: more than any table has.
pub(crate) const MAX_COUNT: u64 = 1_000_000_000_000_000;

/// Parses a whole number within `range`.
pub(crate) fn parse<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Result<T, String> {
    let text = text.trim();
    let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // As clap says it.
            tr!("{value} is not in {range}", value = text, range = format!("{range:?}"))
        } else {
            tr!("write a whole number from {min} to {max}", min = range.start(), max = range.end())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_bounds() {
        assert_eq!((parse("1024", 1..=1024), parse(" +7", 1..=1024)), (Ok(1024_u16), Ok(7)));
        for text in ["0", "1025", "-1", "99999999999999999999999"] {
            let error = parse::<u16>(text, 1..=1024).unwrap_err();
            assert_eq!(error, format!("{text} is not in 1..=1024"));
        }
        for text in ["1.5", "", "-", "x"] {
            let error = parse::<u16>(text, 1..=1024).unwrap_err();
            assert_eq!(error, "write a whole number from 1 to 1024", "{text}");
        }
    }
}
