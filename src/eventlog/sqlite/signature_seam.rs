//! The seam to signatures: reads from the pool, writes by the writer.

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::queue::WriteRequest;
use crate::eventlog::sqlite::signatures;
use crate::eventlog::{KeptSignature, LogError, SignatureStore};

#[async_trait]
impl SignatureStore for SqliteLog {
    async fn keep_signature(&self, seen: KeptSignature, oldest: Timestamp) -> Result<(), LogError> {
        self.ask(|reply| WriteRequest::KeepSignature(seen, oldest, reply)).await
    }

    async fn kept_signatures(&self, since: Timestamp) -> Result<Vec<KeptSignature>, LogError> {
        self.readers.run("list signatures", move |c| signatures::list(c, since)).await
    }
}
