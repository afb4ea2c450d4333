//! A mobile number, with the form that is sent and the masked form for people.

use std::fmt;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberType, Region,
    ValidationError,
};

use tr::tr;

use crate::domain::number::invalid::{Invalid, MAINLAND_COUNTRY_CODE, NumberLength};
use crate::domain::number::normalize::NormalizedNumber;
use crate::domain::redact;

/// The maximum of E.164, including the country code.
const MAX_DIGITS: usize = 15;

/// A normalized mobile number.
///
/// It is packed into 64 bits, since it is the key of every map of a run: country code, length of
/// the national number (in some countries mobile numbers begin with a significant zero) and the
/// national number. It has no `Display`: [`Mobile::to_api_string`] gives the full number and
/// [`Mobile::to_masked_string`] the one for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(u64);

/// How mainland numbers are sent ([request](crate::guide::api#request)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MainlandFormat {
    /// 11 digits, as organizations registered in the mainland store them.
    #[default]
    Plain,
    /// `+86-` and 11 digits, as organizations registered elsewhere store them.
    Prefixed,
}

/// The region of numbers without a country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRegion(Region);

/// The rules by which a run accepts a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRules {
    pub default_region: DefaultRegion,
    /// Whether the number must be in a mobile range of its country's numbering plan. Otherwise a
    /// possible length is enough. Ranges of landlines and services are rejected in both cases.
    pub strict: bool,
}

impl Mobile {
    /// Accepts 11 digits that begin with 13 to 19. Carriers open new ranges faster than numbering
    /// plans are published, so the shape alone decides, and the API rejects what does not exist.
    #[must_use]
    pub fn from_mainland_digits(digits: &[u8]) -> Option<Self> {
        let shape = matches!(digits, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9);
        if !shape || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let national = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Some(Self::pack(MAINLAND_COUNTRY_CODE, 11, national))
    }

    /// Validates a number by the rules of its country.
    pub fn from_normalized(number: &NormalizedNumber, rules: NumberRules) -> Result<Self, Invalid> {
        Self::parse_as_written(number, rules)
            .or_else(|reason| Self::parse_with_plus(number, rules).ok_or(reason))
    }

    /// A number that is a mobile number only if its first digits are the country code of the region
    /// (`49151…`).
    fn parse_with_plus(number: &NormalizedNumber, rules: NumberRules) -> Option<Self> {
        let NormalizedNumber { text, digits } = number;
        let region = rules.default_region;
        let is_missing = !region.is_mainland()
            && !text.contains('+')
            && digits.starts_with(&region.calling_code().to_string());
        let with_plus = NormalizedNumber { text: format!("+{digits}"), digits: digits.clone() };
        let rules = NumberRules { strict: true, ..rules };
        is_missing.then(|| Self::parse_as_written(&with_plus, rules).ok()).flatten()
    }

    fn parse_as_written(number: &NormalizedNumber, rules: NumberRules) -> Result<Self, Invalid> {
        let (text, digits) = (&*number.text, &*number.digits);
        let international = text.contains('+') || digits.starts_with("00");
        if let Some(mobile) = parse_mainland(digits, international, rules.default_region) {
            let is_american = || {
                let with_plus = format!("+{digits}");
                let number = PHONE_NUMBER_UTIL.parse(&with_plus, None);
                let rules = NumberRules { strict: true, ..rules };
                number.is_ok_and(|number| Self::from_phone_number(&number, digits, rules).is_ok())
            };
            return if !international && has_north_american_form(text) && is_american() {
                Err(Invalid::NorthAmericanForm)
            } else {
                Ok(mobile)
            };
        }
        let number = match digits.strip_prefix("00") {
            // The international prefix differs by country (00, 011 …), but in lists 00 means +.
            Some(after_prefix) => PHONE_NUMBER_UTIL.parse(format!("+{after_prefix}"), None),
            None if international => PHONE_NUMBER_UTIL.parse(text, None),
            None => PHONE_NUMBER_UTIL.parse(text, Some(rules.default_region.0)),
        };
        let length = || length_of(digits, international, rules.default_region);
        let number = number.map_err(|error| match error {
            ParseError::InvalidCountryCode => Invalid::UnknownCountryCode,
            // The library reads no number of one digit.
            ParseError::NotANumber(_) if digits.len() == 1 => Invalid::TooShort(length()),
            ParseError::NotANumber(_) => Invalid::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => Invalid::TooShort(length()),
            ParseError::TooLongNsn => Invalid::TooLong(length()),
        })?;
        let is_mainland_shaped =
            !international && Self::from_mainland_digits(digits.as_bytes()).is_some();
        Self::from_phone_number(&number, digits, rules).map_err(|reason| match reason {
            Invalid::UnknownRange(country) | Invalid::TooLong(NumberLength { country, .. })
                if is_mainland_shaped =>
            {
                Invalid::MainlandWithoutCode(country)
            }
            reason => reason,
        })
    }

    /// `digits` are those of the cell.
    fn from_phone_number(
        number: &PhoneNumber,
        digits: &str,
        rules: NumberRules,
    ) -> Result<Self, Invalid> {
        let national = number.get_national_significant_number();
        let country =
            u16::try_from(number.country_code).map_err(|_| Invalid::UnknownCountryCode)?;
        // A mainland number after the international prefix of another country.
        if country == MAINLAND_COUNTRY_CODE
            && let Some(mobile) = Self::from_mainland_digits(national.as_bytes())
        {
            return Ok(mobile);
        }
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {}
            PhoneNumberType::FixedLine => return Err(Invalid::Landline),
            PhoneNumberType::Unknown if !rules.strict && is_possible_mobile(number, &national) => {}
            PhoneNumberType::Unknown => {
                let digits = if country == MAINLAND_COUNTRY_CODE { digits } else { &national };
                let length = NumberLength { country, digits: digits.len() };
                return Err(diagnose_unknown_range(number, &national, length));
            }
            _ => return Err(Invalid::ServiceNumber),
        }
        if country.to_string().len() + national.len() > MAX_DIGITS {
            return Err(Invalid::TooLong(NumberLength { country, digits: national.len() }));
        }
        let value = national.parse().map_err(|_| Invalid::NotANumber)?;
        let length = u8::try_from(national.len()).map_err(|_| Invalid::NotANumber)?;
        Ok(Self::pack(country, length, value))
    }

    /// 10 bits of country code (≤ 999), 4 bits of length (≤ 15), 50 bits of number (< 10¹⁵).
    fn pack(country: u16, length: u8, national: u64) -> Self {
        Self(u64::from(country) << 54 | u64::from(length & 15) << 50 | national)
    }

    /// The encoding of stored numbers; it must never change.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Mobile::to_bits`]. Any other bits give a number that does not exist.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[must_use]
    pub fn country_code(self) -> u16 {
        let [.., high, low] = (self.0 >> 54).to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// All digits without the country code.
    #[must_use]
    pub(crate) fn national_number(self) -> String {
        let [.., length] = (self.0 >> 50 & 15).to_be_bytes();
        let length = usize::from(length);
        format!("{:0length$}", self.0 & ((1 << 50) - 1))
    }

    /// The form that the API accepts: 11 digits or `+86-…` for the mainland, otherwise
    /// `+CC-NATIONAL`.
    #[must_use]
    pub fn to_api_string(self, mainland: MainlandFormat) -> String {
        match mainland {
            MainlandFormat::Plain if self.country_code() == MAINLAND_COUNTRY_CODE => {
                self.national_number()
            }
            _ => format!("+{}-{}", self.country_code(), self.national_number()),
        }
    }

    /// The form for people: `138****8000`, `+852-51****67`. At most 3 leading and 4 trailing digits
    /// of the national number are visible; at least 4 are masked
    /// ([secrets and personal data](crate::guide::architecture#secrets-and-personal-data)).
    #[must_use]
    pub fn to_masked_string(self) -> String {
        let national = self.national_number();
        let tail = if national.len() > 8 { 4 } else { 2 };
        let head = national.len().saturating_sub(tail + 4).min(3);
        let masked = format!(
            "{}****{}",
            &national[..head],
            &national[national.len().saturating_sub(tail)..]
        );
        if self.country_code() == MAINLAND_COUNTRY_CODE {
            masked
        } else {
            format!("+{}-{masked}", self.country_code())
        }
    }
}

impl Mobile {
    /// Masks this number in a text of the API, in any format. Such texts reach terminals and logs.
    #[must_use]
    pub fn mask_in(self, text: &str) -> String {
        redact::mask_known_number(text, &self.national_number())
    }
}

impl fmt::Debug for Mobile {
    /// Masked, since debug output reaches logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mobile({})", self.to_masked_string())
    }
}

impl DefaultRegion {
    /// Mainland China.
    pub const CHINA: Self = Self(Region::CN);

    /// The two-letter codes of all supported regions, sorted.
    #[must_use]
    pub fn all() -> Vec<String> {
        let mut all: Vec<String> = PHONE_NUMBER_UTIL
            .get_supported_regions()
            .map(|region| Self(region).to_string())
            .collect();
        all.sort();
        all
    }

    #[must_use]
    pub fn is_mainland(self) -> bool {
        self.0 == Region::CN
    }

    /// The main region of a calling code: the United States for 1.
    #[must_use]
    pub(crate) fn from_calling_code(code: u16) -> Option<Self> {
        let region = PHONE_NUMBER_UTIL.get_region_for_country_code(code.into())?;
        // Satellite and other networks without a region have calling codes, too.
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }

    /// The region of the numbers that begin with `prefix` after a calling code. `None` for the main
    /// region of the code, which needs no such digits.
    #[must_use]
    pub(crate) fn from_number_prefix(code: u16, prefix: &str) -> Option<Self> {
        // Only the first digits decide; with the others, the number has a possible length.
        let number = format!("+{code}{prefix:5<9}0");
        let region = PHONE_NUMBER_UTIL.parse(number, None).ok()?.get_region_code()?;
        let main = Self::from_calling_code(code)?;
        Some(Self(region)).filter(|region| *region != main)
    }

    #[must_use]
    pub(crate) fn calling_code(self) -> u16 {
        let code = PHONE_NUMBER_UTIL.get_country_code_for_region(self.0);
        code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default()
    }
}

impl fmt::Display for DefaultRegion {
    /// The two-letter code; the library's variants have that name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::str::FromStr for DefaultRegion {
    type Err = String;

    /// Accepts the two letters of a region with a numbering plan, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || tr!("invalid region '{text}': use two letters such as CN, HK or SG", text);
        let region: Region =
            text.to_ascii_uppercase().as_str().try_into().map_err(|_| unknown())?;
        // Without the library's tables: loading them takes longer than the rest of a start, and
        // the usual list has only mainland numbers.
        if region == Self::CHINA.0 {
            return Ok(Self::CHINA);
        }
        match PHONE_NUMBER_UTIL.get_country_code_for_region(region) {
            Some(_) => Ok(Self(region)),
            None => Err(unknown()),
        }
    }
}

/// Whether a number is grouped like `1-310-820-7129`, `1 (310) 820-7129` or `(1)3108207129`.
/// Mainland numbers are written in groups of 3, 4 and 4 digits.
fn has_north_american_form(text: &str) -> bool {
    let groups = text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty());
    let lengths: Vec<_> = groups.map(str::len).collect();
    lengths == [1, 3, 3, 4] || (lengths == [1, 10] && text.trim_start().starts_with("(1)"))
}

/// Removes `+86`, `0086`, `86` or a trunk zero from a mainland number.
fn parse_mainland(digits: &str, international: bool, region: DefaultRegion) -> Option<Mobile> {
    let after_prefix = digits.strip_prefix("00").unwrap_or(digits);
    let national = match after_prefix.strip_prefix("86") {
        Some(national) if international || region.is_mainland() => {
            national.strip_prefix('0').unwrap_or(national)
        }
        _ if international || !region.is_mainland() => return None,
        _ => {
            let number = digits.strip_prefix('0').unwrap_or(digits);
            number.strip_prefix("86").filter(|national| national.len() > 10).unwrap_or(number)
        }
    };
    Mobile::from_mainland_digits(national.as_bytes())
}

/// Whether the length is possible for a mobile number of the country. A mainland number must also
/// begin with 1.
fn is_possible_mobile(number: &PhoneNumber, national: &str) -> bool {
    let country = number.country_code;
    let (possible, api_form, region) = if country == i32::from(MAINLAND_COUNTRY_CODE) {
        (national.len() == 11 && national.starts_with('1'), national.to_owned(), Some(Region::CN))
    } else {
        (
            check_mobile_length(number) == Ok(NumberLengthType::IsPossible),
            format!("+{country}{national}"),
            None,
        )
    };
    // If the number begins with a trunk or carrier prefix of the country, parsing it again would
    // give another number.
    possible && PHONE_NUMBER_UTIL.parse(api_form, region).is_ok_and(|again| again == *number)
}

/// The reason why a number is in no range of its country's numbering plan.
fn diagnose_unknown_range(number: &PhoneNumber, national: &str, length: NumberLength) -> Invalid {
    let is_mainland = length.country == MAINLAND_COUNTRY_CODE;
    match check_mobile_length(number) {
        // The mainland's plan has other lengths for services. But ten digits that begin with 1 are
        // a mobile number with a digit missing.
        _ if is_mainland && national.len() < 11 => Invalid::TooShort(length),
        _ if is_mainland && national.len() > 11 => Invalid::TooLong(length),
        Err(ValidationError::TooShort) | Ok(NumberLengthType::IsPossibleLocalOnly) => {
            Invalid::TooShort(length)
        }
        Err(ValidationError::TooLong) => Invalid::TooLong(length),
        _ => Invalid::UnknownRange(length.country),
    }
}

/// The length of a number that is too short or too long for any numbering plan.
fn length_of(digits: &str, international: bool, region: DefaultRegion) -> NumberLength {
    let after_prefix = digits.strip_prefix("00").unwrap_or(digits);
    let own = |len| {
        let (code, national) = after_prefix.split_at_checked(len)?;
        DefaultRegion::from_calling_code(code.parse().ok()?).map(|own| (own, national))
    };
    // No calling code is the beginning of another one.
    let (region, national) =
        (1..=3).find_map(own).filter(|_| international).unwrap_or((region, digits));
    let digits = if region.is_mainland() { digits } else { national };
    NumberLength { country: region.calling_code(), digits: digits.len() }
}

fn check_mobile_length(number: &PhoneNumber) -> Result<NumberLengthType, ValidationError> {
    PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(number, PhoneNumberType::Mobile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::normalize::normalize_number;

    const RULES: NumberRules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };

    fn too_short(country: u16, digits: usize) -> Invalid {
        Invalid::TooShort(NumberLength { country, digits })
    }

    fn too_long(country: u16, digits: usize) -> Invalid {
        Invalid::TooLong(NumberLength { country, digits })
    }

    #[test]
    fn the_length_is_judged_by_the_country_of_the_number() {
        for (text, reason) in [
            ("+52 1 55 1234 5678", too_long(52, 11)),
            ("+852 5123 45678", too_long(852, 9)),
            ("0065 8123 45678 9", too_long(65, 10)),
            ("+44 7911 123456 7", too_long(44, 11)),
            ("+44 7911 123456 789 012 345", too_long(44, 19)),
            ("+852 1", too_short(852, 1)),
            ("+86 1380013800012345678901", too_long(86, 24)),
            ("1", too_short(86, 1)),
        ] {
            assert_eq!(to_plain(text, RULES), Err(reason), "{text}");
        }
        let hong_kong = NumberRules { default_region: "HK".parse().unwrap(), ..RULES };
        assert_eq!(to_plain("13800138000", hong_kong), Err(Invalid::MainlandWithoutCode(852)));
    }

    fn to_plain(text: &str, rules: NumberRules) -> Result<String, Invalid> {
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
        let hong_kong =
            Mobile::from_normalized(&normalize_number("+85251234567").unwrap(), RULES).unwrap();
        for text in [
            "852-51234567",
            "0085251234567",
            "+852 5123 4567",
            "no 51234567!",
            "５１２３４５６７",
            "5123\t4567",
        ] {
            let masked = hong_kong.mask_in(text);
            assert!(
                masked.contains("****") && !masked.contains("5123") && !masked.contains('５'),
                "{masked}"
            );
        }
        assert_eq!(hong_kong.mask_in("ip 10.0.0.1, code 60011"), "ip 10.0.0.1, code 60011");
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
    fn numbers_grouped_as_in_north_america_are_not_of_the_mainland() {
        let mainland = NumberRules { default_region: DefaultRegion::CHINA, strict: true };
        for cell in ["1-310-820-7129", "1 (310) 820-7129", "(1)3108207129", "1.619.555.0123"] {
            assert_eq!(to_plain(cell, mainland), Err(Invalid::NorthAmericanForm), "{cell}");
        }
        // The exchange of a number of theirs does not begin with 0.
        assert_eq!(to_plain("1-380-013-8000", mainland).unwrap(), "13800138000");
        assert_eq!(to_plain("131 0820 7129", mainland).unwrap(), "13108207129");
    }

    #[test]
    fn unlikely_numbers_are_accepted_when_not_strict() {
        for (text, api_form, reason) in [
            ("12345678901", "12345678901", Invalid::UnknownRange(86)),
            ("+852 1234 5678", "+852-12345678", Invalid::UnknownRange(852)),
            ("+65 2123 4567", "+65-21234567", Invalid::UnknownRange(65)),
        ] {
            assert_eq!(to_plain(text, RULES), Err(reason), "{text}");
            assert_eq!(
                to_plain(text, NumberRules { strict: false, ..RULES }).as_deref(),
                Ok(api_form),
                "{text}"
            );
        }
        for (text, reason) in [
            ("010-62345678", Invalid::Landline),
            ("4008001234", Invalid::ServiceNumber),
            ("10086", too_short(86, 5)),
            ("1380013800", too_short(86, 10)),
            ("138001380001", too_long(86, 12)),
            ("22345678901", Invalid::UnknownRange(86)),
            ("+86 11010005555", Invalid::UnknownRange(86)),
            ("+381 001310000", Invalid::UnknownRange(381)),
            ("+852 1234 567", too_short(852, 7)),
            ("+852 1234 56789", too_long(852, 9)),
            ("+999 123456", Invalid::UnknownCountryCode),
        ] {
            for strict in [true, false] {
                assert_eq!(
                    to_plain(text, NumberRules { strict, ..RULES }),
                    Err(reason.clone()),
                    "{text} {strict}"
                );
            }
        }
    }
}
