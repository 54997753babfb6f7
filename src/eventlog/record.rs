//! Small documents that the gateway keeps: subscriptions, callers, replays, keys at rest.

use crate::event::Timestamp;

/// Which write a document comes from: grows with each write and never repeats, also when a document
/// is removed and written anew, so that nobody takes the new one for the one that they saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// The name of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What kind of document it is, for example `subscription`.
    pub kind: &'static str,
    /// Its name among its kind.
    pub id: String,
}

/// A document as it was last written.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name among its kind.
    pub id: String,
    /// Which write it comes from.
    pub revision: Revision,
    /// When it was last written.
    pub changed: Timestamp,
    /// Its text; JSON by custom, opaque here.
    pub body: String,
}
