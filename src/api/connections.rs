//! Counts open connections, by peer and in all, and knows which have not asked for anything yet.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::Config;
use crate::api::peer::Peer;

/// The open connections of a listener.
pub(super) struct OpenConnections {
    places: Arc<Semaphore>,
    most_of_peer: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_peer: HashMap<Peer, usize>,
    /// Those whose first request has not come whole, the oldest first, and what ends them.
    silent: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// The place of one connection, which is free again once this is dropped.
pub(super) struct ConnectionPlace {
    connections: Arc<OpenConnections>,
    peer: Peer,
    number: u64,
    /// Ends the connection to make room for another one.
    pub(super) evicted: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl OpenConnections {
    /// Starts with none.
    pub(super) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(config.max_connections)),
            most_of_peer: config.max_connections_per_peer,
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a place: nothing if its peer has as many as it may. Where all places are
    /// taken, the connection that has been silent for longest is ended, and if none is, this waits.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a place that nobody waits for any more is free.
    pub(super) async fn enter(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPlace> {
        let peer = Peer::of(address);
        if self.open().by_peer.get(&peer).is_some_and(|open| *open >= self.most_of_peer) {
            return None;
        }
        if self.places.available_permits() == 0 {
            self.evict_the_most_silent();
        }
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        *open.by_peer.entry(peer).or_default() += 1;
        let evicted = CancellationToken::new();
        open.silent.insert(number, evicted.clone());
        let connections = Arc::clone(self);
        Some(ConnectionPlace { connections, peer, number, evicted, _place: place })
    }

    fn evict_the_most_silent(&self) {
        if let Some((_, oldest)) = self.open().silent.pop_first() {
            oldest.cancel();
        }
    }
}

impl ConnectionPlace {
    /// Notes that a request has come.
    pub(super) fn asks(&self) {
        self.connections.open().silent.remove(&self.number);
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.silent.remove(&self.number);
        if let Some(count) = open.by_peer.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn connections(all: usize, of_peer: usize) -> Arc<OpenConnections> {
        OpenConnections::new(&Config {
            max_connections: all,
            max_connections_per_peer: of_peer,
            ..Config::default()
        })
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[tokio::test]
    async fn a_peer_has_so_many_places_and_no_more() {
        let connections = connections(10, 2);
        let first = connections.enter(address(1)).await;
        let second = connections.enter(address(1)).await;

        assert!(first.is_some() && second.is_some());
        assert!(connections.enter(address(1)).await.is_none());
        assert!(connections.enter(address(2)).await.is_some());
        drop(first);
        assert!(connections.enter(address(1)).await.is_some());
        drop(second);
        assert_eq!(connections.open().by_peer.len(), 0);
    }

    #[tokio::test]
    async fn who_is_silent_makes_room_and_who_asks_does_not() {
        let connections = connections(2, 2);
        let asking = connections.enter(address(1)).await.unwrap();
        let silent = connections.enter(address(2)).await.unwrap();
        asking.asks();

        let waiting = connections.enter(address(3));
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(silent.evicted.is_cancelled() && !asking.evicted.is_cancelled());
        drop(silent);
        let third = waiting.await.unwrap();

        third.asks();
        let mut waiting = std::pin::pin!(connections.enter(address(4)));
        assert!(waiting.as_mut().now_or_never().is_none(), "nobody is silent");
        drop(asking);
        assert!(waiting.await.is_some());
    }
}
