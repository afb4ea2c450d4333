//! The rows without a user id, with who they are about, as lines of the last message of a run.

use tr::tr;

use crate::domain::outcome::Status;
use crate::domain::redact::sanitize;
use crate::engine::io::unresolved::{RowOrigin, UnresolvedRow, UnresolvedRows};

/// Most rows that the message lists.
const MAX_LISTED: usize = 10;

/// Those that somebody can act on come first. Rows that the run did not reach are not listed by the
/// message.
pub(crate) const ORDER: [Status; 6] = [
    Status::Failed,
    Status::Invalid,
    Status::BadNumber,
    Status::OutOfScope,
    Status::NotFound,
    Status::Pending,
];

/// Lines that each start with a line end; empty without such rows.
#[must_use]
pub(crate) fn list_unresolved(unresolved: &UnresolvedRows) -> String {
    let listed = || ORDER.into_iter().filter(|status| *status != Status::Pending);
    let count: u64 = listed().map(|status| unresolved.with_status(status).count).sum();
    if count == 0 {
        return String::new();
    }
    let rows = listed().flat_map(|status| {
        unresolved.with_status(status).rows.iter().map(move |row| describe_row(status, row))
    });
    let mut lines = vec![tr!("without a user id:")];
    lines.extend(rows.take(MAX_LISTED).map(|row| format!("  {row}")));
    let more = count - (lines.len() as u64 - 1);
    if more > 0 {
        lines.push(format!("  {}", tr!("and {more} more; --report lists them", more)));
    }
    lines.iter().fold(String::new(), |text, line| text + "\n" + line)
}

/// As in `Staff, row 13 (D13): 00013, Ann, 138****8000: not_found`.
fn describe_row(status: Status, row: &UnresolvedRow) -> String {
    let number = row.mobile.map(crate::domain::number::mobile::Mobile::to_masked_string);
    let who = describe_origin(&row.origin, number);
    let reason = match status {
        Status::NotFound | Status::OutOfScope if !row.is_unjudged => String::new(),
        _ => sanitize(&row.message),
    };
    let status = status.name();
    if reason.is_empty() {
        tr!("{who}: {status}", who, status)
    } else {
        tr!("{who}: {status}: {reason}", who, status, reason)
    }
}

/// Where a row is and who it is about, with the masked `number` if it is known.
#[must_use]
pub(crate) fn describe_origin(origin: &RowOrigin, number: Option<String>) -> String {
    let row = match &origin.cell {
        Some(cell) => tr!("{row} ({cell})", row = origin.location, cell),
        None => origin.location.to_string(),
    };
    let person = origin.person.iter().filter(|cell| !cell.is_empty()).cloned();
    let who: Vec<_> = person.chain(number).collect();
    if who.is_empty() {
        row
    } else {
        tr!("{row}: {who}", row, who = who.join(&tr!("list" => ", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::{DefaultRegion, Mobile};
    use crate::domain::row_location::RowLocation;
    use crate::engine::io::unresolved::SharedUnresolved;

    #[test]
    fn rows_are_listed_with_their_place_and_person() {
        let shared = SharedUnresolved::default();
        let mobile = Mobile::parse("13800138000", DefaultRegion::CHINA).unwrap();
        let origin = |row, person: [&str; 2]| RowOrigin {
            location: RowLocation::SheetRow { sheet: "在职".into(), row },
            cell: Some(format!("D{row}")),
            person: person.map(str::to_owned).to_vec(),
        };
        shared.record(|| origin(9, ["00009", "甲"]), [mobile], Status::NotFound, ["60121", "no"]);
        shared.record(|| origin(13, ["", "乙"]), None, Status::Invalid, ["", "the cell is empty"]);
        shared.record(|| origin(14, ["", ""]), None, Status::Pending, ["", "a limit"]);
        assert_eq!(
            list_unresolved(&shared.take()),
            "\nwithout a user id:\
             \n  在职, row 13 (D13): 乙: invalid: the cell is empty\
             \n  在职, row 9 (D9): 00009, 甲, 138****8000: not_found"
        );
        shared.record(|| origin(9, ["00009", "甲"]), [mobile], Status::NotFound, ["60121", "no"]);
        let mut unjudged = shared.take();
        unjudged.mark_unjudged(|row| row == 9, "no record");
        let expected = "\nwithout a user id:\
                        \n  在职, row 9 (D9): 00009, 甲, 138****8000: not_found: no; no record";
        assert_eq!(list_unresolved(&unjudged), expected);
        let origin =
            |line| RowOrigin { location: RowLocation::Line(line), cell: None, person: Vec::new() };
        for line in 2..=13 {
            shared.record(|| origin(line), None, Status::NotFound, ["60121", "no"]);
        }
        let text = list_unresolved(&shared.take());
        assert_eq!(text.lines().nth(2), Some("  line 2: not_found"));
        assert_eq!(text.lines().last(), Some("  and 2 more; --report lists them"));
        assert_eq!(list_unresolved(&UnresolvedRows::default()), "");
    }
}
