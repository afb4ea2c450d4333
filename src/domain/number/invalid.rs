//! Why a cell is not sent, in words for its row. Leaves finding that out to `quantity`, `spelling`, `mobile` and
//! `entry`.

use tr::tr;

/// Why a cell is not sent. The text is the row's `errmsg`: it quotes the cell where that helps, so it belongs in
/// the output and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing but white space.
    #[error("{}", tr!("the cell is empty"))]
    Empty,
    /// A spreadsheet showed a rounded number and the digits are gone.
    #[error("{}", tr!(
        "{cell}: Excel rounded this number; restore it from the source",
        cell = .0.trim_start_matches(['+', '-', '=', '@'])
    ))]
    Rounded(String),
    /// Letters or other signs that no phone number has.
    #[error("{}", tr!("not a phone number: it has characters other than digits and + - ( ) . and spaces"))]
    NotANumber,
    /// A number with decimals.
    #[error("{}", tr!("not a phone number: it has a fraction"))]
    Fraction,
    /// Several numbers in the cell, and none of them could be chosen.
    #[error("{}", tr!(
        "none of the {of} numbers in the cell was sent; the {nth}: {reason}",
        of = count, nth = ordinal(*nth), reason
    ))]
    Several {
        /// The number that decided it, counted from 1.
        nth: usize,
        /// How many there are.
        count: usize,
        /// What is wrong with it.
        reason: Box<Self>,
    },
    /// The country code does not exist.
    #[error("{}", tr!("no country has this calling code"))]
    UnknownCountryCode,
    /// Too few digits.
    #[error("{}", tr!(
        "too short: {digits} digits; a mainland mobile number has 11, others need their country code",
        digits = .0
    ))]
    TooShort(usize),
    /// Too many digits.
    #[error("{}", too_long_message(*.0))]
    TooLong(usize),
    /// A number that the country's plan gives to fixed lines.
    #[error("{}", tr!("a landline number, not a mobile number"))]
    Landline,
    /// A toll-free, premium or other service number.
    #[error("{}", tr!("a service number, not a mobile number"))]
    ServiceNumber,
    /// The right length, yet in no range of the country's plan.
    #[error("{}", tr!("not a mobile number of +{code}: no such range in its numbering plan", code = .0))]
    UnknownRange(u16),
}

/// What is wrong with a cell that is not sent, as far as people can do something about it for many rows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKind {
    /// It is empty.
    Empty,
    /// A spreadsheet rounded it.
    Rounded,
    /// It has too few digits.
    TooShort,
    /// It has eight, as numbers of Hong Kong and Macau without their country code.
    EightDigits,
    /// It is a landline's or a service's.
    Landline,
    /// Anything else.
    Other,
}

impl InvalidKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Rounded,
        Self::TooShort,
        Self::EightDigits,
        Self::Landline,
        Self::Other,
    ];
}

impl Invalid {
    /// What kind of refusal it is, for counts; of several numbers that of the one that decided it.
    #[must_use]
    pub fn kind(&self) -> InvalidKind {
        match self {
            Self::Empty => InvalidKind::Empty,
            Self::Rounded(_) => InvalidKind::Rounded,
            Self::TooShort(8) => InvalidKind::EightDigits,
            Self::TooShort(_) => InvalidKind::TooShort,
            Self::Landline | Self::ServiceNumber => InvalidKind::Landline,
            Self::Several { reason, .. } => reason.kind(),
            Self::NotANumber
            | Self::Fraction
            | Self::UnknownCountryCode
            | Self::TooLong(_)
            | Self::UnknownRange(_) => InvalidKind::Other,
        }
    }

    /// Whether the text was understood as a number, only not as a mobile one. Next to such a number another one
    /// may be used; next to text that nobody can read it may not, since that may be the one that was meant.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        match self {
            Self::UnknownCountryCode
            | Self::TooShort(_)
            | Self::TooLong(_)
            | Self::Landline
            | Self::ServiceNumber
            | Self::UnknownRange(_) => true,
            Self::Empty
            | Self::Rounded(_)
            | Self::NotANumber
            | Self::Fraction
            | Self::Several { .. } => false,
        }
    }
}

/// `first`, `second`, `third`, `4th`.
#[must_use]
pub(crate) fn ordinal(nth: usize) -> String {
    match nth {
        1 => tr!("of several numbers" => "first"),
        2 => tr!("of several numbers" => "second"),
        3 => tr!("of several numbers" => "third"),
        nth => tr!("of several numbers" => "{nth}th", nth),
    }
}

fn too_long_message(digits: usize) -> String {
    // Eleven digits are too many only for a number that is read as one of another region.
    if digits == 11 {
        tr!(
            "too long: {digits} digits; a mainland mobile number has 11, and outside its own --region needs +86",
            digits
        )
    } else {
        tr!("too long: {digits} digits; a mainland mobile number has 11", digits)
    }
}
