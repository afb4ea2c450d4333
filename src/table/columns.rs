//! Owns how columns are named: the one that is asked for, the one that was chosen, and those that are appended. Which
//! column the evidence speaks for is decided elsewhere.

use std::convert::Infallible;
use std::str::FromStr;

/// The column that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChoice {
    /// By its name, matched without regard to case and to spaces around it.
    Name(String),
    /// By its position, counted from 1; a column that is called by just this number comes first.
    Position(usize),
}

impl FromStr for ColumnChoice {
    type Err = Infallible;

    /// Digits are a position; so that no text is lost, digits that are not written as a number is (`007`) are a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let position = text.parse().ok().filter(|position: &usize| position.to_string() == text);
        Ok(position.map_or_else(|| Self::Name(text.to_owned()), Self::Position))
    }
}

/// The column that holds the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its index, counted from 0.
    pub index: usize,
    /// Its name, where the table has a header row.
    pub name: Option<String>,
    /// Why it was chosen, as words for a person.
    pub reason: String,
}

/// Whether `name` asks for a column of the first row, which is then a header whatever else it looks like.
#[must_use]
pub fn names_a_header(choice: Option<&ColumnChoice>, first: &[String]) -> bool {
    matches!(choice, Some(ColumnChoice::Name(name)) if first.iter().any(|header| same_name(header, name)))
}

/// Whether two names mean the same column: without regard to case and to spaces around them.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// The names of the five appended columns, each with a prefix while a column in `headers` has the name already.
#[must_use]
pub fn appended_names(headers: &[String]) -> [String; 5] {
    ["userid", "exclusive_userids", "status", "errcode", "errmsg"].map(|name| {
        let mut name = name.to_owned();
        while headers.iter().any(|header| same_name(header, &name)) {
            name.insert_str(0, "dingtalk_");
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_names_step_aside() {
        let headers = ["Status ", "dingtalk_errmsg", "errmsg", "user id"].map(str::to_owned);
        let names = ["userid", "exclusive_userids", "dingtalk_status", "errcode", "dingtalk_dingtalk_errmsg"];
        assert_eq!(appended_names(&headers), names);
        assert!(names_a_header(Some(&ColumnChoice::Name("USER ID".to_owned())), &headers));
        assert!(!names_a_header(Some(&ColumnChoice::Position(1)), &headers));
    }

    #[test]
    fn digits_are_a_position_and_all_else_is_a_name() {
        let choice = |text: &str| text.parse::<ColumnChoice>().unwrap();
        assert_eq!(choice("12"), ColumnChoice::Position(12));
        for name in ["手机号", "007", "+1", "1 ", "99999999999999999999999", ""] {
            assert_eq!(choice(name), ColumnChoice::Name(name.to_owned()));
        }
    }
}
