//! External ids: what a consumer's role asks for, so that nobody has the gateway take another's role.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::ambient::Entropy;
use crate::event::ConsumerId;
use crate::eventlog::{LogError, RecordKey, Registry};

const KIND: &str = "external-id";

/// Gives every consumer an id of the gateway's making: 128 random bits, which nobody chooses and
/// which do not change. The trust policies of roles ask for it (`sts:ExternalId`), so it is no
/// secret; what protects is that it stands for one consumer.
pub struct ExternalIds {
    registry: Arc<dyn Registry>,
    entropy: Arc<dyn Entropy>,
    known: Mutex<BTreeMap<ConsumerId, Arc<str>>>,
}

/// What is kept of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeptExternalId {
    external_id: Arc<str>,
}

impl ExternalIds {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>, entropy: Arc<dyn Entropy>) -> Self {
        Self { registry, entropy, known: Mutex::default() }
    }

    /// Reads all that were made before.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn load(&self) -> Result<(), LogError> {
        for record in self.registry.list(KIND).await? {
            let consumer = record.id.parse().map_err(damaged)?;
            self.note(&consumer, read(&record.body)?);
        }
        Ok(())
    }

    /// That of a consumer, made now if there is none.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn of(&self, consumer: &ConsumerId) -> Result<Arc<str>, LogError> {
        if let Some(known) = self.known(consumer) {
            return Ok(known);
        }
        let key = RecordKey { kind: KIND, id: consumer.to_string() };
        let kept = match self.registry.get(&key).await? {
            Some(record) => read(&record.body)?,
            None => self.make(&key).await?,
        };
        Ok(self.note(consumer, kept))
    }

    /// That of a consumer, if it was read or made before.
    pub fn known(&self, consumer: &ConsumerId) -> Option<Arc<str>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(consumer).cloned()
    }

    /// Makes one, or gives the one that somebody else has made in this moment.
    async fn make(&self, key: &RecordKey) -> Result<Arc<str>, LogError> {
        let made: Arc<str> = format!("{:032x}", self.entropy.next_u128()).into();
        let body = serde_json::json!({ "externalId": made }).to_string();
        match self.registry.put(key, None, body).await {
            Ok(_) => Ok(made),
            Err(stale @ LogError::Stale { .. }) => {
                let record = self.registry.get(key).await?;
                read(&record.ok_or(stale)?.body)
            }
            Err(error) => Err(error),
        }
    }

    fn note(&self, consumer: &ConsumerId, id: Arc<str>) -> Arc<str> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(consumer.clone()).or_insert(id))
    }
}

fn read(body: &str) -> Result<Arc<str>, LogError> {
    let kept: KeptExternalId = serde_json::from_str(body).map_err(damaged)?;
    Ok(kept.external_id)
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> LogError {
    let (action, place) = ("read an external id", "the registry".to_owned());
    LogError::Storage { action, place, source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::Timestamp;
    use crate::eventlog::{LogLimits, MemoryLog};

    fn registry() -> Arc<dyn Registry> {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        MemoryLog::new(LogLimits::default(), clock, Arc::new(SeededEntropy::new(1)))
    }

    fn ids(registry: &Arc<dyn Registry>, seed: u64) -> ExternalIds {
        ExternalIds::new(Arc::clone(registry), Arc::new(SeededEntropy::new(seed)))
    }

    #[tokio::test]
    async fn each_consumer_has_one_that_outlives_the_process() {
        let (registry, ledger) = (registry(), "ledger".parse().unwrap());
        let first = ids(&registry, 1);
        let made = first.of(&ledger).await.unwrap();

        let again = ids(&registry, 2);
        assert_eq!(again.known(&ledger), None);
        again.load().await.unwrap();
        assert_eq!(again.known(&ledger), Some(Arc::clone(&made)));
        assert_eq!(again.of(&ledger).await.unwrap(), made);
        let other = again.of(&"shop".parse().unwrap()).await.unwrap();
        assert_ne!(other, made);
        // What `sts:ExternalId` takes: 2 to 1224 characters of letters, digits and some signs.
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    }

    #[tokio::test]
    async fn two_who_ask_at_once_are_given_the_same() {
        let (registry, ledger) = (registry(), "ledger".parse().unwrap());
        let (one, two) = (ids(&registry, 1), ids(&registry, 2));
        let key = RecordKey { kind: KIND, id: "ledger".to_owned() };

        let first = one.of(&ledger).await.unwrap();
        // The other has looked before it was made.
        assert_eq!(two.make(&key).await.unwrap(), first);
    }
}
