//! How people and spreadsheets spell a number: from a cell to digits and the signs between them, and why a cell has no
//! number in it. Leaves which numbers are mobile ones to `mobile`.

use std::borrow::Cow;

/// The most digits that any number has: fifteen, with the country code (E.164).
const MOST_DIGITS: usize = 15;
/// Fewer significant digits than this before an exponent are what a spreadsheet shows after rounding; programs
/// that print a number in full (Java's `1.3800138E10`) show them all, and no default cell format shows eight.
const DIGITS_THAT_SURVIVE: usize = 8;

/// From this many digits on, a part of a cell counts as a number of its own.
const DIGITS_OF_A_NUMBER: usize = 5;

/// A cell that could be a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelt {
    /// Digits and `+ - ( ) .` and spaces, nothing else.
    pub text: String,
    /// The digits alone, at least one.
    pub digits: String,
}

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

/// Reads a cell's spelling.
///
/// # Errors
/// The [`Refusal`] that needs no numbering plan: empty, rounded, no number, several.
pub fn read(cell: &str) -> Result<Spelt, Refusal> {
    let text = plain(cell);
    let text = unwrapped(&text);
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    let text = whole(text)?;
    if several(&text) {
        return Err(Refusal::Several);
    }
    if !text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)) {
        return Err(Refusal::NotANumber);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() { Err(Refusal::NotANumber) } else { Ok(Spelt { text: text.into_owned(), digits }) }
}

/// Whether a sign that stands between numbers does so here: `138…/139…` is two, `n/a` is none.
fn several(text: &str) -> bool {
    let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
    let parts = text.split(['/', ',', ';', '、', '|', '&']);
    parts.filter(|part| digits(part) >= DIGITS_OF_A_NUMBER).count() > 1
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
fn whole(text: &str) -> Result<Cow<'_, str>, Refusal> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(cell: &str) -> Result<String, Refusal> {
        read(cell).map(|spelt| spelt.digits)
    }

    #[test]
    fn what_a_spreadsheet_made_of_a_number_is_undone_where_the_digits_are_there() {
        for cell in
            ["13800138000.0", "13800138000.00", "1.3800138E10", "1.3800138000e+10", "=\"13800138000\""]
        {
            assert_eq!(digits(cell).as_deref(), Ok("13800138000"), "{cell}");
        }
        for cell in ["1.38E+10", "1.38001E+10", "1E10", "1.3800138E+99"] {
            assert_eq!(digits(cell), Err(Refusal::Rounded(cell.into())), "{cell}");
        }
        for cell in ["1.38001380005E+10", "13800138000.5"] {
            assert_eq!(digits(cell), Err(Refusal::Fraction), "{cell}");
        }
    }

    #[test]
    fn two_numbers_are_told_from_none() {
        for cell in ["13800138000/13900139000", "13800138000、13900139000", "13800138000;010-62345678"] {
            assert_eq!(digits(cell), Err(Refusal::Several), "{cell}");
        }
        for cell in ["n/a", "N/A", "无", "a,b", "138001/x", "e", "E10", "1.2.3e4"] {
            assert_eq!(digits(cell), Err(Refusal::NotANumber), "{cell}");
        }
        for cell in ["", " ", "\u{feff}\u{3000}", "'", "=\"\"", "tel:"] {
            assert_eq!(digits(cell), Err(Refusal::Empty), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_digits_and_signs(cell in "\\PC{0,30}|[0-9+eE. ()'=\"/-]{0,24}") {
            if let Ok(spelt) = read(&cell) {
                prop_assert!(spelt.text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)));
                prop_assert!(!spelt.digits.is_empty() && spelt.digits.bytes().all(|b| b.is_ascii_digit()));
            }
        }
    }
}
