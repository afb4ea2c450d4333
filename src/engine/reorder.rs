//! Back into input order: answers come in any order, rows leave in the order in which they came (DESIGN 2.1). Owns
//! the rows that were read and not yet handed on: the window. Leaves what a row's text is to `table`.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use crate::domain::number::invalid::Refusal;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::engine::limits::Sheet;

/// Rows in a row that have their answers, all of one sheet.
#[derive(Debug)]
pub struct Chunk<L> {
    /// What the rows' text is in.
    pub load: Arc<L>,
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
    pub earlier: bool,
}

impl Answer {
    /// The answer to the `nth` number of a row.
    #[must_use]
    pub fn new(nth: usize, outcome: Arc<Outcome>) -> Self {
        Self { nth, outcome, earlier: false }
    }

    /// That of a row which keeps what it came with.
    #[must_use]
    pub fn earlier(status: Status) -> Self {
        Self { nth: 0, outcome: Arc::new(Outcome::bare(status, None, "")), earlier: true }
    }
}

/// The window: rows in input order, each with its answer once it has one.
#[derive(Debug)]
pub struct Reorder<L> {
    sheets: VecDeque<Open<L>>,
    /// The number of the row in the first slot.
    first: u64,
    slots: VecDeque<Option<Answer>>,
    /// So many slots at the front are known to have theirs.
    settled: usize,
    /// Rows that left without having had their turn.
    passed_over: u64,
}

#[derive(Debug)]
struct Open<L> {
    load: Arc<L>,
    /// The number that the sheet's first row goes by.
    first: u64,
    /// The rows that have not left.
    rows: Range<usize>,
    numbers: Vec<Result<Mobile, Refusal>>,
    per_row: NonZeroUsize,
    /// The statuses that its rows came with.
    earlier: Vec<Status>,
}

impl<L> Default for Reorder<L> {
    fn default() -> Self {
        Self {
            sheets: VecDeque::new(),
            first: 0,
            slots: VecDeque::new(),
            settled: 0,
            passed_over: 0,
        }
    }
}

impl<L> Reorder<L> {
    /// Takes in the rows of a sheet; the numbers that they go by from now on.
    pub fn push(&mut self, sheet: Sheet<L>) -> Range<u64> {
        let Sheet { load, numbers, per_row, earlier, .. } = sheet;
        let (first, rows) = (self.first + self.slots.len() as u64, numbers.len() / per_row);
        if rows > 0 {
            let load = Arc::new(load);
            self.sheets.push_back(Open { load, first, rows: 0..rows, numbers, per_row, earlier });
            self.slots.extend(std::iter::repeat_n(None, rows));
        }
        first..first + rows as u64
    }

    /// A row's numbers; none where the row is not here.
    pub fn numbers(&self, row: u64) -> &[Result<Mobile, Refusal>] {
        let find = || {
            let (sheet, at) = self.find(row)?;
            let start = at * sheet.per_row.get();
            sheet.numbers.get(start..start + sheet.per_row.get())
        };
        find().unwrap_or_default()
    }

    /// The status that a row came with.
    #[must_use]
    pub fn earlier(&self, row: u64) -> Option<Status> {
        let (sheet, at) = self.find(row)?;
        sheet.earlier.get(at).copied()
    }

    /// A row's sheet, and its place in it.
    fn find(&self, row: u64) -> Option<(&Open<L>, usize)> {
        let behind = self.sheets.partition_point(|sheet| sheet.first <= row);
        let sheet = self.sheets.get(behind.checked_sub(1)?)?;
        Some((sheet, usize::try_from(row - sheet.first).ok()?))
    }

    /// A row does not have its turn any more: it keeps the answer that it came with, or has `pending`. Gives its status.
    pub fn pass_over(&mut self, row: u64, pending: Answer) -> Status {
        let answer = self.earlier(row).map_or(pending, Answer::earlier);
        let status = answer.outcome.status;
        self.passed_over += u64::from(self.settle(row, answer));
        status
    }

    /// Whether every row that came has left after its turn.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.is_empty() && self.passed_over == 0
    }

    /// A row has its answer. False, and nothing changes, for a row that is not here or has one already.
    pub fn settle(&mut self, row: u64, answer: Answer) -> bool {
        let at = row.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.slots.get_mut(at)) {
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
        self.slots.len()
    }

    /// Whether no row is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many rows can leave.
    pub fn settled(&mut self) -> usize {
        while self.slots.get(self.settled).is_some_and(Option::is_some) {
            self.settled += 1;
        }
        self.settled
    }

    /// The settled rows at the front, as far as the first sheet goes.
    pub fn take(&mut self) -> Option<Chunk<L>> {
        let settled = self.settled();
        let sheet = self.sheets.front_mut()?;
        let settled = settled.min(sheet.rows.len());
        if settled == 0 {
            return None;
        }
        self.settled -= settled;
        let rows = sheet.rows.start..sheet.rows.start + settled;
        let answers = self.slots.drain(..settled).flatten().collect();
        self.first += settled as u64;
        sheet.rows.start = rows.end;
        let load = Arc::clone(&sheet.load);
        if sheet.rows.is_empty() {
            self.sheets.pop_front();
        }
        Some(Chunk { load, rows, answers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::disk::prefetch::Foreseen;

    fn answer(row: u64) -> Answer {
        Answer::new(0, Arc::new(Outcome::bare(Status::Failed, None, row.to_string())))
    }

    #[test]
    fn a_row_whose_turn_does_not_come_keeps_what_it_came_with() {
        let mut reorder = Reorder::default();
        let sheet = |earlier: &[Status], rows| Sheet {
            load: (),
            numbers: vec![Err(Refusal::Empty); rows],
            per_row: NonZeroUsize::MIN,
            earlier: earlier.to_vec(),
            foreseen: Foreseen::default(),
        };
        reorder.push(sheet(&[Status::Found, Status::Failed], 2));
        reorder.push(sheet(&[], 1));
        let found = [0, 1, 2, 3].map(|row| reorder.earlier(row));
        assert_eq!(found, [Some(Status::Found), Some(Status::Failed), None, None]);
        let pending = Answer::new(0, Arc::new(Outcome::pending("a limit")));
        reorder.settle(0, Answer::earlier(Status::Found));
        assert_eq!(reorder.pass_over(1, pending.clone()), Status::Failed);
        assert_eq!(reorder.pass_over(2, pending.clone()), Status::Pending);
        assert!(!reorder.is_through());
        let left: Vec<_> =
            std::iter::from_fn(|| reorder.take()).flat_map(|chunk| chunk.answers).collect();
        assert_eq!(
            left,
            [Answer::earlier(Status::Found), Answer::earlier(Status::Failed), pending]
        );
        // That they have left does not make up for it.
        assert!(reorder.is_empty() && !reorder.is_through());
        assert!(Reorder::<()>::default().is_through());
    }

    proptest! {
        /// Sheets of any size, settled in any order, taken at any moment: every row leaves once, in order, with
        /// its own answer and its own place in its own sheet.
        #[test]
        fn any_order_in_one_order_out(
            sizes in proptest::collection::vec(0..9usize, 1..12),
            order in any::<u64>(),
            taking in 1..7u64,
            per_row in (1..4usize).prop_map(|n| NonZeroUsize::new(n).unwrap()),
        ) {
            let (mut reorder, mut expected) = (Reorder::default(), Vec::new());
            for (sheet, rows) in sizes.iter().enumerate() {
                let numbers = (0..rows * per_row.get()).map(|n| Err(Refusal::TooLong(sheet * 100 + n)));
                reorder.push(Sheet { load: sheet, numbers: numbers.collect(), per_row, earlier: Vec::new(), foreseen: Foreseen::default() });
                expected.extend((0..*rows).map(|row| (sheet, row)));
            }
            let mut rows: Vec<u64> = (0..expected.len() as u64).collect();
            fastrand::Rng::with_seed(order).shuffle(&mut rows);
            for (row, (sheet, at)) in (0..).zip(&expected) {
                let first = sheet * 100 + at * per_row.get();
                let numbers: Vec<_> = (first..first + per_row.get()).map(|n| Err(Refusal::TooLong(n))).collect();
                prop_assert_eq!(reorder.numbers(row), numbers);
            }
            prop_assert!(reorder.numbers(expected.len() as u64).is_empty());
            let mut left = Vec::new();
            for (step, row) in (1..).zip(&rows) {
                prop_assert!(reorder.settle(*row, answer(*row)));
                prop_assert!(!reorder.settle(*row, answer(*row)), "a row settles once");
                while step % taking == 0 && let Some(chunk) = reorder.take() {
                    left.extend(chunk.rows.map(|row| (*chunk.load, row)).zip(chunk.answers));
                }
            }
            while let Some(chunk) = reorder.take() {
                left.extend(chunk.rows.map(|row| (*chunk.load, row)).zip(chunk.answers));
            }
            let (places, answers): (Vec<_>, Vec<_>) = left.into_iter().unzip();
            prop_assert_eq!(places, expected);
            let numbers: Vec<_> = (0..answers.len() as u64).map(answer).collect();
            prop_assert_eq!(answers, numbers);
            prop_assert!(reorder.is_empty() && reorder.settled() == 0);
        }
    }
}
