//! Back into input order: answers come in any order, rows leave in the order in which they came (DESIGN 2.1). Owns
//! the rows that were read and not yet handed on: the window. Leaves what a row's text is to `table`.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::engine::limits::RowBatch;

/// Rows in a row that have their answers, all of one sheet.
#[derive(Debug)]
pub struct Chunk<L> {
    /// What the rows' text is in.
    pub payload: Arc<L>,
    /// Which rows of it.
    pub rows: Range<usize>,
    /// Their answers, one each.
    pub answers: Vec<Answer>,
}

/// A row's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which of the row's numbers it is the answer to, from 0.
    pub nth: usize,
    /// What it says.
    pub outcome: Arc<Outcome>,
    /// Whether it is the one that the row came with, of which nothing but the status is said here.
    pub is_kept: bool,
}

impl Answer {
    /// The answer to the `nth` number of a row.
    #[must_use]
    pub fn new(nth: usize, outcome: Arc<Outcome>) -> Self {
        Self { nth, outcome, is_kept: false }
    }

    /// That of a row which keeps what it came with.
    #[must_use]
    pub fn for_kept_row(status: Status) -> Self {
        Self { nth: 0, outcome: Arc::new(Outcome::without_user(status, None, "")), is_kept: true }
    }
}

/// The window: rows in input order, each with its answer once it has one.
#[derive(Debug)]
pub struct ReorderBuffer<L> {
    batches: VecDeque<OpenBatch<L>>,
    /// The number of the row in the first slot.
    first_row: u64,
    answers: VecDeque<Option<Answer>>,
    /// So many slots at the front are known to have theirs.
    settled_rows: usize,
    /// Rows that left without having had their turn.
    skipped_rows: u64,
}

#[derive(Debug)]
struct OpenBatch<L> {
    payload: Arc<L>,
    /// The number that the sheet's first row goes by.
    first_row: u64,
    /// The rows that have not left.
    rows: Range<usize>,
    mobiles: Vec<Result<Mobile, Invalid>>,
    numbers_per_row: NonZeroUsize,
    /// The statuses that its rows came with.
    earlier_statuses: Vec<Status>,
}

impl<L> Default for ReorderBuffer<L> {
    fn default() -> Self {
        Self {
            batches: VecDeque::new(),
            first_row: 0,
            answers: VecDeque::new(),
            settled_rows: 0,
            skipped_rows: 0,
        }
    }
}

impl<L> ReorderBuffer<L> {
    /// Takes in the rows of a sheet; the numbers that they go by from now on.
    pub fn push(&mut self, sheet: RowBatch<L>) -> Range<u64> {
        let RowBatch {
            payload: load,
            mobiles: numbers,
            numbers_per_row: per_row,
            earlier_statuses: earlier,
            ..
        } = sheet;
        let (first, rows) = (self.first_row + self.answers.len() as u64, numbers.len() / per_row);
        if rows > 0 {
            let load = Arc::new(load);
            self.batches.push_back(OpenBatch {
                payload: load,
                first_row: first,
                rows: 0..rows,
                mobiles: numbers,
                numbers_per_row: per_row,
                earlier_statuses: earlier,
            });
            self.answers.extend(std::iter::repeat_n(None, rows));
        }
        first..first + rows as u64
    }

    /// A row's numbers; none where the row is not here.
    pub fn mobiles(&self, row: u64) -> &[Result<Mobile, Invalid>] {
        let find = || {
            let (sheet, at) = self.find(row)?;
            let start = at * sheet.numbers_per_row.get();
            sheet.mobiles.get(start..start + sheet.numbers_per_row.get())
        };
        find().unwrap_or_default()
    }

    /// The status that a row came with.
    #[must_use]
    pub fn earlier_status(&self, row: u64) -> Option<Status> {
        let (sheet, at) = self.find(row)?;
        sheet.earlier_statuses.get(at).copied()
    }

    /// A row's sheet, and its place in it.
    fn find(&self, row: u64) -> Option<(&OpenBatch<L>, usize)> {
        let behind = self.batches.partition_point(|sheet| sheet.first_row <= row);
        let sheet = self.batches.get(behind.checked_sub(1)?)?;
        Some((sheet, usize::try_from(row - sheet.first_row).ok()?))
    }

    /// A row does not have its turn any more: it keeps the answer that it came with, or has `pending`. Gives its status.
    pub fn skip(&mut self, row: u64, pending: Answer) -> Status {
        let answer = self.earlier_status(row).map_or(pending, Answer::for_kept_row);
        let status = answer.outcome.status;
        self.skipped_rows += u64::from(self.settle(row, answer));
        status
    }

    /// Whether every row that came has left after its turn.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_empty() && self.skipped_rows == 0
    }

    /// A row has its answer. False, and nothing changes, for a row that is not here or has one already.
    pub fn settle(&mut self, row: u64, answer: Answer) -> bool {
        let at = row.checked_sub(self.first_row).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.answers.get_mut(at)) {
            Some(slot @ None) => {
                *slot = Some(answer);
                true
            }
            _ => false,
        }
    }

    /// Rows here, settled or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether no row is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// How many rows can leave.
    pub fn settled_rows(&mut self) -> usize {
        while self.answers.get(self.settled_rows).is_some_and(Option::is_some) {
            self.settled_rows += 1;
        }
        self.settled_rows
    }

    /// The settled rows at the front, as far as the first sheet goes.
    pub fn pop_chunk(&mut self) -> Option<Chunk<L>> {
        let settled = self.settled_rows();
        let sheet = self.batches.front_mut()?;
        let settled = settled.min(sheet.rows.len());
        if settled == 0 {
            return None;
        }
        self.settled_rows -= settled;
        let rows = sheet.rows.start..sheet.rows.start + settled;
        let answers = self.answers.drain(..settled).flatten().collect();
        self.first_row += settled as u64;
        sheet.rows.start = rows.end;
        let load = Arc::clone(&sheet.payload);
        if sheet.rows.is_empty() {
            self.batches.pop_front();
        }
        Some(Chunk { payload: load, rows, answers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::disk::prefetch::Prefetched;

    fn answer(row: u64) -> Answer {
        Answer::new(0, Arc::new(Outcome::without_user(Status::Failed, None, row.to_string())))
    }

    #[test]
    fn a_row_that_is_not_attempted_keeps_its_earlier_status() {
        let mut reorder = ReorderBuffer::default();
        let sheet = |earlier: &[Status], rows| RowBatch {
            payload: (),
            mobiles: vec![Err(Invalid::Empty); rows],
            numbers_per_row: NonZeroUsize::MIN,
            earlier_statuses: earlier.to_vec(),
            prefetched: Prefetched::default(),
        };
        reorder.push(sheet(&[Status::Found, Status::Failed], 2));
        reorder.push(sheet(&[], 1));
        let found = [0, 1, 2, 3].map(|row| reorder.earlier_status(row));
        assert_eq!(found, [Some(Status::Found), Some(Status::Failed), None, None]);
        let pending = Answer::new(0, Arc::new(Outcome::pending("a limit")));
        reorder.settle(0, Answer::for_kept_row(Status::Found));
        assert_eq!(reorder.skip(1, pending.clone()), Status::Failed);
        assert_eq!(reorder.skip(2, pending.clone()), Status::Pending);
        assert!(!reorder.is_complete());
        let left: Vec<_> =
            std::iter::from_fn(|| reorder.pop_chunk()).flat_map(|chunk| chunk.answers).collect();
        assert_eq!(
            left,
            [Answer::for_kept_row(Status::Found), Answer::for_kept_row(Status::Failed), pending]
        );
        // That they have left does not make up for it.
        assert!(reorder.is_empty() && !reorder.is_complete());
        assert!(ReorderBuffer::<()>::default().is_complete());
    }

    proptest! {
        /// Sheets of any size, settled in any order, taken at any moment: every row leaves once, in order, with
        /// its own answer and its own place in its own sheet.
        #[test]
        fn answers_in_any_order_leave_in_row_order(
            sizes in proptest::collection::vec(0..9usize, 1..12),
            order in any::<u64>(),
            taking in 1..7u64,
            per_row in (1..4usize).prop_map(|n| NonZeroUsize::new(n).unwrap()),
        ) {
            let (mut reorder, mut expected) = (ReorderBuffer::default(), Vec::new());
            for (sheet, rows) in sizes.iter().enumerate() {
                let numbers = (0..rows * per_row.get()).map(|n| Err(Invalid::TooLong(sheet * 100 + n)));
                reorder.push(RowBatch { payload: sheet, mobiles: numbers.collect(), numbers_per_row: per_row, earlier_statuses: Vec::new(), prefetched: Prefetched::default() });
                expected.extend((0..*rows).map(|row| (sheet, row)));
            }
            let mut rows: Vec<u64> = (0..expected.len() as u64).collect();
            fastrand::Rng::with_seed(order).shuffle(&mut rows);
            for (row, (sheet, at)) in (0..).zip(&expected) {
                let first = sheet * 100 + at * per_row.get();
                let numbers: Vec<_> = (first..first + per_row.get()).map(|n| Err(Invalid::TooLong(n))).collect();
                prop_assert_eq!(reorder.mobiles(row), numbers);
            }
            prop_assert!(reorder.mobiles(expected.len() as u64).is_empty());
            let mut left = Vec::new();
            for (step, row) in (1..).zip(&rows) {
                prop_assert!(reorder.settle(*row, answer(*row)));
                prop_assert!(!reorder.settle(*row, answer(*row)), "a row settles once");
                while step % taking == 0 && let Some(chunk) = reorder.pop_chunk() {
                    left.extend(chunk.rows.map(|row| (*chunk.payload, row)).zip(chunk.answers));
                }
            }
            while let Some(chunk) = reorder.pop_chunk() {
                left.extend(chunk.rows.map(|row| (*chunk.payload, row)).zip(chunk.answers));
            }
            let (places, answers): (Vec<_>, Vec<_>) = left.into_iter().unzip();
            prop_assert_eq!(places, expected);
            let numbers: Vec<_> = (0..answers.len() as u64).map(answer).collect();
            prop_assert_eq!(answers, numbers);
            prop_assert!(reorder.is_empty() && reorder.settled_rows() == 0);
        }
    }
}
