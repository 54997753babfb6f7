//! What would become of an event, publication by publication, if it were sent.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::event::{CloudEvent, EventSource, EventType, Subject, Violation};
use crate::route::Mismatch;

/// What one publication would make of an event.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The publication, as `domain/event`.
    pub publication: Arc<str>,
    /// What it would do.
    pub verdict: TrialVerdict,
}

/// What a publication would do with an event.
#[derive(Clone, Debug)]
pub enum TrialVerdict {
    /// It does not want the event: these fields of its `when` fail, at least one.
    Unwanted(Vec<Mismatch>),
    /// It wants the event, and cannot let it cross.
    Refused {
        /// Why: a stable word, for example `contract-violated`; listed in `docs/errors.md`.
        code: &'static str,
        /// How the event breaks its contract.
        violations: Vec<Violation>,
        /// What its patch made of the event, if the patch fits.
        patched: Option<PatchedEvent>,
    },
    /// It lets the event cross.
    Crosses {
        /// The event as it would cross; its id is made up.
        event: Box<CloudEvent>,
        /// How the event breaks its contract, where the publication only observes.
        observed: Vec<Violation>,
    },
}

/// An event as a patch made it, before anybody has checked it.
#[derive(Clone)]
pub struct PatchedEvent {
    /// The CloudEvents `source`.
    pub source: EventSource,
    /// The CloudEvents `type`.
    pub event_type: EventType,
    /// The CloudEvents `subject`.
    pub subject: Subject,
    /// What would leave the domain.
    pub data: Value,
}

/// Shows names only, because data never reaches a log.
impl fmt::Debug for PatchedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatchedEvent({} {})", self.source, self.event_type)
    }
}
