//! Owns which columns are read along with the numbers: those that were appended to a table, and those that somebody asks
//! for. Which column holds the numbers is `evidence`'s.

use crate::table::columns::ColumnChoice;
use crate::table::evidence::Evidence;
use crate::table::heading::folded;
use crate::table::listing::ColumnError;

/// A column that is read along with the numbers.
#[derive(Debug, Clone)]
pub enum Beside {
    /// One that was appended to the table under this name, or with prefixes before it where the table had such a column.
    Appended(&'static str),
    /// One that the user asks for.
    Asked {
        /// How it is named.
        choice: ColumnChoice,
        /// The flag that names it, with its dashes.
        flag: &'static str,
    },
}

/// Where they stand, counted from 0, in the order of `wanted`.
///
/// # Errors
/// [`ColumnError`] for the first that is not there.
pub fn places(evidence: Evidence<'_>, wanted: &[Beside]) -> Result<Vec<usize>, ColumnError> {
    let place = |wanted: &Beside| match wanted {
        Beside::Appended(name) => appended(evidence.first, name).ok_or_else(|| {
            let (line, width) = (evidence.line, evidence.first.len());
            // The first row was taken for a header because there has to be one.
            if evidence.first.iter().any(|cell| (evidence.looks_like_mobile)(cell)) {
                return ColumnError::NoNames { line, width };
            }
            ColumnError::NotAppended { name, line, columns: evidence.all() }
        }),
        Beside::Asked { choice, flag } => evidence
            .choose(std::slice::from_ref(choice))
            .map(|columns| columns.first().map_or(0, |column| column.index))
            .map_err(|error| ColumnError::Asked { flag, error: Box::new(error) }),
    };
    wanted.iter().map(place).collect()
}

/// The last column of that name, prefixes aside: what is appended stands behind a column of the table's own that has the
/// name already, whichever of the two has the prefix.
#[must_use]
pub fn appended(first: &[String], name: &str) -> Option<usize> {
    first.iter().rposition(|header| {
        let header = folded(header);
        header.strip_suffix(name).is_some_and(|prefixes| prefixes.replace("dingtalk_", "").is_empty())
    })
}

/// The names of the table's own columns: those before what was appended, or all where that stands in front.
#[must_use]
pub fn own<'a>(wanted: &[Beside], places: &[usize], first: &'a [String]) -> &'a [String] {
    let appended = wanted.iter().zip(places).filter(|(wanted, _)| matches!(wanted, Beside::Appended(_)));
    let begin = appended.map(|(_, place)| *place).min().filter(|begin| *begin > 0);
    begin.and_then(|begin| first.get(..begin)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places_in(header: &str, wanted: &[Beside]) -> Result<Vec<usize>, String> {
        let first: Vec<String> = header.split(',').map(str::to_owned).collect();
        let looks_like_mobile = &|_: &str| false;
        let evidence = Evidence { first: &first, headers: true, line: 3, rows: &[], looks_like_mobile };
        places(evidence, wanted).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_appended_is_the_last_of_its_name() {
        let wanted = [Beside::Appended("userid"), Beside::Appended("status")];
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
        let error = places_in("a,userid,state", &wanted).unwrap_err();
        assert!(error.starts_with("line 3: there is no column \"status\""), "{error}");
    }

    #[test]
    fn a_first_row_with_a_number_is_no_header() {
        let first = ["a", "138", "u1", "", "found"].map(str::to_owned);
        let looks_like_mobile = &|cell: &str| cell == "138";
        let evidence = Evidence { first: &first, headers: true, line: 2, rows: &[], looks_like_mobile };
        let error = places(evidence, &[Beside::Appended("userid")]).unwrap_err();
        assert_eq!(error, ColumnError::NoNames { line: 2, width: 5 });
        assert!(error.to_string().starts_with("line 2: this row is data and no header"), "{error}");
    }

    #[test]
    fn what_is_asked_for_is_told_by_its_flag() {
        let key = |name: &str| [Beside::Asked { choice: name.parse().unwrap(), flag: "--key" }];
        assert_eq!(places_in("a,b", &key("B")).unwrap(), [1]);
        let error = places_in("a,b", &key("c")).unwrap_err();
        assert!(error.contains("with --key: 1 a, 2 b") && !error.contains("--column"), "{error}");
    }

    #[test]
    fn the_tables_own_columns_stand_before() {
        let first = ["a", "b", "userid"].map(str::to_owned);
        let wanted = [Beside::Asked { choice: "a".parse().unwrap(), flag: "" }, Beside::Appended("userid")];
        assert_eq!(own(&wanted, &[0, 2], &first), &first[..2]);
        assert_eq!(own(&wanted[1..], &[0], &first), &first);
        assert_eq!(own(&[], &[], &first), &first);
    }
}
