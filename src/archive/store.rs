//! The seam to where bundles are put.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::archive::ArchiveError;
use crate::event::TokenDigest;

/// Keeps bundles under names, each written once.
#[async_trait]
pub trait BundleStore: Send + Sync {
    /// Where a bundle is gathered before it is put in its place.
    fn spool(&self) -> PathBuf;

    /// Puts a gathered bundle in its place, durably and whole or not at all. Succeeds where the same bytes
    /// are there under this name already, also when the spool is gone.
    ///
    /// # Errors
    ///
    /// Later: the place cannot be reached, or something else has the name, or nothing is there and the
    /// spool is gone.
    async fn put(&self, name: &str, spool: &Path, sha256: TokenDigest) -> Result<(), ArchiveError>;
}
