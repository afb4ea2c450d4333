//! Names of columns: as requested by the user, as detected, and of the appended ones.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use tr::tr;

use crate::table::detect::header_words::normalize_name;

/// A column as requested by the user.
#[derive(Debug, Clone)]
pub enum ColumnChoice {
    /// By name, compared with [`is_same_name`].
    Name(String),
    /// By position, counted from 1. A column with this number as its name takes precedence.
    Position(usize),
    /// By a regular expression that matches the name of exactly one column, normalized or not.
    Pattern(Regex),
}

/// The text between slashes is not a valid regular expression.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", tr!(
    "invalid regex /{pattern}/: {cause}; without the slashes, it is a column name",
    pattern = .pattern, cause = .cause
))]
pub struct PatternError {
    /// Without the slashes.
    pub pattern: String,
    /// The error of the regex crate: one line, in English.
    pub cause: String,
}

impl FromStr for ColumnChoice {
    type Err = PatternError;

    /// Parses digits as a position, but digits with leading zeros (`007`) as a name, and text
    /// between slashes as a case-insensitive regular expression.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return RegexBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map(Self::Pattern)
                .map_err(|error| {
                    // The lines before the last one repeat the pattern.
                    let cause =
                        error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                    let cause = cause.strip_prefix("error: ").map_or(cause.clone(), str::to_owned);
                    PatternError { pattern: pattern.to_owned(), cause }
                });
        }
        let position = text.parse().ok().filter(|position: &usize| position.to_string() == text);
        Ok(position.map_or_else(|| Self::Name(text.to_owned()), Self::Position))
    }
}

/// A number column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its position, counted from 0.
    pub index: usize,
    /// Its name, if the table has a header row.
    pub name: Option<String>,
    /// Why it was chosen, as text for people.
    pub reason: String,
}

impl Column {
    /// The text for `matched_column`: the name of this column, or its position, counted from 1, if
    /// it has no name or another of the column names `all` is the same.
    #[must_use]
    pub fn label(&self, all: &[String]) -> String {
        let is_unique = |name: &&String| {
            !name.trim().is_empty()
                && all.iter().filter(|other| is_same_name(other, name)).count() == 1
        };
        self.name
            .as_ref()
            .filter(is_unique)
            .map_or_else(|| (self.index + 1).to_string(), |name| name.trim().to_owned())
    }
}

/// Whether one of `choices` is the name of a column of the first row, which then must be a header.
/// A pattern proves nothing: it may match a number.
#[must_use]
pub(crate) fn has_named_column<'a>(
    choices: impl IntoIterator<Item = &'a ColumnChoice>,
    first: &[String],
) -> bool {
    let is_header = |name: &str| first.iter().any(|header| is_same_name(header, name));
    let mut choices = choices.into_iter();
    choices.any(|choice| matches!(choice, ColumnChoice::Name(name) if is_header(name)))
}

/// Whether two names are the same, ignoring case, full or half width, and spaces around them.
#[must_use]
pub(crate) fn is_same_name(one: &str, other: &str) -> bool {
    normalize_name(one) == normalize_name(other)
}

/// The names of the answer columns of every output, in their order; see
/// [columns](crate::guide::columns).
pub(crate) const ANSWER_COLUMNS: [&str; 5] =
    ["userid", "exclusive_userids", "status", "errcode", "errmsg"];
/// The optional answer column with the column of the number that was found.
pub(crate) const MATCHED_COLUMN: &str = "matched_column";
/// The optional answer column with the number as it was sent.
pub(crate) const SENT_COLUMN: &str = "mobile_sent";
/// The optional answer column with the result of `--expect`.
pub(crate) const EXPECTED_COLUMN: &str = "expected";
/// The prefix of an answer column whose name the table already has. Repeated until the name is
/// free.
pub(crate) const CONFLICT_PREFIX: &str = "dingtalk_";

/// The names of the appended columns, `optional` ones last, with prefixes where `headers` has the
/// name.
#[must_use]
pub(crate) fn appended_names(headers: &[String], optional: &[&str]) -> Vec<String> {
    let taken: Vec<String> = headers.iter().map(|header| normalize_name(header)).collect();
    let add_prefix = |name: &&str| {
        let mut name = (*name).to_owned();
        while taken.contains(&name) {
            name.insert_str(0, CONFLICT_PREFIX);
        }
        name
    };
    ANSWER_COLUMNS.iter().chain(optional).map(add_prefix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_names_avoid_existing_columns() {
        let headers = ["Status ", "dingtalk_errmsg", "errmsg", "user id"].map(str::to_owned);
        let names = [
            "userid",
            "exclusive_userids",
            "dingtalk_status",
            "errcode",
            "dingtalk_dingtalk_errmsg",
        ];
        assert_eq!(appended_names(&headers, &[]), names);
        let headers = ["ＭＯＢＩＬＥ_sent".to_owned()];
        let names = appended_names(&headers, &["matched_column", "mobile_sent"]);
        assert_eq!(names[5..], ["matched_column", "dingtalk_mobile_sent"]);
        let choice = |text: &str| text.parse::<ColumnChoice>().unwrap();
        assert!(has_named_column(&[choice("1"), choice("mobile_ＳＥＮＴ")], &headers));
        assert!(!has_named_column(&[choice("1"), choice("/mobile/")], &headers));
    }

    #[test]
    fn a_column_choice_is_a_position_a_pattern_or_a_name() {
        let choice = |text: &str| text.parse::<ColumnChoice>().unwrap();
        assert!(matches!(choice("12"), ColumnChoice::Position(12)));
        for text in ["手机号", "007", "+1", "1 ", "99999999999999999999999", "", "/", "a/b"] {
            assert!(matches!(choice(text), ColumnChoice::Name(name) if name == text));
        }
        assert!(
            matches!(choice("/^手机/"), ColumnChoice::Pattern(pattern) if pattern.as_str() == "^手机")
        );
        assert!("/(/".parse::<ColumnChoice>().is_err());
    }

    #[test]
    fn a_column_label_is_its_unique_name() {
        let all = [" 手机 ", "Tel", "ｔｅｌ", " "].map(str::to_owned);
        let labels: Vec<String> = (0..4)
            .map(|index| {
                Column { index, name: Some(all[index].clone()), reason: String::new() }.label(&all)
            })
            .collect();
        assert_eq!(labels, ["手机", "2", "3", "4"]);
        assert_eq!(Column { index: 6, name: None, reason: String::new() }.label(&all), "7");
    }
}
