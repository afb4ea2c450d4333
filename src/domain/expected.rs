//! What becomes of a user id on file, once the directory has been asked. Owns the words of the `expected` column. Leaves
//! where the id on file stands to `table`.

use crate::domain::outcome::{Outcome, Status};

/// How an answer compares with the user id on file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is the one that was found, or one of the exclusive ones.
    Match,
    /// Others were found.
    Mismatch,
    /// None was found, in whichever way: not found as a rule, or out of scope, refused or invalid.
    Missing,
}

impl Expected {
    /// All of them, in the order in which people are told about them.
    pub(crate) const ALL: [Self; 3] = [Self::Match, Self::Mismatch, Self::Missing];

    /// The word in the output.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
        }
    }

    /// What a cell of the `expected` column says.
    #[must_use]
    pub(crate) fn parse(cell: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.name() == cell.trim())
    }

    /// Compares an answer with the cell that has the id on file, spaces around it aside; ids are compared letter by letter.
    /// Nothing where no id is on file, and where nothing is known yet: then there is nothing to compare.
    #[must_use]
    pub(crate) fn compare(on_file: &str, outcome: &Outcome) -> Option<Self> {
        let on_file = on_file.trim();
        if on_file.is_empty() || outcome.status.is_retryable() {
            return None;
        }
        let mut found = outcome.exclusive_ids.split(';').chain([&*outcome.userid]);
        Some(match outcome.status {
            Status::Found if found.any(|id| id == on_file) => Self::Match,
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
            ("U1", Status::Found, "u1", "", "mismatch"),
            ("x;y", Status::Found, "u1", "x;y", "mismatch"),
            ("u2", Status::Found, "", "", "mismatch"),
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
            let told = Expected::compare(on_file, &outcome(status, userid, exclusive));
            assert_eq!(told.map_or("", Expected::name), expected, "{on_file} {status}");
            assert_eq!(Expected::parse(expected), told);
        }
    }
}
