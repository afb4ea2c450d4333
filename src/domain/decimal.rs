//! Texts of decimal digits, and scientific notation (`1.38E+10`), in which spreadsheets write long
//! numbers.

/// False for an empty text.
#[must_use]
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number in scientific notation. All of its texts are digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scientific<'a> {
    /// The digits before the decimal mark.
    pub units: &'a str,
    /// The digits after it; may be empty.
    pub decimals: &'a str,
    pub exponent: &'a str,
    /// The sign of the exponent, if it is written.
    pub exponent_sign: Option<char>,
}

impl<'a> Scientific<'a> {
    /// `None` for any other text. Point and comma are decimal marks, because it depends on the
    /// language of the spreadsheet which one it writes.
    #[must_use]
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E'])?;
        let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
        let (units, decimals) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
        let unsigned = exponent.strip_prefix(['+', '-']);
        let exponent_sign = unsigned.and_then(|_| exponent.chars().next());
        let exponent = unsigned.unwrap_or(exponent);
        let is_valid =
            is_digits(units) && is_digits(exponent) && (decimals.is_empty() || is_digits(decimals));
        is_valid.then_some(Self { units, decimals, exponent, exponent_sign })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_scientific_notation_is_recognized() {
        for (text, units, decimals, exponent, exponent_sign) in [
            ("4.68626E+15", "4", "68626", "15", Some('+')),
            ("4,68626e+15", "4", "68626", "15", Some('+')),
            ("4.68626E15", "4", "68626", "15", None),
            ("12.5E+15", "12", "5", "15", Some('+')),
            ("4.E+15", "4", "", "15", Some('+')),
            ("1e5", "1", "", "5", None),
            ("+1E05", "1", "", "05", None),
            ("1.5E-3", "1", "5", "3", Some('-')),
        ] {
            let expected = Scientific { units, decimals, exponent, exponent_sign };
            assert_eq!(Scientific::parse(text), Some(expected), "{text}");
        }
        for text in ["", "e", "E+15", "1E", "1E+", "1E++5", ".5E+15", "-1E5", "1.2.3E4", "1e2e3"] {
            assert_eq!(Scientific::parse(text), None, "{text}");
        }
        for text in ["manager7721", "4.68626E+15x", "1152663019775521", "4.6E+1.5", "１E5"] {
            assert_eq!(Scientific::parse(text), None, "{text}");
        }
        assert!(is_digits("007") && !is_digits("") && !is_digits("+7") && !is_digits("٧"));
    }
}
