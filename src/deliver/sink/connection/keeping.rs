//! Keeps what connections share: decrypted credentials, clients and tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::ambient::{Clock, Entropy};
use crate::deliver::sink::connection::identities::Identities;
use crate::deliver::sink::connection::prepared::PreparedCredential;
use crate::deliver::sink::connection::tokens::Tokens;
use crate::deliver::sink::connection::unusable::Unusable;
use crate::egress::GuardedClients;
use crate::event::Timestamp;
use crate::keys::DataKey;
use crate::subscriptions::SealedCredential;
use crate::telemetry::Metrics;

/// Decrypted credentials that are remembered at a time.
const MOST: u64 = 10_000;
/// How long one is kept after its last use.
const IDLE: Duration = Duration::from_mins(10);

/// What all sinks with credentials share.
pub struct Connections {
    pub(super) clients: Identities,
    pub(super) tokens: Tokens,
    pub(super) metrics: Arc<Metrics>,
    /// By their encrypted text, of which no two are the same.
    opened: Cache<Arc<str>, Arc<PreparedCredential>>,
    data_key: Arc<DataKey>,
    clock: Arc<dyn Clock>,
}

impl Connections {
    /// Starts with clients that the egress guard guards.
    pub fn new(
        clients: GuardedClients,
        data_key: Arc<DataKey>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            clients: Identities::new(clients),
            tokens: Tokens::new(Arc::clone(&clock), entropy, Arc::clone(&metrics)),
            metrics,
            opened: Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build(),
            data_key,
            clock,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Decrypts a credential, or takes what was decrypted shortly before.
    pub(super) async fn access(
        &self,
        credential: &SealedCredential,
        sealed: &Arc<str>,
    ) -> Result<Arc<PreparedCredential>, Unusable> {
        if let Some(access) = self.opened.get(sealed).await {
            return Ok(access);
        }
        let access = Arc::new(PreparedCredential::new(&credential.open(sealed, &self.data_key)?)?);
        self.opened.insert(Arc::clone(sealed), Arc::clone(&access)).await;
        Ok(access)
    }
}

/// Shows nothing of it.
impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections(…)")
    }
}
