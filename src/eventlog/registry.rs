//! Small documents that the gateway keeps: subscriptions, callers, replays, keys at rest.

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::LogError;

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

/// Keeps documents by kind and name; every write names the revision that it replaces.
///
/// Another process may write to the same registry (the CLI beside a running gateway), so readers
/// that keep copies must read again from time to time.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Reads one document.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError>;

    /// Reads all documents of a kind, in order of their names.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError>;

    /// Writes a document durably if its revision is still `expected` (nothing: it does not exist).
    ///
    /// # Errors
    ///
    /// The caller's turn, [`LogError::Stale`]: someone else wrote first. Ours: the store failed.
    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, LogError>;

    /// Removes a document durably if its revision is still `expected`.
    ///
    /// # Errors
    ///
    /// The caller's turn, [`LogError::Stale`]: someone else wrote first, or it does not exist. Ours:
    /// the store failed.
    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), LogError>;
}
