//! When each caller was seen last: noted in memory, and kept every few minutes for all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::api::Caller;
use crate::event::Timestamp;
use crate::eventlog::{LogError, RecordKey, Registry};

/// The kind of the document, and its only name.
const KIND: &str = "caller-uses";

/// When a caller was seen last.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CallerUse {
    /// Under any of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Timestamp>,
    /// Under the key that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former: Option<Timestamp>,
}

/// When callers were seen last, by name.
pub(super) type Uses = BTreeMap<String, CallerUse>;

/// Notes when callers were seen.
#[derive(Default)]
pub(super) struct CallerUses {
    /// Of those that were seen since the last time that it was kept.
    seen: Mutex<Uses>,
}

impl CallerUses {
    /// Notes that a caller was seen.
    pub(super) fn note(&self, caller: &Caller, now: Timestamp) {
        let mut seen = self.seen();
        // Most callers come again and again: a name is copied once for each time that it is kept.
        let noted = match seen.get_mut(caller.id.as_str()) {
            Some(noted) => noted,
            None => seen.entry(caller.id.to_string()).or_default(),
        };
        noted.last = Some(now);
        if caller.is_former {
            noted.former = Some(now);
        }
    }

    /// Keeps what was noted, for the callers that there are; writes nothing if nobody was seen.
    ///
    /// # Errors
    ///
    /// Later or ours: the registry failed. What was noted is kept the next time.
    pub(super) async fn keep(
        &self,
        registry: &dyn Registry,
        callers: &BTreeSet<String>,
    ) -> Result<(), LogError> {
        let seen = std::mem::take(&mut *self.seen());
        if seen.is_empty() {
            return Ok(());
        }
        let written = write(registry, &seen, callers).await;
        if written.is_err() {
            let mut since = self.seen();
            for (name, one) in seen {
                since.entry(name).or_default().add(one);
            }
        }
        written
    }

    /// What is kept, and what was noted since.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn known(&self, registry: &dyn Registry) -> Result<Uses, LogError> {
        let mut known = kept(registry).await?.1;
        for (name, one) in &*self.seen() {
            known.entry(name.clone()).or_default().add(*one);
        }
        Ok(known)
    }

    fn seen(&self) -> MutexGuard<'_, Uses> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallerUse {
    /// What of it was since a moment.
    pub(super) fn since(self, from: Timestamp) -> Self {
        let is_since = |at: &Timestamp| *at >= from;
        Self { last: self.last.filter(is_since), former: self.former.filter(is_since) }
    }

    fn add(&mut self, other: Self) {
        self.last = self.last.max(other.last);
        self.former = self.former.max(other.former);
    }
}

fn key() -> RecordKey {
    RecordKey { kind: KIND, id: KIND.to_owned() }
}

async fn kept(
    registry: &dyn Registry,
) -> Result<(Option<crate::eventlog::Revision>, Uses), LogError> {
    let Some(record) = registry.get(&key()).await? else { return Ok((None, Uses::new())) };
    // What cannot be read is written anew: it says when, and decides nothing.
    Ok((Some(record.revision), serde_json::from_str(&record.body).unwrap_or_default()))
}

async fn write(
    registry: &dyn Registry,
    seen: &Uses,
    callers: &BTreeSet<String>,
) -> Result<(), LogError> {
    let (revision, mut uses) = kept(registry).await?;
    for (name, one) in seen {
        uses.entry(name.clone()).or_default().add(*one);
    }
    uses.retain(|name, _| callers.contains(name));
    let body = serde_json::to_string(&uses).unwrap_or_default();
    registry.put(&key(), revision, body).await.map(|_| ())
}
