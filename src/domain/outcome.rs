//! What became of a number: the status and the cells that its rows get. Owns the names that stand in the output
//! (DESIGN 2.3 and 2.4). Leaves how a code becomes a status to `verdict`.

use std::fmt;

use tr::tr;

use crate::domain::number::mask::mask_numbers;

/// How many characters people are told of a cell that should have a status.
const MAX_VALUE_CHARS: usize = 40;

/// The `status` column: one of seven words, each with one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The directory has a user with this number.
    Found,
    /// The directory has none.
    NotFound,
    /// The API refused the number.
    BadNumber,
    /// Refused here and never sent.
    Invalid,
    /// The user exists outside the part of the directory that the app may see.
    OutOfScope,
    /// Transient failures used up the attempts, or the code is unknown: another try may succeed.
    Failed,
    /// The run ended before the number had its turn.
    Pending,
}

impl Status {
    /// Every status, in the order in which people are told about them.
    pub const ALL: [Self; 7] = [
        Self::Found,
        Self::NotFound,
        Self::BadNumber,
        Self::Invalid,
        Self::OutOfScope,
        Self::Failed,
        Self::Pending,
    ];

    /// The word in the output.
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

    /// The status that a cell of the `status` column says, in either case and with spaces around it, as hands leave them.
    /// `column` is that column's place from 0.
    ///
    /// # Errors
    /// [`NoStatus`] for any other word.
    pub fn parse(cell: &str, column: usize) -> Result<Self, InvalidStatus> {
        let said = cell.trim();
        let known = Self::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(said));
        known.ok_or_else(|| InvalidStatus {
            column: column + 1,
            value: mask_numbers(said).chars().take(MAX_VALUE_CHARS).collect(),
        })
    }

    /// Whether the row may come to another status by the same call at another time.
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

/// A cell of the `status` column that says none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}",
    tr!(
        "the status in column {column} is {value}, which is none of {statuses}; correct the cell or delete the row, or give a file that resolve wrote",
        column = .column,
        value = format_args!("{:?}", .value),
        statuses = Status::ALL.map(Status::name).join(&tr!("list" => ", "))
    )
)]
pub struct InvalidStatus {
    /// The column's place, from 1.
    pub column: usize,
    /// What the cell says, with numbers masked.
    pub value: String,
}

/// A row with such a cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", tr!("line {line}: {cause}", line = .line, cause = .cause))]
pub(crate) struct RowStatusError {
    /// The line on which the row starts, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub cause: InvalidStatus,
}

/// An effective code of the API: a number nearly always, a word for the gateway's own (`isp.…`, `API.md` 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `60121`, `-1`, also where the API wrote it as a string.
    Number(i64),
    /// Anything that is not a number.
    Word(Box<str>),
}

impl Code {
    /// Reads a code that arrived as text. A word is rid of the characters that no code has and cut to 64, since it is shown
    /// to people; what is cut ends with `_`, so that no word becomes a number by it. Seven digits in a row are in no code, but
    /// may be a number that was asked for, so the word then loses its digits.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let text = text.trim();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-:".contains(c) { c } else { '_' };
        text.parse().map_or_else(
            |_| {
                let digits = text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > 6);
                let kept = |c: char| if digits && c.is_ascii_digit() { '_' } else { plain(c) };
                let mut word: String = text.chars().take(65).map(kept).collect();
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

/// The answer to a row: what the five appended columns say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of the number.
    pub status: Status,
    /// The user id, empty where there is none.
    pub userid: Box<str>,
    /// The ids of exclusive accounts, joined by `;`.
    pub exclusive_ids: Box<str>,
    /// The API's effective code; none for a row that never got one.
    pub code: Option<Code>,
    /// The API's message, or our reason where the API gave none.
    pub message: Box<str>,
    /// What the API calls the request by, for its support; empty where it did not say. It stands in the state, and in no
    /// output.
    pub request_id: Box<str>,
}

impl Outcome {
    /// An answer without ids.
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

    /// Nobody: errcode 0 without an id, which the API gives no reason for (`API.md` 2).
    #[must_use]
    pub fn ok_without_user(code: Option<Code>) -> Self {
        Self::without_user(Status::NotFound, code, tr!("the API answered ok and named no user"))
    }

    /// The row of a number whose turn did not come.
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
                "the status in column 5 is \"mobile 138****00\", which is none of found,"
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
