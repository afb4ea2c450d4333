//! The reasons why a cell is not sent.

use tr::tr;

pub(crate) const MAINLAND_COUNTRY_CODE: u16 = 86;

/// Why a cell is not sent. The text becomes the row's `errmsg`. It may quote the cell, so it must
/// not appear anywhere but in the output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Only white space.
    #[error("{}", tr!("the cell is empty"))]
    Empty,
    /// Only white space, but the row has a number in another cell and lacks cells.
    #[error("{}", tr!(
        "the cell is empty, but another cell of this row holds a number; check the delimiters of \
         this row"
    ))]
    NumberElsewhere,
    /// A formula of which the file does not keep the value.
    #[error("{}", tr!(
        "a formula without a stored value: open the workbook in Excel, save it, and run again"
    ))]
    MissingValue,
    /// A word or sign for "none", such as `-`, `0` or `无`.
    #[error("{}", tr!("no number: the cell says that there is none"))]
    NoNumber,
    /// A spreadsheet rounded the number, and digits are lost.
    #[error("{}", tr!(
        "{cell}: Excel rounded this number; restore it from the source",
        cell = .0.trim_start_matches(['+', '-', '=', '@'])
    ))]
    Rounded(String),
    /// Letters or other characters that phone numbers do not contain.
    #[error("{}", tr!(
        "not a phone number: it has characters other than digits and + - ( ) . and spaces"
    ))]
    NotANumber,
    /// Beside its numbers the cell has other text, such as a name.
    #[error("{}", tr!("the cell holds more than phone numbers; keep only the phone numbers in it"))]
    MoreThanNumbers,
    /// Decimals that are not zero.
    #[error("{}", tr!("not a phone number: it has a fraction"))]
    Fraction,
    /// The cell has several numbers, and none can be used.
    #[error("{}", tr!(
        "none of the {of} numbers in the cell was sent; the {nth}: {reason}",
        of = count, nth = ordinal(*nth), reason
    ))]
    Several {
        /// The number that `reason` is about, from 1.
        nth: usize,
        count: usize,
        reason: Box<Self>,
    },
    #[error("{}", tr!("no country has this calling code"))]
    UnknownCountryCode,
    /// Fewer digits than a mobile number of the country has.
    #[error("{}", too_short_message(.0))]
    TooShort(NumberLength),
    /// More digits than a mobile number of the country has.
    #[error("{}", too_long_message(.0))]
    TooLong(NumberLength),
    /// A mainland number without its country code, where the region is another one. With the
    /// calling code of the region.
    #[error("{}", tr!(
        "not a mobile number of +{country}; a mainland mobile number needs +86", country = .0
    ))]
    MainlandWithoutCode(u16),
    /// The digits of a mainland number, grouped as only numbers of the United States and Canada are
    /// (`1-310-820-7129`), and a number of theirs.
    #[error("{}", tr!(
        "written like a number of the United States or Canada; write +1 or +86 before it"
    ))]
    NorthAmericanForm,
    /// The country's numbering plan assigns the range to fixed lines.
    #[error("{}", tr!("a landline number, not a mobile number"))]
    Landline,
    /// A toll-free, premium or other service number.
    #[error("{}", tr!("a service number, not a mobile number"))]
    ServiceNumber,
    /// The length is possible, but no range of the country's numbering plan contains it. With the
    /// country's calling code.
    #[error("{}", tr!(
        "not a mobile number of +{code}: no such range in its numbering plan", code = .0
    ))]
    UnknownRange(u16),
    /// The number has another country code than the country column.
    #[error("{}", tr!(
        "the number has the country code +{own}, but the country column says {column} (+{code}): \
         correct one of them",
        own, column, code
    ))]
    CountryMismatch {
        /// The calling code of the number.
        own: u16,
        /// The cell of the country column.
        column: String,
        /// The calling code that the cell names.
        code: u16,
    },
    /// The cell of the country column, which names no country.
    #[error("{}", tr!(
        "the country column says \"{cell}\", which is no known country or calling code; correct \
         it, or leave it blank for the country of --region",
        cell = .0
    ))]
    UnknownCountry(String),
    /// A cell beside the number may be its country, and the number is possible in that country and
    /// in the default region.
    #[error("{}", tr!(
        "column {column} says \"{cell}\", which may be the number's country or something else: \
         name the column of the countries with --country-column, or use --country-column none",
        column, cell
    ))]
    DoubtfulCountry {
        /// The position of the column, counted from 1.
        column: usize,
        cell: String,
    },
    /// The row is not about a person.
    #[error("{0}")]
    NonPerson(NonPerson),
}

/// The length of a number that is too short or too long for its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberLength {
    /// The calling code of the country.
    pub country: u16,
    /// The number of digits: all for a mainland number, otherwise those after the country code.
    pub digits: usize,
}

/// What a row of a list is that is not about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonPerson {
    /// With the word for it.
    #[error("{}", tr!("a total ({word}), not a person", word = .0))]
    Total(&'static str),
    /// With the word for it.
    #[error("{}", tr!("a line for signatures ({word}), not a person", word = .0))]
    Signature(&'static str),
    #[error("{}", tr!("a page number, not a person"))]
    PageNumber,
    #[error("{}", tr!("the header again, not a person"))]
    Header,
}

/// The kinds of [`Invalid`] for which a hint can name one remedy for many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKind {
    Empty,
    Rounded,
    TooShort,
    /// As numbers of Hong Kong and Macau without their country code.
    EightDigits,
    /// A landline or a service number.
    Landline,
    MissingValue,
    /// The cell of a country column contradicts the number, is no country, or may be one.
    Country,
    /// The row is not about a person.
    NonPerson,
    Other,
}

impl InvalidKind {
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::Rounded,
        Self::TooShort,
        Self::EightDigits,
        Self::Landline,
        Self::MissingValue,
        Self::Country,
        Self::NonPerson,
        Self::Other,
    ];
}

impl Invalid {
    /// For several numbers, the kind of the number that `reason` is about.
    #[must_use]
    pub fn kind(&self) -> InvalidKind {
        match self {
            Self::Empty | Self::NoNumber => InvalidKind::Empty,
            Self::MissingValue => InvalidKind::MissingValue,
            Self::Rounded(_) => InvalidKind::Rounded,
            Self::TooShort(NumberLength { country: MAINLAND_COUNTRY_CODE, digits: 8 }) => {
                InvalidKind::EightDigits
            }
            Self::TooShort(_) => InvalidKind::TooShort,
            Self::Landline | Self::ServiceNumber => InvalidKind::Landline,
            Self::NonPerson(_) => InvalidKind::NonPerson,
            Self::Several { reason, .. } => reason.kind(),
            Self::CountryMismatch { .. }
            | Self::UnknownCountry(_)
            | Self::DoubtfulCountry { .. } => InvalidKind::Country,
            Self::NumberElsewhere
            | Self::NotANumber
            | Self::MoreThanNumbers
            | Self::Fraction
            | Self::UnknownCountryCode
            | Self::TooLong(_)
            | Self::MainlandWithoutCode(_)
            | Self::NorthAmericanForm
            | Self::UnknownRange(_) => InvalidKind::Other,
        }
    }

    /// Whether the text is certainly a number, but not a mobile number. Another number of the same
    /// cell may then be used; beside unreadable text it may not, since that may be the number that
    /// was meant.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        match self {
            Self::UnknownCountryCode
            | Self::TooShort(_)
            | Self::TooLong(_)
            | Self::MainlandWithoutCode(_)
            | Self::Landline
            | Self::ServiceNumber
            | Self::UnknownRange(_) => true,
            Self::Empty
            | Self::NumberElsewhere
            | Self::MissingValue
            | Self::NoNumber
            | Self::Rounded(_)
            | Self::NotANumber
            | Self::MoreThanNumbers
            | Self::Fraction
            | Self::NorthAmericanForm
            | Self::NonPerson(_)
            | Self::Several { .. }
            | Self::CountryMismatch { .. }
            | Self::UnknownCountry(_)
            | Self::DoubtfulCountry { .. } => false,
        }
    }

    /// Whether the cell has no number at all, so that the reason of another cell says more.
    #[must_use]
    pub const fn is_blank(&self) -> bool {
        matches!(self, Self::Empty | Self::NoNumber)
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

fn too_short_message(&NumberLength { country, digits }: &NumberLength) -> String {
    if country == MAINLAND_COUNTRY_CODE {
        tr!(
            "too short: {digits} digits; a mainland mobile number has 11, others need their \
             country code",
            digits
        )
    } else {
        tr!("too short for +{country}: {digits} digits without the country code", country, digits)
    }
}

fn too_long_message(&NumberLength { country, digits }: &NumberLength) -> String {
    if country == MAINLAND_COUNTRY_CODE {
        tr!("too long: {digits} digits; a mainland mobile number has 11", digits)
    } else {
        tr!("too long for +{country}: {digits} digits without the country code", country, digits)
    }
}
