//! What keeps events from a subscription, and whose turn it is.

use std::sync::Arc;

use crate::event::{EventId, Timestamp};
use crate::eventlog::{Attempt, DeadLetter};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagTurn {
    /// Whoever may change the subscription.
    Subscriber,
    /// Whoever runs the sink, or fetches.
    Consumer,
    /// Whoever runs the gateway, or owns the publication.
    Operator,
    /// Whoever publishes.
    Producer,
    /// The gateway's own: it goes on by itself.
    Gateway,
}

/// One thing that keeps events from a subscription.
#[derive(Clone, Debug)]
pub enum LagCause {
    /// It is closed, for ever.
    Closed,
    /// Its sink has not proved itself.
    Pending {
        /// Since when.
        since: Option<Timestamp>,
        /// Attempts at the handshake so far.
        attempts: u32,
        /// When the next one is due; nothing: when someone asks.
        due: Option<Timestamp>,
    },
    /// Someone has paused it, or the gateway has because every attempt failed.
    Paused {
        /// The caller; nothing where that is not on record, or where it was the gateway.
        by: Option<String>,
        /// Since when, as far as that is on record.
        since: Option<Timestamp>,
    },
    /// Its sink is left alone: it does not answer well, or has asked for time.
    SinkLeftAlone {
        /// Since when its attempts have only failed.
        since: Option<Timestamp>,
        /// Until when; nothing: until one attempt has found that it is well.
        until: Option<Timestamp>,
        /// The last attempt that failed.
        last: Option<Attempt>,
    },
    /// Its attempts only fail.
    SinkFailing {
        /// Since when.
        since: Timestamp,
        /// The last attempt that failed.
        last: Option<Attempt>,
    },
    /// A dead letter of a subject goes first.
    BehindDeadLetter(Box<DeadLetter>),
    /// An earlier event of a subject goes first, and is tried again later.
    BehindEvent {
        /// That event.
        event: EventId,
        /// Since when it waits.
        since: Timestamp,
        /// When it is tried again.
        due: Timestamp,
    },
    /// Some deliveries have failed and are tried again.
    Retrying {
        /// How many.
        deliveries: usize,
        /// Since when the oldest waits.
        since: Option<Timestamp>,
        /// When that is tried again.
        due: Option<Timestamp>,
    },
    /// Its rate keeps attempts back.
    Rate {
        /// Attempts per second.
        rate: Option<u32>,
    },
    /// As many attempts are in flight as its sink keeps up with.
    SlowSink {
        /// How many.
        allowed: u16,
    },
    /// Its consumer has not acknowledged what it can fetch.
    NotFetched {
        /// How many events.
        events: usize,
        /// Since when the oldest waits.
        since: Option<Timestamp>,
    },
    /// It goes through the log, or its events are on their way.
    CatchingUp {
        /// Since when the oldest waits.
        since: Option<Timestamp>,
    },
    /// Its consumer is not entitled to any publication that its `types` name.
    NotEntitled {
        /// One of them.
        publication: Arc<str>,
    },
    /// No publication makes what its `types` name.
    NoPublication,
    /// Nothing that it wants was published since it began.
    NothingPublished {
        /// Since when.
        since: Timestamp,
    },
    /// Deliveries were given up and wait for a decision.
    GivenUp {
        /// How many.
        letters: u64,
        /// Since when the oldest waits.
        since: Option<Timestamp>,
    },
}

impl LagCause {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Pending { .. } => "pending",
            Self::Paused { .. } => "paused",
            Self::SinkLeftAlone { .. } => "sink-left-alone",
            Self::SinkFailing { .. } => "sink-failing",
            Self::BehindDeadLetter(_) => "behind-dead-letter",
            Self::BehindEvent { .. } => "behind-event",
            Self::Retrying { .. } => "retrying",
            Self::Rate { .. } => "rate",
            Self::SlowSink { .. } => "slow-sink",
            Self::NotFetched { .. } => "not-fetched",
            Self::CatchingUp { .. } => "catching-up",
            Self::NotEntitled { .. } => "not-entitled",
            Self::NoPublication => "no-publication",
            Self::NothingPublished { .. } => "nothing-published",
            Self::GivenUp { .. } => "given-up",
        }
    }

    /// Whose turn it is.
    pub const fn turn(&self) -> LagTurn {
        match self {
            Self::Closed
            | Self::Paused { .. }
            | Self::BehindDeadLetter(_)
            | Self::Rate { .. }
            | Self::NoPublication
            | Self::GivenUp { .. } => LagTurn::Subscriber,
            Self::Pending { attempts: 0, due: Some(_), .. }
            | Self::BehindEvent { .. }
            | Self::Retrying { .. }
            | Self::CatchingUp { .. } => LagTurn::Gateway,
            Self::Pending { .. }
            | Self::SinkLeftAlone { .. }
            | Self::SinkFailing { .. }
            | Self::SlowSink { .. }
            | Self::NotFetched { .. } => LagTurn::Consumer,
            Self::NotEntitled { .. } => LagTurn::Operator,
            Self::NothingPublished { .. } => LagTurn::Producer,
        }
    }

    /// Since when, as far as that is known.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { since, .. }
            | Self::Paused { since, .. }
            | Self::SinkLeftAlone { since, .. }
            | Self::Retrying { since, .. }
            | Self::NotFetched { since, .. }
            | Self::CatchingUp { since }
            | Self::GivenUp { since, .. } => *since,
            Self::SinkFailing { since, .. }
            | Self::BehindEvent { since, .. }
            | Self::NothingPublished { since } => Some(*since),
            Self::BehindDeadLetter(letter) => Some(letter.at),
            Self::Closed
            | Self::Rate { .. }
            | Self::SlowSink { .. }
            | Self::NotEntitled { .. }
            | Self::NoPublication => None,
        }
    }

    /// When it goes on by itself, or is tried again, as far as that is known.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { due, .. } | Self::Retrying { due, .. } => *due,
            Self::SinkLeftAlone { until, .. } => *until,
            Self::BehindEvent { due, .. } => Some(*due),
            _ => None,
        }
    }
}
