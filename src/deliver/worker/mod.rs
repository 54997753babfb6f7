//! The worker of one subscription: from its matches, in order, to attempts and a cursor.
//!
//! Matches come in through an [`Inbox`] or from the log; deliveries go out to attempts, and the cursor
//! and the retries to the ledger. [`Courier`] pushes to a sink; [`PullWorker`] numbers for a consumer
//! that fetches. A cursor never passes a match whose outcome is not noted with it.

mod ack_state;
mod background;
mod consumer_turns;
mod context;
mod courier;
mod courier_again;
mod courier_dropping;
mod courier_expiry;
mod courier_order;
mod courier_outage;
mod courier_replays;
mod courier_withholding;
mod decider;
mod expiry;
mod in_flight;
mod inbox;
mod laying_queues;
mod log_page;
mod match_source;
mod next_check;
mod order;
mod overdue;
mod progress;
mod pull_worker;
mod reader;
mod recall;
mod replayed;
mod retries;
mod sequence_checkpoints;
mod serving;
mod subject_queues;
mod unwritten;
mod withheld_retries;
mod withholding;

pub use ack_state::AckState;
pub use context::{
    DeliveryContext, KeptDeliveries, OldestRetry, RedrivenDelivery, RetriesToDrop, SubjectTurn,
    TurnQuestion, WorkerCommand, WorkerEnds, WorkerStanding,
};
pub use courier::Courier;
pub use decider::{Decider, EntryDecision, NotDecided};
#[cfg(test)]
pub use expiry::letter_of;
#[cfg(test)]
pub use inbox::Taken;
pub use inbox::{Followed, Inbox};
pub use progress::Progress;
pub use pull_worker::PullWorker;
pub use reader::{
    LOOKED_THROUGH, NumberedEntry, NumberedPage, SequenceReadError, SequenceReader,
    SubscriptionView,
};
pub use recall::recall;
pub use replayed::{ReplayOutcome, ReplayTicket, ReplayedMatch};
pub use serving::{DeliveryEnd, ServedSubscription};
pub use withholding::is_withheld;
