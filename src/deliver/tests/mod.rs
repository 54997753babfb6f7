//! Couriers, inboxes, the ledger and the HTTP destination by themselves, with fakes around them.

mod attempts;
mod backlogs;
mod couriers;
mod gates;
mod handshakes;
mod inboxes;
mod ledgers;
mod orders;
mod readers;
mod sinks;
pub(crate) mod stage;
