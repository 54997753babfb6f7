//! Entries that were read from the log below and that someone still works on: who reads the same meanwhile
//! shares them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::eventlog::page::Filling;
use crate::eventlog::{Entry, Page, Position};

/// Places are forgotten whose entries nobody holds once there are so many, or twice as many as were held.
const SWEEP_AT: usize = 4096;

/// Such entries by their position. It keeps none alive.
#[derive(Debug, Default)]
pub(super) struct ReadBack(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<Position, Weak<Entry>>,
    /// How many were held when it was swept last.
    swept: usize,
}

impl ReadBack {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page after a position, if someone holds every entry of it.
    pub(super) fn read(&self, after: Position, page: Page) -> Option<Vec<Arc<Entry>>> {
        let held = self.held();
        let (mut taken, mut entries) = (Filling::new(page), Vec::new());
        let first = after.0 + 1;
        for (expected, (position, entry)) in (first..).zip(held.entries.range(Position(first)..)) {
            // What is not there was dropped, or is to be read.
            let entry = entry.upgrade().filter(|_| position.0 == expected)?;
            if !taken.accepts(entry.weight()) {
                return Some(entries);
            }
            entries.push(entry);
            if taken.is_full() {
                return Some(entries);
            }
        }
        None
    }

    /// Notes a page that was read from below; gives the entries that someone holds in place of those that
    /// were read again.
    pub(super) fn share(&self, page: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let mut held = self.held();
        let shared = page.into_iter().map(|read| held.share(read)).collect();
        if held.entries.len() >= SWEEP_AT.max(2 * held.swept) {
            held.entries.retain(|_, entry| entry.strong_count() > 0);
            held.swept = held.entries.len();
        }
        shared
    }
}

impl Held {
    fn share(&mut self, read: Arc<Entry>) -> Arc<Entry> {
        if let Some(held) = self.entries.get(&read.position).and_then(Weak::upgrade) {
            return held;
        }
        self.entries.insert(read.position, Arc::downgrade(&read));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, Timestamp};
    use crate::eventlog::conformance::draft;

    const ALL: Page = Page { items: 3, bytes: usize::MAX };

    fn entry(position: u64) -> Arc<Entry> {
        let id = EventId::first_of(position);
        Arc::new(Entry::new(draft("a"), id, Position(position), Timestamp::EPOCH))
    }

    fn positions(page: Option<Vec<Arc<Entry>>>) -> Option<Vec<u64>> {
        page.map(|page| page.iter().map(|entry| entry.position.0).collect())
    }

    #[test]
    fn who_reads_what_someone_holds_shares_it() {
        let read_back = ReadBack::default();
        let first = read_back.share((1..=4).map(entry).collect());

        let again = read_back.share((3..=5).map(entry).collect());

        assert!(Arc::ptr_eq(&first[2], &again[0]) && Arc::ptr_eq(&first[3], &again[1]));
        let page = read_back.read(Position(2), ALL).unwrap();
        assert!(page.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
    }

    #[test]
    fn a_page_is_whole_or_read_from_below() {
        let read_back = ReadBack::default();
        let mut held = read_back.share([1, 2, 3, 5, 6, 7].map(entry).into());

        let read = |after, page| positions(read_back.read(Position(after), page));
        assert_eq!(read(0, ALL), Some(vec![1, 2, 3]));
        assert_eq!(read(0, Page { bytes: 1, ..ALL }), Some(vec![1]), "one is always read");
        assert_eq!(read(1, ALL), None, "there is a hole");
        assert_eq!(read(5, ALL), None, "what follows is to be read");
        held.remove(1);
        assert_eq!(read(0, ALL), None, "nobody holds one of them");
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let read_back = ReadBack::default();
        for position in (0..10 * SWEEP_AT as u64).step_by(256) {
            read_back.share((position..position + 256).map(entry).collect());
        }

        assert!(read_back.held().entries.len() <= SWEEP_AT);
    }
}
