//! The reorder buffer: answers come in any order, rows leave in input order
//! ([row contract](crate::guide::architecture#row-contract)).

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::domain::judgement::Judgement;
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Outcome, Status};
use crate::engine::limits::{BATCH_ROWS, RowBatch};

/// How long answered rows wait for others to fill a batch while a number waits for its call: the
/// writer is not woken for each row.
const LINGER: Duration = Duration::from_millis(250);
/// When no row waits.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// Adjacent answered rows of one batch.
#[derive(Debug)]
pub struct Chunk<L> {
    /// The text of the batch.
    pub payload: Arc<L>,
    /// The rows of the batch.
    pub rows: Range<usize>,
    /// Their answers, one per row.
    pub answers: Vec<Answer>,
}

/// The answer of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which of the row's numbers it answers, from 0.
    pub nth: usize,
    pub outcome: Arc<Outcome>,
    /// Whether the row keeps the answer that it already had; `outcome` has only its status then.
    pub is_kept: bool,
}

impl Answer {
    #[must_use]
    pub fn new(nth: usize, outcome: Arc<Outcome>) -> Self {
        Self { nth, outcome, is_kept: false }
    }

    /// The answer of a row that keeps the one that it already had.
    #[must_use]
    pub fn for_kept_row(status: Status) -> Self {
        Self { nth: 0, outcome: Arc::new(Outcome::without_user(status, None, "")), is_kept: true }
    }
}

/// The rows that were read and not yet sent to the writer, in input order.
#[derive(Debug)]
pub struct ReorderBuffer<L> {
    batches: VecDeque<OpenBatch<L>>,
    /// The number of the row in the first slot of `answers`.
    first_row: u64,
    answers: VecDeque<Option<Answer>>,
    /// At least this many slots at the front have an answer.
    settled_rows: usize,
    /// Rows that were skipped because the run ended first.
    skipped_rows: u64,
}

#[derive(Debug)]
struct OpenBatch<L> {
    payload: Arc<L>,
    /// The number of the batch's first row.
    first_row: u64,
    /// The rows that were not sent yet.
    rows: Range<usize>,
    mobiles: Vec<Result<Mobile, Invalid>>,
    numbers_per_row: NonZeroUsize,
    /// One per row, or empty.
    judgements: Vec<Judgement>,
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
    /// Adds the rows of a batch and returns their numbers.
    pub fn push(&mut self, batch: RowBatch<L>) -> Range<u64> {
        let RowBatch { payload, mobiles, numbers_per_row, judgements, .. } = batch;
        let first_row = self.first_row + self.answers.len() as u64;
        let rows = mobiles.len() / numbers_per_row;
        if rows > 0 {
            self.batches.push_back(OpenBatch {
                payload: Arc::new(payload),
                first_row,
                rows: 0..rows,
                mobiles,
                numbers_per_row,
                judgements,
            });
            self.answers.extend(std::iter::repeat_n(None, rows));
        }
        first_row..first_row + rows as u64
    }

    /// The numbers of a row.
    ///
    /// # Panics
    /// If the row is not in the window: to skip it silently would lose it.
    pub fn mobiles(&self, row: u64) -> &[Result<Mobile, Invalid>] {
        let (batch, index) = self.locate(row);
        let start = index * batch.numbers_per_row.get();
        &batch.mobiles[start..start + batch.numbers_per_row.get()]
    }

    /// What becomes of the answer that a row already had when it was read; `None` if its table has
    /// no answers.
    ///
    /// # Panics
    /// If the row is not in the window.
    #[must_use]
    pub fn judgement(&self, row: u64) -> Option<Judgement> {
        let (batch, index) = self.locate(row);
        (!batch.judgements.is_empty()).then(|| batch.judgements[index])
    }

    /// The batch of a row, and the index of the row in it.
    fn locate(&self, row: u64) -> (&OpenBatch<L>, usize) {
        let following = self.batches.partition_point(|batch| batch.first_row <= row);
        let batch = &self.batches[following - 1];
        (batch, usize::try_from(row - batch.first_row).unwrap_or(usize::MAX))
    }

    /// Settles a row that is not attempted: it keeps the answer that it already had, or gets
    /// `pending`. Returns its status.
    pub fn skip(&mut self, row: u64, pending: Answer) -> Status {
        let fallback = self.judgement(row).and_then(Judgement::fallback_status);
        let answer = fallback.map_or(pending, Answer::for_kept_row);
        let status = answer.outcome.status;
        self.skipped_rows += u64::from(self.settle(row, answer));
        status
    }

    /// Whether every row was sent and none was skipped.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_empty() && self.skipped_rows == 0
    }

    /// Sets the answer of a row. Returns false, and changes nothing, if the row is not in the
    /// window or has an answer already.
    pub fn settle(&mut self, row: u64, answer: Answer) -> bool {
        let index = row.checked_sub(self.first_row).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.answers.get_mut(index)) {
            Some(slot @ None) => {
                *slot = Some(answer);
                true
            }
            _ => false,
        }
    }

    /// The rows in the window, settled or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The settled rows at the front.
    pub fn settled_rows(&mut self) -> usize {
        while self.answers.get(self.settled_rows).is_some_and(Option::is_some) {
            self.settled_rows += 1;
        }
        self.settled_rows
    }

    /// Removes the settled rows at the front that belong to the first batch.
    pub fn pop_chunk(&mut self) -> Option<Chunk<L>> {
        let settled = self.settled_rows();
        let batch = self.batches.front_mut()?;
        let settled = settled.min(batch.rows.len());
        if settled == 0 {
            return None;
        }
        self.settled_rows -= settled;
        let rows = batch.rows.start..batch.rows.start + settled;
        let answers = self.answers.drain(..settled).flatten().collect();
        self.first_row += settled as u64;
        batch.rows.start = rows.end;
        let payload = Arc::clone(&batch.payload);
        if batch.rows.is_empty() {
            self.batches.pop_front();
        }
        Some(Chunk { payload, rows, answers })
    }
}

/// When answered rows leave the window: full batches at once, fewer rows after [`LINGER`].
#[derive(Debug)]
pub(crate) struct FlushTimer {
    flush_at: Option<Instant>,
    /// One timer for all flushes, because resetting it is cheaper than a new one.
    timer: Pin<Box<Sleep>>,
}

impl Default for FlushTimer {
    fn default() -> Self {
        Self { flush_at: None, timer: Box::pin(sleep_until(Instant::now() + NEVER)) }
    }
}

impl FlushTimer {
    /// Whether the settled rows leave now. If no number waits for its call, they do not wait
    /// either: nobody knows when the next row settles.
    pub(crate) fn should_flush(&mut self, settled_rows: usize, has_queued_calls: bool) -> bool {
        if settled_rows == 0 {
            if self.flush_at.take().is_some() {
                self.timer.as_mut().reset(Instant::now() + NEVER);
            }
            return false;
        }
        if settled_rows >= BATCH_ROWS || !has_queued_calls {
            return true;
        }
        let now = Instant::now();
        let flush_at = *self.flush_at.get_or_insert_with(|| {
            self.timer.as_mut().reset(now + LINGER);
            now + LINGER
        });
        flush_at <= now
    }

    /// Waits until the settled rows leave.
    pub(crate) async fn wait(&mut self) {
        self.timer.as_mut().await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::judgement::AskReason;
    use crate::store::disk::prefetch::Prefetched;

    fn answer(row: u64) -> Answer {
        Answer::new(0, Arc::new(Outcome::without_user(Status::Failed, None, row.to_string())))
    }

    #[test]
    fn a_row_that_is_not_attempted_keeps_its_earlier_status() {
        let mut reorder = ReorderBuffer::default();
        let batch = |judgements: &[Judgement], rows| RowBatch {
            source_bytes: 0,
            payload: (),
            mobiles: vec![Err(Invalid::Empty); rows],
            numbers_per_row: NonZeroUsize::MIN,
            judgements: judgements.to_vec(),
            prefetched: Prefetched::default(),
        };
        let reason = AskReason::Changed;
        let answers = [
            Judgement::Keep(Status::Found),
            Judgement::Ask { reason, fallback: Some(Status::Failed) },
            Judgement::Ask { reason, fallback: None },
        ];
        reorder.push(batch(&answers, 3));
        reorder.push(batch(&[], 1));
        let earlier = [0, 1, 2, 3].map(|row| reorder.judgement(row));
        assert_eq!(earlier, [Some(answers[0]), Some(answers[1]), Some(answers[2]), None]);
        let pending = Answer::new(0, Arc::new(Outcome::pending("a limit")));
        reorder.settle(0, Answer::for_kept_row(Status::Found));
        assert_eq!(reorder.skip(1, pending.clone()), Status::Failed);
        assert_eq!(reorder.skip(2, pending.clone()), Status::Pending);
        assert_eq!(reorder.skip(3, pending.clone()), Status::Pending);
        assert!(!reorder.is_complete());
        let sent: Vec<_> =
            std::iter::from_fn(|| reorder.pop_chunk()).flat_map(|chunk| chunk.answers).collect();
        assert_eq!(
            sent,
            [
                Answer::for_kept_row(Status::Found),
                Answer::for_kept_row(Status::Failed),
                pending.clone(),
                pending,
            ]
        );
        // Skipped rows count although they were sent.
        assert!(reorder.is_empty() && !reorder.is_complete());
        assert!(ReorderBuffer::<()>::default().is_complete());
    }

    proptest! {
        /// Batches of any size, settled in any order, popped at any time: every row leaves once, in
        /// order, with its own answer and its index in its own batch.
        #[test]
        fn answers_in_any_order_leave_in_row_order(
            sizes in proptest::collection::vec(0..9usize, 1..12),
            order in any::<u64>(),
            pop_every in 1..7u64,
            numbers_per_row in (1..4usize).prop_map(|n| NonZeroUsize::new(n).unwrap()),
        ) {
            let (mut reorder, mut expected) = (ReorderBuffer::default(), Vec::new());
            for (batch, rows) in sizes.iter().enumerate() {
                let mobiles = (0..rows * numbers_per_row.get())
                    .map(|n| Err(Invalid::Rounded((batch * 100 + n).to_string())))
                    .collect();
                reorder.push(RowBatch {
                    source_bytes: 0,
                    payload: batch,
                    mobiles,
                    numbers_per_row,
                    judgements: Vec::new(),
                    prefetched: Prefetched::default(),
                });
                expected.extend((0..*rows).map(|row| (batch, row)));
            }
            let mut rows: Vec<u64> = (0..expected.len() as u64).collect();
            fastrand::Rng::with_seed(order).shuffle(&mut rows);
            for (row, (batch, index)) in (0..).zip(&expected) {
                let first = batch * 100 + index * numbers_per_row.get();
                let numbers: Vec<_> = (first..first + numbers_per_row.get())
                    .map(|n| Err(Invalid::Rounded(n.to_string())))
                    .collect();
                prop_assert_eq!(reorder.mobiles(row), numbers);
            }
            let mut sent = Vec::new();
            for (step, row) in (1..).zip(&rows) {
                prop_assert!(reorder.settle(*row, answer(*row)));
                prop_assert!(!reorder.settle(*row, answer(*row)), "a row settles once");
                while step % pop_every == 0 && let Some(chunk) = reorder.pop_chunk() {
                    sent.extend(chunk.rows.map(|row| (*chunk.payload, row)).zip(chunk.answers));
                }
            }
            while let Some(chunk) = reorder.pop_chunk() {
                sent.extend(chunk.rows.map(|row| (*chunk.payload, row)).zip(chunk.answers));
            }
            let (positions, answers): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
            prop_assert_eq!(positions, expected);
            let in_order: Vec<_> = (0..answers.len() as u64).map(answer).collect();
            prop_assert_eq!(answers, in_order);
            prop_assert!(reorder.is_empty() && reorder.settled_rows() == 0);
        }
    }
}
