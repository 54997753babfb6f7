//! What was read of the incarnations of the log in a bundle, and how events are held against it.

use crate::event::EventId;
use crate::transparency::Incarnation;

/// What was read of them.
#[derive(Debug)]
pub(super) struct ToldIncarnations {
    /// That of the head of the bundle.
    pub(super) head: u64,
    /// The records, oldest first.
    pub(super) records: Vec<Incarnation>,
    /// That of the last event that was opened.
    event: u64,
}

impl Default for ToldIncarnations {
    fn default() -> Self {
        Self { head: 1, records: Vec::new(), event: 1 }
    }
}

impl ToldIncarnations {
    /// The number of the last one that is declared.
    pub(super) fn declared(&self) -> u64 {
        self.records.last().map_or(1, |record| record.number)
    }

    /// Holds the incarnation in which an event was numbered, as its token has it, against the records.
    pub(super) fn hold(&mut self, number: u64, event: EventId) -> Result<(), String> {
        if number > self.head {
            return Err(format!(
                "it was numbered in incarnation {number} of the log, and the bundle is of {}",
                self.head
            ));
        }
        let declared = self.records.binary_search_by_key(&number, |record| record.number);
        if number > 1 && declared.is_err() {
            return Err(format!(
                "no record declares incarnation {number}, in which it was numbered"
            ));
        }
        let came_later = |record: &&Incarnation| record.has_kept(event) == Some(false);
        let least = self.records.iter().rev().find(came_later).map_or(1, |record| record.number);
        if number < least.max(self.event) {
            return Err(format!(
                "it says that it was numbered in incarnation {number} of the log, and it came in {} or \
                 later",
                least.max(self.event)
            ));
        }
        self.event = number;
        Ok(())
    }
}
