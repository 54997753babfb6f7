//! Schemas and contracts in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{EventId, Timestamp};
use crate::eventlog::testing::memory::MemoryLog;
use crate::eventlog::{
    ContractChoice, KeptContract, KeptSchema, LogError, NewSchema, Schemas, TextDigest,
};

/// What is kept of schemas.
#[derive(Default)]
pub(super) struct HeldSchemas {
    by_address: BTreeMap<Arc<str>, KeptSchema>,
    addresses: BTreeMap<Arc<str>, Arc<str>>,
    contracts: BTreeMap<TextDigest, Arc<str>>,
}

impl HeldSchemas {
    /// Marks the schema of this name, unless an event came before.
    pub(super) fn mark(&mut self, dataschema: &Arc<str>, (event, now): (EventId, Timestamp)) {
        let Some(address) = self.addresses.get(dataschema) else { return };
        let unmarked = self.by_address.get_mut(address).filter(|schema| schema.named.is_none());
        if let Some(schema) = unmarked {
            (schema.named, schema.first_event) = (Some(now), Some(event));
        }
    }

    fn insert(&mut self, new: NewSchema, named: Option<Timestamp>) {
        let contract = TextDigest::of(&new.contract);
        self.contracts.insert(contract, new.contract);
        let kept = KeptSchema {
            address: Arc::clone(&new.address),
            digest: TextDigest::of(&new.schema),
            schema: new.schema,
            meaning: new.meaning,
            contract_path: new.contract_path,
            contract_version: new.contract_version,
            contract,
            named,
            first_event: None,
        };
        self.by_address.insert(new.address, kept);
    }
}

#[async_trait]
impl Schemas for MemoryLog {
    async fn keep_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError> {
        let mut held = self.hold()?;
        for new in schemas {
            let address = Arc::clone(&new.address);
            held.schemas.addresses.entry(Arc::clone(&new.dataschema)).or_insert(address);
            match held.schemas.by_address.get_mut(&new.address) {
                Some(kept) if kept.named.is_some() => kept.meaning = new.meaning,
                _ => held.schemas.insert(new, None),
            }
        }
        Ok(())
    }

    /// A log in memory has no events of before.
    async fn lacks_old_schemas(&self) -> Result<bool, LogError> {
        Ok(false)
    }

    async fn keep_old_schemas(&self, schemas: Vec<NewSchema>) -> Result<(), LogError> {
        let (mut held, now) = (self.hold()?, self.clock.now());
        for old in schemas {
            let address = Arc::clone(&old.address);
            held.schemas.addresses.entry(Arc::clone(&old.dataschema)).or_insert(address);
            if !held.schemas.by_address.contains_key(&old.address) {
                held.schemas.insert(old, Some(now));
            }
        }
        Ok(())
    }

    async fn schema_at(&self, address: &str) -> Result<Option<KeptSchema>, LogError> {
        Ok(self.hold()?.schemas.by_address.get(address).cloned())
    }

    async fn schema_named(&self, dataschema: &str) -> Result<Option<KeptSchema>, LogError> {
        let held = self.hold()?;
        let address = held.schemas.addresses.get(dataschema);
        Ok(address.and_then(|address| held.schemas.by_address.get(address)).cloned())
    }

    async fn kept_contract(
        &self,
        path: &str,
        choice: &ContractChoice,
    ) -> Result<Option<KeptContract>, LogError> {
        let held = self.hold()?;
        let mut found: Vec<&KeptSchema> = held
            .schemas
            .by_address
            .values()
            .filter(|kept| *kept.contract_path == *path)
            .filter(|kept| match choice {
                ContractChoice::Version(version) => {
                    kept.contract_version == *version && kept.named.is_some()
                }
                ContractChoice::Digest(digest) => kept.contract == *digest,
            })
            .collect();
        found.sort_by_key(|kept| kept.first_event);
        let digest = found.first().map(|kept| kept.contract);
        let text = digest.and_then(|digest| held.schemas.contracts.get(&digest).cloned());
        Ok(digest.zip(text).map(|(digest, text)| KeptContract { text, digest }))
    }
}
