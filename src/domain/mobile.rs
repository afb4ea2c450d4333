//! A mobile number: from a cell as people type it to the one form that is sent, and to a masked form for
//! everything that people read. Owns what counts as a mobile number and the reason where a cell is none.
//! Leaves finding the cell to `table` and calling the API to `api`.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberType, Region};

/// The country code of mainland China.
const MAINLAND: u16 = 86;
/// E.164 allows fifteen digits with the country code.
const MOST_DIGITS: usize = 15;
/// Fewer significant digits than this before an exponent are what a spreadsheet shows after rounding; programs
/// that print a number in full (Java's `1.3800138E10`) show them all, and no default cell format shows eight.
const DIGITS_THAT_SURVIVE: usize = 8;

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

/// Why a cell is not sent. The text is the row's `errmsg`: it quotes the cell where that helps, so it belongs in
/// the output and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing but white space.
    #[error("the cell is empty")]
    Empty,
    /// A spreadsheet showed a rounded number and the digits are gone.
    #[error("{0}: Excel rounded this number; restore it from the source")]
    Rounded(String),
    /// Letters or other signs that no phone number has.
    #[error("not a phone number: it has characters other than digits and + - ( ) . and spaces")]
    NotANumber,
    /// A number with decimals.
    #[error("not a phone number: it has a fraction")]
    Fraction,
    /// More than one number in one cell.
    #[error("more than one number in the cell; keep one")]
    Several,
    /// The country code does not exist.
    #[error("no country has this calling code")]
    NoSuchCountry,
    /// Too few digits.
    #[error("too short: {0} digits; a mainland mobile number has 11, others need their country code")]
    TooShort(usize),
    /// Too many digits.
    #[error("too long: {0} digits; a mainland mobile number has 11")]
    TooLong(usize),
    /// A number that the country's plan gives to fixed lines.
    #[error("a landline number, not a mobile number")]
    Landline,
    /// A toll-free, premium or other service number.
    #[error("a service number, not a mobile number")]
    Service,
    /// The right length, yet in no range of the country's plan.
    #[error("not a mobile number of +{0}: no such range in its numbering plan")]
    NoSuchRange(u16),
}

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
        let text = plain(cell);
        let text = unwrapped(&text);
        if text.is_empty() {
            return Err(Refusal::Empty);
        }
        let text = &*whole(text)?;
        if text.chars().any(|c| matches!(c, '/' | ',' | ';' | '、' | '|' | '&')) {
            return Err(Refusal::Several);
        }
        if !text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)) {
            return Err(Refusal::NotANumber);
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.is_empty() {
            return Err(Refusal::NotANumber);
        }
        let abroad = text.trim_start_matches(['(', ' ']).starts_with('+') || digits.starts_with("00");
        if let Some(mobile) = mainland_spelling(&digits, abroad, home) {
            return Ok(mobile);
        }
        Self::by_plan(text, &digits, abroad, home)
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
pub fn looks_like_mobile(cell: &str) -> bool {
    matches!(Mobile::parse(cell, Home::CHINA), Ok(_) | Err(Refusal::Rounded(_)))
}

/// Full-width forms become ASCII, invisible characters go, every dash and space becomes the plain one: what is
/// left differs from a number only in ways that a person can see.
fn plain(cell: &str) -> String {
    let ascii = cell.chars().filter_map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{ad}' => None,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{fe63}' => Some('-'),
        '\u{b7}' | '\u{2022}' | '\u{30fb}' => Some('.'),
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c => Some(c),
    });
    ascii.collect::<String>().trim().to_owned()
}

/// Takes off what spreadsheets and address books put around a number: `="138…"`, a leading apostrophe, `tel:`.
fn unwrapped(text: &str) -> &str {
    let text = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let text = text.trim_start_matches('\'').trim();
    let scheme = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("tel:"));
    if scheme { text.get(4..).unwrap_or("").trim() } else { text }
}

/// Undoes what a spreadsheet did to a number that it took for a quantity: `13800138000.0`, `1.3800138E+10`.
fn whole(text: &str) -> Result<std::borrow::Cow<'_, str>, Refusal> {
    let lower = text.to_ascii_lowercase();
    if let Some((mantissa, exponent)) = lower.split_once('e') {
        let (units, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let Ok(exponent) = exponent.trim_start_matches('+').parse::<usize>() else {
            return Err(Refusal::NotANumber);
        };
        if units.len() != 1 || !(units.to_owned() + decimals).bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::NotANumber);
        }
        if decimals.len() > exponent {
            return Err(Refusal::Fraction);
        }
        if 1 + decimals.len() < DIGITS_THAT_SURVIVE || exponent >= MOST_DIGITS {
            return Err(Refusal::Rounded(text.to_owned()));
        }
        return Ok(format!("{units}{decimals:0<exponent$}").into());
    }
    match text.split_once('.') {
        Some((whole, zeros))
            if whole.len() > 6 && whole.bytes().all(|b| b.is_ascii_digit()) && zeros.len() < 3 =>
        {
            if zeros.bytes().all(|b| b == b'0') { Ok(whole.into()) } else { Err(Refusal::Fraction) }
        }
        _ => Ok(text.into()),
    }
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
            ("n/a", Refusal::Several),
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
