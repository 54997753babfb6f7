//! The registry alone, for a process beside a running gateway.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::ambient::Clock;
use crate::eventlog::sqlite::database::{Database, LogOpenError};
use crate::eventlog::sqlite::records;
use crate::eventlog::{LogError, Record, RecordKey, Registry, Revision};

/// The documents of a data directory, whether or not a gateway is using it.
///
/// Takes no lock, but for the moment in which tables are made. A write holds the database for a moment, in which the gateway's writer waits.
pub struct SqliteRegistry {
    database: Database,
    connection: Arc<Mutex<Connection>>,
    clock: Arc<dyn Clock>,
}

impl SqliteRegistry {
    /// Opens the registry of a directory, or begins one.
    ///
    /// # Errors
    ///
    /// The caller's turn: a newer gateway has written it, or an older one is using it. Later: a
    /// gateway is just beginning it. Ours: it is damaged or cannot be opened.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, LogOpenError> {
        let database = Database::of(directory)?;
        let connection = database.open_beside()?;
        Ok(Self::over(database, connection, clock))
    }

    /// Works on a connection that writes.
    pub(super) fn over(database: Database, connection: Connection, clock: Arc<dyn Clock>) -> Self {
        Self { database, connection: Arc::new(Mutex::new(connection)), clock }
    }

    /// Runs statements in a transaction of their own, on a thread where blocking is allowed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let connection = Arc::clone(&self.connection);
        let work = move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = Transaction::new_unchecked(&connection, behavior)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => {
                result.map_err(|source: rusqlite::Error| self.database.error(action, source))
            }
            // The runtime is shutting down, or the statement panicked and has said so.
            Err(_) => Err(LogError::Closed),
        }
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError> {
        let key = key.clone();
        self.run("read a document", TransactionBehavior::Deferred, move |c| records::get(c, &key))
            .await
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError> {
        self.run("list documents", TransactionBehavior::Deferred, move |c| records::list(c, kind))
            .await
    }

    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, LogError> {
        let (key, now) = (key.clone(), self.clock.now());
        let put = move |c: &Connection| records::put(c, &key, expected, &body, now);
        self.run("write a document", TransactionBehavior::Immediate, put)
            .await?
            .map_err(|found| LogError::Stale { expected, found })
    }

    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), LogError> {
        let key = key.clone();
        let remove = move |c: &Connection| records::remove(c, &key, expected);
        self.run("remove a document", TransactionBehavior::Immediate, remove)
            .await?
            .map_err(|found| LogError::Stale { expected: Some(expected), found })
    }
}
