//! The rows without a user id, for reports: the first ones of each status, and the count of all.
//!
//! They may contain full numbers, so `Debug` prints only the counts.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;
use crate::domain::redact;
use crate::domain::row_location::RowLocation;

/// Most rows of a status that are listed.
const MAX_LISTED: usize = 100;
/// Messages are cut to this length, because the API names no bound.
const MAX_MESSAGE_CHARS: usize = 600;

/// The unresolved rows of a run, by status in the order of [`Status::ALL`].
#[derive(Clone, Default)]
pub(crate) struct UnresolvedRows([StatusGroup; Status::ALL.len()]);

/// The rows of one status.
#[derive(Clone, Default)]
pub(crate) struct StatusGroup {
    pub count: u64,
    /// The first of them.
    pub rows: Vec<UnresolvedRow>,
}

/// Which row of the input it is.
#[derive(Clone)]
pub(crate) struct RowOrigin {
    pub location: RowLocation,
    /// The cell with the number, in a workbook.
    pub cell: Option<String>,
    /// The cells that show to a person who the row is about, with numbers masked.
    pub person: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct UnresolvedRow {
    pub origin: RowOrigin,
    /// The number that was asked; `None` if no cell has a valid number, or if several have one.
    pub mobile: Option<Mobile>,
    /// `errcode`.
    pub code: String,
    /// `errmsg`, with the row's numbers masked.
    pub message: String,
    /// Whether the answer may be about another number than the row's.
    pub is_unjudged: bool,
}

impl UnresolvedRows {
    #[must_use]
    pub(crate) fn with_status(&self, status: Status) -> &StatusGroup {
        &self.0[status as usize]
    }

    /// Adds `reason` to what the API said about some rows, whose number may be another one now.
    pub(crate) fn mark_unjudged(&mut self, is_unjudged: impl Fn(u64) -> bool, reason: &str) {
        let rows = self.0.iter_mut().flat_map(|group| &mut group.rows);
        for row in rows.filter(|row| is_unjudged(row.origin.location.number())) {
            row.is_unjudged = true;
            let said = [&*row.message, reason];
            row.message =
                said.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        }
    }
}

impl fmt::Debug for UnresolvedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|group| group.count)).finish()
    }
}

/// Shared with the thread that writes the rows, so that they are there whatever becomes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedUnresolved(Arc<Mutex<UnresolvedRows>>);

impl SharedUnresolved {
    /// Records a row with its `errcode` and `errmsg`, in which its `mobiles` are masked. A row with
    /// status `found` is ignored. `origin` is called for a row that is listed.
    pub(crate) fn record(
        &self,
        origin: impl FnOnce() -> RowOrigin,
        mobiles: impl IntoIterator<Item = Mobile>,
        status: Status,
        [code, message]: [&str; 2],
    ) {
        if status == Status::Found {
            return;
        }
        let mut unresolved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let group = &mut unresolved.0[status as usize];
        group.count += 1;
        if group.rows.len() < MAX_LISTED {
            let mobiles: Vec<_> = mobiles.into_iter().collect();
            let mask = |text: &str| {
                let masked = mobiles
                    .iter()
                    .fold(text.to_owned(), |text: String, mobile| mobile.mask_in(&text));
                redact::truncate(&masked, MAX_MESSAGE_CHARS).to_owned()
            };
            let mobile = mobiles.first().copied().filter(|_| mobiles.len() == 1);
            group.rows.push(UnresolvedRow {
                origin: origin(),
                mobile,
                code: mask(code),
                message: mask(message),
                is_unjudged: false,
            });
        }
    }

    #[must_use]
    pub(crate) fn take(&self) -> UnresolvedRows {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    fn at_line(line: u64) -> RowOrigin {
        RowOrigin { location: RowLocation::Line(line), cell: None, person: Vec::new() }
    }

    #[test]
    fn messages_of_unresolved_rows_contain_no_number_or_fragment() {
        let shared = SharedUnresolved::default();
        let [own, second] = ["+852 5123 4567", "13800138000"]
            .map(|text| Mobile::parse(text, DefaultRegion::CHINA).unwrap());
        let long = format!("{} 13800138000", "x".repeat(589));
        for message in
            ["no 85251234567 nor 51234567 nor 138-0013-8000", &long, &long.replace(' ', "１")]
        {
            shared.record(|| at_line(2), [own, second], Status::Failed, ["51234567", message]);
        }
        shared.record(|| at_line(2), None, Status::Failed, ["", &long]);
        for UnresolvedRow { mobile, code, message, .. } in
            &shared.take().with_status(Status::Failed).rows
        {
            let text = format!("{code} {message}");
            assert!(
                !text.contains("1234567") && !text.contains("1380") && !text.contains("138-"),
                "{text}"
            );
            assert_eq!(*mobile, None, "one of two numbers");
        }
    }

    #[test]
    fn the_first_hundred_are_kept_and_the_others_counted() {
        let shared = SharedUnresolved::default();
        for line in 2..502 {
            shared.record(|| at_line(line), None, Status::Failed, ["-1", &"busy".repeat(1000)]);
            shared.record(|| at_line(line), None, Status::Found, ["0", "ok"]);
        }
        shared.record(|| at_line(502), None, Status::Invalid, ["", "the cell is empty"]);
        let unresolved = shared.take();
        let StatusGroup { count, rows } = unresolved.with_status(Status::Failed);
        let line = |row: &UnresolvedRow| row.origin.location.number();
        assert_eq!(
            (*count, rows.len(), line(&rows[0]), line(&rows[99])),
            (500, MAX_LISTED, 2, 101)
        );
        assert_eq!((&*rows[0].code, rows[0].message.len()), ("-1", MAX_MESSAGE_CHARS));
        assert_eq!(
            (
                unresolved.with_status(Status::Invalid).count,
                unresolved.with_status(Status::Found).count
            ),
            (1, 0)
        );
        assert_eq!(format!("{unresolved:?}"), "[0, 0, 0, 1, 0, 500, 0]");
        assert_eq!(shared.take().with_status(Status::Failed).count, 0);
    }
}
