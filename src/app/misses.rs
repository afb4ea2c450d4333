//! The rows without a user id, as people are told about them: the first of each status, the others counted. Numbers are masked.
//! Leaves what to do about them to `panels`.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::exit::shown;
use crate::domain::outcome::Status;
use crate::engine::feed::Miss;

/// How many rows of each status are kept.
const KEPT: usize = 100;

/// Those of a run, by status in the order of [`Status::ALL`].
#[derive(Clone, Debug, Default)]
pub struct Misses([Group; Status::ALL.len()]);

/// Those of one status.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The masked number; empty where the cell has none that could be sent.
    pub number: String,
    /// The API's code, where one came.
    pub code: String,
    /// What its `errmsg` says, as it may be shown.
    pub reason: String,
}

impl Misses {
    /// Those with this status.
    #[must_use]
    pub fn of(&self, status: Status) -> &Group {
        &self.0[status as usize]
    }

    fn note(&mut self, miss: &Miss<'_>) {
        let group = &mut self.0[miss.outcome.status as usize];
        group.count += 1;
        if group.rows.len() < KEPT {
            group.rows.push(Row {
                line: miss.line,
                number: miss.mobile.map(|mobile| mobile.masked()).unwrap_or_default(),
                code: miss.outcome.code.as_ref().map(|code| shown(&code.to_string())).unwrap_or_default(),
                reason: shown(miss.message),
            });
        }
    }
}

/// Where the thread that writes the rows leaves them: it is told whatever becomes of that thread.
#[derive(Clone, Debug, Default)]
pub struct Basket(Arc<Mutex<Misses>>);

impl Basket {
    /// Takes a row in.
    pub fn note(&self, miss: &Miss<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(miss);
    }

    /// What there is.
    #[must_use]
    pub fn take(&self) -> Misses {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mobile::{Home, Mobile};
    use crate::domain::outcome::{Code, Outcome};

    #[test]
    fn the_first_hundred_are_kept_and_the_others_counted() {
        let basket = Basket::default();
        let mobile = Mobile::parse("13800138000", Home::CHINA).ok();
        let failed = Outcome::bare(Status::Failed, Some(Code::Number(-1)), "busy with 13800138000");
        let invalid = Outcome::bare(Status::Invalid, None, "the cell is empty");
        for line in 2..502 {
            basket.note(&Miss { line, mobile, outcome: &failed, message: &failed.message });
        }
        basket.note(&Miss { line: 502, mobile: None, outcome: &invalid, message: &invalid.message });
        let misses = basket.take();
        let Group { count, rows } = misses.of(Status::Failed);
        assert_eq!((*count, rows.len(), rows[0].line, rows[99].line), (500, KEPT, 2, 101));
        let told = ["138****8000", "-1", "busy with 138****00"];
        assert_eq!([&*rows[0].number, &rows[0].code, &rows[0].reason], told);
        assert_eq!((misses.of(Status::Invalid).count, misses.of(Status::Found).count), (1, 0));
        assert_eq!(misses.of(Status::Invalid).rows[0].number, "");
        assert_eq!(basket.take().of(Status::Failed).count, 0);
    }
}
