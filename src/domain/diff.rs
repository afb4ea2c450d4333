//! Classifies the difference between two resolved rows, and pairs the rows of one key.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::domain::outcome::Status;
use crate::domain::rounded_id::{may_be_rounded, numeric_value};

/// The kind of a difference, as the `change` column of `dingmap diff` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Only the new table has the key.
    Added,
    /// Only the old table has the key.
    Removed,
    /// `found` in both, with different ids.
    Changed,
    /// `found` in both, and the ids may be the same, but a spreadsheet rounded one of them.
    Rounded,
    /// `found` before, and now any other definitive status (usually `not_found`).
    Lost,
    /// Any other definitive status before, and `found` now.
    Gained,
    /// Two keys of the new table have the same user id.
    SharedUserid,
    /// Two keys of the new table have the same number.
    SharedNumber,
}

impl Change {
    /// In the order of reports.
    pub(crate) const ALL: [Self; 8] = [
        Self::Added,
        Self::Removed,
        Self::Changed,
        Self::Rounded,
        Self::Lost,
        Self::Gained,
        Self::SharedUserid,
        Self::SharedNumber,
    ];

    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Rounded => "rounded",
            Self::Lost => "lost",
            Self::Gained => "gained",
            Self::SharedUserid => "shared_userid",
            Self::SharedNumber => "shared_number",
        }
    }
}

/// The answer in a row of a resolved table.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResolvedRow {
    pub status: Status,
    /// Empty if there is none.
    pub userid: String,
    /// Joined by `;`.
    pub exclusive_ids: String,
    /// The line on which the row starts, or the row of the sheet, counted from 1.
    pub line: u64,
}

impl fmt::Debug for ResolvedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ids are personal data, which messages must not contain.
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// The part of an answer that must be equal for two answers to be the same: the user id, and the
/// exclusive ids in any order. `None` for every status except `found`.
type ComparableIds<'a> = Option<(&'a str, Vec<&'a str>)>;

impl ResolvedRow {
    fn comparable_ids(&self) -> ComparableIds<'_> {
        let mut exclusive: Vec<_> =
            self.exclusive_ids.split(';').filter(|id| !id.is_empty()).collect();
        exclusive.sort_unstable();
        (self.status == Status::Found).then_some((&*self.userid, exclusive))
    }

    /// The user id and the exclusive ids, joined by `;`.
    #[must_use]
    pub(crate) fn ids(&self) -> String {
        let ids = [&*self.userid, &*self.exclusive_ids];
        ids.into_iter().filter(|id| !id.is_empty()).collect::<Vec<_>>().join(";")
    }
}

/// The result of comparing a pair of rows, one of which may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowComparison {
    Same,
    /// Both rows exist, but at least one has no definitive answer.
    Unknown,
    Change(Change),
}

/// A pair of rows (old, new), by index among the rows of their key. `None` if that table has no
/// row left to pair.
pub(crate) type RowPair = (Option<usize>, Option<usize>);

/// Compares a pair of rows. At least one of them exists.
fn compare_pair(old: Option<&ResolvedRow>, new: Option<&ResolvedRow>) -> RowComparison {
    let (old, new) = match (old, new) {
        // Whether a row was added or removed does not depend on its status.
        (None, _) => return RowComparison::Change(Change::Added),
        (_, None) => return RowComparison::Change(Change::Removed),
        (Some(old), Some(new)) => (old, new),
    };
    if old.status.is_retryable() || new.status.is_retryable() {
        return RowComparison::Unknown;
    }
    match (old.comparable_ids(), new.comparable_ids()) {
        (None, None) => RowComparison::Same,
        (_, None) => RowComparison::Change(Change::Lost),
        (None, _) => RowComparison::Change(Change::Gained),
        (Some((old_userid, old)), Some((new_userid, new))) if old.len() == new.len() => {
            let pairs = pair_ids(&old, &new).into_iter();
            compare_ids(pairs.chain([(old_userid, new_userid)]))
        }
        (Some(_), Some(_)) => RowComparison::Change(Change::Changed),
    }
}

/// Pairs equal ids, and then the others in the order of their numbers: of a rounded id, the text
/// may be in another place (a leading zero is lost), but not the number.
fn pair_ids<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut surplus = BTreeMap::new();
    for id in new {
        *surplus.entry(*id).or_insert(0_usize) += 1;
    }
    let (mut pairs, mut old_rest) = (Vec::new(), Vec::new());
    for id in old {
        match surplus.get_mut(id).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                pairs.push((*id, *id));
            }
            None => old_rest.push(*id),
        }
    }
    let mut new_rest: Vec<_> =
        surplus.into_iter().flat_map(|(id, count)| std::iter::repeat_n(id, count)).collect();
    old_rest.sort_by_key(|id| numeric_value(id));
    new_rest.sort_by_key(|id| numeric_value(id));
    pairs.extend(old_rest.into_iter().zip(new_rest));
    pairs
}

/// Compares the ids of two `found` rows, as pairs (old, new).
fn compare_ids<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> RowComparison {
    let mut comparison = RowComparison::Same;
    for (old, new) in pairs {
        // Also of equal ids: two different ones have the same exponent form.
        if may_be_rounded(old, new) {
            comparison = RowComparison::Change(Change::Rounded);
        } else if old != new {
            return RowComparison::Change(Change::Changed);
        }
    }
    comparison
}

/// Compares the rows of one key. Rows with the same answer are paired first, in any order. The
/// remaining rows are paired in order of appearance, and the surplus of one table was added or
/// removed.
#[must_use]
pub(crate) fn compare_rows(
    old: &[ResolvedRow],
    new: &[ResolvedRow],
) -> Vec<(RowComparison, RowPair)> {
    // Nearly every key has at most one row in each table: avoid the map for those.
    match (old, new) {
        ([old], [new]) => return vec![(compare_pair(Some(old), Some(new)), (Some(0), Some(0)))],
        ([old], []) => return vec![(compare_pair(Some(old), None), (Some(0), None))],
        ([], [new]) => return vec![(compare_pair(None, Some(new)), (None, Some(0)))],
        _ => {}
    }
    let mut new_by_ids: BTreeMap<ComparableIds<'_>, VecDeque<usize>> = BTreeMap::new();
    for (index, row) in new.iter().enumerate().filter(|(_, row)| !row.status.is_retryable()) {
        new_by_ids.entry(row.comparable_ids()).or_default().push_back(index);
    }
    let (mut pairs, mut unpaired_old) = (Vec::new(), Vec::new());
    let mut new_is_paired = vec![false; new.len()];
    for (index, row) in old.iter().enumerate() {
        let same = if row.status.is_retryable() {
            None
        } else {
            new_by_ids.get_mut(&row.comparable_ids())
        };
        match same.and_then(VecDeque::pop_front) {
            Some(other) => {
                let comparison = compare_pair(Some(row), Some(&new[other]));
                pairs.push((comparison, (Some(index), Some(other))));
                new_is_paired[other] = true;
            }
            None => unpaired_old.push(index),
        }
    }
    let mut unpaired_new = (0..new.len()).filter(|index| !new_is_paired[*index]);
    let mut push = |pair: RowPair| {
        let rows = (pair.0.map(|index| &old[index]), pair.1.map(|index| &new[index]));
        pairs.push((compare_pair(rows.0, rows.1), pair));
    };
    for index in unpaired_old {
        push((Some(index), unpaired_new.next()));
    }
    for index in unpaired_new {
        push((None, Some(index)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `USERID;EXCLUSIVE…` for found, `-` for not found, `?` for failed, `/` for out of scope.
    fn row(text: &str) -> ResolvedRow {
        let status = match text {
            "-" => Status::NotFound,
            "/" => Status::OutOfScope,
            "?" => Status::Failed,
            _ => Status::Found,
        };
        let ids = if status == Status::Found { text } else { "" };
        let (userid, exclusive) = ids.split_once(';').unwrap_or((ids, ""));
        ResolvedRow {
            status,
            userid: userid.to_owned(),
            exclusive_ids: exclusive.to_owned(),
            line: 1,
        }
    }

    fn rows(text: &str) -> Vec<ResolvedRow> {
        text.split_whitespace().map(row).collect()
    }

    fn compare(old: &str, new: &str) -> String {
        let pairs = compare_rows(&rows(old), &rows(new));
        let name = |(comparison, _): &(RowComparison, RowPair)| match comparison {
            RowComparison::Same => "same",
            RowComparison::Unknown => "unknown",
            RowComparison::Change(change) => change.name(),
        };
        pairs.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn single_row_pairs_are_classified() {
        for (old, new, expected) in [
            ("a", "a", "same"),
            ("a", "b", "changed"),
            ("a", "-", "lost"),
            ("a", "/", "lost"),
            ("-", "a", "gained"),
            ("/", "a", "gained"),
            ("-", "/", "same"),
            ("a", "?", "unknown"),
            ("?", "a", "unknown"),
            ("?", "", "removed"),
            ("", "?", "added"),
            ("", "-", "added"),
            ("a", "", "removed"),
            ("a;x;y", "a;y;x", "same"),
            ("a;x", "a", "changed"),
            (";x", ";y", "changed"),
            ("04686258351064375", "4.68626E+15", "rounded"),
            ("1152663019775520", "1152663019775521", "rounded"),
            ("1152663019775521", "1152663019775522", "changed"),
            ("4.68626E+15", "4.68626E+15", "rounded"),
            ("4.68626E+15", "-", "lost"),
            ("-", "4.68626E+15", "gained"),
            ("a;1.15266E+15", "a;1152663019775521", "rounded"),
            ("a;1.15266E+15", "b;1152663019775521", "changed"),
            ("manager7721", "4.68626E+15", "changed"),
            ("1152663019775521", "4.68626E+15", "changed"),
            ("4.68626E+15", "4.69E+15", "rounded"),
            ("4.68626E+15", "1.15266E+15", "changed"),
            // The lost zero changes the order of the texts.
            (
                "a;04686258351064375;1152663019775521",
                "a;4686258351064370;1152663019775520",
                "rounded",
            ),
            ("a;04686258351064375;1152663019775521", "a;4.68626E+15;1.15266E+15", "rounded"),
            (
                "a;1152663019775521;1152663019775525",
                "a;1152663019775520;1152663019775521",
                "rounded",
            ),
            ("a;04686258351064375;x", "a;4686258351064370;y", "changed"),
            ("a;x;x", "a;x;y", "changed"),
            ("a;x;1E+15", "a;1E+15;x", "rounded"),
            ("1.15266E+15", "1152663019775521;x", "changed"),
            (";x", "1.15266E+15;x", "changed"),
        ] {
            assert_eq!(compare(old, new), expected, "{old} {new}");
        }
        assert_eq!([row("a;x;y").ids(), row(";x").ids(), row("-").ids()], ["a;x;y", "x", ""]);
    }

    #[test]
    fn rows_of_one_key_are_compared_as_a_multiset_in_order() {
        for (old, new, expected) in [
            ("a b", "b a", "same same"),
            ("a a", "a", "same removed"),
            ("a", "a a", "same added"),
            ("a b c", "c d", "same changed removed"),
            ("a b", "? b", "same unknown"),
            ("a", "? a", "same added"),
            ("? ?", "?", "unknown removed"),
            ("- a", "b /", "same changed"),
            ("1E+15 a", "a 1E+15", "rounded same"),
        ] {
            assert_eq!(compare(old, new), expected, "{old} {new}");
        }
        let pairs: Vec<_> = compare_rows(&rows("a b c"), &rows("d c e f"))
            .into_iter()
            .map(|(_, pair)| pair)
            .collect();
        let expected =
            [(Some(2), Some(1)), (Some(0), Some(0)), (Some(1), Some(2)), (None, Some(3))];
        assert_eq!(pairs, expected);
    }
}
