//! The newest entries, in memory, so that followers near the head never touch the disk.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use crate::event::EventId;
use crate::eventlog::{Entry, Page, Position};

/// What the tree of an event's data takes, next to its text.
const TREE: usize = 4;

/// A run of entries without gaps that ends at the head, bounded by bytes.
#[derive(Debug)]
pub(super) struct Tail {
    limit: usize,
    run: RwLock<TailRun>,
}

#[derive(Debug, Default)]
struct TailRun {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Tail {
    /// Starts empty; keeps at most `limit` bytes, and always the newest entry.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, run: RwLock::default() }
    }

    /// Adds entries that follow the last one.
    pub(super) fn extend(&self, entries: impl IntoIterator<Item = Arc<Entry>>) {
        let mut run = self.run.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            run.bytes += held_bytes(&entry);
            run.entries.push_back(entry);
        }
        while run.bytes > self.limit && run.entries.len() > 1 {
            if let Some(oldest) = run.entries.pop_front() {
                run.bytes -= held_bytes(&oldest);
            }
        }
    }

    /// Forgets entries up to a position, because the log has dropped them.
    pub(super) fn drop_through(&self, position: Position) {
        let mut run = self.run.write().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = run.entries.pop_front_if(|entry| entry.position <= position) {
            run.bytes -= held_bytes(&oldest);
        }
    }

    /// Reads entries after a position, or nothing if the run begins later than that.
    pub(super) fn read(&self, after: Position, page: Page) -> Option<Vec<Arc<Entry>>> {
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner);
        let first = run.entries.front()?.position;
        let skip = usize::try_from((after.0 + 1).checked_sub(first.0)?).ok()?;
        let mut taken = Filling::new(page);
        Some(
            run.entries
                .iter()
                .skip(skip)
                .take_while(|entry| taken.accepts(entry.weight()))
                .map(Arc::clone)
                .collect(),
        )
    }

    /// Finds an entry by id, if it is recent.
    pub(super) fn find(&self, id: EventId) -> Option<Arc<Entry>> {
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner);
        let at = run.entries.binary_search_by_key(&id, |entry| entry.event.id).ok()?;
        run.entries.get(at).map(Arc::clone)
    }

    /// The position just before the first entry with this id or a higher one, or nothing if that
    /// may lie before the run.
    pub(super) fn seek(&self, from: EventId) -> Option<Position> {
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner);
        let first = run.entries.front()?;
        let before = run.entries.partition_point(|entry| entry.event.id < from);
        (before > 0).then(|| Position(first.position.0 - 1 + before as u64))
    }
}

/// What an entry takes once followers have matched it, and its data is parsed.
fn held_bytes(entry: &Entry) -> usize {
    entry.weight() + TREE * entry.event.data.text().len()
}

/// Counts what goes into a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    page: Page,
    empty: bool,
}

impl Filling {
    /// Starts an empty page.
    pub(super) const fn new(page: Page) -> Self {
        Self { page, empty: true }
    }

    /// Takes one more item of so many bytes if there is room; an empty page has room for any one.
    pub(super) fn accepts(&mut self, bytes: usize) -> bool {
        let fits = self.page.items > 0 && (self.empty || bytes <= self.page.bytes);
        if fits {
            self.empty = false;
            self.page.items -= 1;
            self.page.bytes = self.page.bytes.saturating_sub(bytes);
        }
        fits
    }

    /// Tells whether there is certainly no room for another item.
    pub(super) const fn is_full(&self) -> bool {
        self.page.items == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::eventlog::conformance::draft;

    fn entry(position: u64) -> Arc<Entry> {
        let id = EventId::first_of(position * 10);
        Arc::new(Entry::new(draft("a"), id, Position(position), Timestamp::EPOCH))
    }

    #[test]
    fn the_tail_forgets_the_oldest_first_and_says_when_it_cannot_tell() {
        let tail = Tail::new(held_bytes(&entry(1)) * 3);
        assert!(tail.read(Position::START, Page::default()).is_none());

        tail.extend((1..=5).map(entry));

        assert!(tail.read(Position(1), Page::default()).is_none());
        let read = tail.read(Position(2), Page::default()).unwrap();
        assert_eq!(read.iter().map(|e| e.position.0).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(tail.read(Position(5), Page::default()).unwrap(), []);
        assert!(tail.find(EventId::first_of(20)).is_none());
        assert_eq!(tail.find(EventId::first_of(40)).unwrap().position, Position(4));
        assert_eq!(tail.seek(EventId::first_of(30)), None);
        assert_eq!(tail.seek(EventId::first_of(31)), Some(Position(3)));
        assert_eq!(tail.seek(EventId::MAX), Some(Position(5)));
    }

    #[test]
    fn a_page_is_bounded_by_items_and_bytes_and_never_empty_for_size() {
        let mut page = Filling::new(Page { items: 2, bytes: 10 });
        assert!(page.accepts(50));
        assert!(!page.accepts(1));

        let mut page = Filling::new(Page { items: 2, bytes: 10 });
        assert_eq!([page.accepts(4), page.accepts(4), page.accepts(1)], [true, true, false]);
    }
}
