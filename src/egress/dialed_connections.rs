//! How many connections are open, and how many stay so between two requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many connections, of all clients together, may be open and wait for their next request. One takes
/// about 20 KB, and 40 KB with TLS; sixteen for each of a thousand sinks are too many to keep.
const MOST: usize = 2048;

/// Counts the connections that are open.
#[derive(Clone, Debug)]
pub(super) struct DialedConnections {
    count: Arc<AtomicUsize>,
    most: usize,
}

/// One of them. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct DialedConnection {
    count: Arc<AtomicUsize>,
    is_kept: bool,
}

impl Default for DialedConnections {
    fn default() -> Self {
        Self::keeping(MOST)
    }
}

impl DialedConnections {
    /// Lets so many wait.
    pub(super) fn keeping(most: usize) -> Self {
        Self { count: Arc::default(), most }
    }

    /// Counts one more.
    pub(super) fn add(&self) -> DialedConnection {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        DialedConnection { count: Arc::clone(&self.count), is_kept: before < self.most }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl DialedConnection {
    /// Whether it stays open for another request: not where there were many already.
    pub(super) const fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl Drop for DialedConnection {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
