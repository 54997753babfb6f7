//! One delivery and what an attempt at it means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::deliver::sink::Health;
use crate::event::{ChainValue, ReplayId, Timestamp};
use crate::eventlog::{DeadLetter, DeadLetterId, DeliveryKey, Entry, Position, Retry};
use crate::subscriptions::Subscription;

/// An event on its way to one subscription.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// For whom.
    pub subscription: Arc<Subscription>,
    /// What.
    pub entry: Arc<Entry>,
    /// Its sequence number and the chain before it; nothing in a replay.
    pub link: Option<(u64, ChainValue)>,
    /// The replay that it belongs to; nothing for live traffic.
    pub replay: Option<ReplayId>,
    /// How many attempts were made before this one.
    pub attempts: u32,
    /// When the first attempt was made; nothing before it.
    pub first_attempt: Option<Timestamp>,
    /// Whether it was a dead letter that someone brought back.
    pub redriven: bool,
}

impl Delivery {
    /// A match before its first attempt; without a link in a replay.
    pub fn first(
        subscription: &Arc<Subscription>,
        entry: Arc<Entry>,
        link: Option<(u64, ChainValue)>,
    ) -> Self {
        Self {
            subscription: Arc::clone(subscription),
            entry,
            link,
            replay: None,
            attempts: 0,
            first_attempt: None,
            redriven: false,
        }
    }

    /// What waits for another attempt, with its event.
    pub fn of_retry(subscription: &Arc<Subscription>, entry: Arc<Entry>, retry: &Retry) -> Self {
        Self {
            subscription: Arc::clone(subscription),
            entry,
            link: retry.link,
            replay: retry.key.replay.clone(),
            attempts: retry.attempts,
            first_attempt: Some(retry.first_attempt),
            redriven: retry.redriven,
        }
    }

    /// Its place among those of its subject: its number, or its position in a replay, which gives
    /// none.
    pub fn rank(&self) -> u64 {
        rank(self.link, self.entry.position)
    }

    /// The name under which the log keeps what becomes of it.
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey {
            subscription: self.subscription.id.clone(),
            replay: self.replay.clone(),
            event: self.entry.event.id,
        }
    }

    /// From when on its age counts, if its attempt began just now.
    ///
    /// What is replayed or redriven is old by nature, so its age counts from its first attempt.
    pub fn ages_from(&self, began: Timestamp) -> Timestamp {
        if self.replay.is_some() || self.redriven {
            self.first_attempt.unwrap_or(began)
        } else {
            self.entry.accepted
        }
    }

    /// The dead letter that it is where its consumer may not hear its event any more.
    pub fn withheld(&self, at: Timestamp) -> DeadLetter {
        DeadLetter {
            id: DeadLetterId(0),
            key: self.key(),
            position: self.entry.position,
            link: self.link,
            event: self.entry.event.clone(),
            reason: Arc::from(Reason::NotEntitled.word()),
            attempts: self.attempts,
            status: None,
            detail: Arc::from(""),
            at,
            redriven: false,
        }
    }

    /// The dead letter that it is where someone wants no further attempt.
    pub fn dropped(&self, at: Timestamp) -> DeadLetter {
        DeadLetter { reason: Arc::from(Reason::Dropped.word()), ..self.withheld(at) }
    }

    /// What the log keeps while it waits for its next attempt.
    pub fn to_retry(&self, first_attempt: Timestamp, due: Timestamp) -> Retry {
        Retry {
            key: self.key(),
            position: self.entry.position,
            link: self.link,
            attempts: self.attempts.saturating_add(1),
            first_attempt,
            due,
            redriven: self.redriven,
        }
    }
}

/// The [rank](Delivery::rank) of what has this link and this position.
pub fn rank(link: Option<(u64, ChainValue)>, position: Position) -> u64 {
    link.map_or(position.0, |(sequence, _)| sequence)
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// What it means for its delivery.
    pub verdict: Verdict,
    /// What it says of the sink.
    pub health: Health,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What an attempt means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink has it.
    Delivered,
    /// It is tried again.
    Retry {
        /// Not before this moment.
        due: Timestamp,
    },
    /// It is given up and kept as a dead letter.
    GiveUp(Reason),
}

impl Verdict {
    /// The stable word for logs, metrics and the attempt list.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retry",
            Self::GiveUp(reason) => reason.word(),
        }
    }
}

/// Why a delivery was given up: a closed list, explained in `docs/delivery.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every attempt of the schedule was used.
    AttemptsExhausted,
    /// The event is older than the subscription wants.
    EventTooOld,
    /// The sink refused it for good as often as the subscription allows.
    Refused,
    /// The sink said that it is gone, which also closes the subscription.
    SinkGone,
    /// It was never offered within what the subscription's backlog may hold.
    Expired,
    /// The consumer has fetched it and said that it will not take it (RFC 8936, `setErrs`).
    RefusedByConsumer,
    /// It takes more work to tell whether the subscription wants it than its budget allows.
    Undecided,
    /// The consumer may not hear its publication any more. It cannot be redriven.
    NotEntitled,
    /// It waited for another attempt, and someone wanted none.
    Dropped,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::AttemptsExhausted,
        Self::EventTooOld,
        Self::Refused,
        Self::SinkGone,
        Self::RefusedByConsumer,
        Self::Expired,
        Self::Undecided,
        Self::NotEntitled,
        Self::Dropped,
    ];

    /// Whether it can befall a delivery to a subscription with a sink, or to one without.
    pub const fn befalls(self, is_pulled: bool) -> bool {
        match self {
            Self::AttemptsExhausted
            | Self::EventTooOld
            | Self::Refused
            | Self::SinkGone
            | Self::Dropped => !is_pulled,
            Self::RefusedByConsumer => is_pulled,
            Self::Expired | Self::Undecided | Self::NotEntitled => true,
        }
    }

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::EventTooOld => "event-too-old",
            Self::Refused => "refused",
            Self::SinkGone => "sink-gone",
            Self::Expired => "expired",
            Self::Undecided => "undecided",
            Self::RefusedByConsumer => "refused-by-consumer",
            Self::NotEntitled => "not-entitled",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
