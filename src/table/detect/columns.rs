//! Owns how columns are named: the one that is asked for, the one that was chosen, and those that are appended. Which
//! column the evidence speaks for is decided elsewhere.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use tr::tr;

use crate::table::detect::header_words::normalize_name;

/// A column that was asked for.
#[derive(Debug, Clone)]
pub enum ColumnChoice {
    /// By its name, matched as [`same_name`] does.
    Name(String),
    /// By its position, counted from 1; a column that is called by just this number comes first.
    Position(usize),
    /// By a regular expression that finds something in its name, as it stands or folded, and in no other one's.
    Pattern(Regex),
}

/// What stands between slashes is no regular expression.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", tr!(
    "/{pattern}/ is no regular expression: {cause}; without the slashes it would be a column's name",
    pattern = .pattern, cause = .cause
))]
pub struct PatternError {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it, on one line, in English.
    pub cause: String,
}

impl FromStr for ColumnChoice {
    type Err = PatternError;

    /// Digits are a position; so that no text is lost, digits that are not written as a number is (`007`) are a name.
    /// What stands between slashes is a regular expression, without regard to case.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return RegexBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map(Self::Pattern)
                .map_err(|error| {
                    // The lines before it show the pattern once more.
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

/// A column that holds a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its index, counted from 0.
    pub index: usize,
    /// Its name, where the table has a header row.
    pub name: Option<String>,
    /// Why it was chosen, as words for a person.
    pub reason: String,
}

impl Column {
    /// What a row says about the column that its answer came from: the name, or the position, counted from 1, where
    /// `all` has another one of that name or it has none.
    #[must_use]
    pub fn label(&self, all: &[String]) -> String {
        let alone = |name: &&String| {
            !name.trim().is_empty()
                && all.iter().filter(|other| is_same_name(other, name)).count() == 1
        };
        self.name
            .as_ref()
            .filter(alone)
            .map_or_else(|| (self.index + 1).to_string(), |name| name.trim().to_owned())
    }
}

/// Whether one of `choices` names a column of the first row, which is then a header whatever else it looks like. A
/// pattern does not: it may well match a number.
#[must_use]
pub(crate) fn has_named_column(choices: &[ColumnChoice], first: &[String]) -> bool {
    choices.iter().any(|choice| {
        matches!(choice, ColumnChoice::Name(name) if first.iter().any(|header| is_same_name(header, name)))
    })
}

/// Whether two names mean the same column: without regard to case, to full or half width and to spaces around them.
#[must_use]
pub(crate) fn is_same_name(one: &str, other: &str) -> bool {
    normalize_name(one) == normalize_name(other)
}

/// The names of the columns that every output gets, in their order (DESIGN 2.3).
pub(crate) const ANSWER_COLUMNS: [&str; 5] =
    ["userid", "exclusive_userids", "status", "errcode", "errmsg"];
/// Of those that may stand behind them: the one that says in which column the number stood that was found.
pub(crate) const MATCHED_COLUMN: &str = "matched_column";
/// The one that says what was sent.
pub(crate) const SENT_COLUMN: &str = "mobile_sent";
/// The one that says how a user id on file compares.
pub(crate) const EXPECTED_COLUMN: &str = "expected";
/// What stands before a name, as often as it takes, where the table has a column of that name already.
pub(crate) const CONFLICT_PREFIX: &str = "dingtalk_";

/// The names of the appended columns, those of `further` ones at the end, each with a prefix while a column in `headers`
/// has the name already.
#[must_use]
pub(crate) fn appended_names(headers: &[String], further: &[&str]) -> Vec<String> {
    let taken: Vec<String> = headers.iter().map(|header| normalize_name(header)).collect();
    let free = |name: &&str| {
        let mut name = (*name).to_owned();
        while taken.contains(&name) {
            name.insert_str(0, CONFLICT_PREFIX);
        }
        name
    };
    ANSWER_COLUMNS.iter().chain(further).map(free).collect()
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
