//! What is different between two answers to one key, and which rows of one key belong together. Owns the names that stand
//! in the output of `diff`. Where the rows come from is for others.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::domain::outcome::Status;

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The key stands in the new table alone.
    Added,
    /// The key stands in the old table alone.
    Removed,
    /// Found in both, with other ids.
    Changed,
    /// Found before, and now in no way: not found as a rule, or out of scope, refused or invalid.
    Lost,
    /// Not found before, in whichever way, and found now.
    Gained,
    /// Two keys of the new table are on one user id.
    SharedUserid,
    /// One number of the new table stands at two keys.
    SharedNumber,
}

impl Change {
    /// Every change, in the order in which people are told about them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Added,
        Self::Removed,
        Self::Changed,
        Self::Lost,
        Self::Gained,
        Self::SharedUserid,
        Self::SharedNumber,
    ];

    /// The word in the output.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Lost => "lost",
            Self::Gained => "gained",
            Self::SharedUserid => "shared_userid",
            Self::SharedNumber => "shared_number",
        }
    }
}

/// A row's answer, as the table has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResolvedRow {
    /// The status.
    pub status: Status,
    /// The user id, empty where there is none.
    pub userid: String,
    /// The ids of exclusive accounts, joined by `;`.
    pub exclusive_ids: String,
    /// The line on which the row starts, counted from 1.
    pub line: u64,
}

impl fmt::Debug for ResolvedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ids are people's and stay out of every message.
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// What two answers have in common where they say the same: the ids, the exclusive ones in any order, or that there are none.
type ComparableIds<'a> = Option<(&'a str, Vec<&'a str>)>;

impl ResolvedRow {
    fn comparable_ids(&self) -> ComparableIds<'_> {
        let mut exclusive: Vec<_> =
            self.exclusive_ids.split(';').filter(|id| !id.is_empty()).collect();
        exclusive.sort_unstable();
        (self.status == Status::Found).then_some((&*self.userid, exclusive))
    }

    /// All its ids, joined by `;`.
    #[must_use]
    pub(crate) fn ids(&self) -> String {
        let ids = [&*self.userid, &*self.exclusive_ids];
        ids.into_iter().filter(|id| !id.is_empty()).collect::<Vec<_>>().join(";")
    }
}

/// What came of a row, or of two rows that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowComparison {
    /// They say the same.
    Same,
    /// Both are there, and one of them has no definitive answer, so that nothing can be said.
    Unknown,
    /// They differ.
    Change(Change),
}

/// Rows that belong together, by their places among the rows of their key; none where the other table has no more of them.
pub(crate) type RowPair = (Option<usize>, Option<usize>);

/// What came of two answers to one key, of which there is one at least.
fn compare_pair(old: Option<&ResolvedRow>, new: Option<&ResolvedRow>) -> RowComparison {
    let (old, new) = match (old, new) {
        // That a row is there does not depend on what became of it.
        (None, _) => return RowComparison::Change(Change::Added),
        (_, None) => return RowComparison::Change(Change::Removed),
        (Some(old), Some(new)) => (old, new),
    };
    if old.status.is_retryable() || new.status.is_retryable() {
        return RowComparison::Unknown;
    }
    match (old.comparable_ids(), new.comparable_ids()) {
        (old, new) if old == new => RowComparison::Same,
        (_, None) => RowComparison::Change(Change::Lost),
        (None, _) => RowComparison::Change(Change::Gained),
        (Some(_), Some(_)) => RowComparison::Change(Change::Changed),
    }
}

/// Compares the rows of one key. Rows that say the same belong together, wherever they stand; those that are left do so in
/// the order in which they stand, and of those that one table has more the last were added or removed.
#[must_use]
pub(crate) fn compare_rows(
    old: &[ResolvedRow],
    new: &[ResolvedRow],
) -> Vec<(RowComparison, RowPair)> {
    let alone = |finding, pair| vec![(finding, pair)];
    match (old, new) {
        ([old], [new]) => return alone(compare_pair(Some(old), Some(new)), (Some(0), Some(0))),
        ([old], []) => return alone(compare_pair(Some(old), None), (Some(0), None)),
        ([], [new]) => return alone(compare_pair(None, Some(new)), (None, Some(0))),
        _ => {}
    }
    let mut alike: BTreeMap<ComparableIds<'_>, VecDeque<usize>> = BTreeMap::new();
    for (place, answer) in
        new.iter().enumerate().filter(|(_, answer)| !answer.status.is_retryable())
    {
        alike.entry(answer.comparable_ids()).or_default().push_back(place);
    }
    let (mut pairs, mut left, mut met) = (Vec::new(), Vec::new(), vec![false; new.len()]);
    for (place, answer) in old.iter().enumerate() {
        let same = if answer.status.is_retryable() {
            None
        } else {
            alike.get_mut(&answer.comparable_ids())
        };
        match same.and_then(VecDeque::pop_front) {
            Some(other) => {
                pairs.push((RowComparison::Same, (Some(place), Some(other))));
                if let Some(met) = met.get_mut(other) {
                    *met = true;
                }
            }
            None => left.push(place),
        }
    }
    let mut others = met.iter().enumerate().filter(|(_, met)| !**met).map(|(place, _)| place);
    let mut tell = |pair: RowPair| {
        let (old, new) =
            (pair.0.and_then(|place| old.get(place)), pair.1.and_then(|place| new.get(place)));
        pairs.push((compare_pair(old, new), pair));
    };
    for place in left {
        tell((Some(place), others.next()));
    }
    for place in others {
        tell((None, Some(place)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer: an id with exclusive ones behind it, `-` for not found, `?` for failed, `/` for out of scope.
    fn answer(text: &str) -> ResolvedRow {
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

    fn all(text: &str) -> Vec<ResolvedRow> {
        text.split_whitespace().map(answer).collect()
    }

    fn told(old: &str, new: &str) -> String {
        let pairs = compare_rows(&all(old), &all(new));
        let word = |(finding, _): &(RowComparison, RowPair)| match finding {
            RowComparison::Same => "same",
            RowComparison::Unknown => "unknown",
            RowComparison::Change(change) => change.name(),
        };
        pairs.iter().map(word).collect::<Vec<_>>().join(" ")
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
        ] {
            assert_eq!(told(old, new), expected, "{old} {new}");
        }
        assert_eq!(
            [answer("a;x;y").ids(), answer(";x").ids(), answer("-").ids()],
            ["a;x;y", "x", ""]
        );
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
        ] {
            assert_eq!(told(old, new), expected, "{old} {new}");
        }
        let pairs: Vec<_> = compare_rows(&all("a b c"), &all("d c e f"))
            .into_iter()
            .map(|(_, pair)| pair)
            .collect();
        let expected =
            [(Some(2), Some(1)), (Some(0), Some(0)), (Some(1), Some(2)), (None, Some(3))];
        assert_eq!(pairs, expected);
    }
}
