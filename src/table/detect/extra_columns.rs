//! Finds the columns that are read beside the numbers: answer columns and requested ones.

use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{
    ANSWER_COLUMNS, CONFLICT_PREFIX, ColumnChoice, EXPECTED_COLUMN, MATCHED_COLUMN, SENT_COLUMN,
    is_same_name,
};
use crate::table::detect::header_words::normalize_name;

/// A column that is read beside the numbers.
#[derive(Debug, Clone)]
pub enum ExtraColumn {
    /// An answer column with this name, possibly with prefixes.
    Appended(&'static str),
    /// The same, which a table may lack.
    Optional(&'static str),
    /// A column that a flag requests.
    Requested {
        choice: ColumnChoice,
        /// The flag, with its dashes.
        flag: &'static str,
    },
}

/// The position of an optional column that the table lacks: its cells are empty.
const ABSENT: usize = usize::MAX;

/// Returns the positions of `wanted`, counted from 0, in the same order.
///
/// # Errors
/// [`ColumnError`] for the first column that is missing.
pub(crate) fn find_extra_columns(
    evidence: ColumnDetector<'_>,
    wanted: &[ExtraColumn],
) -> Result<Vec<usize>, ColumnError> {
    let find = |wanted: &ExtraColumn| match wanted {
        ExtraColumn::Appended(name) => {
            find_appended_column(evidence.first_row, name).ok_or_else(|| {
                let (row, width) = (evidence.row.clone(), evidence.first_row.len());
                // `has_answers` requires a header, so the first row was taken for one.
                if evidence.first_row.iter().any(|cell| (evidence.looks_like_mobile)(cell)) {
                    return ColumnError::HeaderMissing { row, width };
                }
                ColumnError::MissingAnswerColumn { name, row, columns: evidence.list_all() }
            })
        }
        ExtraColumn::Optional(name) => {
            Ok(find_appended_column(evidence.first_row, name).unwrap_or(ABSENT))
        }
        ExtraColumn::Requested { choice, flag } => evidence.find_requested(choice, flag),
    };
    wanted.iter().map(find).collect()
}

/// The position of the answer column with this name, if there is one. An optional answer column
/// follows the usual ones; a column of its name before them is the table's own.
#[must_use]
pub(crate) fn find_appended_column(first: &[String], name: &str) -> Option<usize> {
    let usual =
        || ANSWER_COLUMNS.into_iter().filter_map(|usual| find_answer_column(first, usual)).max();
    find_answer_column(first, name)
        .filter(|index| ANSWER_COLUMNS.contains(&name) || Some(*index) > usual())
}

/// The position of the last answer column with this name, ignoring prefixes. If the five usual ones
/// are adjacent, as they were appended, their last block counts. Otherwise the last column with the
/// name counts: the appended one follows a column of the table with the same name, whichever of the
/// two has the prefix.
fn find_answer_column(first: &[String], name: &str) -> Option<usize> {
    let is_block = |headers: &[String]| {
        headers.iter().zip(ANSWER_COLUMNS).all(|(header, name)| is_appended_name(header, name))
    };
    let usual = ANSWER_COLUMNS.iter().position(|usual| *usual == name);
    usual
        .and_then(|nth| Some(first.windows(ANSWER_COLUMNS.len()).rposition(is_block)? + nth))
        .or_else(|| first.iter().rposition(|header| is_appended_name(header, name)))
}

fn is_appended_name(header: &str, name: &str) -> bool {
    normalize_name(header)
        .strip_suffix(name)
        .is_some_and(|prefixes| prefixes.replace(CONFLICT_PREFIX, "").is_empty())
}

/// Returns the positions of all possible answer columns. None of them can be the number column.
///
/// # Errors
/// [`ColumnError::DuplicateAnswerColumn`] if another column has exactly the name of an answer
/// column.
pub(crate) fn find_answer_columns(evidence: ColumnDetector<'_>) -> Result<Vec<usize>, ColumnError> {
    let first = evidence.first_row;
    let mut found = Vec::new();
    for name in ANSWER_COLUMNS.into_iter().chain([MATCHED_COLUMN, SENT_COLUMN, EXPECTED_COLUMN]) {
        if let Some(index) = find_appended_column(first, name) {
            let header = &first[index];
            let alike = evidence.columns_matching(|other| is_same_name(other, header));
            if alike.len() > 1 {
                let (name, row) = (header.trim().to_owned(), evidence.row.clone());
                return Err(ColumnError::DuplicateAnswerColumn {
                    name,
                    row,
                    columns: evidence.list(&alike),
                });
            }
        }
        found.extend(find_answer_column(first, name));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row_location::RowLocation;

    fn places_in(header: &str, wanted: &[ExtraColumn]) -> Result<Vec<usize>, String> {
        let first: Vec<String> = header.split(',').map(str::to_owned).collect();
        find_extra_columns(evidence(&first), wanted).map_err(|error| error.to_string())
    }

    fn evidence(first: &[String]) -> ColumnDetector<'_> {
        ColumnDetector {
            first_row: first,
            has_headers: true,
            row: &RowLocation::Line(3),
            sample_rows: &[],
            answer_columns: &[],
            looks_like_mobile: &|_| false,
        }
    }

    #[test]
    fn the_appended_column_is_the_last_of_its_name() {
        let wanted = [ExtraColumn::Appended("userid"), ExtraColumn::Appended("status")];
        for (header, expected) in [
            ("a,userid,status", [1, 2]),
            ("userid,status,dingtalk_userid,dingtalk_status", [2, 3]),
            ("Status,userid,a,dingtalk_userid,dingtalk_status", [3, 4]),
            // The table's own column may be the one with the prefix.
            ("dingtalk_userid,a,userid,status", [2, 3]),
            ("userid,dingtalk_userid,dingtalk_dingtalk_userid,status", [2, 3]),
            ("userid,my_userid,status,dingtalk_status_old", [0, 2]),
        ] {
            assert_eq!(places_in(header, &wanted).unwrap(), expected, "{header}");
        }
        // The table's own column was moved behind the answer columns, which are still together.
        let moved =
            "a,dingtalk_userid,exclusive_userids,dingtalk_status,errcode,errmsg,status,userid";
        assert_eq!(places_in(moved, &wanted).unwrap(), [1, 3]);
        let error = places_in("a,userid,state", &wanted).unwrap_err();
        assert!(error.starts_with("line 3: there is no column \"status\""), "{error}");
    }

    #[test]
    fn a_first_row_with_a_number_is_not_a_header() {
        let first = ["a", "138", "u1", "", "found"].map(str::to_owned);
        let looks_like_mobile = &|cell: &str| cell == "138";
        let evidence =
            ColumnDetector { row: &RowLocation::Line(2), looks_like_mobile, ..evidence(&first) };
        let error = find_extra_columns(evidence, &[ExtraColumn::Appended("userid")]).unwrap_err();
        assert_eq!(error, ColumnError::HeaderMissing { row: RowLocation::Line(2), width: 5 });
        assert!(error.to_string().starts_with("line 2: this row is data and no header"), "{error}");
    }

    #[test]
    fn a_missing_column_is_reported_with_its_flag() {
        let key =
            |name: &str| [ExtraColumn::Requested { choice: name.parse().unwrap(), flag: "--key" }];
        assert_eq!(places_in("a,b", &key("B")).unwrap(), [1]);
        let error = places_in("a,b", &key("c")).unwrap_err();
        assert!(error.contains("with --key: 1 a, 2 b") && !error.contains("--column"), "{error}");
    }

    fn answers_in(header: &str) -> Result<Vec<usize>, String> {
        let first: Vec<String> = header.split(',').map(str::to_owned).collect();
        find_answer_columns(evidence(&first)).map_err(|error| error.to_string())
    }

    #[test]
    fn answer_columns_are_recognized_in_any_position() {
        let usual = "userid,exclusive_userids,status,errcode,errmsg";
        for (header, expected) in [
            (format!("a,b,{usual}"), vec![2, 3, 4, 5, 6]),
            (format!("mobile_sent,{usual},tel"), vec![1, 2, 3, 4, 5, 0]),
            ("errmsg,tel,STATUS,userid,errcode,exclusive_userids".to_owned(), vec![3, 5, 2, 4, 0]),
            (
                format!("status,tel,{}", usual.replace("status", "dingtalk_status")),
                vec![2, 3, 4, 5, 6],
            ),
            (format!("expected,expected,tel,{usual}"), vec![3, 4, 5, 6, 7, 1]),
        ] {
            assert_eq!(answers_in(&header).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn duplicate_answer_columns_are_rejected() {
        let usual = "userid,exclusive_userids,status,errcode,errmsg";
        for (header, expected) in [
            (
                format!("a,{usual},Status "),
                "\"status\"; rename the one that dingmap did not write: 4 status, 7 Status",
            ),
            (format!("{usual},mobile_sent,tel,mobile_sent"), "6 mobile_sent, 8 mobile_sent"),
        ] {
            let error = answers_in(&header).unwrap_err();
            assert!(error.starts_with("line 3: ") && error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn optional_columns_follow_the_answer_columns() {
        let place = |header: &str, name| {
            let first: Vec<String> = header.split(',').map(str::to_owned).collect();
            find_appended_column(&first, name)
        };
        assert_eq!(place("expected,userid,status", EXPECTED_COLUMN), None);
        assert_eq!(place("expected,userid,status,dingtalk_expected", EXPECTED_COLUMN), Some(3));
        assert_eq!(place("status,a,userid", "status"), Some(0));
    }
}
