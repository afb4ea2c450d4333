//! The rows without a user id: the first of each status, the others counted. What is kept may have full numbers in it, so it
//! prints as counts alone. Leaves how people see it to `app`.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::mobile::Mobile;
use crate::domain::outcome::Status;

/// How many rows of each status are kept.
const KEPT: usize = 100;
/// How many characters of a message are kept; the API's have no bound worth naming.
const LONGEST: usize = 600;

/// Those of a run, by status in the order of [`Status::ALL`].
#[derive(Clone, Default)]
pub struct Misses([Group; Status::ALL.len()]);

/// Those of one status.
#[derive(Clone, Default)]
pub struct Group {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone)]
pub struct Row {
    /// The line of the input on which it starts, from 1.
    pub line: u64,
    /// The number that its answer is about; none where no cell has one that can be sent.
    pub mobile: Option<Mobile>,
    /// Its `errcode`.
    pub code: String,
    /// Its `errmsg`, which may quote the cell.
    pub message: String,
}

impl Misses {
    /// Those with this status.
    #[must_use]
    pub fn of(&self, status: Status) -> &Group {
        &self.0[status as usize]
    }
}

impl fmt::Debug for Misses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|group| group.count)).finish()
    }
}

/// Where the thread that writes the rows leaves them: they are there whatever becomes of that thread.
#[derive(Clone, Debug, Default)]
pub struct Basket(Arc<Mutex<Misses>>);

impl Basket {
    /// Takes a row in, with its status, `errcode` and `errmsg`; one that was found is passed over.
    pub fn note(&self, line: u64, mobile: Option<Mobile>, status: Status, [code, message]: [&str; 2]) {
        if status == Status::Found {
            return;
        }
        let mut misses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let group = &mut misses.0[status as usize];
        group.count += 1;
        if group.rows.len() < KEPT {
            let cut = |text: &str| text.chars().take(LONGEST).collect();
            group.rows.push(Row { line, mobile, code: cut(code), message: cut(message) });
        }
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

    #[test]
    fn the_first_hundred_are_kept_and_the_others_counted() {
        let basket = Basket::default();
        for line in 2..502 {
            basket.note(line, None, Status::Failed, ["-1", &"busy".repeat(1000)]);
            basket.note(line, None, Status::Found, ["0", "ok"]);
        }
        basket.note(502, None, Status::Invalid, ["", "the cell is empty"]);
        let misses = basket.take();
        let Group { count, rows } = misses.of(Status::Failed);
        assert_eq!((*count, rows.len(), rows[0].line, rows[99].line), (500, KEPT, 2, 101));
        assert_eq!((&*rows[0].code, rows[0].message.len()), ("-1", LONGEST));
        assert_eq!((misses.of(Status::Invalid).count, misses.of(Status::Found).count), (1, 0));
        assert_eq!(format!("{misses:?}"), "[0, 0, 0, 1, 0, 500, 0]");
        assert_eq!(basket.take().of(Status::Failed).count, 0);
    }
}
