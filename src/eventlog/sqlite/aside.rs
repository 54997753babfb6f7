//! What the SQLite log has set aside: reads from the pool, writes by the writer.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::queue::WriteRequest;
use crate::eventlog::sqlite::{letters, quarantine, receipts};
use crate::eventlog::{
    DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery, DeliveryKey, LogError,
    NewQuarantined, Page, QuarantineCount, QuarantineId, QuarantineQuery, Quarantined, Retry,
    SetAside,
};

#[async_trait]
impl SetAside for SqliteLog {
    async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
        page: Page,
    ) -> Result<Vec<DeadLetter>, LogError> {
        let query = query.clone();
        self.readers.run("list dead letters", move |c| letters::list(c, &query, page)).await
    }

    async fn count_chosen(&self, query: &DeadLetterQuery) -> Result<u64, LogError> {
        let query = query.clone();
        self.readers.run("count dead letters", move |c| letters::count_chosen(c, &query)).await
    }

    async fn last_dead_letter(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<DeadLetterId, LogError> {
        let of = subscription.clone();
        self.readers.run("read a number", move |c| letters::last(c, &of)).await
    }

    async fn dead_letter(&self, key: &DeliveryKey) -> Result<Option<DeadLetter>, LogError> {
        let key = key.clone();
        self.readers.run("read a dead letter", move |c| letters::get(c, &key)).await
    }

    async fn count_dead_letters(
        &self,
        subscription: Option<&SubscriptionId>,
    ) -> Result<Vec<DeadLetterCount>, LogError> {
        let of = subscription.cloned();
        self.readers.run("count dead letters", move |c| letters::count(c, of.as_ref())).await
    }

    async fn revive(&self, letters: Vec<(DeadLetterId, Retry)>) -> Result<Vec<Retry>, LogError> {
        self.ask(|reply| WriteRequest::Revive(letters, reply)).await
    }

    async fn dismiss(
        &self,
        subscription: &SubscriptionId,
        id: DeadLetterId,
    ) -> Result<bool, LogError> {
        let subscription = subscription.clone();
        self.ask(|reply| WriteRequest::Dismiss(subscription, id, reply)).await
    }

    async fn expire_dead_letters(
        &self,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError> {
        self.ask(|reply| WriteRequest::ExpireDeadLetters(before, most, reply)).await
    }

    async fn drop_dead_letters(
        &self,
        subscription: &SubscriptionId,
        most: usize,
    ) -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError> {
        let of = subscription.clone();
        self.ask(|reply| WriteRequest::DropDeadLetters(of, most, reply)).await
    }

    async fn count_receipts(&self) -> Result<Vec<(SubscriptionId, u64)>, LogError> {
        self.readers.run("count receipts", receipts::count).await
    }

    async fn drop_receipts(
        &self,
        subscription: &SubscriptionId,
        most: usize,
    ) -> Result<usize, LogError> {
        let of = subscription.clone();
        self.ask(|reply| WriteRequest::DropReceipts(of, most, reply)).await
    }

    async fn quarantine(&self, batch: Vec<NewQuarantined>) -> Result<Vec<QuarantineId>, LogError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| WriteRequest::Quarantine(batch, reply)).await
    }

    async fn quarantined(
        &self,
        query: &QuarantineQuery,
        page: Page,
    ) -> Result<Vec<Quarantined>, LogError> {
        let query = query.clone();
        self.readers
            .run("list quarantined events", move |c| quarantine::list(c, &query, page))
            .await
    }

    async fn count_quarantined(&self) -> Result<Vec<QuarantineCount>, LogError> {
        self.readers.run("count quarantined events", quarantine::count).await
    }

    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError> {
        self.ask(|reply| WriteRequest::Unquarantine(id, reply)).await
    }

    async fn expire_quarantined(
        &self,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError> {
        self.ask(|reply| WriteRequest::ExpireQuarantined(before, most, reply)).await
    }
}
