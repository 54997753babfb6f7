//! Remembers when the entries were accepted at which subscriptions stand.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::event::Timestamp;
use crate::eventlog::Position;

/// When the first entry after a place was accepted, for the places where subscriptions stand. That
/// entry stays as long as one stands there, and to ask for it each time is a read for each of them.
#[derive(Debug, Default)]
pub(super) struct Oldest(Mutex<BTreeMap<Position, Timestamp>>);

impl Oldest {
    /// What is known.
    pub(super) fn known(&self) -> BTreeMap<Position, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was found.
    pub(super) fn keep(&self, places: BTreeMap<Position, Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }
}
