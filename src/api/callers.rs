//! The callers that the gateway knows, and their keys as hashes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ambient::{Clock, Entropy, HumanDuration, Secret};
use crate::api::caller_document::{CallerDocument, KeyHash};
use crate::api::caller_record::{CallerChange, CallerError, CallerRecord};
use crate::api::caller_uses::CallerUses;
use crate::api::{Caller, Scope};
use crate::event::{CallerId, Timestamp};
use crate::eventlog::{self, Record, RecordKey, Registry};

/// The kind of document under which the registry keeps callers.
const KIND: &str = "caller";
/// How a caller key begins, so that scanners for leaked secrets know it.
const PREFIX: &str = "sealway.";
/// How many keys, good or bad, are remembered at once.
const REMEMBERED: u64 = 10_000;

/// Adds, lists, removes and recognizes callers.
///
/// A key is `sealway.<caller>.<43 characters>`: 32 random bytes, of which only the SHA-256 of the
/// whole key is kept. A plain hash is enough, because nobody can guess 256 bits.
pub struct Callers {
    registry: Arc<dyn Registry>,
    /// Keys by their hash, known and unknown ones alike, so that neither costs a read each time.
    remembered: Cache<KeyHash, Option<Caller>>,
    /// Callers by name, each under its keys; none for unknown ones.
    names: Cache<CallerId, Arc<[Caller]>>,
    uses: CallerUses,
    clock: Arc<dyn Clock>,
}

impl Callers {
    /// Reads callers from a registry and remembers each for a while.
    pub fn new(
        registry: Arc<dyn Registry>,
        remember: HumanDuration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let remembered = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember.0).build();
        let names = Cache::builder().max_capacity(REMEMBERED).time_to_live(remember.0).build();
        let uses = CallerUses::default();
        Self { registry, remembered, names, uses, clock }
    }

    /// Finds the caller to whom a key belongs, while that is good.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn identify(&self, key: &str) -> Result<Option<Caller>, CallerError> {
        let found = self.whose(key).await?.filter(|caller| caller.is_good(self.clock.now()));
        self.note(found.as_ref());
        Ok(found)
    }

    /// Finds the caller to whom a key belongs, be it good or over.
    async fn whose(&self, key: &str) -> Result<Option<Caller>, CallerError> {
        let hash: KeyHash = Sha256::digest(key.as_bytes()).into();
        if let Some(known) = self.remembered.get(&hash).await {
            return Ok(known);
        }
        let caller = self.look_up(key, &hash).await?;
        self.remembered.insert(hash, caller.clone()).await;
        Ok(caller)
    }

    /// When the key ended that this is, if it was a caller's: whoever has it may know.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn ended(&self, key: &str) -> Result<Option<Timestamp>, CallerError> {
        let now = self.clock.now();
        let over = self.whose(key).await?.filter(|caller| !caller.is_good(now));
        Ok(over.and_then(|caller| caller.until))
    }

    fn note(&self, caller: Option<&Caller>) {
        if let Some(caller) = caller {
            self.uses.note(caller, self.clock.now());
        }
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
        let now = self.clock.now();
        Ok(self.keyed(id).await?.iter().find(|caller| caller.is_good(now)).cloned())
    }

    /// Finds the caller that has a name and, under one of its good keys, passes a test.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn named_with(
        &self,
        id: &CallerId,
        passes: impl Fn(&Caller) -> Option<Caller>,
    ) -> Result<Option<Caller>, CallerError> {
        let (keyed, now) = (self.keyed(id).await?, self.clock.now());
        let found = keyed.iter().filter(|caller| caller.is_good(now)).find_map(passes);
        self.note(found.as_ref());
        Ok(found)
    }

    /// The caller that has a name, under each of its keys.
    async fn keyed(&self, id: &CallerId) -> Result<Arc<[Caller]>, CallerError> {
        if let Some(known) = self.names.get(id).await {
            return Ok(known);
        }
        let found = self.registry.get(&record_key(id)).await.map_err(CallerError::Registry)?;
        let callers = found.map(|record| kept(&record, id)).transpose()?.unwrap_or_default();
        let callers: Arc<[Caller]> = callers.into();
        self.names.insert(id.clone(), Arc::clone(&callers)).await;
        Ok(callers)
    }

    /// Looks a caller up again: nothing if its key is not good any more.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn again(&self, caller: &Caller) -> Result<Option<Caller>, CallerError> {
        let found = self.registry.get(&record_key(&caller.id)).await;
        let Some(record) = found.map_err(CallerError::Registry)? else { return Ok(None) };
        let found = recognize(&record, &caller.id, &caller.key)?;
        Ok(found.filter(|caller| caller.is_good(self.clock.now())))
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
        self.add_until(id, scopes, None, entropy).await
    }

    /// Adds a caller whose credentials end at a moment, and gives its key.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub async fn add_until(
        &self,
        id: &CallerId,
        scopes: Vec<Scope>,
        until: Option<Timestamp>,
        entropy: &dyn Entropy,
    ) -> Result<Secret, CallerError> {
        let key = new_key(id, entropy);
        let document = CallerDocument::new(&key, scopes, until);
        match self.registry.put(&record_key(id), None, written(id, &document)?).await {
            Ok(_) => {
                self.names.invalidate(id).await;
                Ok(Secret::new(key))
            }
            Err(eventlog::LogError::Stale { .. }) => Err(CallerError::Exists(id.clone())),
            Err(error) => Err(CallerError::Registry(error)),
        }
    }

    /// Gives a caller another key, and that key; the present one is good for so long, and one that was
    /// replaced before no more.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such caller, or it was just changed. Ours: the registry failed.
    pub async fn rotate(
        &self,
        id: &CallerId,
        overlap: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Secret, CallerError> {
        let key = new_key(id, entropy);
        let until = self.clock.now().after(overlap);
        self.rewrite(id, |document| document.with_key(&key, until)).await?;
        Ok(Secret::new(key))
    }

    /// Lists the callers in order of their names.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or holds something else.
    pub async fn list(&self) -> Result<Vec<CallerRecord>, CallerError> {
        let records = self.registry.list(KIND).await.map_err(CallerError::Registry)?;
        let uses = self.uses.known(&*self.registry).await.map_err(CallerError::Registry)?;
        let now = self.clock.now();
        let shown = |record: Record| {
            let document = read(&record)?;
            let added = document.added.unwrap_or(record.changed);
            // Another may have had the name before.
            let seen = uses.get(&record.id).copied().unwrap_or_default().since(added);
            let former_key_until = document.former_until(now);
            Ok(CallerRecord {
                scopes: document.scopes(),
                unbound: document.is_unbound(),
                added,
                until: document.until,
                last_use: seen.last,
                former_key_until,
                former_key_last_use: seen.former.filter(|_| former_key_until.is_some()),
                id: record.id,
            })
        };
        records.into_iter().map(shown).collect()
    }

    /// The callers whose credentials end, or have ended, each with when.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or holds something else.
    pub async fn ends(&self) -> Result<BTreeSet<(String, Timestamp)>, CallerError> {
        let records = self.registry.list(KIND).await.map_err(CallerError::Registry)?;
        let mut ends = BTreeSet::new();
        for record in records {
            ends.extend(read(&record)?.until.map(|until| (record.id, until)));
        }
        Ok(ends)
    }

    /// Keeps when callers were seen last.
    ///
    /// # Errors
    ///
    /// Later or ours: the registry failed. What was noted is kept the next time.
    pub async fn keep_uses(&self) -> Result<(), CallerError> {
        let records = self.registry.list(KIND).await.map_err(CallerError::Registry)?;
        let callers = records.into_iter().map(|record| record.id).collect();
        self.uses.keep(&*self.registry, &callers).await.map_err(CallerError::Registry)
    }

    /// Gives a caller other scopes or another end; its key stays. That holds at once here, and elsewhere
    /// once what was known of it is forgotten.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is no such caller, or it was just changed. Ours: the registry failed.
    pub async fn change(&self, id: &CallerId, change: CallerChange) -> Result<(), CallerError> {
        let CallerChange { scopes, until } = change;
        let changed = |document: CallerDocument| {
            let until = until.unwrap_or(document.until);
            let document = document.with_until(until);
            match scopes {
                Some(scopes) => document.with_scopes(scopes),
                None => document,
            }
        };
        self.rewrite(id, changed).await
    }

    async fn rewrite(
        &self,
        id: &CallerId,
        change: impl FnOnce(CallerDocument) -> CallerDocument,
    ) -> Result<(), CallerError> {
        let (key, record) = self.record(id).await?;
        let mut document = read(&record)?;
        document.added = document.added.or(Some(record.changed));
        let body = written(id, &change(document))?;
        let put = self.registry.put(&key, Some(record.revision), body).await;
        put.map_err(CallerError::Registry)?;
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

    async fn look_up(&self, key: &str, hash: &KeyHash) -> Result<Option<Caller>, CallerError> {
        let named = key.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('.'));
        let Some(id) = named.and_then(|(id, _)| id.parse::<CallerId>().ok()) else {
            return Ok(None);
        };
        let found = self.registry.get(&record_key(&id)).await.map_err(CallerError::Registry)?;
        let Some(record) = found else { return Ok(None) };
        recognize(&record, &id, hash)
    }
}

fn new_key(id: &CallerId, entropy: &dyn Entropy) -> String {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    format!("{PREFIX}{id}.{}", URL_SAFE_NO_PAD.encode_to_string(random))
}

/// The caller of a record, if the key with this hash is one of its own.
fn recognize(
    record: &Record,
    id: &CallerId,
    hash: &KeyHash,
) -> Result<Option<Caller>, CallerError> {
    let is_its_own = |caller: &Caller| bool::from(caller.key.ct_eq(hash));
    Ok(kept(record, id)?.into_iter().find(is_its_own))
}

/// The caller of a record under each of its keys, whoever asks.
fn kept(record: &Record, id: &CallerId) -> Result<Vec<Caller>, CallerError> {
    Ok(read(record)?.callers(id))
}

fn record_key(id: &CallerId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

fn written(id: &CallerId, document: &CallerDocument) -> Result<String, CallerError> {
    serde_json::to_string(document).map_err(|source| damaged(id.as_str(), source))
}

fn read(record: &Record) -> Result<CallerDocument, CallerError> {
    serde_json::from_str(&record.body).map_err(|source| damaged(&record.id, source))
}

fn damaged(id: &str, source: serde_json::Error) -> CallerError {
    CallerError::Damaged { id: id.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::eventlog::{LogLimits, MemoryLog};

    fn hash_in(record: &Record) -> String {
        let kept: serde_json::Value = serde_json::from_str(&record.body).unwrap();
        kept["sha256"].as_str().unwrap().to_owned()
    }

    fn callers() -> Callers {
        callers_at(&ManualClock::at(Timestamp::EPOCH))
    }

    fn callers_at(clock: &ManualClock) -> Callers {
        let clock = Arc::new(clock.clone());
        let log = MemoryLog::new(
            LogLimits::default(),
            Arc::clone(&clock) as _,
            Arc::new(SeededEntropy::new(1)),
        );
        Callers::new(log, HumanDuration(Duration::from_secs(5)), clock)
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
        let hash = hash_in(&record);
        let of_before = format!(r#"{{"sha256":"{hash}","scopes":["operate","publish"]}}"#);
        let revision = Some(record.revision);
        callers.registry.put(&record_key(&name), revision, of_before).await.unwrap();

        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert!(caller.publishes("anything") && caller.operates() && caller.reads_data());
        let listed = callers.list().await.unwrap().remove(0);
        assert!(listed.unbound);

        let scopes = vec![Scope::Operate, "publish:shop".parse().unwrap()];
        callers
            .change(&name, CallerChange { scopes: Some(scopes.clone()), until: None })
            .await
            .unwrap();

        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert!(caller.publishes("shop") && !caller.publishes("anything"));
        assert!(caller.operates() && !caller.reads_data());
        let changed = callers.list().await.unwrap().remove(0);
        assert_eq!(
            changed,
            CallerRecord { scopes, unbound: false, last_use: changed.last_use, ..listed }
        );
        let unknown = callers.change(&"nobody".parse().unwrap(), CallerChange::default()).await;
        assert!(matches!(unknown, Err(CallerError::Unknown(_))));
    }

    #[tokio::test]
    async fn two_keys_are_good_for_the_overlap_and_the_caller_stays_the_same() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let (callers, name) = (callers_at(&clock), "ops".parse().unwrap());
        let first = callers.add(&name, vec![Scope::Audit], &SeededEntropy::new(7)).await.unwrap();
        let before = callers.identify(first.expose()).await.unwrap().unwrap();

        let hour = Duration::from_hours(1);
        let second = callers.rotate(&name, hour, &SeededEntropy::new(8)).await.unwrap();
        let old = callers.identify(first.expose()).await.unwrap().unwrap();
        let new = callers.identify(second.expose()).await.unwrap().unwrap();
        assert_eq!((old.identity, new.identity), (before.identity, before.identity));
        assert!(old.is_former && !new.is_former && old.key != new.key);
        assert!(callers.again(&old).await.unwrap().is_some());
        let listed = callers.list().await.unwrap().remove(0);
        assert_eq!(listed.former_key_until, Some(clock.now().after(hour)));
        assert_eq!(listed.former_key_last_use, Some(clock.now()));

        clock.advance(hour);
        assert!(callers.identify(first.expose()).await.unwrap().is_none());
        assert!(callers.again(&old).await.unwrap().is_none());
        assert!(callers.identify(second.expose()).await.unwrap().is_some());

        let third = callers.rotate(&name, hour, &SeededEntropy::new(9)).await.unwrap();
        let fourth = callers.rotate(&name, Duration::ZERO, &SeededEntropy::new(10)).await.unwrap();
        for gone in [&first, &second, &third] {
            assert!(callers.identify(gone.expose()).await.unwrap().is_none());
        }
        let last = callers.identify(fourth.expose()).await.unwrap().unwrap();
        assert_eq!(last.identity, before.identity);
    }

    #[tokio::test]
    async fn credentials_end_at_their_end_and_not_before_also_where_they_are_remembered() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let (callers, name) = (callers_at(&clock), "ops".parse().unwrap());
        let end = clock.now().after(Duration::from_secs(10));
        let (scopes, entropy) = (vec![Scope::Audit], SeededEntropy::new(7));
        let key = callers.add_until(&name, scopes, Some(end), &entropy).await.unwrap();
        assert_eq!(callers.ends().await.unwrap().into_iter().next(), Some(("ops".into(), end)));

        clock.advance(Duration::from_secs(9));
        let caller = callers.identify(key.expose()).await.unwrap().unwrap();
        assert_eq!(callers.ended(key.expose()).await.unwrap(), None);
        assert!(callers.named(&name).await.unwrap().is_some());
        clock.advance(Duration::from_secs(1));
        assert!(callers.identify(key.expose()).await.unwrap().is_none());
        assert!(callers.again(&caller).await.unwrap().is_none());
        assert!(callers.named(&name).await.unwrap().is_none());
        assert_eq!(callers.ended(key.expose()).await.unwrap(), Some(end));

        let change = CallerChange { scopes: None, until: Some(None) };
        callers.change(&name, change).await.unwrap();
        let moved = callers.identify(key.expose()).await.unwrap().unwrap();
        assert!(moved.may(&Scope::Audit), "its scopes stay");
    }

    #[tokio::test]
    async fn the_last_use_is_kept_for_all_at_once_and_another_process_reads_it() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let (callers, name) = (callers_at(&clock), "ops".parse().unwrap());
        let key = callers.add(&name, vec![Scope::Audit], &SeededEntropy::new(7)).await.unwrap();
        let lifetime = HumanDuration(Duration::from_secs(5));
        let registry = Arc::clone(&callers.registry);
        let elsewhere = Callers::new(registry, lifetime, Arc::new(clock.clone()));
        let last = async |of: &Callers| of.list().await.unwrap().remove(0).last_use;
        assert_eq!(last(&callers).await, None);

        clock.advance(Duration::from_mins(1));
        callers.identify(key.expose()).await.unwrap();
        assert_eq!(last(&callers).await, Some(clock.now()));
        assert_eq!(last(&elsewhere).await, None, "it is not written for each request");
        callers.keep_uses().await.unwrap();
        assert_eq!(last(&elsewhere).await, Some(clock.now()));

        let used = clock.now();
        clock.advance(Duration::from_mins(1));
        callers.identify("sealway.ops.wrong").await.unwrap();
        callers.keep_uses().await.unwrap();
        assert_eq!(last(&elsewhere).await, Some(used), "a wrong key is no use of it");
        callers.remove(&name).await.unwrap();
        callers.add(&name, vec![Scope::Audit], &SeededEntropy::new(8)).await.unwrap();
        assert_eq!(last(&elsewhere).await, None, "another has the name now");
    }
}
