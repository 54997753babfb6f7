//! A few connections that read, for what memory does not hold.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::eventlog::LogError;
use crate::eventlog::sqlite::database::Database;

/// How many reads touch the disk at once.
const CONNECTIONS: usize = 4;

/// A pool of connections that are opened when they are first needed.
pub(super) struct ReadPool {
    database: Database,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl ReadPool {
    /// Starts without any connection.
    pub(super) fn new(database: Database) -> Self {
        Self { database, idle: Arc::default(), permits: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Runs a query on a thread where blocking is allowed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| LogError::Closed)?;
        let database = self.database.clone();
        let idle = Arc::clone(&self.idle);
        let work = move || {
            // Held for as long as the work, which goes on when whoever asked has gone.
            let _permit = permit;
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match kept {
                Some(connection) => connection,
                None => database.open_for_reading()?,
            };
            let result = query(&connection);
            // A connection that met an error is not trusted again.
            if result.is_ok() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            result
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|source| self.database.error(action, source)),
            // The runtime is shutting down, or the query panicked and has said so.
            Err(_) => Err(LogError::Closed),
        }
    }

    /// Refuses reads from now on and lets the connections go.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_query_that_nobody_waits_for_any_more_counts_until_it_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::of(directory.path()).unwrap();
        drop(database.open_for_writing().unwrap());
        let pool = ReadPool::new(database);
        let gates = [(); CONNECTIONS].map(|()| mpsc::channel::<()>());
        let gates = gates.map(|(go, gate)| {
            let query = move |_: &Connection| Ok(gate.recv().is_err());
            assert!(pool.run("wait", query).now_or_never().is_none(), "it is left");
            go
        });

        assert_eq!(pool.permits.available_permits(), 0);
        let mut next = Box::pin(pool.run("read", |_| Ok(7)));
        assert!(next.as_mut().now_or_never().is_none());
        drop(gates);
        assert_eq!(next.await.unwrap(), 7);
    }
}
