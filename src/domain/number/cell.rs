//! Parses a cell of the number column. A cell has no number, one, or several, of which one is used.

use tr::tr;

use crate::domain::number::invalid::{Invalid, ordinal};
use crate::domain::number::labels::is_none;
use crate::domain::number::mobile::{DefaultRegion, Mobile, NumberRules};
use crate::domain::number::normalize::{self, normalize_chars, split_numbers};
use crate::domain::redact;

/// Stands for a formula of which the file does not keep the value: a code point that is not a
/// character, which Unicode reserves for the internal use of programs.
pub(crate) const MISSING_VALUE: &str = "\u{FDD0}";

/// The number used of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberCell {
    pub mobile: Mobile,
    /// Its position among the cell's numbers, from 1.
    nth: usize,
    /// The number of numbers in the cell.
    count: usize,
}

impl NumberCell {
    /// Returns the first mobile number of the cell. An unreadable part ends the search, since it
    /// may be the number that was meant.
    ///
    /// # Errors
    /// Why the cell cannot be sent. Such a cell never becomes a call
    /// ([row contract](crate::guide::architecture#row-contract)).
    pub fn parse(cell: &str, rules: NumberRules) -> Result<Self, Invalid> {
        // Fast path without allocation: most cells are plain mainland numbers.
        if rules.default_region.is_mainland()
            && let Some(mobile) = Mobile::from_mainland_digits(cell.as_bytes())
        {
            return Ok(Self { mobile, nth: 1, count: 1 });
        }
        if cell == MISSING_VALUE {
            return Err(Invalid::MissingValue);
        }
        let text = normalize_chars(cell);
        if is_none(normalize::strip_wrapping(&text)) {
            return Err(Invalid::NoNumber);
        }
        let parts = split_numbers(&text)?;
        let count = parts.len();
        let mut first_error = None;
        for (nth, part) in (1..).zip(parts) {
            let reason = match normalize::normalize_number(part)
                .and_then(|normalized| Mobile::from_normalized(&normalized, rules))
            {
                Ok(mobile) => return Ok(Self { mobile, nth, count }),
                Err(Invalid::Landline) if count == 1 && is_labeled_mobile(part, rules) => {
                    return Err(Invalid::MoreThanNumbers);
                }
                Err(Invalid::NotANumber | Invalid::Fraction)
                    if count == 1
                        && normalize::split_texts(part).any(|text| is_mobile(text, rules)) =>
                {
                    return Err(Invalid::MoreThanNumbers);
                }
                Err(reason) if count == 1 => return Err(reason),
                Err(reason) => Box::new(reason),
            };
            if !reason.is_readable() {
                return Err(Invalid::Several { nth, count, reason });
            }
            first_error.get_or_insert(reason);
        }
        Err(first_error.map_or(Invalid::Empty, |reason| Invalid::Several { nth: 1, count, reason }))
    }

    /// Parses a cell whose numbers are of `country`, the text of which is `column`. A number
    /// without a country code is a national number of it.
    ///
    /// # Errors
    /// As [`NumberCell::parse`], and for a number of another country.
    pub(crate) fn parse_in_country(
        cell: &str,
        country: DefaultRegion,
        column: &str,
        rules: NumberRules,
    ) -> Result<Self, Invalid> {
        let code = country.calling_code();
        let mismatch = |own| Invalid::CountryMismatch { own, column: quote(column), code };
        let parsed = Self::parse(cell, NumberRules { default_region: country, ..rules }).map_err(
            |reason| {
                let own = find_own_country(cell, &reason).filter(|own| *own != code);
                own.map_or(reason, mismatch)
            },
        )?;
        let own = parsed.mobile.country_code();
        if own == code { Ok(parsed) } else { Err(mismatch(own)) }
    }

    /// Appends which number of the cell was used to the API's message. `None` if the cell has only
    /// one number.
    #[must_use]
    pub fn annotate_message(self, message: &str) -> Option<String> {
        let (nth, of) = (self.nth, self.count);
        let annotated = || {
            tr!("{message} ({nth} of {of} numbers in the cell)", message, nth = ordinal(nth), of)
        };
        (of > 1).then(|| annotated().trim_start().to_owned())
    }
}

/// Whether a part that is no mobile number is one without its label: `座机：138…`. Which of the two
/// is wrong, nobody knows.
fn is_labeled_mobile(part: &str, rules: NumberRules) -> bool {
    normalize::strip_label(part).is_some_and(|number| is_mobile(number, rules))
}

fn is_mobile(part: &str, rules: NumberRules) -> bool {
    normalize::normalize_number(part)
        .and_then(|normalized| Mobile::from_normalized(&normalized, rules))
        .is_ok()
}

/// The calling code with which a number begins that another country refused for `reason`:
/// `8613800138000` lacks only its plus.
fn find_own_country(cell: &str, reason: &Invalid) -> Option<u16> {
    if !reason.is_readable() || matches!(reason, Invalid::MainlandWithoutCode(_)) {
        return None;
    }
    let digits = normalize::normalize_number(&normalize_chars(cell)).ok()?.digits;
    Mobile::parse(&format!("+{digits}"), DefaultRegion::CHINA).ok().map(Mobile::country_code)
}

/// The longest text of another cell that a reason quotes.
const MAX_QUOTED_CHARS: usize = 40;

/// A cell as a reason quotes it.
#[must_use]
pub(crate) fn quote(cell: &str) -> String {
    let text = cell.trim();
    let quoted = redact::truncate(text, MAX_QUOTED_CHARS);
    if quoted.len() < text.len() { format!("{quoted}…") } else { quoted.to_owned() }
}

impl Mobile {
    /// Parses a cell by the strict rules.
    pub fn parse(cell: &str, default_region: DefaultRegion) -> Result<Self, Invalid> {
        NumberCell::parse(cell, NumberRules { default_region, strict: true })
            .map(|parsed| parsed.mobile)
    }
}

/// Whether a cell could be a mobile number, for the detection of the column. Always uses the
/// strict rules, since order numbers and the like often have the right length.
#[must_use]
pub(crate) fn looks_like_mobile(cell: &str, default_region: DefaultRegion) -> bool {
    // A column name may contain an example: `电话13800138000`.
    let is_name = cell.starts_with(char::is_alphabetic) && !cell.contains([':', '：']);
    !is_name && matches!(Mobile::parse(cell, default_region), Ok(_) | Err(Invalid::Rounded(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::number::invalid::NumberLength;
    use crate::domain::number::mobile::MainlandFormat;

    fn to_plain(cell: &str) -> Result<String, Invalid> {
        Mobile::parse(cell, DefaultRegion::CHINA)
            .map(|mobile| mobile.to_api_string(MainlandFormat::Plain))
    }

    #[test]
    fn every_spelling_of_a_mainland_number_is_parsed() {
        for cell in [
            "13800138000",
            " 13800138000\t",
            "138-0013-8000",
            "138 0013 8000",
            "+86 138-0013-8000",
            "+8613800138000",
            "008613800138000",
            "8613800138000",
            "013800138000",
            "１３８００１３８０００",
            "\u{feff}13800138000",
            "138\u{200b}00138000",
            "'13800138000",
            "=\"13800138000\"",
            "tel:+86-138-0013-8000",
            "13800138000.0",
            "1.3800138000E+10",
            "1.3800138E10",
            "(86)13800138000",
            "＋８６ 13800138000",
            "138\u{a0}0013\u{2013}8000",
            "+86 0138 0013 8000",
            "+86(0)13800138000",
            "(+86) 138 0013 8000",
            "+0086 13800138000",
            "086-13800138000",
            "0 138 0013 8000",
            "［138］00138000",
            "138.0013.8000",
            "13,800,138,000",
            "17951 13800138000",
            "138\u{2060}0013\u{202c}8000",
            "\u{202d}13800138000\u{202c}",
            "13800138000转8001",
            "+86 138 0013 8000;ext=12",
            "13800138000;",
            "手机：13800138000",
            "M: 13800138000",
            "Tel No. 13800138000",
            "Phone number: 13800138000",
            "手机号码是13800138000",
            "电话为：13800138000",
        ] {
            assert_eq!(to_plain(cell).as_deref(), Ok("13800138000"), "{cell:?}");
        }
    }

    #[test]
    fn numbers_of_other_countries_are_parsed() {
        for (cell, expected) in [
            ("+852 5123 4567", "+852-51234567"),
            ("0085251234567", "+852-51234567"),
            ("+65-8123 4567", "+65-81234567"),
            ("+1 (201) 555-0123", "+1-2015550123"),
            ("+225 01 23 45 67 89", "+225-0123456789"),
            ("-+1 201 555 0123", "+1-2015550123"),
            ("+44 (0)7911 123456", "+44-7911123456"),
            ("0044 (0) 7911-123456", "+44-7911123456"),
            ("+00852 5123 4567", "+852-51234567"),
            ("+62812345678.0", "+62-812345678"),
            ("+852 5123 4567 ext. 12", "+852-51234567"),
            ("=\"+85251234567\"", "+852-51234567"),
        ] {
            assert_eq!(to_plain(cell).as_deref(), Ok(expected), "{cell:?}");
        }
        let hong_kong = "hk".parse().unwrap();
        let local = Mobile::parse("5123 4567", hong_kong).unwrap();
        assert_eq!(local.to_api_string(MainlandFormat::Plain), "+852-51234567");
        let mainland = Mobile::parse("+8613800138000", hong_kong).unwrap();
        assert_eq!(mainland.to_api_string(MainlandFormat::Prefixed), "+86-13800138000");
    }

    #[test]
    fn mainland_numbers_with_an_exit_code_are_parsed_in_every_region() {
        for (region, cell) in [("US", "011 86 138 0013 8000"), ("JP", "010-86-13800138000")] {
            let mobile = Mobile::parse(cell, region.parse().unwrap());
            assert_eq!(
                mobile.unwrap().to_api_string(MainlandFormat::Plain),
                "13800138000",
                "{region} {cell}"
            );
        }
    }

    #[test]
    fn the_first_mobile_number_in_a_cell_is_used() {
        let parse = |cell| {
            NumberCell::parse(
                cell,
                NumberRules { default_region: DefaultRegion::CHINA, strict: true },
            )
        };
        for (cell, message) in [
            ("13800138000/13900139000", "ok (first of 2 numbers in the cell)"),
            ("13800138000 13900139000 13700137000", "ok (first of 3 numbers in the cell)"),
            ("13800138000 ::: 13900139000", "ok (first of 2 numbers in the cell)"),
            ("座机：010-62345678\n手机：13800138000", "ok (second of 2 numbers in the cell)"),
            ("010-62345678、13800138000", "ok (second of 2 numbers in the cell)"),
            (
                "10-62345678, 21-62345678, 1380013800, 13800138000",
                "ok (4th of 4 numbers in the cell)",
            ),
            ("13800138000转12 或 010-62345678", "ok (first of 2 numbers in the cell)"),
            ("13800138000.0\n13900139000.0", "ok (first of 2 numbers in the cell)"),
            ("tel:+8613800138000;ext=12345;tel:13900139000", "ok (first of 2 numbers in the cell)"),
        ] {
            let parsed = parse(cell).unwrap();
            assert_eq!(
                parsed.mobile.to_api_string(MainlandFormat::Plain),
                "13800138000",
                "{cell:?}"
            );
            assert_eq!(parsed.annotate_message("ok").as_deref(), Some(message), "{cell:?}");
        }
        let parsed = parse("13800138000;13900139000").unwrap();
        assert_eq!(
            parsed.annotate_message("").as_deref(),
            Some("(first of 2 numbers in the cell)")
        );
        assert_eq!(parse("13800138000").unwrap().annotate_message("ok"), None);
        for (cell, reason) in [
            (
                "010-62345678/62345678",
                "none of the 2 numbers in the cell was sent; the first: a landline number, not a \
                 mobile number",
            ),
            (
                "010-62345678/1.38E+10;13800138000",
                "none of the 3 numbers in the cell was sent; the second: 1.38E+10: Excel rounded \
                 this number; restore it from the source",
            ),
            (
                "13800138000(本人)/13900139000",
                "none of the 2 numbers in the cell was sent; the first: not a phone number: it has \
                 characters other than digits and + - ( ) . and spaces",
            ),
            (
                "010-62345678/13800138000.5",
                "none of the 2 numbers in the cell was sent; the second: not a phone number: it \
                 has a fraction",
            ),
        ] {
            assert_eq!(parse(cell).unwrap_err().to_string(), reason, "{cell}");
        }
    }

    #[test]
    fn a_quoted_cell_ends_before_a_number_at_its_cut() {
        assert_eq!(quote(" 国内 "), "国内");
        let text = "a".repeat(32);
        assert_eq!(quote(&format!("{text}13900139000")), format!("{text}…"));
        assert_eq!(quote(&format!("{text}12345678b")), format!("{text}12345678…"));
    }

    #[test]
    fn rejected_cells_name_the_reason() {
        for (cell, expected) in [
            ("", Invalid::Empty),
            (" \u{3000}\u{200b}", Invalid::Empty),
            ("1.38E+10", Invalid::Rounded("1.38E+10".into())),
            ("1.38001E+10", Invalid::Rounded("1.38001E+10".into())),
            ("1.38e99", Invalid::Rounded("1.38e99".into())),
            ("离职", Invalid::NotANumber),
            ("=", Invalid::NotANumber),
            (MISSING_VALUE, Invalid::MissingValue),
            ("0", Invalid::NoNumber),
            ("0.0", Invalid::NoNumber),
            ("--", Invalid::NoNumber),
            ("/", Invalid::NoNumber),
            ("'无", Invalid::NoNumber),
            ("Ｎ／Ａ", Invalid::NoNumber),
            ("00001,张三,13800138000", Invalid::MoreThanNumbers),
            ("1,13800138018", Invalid::MoreThanNumbers),
            ("13800138019,1", Invalid::MoreThanNumbers),
            ("张三，13800138000", Invalid::MoreThanNumbers),
            ("张三,1380013800", Invalid::NotANumber),
            ("13800138000.5", Invalid::Fraction),
            ("座机：010-62345678", Invalid::Landline),
            ("座机：13800138000", Invalid::MoreThanNumbers),
            ("办公电话是13800138000", Invalid::MoreThanNumbers),
            ("+52 1 55 1234 5678", Invalid::TooLong(NumberLength { country: 52, digits: 11 })),
            ("13800138000.5", Invalid::Fraction),
            ("1380013800", Invalid::TooShort(NumberLength { country: 86, digits: 10 })),
            ("138001380001234", Invalid::TooLong(NumberLength { country: 86, digits: 15 })),
            ("010-62345678", Invalid::Landline),
            ("4008001234", Invalid::ServiceNumber),
            ("+999 123456", Invalid::UnknownCountryCode),
            ("12345678901", Invalid::UnknownRange(86)),
        ] {
            assert_eq!(to_plain(cell), Err(expected), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(cell in "\\PC{0,40}|[0-9+eEx. ()'=\"/;-]{0,24}") {
            if let Ok(mobile) = Mobile::parse(&cell, DefaultRegion::CHINA) {
                let sent = mobile.to_api_string(MainlandFormat::Plain);
                prop_assert_eq!(Mobile::parse(&sent, DefaultRegion::CHINA), Ok(mobile));
                prop_assert!(!mobile.to_masked_string().contains(&sent));
            }
        }

        #[test]
        fn mainland_numbers_survive_any_separators(
            second in 3..=9u64,
            tail in 0..1_000_000_000u64,
            separator_at in 1..10usize,
        ) {
            let digits = format!("1{second}{tail:09}");
            let cell = format!("+86 {}-{}", &digits[..separator_at], &digits[separator_at..]);
            prop_assert_eq!(to_plain(&cell), Ok(digits.clone()));
            prop_assert_eq!(to_plain(&digits), Ok(digits));
        }
    }
}
