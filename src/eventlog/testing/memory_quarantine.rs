//! The quarantine in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::testing::memory::{MemoryLog, fill};
use crate::eventlog::{
    KeptBytes, KeptEvent, LogError, NewQuarantined, Page, Quarantine, QuarantineCount,
    QuarantineId, QuarantineKind, QuarantineQuery, Quarantined, QuarantinedContent, UnreadBytes,
    UnreadQuota,
};

#[async_trait]
impl Quarantine for MemoryLog {
    async fn quarantine(&self, batch: Vec<NewQuarantined>) -> Result<Vec<KeptEvent>, LogError> {
        let mut held = self.hold()?;
        let at = self.clock.now();
        let keep = |event: NewQuarantined| {
            let is_same = |kept: &&Quarantined| match &kept.content {
                QuarantinedContent::Event(own) => own.identity == event.identity,
                QuarantinedContent::Bytes(_) => false,
            };
            if event.identity.is_some()
                && let Some(kept) = held.quarantine.values().find(is_same)
            {
                return KeptEvent::Already(kept.id);
            }
            held.last_quarantined.0 += 1;
            let id = held.last_quarantined;
            let content = QuarantinedContent::Event(event);
            held.quarantine.insert(id, Quarantined { id, at, content });
            KeptEvent::New(id)
        };
        Ok(batch.into_iter().map(keep).collect())
    }

    async fn quarantine_bytes(
        &self,
        batch: Vec<UnreadBytes>,
        quota: UnreadQuota,
    ) -> Result<Vec<KeptBytes>, LogError> {
        let mut held = self.hold()?;
        let at = self.clock.now();
        let keep = |bytes: UnreadBytes| {
            let mut entries = 0;
            let mut used = 0;
            for kept in held.quarantine.values() {
                match &kept.content {
                    QuarantinedContent::Bytes(own) if own.producer == bytes.producer => {
                        if own.identity == bytes.identity {
                            return KeptBytes::Already(kept.id);
                        }
                        entries += 1;
                        used += own.weight() as u64;
                    }
                    _ => {}
                }
            }
            if !quota.admits(entries, used, bytes.weight() as u64) {
                return KeptBytes::OverQuota;
            }
            held.last_quarantined.0 += 1;
            let id = held.last_quarantined;
            let content = QuarantinedContent::Bytes(bytes);
            held.quarantine.insert(id, Quarantined { id, at, content });
            KeptBytes::New(id)
        };
        Ok(batch.into_iter().map(keep).collect())
    }

    async fn quarantined(
        &self,
        query: &QuarantineQuery,
        page: Page,
    ) -> Result<Vec<Quarantined>, LogError> {
        let held = self.hold()?;
        let is_wanted = |kept: &&Quarantined| {
            let (envelope, publication) = (&query.envelope_id, &query.publication);
            let name = kept.producer().map(|producer| &producer.name);
            envelope.as_ref().is_none_or(|id| kept.envelope_id() == id)
                && publication.as_ref().is_none_or(|of| kept.publication() == Some(of))
                && query.domains.as_ref().is_none_or(|domains| {
                    let domain = kept.publication().and_then(|of| of.split_once('/'));
                    domain.is_some_and(|(domain, _)| domains.iter().any(|own| **own == *domain))
                })
                && query.producer.as_ref().is_none_or(|by| name == Some(by))
                && query.kind.is_none_or(|kind| (kind == QuarantineKind::Bytes) == name.is_some())
        };
        let later = held
            .quarantine
            .range(QuarantineId(query.after.0.saturating_add(1))..)
            .map(|(_, kept)| kept)
            .filter(is_wanted);
        Ok(fill(later.cloned(), page, Quarantined::weight))
    }

    async fn count_quarantined(&self) -> Result<Vec<QuarantineCount>, LogError> {
        let held = self.hold()?;
        let mut counts = BTreeMap::new();
        for kept in held.quarantine.values() {
            let publication = kept.publication().cloned().unwrap_or_default();
            let kind = (publication, Arc::clone(kept.codes()));
            *counts.entry(kind).or_default() += 1;
        }
        let count = |((publication, codes), count)| QuarantineCount { publication, codes, count };
        Ok(counts.into_iter().map(count).collect())
    }

    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError> {
        Ok(self.hold()?.quarantine.remove(&id).is_some())
    }

    async fn expire_quarantined(
        &self,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError> {
        let mut held = self.hold()?;
        let old: Vec<QuarantineId> = held
            .quarantine
            .values()
            .take(most)
            .filter(|kept| kept.at < before)
            .map(|kept| kept.id)
            .collect();
        let dropped = old.into_iter().filter_map(|id| held.quarantine.remove(&id));
        Ok(dropped.map(|kept| kept.publication().cloned().unwrap_or_default()).collect())
    }
}
