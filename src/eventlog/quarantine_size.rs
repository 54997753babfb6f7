//! How much the quarantine may hold, and how much it holds.

use crate::event::EventProducer;

/// Why an entry is in the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuarantineKind {
    /// It broke the contract of a publication.
    Event,
    /// It could not be read.
    Bytes,
}

/// How much of a kind one producer may have in quarantine, and how much may be there of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineQuota {
    /// The most entries of the producer, of this kind.
    pub entries: u64,
    /// The most bytes of them on disk.
    pub bytes: u64,
    /// The most bytes on disk of everything in quarantine; nothing: any number.
    pub total: Option<u64>,
}

impl QuarantineQuota {
    /// Whether one more of so many bytes fits beside what the producer has there.
    pub fn admits(&self, used: QuarantineUsage, bytes: u64) -> bool {
        used.entries < self.entries && used.bytes.saturating_add(bytes) <= self.bytes
    }

    /// Whether as many bytes more on disk fit beside everything that is there.
    pub fn has_room(&self, total: QuarantineUsage, bytes: u64) -> bool {
        self.total.is_none_or(|most| total.bytes.saturating_add(bytes) <= most)
    }
}

/// How much there is in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineUsage {
    /// How many entries.
    pub entries: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl QuarantineUsage {
    /// With an entry more.
    #[must_use]
    pub const fn with(self, bytes: u64) -> Self {
        Self { entries: self.entries.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }
}

/// What a producer has in quarantine of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerUsage {
    /// The producer; nothing for events from before it was noted.
    pub producer: Option<EventProducer>,
    /// The kind.
    pub kind: QuarantineKind,
    /// How much.
    pub usage: QuarantineUsage,
}

/// How much the quarantine holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineSize {
    /// All entries, and the bytes that they take on disk at the most.
    pub total: QuarantineUsage,
    /// The producers that have most, by bytes, most first.
    pub largest: Vec<ProducerUsage>,
}
