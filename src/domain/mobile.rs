//! A mobile number: from a cell to the one form that is sent, and to a masked form for everything that people read.
//! Owns what counts as a mobile number. Leaves how a number is spelt to `spelling`, finding the cell to `table` and
//! calling the API to `api`.

use std::fmt;

use crate::domain::spelling::{self, Refusal};

use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberType, Region};

/// The country code of mainland China.
const MAINLAND: u16 = 86;
/// E.164 allows fifteen digits with the country code.
const MOST_DIGITS: usize = 15;
/// One mobile number, normalised: two spellings of the same number are equal.
///
/// Packed into 64 bits, since it is the key of every map of a run: the country code, how many digits the
/// national number has (some countries' mobile numbers begin with a zero that counts), and the national number.
/// It has no `Display`: [`Mobile::sent`] gives the full number and [`Mobile::masked`] the one for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(u64);

/// How mainland numbers are sent (`API.md` 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mainland {
    /// The plain eleven digits, as organisations registered in the mainland store them.
    #[default]
    Plain,
    /// `+86-` and the eleven digits, as organisations registered elsewhere store them.
    Prefixed,
}

/// The region whose rules read a number that has no country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(Region);

impl Mobile {
    /// Reads a cell. `home` is the region of numbers without a country code.
    ///
    /// # Errors
    /// The [`Refusal`] says why the cell cannot be sent; such a cell never becomes a call (DESIGN 2.7).
    pub fn parse(cell: &str, home: Home) -> Result<Self, Refusal> {
        let bytes = cell.as_bytes();
        if home.0 == Region::CN
            && let Some(mobile) = Self::mainland(bytes)
        {
            return Ok(mobile);
        }
        let spelt = spelling::read(cell)?;
        let (text, digits) = (&*spelt.text, &*spelt.digits);
        let abroad = text.trim_start_matches(['(', ' ']).starts_with('+') || digits.starts_with("00");
        if let Some(mobile) = mainland_spelling(digits, abroad, home) {
            return Ok(mobile);
        }
        Self::by_plan(text, digits, abroad, home)
    }

    /// Eleven digits that begin with 13 to 19. Carriers open new ranges faster than tables are published, so the
    /// mainland's mobile numbers are known by this shape alone and the API has the last word on the rest.
    fn mainland(digits: &[u8]) -> Option<Self> {
        let shape = matches!(digits, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9);
        if !shape || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let national = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Some(Self::pack(MAINLAND, 11, national))
    }

    /// Every other number, by libphonenumber's tables.
    fn by_plan(text: &str, digits: &str, abroad: bool, home: Home) -> Result<Self, Refusal> {
        let number = match digits.strip_prefix("00") {
            // The international prefix differs by country (00, 011, 010 …); whoever writes 00 means +.
            Some(rest) if !text.contains('+') => PHONE_NUMBER_UTIL.parse(format!("+{rest}"), None),
            _ if abroad => PHONE_NUMBER_UTIL.parse(text, None),
            _ => PHONE_NUMBER_UTIL.parse(text, Some(home.0)),
        };
        let number = number.map_err(|error| match error {
            ParseError::InvalidCountryCode => Refusal::NoSuchCountry,
            ParseError::NotANumber(_) => Refusal::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => Refusal::TooShort(digits.len()),
            ParseError::TooLongNsn => Refusal::TooLong(digits.len()),
        })?;
        // Extensions have letters or `;ext=`, which were refused above.
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => Self::of(&number),
            PhoneNumberType::FixedLine => Err(Refusal::Landline),
            PhoneNumberType::Unknown => Err(out_of_range(&number, digits.len())),
            _ => Err(Refusal::Service),
        }
    }

    fn of(number: &PhoneNumber) -> Result<Self, Refusal> {
        let national = number.get_national_significant_number();
        let country = u16::try_from(number.country_code).map_err(|_| Refusal::NoSuchCountry)?;
        if country.to_string().len() + national.len() > MOST_DIGITS {
            return Err(Refusal::TooLong(national.len()));
        }
        let value = national.parse().map_err(|_| Refusal::NotANumber)?;
        let length = u8::try_from(national.len()).map_err(|_| Refusal::NotANumber)?;
        Ok(Self::pack(country, length, value))
    }

    /// 10 bits of country code (at most 999), 4 of length (at most 15) and 50 of number (below 10¹⁵).
    fn pack(country: u16, length: u8, national: u64) -> Self {
        Self(u64::from(country) << 54 | u64::from(length & 15) << 50 | national)
    }

    fn country(self) -> u64 {
        self.0 >> 54
    }

    fn national(self) -> String {
        let length = usize::try_from(self.0 >> 50 & 15).unwrap_or(MOST_DIGITS);
        format!("{:0length$}", self.0 & ((1 << 50) - 1))
    }

    /// The number as the API takes it: eleven digits or `+86-…` for the mainland, `+CC-NATIONAL` elsewhere.
    #[must_use]
    pub fn sent(self, mainland: Mainland) -> String {
        match mainland {
            Mainland::Plain if self.country() == u64::from(MAINLAND) => self.national(),
            _ => format!("+{}-{}", self.country(), self.national()),
        }
    }

    /// The number for people: `138****8000`, `+852-51****67`. At most five leading and four trailing digits
    /// of a long number show, and at least four are hidden (DESIGN 5).
    #[must_use]
    pub fn masked(self) -> String {
        let national = self.national();
        let tail = if national.len() > 8 { 4 } else { 2 };
        let head = national.len().saturating_sub(tail + 4).min(3);
        let hidden = format!("{}****{}", &national[..head], &national[national.len().saturating_sub(tail)..]);
        if self.country() == u64::from(MAINLAND) { hidden } else { format!("+{}-{hidden}", self.country()) }
    }
}

impl Mobile {
    /// A text of the API without this number in it, however it is spelt there: texts reach terminals and logs.
    #[must_use]
    pub fn hidden_in(self, text: &str) -> String {
        let national = self.national();
        let mut hidden = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let joined = |c: char| c.is_ascii_digit() || matches!(c, '-' | ' ' | '+');
            let end = rest[start..].find(|c| !joined(c)).map_or(rest.len(), |length| start + length);
            let run = &rest[start..end];
            let digits: String = run.chars().filter(char::is_ascii_digit).collect();
            hidden.push_str(&rest[..start]);
            hidden.push_str(if digits.contains(&national) { "****" } else { run });
            rest = &rest[end..];
        }
        hidden + rest
    }
}

impl fmt::Debug for Mobile {
    /// Masked: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mobile({})", self.masked())
    }
}

impl Home {
    /// Mainland China.
    pub const CHINA: Self = Self(Region::CN);
}

impl std::str::FromStr for Home {
    type Err = String;

    /// A two-letter region such as `CN`, in either case, for which there is a numbering plan.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("'{text}' is not a region; use two letters such as CN, HK or SG");
        let region: Region = text.to_ascii_uppercase().as_str().try_into().map_err(|_| unknown())?;
        match PHONE_NUMBER_UTIL.get_country_code_for_region(region) {
            Some(_) => Ok(Self(region)),
            None => Err(unknown()),
        }
    }
}

/// Whether a cell could be a mobile number: what the table room asks when it looks for the column.
#[must_use]
pub fn looks_like_mobile(cell: &str, home: Home) -> bool {
    matches!(Mobile::parse(cell, home), Ok(_) | Err(Refusal::Rounded(_)))
}

/// The mainland's spellings: `+86…`, `0086…`, `86…` and a trunk zero in front.
fn mainland_spelling(digits: &str, abroad: bool, home: Home) -> Option<Mobile> {
    let after_prefix = digits.strip_prefix("00").unwrap_or(digits);
    let national = match after_prefix.strip_prefix("86") {
        Some(rest) if abroad || home.0 == Region::CN => rest.strip_prefix('0').unwrap_or(rest),
        _ if abroad || home.0 != Region::CN => return None,
        _ => digits.strip_prefix('0').unwrap_or(digits),
    };
    Mobile::mainland(national.as_bytes())
}

fn out_of_range(number: &PhoneNumber, digits: usize) -> Refusal {
    let country = u16::try_from(number.country_code).unwrap_or_default();
    // Other lengths than eleven exist in the mainland's plan, for services; a person who types ten digits that
    // begin with 1 has lost one.
    let length = number.get_national_significant_number().len();
    match number.is_possible_with_reason() {
        _ if country == MAINLAND && length < 11 => Refusal::TooShort(digits),
        _ if country == MAINLAND && length > 11 => Refusal::TooLong(digits),
        Err(rlibphonenumber::ValidationError::TooShort) => Refusal::TooShort(digits),
        Err(rlibphonenumber::ValidationError::TooLong) => Refusal::TooLong(digits),
        _ => Refusal::NoSuchRange(country),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(cell: &str) -> Result<String, Refusal> {
        Mobile::parse(cell, Home::CHINA).map(|mobile| mobile.sent(Mainland::Plain))
    }

    #[test]
    fn spellings_of_one_mainland_number() {
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
        ] {
            assert_eq!(sent(cell).as_deref(), Ok("13800138000"), "{cell:?}");
        }
    }

    #[test]
    fn numbers_of_other_countries() {
        for (cell, expected) in [
            ("+852 5123 4567", "+852-51234567"),
            ("0085251234567", "+852-51234567"),
            ("+65-8123 4567", "+65-81234567"),
            ("+1 (201) 555-0123", "+1-2015550123"),
            ("+225 01 23 45 67 89", "+225-0123456789"),
        ] {
            assert_eq!(sent(cell).as_deref(), Ok(expected), "{cell:?}");
        }
        let hong_kong = "hk".parse().unwrap();
        let local = Mobile::parse("5123 4567", hong_kong).unwrap();
        assert_eq!(local.sent(Mainland::Plain), "+852-51234567");
        let mainland = Mobile::parse("+8613800138000", hong_kong).unwrap();
        assert_eq!(mainland.sent(Mainland::Prefixed), "+86-13800138000");
    }

    #[test]
    fn refusals_name_their_reason() {
        for (cell, expected) in [
            ("", Refusal::Empty),
            (" \u{3000}\u{200b}", Refusal::Empty),
            ("1.38E+10", Refusal::Rounded("1.38E+10".into())),
            ("1.38001E+10", Refusal::Rounded("1.38001E+10".into())),
            ("1.38e99", Refusal::Rounded("1.38e99".into())),
            ("n/a", Refusal::NotANumber),
            ("离职", Refusal::NotANumber),
            ("---", Refusal::NotANumber),
            ("13800138000.5", Refusal::Fraction),
            ("13800138000/13900139000", Refusal::Several),
            ("1380013800", Refusal::TooShort(10)),
            ("138001380001234", Refusal::TooLong(15)),
            ("010-62345678", Refusal::Landline),
            ("4008001234", Refusal::Service),
            ("+999 123456", Refusal::NoSuchCountry),
            ("12345678901", Refusal::NoSuchRange(86)),
        ] {
            assert_eq!(sent(cell), Err(expected), "{cell:?}");
        }
    }

    #[test]
    fn masks_hide_the_middle() {
        let mask = |cell| Mobile::parse(cell, Home::CHINA).unwrap().masked();
        assert_eq!(mask("13800138000"), "138****8000");
        assert_eq!(mask("+85251234567"), "+852-51****67");
        let abroad = Mobile::parse("+85251234567", Home::CHINA).unwrap();
        for text in ["852-51234567", "0085251234567", "+852 5123 4567", "no 51234567!"] {
            let hidden = abroad.hidden_in(text);
            assert!(hidden.contains("****") && !hidden.contains("5123"), "{hidden}");
        }
        assert_eq!(abroad.hidden_in("ip 10.0.0.1, code 60011"), "ip 10.0.0.1, code 60011");
        assert_eq!(format!("{:?}", Mobile::parse("13800138000", Home::CHINA)), "Ok(Mobile(138****8000))");
    }

    #[test]
    fn regions_are_known_or_refused() {
        assert!("CN".parse::<Home>().is_ok() && "sg".parse::<Home>().is_ok());
        for text in ["", "C", "CHN", "ZZ", "中国"] {
            assert!(text.parse::<Home>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(cell in "\\PC{0,40}|[0-9+eE. ()'=\"-]{0,24}") {
            if let Ok(mobile) = Mobile::parse(&cell, Home::CHINA) {
                let sent = mobile.sent(Mainland::Plain);
                prop_assert_eq!(Mobile::parse(&sent, Home::CHINA), Ok(mobile), "what is sent reads back as itself");
                prop_assert!(!mobile.masked().contains(&sent));
            }
        }

        #[test]
        fn mainland_numbers_survive_any_separators(second in 3..=9u64, rest in 0..1_000_000_000u64, cut in 1..10usize) {
            let digits = format!("1{second}{rest:09}");
            let typed = format!("+86 {}-{}", &digits[..cut], &digits[cut..]);
            prop_assert_eq!(sent(&typed), Ok(digits.clone()));
            prop_assert_eq!(sent(&digits), Ok(digits));
        }
    }
}
