//! From where to where a bundle should hold what was accepted.

use crate::event::{EventId, Timestamp};
use crate::proof::bundle_words::BundleWords;
use crate::transparency::TreeHead;

/// The range of a bundle, as its own lines tell it.
#[derive(Debug, Default)]
pub(super) struct AcceptedRange {
    /// Who the bundle says has made it.
    pub(super) issuer: Option<String>,
    /// The incarnation of the log when the bundle was begun.
    pub(super) incarnation: u64,
    /// When the bundle was begun.
    pub(super) at: Option<Timestamp>,
    /// The tree when the bundle was begun: it should reach as far, unless it was asked to end before.
    tree: Option<TreeHead>,
    /// The last event that was asked for.
    to: Option<EventId>,
    /// The last event before the first one, as the first place tells it.
    before: Option<EventId>,
    has_place: bool,
    last: Option<EventId>,
    /// The first event that should be there, as whoever verifies has it from elsewhere.
    from: Option<EventId>,
}

impl AcceptedRange {
    /// Takes what a line says.
    pub(super) fn take(&mut self, words: &BundleWords) {
        if let Some(header) = &words.header {
            self.issuer = Some(header.issuer.clone());
            self.to = header.to;
            self.incarnation = words.incarnation;
            self.at = Some(words.at);
            self.tree = words.tree;
        }
        if words.is_place && !self.has_place {
            self.has_place = true;
            self.before = words.head;
        }
        if let Some(event) = &words.event {
            self.last = self.last.max(Some(event.id));
        }
    }

    /// Begins at an event, whatever the bundle says.
    pub(super) fn begin_at(&mut self, from: Option<EventId>) {
        self.from = from;
    }

    /// Whether an event that is not there was accepted before the range, which begins with the log where
    /// the first place names no event before it.
    pub(super) fn is_before(&self, id: EventId) -> bool {
        match (self.from, self.before) {
            (Some(from), _) => id < from,
            (None, before) => before.is_some_and(|before| id <= before),
        }
    }

    /// Whether an event that is not there was accepted behind the end of the range; `position` is that of
    /// the incarnation in which the bundle was made.
    pub(super) fn is_after(&self, id: EventId, position: Option<u64>) -> bool {
        if self.to.is_some_and(|to| id > to) {
            return true;
        }
        match (self.tree, position) {
            (Some(tree), Some(position)) => position >= tree.first.saturating_add(tree.tree.size),
            _ => self.is_behind_last(id),
        }
    }

    /// Whether no event of the bundle is later.
    pub(super) fn is_behind_last(&self, id: EventId) -> bool {
        self.last.is_none_or(|last| id > last)
    }
}
