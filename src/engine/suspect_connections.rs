//! The connections on which a reply came that belongs to another call or to none: the next reply on
//! them may be that of another call too. Later calls use new connections.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// More replies than arrive while one call waits for its own.
const CAPACITY: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct SuspectConnections {
    /// Counts the resets of connections. A call remembers the count at which it was sent.
    epoch: u64,
    /// Oldest first, each with the count of resets when it became suspect. A later connection can
    /// have the same address.
    suspects: VecDeque<(SocketAddr, u64)>,
}

impl SuspectConnections {
    #[must_use]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A reply to another call or to none came, on this connection if that is known. The caller
    /// makes later calls on new connections.
    pub(crate) fn on_unsolicited_reply(&mut self, connection: Option<SocketAddr>) {
        self.suspects.extend(connection.map(|connection| (connection, self.epoch)));
        if self.suspects.len() > CAPACITY {
            self.suspects.pop_front();
        }
        self.epoch += 1;
    }

    /// Whether the reply to a call that was sent at this count of resets came on a connection that
    /// is suspect.
    #[must_use]
    pub(crate) fn contains(&self, connection: Option<SocketAddr>, sent_epoch: u64) -> bool {
        let Some(connection) = connection else { return false };
        let mut since_sent =
            self.suspects.iter().rev().take_while(|(_, epoch)| *epoch >= sent_epoch);
        since_sent.any(|(suspect, _)| *suspect == connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_on_the_same_connection_that_were_sent_before_are_suspect() {
        let connection = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut connections = SuspectConnections::default();
        connections.on_unsolicited_reply(connection(1));
        connections.on_unsolicited_reply(None);
        connections.on_unsolicited_reply(connection(2));
        assert_eq!(connections.epoch(), 3);
        assert!(connections.contains(connection(1), 0) && !connections.contains(connection(1), 1));
        assert!((0..3).all(|sent_epoch| connections.contains(connection(2), sent_epoch)));
        assert!(!connections.contains(connection(2), 3) && !connections.contains(connection(3), 0));
        assert!(!connections.contains(None, 0), "only that call itself is suspect");
        for _ in 0..2 * CAPACITY {
            connections.on_unsolicited_reply(connection(3));
        }
        assert_eq!(connections.suspects.len(), CAPACITY);
    }
}
