//! The quarantine in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Timestamp;
use crate::eventlog::testing::memory::{Held, MemoryLog, fill};
use crate::eventlog::{
    KeptEntry, LogError, NewQuarantined, Page, ProducerUsage, Quarantine, QuarantineCount,
    QuarantineId, QuarantineQuery, QuarantineQuota, QuarantineSize, QuarantineUsage, Quarantined,
    QuarantinedContent, UnreadBytes,
};

impl Held {
    fn quarantine_total(&self) -> QuarantineUsage {
        let add = |total: QuarantineUsage, kept: &Quarantined| total.with(kept.bytes_on_disk());
        self.quarantine.values().fold(QuarantineUsage::default(), add)
    }
}

/// Keeps what is not there yet, if there is room.
fn keep(
    held: &mut Held,
    content: QuarantinedContent,
    at: Timestamp,
    quota: QuarantineQuota,
) -> KeptEntry {
    let id = QuarantineId(held.last_quarantined.0 + 1);
    let new = Quarantined { id, at, content };
    let is_of_it =
        |kept: &&Quarantined| kept.producer() == new.producer() && kept.kind() == new.kind();
    let own = held.quarantine.values().filter(is_of_it);
    let used = own.fold(QuarantineUsage::default(), |used, one| used.with(one.bytes_on_disk()));
    if new.producer().is_some() && !quota.admits(used, new.bytes_on_disk()) {
        return KeptEntry::OverQuota;
    }
    if !quota.has_room(held.quarantine_total(), new.bytes_on_disk()) {
        return KeptEntry::Full;
    }
    held.last_quarantined = id;
    held.quarantine.insert(id, new);
    let now = held.ages.now;
    held.ages.quarantined.insert(id, now);
    KeptEntry::New(id)
}

#[async_trait]
impl Quarantine for MemoryLog {
    async fn quarantine(
        &self,
        batch: Vec<NewQuarantined>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError> {
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
                return KeptEntry::Already(kept.id);
            }
            keep(&mut held, QuarantinedContent::Event(event), at, quota)
        };
        Ok(batch.into_iter().map(keep).collect())
    }

    async fn quarantine_bytes(
        &self,
        batch: Vec<UnreadBytes>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError> {
        let mut held = self.hold()?;
        let at = self.clock.now();
        let keep = |bytes: UnreadBytes| {
            let is_same = |kept: &&Quarantined| match &kept.content {
                QuarantinedContent::Bytes(own) => {
                    own.producer == bytes.producer && own.identity == bytes.identity
                }
                QuarantinedContent::Event(_) => false,
            };
            if let Some(kept) = held.quarantine.values().find(is_same) {
                return KeptEntry::Already(kept.id);
            }
            keep(&mut held, QuarantinedContent::Bytes(bytes), at, quota)
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
                && query.kind.is_none_or(|kind| kind == kept.kind())
                && query
                    .code
                    .as_ref()
                    .is_none_or(|code| kept.codes().split(',').any(|it| *it == **code))
                && query.from.is_none_or(|from| kept.at >= from)
                && query.to.is_none_or(|to| kept.at <= to)
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

    async fn quarantine_size(&self, producers: usize) -> Result<QuarantineSize, LogError> {
        let held = self.hold()?;
        let mut used: Vec<ProducerUsage> = Vec::new();
        for kept in held.quarantine.values() {
            let (producer, kind) = (kept.producer().cloned(), kept.kind());
            let bytes = kept.bytes_on_disk();
            let is_of = |one: &&mut ProducerUsage| one.producer == producer && one.kind == kind;
            if let Some(one) = used.iter_mut().find(is_of) {
                one.usage = one.usage.with(bytes);
            } else {
                let usage = QuarantineUsage::default().with(bytes);
                used.push(ProducerUsage { producer, kind, usage });
            }
        }
        used.sort_by_key(|one| std::cmp::Reverse(one.usage.bytes));
        used.truncate(producers);
        Ok(QuarantineSize { total: held.quarantine_total(), largest: used })
    }

    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError> {
        Ok(self.hold()?.quarantine.remove(&id).is_some())
    }

    async fn expire_quarantined(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError> {
        let mut held = self.hold()?;
        let old: Vec<QuarantineId> = held
            .quarantine
            .values()
            .take(most)
            .filter(|kept| held.ages.is_old(held.ages.quarantined.get(&kept.id), age))
            .map(|kept| kept.id)
            .collect();
        let dropped = old.into_iter().filter_map(|id| held.quarantine.remove(&id));
        Ok(dropped.map(|kept| kept.publication().cloned().unwrap_or_default()).collect())
    }
}
