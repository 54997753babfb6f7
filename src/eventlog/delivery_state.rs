//! The seam to the state of deliveries: cursors, retries, and places in the numbering.

use std::fmt;

use async_trait::async_trait;

use crate::event::SubscriptionId;
use crate::eventlog::{
    Attempt, Cursor, DeadLetter, DeliveryKey, FencingEpoch, KeptReceipt, LogError, Position,
    ReceiptKey, Retry, SequenceCheckpoint,
};

/// Changes of the delivery state that are written together.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The epoch of the owner who writes them.
    pub epoch: FencingEpoch,
    /// Cursors, each replacing what was kept for its subscription.
    pub cursors: Vec<(SubscriptionId, Cursor)>,
    /// Sequence checkpoints to keep beside those that there are.
    pub sequence_checkpoints: Vec<(SubscriptionId, SequenceCheckpoint)>,
    /// Retries to keep, each replacing what was kept under its key.
    pub retries: Vec<Retry>,
    /// Retries to drop, because they were delivered or given up, and the dead letters from which
    /// they came.
    pub settled: Vec<DeliveryKey>,
    /// Dead letters to keep, each replacing the one that its delivery had.
    pub dead_letters: Vec<DeadLetter>,
    /// Attempts to keep.
    pub attempts: Vec<Attempt>,
    /// Receipts to keep.
    pub receipts: Vec<KeptReceipt>,
    /// The keys under which these receipts were checked.
    pub receipt_keys: Vec<ReceiptKey>,
}

/// Every cursor and every waiting retry.
#[derive(Clone, Debug, Default)]
pub struct SavedDeliveries {
    /// The cursor of each subscription.
    pub cursors: Vec<(SubscriptionId, Cursor)>,
    /// Every waiting retry.
    pub retries: Vec<Retry>,
}

/// Why changes of the delivery state were not written.
pub enum CommitError {
    /// The disk is full to the last byte; they can be tried again.
    NoRoom {
        /// [`LogError::Full`].
        error: LogError,
        /// The changes, none of which was written.
        changes: Box<Changes>,
    },
    /// Another owner has taken delivery over and knows better; they are dropped.
    Fenced,
    /// Anything else; they are lost.
    Failed(LogError),
}

impl CommitError {
    /// Gives the changes back where they can be tried again.
    pub(super) fn of(error: LogError, changes: Changes) -> Self {
        match error {
            LogError::Full { .. } => Self::NoRoom { error, changes: Box::new(changes) },
            other => Self::Failed(other),
        }
    }
}

/// Shows the error only, because dead letters hold events.
impl fmt::Debug for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { error, .. } | Self::Failed(error) => error.fmt(f),
            Self::Fenced => LogError::Fenced.fmt(f),
        }
    }
}

impl From<CommitError> for LogError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NoRoom { error, .. } | CommitError::Failed(error) => error,
            CommitError::Fenced => LogError::Fenced,
        }
    }
}

/// Keeps how far each subscription has come, and what waits for its next attempt.
///
/// **Durable, soon.** When [`commit`](Self::commit) returns, its changes survive a crash of the
/// process; they may wait up to 100 ms for the disk, so a power cut can repeat deliveries and never
/// drop one.
#[async_trait]
pub trait DeliveryState: Send + Sync {
    /// Loads every cursor and every waiting retry, once, at start.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn load(&self) -> Result<SavedDeliveries, LogError>;

    /// Loads the cursor and every waiting retry of one subscription.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn load_one(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<(Option<Cursor>, Vec<Retry>), LogError> {
        let SavedDeliveries { cursors, mut retries } = self.load().await?;
        let mut cursors = cursors.into_iter().filter(|(of, _)| of == subscription);
        retries.retain(|retry| retry.key.subscription == *subscription);
        Ok((cursors.next().map(|(_, cursor)| cursor), retries))
    }

    /// Reads the waiting retry of one delivery.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn retry(&self, key: &DeliveryKey) -> Result<Option<Retry>, LogError>;

    /// Writes changes of the delivery state together.
    ///
    /// # Errors
    ///
    /// Later: the disk is full to the last byte; none of them was written, and they come back.
    /// [Fenced](CommitError::Fenced): none was written. Ours: the store failed.
    async fn commit(&self, changes: Changes) -> Result<(), CommitError>;

    /// Forgets the cursor, sequence checkpoints, retries, dead letters, attempts and receipts of a
    /// subscription.
    ///
    /// Others are served while many attempts and receipts are forgotten.
    ///
    /// # Cancel safety
    ///
    /// Dropped, or cut off by a crash, it may leave some attempts and receipts; they go by their
    /// age or with the next call.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn forget(&self, subscription: &SubscriptionId) -> Result<(), LogError>;

    /// Finds the newest sequence checkpoint of a subscription at or before a place, and the oldest
    /// after it.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn sequence_checkpoints_around(
        &self,
        subscription: &SubscriptionId,
        place: Position,
    ) -> Result<(Option<SequenceCheckpoint>, Option<SequenceCheckpoint>), LogError>;

    /// Drops the sequence checkpoints of all subscriptions from which nothing can be read any more,
    /// once the entries up to `dropped` are gone. Of each subscription the newest at or before that
    /// place stays, and so does every later one. Others are served meanwhile.
    ///
    /// Whoever drops entries keeps a sequence checkpoint at `dropped` for each subscription first
    /// (`deliver::SequenceReader`), so that the entries that stay can be numbered.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn prune_sequence_checkpoints(&self, dropped: Position) -> Result<(), LogError>;
}
