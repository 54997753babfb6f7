//! Lets those who want the same thing go one after the other, and nobody else wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Lock = Arc<AsyncMutex<()>>;

/// The locks by what they are for.
type Locks<K> = Arc<Mutex<BTreeMap<K, Lock>>>;

/// One lock for each key that somebody holds or waits for, and none for all others.
#[derive(Debug)]
pub struct Turns<K> {
    locks: Locks<K>,
}

/// The right to go on with what a key names, until this is dropped.
#[derive(Debug)]
pub struct Turn<K: Ord> {
    // In this order: the last who leaves takes the lock away.
    _held: OwnedMutexGuard<()>,
    _place: Place<K>,
}

/// Somebody who has a turn or waits for one.
#[derive(Debug)]
struct Place<K: Ord> {
    locks: Locks<K>,
    key: K,
    lock: Option<Lock>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { locks: Arc::default() }
    }
}

impl<K: Clone + Ord> Turns<K> {
    /// Waits until nobody else has this key's turn, and takes it; first come, first served.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever stops waiting has lost its place and nothing else.
    pub async fn take(&self, key: &K) -> Turn<K> {
        let lock = Arc::clone(locked(&self.locks).entry(key.clone()).or_default());
        let locks = Arc::clone(&self.locks);
        let place = Place { locks, key: key.clone(), lock: Some(Arc::clone(&lock)) };
        Turn { _held: lock.lock_owned().await, _place: place }
    }
}

#[cfg(test)]
impl<K> Turns<K> {
    /// Whether nobody has a turn or waits for one.
    pub(super) fn is_idle(&self) -> bool {
        locked(&self.locks).is_empty()
    }
}

fn locked<K>(locks: &Locks<K>) -> MutexGuard<'_, BTreeMap<K, Lock>> {
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Ord> Drop for Place<K> {
    fn drop(&mut self) {
        // Locks are handed out and given back under this one, so that none is counted twice.
        let mut locks = locked(&self.locks);
        self.lock = None;
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_key_has_one_turn_at_a_time_and_other_keys_do_not_wait() {
        let turns = Turns::default();
        let first = turns.take(&"a").await;
        let mut second = Box::pin(turns.take(&"a"));

        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.take(&"b").now_or_never().is_some());
        drop(first);
        drop(second.await);
        assert!(locked(&turns.locks).is_empty(), "nobody is left");
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take(&1).await;
        let mut gone = Box::pin(turns.take(&1));
        assert!(gone.as_mut().now_or_never().is_none());

        drop(gone);
        assert_eq!(locked(&turns.locks).len(), 1, "the first is there");
        drop(first);

        assert!(locked(&turns.locks).is_empty());
        assert!(turns.take(&1).now_or_never().is_some());
    }
}
