//! What became of an attempt: judged, gathered, and written with the log.
//!
//! An answer comes in; a [`Policy`] judges it: delivered, another attempt after a backoff, or given
//! up. The [`Ledger`] gathers what was decided and writes it a few times a second, and what others
//! should know goes out as a [`DeliverySignal`].

mod delivery;
mod handshake_schedule;
mod ledger;
mod noting;
mod pending_changes;
mod receipts;
mod recording;
mod schedule;
mod signal;

pub use delivery::{AttemptResult, Delivery, Reason, Verdict, rank};
pub use handshake_schedule::{HandshakeConfig, HandshakeEnd};
pub use ledger::Ledger;
#[cfg(test)]
pub use pending_changes::MOST_ATTEMPTS;
pub use receipts::{ReadReceipt, ReceiptChecker, SignedReceipt, word_of};
pub use recording::{AttemptOutcome, Ownership};
pub use schedule::{Policy, Schedule, Situation};
pub use signal::{DeliverySignal, DeliverySignals};
