//! The callers that the gateway knows, and their keys as hashes.

use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ambient::{Entropy, HumanDuration, Secret};
use crate::api::{Caller, Scope};
use crate::event::{Blame, CallerId, Fault, Timestamp};
use crate::eventlog::{self, Record, RecordKey, Registry};

/// The kind of document under which the registry keeps callers.
const KIND: &str = "caller";
/// How a caller key begins, so that scanners for leaked secrets know it.
const PREFIX: &str = "sealway.";
/// The rules by which scopes are given: `publish` names its source, and `operate` reads no data.
const RULES: u8 = 2;
/// How many keys, good or bad, are remembered at once.
const REMEMBERED: u64 = 10_000;

type Hash = [u8; 32];

/// A caller as the registry keeps it: never the key, only its hash.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    sha256: String,
    scopes: Vec<Scope>,
    /// By which rules the scopes were given; missing in a caller that was made before [`RULES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<u8>,
    /// When the caller was added, once its scopes were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<Timestamp>,
}

impl Document {
    /// Whether its scopes allow what they would not if they were given today: `publish` was every source,
    /// and `operate` read data.
    fn is_unbound(&self) -> bool {
        let allows_more = |scope: &Scope| matches!(scope, Scope::Publish(_) | Scope::Operate);
        self.rules.is_none() && self.scopes.iter().any(allows_more)
    }

    /// What the caller may do, in the scopes of today.
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = self.scopes.clone();
        if self.rules.is_none() && scopes.contains(&Scope::Operate) {
            scopes.push(Scope::ReadData);
        }
        scopes
    }
}

/// What may be told about a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallerRecord {
    /// The caller's name.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was added.
    pub added: Timestamp,
    /// Whether it was made before scopes named sources and data, and keeps what `publish` and `operate`
    /// allowed then: its scopes are to be given again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbound: bool,
}

/// Why callers cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The name is taken.
    #[error("there is a caller `{0}` already; remove it first, or choose another name")]
    Exists(CallerId),
    /// There is no such caller.
    #[error("there is no caller `{0}`")]
    Unknown(CallerId),
    /// The registry holds something that is not a caller.
    #[error("the registry's document of caller `{id}` is damaged")]
    Damaged {
        /// The caller's name.
        id: String,
        /// What its reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The registry failed.
    #[error("cannot read or write callers")]
    Registry(#[source] eventlog::LogError),
}

impl Blame for CallerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Exists(_) | Self::Unknown(_) => Fault::Caller,
            Self::Damaged { .. } => Fault::Ours,
            Self::Registry(error) => error.fault(),
        }
    }
}

/// Adds, lists, removes and recognizes callers.
///
/// A key is `sealway.<caller>.<43 characters>`: 32 random bytes, of which only the SHA-256 of the
/// whole key is kept. A plain hash is enough, because nobody can guess 256 bits.
pub struct Callers {
    registry: Arc<dyn Registry>,
    /// Keys by their hash, known and unknown ones alike, so that neither costs a read each time.
    remembered: Cache<Hash, Option<Caller>>,
    /// Callers by name, known and unknown ones alike.
    names: Cache<CallerId, Option<Caller>>,
}

impl Callers {
    /// Reads callers from a registry and remembers each for a while.
    pub fn new(registry: Arc<dyn Registry>, remember: HumanDuration) -> Self {
        let remembered = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember.0).build();
        let names = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember.0).build();
        Self { registry, remembered, names }
    }

    /// Finds the caller to whom a key belongs.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn identify(&self, key: &str) -> Result<Option<Caller>, CallerError> {
        let hash: Hash = Sha256::digest(key.as_bytes()).into();
        if let Some(known) = self.remembered.get(&hash).await {
            return Ok(known);
        }
        let caller = self.look_up(key, &hash).await?;
        self.remembered.insert(hash, caller.clone()).await;
        Ok(caller)
    }

    /// Finds the caller to whom a key belongs, if it has this name.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn identify_named(&self, id: &str, key: &str) -> Result<Option<Caller>, CallerError> {
        Ok(self.identify(key).await?.filter(|caller| caller.id.as_str() == id))
    }

    /// Finds the caller that has a name. That says nothing about who asks.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn named(&self, id: &CallerId) -> Result<Option<Caller>, CallerError> {
        if let Some(known) = self.names.get(id).await {
            return Ok(known);
        }
        let found = self.registry.get(&record_key(id)).await.map_err(CallerError::Registry)?;
        let caller = found.map(|record| kept(&record, id.clone())).transpose()?.flatten();
        self.names.insert(id.clone(), caller.clone()).await;
        Ok(caller)
    }

    /// Looks a caller up again: nothing if its key is not good any more.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn again(&self, caller: &Caller) -> Result<Option<Caller>, CallerError> {
        let found = self.registry.get(&record_key(&caller.id)).await;
        let Some(record) = found.map_err(CallerError::Registry)? else { return Ok(None) };
        recognize(&record, caller.id.clone(), &caller.key)
    }

    /// Adds a caller and gives its key, which nobody can read again.
    ///
    /// # Errors
    ///
    /// The caller's turn: the name is taken. Ours: the registry failed.
    pub async fn add(
        &self,
        id: &CallerId,
        scopes: Vec<Scope>,
        entropy: &dyn Entropy,
    ) -> Result<Secret, CallerError> {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        let key = format!("{PREFIX}{id}.{}", URL_SAFE_NO_PAD.encode_to_string(random));
        let sha256 = URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&key));
        let document = Document { sha256, scopes, rules: Some(RULES), added: None };
        match self.registry.put(&record_key(id), None, written(id, &document)?).await {
            Ok(_) => {
                self.names.invalidate(id).await;
                Ok(Secret::new(key))
            }
            Err(eventlog::LogError::Stale { .. }) => Err(CallerError::Exists(id.clone())),
            Err(error) => Err(CallerError::Registry(error)),
        }
    }

    /// Lists the callers in order of their names.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or holds something else.
    pub async fn list(&self) -> Result<Vec<CallerRecord>, CallerError> {
        let records = self.registry.list(KIND).await.map_err(CallerError::Registry)?;
        let shown = |record: Record| {
            let document = read(&record)?;
            let (scopes, unbound) = (document.scopes(), document.is_unbound());
            let added = document.added.unwrap_or(record.changed);
            Ok(CallerRecord { id: record.id, scopes, added, unbound })
        };
        records.into_iter().map(shown).collect()
    }

    /// Gives a caller other scopes; its key stays. They hold at once here, and elsewhere once what was
    /// known of it is forgotten.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such caller, or it was just changed. Ours: the registry failed.
    pub async fn change(&self, id: &CallerId, scopes: Vec<Scope>) -> Result<(), CallerError> {
        let (key, record) = self.record(id).await?;
        let document = read(&record)?;
        let added = document.added.or(Some(record.changed));
        let document = Document { scopes, rules: Some(RULES), added, ..document };
        let body = written(id, &document)?;
        self.registry
            .put(&key, Some(record.revision), body)
            .await
            .map_err(CallerError::Registry)?;
        self.forget_all();
        Ok(())
    }

    /// Removes a caller; its key is refused at once here, and elsewhere once it is forgotten.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such caller. Ours: the registry failed.
    pub async fn remove(&self, id: &CallerId) -> Result<(), CallerError> {
        let (key, record) = self.record(id).await?;
        self.registry.remove(&key, record.revision).await.map_err(CallerError::Registry)?;
        self.forget_all();
        Ok(())
    }

    async fn record(&self, id: &CallerId) -> Result<(RecordKey, Record), CallerError> {
        let key = record_key(id);
        let record = self.registry.get(&key).await.map_err(CallerError::Registry)?;
        Ok((key, record.ok_or_else(|| CallerError::Unknown(id.clone()))?))
    }

    fn forget_all(&self) {
        self.remembered.invalidate_all();
        self.names.invalidate_all();
    }

    async fn look_up(&self, key: &str, hash: &Hash) -> Result<Option<Caller>, CallerError> {
        let named = key.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('.'));
        let Some(id) = named.and_then(|(id, _)| id.parse::<CallerId>().ok()) else {
            return Ok(None);
        };
        let found = self.registry.get(&record_key(&id)).await.map_err(CallerError::Registry)?;
        let Some(record) = found else { return Ok(None) };
        recognize(&record, id, hash)
    }
}

/// The caller of a record, if the key with this hash is its own.
fn recognize(record: &Record, id: CallerId, hash: &Hash) -> Result<Option<Caller>, CallerError> {
    let is_its_own = |caller: &Caller| bool::from(caller.key.ct_eq(hash));
    Ok(kept(record, id)?.filter(is_its_own))
}

/// The caller of a record, whoever asks; nothing if its hash is none.
fn kept(record: &Record, id: CallerId) -> Result<Option<Caller>, CallerError> {
    let document = read(record)?;
    let hash = URL_SAFE_NO_PAD.decode_to_vec(&document.sha256).ok();
    let key = hash.and_then(|hash| Hash::try_from(hash).ok());
    Ok(key.map(|key| Caller { key, id, scopes: document.scopes().into() }))
}

fn record_key(id: &CallerId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

fn written(id: &CallerId, document: &Document) -> Result<String, CallerError> {
    serde_json::to_string(document).map_err(|source| damaged(id.as_str(), source))
}

fn read(record: &Record) -> Result<Document, CallerError> {
    serde_json::from_str(&record.body).map_err(|source| damaged(&record.id, source))
}

fn damaged(id: &str, source: serde_json::Error) -> CallerError {
    CallerError::Damaged { id: id.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::eventlog::{LogLimits, MemoryLog};

    fn callers() -> Callers {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let log = MemoryLog::new(LogLimits::default(), clock, Arc::new(SeededEntropy::new(1)));
        Callers::new(log, HumanDuration(Duration::from_secs(5)))
    }

    #[tokio::test]
    async fn a_key_belongs_to_its_caller_until_the_caller_is_removed() {
        let (callers, name) = (callers(), "ops".parse().unwrap());
        let key = callers.add(&name, vec![Scope::Operate], &SeededEntropy::new(7)).await.unwrap();

        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert_eq!(caller.id(), &name);
        assert!(caller.may(&Scope::Operate) && !caller.may(&Scope::Admin));

        assert_eq!(callers.again(&caller).await.unwrap(), Some(caller.clone()));

        callers.remove(&name).await.unwrap();
        assert_eq!(callers.identify(key.expose()).await.unwrap(), None);
        assert_eq!(callers.again(&caller).await.unwrap(), None);
        callers.add(&name, vec![Scope::Operate], &SeededEntropy::new(8)).await.unwrap();
        assert_eq!(callers.again(&caller).await.unwrap(), None);
        callers.remove(&name).await.unwrap();
        assert!(matches!(callers.remove(&name).await, Err(CallerError::Unknown(_))));
    }

    #[tokio::test]
    async fn a_key_that_is_not_the_callers_is_nobodys() {
        let (callers, name) = (callers(), "ops".parse().unwrap());
        let key = callers.add(&name, vec![Scope::Admin], &SeededEntropy::new(7)).await.unwrap();
        let key = key.expose();
        let another = key.replace("ops", "ops2");
        let longer = format!("{key}A");

        for wrong in ["", "sealway.", "sealway.ops.", "ops", &another, &longer, &key.to_lowercase()]
        {
            assert_eq!(callers.identify(wrong).await.unwrap(), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_name_is_given_once_and_the_key_is_not_kept() {
        let (callers, name) = (callers(), "ops".parse().unwrap());
        let key = callers
            .add(&name, vec!["publish:*".parse().unwrap()], &SeededEntropy::new(7))
            .await
            .unwrap();

        let again = callers.add(&name, vec![Scope::Admin], &SeededEntropy::new(8)).await;

        assert!(matches!(again, Err(CallerError::Exists(_))));
        let kept = callers.registry.get(&record_key(&name)).await.unwrap().unwrap().body;
        let secret = key.expose().rsplit('.').next().unwrap();
        assert!(!kept.contains(secret), "{kept}");
        assert_eq!(callers.list().await.unwrap()[0].scopes, ["publish:*".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_caller_of_before_keeps_its_rights_until_its_scopes_are_given_again() {
        let (callers, name) = (callers(), "old".parse().unwrap());
        let key = callers.add(&name, vec![Scope::Operate], &SeededEntropy::new(7)).await.unwrap();
        let record = callers.registry.get(&record_key(&name)).await.unwrap().unwrap();
        let hash = read(&record).unwrap().sha256;
        let of_before = format!(r#"{{"sha256":"{hash}","scopes":["operate","publish"]}}"#);
        let revision = Some(record.revision);
        callers.registry.put(&record_key(&name), revision, of_before).await.unwrap();

        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert!(caller.publishes("anything") && caller.operates() && caller.reads_data());
        let listed = callers.list().await.unwrap().remove(0);
        assert!(listed.unbound);

        let scopes = vec![Scope::Operate, "publish:shop".parse().unwrap()];
        callers.change(&name, scopes.clone()).await.unwrap();

        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert!(caller.publishes("shop") && !caller.publishes("anything"));
        assert!(caller.operates() && !caller.reads_data());
        let changed = callers.list().await.unwrap().remove(0);
        assert_eq!(changed, CallerRecord { scopes, unbound: false, ..listed });
        let unknown = callers.change(&"nobody".parse().unwrap(), Vec::new()).await;
        assert!(matches!(unknown, Err(CallerError::Unknown(_))));
    }
}
