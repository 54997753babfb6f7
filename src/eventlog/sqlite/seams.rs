//! The seams beside the log: reads from the pool, writes by the writer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::event::{EventId, SubscriptionId};
use crate::eventlog::sqlite::log::SqliteLog;
use crate::eventlog::sqlite::queue::{AgeRequest, WriteRequest};
use crate::eventlog::sqlite::{
    attempts, given_up, letters, quarantine, quarantine_sizes, receipt_keys, receipts, records,
    retries, sequence_checkpoints,
};
use crate::eventlog::{
    Attempt, Attempts, Changes, CommitError, Cursor, DeadLetter, DeadLetterCount, DeadLetterId,
    DeadLetterQuery, DeadLetterUsage, DeadLetters, DeliveryKey, DeliveryState, DroppedDeadLetter,
    GivenUp, KeptEntry, KeptReceipt, LogError, NewQuarantined, Page, Position, Quarantine,
    QuarantineCount, QuarantineId, QuarantineQuery, QuarantineQuota, QuarantineSize, Quarantined,
    ReceiptId, ReceiptKey, Receipts, Record, RecordKey, Registry, Retry, Revision, SavedDeliveries,
    SequenceCheckpoint, UnreadBytes,
};

#[async_trait]
impl DeliveryState for SqliteLog {
    async fn load(&self) -> Result<SavedDeliveries, LogError> {
        self.readers.run("load the delivery state", retries::all).await
    }

    async fn load_one(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<(Option<Cursor>, Vec<Retry>), LogError> {
        let of = subscription.clone();
        self.readers.run("load the delivery state", move |c| retries::of_subscription(c, &of)).await
    }

    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, LogError> {
        let key = key.clone();
        self.readers.run("read a retry", move |c| retries::get(c, &key)).await
    }

    async fn commit(&self, changes: Changes) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.shared
            .queue
            .push(WriteRequest::Commit(changes, reply))
            .map_err(CommitError::Failed)?;
        answer.await.unwrap_or(Err(CommitError::Failed(LogError::Broken)))
    }

    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError> {
        // Many attempts go in slices, so that events and deliveries are written in between.
        while self.ask(|reply| WriteRequest::Forget(subscription.clone(), reply)).await? {}
        Ok(())
    }

    async fn sequence_checkpoints_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError> {
        let of = subscription.clone();
        self.readers
            .run("find a sequence checkpoint", move |c| sequence_checkpoints::around(c, &of, place))
            .await
    }

    async fn prune_sequence_checkpoints(&self, dropped: Position) -> Result<(), LogError> {
        let mut first = Some(String::new());
        while let Some(name) = first {
            first = self
                .ask(|reply| WriteRequest::PruneSequenceCheckpoints(name, dropped, reply))
                .await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Registry for SqliteLog {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, LogError> {
        let key = key.clone();
        self.readers.run("read a document", move |c| records::get(c, &key)).await
    }

    async fn list(&self, kind: &'static str) -> Result<Vec<Record>, LogError> {
        self.readers.run("list documents", move |c| records::list(c, kind)).await
    }

    async fn put(
        &self,
        key: &RecordKey,
        expected: Option<Revision>,
        body: String,
    ) -> Result<Revision, LogError> {
        let key = key.clone();
        self.ask(|reply| WriteRequest::Put(key, expected, body, reply)).await
    }

    async fn remove(&self, key: &RecordKey, expected: Revision) -> Result<(), LogError> {
        let key = key.clone();
        self.ask(|reply| WriteRequest::Remove(key, expected, reply)).await
    }
}

#[async_trait]
impl DeadLetters for SqliteLog {
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

    async fn given_up(&self, key: &DeliveryKey) -> Result<Option<GivenUp>, LogError> {
        let key = key.clone();
        self.readers.run("read what was given up", move |c| given_up::get(c, &key)).await
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
        age: Duration,
        most: usize,
    ) -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError> {
        let expire = |reply| AgeRequest::ExpireDeadLetters(age, most, reply);
        self.ask(|reply| WriteRequest::ByAge(expire(reply))).await
    }

    async fn dead_letter_usage(&self) -> Result<Vec<DeadLetterUsage>, LogError> {
        self.readers.run("say how much dead letters take", letters::usage).await
    }

    async fn drop_dead_letters(
        &self,
        subscription: &SubscriptionId,
        most: usize,
        bytes: u64,
    ) -> Result<Vec<DroppedDeadLetter>, LogError> {
        let of = subscription.clone();
        self.ask(|reply| WriteRequest::DropDeadLetters(of, (most, bytes), reply)).await
    }
}

#[async_trait]
impl Quarantine for SqliteLog {
    async fn quarantine(
        &self,
        batch: Vec<NewQuarantined>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| WriteRequest::Quarantine(batch, quota, reply)).await
    }

    async fn quarantine_bytes(
        &self,
        batch: Vec<UnreadBytes>,
        quota: QuarantineQuota,
    ) -> Result<Vec<KeptEntry>, LogError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| WriteRequest::QuarantineBytes(batch, quota, reply)).await
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

    async fn quarantine_size(&self, producers: usize) -> Result<QuarantineSize, LogError> {
        self.readers
            .run("say how much is in quarantine", move |c| quarantine_sizes::size(c, producers))
            .await
    }

    async fn unquarantine(&self, id: QuarantineId) -> Result<bool, LogError> {
        self.ask(|reply| WriteRequest::Unquarantine(id, reply)).await
    }

    async fn expire_quarantined(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<Arc<str>>, LogError> {
        let expire = |reply| AgeRequest::ExpireQuarantined(age, most, reply);
        self.ask(|reply| WriteRequest::ByAge(expire(reply))).await
    }
}

#[async_trait]
impl Receipts for SqliteLog {
    async fn receipts(
        &self,
        subscription: &SubscriptionId,
        event: Option<EventId>,
        after: ReceiptId,
        page: Page,
    ) -> Result<Vec<KeptReceipt>, LogError> {
        let of = subscription.clone();
        self.readers.run("list receipts", move |c| receipts::list(c, &of, event, after, page)).await
    }

    async fn receipt_keys(&self, of: &SubscriptionId) -> Result<Vec<ReceiptKey>, LogError> {
        let of = of.clone();
        self.readers.run("list keys for receipts", move |c| receipt_keys::list(c, &of)).await
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
}

#[async_trait]
impl Attempts for SqliteLog {
    async fn attempts(
        &self,
        subscription: Option<&SubscriptionId>,
        event: Option<EventId>,
        page: Page,
    ) -> Result<Vec<Attempt>, LogError> {
        let of = subscription.cloned();
        self.readers
            .run("list attempts", move |c| attempts::list(c, of.as_ref(), event, page))
            .await
    }
}
