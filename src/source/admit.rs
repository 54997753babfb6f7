//! The one question that a source asks: may I acknowledge?

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{Blame, EventId, EventProducer, Fault, Violation};
use crate::source::{Received, Trial, Unparsed};

/// Whether the producer waits for the answer and can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// It waits: an event that breaks its contract is refused with its violations.
    Synchronous,
    /// It is gone: an event that breaks its contract is quarantined and counts as taken.
    Asynchronous,
}

/// What became of an event that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The events in the log that it became, one for each publication that wanted it; none if no
    /// publication did.
    pub events: Vec<EventId>,
    /// Those of them that were in the log already.
    pub earlier: Vec<EventId>,
    /// Whether all of them were in the log already.
    pub repeated: bool,
    /// Whether one of them was taken for a repeat, by source and id, and has another content than
    /// what is in the log.
    pub differs: bool,
    /// How many publications found it in breach of their contract, and had it quarantined.
    pub quarantined: usize,
}

/// Why an event was not taken. Nothing of it was stored.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct AdmitRefusal {
    /// Whose turn it is.
    pub fault: Fault,
    /// A stable word, for example `contract-violated`; listed in `docs/errors.md`.
    pub code: &'static str,
    /// What is wrong and what to do, without data.
    pub message: String,
    /// How the event breaks its contract, if that is why.
    pub violations: Vec<Violation>,
}

impl Blame for AdmitRefusal {
    fn fault(&self) -> Fault {
        self.fault
    }
}

/// Takes events from a source to the log.
#[async_trait]
pub trait Admit: Send + Sync {
    /// Takes each event whole or not at all, and answers in the order given. `producer` has a quota of
    /// what breaks its contract and is quarantined; what the gateway says itself has none.
    ///
    /// `Ok` is a promise: everything that the event became is durable and will be offered to every
    /// matching subscription.
    ///
    /// # Errors
    ///
    /// The caller's turn: an event breaks its contract, or can never be taken. Later: its producer has as
    /// much in quarantine as it may, or the quarantine is full (`quarantine-full`), or too much waits.
    /// Ours: the store failed.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped future leaves the caller in doubt. Sending the same events again
    /// is harmless where their source can name them.
    async fn admit(
        &self,
        batch: Vec<Received>,
        producer: Option<&EventProducer>,
        response_mode: ResponseMode,
    ) -> Vec<Result<Admitted, AdmitRefusal>>;

    /// Keeps in quarantine what a producer sent asynchronously and could not be read, and answers in
    /// the order given.
    ///
    /// `Ok` is the number of an entry, and a promise: the entry is durable. The same, sent again while it
    /// is there, has the same entry.
    ///
    /// # Errors
    ///
    /// Later: the producer has as much in quarantine as it may, or the quarantine is full
    /// (`quarantine-full`), or too much waits.
    /// The caller's turn: what it sent can never be kept (`too-large`). Ours: the store failed.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`admit`](Self::admit); what is set aside again is recognized.
    async fn set_aside(&self, batch: Vec<Unparsed>) -> Vec<Result<u64, AdmitRefusal>>;

    /// Takes an event from quarantine through the one publication that set it aside.
    ///
    /// Other publications have had the event, and are not asked again. `Ok` is the event in the log,
    /// under the same promise as in [`admit`](Self::admit).
    ///
    /// # Errors
    ///
    /// The caller's turn: the publication is gone or wants the event no more (`wrong-state`), or the
    /// event still breaks its contract. Later: too much waits. Ours: the log failed.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, as [`admit`](Self::admit).
    async fn release(&self, received: Received, publication: &str)
    -> Result<EventId, AdmitRefusal>;

    /// Says what each publication would make of an event. Nothing is stored, counted or set aside.
    /// Whoever has no publications has nothing to say.
    async fn trials(&self, _received: &Arc<Received>) -> Vec<Trial> {
        Vec::new()
    }
}
