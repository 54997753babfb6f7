//! What became of the messages of a dead-letter queue.

use crate::event::QueueArn;

/// What became of the messages of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// The dead-letter queue.
    pub queue: QueueArn,
    /// How many messages were received.
    pub received: u64,
    /// How many of them became new events in the log.
    pub admitted: u64,
    /// How many of them the log had already.
    pub repeated: u64,
    /// How many of them are in quarantine.
    pub quarantined: u64,
    /// How many of them no publication wanted, or were the gateway's own.
    pub unwanted: u64,
    /// How many of them stayed because they could not be taken now.
    pub left: u64,
    /// Whether the queue had nothing more to give at the end.
    pub is_empty: bool,
    /// Why they were in the queue, the most frequent reason first.
    pub failures: Vec<FailedDelivery>,
}

/// Why messages came to a dead-letter queue, as their attributes say; those that came by the redrive of
/// a queue have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedDelivery {
    /// How many of them.
    pub count: u64,
    /// `ERROR_CODE`.
    pub code: Option<String>,
    /// `ERROR_MESSAGE` of the first of them.
    pub message: Option<String>,
    /// `RULE_ARN`: the rule that could not deliver.
    pub rule: Option<String>,
    /// `TARGET_ARN`: where it could not deliver.
    pub target: Option<String>,
    /// `EXHAUSTED_RETRY_CONDITION`: which bound was reached, if it was tried again.
    pub condition: Option<String>,
}

/// Why a dead-letter queue was not drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The settings do not name it.
    #[error(
        "no queue of `source.queues` has this among its `dead-letter-queues`, and the gateway reads none that \
         its settings do not name"
    )]
    Unknown,
    /// Several may be meant: their names.
    #[error("there are several dead-letter queues, say which one: {0}")]
    Several(String),
    /// AWS refused, or cannot be reached.
    #[error("the queue cannot be read: {0}")]
    Aws(String),
}
