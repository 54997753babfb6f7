//! The life of a delivery, from the first attempt to the last.
//!
//! The follower of the log puts each match into the [`Inbox`] of a subscription. The [`Courier`] of
//! that subscription takes matches in order, and [`Progress`] gives each its sequence number and
//! its link of the chain. A [`Carry`] seals it and hands a [`Parcel`] to a [`Destination`], whose
//! [`Answer`] a [`Policy`] judges: delivered, another attempt later, or given up. The [`Ledger`]
//! writes what became of it, a few times a second. A delivery that failed leaves the straight line
//! and waits among the [`Retries`]; one that is given up is a dead letter and can be redriven.
//!
//! How the gateway shows itself to a sink is for [`Connections`] to add, from the subscription's
//! credential. What is dialed on the way is for the egress guard to say: [`Egress`].
//!
//! **Invariants:** nothing here waits for a consumer except its own courier. A cursor never passes
//! a match whose outcome is not noted with it. An outcome that a crash has lost repeats a delivery
//! and never drops one.

mod behind;
mod breaker;
mod caps;
mod config;
mod connection;
mod content;
mod courier;
mod delivery;
mod destination;
mod dispatch;
mod egress;
mod failing;
mod expiry;
mod fate;
mod gate;
mod gathering;
mod handshake;
mod http;
mod inbox;
mod lanes;
mod ledger;
mod milestones;
mod next_look;
mod notes;
mod notice;
mod office;
mod order;
mod pace;
mod pickup;
mod progress;
mod reader;
mod recall;
mod receipts;
mod redrive;
mod resuming;
mod retries;
mod round;
mod schedule;
mod sealer;
mod sinks;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod under_way;

pub use behind::{Behind, accepted_after};
pub use breaker::{BreakerConfig, Phase};
pub use caps::Caps;
pub use config::{BacklogConfig, BacklogLimit, Config, ConfigError};
pub use connection::{
    Access, Connections, Identities, TlsIdentity, Token, TokenError, TokenRequest, Tokens, Unusable,
};
pub use content::{SetError, body};
pub use courier::Courier;
pub use delivery::{Carried, Delivery, Reason, Verdict};
pub use destination::{Answer, Destination, Failure, Health, Parcel};
pub use dispatch::{Dispatch, Line};
pub use egress::{Egress, EgressConfig, GuardedClients, Network, NetworkError, Refused, Scheme};
pub use fate::{Fate, Hindrance};
pub use gate::{Allowance, Flow, Gate, Pass, Traffic, Wait};
pub use handshake::{Handshake, HandshakeError};
pub use http::{Exchange, HttpDestination};
pub use inbox::{Followed, Inbox, Taken};
pub use ledger::{Ledger, Outcome};
pub use milestones::Milestones;
pub use notice::{Notice, Notices};
pub use office::{Office, OfficeError, OfficeParts};
pub use pickup::{
    Clerk, Collected, MOST_OUTSTANDING, Pickup, PickupError, PickupParts, Polled, Polling, Refusal,
    Served, Shelf,
};
pub use progress::{Numbered, Progress};
pub use reader::{Match, Part, ReadError, Reader, View};
pub use receipts::{ReceiptDesk, SignedReceipt, word_of};
pub use retries::Retries;
pub use round::{Carry, Command, Round, Standing, Turn};
pub use schedule::{Policy, Schedule, Situation};
pub use sealer::{SealError, SealedEvent, Sealer, SealerParts};
pub use sinks::Sinks;
pub use trace::{Matching, Trace};
