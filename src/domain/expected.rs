//! Compares an answer with the user id on file, for the `expected` column.

use crate::domain::decimal::is_digits;
use crate::domain::excel;
use crate::domain::outcome::{Outcome, Status};
use crate::domain::rounded_id::{is_exponent_form, may_be_rounded};

/// The words of the `expected` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The id on file is the user id found, or one of the exclusive ids.
    Match,
    /// Only other ids were found.
    Mismatch,
    /// A spreadsheet rounded the id on file, and no id found has other digits.
    Rounded,
    /// A definitive answer without a user (usually `not_found`).
    Missing,
}

impl Expected {
    /// In the order of reports.
    pub(crate) const ALL: [Self; 4] = [Self::Match, Self::Mismatch, Self::Rounded, Self::Missing];

    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Rounded => "rounded",
            Self::Missing => "missing",
        }
    }

    /// `None` for any other cell.
    #[must_use]
    pub(crate) fn parse(cell: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.name() == cell.trim())
    }

    /// Compares an answer with the id on file, which is trimmed; case matters. `None` if there is
    /// no id on file or no definitive answer.
    #[must_use]
    pub(crate) fn compare(on_file: &str, outcome: &Outcome) -> Option<Self> {
        let on_file = excel::unprotect(on_file.trim());
        if on_file.is_empty() || outcome.status.is_retryable() {
            return None;
        }
        let ids = || outcome.exclusive_ids.split(';').chain([&*outcome.userid]);
        Some(match outcome.status {
            Status::Found if ids().any(|id| id == on_file) => Self::Match,
            Status::Found if ids().any(|id| may_be_rounded(on_file, id)) => Self::Rounded,
            // The id on file is useless, and there are no digits that contradict it.
            Status::Found if is_exponent_form(on_file) && !ids().any(is_digits) => Self::Rounded,
            Status::Found => Self::Mismatch,
            _ => Self::Missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_maps_to_a_comparison_word() {
        let outcome = |status, userid: &str, exclusive: &str| Outcome {
            userid: userid.into(),
            exclusive_ids: exclusive.into(),
            ..Outcome::without_user(status, None, "")
        };
        for (on_file, status, userid, exclusive, expected) in [
            ("u1", Status::Found, "u1", "", "match"),
            ("\u{3000}u1 ", Status::Found, "u1", "x;y", "match"),
            ("y", Status::Found, "u1", "x;y", "match"),
            ("y", Status::Found, "", "x;y", "match"),
            ("'007", Status::Found, "007", "", "match"),
            ("U1", Status::Found, "u1", "", "mismatch"),
            ("x;y", Status::Found, "u1", "x;y", "mismatch"),
            ("u2", Status::Found, "", "", "mismatch"),
            ("4.68626E+15", Status::Found, "04686258351064375", "", "rounded"),
            ("4.68626E+15", Status::Found, "u1", "", "rounded"),
            ("4.68626E+15", Status::Found, "u1", "x;1152663019775521", "mismatch"),
            ("4.68626E+15", Status::Found, "1152663019775521", "", "mismatch"),
            ("4.68626E+15", Status::Found, "46862583510643750", "", "mismatch"),
            ("4.68626E+15", Status::Found, "1152663019775521", "x;04686258351064375", "rounded"),
            ("1152663019775520", Status::Found, "1152663019775521", "", "rounded"),
            ("1152663019775520", Status::Found, "u1", "1152663019775521;x", "rounded"),
            ("1152663019775522", Status::Found, "1152663019775521", "", "mismatch"),
            ("4.68626E+15", Status::NotFound, "", "", "missing"),
            ("u1", Status::NotFound, "", "", "missing"),
            ("u1", Status::BadNumber, "", "", "missing"),
            ("u1", Status::Invalid, "", "", "missing"),
            ("u1", Status::OutOfScope, "", "", "missing"),
            ("u1", Status::Failed, "", "", ""),
            ("u1", Status::Pending, "", "", ""),
            ("", Status::Found, "u1", "", ""),
            (" ", Status::Found, "", "", ""),
            ("", Status::NotFound, "", "", ""),
        ] {
            let actual = Expected::compare(on_file, &outcome(status, userid, exclusive));
            assert_eq!(actual.map_or("", Expected::name), expected, "{on_file} {status}");
            assert_eq!(Expected::parse(expected), actual);
        }
    }
}
