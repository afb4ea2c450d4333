//! Receives batches round-robin from one or more worker threads, in the order of the input.

use tokio::sync::mpsc;

use crate::engine::limits::RowBatch;

/// A batch, an error, or `None` at the end of the input. A worker that closes its queue without the
/// `None` has lost rows.
pub(crate) type BatchResult<L, E> = Result<Option<RowBatch<L>>, E>;

#[derive(Debug)]
pub struct RoundRobinReceiver<L, E> {
    receivers: Vec<mpsc::Receiver<BatchResult<L, E>>>,
    /// The index of the receiver of the next batch.
    next: usize,
}

impl<L, E> RoundRobinReceiver<L, E> {
    /// Takes the first batch from the first worker, the second from the second, and so on.
    #[must_use]
    pub fn new(receivers: Vec<mpsc::Receiver<BatchResult<L, E>>>) -> Self {
        Self { receivers, next: 0 }
    }

    /// Waits for the next batch; `None` if its worker closed the queue. Cancel safe.
    pub async fn recv(&mut self) -> Option<BatchResult<L, E>> {
        let batch = self.receivers.get_mut(self.next)?.recv().await;
        self.next = (self.next + 1) % self.receivers.len();
        batch
    }
}

impl<L, E> From<mpsc::Receiver<BatchResult<L, E>>> for RoundRobinReceiver<L, E> {
    fn from(receiver: mpsc::Receiver<BatchResult<L, E>>) -> Self {
        Self::new(vec![receiver])
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::store::disk::prefetch::Prefetched;

    fn batch(payload: usize) -> RowBatch<usize> {
        RowBatch {
            source_bytes: 0,
            payload,
            mobiles: Vec::new(),
            numbers_per_row: NonZeroUsize::MIN,
            judgements: Vec::new(),
            prefetched: Prefetched::default(),
        }
    }

    proptest! {
        /// With any number of workers, and whichever is faster, batches arrive in order.
        #[test]
        fn batches_arrive_in_input_order(
            workers in 1..5usize,
            count in 0..40usize,
            delays in any::<u64>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build();
            let received = runtime.unwrap().block_on(async {
                let mut receivers = Vec::new();
                for worker in 0..workers {
                    let (sender, receiver) = mpsc::channel::<BatchResult<usize, ()>>(1);
                    receivers.push(receiver);
                    tokio::spawn(async move {
                        for index in (worker..=count).step_by(workers) {
                            let delay = delays.rotate_left(u32::try_from(index).unwrap()) % 4;
                            tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
                            let batch = (index < count).then(|| batch(index));
                            sender.send(Ok(batch)).await.unwrap();
                        }
                        // A queue stays open until the run drops its receiver.
                        sender.closed().await;
                    });
                }
                let (mut batches, mut received) = (RoundRobinReceiver::new(receivers), Vec::new());
                while let Some(Ok(Some(batch))) = batches.recv().await {
                    received.push(batch.payload);
                }
                received
            });
            prop_assert_eq!(received, (0..count).collect::<Vec<_>>());
        }
    }
}
