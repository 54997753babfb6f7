//! Keeps the documents of one kind of job in the registry.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::eventlog::{Record, RecordKey, Registry, Revision};
use crate::replay::Error;

/// The jobs of one kind.
#[derive(Clone)]
pub(super) struct Shelf {
    registry: Arc<dyn Registry>,
    kind: &'static str,
}

impl Shelf {
    /// Keeps jobs of a kind in this registry.
    pub(super) fn new(registry: Arc<dyn Registry>, kind: &'static str) -> Self {
        Self { registry, kind }
    }

    fn key(&self, id: &str) -> RecordKey {
        RecordKey { kind: self.kind, id: id.to_owned() }
    }

    fn damaged(&self, id: &str) -> Error {
        Error::Damaged { kind: self.kind, id: id.to_owned() }
    }

    fn read<T: DeserializeOwned>(&self, record: &Record) -> Result<(String, T, Revision), Error> {
        let body = serde_json::from_str(&record.body).map_err(|_| self.damaged(&record.id))?;
        Ok((record.id.clone(), body, record.revision))
    }

    /// Reads all of them, by name, which is by age.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
    ) -> Result<Vec<(String, T, Revision)>, Error> {
        let records = self.registry.list(self.kind).await?;
        records.iter().map(|record| self.read(record)).collect()
    }

    /// Reads one.
    pub(super) async fn get<T: DeserializeOwned>(&self, id: &str) -> Result<(T, Revision), Error> {
        let record = self.registry.get(&self.key(id)).await?;
        let unknown = || Error::Unknown { kind: self.kind, id: id.to_owned() };
        let (_, body, revision) = self.read(&record.ok_or_else(unknown)?)?;
        Ok((body, revision))
    }

    /// Keeps one; a revision of 0 means that it is new.
    pub(super) async fn keep<T: Serialize + Sync>(
        &self,
        id: &str,
        body: &T,
        revision: Revision,
    ) -> Result<Revision, Error> {
        let body = serde_json::to_string(body).map_err(|_| self.damaged(id))?;
        let expected = Some(revision).filter(|revision| revision.0 > 0);
        Ok(self.registry.put(&self.key(id), expected, body).await?)
    }
}
