//! A mobile number: from digits to the one form that is sent, and to a masked form for everything that people read.
//! Owns what counts as a mobile number. Leaves how a number is spelt to `spelling`, cells to `entry` and calling the
//! API to `api`.

use std::fmt;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberType, Region,
    ValidationError,
};

use tr::tr;

use crate::domain::number::invalid::Invalid;
use crate::domain::number::normalize::NormalizedNumber;

/// The country code of mainland China.
pub(crate) const MAINLAND_COUNTRY_CODE: u16 = 86;
/// E.164 allows fifteen digits with the country code.
const MAX_DIGITS: usize = 15;

/// One mobile number, normalised: two spellings of the same number are equal.
///
/// Packed into 64 bits, since it is the key of every map of a run: the country code, how many digits the
/// national number has (some countries' mobile numbers begin with a zero that counts), and the national number.
/// It has no `Display`: [`Mobile::sent`] gives the full number and [`Mobile::masked`] the one for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(u64);

/// How mainland numbers are sent (`API.md` 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MainlandFormat {
    /// The plain eleven digits, as organisations registered in the mainland store them.
    #[default]
    Plain,
    /// `+86-` and the eleven digits, as organisations registered elsewhere store them.
    Prefixed,
}

/// The region whose rules read a number that has no country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRegion(Region);

/// What counts as a mobile number in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRules {
    /// The region of numbers without a country code.
    pub default_region: DefaultRegion,
    /// Whether a number of the right length must also be in a range that its country's plan gives to mobiles. What
    /// the plan gives to landlines and services is refused in any case.
    pub strict: bool,
}

impl Mobile {
    /// Eleven digits that begin with 13 to 19. Carriers open new ranges faster than tables are published, so the
    /// mainland's mobile numbers are known by this shape alone and the API has the last word on the rest.
    #[must_use]
    pub fn from_mainland_digits(digits: &[u8]) -> Option<Self> {
        let shape = matches!(digits, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9);
        if !shape || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let national = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Some(Self::pack(MAINLAND_COUNTRY_CODE, 11, national))
    }

    /// The number that is spelt.
    ///
    /// # Errors
    /// The [`Refusal`] says why it is none, or none of a mobile.
    pub fn from_normalized(spelt: &NormalizedNumber, rules: NumberRules) -> Result<Self, Invalid> {
        let (text, digits) = (&*spelt.text, &*spelt.digits);
        // A plus can only stand before the digits.
        let abroad = text.contains('+') || digits.starts_with("00");
        if let Some(mobile) = parse_mainland(digits, abroad, rules.default_region) {
            return Ok(mobile);
        }
        let number = match digits.strip_prefix("00") {
            // The international prefix differs by country (00, 011, 010 …); whoever writes 00 means +.
            Some(rest) => PHONE_NUMBER_UTIL.parse(format!("+{rest}"), None),
            None if abroad => PHONE_NUMBER_UTIL.parse(text, None),
            None => PHONE_NUMBER_UTIL.parse(text, Some(rules.default_region.0)),
        };
        let number = number.map_err(|error| match error {
            ParseError::InvalidCountryCode => Invalid::UnknownCountryCode,
            ParseError::NotANumber(_) => Invalid::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => {
                Invalid::TooShort(digits.len())
            }
            ParseError::TooLongNsn => Invalid::TooLong(digits.len()),
        })?;
        let national = number.get_national_significant_number();
        let country =
            u16::try_from(number.country_code).map_err(|_| Invalid::UnknownCountryCode)?;
        // Behind another country's prefix for calls abroad the mainland's numbers show only now.
        if country == MAINLAND_COUNTRY_CODE
            && let Some(mobile) = Self::from_mainland_digits(national.as_bytes())
        {
            return Ok(mobile);
        }
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {}
            PhoneNumberType::FixedLine => return Err(Invalid::Landline),
            PhoneNumberType::Unknown if !rules.strict && is_possible_mobile(&number, &national) => {
            }
            PhoneNumberType::Unknown => {
                return Err(diagnose_unknown_range(&number, &national, digits.len()));
            }
            _ => return Err(Invalid::ServiceNumber),
        }
        if country.to_string().len() + national.len() > MAX_DIGITS {
            return Err(Invalid::TooLong(digits.len()));
        }
        let value = national.parse().map_err(|_| Invalid::NotANumber)?;
        let length = u8::try_from(national.len()).map_err(|_| Invalid::NotANumber)?;
        Ok(Self::pack(country, length, value))
    }

    /// 10 bits of country code (at most 999), 4 of length (at most 15) and 50 of number (below 10¹⁵).
    fn pack(country: u16, length: u8, national: u64) -> Self {
        Self(u64::from(country) << 54 | u64::from(length & 15) << 50 | national)
    }

    /// The number in 64 bits, which stand for it wherever it is stored: they never change their meaning.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The number that [`Mobile::bits`] gave. Any other bits give a number that nobody has.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its country code.
    #[must_use]
    pub fn country_code(self) -> u16 {
        u16::try_from(self.0 >> 54).unwrap_or_default()
    }

    fn national_number(self) -> String {
        let length = usize::try_from(self.0 >> 50 & 15).unwrap_or(MAX_DIGITS);
        format!("{:0length$}", self.0 & ((1 << 50) - 1))
    }

    /// The number as the API takes it: eleven digits or `+86-…` for the mainland, `+CC-NATIONAL` elsewhere.
    #[must_use]
    pub fn to_api_string(self, mainland: MainlandFormat) -> String {
        match mainland {
            MainlandFormat::Plain if self.country_code() == MAINLAND_COUNTRY_CODE => {
                self.national_number()
            }
            _ => format!("+{}-{}", self.country_code(), self.national_number()),
        }
    }

    /// The number for people: `138****8000`, `+852-51****67`. At most five leading and four trailing digits
    /// of a long number show, and at least four are hidden (DESIGN 5).
    #[must_use]
    pub fn to_masked_string(self) -> String {
        let national = self.national_number();
        let tail = if national.len() > 8 { 4 } else { 2 };
        let head = national.len().saturating_sub(tail + 4).min(3);
        let hidden = format!(
            "{}****{}",
            &national[..head],
            &national[national.len().saturating_sub(tail)..]
        );
        if self.country_code() == MAINLAND_COUNTRY_CODE {
            hidden
        } else {
            format!("+{}-{hidden}", self.country_code())
        }
    }
}

impl Mobile {
    /// A text of the API without this number in it, however it is spelt there: texts reach terminals and logs.
    #[must_use]
    pub fn mask_in(self, text: &str) -> String {
        let national = self.national_number();
        let mut hidden = String::new();
        let mut rest = text;
        let digit = |c: char| match c {
            '\u{ff10}'..='\u{ff19}' => char::from_u32(u32::from(c) - 0xfee0),
            c => Some(c).filter(char::is_ascii_digit),
        };
        while let Some(start) = rest.find(|c| digit(c).is_some()) {
            // Where it is shown, a control character becomes a space.
            let joined =
                |c: char| digit(c).is_some() || matches!(c, '-' | ' ' | '+') || c.is_control();
            let end =
                rest[start..].find(|c| !joined(c)).map_or(rest.len(), |length| start + length);
            let run = &rest[start..end];
            let digits: String = run.chars().filter_map(digit).collect();
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
        write!(f, "Mobile({})", self.to_masked_string())
    }
}

impl DefaultRegion {
    /// Mainland China.
    pub const CHINA: Self = Self(Region::CN);

    /// All regions that there are, in two letters each and in their order.
    #[must_use]
    pub fn all() -> Vec<String> {
        let mut all: Vec<String> = PHONE_NUMBER_UTIL
            .get_supported_regions()
            .map(|region| Self(region).to_string())
            .collect();
        all.sort();
        all
    }

    /// Whether it is mainland China.
    #[must_use]
    pub fn is_mainland(self) -> bool {
        self.0 == Region::CN
    }
}

impl fmt::Display for DefaultRegion {
    /// Its two letters, which are also what the library calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::str::FromStr for DefaultRegion {
    type Err = String;

    /// A two-letter region such as `CN`, in either case, for which there is a numbering plan.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || tr!("'{text}' is not a region; use two letters such as CN, HK or SG", text);
        let region: Region =
            text.to_ascii_uppercase().as_str().try_into().map_err(|_| unknown())?;
        match PHONE_NUMBER_UTIL.get_country_code_for_region(region) {
            Some(_) => Ok(Self(region)),
            None => Err(unknown()),
        }
    }
}

/// The mainland's spellings: `+86…`, `0086…`, `86…` and a trunk zero in front.
fn parse_mainland(digits: &str, abroad: bool, home: DefaultRegion) -> Option<Mobile> {
    let after_prefix = digits.strip_prefix("00").unwrap_or(digits);
    let national = match after_prefix.strip_prefix("86") {
        Some(rest) if abroad || home.is_mainland() => rest.strip_prefix('0').unwrap_or(rest),
        _ if abroad || !home.is_mainland() => return None,
        _ => {
            let rest = digits.strip_prefix('0').unwrap_or(digits);
            rest.strip_prefix("86").filter(|rest| rest.len() > 10).unwrap_or(rest)
        }
    };
    Mobile::from_mainland_digits(national.as_bytes())
}

/// Whether a mobile number of the country could be so long. The mainland's begin with 1 in any case.
fn is_possible_mobile(number: &PhoneNumber, national: &str) -> bool {
    let country = number.country_code;
    let (possible, sent, region) = if country == i32::from(MAINLAND_COUNTRY_CODE) {
        (national.len() == 11 && national.starts_with('1'), national.to_owned(), Some(Region::CN))
    } else {
        (
            check_mobile_length(number) == Ok(NumberLengthType::IsPossible),
            format!("+{country}{national}"),
            None,
        )
    };
    // What the country's plan takes for a trunk or carrier prefix would come off where the number is read again.
    possible && PHONE_NUMBER_UTIL.parse(sent, region).is_ok_and(|again| again == *number)
}

/// What is wrong with a number that the country's plan does not know.
fn diagnose_unknown_range(number: &PhoneNumber, national: &str, digits: usize) -> Invalid {
    let country = u16::try_from(number.country_code).unwrap_or_default();
    match check_mobile_length(number) {
        // Other lengths than eleven exist in the mainland's plan, for services; a person who types ten digits that
        // begin with 1 has lost one.
        _ if country == MAINLAND_COUNTRY_CODE && national.len() < 11 => Invalid::TooShort(digits),
        _ if country == MAINLAND_COUNTRY_CODE && national.len() > 11 => Invalid::TooLong(digits),
        Err(ValidationError::TooShort) | Ok(NumberLengthType::IsPossibleLocalOnly) => {
            Invalid::TooShort(digits)
        }
        Err(ValidationError::TooLong) => Invalid::TooLong(digits),
        _ => Invalid::UnknownRange(country),
    }
}

fn check_mobile_length(number: &PhoneNumber) -> Result<NumberLengthType, ValidationError> {
    PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(number, PhoneNumberType::Mobile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::normalize::normalize_number;

    const RULES: NumberRules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };

    fn of(text: &str, rules: NumberRules) -> Result<String, Invalid> {
        Mobile::from_normalized(&normalize_number(text)?, rules)
            .map(|mobile| mobile.to_api_string(MainlandFormat::Plain))
    }

    #[test]
    fn masks_hide_the_middle() {
        let mask = |text| {
            Mobile::from_normalized(&normalize_number(text).unwrap(), RULES)
                .unwrap()
                .to_masked_string()
        };
        assert_eq!(mask("13800138000"), "138****8000");
        assert_eq!(mask("+85251234567"), "+852-51****67");
        let abroad =
            Mobile::from_normalized(&normalize_number("+85251234567").unwrap(), RULES).unwrap();
        for text in [
            "852-51234567",
            "0085251234567",
            "+852 5123 4567",
            "no 51234567!",
            "５１２３４５６７",
            "5123\t4567",
        ] {
            let hidden = abroad.mask_in(text);
            assert!(
                hidden.contains("****") && !hidden.contains("5123") && !hidden.contains('５'),
                "{hidden}"
            );
        }
        assert_eq!(abroad.mask_in("ip 10.0.0.1, code 60011"), "ip 10.0.0.1, code 60011");
        assert_eq!(
            format!("{:?}", Mobile::from_mainland_digits(b"13800138000")),
            "Some(Mobile(138****8000))"
        );
    }

    #[test]
    fn the_bit_encoding_of_numbers_is_stable() {
        for (text, bits) in
            [("13800138000", 0x15ac_0003_368d_6510), ("+85251234567", 0xd520_0000_030d_c707)]
        {
            let mobile = Mobile::from_normalized(&normalize_number(text).unwrap(), RULES).unwrap();
            assert_eq!(
                (mobile.to_bits(), Mobile::from_bits(bits)),
                (bits, mobile),
                "{text}: {:x}",
                mobile.to_bits()
            );
        }
    }

    #[test]
    fn unknown_regions_are_rejected() {
        assert!("CN".parse::<DefaultRegion>().is_ok() && "sg".parse::<DefaultRegion>().is_ok());
        for text in ["", "C", "CHN", "ZZ", "中国"] {
            assert!(text.parse::<DefaultRegion>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn unlikely_numbers_are_accepted_when_not_strict() {
        for (text, sent, reason) in [
            ("12345678901", "+86", Invalid::UnknownRange(86)),
            ("+852 1234 5678", "+852-12345678", Invalid::UnknownRange(852)),
            ("+65 2123 4567", "+65-21234567", Invalid::UnknownRange(65)),
        ] {
            let sent = if sent == "+86" { text } else { sent };
            assert_eq!(of(text, RULES), Err(reason), "{text}");
            assert_eq!(
                of(text, NumberRules { strict: false, ..RULES }).as_deref(),
                Ok(sent),
                "{text}"
            );
        }
        for (text, reason) in [
            ("010-62345678", Invalid::Landline),
            ("4008001234", Invalid::ServiceNumber),
            ("10086", Invalid::TooShort(5)),
            ("1380013800", Invalid::TooShort(10)),
            ("138001380001", Invalid::TooLong(12)),
            ("22345678901", Invalid::UnknownRange(86)),
            ("+86 11010005555", Invalid::UnknownRange(86)),
            ("+381 001310000", Invalid::UnknownRange(381)),
            ("+852 1234 567", Invalid::TooShort(10)),
            ("+852 1234 56789", Invalid::TooLong(12)),
            ("+999 123456", Invalid::UnknownCountryCode),
        ] {
            for strict in [true, false] {
                assert_eq!(
                    of(text, NumberRules { strict, ..RULES }),
                    Err(reason.clone()),
                    "{text} {strict}"
                );
            }
        }
    }
}
