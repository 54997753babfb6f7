//! The life of a delivery, from the first attempt to the last.
//!
//! Along the way of a delivery: `dispatch` follows the log and hands matches to workers · `worker`
//! serves one subscription, in order · `limits` says when an attempt may be made · `attempt` seals,
//! sends, judges and records · `sink` speaks to the sink · `outcome` keeps what became of it ·
//! `handshake` has sinks prove themselves before · `pull` hands out what consumers fetch · `explain` says where a delivery stands.
//!
//! **Invariants:** nothing here waits for a consumer except its own worker. A cursor never passes a
//! match whose outcome is not noted with it. An outcome that a crash has lost repeats a delivery
//! and never drops one: delivery is at-least-once. Wings import one way, as
//! `tests/it/architecture/` says.

mod config;
mod sink;
mod outcome;
mod limits;
mod attempt;
mod worker;
mod dispatch;
mod handshake;
mod pull;
mod explain;
#[cfg(test)]
pub(crate) mod tests;

pub use attempt::{Attempter, Handshake, LogIncarnations, Sealer, SealerError, SealerParts};
pub use config::{Config, DeliverConfigError};
pub use dispatch::{
    Dispatch, Lag, SubscriptionService, SubscriptionServiceError, SubscriptionServiceParts,
    WorkerHandle, WrongNonce, accepted_after, follow,
};
pub use explain::{
    BlockedBy, ConcernedSubscriptions, DeliveryStatus, EventStates, Explanation, FilterMatching,
    LagCause, LagReport, LagTurn,
};
pub use handshake::{Handshakes, HandshakesParts, VerifyError};
pub use limits::{
    Allowance, AttemptLimiter, BacklogLimit, BreakerConfig, BreakerPhase, Flow, OperatorLimits,
    Permit, Sinks, Traffic, Wait,
};
pub use outcome::{
    Delivery, DeliverySignal, DeliverySignals, HandshakeConfig, Ledger, Ownership, Reason,
    ReceiptChecker, Verdict,
};
pub use pull::{
    Collected, HeardReceipts, MOST_OUTSTANDING, PollRefusal, PollWish, PollWord, PullError,
    PullService, PullServiceParts, ReadAfter, Served, UnsignedEvent,
};
#[cfg(not(feature = "aws"))]
pub use sink::NoEventBuses;
pub use sink::{Destination, Destinations, EventBusPermission, EventBusPermissions, ExternalIds};
#[cfg(feature = "aws")]
pub use sink::{EventBusDestination, EventBusParts};
pub use worker::{
    Decider, DeliveryContext, EntryDecision, NotDecided, NumberedEntry, Progress, ReplayOutcome,
    ReplayTicket, ReplayedMatch, SequenceReadError, SubscriptionView, WorkerCommand,
    WorkerStanding,
};
