//! Where the delivery of an event stands, and what keeps it there: the words that people are told.

use std::sync::Arc;

use crate::event::{EventId, Timestamp};
use crate::eventlog::DeadLetterId;

/// What keeps a delivery from its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedBy {
    /// Its sink has not proved itself.
    Pending,
    /// Someone has paused it, or the gateway has.
    Paused,
    /// Its sink is left alone until this moment, or until an attempt has found that it is well.
    SinkLeftAlone(Option<Timestamp>),
    /// An earlier event of its subject goes first.
    Subject {
        /// That event.
        event: EventId,
        /// Its sequence number.
        sequence: u64,
    },
    /// It is much work to tell whether the subscription wants it, and that is being done.
    Undecided,
    /// Nothing: others go first.
    Turn,
}

impl BlockedBy {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paused => "paused",
            Self::SinkLeftAlone(_) => "sink-left-alone",
            Self::Subject { .. } => "subject",
            Self::Undecided => "undecided",
            Self::Turn => "turn",
        }
    }
}

/// Where the delivery of an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// The subscription does not want it.
    Unwanted,
    /// It is older than the subscription's start.
    BeforeStart,
    /// The subscription has not come so far in the log.
    Waiting {
        /// What keeps it.
        because: BlockedBy,
    },
    /// A dead letter of its subject goes first, and waits for someone to redrive or dismiss it.
    Blocked {
        /// The number of the dead letter.
        by: DeadLetterId,
    },
    /// An attempt is being made, or its outcome is not written yet.
    UnderWay,
    /// The consumer fetches its events, and has not acknowledged this one.
    ToFetch,
    /// The consumer has fetched and acknowledged it.
    Acknowledged,
    /// Another attempt will be made.
    Retrying {
        /// Attempts made, by the schedule's count.
        attempts: u32,
        /// Not before this moment.
        due: Timestamp,
        /// Whether it was a dead letter that someone brought back.
        redriven: bool,
        /// What keeps it beyond that moment.
        because: Option<BlockedBy>,
    },
    /// The sink has it.
    Delivered {
        /// Since then.
        at: Timestamp,
    },
    /// It was given up, and waits as a dead letter.
    DeadLetter {
        /// Its number.
        number: DeadLetterId,
        /// Why, as a word of the closed list.
        reason: Arc<str>,
        /// When it was given up.
        at: Timestamp,
    },
    /// It was given up, and its dead letter was dismissed or has expired.
    Dropped {
        /// Why it was given up, as a word of the closed list.
        reason: Arc<str>,
    },
    /// It is settled, and so long ago that no attempt is on record.
    Settled,
    /// The subscription is closed and delivers no more.
    Closed,
}

impl DeliveryStatus {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::BeforeStart => "before-start",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::UnderWay => "under-way",
            Self::ToFetch => "to-fetch",
            Self::Acknowledged => "acknowledged",
            Self::Retrying { .. } => "retrying",
            Self::Delivered { .. } => "delivered",
            Self::DeadLetter { .. } => "dead-letter",
            Self::Dropped { .. } => "dropped",
            Self::Settled => "settled",
            Self::Closed => "closed",
        }
    }
}
