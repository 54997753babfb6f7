//! The seam to the small documents that the gateway keeps.

use async_trait::async_trait;

use crate::eventlog::{LogError, Record, RecordKey, Revision};

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
