//! How far the series of bundles of a subscription has come.

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveError;
use crate::event::{ChainValue, EventId, SubscriptionId, Timestamp, TokenDigest};
use crate::eventlog::{Position, RecordKey, Registry, SequenceCheckpoint};

const KIND: &str = "evidence-export";

/// A bundle that was put in its place, or is about to be.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedBundle {
    /// Its name in its place.
    pub name: String,
    /// When it was begun.
    pub at: Timestamp,
    #[serde(with = "text")]
    sha256: TokenDigest,
    position: u64,
    sequence: u64,
    #[serde(with = "text")]
    chain: ChainValue,
    /// The newest event in it.
    #[serde(with = "text")]
    event: EventId,
    /// How many events are in it.
    pub events: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl ExportedBundle {
    /// Describes a bundle: under which name and since when, the digest of its bytes and how many they are,
    /// and its last place, newest event and number of events.
    pub fn new(
        (name, at): (String, Timestamp),
        (sha256, bytes): (TokenDigest, u64),
        (place, event, events): (SequenceCheckpoint, EventId, u64),
    ) -> Self {
        let SequenceCheckpoint { position, sequence, chain } = place;
        Self { name, at, sha256, position: position.0, sequence, chain, event, events, bytes }
    }

    /// The SHA-256 of its bytes.
    pub const fn sha256(&self) -> TokenDigest {
        self.sha256
    }

    /// Its last place.
    pub const fn place(&self) -> SequenceCheckpoint {
        SequenceCheckpoint {
            position: Position(self.position),
            sequence: self.sequence,
            chain: self.chain,
        }
    }

    /// The newest event in it.
    pub const fn event(&self) -> EventId {
        self.event
    }
}

/// The series of a subscription.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportSeries {
    /// When its subscription was made: another one of the same name has a series of its own.
    created: Timestamp,
    /// The last bundle that is in its place.
    pub last: Option<ExportedBundle>,
    /// The one that waits to be put in its place, gathered and durable.
    pub waiting: Option<ExportedBundle>,
}

impl ExportSeries {
    /// The series of a new subscription.
    pub(super) fn beginning(created: Timestamp) -> Self {
        Self { created, last: None, waiting: None }
    }

    /// Reads the series of a subscription that was made then.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub(super) async fn read(
        registry: &dyn Registry,
        (subscription, created): (&SubscriptionId, Timestamp),
    ) -> Result<Self, ArchiveError> {
        let Some(record) = registry.get(&key(subscription)).await? else {
            return Ok(Self::beginning(created));
        };
        let found: Self = serde_json::from_str(&record.body).map_err(ArchiveError::Damaged)?;
        Ok(if found.created == created { found } else { Self::beginning(created) })
    }

    /// Reads every series.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub(super) async fn all(
        registry: &dyn Registry,
    ) -> Result<Vec<(SubscriptionId, Self)>, ArchiveError> {
        let mut all = Vec::new();
        for record in registry.list(KIND).await? {
            let series = serde_json::from_str(&record.body).map_err(ArchiveError::Damaged)?;
            if let Ok(subscription) = record.id.parse() {
                all.push((subscription, series));
            }
        }
        Ok(all)
    }

    /// Keeps it durably. Only one process exports, so that nobody else writes it.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn keep(
        &self,
        registry: &dyn Registry,
        subscription: &SubscriptionId,
    ) -> Result<(), ArchiveError> {
        let key = key(subscription);
        let expected = registry.get(&key).await?.map(|record| record.revision);
        let body = serde_json::to_string(self).map_err(ArchiveError::Damaged)?;
        registry.put(&key, expected, body).await?;
        Ok(())
    }

    /// Removes what is kept of a subscription.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub(super) async fn forget(
        registry: &dyn Registry,
        subscription: &SubscriptionId,
    ) -> Result<(), ArchiveError> {
        let key = key(subscription);
        if let Some(record) = registry.get(&key).await? {
            registry.remove(&key, record.revision).await?;
        }
        Ok(())
    }

    /// Whether it is that of a subscription that was made then.
    pub fn is_of(&self, created: Timestamp) -> bool {
        self.created == created
    }
}

fn key(subscription: &SubscriptionId) -> RecordKey {
    RecordKey { kind: KIND, id: subscription.to_string() }
}

/// Values as the text that they are shown as.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
