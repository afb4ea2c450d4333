//! The outcome of a row: its status and the other cells of the appended columns.

use std::fmt;

use tr::tr;

use crate::domain::redact;
use crate::domain::row_location::RowLocation;

/// Maximum characters of a cell that an error message quotes.
const MAX_VALUE_CHARS: usize = 40;

/// The words of the `status` column ([columns](crate::guide::columns)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The directory has a user with this number.
    Found,
    /// The directory has no user with this number.
    NotFound,
    /// The API rejected the number.
    BadNumber,
    /// Rejected locally and never sent.
    Invalid,
    /// The user exists, but outside the part of the directory that the app may see.
    OutOfScope,
    /// All attempts failed, or the code is unknown. Another run may succeed.
    Failed,
    /// The run ended before the number was asked.
    Pending,
}

impl Status {
    /// In the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Found,
        Self::NotFound,
        Self::BadNumber,
        Self::Invalid,
        Self::OutOfScope,
        Self::Failed,
        Self::Pending,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::BadNumber => "bad_number",
            Self::Invalid => "invalid",
            Self::OutOfScope => "out_of_scope",
            Self::Failed => "failed",
            Self::Pending => "pending",
        }
    }

    /// Parses a cell of the `status` column. Case and surrounding spaces do not matter, since
    /// people edit the file by hand. `column` is the index of the column, from 0.
    pub fn parse(cell: &str, column: usize) -> Result<Self, InvalidStatus> {
        let word = cell.trim();
        let status = Self::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(word));
        status.ok_or_else(|| InvalidStatus {
            column: column + 1,
            value: redact::mask_numbers(word).chars().take(MAX_VALUE_CHARS).collect(),
        })
    }

    /// Whether the same call may give another status later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Failed | Self::Pending)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A cell of the `status` column without a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}",
    tr!(
        "invalid status {value} in column {column}: expected one of {statuses}; correct the cell, \
         delete the row, or use a file that resolve wrote",
        column = .column,
        value = format_args!("{:?}", .value),
        statuses = Status::ALL.map(Status::name).join(&tr!("list" => ", "))
    )
)]
pub struct InvalidStatus {
    /// From 1.
    pub column: usize,
    /// The start of the cell, with numbers masked.
    pub value: String,
}

/// An [`InvalidStatus`] with its row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{row}: {cause}")]
pub(crate) struct RowStatusError {
    pub row: RowLocation,
    pub cause: InvalidStatus,
}

/// An effective code of the API: usually a number; a word if it is the gateway's own (`isp.…`,
/// [reply](crate::guide::api#reply)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `60121`, `-1`, whether the API sent a number or a string.
    Number(i64),
    Word(Box<str>),
}

impl Code {
    /// Parses a code. A word is shown to people, so characters that no code has become `_` and it
    /// is cut to 64 characters. A cut word ends with `_`, so that it cannot become a number. No
    /// code has 7 digits in a row, but a phone number has: such a word loses its digits.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let text = text.trim();
        text.parse().map_or_else(
            |_| {
                let has_long_number =
                    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 6);
                let sanitize = |c: char| match c {
                    c if c.is_ascii_digit() && has_long_number => '_',
                    c if c.is_ascii_alphanumeric() || "._-:".contains(c) => c,
                    _ => '_',
                };
                let mut word: String = text.chars().take(65).map(sanitize).collect();
                if word.len() > 64 {
                    word.truncate(63);
                    word.push('_');
                }
                Self::Word(word.into())
            },
            Self::Number,
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// The answer of a row: the contents of the five appended columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    /// Empty if there is none.
    pub userid: Box<str>,
    /// Joined by `;`.
    pub exclusive_ids: Box<str>,
    /// The effective code. `None` if the API gave none.
    pub code: Option<Code>,
    /// The API's message, or our own reason if the API gave none.
    pub message: Box<str>,
    /// The API's id of the request, for its support; empty if it gave none. It is kept in the state
    /// and appears in no output.
    pub request_id: Box<str>,
}

impl Outcome {
    #[must_use]
    pub fn without_user(status: Status, code: Option<Code>, message: impl Into<Box<str>>) -> Self {
        Self {
            status,
            userid: "".into(),
            exclusive_ids: "".into(),
            code,
            message: message.into(),
            request_id: "".into(),
        }
    }

    /// Errcode 0 without an id, for which the API gives no reason
    /// ([reply](crate::guide::api#reply)).
    #[must_use]
    pub fn ok_without_user(code: Option<Code>) -> Self {
        Self::without_user(Status::NotFound, code, tr!("the API answered ok and named no user"))
    }

    #[must_use]
    pub fn pending(reason: &str) -> Self {
        Self::without_user(Status::Pending, None, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_names_are_stable() {
        let names = Status::ALL.map(Status::name);
        let contract =
            ["found", "not_found", "bad_number", "invalid", "out_of_scope", "failed", "pending"];
        assert_eq!(names, contract);
    }

    #[test]
    fn a_hand_edited_status_is_parsed_leniently() {
        for (cell, status) in [
            (" failed ", Status::Failed),
            ("FAILED", Status::Failed),
            ("Not_Found", Status::NotFound),
        ] {
            assert_eq!(Status::parse(cell, 4), Ok(status));
        }
        let error = Status::parse("mobile 13800138000", 4).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "invalid status \"mobile 138****00\" in column 5: expected one of found,"
            ),
            "{error}"
        );
        assert!(Status::parse("", 0).is_err());
    }

    #[test]
    fn numeric_codes_are_parsed_as_numbers() {
        assert_eq!(Code::from_text(" 60121 "), Code::Number(60121));
        assert_eq!(Code::from_text("-1").to_string(), "-1");
        assert_eq!(Code::from_text("isp.timeout").to_string(), "isp.timeout");
        assert_eq!(Code::from_text("a\u{1b}[31m\nb").to_string(), "a__31m_b");
        assert_eq!(Code::from_text(&"a".repeat(64)).to_string(), "a".repeat(64));
        assert_eq!(Code::from_text("isp.852-51234567").to_string(), "isp.___-________");
        let cut = Code::from_text(&format!("{}x", "a".repeat(90)));
        assert_eq!((cut.to_string().len(), Code::from_text(&cut.to_string())), (64, cut));
    }
}
