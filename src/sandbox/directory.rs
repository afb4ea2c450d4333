//! The people of the sandbox, derived only from the number, so that every output row is
//! predictable.

/// The directory's entry for a number, chosen by the number's last two digits.
///
/// The codes are the effective ones of [reply](crate::guide::api#reply) and
/// [codes](crate::guide::api#codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirectoryEntry {
    /// Any other ending: a person, with [`userid_for`] and no exclusive account (see
    /// [`AbsentList`]).
    Found,
    /// 90: not found, as a bare 60121.
    NotFound,
    /// 91: not found, as 60121 wrapped in errcode 88.
    NotFoundWrapped,
    /// 92: a number that the API rejects, as 40104 wrapped in errcode 88.
    BadNumber,
    /// 93: a person outside the app's scope, as a bare 50002.
    OutOfScope,
    /// 94: a bare -1 on every attempt.
    Busy,
    /// 95: a bare -1 on the first two attempts of this number, then as [`DirectoryEntry::Found`].
    FoundLater,
    /// 96: no userid, and the two ids of [`exclusive_ids_for`] as a JSON array; a bare 60121 if
    /// the call does not ask for exclusive accounts.
    OnlyExclusive,
    /// 97: a userid and the two exclusive ids in the form that the API documentation shows: errcode
    /// `"0"` as a string and the list as JSON text inside a string. The list is empty if the call
    /// does not ask for exclusive accounts.
    Both,
    /// 98: errcode 0 with an empty result.
    Empty,
    /// 99: a bare 34567, an undocumented code.
    UnknownCode,
    /// Neither 11 digits beginning with 1 nor `+CC-NATIONAL` in digits: 400002 wrapped in errcode
    /// 88.
    Malformed,
}

impl DirectoryEntry {
    /// The entry for `mobile` as sent: 11 plain digits, or `+CC-NATIONAL`
    /// ([request](crate::guide::api#request)).
    #[must_use]
    pub fn for_number(mobile: &str) -> Self {
        if !is_well_formed(mobile) {
            return Self::Malformed;
        }
        match mobile.get(mobile.len() - 2..) {
            Some("90") => Self::NotFound,
            Some("91") => Self::NotFoundWrapped,
            Some("92") => Self::BadNumber,
            Some("93") => Self::OutOfScope,
            Some("94") => Self::Busy,
            Some("95") => Self::FoundLater,
            Some("96") => Self::OnlyExclusive,
            Some("97") => Self::Both,
            Some("98") => Self::Empty,
            Some("99") => Self::UnknownCode,
            _ => Self::Found,
        }
    }

    /// The effective code after the [`busy_attempts`](Self::busy_attempts); `exclusive` is the
    /// call's `support_exclusive_account_search`.
    #[must_use]
    pub fn code(self, exclusive: bool) -> i64 {
        match self {
            Self::Found | Self::FoundLater | Self::Both | Self::Empty => 0,
            Self::OnlyExclusive if exclusive => 0,
            Self::OnlyExclusive | Self::NotFound | Self::NotFoundWrapped => 60121,
            Self::BadNumber => 40104,
            Self::OutOfScope => 50002,
            Self::Busy => -1,
            Self::UnknownCode => 34567,
            Self::Malformed => 400_002,
        }
    }

    /// How many attempts are answered -1 before the entry's code: 2 for 95, else 0.
    /// ([`DirectoryEntry::Busy`] needs none, since -1 is its code.)
    #[must_use]
    pub fn busy_attempts(self) -> u32 {
        if self == Self::FoundLater { 2 } else { 0 }
    }
}

/// How a reply says that a found person has no exclusive accounts; [reply](crate::guide::api#reply)
/// allows all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AbsentList {
    /// The list is `[]`: the third digit from the end is 0, 3, 6 or 9.
    Empty,
    /// There is no such field: the third digit from the end is 1, 4 or 7.
    Missing,
    /// The list is `null`: the third digit from the end is 2, 5 or 8.
    Null,
}

impl AbsentList {
    /// The form for `mobile`; [`AbsentList::Empty`] if it has fewer than three digits.
    #[must_use]
    pub(crate) fn for_number(mobile: &str) -> Self {
        match mobile.bytes().rev().filter(u8::is_ascii_digit).nth(2).unwrap_or(b'0') % 3 {
            // b'0' is 48, a multiple of 3, so byte and digit have the same remainder.
            0 => Self::Empty,
            1 => Self::Missing,
            _ => Self::Null,
        }
    }
}

/// The userid of a number that has one: `u` and the number's last eight digits, or all if it has
/// fewer. Digits of the country code count. Numbers with the same last eight digits share a userid.
#[must_use]
pub fn userid_for(mobile: &str) -> String {
    format!("u{}", last_eight_digits(mobile))
}

/// The exclusive accounts of a number that has them: `ex1-` and `ex2-`, each with the last eight
/// digits as in [`userid_for`].
#[must_use]
pub fn exclusive_ids_for(mobile: &str) -> [String; 2] {
    let tail = last_eight_digits(mobile);
    [format!("ex1-{tail}"), format!("ex2-{tail}")]
}

/// The form of the sandbox's user ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdForm {
    /// As [`userid_for`] and [`exclusive_ids_for`] give them.
    #[default]
    Short,
    /// 17 to 19 digits, as most organizations have them. A spreadsheet that takes them for numbers
    /// rounds all of them.
    Numeric,
}

/// The multiplier of numeric ids. It has no divisor in common with 10, so that different numbers
/// have different ids.
const NUMERIC_ID_FACTOR: u128 = 123_456_789_012_345_679;

impl IdForm {
    /// The userid of a number that has one. It depends only on the last eight digits.
    #[must_use]
    pub fn userid(self, mobile: &str) -> String {
        match self {
            Self::Short => userid_for(mobile),
            Self::Numeric => numeric_id(mobile, 0),
        }
    }

    /// The exclusive accounts of a number that has them, by the same digits.
    #[must_use]
    pub fn exclusive_ids(self, mobile: &str) -> [String; 2] {
        match self {
            Self::Short => exclusive_ids_for(mobile),
            Self::Numeric => [1, 2].map(|offset| numeric_id(mobile, offset)),
        }
    }
}

fn numeric_id(mobile: &str, offset: u128) -> String {
    let tail: u128 = last_eight_digits(mobile).parse().unwrap_or(0);
    let (width, power) = match tail % 3 {
        0 => (17, 17),
        1 => (18, 18),
        _ => (19, 19),
    };
    let id = ((tail + 1) * NUMERIC_ID_FACTOR + offset) % 10_u128.pow(power);
    format!("{id:0width$}")
}

fn is_well_formed(mobile: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match mobile.strip_prefix('+') {
        Some(international) => international
            .split_once('-')
            .is_some_and(|(country, national)| digits(country) && digits(national)),
        None => mobile.len() == 11 && mobile.starts_with('1') && digits(mobile),
    }
}

fn last_eight_digits(mobile: &str) -> String {
    let mut digits: String = mobile.chars().filter(char::is_ascii_digit).collect();
    digits.drain(..digits.len().saturating_sub(8));
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_last_two_digits_decide() {
        let table = [
            ("13800138000", DirectoryEntry::Found, 0, 0),
            ("13800138089", DirectoryEntry::Found, 0, 0),
            ("13800138090", DirectoryEntry::NotFound, 60121, 60121),
            ("13800138091", DirectoryEntry::NotFoundWrapped, 60121, 60121),
            ("13800138092", DirectoryEntry::BadNumber, 40104, 40104),
            ("13800138093", DirectoryEntry::OutOfScope, 50002, 50002),
            ("13800138094", DirectoryEntry::Busy, -1, -1),
            ("13800138095", DirectoryEntry::FoundLater, 0, 0),
            ("13800138096", DirectoryEntry::OnlyExclusive, 60121, 0),
            ("13800138097", DirectoryEntry::Both, 0, 0),
            ("13800138098", DirectoryEntry::Empty, 0, 0),
            ("13800138099", DirectoryEntry::UnknownCode, 34567, 34567),
            ("+86-13800138000", DirectoryEntry::Found, 0, 0),
            ("+86-13800138093", DirectoryEntry::OutOfScope, 50002, 50002),
            ("+852-51234590", DirectoryEntry::NotFound, 60121, 60121),
            ("+1-22", DirectoryEntry::Found, 0, 0),
        ];
        for (mobile, entry, plain, exclusive) in table {
            assert_eq!(DirectoryEntry::for_number(mobile), entry, "{mobile}");
            assert_eq!(entry.code(false), plain, "{mobile}");
            assert_eq!(entry.code(true), exclusive, "{mobile}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_is_malformed() {
        for mobile in [
            "",
            "1380013800",
            "138001380000",
            "23800138000",
            "1380013800x",
            "+8613800138000",
            "+86-",
            "+-13800138000",
            "+86-138 0013",
            "86-13800138000",
            "１３８００１３８０００",
        ] {
            assert_eq!(DirectoryEntry::for_number(mobile), DirectoryEntry::Malformed, "{mobile}");
        }
        assert_eq!(DirectoryEntry::Malformed.code(true), 400_002);
    }

    #[test]
    fn ids_come_from_the_last_eight_digits() {
        assert_eq!(userid_for("13800138000"), "u00138000");
        assert_eq!(userid_for("+86-13800138000"), "u00138000");
        assert_eq!(userid_for("+852-51234567"), "u51234567");
        assert_eq!(userid_for("+298-211234"), "u98211234");
        assert_eq!(userid_for("+1-22"), "u122");
        assert_eq!(exclusive_ids_for("13800138096"), ["ex1-00138096", "ex2-00138096"]);
    }

    #[test]
    fn numeric_ids_have_17_to_19_digits_and_are_distinct() {
        let numbers = || (0..30_000).map(|number| format!("138{number:08}"));
        let ids: HashSet<String> =
            numbers().map(|number| IdForm::Numeric.userid(&number)).collect();
        assert_eq!(ids.len(), 30_000);
        let is_digits = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
        assert!(ids.iter().all(|id| (17..=19).contains(&id.len()) && is_digits(id)));
        for width in 17..=19 {
            assert!(ids.iter().filter(|id| id.len() == width).count() >= 9_000, "{width}");
        }
        assert!(ids.iter().filter(|id| id.starts_with('0')).count() > 1_000);
        // What a spreadsheet makes of them: only 15 digits.
        let rounds = |id: &&String| {
            format!("{:.0}", id.parse::<f64>().unwrap()) != id.trim_start_matches('0')
        };
        assert!(ids.iter().filter(rounds).count() > 20_000);
        assert_eq!(
            IdForm::Numeric.userid("+86-13800138000"),
            IdForm::Numeric.userid("13800138000")
        );
        let [one, two] = IdForm::Numeric.exclusive_ids("13800138096");
        assert!(one != two && !ids.contains(&one));
        assert_eq!(IdForm::Short.userid("13800138000"), userid_for("13800138000"));
    }

    #[test]
    fn an_absent_list_takes_three_forms() {
        assert_eq!(AbsentList::for_number("13800138000"), AbsentList::Empty);
        assert_eq!(AbsentList::for_number("13800138100"), AbsentList::Missing);
        assert_eq!(AbsentList::for_number("13800138200"), AbsentList::Null);
        assert_eq!(AbsentList::for_number("+1-234"), AbsentList::Null);
        assert_eq!(AbsentList::for_number(""), AbsentList::Empty);
    }

    #[test]
    fn only_numbers_ending_in_95_are_busy_at_first() {
        assert_eq!(DirectoryEntry::for_number("13800138095").busy_attempts(), 2);
        assert_eq!(DirectoryEntry::for_number("13800138094").busy_attempts(), 0);
        assert_eq!(DirectoryEntry::for_number("13800138000").busy_attempts(), 0);
    }
}
