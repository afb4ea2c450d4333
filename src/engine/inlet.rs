//! Where sheets come in: by one or more lanes, each a thread that has every so-maniest sheet, so that together they are in their
//! order. Leaves what the threads do to `feed`.

use tokio::sync::mpsc;

use crate::engine::settings::Sheet;

/// What comes by a lane: sheets, and at the end an explicit nothing. A lane that closes without it has lost rows.
pub type Coming<L, E> = Result<Option<Sheet<L>>, E>;

/// The lanes.
#[derive(Debug)]
pub struct Inlet<L, E> {
    lanes: Vec<mpsc::Receiver<Coming<L, E>>>,
    /// That of the next sheet.
    next: usize,
}

impl<L, E> Inlet<L, E> {
    /// Takes the first sheet from the first lane, the second from the second, and so on all around.
    #[must_use]
    pub fn of(lanes: Vec<mpsc::Receiver<Coming<L, E>>>) -> Self {
        Self { lanes, next: 0 }
    }

    /// Waits for the next sheet; none where its lane has closed. Giving the wait up loses nothing.
    pub async fn recv(&mut self) -> Option<Coming<L, E>> {
        let sheet = self.lanes.get_mut(self.next)?.recv().await;
        self.next = (self.next + 1) % self.lanes.len();
        sheet
    }
}

impl<L, E> From<mpsc::Receiver<Coming<L, E>>> for Inlet<L, E> {
    fn from(lane: mpsc::Receiver<Coming<L, E>>) -> Self {
        Self::of(vec![lane])
    }
}
