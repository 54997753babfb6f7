//! One event in the log: before the log has named it, and after.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{
    CloudEvent, ContentDigest, Data, EventContext, EventId, EventSource, EventTime, EventType,
    IdempotencyKey, Salt, Subject, Timestamp, TraceContext,
};
use crate::eventlog::Observed;
#[cfg(test)]
use crate::eventlog::disk_bytes::event_bytes;

/// The place of an entry in the log: dense, from 1, in commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the attributes of an event take in memory, by a generous guess.
const ATTRIBUTE_BYTES: usize = 512;

/// Recognises one delivery by a producer's bus, however often the bus repeats it.
///
/// The first 16 bytes of the SHA-256 of source, envelope id and publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub [u8; 16]);

/// What protects the data of an event. Nothing makes use of it yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The name of the key under which its data is encrypted.
    pub data_key: Option<Arc<str>>,
}

/// An event that is ready to be kept: everything but the id and the position.
#[derive(Clone, Debug)]
pub struct Draft {
    /// CloudEvents `source`.
    pub source: EventSource,
    /// CloudEvents `type`.
    pub event_type: EventType,
    /// CloudEvents `subject`.
    pub subject: Option<Subject>,
    /// When it occurred.
    pub time: EventTime,
    /// Where the schema of the data is served.
    pub dataschema: Option<Arc<str>>,
    /// The name of its content.
    pub idempotency_key: IdempotencyKey,
    /// What tells its content from any other.
    pub digest: ContentDigest,
    /// The producer's trace.
    pub trace: Option<TraceContext>,
    /// What its publication decided beside its core attributes.
    pub context: Option<Arc<EventContext>>,
    /// What it is about.
    pub data: Data,
    /// The publication that let it cross, as `domain/event`.
    pub publication: Arc<str>,
    /// The id that the event had on its producer's bus.
    pub envelope_id: Arc<str>,
    /// What a repeat by the bus is recognised by; nothing if it cannot be.
    pub origin: Option<Origin>,
    /// For how long equal content of this publication is swallowed; nothing: never.
    pub deduplicate: Option<Duration>,
    /// How it breaks its contract, where its publication only observes.
    pub observed: Option<Observed>,
    /// What protects its data.
    pub protection: Protection,
}

/// An event in the log. It never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// The event as consumers see it.
    pub event: CloudEvent,
    /// When the log took it.
    pub accepted: Timestamp,
    /// The publication that let it cross, as `domain/event`.
    pub publication: Arc<str>,
    /// The id that the event had on its producer's bus.
    pub envelope_id: Arc<str>,
    /// The earlier event with the same key and another content, if there is one.
    pub conflict: Option<EventId>,
    /// What protects its data.
    pub protection: Protection,
}

impl Draft {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let observed = self.observed.as_ref().map_or(0, Observed::weight);
        let context = self.context.as_ref().map_or(0, |context| context.weight());
        ATTRIBUTE_BYTES + self.data.text().len() + observed + context
    }
}

impl Entry {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let context = self.event.context.as_ref().map_or(0, |context| context.weight());
        ATTRIBUTE_BYTES + self.event.data.text().len() + context
    }

    /// About how many bytes it takes on disk, with what its publication only observes of it.
    #[cfg(test)]
    pub(super) fn bytes_on_disk(&self, observed: usize) -> u64 {
        let event = &self.event;
        let texts = [
            observed,
            event.source.as_str().len(),
            event.event_type.as_str().len(),
            event.subject.as_ref().map_or(0, |subject| subject.as_str().len()),
            event.dataschema.as_ref().map_or(0, |dataschema| dataschema.len()),
            event.trace.as_ref().map_or(0, |trace| trace.as_str().len()),
            event.data.text().len(),
            2 * self.publication.len(),
            self.envelope_id.len(),
            event.context.as_ref().map_or(0, |context| context.to_json().len()),
        ];
        event_bytes(texts.iter().sum::<usize>() as u64)
    }

    /// Joins a draft with the names that the log gave it. Its digest is of form 1, as events of before
    /// there were salts have it: the log [salts](Self::salted) what it appends.
    pub fn new(draft: Draft, id: EventId, position: Position, accepted: Timestamp) -> Self {
        let event = CloudEvent {
            id,
            source: draft.source,
            event_type: draft.event_type,
            subject: draft.subject,
            time: draft.time,
            dataschema: draft.dataschema,
            idempotency_key: draft.idempotency_key,
            digest: draft.digest.into(),
            salt: None,
            trace: draft.trace,
            context: draft.context,
            data: draft.data,
        };
        Self {
            position,
            event,
            accepted,
            publication: draft.publication,
            envelope_id: draft.envelope_id,
            conflict: None,
            protection: draft.protection,
        }
    }

    /// Gives the event its salt, and the digest of form 2 under it.
    #[must_use]
    pub fn salted(mut self, salt: Salt) -> Self {
        self.event.digest = self.event.salted_digest(salt);
        self.event.salt = Some(salt);
        self
    }
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable under this id.
    New {
        /// Its id.
        id: EventId,
        /// Its place.
        position: Position,
        /// The earlier event with the same key and another content, if there is one.
        conflict: Option<EventId>,
    },
    /// The log holds it already; nothing was written.
    Duplicate {
        /// The id that it was given the first time.
        of: EventId,
    },
}

impl Appended {
    /// The id under which the event is in the log.
    pub const fn id(self) -> EventId {
        match self {
            Self::New { id, .. } | Self::Duplicate { of: id } => id,
        }
    }
}
