//! Keeps the signatures of producers in the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ambient::Clock;
use crate::event::{Blame as _, Fault, Timestamp};
use crate::eventlog::{KeptSignature, LogError, SignatureStore, Store};
use crate::source::AdmitRefusal;
use crate::source::aws::{KeepSignatures, SIGNATURES_KEPT_FOR, SeenSignature};
use crate::telemetry::error_chain;

/// The signatures of a store.
pub(super) struct StoredSignatures {
    store: Arc<dyn SignatureStore>,
    clock: Arc<dyn Clock>,
}

impl StoredSignatures {
    /// Takes the signatures of a store, and those that it holds.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    pub(super) async fn of(
        store: &Store,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Arc<dyn KeepSignatures>, Vec<SeenSignature>), LogError> {
        let own = Self { store: Arc::clone(&store.signatures), clock: Arc::clone(clock) };
        let kept = own.store.kept_signatures(own.oldest()).await?;
        let kept = kept.into_iter().map(|kept| SeenSignature {
            access_key: kept.access_key,
            signed_at: u64::try_from(kept.signed_at.unix_seconds()).unwrap_or_default(),
            signature: kept.signature,
            invocation: kept.invocation,
            is_first: kept.is_first,
        });
        let kept = kept.collect();
        Ok((Arc::new(own), kept))
    }

    /// The moment of the oldest signature that is worth keeping.
    fn oldest(&self) -> Timestamp {
        self.clock.now().before(SIGNATURES_KEPT_FOR)
    }
}

#[async_trait]
impl KeepSignatures for StoredSignatures {
    async fn keep(&self, seen: SeenSignature) -> Result<(), AdmitRefusal> {
        let kept = KeptSignature {
            access_key: seen.access_key,
            signed_at: Timestamp::EPOCH.after(Duration::from_secs(seen.signed_at)),
            signature: seen.signature,
            invocation: seen.invocation,
            is_first: seen.is_first,
        };
        self.store.keep_signature(kept, self.oldest()).await.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &LogError) -> AdmitRefusal {
    let fault = error.fault();
    if fault == Fault::Ours {
        tracing::error!(error = %error_chain(error), "The log did not take a signature");
    }
    let code = if fault == Fault::Later { "busy" } else { "internal" };
    let message = error_chain(error).to_string();
    AdmitRefusal { fault, code, message, violations: Vec::new() }
}
