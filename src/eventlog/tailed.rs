//! Any log, with its newest entries in memory, so that followers near the head never touch the
//! disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::read_back::ReadBack;
use crate::eventlog::{
    Aged, Appended, DiskLevel, Draft, Entry, Extent, Log, LogError, LowWatermark, Observed, Page,
    Position, Retention, Tail, Trimmed,
};

/// A log that reads its newest entries from memory. A log that feeds it hands over whatever is
/// appended. What another process appends to the log below is read from there, and checked for holes.
pub struct Tailed {
    below: Arc<dyn Log>,
    tail: Arc<Tail>,
    /// What was read from below and is still held.
    read_back: ReadBack,
    /// Whether every new entry enters it below.
    is_fed: bool,
}

impl Tailed {
    /// Keeps at most so many bytes of the newest entries of a log, and always the newest one.
    pub fn over(below: Arc<dyn Log>, bytes: usize) -> Arc<Self> {
        let tail = Arc::new(Tail::new(bytes));
        let is_fed = below.feed(Arc::clone(&tail));
        Arc::new(Self { below, tail, read_back: ReadBack::default(), is_fed })
    }

    /// Refuses a page with a hole above the low watermark, when that is as new as the page.
    async fn must_be_dense(
        &self,
        (after, head): (Position, Position),
        page: &[Arc<Entry>],
    ) -> Result<(), LogError> {
        let Some(at) = last_missing(after, head, page) else { return Ok(()) };
        if at > self.low_watermark().position {
            self.fresh_head().await?;
        }
        if at > self.low_watermark().position { Err(LogError::Hole { at }) } else { Ok(()) }
    }
}

/// The last position that a page leaves out, though a later one is there.
fn last_missing(after: Position, head: Position, page: &[Arc<Entry>]) -> Option<Position> {
    let mut expected = after.0 + 1;
    let mut missing = (page.is_empty() && after < head).then_some(head);
    for entry in page {
        if entry.position.0 != expected {
            missing = Some(Position(entry.position.0 - 1));
        }
        expected = entry.position.0 + 1;
    }
    missing
}

#[async_trait]
impl Log for Tailed {
    async fn append(&self, batch: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        self.below.append(batch).await
    }

    fn head(&self) -> Position {
        self.below.head()
    }

    async fn fresh_head(&self) -> Result<Position, LogError> {
        self.below.fresh_head().await
    }

    fn disk(&self) -> DiskLevel {
        self.below.disk()
    }

    fn low_watermark(&self) -> LowWatermark {
        self.below.low_watermark()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.below.watch()
    }

    async fn read(&self, after: Position, page: Page) -> Result<Vec<Arc<Entry>>, LogError> {
        let recent = self.tail.read(after, page).filter(|recent| !recent.is_empty());
        if let Some(recent) = recent {
            return Ok(recent);
        }
        // What retention has passed may be gone below.
        if after >= self.low_watermark().position
            && let Some(held) = self.read_back.read(after, page)
        {
            return Ok(held);
        }
        let head = self.head();
        let read = self.below.read(after, page).await?;
        if !self.is_fed {
            if page.items > 0 {
                self.must_be_dense((after, head), &read).await?;
            }
            self.tail.join(&read, head);
        }
        Ok(self.read_back.share(read))
    }

    async fn find(&self, ids: &[EventId]) -> Result<Vec<Option<Arc<Entry>>>, LogError> {
        let mut found: Vec<_> = ids.iter().map(|id| self.tail.find(*id)).collect();
        let missing: Vec<EventId> = ids
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(id, _)| *id)
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let older = self.below.find(&missing).await?;
        let places = found.iter_mut().filter(|found| found.is_none());
        places.zip(older).for_each(|(place, entry)| *place = entry);
        Ok(found)
    }

    async fn of_envelope(
        &self,
        envelope_id: &str,
        after: Position,
        page: Page,
    ) -> Result<Vec<Arc<Entry>>, LogError> {
        self.below.of_envelope(envelope_id, after, page).await
    }

    async fn observed(&self, at: Position) -> Result<Option<Observed>, LogError> {
        self.below.observed(at).await
    }

    async fn seek(&self, from: EventId) -> Result<Position, LogError> {
        match self.tail.seek(from, self.head()) {
            Some(position) => Ok(position),
            None => self.below.seek(from).await,
        }
    }

    async fn aged(&self, age: Duration) -> Result<Aged, LogError> {
        self.below.aged(age).await
    }

    async fn extent(&self, released: &BTreeSet<SubscriptionId>) -> Result<Extent, LogError> {
        self.below.extent(released).await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, LogError> {
        let trimmed = self.below.trim(retention).await;
        self.tail.drop_through(self.low_watermark().position);
        trimmed
    }

    async fn close(&self) -> Result<(), LogError> {
        self.below.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::Timestamp;
    use crate::eventlog::conformance::draft;
    use crate::eventlog::{LogLimits, MemoryLog, RemoteStore};

    fn shared() -> Arc<MemoryLog> {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        MemoryLog::new(LogLimits::default(), clock, Arc::new(SeededEntropy::new(1)))
    }

    async fn append(log: &dyn Log, words: &[&str]) {
        log.append(words.iter().map(|word| draft(word)).collect()).await.unwrap();
    }

    async fn positions(log: &dyn Log, after: u64) -> Vec<u64> {
        let read = log.read(Position(after), Page::default()).await.unwrap();
        read.iter().map(|entry| entry.position.0).collect()
    }

    #[tokio::test]
    async fn what_others_append_is_read_once_and_then_in_memory() {
        let shared = shared();
        let log = Tailed::over(RemoteStore::over(Arc::clone(&shared)), usize::MAX);
        append(&*shared, &["a", "b"]).await;
        assert_eq!(log.head(), Position::START, "nobody has told it yet");
        assert_eq!(log.fresh_head().await.unwrap(), Position(2));
        assert_eq!(positions(&*log, 0).await, [1, 2]);
        append(&*shared, &["c"]).await;
        assert_eq!(positions(&*log, 2).await, [3], "the gap is read from below");

        shared.fill(true);
        assert_eq!(log.disk(), DiskLevel::Enough);
        log.fresh_head().await.unwrap();
        assert_eq!(log.disk(), DiskLevel::Full);

        shared.lose(Position(2));
        assert_eq!(positions(&*log, 1).await, [2, 3]);
        assert_eq!(log.seek(EventId::MAX).await.unwrap(), Position(3));
    }

    #[tokio::test]
    async fn a_hole_is_an_error_unless_it_was_dropped() {
        let shared = shared();
        let remote = RemoteStore::over(Arc::clone(&shared));
        append(&*shared, &["a", "b", "c", "d"]).await;
        remote.fresh_head().await.unwrap();
        let log = Tailed::over(Arc::clone(&remote) as _, 1);
        let hold = Position(2);
        let all = Retention { bytes: Some(0), hold, ..Retention::default() };
        assert_eq!(shared.trim(&all).await.unwrap().dropped, 2);
        assert_eq!(log.low_watermark(), LowWatermark::START, "nobody has told it yet");
        assert_eq!(positions(&*log, 0).await, [3, 4]);
        assert_eq!(log.low_watermark().position, hold, "it has asked");

        shared.lose(Position(3));
        let failed = log.read(Position(1), Page::default()).await;
        assert!(matches!(failed, Err(LogError::Hole { at: Position(3) })), "{failed:?}");
        shared.lose(Position(4));
        let failed = log.read(Position(2), Page::default()).await;
        assert!(matches!(failed, Err(LogError::Hole { at: Position(4) })), "{failed:?}");
    }
}
