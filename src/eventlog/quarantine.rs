//! The seam to the quarantine: events that broke their contract.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::{LogError, Page};

/// Names a quarantined event; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarantineId(pub u64);

/// An event that broke its contract, to be kept until it is released.
#[derive(Clone)]
pub struct NewQuarantined {
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
}

impl NewQuarantined {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.received.len() + self.violations.len()
    }
}

/// Shows names and sizes only, because received events are data.
impl fmt::Debug for NewQuarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewQuarantined({}, {} bytes)", self.publication, self.received.len())
    }
}

/// An event in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its name.
    pub id: QuarantineId,
    /// When it was refused.
    pub at: Timestamp,
    /// What was refused.
    pub event: NewQuarantined,
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
}

/// How many quarantined events of a publication have a violation of one code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineCount {
    /// The publication, as `domain/event`.
    pub publication: Arc<str>,
    /// The codes of the violations that each of them has, each once, in order, with commas between.
    pub codes: Arc<str>,
    /// How many.
    pub count: u64,
}

/// Keeps events that broke their contract, until someone decides or they are too old.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Keeps events that broke their contract, durably, and names them in order.
    ///
    /// # Errors
    ///
    /// Later: too much waits, or the disk is full. Ours: the store failed.
    async fn quarantine(&self, batch: Vec<NewQuarantined>) -> Result<Vec<QuarantineId>, LogError>;

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

    /// Removes a quarantined event, after its release or because it is not wanted; says whether it
    /// was there.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError>;

    /// Drops the oldest quarantined events that were set aside before a moment, at most so many,
    /// and names their publications.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn expire_quarantined(
        &self,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError>;
}
