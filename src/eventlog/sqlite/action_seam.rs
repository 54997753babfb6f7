//! The seam to actions: reads from the pool, writes by the writer; and beside a running gateway.

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};

use crate::eventlog::sqlite::actions;
use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::queue::WriteRequest;
use crate::eventlog::sqlite::registry::SqliteRegistry;
use crate::eventlog::{
    Action, ActionEnd, ActionId, ActionQuery, Actions, LogError, NewAction, Page,
};

#[async_trait]
impl Actions for SqliteLog {
    async fn begin_action(&self, action: NewAction) -> Result<ActionId, LogError> {
        self.ask(|reply| WriteRequest::BeginAction(action, reply)).await
    }

    async fn end_action(&self, id: ActionId, end: ActionEnd) -> Result<(), LogError> {
        self.ask(|reply| WriteRequest::EndAction(id, end, reply)).await
    }

    async fn actions(&self, query: &ActionQuery, page: Page) -> Result<Vec<Action>, LogError> {
        let query = query.clone();
        self.readers.run("list actions", move |c| actions::list(c, &query, page)).await
    }
}

/// A gateway's next sweep drops what is old.
#[async_trait]
impl Actions for SqliteRegistry {
    async fn begin_action(&self, action: NewAction) -> Result<ActionId, LogError> {
        let begin = move |c: &Connection| actions::begin(c, &action);
        self.run("keep an action", TransactionBehavior::Immediate, begin).await
    }

    async fn end_action(&self, id: ActionId, end: ActionEnd) -> Result<(), LogError> {
        let end = move |c: &Connection| actions::end(c, id, &end);
        self.run("keep an action", TransactionBehavior::Immediate, end).await
    }

    async fn actions(&self, query: &ActionQuery, page: Page) -> Result<Vec<Action>, LogError> {
        let query = query.clone();
        let list = move |c: &Connection| actions::list(c, &query, page);
        self.run("list actions", TransactionBehavior::Deferred, list).await
    }
}
