//! Where sheets come in: by one or more lanes, each a thread that has every so-maniest sheet, so that together they are in their
//! order. Leaves what the threads do to `feed`.

use tokio::sync::mpsc;

use crate::engine::limits::RowBatch;

/// What comes by a lane: sheets, and at the end an explicit nothing. A lane that closes without it has lost rows.
pub(crate) type BatchResult<L, E> = Result<Option<RowBatch<L>>, E>;

/// The lanes.
#[derive(Debug)]
pub struct RoundRobinReceiver<L, E> {
    receivers: Vec<mpsc::Receiver<BatchResult<L, E>>>,
    /// That of the next sheet.
    next: usize,
}

impl<L, E> RoundRobinReceiver<L, E> {
    /// Takes the first sheet from the first lane, the second from the second, and so on all around.
    #[must_use]
    pub fn new(lanes: Vec<mpsc::Receiver<BatchResult<L, E>>>) -> Self {
        Self { receivers: lanes, next: 0 }
    }

    /// Waits for the next sheet; none where its lane has closed. Giving the wait up loses nothing.
    pub async fn recv(&mut self) -> Option<BatchResult<L, E>> {
        let sheet = self.receivers.get_mut(self.next)?.recv().await;
        self.next = (self.next + 1) % self.receivers.len();
        sheet
    }
}

impl<L, E> From<mpsc::Receiver<BatchResult<L, E>>> for RoundRobinReceiver<L, E> {
    fn from(lane: mpsc::Receiver<BatchResult<L, E>>) -> Self {
        Self::new(vec![lane])
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::store::disk::prefetch::Prefetched;

    fn sheet(load: usize) -> RowBatch<usize> {
        RowBatch {
            payload: load,
            mobiles: Vec::new(),
            numbers_per_row: NonZeroUsize::MIN,
            earlier_statuses: Vec::new(),
            prefetched: Prefetched::default(),
        }
    }

    proptest! {
        /// However many lanes there are, and whichever of them is faster, sheets come in their order up to the end.
        #[test]
        fn batches_arrive_in_input_order(lanes in 1..5usize, count in 0..40usize, late in any::<u64>()) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let came = runtime.unwrap().block_on(async {
                let mut receivers = Vec::new();
                for lane in 0..lanes {
                    let (sender, receiver) = mpsc::channel::<BatchResult<usize, ()>>(1);
                    receivers.push(receiver);
                    tokio::spawn(async move {
                        for at in (lane..=count).step_by(lanes) {
                            let wait = late.rotate_left(u32::try_from(at).unwrap()) % 4;
                            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
                            let sheet = (at < count).then(|| sheet(at));
                            sender.send(Ok(sheet)).await.unwrap();
                        }
                        // A lane stays open until the run lets go of it.
                        sender.closed().await;
                    });
                }
                let (mut inlet, mut came) = (RoundRobinReceiver::new(receivers), Vec::new());
                while let Some(Ok(Some(sheet))) = inlet.recv().await {
                    came.push(sheet.payload);
                }
                came
            });
            prop_assert_eq!(came, (0..count).collect::<Vec<_>>());
        }
    }
}
