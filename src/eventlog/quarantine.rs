//! The seam to the quarantine: events that broke their contract, and bytes that could not be read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::{EventProducer, Timestamp};
use crate::eventlog::disk_bytes::most_bytes;
use crate::eventlog::{LogError, Page, QuarantineKind, QuarantineQuota, QuarantineSize};

/// Names a quarantined event; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarantineId(pub u64);

/// An event that broke its contract, to be kept until it is released.
#[derive(Clone)]
pub struct NewQuarantined {
    /// Who sent it; nothing for what was kept before that was noted.
    pub producer: Option<EventProducer>,
    /// The publication whose contract it broke, as `domain/event`.
    pub publication: Arc<str>,
    /// The id that the event had on its producer's bus.
    pub envelope_id: Arc<str>,
    /// The codes of the violations, each once, in order, with commas between.
    pub codes: Arc<str>,
    /// The event as it was received, in the gateway's own JSON form.
    pub received: String,
    /// What is wrong with it, as a JSON array.
    pub violations: String,
    /// What the same event is recognized by when it comes again; without it, each is kept.
    pub identity: Option<[u8; 32]>,
}

impl NewQuarantined {
    /// The bytes of the event and of what is wrong with it.
    pub fn weight(&self) -> usize {
        self.received.len() + self.violations.len()
    }

    /// What it counts for: the most bytes that it takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        let names = self.publication.len() + self.envelope_id.len() + self.codes.len();
        // Names stand in indexes, too.
        most_bytes(self.weight() + 2 * names)
    }
}

/// Shows names and sizes only, because received events are data.
impl fmt::Debug for NewQuarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewQuarantined({}, {} bytes)", self.publication, self.received.len())
    }
}

/// What a producer sent and could not be read as an event, to be kept until it can.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadBytes {
    /// Who sent it.
    pub producer: EventProducer,
    /// What the same is recognized by when its producer sends it again.
    pub identity: [u8; 32],
    /// The id that the event has on its producer's bus; empty if it cannot be told.
    pub envelope_id: Arc<str>,
    /// The code of the reason.
    pub codes: Arc<str>,
    /// Why it cannot be read, as a JSON array of one violation.
    pub violations: String,
    /// The headers that say how the body is read, as the source room writes them.
    pub headers: String,
    /// The body, or one item of it.
    pub body: Vec<u8>,
}

impl UnreadBytes {
    /// The bytes of everything that the producer sent of it, and of the reason.
    pub fn weight(&self) -> usize {
        self.body.len() + self.headers.len() + self.violations.len()
    }

    /// What it counts for: the most bytes that it takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        let names = self.producer.name.len() + self.envelope_id.len() + self.codes.len();
        most_bytes(self.weight() + 2 * names)
    }
}

/// Shows who sent it and sizes only, because what was sent is data.
impl fmt::Debug for UnreadBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadBytes({}, {} bytes)", self.producer, self.body.len())
    }
}

/// What became of what was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptEntry {
    /// It is in quarantine now.
    New(QuarantineId),
    /// The same was there already; nothing more was kept.
    Already(QuarantineId),
    /// Its producer has as much of the kind there as it may; nothing was kept.
    OverQuota,
    /// Everything there has as many bytes as it may; nothing was kept.
    Full,
}

/// What is kept of an entry of the quarantine.
#[derive(Clone, Debug)]
pub enum QuarantinedContent {
    /// An event that broke the contract of one publication.
    Event(NewQuarantined),
    /// What could not be read, so that no publication was asked.
    Bytes(UnreadBytes),
}

/// An entry of the quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its name.
    pub id: QuarantineId,
    /// When it was refused.
    pub at: Timestamp,
    /// What was refused.
    pub content: QuarantinedContent,
}

impl Quarantined {
    /// The bytes of what was refused and why.
    pub fn weight(&self) -> usize {
        match &self.content {
            QuarantinedContent::Event(event) => event.weight(),
            QuarantinedContent::Bytes(bytes) => bytes.weight(),
        }
    }

    /// The publication whose contract it broke; nothing if it could not be read.
    pub fn publication(&self) -> Option<&Arc<str>> {
        match &self.content {
            QuarantinedContent::Event(event) => Some(&event.publication),
            QuarantinedContent::Bytes(_) => None,
        }
    }

    /// Who sent it; nothing for an event that was kept before that was noted.
    pub fn producer(&self) -> Option<&EventProducer> {
        match &self.content {
            QuarantinedContent::Event(event) => event.producer.as_ref(),
            QuarantinedContent::Bytes(bytes) => Some(&bytes.producer),
        }
    }

    /// Why it is there.
    pub const fn kind(&self) -> QuarantineKind {
        match &self.content {
            QuarantinedContent::Event(_) => QuarantineKind::Event,
            QuarantinedContent::Bytes(_) => QuarantineKind::Bytes,
        }
    }

    /// What it counts for: the most bytes that it takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        match &self.content {
            QuarantinedContent::Event(event) => event.bytes_on_disk(),
            QuarantinedContent::Bytes(bytes) => bytes.bytes_on_disk(),
        }
    }

    /// The id that it has on its producer's bus; empty if that cannot be told.
    pub fn envelope_id(&self) -> &Arc<str> {
        match &self.content {
            QuarantinedContent::Event(event) => &event.envelope_id,
            QuarantinedContent::Bytes(bytes) => &bytes.envelope_id,
        }
    }

    /// The codes of what is wrong with it, with commas between.
    pub fn codes(&self) -> &Arc<str> {
        match &self.content {
            QuarantinedContent::Event(event) => &event.codes,
            QuarantinedContent::Bytes(bytes) => &bytes.codes,
        }
    }

    /// What is wrong with it, as a JSON array of violations.
    pub fn violations(&self) -> &str {
        match &self.content {
            QuarantinedContent::Event(event) => &event.violations,
            QuarantinedContent::Bytes(bytes) => &bytes.violations,
        }
    }
}

/// Which quarantined events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineQuery {
    /// Only those with a higher number.
    pub after: QuarantineId,
    /// Only those that had this id on their producer's bus.
    pub envelope_id: Option<Arc<str>>,
    /// Only those of this publication, as `domain/event`.
    pub publication: Option<Arc<str>>,
    /// Only those of publications of these domains.
    pub domains: Option<Vec<Arc<str>>>,
    /// Only those of this kind.
    pub kind: Option<QuarantineKind>,
    /// Only those that were sent by a producer of this name.
    pub producer: Option<Arc<str>>,
    /// Only those that have a violation of this code.
    pub code: Option<Arc<str>>,
    /// Only those that were set aside then or later.
    pub from: Option<Timestamp>,
    /// Only those that were set aside then or earlier.
    pub to: Option<Timestamp>,
}

/// How many quarantined events of a publication have a violation of one code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineCount {
    /// The publication, as `domain/event`; empty for what could not be read.
    pub publication: Arc<str>,
    /// The codes of the violations that each of them has, each once, in order, with commas between.
    pub codes: Arc<str>,
    /// How many.
    pub count: u64,
}

/// Keeps events that broke their contract and bytes that could not be read, until someone decides or
/// they are too old.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Keeps events that broke their contract, durably, each as long as its producer stays within the
    /// quota and the quarantine has room; says in order what became of each. What is there under the
    /// same identity is named, and not kept twice. What has no producer has no quota.
    ///
    /// # Errors
    ///
    /// Later: too much waits, or the disk is full. Ours: the store failed. Nothing was kept then.
    async fn quarantine(
        &self,
        batch: Vec<NewQuarantined>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError>;

    /// Keeps what could not be read, durably, each as long as its producer stays within the quota and
    /// the quarantine has room; says in order what became of each. What the same producer has there under the same identity is
    /// named, and not kept twice.
    ///
    /// # Errors
    ///
    /// Later: too much waits, or the disk is full. Ours: the store failed. Nothing was kept then.
    async fn quarantine_bytes(
        &self,
        batch: Vec<UnreadBytes>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError>;

    /// Lists quarantined events, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn quarantined(
        &self,
        query: &QuarantineQuery,
        page: Page,
    ) -> Result<Vec<Quarantined>, LogError>;

    /// Counts quarantined events by publication and by the codes of their violations.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn count_quarantined(&self) -> Result<Vec<QuarantineCount>, LogError>;

    /// Says how much there is, and of which producers most, at most so many. It is counted as entries
    /// come and go, and asked at the cost of a few rows.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn quarantine_size(&self, producers: usize) -> Result<QuarantineSize, LogError>;

    /// Removes a quarantined event, after its release or because it is not wanted; says whether it
    /// was there.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError>;

    /// Drops the oldest quarantined events of those that are older than an age, at most so many,
    /// and names their publications; an empty name for what could not be read.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn expire_quarantined(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError>;
}
