//! The newest entries, in memory, so that followers near the head never touch the disk.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use crate::event::EventId;
use crate::eventlog::page::Filling;
use crate::eventlog::{Entry, Page, Position};

/// A run of entries without gaps that ends at the head, or near it, bounded by bytes.
#[derive(Debug)]
pub struct Tail {
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

    /// Adds entries if they join the end. Beyond a gap they are left to be read.
    pub(super) fn extend(&self, entries: impl IntoIterator<Item = Arc<Entry>>) {
        let mut run = self.run.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            match run.end() {
                Some(end) if entry.position <= end => {}
                Some(end) if entry.position.0 > end.0 + 1 => break,
                _ => run.push(entry),
            }
        }
        run.shrink(self.limit);
    }

    /// Adds a page that was read, if it joins the end. One that reaches the head does so also beyond
    /// a gap, and begins the run anew.
    pub(super) fn join(&self, page: &[Arc<Entry>], head: Position) {
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return };
        let end = self.run.read().unwrap_or_else(PoisonError::into_inner).end();
        let reaches = last.position >= head;
        let is_beyond = end.is_none_or(|end| first.position.0 > end.0 + 1);
        if end.is_some_and(|end| last.position <= end) || is_beyond && !reaches {
            return;
        }
        let whole = page
            .iter()
            .zip(page.iter().skip(1))
            .rposition(|(one, next)| next.position.0 != one.position.0 + 1);
        let whole = page.get(whole.map_or(0, |gap| gap + 1)..).unwrap_or_default();
        if is_beyond {
            *self.run.write().unwrap_or_else(PoisonError::into_inner) = TailRun::default();
        }
        self.extend(whole.iter().map(Arc::clone));
    }

    /// Forgets entries up to a position, because the log has dropped them.
    pub(super) fn drop_through(&self, position: Position) {
        let mut run = self.run.write().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = run.entries.pop_front_if(|entry| entry.position <= position) {
            run.bytes -= oldest.weight();
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
    /// may lie before the run, or between it and the head.
    pub(super) fn seek(&self, from: EventId, head: Position) -> Option<Position> {
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner);
        let (first, end) = (run.entries.front()?.position, run.end()?);
        let before = run.entries.partition_point(|entry| entry.event.id < from);
        let is_within = before > 0 && (before < run.entries.len() || end >= head);
        is_within.then(|| Position(first.0 - 1 + before as u64))
    }
}

impl TailRun {
    fn end(&self) -> Option<Position> {
        self.entries.back().map(|newest| newest.position)
    }

    fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
    }

    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit && self.entries.len() > 1 {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.weight();
            }
        }
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
        let tail = Tail::new(entry(1).weight() * 3);
        assert!(tail.read(Position::START, Page::default()).is_none());

        tail.extend((1..=5).map(entry));

        assert!(tail.read(Position(1), Page::default()).is_none());
        let read = tail.read(Position(2), Page::default()).unwrap();
        assert_eq!(read.iter().map(|e| e.position.0).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(tail.read(Position(5), Page::default()).unwrap(), []);
        assert!(tail.find(EventId::first_of(20)).is_none());
        assert_eq!(tail.find(EventId::first_of(40)).unwrap().position, Position(4));
        assert_eq!(tail.seek(EventId::first_of(30), Position(5)), None);
        assert_eq!(tail.seek(EventId::first_of(31), Position(5)), Some(Position(3)));
        assert_eq!(tail.seek(EventId::MAX, Position(5)), Some(Position(5)));
    }

    #[test]
    fn the_tail_never_has_a_gap_and_catches_up_with_what_was_read() {
        let tail = Tail::new(usize::MAX);
        let range = |from: u64, to: u64| (from..=to).map(entry).collect::<Vec<_>>();
        let held = || {
            let run = tail.run.read().unwrap();
            run.entries.iter().map(|entry| entry.position.0).collect::<Vec<_>>()
        };

        tail.join(&range(1, 2), Position(9));
        assert_eq!(held(), [0_u64; 0], "a page far from the head is not kept");
        tail.join(&[range(2, 2), range(4, 5)].concat(), Position(5));
        assert_eq!(held(), [4, 5], "what lies behind a hole is");
        tail.extend(range(8, 9));
        assert_eq!(held(), [4, 5], "6 and 7 were appended elsewhere");
        assert_eq!(tail.seek(EventId::MAX, Position(9)), None);
        tail.join(&range(6, 8), Position(9));
        tail.extend(range(8, 10));
        assert_eq!(held(), [4, 5, 6, 7, 8, 9, 10]);
        tail.join(&range(12, 12), Position(13));
        assert_eq!(held().last(), Some(&10));
        tail.join(&range(12, 13), Position(13));
        assert_eq!(held(), [12, 13]);
    }
}
