//! Signatures that were seen, in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::testing::memory::MemoryLog;
use crate::eventlog::{KeptSignature, LogError, SignatureStore};

#[async_trait]
impl SignatureStore for MemoryLog {
    async fn keep_signature(&self, seen: KeptSignature, oldest: Timestamp) -> Result<(), LogError> {
        self.must_have_room()?;
        let signatures = &mut self.hold()?.signatures;
        signatures.retain(|kept| kept.signed_at >= oldest);
        let name = |kept: &KeptSignature| (kept.signed_at, kept.signature, kept.invocation);
        if !signatures.iter().any(|kept| name(kept) == name(&seen)) {
            signatures.push(seen);
        }
        Ok(())
    }

    async fn kept_signatures(&self, since: Timestamp) -> Result<Vec<KeptSignature>, LogError> {
        let mut signatures = self.hold()?.signatures.clone();
        signatures.retain(|kept| kept.signed_at >= since);
        signatures.sort_by_key(|kept| {
            (kept.signed_at, kept.signature, Reverse(kept.is_first), kept.invocation)
        });
        Ok(signatures)
    }
}
